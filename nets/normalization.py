"""Normalization by a windowed sum of squares: over adjacent maps, or over the nearby pixels of one map."""
import contextvars
import functools

import tensorflow as tf

from nets import scopes

_compiled = contextvars.ContextVar('normalization.compiled', default=False)


def compiled():
    """Inside it, XLA compiles normalization on a CPU: three times faster, the same numbers but for rounding.

    Not for export, since TensorFlow Serving refuses functions that must be compiled. A new batch size takes a second.
    """
    return scopes.within(_compiled, True)


def local_response_normalization(x, *, depth_radius, bias, alpha, beta, groups=1):
    """x * (bias + alpha * S) ** -beta, S the sum of squares over 2 * depth_radius + 1 adjacent maps.

    The numbers are those of `tf.nn.local_response_normalization`, which has no bfloat16 kernel, and a slow gradient on
    a CPU. There the windowed sums are a convolution over blocks of maps, or, inside `compiled`, plain sums in a fused
    loop.

    Args:
      x: [..., channels], float32 or bfloat16. groups: equal parts of the channels, each normalized on its own.
    """
    if tf.config.get_visible_devices('GPU'):
        return _stock(x, groups, depth_radius=depth_radius, bias=bias, alpha=alpha, beta=beta)
    if _compiled.get() and beta == 0.75:
        return _with_shape_of(x, _fused(depth_radius, bias, alpha, groups)(x))
    kernel = tf.constant(_window(x.shape[-1] // groups, depth_radius, alpha), x.dtype)

    def window_sum(values, plus=0.0):
        """plus + alpha * the sums."""
        blocks = tf.reshape(values, [-1, 1, x.shape[-1] // kernel.shape[-1] // groups, kernel.shape[-1]])
        sums = tf.nn.conv2d(blocks, kernel, 1, 'SAME')
        if plus:
            sums = tf.nn.bias_add(sums, tf.fill([kernel.shape[-1]], tf.cast(plus, x.dtype)))  # TensorFlow fuses the two
        return tf.reshape(sums, tf.shape(values))
    return _normalize(x, window_sum, bias, beta)


def _window(maps, depth_radius, alpha):
    """[1, blocks, width, width], lists: the kernel of a convolution over blocks of maps that gives alpha * their sums.

    16 maps a block: a vector of a CPU. A sum reaches into the blocks at both sides. That is 3 x 16 products for a map,
    where one block of all maps has as many as there are maps.
    """
    width, blocks = (16, 3) if maps % 16 == 0 and depth_radius <= 16 else (maps, 1)
    return [[[[alpha * (abs((block - blocks // 2) * width + source - target) <= depth_radius)
               for target in range(width)] for source in range(width)] for block in range(blocks)]]


def _stock(x, groups, **settings):
    """TensorFlow's own op, which takes float32 of four dimensions. An empty batch on a GPU would end the process."""
    def apply():
        maps = tf.reshape(tf.cast(x, tf.float32), [-1, 1, groups, x.shape[-1] // groups])
        normalized = tf.nn.local_response_normalization(maps, **settings)
        return tf.reshape(tf.cast(normalized, x.dtype), tf.shape(x))
    return _with_shape_of(x, tf.cond(tf.size(x) > 0, apply, lambda: tf.identity(x)))


def _with_shape_of(x, y):
    y.set_shape(x.shape)  # lost in a reshape to tf.shape(x)
    return y


@functools.cache
def _fused(depth_radius, bias, alpha, groups):
    """x -> x * s ** (-3/4) in float32. The gradient computes s again, since reading it would cost as much."""
    def window_sum(values):
        channels = values.shape[-1] // groups
        padded = tf.pad(tf.reshape(values, [-1, groups, channels]), [[0, 0], [0, 0], [depth_radius, depth_radius]])
        total = sum(padded[..., start:start + channels] for start in range(2 * depth_radius + 1))
        return tf.reshape(total, tf.shape(values))

    def root(x):
        """s ** (-1/4)"""
        return tf.math.rsqrt(tf.sqrt(bias + alpha * window_sum(tf.square(x))))

    @tf.function(jit_compile=True, autograph=False)
    def forward(x):
        values = tf.cast(x, tf.float32)
        z = root(values)
        return tf.cast(values * (z * z * z), x.dtype)

    @tf.function(jit_compile=True, autograph=False)
    def backward(x, upstream):
        values, upstream = tf.cast(x, tf.float32), tf.cast(upstream, tf.float32)
        z = root(values)
        power = z * z * z
        shared = window_sum(upstream * values * (power * tf.square(z * z)))
        return tf.cast(upstream * power - (1.5 * alpha) * values * shared, x.dtype)

    @tf.custom_gradient
    def normalize(x):
        return forward(x), lambda upstream: backward(x, upstream)
    return normalize


def spatial_normalization(x, *, size, bias, alpha, beta):
    """x * (bias + alpha * S) ** -beta, S the sum of squares over the size x size pixels around, in the same map.

    Args:
      x: [batch, height, width, channels]. size: odd. Pixels beyond the border count as 0.
    """
    def window_sum(values, plus=0.0):
        height, width, margin = tf.shape(values)[1], tf.shape(values)[2], [size // 2, size // 2]
        padded = tf.pad(values, [[0, 0], margin, margin, [0, 0]])
        columns = sum(padded[:, start:start + height] for start in range(size))
        return plus + alpha * sum(columns[:, :, start:start + width] for start in range(size))
    return _normalize(x, window_sum, bias, beta)


def _normalize(x, window_sum, bias, beta):
    """x * window_sum(x^2, plus=bias) ** -beta with its gradient, for a symmetric window_sum."""
    @tf.custom_gradient
    def normalize(x):
        scale = window_sum(tf.square(x), plus=bias)
        if beta == 0.75:  # scale ** (-3/4) from two square roots is several times cheaper than a power
            root = tf.math.rsqrt(scale)
            power = root * tf.sqrt(root)
        else:
            power = tf.pow(scale, -beta)
        y = x * power

        def gradient(upstream):
            shared = window_sum(upstream * y / scale)
            return upstream * power - (2 * beta) * x * shared
        return y, gradient

    return _with_shape_of(x, normalize(x))
