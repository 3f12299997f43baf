"""Weights that exist: every form of file becomes the same network, which onnxruntime finds to be its source's.

The networks are narrow: the same tables with a sixteenth of the kernels. test_refused.py has the shapes of whole ones.
"""
import io
import pathlib
import sys

import numpy as np
import pytest

from alexnet_tf.model import building, loading, specs
from alexnet_tf.weights import arguments, caffe, checkpoint_files, network, own_npz, reading
from nets import slim_checkpoints
from tests.helpers.processes import NARROW as NARROW_COMMAND
from tests.helpers.processes import run_pythons
from tests.helpers.weight_builders import (
    CLASSES,
    FORMS,
    NARROW,
    TINY,
    flat,
    onnx_model,
    py2_dictionary,
    py2_npy,
    random_weights,
    refused,
    slims,
)

pytestmark = pytest.mark.usefixtures('narrow_module')
NAMES = tuple(f'class {label}, ä' for label in range(CLASSES))
WEIGHTS = random_weights(NARROW)


def assert_slims(model):
    """A Keras model has the weights above."""
    assert_equal({name: variable.numpy() for name, variable in slim_checkpoints.named_variables(model).items()})


def assert_equal(got):
    expected = slims(WEIGHTS)
    assert got.keys() == expected.keys() and len(got) == 16
    for name, value in got.items():
        np.testing.assert_array_equal(value, expected[name], name)


def assert_checkpoint(folder):
    reader = slim_checkpoints.read(str(folder / 'model.ckpt-0'))
    assert_equal({name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()})


def test_the_command(tmp_path):
    (tmp_path / 'zoo.onnx').write_bytes(onnx_model(WEIGHTS, size=224).SerializeToString())
    (tmp_path / 'names.txt').write_text('\n'.join(NAMES) + '\n')
    (tmp_path / 'cut.npy').write_bytes(b'\x93NUMPY\1\0')
    done, failed = run_pythons(
        [*NARROW_COMMAND, 'alexnet_tf.import_weights', f'--source={tmp_path / "zoo.onnx"}',
         f'--output_dir={tmp_path / "run"}', f'--class_names={tmp_path / "names.txt"}'],
        ['-m', 'alexnet_tf.import_weights', f'--source={tmp_path / "cut.npy"}', f'--output_dir={tmp_path / "none"}'],
        check=False)
    assert done.returncode == 0, done.stderr
    assert 'alexnet (caffe), 10 classes, 227 pixels' in done.stdout
    assert f'python eval_image_classifier.py --checkpoint_path={tmp_path / "run"}' in done.stdout
    assert_checkpoint(tmp_path / 'run')
    spec = specs.read_spec(str(tmp_path / 'run'))
    assert spec == specs.Spec('alexnet', 227, NAMES, caffe.MEAN_RGB, None, variant='caffe', resize_mode='warp')
    np.testing.assert_allclose(spec.mean[::-1], [104.00698793, 116.66876762, 122.67891434], rtol=1e-7)
    with pytest.raises(ValueError, match='holds model.ckpt-0 already; choose another'):
        arguments.check_output(str(tmp_path / 'run'))
    assert failed.returncode == 1 and 'Traceback' not in failed.stderr and not (tmp_path / 'none').exists()
    assert failed.stderr.strip().splitlines()[-1].startswith(f'import_weights: {tmp_path / "cut.npy"}: ')
    pytest.importorskip('onnxruntime')
    assert float(done.stdout.split('differ from the source (onnxruntime) by ')[1].split()[0]) < 1e-5


@pytest.mark.parametrize('form', FORMS)
def test_the_same_weights_from_every_file(form, tmp_path):
    (tmp_path / 'file').write_bytes(FORMS[form](WEIGHTS))
    loaded, kind, proto = reading.read(str(tmp_path / 'file'))
    assert kind in form and proto is None
    assert loaded.spec.class_names == tuple('0123456789')
    assert_slims(loaded.model)


def test_the_graph_of_the_model_zoo():
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
    from alexnet_tf.weights import onnx_graph
    arrays = onnx_graph.read(model.graph)
    assert list(arrays) == list(flat(TINY))
    assert all((array == (1 if 'weights' in name else 2)).all() for name, array in arrays.items())


def test_the_python_2_pickle_of_these_tests_is_numpys():
    held = np.load(io.BytesIO(py2_npy(py2_dictionary(TINY))), allow_pickle=True, encoding='latin1').item()
    assert {layer: [array.tolist() for array in pair] for layer, pair in held.items()} == {
        layer: [array.tolist() for array in pair] for layer, pair in TINY.items()}


# --- ONNX ------------------------------------------------------------------------------------------


@pytest.fixture(params=[227, 224])
def source(request, tmp_path):
    """What is read from ONNX: (Loaded, kind, ModelProto)."""
    (tmp_path / 'file').write_bytes(onnx_model(WEIGHTS, size=request.param).SerializeToString())
    return reading.read(str(tmp_path / 'file'))


def test_logits_are_compared_with_onnxruntimes(source, capsys):
    pytest.importorskip('onnxruntime')
    from alexnet_tf.weights import onnx_graph
    loaded, kind, proto = source
    assert kind == 'ONNX'
    assert_slims(loaded.model)
    onnx_graph.compare(loaded.model, proto)
    assert float(capsys.readouterr().out.split(' by ')[1].split()[0]) < 1e-5
    kernel = loaded.model.get_layer('conv1').kernel
    kernel.assign(kernel[:, :, ::-1])  # R and B changed
    with pytest.raises(ValueError, match='differs from its source by .* Nothing was written'):
        onnx_graph.compare(loaded.model, proto)


def test_logits_that_cannot_be_compared(source, capsys, monkeypatch):
    pytest.importorskip('onnxruntime')
    from alexnet_tf.weights import onnx_graph
    loaded, _, proto = source
    other = onnx_model(WEIGHTS | {'fc7': (np.ones((5, 9), np.float32), np.ones(5, np.float32))})
    onnx_graph.compare(loaded.model, other)
    assert 'not compared with those of the source: onnxruntime cannot run the file' in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    onnx_graph.compare(loaded.model, proto)
    assert 'not compared with those of the source: onnxruntime is not installed; pip' in capsys.readouterr().out


def test_without_the_onnx_package_it_is_asked_for(tmp_path, monkeypatch):
    content = onnx_model(TINY).SerializeToString()
    monkeypatch.setitem(sys.modules, 'onnx', None)
    refused(tmp_path, content, 'it is ONNX and needs the package onnx; pip install onnx, and import again')


# --- our own file, and checkpoints -----------------------------------------------------------------


@pytest.mark.parametrize('mean', [(1.0, 2.0, 3.0), 'of_training.npy'])
def test_our_own_file_there_and_back(mean, tmp_path):
    spec = specs.Spec('alexnet', 227, NAMES, mean, 3, 'caffe', 0.5)
    pixels = np.random.default_rng(1).uniform(0, 255, [256, 256, 3] if isinstance(mean, str) else 3).astype(np.float32)
    model = building.build(spec)
    for name, variable in slim_checkpoints.named_variables(model).items():
        variable.assign(slims(WEIGHTS)[name])
    for name in ('a.npz', 'b.npz'):
        own_npz.write(loading.Loaded(model, spec, pixels, 'checkpoint', 7), str(tmp_path / name))
    assert (tmp_path / 'a.npz').read_bytes() == (tmp_path / 'b.npz').read_bytes()
    with np.load(tmp_path / 'a.npz', allow_pickle=False) as arrays:
        assert arrays['alexnet/fc6/weights'].shape == (6, 6, 16, 256)
        assert arrays['alexnet/fc6/weights'].dtype == np.float32
    loaded, kind, _ = reading.read(str(tmp_path / 'a.npz'))
    assert kind == "this project's .npz"
    assert_slims(loaded.model)
    assert checkpoint_files.write(loaded, str(tmp_path / 'run')) == str(tmp_path / 'run' / 'model.ckpt-0')
    assert_checkpoint(tmp_path / 'run')
    again = loading.load(str(tmp_path / 'run'))
    np.testing.assert_array_equal(again.mean, pixels if isinstance(mean, str) else [1, 2, 3])
    mean = 'mean_image.npy' if isinstance(mean, str) else mean
    assert again.spec == specs.Spec('alexnet', 227, NAMES, mean, 3, 'caffe', 0.5)


def test_slims_checkpoint(tmp_path):
    """Slim's 1001 classes begin with a background; an optimizer's slots and the step are left."""
    random = np.random.default_rng(5)
    tensors = {name: random.standard_normal(shape, np.float32)
               for name, shape in network.shapes('alexnet_v2', 'paper', 1001).items()}
    others = {'alexnet_v2/conv1/biases/Momentum': np.zeros(4, np.float32), 'global_step': np.int64(9)}
    path = slim_checkpoints.save(tensors | others, str(tmp_path / 'model.ckpt-9'))
    loaded, kind, _ = reading.read(str(tmp_path), class_names=tuple(f'name {i}' for i in range(1000)))
    assert kind == 'checkpoint' and loaded.step == 9
    assert loaded.spec.class_names[:2] == ('background', 'name 0') and loaded.knows_background
    for name, variable in slim_checkpoints.named_variables(loaded.model).items():
        np.testing.assert_array_equal(variable, tensors.pop(name))
    assert not tensors
    with pytest.raises(ValueError, match='--class_names has 3 names, but the network of .* has 1001 classes'):
        reading.read(path + '.index', class_names=('a', 'b', 'c'))
    data = tmp_path / 'model.ckpt-9.data-00000-of-00001'
    data.write_bytes(data.read_bytes()[:1_000_000])
    with pytest.raises(ValueError, match='damaged'):
        reading.read(str(tmp_path))
