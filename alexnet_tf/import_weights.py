"""Trained weights from elsewhere, as a checkpoint of this project.

    python -m alexnet_tf.import_weights --source=bvlcalexnet-12.onnx --output_dir=runs/caffe --class_names=names.txt
    python eval_image_classifier.py --checkpoint_path=runs/caffe --dataset_dir=records

Sources, told apart by their content:
  ONNX          Caffe's bvlc_alexnet, for 227 pixels or with padded pools for 224 (at 227 it is the same network)
  .caffemodel   the same, of old and new Caffe
  .npy, .npz    the same, converted: see alexnet_tf/weights/numpy_files.py
  .npz          of this project: see alexnet_tf/weights/own_npz.py
  checkpoint    TF1, of slim's alexnet_v2 or of this project: a file, or a folder (its latest)
Caffe's networks see B, G, R; that cannot be read from a file, and is assumed of all but the last two. Nor can an
.npy or .npz tell AlexNet from CaffeNet, whose weights have the same names and shapes: give the former.
"""
import contextlib
import dataclasses
import os

import numpy as np
from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.files import writing
from alexnet_tf.model import building, loading, specs
from alexnet_tf.run_folder import checkpoints
from alexnet_tf.weights import numpy_files, own_npz, protos
from nets import alexnet, rows, slim_checkpoints

FLAGS = flags.FLAGS
ROWS = (
    Flag('source', str, None, 'ONNX, .caffemodel, .npy, .npz or a TF1 checkpoint.', required=True),
    Flag('output_dir', str, None, 'Folder for model.ckpt-0 and model.json.', required=True),
    Flag('variant', str, 'paper', 'Variant of an alexnet checkpoint that has no model.json.',
         choices=('paper', 'source', 'caffe')),
    Flag('class_names', str, None, "Text file with the name of a class on each line, in the network's order. Default: "
         'numbers.'),
)
CAFFE_MEAN_RGB = (122.67891434, 116.66876762, 104.00698793)  # Caffe: ilsvrc_2012_mean.npy, mean over its pixels
TOLERANCE = 1e-3  # of the largest logit: float32 sums of 9216 terms in another order differ by 1e-6 to 1e-5
_NPY, _ZIP = b'\x93NUMPY', (b'PK\x03\x04', b'PK\x05\x06')


@dataclasses.dataclass(frozen=True)
class Source:
    """A file's weights. kind: what it is, in words. loaded: an loading.Loaded.

    onnx: its ModelProto, if it is one.
    """
    kind: str
    loaded: loading.Loaded
    onnx: object = None


def read(path, class_names=None, variant='paper'):
    """Reads a file of trained weights.

    Args:
      path: see the top of this module.
      class_names: of all classes, in the network's order; None: those of the source, else numbers. For a
        checkpoint without model.json one less will do: its first class is then slim's background.
      variant: of alexnet in a checkpoint without model.json.

    Returns: a Source. Raises: ValueError for a file that is none, is damaged, or is of another network.
    """
    if not os.path.isfile(path) or path.endswith('.index'):
        with _errors_name(path):
            return _from_checkpoint(path, class_names, variant)
    with open(path, 'rb') as file:
        start = file.read(8)
    with _errors_name(path):
        if os.path.getsize(path) > numpy_files.MAX_BYTES:
            raise ValueError(f'it has {os.path.getsize(path):,} bytes; more than {numpy_files.MAX_BYTES:,} are not '
                             'read (AlexNet has 250 million).')
        if start.startswith(_NPY):
            return _from_caffe(numpy_files.read_npy(path), 'hwio', path, class_names, '.npy')
        if start.startswith(_ZIP):
            arrays = numpy_files.read_npz(path)
            if 'format' in arrays:
                return _from_own(arrays, path, class_names)
            return _from_caffe(numpy_files.layers_of(arrays), 'hwio', path, class_names, '.npz')
        if start.startswith((b'\x89HDF', b'\x80')):
            raise ValueError(f'it is {"an HDF5 file" if start[0] == 0x89 else "a pickle or a PyTorch file"}; '
                             'give ONNX, .caffemodel, .npy, .npz or a TF1 checkpoint.')
        return _from_protos(path, class_names)


@contextlib.contextmanager
def _errors_name(path):
    """Makes every error a ValueError that holds the file's name."""
    try:
        yield
    except ValueError as error:
        if path in str(error):
            raise
        raise ValueError(f'{path}: {error}') from error
    except Exception as error:  # a damaged file can raise nearly anything in zipfile, zlib and pickle
        raise ValueError(f'{path}: it is damaged or cut off ({type(error).__name__}: {error}).') from error


def _from_protos(path, class_names):
    with open(path, 'rb') as file:
        kind, parsed = protos.parse(file.read())
    if kind == 'ONNX':
        return _from_caffe(protos.onnx_layers(parsed), 'caffe', path, class_names, kind, parsed)
    layers, types = protos.caffe_layers(parsed)
    check_names(layers, caffe_shapes(1), 'layer')
    protos.check_caffe_order(types)
    return _from_caffe(layers, 'caffe', path, class_names, '.caffemodel')


def _from_caffe(layers, layout, path, class_names, kind, onnx=None):
    """A Source of {layer: {'weights': array, 'biases': array}}, BGR; layout as in `to_hwio`."""
    check_names(layers, caffe_shapes(1), 'layer')
    check_names({f'{layer}/{part}' for layer in layers for part in layers[layer]},
                {f'{layer}/{part}' for layer in layers for part in ('weights', 'biases')}, 'array')
    classes = _count(layers['fc8']['biases'])
    spec = specs.Spec('alexnet', alexnet.IMAGE_SIZES['caffe'], _names(class_names, classes), CAFFE_MEAN_RGB, None,
                       variant='caffe')
    tensors = {}
    for layer, shape in caffe_shapes(classes).items():
        weights = to_hwio(layer, layers[layer]['weights'], shape, layout)
        tensors[f'alexnet/{layer}/weights'] = weights[:, :, ::-1] if layer == 'conv1' else weights  # BGR to RGB
        tensors[f'alexnet/{layer}/biases'] = layers[layer]['biases']
    mean = np.array(CAFFE_MEAN_RGB, np.float32)
    return Source(kind, loading.Loaded(_model(spec, tensors), spec, mean, path, 0), onnx)


def caffe_shapes(classes):
    """{layer: shape of its weights as [height, width, in / groups, out]} of Caffe's AlexNet."""
    shapes, channels = {}, 3
    for row in rows.resolve(alexnet.ALEXNET_CAFFE, classes):
        if isinstance(row, rows.Conv):
            shapes[row.name] = (row.kernel, row.kernel, channels // row.groups, row.filters)
            channels = row.filters
    return shapes


def to_hwio(layer, weights, shape, layout):
    """A layer's weights as [height, width, in, out].

    Args:
      shape: that shape.
      layout: 'caffe': conv [out, in, height, width], fc [out, in], fc6's inputs in the order channels, rows,
        columns. 'hwio': conv [height, width, in, out], fc [in, out], fc6's in the order rows, columns, channels.

    Raises: ValueError for another shape.
    """
    height, width, channels, out = shape
    full, inputs = layer.startswith('fc'), height * width * channels
    if layout == 'caffe':
        expected = (out, inputs) if full else (out, channels, height, width)
    else:
        expected = (inputs, out) if full else shape
    check_shape(f'{layer} weights', weights, expected)
    if layout == 'caffe':
        return weights.reshape(out, channels, height, width).transpose(2, 3, 1, 0)
    return weights.reshape(shape)


def _from_own(arrays, path, class_names):
    pickled = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if pickled:
        raise ValueError(f'{", ".join(pickled)} is an array of objects; this format has none.')
    spec, mean, tensors = own_npz.parse(arrays)
    biases = tensors.get(f'{spec.model_name}/fc8/biases')
    if biases is not None and _count(biases) != spec.num_classes:  # before a model of any size is made
        raise ValueError(f'{spec.model_name}/fc8/biases has {_count(biases)} classes, but its model_json '
                         f'{spec.num_classes}.')
    if class_names:
        spec = dataclasses.replace(spec, class_names=_names(class_names, spec.num_classes))
    return Source("this project's .npz", loading.Loaded(_model(spec, tensors), spec, mean, path, 0))


def _from_checkpoint(path, class_names, variant):
    checkpoint = checkpoints.find(path)
    if not checkpoint:
        raise ValueError(f'no file and no checkpoint at --source={path}; give ONNX, .caffemodel, .npy, .npz or a TF1 '
                         'checkpoint (a folder, or a path such as model.ckpt-1000).')
    found = slim_checkpoints.read(checkpoint).get_variable_to_shape_map()
    networks = [name for name in ('alexnet', 'alexnet_v2') if f'{name}/fc8/biases' in found]
    if len(networks) != 1:
        raise ValueError(f'{checkpoint} has the weights of {" and ".join(networks) or "no network known here"} (it '
                         f'has, for example, {", ".join(sorted(found)[:4])}); expected is alexnet or alexnet_v2.')
    loaded = loading.load(checkpoint, model_name=networks[0], class_names=class_names, variant=variant)
    known = slim_checkpoints.named_variables(loaded.model)
    # An optimizer's slots have their variable's name and one more part.
    unknown = [name for name in sorted(found) if name.startswith(f'{networks[0]}/')
               and name not in known and name.rpartition('/')[0] not in known]
    if unknown:
        raise ValueError(f'{checkpoint} has also {", ".join(unknown)}; it is of another network than {networks[0]}.')
    for name, variable in known.items():
        _check_finite(name, np.asarray(variable))
    if class_names and tuple(class_names) != loaded.spec.class_names[1:]:  # else background was added
        names = _names(class_names, loaded.spec.num_classes)
        loaded = dataclasses.replace(loaded, spec=dataclasses.replace(loaded.spec, class_names=names))
    return Source('checkpoint', loaded)


def _model(spec, tensors):
    """The model of a Spec with {slim's name: array} for weights, all of them checked."""
    model = building.build(spec)
    variables = slim_checkpoints.named_variables(model)
    check_names(tensors, variables, 'array')
    for name, variable in variables.items():
        check_shape(name, tensors[name], tuple(variable.shape))
        _check_finite(name, tensors[name])
        variable.assign(np.ascontiguousarray(tensors[name], np.float32))
    return model


def check_names(found, expected, what):
    """Raises ValueError for names that are missing or too many."""
    missing, unknown = sorted(set(expected) - set(found)), sorted(map(str, set(found) - set(expected)))
    if missing or unknown:
        differences = [f'lacks the {what} {", ".join(missing)}'] * bool(missing)
        differences += [f'has a {what} {", ".join(unknown)} too many'] * bool(unknown)
        raise ValueError(f'it {" and ".join(differences)}; it is of another network, or not whole.')


def check_shape(name, array, expected):
    """Raises ValueError unless an array has the shape `expected` and holds floating-point numbers."""
    if array.shape != expected or array.dtype.kind != 'f':
        raise ValueError(f'{name} is {array.dtype} of shape {array.shape}; expected are floating-point numbers of '
                         f'shape {expected}.')


def _check_finite(name, array):
    if not np.isfinite(array).all():
        raise ValueError(f'{name} holds NaN or infinity; the source is damaged, or its training had diverged.')


def _count(biases):
    if biases.ndim != 1 or not len(biases):
        raise ValueError(f'fc8 biases have the shape {biases.shape}; expected is (classes,).')
    return len(biases)


def _names(class_names, classes):
    """The names given, or numbers where none are. Raises ValueError when they are not as many as the classes."""
    if not class_names:
        return tuple(map(str, range(classes)))
    if len(class_names) != classes:
        raise ValueError(f'--class_names has {len(class_names)} names, but fc8 {classes} classes; give a name a line, '
                         "in the network's order.")
    return tuple(class_names)


# --- the same images through the source and through the result -------------------------------------


def compare(model, onnx, *, images=4):
    """Compares logits with those that onnxruntime computes from the source.

    Args:
      model: the Keras model. onnx: the source's ModelProto; it is changed.
      images: number of random images, RGB 0..255 less the mean.

    Returns: (largest difference / largest logit, None), or (None, why nothing was compared).
    """
    try:
        import onnxruntime
    except ImportError:
        return None, 'onnxruntime is not installed; pip install onnxruntime, and import again'
    size = model.input_shape[1]
    data, input_name, output_name, batch = protos.runnable(onnx, size)
    batches = np.random.default_rng(0).uniform(0, 255, [images, size, size, 3]) - CAFFE_MEAN_RGB
    batches = batches.astype(np.float32)
    ours = model(batches, training=False).numpy()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])
        bgr = batches[..., ::-1].transpose(0, 3, 1, 2)
        theirs = [session.run([output_name], {input_name: np.repeat(image[None], batch, 0)})[0][0] for image in bgr]
    except Exception as error:  # its classes of errors are not public
        return None, f'onnxruntime cannot run the file: {error}'
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-30)), None


def check_source(source):
    """Prints how far the imported network's logits are from the source's. Raises ValueError when that is too far."""
    if source.onnx is None:
        return
    difference, reason = compare(source.loaded.model, source.onnx)
    if reason:
        print(f'Logits were not compared with those of the source: {reason}.')
        return
    print(f'Logits of 4 random images differ from the source (onnxruntime) by {difference:.1e} of the largest.')
    if not difference <= TOLERANCE:
        raise ValueError(f'the imported network differs from its source by {difference:.1e} of the largest logit; at '
                         f'most {TOLERANCE} is rounding. Nothing was written.')


# --- writing -----------------------------------------------------------------------------------------


def check_output(folder):
    """Raises ValueError for a folder that holds a checkpoint or a model.json already, or is a file."""
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise ValueError(f'--output_dir={folder} is a file; give a folder.')
    writing.check_writable(folder, 'output_dir')
    taken = checkpoints.find(folder) or os.path.join(folder, specs.MODEL_FILE)
    if os.path.exists(taken) or os.path.exists(taken + '.index'):
        raise ValueError(f'--output_dir={folder} holds {os.path.basename(taken)} already; choose another folder.')


def write(loaded, folder):
    """Writes an loading.Loaded as folder/model.ckpt-0, model.json and, if the mean is one, its image.

    Returns: the checkpoint's path. Raises: ValueError when it can't be written.
    """
    path = checkpoints.save(folder, 0, slim_checkpoints.named_variables(loaded.model))
    spec = loaded.spec
    if isinstance(spec.mean, str):
        spec = dataclasses.replace(spec, mean=own_npz.MEAN_IMAGE_FILE)
    specs.write_spec(spec, folder, loaded.mean)
    return path


def read_class_names(path):
    """The names in a file, one a line. Raises ValueError for an unreadable file or an empty line."""
    try:
        with open(path, encoding='utf-8') as file:
            names = tuple(line.strip() for line in file.read().splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'cannot read --class_names={path}: {error}') from error
    if not all(names):
        raise ValueError(f'--class_names={path}: line {names.index("") + 1} is empty; give a name a line.')
    return names


def main():
    check_output(FLAGS.output_dir)
    source = read(FLAGS.source, read_class_names(FLAGS.class_names) if FLAGS.class_names else None,
                  FLAGS.variant)
    spec = source.loaded.spec
    if FLAGS['variant'].present and spec.variant != FLAGS.variant:
        raise ValueError(f'--variant={FLAGS.variant}, but {FLAGS.source} says itself that it is of {spec.model_name}, '
                         f'variant {spec.variant}; leave the flag out.')
    check_source(source)
    path = write(source.loaded, FLAGS.output_dir)
    mean = 'a mean image' if isinstance(spec.mean, str) else f'mean RGB {tuple(round(value, 2) for value in spec.mean)}'
    variant = f' ({spec.variant})' if spec.model_name == 'alexnet' else ''
    print(f'Made {path} of {FLAGS.source} ({source.kind}): {spec.model_name}{variant}, {spec.num_classes} classes, '
          f'{spec.image_size} pixels, {mean}.\n'
          f'python eval_image_classifier.py --checkpoint_path={FLAGS.output_dir} --dataset_dir=FOLDER_OF_TFRECORDS')


if __name__ == '__main__':
    command.run('import_weights', main, ROWS)
