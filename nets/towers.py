"""Two towers on two devices: half of each layer's kernels on each (the paper, section 3.2).

conv1 reads the images; conv2, conv4 and conv5 read their own tower; conv3, fc6, fc7 and fc8 read both. A normalization
over all maps also needs the other tower's maps nearest to the seam.
"""
import dataclasses

import tensorflow as tf

from nets import ops, rows


def check(table, devices):
    """Raises ValueError unless the resolved table can be cut in two and `devices` are two names."""
    if len(devices) != 2 or not all(isinstance(device, str) for device in devices):
        raise ValueError(f"devices is {devices!r}; it must be two names, as ('/GPU:0', '/GPU:1').")
    for row in table:
        odd = isinstance(row, rows.Conv) and row.filters % 2 and row is not table[-1]  # classes may be odd
        if isinstance(row, rows.Conv) and (row.groups > 2 or row.filters < 2 or odd):
            raise ValueError(f'{row.name} has {row.filters} kernels in {row.groups} groups, which two devices cannot '
                             'share: kernels must be even in number (of the classifier, two or more), groups at most '
                             'two. Change the table, or leave out devices.')


def reads_both(row):
    """Whether each tower's half of the row needs both towers' maps."""
    return isinstance(row, rows.Conv) and row.groups == 1


def seam(row):
    """Maps that each tower's half of the row needs from the other tower's edge."""
    return row.depth_radius if isinstance(row, rows.LRN) and row.groups == 1 else 0


def exchanged(table, height, width):
    """{name: bytes per image, in float32, that cross to each device before it} of a resolved table's rows."""
    result, before = {}, None
    for walked in rows.walk(table, height, width):
        maps = before[2] // 2 if before and reads_both(walked.row) else seam(walked.row)
        if maps:
            result[walked.row.name] = before[0] * before[1] * maps * 4
        before = walked.shape
    return result


def apply(row, inputs, devices, variables=(), *, activation=None, training=False):
    """Both towers' outputs of one row; activation and training as in `ops.apply`.

    inputs: a tensor a tower; or the images, for the table's first row. variables: a Conv's (weights, biases) a tower.
    """
    halves = [inputs, inputs] if tf.is_tensor(inputs) else inputs
    edges = _edges(halves, devices, seam(row))
    outputs = []
    for tower, device in enumerate(devices):
        with tf.device(device):
            if isinstance(row, rows.LRN):
                outputs.append(_lrn(row, halves[tower], edges[1 - tower], tower))
            else:
                x = tf.concat(inputs, -1) if reads_both(row) and halves is inputs else halves[tower]
                outputs.append(ops.apply(row, x, variables[tower] if variables else (), activation=activation,
                                         training=training, part=(tower, 2)))
    return outputs


def join(outputs, device):
    """The maps of both towers as one tensor on a device."""
    with tf.device(device):
        return tf.concat(outputs, -1)


def _edges(inputs, devices, maps):
    """The maps at each tower's edge, sliced on the tower's own device so that no others cross."""
    if not maps:
        return None, None
    with tf.device(devices[0]):
        last = inputs[0][..., -maps:]
    with tf.device(devices[1]):
        return last, inputs[1][..., :maps]


def _lrn(row, x, edge, tower):
    if edge is None:
        return ops.apply(dataclasses.replace(row, groups=1), x)  # a tower is one of the row's groups
    wide = ops.apply(row, tf.concat([x, edge] if tower == 0 else [edge, x], -1))
    return wide[..., :x.shape[-1]] if tower == 0 else wide[..., row.depth_radius:]
