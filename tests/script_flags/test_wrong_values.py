"""Every wrong value of every flag of every command ends in one sentence and exit status 1 or 2, without a traceback.

Numbers, choices, booleans, and flags that contradict each other get wrong values from their rows. A text or list has
none there, so a new one fails the test until it stands in WRONG, with wrong values or with the reason why there are
none.
"""
import importlib
import json

import numpy as np
import pytest

from alexnet_tf.data import datasets
from alexnet_tf.model import building, specs
from alexnet_tf.web_page import listening
from tests.helpers import flag_walk

NAME_ONLY = 'it only says that a folder without class names has 1000; every other name says that it has not'

# {module: {flag: [arguments that are wrong …] or the reason why no text is wrong}}
OF_OTHER_TASKS = 'it is of other tasks than build; tests/neighbors/test_command.py has what they refuse'
WRONG = {
    'train_image_classifier': {
        'train_dir': [['--train_dir={file}'], ['--train_dir={file}/x'], ['--train_dir={tmp}/a[b']],
        'dataset_dir': [['--dataset_dir={tmp}/none'], ['--dataset_dir={file}'], ['--dataset_dir={empty}']],
        'dataset_name': NAME_ONLY,
        'dataset_split_name': [['--dataset_split_name=none'], ['--dataset_split_name=../x']],
        'validation_split_name': [['--validation_split_name=none']],
        'data_service': [[f'--data_service={value}', '--data_service_timeout_secs=1'] for value in (
            'localhost:5050', 'http://a:1', 'grpc://a', 'grpc://a:0', 'grpc://a:65536', 'grpc://a b:1', 'grpc://a:1/',
            'grpc://::1:1', 'grpc://localhost:1')] + [['--data_service=grpc://a:1', '--strategy=multi_worker']],
        'checkpoint_path': [['--checkpoint_path={tmp}/none'], ['--checkpoint_path={file}'],
                            ['--checkpoint_path={empty}'], ['--checkpoint_path={tmp}/*']],
        'hidden_bias': 'every finite number can be a bias; texts, nan and infinity are tried',
        'learning_rate_steps': [
            ['--learning_rate_decay_type=steps', f'--learning_rate_steps={value}'] for value in (
                'x', '0:0.1,', '5:0.1', '0:-1', '0:nan', '0:0.1,1:conv9=0', '0:0.1,1:conv1=inf', '0:0')],
        'decay_epochs': [['--learning_rate_decay_type=piecewise', f'--decay_epochs={value}'] for value in (
            'x', '4,,5', '-1', 'nan', 'inf', '')],
        'checkpoint_exclude_scopes': [
            [f'--checkpoint_exclude_scopes={value}', '--checkpoint_path={run}'] for value in (
                'alexnet_v2/fc8,', 'alexnet_v2/fc9', 'fc8')],
        'allow_changes': [[f'--allow_changes={value}'] for value in ('learning_rate', 'batch_size,', 'x')],
        'trainable_scopes': [[f'--trainable_scopes={value}'] for value in (
            ',alexnet_v2/fc8', 'alexnet_v2/conv9', 'alexnet_v2/fc8,alexnet_v2/fc9')],
        '': [['--learning_rate_decay_type=plateau', '--validation_split_name='],
             ['--optimizer=adam', '--bias_learning_rate_factor=2'],
             ['--resize_side_max=255'], ['--num_clones=3'],
             ['--num_clones=2', '--batch_size=7'], ['--num_clones=2', '--model_parallel=2', '--batch_size=8'],
             ['--recipe=caffe', '--model_name=alexnet_v2'], ['--mean=image'], ['--variant=caffe'],
             ['--initial_values=caffe'], ['--dropout_form=original'], ['--dropout_keep_prob=0'],
             ['--train_image_size=227'], ['--train_image_size=64'], ['--train_image_size=2147483647'],
             ['--model_name=alexnet', '--variant=caffe', '--train_image_size=224'], ['--labels_offset=11'],
             ['--clone_on_cpu', 'False'], ['positional']],
    },
    'eval_image_classifier': {
        'checkpoint_path': [['--checkpoint_path={tmp}/none'], ['--checkpoint_path={run},'],
                            ['--checkpoint_path={run},{tmp}/none', '--eval_dir={tmp}/e'],
                            ['--checkpoint_path={empty}']],
        'eval_dir': [['--eval_dir={file}'], ['--eval_dir={file}/x'], ['--eval_dir={link}/x']],
        'dataset_dir': [['--dataset_dir={tmp}/none'], ['--dataset_dir={file}'], ['--dataset_dir={empty}']],
        'dataset_name': NAME_ONLY,
        'dataset_split_name': [['--dataset_split_name=none']],
        'scores_file': [['--scores_file={empty}'], ['--scores_file={file}/x.npz']],
        '': [['--checkpoint_path={run},{run}'], ['--checkpoint_path={run},{run}', '--wait_for_checkpoints'],
             ['--eval_image_size=227'], ['--eval_image_size=64'], ['--labels_offset=11'], ['--labels_offset=0'],
             ['positional']],
    },
    'alexnet_tf.build_tfrecords': {
        'input_dir': [['--input_dir={tmp}/none'], ['--input_dir={file}'], ['--input_dir={empty}']],
        'imagenet_archives': [['--imagenet_archives={empty}']],
        'output_dir': [['--output_dir={file}'], ['--output_dir={file}/x'], ['--output_dir={link}/x']],
        'synset_names': [['--synset_names={tmp}/none'], ['--synset_names={latin1}'], ['--synset_names={file}']],
        'beam_runner': [['--beam_runner=NoSuchRunner'], ['--beam_runner=FlinkRunner', '--num_processes=2']],
        'beam_options': [['--beam_options=--a'], ['--beam_runner=DirectRunner', '--beam_options=a=1'],
                         ['--beam_runner=DirectRunner', '--beam_options=a,']],
        '': [['--train_shards=3'], ['positional']],
    },
    'alexnet_tf.export': {
        'checkpoint_path': [['--checkpoint_path={tmp}/none'], ['--checkpoint_path={empty}']],
        'output_dir': [['--output_dir={file}'], ['--output_dir={link}/x'], ['--output_dir={run}']],
        'publish_dir': [['--publish_dir={tmp}/x']],
        'calibration_dir': [['--calibration_dir={tmp}/none', '--to=litert_int8'], ['--calibration_dir={empty}']],
        'served_name': 'any text', 'license': 'any text',
        '': [['positional']],
    },
    'alexnet_tf.predict': {
        'images': [['--images='], ['--images=a.jpg,']],
        'checkpoint_path': [['--checkpoint_path={tmp}/none'], ['--checkpoint_path={empty}'],
                            ['--checkpoint_path={run}', '--server=localhost:1'],
                            ['--checkpoint_path={run}', '--saved_model={run}']],
        'saved_model': [['--saved_model={tmp}/none'], ['--saved_model={run}'], ['--saved_model={file}']],
        'server': [['--server=localhost'], ['--server=ftp://localhost:1'], ['--server=localhost:99999']],
        'served_name': 'a server may call its model as it likes',
        '': [['positional']],
    },
    'alexnet_tf.visualize': {
        'picture': [['--picture=nothing'], ['--picture=kernels,'], ['--picture=curves']],
        'output': [[f'--output={value}', '--picture=network'] for value in (
            '{tmp}/x.none', '{file}/x.png', '{empty}')],
        'checkpoint_path': [['--checkpoint_path={tmp}/none'], ['--checkpoint_path={empty}']],
        'dataset_dir': [[f'--dataset_dir={{{name}}}', '--picture=augmentations,train:0'] for name in ('file', 'empty')],
        'dataset_split_name': [['--dataset_split_name=none', '--picture=predictions', '--checkpoint_path={run}']],
        '': [['--picture=kernels,photo.jpg'], ['--picture=curves,{empty}'], ['--picture=curves,{tmp}/none'],
             *([f'--picture={picture}', '--checkpoint_path={run}'] for picture in (
                 'predictions,{file}', 'predictions,{tmp}/none', 'activations,{empty}', 'predictions,validation:500')),
             ['--picture=predictions,train:0', '--checkpoint_path={run}', '--dataset_split_name=train'],
             ['--picture=augmentations,{file}'], ['--picture=augmentations,none:0'], ['--picture=network', '--seed=1'],
             ['--picture=augmentations,train:0', '--resize_side_max=255'],
             ['--picture=network', '--model_name=alexnet_v2', '--variant=caffe'], ['positional']],
    },
    'alexnet_tf.import_weights': {
        'source': [['--source={tmp}/none'], ['--source={file}'], ['--source={empty}'], ['--source=/dev/zero']],
        'output_dir': [['--output_dir={file}'], ['--output_dir={link}/x'], ['--output_dir={run}']],
        'class_names': [['--class_names={tmp}/none'], ['--class_names={latin1}'], ['--class_names={empty}']],
        '': [['--variant=caffe'], ['positional']],
    },
    'alexnet_tf.ablate': {
        'dataset_dir': [['--dataset_dir={tmp}/none'], ['--dataset_dir={file}'], ['--dataset_dir={empty}']],
        'output_dir': [['--output_dir={file}'], ['--output_dir={link}/x']],
        'seeds': [[f'--seeds={value}'] for value in ('', 'x', '-1', '1.5', '0,', '4294967296', '²', '9' * 5000)],
        'only': [['--only=none'], ['--only=alexnet,'], ['--only=alexnet,none']],
        '': [['positional']],
    },
    'alexnet_tf.demo': {
        'checkpoint_path': [['--checkpoint_path={tmp}/none'], ['--checkpoint_path={empty}']],
        'index': [['--index={tmp}/none'], ['--index={empty}'], ['--index={file}']],
        'dataset_dir': [['--dataset_dir={empty}']],
        'host': [['--host=a b'], ['--host=192.0.2.1']],
        '': [['positional']],
    },
    'alexnet_tf.figure1': {
        'dataset_dir': [['--dataset_dir={tmp}/none'], ['--dataset_dir={file}'], ['--dataset_dir={empty}']],
        'output_dir': [['--output_dir={file}'], ['--output_dir={link}/x']],
        'rates': [[f'--rates={value}'] for value in (
            '', 'x', '0', '-1', '0.1,', 'nan', 'inf', '0.1,1e-1', '9' * 5000)],
        '': [['positional']],
    },
    'alexnet_tf.retrieval': {
        'task': [['--task=none']],
        'output': [['--output={file}'], ['--output={link}/x']],
        'index': OF_OTHER_TASKS,
        'checkpoint_path': [['--checkpoint_path={tmp}/none'], ['--checkpoint_path={empty}']],
        'dataset_dir': [['--dataset_dir={tmp}/none'], ['--dataset_dir={file}'], ['--dataset_dir={empty}']],
        'dataset_split_name': [['--dataset_split_name=none'], ['--dataset_split_name=../x']],
        'bits': OF_OTHER_TASKS,
        '': [['--index=x'], ['--bits=32'], ['--queries=3'], ['positional'], ['--task=build,a.jpg'], ['--task=query']],
    },
    'alexnet_tf.data_service': {
        'dispatcher': [[f'--dispatcher={value}', '--timeout_secs=1'] for value in (
            'localhost:5050', 'grpc://a', 'grpc://localhost:1')],
        'host': [['--host=a/b'], ['--host=a:1'], ['--host=a b']],
        'work_dir': [['--work_dir={file}'], ['--work_dir={file}/x']],
        '': [['positional']],
    },
    'alexnet_tf.compare_curve': {
        'train_dir': [['--train_dir={tmp}/none'], ['--train_dir={file}'], ['--train_dir={empty}']],
        'output': [['--output={tmp}/x.none'], ['--output={file}/x.png'], ['--output={empty}']],
        '': [['one', 'two']],
    },
    'alexnet_tf.inspect_dataset': {
        'dataset_dir': [['--dataset_dir={tmp}/none'], ['--dataset_dir={file}'], ['--dataset_dir={empty}']],
        'splits': [['--splits=none'], ['--splits=train,']],
        'csv': [['--csv={empty}'], ['--csv={file}/x.csv'], ['--csv={tmp}/x']],
        'contact_sheet': [['--contact_sheet={tmp}/x.none'], ['--contact_sheet={file}/x.png'],
                          ['--contact_sheet={empty}']],
        '': [['one', 'two'], ['--examples=3'], ['--seed=3'], ['--labels_offset=1000']],
    },
}
BASE = {
    'train_image_classifier': ['--dataset_dir={records}', '--train_dir={tmp}/train', '--max_number_of_steps=0',
                               '--learning_rate_decay_type=fixed', '--precision=float32'],
    'eval_image_classifier': ['--dataset_dir={records}', '--checkpoint_path={run}'],
    'alexnet_tf.build_tfrecords': ['--input_dir={images}', '--output_dir={tmp}/records'],
    'alexnet_tf.export': ['--checkpoint_path={run}', '--output_dir={tmp}/exported'],
    'alexnet_tf.predict': ['--images=photo.jpg'],
    'alexnet_tf.visualize': ['--picture=kernels', '--output={tmp}/k.png'],
    'alexnet_tf.import_weights': ['--source={run}', '--output_dir={tmp}/imported'],
    'alexnet_tf.ablate': ['--dataset_dir={records}', '--output_dir={tmp}/ablations', '--width=0.05'],
    'alexnet_tf.demo': ['--checkpoint_path={run}', '--port=0'],
    'alexnet_tf.figure1': ['--dataset_dir={records}', '--output_dir={tmp}/figure1', '--max_epochs=1'],
    'alexnet_tf.retrieval': ['--task=build', '--checkpoint_path={run}', '--dataset_dir={records}',
                             '--output={tmp}/neighbors'],
    'alexnet_tf.data_service': [],
    'alexnet_tf.compare_curve': ['--train_dir={curve}'],
    'alexnet_tf.inspect_dataset': ['--dataset_dir={records}', '--splits=validation'],
}


@pytest.fixture(scope='module')
def places(small_records, tmp_path_factory, narrow_module):
    """{name in braces above: path}."""
    tmp = tmp_path_factory.mktemp('flags')
    found = {name: tmp / name for name in ('file', 'empty', 'latin1', 'link', 'run', 'images', 'curve')}
    found['file'].write_text('some text, no list of names')
    found['latin1'].write_bytes('n01 chat bleuté\n'.encode('latin1'))
    found['link'].symlink_to(tmp / 'nowhere')
    for name in ('empty', 'run', 'curve'):
        found[name].mkdir()
    (found['images'] / 'train' / 'n01').mkdir(parents=True)
    (found['images'] / 'train' / 'n01' / 'a.jpg').write_bytes(b'no image')
    (found['curve'] / 'metrics.jsonl').write_text(json.dumps({'kind': 'validation', 'step': 9, 'accuracy': 0.1}) + '\n')
    (found['curve'] / 'flags.json').write_text('{"batch_size": 128}')
    write_run(found['run'])
    return {name: str(path) for name, path in found.items()} | {'tmp': str(tmp), 'records': str(small_records)}


def write_run(folder):
    """An untrained alexnet_v2 of ten classes, named as the sample's."""
    from nets import slim_checkpoints
    names = datasets.open_dataset(datasets.SAMPLE_DIR, 'validation').class_names
    spec = specs.Spec('alexnet_v2', 224, names, (120.0, 110.0, 100.0), 1)
    specs.write_spec(spec, str(folder))
    tensors = {name: np.zeros(variable.shape, np.float32)
               for name, variable in slim_checkpoints.named_variables(building.build(spec)).items()}
    slim_checkpoints.save(tensors, str(folder / 'model.ckpt-1'))


def filled(arguments, places):
    return [argument.format(**places) for argument in arguments]


@pytest.mark.parametrize('module', WRONG)
def test_each_wrong_value_of_each_flag_ends_in_a_sentence(module, places, monkeypatch):
    monkeypatch.setattr(listening, 'check_installed', lambda: None)  # Gradio is optional, and not reached here
    rows = importlib.import_module(module).ROWS
    listed = {name: [filled(arguments, places) for arguments in cases]
              for name, cases in WRONG[module].items() if not isinstance(cases, str)}
    assert {row.name for row in rows if flag_walk.is_listed(row)} == set(WRONG[module]) - {''}, (
        'say in WRONG what is wrong for a new flag, or why nothing is')
    outcomes = flag_walk.outcomes(module, filled(BASE[module], places), listed)
    without = {name for name, cases in WRONG[module].items() if isinstance(cases, str)}
    assert {name for name, *_ in outcomes} >= {row.name for row in rows} - without
    for name, arguments, status, message in outcomes:
        case = f'{arguments}: {status} {message}'
        assert status in (1, 2), case
        assert len(message) > 10 and '\n' not in message.strip(), case
        assert not name or name in message or arguments[0].partition('=')[2] in message, case
