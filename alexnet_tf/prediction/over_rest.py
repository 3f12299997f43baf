"""TensorFlow Serving's REST API, with the standard library alone: nothing here loads TensorFlow."""
import base64
import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

from alexnet_tf.prediction import protocol

NO_SERVING = 'what answers there is not the REST API of TensorFlow Serving (its port is 8501 unless you chose another)'
_CHUNK = 2 ** 16


class Transport:
    """Requests to http(s)://…/v1/models/NAME. May be used by several threads at once."""

    def __init__(self, server, model_name):
        self._server, self._model_name = server, model_name
        self._model = f'{server.rstrip("/")}/v1/models/{urllib.parse.quote(model_name, safe="")}'

    def signatures(self, timeout):
        """{signature: (names of inputs, names of outputs)}. Raises: as `ask`."""
        answer = self._answer(f'{self._model}/metadata', None, timeout)
        try:
            return {name: (set(signature['inputs']), set(signature['outputs']))
                    for name, signature in answer['metadata']['signature_def']['signature_def'].items()
                    if 'inputs' in signature}  # one that restores variables has none
        except (KeyError, TypeError, AttributeError):
            raise protocol.failed(self._server, NO_SERVING) from None

    def ask(self, signature, images, timeout):
        """{name of an output: nested lists} for a list of bytes.

        Raises: protocol.Refused, protocol.Unavailable; ValueError for an unknown model; ConnectionError otherwise.
        """
        inputs = {protocol.INPUT: [{'b64': base64.b64encode(image).decode()} for image in images]}
        request = json.dumps({'signature_name': signature, 'inputs': inputs}).encode()
        answer = self._answer(f'{self._model}:predict', request, timeout)
        outputs = answer.get('outputs') if isinstance(answer, dict) else None
        if not isinstance(outputs, dict):
            raise protocol.failed(self._server, NO_SERVING)
        return outputs

    def _answer(self, url, content, timeout):
        """The JSON of an answer, parsed."""
        end = time.monotonic() + timeout
        try:
            request = urllib.request.Request(url, content, {'Content-Type': 'application/json'})
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return self._parsed(self._read(response, end))
        except urllib.error.HTTPError as error:
            with error:
                self._refuse(error.code, self._said(error, end))
        except (TimeoutError, urllib.error.URLError) as error:
            reason = getattr(error, 'reason', error)
            if isinstance(reason, TimeoutError):
                raise protocol.failed(self._server, f'no answer within {timeout:.3g} seconds '
                                                    '(--server_timeout_secs)') from None
            said = getattr(reason, 'strerror', None) or str(reason)
            if isinstance(reason, (socket.gaierror, ssl.SSLError)):  # these do not go away by waiting
                raise protocol.failed(self._server, said) from None
            raise protocol.Unavailable(said) from None
        except (http.client.RemoteDisconnected, ConnectionResetError) as error:
            raise protocol.Unavailable(f'the connection was closed before an answer came ({error})') from None
        except http.client.IncompleteRead:
            raise protocol.Unavailable('the answer ended early') from None
        except http.client.HTTPException:
            raise protocol.failed(self._server, NO_SERVING) from None

    def _refuse(self, status, said):
        """Raises what an HTTP status other than 200 means. said: the server's own words; None: it has not any."""
        if status in (429, 502, 503):
            raise protocol.Unavailable(said or f'HTTP status {status}')
        if said is None:
            raise protocol.failed(self._server, f'{NO_SERVING}; HTTP status {status}')
        if status == 404:
            raise protocol.no_model(self._server, self._model_name, said)
        if status == 400:
            raise protocol.Refused(said)
        raise protocol.failed(self._server, f'HTTP status {status}, {said}')

    def _said(self, error, end):
        try:
            return str(json.loads(self._read(error, end))['error'])
        except (ValueError, TypeError, KeyError, RecursionError, http.client.HTTPException):
            return None

    def _read(self, response, end):
        """The bytes of an answer: not more than there should be, and not for longer."""
        content = bytearray()
        while piece := response.read1(_CHUNK):
            content += piece
            if len(content) > protocol.MAX_ANSWER_BYTES:
                raise protocol.failed(self._server, f'the answer has more than {protocol.MAX_ANSWER_BYTES} bytes')
            if time.monotonic() > end:
                raise TimeoutError
        if response.length:  # of Content-Length; read1 does not complain
            raise http.client.IncompleteRead(b'', response.length)
        return content

    def _parsed(self, content):
        try:
            # The server writes class names as they are, also those that are not UTF-8.
            return json.loads(content.decode('utf-8', 'replace'))
        except (ValueError, RecursionError):
            raise protocol.failed(self._server, NO_SERVING) from None

