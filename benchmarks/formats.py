"""Every format of `export`, run by its own runtime on the validation photographs, beside the network in TensorFlow.

    python -m benchmarks.formats --checkpoint_path=runs/one --dataset_dir=records

Prints how far logits are from the network's, the share of photographs with another first class, the size of what was
exported, and the median latency of one image, in turns, one thread a core. A runtime that cannot be had says so.
"""
import os
import statistics
import tempfile

import numpy as np
from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.console.loading import load_tensorflow
from benchmarks import timing, turns

FLAGS = flags.FLAGS
ROWS = (
    Flag('checkpoint_path', str, None, 'Required: a checkpoint, or a folder: its latest.', required=True),
    Flag('dataset_dir', str, None, 'Required: records; `train` calibrates int8, `validation` is compared.',
         required=True),
    Flag('max_images', int, 1_000_000, 'So many photographs at most, evenly spaced.', low=1),
    Flag('repetitions', int, 7, 'Turns of each runtime after the warm-up, 20 images each.', low=1),
)
RUNTIMES = {'saved_model': ('saved_model',), 'litert': ('litert',), 'litert_float16': ('litert',),
            'litert_int8': ('litert',), 'onnx': ('onnxruntime', 'openvino'), 'safetensors': ('torch',)}
BATCH = 32


def photographs(spec):
    """uint8 [n, size, size, 3]: central crops of the validation split."""
    from alexnet_tf.formats import calibration
    return calibration.images(FLAGS.dataset_dir, spec, FLAGS.max_images, split='validation')


def reference(loaded, images):
    """The logits of the Keras model, float32 [n, classes]."""
    from alexnet_tf.data import preprocessing
    return np.concatenate([loaded.model(preprocessing.subtract_mean(images[start:start + BATCH], loaded.mean),
                                        training=False).numpy() for start in range(0, len(images), BATCH)])


def exported(loaded, to, folder):
    """(path for the runtime, bytes of the network in it)."""
    from alexnet_tf.formats import kinds
    from alexnet_tf.serving import saved_model
    if to == 'saved_model':
        saved_model.export(loaded, folder)
        return folder, sum(os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(folder)
                           for name in names)
    os.makedirs(folder)
    path = kinds.write(loaded, folder, to, calibration_dir=FLAGS.dataset_dir if to == 'litert_int8' else None)
    return path, os.path.getsize(path)


def main():
    load_tensorflow()
    from alexnet_tf.model import loading
    loaded = loading.load(FLAGS.checkpoint_path)
    images = photographs(loaded.spec)
    expected = reference(loaded, images)
    with tempfile.TemporaryDirectory() as folder:
        stored = os.path.join(folder, 'images.npy')
        np.save(stored, images)
        makers, sizes = {}, {}
        for to, runtimes in RUNTIMES.items():
            path, size = exported(loaded, to, os.path.join(folder, to))
            for runtime in runtimes:
                makers[to, runtime] = (f'benchmarks.format_peers.{runtime}', {'path': path, 'images': stored})
                sizes[to, runtime] = size
        outcomes = turns.measure(makers, repetitions=FLAGS.repetitions, times=20)
    print(', '.join(f'{name} {value}' for name, value in timing.machine().items() if value))
    print(f'{loaded.spec.model_name} at step {loaded.step}, {len(images)} photographs, largest logit '
          f'{abs(expected).max():.1f}\n\n| `--to` | run by | logits differ by at most | another first class | MB | one '
          'image |\n|---|---|---|---|---|---|')
    for (to, runtime), outcome in outcomes.items():
        print(f'| `{to}` | {runtime} | {line(outcome, expected)} {sizes[to, runtime] / 1e6:.1f} | {latency(outcome)} |')


def line(outcome, expected):
    if outcome.first is None:
        return f'left out: {outcome.failure} | |'
    other = (outcome.first.argmax(1) != expected.argmax(1)).mean()
    return f'{abs(outcome.first - expected).max():.1e} | {100 * other:.2f} % |'


def latency(outcome):
    return f'{1e3 * statistics.median(outcome.seconds):.1f} ms' if outcome.seconds else ''


if __name__ == '__main__':
    command.run('benchmarks.formats', main, ROWS)
