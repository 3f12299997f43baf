"""The same images through an ONNX file, by onnxruntime, and through the model that was made of it."""
import numpy as np
from onnx import TensorProto, helper

from alexnet_tf.weights import bvlc_alexnet, onnx_graph

IMAGES = 4
TOLERANCE = 1e-3  # of the largest logit: float32 sums of 9216 terms in another order differ by 1e-6 to 1e-5


def check(model, proto):
    """Prints how far a Keras model's logits are from those of the ModelProto it was made of, which is changed.

    Without onnxruntime, or when that cannot run the file, prints why nothing was compared.

    Raises: ValueError when they differ by more than rounding.
    """
    size = model.input_shape[1]
    images = np.random.default_rng(0).uniform(0, 255, [IMAGES, size, size, 3]) - bvlc_alexnet.MEAN_RGB
    images = images.astype(np.float32)
    input_name, batch = _prepare(proto, size)
    try:
        theirs = _logits(proto.SerializeToString(), input_name, np.repeat(images[:, None], batch, 1))
    except Exception as error:  # onnxruntime's classes of errors are not public
        reason = (f'onnxruntime cannot run the file: {error}' if not isinstance(error, ImportError) else
                  'onnxruntime is not installed; pip install onnxruntime, and import again')
        print(f'Logits were not compared with those of the source: {reason}.')
        return
    difference = np.abs(model(images, training=False) - theirs).max() / max(np.abs(theirs).max(), 1e-30)
    print(f'Logits of {IMAGES} random images differ from the source (onnxruntime) by {difference:.1e} of the largest.')
    if not difference <= TOLERANCE:
        raise ValueError(f'the imported network differs from its source by {difference:.1e} of the largest logit; at '
                         f'most {TOLERANCE} is rounding. Nothing was written.')


def _logits(data, input_name, batches):
    """[batches, classes] of the first image of every batch; batches: [batches, batch, height, width, RGB]."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])
    bgr = batches[..., ::-1].transpose(0, 1, 4, 2, 3)
    return np.stack([session.run(None, {input_name: np.ascontiguousarray(batch)})[0][0] for batch in bgr])


def _prepare(proto, size):
    """Makes a ModelProto take images of size x size pixels and give logits.

    Returns: (its input's name, its batch size: the file's own where that is fixed, as a Reshape may hold it).
    """
    graph = proto.graph
    del graph.value_info[:]  # intermediate shapes, of another image size
    if graph.node[-1].op_type == 'Softmax':  # one probability may be nearly all: logits show more
        del graph.node[-1]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(graph.node[-1].output[0], TensorProto.FLOAT, None))
    image = onnx_graph.image_input(graph)
    dims = image.type.tensor_type.shape.dim
    batch = dims[0].dim_value if dims and 0 < dims[0].dim_value <= 64 else 1
    image.CopyFrom(helper.make_tensor_value_info(image.name, TensorProto.FLOAT, [batch, 3, size, size]))
    return image.name, batch
