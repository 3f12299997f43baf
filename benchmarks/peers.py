"""The same networks as others have them: PyTorch, tf_slim, stock tf_keras layers. Each gives a step to time.

A peer whose package is missing is left out, and said so.
"""
import numpy as np
import tensorflow as tf
import tf_keras

SLIM = 'tf_slim (float32)'  # it knows no other arithmetic
MEAN = np.array([123.68, 116.78, 103.94], np.float32)  # any will do for timing


def torch_network(network, classes, training):
    """alexnet_v2 or alexnet as torch.nn.Sequential, channels_last."""
    from torch import nn
    lrn = network == 'alexnet'

    def conv(inputs, outputs, kernel, stride=1, padding=0, groups=1):
        return [nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups), nn.ReLU(inplace=True)]

    def normalize():
        return [nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0)] if lrn else []
    first, second, side = (96, 256, 6) if lrn else (64, 192, 5)
    groups = 2 if lrn else 1
    layers = [nn.ZeroPad2d((0, 3, 0, 3))] if lrn else []
    layers += [*conv(3, first, 11, 4), *normalize(), nn.MaxPool2d(3, 2),
               *conv(first, second, 5, 1, 2, groups), *normalize(), nn.MaxPool2d(3, 2),
               *conv(second, 384, 3, 1, 1), *conv(384, 384, 3, 1, 1, groups), *conv(384, 256, 3, 1, 1, groups),
               nn.MaxPool2d(3, 2), nn.Flatten(), nn.Linear(256 * side * side, 4096), nn.ReLU(inplace=True),
               nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(4096, classes)]
    import torch
    return nn.Sequential(*layers).to(memory_format=torch.channels_last).train(training)


def torch_train(network, images, labels, classes, bfloat16):
    """A function of one training step: mean subtracted, momentum, weight decay 0.0005."""
    import torch
    model = torch_network(network, classes, training=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)
    loss_function = torch.nn.CrossEntropyLoss()
    images, labels = torch.from_numpy(images), torch.from_numpy(labels)
    mean = torch.from_numpy(MEAN)

    def step():
        x = (images.float() - mean).permute(0, 3, 1, 2)  # NHWC in memory is channels_last
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast('cpu', torch.bfloat16, enabled=bfloat16):
            loss = loss_function(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss.item()
    return step


def torch_inference(network, images, classes, bfloat16):
    """A function that gives the logits of the images."""
    import torch
    model = torch_network(network, classes, training=False)
    images, mean = torch.from_numpy(images), torch.from_numpy(MEAN)

    def run():
        with torch.inference_mode(), torch.autocast('cpu', torch.bfloat16, enabled=bfloat16):
            return model((images.float() - mean).permute(0, 3, 1, 2)).float().numpy()
    return run


def slim(images, labels, classes, training):
    """tf_slim's alexnet_v2 in a TF1 session, float32: a function of one training step, or of the logits."""
    import tf_slim
    from tf_slim.nets import alexnet
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        held = v1.get_variable('images', initializer=images, trainable=False, use_resource=True)
        with tf_slim.arg_scope(alexnet.alexnet_v2_arg_scope(weight_decay=0.0005)):
            logits, _ = alexnet.alexnet_v2(tf.cast(held, tf.float32) - MEAN, classes, is_training=training)
        fetched = logits
        if training:
            loss = v1.losses.sparse_softmax_cross_entropy(labels, logits)
            loss += v1.add_n(v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES))
            train = v1.train.MomentumOptimizer(1e-4, 0.9).minimize(loss)
            with tf.control_dependencies([train]):
                fetched = tf.identity(loss)
        session = v1.Session()
        session.run(v1.global_variables_initializer())
        return session.make_callable(fetched)


def keras_fit(images, labels, classes, policy):
    """alexnet_v2 from stock tf_keras layers: a function of one step of fit."""
    layers = tf_keras.layers

    def conv(filters, kernel, **kwargs):
        return layers.Conv2D(filters, kernel, activation='relu', dtype=policy, **kwargs)

    def pool():
        return layers.MaxPool2D(3, 2, dtype=policy)
    decay = {'kernel_regularizer': tf_keras.regularizers.L2(0.00025)}
    model = tf_keras.Sequential([
        layers.Rescaling(1.0, offset=-float(MEAN.mean())), conv(64, 11, strides=4, **decay), pool(),
        conv(192, 5, padding='same', **decay), pool(), conv(384, 3, padding='same', **decay),
        conv(384, 3, padding='same', **decay), conv(256, 3, padding='same', **decay), pool(), layers.Flatten(),
        layers.Dense(4096, 'relu', dtype=policy, **decay), layers.Dropout(0.5, dtype=policy),
        layers.Dense(4096, 'relu', dtype=policy, **decay), layers.Dropout(0.5, dtype=policy),
        layers.Dense(classes, dtype='float32', **decay)])
    model.compile(tf_keras.optimizers.SGD(1e-4, 0.9),
                  tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    data = tf.data.Dataset.from_tensors((images, labels)).cache().repeat(1)
    return lambda: model.fit(data, verbose=0)
