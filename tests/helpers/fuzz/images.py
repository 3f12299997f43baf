"""JPEGs of segments and PNGs of chunks, decoded in the three ways that images take."""
import functools
import struct
import zlib

import numpy as np
from hypothesis import strategies as st

from alexnet_tf.data import preprocessing
from tests.helpers.fuzz import wire

PATH = 'image'
CONTENT = 3 * preprocessing.MAX_PIXELS / 2 ** 20  # an image of a few bytes may say that it has so many
SIZES = (0, 1, 2, 7, 8, 9, 16, 17, 31, 64, 255, 300, 10_000, 32_768, 65_500, 65_535)
NUMBER = st.sampled_from(wire.NUMBERS) | st.integers(0, 300)


@functools.cache
def pixels():
    rows, columns = np.mgrid[:40, :50]
    return np.stack([4 * rows, 4 * columns, 2 * (rows + columns)], -1).astype(np.uint8)


def prepare():
    pass


@functools.cache
def decoders():
    import tensorflow as tf
    strings = tf.TensorSpec([], tf.string)
    return (tf.function(lambda encoded: preprocessing.evaluation_image(encoded, size=56), input_signature=[strings]),
            tf.function(lambda encoded: preprocessing.training_image(
                encoded, tf.constant([3, 4], tf.int64), size=56, resize_side_max=90), input_signature=[strings]))


# JPEG -----------------------------------------------------------------------------------------------------


@functools.cache
def jpegs():
    """[[(marker, content)]] of whole JPEGs: all segments up to the first scan; its data stand in the last content."""
    import tensorflow as tf
    made = [tf.io.encode_jpeg(pixels(), kind, progressive=progressive, chroma_downsampling=sampling).numpy()
            for kind, progressive, sampling in (('rgb', False, True), ('rgb', False, False), ('rgb', True, True))]
    made.append(tf.io.encode_jpeg(pixels()[..., :1], 'grayscale').numpy())
    return [segments(content) for content in made]


def segments(content):
    found, at = [], 2
    while content[at + 1] != 0xda:
        size = int.from_bytes(content[at + 2:at + 4], 'big')
        found.append((content[at + 1], content[at + 4:at + 2 + size]))
        at += 2 + size
    size = int.from_bytes(content[at + 2:at + 4], 'big')
    return [*found, (0xda, content[at + 4:at + 2 + size]), (None, content[at + 2 + size:])]


def jpeg(parts):
    """The bytes of [(marker, content) or (marker, content, length to say)]; marker None: data."""
    content = b'\xff\xd8'
    for marker, part, *lie in parts:
        if marker is None:
            content += part
        else:
            length = (lie[0] if lie else len(part) + 2) & 0xffff
            content += bytes([0xff, marker]) + length.to_bytes(2, 'big') + part
    return content


@st.composite
def changed_jpeg(draw):
    parts = list(draw(st.sampled_from(jpegs())))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(parts) - 1))
        marker, part, *_ = parts[at]
        way = draw(st.sampled_from(('byte', 'byte', 'size', 'size', 'length', 'marker', 'leave out', 'double',
                                    'exchange', 'add',
                                    'cut', 'scan', 'scan')))
        frames = [place for place, one in enumerate(parts) if one[0] in (0xc0, 0xc1, 0xc2)]
        if way == 'byte' and part:
            place = draw(st.integers(0, min(len(part) - 1, 200)))
            parts[at] = marker, part[:place] + bytes([draw(st.integers(0, 255))]) + part[place + 1:]
        elif way == 'size' and frames:
            frame = parts[frames[0]]
            height, width = draw(st.sampled_from(SIZES)), draw(st.sampled_from(SIZES))
            if height * width > 40_000_000 and height * width < 90_000_000:
                height = 8  # larger ones are let through, and take a second
            parts[frames[0]] = frame[0], frame[1][:1] + struct.pack('>HH', height, width) + frame[1][5:]
        elif way == 'length':
            parts[at] = marker, part, draw(NUMBER)
        elif way == 'marker':
            parts[at] = draw(st.integers(1, 255)), part
        elif way == 'leave out':
            del parts[at]
            parts = parts or [(None, b'')]
        elif way == 'double':
            parts.insert(at, parts[at])
        elif way == 'exchange':
            other = draw(st.integers(0, len(parts) - 1))
            parts[at], parts[other] = parts[other], parts[at]
        elif way == 'add':
            parts.insert(at, (draw(st.sampled_from((0xc4, 0xcc, 0xdb, 0xdc, 0xdd, 0xde, 0xe0, 0xe1, 0xe2, 0xee, 0xfe,
                                                    0xd0, 0x01))),
                              draw(st.binary(max_size=40))))
        elif way == 'cut':
            parts[at] = marker, part[:draw(st.integers(0, len(part)))]
        elif way == 'scan':
            place = draw(st.integers(0, max(0, len(part) - 1)))
            more = draw(st.sampled_from((b'\xff\xd0', b'\xff\xd9', b'\xff\xd8', b'\xff\xda\0\x0c', b'\xff\xff',
                                         b'\xff\0') ) | st.binary(max_size=4))
            parts[at] = marker, part[:place] + more + part[place + draw(st.integers(0, 4)):]
    return jpeg(parts)


# PNG ------------------------------------------------------------------------------------------------------


def chunk(kind, content, length=None, wrong=0):
    size = len(content) if length is None else length & 0xffffffff
    return struct.pack('>I', size) + kind + content + struct.pack('>I', zlib.crc32(kind + content) ^ wrong)


def rows(depth, color, height=40, width=50):
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    return zlib.compress((b'\1' + bytes(range(50))[:1] * ((width * channels * depth + 7) // 8)) * height)


def header(depth=8, color=2, width=50, height=40, *, packing=0, filtering=0, interlace=0):
    return struct.pack('>IIBBBBB', width, height, depth, color, packing, filtering, interlace)


@functools.cache
def packed_zeros():
    return zlib.compress(bytes(50 << 20), 9)


@st.composite
def changed_png(draw):
    depth, color = draw(st.sampled_from(((8, 2), (8, 0), (16, 2), (1, 0), (4, 3), (8, 4), (8, 6), (16, 6), (2, 3))))
    chunks = [(b'IHDR', header(depth, color)), (b'PLTE', bytes(range(48))), (b'IDAT', rows(depth, color)), (b'IEND',
                                                                                                            b'')]
    if color != 3:
        del chunks[1]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(chunks) - 1))
        kind, content, *_ = chunks[at]
        way = draw(st.sampled_from(('size', 'header', 'byte', 'length', 'crc', 'kind', 'leave out', 'double',
                                    'exchange', 'add',
                                    'cut', 'zeros')))
        if way == 'size':
            width, height = (draw(st.sampled_from(SIZES + (70_000, 2 ** 31 - 1, 2 ** 31,
                                                           2 ** 32 - 1))) for _ in range(2))
            if 4_000_000 < height * width < 90_000_000:
                height = 8
            chunks[0] = b'IHDR', header(depth, color, width, height)
        elif way == 'header':
            chunks[0] = b'IHDR', header(draw(st.integers(0, 17)), draw(st.integers(0, 8)), packing=draw(st.integers(0,
                                                                                                                    1)),
                                        filtering=draw(st.sampled_from((0, 0, 1, 64))), interlace=draw(st.integers(0,
                                                                                                                   2)))
        elif way == 'byte' and content:
            place = draw(st.integers(0, len(content) - 1))
            chunks[at] = kind, content[:place] + bytes([draw(st.integers(0, 255))]) + content[place + 1:]
        elif way == 'length':
            chunks[at] = kind, content, draw(NUMBER)
        elif way == 'crc':
            chunks[at] = kind, content, None, 1
        elif way == 'kind':
            chunks[at] = draw(st.sampled_from((b'tRNS', b'gAMA', b'iCCP', b'zTXt', b'fdAT', b'abcd', b'ABCD', b'IEND',
                                               b'\0\0\0\0'))), content
        elif way == 'leave out':
            del chunks[at]
            chunks = chunks or [(b'IEND', b'')]
        elif way == 'double':
            chunks.insert(at, chunks[at])
        elif way == 'exchange':
            other = draw(st.integers(0, len(chunks) - 1))
            chunks[at], chunks[other] = chunks[other], chunks[at]
        elif way == 'add':
            kind = draw(st.sampled_from((b'tRNS', b'gAMA', b'cHRM', b'sRGB', b'iCCP', b'tEXt', b'zTXt', b'iTXt',
                                         b'bKGD', b'pHYs',
                                         b'sBIT', b'sPLT', b'hIST', b'tIME', b'acTL', b'eXIf', b'PLTE', b'IDAT')))
            chunks.insert(at, (kind, draw(st.binary(max_size=40) | st.just(b'x\0\0') )))
        elif way == 'cut':
            chunks[at] = kind, content[:draw(st.integers(0, len(content)))]
        elif way == 'zeros' and draw(st.integers(0, 9)) == 0:
            kind, before = draw(st.sampled_from(((b'IDAT', b''), (b'iCCP', b'x\0\0'), (b'zTXt', b'x\0\0'))))
            chunks.insert(at, (kind, before + packed_zeros()))
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunk(*one) for one in chunks)


# --------------------------------------------------------------------------------------------------------------


def whole():
    return {PATH: jpeg(jpegs()[0])}


@st.composite
def cases(draw):
    content = draw(st.one_of(changed_jpeg(), changed_jpeg(), changed_png()))
    if draw(st.integers(0, 14)) == 0:
        content = content[:draw(st.integers(0, len(content)))]
    return {PATH: content}


def read(folder, files):
    """As evaluation, training and build_tfrecords do. What is decoded for one is decoded for all, but for damage at the
    edge, which a crop of a JPEG may not see."""
    import tensorflow as tf

    from alexnet_tf.data import image_records, preprocessing
    shapes, encoded = [], tf.constant(files[PATH])
    for decode in decoders():
        try:
            shapes.append(decode(encoded).shape)
        except tf.errors.InvalidArgumentError as error:
            reason = preprocessing.reason(error)
            assert reason and '{{' not in reason and len(reason) < 2000, reason
            shapes.append(None)
    assert set(shapes) <= {(64, 64, 3), (56, 56, 3), None}
    try:
        stored, square, shape = image_records.read_image(f'{folder}/{PATH}', 32, 95)
    except ValueError as error:
        assert shapes[0] is None or files[PATH].startswith(b'\xff\xd8'), error
        raise ValueError(f'{folder}: {error}') from error  # the builder names the file in front
    assert square.shape == (256, 256, 3) and min(shape) <= max(32, *shape) and stored[:3] == b'\xff\xd8\xff'
    return shapes[0] is not None
