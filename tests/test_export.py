"""The exported SavedModel, used by a process that knows nothing of this project."""
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from alexnet_tf.data import datasets, preprocessing
from tests.helpers.processes import run_python

SERVE = '''
import sys
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
inputs = np.load(sys.argv[2], allow_pickle=False)
lengths = inputs["lengths"]
ends = np.cumsum(lengths)
encoded = [inputs["encoded"][end - length:end].tobytes() for end, length in zip(ends, lengths)]
by_bytes = model.signatures["serve_bytes"](image_bytes=tf.constant(encoded))
one = model.signatures["serve_bytes"](image_bytes=tf.constant(encoded[:1]))
by_image = model.signatures["serving_default"](images=tf.constant(inputs["images"]))
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"nets", "alexnet_tf", "tf_keras"}, loaded
np.savez(sys.argv[3], one=one["logits"],
         **{"bytes_" + key: value.numpy() for key, value in by_bytes.items() if key != "class_names"},
         **{"image_" + key: value.numpy() for key, value in by_image.items() if key != "class_names"},
         class_names=by_bytes["class_names"].numpy().astype(str))
'''


# alexnet's export is compared in tests/test_recipes.py too.
@pytest.fixture(scope='module', params=['alexnet_v2', pytest.param('alexnet', marks=pytest.mark.slow)])
def served(request, small_records, tmp_path_factory):
    """(scores of eval_image_classifier.py, outputs of the SavedModel in a foreign process, SavedModel folder)."""
    folder = tmp_path_factory.mktemp(request.param)
    run_python('train_image_classifier.py', f'--model_name={request.param}', f'--dataset_dir={small_records}',
               f'--train_dir={folder / "run"}', '--batch_size=8', '--max_number_of_steps=2',
               '--learning_rate_decay_type=fixed', '--validation_split_name=', '--precision=auto')
    run_python('eval_image_classifier.py', f'--checkpoint_path={folder / "run"}', f'--dataset_dir={small_records}',
               f'--scores_file={folder / "scores.npz"}')
    run_python('-m', 'alexnet_tf.export', f'--checkpoint_path={folder / "run"}', f'--output_dir={folder / "saved"}')
    dataset = datasets.open_dataset(str(small_records), 'validation')
    encoded = [dataset.example(position)[0] for position in range(len(dataset))]
    squares = tf.stack([preprocessing.evaluation_image(image) for image in encoded])
    images = tf.cast(preprocessing.central_crop(squares, 224), tf.float32)
    np.savez(folder / 'inputs.npz', lengths=[len(image) for image in encoded], images=images,
             encoded=np.frombuffer(b''.join(encoded), np.uint8))
    (folder / 'serve.py').write_text(SERVE)
    run_python(folder / 'serve.py', folder / 'saved', folder / 'inputs.npz', folder / 'served.npz', cwd=folder,
               PYTHONPATH='')
    return np.load(folder / 'scores.npz'), np.load(folder / 'served.npz'), folder / 'saved'


@pytest.mark.parametrize('signature', ['bytes', 'image'])
def test_a_foreign_process_gets_the_logits_of_the_evaluation(served, signature):
    scores, outputs, _ = served
    logits = scores['scores']
    assert logits.shape == (20, 10)
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


def test_no_device_is_written_into_the_network(served):
    saved = saved_model_pb2.SavedModel.FromString((served[2] / 'saved_model.pb').read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    # TensorFlow's own functions for reading and writing the variables name the CPU, where the files are.
    nodes = [node for function in functions if 'traced' not in function.signature.name for node in function.node_def]
    assert {'MatMul', 'Conv2D', 'DecodeJpeg'} <= {node.op for node in nodes}
    assert {node.device for node in nodes} == {''}
