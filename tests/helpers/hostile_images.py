"""Images that hurt: bombs (whole files, small on disk, huge when decoded) and mutations of real JPEGs."""
import struct
import zlib

import numpy as np
import tensorflow as tf

from alexnet_tf.data import datasets
from tests.helpers.processes import ROOT

PHOTOGRAPHS = ROOT.parent / 'shared' / 'data' / 'imagenet_samples'


def gray_jpeg(side):
    """A whole baseline JPEG of one channel, all of it mid-gray; its sides must be multiples of 16.

    In mid-gray every block of 8x8 pixels is the same six bits, so that four blocks are three bytes.
    """
    small = bytearray(tf.io.encode_jpeg(np.full([16, 16, 1], 128, np.uint8), 'grayscale').numpy())
    frame = small.index(b'\xff\xc0')
    small[frame + 5:frame + 9] = struct.pack('>HH', side, side)
    scan = small.index(b'\xff\xda')
    header = bytes(small[:scan + 2 + int.from_bytes(small[scan + 2:scan + 4], 'big')])
    return header + b'\x28\xa2\x8a' * (side // 16) ** 2 + b'\xff\xd9'


def gray_png(side):
    """A whole PNG of one channel, all of it black."""
    packer = zlib.compressobj(1)
    rows = bytes((1 + side) * 100)
    packed = b''.join(packer.compress(rows[:(1 + side) * min(100, side - row)]) for row in range(0, side, 100))
    return png(side, side, packed + packer.flush())


def png(width, height, packed, depth=8):
    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, 0, 0, 0, 0))
            + chunk(b'IDAT', packed) + chunk(b'IEND', b''))


def photographs(count):
    """Encoded JPEGs: ImageNet's where they are, else of the CIFAR sample, which came along."""
    if PHOTOGRAPHS.is_dir():
        return [path.read_bytes() for path in sorted(PHOTOGRAPHS.iterdir())[:count]]
    dataset = datasets.open_dataset(datasets.SAMPLE_DIR, 'validation')
    return [dataset.example(position)[0] for position in range(count)]


def mutated(image, random):
    """The image after one to four random changes: bits, bytes, runs taken out, put in, doubled, or the end cut off."""
    content = bytearray(image)
    for _ in range(random.integers(1, 5)):
        # Half of the changes hit the headers, where most of a decoder's decisions are made.
        at = int(random.integers(0, min(len(content), 700) if random.random() < 0.5 else len(content)))
        length = int(random.integers(1, 40))
        kind = random.integers(6)
        if kind == 0:
            content[at] ^= 1 << int(random.integers(8))
        elif kind == 1:
            content[at] = random.choice([0, 1, 127, 128, 254, 255])
        elif kind == 2:
            del content[at:at + length]
        elif kind == 3:
            content[at:at] = random.bytes(length)
        elif kind == 4:
            content[at:at] = content[at:at + length]
        elif len(content) > 40:
            del content[max(20, at):]
        if not content:
            content = bytearray(b'\xff')
    return bytes(content)
