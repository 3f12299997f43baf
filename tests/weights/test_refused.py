"""Files of weights that are damaged, of another network or hostile: a sentence, and nothing runs."""
import dataclasses
import io
import json
import os
import pickle
import re
import zipfile

import numpy as np
import pytest

from alexnet_tf import import_weights
from alexnet_tf.model import specs
from alexnet_tf.weights import caffe, network, reading
from nets import slim_checkpoints
from tests.helpers.commands import call
from tests.helpers.weight_builders import (
    FORMS,
    HWIO_FORMS,
    LAYERS,
    SHAPES,
    TINY,
    caffemodel,
    flat,
    npz_bytes,
    object_array,
    onnx_model,
    py2_array,
    py2_npy,
    refused,
)

CALLS = {
    'posix.system': (b'cposix\nsystem\n', b'touch {marker}'),
    'os.system': (b'cos\nsystem\n', b'touch {marker}'),
    '__builtin__.eval': (b'c__builtin__\neval\n', b'open({marker!r},"w")'),
    'builtins.eval': (b'cbuiltins\neval\n', b'open({marker!r},"w")'),
    'numpy.load': (b'cnumpy\nload\n', b'{marker}'),
    'numpy.core.multiarray.fromfile': (b'cnumpy.core.multiarray\nfromfile\n', b'{marker}'),
}


@pytest.mark.parametrize('wrapped', ['.npy', '.npz'])
@pytest.mark.parametrize('call', CALLS)
def test_a_pickle_cannot_call(call, wrapped, tmp_path):
    function, argument = CALLS[call]
    argument = argument.decode().format(marker=str(tmp_path / 'ran')).encode()
    content = py2_npy(function + b'U' + bytes([len(argument)]) + argument + b'\x85R')
    if wrapped == '.npz':
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, 'w') as archive:
            archive.writestr('conv1.npy', content)
        content = stream.getvalue()
    refused(tmp_path, content, f'asks for {call}.* Nothing of it was run')
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('content, pattern', [
    (b'cnumpy\nndarray\n(I1000000\ntR', 'damaged or cut off'),  # ndarray is a word here, not to be called
    (b'cnumpy.core.multiarray\n_reconstruct\n)R(N}U\x08__code__Nst\x86b', 'damaged or cut off'),
    (b'r\xff\xff\xff\xff', 'numbers an object 4294967295'),
    (py2_array(None, data=b'U\1a', shape=(2000000000, 2000000000)), 'bytes are there'),
    (py2_array(None, data=b'U\4aaaa', shape=(-1, -1)), 'bytes are there'),
    (py2_array(None, spec=b'i8', data=b'U\1a', shape=(1,)), "has an array of type 'i8'; weights are floating-point"),
    (b'}U\5conv1](K\1K\2es', 'conv1/weights is a int'),
    (b'}U\5conv1](K\1K\2K\3es', 'conv1 holds a list of 3'),
    (b'U\1a', 'holds a str'),
    (b'}K\1K\2s', '1 holds a int'),
])
def test_pickles_that_are_no_dictionary_of_arrays(content, pattern, tmp_path):
    refused(tmp_path, py2_npy(content), pattern)


@pytest.mark.parametrize('form', FORMS)
def test_a_file_cut_off_anywhere(form, tmp_path):
    whole = FORMS[form](TINY)
    for length in {8, 60, len(whole) // 3, len(whole) // 2, len(whole) - 1}:
        # at the border of two layers a .caffemodel lacks some, otherwise it is not whole
        refused(tmp_path, whole[:length], 'damaged|cut off' + '|it lacks ' * ('caffemodel' in form))


@pytest.mark.parametrize('form', FORMS)
def test_other_layers(form, tmp_path):
    less = {layer: pair for layer, pair in TINY.items() if layer != 'conv5'}
    refused(tmp_path, FORMS[form](less), 'lacks conv5/biases, conv5/weights, and has nothing .*another network')
    more = TINY | {'fc9': TINY['fc8']}
    content = (FORMS[form](more) if form in HWIO_FORMS else
               caffemodel(more, old='old' in form, order=[*LAYERS, ['fc9', 'InnerProduct']]))
    refused(tmp_path, content, 'lacks nothing, and has fc9/biases, fc9/weights that the network does not have')


def zeros(shapes):
    """{name: array} of these shapes, which take no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}


@pytest.mark.parametrize('layer, shape', [('conv2', (256, 96, 5, 5)), ('fc6', (4096, 6400)), ('fc8', (11, 4096))])
def test_other_shapes(layer, shape):
    tensors = zeros(flat({name: (size, size[:1]) for name, size in SHAPES.items()}))
    _, _, result = caffe.parse(tensors, 'caffe')
    assert result['alexnet/conv2/weights'].shape == (5, 5, 48, 256)
    assert result['alexnet/fc6/weights'].shape == (6, 6, 256, 4096)
    tensors |= zeros({f'{layer}/weights': shape})
    with pytest.raises(ValueError, match=f'{layer}/weights is float32 of shape .*expected') as caught:
        caffe.parse(tensors, 'caffe')
    assert str(shape) in str(caught.value) and str(SHAPES[layer]) in str(caught.value)


@pytest.mark.parametrize('array, pattern', [
    (np.full(2, np.nan, np.float32), 'holds NaN or infinity; the source is damaged'),
    (np.array([0, np.inf], np.float32), 'holds NaN or infinity'),
    (np.zeros(3, np.float32), r'is float32 of shape \(3,\); expected are floating-point numbers of shape \(2,\)'),
    (np.zeros(2, int), 'is int64 of shape'),
])
@pytest.mark.parametrize('name', ['alexnet', 'alexnet_v2'])
def test_arrays_of_which_no_model_is_made(name, array, pattern):
    spec = specs.Spec(name, 224, ('a', 'b'), (1, 2, 3))
    tensors = zeros(network.shapes(name, 'paper', 2)) | {f'{name}/fc8/biases': array}
    with pytest.raises(ValueError, match=f'{name}/fc8/biases {pattern}'):
        network.model_of(spec, tensors)


@pytest.mark.parametrize('changes, pattern', [
    ({('conv2', 'group'): 1}, 'conv2: Conv has group 1, but bvlc_alexnet has 2'),
    ({('conv1', 'strides'): [2, 2]}, r'conv1: Conv has strides \[2, 2\]'),
    ({('conv1', 'pads'): [2, 2, 2, 2]}, r'conv1: Conv has pads \[2, 2, 2, 2\]'),
    ({('conv3', 'dilations'): [2, 2]}, 'conv3: Conv has dilations'),
    ({('conv3', 'auto_pad'): 'SAME_UPPER'}, 'conv3: Conv has auto_pad'),
    ({('norm1', 'alpha'): 2e-5}, 'norm1: LRN has alpha 2e-05, but bvlc_alexnet has 0.0001'),
    ({('norm2', 'size'): 3}, 'norm2: LRN has size 3'),
    ({('norm2', 'bias'): 2.0}, 'norm2: LRN has bias 2'),
    ({('pool5', 'kernel_shape'): [2, 2]}, 'pool5: MaxPool has kernel_shape'),
    ({('pool1', 'pads'): [1, 1, 1, 1]}, 'pool1: MaxPool has pads'),
    ({('fc8', 'alpha'): 0.5}, 'fc8: Gemm has alpha 0.5'),
    ({('fc8', 'strange'): 1}, 'fc8: Gemm has strange 1, but bvlc_alexnet has no such attribute'),
])
def test_an_onnx_of_another_network(changes, pattern, tmp_path):
    refused(tmp_path, onnx_model(TINY, size=224, changes=changes).SerializeToString(), pattern + '.*another network')


def pooled_first(order):
    return [order[0], order[1], order[3], order[2], *order[4:]]


@pytest.mark.parametrize('change, pattern', [
    (lambda graph, tensor: graph.initializer.remove(tensor), 'its inputs are data, conv1_w'),
    (lambda graph, tensor: (graph.initializer.remove(tensor), graph.input.pop(2)),
     "no initializer or constant 'conv1_w'"),
    (lambda graph, tensor: graph.initializer.add(name='more', data_type=1), 'more than bvlc_alexnet: more'),
    (lambda graph, tensor: tensor.dims.__setitem__(slice(None), [1 << 40] * 4), 'conv1/weights.*1099511627776'),
    (lambda graph, tensor: tensor.dims.append(-1), 'conv1/weights .*-1'),
    (lambda graph, tensor: setattr(tensor, 'data_type', 10), 'conv1_w.*ONNX type 10'),
    (lambda graph, tensor: graph.node.pop(2), 'node Relu|does not follow|node MaxPool'),
    (lambda graph, tensor: graph.node.pop(), 'no output of the graph'),
    (lambda graph, tensor: graph.input.add(name='second'), 'its inputs are data, second'),
    (lambda graph, tensor: graph.node[0].__setattr__('domain', 'com.example'), 'com.example'),
    (lambda graph, tensor: graph.ClearField('node'), 'another network'),
])
def test_a_damaged_onnx(change, pattern, tmp_path):
    model = onnx_model(TINY, size=224)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == 'conv1_w')
    change(model.graph, tensor)
    refused(tmp_path, model.SerializeToString(), pattern)


@pytest.mark.parametrize('name', ['conv1_w', 'conv1_b', 'flat_shape', 'fc8_w'])
def test_an_onnx_with_data_in_another_file_opens_none(name, tmp_path, monkeypatch):
    model = onnx_model(TINY, size=224)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.ClearField('raw_data')
    tensor.external_data.add(key='location', value='weights.bin')
    tensor.data_location = 1
    os.mkfifo(tmp_path / 'weights.bin')  # whoever opens it waits for ever
    monkeypatch.chdir(tmp_path)
    refused(tmp_path, model.SerializeToString(), f"'{name}' is in another file; save the model with all its data")


def test_more_files_that_are_refused(tmp_path):
    onnx = onnx_model(TINY).SerializeToString()
    for length in (0, 9, len(onnx) // 2, len(onnx) - 1):
        refused(tmp_path, onnx[:length], 'neither a NumPy file, nor ONNX, nor a .caffemodel')
    caffenet = pooled_first(LAYERS)
    refused(tmp_path, onnx_model(TINY, order=caffenet).SerializeToString(), r'node 3 .* is MaxPool, but LRN \(norm1\)')
    for old in (False, True):
        refused(tmp_path, caffemodel(TINY, order=caffenet, old=old), 'CaffeNet pools before it normalizes')
        shapes = {'conv2': (1 << 30,) * 4}
        refused(tmp_path, caffemodel(TINY, shapes=shapes, old=old), r'conv2/weights should have the shape \(1073741824')
    refused(tmp_path, pickle.dumps([1]), 'a pickle or a PyTorch file')
    refused(tmp_path, b'\x89HDF\r\n\x1a\n', 'an HDF5 file')
    refused(tmp_path, npz_bytes({}), 'holds nothing')
    refused(tmp_path, npz_bytes({'conv1': np.ones(2)}), "an array 'conv1'")
    stream = io.BytesIO()
    np.save(stream, np.ones(3))
    refused(tmp_path, stream.getvalue(), 'holds a ndarray; expected is a dictionary')
    huge = stream.getvalue().replace(b'(3,)', b'(3000000000000,)').replace(b' ' * 13, b' ', 1)
    refused(tmp_path, huge, 'Header|header|3000000000000')
    for version in ((1, 1), (3, 0)):
        other = stream.getvalue().replace(b'NUMPY\x01\x00', b'NUMPY' + bytes(version))
        refused(tmp_path, other, 'version of the format is {}.{}'.format(*version))

@pytest.mark.parametrize('changes, pattern', [
    ({'format': np.array('alexnet_tf 2')}, "format is 'alexnet_tf 2'"),
    ({'model_json': np.array('{')}, 'model_json is not the description'),
    ({'model_json': np.array('{"model_name": "alexnet"}')}, 'model_json is not the description'),
    ({'alexnet/fc8/biases': object_array(1, 2)}, 'it holds arrays of objects'),
    ({'more': np.zeros(3, np.float32)}, 'lacks alexnet/conv1/biases, .* has more that the network does not have'),
    ({'mean_image': np.zeros((3, 3, 3), np.float32), 'model_json': None},
     r'mean is float32 .*; it must be float32 \(256, 256, 3\)'),
])
def test_our_own_file_damaged(changes, pattern, tmp_path):
    spec = specs.Spec('alexnet', 227, ('a', 'b'), 'mean_image.npy' if 'mean_image' in changes else (1, 2, 3),
                       variant='caffe')
    arrays = {'format': np.array('alexnet_tf 1'), 'alexnet/fc8/biases': np.zeros(2, np.float32)} | changes
    if arrays.get('model_json') is None:
        arrays['model_json'] = np.array(json.dumps(dataclasses.asdict(spec)))
    refused(tmp_path, npz_bytes(arrays), pattern)


@pytest.mark.parametrize('content, sentence', [
    (b'a\n\nb\n', 'line 2 is empty'), (b'', 'line 1 is empty'), (b'caf\xe9\n', 'it is not UTF-8'),
    (None, 'there is no such file')])
def test_class_names_that_cannot_be_read(content, sentence, tmp_path):
    if content is not None:
        (tmp_path / 'names.txt').write_bytes(content)
    (tmp_path / 'file').write_text('')
    result = call(import_weights, f'--source={tmp_path / "file"}', f'--output_dir={tmp_path / "run"}',
                  f'--class_names={tmp_path / "names.txt"}')
    assert result.returncode == 1 and f'{tmp_path / "names.txt"}' in result.stderr and sentence in result.stderr


def test_flags_that_cannot_be_meant(tmp_path):
    (tmp_path / 'file').write_text('')
    result = call(import_weights, f'--source={tmp_path / "file"}', f'--output_dir={tmp_path / "file"}')
    assert result.returncode == 1 and re.search('--output_dir=.* cannot be a folder: .*is a file', result.stderr)
    result = call(import_weights, f'--source={tmp_path / "none"}', f'--output_dir={tmp_path / "run"}')
    assert result.returncode == 1 and 'no file and no checkpoint at --source=' in result.stderr


@pytest.mark.parametrize('names, pattern', [
    (['alexnet_v2/fc9/weights'], 'also has alexnet_v2/fc9/weights; it is of another network than alexnet_v2'),
    (['alexnet/fc8/biases'], 'has the weights of alexnet and alexnet_v2'),
])
def test_checkpoints_of_other_networks(names, pattern, tmp_path):
    known = [*network.shapes('alexnet_v2', 'paper', 2), 'alexnet_v2/fc8/biases/Momentum']
    slim_checkpoints.save({name: np.zeros(2, np.float32) for name in [*known, *names]}, str(tmp_path / 'model.ckpt-0'))
    with pytest.raises(ValueError, match=pattern):
        reading.read(str(tmp_path))
    slim_checkpoints.save({'vgg/fc8/biases': np.zeros(2, np.float32)}, str(tmp_path / 'model.ckpt-1'))
    with pytest.raises(ValueError, match='no network known here .*it has, for example, vgg/fc8/biases'):
        reading.read(str(tmp_path))
    (tmp_path / 'model.ckpt-1.index').write_bytes(b'damaged')
    with pytest.raises(ValueError, match='no readable checkpoint'):
        reading.read(str(tmp_path))
