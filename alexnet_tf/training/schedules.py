"""Learning rates: pure functions of the step."""
import dataclasses

DECAY_TYPES = ('plateau', 'fixed', 'exponential', 'polynomial', 'piecewise')
COLOR_NOISE = 'color_noise'
KINDS = ('weights', 'biases')


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a schedule says of one step.

    rate: the learning rate. factors: of each trainable variable, its own rate divided by that; None: all 1.
    color_noise: whether colour noise is on.
    """
    rate: float
    factors: tuple | None = None
    color_noise: bool = True


@dataclasses.dataclass(frozen=True)
class Change:
    """From `epoch` on, `target` has the value. target: '' (all), a layer, 'weights' or 'biases', a layer's
    ('conv1/biases'), or 'color_noise' (1 on, 0 off)."""
    epoch: float
    target: str
    value: float


def parse_steps(entries, layers):
    """Changes from entries `epoch:rate` and `epoch:target=rate`, as 25:0.001 or 67:conv1=0.

    Args:
      layers: names that a target may have besides weights, biases and color_noise.

    Raises: ValueError for an entry of another form, an unknown target, or no rate at epoch 0.
    """
    changes = []
    for entry in entries:
        epoch, _, rest = entry.partition(':')
        target, _, value = rest.rpartition('=')
        try:
            change = Change(float(epoch), target.strip(), float(value))
        except ValueError:
            raise ValueError(f'learning_rate_steps has {entry!r}; entries are epoch:rate or epoch:target=rate, as '
                             '25:0.001 or 67:conv1=0.') from None
        layer, _, kind = change.target.rpartition('/')
        if (change.target not in ('', COLOR_NOISE, *KINDS, *layers)
                and not (layer in layers and kind in KINDS)):
            raise ValueError(f'learning_rate_steps has {entry!r}; targets are weights, biases, color_noise and the '
                             f'layers {", ".join(layers)} (also as conv1/biases).')
        good = change.value in (0, 1) if change.target == COLOR_NOISE else change.value >= 0
        if change.target == '':
            good = change.value > 0  # what is frozen is named: the others' rates are relative to this one
        if not (good and 0 <= change.epoch < float('inf') and change.value < float('inf')):
            raise ValueError(f'learning_rate_steps has {entry!r}; epochs and rates must be at least 0, the rate of all '
                             'above 0, color_noise 0 or 1.')
        changes.append(change)
    if not any(change.target == '' and change.epoch == 0 for change in changes):
        raise ValueError('learning_rate_steps has no rate for epoch 0; begin with an entry as 0:0.01.')
    return tuple(sorted(changes, key=lambda change: change.epoch))


def stepped(changes, epoch, name):
    """The rate of a variable 'layer/kind', or the state of 'color_noise' (None: never named), at an epoch.

    The most specific target that fits decides: layer/kind, then layer, then kind, then all.
    """
    layer, _, kind = name.partition('/')
    for target in (name, layer, kind, '') if kind else (name,):  # '' itself: the rate of all
        values = [change.value for change in changes if change.target == target and change.epoch <= epoch]
        if values:
            return values[-1]
    return None


def follow_steps(changes, epoch, names):
    """The Settings of an epoch. names: 'layer/kind' of every trainable variable."""
    base = stepped(changes, epoch, '')
    factors = tuple(stepped(changes, epoch, name) / base for name in names)
    return Settings(base, factors, stepped(changes, epoch, COLOR_NOISE) != 0)


def learning_rate(step, *, decay_type, base, steps_per_epoch, decay_factor=0.1,
                  epochs_per_decay=30.0, end=0.0001, boundaries=(), warmup_epochs=0.0, divisions=0):
    """The learning rate of one step.

    Args:
      step: from 0. steps_per_epoch: examples / batch size.
      decay_type: 'fixed'; 'exponential' (times decay_factor after every epochs_per_decay epochs, which
        slim rounds down to whole steps); 'polynomial' (a straight line from base to `end` at epochs_per_decay epochs,
        constant after, as slim); 'piecewise' (times decay_factor at each of `boundaries`, epochs);
        'plateau' (times decay_factor ** divisions, which Plateau counts).
      warmup_epochs: epochs during which the rate is at most a line from 0 to base, as slim.
    """
    epoch = step / steps_per_epoch
    if decay_type == 'exponential':
        rate = base * decay_factor ** int(epoch / epochs_per_decay)
    elif decay_type == 'polynomial':
        rate = end + (base - end) * (1 - min(epoch / epochs_per_decay, 1))
    elif decay_type == 'piecewise':
        rate = base * decay_factor ** sum(epoch >= boundary for boundary in boundaries)
    elif decay_type == 'plateau':
        rate = base * decay_factor ** divisions
    elif decay_type == 'fixed':
        rate = base
    else:
        raise ValueError(f'learning_rate_decay_type is {decay_type!r}; known are {", ".join(DECAY_TYPES)}.')
    return min(rate, base * epoch / warmup_epochs) if epoch < warmup_epochs else rate
