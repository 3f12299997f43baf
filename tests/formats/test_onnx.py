"""ONNX files, by their own runtimes."""
import json

import numpy as np
import pytest

from alexnet_tf.weights import reading
from nets import slim_checkpoints
from tests.formats.conftest import NAMES, SPECS
from tests.helpers.networks import assert_close

onnx = pytest.importorskip('onnx')
CHAIN = {
    'alexnet_v2': 'Sub Conv Relu MaxPool Conv Relu MaxPool Conv Relu Conv Relu Conv Relu MaxPool '
                  'Flatten Gemm Relu Gemm Relu Gemm',
    'paper': 'Sub Conv Relu LRN MaxPool Conv Relu LRN MaxPool Conv Relu Conv Relu Conv Relu MaxPool '
             'Flatten Gemm Relu Gemm Relu Gemm'}
CHAIN['caffe'] = CHAIN['paper']


@pytest.fixture(scope='module')
def files(networks, tmp_path_factory):
    """{network: path of its ONNX file}."""
    from alexnet_tf.formats import onnx_file
    return {name: onnx_file.write(each.loaded, str(tmp_path_factory.mktemp(name))) for name, each in networks.items()}


@pytest.mark.parametrize('name', SPECS)
def test_onnxruntime_computes_the_logits_at_every_batch_size(name, files, networks):
    onnxruntime = pytest.importorskip('onnxruntime')
    session = onnxruntime.InferenceSession(files[name], providers=['CPUExecutionProvider'])
    images = networks[name].images.transpose(0, 3, 1, 2)
    assert_close(session.run(None, {'images': images})[0], networks[name].logits)
    assert_close(session.run(['logits'], {'images': images[:1]})[0], networks[name].logits[:1])


@pytest.mark.parametrize('name', SPECS)
def test_openvino_reads_the_file(name, files, networks):
    openvino = pytest.importorskip('openvino')
    compiled = openvino.Core().compile_model(files[name], 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    assert_close(compiled(networks[name].images.transpose(0, 3, 1, 2))[0], networks[name].logits)


@pytest.mark.parametrize('name', SPECS)
def test_what_the_file_says(name, files):
    proto = onnx.load(files[name])
    onnx.checker.check_model(proto, full_check=True)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [('', 17)]
    (images,), (logits,) = proto.graph.input, proto.graph.output
    side = SPECS[name].image_size
    assert [axis.dim_param or axis.dim_value for axis in images.type.tensor_type.shape.dim] == ['batch', 3, side, side]
    assert [axis.dim_param or axis.dim_value for axis in logits.type.tensor_type.shape.dim] == ['batch', 10]
    assert (images.name, logits.name) == ('images', 'logits')
    assert json.loads({entry.key: entry.value for entry in proto.metadata_props}['class_names']) == list(NAMES)
    if name in CHAIN:
        assert [node.op_type for node in proto.graph.node] == CHAIN[name].split()


@pytest.mark.parametrize('name', ['alexnet_v2', 'source'])
def test_imported_it_is_the_same_to_the_bit(name, files, networks):
    loaded, kind, _ = reading.read(files[name])
    assert kind == "this project's ONNX" and loaded.spec == SPECS[name]
    np.testing.assert_array_equal(loaded.mean, networks[name].loaded.mean)
    before = slim_checkpoints.named_variables(networks[name].loaded.model)
    after = slim_checkpoints.named_variables(loaded.model)
    assert before.keys() == after.keys() and len(after) == 16
    for variable in before:
        np.testing.assert_array_equal(after[variable], before[variable], variable)


def without_relu(proto):
    proto.graph.node[2].op_type = 'Tanh'


def other_weights(proto):
    proto.graph.initializer[1].dims[0] -= 1


def other_network(proto):
    next(entry for entry in proto.metadata_props if entry.key == 'model_json').value = '{"model_name": 3}'


@pytest.mark.parametrize('change, sentence', [
    (without_relu, 'its graph is not the one that this program writes'), (other_weights, 'cut off or damaged'),
    (other_network, 'its model_json is not the description of a network')])
def test_a_changed_file_is_refused(change, sentence, files, tmp_path):
    proto = onnx.load(files['paper'])
    change(proto)
    (tmp_path / 'file').write_bytes(proto.SerializeToString())
    with pytest.raises(ValueError, match=sentence):
        reading.read(str(tmp_path / 'file'))


def test_a_mean_image_cannot_come_back(files):
    with pytest.raises(ValueError, match='the center of a mean image alone; export the checkpoint with --to=npz'):
        reading.read(files['caffe'])
