"""The ablations: what each variant changes, the table's arithmetic, a small run that is stopped and goes on."""
import json

import pytest

from alexnet_tf.ablation import report, trial, variants
from alexnet_tf.run_folder import lock
from nets import alexnet, rows
from tests.helpers.commands import call

FULL = {variant.name: variant for variant in variants.variants(1.0)}


def sizes(table):
    return {walked.row.name: walked.shape for walked in rows.walk(rows.resolve(table, 1000), 224, 224)}


def convolutions(table):
    return {row.name: row for row in table if isinstance(row, rows.Conv)}


def test_each_variant_changes_one_thing():
    base = FULL['alexnet']
    assert base.table == alexnet.ALEXNET and (base.keep_prob, base.color_noise, base.augment) == (0.5, 0.1, True)
    assert sizes(FULL['2x2 pooling'].table) == sizes(base.table)
    assert {row.size for row in FULL['2x2 pooling'].table if isinstance(row, rows.MaxPool)} == {2}
    assert [row for row in base.table if row.name[:4] != 'norm'] == list(FULL['no LRN'].table)
    tanh = [row.name for row in FULL['tanh'].table if isinstance(row, rows.Activation) and row.kind == 'tanh']
    assert tanh == [f'{name}_tanh' for name in ('conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7')]
    assert not any(row.relu for row in convolutions(FULL['tanh'].table).values())
    one = convolutions(FULL['one half-size tower'].table)
    assert [one[f'conv{number}'].filters for number in range(1, 6)] == [48, 128, 192, 192, 256]
    assert {row.groups for row in one.values()} == {1} and one['fc6'].filters == 4096
    changed = {name: (variant.keep_prob, variant.color_noise, variant.augment)
               for name, variant in FULL.items() if variant.table == base.table}
    assert changed == {'alexnet': (0.5, 0.1, True), 'no dropout': (1.0, 0.1, True),
                       'no color noise': (0.5, 0.0, True), 'no crops or mirrors': (0.5, 0.1, False)}


def test_narrowed():
    narrow = convolutions(variants.narrowed(alexnet.ALEXNET, 0.25))
    assert [narrow[name].filters for name in ('conv1', 'conv2', 'conv5', 'fc6', 'fc8')] == [24, 64, 64, 1024, None]
    assert narrow['conv2'].init.stddev == pytest.approx(0.02)  # a quarter of the inputs, as strong a sum
    assert sizes(variants.narrowed(alexnet.ALEXNET, 0.01))['conv1'] == (55, 55, 2)


def row_of(variant, seed, top_1, ten_views=80.0):
    return {'variant': variant, 'seed': seed, 'parameters': 1000, 'top_1': top_1, 'top_5': 95.0,
            'ten_views': ten_views, 'train_loss': 0.5, 'validation_loss': 0.6, 'curve': [[1, top_1]]}


def test_table_compares_seed_by_seed():
    lines = report.table([row_of('alexnet', 0, 70.0), row_of('tanh', 0, 60.0), row_of('alexnet', 1, 74.0),
                          row_of('tanh', 1, 66.0)]).splitlines()
    assert lines[2].startswith('| alexnet | 1,000 | 72.0 (70.0 to 74.0) |  | 80.0 (80.0 to 80.0) | 0.50 (0.50')
    assert lines[3].startswith('| tanh | 1,000 | 63.0 (60.0 to 66.0) | -9.0 (-10.0 to -8.0) |')
    assert 'six times' in lines[3]
    assert '| +12.5 (+6.0 to +20.0) |' in lines[4]


def ablate(records, folder, *arguments):
    return call('alexnet_tf.ablate', f'--dataset_dir={records}', f'--output_dir={folder}', '--epochs=1',
                '--width=0.02', '--batch_size=8', '--precision=float32', *arguments)


def test_what_results_json_has_is_not_trained_again_and_other_settings_are_refused(
        small_records, tmp_path, monkeypatch):
    trained = []

    def train_variant(variant, seed, dataset, validation, *, folder, **settings):
        trained.append((variant.name, seed))
        assert (len(dataset), len(validation)) == (48, 20) and settings == {
            'epochs': 1.0, 'batch_size': 8, 'learning_rate': 0.01, 'dtype': 'float32'}
        return row_of(variant.name, seed, 70.0)
    monkeypatch.setattr(trial, 'train_variant', train_variant)
    for arguments, runs in ((['--seeds=0', '--only=tanh,no LRN'], [('tanh', 0), ('no LRN', 0)]),
                            (['--seeds=0,7', '--only=tanh'], [('tanh', 7)])):
        trained.clear()
        result = ablate(small_records, tmp_path, *arguments)
        assert result.returncode == 0 and trained == runs, result.stderr
    assert 'Run 2 of 2: tanh, seed 7' in result.stdout and '3 runs; table.md, results.json' in result.stdout
    results = json.loads((tmp_path / 'results.json').read_text())['results']
    assert [(row['variant'], row['seed']) for row in results] == [('tanh', 0), ('no LRN', 0), ('tanh', 7)]
    refused = ablate(small_records, tmp_path, '--learning_rate=0.1')
    assert refused.returncode == 1 and 'is of other settings' in refused.stderr
    with lock.hold(str(tmp_path)):
        refused = ablate(small_records, tmp_path, '--seeds=0', '--only=tanh')
    assert refused.returncode == 1 and f'--output_dir={tmp_path} is in use by process' in refused.stderr


@pytest.mark.slow
def test_a_small_run_goes_on_where_it_was(small_records, tmp_path):
    pytest.importorskip('matplotlib')
    arguments = ['--seeds=0', '--only=alexnet,tanh']
    first = ablate(small_records, tmp_path, *arguments).stdout
    assert 'Run 2 of 2: tanh, seed 0' in first and '2 runs; table.md, results.json and curves.png are in' in first
    known = json.loads((tmp_path / 'results.json').read_text())
    assert [(row['variant'], row['seed'], [epoch for epoch, _ in row['curve']]) for row in known['results']] == [
        ('alexnet', 0, [1.0]), ('tanh', 0, [1.0])]
    # as if killed after the second training, before its results were written
    (tmp_path / 'results.json').write_text(json.dumps(known | {'results': known['results'][:1]}))
    again = ablate(small_records, tmp_path, *arguments).stdout
    assert 'Run 1 of 2' not in again and 'Run 2 of 2' in again and 'Resuming from' in again
    assert json.loads((tmp_path / 'results.json').read_text())['results'] == known['results']
    assert (tmp_path / 'table.md').read_text().startswith('| | parameters |') and (tmp_path / 'curves.png').exists()
