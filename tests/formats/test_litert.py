"""LiteRT files, by LiteRT: the network's numbers, from built-in operators alone."""
import collections

import numpy as np
import pytest

from tests.formats.conftest import SPECS
from tests.helpers.networks import assert_close

LAYERS = collections.Counter(CONV_2D=5, MAX_POOL_2D=3, FULLY_CONNECTED=2)
GROUPS = collections.Counter(CONV_2D=3)  # of conv2, conv4, conv5 the second
NORMALIZATION = collections.Counter(SQUARE=1, CONV_2D=1, RSQRT=1, SQRT=1, MUL=2)
EXACT = {name: collections.Counter(SUB=1, FULLY_CONNECTED=1) for name in SPECS}  # the mean, the classifier …
EXACT['paper'] += NORMALIZATION + NORMALIZATION
EXACT['caffe'] = EXACT['paper']
EXACT['source'] = EXACT['paper'] + NORMALIZATION - collections.Counter(CONV_2D=1)
EXACT['source']['DEPTHWISE_CONV_2D'] = 1
HALVED = {'source': collections.Counter(MUL=1)}  # what dropout kept; the second is part of fc8's weights
MOVES = {'RESHAPE', 'PAD', 'SPLIT', 'CONCATENATION', 'QUANTIZE', 'DEQUANTIZE'}  # they compute nothing
TOLERANCE = {'float32': 1e-5, 'float16': 1e-2, 'int8': 0.15}  # of the largest logit


@pytest.fixture(scope='module')
def files(networks, tmp_path_factory):
    """A function of network and precision that gives the path of its file."""
    from alexnet_tf.formats import litert
    made = {}

    def path(name, precision):
        if (name, precision) not in made:
            made[name, precision] = litert.write(
                networks[name].loaded, str(tmp_path_factory.mktemp('litert')), precision,
                networks[name].images.astype(np.uint8) if precision == 'int8' else ())
        return made[name, precision]
    return path


def interpreter_of(path):
    litert = pytest.importorskip('ai_edge_litert.interpreter')
    # A delegate would take the place of operators.
    result = litert.Interpreter(
        path, experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    result.allocate_tensors()
    return result


# The tables of the paper and of Caffe have the same kinds of rows.
CASES = [pytest.param(name, precision, marks=pytest.mark.slow if name == 'caffe' and precision != 'float32' else ())
         for name in SPECS for precision in TOLERANCE]


@pytest.mark.parametrize('name, precision', CASES)
def test_litert_computes_the_logits(name, precision, files, networks):
    run = interpreter_of(files(name, precision)).get_signature_runner()
    got = np.concatenate([run(images=image[np.newaxis])['logits'] for image in networks[name].images])
    assert_close(got, networks[name].logits, TOLERANCE[precision])
    if precision == 'float32':
        np.testing.assert_array_equal(got.argmax(1), networks[name].logits.argmax(1))


@pytest.mark.parametrize('name, precision', CASES)
def test_operators_are_few_and_built_in(name, precision, files):
    """Of int8, what computes in floating point is listed: the mean, normalization, the classifier."""
    interpreter = interpreter_of(files(name, precision))
    types = {tensor['index']: np.dtype(tensor['dtype']).name for tensor in interpreter.get_tensor_details()}
    operators = [(operator['op_name'], types[operator['outputs'][0]]) for operator in interpreter._get_ops_details()]
    assert not [operator for operator, _ in operators if operator == 'CUSTOM' or operator.startswith('Flex')]
    computing = [(operator, kind) for operator, kind in operators if operator not in MOVES]
    found = collections.Counter(operator for operator, _ in computing)
    grouped = collections.Counter() if name == 'alexnet_v2' else GROUPS
    assert found - HALVED.get(name, collections.Counter()) == LAYERS + grouped + EXACT[name]
    if precision == 'int8':
        assert operators[-1] == ('RESHAPE', 'float32')  # logits are not rounded
        assert collections.Counter(operator for operator, kind in computing if kind == 'float32') == EXACT[name]
