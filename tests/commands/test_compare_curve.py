"""compare_curve: epochs, interpolation against the log's own numbers, verdicts, the picture, errors."""
import json
import sys

import pytest

from alexnet_tf import compare_curve
from alexnet_tf.model import specs
from tests.helpers.commands import call

# Some lines of the log of CaffeNet with LRN: (iteration, test accuracy), batch 256; the last two are not among the
# points that the module has.
LOG = ((5000, 0.126464), (30000, 0.363872), (80000, 0.422672), (105000, 0.507616), (305000, 0.565088))
LEFT_OUT = ((90000, 0.420048), (155000, 0.537248))


def write_run(folder, rows, **settings):
    """A training folder. rows: (kind, step, learning rate or accuracy)."""
    names = {'train': 'learning_rate', 'validation': 'accuracy'}
    (folder / 'metrics.jsonl').write_text(''.join(
        json.dumps({'kind': kind, 'step': step, names[kind]: value}) + '\n' for kind, step, value in rows))
    (folder / 'flags.json').write_text(json.dumps(settings))
    return str(folder)


@pytest.fixture
def run(tmp_path):
    """Ten images and batches of 2, so that an epoch has 5 steps; the rate is cut after epoch 2."""
    return write_run(tmp_path, [
        ('train', 5, 0.01), ('validation', 5, 0.13), ('train', 10, 0.01), ('validation', 8, 0.3),
        ('validation', 10, 0.22), ('train', 15, 0.001), ('validation', 15, 0.1)], batch_size=2)


def epoch_of(iteration):
    return iteration * 256 / 1281167


@pytest.mark.parametrize('iteration, accuracy', LOG)
def test_the_reference_has_the_numbers_of_the_log(iteration, accuracy):
    assert compare_curve.caffenet(epoch_of(iteration)) == pytest.approx(100 * accuracy, abs=0.006)


@pytest.mark.parametrize('iteration, accuracy', LEFT_OUT)
def test_points_left_out_lie_near_the_lines(iteration, accuracy):
    assert compare_curve.caffenet(epoch_of(iteration)) == pytest.approx(100 * accuracy, abs=1)


def test_between_points_the_reference_is_a_straight_line():
    assert compare_curve.caffenet(epoch_of(7500)) == pytest.approx((12.6464 + 22.0368) / 2, abs=0.006)
    assert compare_curve.caffenet(0) == 0.1
    assert compare_curve.caffenet(200) == pytest.approx(56.51)


def test_with_the_programs_cuts_the_curve_waits_and_rises_after_them():
    moved, original = compare_curve.caffenet_with_program_cuts, compare_curve.caffenet
    assert moved(12) == original(12)
    assert moved(20.5) == moved(24.9) == pytest.approx(43.64)  # CaffeNet's last value before its first cut
    assert moved(25 + 3) == pytest.approx(original(epoch_of(100000) + 3))
    assert moved(50.9) == pytest.approx(54.41)
    assert moved(51 + 2) == pytest.approx(original(epoch_of(200000) + 2))
    assert moved(90) == pytest.approx(56.51)


def test_the_range_spans_both_schedules_and_ends_at_the_program():
    low, high = compare_curve.expected(22)
    assert low == pytest.approx(43.64 - 1.5) and high == pytest.approx(compare_curve.caffenet(22) + 1.5)
    assert compare_curve.expected(91)[1] == pytest.approx(100 - 40.66 - 1.5 + 1.5)
    assert compare_curve.expected(0)[0] == 0


@pytest.mark.parametrize('epoch, top_1, verdict', [
    (epoch_of(30000), 36.0, 'on course'), (epoch_of(30000), 30.0, '4.9 behind'), (epoch_of(30000), 40.0, '2.1 ahead')])
def test_verdicts_count_points_outside_the_range(epoch, top_1, verdict):
    assert compare_curve.verdict(epoch, top_1) == verdict


def test_steps_become_epochs_and_cuts_are_found(run):
    points, cuts = compare_curve.read_run(run, num_examples=10)
    assert points == [(1.0, 13.0), (1.6, 30.0), (2.0, 22.0), (3.0, 10.0)]
    assert cuts == [3.0]
    assert compare_curve.read_run(run, num_examples=20, batch_size=8)[0][0] == (2.0, 13.0)


def test_the_table_has_one_line_an_epoch(run):
    lines = compare_curve.table(compare_curve.read_run(run, num_examples=10)[0])
    assert [line.split()[0] for line in lines] == ['epoch', '1.0', '2.0', '3.0']
    assert lines[1].endswith('on course') and lines[3].endswith('behind')


@pytest.mark.parametrize('point, cuts, sentence', [
    ((12.0, 41.0), [], 'After 12.0 epochs: 41.0 % top-1, where 39.8 to 42.8 % are expected: on course.'),
    ((12.0, 50.0), [], ': 7.2 points ahead.'),
    ((12.0, 30.0), [], ': 9.8 points behind. Compare flags.json'),
    ((2.0, 10.0), [], 'look again at epoch 5'),
    ((30.0, 44.0), [], 'Its learning rate was cut 0 times, that of the run of 2012 1 times'),
    ((30.0, 44.0), [27.0], 'Compare flags.json'),
    ((2.0, 0.1), [], 'start another run with --hidden_bias=0.1')])
def test_the_judgement_gives_the_likeliest_reason(point, cuts, sentence):
    assert sentence in compare_curve.judgement([point], cuts)


def test_a_picture_is_drawn(run, tmp_path):
    pytest.importorskip('matplotlib')
    picture = tmp_path / 'new' / 'c.png'
    printed = call(compare_curve, f'--train_dir={run}', '--num_examples=10', f'--output={picture}', check=True).stdout
    assert picture.read_bytes().startswith(b'\x89PNG')
    assert printed.endswith(f'The curve is in {picture}.\n')


def test_without_matplotlib_there_is_the_table_and_a_sentence(run, tmp_path, monkeypatch):
    for name in ('matplotlib', 'matplotlib.figure'):
        monkeypatch.setitem(sys.modules, name, None)
    printed = call(compare_curve, f'--train_dir={run}', '--num_examples=10', check=True).stdout
    assert printed.startswith('epoch') and printed.endswith('pip install matplotlib\n')
    assert not (tmp_path / 'curve.png').exists()


def test_a_last_line_that_is_being_written_is_left_out(run, tmp_path):
    with open(tmp_path / 'metrics.jsonl', 'a') as file:
        file.write('{"kind": "valid')
    assert len(compare_curve.read_run(run, num_examples=10)[0]) == 4


@pytest.mark.parametrize('line', ['{"kind": "valid', '[]', '{"kind": "validation", "step": 5}', '',
                                  '{"kind": "validation", "step": 5, "accuracy": NaN}',
                                  '{"kind": "validation", "step": 5, "accuracy": 1' + '0' * 400 + '}'])
def test_a_damaged_line_is_named(run, tmp_path, line):
    path = tmp_path / 'metrics.jsonl'
    lines = path.read_text().splitlines()
    path.write_text('\n'.join([lines[0], line, *lines[1:]]) + '\n')
    with pytest.raises(ValueError, match=r'line 2 of .*metrics\.jsonl is damaged'):
        compare_curve.read_run(run)


def test_folders_that_are_no_imagenet_run_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no such' has no metrics.jsonl; give the --train_dir"):
        compare_curve.read_run(str(tmp_path / 'no such'))
    with pytest.raises(ValueError, match='has no metrics.jsonl; give'):
        compare_curve.read_run(str(tmp_path))
    folder = write_run(tmp_path, [('train', 5, 0.01)], batch_size=2)
    with pytest.raises(ValueError, match='has no validation yet'):
        compare_curve.read_run(folder)
    for wrong in (True, 0, 10 ** 400, 'x'):
        (tmp_path / 'flags.json').write_text(json.dumps({'batch_size': wrong}))
        with pytest.raises(ValueError, match='no flags.json with a batch_size'):
            compare_curve.read_run(folder)
    (tmp_path / 'flags.json').unlink()
    with pytest.raises(ValueError, match='no flags.json with a batch_size; give .* --batch_size'):
        compare_curve.read_run(folder)
    specs.write_spec(specs.Spec('alexnet', 224, ('cat', 'dog'), (1.0, 2.0, 3.0)), folder)
    with pytest.raises(ValueError, match="has 2 classes; the runs to compare with are of ImageNet's 1000"):
        compare_curve.read_run(folder)


def test_the_command_takes_the_folder_with_and_without_its_flag(run):
    options = ['--num_examples=10', '--output=']
    for folder in (run, f'--train_dir={run}'):
        result = call(compare_curve, folder, *options, positional='train_dir', check=True)
        assert 'After 3.0 epochs: 10.0 % top-1' in result.stdout
    refused = call(compare_curve, f'--train_dir={run}', 'another', *options, positional='train_dir')
    assert refused.returncode == 1 and 'not understood: another; it takes one train_dir and flags' in refused.stderr
