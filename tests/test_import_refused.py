"""Files of weights that are damaged, of another network or hostile: a sentence, and nothing runs."""
import dataclasses
import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from alexnet_tf import import_weights
from alexnet_tf.model import specs
from tests.helpers.processes import run_python
from tests.weight_builders import (
    FORMS,
    LAYERS,
    SHAPES,
    caffemodel,
    npz_bytes,
    object_array,
    onnx_model,
    py2_array,
    py2_npy,
    refused,
)


@pytest.fixture(scope='module')
def tiny():
    """The same names with nearly no numbers: enough for what is refused before shapes are looked at."""
    return {layer: (np.ones((2, 1, 1, 1) if 'conv' in layer else (2, 1), np.float32), np.ones(2, np.float32))
            for layer in SHAPES}


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
    (py2_array(None, spec=b'i8', data=b'U\1a', shape=(1,)), "array of type 'i8'"),
    (b'}U\5conv1](K\1K\2es', 'conv1 weights is a int'),
    (b'}U\5conv1](K\1K\2K\3es', 'conv1 holds a list of 3'),
    (b'U\1a', 'holds a str'),
    (b'}K\1K\2s', '1 holds a int'),
])
def test_pickles_that_are_no_dictionary_of_arrays(content, pattern, tmp_path):
    refused(tmp_path, py2_npy(content), pattern)


@pytest.mark.parametrize('form', FORMS)
def test_a_file_cut_off_anywhere(form, tiny, tmp_path):
    whole = FORMS[form](tiny)
    for length in {8, 60, len(whole) // 3, len(whole) // 2, len(whole) - 1}:
            # at the border of two layers a .caffemodel lacks some, otherwise it is not whole
            refused(tmp_path, whole[:length], 'damaged|cut off' + '|lacks the layer' * ('caffemodel' in form))


@pytest.mark.parametrize('form', FORMS)
def test_other_layers(form, tiny, tmp_path):
    less = {layer: pair for layer, pair in tiny.items() if layer != 'conv5'}
    refused(tmp_path, FORMS[form](less), 'lacks the layer conv5; it is of another network')
    if 'caffemodel' not in form:
        refused(tmp_path, FORMS[form](tiny | {'fc9': tiny['fc8']}), 'has a layer fc9 too many')
    elif form == '.caffemodel':
        more = caffemodel(tiny | {'fc9': tiny['fc8']}, order=[*LAYERS, ['fc9', 'InnerProduct']])
        refused(tmp_path, more, 'has a layer fc9 too many')


@pytest.mark.parametrize('layer, shape', [('conv2', (256, 96, 5, 5)), ('fc6', (4096, 6400)), ('fc8', (11, 4096))])
def test_other_shapes(layer, shape, tmp_path):
    zeros = {name: np.zeros(size, np.float32) for name, size in (SHAPES | {layer: shape}).items()}
    pairs = {name: (array, np.zeros(SHAPES[name][0], np.float32)) for name, array in zeros.items()}
    with pytest.raises(ValueError, match=f'{layer} weights is float32 of shape .*expected') as caught:
        import_weights._from_caffe({name: dict(zip(('weights', 'biases'), pair)) for name, pair in pairs.items()},
                                   'caffe', 'file', None, 'test')
    assert str(shape) in str(caught.value) and str(SHAPES[layer]) in str(caught.value)


@pytest.mark.parametrize('changes, pattern', [
    ({('conv2', 'group'): 1}, 'conv2: Conv has group 1, but bvlc_alexnet 2'),
    ({('conv1', 'strides'): [2, 2]}, r'conv1: Conv has strides \[2, 2\]'),
    ({('conv1', 'pads'): [2, 2, 2, 2]}, r'conv1: Conv has pads \[2, 2, 2, 2\]'),
    ({('conv3', 'dilations'): [2, 2]}, 'conv3: Conv has dilations'),
    ({('conv3', 'auto_pad'): 'SAME_UPPER'}, 'conv3: Conv has auto_pad'),
    ({('norm1', 'alpha'): 2e-5}, 'norm1: LRN has alpha 1.99.*but bvlc_alexnet 0.0001'),
    ({('norm2', 'size'): 3}, 'norm2: LRN has size 3'),
    ({('norm2', 'bias'): 2.0}, 'norm2: LRN has bias 2'),
    ({('pool5', 'kernel_shape'): [2, 2]}, 'pool5: MaxPool has kernel_shape'),
    ({('pool1', 'pads'): [1, 1, 1, 1]}, 'pool1: MaxPool has pads'),
    ({('fc8', 'alpha'): 0.5}, 'fc8: Gemm has alpha 0.5'),
    ({('fc8', 'strange'): 1}, 'fc8: Gemm has an attribute strange'),
])
def test_an_onnx_of_another_network(changes, pattern, tiny, tmp_path):
    refused(tmp_path, onnx_model(tiny, size=224, changes=changes).SerializeToString(), pattern + '.*another network')


def moved(graph, tensor):
    tensor.ClearField('raw_data')
    tensor.external_data.add(key='location', value='weights.bin')
    tensor.data_location = 1


def pooled_first(order):
    return [order[0], order[1], order[3], order[2], *order[4:]]


@pytest.mark.parametrize('change, pattern', [
    (moved, "conv1 weights: 'conv1_w' stands in another file"),
    (lambda graph, tensor: graph.initializer.remove(tensor), "no initializer 'conv1_w'|its inputs are data, conv1_w"),
    (lambda graph, tensor: graph.initializer.add(name='more', data_type=1), 'more than bvlc_alexnet: more'),
    (lambda graph, tensor: tensor.dims.__setitem__(slice(None), [1 << 40] * 4), 'conv1 weights.*1099511627776'),
    (lambda graph, tensor: tensor.dims.append(-1), 'conv1 weights .*-1'),
    (lambda graph, tensor: setattr(tensor, 'data_type', 10), 'conv1_w.*ONNX type 10'),
    (lambda graph, tensor: graph.node.pop(2), 'node Relu|does not follow|node MaxPool'),
    (lambda graph, tensor: graph.node.pop(), 'no output of the graph'),
    (lambda graph, tensor: graph.input.add(name='second'), 'its inputs are data, second'),
    (lambda graph, tensor: graph.node[0].__setattr__('domain', 'com.example'), 'com.example'),
    (lambda graph, tensor: graph.ClearField('node'), 'another network'),
])
def test_a_damaged_onnx(change, pattern, tiny, tmp_path):
    model = onnx_model(tiny, size=224)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == 'conv1_w')
    change(model.graph, tensor)
    refused(tmp_path, model.SerializeToString(), pattern)


def test_more_files_that_are_refused(tiny, tmp_path):
    onnx = onnx_model(tiny).SerializeToString()
    for length in (0, 9, len(onnx) // 2, len(onnx) - 1):
        refused(tmp_path, onnx[:length], 'neither a NumPy file, nor ONNX, nor a .caffemodel')
    caffenet = pooled_first(LAYERS)
    refused(tmp_path, onnx_model(tiny, order=caffenet).SerializeToString(), r'node 3 .* is MaxPool, but LRN \(norm1\)')
    for old in (False, True):
        refused(tmp_path, caffemodel(tiny, order=caffenet, old=old), 'CaffeNet pools before it normalises')
        shapes = {'conv2': (1 << 30,) * 4}
        refused(tmp_path, caffemodel(tiny, shapes=shapes, old=old), r'conv2 weights should have the shape \(1073741824')
    refused(tmp_path, pickle.dumps([1]), 'a pickle or a PyTorch file')
    refused(tmp_path, b'\x89HDF\r\n\x1a\n', 'an HDF5 file')
    refused(tmp_path, npz_bytes({}), 'holds nothing')
    refused(tmp_path, npz_bytes({'conv1': np.ones(2)}), "an array 'conv1'")
    refused(tmp_path, npz_bytes({'conv1_W': np.ones(2, int)}), 'conv1_W.npy is of type int64')
    stream = io.BytesIO()
    np.save(stream, np.ones(3))
    refused(tmp_path, stream.getvalue(), r'holds an array of float64 of shape \(3,\)')
    huge = stream.getvalue().replace(b'(3,)', b'(3000000000000,)').replace(b' ' * 13, b' ', 1)
    refused(tmp_path, huge, 'Header|header|3000000000000')
    with pytest.raises(ValueError, match='no file and no checkpoint at --source='):
        import_weights.read(str(tmp_path / 'nowhere'))


@pytest.mark.parametrize('changes, pattern', [
    ({'format': np.array('alexnet_tf 2')}, "format is 'alexnet_tf 2'"),
    ({'model_json': np.array('{')}, 'model_json is not the description'),
    ({'model_json': np.array('{"model_name": "alexnet"}')}, 'model_json is not the description'),
    ({'alexnet/fc8/biases': np.zeros(3, np.float32)}, 'has 3 classes, but its model_json 2'),
    ({'alexnet/fc8/biases': object_array(1, 2)}, 'alexnet/fc8/biases is an array of objects'),
    ({'more': np.zeros(3, np.float32)}, 'lacks the array alexnet/conv1/biases, .* has a array more too many'),
    ({'mean_image': np.zeros((3, 3, 3), np.float32), 'model_json': None}, r'mean has the shape \(3, 3, 3\)'),
])
def test_our_own_file_damaged(changes, pattern, tmp_path):
    spec = specs.Spec('alexnet', 227, ('a', 'b'), 'mean_image.npy' if 'mean_image' in changes else (1, 2, 3),
                       variant='caffe')
    arrays = {'format': np.array('alexnet_tf 1'), 'alexnet/fc8/biases': np.zeros(2, np.float32)} | changes
    if arrays.get('model_json') is None:
        arrays['model_json'] = np.array(json.dumps(dataclasses.asdict(spec)))
    refused(tmp_path, npz_bytes(arrays), pattern)


def test_class_names_that_do_not_fit(tmp_path):
    with pytest.raises(ValueError, match='has 2 names, but fc8 10 classes'):
        import_weights._names(('a', 'b'), 10)
    (tmp_path / 'names.txt').write_text('a\n\nb\n')
    with pytest.raises(ValueError, match='line 2 is empty'):
        import_weights.read_class_names(str(tmp_path / 'names.txt'))
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match='is a file; give a folder'):
        import_weights.check_output(str(tmp_path / 'file'))


def test_the_command_ends_with_a_sentence(tmp_path):
    (tmp_path / 'cut.npy').write_bytes(b'\x93NUMPY\1\0')
    result = run_python('-m', 'alexnet_tf.import_weights', f'--source={tmp_path / "cut.npy"}',
                        f'--output_dir={tmp_path / "run"}', check=False)
    assert result.returncode == 1 and 'Traceback' not in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith(f'import_weights: {tmp_path / "cut.npy"}: ')
    assert not (tmp_path / 'run').exists()
