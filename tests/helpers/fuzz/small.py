"""The networks with two kernels a layer, each built once a process: files are small, and a case takes milliseconds."""
import functools

from tensorflow.python.autograph.core import ag_ctx

from alexnet_tf.ablation.variants import narrowed
from alexnet_tf.model import building, specs
from nets import alexnet

CLASSES = 3
WIDTH = 1 / 4096  # which is rounded to two kernels
SHAPES = {'conv1': (2, 3, 11, 11), 'conv2': (2, 1, 5, 5), 'conv3': (2, 2, 3, 3), 'conv4': (2, 1, 3, 3),
          'conv5': (2, 1, 3, 3), 'fc6': (2, 72), 'fc7': (2, 2), 'fc8': (CLASSES, 2)}  # of Caffe's, out first


def prepare():
    alexnet.ALEXNET_V2 = narrowed(alexnet.ALEXNET_V2, WIDTH)
    alexnet.VARIANTS = {name: narrowed(table, WIDTH) for name, table in alexnet.VARIANTS.items()}
    build = building.build

    @functools.lru_cache(64)
    def built(num_classes, dtype, *fields):
        with ag_ctx.ControlStatusCtx(ag_ctx.Status.DISABLED):  # rewriting the layers' code takes two seconds
            return build(specs.Spec(fields[0], fields[1], tuple(map(str, range(num_classes))), *fields[2:]),
                         dtype=dtype)

    def build_once(spec, *, dtype=None):
        return built(spec.num_classes, dtype, spec.model_name, spec.image_size, spec.mean, spec.labels_offset,
                     spec.variant, spec.unscaled_dropout)
    building.build = build_once
