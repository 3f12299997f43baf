"""A stand-in for TensorFlow Serving: an exported SavedModel behind the published gRPC and REST protocols.

    python -m tests.helpers.model_server FOLDER NAME

serves FOLDER until its standard input ends, and prints `gRPC REST` (two ports) first. As the real server does, it runs
the graph in a Session by the tensor names of a signature, and answers errors with the same codes. What the rules for
names, types, JSON and codes are was read in api_rest.md, predict_util.cc and json_tensor.cc of tensorflow/serving; no
real server was there to compare with. It batches nothing.
"""
import base64
import concurrent.futures
import contextlib
import http.server
import json
import re
import sys
import threading
import urllib.parse

import grpc
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

CODES = grpc.StatusCode
HTTP = {CODES.INVALID_ARGUMENT: 400, CODES.FAILED_PRECONDITION: 400, CODES.NOT_FOUND: 404,
        CODES.RESOURCE_EXHAUSTED: 429, CODES.UNAVAILABLE: 503, CODES.DEADLINE_EXCEEDED: 504}


class Refusal(Exception):
    """An error as the server answers it: code and text."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Model:
    """A SavedModel by a name, version 1."""

    def __init__(self, folder, name):
        self._name = name
        with tf.Graph().as_default():
            self._session = tf.compat.v1.Session()
            loaded = tf.compat.v1.saved_model.load(self._session, ['serve'], folder)
            self.signatures = dict(loaded.signature_def)
            # Session.run would check types and shapes itself; this feeds the C++ session what a request holds.
            self._run = {signature: self._session._make_callable_from_options(config_pb2.CallableOptions(
                feed=[info.name for info in definition.inputs.values()],
                fetch=[info.name for info in definition.outputs.values()]))
                for signature, definition in self.signatures.items() if definition.inputs}

    def check(self, spec):
        """Refuses what asks for another model."""
        if spec.name != self._name or spec.HasField('version') and spec.version.value != 1:
            version = f'Specific({spec.name}, {spec.version.value})' if spec.HasField('version') else (
                f'Latest({spec.name})')
            raise Refusal(CODES.NOT_FOUND, f'Servable not found for request: {version}')

    def predict(self, request):
        """The PredictResponse of a PredictRequest."""
        self.check(request.model_spec)
        name = request.model_spec.signature_name or 'serving_default'
        if name not in self._run:
            raise Refusal(CODES.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        wanted, given = set(self.signatures[name].inputs), set(request.inputs)
        if wanted != given:
            raise Refusal(CODES.INVALID_ARGUMENT, (
                f'input size does not match signature: {len(given)}!={len(wanted)} len({{{",".join(given)}}}) != '
                f'len({{{",".join(wanted)}}}). Sent extra: {{{",".join(given - wanted)}}}. Missing but required: '
                f'{{{",".join(wanted - given)}}}.'))
        try:
            feeds = [tf.make_ndarray(request.inputs[alias]) for alias in self.signatures[name].inputs]
        except (ValueError, TypeError):
            raise Refusal(CODES.INVALID_ARGUMENT, f'tensor parsing error: {",".join(wanted)}') from None
        try:
            outputs = self._run[name](*feeds)
        except tf.errors.OpError as error:
            raise Refusal(next(code for code in CODES if code.value[0] == error.error_code), error.message) from None
        response = predict_pb2.PredictResponse()
        for alias, output in zip(self.signatures[name].outputs, outputs):
            response.outputs[alias].CopyFrom(tf.make_tensor_proto(output))
        return response


class GrpcFace(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model):
        self._model = model

    def Predict(self, request, context):
        try:
            return self._model.predict(request)
        except Refusal as refusal:
            context.abort(refusal.code, str(refusal))

    def GetModelMetadata(self, request, context):
        try:
            self._model.check(request.model_spec)
        except Refusal as refusal:
            context.abort(refusal.code, str(refusal))
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.model_spec.name = request.model_spec.name
        answer.metadata['signature_def'].Pack(signature_map(self._model))
        return answer


def signature_map(model):
    found = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in model.signatures.items():
        found.signature_def[name].CopyFrom(definition)
    return found


class RestFace(http.server.BaseHTTPRequestHandler):
    """model: a class attribute, as http.server makes one of these for each connection."""
    model = None
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        self._handle(r'/v1/models/([^/:]+)(?:/versions/(\d+))?/metadata', self._metadata, None)

    def do_POST(self):
        content = self.rfile.read(int(self.headers['Content-Length']))
        self._handle(r'/v1/models/([^/:]+)(?:/versions/(\d+))?:predict', self._predict, content)

    def log_message(self, *_):
        pass

    def _handle(self, form, method, content):
        match = re.fullmatch(form, self.path)
        try:
            if not match:
                raise Refusal(CODES.INVALID_ARGUMENT, f'Malformed request: {self.command} {self.path}')
            request = predict_pb2.PredictRequest()
            request.model_spec.name = urllib.parse.unquote(match[1])
            if match[2]:
                request.model_spec.version.value = int(match[2])
            status, answer = 200, method(request, content)
        except Refusal as refusal:
            status, answer = HTTP[refusal.code], json.dumps({'error': str(refusal)})
        body = answer.encode(errors='surrogateescape')
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _metadata(self, request, _):
        self.model.check(request.model_spec)
        return json.dumps({'model_spec': {'name': request.model_spec.name, 'version': '1'}, 'metadata': {
            'signature_def': json_format.MessageToDict(signature_map(self.model), preserving_proto_field_name=True)}})

    def _predict(self, request, content):
        self.model.check(request.model_spec)
        try:
            asked = json.loads(content)
        except ValueError:
            raise Refusal(CODES.INVALID_ARGUMENT, 'JSON Parse error: Invalid value. at offset: 0') from None
        name = request.model_spec.signature_name = asked.get('signature_name', 'serving_default')
        if name not in self.model.signatures:
            raise Refusal(CODES.INVALID_ARGUMENT, f'Serving signature name: "{name}" not found in signature def')
        inputs = self.model.signatures[name].inputs
        by_row = 'instances' in asked
        if not by_row and 'inputs' not in asked:
            raise Refusal(CODES.INVALID_ARGUMENT, "Missing 'inputs' or 'instances' key")
        for alias, values in by_name(asked['instances' if by_row else 'inputs'], inputs, by_row).items():
            request.inputs[alias].CopyFrom(tensor_of(values, inputs[alias].dtype))
        outputs = {alias: json_of(alias, proto) for alias, proto in self.model.predict(request).outputs.items()}
        if by_row:
            rows = [dict(zip(outputs, row)) for row in zip(*outputs.values())]
            return text_of({'predictions': rows if len(outputs) > 1 else next(iter(outputs.values()))})
        return text_of({'outputs': outputs if len(outputs) > 1 else next(iter(outputs.values()))})


def is_encoded(value):
    return isinstance(value, dict) and set(value) == {'b64'} and isinstance(value['b64'], str)


def by_name(values, inputs, by_row):
    """{name of an input: nested lists}, of the row or the columnar form."""
    if by_row:
        if not isinstance(values, list) or not values:
            raise Refusal(CODES.INVALID_ARGUMENT, "JSON Value: [] No values in 'instances' array")
        if isinstance(values[0], dict) and not is_encoded(values[0]):
            if any(set(row) != set(inputs) for row in values):
                raise Refusal(CODES.INVALID_ARGUMENT, "Failed to process element: 0 of 'instances' list. JSON object: "
                                                      f'keys must be equal to: {",".join(inputs)}')
            return {name: [row[name] for row in values] for name in inputs}
    elif isinstance(values, dict) and not is_encoded(values):
        for name in inputs:
            if name not in values:
                raise Refusal(CODES.INVALID_ARGUMENT, f"Missing named input: {name} in 'inputs' object.")
        return {name: values[name] for name in inputs}
    return {next(iter(inputs)): values}


def tensor_of(values, dtype):
    """The TensorProto of nested lists."""
    def decoded(value):
        if isinstance(value, list):
            return [decoded(item) for item in value]
        if dtype == tf.string.as_datatype_enum:
            with contextlib.suppress(ValueError):
                if is_encoded(value):
                    return base64.b64decode(value['b64'], validate=True)
                if isinstance(value, str):
                    return value.encode()
        elif isinstance(value, (int, float)):
            return value
        raise Refusal(CODES.INVALID_ARGUMENT, f'JSON Value: {json.dumps(value)[:80]} is not of expected type: '
                                              f'{tf.as_dtype(dtype).name}')
    try:
        return tf.make_tensor_proto(decoded(values), dtype)
    except (ValueError, TypeError) as error:
        raise Refusal(CODES.INVALID_ARGUMENT, f'Encountered list at unexpected size: {error}') from None


def json_of(alias, proto):
    """Nested lists: texts as they are, but base64 where the name ends in _bytes."""
    def coded(value):
        if isinstance(value, list):
            return [coded(item) for item in value]
        if isinstance(value, bytes):
            return {'b64': base64.b64encode(value).decode()} if alias.endswith('_bytes') else (
                value.decode(errors='surrogateescape'))
        return float(f'{value:.9g}') if isinstance(value, float) else value  # of a float32; nine digits tell it apart
    return coded(tf.make_ndarray(proto).tolist())


def text_of(answer):
    return json.dumps(answer, ensure_ascii=False)


@contextlib.contextmanager
def served(model):
    """Inside a `with`, serves a Model; gives (gRPC's address, REST's)."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), options=(
        ('grpc.max_receive_message_length', 2 ** 31 - 1),))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(GrpcFace(model), server)
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    rest = http.server.ThreadingHTTPServer(('127.0.0.1', 0), type('Face', (RestFace,), {'model': model}))
    thread = threading.Thread(target=rest.serve_forever, daemon=True)
    thread.start()
    try:
        yield f'127.0.0.1:{port}', f'http://127.0.0.1:{rest.server_port}'
    finally:
        rest.shutdown()
        rest.server_close()
        server.stop(None).wait()


def main(folder, name):
    with served(Model(folder, name)) as addresses:
        print(*addresses, flush=True)
        sys.stdin.read()


if __name__ == '__main__':
    main(*sys.argv[1:])
