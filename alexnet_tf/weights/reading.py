"""A file of trained weights, whatever its format."""
import dataclasses
import os

from alexnet_tf.files.reading import read_text
from alexnet_tf.model import loading
from alexnet_tf.weights import bvlc_alexnet, caffemodel, checkpoint_files, network, numpy_files, own_npz

OWN = "this project's .npz"
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
            kind, tensors, proto = read_arrays(path)
            spec, mean, tensors = (own_npz.parse(tensors) if kind == OWN else
                                   bvlc_alexnet.parse(tensors, 'hwio' if kind in ('.npy', '.npz') else 'caffe'))
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


def read_arrays(path):
    """(kind, {name: array}, proto) of a file that is no checkpoint; kind and proto as of `read`.

    Names are as in own_npz for a file of this project, else `conv1/weights`; see bvlc_alexnet.parse.

    Raises: ValueError for a file of no known format, and anything for a damaged one.
    """
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        if size > network.MAX_BYTES:
            raise ValueError(f'it has {size:,} bytes; more than {network.MAX_BYTES:,} are not read (AlexNet has 250 '
                             'million).')
        start = file.read(8)
        file.seek(0)
        if start.startswith((b'PK\x03\x04', b'PK\x05\x06')):
            arrays = numpy_files.read_npz(file)
            return (OWN, arrays, None) if 'format' in arrays else ('.npz', numpy_files.named(arrays), None)
        for magic, kind in _OTHERS.items():
            if start.startswith(magic):
                raise ValueError(f'it is {kind}; give ONNX, .caffemodel, .npy, .npz or a TF1 checkpoint.')
        data = file.read()
    if start.startswith(b'\x93NUMPY'):
        return '.npy', numpy_files.read_npy(data), None
    if not caffemodel.is_onnx(data):
        return '.caffemodel', caffemodel.read(data), None
    try:
        import onnx
    except ImportError as error:
        raise ValueError('it is an ONNX file, and the package onnx is not installed; pip install onnx, and import '
                         'again.') from error
    from alexnet_tf.weights import onnx_graph
    proto = onnx.load_model_from_string(data)
    return 'ONNX', onnx_graph.read(proto.graph), proto


def read_class_names(path):
    """The names in a file, one a line. Raises: ValueError for an unreadable file or an empty line."""
    try:
        names = tuple(line.strip() for line in read_text(path).splitlines())
    except FileNotFoundError as error:
        raise ValueError(f'--class_names={path}: there is no such file.') from error
    if not names or not all(names):
        raise ValueError(f'--class_names={path}: line {(*names, "").index("") + 1} is empty; give one name a line.')
    return names
