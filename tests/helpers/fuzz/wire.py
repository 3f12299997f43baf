"""Protocol buffers as trees of fields, and what can be wrong with them on the wire."""
from hypothesis import strategies as st

from tests.helpers.weight_builders import varint

NUMBERS = (0, 1, 2, 3, 4, 5, 7, 100, 127, 128, 255, 10 ** 5, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 10 ** 12,
           2 ** 62, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1)
TEXTS = (b'', b'\0', b'x', b'\x1b[31m\x07', b'\xff\xfe', b'\xed\xa0\x80', '\u202e\u2066'.encode(), b'../x',
         b'/dev/zero',
         b'a' * 5000, b'%s%n{0}', '猫'.encode(), b'\n\n')
VARINT, FIXED64, MESSAGE, START, END, FIXED32, RAW = 0, 1, 2, 3, 4, 5, 6  # kinds of fields; RAW: bytes as they are


class Field:
    """number, kind, value: a number, bytes, or a list of Fields (a message)."""
    __slots__ = ('number', 'kind', 'value')

    def __init__(self, number, kind, value):
        self.number, self.kind, self.value = number, kind, value

    def copy(self):
        return Field(self.number, self.kind, copy(self.value) if isinstance(self.value, list) else self.value)


def copy(fields):
    return [field.copy() for field in fields]


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def parse(data, messages):
    """The Fields of a message that is whole. messages: {number: the same, of a field that is a message}."""
    fields, at = [], 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = read_varint(data, at)
        else:
            size, at = read_varint(data, at) if kind == MESSAGE else ({FIXED64: 8, FIXED32: 4}[kind], at)
            value, at = data[at:at + size], at + size
            if kind == MESSAGE and number in messages:
                value = parse(value, messages[number])
        fields.append(Field(number, kind, value))
    return fields


def written(fields):
    """The bytes of a list of Fields."""
    parts = []
    for field in fields:
        if field.kind == RAW:
            parts.append(field.value)
            continue
        parts.append(varint(field.number << 3 | field.kind))
        if field.kind == VARINT:
            parts.append(varint(field.value))
        else:
            value = written(field.value) if isinstance(field.value, list) else field.value
            parts += [varint(len(value)), value] if field.kind == MESSAGE else [value]
    return b''.join(parts)


def every(fields):
    """[(list, place in it)] of all Fields of a tree."""
    found = []
    for place, field in enumerate(fields):
        found.append((fields, place))
        if isinstance(field.value, list):
            found += every(field.value)
    return found


def nested(number, depth):
    """A field that holds a field that holds …; each of them with its right length."""
    data = b''
    for _ in range(depth):
        data = varint(number << 3 | MESSAGE) + varint(len(data)) + data
    return data


WAYS = ('number', 'number', 'text', 'text', 'bytes', 'leave out', 'double', 'copy', 'exchange', 'retag', 'retype',
        'lie',
        'many', 'nest', 'group', 'overlong', 'insert', 'cut')


def change(draw, fields):
    """Does one thing to one field of a tree."""
    places = every(fields)
    if not places:
        return
    any_place = st.integers(0, len(places) - 1)
    siblings, place = places[draw(any_place)]
    field, way = siblings[place], draw(st.sampled_from(WAYS))
    if way == 'number':
        numbers = [here[at] for here, at in places if here[at].kind == VARINT]
        if numbers:
            draw(st.sampled_from(numbers)).value = draw(st.sampled_from(NUMBERS) | st.integers(0, 300))
    elif way == 'text':
        texts = [here[at] for here, at in places if isinstance(here[at].value, bytes) and len(here[at].value) < 64]
        if texts:
            chosen = draw(st.sampled_from(texts))
            chosen.value = draw(st.sampled_from(TEXTS + tuple(text.value for text in texts)) | st.binary(max_size=8))
            if chosen.kind in (FIXED32, FIXED64):
                chosen.value = (chosen.value + bytes(8))[:4 if chosen.kind == FIXED32 else 8]
    elif way == 'bytes' and isinstance(field.value, bytes) and field.value:
        at = draw(st.integers(0, len(field.value) - 1))
        field.value = field.value[:at] + bytes([draw(st.integers(0, 255))]) + field.value[at + 1:]
    elif way == 'leave out':
        del siblings[place]
    elif way == 'double':
        siblings.insert(place, field.copy())
    elif way == 'copy':
        here, at = places[draw(any_place)]
        here.insert(at, field.copy())
    elif way == 'exchange':
        here, at = places[draw(any_place)]
        siblings[place], here[at] = here[at].copy(), field.copy()
    elif way == 'retag':
        field.number = draw(st.integers(1, 20) | st.sampled_from((0, 100, 2 ** 29 - 1, 2 ** 29)))
    elif way == 'retype' and field.kind != RAW:
        data = written([field])
        siblings[place] = Field(0, RAW, varint(field.number << 3 | draw(st.integers(0, 7))) + read_tag(data))
    elif way == 'lie' and field.kind == MESSAGE:
        value = written(field.value) if isinstance(field.value, list) else field.value
        length = draw(st.sampled_from(NUMBERS) | st.integers(-3, 3).map(lambda more: len(value) + more))
        siblings[place] = Field(0, RAW, varint(field.number << 3 | MESSAGE) + varint(length) + value)
    elif way == 'many':
        data = written([field])
        siblings[place] = Field(0, RAW, data * (draw(st.sampled_from((3, 300, 5000))) if len(data) < 50 else 3))
    elif way == 'nest':
        siblings.insert(place, Field(0, RAW, nested(field.number or 1, draw(st.sampled_from((3, 90, 110, 5000))))))
    elif way == 'group':
        number = field.number or 1
        times = draw(st.sampled_from((1, 90, 110, 20_000)))
        ends = draw(st.sampled_from((times, 0, 1)))
        siblings.insert(place, Field(0, RAW, varint(number << 3 | START) * times + varint(number << 3 | END) * ends))
    elif way == 'overlong' and field.kind == VARINT:
        zeros = draw(st.sampled_from((1, 4, 8, 10, 1000)))
        siblings[place] = Field(0, RAW, varint(field.number << 3) + b'\x81' + b'\x80' * zeros + b'\0')
    elif way == 'insert':
        siblings.insert(place, Field(0, RAW, draw(st.binary(min_size=1, max_size=12))))
    elif way == 'cut' and isinstance(field.value, bytes):
        field.value = field.value[:draw(st.integers(0, len(field.value)))]


def read_tag(data):
    """The bytes after a field's tag."""
    return data[read_varint(data, 0)[1]:]


@st.composite
def changed(draw, fields, most=3):
    """The bytes of a message of which one to so many fields were changed."""
    fields = copy(fields)
    for _ in range(draw(st.integers(1, most))):
        change(draw, fields)
    data = written(fields)
    return data[:draw(st.integers(0, len(data)))] if draw(st.integers(0, 19)) == 0 else data
