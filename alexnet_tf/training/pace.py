"""How long a run is, and how often it does what besides training."""
import dataclasses
import math

from alexnet_tf.console.flag_table import LARGEST


@dataclasses.dataclass(frozen=True)
class Pace:
    """max_steps: where training ends. batch_size, num_examples: for epochs and images/s.
    validate_every: steps between validations; one is made at the end too. log_every: steps between progress lines and
    rows of metrics.jsonl (input_wait: share of the time that the loop waited for a batch). save_secs: seconds between
    checkpoints; one is written after each validation and at the end too. summary_secs: until summaries are on disk.
    max_rollbacks: how often a loss that is not finite sends the run back to its last checkpoint.
    """
    max_steps: int
    batch_size: int
    num_examples: int
    validate_every: int = 0
    log_every: int = 10
    save_secs: float = 600
    summary_secs: int = 30
    max_rollbacks: int = 0

    @property
    def steps_per_epoch(self):
        return self.num_examples / self.batch_size


def steps(num_examples, *, batch_size, num_epochs):
    """Steps of so many epochs, rounded up. Raises: ValueError for more than LARGEST."""
    exact = round(num_epochs * (num_examples / batch_size), 6)
    if exact > LARGEST:
        raise ValueError(f'--num_epochs={num_epochs:g} would be {exact:g} steps; it must be at most {LARGEST}.')
    return math.ceil(exact)
