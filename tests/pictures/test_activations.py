"""What layers answer to: receptive fields against published numbers and against the network itself, and the picture."""
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from alexnet_tf.pictures import activations, receptive_fields
from nets import alexnet, rows
from tests.helpers.networks import narrowed, with_larger_weights

SIZE = 224
MEAN = np.array([120, 110, 100], np.float32)


def resolved(table):
    return rows.resolve(narrowed(table, 16), 10)


@pytest.mark.parametrize('name, pixels', [('conv1', 11), ('pool1', 19), ('conv2', 51), ('pool2', 67),
                                          ('conv3', 99), ('conv4', 131), ('conv5', 163), ('pool5', 195)])
@pytest.mark.parametrize('table', [alexnet.ALEXNET, alexnet.ALEXNET_V2], ids=['alexnet', 'alexnet_v2'])
def test_receptive_fields_have_the_sizes_that_are_known_of_alexnet(table, name, pixels):
    """As in Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019."""
    size = 4000  # so large that a place in the middle sees no edge
    table = rows.resolve(table, 10, spatial_squeeze=False)
    place = next(walked.shape[0] for walked in rows.walk(table, size, size) if walked.row.name == name) // 2
    first, end = receptive_fields.field(table, name, size, place)
    assert end - first == pixels


def test_at_the_edges_the_field_ends_with_the_image():
    table = rows.resolve(alexnet.ALEXNET, 10)
    assert receptive_fields.field(table, 'conv1', SIZE, 0) == receptive_fields.field(table, 'norm1', SIZE, 0) == (0, 11)
    assert receptive_fields.field(table, 'conv1', SIZE, 54) == (216, 224)  # 3 of its 11 pixels are padding
    assert receptive_fields.field(table, 'conv2', SIZE, 0) == (0, 8 * 2 + 19)  # two places before it are padding
    assert receptive_fields.field(table, 'fc6', SIZE, 0) == (0, 224)
    source = rows.resolve(alexnet.ALEXNET_SOURCE, 10)
    before, after = (receptive_fields.field(source, name, SIZE, 13) for name in ('norm2', 'norm2b'))
    assert (before[0] - after[0], after[1] - before[1]) == (16, 16)  # two places of 8 pixels on each side


@pytest.fixture(scope='module', params=[alexnet.ALEXNET, alexnet.ALEXNET_V2], ids=['alexnet', 'alexnet_v2'])
def network(request):
    """(model, resolved table, image, its answers)."""
    tf_keras.utils.set_random_seed(2)
    table = resolved(request.param)
    model = with_larger_weights(alexnet.from_table(narrowed(request.param, 16), 10))
    image = np.random.default_rng(1).integers(0, 256, [SIZE, SIZE, 3]).astype(np.uint8)
    return model, table, image, activations.answers(model, table, image, MEAN)


def maps_of(model, name, image):
    inputs = tf.constant(image[np.newaxis], tf.float32) - MEAN
    return tf_keras.Model(model.inputs, model.get_layer(name).output)(inputs)[0].numpy()


def test_the_strongest_maps_come_first(network):
    model, _, image, found = network
    assert list(found) == ['conv1', 'conv2', 'conv3', 'conv4', 'conv5']
    for name, answers in found.items():
        maps = maps_of(model, name, image)
        assert [answer.number for answer in answers] == np.argsort(-maps.max((0, 1)), kind='stable')[:4].tolist()
        for answer in answers:
            np.testing.assert_allclose(answer.values, maps[..., answer.number], rtol=1e-4, atol=1e-3)
            assert answer.values[answer.place] == answer.values.max() == answer.strength


def test_a_value_depends_on_its_patch_and_on_nothing_else(network):
    model, _, image, found = network
    for name in ('conv2', 'conv5'):
        answer = found[name][0]
        top, bottom, left, right = answer.patch
        outside = 255 - image
        outside[top:bottom, left:right] = image[top:bottom, left:right]
        inside = image.copy()
        inside[top:bottom, left:right] = 255 - image[top:bottom, left:right]
        value, same, other = (maps_of(model, name, pixels)[(*answer.place, answer.number)]
                              for pixels in (image, outside, inside))
        assert same == pytest.approx(value, rel=1e-4) and other != pytest.approx(value, rel=1e-2)


def test_the_picture_shows_maps_places_and_patches(network):
    _, _, image, found = network
    figure = activations.draw(found, image, 'title')
    whole, *others = figure.axes
    np.testing.assert_array_equal(whole.images[0].get_array(), image)
    frames = [patch.get_bbox().bounds for patch in whole.patches]
    assert len(others) == 2 * 4 * 5 and len(frames) == 5
    answers = [answer for strongest in found.values() for answer in strongest]
    for answer, shown, patch in zip(answers, others[::2], others[1::2]):
        number, strength = shown.get_title(loc='left').removeprefix('map ').split(': ')
        assert int(number) == answer.number and float(strength) == pytest.approx(answer.strength, abs=0.5)
        np.testing.assert_array_equal(shown.images[0].get_array(), np.maximum(answer.values, 0))
        assert shown.lines[0].get_xydata().tolist() == [[answer.place[1], answer.place[0]]]
        top, bottom, left, right = answer.patch
        np.testing.assert_array_equal(patch.images[0].get_array(), image[top:bottom, left:right])
        assert patch.get_title(loc='left') == f'{right - left}×{bottom - top}'
    top, bottom, left, right = found['conv3'][0].patch
    assert frames[2] == (left - 0.5, top - 0.5, right - left, bottom - top)
