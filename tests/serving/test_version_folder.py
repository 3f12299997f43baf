"""What stands beside a SavedModel: warm-up requests, class names, the model card; and its precision."""
import json
import os
import shlex
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from alexnet_tf import export
from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.model import loading, specs
from alexnet_tf.script_flags import train
from alexnet_tf.serving import card, saved_model
from tests.helpers.commands import call, flags_of

# The original program's variant: two normalizations, and dropout that is halved at test.
SPEC = specs.Spec('alexnet', 224, (), (120.0, 110.0, 100.0), variant='source', unscaled_dropout=0.5)


@pytest.fixture(scope='module')
def published(run, tmp_path_factory):
    """(folder of a version in bfloat16, the loaded SavedModel, what the command said)."""
    folder = tmp_path_factory.mktemp('models') / 'flowers'
    said = call(export, f'--checkpoint_path={run}', f'--publish_dir={folder}', '--precision=bfloat16',
                '--license=CC BY 4.0', check=True).stdout
    return folder / '1', tf.saved_model.load(str(folder / '1')), said


def test_bfloat16_has_half_the_size_and_nearly_the_numbers(run, published):
    folder, model, _ = published
    exact = loading.load(str(run)).model
    prefix = str(folder / 'variables' / 'variables')
    assert os.path.getsize(f'{prefix}.data-00000-of-00001') < 2.05 * exact.count_params()
    stored = tf.train.load_checkpoint(prefix)
    types = stored.get_variable_to_dtype_map()
    assert [kind for kind in types.values() if kind.is_floating] == [tf.bfloat16] * 16
    shapes = stored.get_variable_to_shape_map().values()
    assert [len(shape) for shape in shapes].count(2) == 3  # fc6 to fc8: a row of weights for each output
    dataset = datasets.open_dataset(datasets.SAMPLE_DIR, 'validation')
    encoded = [dataset.example(position)[0] for position in range(8)]
    crops = tf.stack([preprocessing.evaluation_image(image) for image in encoded])[:, 16:240, 16:240]
    both = tf_keras.Model(exact.input, [exact.output, exact.get_layer('fc7').output])
    logits, features = both(tf.cast(crops, tf.float32) - SPEC.mean)
    for expected, values in ((logits, model.signatures['serve_bytes'](image_bytes=tf.constant(encoded))['logits']),
                             (logits, model.signatures['serving_default'](images=tf.cast(crops, tf.float32))['logits']),
                             (features[:, 0, 0], model.signatures['features'](image_bytes=tf.constant(encoded))[
                                 'features'])):
        assert values.dtype == tf.float32 and values.shape == expected.shape
        assert 0 < np.abs(values - expected).max() < 0.05 * np.abs(expected).max()


def test_an_empty_batch_of_the_original_network(published):
    for name, signature in published[1].signatures.items():
        takes = signature.structured_input_signature[1]
        answer = signature(**{key: tf.zeros([0, *spec.shape[1:]], spec.dtype) for key, spec in takes.items()})
        assert {values.shape[0] for values in answer.values()} == {0}, name


def test_warm_up_requests_are_answered_by_every_signature(published):
    pytest.importorskip('tensorflow_serving', reason='needs tensorflow-serving-api')
    from tensorflow_serving.apis import prediction_log_pb2
    folder, model, said = published
    seen = []
    for record in tf.data.TFRecordDataset(str(folder / 'assets.extra' / 'tf_serving_warmup_requests')):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof('log_type') == 'predict_log'
        request = log.predict_log.request
        assert request.model_spec.name == 'flowers' and not request.model_spec.WhichOneof('version_choice')
        name = request.model_spec.signature_name
        answer = model.signatures[name](**{key: tf.constant(tf.make_ndarray(proto))
                                           for key, proto in request.inputs.items()})
        assert {values.shape[0] for values in answer.values()} == {1}
        assert np.all(answer.get('valid', True))
        seen.append(name)
    assert sorted(seen) == sorted(model.signatures)
    assert 'warm-up' not in said


@pytest.mark.parametrize('arguments, name', [
    (['--publish_dir=models/flowers'], 'flowers'), (['--output_dir=models/flowers/12'], 'flowers'),
    (['--output_dir=exported/'], 'exported'), (['--publish_dir=models', '--served_name=net'], 'net')])
def test_the_name_in_the_requests(arguments, name):
    with flags_of(export.ROWS) as known:
        known(['export', *arguments])
        assert export.served_name() == name


def test_without_the_messages_the_export_goes_on_and_says_so(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorflow_serving', None)
    monkeypatch.setitem(sys.modules, 'tensorflow_serving.apis', None)
    monkeypatch.setattr(saved_model, 'export', lambda *_: ['serve_bytes'])
    said = call(export, f'--checkpoint_path={run}', f'--output_dir={tmp_path / "new"}', check=True).stdout.splitlines()
    assert said[0].startswith('No warm-up requests') and 'pip install tensorflow-serving-api' in said[0]
    assert said[1].startswith('Exported alexnet') and not (tmp_path / 'new' / 'assets.extra').exists()


def test_class_names_stand_in_their_order(published):
    names = (published[0] / 'classes.txt').read_text().splitlines()
    assert names == ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']


def test_the_card_of_an_untrained_network_claims_nothing(published):
    text = (published[0] / 'README.md').read_text()
    size = sum(path.stat().st_size for path in published[0].rglob('*') if path.is_file()) - len(text.encode())
    assert '# alexnet, variant source' in text and 'Not known: there is no flags.json' in text
    assert 'Not measured: there is no evaluation' in text and 'Weights: CC BY 4.0.' in text
    assert f'parameters in bfloat16; {size / 1e6:,.1f} MB' in text


def test_the_card_tells_recipe_data_and_accuracy(run, published, tmp_path):
    for path in run.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = {row.name: row.default for row in train.ROWS if not row.refused} | {
        'dataset_dir': '/home/somebody/a set', 'train_dir': '/home/somebody/runs/one', 'model_name': 'alexnet',
        'num_epochs': 3.5, 'decay_epochs': ['1', '2'], 'ignore_missing_vars': True}
    (tmp_path / 'flags.json').write_text(json.dumps(settings | {'dataset': '9469 records of 5 bytes, checksum 1'}))
    (tmp_path / 'metrics.jsonl').write_text(''.join(json.dumps({
        'kind': 'validation', 'step': step, 'accuracy': accuracy, 'recall_5': 0.9, 'loss': 1.0}) + '\n'
        for step, accuracy in ((0, 0.25), (9, 0.75))))
    results = {'checkpoint': '/elsewhere/model.ckpt-0', 'global_step': 0, 'dataset_dir': '/home/somebody/a set',
               'views': 10, 'num_examples': 1959, 'accuracy': 0.785, 'recall_5': 0.96, 'loss': 1.0, 'bad_records': 0}
    (tmp_path / 'eval').mkdir()
    (tmp_path / 'eval' / 'eval_results.json').write_text(json.dumps(results))
    os.utime(tmp_path / 'eval' / 'eval_results.json', (1e9, 1e9))

    def text():
        return card.text(loading.load(str(tmp_path)), str(published[0]), recipe=export.training_command,
                         weights_license=None)
    found = text()
    command = next(line for line in found.splitlines() if 'train_image_classifier.py' in line)
    assert sorted(shlex.split(command)) == sorted([
        'python', 'train_image_classifier.py', '--train_dir=one', '--dataset_dir=a set', '--model_name=alexnet',
        '--ignore_missing_vars', '--decay_epochs=1,2', '--num_epochs=3.5'])
    assert 'the 9,469 images of `a set`' in found and '/home/' not in found
    assert 'Top-1 78.50 %, top-5 96.00 % of 1,959 images with 10 views, 2001-09-09:' in found
    assert f"--checkpoint_path={tmp_path.name} '--dataset_dir=a set' --views=10" in found
    assert 'Top-1 25.00 %' in found and '75.00 %' not in found and 'Weights: not stated' in found
    (tmp_path / 'eval' / 'eval_results.json').write_text(json.dumps(results | {'dataset_split_name': 'test'}))
    assert "'--dataset_dir=a set' --dataset_split_name=test --views=10" in text()
    for other in '/x/model.ckpt-9', '/x/model.ckpt-0,/y/model.ckpt-0':  # the second: of two networks together
        (tmp_path / 'eval' / 'eval_results.json').write_text(json.dumps(results | {'checkpoint': other}))
        assert '78.50' not in text()
    (tmp_path / 'eval' / 'eval_results.json').write_text(json.dumps(results | {'accuracy': 'high'}))
    with pytest.raises(ValueError, match='accuracy is'):
        text()
    (tmp_path / 'eval' / 'eval_results.json').unlink()
    loaded = loading.load(str(tmp_path))
    for path in tmp_path.glob('model.ckpt-0.*'):  # by a training run that goes on
        path.unlink()
    found = card.text(loaded, str(published[0]), recipe=export.training_command, weights_license=None)
    assert 'of the validation images, by the training run itself.' in found


def test_hostile_settings_are_shown_as_text(run, published, tmp_path):
    for path in run.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / 'flags.json').write_text(json.dumps({
        'dataset': '9 records', 'dataset_dir': 5, 'train_dir': ['x'], 'decay_epochs': [1, 2], 'seed': {'a': None},
        'model_name': 'a\n# Title \x1b[31m'}))
    (tmp_path / 'metrics.jsonl').write_text('{"kind": "validation", "step": 0, "accuracy": 0.25}\n')
    found = card.text(loading.load(str(tmp_path)), str(published[0]), recipe=export.training_command,
                      weights_license=None)
    assert r'a\n# Title \x1b[31m' in found and '\x1b' not in found and 'the 9 images of `5`' in found
    assert 'Not measured' in found


def test_the_command_of_the_card_gives_the_settings_again():
    with flags_of(train.ROWS) as known:
        known(['train', '--model_name=alexnet', '--decay_epochs=1,2', '--noclone_on_cpu', '--seed=7',
               '--learning_rate=0.02', '--ignore_missing_vars', '--train_dir=one'])
        settings = {row.name: known[row.name].value for row in train.ROWS if not row.refused}
        for row in train.ROWS:
            known[row.name].unparse()
        command = export.training_command(settings).split()
        known(command[1:])
        assert {row.name: known[row.name].value for row in train.ROWS if not row.refused} == settings
