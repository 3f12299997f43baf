"""alexnet_v2 as others have it on TensorFlow: tf_slim, and stock tf_keras layers with fit."""
import tensorflow as tf
import tf_keras

from benchmarks import inputs


def slim(batch, training):
    """tf_slim's alexnet_v2 in a TF1 session, float32: a function of one training step, or of the logits."""
    import tf_slim
    from tf_slim.nets import alexnet
    images, labels = inputs.random_batch(batch)
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        held = v1.get_variable('images', initializer=images, trainable=False, use_resource=True)
        with tf_slim.arg_scope(alexnet.alexnet_v2_arg_scope(weight_decay=0.0005)):
            logits, _ = alexnet.alexnet_v2(tf.cast(held, tf.float32) - inputs.MEAN, inputs.CLASSES,
                                           is_training=training)
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


def keras_fit(policy, batch):
    """alexnet_v2 from stock tf_keras layers: a function of one step of fit."""
    layers = tf_keras.layers

    def conv(filters, kernel, **kwargs):
        return layers.Conv2D(filters, kernel, activation='relu', dtype=policy, **kwargs)

    def pool():
        return layers.MaxPool2D(3, 2, dtype=policy)
    decay = {'kernel_regularizer': tf_keras.regularizers.L2(0.00025)}
    model = tf_keras.Sequential([
        layers.Rescaling(1.0, offset=-float(inputs.MEAN.mean())), conv(64, 11, strides=4, **decay), pool(),
        conv(192, 5, padding='same', **decay), pool(), conv(384, 3, padding='same', **decay),
        conv(384, 3, padding='same', **decay), conv(256, 3, padding='same', **decay), pool(), layers.Flatten(),
        layers.Dense(4096, 'relu', dtype=policy, **decay), layers.Dropout(0.5, dtype=policy),
        layers.Dense(4096, 'relu', dtype=policy, **decay), layers.Dropout(0.5, dtype=policy),
        layers.Dense(inputs.CLASSES, dtype='float32', **decay)])
    model.compile(tf_keras.optimizers.SGD(1e-4, 0.9),
                  tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    options = tf.data.Options()
    options.autotune.enabled = False  # the end of every epoch would wait for its thread; here an epoch is a step
    data = tf.data.Dataset.from_tensors(inputs.random_batch(batch)).cache().with_options(options)

    def step():
        model.fit(data, verbose=0)
    return step
