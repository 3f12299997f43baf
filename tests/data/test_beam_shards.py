"""Shards that an Apache Beam pipeline writes are those that the command writes itself."""
import sys

import pytest

from tests.data.test_build_tfrecords import build, colors, contents, jpeg
from tests.helpers.processes import run_python


@pytest.fixture
def images(tmp_path):
    for split, count in (('train', 10), ('val', 2)):
        for name in ('cat', 'dog'):
            (tmp_path / 'images' / split / name).mkdir(parents=True)
            for number in range(count):
                path = tmp_path / 'images' / split / name / f'{name}{number}.jpg'
                path.write_bytes(jpeg(colors([count, number, len(name)])))
    return tmp_path / 'images'


def test_without_beam_the_sentence_names_it(images, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'apache_beam', None)
    with pytest.raises(ValueError, match='--beam_runner needs Apache Beam: pip install apache-beam, or '):
        build(images, tmp_path / 'records', beam_runner='DirectRunner')
    assert not (tmp_path / 'records').exists()


@pytest.mark.slow
def test_several_workers_of_the_local_runner_write_the_same_records(images, tmp_path):
    pytest.importorskip('apache_beam', reason='the pipeline is of Apache Beam')
    shards = {'train': 6, 'validation': 2}
    info = build(images, tmp_path / 'own', shards=shards)
    (tmp_path / 'beam').mkdir()
    (tmp_path / 'beam' / 'train-00000-of-00006.left.partial').touch()  # by a worker that was killed
    command = ['-m', 'alexnet_tf.build_tfrecords', f'--input_dir={images}', f'--output_dir={tmp_path / "beam"}',
               '--train_shards=6', '--validation_shards=2', '--num_processes=2', '--beam_runner=DirectRunner']
    assert '8 shards' in run_python(*command).stdout
    assert contents(tmp_path / 'beam') == contents(tmp_path / 'own') and info['counts']['train'] == 20
    assert 'is finished already' in run_python(*command).stdout
    assert build(images, tmp_path / 'beam', shards=shards) == info


@pytest.mark.slow
@pytest.mark.parametrize('arguments, message', [
    (['--beam_runner=NoSuchRunner'], 'the Beam pipeline failed'),
    (['--beam_runner=DirectRunner', '--beam_options=--runner=NoSuchRunner'], 'the Beam pipeline failed')])
def test_a_pipeline_that_cannot_start_ends_in_a_sentence(arguments, message, images, tmp_path):
    pytest.importorskip('apache_beam', reason='the pipeline is of Apache Beam')
    result = run_python('-m', 'alexnet_tf.build_tfrecords', f'--input_dir={images}', f'--output_dir={tmp_path / "r"}',
                        *arguments, check=False)
    assert result.returncode == 1 and 'Traceback' not in result.stderr
    assert f'build_tfrecords: {message}' in result.stderr.splitlines()[-1]
