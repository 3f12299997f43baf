"""AlexNet networks for TensorFlow. The package needs only tensorflow and tf_keras, so it can be copied anywhere.

    from nets import alexnet
    model = alexnet.AlexNet(num_classes=1000)                      # a Keras model
    with nets.arg_scope(alexnet.alexnet_v2_arg_scope()):           # slim's way, in a tf.Graph
        logits, end_points = alexnet.alexnet_v2(images, is_training=False)
"""
from nets.scopes import arg_scope

__all__ = ['arg_scope']
