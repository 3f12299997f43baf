"""What a run writes about itself: metrics.jsonl, and the same for TensorBoard."""
import contextlib
import json
import os

import numpy as np
import tensorflow as tf

from alexnet_tf.files import writing
from alexnet_tf.run_folder import metrics

BINS = 40  # of a histogram


class MetricsLog:
    """Appends rows to folder/metrics.jsonl and to TensorBoard's event files beside it.

    A row: {"kind": "train" | "validation", "step": …, value name: value, …}. Rows behind `start_step`,
    of a run that was cut off after its last checkpoint, are taken out, and validations behind `validated_step`
    (default: start_step): the run writes them again.
    """

    def __init__(self, folder, start_step, flush_secs=30, validated_step=None):
        path = os.path.join(folder, metrics.METRICS_FILE)
        last = {'validation': start_step if validated_step is None else validated_step}
        kept = [row for row in metrics.read(folder) if row['step'] <= last.get(row['kind'], start_step)]
        writing.write_text(path, ''.join(json.dumps(row) + '\n' for row in kept))
        self._path, self._file = path, open(path, 'a', encoding='utf-8')
        self._events = tf.summary.create_file_writer(folder, flush_millis=1000 * flush_secs)

    def write(self, kind, step, **values):
        """kind: 'train' or 'validation'; values: floats by name. Raises: OSError when it cannot be written."""
        try:
            self._file.write(json.dumps({'kind': kind, 'step': step, **values}) + '\n')
            self._file.flush()
        except OSError as error:
            raise OSError(f'cannot write {self._path}: {error.strerror}. Free space, or mend what is wrong; the same '
                          'command goes on.') from error
        write_scalars(self._events, step, {f'{kind}/{name}': value for name, value in values.items()})

    def write_pictures(self, step, images, histograms):
        """For TensorBoard alone. images: {name: uint8 [n, height, width, 3]}. histograms: {name: values [n]}."""
        for name, pixels in images.items():
            height, width = pixels.shape[1:3]
            encoded = [tf.io.encode_png(each) for each in pixels]
            _write(self._events, step, 'images', name, tf.stack([str(width), str(height), *encoded]))
        for name, values in histograms.items():
            counts, edges = np.histogram(values, BINS)
            _write(self._events, step, 'histograms', name, tf.constant(np.stack([edges[:-1], edges[1:], counts], 1)))

    def close(self):
        with contextlib.suppress(OSError):  # `write` has said it
            self._file.close()
        self._events.close()


def write_scalars(writer, step, values):
    """Writes {name: float} for TensorBoard.

    tf.summary.scalar is TensorBoard's code, which need not be installed; this makes the same events.
    """
    for name, value in values.items():
        _write(writer, step, 'scalars', name, tf.constant(np.float32(value)))  # see loop.py


def _write(writer, step, plugin, name, tensor):
    kinds = tf.compat.v1.SummaryMetadata
    metadata = kinds(plugin_data=kinds.PluginData(plugin_name=plugin))
    with writer.as_default():
        tf.summary.write(name, tensor, np.int64(step), metadata)
