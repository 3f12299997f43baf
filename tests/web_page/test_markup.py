"""The HTML of the page, parsed again: numbers and names as they were given, and no element of anybody else's."""
import base64
import html.parser

import numpy as np
import tensorflow as tf

from alexnet_tf.pictures import activations
from alexnet_tf.web_page import answering, markup
from tests.web_page.conftest import NAMES, SCRIPT

RANDOM = np.random.default_rng(1)


class Parsed(html.parser.HTMLParser):
    """elements: [(tag, {attribute: value})]; texts: all that is not empty."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts += [data] if data.strip() else []

    @property
    def images(self):
        return [attributes for tag, attributes in self.elements if tag == 'img']


def pixels(side):
    return RANDOM.integers(0, 256, [side, side, 3]).astype(np.uint8)


def shown():
    kernels = [answering.Kernel(np.float32(pixels(11)) / 255, activations.Answer(
        number, np.float32([[number]]), (0, 0), (0, 11, 0, 11)), pixels(11)) for number in (7, 5)]
    return answering.Shown(list(zip(NAMES, (0.5, 0.25, 0.12345, 0.1, 0.001))), pixels(224), kernels,
                           [answering.Neighbor(pixels(96), name, 12.34) for name in NAMES[:2]])


def test_names_of_classes_and_files_are_text_alone():
    answer = Parsed(markup.answer(SCRIPT, shown()))
    assert {tag for tag, _ in answer.elements} <= {'div', 'figure', 'img', 'figcaption', 'table', 'caption', 'tbody',
                                                   'tr', 'th', 'td', 'h2', 'p', 'b', 'br'}
    assert not any(name.startswith('on') for _, attributes in answer.elements for name in attributes)
    assert all(attributes['src'].startswith('data:image/png;base64,') for attributes in answer.images)
    assert set(NAMES[:4]) <= set(answer.texts) and 'a\\x1b\\u202e&amp;' in answer.texts
    refused = Parsed(markup.refusal(SCRIPT, 'it is <b>'))
    assert [tag for tag, _ in refused.elements] == ['p', 'b']
    assert ''.join(refused.texts) == f'{SCRIPT} cannot be read: it is <b>.'


def test_the_numbers_are_those_that_predict_prints():
    texts = Parsed(markup.answer('a.jpg', shown())).texts
    assert [text for text in texts if text.endswith('%')] == ['50.00 %', '25.00 %', '12.35 %', '10.00 %', '0.10 %']
    assert 'Kernel 7: 7.0' in texts and texts.count('12.3') == 2


def test_every_image_has_its_pixels_and_words_for_those_who_do_not_see_it():
    one = shown()
    images = Parsed(markup.answer('a.jpg', one)).images
    expected = [one.image, *(picture for kernel in one.kernels for picture in (
        np.uint8(np.round(255 * kernel.weights)), kernel.patch)), *(neighbor.image for neighbor in one.neighbors)]
    assert len(images) == len(expected)
    for attributes, wanted in zip(images, expected):
        decoded = tf.io.decode_png(base64.b64decode(attributes['src'].partition(',')[2])).numpy()
        np.testing.assert_array_equal(decoded, wanted)
        assert len(attributes['alt']) > 10


def test_long_names_are_cut_off():
    assert max(map(len, Parsed(markup.refusal('x' * 100_000, 'y')).texts)) <= 200
