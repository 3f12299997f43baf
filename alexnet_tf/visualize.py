"""Pictures of a network and of what it learned, as PNG or SVG.

    python -m alexnet_tf.visualize kernels --checkpoint_path=runs/one            conv1's kernels
    python -m alexnet_tf.visualize network --model_name=alexnet --variant=caffe  the table as boxes
    python -m alexnet_tf.visualize predictions cat/1.jpg dog/2.jpg               images with their five bars
    python -m alexnet_tf.visualize predictions --dataset_dir=records             a split: mistakes, confusion, classes
    python -m alexnet_tf.visualize curves runs/one runs/two                      learning curves
    python -m alexnet_tf.visualize augmentations photo.jpg                       a photograph as training sees it
    python -m alexnet_tf.visualize activations photo.jpg                         what each layer answers to

An image is a JPEG or PNG file, or a record: validation:7 is the eighth of that split of --dataset_dir. Its true class
is known of a record, and of a file in a folder that has the name of a class.
"""
import os

from absl import flags

from alexnet_tf.console import command, terminal, verbs
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.console.loading import load_tensorflow
from alexnet_tf.console.verbs import Verb
from alexnet_tf.files import places

FLAGS = flags.FLAGS
ROWS = (
    Flag('picture', list, None, 'Required: which picture, and behind it the images or runs that it is of. It may be '
         'given without --picture=.'),
    Flag('output', str, None, "File for the picture, .png or .svg. Default: the picture's name, as kernels.png. Of a "
         'split there are several files, whose names begin like it.'),
    Flag('checkpoint_path', str, 'runs/alexnet', 'A checkpoint, or a folder: its latest.',
         check_path=places.check_checkpoint),
    Flag('model_name', str, None, 'Network of a checkpoint without a model.json. Of network: which to draw; default: '
         'alexnet.', choices=('alexnet_v2', 'alexnet')),
    Flag('variant', str, 'paper', 'Whose alexnet to draw.', choices=('paper', 'source', 'caffe')),
    Flag('dataset_dir', str, None, 'Folder with TFRecords. Default: the sample that comes along.',
         check_path=places.check_records),
    Flag('dataset_split_name', str, 'validation', 'Split to score.'),
    Flag('labels_offset', int, None, 'Number subtracted from every label. Default: as in training.', 0),
    Flag('seed', int, 0, 'Seed of crops, mirrors and color noise.', 0, 2 ** 32 - 1),
    Flag('color_noise', float, 0.1, 'Strength of the color noise, as in training.', 0),
    Flag('resize_side_max', int, None, 'Scale jitter, as in training.', 1),
)
SIZE = 224  # pixels, of the crops of a training that is not told otherwise


def main():
    picture, inputs = verbs.choose(FLAGS.picture, PICTURES, ROWS, kind='picture', lines=__doc__, for_all=('output',))
    output = FLAGS.output or f'{picture.name}.png'
    from alexnet_tf.pictures import figures
    figures.check(output)
    with figures.style():
        for suffix, drawn in picture.do(inputs).items():
            write(output, suffix, drawn)


def write(output, suffix, drawn):
    """Writes a Figure or the text of a CSV file, and says so. suffix: of the name, with .csv for the latter."""
    from alexnet_tf.files import writing
    from alexnet_tf.pictures import figures
    stem, kind = os.path.splitext(output)
    path = f'{stem}{suffix}' if isinstance(drawn, str) else f'{stem}{suffix}{kind}'
    if isinstance(drawn, str):
        writing.write_text(path, drawn)
    else:
        figures.save(drawn, path)
    print(f'Wrote {terminal.printable(path)}')


# Pictures ---------------------------------------------------------------------------------------------------


def kernels(_):
    load_tensorflow()
    import numpy as np

    from alexnet_tf.model import building
    from alexnet_tf.pictures import kernels
    from nets import slim_checkpoints
    loaded = load()
    weights = slim_checkpoints.named_variables(loaded.model)[f'{loaded.spec.model_name}/conv1/weights']
    return {'': kernels.draw(np.asarray(weights), kernels.parts(building.table(loaded.spec)),
                             f'The kernels of conv1: {title(loaded)}')}


def network(_):
    load_tensorflow()
    from alexnet_tf.pictures import network
    from nets import alexnet, rows
    name = FLAGS.model_name or 'alexnet'
    if name != 'alexnet' and FLAGS['variant'].present:
        raise ValueError(f'--variant has no effect with --model_name={name}; leave it out.')
    table = alexnet.variant_table(FLAGS.variant) if name == 'alexnet' else alexnet.ALEXNET_V2
    variant = f', variant {FLAGS.variant}' if name == 'alexnet' else ''
    return {'': network.draw(rows.resolve(table, 1000), alexnet.IMAGE_SIZES[FLAGS.variant], f'{name}{variant}')}


def predictions(inputs):
    load_tensorflow()
    from alexnet_tf.pictures import predictions, subjects
    if not inputs:
        return of_split(load())
    loaded = load()
    if FLAGS['dataset_split_name'].present:
        raise ValueError('--dataset_split_name has no effect beside images; name a record as validation:7.')
    found = [subjects.find(argument, lambda split: open_split(split, loaded)) for argument in inputs]
    return {'': predictions.draw(subjects.answered(loaded, found), loaded.spec.class_names,
                                 f'The five most probable classes: {title(loaded)}')}


def of_split(loaded):
    """The pictures of a whole split, and its table."""
    from alexnet_tf.data.batches import EvaluationBatches
    from alexnet_tf.model import evaluation
    from alexnet_tf.pictures import subjects, whole_split
    dataset, spec = open_split(FLAGS.dataset_split_name, loaded), loaded.spec
    batches = EvaluationBatches(dataset, batch_size=100, image_size=spec.image_size, resize_mode=spec.resize_mode)
    step = evaluation.make_eval_step([(loaded.model, loaded.mean, spec.image_size)])
    _, scores, labels = evaluation.evaluate(step, batches, len(dataset), log=print, keep_scores=True)
    scored = whole_split.Answers(evaluation.probabilities(scores), labels, spec.class_names)
    worst = [subjects.of_record(dataset, position) for position in whole_split.mistakes(scored)[:whole_split.MISTAKES]]
    shown = subjects.answered(loaded, worst) if worst else []
    heading = f'{title(loaded)}, on {len(dataset)} images'
    return {'-mistakes': whole_split.draw_mistakes(scored, shown, heading),
            '-confusion': whole_split.draw_confusion(scored, heading),
            '-classes': whole_split.draw_classes(scored, heading), '-classes.csv': whole_split.table(scored)}


def curves(inputs):
    from alexnet_tf.pictures import curves
    return {'': curves.draw([curves.read(folder) for folder in inputs])}


def augmentations(inputs):
    load_tensorflow()
    from alexnet_tf.data import datasets, slim_folders
    from alexnet_tf.data.color_noise import color_noise
    from alexnet_tf.data.preprocessing import check_resize_side_max
    from alexnet_tf.pictures import augmentations, subjects
    check_resize_side_max(FLAGS.resize_side_max, SIZE)
    folder = FLAGS.dataset_dir or datasets.SAMPLE_DIR
    subject = subjects.find(inputs[0], open_split)
    augmented = subject.read(
        augmentations.augment, seed=FLAGS.seed, size=SIZE, resize_side_max=FLAGS.resize_side_max,
        noise=color_noise(slim_folders.read_info(folder), scale=FLAGS.color_noise))
    return {'': augmentations.draw(augmented, f'{subject.name} as training sees it (seed {FLAGS.seed}, color noise '
                                              f'{FLAGS.color_noise:g}), and as evaluation does')}


def activations(inputs):
    load_tensorflow()
    from alexnet_tf.data import preprocessing
    from alexnet_tf.model import building
    from alexnet_tf.pictures import activations, subjects
    loaded = load()
    spec = loaded.spec
    subject = subjects.find(inputs[0], lambda split: open_split(split, loaded))
    image = preprocessing.central_crop(subject.square(spec), spec.image_size).numpy()
    found = activations.answers(loaded.model, building.table(spec), image, loaded.mean)
    return {'': activations.draw(found, image, f'What answers to {subject.name}: {title(loaded)}')}


NETWORK = 'checkpoint_path', 'model_name'
DATA = 'dataset_dir', 'labels_offset'
PICTURES = (  # what they do gives {suffix: Figure or text of a CSV}
    Verb('kernels', 'nothing behind its name', 0, 0, NETWORK, kernels),
    Verb('network', 'nothing behind its name', 0, 0, ('model_name', 'variant'), network),
    Verb('predictions', 'up to 40 images, or none for a whole split', 0, 40,
         (*NETWORK, *DATA, 'dataset_split_name'), predictions, check_input=places.check_image),
    Verb('curves', 'one to six training folders', 1, 6, (), curves),
    Verb('augmentations', 'one image', 1, 1, ('dataset_dir', 'seed', 'color_noise', 'resize_side_max'),
         augmentations, check_input=places.check_image),
    Verb('activations', 'one image', 1, 1, (*NETWORK, *DATA), activations,
         check_input=places.check_image),
)


# What several pictures need -----------------------------------------------------------------------------------


def load():
    """The loading.Loaded of --checkpoint_path."""
    from alexnet_tf.model import loading
    return loading.load(FLAGS.checkpoint_path, model_name=FLAGS.model_name)


def title(loaded):
    """What a picture says about its network."""
    return f'{loaded.spec.model_name} at step {loaded.step}'


def open_split(split, loaded=None):
    """A Dataset of --dataset_dir; loaded: the network that it is for, whose classes it must have."""
    from alexnet_tf.data import datasets
    from alexnet_tf.model import scoring
    offset = FLAGS.labels_offset
    if offset is None and loaded and loaded.knows_background:
        offset = 0
    dataset = datasets.open_dataset(FLAGS.dataset_dir or datasets.SAMPLE_DIR, split, labels_offset=offset,
                                    default_num_classes=loaded.spec.num_classes if loaded else 1000)
    if loaded:
        scoring.check_classes(loaded, dataset)
    return dataset


def cli():
    command.run('visualize', main, ROWS, 'picture')


if __name__ == '__main__':
    cli()
