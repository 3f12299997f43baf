"""All that the training script calls of the library, with stand-ins for what takes long; for `calls.noted`."""
from types import SimpleNamespace

import numpy as np
import tensorflow as tf
import tf_keras

from alexnet_tf.data import color_noise, datasets, preprocessing, service_address
from alexnet_tf.files import writing
from alexnet_tf.model import building, precision
from alexnet_tf.run_folder import lock
from alexnet_tf.training import cluster, description, devices, joining, optimizers, pace, plateau, resuming, run, team

MODEL = SimpleNamespace(layers=[SimpleNamespace(name=name, weights=[1]) for name in ('conv1', 'fc8')],
                        count_params=lambda: 7)
STATE = SimpleNamespace(**dict.fromkeys(("step", "best_accuracy"), SimpleNamespace(numpy=lambda: 0)))
TEAM = team.Alone()
TEAM.strategy = tf.distribute.get_strategy()
FUNCTIONS = {  # all that the script calls; None: the function itself is called too
    (writing, 'check_writable'): None, (resuming, 'check_allowed'): None,
    (resuming, 'choose_threads'): lambda _, given: (given or 2, 'why'),
    (tf.config.threading, 'set_intra_op_parallelism_threads'): lambda _: None,
    (devices, 'make_strategy'): lambda *_: (tf.distribute.get_strategy(), 'towers'),
    (cluster, 'from_environment'): lambda: cluster.Cluster(('a:1', 'b:1'), 0), (joining, 'join'): lambda *_, **__: TEAM,
    (service_address, 'wait_for'): lambda _: '10.0.0.1',
    (precision, 'choose'): None, (preprocessing, 'check_resize_side_max'): None, (datasets, 'open_splits'): None,
    (lock, 'hold'): None, (description, 'make_spec'): None, (description, 'agreed_spec'): None,
    (tf_keras.utils, 'set_random_seed'): lambda _: None, (building, 'build'): lambda *_, **__: MODEL,
    (optimizers, 'make'): lambda *_, **__: 'optimizer', (plateau, 'Plateau'): lambda _: 'plateau',
    (pace, 'steps'): None, (run, 'begin'): lambda *_, **__: STATE,
    (description, 'write'): lambda *_, **__: np.array([1, 2, 3]), (color_noise, 'color_noise'): None,
    (run, 'train'): lambda *_, **__: None}
