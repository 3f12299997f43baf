"""Learning curves: the numbers of metrics.jsonl, at their epochs, each run told from the others, drops marked."""
import json

import pytest

from alexnet_tf.pictures import curves


def write_run(folder, rows, **settings):
    """A training folder. rows: of metrics.jsonl."""
    folder.mkdir()
    (folder / 'metrics.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    (folder / 'flags.json').write_text(json.dumps(settings))
    return str(folder)


def train(step, loss, rate):
    return {'kind': 'train', 'step': step, 'loss': loss, 'learning_rate': rate}


def validation(step, loss, accuracy):
    return {'kind': 'validation', 'step': step, 'loss': loss, 'accuracy': accuracy}


ROWS = [train(5, 2.0, 0.01), validation(10, 1.9, 0.25), train(15, 1.5, 0.001), validation(20, 1.4, 0.5),
        train(25, 1.2, 0.0009), validation(25, 1.5, 0.45)]
DATA = {'batch_size': 4, 'dataset': '40 records of 900 bytes, checksum of their lengths 1'}


@pytest.fixture
def one(tmp_path):
    return write_run(tmp_path / 'one', ROWS, **DATA)


def lines(axes):
    """{label: [(x, y)]} of the curves; lines that mark drops are left out."""
    return {line.get_label(): [(float(x), float(y)) for x, y in zip(*line.get_data())] for line in axes.lines
            if not line.get_label().startswith('_')}


def test_steps_become_epochs(one):
    run = curves.read(one)
    assert run.in_epochs and run.name == 'one'  # ten steps an epoch
    assert run.losses == [(0.5, 2.0), (1.5, 1.5), (2.5, 1.2)]
    assert run.validation_losses == [(1.0, 1.9), (2.0, 1.4), (2.5, 1.5)]
    assert run.accuracies == [(1.0, 25.0), (2.0, 50.0), (2.5, 45.0)]
    assert run.drops == [(1.5, 0.01, 0.001)]


def test_what_is_drawn(one, tmp_path):
    two = write_run(tmp_path / 'two', [train(10, 1.0, 0.1)], **DATA)
    above, below = curves.draw([curves.read(one), curves.read(two)]).axes
    assert lines(above) == {'one: training': [(0.5, 2.0), (1.5, 1.5), (2.5, 1.2)],
                            'one: validation': [(1.0, 1.9), (2.0, 1.4), (2.5, 1.5)], 'two: training': [(1.0, 1.0)]}
    assert lines(below) == {'one: 45.0 % (best 50.0 %)': [(1.0, 25.0), (2.0, 50.0), (2.5, 45.0)]}
    marks = [line.get_xdata()[0] for line in below.lines if line.get_label().startswith('_')]
    assert marks == [1.5] and [text.get_text() for text in above.texts] == ['0.01 → 0.001']
    assert below.get_xlabel() == 'epoch (dotted: the first log line with a lower learning rate)'
    colors = [line.get_color() for line in above.lines if 'training' in line.get_label()]
    assert len(set(colors)) == 2


def test_the_axis_begins_at_0_and_has_whole_epochs(one):
    below = curves.draw([curves.read(one)]).axes[1]
    assert below.get_xlim()[0] == 0 and all(tick == int(tick) for tick in below.get_xticks())


def test_a_run_that_does_not_tell_its_epochs_is_drawn_by_steps_and_alone(one, tmp_path):
    other = curves.read(write_run(tmp_path / 'other', ROWS, batch_size=4))
    above, below = curves.draw([other]).axes
    assert below.get_xlabel().startswith('step (') and lines(above)['other: training'][0] == (5, 2.0)
    with pytest.raises(ValueError, match='draw them apart'):
        curves.draw([other, curves.read(one)])


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'has no metrics\.jsonl; give the --train_dir'):
        curves.read(str(tmp_path))
