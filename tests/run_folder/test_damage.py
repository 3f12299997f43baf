"""Damaged checkpoints and files of others beside them: detected, passed over, left alone."""
import os
import random
import shutil

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.run_folder import checkpoints, metrics
from tests.helpers.saved import content, three_checkpoints


def check_after_damage(folder, contents, what):
    """The newest is detected as damaged, with one warning, or is what it was to the bit."""
    warnings = []
    path = checkpoints.find_intact(str(folder), warnings.append)
    step = checkpoints.step_of(path)
    assert (step, len(warnings)) in ((3, 0), (2, 1)), (what, path, warnings)
    for name, value in content(path).items():
        np.testing.assert_array_equal(value, contents[step][name], err_msg=what)
    return step


@pytest.mark.parametrize('kind', ['index', 'data-00000-of-00001', 'manifest.json'])
def test_a_flipped_byte_or_a_cut_off_file(tmp_path, kind):
    folder, broken = tmp_path / 'whole', tmp_path / 'broken'
    contents = three_checkpoints(folder)
    path = f'model.ckpt-3.{kind}'
    original, detected = (folder / path).read_bytes(), 0
    shutil.copytree(folder, broken)
    random.seed(kind)
    for number in range(120):
        damaged = bytearray(original)
        where = random.randrange(len(original))
        if number % 2:
            damaged[where] ^= 1 << random.randrange(8)
        else:
            del damaged[where:]
        (broken / path).write_bytes(damaged)
        detected += check_after_damage(broken, contents, f'{kind}, case {number} at byte {where}') == 2
    assert detected >= (100 if kind == 'manifest.json' else 120)  # a manifest's blanks mean nothing


def test_all_damaged_or_named_by_file_is_an_error(tmp_path):
    three_checkpoints(tmp_path)
    for step in (1, 2, 3):
        with open(tmp_path / f'model.ckpt-{step}.data-00000-of-00001', 'r+b') as file:
            file.seek(100)
            file.write(b'\x00\xff\x00\xff')
    warnings = []
    with pytest.raises(ValueError, match='model.ckpt-1 is damaged .*not as it was written.*no other checkpoint'):
        checkpoints.find_intact(str(tmp_path), warnings.append)
    assert len(warnings) == 2
    with pytest.raises(ValueError, match='model.ckpt-2 is damaged'):
        checkpoints.find_intact(str(tmp_path / 'model.ckpt-2'))


def test_leftovers_of_a_killed_save_are_removed_and_others_stay(tmp_path):
    three_checkpoints(tmp_path)
    before = sorted(os.listdir(tmp_path))
    for name in ('model.ckpt-4.index', 'model.ckpt-4.data-00000-of-00001',
                 'model.ckpt-5.data-00000-of-00001.tempstate7', 'metrics.jsonl.123.partial',
                 'model.ckpt-4.manifest.json.7.partial'):
        (tmp_path / name).write_bytes(b'half')
    assert checkpoints.find(str(tmp_path)).endswith('model.ckpt-3')
    checkpoints.remove_leftovers(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == before


def test_only_files_of_checkpoints_are_removed_and_said_so(tmp_path):
    three_checkpoints(tmp_path)
    others = ['model.ckpt-1.zip', 'model.ckpt-4.notes.txt', 'model.ckpt-4.index.bak', 'x.7.partial', 'model.ckpt-9']
    for name in others:
        (tmp_path / name).write_text('of the user')
    (tmp_path / 'model.ckpt-1.export').mkdir()
    (tmp_path / 'model.ckpt-4.index').write_text('half')
    lines = []
    checkpoints.remove_leftovers(str(tmp_path), lines.append)
    assert lines == [f'Removed from {tmp_path} what was left half written: model.ckpt-4.index.']
    for step in range(5, 10):
        checkpoints.save(str(tmp_path), step, {'a': tf.constant(1.0)})
    assert {*others, 'model.ckpt-1.export'} <= set(os.listdir(tmp_path))
    assert not (tmp_path / 'model.ckpt-1.index').exists() and len(list(tmp_path.glob('*.index'))) == 5


def test_a_new_checkpoint_stays_when_the_older_ones_cannot_be_removed(tmp_path):
    """/dev/full takes nothing, as a full disk."""
    three_checkpoints(tmp_path)
    (tmp_path / f'checkpoint.{os.getpid()}.partial').symlink_to('/dev/full')
    with pytest.raises(ValueError, match='model.ckpt-4 is written, but not what belongs to it.*No space left'):
        checkpoints.save(str(tmp_path), 4, {'a': tf.constant(1.0)})
    assert checkpoints.find_intact(str(tmp_path)).endswith('model.ckpt-4') and content(str(tmp_path / 'model.ckpt-4'))


@pytest.mark.parametrize('special', ['device', 'pipe'])
@pytest.mark.parametrize('name', ['model.ckpt-4.index', 'checkpoint', 'metrics.jsonl'])
def test_devices_and_pipes_in_a_training_folder_are_refused(tmp_path, special, name):
    if name != 'checkpoint':
        three_checkpoints(tmp_path)
    (tmp_path / name).symlink_to('/dev/zero') if special == 'device' else os.mkfifo(tmp_path / name)
    (tmp_path / 'model.ckpt-4.manifest.json').write_text('{}') if 'index' in name else None
    if name == 'metrics.jsonl':
        with pytest.raises(ValueError, match='is a device, a pipe or a folder'):
            metrics.read(str(tmp_path))
    elif name == 'checkpoint':
        with pytest.raises(ValueError, match='is a device, a pipe or a folder'):
            checkpoints.find(str(tmp_path))
    else:
        lines = []
        assert checkpoints.find_intact(str(tmp_path), lines.append).endswith('model.ckpt-3')
        assert len(lines) == 1 and 'is a device, a pipe or a folder' in lines[0]


def test_a_checkpoint_without_its_manifest_is_passed_over_and_said_so(tmp_path):
    three_checkpoints(tmp_path)
    (tmp_path / 'model.ckpt-3.manifest.json').unlink()
    lines = []
    assert checkpoints.find_intact(str(tmp_path), lines.append).endswith('model.ckpt-2')
    assert len(lines) == 1 and 'model.ckpt-3 has no manifest' in lines[0]


def test_a_state_file_that_is_no_text_says_nothing(tmp_path):
    three_checkpoints(tmp_path)
    for manifest in tmp_path.glob('*.manifest.json'):
        manifest.unlink()  # beside one the file is not read
    (tmp_path / 'checkpoint').write_bytes(b'\x80model_checkpoint_path: "model.ckpt-1"')
    assert checkpoints.find_intact(str(tmp_path)).endswith('model.ckpt-3')


def test_a_name_in_a_manifest_cannot_forge_a_line(tmp_path):
    three_checkpoints(tmp_path)
    (tmp_path / 'model.ckpt-3.manifest.json').write_text('{"\\nResuming from\\u001b[31m": 1}')
    lines = []
    assert checkpoints.find_intact(str(tmp_path), lines.append).endswith('model.ckpt-2')
    assert len(lines) == 1 and lines[0].isprintable() and '\\nResuming from\\x1b[31m is missing' in lines[0]
