"""The client of TensorFlow Serving, against a stand-in that runs an exported network behind the same messages."""
import json
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.model import building, evaluation, loading, specs
from alexnet_tf.prediction import client
from alexnet_tf.serving import saved_model
from alexnet_tf.weights import checkpoint_files
from tests.helpers import commands, hostile_images
from tests.helpers.networks import with_larger_weights
from tests.helpers.processes import ROOT, run_python

pytest.importorskip('grpc', reason="needs tensorflow-serving-api: pip install -e '.[serve]'")
pytest.importorskip('tensorflow_serving', reason="needs tensorflow-serving-api: pip install -e '.[serve]'")

from tests.helpers import model_server, serving_load

NAMES = 'airplane', 'bird "of prey"', 'Käse', '猫', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'
GRPC, REST = 0, 1


@pytest.fixture(scope='module')
def loaded(narrow_module, photographs):
    """A narrow alexnet_v2 that sees something else in each photograph."""
    spec = specs.Spec('alexnet_v2', 224, NAMES, (120.0, 110.0, 100.0))
    tf.keras.utils.set_random_seed(4)
    model = with_larger_weights(building.build(spec))
    squares = tf.stack([preprocessing.evaluation_image(photograph) for photograph in photographs])
    logits = evaluation.scores(squares, model, np.float32(spec.mean), 224)
    kernel, bias = model.get_layer('fc8').weights
    kernel.assign(kernel / 100)
    bias.assign((bias - tf.reduce_mean(logits, 0)) / 100)
    return loading.Loaded(model, spec, np.float32(spec.mean), '', 0)


@pytest.fixture(scope='module')
def exported(loaded, tmp_path_factory):
    """Folder of its SavedModel."""
    folder = str(tmp_path_factory.mktemp('exported') / 'model')
    saved_model.export(loaded, folder)
    return folder


@pytest.fixture(scope='module')
def best(exported, photographs):
    """{signature: the best classes of the photographs, by the SavedModel itself}."""
    return serving_load.best_of(exported, photographs, 'serve_bytes', 'ten_views')


@pytest.fixture(scope='module')
def model(exported):
    return model_server.Model(exported, serving_load.MODEL)


@pytest.fixture(scope='module')
def addresses(model):
    with model_server.served(model) as found:
        yield found


@pytest.fixture(scope='module')
def photographs():
    return hostile_images.photographs(5)


def connected(server, **options):
    return client.connect(server, model_name=serving_load.MODEL, **options)


# Answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('views, signature', [(1, 'serve_bytes'), (10, 'ten_views')])
def test_answers_are_those_of_the_saved_model(views, signature, best, addresses, photographs):
    assert len(set(best[signature]['top_class_names'][:, 0])) >= 3
    by_grpc, by_rest = (connected(address, views=views).predict(photographs) for address in addresses)
    assert by_grpc == by_rest  # also in the last digit, through nine digits of JSON
    assert len(by_grpc) == len(photographs)
    for answer, names, probabilities in zip(by_grpc, best[signature]['top_class_names'],
                                            best[signature]['top_probabilities']):
        assert [name for name, _ in answer] == [name.decode() for name in names]
        np.testing.assert_allclose([value for _, value in answer], probabilities, rtol=1e-3)


@pytest.mark.parametrize('views', [1, 10])
@pytest.mark.parametrize('way', [GRPC, REST])
def test_a_broken_image_has_its_reason_in_its_place(way, views, addresses, photographs):
    source = connected(addresses[way], views=views)
    answers = source.predict([photographs[0], b'a text', photographs[1], photographs[2][:900]])
    assert answers[1] == answers[3] == client.UNREADABLE
    for got, expected in zip(answers[::2], source.predict(photographs[:2])):
        assert [name for name, _ in got] == [name for name, _ in expected]
        np.testing.assert_allclose([value for _, value in got], [value for _, value in expected], rtol=1e-3)
    assert source.predict([b'a text']) == [client.UNREADABLE] and source.predict([]) == []


def test_the_command_answers_by_a_server_as_by_the_checkpoint(loaded, addresses, photographs, tmp_path):
    checkpoint_files.write(loaded, str(tmp_path / 'run'))
    for number, photograph in enumerate([*photographs, b'a text']):
        (tmp_path / f'{number}.jpg').write_bytes(photograph)

    def predict(*arguments):
        result = commands.call('alexnet_tf.predict', *sorted(tmp_path.glob('*.jpg')), '--json_lines', *arguments,
                               positional='images')
        assert result.returncode == 3, result.stderr
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert 'error' in lines.pop()
        return [line['classes'] for line in lines], [line['probabilities'] for line in lines]
    classes, probabilities = predict(f'--checkpoint_path={tmp_path / "run"}')
    assert len(classes) == 5
    for address in addresses:
        served = predict(f'--server={address}', f'--served_name={serving_load.MODEL}')
        assert served[0] == classes
        np.testing.assert_allclose(served[1], probabilities, rtol=1e-3)


@pytest.mark.skipif(not all(map(shutil.which, ('bash', 'curl', 'base64'))), reason='needs bash, curl and base64')
def test_the_line_of_the_page_asks_by_curl(addresses, photographs, tmp_path):
    page = (ROOT / 'docs' / 'serving.md').read_text(encoding='utf-8')
    line = re.search(r'^    (\(printf .*?:predict)$', page, re.M | re.S)[1]
    (tmp_path / 'photo.jpg').write_bytes(photographs[0])
    line = line.replace('http://localhost:8501', addresses[REST])
    answer = subprocess.run(['bash', '-c', line], cwd=tmp_path, capture_output=True, timeout=60, check=True).stdout
    outputs, (expected,) = json.loads(answer)['outputs'], connected(addresses[REST]).predict(photographs[:1])
    assert outputs['valid'] == [True] and outputs['top_class_names'] == [[name for name, _ in expected]]


# What the server has not ---------------------------------------------------------------------------------


@pytest.mark.parametrize('way', [GRPC, REST])
def test_another_model_and_an_old_one(way, addresses, model, monkeypatch):
    with pytest.raises(ValueError, match='has no model "other": Servable not found for request: Latest.other.. '
                                         '--served_name must be'):
        client.connect(addresses[way], model_name='other')
    for signature, views in (('serve_bytes_checked', 1), ('ten_views', 10)):
        old = {name: definition for name, definition in model.signatures.items() if name != signature}
        with monkeypatch.context() as patch:
            patch.setattr(model, 'signatures', old)
            with pytest.raises(ValueError, match=f'the model "alexnet" has no signature {signature}, or an older one; '
                                                 'make it again with python -m alexnet_tf.export'):
                connected(addresses[way], views=views)


@pytest.mark.parametrize('server', ['localhost', 'localhost:', 'host:70000', ':80', 'a b:80', 'http://', 'ftp://a:1',
                                    'host:1/path', 'localhost:8500,localhost:8501', 'http://localhost:port',
                                    'http://[::1', 'https://localhost:70000', 'http://a b:80', 'http://a\u200b:80'])
def test_what_is_no_address(server):
    with pytest.raises(ValueError, match='it must be host:port for gRPC, such as localhost:8500, or http://host:port'):
        connected(server)


def test_the_package_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorflow_serving.apis', None)
    with pytest.raises(ValueError, match=r"needs tensorflow-serving-api .*pip install -e '.\[serve\]'. --server=http"):
        connected('localhost:8500')


def test_rest_needs_no_tensorflow():
    run_python('-c', 'import sys\nfrom alexnet_tf.prediction import client\n'
                     'try:\n    client.connect("http://127.0.0.1:1", model_name="x")\n'
                     'except ConnectionError as error:\n    assert "nobody answers" in str(error)\n'
                     'assert not {"tensorflow", "grpc"} & set(sys.modules)')


def test_the_wrong_port(addresses):
    (by_grpc, by_rest), begin = addresses, time.monotonic()
    for server, sentence in (('127.0.0.1:1', 'nobody answers who knows models; is the server started'),
                             ('http://127.0.0.1:1', 'nobody answers who knows models; is the server started'),
                             (by_rest.removeprefix('http://'), 'nobody answers who knows models; .* is this its port'),
                             (f'http://{by_grpc}', 'not the REST API of TensorFlow Serving .its port is 8501'),
                             (f'https://{by_rest[7:]}', 'wrong version number'),
                             ('http://no.such.host.invalid:80', 'not known|resolution')):
        with pytest.raises(ConnectionError, match=sentence):
            connected(server, timeout=1000)
    assert time.monotonic() - begin < 500  # nothing waits for a server that was never there


# Under load ----------------------------------------------------------------------------------------------


def test_requests_of_eight_threads(best, addresses, photographs):
    """As many good as malformed ones: all are answered, and rightly."""
    good = serving_load.good_kinds(photographs, best['serve_bytes']['top_probabilities'])
    malformed = serving_load.malformed_kinds(photographs[0], hostile_images.gray_jpeg(32), many=40)
    kinds = serving_load.in_turns(good, malformed, 30)
    outcomes = serving_load.run(serving_load.Server(*addresses), kinds)
    assert len(outcomes) == 60 and not serving_load.wrong(outcomes)
    assert {kind.name for kind, *_ in outcomes} >= {'client, REST', 'bomb', 'wrong type', '40 images at once'}


def test_the_check_of_the_load_finds_a_wrong_answer():
    kind = serving_load.Kind('x', None, serving_load.OK, lambda answer: answer == 1)
    refused = serving_load.Kind('y', None, serving_load.INVALID, 'at position')
    outcomes = [(kind, 0.1, serving_load.OK, 2), (kind, 0.1, serving_load.INVALID, 'no'),
                (refused, 0.1, serving_load.INVALID, 'some error'),
                (refused, 0.1, serving_load.INVALID, 'at position 1')]
    assert [name for name, *_ in serving_load.wrong(outcomes)] == ['x', 'x', 'y']


@pytest.mark.slow
def test_two_thousand_requests(exported, capsys):
    """1,000 good and 1,000 malformed ones to a server process: none is lost, and its memory comes to rest."""
    outcomes, memory = serving_load.main(exported, 1000)
    with capsys.disabled():
        serving_load.report(outcomes, memory)
    assert len(outcomes) == 2000 and not serving_load.wrong(outcomes)
    assert max(memory[2:]) - max(memory[:2]) < 200  # MiB; the largest requests come in every half
