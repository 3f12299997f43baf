"""The exported SavedModel, used by a process that knows nothing of this project."""
import concurrent.futures

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from alexnet_tf import ablate, export
from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.model import evaluation, loading, specs
from alexnet_tf.serving import saved_model
from alexnet_tf.weights import network
from nets import alexnet, slim_checkpoints
from tests.conftest import run_python
from tests.helpers.commands import run_main

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
NETWORKS = {  # narrow ones: table, Spec without classes, mean
    'alexnet_v2': (alexnet.ALEXNET_V2, 224, (120.0, 110.0, 100.0), 'paper'),
    'alexnet': (alexnet.ALEXNET_CAFFE, 227, 'mean_image.npy', 'caffe'),
}


def narrow(name, class_names):
    """A Loaded with random weights."""
    table, size, mean, variant = NETWORKS[name]
    tf.keras.utils.set_random_seed(4)
    model = alexnet.from_table(ablate.narrowed(table, 0.05), len(class_names), input_shape=(size, size, 3), name=name)
    values = mean if isinstance(mean, tuple) else np.random.default_rng(2).uniform(0, 255, [256, 256, 3])
    spec = specs.Spec(name, size, tuple(class_names), mean, variant=variant)
    return loading.Loaded(model, spec, np.asarray(values, np.float32), 'checkpoint', 0)


@pytest.fixture(scope='module')
def all_served(small_records, tmp_path_factory):
    """({network: (scores as of eval_image_classifier.py, outputs of the SavedModel in a foreign process, folder)},
    what the command said of whole networks)."""
    folder = tmp_path_factory.mktemp('served')
    whole = {name: tf.zeros(shape) for name, shape in network.shapes('alexnet_v2', 'paper', 10).items()}
    slim_checkpoints.save(whole, str(folder / 'run' / 'model.ckpt-7'))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        command = pool.submit(run_python, '-m', 'alexnet_tf.export', f'--checkpoint_path={folder / "run"}',
                              '--model_name=alexnet_v2', f'--output_dir={folder / "whole"}')
        dataset = datasets.open_dataset(str(small_records), 'validation')
        encoded = [dataset.example(position)[0] for position in range(len(dataset))]
        squares = tf.stack([preprocessing.evaluation_image(image) for image in encoded])
        np.savez(folder / 'inputs.npz', lengths=[len(image) for image in encoded], images=tf.cast(squares, tf.float32),
                 encoded=np.frombuffer(b''.join(encoded), np.uint8))
        scores = {}
        for name in NETWORKS:
            loaded = narrow(name, dataset.class_names)
            step = evaluation.make_eval_step([(loaded.model, loaded.mean, loaded.spec.image_size)])
            scores[name] = step(squares, tf.zeros(len(encoded), tf.int64))[0].numpy()
            saved_model.export(loaded, str(folder / name))
        (folder / 'serve.py').write_text(SERVE)
        run_python(folder / 'serve.py', folder / 'inputs.npz', *(folder / name for name in NETWORKS), cwd=folder,
                   PYTHONPATH='')
    served = {name: (scores[name], np.load(folder / name / 'served.npz'), folder / name) for name in NETWORKS}
    return served, command.result()


@pytest.fixture(params=NETWORKS)
def served(request, all_served):
    return all_served[0][request.param]


@pytest.mark.parametrize('signature', ['bytes', 'image'])
def test_a_foreign_process_gets_the_logits_of_the_evaluation(served, signature):
    logits, outputs, _ = served
    assert logits.shape == (20, 10) and np.ptp(logits, axis=0).min() > 1e-3 * np.abs(logits).max()
    np.testing.assert_allclose(outputs[f'{signature}_logits'], logits, atol=1e-4 * np.abs(logits).max())
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(outputs[f'{signature}_probabilities'],
                               exponentials / exponentials.sum(1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(outputs[f'{signature}_classes'], logits.argmax(1))


def test_class_names_belong_to_the_classes(served):
    _, outputs, _ = served
    names = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']
    assert list(outputs['class_names']) == [names[number] for number in outputs['bytes_classes']]


def test_the_batch_dimension_is_free(served):
    _, outputs, _ = served
    np.testing.assert_allclose(outputs['one'], outputs['bytes_logits'][:1], rtol=1e-4, atol=1e-5)


def saved(folder):
    return saved_model_pb2.SavedModel.FromString((folder / 'saved_model.pb').read_bytes()).meta_graphs[0]


def test_no_device_is_written_into_the_network(served):
    functions = saved(served[2]).graph_def.library.function
    # TensorFlow's own functions for reading and writing the variables name the CPU, where the files are.
    nodes = [node for function in functions if 'traced' not in function.signature.name for node in function.node_def]
    assert {'MatMul', 'Conv2D', 'DecodeJpeg'} <= {node.op for node in nodes}
    assert {node.device for node in nodes} == {''}


def test_the_command_on_a_whole_network(all_served):
    """It is tried with a whole network here; tests/test_flags.py sees it end with a sentence."""
    networks, result = all_served
    folder = networks['alexnet_v2'][2].parent
    assert result.stdout.splitlines()[-1] == (
        f'Exported alexnet_v2 at step 7 ({folder / "run" / "model.ckpt-7"}) to {folder / "whole"}: signatures '
        'serving_default (images) and serve_bytes (image_bytes).')
    assert {'serving_default', 'serve_bytes'} <= set(saved(folder / 'whole').signature_def)
    shapes = dict(tf.train.list_variables(str(folder / 'whole' / 'variables' / 'variables')))
    assert [4096, 4096] in [shape[-2:] for shape in shapes.values()]


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    for to in ('saved_model', 'npz'):
        with pytest.raises(ValueError, match='exists and is not empty; choose another or delete it'):
            run_main(export, f'--output_dir={tmp_path}', f'--to={to}')
