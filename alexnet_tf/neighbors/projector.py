"""Features and thumbnails for TensorBoard's embedding projector."""
import os

import numpy as np
import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.files import writing
from alexnet_tf.pictures import subjects

SIDE = 64  # pixels of a thumbnail
MOST = 10_000  # images: of more the browser runs out of memory, and the picture of all is beyond 8192 pixels
NAMES = 'features.bytes', 'metadata.tsv', 'thumbnails.png'
CONFIG = 'projector_config.pbtxt'


def write(found, folder, count):
    """Writes `count` images of an index.Index, at equal steps, for `tensorboard --logdir=folder`.

    Returns: how many there are. Raises: ValueError for an image that cannot be read; OSError.
    """
    positions = np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(np.int64)
    features, metadata, thumbnails = (os.path.join(folder, name) for name in NAMES)
    with writing.whole(features) as file:
        for position in positions:
            file.write(found.vectors[position].astype('<f4').tobytes())
    split = found.about.split
    lines = [f'{split}:{position}\t{_cell(found.class_names[found.labels[position]])}' for position in positions]
    writing.write_text(metadata, '\n'.join(['image\tclass', *lines]) + '\n')
    with writing.whole(thumbnails) as file:
        file.write(tf.io.encode_png(_sprite(found, positions)).numpy())
    writing.write_text(os.path.join(folder, CONFIG), _CONFIG.format(
        *NAMES, side=SIDE, count=len(positions), width=found.about.width))
    return len(positions)


_CONFIG = '''embeddings {{
  tensor_name: "fc7"
  tensor_path: "{0}"
  tensor_shape: {count}
  tensor_shape: {width}
  metadata_path: "{1}"
  sprite {{
    image_path: "{2}"
    single_image_dim: {side}
    single_image_dim: {side}
  }}
}}
'''


def _cell(name):
    """The name without what would end a cell of a table."""
    return ' '.join(name.split())


def _sprite(found, positions):
    """uint8 [rows * SIDE, columns * SIDE, 3]: a square of thumbnails, row by row."""
    columns = int(np.ceil(np.sqrt(len(positions))))
    sprite = np.zeros([-(-len(positions) // columns) * SIDE, columns * SIDE, 3], np.uint8)
    for number, position in enumerate(positions.tolist()):
        row, column = SIDE * (number // columns), SIDE * (number % columns)
        sprite[row:row + SIDE, column:column + SIDE] = thumbnail(found.dataset, position)
    return sprite


def thumbnail(dataset, position):
    """uint8 [SIDE, SIDE, 3]: the central square of an image."""
    subject = subjects.of_record(dataset, position)
    return subject.read(preprocessing.decoded_square, side=SIDE).numpy()
