"""The client of TensorFlow Serving against servers that misbehave, and what it asks again, and in which parts."""
import concurrent.futures
import contextlib
import http.server
import json
import threading
import time

import pytest
import tensorflow as tf

from alexnet_tf.prediction import client, over_grpc, over_rest, protocol

grpc = pytest.importorskip('grpc', reason="needs tensorflow-serving-api: pip install -e '.[serve]'")
pytest.importorskip('tensorflow_serving', reason="needs tensorflow-serving-api: pip install -e '.[serve]'")

from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc  # noqa: E402

from tests.helpers import model_server  # noqa: E402

TOPS = {'top_class_names': [[b'cat', b'dog']], 'top_probabilities': [[0.75, 0.25]]}
CAT = [('cat', 0.75), ('dog', 0.25)]


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
    with http_server([503, 429, 502, 200], ANSWER) as address:
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


def test_an_answer_of_more_than_four_mebibytes():
    names = [['c' * 2 ** 20] * 5]
    with grpc_server(lambda *_: tensors({'top_class_names': names, 'top_probabilities': [[0.2] * 5],
                                         'valid': [True]})) as address:
        assert over_grpc.Transport(address, 'alexnet').ask('x', [b''], 60)['top_class_names'][0][4] == b'c' * 2 ** 20
