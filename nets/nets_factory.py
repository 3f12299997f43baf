"""Networks by name, for callers of slim's nets_factory."""
import functools

import nets
from nets import alexnet

networks_map = {'alexnet': alexnet.alexnet, 'alexnet_v2': alexnet.alexnet_v2}
arg_scopes_map = {'alexnet': alexnet.alexnet_arg_scope, 'alexnet_v2': alexnet.alexnet_v2_arg_scope}
models_map = {'alexnet': alexnet.AlexNet, 'alexnet_v2': alexnet.AlexNetV2}


def check_name(name):
    """Raises ValueError, with a list of the known networks, unless `name` is one of them."""
    if name not in networks_map:
        raise ValueError(f'unknown network {name!r}; known are {", ".join(sorted(networks_map))}.')


def get_network_fn(name, num_classes, weight_decay=0.0, is_training=False):
    """network_fn(images, **kwargs) -> (logits, end_points), which sets the network's arg scope itself.

    Arguments as of the network's function and its arg scope. network_fn.default_image_size is in pixels.

    Raises: ValueError for an unknown name.
    """
    check_name(name)
    function = networks_map[name]

    @functools.wraps(function)
    def network_fn(images, **kwargs):
        with nets.arg_scope(arg_scopes_map[name](weight_decay=weight_decay)):
            return function(images, num_classes=num_classes, is_training=is_training, **kwargs)
    network_fn.default_image_size = function.default_image_size
    return network_fn
