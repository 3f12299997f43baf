"""The race as a CSV table, as sentences and as the paper's figure 1."""
from alexnet_tf.figure_one import race
from alexnet_tf.pictures import figures

NAMES = {'relu': 'ReLU', 'tanh': 'tanh'}
LOOKS = {'relu': {'color': figures.BLUE, 'ls': '-'}, 'tanh': {'color': figures.RED, 'ls': '--'}}  # the paper's lines


def table(curves):
    """CSV, a row for each epoch of each network. curves: {activation: {rate: curve}}, as below."""
    lines = ['activation,learning_rate,epoch,training_error_percent']
    for activation, of_rates in curves.items():
        lines += [f'{activation},{rate},{epoch},{"not finite" if error is None else f"{error:.2f}"}'
                  for rate, curve in of_rates.items() for epoch, error in enumerate(curve, 1)]
    return '\n'.join(lines) + '\n'


def ratio(curves):
    """How many times the epochs of ReLU tanh needs to the threshold; None: one of them did not get there."""
    relu, tanh = (race.epochs_to(curves[name][race.fastest(curves[name])]) for name in ('relu', 'tanh'))
    return tanh / relu if relu and tanh else None


def text(curves):
    """What came out, in sentences."""
    lines = []
    for activation, of_rates in curves.items():
        rate = race.fastest(of_rates)
        epochs = race.epochs_to(of_rates[rate])
        lines.append(f'{NAMES[activation]}: ' + (
            f'{race.THRESHOLD:g} % training error after {epochs:.1f} epochs, at the rate {rate}.' if epochs else
            f'{race.THRESHOLD:g} % training error was not reached; give a larger --max_epochs or other --rates.'))
    times = ratio(curves)
    if times:
        lines.append(f'tanh takes {times:.1f} times as many epochs; the paper says six times.')
    return '\n'.join(lines) + '\n'


def draw(curves, images):
    """A Figure: training error by epoch, the fastest rate of each activation in bold. images: how many there are."""
    figure = figures.new(4, layout='constrained')
    axes = figure.add_subplot(xlabel='epoch', ylabel='training error, %')
    for activation, of_rates in curves.items():
        chosen = race.fastest(of_rates)
        for rate, curve in of_rates.items():
            points = [(epoch, error) for epoch, error in enumerate(curve, 1) if error is not None]
            look = {'lw': 2, 'label': f'{NAMES[activation]}, rate {rate}'} if rate == chosen else {
                'lw': 0.8, 'alpha': 0.6, 'label': '_'}
            axes.plot(*zip(*points), **look, **LOOKS[activation], **({'marker': '.'} if len(points) == 1 else {}))
        epochs = race.epochs_to(of_rates[chosen])
        if epochs:
            axes.plot(epochs, race.THRESHOLD, 'o', color=LOOKS[activation]['color'], label='_')
            axes.annotate(f'{epochs:.1f}', (epochs, race.THRESHOLD), xytext=(3, 5), textcoords='offset points')
    axes.axhline(race.THRESHOLD, color='0.4', lw=1, ls=(0, (4, 3)), label=f'{race.THRESHOLD:g} %')
    times = ratio(curves)
    missing = ' or '.join(NAMES[name] for name, of_rates in curves.items()
                          if not race.epochs_to(of_rates[race.fastest(of_rates)]))
    axes.set_title('Four layers, ' + f'{images:,} images. ' + (
        f'To {race.THRESHOLD:g} % tanh takes {times:.1f} times as many epochs as ReLU (the paper: six)' if times else
        f'{race.THRESHOLD:g} % was not reached by {missing}'))
    axes.set(xlim=(0, None), ylim=(0, None))
    axes.locator_params('x', integer=True)
    axes.grid(alpha=0.3)
    axes.plot([], [], color='0.4', lw=0.8, label='other rates')
    axes.legend(frameon=False)
    return figure
