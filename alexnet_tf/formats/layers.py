"""A network as plain rows, and its weights in the layouts that PyTorch, ONNX and Caffe share."""
import numpy as np

from alexnet_tf.data import preprocessing
from alexnet_tf.model import building
from nets import rows, slim_checkpoints


def plain_rows(spec):
    """The rows of a Spec's network at its image size, as dictionaries that JSON can hold: kind, name, and

      Conv         stride, groups, relu, padding: pixels [before, after] on both spatial axes
      Linear       relu; a Conv whose kernel covers its whole map
      Norm         alpha, beta, bias, groups: x / (bias + alpha * sum of x^2) ** beta over a window [maps, rows,
                   columns] around, with maps in so many equal parts, each on its own
      MaxPool      size, stride
      Dropout      keep_prob; rescale: whether training divides by it, else all is multiplied by it at test
      Activation   relu
    """
    result, size = [], spec.image_size
    for step in rows.walk(building.table(spec), size, size):
        result.append({'kind': type(step.row).__name__, 'name': step.row.name} | _fields(step, size))
        size = step.shape[0]
    return result


def _fields(step, size):
    """What a plain row has besides kind and name. size: pixels of the row's input along each axis."""
    row = step.row
    if isinstance(row, rows.Conv):
        if step.shape[0] == 1:
            return {'kind': 'Linear', 'relu': row.relu}
        return {'stride': row.stride, 'groups': row.groups, 'relu': row.relu, 'padding': _padding(row, size)}
    if isinstance(row, rows.LRN | rows.SpatialNorm):
        over_maps = isinstance(row, rows.LRN)
        return {'kind': 'Norm', 'window': [2 * row.depth_radius + 1, 1, 1] if over_maps else [1, row.size, row.size],
                'alpha': row.alpha, 'beta': row.beta, 'bias': row.bias, 'groups': row.groups if over_maps else 1}
    if isinstance(row, rows.Dropout):
        return {'keep_prob': row.keep_prob, 'rescale': row.rescale}
    return {'relu': True} if isinstance(row, rows.Activation) else row.fields()


def _padding(row, size):
    if not isinstance(row.padding, str):
        return list(row.padding)
    total = 0 if row.padding == 'VALID' else max((rows.window(row, size) - 1) * row.stride + row.kernel - size, 0)
    return [total // 2, total - total // 2]


def arrays(loaded):
    """{name: float32 array} of a loading.Loaded.

      mean          what is subtracted from images [3, size, size]: [3, 1, 1], or the mean image's center
      conv1.weight  [out, in / groups, height, width]
      fc6.weight    [out, in], the inputs of the first one in the order of channels, rows, columns
      conv1.bias    [out]
    """
    mean = np.asarray(loaded.mean, np.float32)
    mean = preprocessing.central_crop(mean, loaded.spec.image_size) if mean.ndim == 3 else mean.reshape(1, 1, 3)
    result = {'mean': np.ascontiguousarray(mean.transpose(2, 0, 1))}
    variables = slim_checkpoints.named_variables(loaded.model)
    for row in plain_rows(loaded.spec):
        if row['kind'] in ('Conv', 'Linear'):
            name = f'{loaded.spec.model_name}/{row["name"]}'
            weights = variables[f'{name}/weights'].numpy().transpose(3, 2, 0, 1)
            weights = weights.reshape(len(weights), -1) if row['kind'] == 'Linear' else weights
            result[f'{row["name"]}.weight'] = np.ascontiguousarray(weights)
            result[f'{row["name"]}.bias'] = variables[f'{name}/biases'].numpy()
    return result
