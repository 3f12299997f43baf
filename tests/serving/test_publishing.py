"""A folder of versions: what a server that watches it sees, whatever happens to those who publish."""
import concurrent.futures
import os
import stat
import time

import pytest
import tensorflow as tf

from alexnet_tf import export
from alexnet_tf.model import specs
from alexnet_tf.serving import publishing
from tests.helpers.commands import call
from tests.helpers.small_processes import Started

SPEC = specs.Spec('alexnet_v2', 224, (), (120.0, 110.0, 100.0))
WHOLE = {'saved_model.pb', 'fingerprint.pb', 'variables', 'assets', 'classes.txt', 'README.md'}


def write_small(place):
    for name in 'abc':
        with open(os.path.join(place, name), 'w', encoding='utf-8') as file:
            file.write(name)
    return 'written'


def test_the_next_number_is_above_all_that_are_there(tmp_path):
    folder = tmp_path / 'models' / 'flowers'
    assert publishing.publish(str(folder), write_small) == (str(folder / '1'), 'written')
    for name in ('3', 'x9', '8.partial', '-7'):
        (folder / name).mkdir()
    (folder / '005').write_text('a file with the name of a version')
    assert publishing.publish(str(folder), write_small)[0] == str(folder / '6')
    assert publishing.publish(str(folder), write_small)[0] == str(folder / '7')
    assert sorted(os.listdir(folder / '7')) == ['a', 'b', 'c']
    assert stat.S_IMODE((folder / '7').stat().st_mode) == stat.S_IMODE((folder / '3').stat().st_mode)


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def fail(place):
        write_small(place)
        raise OSError('no space left')
    with pytest.raises(OSError, match='no space left'):
        publishing.publish(str(tmp_path), fail)
    assert os.listdir(tmp_path) == []


def test_leftovers_are_removed_but_not_what_another_is_writing(tmp_path):
    (tmp_path / f'{publishing.PREFIX}dead').mkdir()
    (tmp_path / f'{publishing.PREFIX}dead' / 'file').write_text('half')
    (tmp_path / '.another').mkdir()

    def publish_meanwhile(place):
        assert publishing.publish(str(tmp_path), write_small)[0] == str(tmp_path / '1')
        assert not (tmp_path / f'{publishing.PREFIX}dead').exists()
        return write_small(place)
    assert publishing.publish(str(tmp_path), publish_meanwhile)[0] == str(tmp_path / '2')
    assert sorted(os.listdir(tmp_path)) == ['.another', '1', '2']


def test_many_at_once_get_different_numbers(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: publishing.publish(str(tmp_path), write_small)[0], range(40)))
    assert sorted(map(os.path.basename, made), key=int) == [str(number) for number in range(1, 41)]
    assert all(sorted(os.listdir(path)) == ['a', 'b', 'c'] for path in made)
    assert len(os.listdir(tmp_path)) == 40


@pytest.mark.parametrize('arguments, sentence', [
    (['--output_dir={}/a', '--publish_dir={}/b'], '--output_dir has no effect with --publish_dir'),
    ([], '--output_dir=FOLDER or --publish_dir=FOLDER is missing'),
    (['--publish_dir={}/b', '--to=npz'], '--publish_dir has no effect with --to=npz'),
    (['--publish_dir={}/file'], 'cannot be a folder')])
def test_wrong_places_are_refused(arguments, sentence, tmp_path):
    (tmp_path / 'file').write_text('')
    result = call(export, *(argument.format(tmp_path) for argument in arguments))
    assert result.returncode == 1 and sentence in result.stderr
    assert os.listdir(tmp_path) == ['file']


# Kills ---------------------------------------------------------------------------------------------------


def versions(folder):
    """Paths of the versions in a folder, as a server finds them; each must be whole at once."""
    found = [folder / name for name in os.listdir(folder) if name.isdigit()] if folder.exists() else []
    for path in found:
        assert set(os.listdir(path)) >= WHOLE, path
    return found


def started(run, folder):
    return Started('alexnet_tf.export', f'--checkpoint_path={run}', f'--publish_dir={folder}', module='narrow')


def places(folder):
    """Names of the folders that exports are writing, or have left."""
    return {name for name in os.listdir(folder) if name.startswith(publishing.PREFIX)} if folder.exists() else set()


def kill(process, folder, name, seconds):
    """Kills an export so many seconds after it has begun to write a name, or when it has ended; watches as a server.

    name: '' for the folder that it writes.
    """
    start, before, left = None, len(versions(folder)), places(folder)
    while process.returncode is None and len(versions(folder)) == before and (
            start is None or time.monotonic() < start + seconds):
        time.sleep(0.001)
        if start is None and any((folder / place / name).exists() for place in places(folder) - left):
            start = time.monotonic()
    process.kill()
    process.wait(60)


def check_kills(run, folder, moments, at_the_end):
    """Kills exports at moments, (name, seconds) of `kill`; then some at once end well."""
    published, killed = 0, 0
    for moment in moments:
        kill(started(run, folder), folder, *moment)
        found = len(versions(folder))
        assert published <= found <= published + 1
        killed += found == published
        published = found
    assert killed
    for process in [started(run, folder) for _ in range(at_the_end)]:
        assert process.communicate().startswith('Exported alexnet_v2 at step 0')
    assert sorted(os.listdir(folder), key=int) == [str(number + 1) for number in range(published + at_the_end)]
    weights = {(path / 'variables' / 'variables.data-00000-of-00001').read_bytes() for path in versions(folder)}
    assert len(weights) == 1
    for path in versions(folder):
        tf.saved_model.load(str(path))


def test_a_killed_export_leaves_a_whole_version_or_none(run, tmp_path):
    check_kills(run, tmp_path / 'models', [('saved_model.pb', 0)], at_the_end=1)


@pytest.mark.slow
def test_exports_killed_at_thirty_moments(run, tmp_path):
    moments = [('', number / 10) for number in range(20)] + [('README.md', number / 1000) for number in range(10)]
    check_kills(run, tmp_path / 'models', moments, at_the_end=3)
