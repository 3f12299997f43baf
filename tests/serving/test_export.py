"""The exported SavedModel, used by a process that knows nothing of this project."""
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from alexnet_tf import export
from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.model import building, evaluation, loading, specs
from alexnet_tf.weights import checkpoint_files
from tests.helpers.commands import call
from tests.helpers.processes import NARROW, run_python

SERVE = '''
import sys
import numpy as np
import tensorflow as tf
inputs = np.load(sys.argv[1], allow_pickle=False)
ends = np.cumsum(inputs["lengths"])
encoded = [inputs["encoded"][end - length:end].tobytes() for end, length in zip(ends, inputs["lengths"])]
for folder in sys.argv[2:]:
    signatures = tf.saved_model.load(folder).signatures
    images = inputs["images"]
    size = signatures["serving_default"].structured_input_signature[1]["images"].shape[1]
    margin = (256 - size) // 2
    by_bytes = signatures["serve_bytes"](image_bytes=tf.constant(encoded))
    one = signatures["serve_bytes"](image_bytes=tf.constant(encoded[:1]))
    by_image = signatures["serving_default"](images=tf.constant(images[:, margin:margin + size, margin:margin + size]))
    np.savez(folder + "/served.npz", one=one["logits"],
             **{"bytes_" + key: value.numpy() for key, value in by_bytes.items() if key != "class_names"},
             **{"image_" + key: value.numpy() for key, value in by_image.items() if key != "class_names"},
             class_names=by_bytes["class_names"].numpy().astype(str))
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"nets", "alexnet_tf", "tf_keras"}, loaded
'''
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
             encoded=np.frombuffer(b''.join(encoded), np.uint8))
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


@pytest.mark.parametrize('signature', ['bytes', 'image'])
def test_a_foreign_process_gets_the_logits_of_the_evaluation(served, signature):
    logits, outputs, *_ = served
    assert logits.shape == (20, 10) and np.ptp(logits, axis=0).min() > 1e-3 * np.abs(logits).max()
    np.testing.assert_allclose(outputs[f'{signature}_logits'], logits, atol=1e-4 * np.abs(logits).max())
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(outputs[f'{signature}_probabilities'],
                               exponentials / exponentials.sum(1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(outputs[f'{signature}_classes'], logits.argmax(1))


def test_class_names_belong_to_the_classes(served):
    outputs = served[1]
    names = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']
    assert list(outputs['class_names']) == [names[number] for number in outputs['bytes_classes']]


def test_the_batch_dimension_is_free(served):
    outputs = served[1]
    np.testing.assert_allclose(outputs['one'], outputs['bytes_logits'][:1], rtol=1e-4, atol=1e-5)


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
