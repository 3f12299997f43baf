"""Crops of training: scale jitter, and what is left without augmentation."""
import numpy as np
import tensorflow as tf

from alexnet_tf.data import preprocessing


def test_scale_jitter_and_no_augmentation():
    image = np.random.default_rng(2).integers(0, 256, [300, 400, 3], np.uint8)
    encoded = tf.io.encode_png(image).numpy()
    plain = preprocessing.training_image(encoded, [1, 2])
    np.testing.assert_array_equal(preprocessing.training_image(encoded, [1, 2], resize_side_max=256), plain)
    jittered = [preprocessing.training_image(encoded, [1, number], resize_side_max=512) for number in range(4)]
    assert all(one.shape == (224, 224, 3) for one in jittered)
    # Larger squares are smoother: neighboring pixels differ less.
    def roughness(image):
        return np.abs(np.diff(image.numpy().astype(int), axis=1)).mean()
    assert len({round(roughness(one), 3) for one in jittered}) == 4
    assert min(map(roughness, jittered)) < roughness(plain)
    center = preprocessing.central_crop(preprocessing.evaluation_image(encoded), 224)
    np.testing.assert_array_equal(preprocessing.training_image(encoded, [1, 2], augment=False), center)
