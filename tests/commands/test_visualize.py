"""visualize: which pictures of which images it makes of a checkpoint, what it says, and what it refuses."""
import csv
import os
import re
import sys
import xml.dom.minidom

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf import visualize as module
from alexnet_tf.data import datasets
from alexnet_tf.model import building, specs
from nets import slim_checkpoints
from tests.helpers.commands import call

matplotlib = pytest.importorskip('matplotlib')


@pytest.fixture(scope='module')
def run(tmp_path_factory, narrow_module):
    """The folder of a narrow alexnet with random weights for the sample's classes."""
    folder = tmp_path_factory.mktemp('run')
    names = datasets.open_dataset(datasets.SAMPLE_DIR, 'validation').class_names
    spec = specs.Spec('alexnet', 224, names, (120.0, 110.0, 100.0), 1)
    specs.write_spec(spec, str(folder))
    tf.random.set_seed(1)
    slim_checkpoints.save_slim_checkpoint(building.build(spec), str(folder / 'model.ckpt-7'))
    return folder


@pytest.fixture
def photograph(small_records, tmp_path):
    """A file of a photograph in a folder named as its class."""
    encoded, label = datasets.open_dataset(str(small_records), 'train').example(2)
    path = tmp_path / datasets.open_dataset(str(small_records), 'train').class_names[label] / 'one.jpg'
    path.parent.mkdir()
    path.write_bytes(encoded)
    return path


def visualize(*arguments, **options):
    return call('alexnet_tf.visualize', *arguments, positional='picture', **options)


@pytest.fixture
def saved(monkeypatch):
    """The figures that the command would save, by the names of their files."""
    from alexnet_tf.pictures import figures
    found = {}
    monkeypatch.setattr(figures, 'save', lambda figure, path: found.update({path.rpartition('/')[2]: figure}))
    return found


def test_kernels_are_those_of_the_checkpoint(run, tmp_path, saved):
    from alexnet_tf.pictures import kernels
    path = tmp_path / 'k.png'
    result = visualize('kernels', f'--checkpoint_path={run}', f'--output={path}', check=True)
    assert result.stdout.endswith(f'Wrote {path}\n')
    weights = tf.train.load_checkpoint(str(run / 'model.ckpt-7')).get_tensor('alexnet/conv1/weights')
    first, second = saved['k.png'].axes
    assert first.get_title(loc='left') == '3 kernels of tower 1'  # narrow: six kernels
    np.testing.assert_array_equal(second.images[0].get_array()[:, 12:23], kernels.scaled(weights)[4])
    assert 'alexnet at step 7' in saved['k.png'].texts[0].get_text()


def test_png_and_an_svg_that_is_the_same_twice(tmp_path):
    visualize('network', f'--output={tmp_path / "new" / "n.png"}', check=True)
    assert (tmp_path / 'new' / 'n.png').read_bytes().startswith(b'\x89PNG')
    contents = []
    for name in ('a.svg', 'b.svg'):
        visualize('network', '--model_name=alexnet_v2', f'--output={tmp_path / name}', check=True)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1] and b'<svg' in contents[0]


def test_predictions_know_the_class_of_a_record_and_of_a_file_in_its_folder(
        run, small_records, photograph, tmp_path, saved):
    visualize('predictions', photograph, 'train:2', f'--dataset_dir={small_records}', f'--checkpoint_path={run}',
              f'--output={tmp_path / "p.png"}', check=True)
    file, file_bars, record, record_bars = saved['p.png'].axes
    assert file.get_title(loc='left') == record.get_title(loc='left') == photograph.parent.name
    np.testing.assert_array_equal(file.images[0].get_array(), record.images[0].get_array())
    assert [text.get_text() for text in file_bars.texts] == [text.get_text() for text in record_bars.texts]
    assert file.images[0].get_array().shape == (224, 224, 3)


def test_a_split_gives_three_pictures_and_a_table_that_agree(run, small_records, tmp_path, saved):
    result = visualize('predictions', f'--dataset_dir={small_records}', f'--checkpoint_path={run}',
                       f'--output={tmp_path / "p.png"}', check=True)
    names = 'p-mistakes.png', 'p-confusion.png', 'p-classes.png', 'p-classes.csv'
    assert [line.rpartition('/')[2] for line in result.stdout.splitlines()[-4:]] == list(names)
    lines = list(csv.DictReader((tmp_path / 'p-classes.csv').read_text().splitlines()))
    assert sum(int(line['images']) for line in lines) == 20 and len(lines) == 10
    right = sum(int(line['recognized']) for line in lines)
    assert f'{100 * right / 20:.1f} %' in saved['p-classes.png'].legends[0].texts[0].get_text()
    assert f'of {20 - right} mistakes among 20 images' in saved['p-mistakes.png'].texts[0].get_text()
    shown = [axes.get_title(loc='left') for axes in saved['p-mistakes.png'].axes[::2]]
    validation = datasets.open_dataset(str(small_records), 'validation')
    known = {validation.class_names[validation.example(position)[1]] for position in range(20)}
    assert len(shown) == 8 and set(shown) <= known


def test_augmentations_of_a_file_and_of_its_record_are_the_same(small_records, photograph, tmp_path, saved):
    for name, argument in (('file.png', photograph), ('record.png', 'train:2')):
        visualize('augmentations', argument, f'--dataset_dir={small_records}', '--seed=4',
                  f'--output={tmp_path / name}', check=True)
    one, other = saved['file.png'], saved['record.png']
    for first, second in zip(one.axes, other.axes):
        np.testing.assert_array_equal(first.images[0].get_array(), second.images[0].get_array())
    assert 'one.jpg' in one.texts[0].get_text() and 'train:2' in other.texts[0].get_text()


@pytest.mark.parametrize('kind', ['png', 'svg'])
def test_a_file_whose_name_no_picture_can_hold(kind, small_records, photograph, tmp_path):
    name = photograph.rename(photograph.with_name(os.fsdecode(b'\xff\x1b[31m.jpg')))
    path = tmp_path / f'a.{kind}'
    visualize('augmentations', name, f'--output={path}', check=True)
    if kind == 'svg':
        assert r'\udcff\x1b[31m.jpg' in xml.dom.minidom.parse(str(path)).toxml()


def test_activations_are_of_the_crop_that_is_scored(run, photograph, tmp_path, saved):
    visualize('activations', photograph, f'--checkpoint_path={run}', f'--output={tmp_path / "a.png"}', check=True)
    visualize('predictions', photograph, f'--checkpoint_path={run}', f'--output={tmp_path / "p.png"}', check=True)
    np.testing.assert_array_equal(*(saved[name].axes[0].images[0].get_array() for name in ('a.png', 'p.png')))


def test_alone_it_names_each_picture_with_a_line():
    result = visualize()
    assert result.returncode == 1 and result.stderr.startswith('x: no picture is given; name one of those above')
    for picture in module.PICTURES:
        line = rf'^ +python -m alexnet_tf\.visualize {picture.name} .*\S  +\S'
        assert re.search(line, result.stdout, re.M), picture.name


def test_without_matplotlib_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    result = visualize('network')
    assert result.returncode == 1 and "pip install 'matplotlib>=3.6'" in result.stderr


@pytest.mark.parametrize('arguments, sentence', [
    (['nothing'], 'nothing is no picture; choose one of kernels, network, predictions, curves, augmentations, a'),
    (['kernels', 'a.jpg'], 'kernels takes nothing behind its name; given: a.jpg.'),
    (['curves'], 'curves takes one to six training folders; given: none.'),
    (['network', '--seed=1'], '--seed has no effect with network; leave it out.'),
    (['network', '--output=a.gif'], 'the name of a file that ends in .png or .svg'),
    (['augmentations', 'train:2000'], "train:2000: split 'train' of"),
    (['augmentations', 'no.jpg'], "there is no no.jpg; give a JPEG")])
def test_what_it_refuses(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = visualize(*arguments)
    assert result.returncode == 1 and sentence in result.stderr and not list(tmp_path.iterdir())
