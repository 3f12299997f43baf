"""Good and malformed requests to a served model by several threads: what each answers, and how long that takes.

    python -m tests.helpers.serving_load --saved_model=exported --requests=1000

serves a SavedModel of this project by a process of its own (tests/helpers/model_server.py), sends it as many good
requests of one photograph as malformed ones, in turns, and prints how long each kind took, and the server's memory.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from alexnet_tf.prediction import client
from tests.helpers import hostile_images

THREADS = 8
MODEL = 'alexnet'
WAIT = 600  # seconds: behind 1,000 images on a busy machine
OK, INVALID = grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT
BROKEN = r'image_bytes at position 1, counted from 0, is no whole JPEG or PNG, or has more than 89478485 pixels'


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of request.

    send: function of a Server that gives (code, text of the refusal or whatever a good answer is).
    code, answer: what must come: the code, and a regular expression of the refusal, or a function that is true of the
      good answer.
    every: it is sent once in so many rounds.
    """
    name: str
    send: Callable
    code: object
    answer: str | Callable
    every: int = 1

    def is_right(self, code, answer):
        right = self.answer(answer) if callable(self.answer) else re.search(self.answer, answer)
        return code == self.code and bool(right)


class Server:
    """The two addresses of a server, and how a stranger to this project would ask them."""

    def __init__(self, grpc_address, rest_address):
        self._rest = rest_address
        options = (('grpc.max_receive_message_length', 2 ** 28),)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(
            grpc.insecure_channel(grpc_address, options=options))
        self.clients = [client.connect(address, model_name=MODEL, timeout=WAIT)
                        for address in (grpc_address, rest_address)]

    def ask(self, signature='serve_bytes', model=MODEL, **inputs):
        """(code, {output: array}, or the text of the refusal) over gRPC."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = model, signature
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        try:
            outputs = self._stub.Predict(request, timeout=WAIT).outputs
            return OK, {name: tf.make_ndarray(output) for name, output in outputs.items()}
        except grpc.RpcError as error:
            return error.code(), error.details()

    def post(self, content, model=MODEL):
        """(HTTP status, what the JSON of the answer holds) over REST; content: bytes, or what becomes JSON."""
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        request = urllib.request.Request(f'{self._rest}/v1/models/{model}:predict', content)
        try:
            with urllib.request.urlopen(request, timeout=WAIT) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)['error']


def asked(*arguments, **inputs):
    return lambda server: server.ask(*arguments, **inputs)


def posted(*arguments):
    return lambda server: server.post(*arguments)


def by_client(number, images):
    """number: 0 for gRPC, 1 for REST."""
    return lambda server: (OK, server.clients[number].predict(images))


def good_kinds(photographs, expected):
    """expected: the probabilities of the best classes of each photograph, by the SavedModel itself."""
    def is_that(probabilities):
        return lambda answer: np.allclose([value for _, value in answer[0]], probabilities, atol=1e-4)

    def row(probabilities):
        return lambda answer: np.allclose(answer['top_probabilities'], probabilities, atol=1e-4)
    for photograph, probabilities in zip(photographs, expected):
        yield Kind('gRPC', asked(image_bytes=[photograph]), OK, row(probabilities))
        yield Kind('client, gRPC', by_client(0, [photograph]), OK, is_that(probabilities))
        yield Kind('client, REST', by_client(1, [photograph]), OK, is_that(probabilities))


def malformed_kinds(photograph, small, many=1000):
    """small: another image, of which many are sent at once."""
    cut, bomb = photograph[:len(photograph) // 2], hostile_images.gray_png(9500)
    for name, broken in {'no image': b'It is a text.', 'nothing': b'', 'truncated': cut, 'bomb': bomb}.items():
        yield Kind(name, asked(image_bytes=[photograph, broken]), INVALID, BROKEN)
        yield Kind(f'{name}, checked', asked('serve_bytes_checked', image_bytes=[photograph, broken]), OK,
                   lambda answer: answer['valid'].tolist() == [True, False] and not answer['probabilities'][1].any())
        yield Kind(f'{name}, by the client', by_client(0, [broken, photograph]), OK,
                   lambda answer: answer[0] == client.UNREADABLE and len(answer[1]) == 5)
    yield Kind('no input', asked(), INVALID, r'Missing but required: \{image_bytes\}')
    yield Kind('wrong name', asked(image=[photograph]), INVALID, r'Sent extra: \{image\}')
    yield Kind('wrong type', asked(image_bytes=[1.5]), INVALID, 'Type mismatch: actual float vs. expect string')
    yield Kind('no batch', asked(image_bytes=photograph), INVALID, '.')
    yield Kind('wrong signature', asked('serve', image_bytes=[photograph]), grpc.StatusCode.FAILED_PRECONDITION,
               'Serving signature key "serve" not found')
    yield Kind('wrong model', asked(model='alexnet2', image_bytes=[photograph]), grpc.StatusCode.NOT_FOUND,
               r'Servable not found for request: Latest\(alexnet2\)')
    yield Kind('empty batch', asked(image_bytes=tf.constant([], tf.string)), OK,
               lambda answer: answer['probabilities'].shape[0] == answer['top_class_names'].shape[0] == 0)
    yield Kind('no JSON', posted(b'{"inputs": '), 400, 'JSON Parse error')
    yield Kind('no base64', posted({'signature_name': 'serve_bytes', 'instances': [{'b64': '*'}]}), 400,
               'not of expected type')
    yield Kind('no instances', posted({'signature_name': 'serve_bytes', 'instances': []}), 400,
               "No values in 'instances' array")
    yield Kind('wrong model, REST', posted({'instances': [1]}, 'alexnet2'), 404, 'Servable not found')
    yield Kind(f'{many:,} images at once', asked(image_bytes=[small] * many), OK,
               lambda answer: len(answer['classes']) == many, 20)
    yield Kind(f'{many:,} images by the client', by_client(1, [small] * many), OK,
               lambda answer: len(answer) == many and not any(isinstance(one, str) for one in answer), 20)


def in_turns(good, malformed, requests):
    """Kinds: as many good as malformed ones, requests of each, in turns."""
    malformed, chosen, turn = list(malformed), [], 0
    while len(chosen) < requests:
        chosen += [kind for kind in malformed if turn % kind.every == 0]
        turn += 1
    good = list(good)
    return [kind for number in range(requests) for kind in (good[number % len(good)], chosen[number])]


def run(server, kinds, threads=THREADS):
    """[(Kind, seconds, code, answer)], in the order of kinds."""
    def one(kind):
        begin = time.perf_counter()
        code, answer = kind.send(server)
        return kind, time.perf_counter() - begin, code, answer
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, kinds))


def wrong(outcomes):
    """Those that are not what they should be."""
    return [(kind.name, code, str(answer)[:300]) for kind, _, code, answer in outcomes
            if not kind.is_right(code, answer)]


def best_of(saved_model, photographs, *signatures):
    """{signature: {'top_probabilities', 'top_class_names'}} of photographs, by the SavedModel in this process."""
    loaded, best = tf.saved_model.load(saved_model), {}
    for signature in signatures:
        outputs = loaded.signatures[signature](image_bytes=tf.constant(photographs))
        best[signature] = {name: outputs[name].numpy() for name in ('top_probabilities', 'top_class_names')}
    return best


def resident(process):
    """MiB of memory that a process has."""
    with open(f'/proc/{process}/status') as file:
        return int(re.search(r'VmRSS:\s+(\d+) kB', file.read())[1]) / 1024


def main(saved_model, requests):
    """Returns: (outcomes of requests, MiB of the server after each quarter of them)."""
    photographs = hostile_images.photographs(4)
    best = best_of(saved_model, photographs, 'serve_bytes')['serve_bytes']['top_probabilities']
    kinds = in_turns(good_kinds(photographs, best),
                     malformed_kinds(photographs[0], hostile_images.gray_jpeg(32)), requests)
    process = subprocess.Popen([sys.executable, '-m', 'tests.helpers.model_server', saved_model, MODEL],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        server = Server(*process.stdout.readline().split())
        outcomes, memory, quarter = [], [], -(-len(kinds) // 4)
        for start in range(0, len(kinds), quarter):
            outcomes += run(server, kinds[start:start + quarter])
            memory.append(resident(process.pid))
        assert process.poll() is None, 'the server ended'
    finally:
        process.communicate()
    return outcomes, memory


def report(outcomes, memory):
    names = dict.fromkeys(kind.name for kind, *_ in outcomes)
    print(f'{len(outcomes)} requests by {THREADS} threads; not as they should be: {len(wrong(outcomes))}')
    for name in names:
        times = 1000 * np.array([seconds for kind, seconds, *_ in outcomes if kind.name == name])
        print(f'{name:30} {len(times):5} requests, p50 {np.percentile(times, 50):8.1f} ms, p99 '
              f'{np.percentile(times, 99):8.1f} ms')
    print('Server, MiB after each quarter:', *(f'{value:.0f}' for value in memory))


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--saved_model', required=True)
    parser.add_argument('--requests', type=int, default=1000)
    report(*main(**vars(parser.parse_args())))
