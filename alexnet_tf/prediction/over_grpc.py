"""TensorFlow Serving's gRPC API, with the messages of the package tensorflow-serving-api."""
import math

from alexnet_tf.console.loading import load_tensorflow
from alexnet_tf.prediction import protocol

NO_SERVING = 'what answers there is not the gRPC API of TensorFlow Serving (its port is 8500 unless you chose another)'
MAX_VALUES = 2 ** 24  # of one output; 32 images of 21,841 classes have 2^19


class Transport:
    """Requests to host:port. May be used by several threads at once. Raises ValueError without the package."""

    def __init__(self, server, model_name):
        load_tensorflow()  # the messages import it, with all that it says
        try:
            import grpc
            from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc
        except ImportError as error:
            raise ValueError(f"--server={server} needs tensorflow-serving-api ({error}): pip install -e '.[serve]'. "
                             '--server=http://… needs no package.') from error
        self._server, self._model_name = server, model_name
        self._errors, self._codes = grpc.RpcError, grpc.StatusCode
        self._predict_request = predict_pb2.PredictRequest
        self._metadata_request = get_model_metadata_pb2.GetModelMetadataRequest
        self._signatures = get_model_metadata_pb2.SignatureDefMap
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(server, options=(
            ('grpc.max_receive_message_length', protocol.MAX_ANSWER_BYTES), ('grpc.max_send_message_length', -1),
            ('grpc.max_reconnect_backoff_ms', 2000))))  # else a server that comes back is noticed after two minutes

    def signatures(self, timeout):
        """{signature: (names of inputs, names of outputs)}. Raises: as `ask`."""
        request = self._metadata_request(metadata_field=['signature_def'])
        request.model_spec.name = self._model_name
        answer, signatures = self._answer(self._stub.GetModelMetadata, request, timeout), self._signatures()
        if not answer.metadata['signature_def'].Unpack(signatures):
            raise protocol.failed(self._server, NO_SERVING)
        return {name: (set(signature.inputs), set(signature.outputs))
                for name, signature in signatures.signature_def.items()}

    def ask(self, signature, images, timeout):
        """{name of an output: nested lists} for a list of bytes.

        Raises: protocol.Refused, protocol.Unavailable; ValueError for an unknown model; ConnectionError otherwise.
        """
        import tensorflow as tf
        request = self._predict_request()
        request.model_spec.name, request.model_spec.signature_name = self._model_name, signature
        tensor = request.inputs[protocol.INPUT]
        tensor.dtype = tf.string.as_datatype_enum
        tensor.tensor_shape.dim.add().size = len(images)
        tensor.string_val.extend(images)
        answer = self._answer(self._stub.Predict, request, timeout)
        outputs = {}
        for name, output in answer.outputs.items():
            # One value may stand for a whole tensor, whatever its size.
            if math.prod(dim.size for dim in output.tensor_shape.dim) > MAX_VALUES:
                raise protocol.failed(self._server, f'the answer is not as expected: {name} is too large')
            try:
                outputs[name] = tf.make_ndarray(output).tolist()
            except (ValueError, TypeError):
                raise protocol.failed(self._server, f'the answer is not as expected: {name} is damaged') from None
        return outputs

    def _answer(self, method, request, timeout):
        try:
            return method(request, timeout=timeout)
        except self._errors as error:
            code, said = error.code(), str(error.details())
        codes = self._codes
        if code is codes.INVALID_ARGUMENT:
            raise protocol.Refused(said)
        if code is codes.UNAVAILABLE:
            raise protocol.Unavailable(said)
        if code is codes.NOT_FOUND:
            raise protocol.no_model(self._server, self._model_name, said)
        if code is codes.DEADLINE_EXCEEDED:
            raise protocol.failed(self._server, f'no answer within {timeout:.3g} seconds (--server_timeout_secs)')
        if code is codes.UNIMPLEMENTED:
            raise protocol.failed(self._server, NO_SERVING)
        raise protocol.failed(self._server, f'{code.name}, {said}')
