"""The ablations: what each variant changes, the table's arithmetic, a small run that is stopped and goes on."""
import json

import pytest

from alexnet_tf import ablate
from nets import alexnet, rows
from tests.helpers.processes import run_python

FULL = {variant.name: variant for variant in ablate.variants(1.0)}


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
                       'no colour noise': (0.5, 0.0, True), 'no crops or mirrors': (0.5, 0.1, False)}


def test_narrowed():
    narrow = convolutions(ablate.narrowed(alexnet.ALEXNET, 0.25))
    assert [narrow[name].filters for name in ('conv1', 'conv2', 'conv5', 'fc6', 'fc8')] == [24, 64, 64, 1024, None]
    assert narrow['conv2'].init.stddev == pytest.approx(0.02)  # a quarter of the inputs, as strong a sum
    assert sizes(ablate.narrowed(alexnet.ALEXNET, 0.01))['conv1'] == (55, 55, 2)


def test_table_compares_seed_by_seed():
    def row(variant, seed, top_1, ten_views=80.0):
        return {'variant': variant, 'seed': seed, 'parameters': 1000, 'top_1': top_1, 'top_5': 95.0,
                'ten_views': ten_views, 'train_loss': 0.5, 'validation_loss': 0.6, 'curve': [[1, top_1]]}
    lines = ablate.table([row('alexnet', 0, 70.0), row('tanh', 0, 60.0), row('alexnet', 1, 74.0), row('tanh', 1, 66.0)]
                         ).splitlines()
    assert lines[2].startswith('| alexnet | 1,000 | 72.0 (70.0 to 74.0) |  | 80.0 (80.0 to 80.0) | 0.50 (0.50')
    assert lines[3].startswith('| tanh | 1,000 | 63.0 (60.0 to 66.0) | -9.0 (-10.0 to -8.0) |')
    assert 'six times' in lines[3]
    assert '| +12.5 (+6.0 to +20.0) |' in lines[4]


@pytest.mark.slow
def test_a_small_run_goes_on_where_it_was_and_knows_its_settings(small_records, tmp_path):
    pytest.importorskip('matplotlib')
    command = ['-m', 'alexnet_tf.ablate', f'--dataset_dir={small_records}', f'--output_dir={tmp_path}', '--epochs=1',
               '--width=0.02', '--batch_size=8', '--precision=float32']
    first = run_python(*command, '--seeds=0', '--only=alexnet,tanh').stdout
    assert 'Run 2 of 2: tanh, seed 0' in first and '2 runs; table.md, results.json and curves.png are in' in first
    results = json.loads((tmp_path / 'results.json').read_text())['results']
    assert [(row['variant'], row['seed'], [epoch for epoch, _ in row['curve']]) for row in results] == [
        ('alexnet', 0, [1.0]), ('tanh', 0, [1.0])]
    (tmp_path / 'results.json').write_text(json.dumps({
        'settings': json.loads((tmp_path / 'results.json').read_text())['settings'], 'results': results[:1]}))
    again = run_python(*command, '--seeds=0', '--only=alexnet,tanh').stdout
    assert 'Run 1 of 2' not in again and 'Run 2 of 2' in again and 'Resuming from' in again  # killed after training
    assert json.loads((tmp_path / 'results.json').read_text())['results'] == results
    assert (tmp_path / 'table.md').read_text().startswith('| | parameters |') and (tmp_path / 'curves.png').exists()
    refused = run_python(*command, '--seeds=0', '--only=alexnet', '--learning_rate=0.1', check=False)
    assert refused.returncode == 1 and 'is of other settings' in refused.stderr
