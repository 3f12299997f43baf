"""Networks in a process where TensorFlow does not use oneDNN, as on older CPUs."""
import numpy as np
import tensorflow as tf
import tf_keras

from nets import alexnet
from tests.helpers.networks import assert_close, narrowed, with_larger_weights
from tests.helpers.processes import run_python

DTYPES = ('float32', 'mixed_bfloat16')
CODE = '''
import sys
import numpy as np
import tensorflow as tf
from tests.nets.test_without_onednn import DTYPES, images, logits_and_gradients, network
for dtype in DTYPES:
    folder = f'{sys.argv[1]}/{dtype}'
    model = network(dtype)
    model.set_weights(np.load(f'{folder}/weights.npy', allow_pickle=True))
    served, = tf.saved_model.load(folder).signatures['serving_default'](tf.constant(images())).values()
    np.savez(f'{folder}/there.npz', tf.cast(served, tf.float32), *logits_and_gradients(model))
'''


def images():
    return np.random.default_rng(0).normal(0, 40, [2, 224, 224, 3]).astype(np.float32)


def network(dtype):
    return alexnet.from_table(narrowed(alexnet.ALEXNET), 5, dropout_keep_prob=1.0, dtype=dtype)


def logits_and_gradients(model):
    @tf.function
    def run(x):
        with tf.GradientTape() as tape:
            logits = tf.cast(model(x, training=True), tf.float32)
            loss = tf.reduce_sum(logits ** 2)
        return [logits, *tape.gradient(loss, model.trainable_variables)]
    return [values.numpy() for values in run(images())]


def test_logits_gradients_and_an_exported_model_are_the_same(tmp_path):
    tf_keras.utils.set_random_seed(0)
    models = {dtype: network(dtype) for dtype in DTYPES}
    started = with_larger_weights(models['float32']).get_weights()
    weights = np.empty(len(started), object)
    weights[:] = started
    for dtype, model in models.items():
        model.set_weights(started)
        model.export(tmp_path / dtype)
        np.save(tmp_path / dtype / 'weights.npy', weights)
    run_python('-c', CODE, tmp_path, TF_ENABLE_ONEDNN_OPTS='0')
    logits, *gradients = logits_and_gradients(models['float32'])
    for dtype in DTYPES:
        with np.load(tmp_path / dtype / 'there.npz') as there:
            served, found, *slopes = [there[name] for name in there.files]
        for one in (served, found):
            assert_close(one, logits, {'float32': 1e-4, 'mixed_bfloat16': 0.05}[dtype], dtype)
        for number, (one, other) in enumerate(zip(slopes, gradients, strict=True)):
            if dtype == 'float32':
                assert_close(one, other, 1e-4, number)
            else:  # with oneDNN, too, conv1's have a cosine of 0.94 with those of float32, at initial values
                product, sizes = np.vdot(one, other), (np.linalg.norm(one), np.linalg.norm(other))
                assert product > 0.9 * sizes[0] * sizes[1] and 0.8 < sizes[0] / sizes[1] < 1.2, number
