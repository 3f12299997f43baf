"""Networks in a process where TensorFlow does not use oneDNN, as on older CPUs."""
import numpy as np
import tensorflow as tf

from nets import alexnet
from tests.helpers.networks import assert_close, narrowed, with_larger_weights
from tests.helpers.processes import run_python

TOLERANCES = {'float32': 1e-4, 'mixed_bfloat16': 0.1}
CODE = '''
import sys
import numpy as np
import tensorflow as tf
from tests.nets.test_without_onednn import TOLERANCES, images, logits_and_gradients, network
for dtype in TOLERANCES:
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
    models = {dtype: with_larger_weights(network(dtype)) for dtype in TOLERANCES}
    for dtype, model in models.items():
        model.export(tmp_path / dtype)
        weights = np.empty(len(model.weights), object)
        weights[:] = model.get_weights()
        np.save(tmp_path / dtype / 'weights.npy', weights)
    run_python('-c', CODE, tmp_path, TF_ENABLE_ONEDNN_OPTS='0')
    for dtype, model in models.items():
        logits, *gradients = logits_and_gradients(model)
        with np.load(tmp_path / dtype / 'there.npz') as there:
            found = [there[name] for name in there.files]
        for number, (one, other) in enumerate(zip(found, [logits, logits, *gradients], strict=True)):
            assert_close(one, other, TOLERANCES[dtype], (dtype, number))
