"""A file of trained weights, whatever its format."""
import dataclasses
import os

from alexnet_tf.model import loading
from alexnet_tf.weights import caffe, checkpoint_files, network, numpy_files, own_npz

_OTHERS = {b'\x89HDF': 'an HDF5 file', b'\x80': 'a pickle or a PyTorch file'}


def read(path, *, class_names=None, variant='paper'):
    """Reads a file of trained weights; the top of alexnet_tf/import_weights.py lists the formats.

    Args:
      class_names: of all classes, in the network's order; None: those of the source, else numbers. For a
        checkpoint without model.json one less will do: its first class is then slim's background.
      variant: of alexnet in a checkpoint without model.json.

    Returns: (loading.Loaded, the format in words, the ModelProto of an ONNX file or None).

    Raises: ValueError for a file that is of no known format, damaged, or of another network.
    """
    try:
        if not os.path.isfile(path) or path.endswith('.index'):
            kind, proto, loaded = 'checkpoint', None, checkpoint_files.read(path, class_names, variant)
        else:
            kind, (spec, mean, tensors), proto = _read_file(path)
            loaded = loading.Loaded(network.model_of(spec, tensors), spec, mean, path, 0)
    except Exception as error:  # a damaged file can raise nearly anything in zipfile, zlib and pickle
        text = (str(error) if isinstance(error, ValueError) else
                f'it is damaged or cut off ({type(error).__name__}: {error}).')
        raise ValueError(text if path in text else f'{path}: {text}') from error
    spec = loaded.spec
    if class_names and tuple(class_names) != spec.class_names[1:]:  # else background was added
        if len(class_names) != spec.num_classes:
            raise ValueError(f'--class_names has {len(class_names)} names, but the network of {path} has '
                             f"{spec.num_classes} classes; give one name a line, in the network's order.")
        spec = dataclasses.replace(spec, class_names=tuple(class_names))
    return dataclasses.replace(loaded, spec=spec), kind, proto


def _read_file(path):
    """(kind, (Spec, mean, arrays under slim's names), proto) of a file that is no checkpoint.

    Raises: ValueError for a file of no known format, and anything for a damaged one.
    """
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        if size > network.MAX_BYTES:
            raise ValueError(f'it has {size:,} bytes; more than {network.MAX_BYTES:,} are not read.')
        start = file.peek(8)
        if start.startswith((b'PK\x03\x04', b'PK\x05\x06')):
            arrays = numpy_files.read_npz(file)
            if 'format' in arrays:
                return "this project's .npz", own_npz.parse(arrays), None
            return '.npz', caffe.parse(numpy_files.named(arrays), 'hwio'), None
        for magic, kind in _OTHERS.items():
            if start.startswith(magic):
                raise ValueError(f'it is {kind}; give ONNX, .caffemodel, .npy, .npz or a TF1 checkpoint.')
        data = file.read()
    if start.startswith(b'\x93NUMPY'):
        return '.npy', caffe.parse(numpy_files.read_npy(data), 'hwio'), None
    if not caffe.is_onnx(data):
        return '.caffemodel', caffe.parse(caffe.read(data), 'caffe'), None
    try:
        import onnx
    except ImportError as error:
        raise ValueError('it is ONNX and needs the package onnx; pip install onnx, and import again.') from error
    from alexnet_tf.weights import onnx_graph, own_onnx
    proto = onnx.load_model_from_string(data)
    if own_onnx.is_own(proto):
        return "this project's ONNX", own_onnx.parse(proto), None
    return 'ONNX', caffe.parse(onnx_graph.read(proto.graph), 'caffe'), proto
