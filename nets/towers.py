"""Two towers on two devices: half of each layer's kernels on each, the paper's section 3.2.

conv1, conv2, conv4 and conv5 stay within a tower; conv3, fc6, fc7 and fc8 read both. A normalisation over all
maps also needs, at the seam, the outermost maps of the other tower.
"""
import tensorflow as tf

from nets import ops, rows


def check(table, devices):
    """Raises ValueError unless the table can be cut in two and there are two devices' names."""
    if len(devices) != 2 or not all(isinstance(device, str) for device in devices):
        raise ValueError(f"devices is {devices!r}; it must be two names, as ('/GPU:0', '/GPU:1').")
    for row in table:
        odd = isinstance(row, rows.Conv) and row.filters % 2 and row is not table[-1]  # the classifier may be odd
        if isinstance(row, rows.Conv) and (row.groups > 2 or row.filters < 2 or odd):
            raise ValueError(f'{row.name} has {row.filters} kernels in {row.groups} groups, which do not divide among '
                             'two devices.')


def reads_both(row, number):
    """Whether a tower's half of the row, number `number` of its table, needs all maps of the row before."""
    return isinstance(row, rows.Conv) and row.groups == 1 and number > 0


def seam(row):
    """Maps that a tower's half of the row needs from the other tower's edge."""
    return row.depth_radius if isinstance(row, rows.LRN) and row.groups == 1 else 0


def exchanged(table, height, width, channels=3, itemsize=4):
    """{row: bytes an image that cross to each device before it}, in a resolved table.

    Args:
      height, width, channels: of the image. itemsize: bytes a value (2: bfloat16).
    """
    result, before = {}, None
    for number, walked in enumerate(rows.walk(table, height, width, channels)):
        maps = before[2] // 2 if before and reads_both(walked.row, number) else seam(walked.row)
        if maps:
            result[walked.row.name] = before[0] * before[1] * maps * itemsize
        before = walked.shape
    return result


def apply(row, number, inputs, devices, variables=((), ()), *, activation=None, keep_prob=1.0, training=False,
          dropout_number=1):
    """Both towers' outputs of one row.

    Args:
      row, number: the row and its place in the table. inputs: a tensor a tower. devices: two names.
      variables: a Conv's (weights, biases) of each tower.
      activation: of a Conv; None: linear. keep_prob, training, dropout_number: of a Dropout.
    """
    edges = _edges(inputs, devices, seam(row))
    outputs = []
    for tower, device in enumerate(devices):
        with tf.device(device):
            if isinstance(row, rows.Conv):
                x = tf.concat(inputs, -1) if reads_both(row, number) else inputs[tower]
                outputs.append(ops.biased_convolution(x, *variables[tower], stride=row.stride, padding=row.padding,
                                                      activation=activation))
            elif isinstance(row, rows.LRN):
                outputs.append(_lrn(row, inputs[tower], edges[1 - tower], tower))
            elif isinstance(row, rows.Dropout):
                outputs.append(ops.dropout(inputs[tower], keep_prob, training=training, number=dropout_number,
                                           rescale=row.rescale, part=(tower, 2)))
            else:
                outputs.append(ops.apply(row, inputs[tower]))
    return outputs


def join(outputs, device):
    """The maps of both towers as one tensor on a device."""
    with tf.device(device):
        return tf.concat(outputs, -1)


def _edges(inputs, devices, maps):
    """The maps at each tower's edge, cut where they are, so that no others cross."""
    if not maps:
        return None, None
    with tf.device(devices[0]):
        last = inputs[0][..., -maps:]
    with tf.device(devices[1]):
        return last, inputs[1][..., :maps]


def _lrn(row, x, edge, tower):
    if edge is None:
        return ops.apply(row, x, groups=1)  # a tower is one of the row's groups
    wide = tf.concat([x, edge] if tower == 0 else [edge, x], -1)
    wide = ops.apply(row, wide)
    return wide[..., :x.shape[-1]] if tower == 0 else wide[..., row.depth_radius:]
