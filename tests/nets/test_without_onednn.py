"""Networks in a process where TensorFlow does not use oneDNN, as on CPUs without AVX-512."""
import numpy as np
import pytest
import tensorflow as tf

from nets import alexnet
from tests.helpers.networks import assert_close, narrowed, with_larger_weights
from tests.helpers.processes import run_python

CODE = '''
import sys
import numpy as np
import tensorflow as tf
from tests.nets.test_without_onednn import images, logits_and_gradients, network
folder, dtype = sys.argv[1:]
model = network(dtype)
model.set_weights(np.load(f'{folder}/weights.npy', allow_pickle=True))
logits, gradients = logits_and_gradients(model)
served = tf.saved_model.load(f'{folder}/exported').signatures['serving_default'](tf.constant(images()))
np.savez(f'{folder}/there.npz', logits, *gradients, served=tf.cast(next(iter(served.values())), tf.float32))
'''


def images():
    return np.random.default_rng(0).normal(0, 40, [2, 224, 224, 3]).astype(np.float32)


def network(dtype):
    return alexnet.from_table(narrowed(alexnet.ALEXNET), 5, dropout_keep_prob=1.0, dtype=dtype)


def logits_and_gradients(model):
    @tf.function
    def run(x):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = tf.reduce_sum(tf.cast(logits, tf.float32) ** 2)
        return logits, tape.gradient(loss, model.trainable_variables)
    logits, gradients = run(images())
    return tf.cast(logits, tf.float32).numpy(), [gradient.numpy() for gradient in gradients]


@pytest.mark.parametrize('dtype, tolerance', [('float32', 1e-4), ('mixed_bfloat16', 0.1)])
def test_logits_gradients_and_an_exported_model_are_the_same(dtype, tolerance, tmp_path):
    model = with_larger_weights(network(dtype))
    weights = np.empty(len(model.weights), object)
    weights[:] = model.get_weights()
    np.save(tmp_path / 'weights.npy', weights)
    model.export(tmp_path / 'exported')
    run_python('-c', CODE, tmp_path, dtype, TF_ENABLE_ONEDNN_OPTS='0')
    logits, gradients = logits_and_gradients(model)
    with np.load(tmp_path / 'there.npz') as there:
        assert len(there.files) == 2 + len(gradients) == 18
        assert_close(there['served'], logits, tolerance)
        for number, here in enumerate([logits, *gradients]):
            assert_close(there[f'arr_{number}'], here, tolerance, number)
