"""Learning rates: pure functions of the epoch."""
import dataclasses

DECAY_TYPES = ('plateau', 'fixed', 'exponential', 'polynomial', 'piecewise')
COLOR_NOISE = 'color_noise'
KINDS = ('weights', 'biases')


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a schedule says of one step.

    rate: the learning rate. factors: of each trainable variable, its own rate divided by that.
    color_noise: whether color noise is on.
    """
    rate: float
    factors: tuple = ()
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
        if change.target not in ('', COLOR_NOISE, *KINDS, *layers) and not (layer in layers and kind in KINDS):
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


@dataclasses.dataclass(frozen=True)
class Steps:
    """Rates by epoch, of everything or of single layers. changes: of parse_steps."""
    changes: tuple
    own_rates = True

    def settings(self, epoch, names, divisions=0):
        """The Settings of an epoch; arguments as of Decay.settings."""
        base = stepped(self.changes, epoch, '')
        factors = tuple(stepped(self.changes, epoch, name) / base for name in names)
        return Settings(base, factors, stepped(self.changes, epoch, COLOR_NOISE) != 0)


@dataclasses.dataclass(frozen=True)
class Decay:
    """One learning rate that changes with the epoch.

    decay_type: 'fixed'; 'exponential' (times `factor` after every epochs_per_decay epochs, which slim rounds down to
      whole steps); 'polynomial' (a straight line from base to `end` at epochs_per_decay epochs, constant after, as
      slim); 'piecewise' (times `factor` at each of `boundaries`, epochs); 'plateau' (times factor ** divisions, which
      a Plateau counts).
    warmup_epochs: epochs during which the rate is at most a line from 0 to base, as slim.
    bias_factor: the rate of biases, as a multiple of that of weights.
    """
    decay_type: str
    base: float
    factor: float = 0.1
    epochs_per_decay: float = 30.0
    end: float = 0.0001
    boundaries: tuple = ()
    warmup_epochs: float = 0.0
    bias_factor: float = 1.0

    @property
    def own_rates(self):
        """Whether some variables have a rate other than the common one."""
        return self.bias_factor != 1

    def rate(self, epoch, divisions=0):
        """The learning rate at an epoch (float, from 0). divisions: of the Plateau."""
        rate = self._decayed(epoch, divisions)
        return min(rate, self.base * epoch / self.warmup_epochs) if epoch < self.warmup_epochs else rate

    def settings(self, epoch, names, divisions=0):
        """The Settings of an epoch. names: 'layer/weights' or 'layer/biases' of every trainable variable."""
        factors = tuple(self.bias_factor if name.endswith('biases') else 1.0 for name in names)
        return Settings(self.rate(epoch, divisions), factors)

    def _decayed(self, epoch, divisions):
        if self.decay_type == 'exponential':
            return self.base * self.factor ** int(epoch / self.epochs_per_decay)
        if self.decay_type == 'polynomial':
            return self.end + (self.base - self.end) * (1 - min(epoch / self.epochs_per_decay, 1))
        if self.decay_type == 'piecewise':
            return self.base * self.factor ** sum(epoch >= boundary for boundary in self.boundaries)
        return self.base * self.factor ** divisions  # 0 of them but for the plateau
