"""What both ways to TensorFlow Serving, gRPC and REST, share: what goes wrong, and how much is sent and taken."""

INPUT = 'image_bytes'
MAX_ANSWER_BYTES = 2 ** 28  # 32 images of 21,841 classes fill 17 MiB of JSON; gRPC's own limit is 4 MiB


class Refused(Exception):
    """The server refused one request, and says what was wrong with it."""


class Unavailable(Exception):
    """Nobody answers, or the server is busy or starting: the same request may succeed later."""


def no_model(server, model_name, said):
    """The ValueError of a server that is there but has not this model."""
    return ValueError(f'--server={server} has no model "{model_name}": {one_line(said)}. --served_name must be the '
                      'name that the server was started with.')


def failed(server, said):
    """The ConnectionError of a server that does not do what TensorFlow Serving would."""
    return ConnectionError(f'--server={server}: {one_line(said)}.')


def one_line(error):
    """What a server said, which may be several lines."""
    return ' '.join(str(error).split())
