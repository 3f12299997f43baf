"""Answers as text: for people, and as JSON lines for programs."""
import json

from alexnet_tf.console import terminal


def block(path, answer):
    """The file's name and a line for each of the best classes: its probability in % and its name."""
    return '\n'.join([terminal.printable(path), *(
        f'  {100 * probability:6.2f} %  {terminal.printable(name)}' for name, probability in answer)])


def json_line(path, answer):
    """An object in one line of ASCII: file, and classes and probabilities (0..1, all digits), or error."""
    if isinstance(answer, str):
        return json.dumps({'file': path, 'error': answer})
    return json.dumps({'file': path, 'classes': [name for name, _ in answer],
                       'probabilities': [probability for _, probability in answer]})
