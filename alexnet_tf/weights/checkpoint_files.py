"""TF1 checkpoints as a source of weights, and the folder with a checkpoint that an import makes."""
import dataclasses

import numpy as np

from alexnet_tf.model import loading, specs
from alexnet_tf.run_folder import checkpoints
from alexnet_tf.weights import arguments, network
from nets import slim_checkpoints


def read(path, class_names, variant):
    """The Loaded of a checkpoint, or of a folder's latest; arguments as of reading.read.

    Raises: ValueError when there is none, or it is damaged or of another network.
    """
    checkpoint = checkpoints.find(path)
    if not checkpoint:
        raise arguments.no_source(path)
    loaded = loading.load(checkpoint, model_name=_network(checkpoint, variant), class_names=class_names,
                          variant=variant)
    for name, variable in slim_checkpoints.named_variables(loaded.model).items():
        network.check_finite(name, np.asarray(variable))
    return loaded


def _network(checkpoint, variant):
    """The name of a checkpoint's network. Raises: ValueError for two networks, none, or variables of another one."""
    found = slim_checkpoints.read(checkpoint).get_variable_to_shape_map()
    networks = [name for name in ('alexnet', 'alexnet_v2') if f'{name}/fc8/biases' in found]
    if len(networks) != 1:
        raise ValueError(f'{checkpoint} has the weights of {" and ".join(networks) or "no network known here"} (it '
                         f'has, for example, {", ".join(sorted(found)[:4])}); expected is alexnet or alexnet_v2.')
    known = network.shapes(networks[0], variant, 1)
    # An optimizer's slots have their variable's name and one more part.
    unknown = [name for name in sorted(found) if name.startswith(f'{networks[0]}/')
               and name not in known and name.rpartition('/')[0] not in known]
    if unknown:
        raise ValueError(f'{checkpoint} also has {", ".join(unknown)}; it is of another network than {networks[0]}.')
    return networks[0]


def write(loaded, folder):
    """Writes a Loaded as folder/model.ckpt-0 and model.json, and its mean image as mean_image.npy.

    Returns: the checkpoint's path. Raises: ValueError, OSError when it cannot be written.
    """
    path = checkpoints.save(folder, 0, slim_checkpoints.named_variables(loaded.model))
    mean = 'mean_image.npy' if isinstance(loaded.spec.mean, str) else loaded.spec.mean  # a stranger may have named it
    specs.write_spec(dataclasses.replace(loaded.spec, mean=mean), folder, loaded.mean)
    return path
