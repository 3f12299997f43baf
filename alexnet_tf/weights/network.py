"""From arrays under slim's names to a model."""
import numpy as np

from alexnet_tf.model import building
from alexnet_tf.weights import checks
from nets import alexnet, nets_factory, rows, slim_checkpoints


def shapes(name, variant, classes):
    """{`alexnet/conv1/weights`: shape} of a network: weights [height, width, in / groups, out], biases [out].

    Raises: ValueError for an unknown network or variant.
    """
    nets_factory.check_name(name)
    table = alexnet.variant_table(variant) if name == 'alexnet' else alexnet.ALEXNET_V2
    found, channels = {}, 3
    for row in rows.resolve(table, classes):
        if isinstance(row, rows.Conv):
            found[f'{name}/{row.name}/weights'] = (row.kernel, row.kernel, channels // row.groups, row.filters)
            found[f'{name}/{row.name}/biases'] = (row.filters,)
            channels = row.filters
    return found


def model_of(spec, tensors):
    """The Keras model of a Spec with the weights {`alexnet/conv1/weights`: array}, shaped as in `shapes`.

    Raises: ValueError for other names or shapes, and for NaN or infinity. All is checked before the model is made.
    """
    expected = shapes(spec.model_name, spec.variant, spec.num_classes)
    checks.check_names(tensors, expected)
    for name, shape in expected.items():
        checks.check_shape(name, tensors[name], shape)
        checks.check_finite(name, tensors[name])
    model = building.build(spec)
    for name, variable in slim_checkpoints.named_variables(model).items():
        variable.assign(np.ascontiguousarray(tensors[name], np.float32))
    return model
