"""Checkpoints to damage, and what one holds."""
import numpy as np
import tensorflow as tf

from alexnet_tf.run_folder import checkpoints
from nets import slim_checkpoints


def three_checkpoints(folder):
    """Writes model.ckpt-1 to -3 into a folder; returns {step: {name: array}}."""
    random, contents = np.random.default_rng(0), {}
    for step in (1, 2, 3):
        contents[step] = {'a/weights': random.normal(size=[40, 50]).astype(np.float32), 'global_step': np.int64(step)}
        checkpoints.save(str(folder), step, {name: tf.constant(value) for name, value in contents[step].items()})
    return contents


def content(path):
    """{name: array} of a checkpoint."""
    reader = slim_checkpoints.read(str(path))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
