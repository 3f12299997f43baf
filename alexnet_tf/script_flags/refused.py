"""Flags of slim's scripts that mean nothing here: each ends with a sentence saying why."""
from absl import flags

_PARAMETER_SERVERS = ('one process trains here, without parameter servers or a remote master; --num_clones=N uses N '
                      'local devices.')
_QUANTIZE = "tf.contrib.quantize is gone; convert the exported SavedModel with TensorFlow Lite's converter instead."
_GRAYSCALE = 'the networks take RGB; grayscale images are read as RGB.'
_PREPROCESSING = "there is one preprocessing, AlexNet's; see alexnet_tf/data/preprocessing.py."
_AVERAGE = "AlexNet's recipe averages no weights."

TRAIN = {
    'master': _PARAMETER_SERVERS, 'worker_replicas': _PARAMETER_SERVERS, 'num_ps_tasks': _PARAMETER_SERVERS,
    'task': _PARAMETER_SERVERS, 'sync_replicas': _PARAMETER_SERVERS, 'replicas_to_aggregate': _PARAMETER_SERVERS,
    'num_readers': 'records are read by position, without reader threads; --num_preprocessing_threads sets those '
                   'that decode.',
    'quantize_delay': _QUANTIZE, 'use_grayscale': _GRAYSCALE, 'preprocessing_name': _PREPROCESSING,
    'moving_average_decay': _AVERAGE,
}
EVAL = {'master': _PARAMETER_SERVERS, 'quantize': _QUANTIZE, 'use_grayscale': _GRAYSCALE,
        'preprocessing_name': _PREPROCESSING, 'moving_average_decay': _AVERAGE}
_BOOLEAN = {'sync_replicas', 'use_grayscale', 'quantize'}


def define_refused(refused):
    """Defines {flag: reason} so that giving one of them is an error that says the reason."""
    for name, reason in refused.items():
        define = flags.DEFINE_bool if name in _BOOLEAN else flags.DEFINE_string
        define(name, None, f'Refused: {reason}')
        flags.register_validator(name, lambda value: value is None, message=f'refused: {reason}')
