"""Flags of slim's scripts that mean nothing here: giving one is an error that says why."""
from alexnet_tf.console.flag_table import Flag

_PARAMETER_SERVERS = ('there are no parameter servers and no remote master here; --num_clones=N uses N local devices, '
                      '--strategy=multi_worker several machines.')
_QUANTIZE = "tf.contrib.quantize is gone; convert the exported SavedModel with TensorFlow Lite's converter instead."
_READERS = 'records are read by position, without reader threads; --num_preprocessing_threads sets those that decode.'
_GRAYSCALE = 'the networks take RGB; grayscale images are read as RGB.'
_PREPROCESSING = "there is one preprocessing, AlexNet's."
_AVERAGE = "AlexNet's recipe averages no weights."


def _row(name, reason, kind=str):
    return Flag(name, kind, None, f'Refused: {reason}', refused=reason)


COMMON = (_row('use_grayscale', _GRAYSCALE, bool), _row('preprocessing_name', _PREPROCESSING),
          _row('moving_average_decay', _AVERAGE))
TRAIN = (
    *(_row(name, _PARAMETER_SERVERS) for name in ('master', 'worker_replicas', 'num_ps_tasks', 'task')),
    _row('sync_replicas', _PARAMETER_SERVERS, bool), _row('replicas_to_aggregate', _PARAMETER_SERVERS),
    _row('num_readers', _READERS), _row('quantize_delay', _QUANTIZE), *COMMON)
EVAL = (_row('master', 'one process scores, on its first device.'), _row('quantize', _QUANTIZE, bool), *COMMON)
