"""Weights that exist: every form of file, against onnxruntime on the same weights."""
import dataclasses
import io
import json
import math
import os
import pathlib
import sys
import tempfile

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf import import_weights
from alexnet_tf.model import building, loading, specs
from alexnet_tf.weights import numpy_files, own_npz, protos
from nets import slim_checkpoints
from tests.helpers.processes import run_python
from tests.weight_builders import (
    CLASSES,
    FORMS,
    IMAGES,
    SHAPES,
    onnx_model,
    py2_dictionary,
    py2_npy,
    refused,
)


@pytest.fixture(scope='module')
def folder():
    with tempfile.TemporaryDirectory() as path:
        yield pathlib.Path(path)


@pytest.fixture(scope='module')
def weights():
    """{layer: (weights in Caffe's layout, biases)}; activations stay near the images' 70, so that LRN matters."""
    random = np.random.default_rng(3)
    return {layer: (random.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / math.prod(shape[1:]))),
                    random.normal(0, 10, shape[0]).astype(np.float32)) for layer, shape in SHAPES.items()}


@pytest.fixture(scope='module')
def tiny():
    """The same names with nearly no numbers: enough for what is refused before shapes are looked at."""
    return {layer: (np.ones((2, 1, 1, 1) if 'conv' in layer else (2, 1), np.float32), np.ones(2, np.float32))
            for layer in SHAPES}


def values(model):
    return {name: np.asarray(variable) for name, variable in slim_checkpoints.named_variables(model).items()}


def assert_close(got, expected, tolerance):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape and np.ptp(expected) > 1
    assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max()


@pytest.fixture(scope='module')
def plain(weights, folder):
    """(path, logits of IMAGES by onnxruntime) of the 227-pixel ONNX, which sees B, G, R."""
    onnxruntime = pytest.importorskip('onnxruntime')
    path = folder / 'plain.onnx'
    path.write_bytes(onnx_model(weights).SerializeToString())
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return path, session.run(None, {'data': np.ascontiguousarray(IMAGES[..., ::-1].transpose(0, 3, 1, 2))})[0]


@pytest.fixture(scope='module')
def zoo(weights, folder):
    path = folder / 'zoo.onnx'
    path.write_bytes(onnx_model(weights, size=224).SerializeToString())
    return path


@pytest.fixture(scope='module')
def imported(plain):
    return import_weights.read(str(plain[0]))


@pytest.fixture(scope='module')
def expected(imported):
    return values(imported.loaded.model)


@pytest.fixture(scope='module')
def spare(imported):
    return building.build(imported.loaded.spec)


def assert_equal(model, expected):
    got = values(model)
    assert got.keys() == expected.keys() and len(got) == 16
    for name, value in got.items():
        np.testing.assert_array_equal(value, expected[name], name)


def test_logits_are_onnxruntimes(imported, plain):
    loaded = imported.loaded
    logits = loaded.model(IMAGES, training=False)
    assert_close(logits, plain[1], 1e-4)
    assert np.abs(loaded.model(IMAGES[..., ::-1], training=False) - logits).max() > 0.01 * np.abs(logits).max()
    assert loaded.spec == specs.Spec('alexnet', 227, tuple('0123456789'), import_weights.CAFFE_MEAN_RGB, None,
                                      variant='caffe')
    np.testing.assert_allclose(loaded.mean[::-1], [104.00698793, 116.66876762, 122.67891434], rtol=1e-7)


def test_the_zoos_form_for_224_pixels_and_the_comparison(expected, zoo, capsys, monkeypatch):
    source = import_weights.read(str(zoo))
    assert_equal(source.loaded.model, expected)
    import_weights.check_source(source)
    said = capsys.readouterr().out
    assert 'differ from the source' in said and float(said.split(' by ')[1].split()[0]) < 1e-5
    kernel = source.loaded.model.get_layer('conv1').kernel
    kernel.assign(kernel[:, :, ::-1])  # R and B changed
    with pytest.raises(ValueError, match='differs from its source by .* Nothing was written'):
        import_weights.check_source(source)
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    import_weights.check_source(source)
    assert 'not compared with those of the source: onnxruntime is not installed; pip' in capsys.readouterr().out


def test_the_graph_of_the_model_zoo(tiny):
    """The onnx package has the zoo's own graph, its weights replaced by constants; here they are numbers again."""
    onnx = pytest.importorskip('onnx')
    path = pathlib.Path(onnx.__file__).parent / 'backend/test/data/light/light_bvlc_alexnet.onnx'
    if not path.exists():
        pytest.skip('this onnx package is without its test data')
    model = onnx.load(path)
    nodes = [node for node in model.graph.node if node.op_type != 'ConstantOfShape']
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for layer, pair in tiny.items():
        model.graph.initializer.extend(onnx.numpy_helper.from_array(array + index, f'{layer}_{part}_0')
                                       for index, (part, array) in enumerate(zip('wb', pair)))
    kind, parsed = protos.parse(model.SerializeToString())
    layers = protos.onnx_layers(parsed)
    assert kind == 'ONNX' and list(layers) == list(SHAPES)
    assert all((pair['weights'] == 1).all() and (pair['biases'] == 2).all() for pair in layers.values())


@pytest.mark.parametrize('form', FORMS)
def test_the_same_weights_from_every_file(form, weights, imported, expected, spare, folder, monkeypatch):
    for variable in spare.weights:
        variable.assign(tf.zeros_like(variable))
    monkeypatch.setattr(building, 'build', lambda spec: spare)  # a new one takes seconds
    path = folder / 'file'
    path.write_bytes(FORMS[form](weights))
    loaded = import_weights.read(str(path)).loaded
    assert loaded.spec == imported.loaded.spec
    assert_equal(loaded.model, expected)


def test_the_python_2_pickle_above_is_numpys(tiny):
    held = np.load(io.BytesIO(py2_npy(py2_dictionary(tiny))), allow_pickle=True, encoding='latin1').item()
    assert {layer: [array.tolist() for array in pair] for layer, pair in held.items()} == {
        layer: [array.tolist() for array in pair] for layer, pair in tiny.items()}


def test_command(zoo, plain, folder):
    names = [f'class {label}' for label in range(CLASSES)]
    (folder / 'names.txt').write_text('\n'.join(names) + '\n')
    command = ['-m', 'alexnet_tf.import_weights', f'--source={zoo}', f'--output_dir={folder / "run"}']
    result = run_python(*command, f'--class_names={folder / "names.txt"}')
    assert 'differ from the source' in result.stdout and 'alexnet (caffe), 10 classes, 227 pixels' in result.stdout
    assert f'python eval_image_classifier.py --checkpoint_path={folder / "run"}' in result.stdout
    loaded = loading.load(str(folder / 'run'))
    assert_close(loaded.model(IMAGES, training=False), plain[1], 1e-4)
    assert loaded.spec.class_names == tuple(names) and loaded.step == 0
    with pytest.raises(ValueError, match='holds model.ckpt-0 already; choose another'):
        import_weights.check_output(str(folder / 'run'))


def test_our_own_file_there_and_back(imported, expected, folder):
    spec = dataclasses.replace(imported.loaded.spec, class_names=tuple(f'class {i}, ä' for i in range(CLASSES)))
    loaded = dataclasses.replace(imported.loaded, spec=spec)
    for name in ('a.npz', 'b.npz'):
        own_npz.write(loaded, str(folder / name))
    assert (folder / 'a.npz').read_bytes() == (folder / 'b.npz').read_bytes()
    again = import_weights.read(str(folder / 'a.npz')).loaded
    assert again.spec == spec and again.mean.tolist() == loaded.mean.tolist()
    assert_equal(again.model, expected)
    with np.load(folder / 'a.npz', allow_pickle=False) as arrays:
        assert arrays['alexnet/fc6/weights'].shape == (6, 6, 256, 4096)
        assert arrays['alexnet/fc6/weights'].dtype == np.float32
    # A mean image goes along.
    image = np.random.default_rng(1).uniform(0, 255, [256, 256, 3]).astype(np.float32)
    loaded = dataclasses.replace(loaded, spec=dataclasses.replace(spec, mean='of_training.npy'), mean=image)
    own_npz.write(loaded, str(folder / 'a.npz'))
    import_weights.write(import_weights.read(str(folder / 'a.npz')).loaded, str(folder / 'with_mean'))
    again = loading.load(str(folder / 'with_mean'))
    np.testing.assert_array_equal(again.mean, image)
    np.testing.assert_array_equal(again.model.get_layer('fc8').kernel, loaded.model.get_layer('fc8').kernel)


def test_slims_checkpoint(folder):
    tf_slim = pytest.importorskip('tf_slim')
    from tf_slim.nets import alexnet as slims_alexnet
    v1, images = tf.compat.v1, IMAGES[:, :224, :224]
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(3)
        with tf_slim.arg_scope(slims_alexnet.alexnet_v2_arg_scope()):
            logits, _ = slims_alexnet.alexnet_v2(tf.constant(images), 1001, is_training=False)
        v1.train.get_or_create_global_step()
        v1.get_variable('alexnet_v2/conv1/biases/Momentum', [64])
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(folder / 'slim' / 'model.ckpt'), global_step=9)
        expected = session.run(logits)
    source = import_weights.read(str(folder / 'slim'), tuple(f'name {i}' for i in range(1000)))
    import_weights.write(source.loaded, str(folder / 'slims'))
    again = loading.load(str(folder / 'slims'))
    assert np.abs(again.model(images, training=False) - expected).max() <= 1e-5 * np.abs(expected).max()
    assert again.spec.class_names[:2] == ('background', 'name 0') and again.knows_background
    tensors = slim_checkpoints.named_variables(source.loaded.model) | {'alexnet_v2/fc9/weights': tf.zeros([1])}
    slim_checkpoints.save(tensors, str(folder / 'more' / 'model.ckpt-0'))
    with pytest.raises(ValueError, match='has also alexnet_v2/fc9/weights'):
        import_weights.read(str(folder / 'more'))
    data = folder / 'more' / 'model.ckpt-0.data-00000-of-00001'
    os.truncate(data, 100_000_000)
    with pytest.raises(ValueError, match='damaged'):
        import_weights.read(str(folder / 'more'))


def test_nan_is_refused(imported, expected, tmp_path, monkeypatch):
    arrays = dict(expected)
    arrays['alexnet/fc8/biases'] = np.full(CLASSES, np.nan, np.float32)
    arrays |= {'format': np.array('alexnet_tf 1'),
               'model_json': np.array(json.dumps(dataclasses.asdict(imported.loaded.spec)))}
    monkeypatch.setattr(numpy_files, 'read_npz', lambda path: arrays)
    refused(tmp_path, b'PK\3\4', 'alexnet/fc8/biases holds NaN')
