"""The paper's color noise (section 4.1): each training image gets one draw along the principal axes of RGB."""
import dataclasses

import numpy as np

# ImageNet's, at 0..255, for folders without statistics of their own. The deviations along the axes are from the
# authors' own metadata, the axes (columns) as commonly published.
IMAGENET_EIGENVALUES = (121.7801 ** 2, 37.0939 ** 2, 19.7208 ** 2)
IMAGENET_EIGENVECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
POPULAR_EIGENVALUES = tuple(255 ** 2 * value for value in (0.2175, 0.0188, 0.0045))  # of many programs since
KINDS = ('deviations', 'source', 'paper', 'popular')


@dataclasses.dataclass(frozen=True)
class ColorNoise:
    """axes: float32 [3, 3]; row i is axis i, as long as the noise's standard deviation along it, in gray levels.
    divisor: training data are divided by it after the noise: 1.1 in the original program, else 1.
    """
    axes: np.ndarray
    divisor: float = 1.0


def color_noise(info=None, *, scale=0.1, kind='deviations'):
    """The ColorNoise of a training set, or None for scale 0.

    Args:
      info: a Dataset's; without statistics there ImageNet's are taken. scale: standard deviation of the draws.
      kind: 'deviations' and 'source': times the standard deviations along the axes, as the original program did, which
        also divided the data ('source'). 'paper': times the eigenvalues, for pixels at 0..1 (at 0..255 it would be
        noise of a thousand gray levels), which is about half as much. 'popular': the same with POPULAR_EIGENVALUES and
        ImageNet's axes, whatever the training set.
    """
    if not scale:
        return None
    info = {} if info is None or kind == 'popular' else info
    values = POPULAR_EIGENVALUES if kind == 'popular' else info.get('rgb_covariance_eigenvalues', IMAGENET_EIGENVALUES)
    vectors = info.get('rgb_covariance_eigenvectors', IMAGENET_EIGENVECTORS)
    lengths = np.array(values, np.float32)
    lengths = lengths / np.float32(255) if kind in ('paper', 'popular') else np.sqrt(lengths)
    axes = np.float32(scale) * lengths[:, np.newaxis] * np.array(vectors, np.float32).T
    return ColorNoise(axes, 1 + scale if kind == 'source' else 1.0)
