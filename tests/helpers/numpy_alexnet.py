"""AlexNet's three versions in NumPy, float64, written from their descriptions alone."""
import numpy as np


def np_windows(x, size, stride):
    """[batch, h, w, channels, size, size]: what each place of a size x size window sees."""
    views = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return views[:, ::stride, ::stride]


def np_conv(x, weights, biases, *, stride=1, before=0, after=0, towers=1):
    """Convolution; with two towers each half of the kernels sees its half of the maps alone."""
    x = np.pad(x, [(0, 0), (before, after), (before, after), (0, 0)])
    maps, kernels = x.shape[3] // towers, weights.shape[3] // towers
    outputs = [np.tensordot(np_windows(x[..., tower * maps:(tower + 1) * maps], len(weights), stride),
                            weights[..., tower * kernels:(tower + 1) * kernels], ([3, 4, 5], [2, 0, 1]))
               for tower in range(towers)]
    return np.concatenate(outputs, 3) + biases


def np_lrn(x, k, alpha):
    """Paper 3.3: b_i = a_i / (k + alpha * sum of a_j^2, j from i-2 to i+2 within the maps) ^ 0.75."""
    maps, b = x.shape[-1], np.empty_like(x)
    for i in range(maps):
        total = np.square(x[..., max(0, i - 2):min(maps - 1, i + 2) + 1]).sum(-1)
        b[..., i] = x[..., i] / (k + alpha * total) ** 0.75
    return b


def np_tower_lrn(x, k, alpha):
    """The same in each half of the maps for itself."""
    return np.concatenate([np_lrn(half, k, alpha) for half in np.split(x, 2, -1)], -1)


def np_within_map(x, scale):
    """a / (1 + scale * sum of a^2 over the 5 x 5 pixels around it, those inside the map) ^ 0.75."""
    padded = np.pad(np.square(x), [(0, 0), (2, 2), (2, 2), (0, 0)])
    return x / (1 + scale * np_windows(padded, 5, 1).sum((4, 5))) ** 0.75


def np_relu(x):
    return np.maximum(x, 0)


def np_pool(x):
    """Paper 3.4: the largest of 3 x 3 neighbors, 2 apart."""
    return np_windows(x, 3, 2).max((4, 5))


def np_dense(x, weights, biases):
    return np.einsum('bhwc,hwco->bo', x, weights, optimize=True)[:, None, None] + biases


def paper(x, w, b):
    """The paper's section 3.5; conv1's overshoot of 3 pixels from the original program."""
    out = {}
    out['conv1'] = np_relu(np_conv(x, w['conv1'], b['conv1'], stride=4, after=3))
    out['norm1'] = np_lrn(out['conv1'], 2, 1e-4)
    out['pool1'] = np_pool(out['norm1'])
    out['conv2'] = np_relu(np_conv(out['pool1'], w['conv2'], b['conv2'], before=2, after=2, towers=2))
    out['norm2'] = np_lrn(out['conv2'], 2, 1e-4)
    return upper(out, out['norm2'], w, b)


def caffe(x, w, b):
    """227 pixels without padding; k is 1 and alpha is divided by the 5 maps."""
    out = {}
    out['conv1'] = np_relu(np_conv(x, w['conv1'], b['conv1'], stride=4))
    out['norm1'] = np_lrn(out['conv1'], 1, 1e-4 / 5)
    out['pool1'] = np_pool(out['norm1'])
    out['conv2'] = np_relu(np_conv(out['pool1'], w['conv2'], b['conv2'], before=2, after=2, towers=2))
    out['norm2'] = np_lrn(out['conv2'], 1, 1e-4 / 5)
    return upper(out, out['norm2'], w, b)


def source(x, w, b):
    """The original program: ReLU after the pools of conv1 and conv5, normalization of signed values in a tower, a
    second normalization within maps; the hidden units of fc6 and fc7 halved, as at its test."""
    out = {}
    out['conv1'] = np_conv(x, w['conv1'], b['conv1'], stride=4, after=3)
    out['norm1'] = np_tower_lrn(out['conv1'], 2, 1e-4 / 5)
    out['pool1'] = np_pool(out['norm1'])
    out['relu1'] = np_relu(out['pool1'])
    out['conv2'] = np_relu(np_conv(out['relu1'], w['conv2'], b['conv2'], before=2, after=2, towers=2))
    out['norm2'] = np_tower_lrn(out['conv2'], 2, 1e-4 / 5)
    out['norm2b'] = np_within_map(out['norm2'], 1e-3 / 25)
    return upper(out, out['norm2b'], w, b, early_relu=False, hidden=0.5)


def upper(out, x, w, b, *, early_relu=True, hidden=1.0):
    """From pool2 on."""
    out['pool2'] = np_pool(x)
    out['conv3'] = np_relu(np_conv(out['pool2'], w['conv3'], b['conv3'], before=1, after=1))
    out['conv4'] = np_relu(np_conv(out['conv3'], w['conv4'], b['conv4'], before=1, after=1, towers=2))
    out['conv5'] = np_conv(out['conv4'], w['conv5'], b['conv5'], before=1, after=1, towers=2)
    if early_relu:
        out['conv5'] = np_relu(out['conv5'])
    out['pool5'] = top = np_pool(out['conv5'])
    if not early_relu:
        out['relu5'] = top = np_relu(top)
    out['fc6'] = np_relu(np_dense(top, w['fc6'], b['fc6']))
    out['fc7'] = np_relu(np_dense(hidden * out['fc6'], w['fc7'], b['fc7']))
    out['fc8'] = np_dense(hidden * out['fc7'], w['fc8'], b['fc8'])[:, 0, 0]
    return out
