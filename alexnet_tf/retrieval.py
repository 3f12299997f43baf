"""Which images are like which: neighbors among the features of fc7, as on the right of the paper's figure 4.

    python -m alexnet_tf.retrieval build --checkpoint_path=runs/one --output=neighbors  an index of a split's images
    python -m alexnet_tf.retrieval query photo.jpg validation:7 --index=neighbors       a picture of the nearest images
    python -m alexnet_tf.retrieval codes --index=neighbors                              an autoencoder's binary codes
    python -m alexnet_tf.retrieval query photo.jpg --index=neighbors --bits=64          the nearest by these
    python -m alexnet_tf.retrieval measure --index=neighbors                            features, codes, pixels compared
    python -m alexnet_tf.retrieval projector --index=neighbors --output=projected       for TensorBoard's projector

An image of query is a JPEG or PNG file, or a record: validation:7 is the eighth of that split of the index's records.
"""
import os

from absl import flags

from alexnet_tf.console import command, terminal, verbs
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.console.loading import load_tensorflow
from alexnet_tf.console.verbs import Verb
from alexnet_tf.files import places, writing
from alexnet_tf.neighbors import description

FLAGS = flags.FLAGS
LENGTHS = '32', '64', '128'
ROWS = (
    Flag('task', list, None, 'Required: build, query, codes, measure or projector; behind query the images to search '
         'for. It may be given without --task=.'),
    Flag('output', str, None, 'Of build and projector: the folder to write. Of query: the picture, .png or .svg; '
         'default: neighbors.png. Of measure: the table, which is written twice, as .csv and as .md, whichever of the '
         'two is named; default: neighbors.csv.'),
    Flag('index', str, None, 'Folder of an index that build has made.', check_path=description.of_folder),
    Flag('checkpoint_path', str, None, 'A checkpoint, or a folder: its latest. Default: that of the index; of build: '
         'runs/alexnet.'),
    Flag('model_name', str, None, 'Network of a checkpoint without a model.json.', choices=('alexnet_v2', 'alexnet')),
    Flag('dataset_dir', str, None, 'Folder with TFRecords. Default: that of the index; of build: the sample that comes '
         'along.', check_path=places.check_records),
    Flag('dataset_split_name', str, None, 'Split whose images build takes, default: train; whose images measure '
         'searches for, default: validation.'),
    Flag('labels_offset', int, None, 'Number subtracted from every label. Default: so that the first class becomes 0.',
         0),
    Flag('batch_size', int, 100, 'Images at once in the network.', 1),
    Flag('bits', list, list(LENGTHS), 'Lengths of codes: 32, 64 or 128 bits; of codes and measure several, with '
         'commas between. Of query: search by codes of this one length, not by features.'),
    Flag('seed', int, 0, 'Seed of what codes learns, and of the random projections of measure.', 0, 2 ** 31 - 1),
    Flag('queries', int, 2000, 'Images that measure searches for, the first of the split.', 1),
    Flag('images', int, 1000, 'Images for the projector, at equal steps through the index.', 1, 10_000),
)


def main():
    task, inputs = verbs.choose(FLAGS.task, TASKS, ROWS, kind='task', lines=__doc__)
    if wrong := [bits for bits in FLAGS.bits if bits not in LENGTHS]:
        raise ValueError(f'--bits={wrong[0]}; it must be one of {", ".join(LENGTHS)}.')
    task.do(inputs)


# Tasks ------------------------------------------------------------------------------------------------------


def build(_):
    checkpoint = FLAGS.checkpoint_path or 'runs/alexnet'
    places.check_checkpoint(checkpoint)
    writing.check_writable(FLAGS.output, 'output')
    load_tensorflow()
    from alexnet_tf.data import datasets
    from alexnet_tf.model import loading
    from alexnet_tf.neighbors import building
    loaded = loading.load(checkpoint, model_name=FLAGS.model_name)
    dataset = datasets.open_dataset(FLAGS.dataset_dir or datasets.SAMPLE_DIR, FLAGS.dataset_split_name or 'train',
                                    labels_offset=FLAGS.labels_offset, default_num_classes=loaded.spec.num_classes)
    building.build(loaded, dataset, FLAGS.output, batch_size=FLAGS.batch_size)
    print(f'Next: python -m alexnet_tf.retrieval query photo.jpg --index={terminal.printable(FLAGS.output)}')


def query(inputs):
    output = FLAGS.output or 'neighbors.png'
    if FLAGS['bits'].present and len(FLAGS.bits) != 1:
        raise ValueError(f'--bits={",".join(FLAGS.bits)}; query searches by codes of one length.')
    from alexnet_tf.pictures import figures
    figures.check(output)
    found, loaded = index_and_network()
    from alexnet_tf.neighbors import answers, sheet
    from alexnet_tf.pictures import subjects
    asked = [subjects.find(argument, found.open_split) for argument in inputs]
    bits = int(FLAGS.bits[0]) if FLAGS['bits'].present else None
    answered = answers.find(found, loaded, asked, count=sheet.SHOWN, bits=bits)
    print('\n'.join(answers.lines(found, answered)))
    with figures.style():
        figures.save(sheet.draw(answers.rows(found, loaded, answered),
                                answers.title(found, loaded, answered, bits)), output)
    print(f'Wrote {terminal.printable(output)}')


def codes(_):
    load_tensorflow()
    from alexnet_tf.neighbors import codes, index
    found = index.open_index(FLAGS.index)
    for bits in map(int, dict.fromkeys(FLAGS.bits)):
        path = codes.write(found, codes.train(found, bits, seed=FLAGS.seed))
        print(f'Wrote {terminal.printable(path)}: {len(found)} codes of {bits // 8} bytes')


def measure(_):
    stem, ending = os.path.splitext(FLAGS.output or 'neighbors.csv')
    if ending not in ('.csv', '.md') or os.path.isdir(stem + ending):
        raise ValueError(f'--output={FLAGS.output}; it must be the name of a file that ends in .csv or .md.')
    writing.check_writable(os.path.dirname(stem) or '.', 'output')
    found, loaded = index_and_network()
    from alexnet_tf.neighbors import comparison
    lengths = [int(bits) for bits in dict.fromkeys(FLAGS.bits)]
    results, chance = comparison.compare(
        found, loaded, found.open_split(FLAGS.dataset_split_name or 'validation'), count=FLAGS.queries, lengths=lengths,
        seed=FLAGS.seed, batch_size=FLAGS.batch_size)
    for path, text in ((f'{stem}.md', comparison.markdown(results, chance)),
                       (f'{stem}.csv', comparison.table(results, found.class_names))):
        writing.write_text(path, text)
        print(f'Wrote {terminal.printable(path)}')


def projector(_):
    writing.check_writable(FLAGS.output, 'output')
    load_tensorflow()
    from alexnet_tf.neighbors import index, projector
    found = index.open_index(FLAGS.index, dataset_dir=FLAGS.dataset_dir)
    count = projector.write(found, FLAGS.output, FLAGS.images)
    print(f'Wrote features and thumbnails of {count} of {len(found)} images. Next: tensorboard '
          f'--logdir={terminal.printable(FLAGS.output)}, then Projector in its menu')


NETWORK = 'checkpoint_path', 'model_name', 'dataset_dir'
TASKS = (
    Verb('build', 'nothing behind its name', 0, 0, (*NETWORK, 'dataset_split_name', 'labels_offset', 'batch_size'),
         build, needs=('output',)),
    Verb('query', 'one to twenty images', 1, 20, (*NETWORK, 'output', 'bits'), query, needs=('index',),
         check_input=places.check_image),
    Verb('codes', 'nothing behind its name', 0, 0, ('bits', 'seed'), codes, needs=('index',)),
    Verb('measure', 'nothing behind its name', 0, 0,
         (*NETWORK, 'output', 'dataset_split_name', 'batch_size', 'bits', 'seed', 'queries'), measure,
         needs=('index',)),
    Verb('projector', 'nothing behind its name', 0, 0, ('dataset_dir', 'images'), projector, needs=('index', 'output')),
)


# What several tasks need --------------------------------------------------------------------------------------


def index_and_network():
    """(index.Index, the loading.Loaded whose features it has). Raises: ValueError, also without faiss."""
    checkpoint = FLAGS.checkpoint_path or description.of_folder(FLAGS.index).checkpoint
    places.check_checkpoint(checkpoint)
    load_tensorflow()
    from alexnet_tf.model import loading
    from alexnet_tf.neighbors import index
    index.library()
    found = index.open_index(FLAGS.index, dataset_dir=FLAGS.dataset_dir)
    found.check_records()
    loaded = loading.load(checkpoint, model_name=FLAGS.model_name)
    found.check_network(loaded)
    return found, loaded


def cli():
    command.run('retrieval', main, ROWS, 'task')


if __name__ == '__main__':
    cli()
