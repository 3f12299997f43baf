"""What is in images, by a TensorFlow Serving that has this project's SavedModel."""
import re
import time

import numpy as np

from alexnet_tf.prediction import over_grpc, over_rest, protocol

MAX_IMAGES = 32  # in one request; docs/serving.md lets the server make batches of as many
MAX_BYTES = 2 ** 25  # in one request, less what base64 adds; a larger image goes alone
LONGEST_PAUSE = 2  # seconds between tries
CHECKED, TEN_VIEWS = 'serve_bytes_checked', 'ten_views'
TOPS = {'top_probabilities', 'top_class_names'}
UNREADABLE = 'the server cannot decode it: it is no whole JPEG or PNG, or has too many pixels'


def connect(server, *, model_name, views=1, timeout=60):
    """A Client of a server that has answered and has the model; its `predict` is a source of predictions.

    Args:
      server: host:port for gRPC, without encryption; or http://… or https://… for REST; certificates are checked.
      model_name: as the server knows the model.
      views: 1, or 10: corners and center, and their mirror images.
      timeout: seconds that one request may take, with all its tries.

    Raises: ValueError: no address, or a server without the model or its signatures. ConnectionError: no server.
    """
    transport = _transport(server)(server, model_name)
    try:
        there = transport.signatures(timeout)
    except (protocol.Refused, protocol.Unavailable) as error:
        raise protocol.failed(server, f'nobody answers who knows models; is the server started, and is this its port? '
                                      f'({protocol.one_line(error)})') from None
    needed = {CHECKED: TOPS | {'valid'}} | ({TEN_VIEWS: TOPS} if views == 10 else {})
    for signature, outputs in needed.items():
        has = there.get(signature)
        if not has or has[0] != {protocol.INPUT} or not outputs <= has[1]:
            raise ValueError(f'--server={server}: the model "{model_name}" has no signature {signature}, or an older '
                             'one; make it again with python -m alexnet_tf.export.')
    return Client(transport, server, views, timeout)


def _transport(server):
    if re.match('https?://[^/]', server):
        return over_rest.Transport
    port = re.fullmatch(r'(?:\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+):([0-9]{1,5})', server)
    if not port or not 0 < int(port[1]) < 2 ** 16:
        raise ValueError(f'--server={server}; it must be host:port for gRPC, such as localhost:8500, or '
                         'http://host:port for REST, such as http://localhost:8501.')
    return over_grpc.Transport


class Client:
    """Asks one model of one server. May be used by several threads at once."""

    def __init__(self, transport, server, views, timeout):
        self._transport, self._server, self._views, self._timeout = transport, server, views, timeout

    def predict(self, images):
        """What is in each image.

        Args:
          images: bytes each, as many as you like: they are sent in requests of at most MAX_IMAGES and MAX_BYTES.

        Returns: a list of answers: the best classes, at most five, as [(name, probability), …], best first; or a text:
          why the image cannot be read. Raises: ConnectionError: no answer in time, or one that cannot be understood.
        """
        return [answer for part in _parts(images) for answer in self._answers(part)]

    def _answers(self, images):
        if self._views == 1:
            return self._all(CHECKED, images)
        try:
            return self._rows(self._ask(TEN_VIEWS, images), len(images))
        except protocol.Refused:
            answers = self._all(CHECKED, images)
        read = [image for image, answer in zip(images, answers) if answer != UNREADABLE]
        given = iter(self._all(TEN_VIEWS, read) if read else [])
        return [answer if answer == UNREADABLE else next(given) for answer in answers]

    def _all(self, signature, images):
        """Answers; what the server finds too much at once is asked in halves."""
        try:
            return self._rows(self._ask(signature, images), len(images))
        except protocol.Refused as refusal:
            if len(images) == 1:
                raise protocol.failed(self._server, f'it refuses an image: {protocol.one_line(refusal)}') from None
        half = len(images) // 2
        return self._all(signature, images[:half]) + self._all(signature, images[half:])

    def _rows(self, outputs, count):
        """The answers in the outputs of a signature."""
        try:
            valid = outputs.get('valid', [True] * count)
            names, probabilities = outputs['top_class_names'], outputs['top_probabilities']
            assert len(valid) == len(names) == len(probabilities) == count
            return [_answer(*row) if good else UNREADABLE for good, *row in zip(valid, names, probabilities)]
        except (AssertionError, KeyError, TypeError, ValueError):
            raise protocol.failed(self._server, 'its answer has not the best classes of each image') from None

    def _ask(self, signature, images):
        """The outputs; a server that is away is asked again until the timeout has passed."""
        end, pause = time.monotonic() + self._timeout, 0.1
        while True:
            try:
                return self._transport.ask(signature, images, max(0.001, end - time.monotonic()))
            except protocol.Unavailable as error:
                if time.monotonic() + pause >= end:
                    raise protocol.failed(self._server, f'it went away and did not come back within {self._timeout:g} '
                                                        f'seconds (--server_timeout_secs): {error}') from None
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def _parts(images):
    """Lists of images that fit into one request."""
    part, size = [], 0
    for image in images:
        if part and (len(part) == MAX_IMAGES or size + len(image) > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(image)
        size += len(image)
    if part:
        yield part


def _answer(names, probabilities):
    """[(name, probability), …] of one image. JSON has nine digits of a float32: its value is that of all of them."""
    return [(name.decode('utf-8', 'replace') if isinstance(name, bytes) else str(name), float(np.float32(probability)))
            for name, probability in zip(names, probabilities)]
