"""The client of TensorFlow Serving, against a stand-in that runs an exported network behind the same messages, and
against servers that do what they should not."""
import concurrent.futures
import contextlib
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.model import building, evaluation, loading, specs
from alexnet_tf.prediction import client, over_grpc, over_rest, protocol
from alexnet_tf.serving import saved_model
from alexnet_tf.weights import checkpoint_files
from tests.helpers import commands, hostile_images
from tests.helpers.networks import with_larger_weights
from tests.helpers.processes import ROOT, run_python

grpc = pytest.importorskip('grpc', reason="needs tensorflow-serving-api: pip install -e '.[serve]'")
pytest.importorskip('tensorflow_serving', reason="needs tensorflow-serving-api: pip install -e '.[serve]'")

from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc  # noqa: E402

from tests.helpers import model_server, serving_load  # noqa: E402

NAMES = 'airplane', 'bird "of prey"', 'Käse', '猫', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'
GRPC, REST = 0, 1
TOPS = {'top_class_names': [[b'cat', b'dog']], 'top_probabilities': [[0.75, 0.25]]}
CAT = [('cat', 0.75), ('dog', 0.25)]


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
                                    'host:1/path', 'localhost:8500,localhost:8501'])
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
            connected(server)
    assert time.monotonic() - begin < 20  # nothing waits for a server that was never there


# Servers that misbehave ----------------------------------------------------------------------------------


@contextlib.contextmanager
def grpc_server(answer, address='127.0.0.1:0'):
    """Inside a `with`, a server whose Predict is answer(request, context); gives its address."""
    face = model_server.GrpcFace(None)
    face.Predict = answer
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(face, server)
    port = server.add_insecure_port(address)
    server.start()
    try:
        yield f'127.0.0.1:{port}'
    finally:
        server.stop(None).wait()


def tensors(outputs):
    response = predict_pb2.PredictResponse()
    for name, values in outputs.items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
    return response


def refuse(code, said):
    return lambda request, context: context.abort(code, said)


CODES = grpc.StatusCode
TOO_SHORT = {'top_class_names': [[b'cat']], 'top_probabilities': [[1.0]], 'valid': [True, True]}


def damaged(request, context):
    response = tensors(TOPS)
    response.outputs['top_probabilities'].tensor_content = b'abc'
    return response


def endless(request, context):
    """One value that stands for 2^40."""
    response = tensors(TOPS | {'valid': [True]})
    response.outputs['valid'].tensor_shape.dim[0].size = 2 ** 40
    return response


@pytest.mark.parametrize('answer, sentence', [
    (refuse(CODES.UNAVAILABLE, 'The queue is full'), r'did not come back within 0.5 seconds .*: The queue is full\.'),
    (refuse(CODES.INVALID_ARGUMENT, 'not\nthis'), r'it refuses an image: not this\.'),
    (refuse(CODES.NOT_FOUND, 'gone'), r'has no model "alexnet": gone\. --served_name must be'),
    (refuse(CODES.RESOURCE_EXHAUSTED, 'no memory'), r'RESOURCE_EXHAUSTED, no memory\.'),
    (refuse(CODES.FAILED_PRECONDITION, 'Serving signature key'), 'FAILED_PRECONDITION, Serving signature key'),
    (lambda *_: time.sleep(2), r'no answer within 0.5 seconds \(--server_timeout_secs\)'),
    (lambda *_: 1 / 0, 'UNKNOWN, Exception calling application'),
    (lambda *_: tensors({}), 'its answer has not the best classes of each image'),
    (lambda *_: tensors(TOO_SHORT), 'its answer has not the best classes of each image'),
    (damaged, 'the answer is not as expected: top_probabilities is damaged'),
    (endless, 'the answer is not as expected: valid is too large')])
def test_grpc_servers_that_misbehave(answer, sentence):
    with grpc_server(answer) as address:
        source = client.Client(over_grpc.Transport(address, 'alexnet'), address, 1, 0.5)
        with pytest.raises((ConnectionError, ValueError), match=sentence) as caught:
            source.predict([b'image'])
    assert f'--server={address}' in str(caught.value) and '\n' not in str(caught.value)


@contextlib.contextmanager
def http_server(status, body, missing=0):
    """Inside a `with`, an HTTP server that answers all with this; gives its address.

    status: one, or a list for the requests in turn. body: bytes, or a function of the file to write to. missing: bytes
    that the header promises beside them.
    """
    class Face(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers['Content-Length']))
            self.send_response(status.pop(0) if isinstance(status, list) else status)
            if not callable(body):
                self.send_header('Content-Length', str(len(body) + missing))
            self.end_headers()
            with contextlib.suppress(OSError):
                body(self.wfile) if callable(body) else self.wfile.write(body)

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Face)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        server.server_close()


def over_http(address, timeout=5):
    return client.Client(over_rest.Transport(address, 'alexnet'), address, 1, timeout)


def drip(file):
    for _ in range(40):
        file.write(b' ' * 10)
        time.sleep(0.05)


PAGE = b'<html>It works!</html>'
ANSWER = json.dumps({'outputs': {'top_class_names': [['cat', 'dog']], 'top_probabilities': [[0.75, 0.25]],
                                 'valid': [True]}}).encode()
NO_REST = r'what answers there is not the REST API of TensorFlow Serving'


@pytest.mark.parametrize('status, body, sentence', [
    (200, PAGE, NO_REST), (404, PAGE, NO_REST + '.*HTTP status 404'), (500, PAGE, NO_REST + '.*HTTP status 500'),
    (500, b'{"error": "no memory\\nleft"}', r'HTTP status 500, no memory left\.'),
    (404, b'{"error": "gone"}', r'has no model "alexnet": gone\. --served_name must be'),
    (400, b'{"error": "not this"}', r'it refuses an image: not this\.'),
    (400, b'["error"]', NO_REST), (200, b'', NO_REST), (200, ANSWER[:-9], NO_REST), (200, b'[]', NO_REST),
    (200, b'[' * 100_000, NO_REST), (200, b'{"outputs": [1]}', NO_REST),
    (200, b'{"outputs": {"valid": [true]}}', 'its answer has not the best classes of each image'),
    (200, ANSWER.replace(b'0.25', b'{}'), 'its answer has not the best classes of each image'),
    (200, ANSWER + b' ' * 2000, 'the answer has more than 1000 bytes'),
    (200, drip, r'no answer within 0.5 seconds \(--server_timeout_secs\)'),
    (200, lambda _: time.sleep(1.5), r'no answer within 0.5 seconds \(--server_timeout_secs\)'),
    (503, b'{"error": "busy"}', r'did not come back within 0.5 seconds \(--server_timeout_secs\): busy\.')])
def test_http_servers_that_misbehave(status, body, sentence, monkeypatch):
    monkeypatch.setattr(protocol, 'MAX_ANSWER_BYTES', 200_000 if body == b'[' * 100_000 else 1000)
    timeout = 0.5 if callable(body) or status == 503 else 60
    with (http_server(status, body) as address,
          pytest.raises((ConnectionError, ValueError), match=sentence) as caught):
        over_http(address, timeout).predict([b'image'])
    assert f'--server={address}' in str(caught.value) and '\n' not in str(caught.value)


def test_an_answer_that_ends_early_is_asked_for_again():
    with (http_server(200, ANSWER, missing=10) as address,
          pytest.raises(ConnectionError, match='did not come back within 0.5 seconds .*: the answer ended early')):
        over_http(address, 0.5).predict([b'image'])


def test_class_names_that_are_no_utf_8():
    with http_server(200, ANSWER.replace(b'cat', b'c\xe4t')) as address:
        assert over_http(address).predict([b'image']) == [[('c\ufffdt', 0.75), ('dog', 0.25)]]


# What is asked again, and in which parts -----------------------------------------------------------------


def test_a_busy_server_is_asked_again():
    with http_server([503, 502, 200], ANSWER) as address:
        assert over_http(address, 60).predict([b'image']) == [CAT]


def test_a_server_that_comes_back_goes_on():
    def answer(*_):
        return tensors(TOPS | {'valid': [True]})
    with grpc_server(answer) as address:
        source = client.Client(over_grpc.Transport(address, 'alexnet'), address, 1, 60)
        assert source.predict([b'image']) == [CAT]

    def again():
        time.sleep(0.3)
        with grpc_server(answer, address):
            done.wait(60)
    done, thread = threading.Event(), threading.Thread(target=again)
    thread.start()
    try:
        assert source.predict([b'image']) == [CAT]
    finally:
        done.set()
        thread.join()


class Noting:
    """A transport that notes how many images each request has; at_most: others are refused."""

    def __init__(self, at_most=1000):
        self.sizes, self._at_most = [], at_most

    def ask(self, signature, images, timeout):
        self.sizes.append(len(images))
        if len(images) > self._at_most:
            raise protocol.Refused(f'Task size {len(images)} is larger than maximum input batch size {self._at_most}')
        return {'top_class_names': [[image] for image in images], 'top_probabilities': [[1.0]] * len(images),
                'valid': [True] * len(images)}


def test_many_images_go_in_several_requests():
    images, transport = [str(number).encode() for number in range(70)], Noting()
    answers = client.Client(transport, 'x', 1, 1).predict(images)
    assert transport.sizes == [32, 32, 6] and [answer[0][0].encode() for answer in answers] == images
    large, transport = bytes(client.MAX_BYTES // 3), Noting()
    assert len(client.Client(transport, 'x', 1, 1).predict([large] * 7 + [large * 4] * 2)) == 9
    assert transport.sizes == [3, 3, 1, 1, 1]


@pytest.mark.parametrize('views', [1, 10])
def test_a_server_that_takes_smaller_batches_gets_them(views):
    images, transport = [str(number).encode() for number in range(20)], Noting(at_most=5)
    answers = client.Client(transport, 'x', views, 1).predict(images)
    assert [answer[0][0].encode() for answer in answers] == images
    assert [size for size in transport.sizes if size <= 5] == [5] * (4 * (1 if views == 1 else 2))


def test_an_answer_of_more_than_four_mebibytes(monkeypatch):
    names = [['c' * 2 ** 20] * 5]
    with grpc_server(lambda *_: tensors({'top_class_names': names, 'top_probabilities': [[0.2] * 5],
                                         'valid': [True]})) as address:
        assert over_grpc.Transport(address, 'alexnet').ask('x', [b''], 60)['top_class_names'][0][4] == b'c' * 2 ** 20


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
