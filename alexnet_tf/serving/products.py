"""Fully connected layers as processors with instructions for bfloat16 read them."""
import math

import tensorflow as tf
import tf_keras

from nets import keras_layers, ops


class Product(keras_layers.Convolution):
    """A Convolution whose kernel covers its whole map, with `weights` as [out, height * width * in].

    Such processors multiply bfloat16 in pairs of neighbors along the axis that is summed. In this order such pairs lie
    beside each other. In the other, [height, width, in, out], oneDNN packs all weights anew at every call, which takes
    longer than one image's product.
    """

    def build(self, input_shape):
        self.kernel = self.add_weight('weights', [self.filters, math.prod(input_shape[1:])], initializer='zeros')
        self.bias = self.add_weight('biases', [self.filters], initializer='zeros')
        self.built = True

    def call(self, inputs):
        columns = tf.reshape(inputs, [-1, self.kernel.shape[1]])
        net = self.activation(tf.nn.bias_add(tf.matmul(columns, self.kernel, transpose_b=True), self.bias))
        return net if self.squeeze else net[:, None, None]


def with_products(model):
    """A copy of a Keras model of a network in which the fully connected layers are Products."""
    copy = tf_keras.models.clone_model(
        model, clone_function=lambda layer: (Product if _is_fully_connected(layer) else type(layer)).from_config(
            layer.get_config()))
    for layer, copied in zip(model.layers, copy.layers):
        values = layer.get_weights()
        if isinstance(copied, Product):
            values[0] = values[0].reshape(-1, layer.filters).T
        copied.set_weights(values)
    return copy


def _is_fully_connected(layer):
    return (isinstance(layer, keras_layers.Convolution) and layer.groups == 1
            and ops.covers_map(layer.input, layer.kernel.shape[:2], layer.padding))
