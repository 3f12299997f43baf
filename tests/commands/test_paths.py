"""Paths that are not there are told of before TensorFlow is loaded, by every command."""
import importlib

import pytest

from alexnet_tf.console import loading
from alexnet_tf.web_page import listening
from tests.helpers.commands import call

CHECKPOINT, RECORDS = 'no checkpoint at --checkpoint_path={none}', "the dataset folder '{none}' does not exist"
NONE = '--checkpoint_path={none}'
CASES = [
    ('train_image_classifier', ['--dataset_dir={none}'], RECORDS),
    ('train_image_classifier', [NONE], CHECKPOINT),
    ('train_image_classifier', ['--train_dir={tmp}/a[b'], 'has one of * ? [ ]'),
    ('eval_image_classifier', [NONE], CHECKPOINT),
    ('eval_image_classifier', ['--checkpoint_path={run},{none}', '--eval_dir={tmp}/e'], CHECKPOINT),
    ('eval_image_classifier', ['--checkpoint_path={run}', '--dataset_dir={none}'], RECORDS),
    ('alexnet_tf.predict', [NONE, 'a.jpg'], CHECKPOINT),
    ('alexnet_tf.predict', ['--saved_model={none}', 'a.jpg'], '--saved_model={none} has no saved_model.pb'),
    ('alexnet_tf.export', [NONE, '--output_dir={tmp}/new'], CHECKPOINT),
    ('alexnet_tf.export', ['--checkpoint_path={run}', '--output_dir={run}'], 'exists and is not empty'),
    ('alexnet_tf.export', ['--checkpoint_path={run}', '--output_dir={tmp}/new', '--to=litert_int8',
                           '--calibration_dir={none}'], RECORDS),
    ('alexnet_tf.import_weights', ['--source={none}', '--output_dir={tmp}/new'], 'no file and no checkpoint at'),
    ('alexnet_tf.import_weights', ['--source={run}', '--output_dir={run}'], 'holds model.ckpt-3 already'),
    ('alexnet_tf.import_weights', ['--source={run}', '--output_dir={tmp}/new', '--class_names={none}'],
     '--class_names={none}: there is no such file'),
    ('alexnet_tf.ablate', ['--dataset_dir={none}'], RECORDS),
    ('alexnet_tf.figure1', ['--dataset_dir={none}'], RECORDS),
    ('alexnet_tf.inspect_dataset', ['{none}'], RECORDS),
    ('alexnet_tf.demo', [NONE], CHECKPOINT),
    ('alexnet_tf.demo', ['--checkpoint_path={run}', '--index={none}'], 'there is no index in {none}'),
    ('alexnet_tf.visualize', ['kernels', NONE], CHECKPOINT),
    ('alexnet_tf.visualize', ['predictions', '--checkpoint_path={run}', '--dataset_dir={none}'], RECORDS),
    ('alexnet_tf.visualize', ['activations', '{none}'], 'there is no {none}; give a JPEG or PNG image'),
    ('alexnet_tf.visualize', ['augmentations', '{run}'], '{run} is a folder; give the images in it'),
    ('alexnet_tf.visualize', ['curves', '{none}'], "'{none}' has no metrics.jsonl"),
    ('alexnet_tf.retrieval', ['build', '--output={tmp}/new'], 'no checkpoint at --checkpoint_path=runs/alexnet'),
    ('alexnet_tf.retrieval', ['query', 'train:1', '--index={none}'], 'there is no index in {none}'),
    ('alexnet_tf.retrieval', ['query', '{none}', '--index={none}'], 'there is no {none}; give a JPEG or PNG image')]
POSITIONAL = {'predict': 'images', 'inspect_dataset': 'dataset_dir', 'visualize': 'picture', 'retrieval': 'task'}


@pytest.mark.parametrize('module, arguments, sentence', CASES)
def test_a_path_that_is_not_there_is_told_of_before_tensorflow_is_loaded(
        module, arguments, sentence, tmp_path, monkeypatch):
    def refuse():
        raise AssertionError('TensorFlow would be loaded')
    command = importlib.import_module(module)
    monkeypatch.setattr(loading, 'load_tensorflow', refuse)
    monkeypatch.setattr(listening, 'check_installed', lambda: None)  # Gradio is optional, and not reached here
    monkeypatch.setattr(command, 'load_tensorflow', refuse, raising=False)
    monkeypatch.chdir(tmp_path)
    places = {'none': tmp_path / 'none', 'run': tmp_path / 'run', 'tmp': tmp_path}
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'model.ckpt-3.index').touch()
    result = call(command, *(argument.format(**places) for argument in arguments),
                  positional=POSITIONAL.get(module.rpartition('.')[2]))
    assert result.returncode == 1 and sentence.format(**places) in result.stderr, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ['run']


@pytest.mark.parametrize('arguments', [['--server=localhost:1'], ['--saved_model={saved}']])
def test_what_is_not_used_need_not_be_there(arguments, tmp_path, monkeypatch):
    """A checkpoint beside a server or a SavedModel."""
    from alexnet_tf import predict
    (tmp_path / 'saved_model.pb').touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predict, 'choose_source', lambda: lambda images: [])
    result = call(predict, 'none.jpg', *(argument.format(saved=tmp_path) for argument in arguments),
                  positional='images')
    assert result.returncode == predict.SOME_UNREADABLE
