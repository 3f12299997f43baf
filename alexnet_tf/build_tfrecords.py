"""Image folders to slim's TFRecords, with the statistics that preprocessing wants.

    python -m alexnet_tf.build_tfrecords --input_dir=imagenet --output_dir=records

reads `train/<class>/*` and `val/<class>/*` (or `validation/<class>/*`), JPEG and PNG, and writes
`train-00000-of-01024`, …, `validation-00000-of-…`, …, `labels.txt`, `dataset_info.json`, `mean_image.npy`.
A finished folder is left alone, an unfinished one completed.
"""
import os

from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag

FLAGS = flags.FLAGS
ROWS = (
    Flag('input_dir', str, None, 'Required: folder with train/<class>/* and val/<class>/*.', required=True),
    Flag('output_dir', str, None, 'Required: folder for the records.', required=True),
    Flag('seed', int, 0, 'Seed of the shuffle over all images of a split.', 0, 2 ** 32 - 1),
    Flag('train_shards', int, None, 'Number of training files. Default: 1,252 images each.', 1),
    Flag('validation_shards', int, None, 'Number of validation files. Default: 1,252 images each.', 1),
    Flag('resize_shorter_side', int, None, 'Shrink images to this shorter side in pixels; 256 keeps all that training '
         'at 224 sees.', 1),
    Flag('quality', int, 95, 'Quality of JPEGs that are written anew: of shrunk images, PNG, CMYK, grayscale.', 1, 100),
    Flag('skip_unreadable', bool, False, 'Leave unreadable images out instead of failing.'),
    Flag('synset_names', str, None, "File of lines 'class-folder readable name'."),
    Flag('num_processes', int, None, 'Processes that write. Default: one per core.', 1),
)


def main():
    from alexnet_tf.data import folder_builder
    os.environ['CUDA_VISIBLE_DEVICES'] = '-1'  # images are decoded by the CPU
    shards = {'train': FLAGS.train_shards, 'validation': FLAGS.validation_shards}
    folder_builder.build(
        FLAGS.input_dir, FLAGS.output_dir, seed=FLAGS.seed, quality=FLAGS.quality,
        shards={split: count for split, count in shards.items() if count},
        resize_shorter_side=FLAGS.resize_shorter_side, skip_unreadable=FLAGS.skip_unreadable,
        synset_names=FLAGS.synset_names, num_processes=FLAGS.num_processes)


def cli():
    command.run('build_tfrecords', main, ROWS)


if __name__ == '__main__':
    cli()
