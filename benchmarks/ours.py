"""This project's own training step and inference, as functions to time."""
import os
import tempfile

import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.data.color_noise import color_noise
from alexnet_tf.model import building, loading, specs
from alexnet_tf.serving import saved_model
from alexnet_tf.training import optimizers, run
from alexnet_tf.training.step import make_train_step
from benchmarks import inputs, networks
from nets import alexnet


def training_step(network, dtype, batch):
    """A function of one training step, which gives its loss."""
    return step_and_state(network, *inputs.random_batch(batch), dtype)[0]


def step_and_state(network, images, labels, dtype):
    """(function of one training step, its State)."""
    model = alexnet.from_table(networks.TABLES[network], inputs.CLASSES, dtype=networks.POLICIES[dtype])
    state = run.begin(model, optimizer=optimizers.make('momentum'))
    step = make_train_step(state, batch_size=len(images), mean=inputs.MEAN, seed=0, noise=color_noise())
    state.optimizer.learning_rate.assign(1e-4)
    images, labels = tf.constant(images), tf.constant(labels)
    numbers = iter(range(10 ** 9))
    return lambda: float(step(images, labels, tf.constant(next(numbers), tf.int64))), state


def keras_model(network, dtype, batch):
    """A function of the logits: the model as loading.load makes it, in a tf.function."""
    model = _loaded(network, dtype).model
    images = tf.constant(inputs.random_batch(batch)[0], tf.float32)

    @tf.function
    def logits(images):
        return tf.cast(model(preprocessing.subtract_mean(images, inputs.MEAN), training=False), tf.float32)
    return lambda: logits(images).numpy()


def exported(network, dtype, batch, signature='serving_default'):
    """A function of the logits: a signature of the exported SavedModel. Encoded images are JPEGs of 224 x 224."""
    with tempfile.TemporaryDirectory() as folder:
        saved_model.export(_loaded(network, dtype), folder)
        served = tf.saved_model.load(folder)
    images = inputs.random_batch(batch)[0]
    if signature == 'serving_default':
        takes = {'images': tf.constant(images, tf.float32)}
    else:
        takes = {'image_bytes': tf.stack([tf.io.encode_jpeg(image) for image in images])}
    return lambda: served.signatures[signature](**takes)['logits'].numpy()


def exported_bytes(network, dtype):
    """Bytes of the exported SavedModel."""
    with tempfile.TemporaryDirectory() as folder:
        saved_model.export(_loaded(network, dtype), folder)
        return sum(os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(folder) for name in names)


def _loaded(network, dtype):
    names = tuple(map(str, range(inputs.CLASSES)))
    spec = specs.Spec(network, inputs.SIZE, names, tuple(map(float, inputs.MEAN)))
    model = building.build(spec, dtype=dtype)
    for name, values in inputs.random_weights(networks.layers(network)).items():
        model.get_layer(name).set_weights(values)
    return loading.Loaded(model, spec, inputs.MEAN, '', 0)
