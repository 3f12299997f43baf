"""retrieval: what its tasks write and print, and what they refuse."""
import csv
import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf import retrieval as module
from alexnet_tf.data import datasets
from alexnet_tf.model import features
from alexnet_tf.neighbors import answers, codes, index
from alexnet_tf.pictures import subjects
from tests.helpers.commands import call

pytest.importorskip('faiss')
pytest.importorskip('matplotlib')


def retrieval(*arguments, **options):
    return call('alexnet_tf.retrieval', *arguments, positional='task', **options)


@pytest.fixture
def saved(monkeypatch):
    """The figures that the command would save."""
    from alexnet_tf.pictures import figures
    found = []
    monkeypatch.setattr(figures, 'save', lambda figure, path: found.append(figure))
    return found


@pytest.fixture
def with_codes(copied, monkeypatch):
    """The folder of an index with codes of 32 bits, which learned for five steps."""
    monkeypatch.setattr(codes, 'STEPS', 5)
    result = retrieval('codes', f'--index={copied}', '--bits=32', '--seed=3', check=True)
    assert f'Wrote {copied}/codes-32.npz: 48 codes of 4 bytes\n' in result.stdout
    return copied


def test_build_takes_the_split_of_the_flags(loaded, built, small_records, narrow, tmp_path):
    result = retrieval('build', f'--checkpoint_path={loaded.checkpoint}', f'--dataset_dir={small_records}',
                       '--batch_size=7', '--dataset_split_name=validation', f'--output={tmp_path / "new"}', check=True)
    found = index.open_index(str(tmp_path / 'new'))
    assert (len(found), found.about.split, found.about.batch_size) == (20, 'validation', 7)
    assert found.about.network == index.open_index(str(built)).about.network
    assert f'{tmp_path / "new"} will take 0.0 MB: 20 images of 256 features in float16.' in result.stdout
    assert f'--index={tmp_path / "new"}' in result.stdout.splitlines()[-1]


def test_alone_it_names_each_task_with_a_line():
    result = retrieval()
    assert result.returncode == 1 and result.stderr.startswith('x: no task is given; name one of those above')
    for task in module.TASKS:
        assert re.search(rf'^ +python -m alexnet_tf\.retrieval {task.name} .*\S  +\S', result.stdout, re.M), task.name


@pytest.fixture
def decoded(monkeypatch):
    """The names of the images that are decoded, one for each time."""
    names, read = [], subjects.Subject.read
    monkeypatch.setattr(subjects.Subject, 'read', lambda self, *arguments, **options: (
        names.append(self.name), read(self, *arguments, **options))[1])
    return names


def test_query_shows_and_says_the_nearest(loaded, built, narrow, tmp_path, saved, decoded):
    found = index.open_index(str(built))
    photograph = tmp_path / 'one.jpg'
    photograph.write_bytes(found.example(30)[0])
    result = retrieval('query', 'train:7', photograph, f'--index={built}', f'--output={tmp_path / "q.png"}', check=True)
    first, *lines = result.stdout.splitlines()
    assert first == f'train:7 ({found.class_names[found.labels[7]]})' and lines[6] == 'one.jpg'
    said = [int(line.split()[1].removeprefix('train:')) for line in lines[:6] + lines[7:13]]
    vectors = found.vectors.astype(float)
    nearest = [np.argsort(np.linalg.norm(vectors - vectors[position], axis=1)).tolist() for position in (7, 30)]
    assert said == nearest[0][1:7] + nearest[1][:6]  # a record is no answer to itself, a file may be one of them
    titles = [axes.get_title(loc='left').removesuffix(' ✓') for axes in saved[0].axes]
    assert titles[1:7] + titles[8:] == [found.class_names[found.labels[position]] for position in said]
    title, *below = [text.get_text() for text in saved[0].texts]
    words = [line.split()[:2] for line in lines[:6] + lines[7:13]]
    assert below[1:7] + below[8:] == [f'{name}\n{distance}' for distance, name in words]
    assert (below[0], below[7]) == ('train:7', 'one.jpg') and '✓ and bold' in title
    assert decoded.count('one.jpg') == 1 and len(decoded) == 2 + 12
    ticks = ['✓' in axes.get_title(loc='left') for axes in saved[0].axes]
    assert ticks[1:7] == [found.labels[position] == found.labels[7] for position in said[:6]] and not any(ticks[7:])
    assert saved[0].axes[8].images[0].get_array().shape == (224, 224, 3)
    np.testing.assert_array_equal(saved[0].axes[7].images[0].get_array(), saved[0].axes[8].images[0].get_array())


def test_a_tick_is_explained_where_one_can_be(loaded, built):
    found = index.open_index(str(built))
    unknown, known = (answers.Answer(subjects.Subject(b'', 'a.jpg'), np.zeros([8, 8, 3]), truth, (1,), ('2.0',))
                      for truth in (None, 3))
    assert '✓' not in answers.title(found, loaded, [unknown], None)
    assert answers.title(found, loaded, [unknown, known], None).endswith(
        'below each its record and its distance; ✓ and bold: of the same class')


def test_a_name_cannot_make_lines_of_its_own(copied):
    found = index.open_index(str(copied))
    about = dataclasses.replace(found.about, class_names=('a\nb\x1b',) * 10)
    answer = answers.Answer(subjects.Subject(b'', 'c\nd.jpg'), np.zeros([8, 8, 3]), 3, (1,), ('2.0',))
    assert list(answers.lines(dataclasses.replace(found, about=about), [answer])) == [
        'c\\nd.jpg (a\\nb\\x1b)', '        2.0  train:1  a\\nb\\x1b']


def test_query_by_codes(loaded, with_codes, narrow, tmp_path, saved):
    result = retrieval('query', 'validation:3', f'--index={with_codes}', '--bits=32', f'--output={tmp_path / "q.png"}',
                       check=True)
    found = index.open_index(str(with_codes))
    encoder, stored = codes.read(found, 32)
    from alexnet_tf.data import preprocessing
    image = preprocessing.evaluation_image(found.open_split('validation').example(3)[0])
    asked = encoder.encode(features.of_squares(loaded)(tf.stack([image])).numpy())
    differ = np.unpackbits(asked ^ stored, axis=1).sum(1)
    lines = result.stdout.splitlines()[1:7]
    assert [int(line.split()[0]) for line in lines] == np.sort(differ)[:6].tolist()
    assert all(line.split()[1] == 'bits' for line in lines) and 'by codes of 32 bits' in saved[0].texts[0].get_text()


def test_measure_writes_both_tables(with_codes, narrow, tmp_path):
    result = retrieval('measure', f'--index={with_codes}', '--bits=32', '--queries=9', f'--output={tmp_path / "m.md"}',
                       check=True)
    rows = list(csv.reader((tmp_path / 'm.csv').read_text().splitlines()))
    assert [row[0] for row in rows] == ['searched by', 'fc7', 'codes of 32 bits', 'random projection, 32 bits',
                                        'pixels, 32×32']
    table = (tmp_path / 'm.md').read_text().splitlines()
    for row, line in zip(rows[1:], table[2:]):
        assert line.startswith(f'| {row[0]} | {int(row[1]):,} | {float(row[2]):.3f} | ')
    assert '9 images in ' not in result.stdout and '9 images of validation in ' in result.stdout


def test_projector_writes_so_many(built, tmp_path):
    result = retrieval('projector', f'--index={built}', '--images=5', f'--output={tmp_path}', check=True)
    assert 'of 5 of 48 images' in result.stdout
    assert (tmp_path / 'features.bytes').stat().st_size == 5 * 256 * 4


@pytest.mark.parametrize('arguments, sentence', [
    (['nothing'], 'nothing is no task; choose one of build, query, codes, measure, projector.'),
    (['query'], 'query takes one to twenty images; given: none.'),
    (['codes', 'a.jpg'], 'codes takes nothing behind its name; given: a.jpg.'),
    (['build'], 'build needs --output. Of build and projector: the folder to write.'),
    (['query', 'a.jpg'], 'query needs --index. Folder of an index that build has made.'),
    (['build', '--output=x', '--seed=1'], '--seed has no effect with build; leave it out.'),
    (['codes', '--index={built}', '--bits=33'], '--bits=33; it must be one of 32, 64, 128.'),
    (['query', 'train:1', '--index={built}', '--bits=32,64'], '--bits=32,64; query searches by codes of one length.'),
    (['query', 'train:1', '--index={built}', '--output=a.gif'], 'the name of a file that ends in .png or .svg'),
    (['measure', '--index={built}', '--output=a.txt'], 'it must be the name of a file that ends in .csv or .md'),
    (['codes', '--index=x'], 'there is no index in x; python -m alexnet_tf.retrieval build --output=x makes one'),
    (['projector', '--index={built}', '--output=x', '--dataset_dir=no'], "the dataset folder 'no' does not exist"),
    *((arguments, 'has other records than those that') for arguments in (
        ['query', 'train:1', '--index={built}', '--dataset_dir={sample}'],
        ['measure', '--index={built}', '--dataset_dir={sample}'])),
    (['query', 'train:1', '--index={built}', '--checkpoint_path=no'], 'no checkpoint at --checkpoint_path=no; '),
    (['query', 'train:48', '--index={built}'], "train:48: split 'train' of"),
    (['query', 'no.jpg', '--index={built}'], "there is no no.jpg; give a JPEG"),
    (['query', 'train:1', '--index={built}', '--bits=64'], 'has no codes of 64 bits; make some: python -m')])
def test_what_it_refuses(arguments, sentence, built, narrow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = retrieval(*(argument.format(built=built, sample=datasets.SAMPLE_DIR) for argument in arguments))
    assert result.returncode == 1 and sentence in result.stderr and not list(tmp_path.iterdir())
    assert not result.stdout  # no answer before the refusal
