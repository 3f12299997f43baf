"""Which images are like which: neighbors among the features of fc7, as on the right of the paper's figure 4.

    python -m alexnet_tf.retrieval build --checkpoint_path=runs/one --dataset_dir=records --output=neighbors
    python -m alexnet_tf.retrieval query photo.jpg validation:7 --index=neighbors    a picture of the nearest images

An image of query is a JPEG or PNG file, or a record: validation:7 is the eighth of that split of the index's records.
"""
import dataclasses
from collections.abc import Callable

from absl import flags

from alexnet_tf.console import command, terminal
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.console.loading import load_tensorflow

FLAGS = flags.FLAGS
ROWS = (
    Flag('task', list, None, 'Required: what to do, and behind it the images that it is about. It may be given without '
         '--task=.', required=True),
    Flag('output', str, None, 'What is written. Of build: the folder of the index. Of query: the picture, .png or '
         '.svg; default: neighbors.png.'),
    Flag('index', str, None, 'Folder of an index that build has made.'),
    Flag('checkpoint_path', str, None, 'A checkpoint, or a folder: its latest. Default: that of the index; of build: '
         'runs/alexnet.'),
    Flag('model_name', str, None, 'Network of a checkpoint without a model.json.', choices=('alexnet_v2', 'alexnet')),
    Flag('dataset_dir', str, None, 'Folder with TFRecords. Default: that of the index; of build: the sample that comes '
         'along.'),
    Flag('dataset_split_name', str, 'train', 'Split whose images build takes.'),
    Flag('labels_offset', int, None, 'Number subtracted from every label. Default: so that the first class becomes 0.',
         0),
    Flag('batch_size', int, 100, 'Images at once.', 1),
)


def main():
    task, inputs = chosen()
    task.do(inputs)


def chosen():
    """(Task, what stands behind its name). Raises: ValueError for flags that it has no use for, or lacks."""
    name, *inputs = FLAGS.task
    task = next((task for task in TASKS if task.name == name), None)
    if task is None:
        raise ValueError(f'{name} is nothing that can be done; choose one of {", ".join(task.name for task in TASKS)}.')
    if not task.least <= len(inputs) <= task.most:
        raise ValueError(f'not understood: {" ".join(FLAGS.task)}; {name} takes {task.takes}.')
    for row in ROWS:
        if FLAGS[row.name].present and row.name not in ('task', *task.needs, *task.flags):
            raise ValueError(f'--{row.name} has no effect with {name}; leave it out.')
        if row.name in task.needs and FLAGS[row.name].value is None:
            raise ValueError(f'{name} needs --{row.name}. {row.help}')
    return task, inputs


def build(_):
    from alexnet_tf.files import writing
    writing.check_writable(FLAGS.output, 'output')
    load_tensorflow()
    from alexnet_tf.data import datasets
    from alexnet_tf.model import loading
    from alexnet_tf.neighbors import building
    loaded = loading.load(FLAGS.checkpoint_path or 'runs/alexnet', model_name=FLAGS.model_name)
    dataset = datasets.open_dataset(FLAGS.dataset_dir or datasets.SAMPLE_DIR, FLAGS.dataset_split_name,
                                    labels_offset=FLAGS.labels_offset, default_num_classes=loaded.spec.num_classes)
    building.build(loaded, dataset, FLAGS.output, batch_size=FLAGS.batch_size)
    print(f'Next: python -m alexnet_tf.retrieval query photo.jpg --index={terminal.printable(FLAGS.output)}')


@dataclasses.dataclass(frozen=True)
class Task:
    """One thing to do. takes: what stands behind its name, in words; least, most: how many of them. needs, flags: those
    of ROWS that it must have, and those that it has use for. do: function of what stands behind the name.
    """
    name: str
    takes: str
    least: int
    most: int
    needs: tuple
    flags: tuple
    do: Callable


TASKS = (
    Task('build', 'nothing behind its name', 0, 0, ('output',), (
        'checkpoint_path', 'model_name', 'dataset_dir', 'dataset_split_name', 'labels_offset', 'batch_size'), build),
)


def cli():
    command.run('retrieval', main, ROWS, 'task')


if __name__ == '__main__':
    cli()
