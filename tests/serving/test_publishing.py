"""A folder of versions: what a server that watches it sees, whatever happens to those who publish."""
import concurrent.futures
import os
import stat
import time

import pytest
import tensorflow as tf

from alexnet_tf import export
from alexnet_tf.serving import publishing
from tests.helpers.commands import call
from tests.helpers.small_processes import Started

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


def wait_for(condition, process):
    """Watches, as a server does, until the condition holds or the process ends. Returns: seconds."""
    start = time.monotonic()
    while process.returncode is None and not condition():
        time.sleep(0.002)
    return time.monotonic() - start


def check_kills(run, folder, count):
    """Kills exports at `count` moments, from their first write to after their last; then two at once end well."""
    def begun():
        return folder.exists() and any(name.startswith(publishing.PREFIX) for name in os.listdir(folder))
    whole = started(run, folder)
    wait_for(begun, whole)
    seconds = wait_for(lambda: versions(folder), whole)
    assert whole.wait(60) == 0
    published, reference = 1, (folder / '1' / 'variables' / 'variables.data-00000-of-00001').read_bytes()
    killed = 0
    for number in range(count):
        process = started(run, folder)
        while process.returncode is None and not (begun() or len(versions(folder)) > published):
            time.sleep(0.002)
        deadline = time.monotonic() + seconds * (number + 0.5) / count
        while time.monotonic() < deadline and process.returncode is None:
            versions(folder)
        process.kill()
        process.wait(60)
        found = versions(folder)
        assert published <= len(found) <= published + 1
        killed += len(found) == published
        published = len(found)
        for path in found:
            assert (path / 'variables' / 'variables.data-00000-of-00001').read_bytes() == reference
    assert killed
    for process in [started(run, folder), started(run, folder)]:
        assert process.communicate().startswith('Exported alexnet at step 0')
    assert sorted(os.listdir(folder), key=int) == [str(number + 1) for number in range(published + 2)]
    for path in versions(folder)[-2:]:
        tf.saved_model.load(str(path))


def test_a_killed_export_leaves_a_whole_version_or_none(run, tmp_path):
    check_kills(run, tmp_path / 'models', 3)


@pytest.mark.slow
def test_exports_killed_at_thirty_moments(run, tmp_path):
    check_kills(run, tmp_path / 'models', 30)
