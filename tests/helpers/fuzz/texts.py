"""JSON and other text with something wrong in it."""
import json

from hypothesis import strategies as st

from tests.helpers.fuzz import wire

VALUES = (None, True, False, 0, 1, -1, 2, 3, 1.5, -0.0, 1e308, 2 ** 31 - 1, 2 ** 31, 2 ** 63, 10 ** 12, 10 ** 400,
          float('nan'),
          float('inf'), '', 'a', '\0', '\x1b[31m\x07', '\u202e', '\ud800', '../x', '/dev/zero', '.', '..', 'a\nb',
          'a' * 5000, '猫',
          '1', 'train', [], {}, [[]], [None], ['a'], ['a', 'b', 'c'], [1, 2, 3], [1, 2], {'a': 1}, [0] * 1000,
          ['a'] * 20_000)
RAW = ('NaN', '-Infinity', '1e999', '9' * 5000, '[' * 2000, '[' * 100_000, '{"a":' * 100_000, '"\\ud800"', '"\\u0000"',
       '01',
       "'a'", '/* */', '\ufeff', '"' + 'x' * 100_000 + '"', '-', '"\\x"', '{"a":1,"a":2}', '\x1b[31m', '',
       '1' + '0' * 4000)


def places(value, way=()):
    """The ways to all values of a tree of JSON."""
    yield way
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in items:
        yield from places(held, (*way, key))


def changed(draw, value):
    """The tree with one thing changed; a marker stands where raw text is to come."""
    value = json.loads(json.dumps(value))
    ways = list(places(value))
    *way, last = draw(st.sampled_from(ways[1:])) if len(ways) > 1 else (None,)
    if last is None:
        return draw(st.sampled_from(VALUES))
    held = value
    for key in way:
        held = held[key]
    act = draw(st.sampled_from(('value', 'value', 'value', 'leave out', 'add', 'rename', 'raw', 'other')))
    if act == 'value':
        held[last] = draw(st.sampled_from(VALUES) | st.integers(-5, 300) | st.text(max_size=5))
    elif act == 'raw':
        held[last] = '\N{INTERROBANG}'
    elif act == 'leave out':
        del held[last]
    elif act == 'other':  # of the tree
        other = value
        for key in draw(st.sampled_from(ways)):
            other = other[key]
        held[last] = json.loads(json.dumps(other))
    elif isinstance(held, list):
        held.insert(last, draw(st.sampled_from(VALUES)))
    else:
        name = draw(st.sampled_from([text for text in VALUES if isinstance(text, str)]))
        held[name] = held.pop(last) if act == 'rename' else draw(st.sampled_from(VALUES))
    return value


@st.composite
def changed_json(draw, value):
    """Bytes of JSON in which one to three things are changed."""
    for _ in range(draw(st.integers(1, 3))):
        value = changed(draw, value)
    text = json.dumps(value, ensure_ascii=draw(st.booleans())).replace('"\N{INTERROBANG}"', '\N{INTERROBANG}')
    text = text.replace('"\\u203d"', '\N{INTERROBANG}')
    while '\N{INTERROBANG}' in text:
        text = text.replace('\N{INTERROBANG}', draw(st.sampled_from(RAW)), 1)
    return draw(changed_bytes(text.encode('utf-8', 'surrogatepass')))


@st.composite
def changed_bytes(draw, content, often=4):
    """Mostly the bytes as they are; else cut off, or with some exchanged."""
    if draw(st.integers(0, often)) or not content:
        return content
    at = draw(st.integers(0, len(content) - 1))
    if draw(st.booleans()):
        return content[:at]
    return content[:at] + draw(st.binary(max_size=3) | st.sampled_from(wire.TEXTS)) + content[at + draw(st.integers(0,
                                                                                                                    3)):]
