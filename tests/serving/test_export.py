"""The exported SavedModel, used by a process that knows nothing of this project."""
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from alexnet_tf import export
from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.model import building, evaluation, loading, specs
from alexnet_tf.serving import saved_model
from alexnet_tf.weights import checkpoint_files
from tests.helpers import hostile_images
from tests.helpers.commands import call
from tests.helpers.processes import NARROW, run_python

SERVE = '''
import sys
import numpy as np
import tensorflow as tf
inputs = np.load(sys.argv[1], allow_pickle=False)
ends = np.cumsum(inputs["lengths"])
encoded = [inputs["encoded"][end - length:end].tobytes() for end, length in zip(ends, inputs["lengths"])]
broken = [encoded[0], b"", encoded[1], encoded[2][:-200], b"GIF89a no image", inputs["bomb"].tobytes(), encoded[2]]
for folder in sys.argv[2:]:
    signatures = tf.saved_model.load(folder).signatures
    size = signatures["serving_default"].structured_input_signature[1]["images"].shape[1]
    margin = (256 - size) // 2
    crops = inputs["images"][:, margin:margin + size, margin:margin + size]
    answers = {name: signatures[name](image_bytes=tf.constant(encoded)) for name in signatures if "default" not in name}
    answers["images"] = signatures["serving_default"](images=tf.constant(crops))
    answers["one"] = signatures["serve_bytes"](image_bytes=tf.constant(encoded[:1]))
    for number, (top, left) in enumerate([(0, 0), (0, 256 - size), (margin, margin), (256 - size, 0),
                                          (256 - size, 256 - size)]):
        view = inputs["images"][:, top:top + size, left:left + size]
        answers["view%d" % number] = signatures["serving_default"](images=tf.constant(view))
        answers["mirrored%d" % number] = signatures["serving_default"](images=tf.constant(view[:, :, ::-1]))
    answers["broken"] = signatures["serve_bytes_checked"](image_bytes=tf.constant(broken))
    answers["all_broken"] = signatures["serve_bytes_checked"](image_bytes=tf.constant([b"", b"x"]))
    for name in signatures:
        takes = signatures[name].structured_input_signature[1]
        empty = {key: tf.zeros([0, *spec.shape[1:]], spec.dtype) for key, spec in takes.items()}
        answers["empty_" + name] = signatures[name](**empty)
    refusals = []
    for name in ("serve_bytes", "ten_views", "features"):
        try:
            signatures[name](image_bytes=tf.constant(broken))
        except tf.errors.InvalidArgumentError as error:
            refusals.append(error.message)
    np.savez(folder + "/served.npz", refusals=refusals, **{
        name + " " + key: value.numpy().astype(str) if value.dtype == tf.string else value.numpy()
        for name, answer in answers.items() for key, value in answer.items()})
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"nets", "alexnet_tf", "tf_keras", "tensorflow_serving"}, loaded
'''
NAMES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']
SPECS = {  # all but the class names
    'alexnet_v2': specs.Spec('alexnet_v2', 224, (), (120.0, 110.0, 100.0)),
    'alexnet': specs.Spec('alexnet', 227, (), 'mean_image.npy', variant='caffe')}


@pytest.fixture(scope='module')
def all_served(small_records, narrow_module, tmp_path_factory):
    """{network: (logits of the evaluation, outputs of the SavedModel in a foreign process, what the command said,
    the folder of all)}.

    The networks are narrow. alexnet_v2 is exported by the command as users run it, alexnet by its main().
    """
    folder = tmp_path_factory.mktemp('served')
    dataset = datasets.open_dataset(str(small_records), 'validation')
    encoded = [dataset.example(position)[0] for position in range(len(dataset))]
    squares = tf.stack([preprocessing.evaluation_image(image) for image in encoded])
    np.savez(folder / 'inputs.npz', lengths=[len(image) for image in encoded], images=tf.cast(squares, tf.float32),
             encoded=np.frombuffer(b''.join(encoded), np.uint8),
             bomb=np.frombuffer(hostile_images.png(10_000, 10_000, b''), np.uint8))
    logits, flags, said = {}, {}, {}
    for name, spec in SPECS.items():
        spec = dataclasses.replace(spec, class_names=tuple(dataset.class_names))
        tf.keras.utils.set_random_seed(4)
        pixels = np.random.default_rng(2).uniform(0, 255, [256, 256, 3]).astype(np.float32)
        mean = pixels if isinstance(spec.mean, str) else np.float32(spec.mean)
        loaded = loading.Loaded(building.build(spec), spec, mean, '', 0)
        checkpoint_files.write(loaded, str(folder / f'{name} run'))
        step = evaluation.make_eval_step([(loaded.model, loaded.mean, spec.image_size)])
        logits[name] = step(squares, tf.zeros(len(encoded), tf.int64))[0].numpy()
        flags[name] = f'--checkpoint_path={folder / f"{name} run"}', f'--output_dir={folder / name}'
    said['alexnet'] = call(export, *flags['alexnet'])
    said['alexnet_v2'] = run_python(*NARROW, 'alexnet_tf.export', *flags['alexnet_v2'])
    (folder / 'serve.py').write_text(SERVE)
    run_python(folder / 'serve.py', folder / 'inputs.npz', *(folder / name for name in SPECS), cwd=folder,
               PYTHONPATH='')
    return {name: (logits[name], np.load(folder / name / 'served.npz'), said[name], folder) for name in SPECS}


@pytest.fixture(params=SPECS)
def served(request, all_served):
    return all_served[request.param]


@pytest.mark.parametrize('signature', ['serve_bytes', 'images', 'serve_bytes_checked'])
def test_a_foreign_process_gets_the_logits_of_the_evaluation(served, signature):
    logits, outputs, *_ = served
    assert logits.shape == (20, 10) and np.ptp(logits, axis=0).min() > 1e-3 * np.abs(logits).max()
    np.testing.assert_allclose(outputs[f'{signature} logits'], logits, atol=1e-4 * np.abs(logits).max())
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(outputs[f'{signature} probabilities'],
                               exponentials / exponentials.sum(1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(outputs[f'{signature} classes'], logits.argmax(1))


@pytest.mark.parametrize('signature', ['serve_bytes', 'images', 'serve_bytes_checked', 'ten_views'])
def test_names_and_the_best_five_belong_to_the_probabilities(served, signature):
    probabilities, classes, names, top, top_names = (served[1][f'{signature} {key}'] for key in (
        'probabilities', 'classes', 'class_names', 'top_probabilities', 'top_class_names'))
    assert list(names) == [NAMES[number] for number in classes]
    assert classes.dtype == np.int64 and top.shape == (20, 5)
    np.testing.assert_array_equal(top, -np.sort(-probabilities)[:, :5])
    best = [[NAMES.index(name) for name in row] for row in top_names]
    np.testing.assert_array_equal(np.take_along_axis(probabilities, np.array(best), 1), top)
    np.testing.assert_array_equal([row[0] for row in best], classes)


def test_ten_views_are_the_mean_of_ten(served):
    outputs = served[1]
    views = [outputs[f'{name}{number} probabilities'] for name in ('view', 'mirrored') for number in range(5)]
    assert len({view.tobytes() for view in views}) == 10
    np.testing.assert_allclose(outputs['ten_views probabilities'], np.mean(views, 0), atol=1e-5)
    np.testing.assert_allclose(np.exp(outputs['ten_views logits']), np.mean(views, 0), atol=1e-5)


@pytest.mark.parametrize('name', SPECS)
def test_features_are_what_the_classifier_sees(name, all_served):
    logits, outputs, _, folder = all_served[name]
    weights, biases = (tf.train.load_variable(str(folder / f'{name} run'), f'{name}/fc8/{part}')
                       for part in ('weights', 'biases'))
    features = outputs['features features']
    assert features.dtype == np.float32 and features.min() == 0 < features.max()
    np.testing.assert_allclose(features @ weights[0, 0] + biases, logits, atol=1e-4 * np.abs(logits).max())


def test_broken_images_are_told_apart(served):
    outputs, good, places = served[1], [0, 1, 2], [0, 2, 6]
    broken = np.setdiff1d(np.arange(7), places)
    assert outputs['broken valid'].tolist() == [position in places for position in range(7)]
    for key in ('logits', 'probabilities', 'classes', 'class_names', 'top_probabilities', 'top_class_names'):
        values, alone = outputs[f'broken {key}'], outputs[f'serve_bytes {key}']
        assert set(values[broken].ravel()) == ({''} if 'names' in key else {0})
        if values.dtype == np.float32:
            np.testing.assert_allclose(values[places], alone[good], rtol=1e-4, atol=1e-5)
        else:
            np.testing.assert_array_equal(values[places], alone[good])
    assert outputs['serve_bytes_checked valid'].all() and not outputs['all_broken valid'].any()
    assert not outputs['all_broken probabilities'].any()


def test_other_signatures_refuse_a_batch_and_say_where_it_is_broken(served):
    refusals = served[1]['refusals']
    assert len(refusals) == 3
    for refusal in refusals:
        assert 'image_bytes at position 1, 3, 4, 5, counted from 0, is no whole JPEG or PNG' in refusal


def test_an_empty_batch_gives_an_empty_answer(served):
    shapes = {name.partition(' ')[2]: outputs.shape for name, outputs in served[1].items() if name.startswith('empty_')}
    assert shapes == {
        'valid': (0,), 'logits': (0, 10), 'probabilities': (0, 10), 'classes': (0,), 'class_names': (0,),
        'top_probabilities': (0, 5), 'top_class_names': (0, 5), 'features': (0, 256)}
    assert sum(name.startswith('empty_') for name in served[1]) == 4 * 6 + 2


def test_the_batch_dimension_is_free(served):
    outputs = served[1]
    np.testing.assert_allclose(outputs['one logits'], outputs['serve_bytes logits'][:1], rtol=1e-4, atol=1e-5)


def test_of_fewer_than_five_classes_all_are_the_best(narrow_module):
    spec = dataclasses.replace(SPECS['alexnet_v2'], class_names=('one', 'two', 'three'))
    loaded = loading.Loaded(building.build(spec), spec, np.float32(spec.mean), '', 0)
    answer = saved_model.Served(loaded).signatures()['serving_default'](tf.zeros([2, 224, 224, 3]))
    assert answer['top_class_names'].shape == (2, 3) and set(answer['top_class_names'][0].numpy()) == {
        b'one', b'two', b'three'}


@pytest.mark.parametrize('name', SPECS)
def test_no_device_is_written_into_the_network(name, all_served):
    folder = all_served[name][3]
    saved = saved_model_pb2.SavedModel.FromString((folder / name / 'saved_model.pb').read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    # TensorFlow's own functions for reading and writing the variables name the CPU, where the files are.
    nodes = [node for function in functions if 'traced' not in function.signature.name for node in function.node_def]
    assert {'MatMul', 'Conv2D', 'DecodeJpeg'} <= {node.op for node in nodes}
    assert {node.device for node in nodes} == {''}


def test_the_command_says_what_it_made(all_served):
    for name, (_, _, result, folder) in all_served.items():
        assert result.returncode == 0 and result.stdout.splitlines()[-1] == (
            f'Exported {name} at step 0 ({folder / f"{name} run" / "model.ckpt-0"}) to {folder / name}: signatures '
            'serving_default, serve_bytes, serve_bytes_checked, ten_views, features.')


def test_weights_alone(all_served, narrow_module, tmp_path):
    run = all_served['alexnet'][3] / 'alexnet run'
    result = call(export, f'--checkpoint_path={run}', f'--output_dir={tmp_path / "npz"}', '--to=npz')
    assert result.stdout == (f'Exported alexnet at step 0 ({run / "model.ckpt-0"}) to {tmp_path / "npz"}: '
                             'weights.npz.\n')
    with np.load(tmp_path / 'npz' / 'weights.npz') as arrays:
        reader = tf.train.load_checkpoint(str(run))
        np.testing.assert_array_equal(arrays['alexnet/conv1/weights'], reader.get_tensor('alexnet/conv1/weights'))


@pytest.mark.parametrize('to', ['saved_model', 'npz'])
def test_a_folder_that_holds_something_is_refused(to, tmp_path):
    (tmp_path / 'file').write_text('')
    result = call(export, f'--output_dir={tmp_path}', f'--to={to}')
    assert result.returncode == 1 and 'exists and is not empty; choose another or delete it' in result.stderr
