"""Answers as text, with names that nobody would choose."""
import json
import os

from alexnet_tf.prediction import printing

ANSWER = [('great white shark', 0.98765), ('a\x1b[2J\nb', 0.0123450000000001), ('ä', 1e-9)]
NAME = os.fsdecode(b'pictures/\xff\n\x1b[31m.jpg')


def test_a_block_is_aligned_and_acts_on_no_terminal():
    assert printing.block(NAME, ANSWER).splitlines() == [
        r'pictures/\udcff\n\x1b[31m.jpg', '   98.77 %  great white shark', r'    1.23 %  a\x1b[2J\nb', '    0.00 %  ä']
    assert printing.block('a', [('b', 1.0)]) == 'a\n  100.00 %  b'


def test_a_json_line_is_one_line_of_ascii_that_keeps_names_and_all_digits():
    line = printing.json_line(NAME, ANSWER)
    assert line.isascii() and line.isprintable()
    assert json.loads(line) == {'file': NAME, 'classes': [name for name, _ in ANSWER],
                                'probabilities': [probability for _, probability in ANSWER]}
    assert json.loads(printing.json_line('a', 'it is\nempty')) == {'file': 'a', 'error': 'it is\nempty'}
