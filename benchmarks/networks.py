"""The networks that are timed, from the project's tables: as plain numbers for peers, and their FLOPs."""
import types

from benchmarks.inputs import CLASSES, SIZE
from nets import alexnet, rows

TABLES = {'alexnet': alexnet.ALEXNET, 'alexnet_v2': alexnet.ALEXNET_V2,
          'alexnet without LRN': tuple(row for row in alexnet.ALEXNET if not isinstance(row, rows.LRN))}
POLICIES = {'float32': 'float32', 'bfloat16': 'mixed_bfloat16'}


def layers(network):
    """The network's rows for processes without this project: namespaces of kind, name, inputs (height, width,
    channels), full (whether a Conv's kernel covers its whole map), and the row's fields.
    """
    result, shape = [], (SIZE, SIZE, 3)
    for step in rows.walk(rows.resolve(TABLES[network], CLASSES), SIZE, SIZE):
        fields = {key: value for key, value in step.row.fields().items() if key != 'init'}
        full = isinstance(step.row, rows.Conv) and step.shape[:2] == (1, 1)
        result.append(types.SimpleNamespace(kind=type(step.row).__name__, name=step.row.name, inputs=shape, full=full,
                                            **fields))
        shape = step.shape
    return result


def flops(network, training):
    """FLOPs an image: forward, or forward and backward less the first layer's input gradient."""
    walked = [step.multiply_adds for step in rows.walk(rows.resolve(TABLES[network], CLASSES), SIZE, SIZE)]
    forward = 2 * sum(walked)
    return 3 * forward - 2 * walked[0] if training else forward
