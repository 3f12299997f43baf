"""--resize_mode=warp: training, evaluation and export of a network see the same squares."""
import io
import json

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import folder_builder
from alexnet_tf.model import loading
from tests.helpers.commands import call


@pytest.fixture(scope='module')
def encoded(tmp_path_factory):
    """(folder of records, {label: JPEG}): an image of 150 x 400 pixels for each of two classes."""
    folder, images, random = tmp_path_factory.mktemp('wide'), {}, np.random.default_rng(3)
    for label, name in enumerate('ab'):
        pixels = tf.image.resize(random.uniform(0, 255, [3, 8, 3]), [150, 400], 'bicubic')
        images[label] = tf.io.encode_jpeg(tf.cast(tf.clip_by_value(pixels, 0, 255), tf.uint8)).numpy()
        for split in ('train', 'val'):
            (folder / 'images' / split / name).mkdir(parents=True)
            (folder / 'images' / split / name / '1.jpg').write_bytes(images[label])
    folder_builder.build(str(folder / 'images'), str(folder / 'records'), num_processes=1, log=lambda _: None)
    return folder / 'records', images


def scores(run, records, folder, *arguments):
    """{label: logits} of the evaluation."""
    call('eval_image_classifier', f'--checkpoint_path={run}', f'--dataset_dir={records}', f'--eval_dir={folder}',
         f'--scores_file={folder}/scores.npz', *arguments, check=True)
    with np.load(folder / 'scores.npz') as found:
        return dict(zip(found['labels'].tolist(), found['scores']))


def test_a_network_is_evaluated_and_exported_as_it_was_trained(encoded, tmp_path):
    image_module = pytest.importorskip('PIL.Image', reason='Pillow is the independent program')
    records, images = encoded
    train = ['train_image_classifier', f'--dataset_dir={records}', f'--train_dir={tmp_path / "run"}', '--batch_size=2',
             '--precision=float32', '--learning_rate=0.001', '--max_number_of_steps=1']
    call(*train, '--resize_mode=warp', check=True)
    assert json.loads((tmp_path / 'run' / 'model.json').read_text())['resize_mode'] == 'warp'
    loaded = loading.load(str(tmp_path / 'run'))
    found, other = scores(tmp_path / 'run', records, tmp_path), scores(tmp_path / 'run', records, tmp_path,
                                                                       '--resize_mode=shorter_side')
    call('alexnet_tf.export', f'--checkpoint_path={tmp_path / "run"}', f'--output_dir={tmp_path / "out"}', check=True)
    served = tf.saved_model.load(str(tmp_path / 'out')).signatures['serve_bytes']
    for label, data in images.items():
        pixels = image_module.open(io.BytesIO(data))
        square = np.asarray(pixels.resize((256, 256), image_module.Resampling.BILINEAR), np.float32)
        wanted = loaded.model(square[np.newaxis, 16:240, 16:240] - loaded.mean).numpy()[0]
        spread = np.abs(found[label] - other[label]).max()
        assert spread > 0
        assert np.abs(found[label] - wanted).max() < 0.2 * spread  # a gray level here and there
        np.testing.assert_allclose(served(image_bytes=tf.constant([data]))['logits'][0], found[label], rtol=1e-4,
                                   atol=0.01 * spread)
    refused = call(*train, '--resize_mode=shorter_side')
    assert refused.returncode == 1 and "resize_mode 'warp', not 'shorter_side'" in refused.stderr
