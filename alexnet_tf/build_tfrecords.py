"""Image folders, or ImageNet's archives, to slim's TFRecords, with the statistics that preprocessing wants.

    python -m alexnet_tf.build_tfrecords --input_dir=images --output_dir=records
    python -m alexnet_tf.build_tfrecords --imagenet_archives=downloads --output_dir=records

The first reads `train/<class>/*` and `val/<class>/*` (or `validation/<class>/*`), JPEG and PNG; the second the three
archives of ILSVRC-2012, which are not unpacked. Written are `train-00000-of-01024`, …, `validation-00000-of-…`, …,
`labels.txt`, `dataset_info.json`, `mean_image.npy`. A finished folder is left alone, an unfinished one completed.
"""
import os

from absl import flags

from alexnet_tf.console import command, flag_table
from alexnet_tf.console.flag_table import SET, UNSET, Flag

FLAGS = flags.FLAGS
ROWS = (
    Flag('input_dir', str, None, 'Folder with train/<class>/* and val/<class>/*. This or imagenet_archives is '
         'required.', works_with=(('imagenet_archives', UNSET),)),
    Flag('imagenet_archives', str, None, 'Folder with ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and '
         'ILSVRC2012_devkit_t12.tar.gz, in place of input_dir.'),
    Flag('allow_partial', bool, False, 'Take archives of fewer images or classes than ImageNet has.',
         works_with=(('imagenet_archives', SET),)),
    Flag('output_dir', str, None, 'Required: folder for the records.', required=True),
    Flag('seed', int, 0, 'Seed of the shuffle over all images of a split.', 0, 2 ** 32 - 1),
    Flag('train_shards', int, None, 'Number of training files. Default: 1,252 images each.', 1),
    Flag('validation_shards', int, None, 'Number of validation files. Default: 1,252 images each.', 1),
    Flag('resize_shorter_side', int, None, 'Shrink images to this shorter side in pixels; 256 keeps all that training '
         'at 224 sees.', 1),
    Flag('quality', int, 95, 'Quality of JPEGs that are written anew: of shrunk images, PNG, CMYK, grayscale.', 1, 100),
    Flag('skip_unreadable', bool, False, 'Leave unreadable images out instead of failing.'),
    Flag('synset_names', str, None, "File of lines 'class-folder readable name'. ImageNet's archives bring their "
         'own names.', works_with=(('imagenet_archives', UNSET),)),
    Flag('num_processes', int, None, "Processes that write. Default: one per core. Of Beam's runners, only "
         'DirectRunner has them.', 1),
    Flag('beam_runner', str, None, "Apache Beam's runner that writes the shards: DirectRunner (on this machine), "
         'FlinkRunner, SparkRunner, ….'),
    Flag('beam_options', list, [], "Options of Beam's runner, as --beam_options=--flink_master=host:8081,….",
         valid=(lambda options: all(option.startswith('--') for option in options),
                'must be options that begin with --, with commas between; none may have a comma itself'),
         works_with=(('beam_runner', SET),)),
)


def main():
    flag_table.check_effects(ROWS)
    if not FLAGS.input_dir and not FLAGS.imagenet_archives:
        raise ValueError('--input_dir is missing: give a folder with train/<class>/* and val/<class>/*, or that of '
                         "ImageNet's archives as --imagenet_archives.")
    if FLAGS.num_processes and (FLAGS.beam_runner or 'DirectRunner').lower() != 'directrunner':
        raise ValueError(f'--num_processes={FLAGS.num_processes} has no effect with --beam_runner={FLAGS.beam_runner}, '
                         'whose own options set its workers; leave it out.')
    from alexnet_tf.data import folder_builder
    os.environ['CUDA_VISIBLE_DEVICES'] = '-1'  # images are decoded by the CPU
    shards = {'train': FLAGS.train_shards, 'validation': FLAGS.validation_shards}
    folder_builder.build(
        FLAGS.imagenet_archives or FLAGS.input_dir, FLAGS.output_dir, archives=bool(FLAGS.imagenet_archives),
        allow_partial=FLAGS.allow_partial, seed=FLAGS.seed, quality=FLAGS.quality,
        shards={split: count for split, count in shards.items() if count},
        resize_shorter_side=FLAGS.resize_shorter_side, skip_unreadable=FLAGS.skip_unreadable,
        synset_names=FLAGS.synset_names, num_processes=FLAGS.num_processes,
        beam_runner=FLAGS.beam_runner, beam_options=FLAGS.beam_options)


def cli():
    command.run('build_tfrecords', main, ROWS)


if __name__ == '__main__':
    cli()
