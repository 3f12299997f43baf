"""Weights that exist: every form of file, and the command at full size against onnxruntime on the same weights."""
import dataclasses
import io
import pathlib
import sys
import tempfile

import numpy as np
import pytest

from alexnet_tf.model import building, loading, specs
from alexnet_tf.weights import bvlc_alexnet, checkpoint_files, network, own_npz, reading
from nets import alexnet, slim_checkpoints
from tests.conftest import run_python
from tests.helpers.weight_builders import (
    CLASSES,
    FORMS,
    HWIO_FORMS,
    NARROW,
    SHAPES,
    TINY,
    converted,
    flat,
    onnx_model,
    py2_dictionary,
    py2_npy,
    random_weights,
    refused,
    slims,
)

NAMES = tuple(f'class {label}, ä' for label in range(CLASSES))


@pytest.fixture(scope='module')
def folder():
    with tempfile.TemporaryDirectory() as path:
        yield pathlib.Path(path)


@pytest.fixture(scope='module')
def weights():
    return random_weights(SHAPES)


@pytest.fixture(scope='module')
def narrow():
    return random_weights(NARROW)


@pytest.fixture(scope='module')
def expected(weights):
    return slims(weights)


def assert_equal(got, expected):
    assert got.keys() == expected.keys() and len(got) == 16
    for name, value in got.items():
        assert np.array_equal(value, expected[name]), name


def test_the_command(weights, expected, folder):
    """It is tried on a whole file here; tests/faults/test_hostile.py sees it end with a sentence."""
    (folder / 'zoo.onnx').write_bytes(onnx_model(weights, size=224).SerializeToString())
    (folder / 'names.txt').write_text('\n'.join(NAMES) + '\n')
    result = run_python('-m', 'alexnet_tf.import_weights', f'--source={folder / "zoo.onnx"}',
                        f'--output_dir={folder / "run"}', f'--class_names={folder / "names.txt"}')
    assert 'alexnet (caffe), 10 classes, 227 pixels' in result.stdout
    assert f'python eval_image_classifier.py --checkpoint_path={folder / "run"}' in result.stdout
    pytest.importorskip('onnxruntime')
    assert float(result.stdout.split('differ from the source (onnxruntime) by ')[1].split()[0]) < 1e-5
    reader = tf_reader(folder / 'run')
    assert_equal({name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}, expected)
    spec = specs.read_spec(str(folder / 'run'))
    assert spec == specs.Spec('alexnet', 227, NAMES, bvlc_alexnet.MEAN_RGB, None, variant='caffe')
    np.testing.assert_allclose(spec.mean[::-1], [104.00698793, 116.66876762, 122.67891434], rtol=1e-7)
    with pytest.raises(ValueError, match='holds model.ckpt-0 already; choose another'):
        checkpoint_files.check_output(str(folder / 'run'))


def tf_reader(folder):
    return slim_checkpoints.read(str(folder / 'model.ckpt-0'))


# --- arrays out of files ---------------------------------------------------------------------------


@pytest.mark.parametrize('form', FORMS)
def test_the_arrays_of_every_form(form, narrow, tmp_path):
    (tmp_path / 'file').write_bytes(FORMS[form](narrow))
    kind, arrays, proto = reading.read_arrays(str(tmp_path / 'file'))
    assert kind in form and proto is None
    assert_equal(arrays, flat(converted(narrow) if form in HWIO_FORMS else narrow))


@pytest.mark.parametrize('size', [227, 224])
def test_the_arrays_of_onnx(size, narrow, tmp_path):
    model = onnx_model(narrow, size=size)
    (tmp_path / 'file').write_bytes(model.SerializeToString())
    kind, arrays, proto = reading.read_arrays(str(tmp_path / 'file'))
    assert kind == 'ONNX' and proto == model
    assert_equal(arrays, flat(narrow))


@pytest.mark.parametrize('form', FORMS)
def test_the_layout_that_every_form_should_have(form, tmp_path):
    shape = (11, 11, 3, 96) if form in HWIO_FORMS else (96, 3, 11, 11)
    expected = f'conv1/weights is float32 of shape .*; expected .* of shape {shape}'
    refused(tmp_path, FORMS[form](TINY), expected.replace('(', r'\(').replace(')', r'\)'))


def test_the_other_layout_becomes_slims(expected):
    tensors = {name.removeprefix('alexnet/'): array.reshape(-1, array.shape[-1]) if 'fc' in name else array
               for name, array in expected.items() if 'biases' not in name}
    tensors['conv1/weights'] = tensors['conv1/weights'][:, :, ::-1]
    tensors |= {name.removeprefix('alexnet/'): array for name, array in expected.items() if 'biases' in name}
    spec, mean, result = bvlc_alexnet.parse(tensors, 'hwio')
    assert spec.class_names == tuple('0123456789') and mean.tolist() == np.float32(spec.mean).tolist()
    assert_equal(result, expected)


def test_the_graph_of_the_model_zoo(tmp_path):
    """The onnx package has the zoo's own graph, its weights replaced by constants; here they are numbers again."""
    onnx = pytest.importorskip('onnx')
    path = pathlib.Path(onnx.__file__).parent / 'backend/test/data/light/light_bvlc_alexnet.onnx'
    if not path.exists():
        pytest.skip('this onnx package is without its test data')
    model = onnx.load(path)
    nodes = [node for node in model.graph.node if node.op_type != 'ConstantOfShape']
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for layer, pair in TINY.items():
        model.graph.initializer.extend(onnx.numpy_helper.from_array(array + index, f'{layer}_{part}_0')
                                       for index, (part, array) in enumerate(zip('wb', pair)))
    (tmp_path / 'file').write_bytes(model.SerializeToString())
    kind, arrays, _ = reading.read_arrays(str(tmp_path / 'file'))
    assert kind == 'ONNX' and list(arrays) == list(flat(TINY))
    assert all((array == (1 if 'weights' in name else 2)).all() for name, array in arrays.items())


def test_the_python_2_pickle_of_these_tests_is_numpys():
    held = np.load(io.BytesIO(py2_npy(py2_dictionary(TINY))), allow_pickle=True, encoding='latin1').item()
    assert {layer: [array.tolist() for array in pair] for layer, pair in held.items()} == {
        layer: [array.tolist() for array in pair] for layer, pair in TINY.items()}


# --- compared with onnxruntime ---------------------------------------------------------------------


@pytest.fixture(scope='module')
def narrow_model(narrow):
    """A Keras model of the narrow weights, assigned here."""
    filters = {f'{layer}': shape[0] for layer, shape in NARROW.items()}
    table = tuple(dataclasses.replace(row, filters=filters[row.name]) if row.name in filters and row.filters else row
                  for row in alexnet.ALEXNET_CAFFE)
    model = alexnet.from_table(table, CLASSES, input_shape=(227, 227, 3), name='alexnet')
    for name, variable in slim_checkpoints.named_variables(model).items():
        variable.assign(slims(narrow)[name])
    return model


@pytest.mark.parametrize('size', [227, 224])
def test_logits_are_compared_with_onnxruntimes(size, narrow, narrow_model, capsys):
    pytest.importorskip('onnxruntime')
    from alexnet_tf.weights import comparing
    comparing.check(narrow_model, onnx_model(narrow, size=size))
    assert float(capsys.readouterr().out.split(' by ')[1].split()[0]) < 1e-5
    kernel = narrow_model.get_layer('conv1').kernel
    original = kernel.numpy()
    kernel.assign(original[:, :, ::-1])  # R and B changed
    with pytest.raises(ValueError, match='differs from its source by .* Nothing was written'):
        comparing.check(narrow_model, onnx_model(narrow, size=size))
    kernel.assign(original)


def test_logits_that_cannot_be_compared(narrow, narrow_model, capsys, monkeypatch):
    pytest.importorskip('onnxruntime')
    from alexnet_tf.weights import comparing
    other = onnx_model(narrow | {'fc7': (np.ones((5, 9), np.float32), np.ones(5, np.float32))})
    comparing.check(narrow_model, other)
    assert 'not compared with those of the source: onnxruntime cannot run the file' in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    comparing.check(narrow_model, onnx_model(narrow))
    assert 'not compared with those of the source: onnxruntime is not installed; pip' in capsys.readouterr().out


def test_without_the_onnx_package_it_is_asked_for(narrow, tmp_path, monkeypatch):
    content = onnx_model(narrow).SerializeToString()
    monkeypatch.setitem(sys.modules, 'onnx', None)
    refused(tmp_path, content, 'it is an ONNX file, and the package onnx is not installed; pip install onnx')


# --- our own file, and checkpoints -----------------------------------------------------------------


@pytest.fixture(scope='module')
def described(narrow_model):
    """A narrow Loaded with a mean image."""
    image = np.random.default_rng(1).uniform(0, 255, [256, 256, 3]).astype(np.float32)
    spec = specs.Spec('alexnet', 227, NAMES, 'of_training.npy', 3, 'caffe', 0.5)
    return loading.Loaded(narrow_model, spec, image, 'checkpoint', 7)


def test_our_own_file_there_and_back(described, narrow, tmp_path):
    for name in ('a.npz', 'b.npz'):
        own_npz.write(described, str(tmp_path / name))
    assert (tmp_path / 'a.npz').read_bytes() == (tmp_path / 'b.npz').read_bytes()
    kind, arrays, _ = reading.read_arrays(str(tmp_path / 'a.npz'))
    assert kind == "this project's .npz"
    spec, mean, tensors = own_npz.parse(arrays)
    assert spec == dataclasses.replace(described.spec, mean='mean_image.npy')
    np.testing.assert_array_equal(mean, described.mean)
    assert_equal(tensors, slims(narrow))
    with np.load(tmp_path / 'a.npz', allow_pickle=False) as arrays:
        assert arrays['alexnet/fc6/weights'].shape == (6, 6, 4, 7)
        assert {arrays[name].dtype for name in tensors} == {np.dtype(np.float32)}
    with pytest.raises(ValueError, match=r'alexnet/conv1/weights .* expected .*\(11, 11, 3, 96\)'):  # it is narrow
        reading.read(str(tmp_path / 'a.npz'))


def test_a_checkpoint_with_a_mean_image_is_written(described, narrow, tmp_path):
    assert checkpoint_files.write(described, str(tmp_path)) == str(tmp_path / 'model.ckpt-0')
    spec = specs.read_spec(str(tmp_path))
    assert spec == dataclasses.replace(described.spec, mean='mean_image.npy')
    np.testing.assert_array_equal(building.load_mean(spec, str(tmp_path)), described.mean)
    assert_equal({name: tf_reader(tmp_path).get_tensor(name) for name in slims(narrow)}, slims(narrow))


def test_slims_checkpoint(folder):
    """Slim's 1001 classes begin with a background; an optimizer's slots and the step are left."""
    tensors = {name: np.full(shape, number, np.float32)
               for number, (name, shape) in enumerate(network.shapes('alexnet_v2', 'paper', 1001).items())}
    others = {'alexnet_v2/conv1/biases/Momentum': np.zeros(64, np.float32), 'global_step': np.int64(9)}
    slim_checkpoints.save(tensors | others, str(folder / 'slim' / 'model.ckpt-9'))
    source = reading.read(str(folder / 'slim'), class_names=tuple(f'name {i}' for i in range(1000)))
    assert source.kind == 'checkpoint' and source.loaded.step == 9
    assert source.loaded.spec.class_names[:2] == ('background', 'name 0') and source.loaded.knows_background
    got = slim_checkpoints.named_variables(source.loaded.model)
    assert_equal({name: variable.numpy() for name, variable in got.items()}, tensors)
