"""Every flag of the evaluation script and of the commands arrives, as tests/script_flags/test_arrival.py has it for
training."""
import contextlib
import dataclasses
import functools
import importlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf import compare_curve
from alexnet_tf.ablation import report, trial, variants
from alexnet_tf.console import flag_table, signals
from alexnet_tf.console.flag_table import UNSET
from alexnet_tf.data import batches, datasets, folder_builder, inspection, service_address, service_reader
from alexnet_tf.files import places, writing
from alexnet_tf.formats import kinds
from alexnet_tf.model import evaluation, loading, precision, scoring
from alexnet_tf.pictures import (
    contact_sheet,
    figures,
)
from alexnet_tf.prediction import answers, checkpoint, client, exported, image_files, printing
from alexnet_tf.run_folder import checkpoints
from alexnet_tf.serving import card, publishing, saved_model, warmup
from alexnet_tf.weights import arguments, checkpoint_files, own_npz, reading
from tests.commands import arrival_of_pictures
from tests.commands.arrival_of_pictures import LABELS, LOADED, SCORES
from tests.helpers import calls
from tests.helpers.commands import flags_of

SOURCE = print  # of predictions
SERVICE = tf.data.experimental.service
COMMANDS = {  # module: (functions, arguments of all calls)
    'eval_image_classifier': ({
        (writing, 'check_writable'): None, (precision, 'choose'): None,
        (scoring, 'Scorer'): None, (scoring.Scorer, 'load'): lambda *_: [LOADED],
        (datasets, 'open_dataset'): None, (batches, 'EvaluationBatches'): lambda *_, **__: 'batches',
        (scoring.Scorer, 'score'): lambda *_, **__: (evaluation.Result(2, 0.5, 0.6, 1.5), SCORES, LABELS),
        (checkpoints, 'follow'): lambda *_: iter(['/no/model.ckpt-3']), (checkpoints, 'damage'): lambda _: None},
        ['--dataset_dir={records}', '--eval_dir={tmp}/eval', '--checkpoint_path=/no/model.ckpt-3']),
    'alexnet_tf.build_tfrecords': (
        {(folder_builder, 'build'): lambda *_, **__: None}, ['--input_dir=/in', '--output_dir=/out']),
    'alexnet_tf.export': (
        {(writing, 'check_writable'): None, (loading, 'load'): lambda *_, **__: LOADED,
         (saved_model, 'export'): lambda *_: ['serve'], (own_npz, 'write'): lambda *_: None,
         (kinds, 'write'): lambda *_, **__: '/made',
         (warmup, 'write_requests'): lambda *_, **__: True, (card, 'text'): lambda *_, **__: 'a card',
         (publishing, 'publish'): lambda folder, write: (f'{folder}/1', 'all')}, []),
    'alexnet_tf.predict': (
        {(image_files, 'find'): lambda arguments, _: [(name, None) for name in arguments], (precision, 'choose'): None,
         (loading, 'load'): lambda *_, **__: LOADED, (checkpoint, 'Network'): lambda *_, **__: SOURCE,
         (exported, 'SavedModel'): lambda *_, **__: SOURCE,
         (client, 'connect'): lambda *_, **__: SimpleNamespace(predict=SOURCE),
         (answers, 'of_files'): lambda *_, **__: [[('a.jpg', [('cat', 0.5)])]],
         (printing, 'block'): None, (printing, 'json_line'): None}, ['--images=a.jpg']),
    'alexnet_tf.import_weights': (
        {(arguments, 'read_class_names'): None,
         (reading, 'read'): lambda *_, variant, **__: (
             SimpleNamespace(spec=dataclasses.replace(LOADED.spec, variant=variant)), 'a format', None),
         (checkpoint_files, 'write'): lambda *_: '/made'}, ['--source=/in', '--output_dir={tmp}/new']),
    'alexnet_tf.ablate': (
        {(writing, 'check_writable'): None, (precision, 'choose'): None, (datasets, 'open_dataset'): None,
         (variants, 'variants'): None, (trial, 'train_variant'): lambda variant, seed, *_, **__: {
             'variant': variant.name, 'seed': seed},
         (report, 'table'): lambda _: '', (report, 'draw'): lambda *_: True},
        ['--dataset_dir={records}', '--output_dir={tmp}/ablations', '--only=alexnet', '--seeds=0',
         '--precision=float32']),
    'alexnet_tf.data_service': (
        {(service_address, 'check_free'): lambda _: None, (service_address, 'wait_for'): lambda _: '10.0.0.1',
         (writing, 'check_writable'): None, (service_reader, 'register'): lambda: None,
         (tf.config, 'set_visible_devices'): lambda *_: None,
         (signals, 'noted'): lambda _: contextlib.nullcontext(SimpleNamespace(number=1, check=lambda: None)),
         (SERVICE, 'DispatcherConfig'): None,
         (SERVICE, 'DispatchServer'): lambda _: None,
         (SERVICE, 'WorkerConfig'): None,
         (SERVICE, 'WorkerServer'): lambda _: None}, []),
    'alexnet_tf.compare_curve': (
        {(writing, 'check_writable'): None, (compare_curve, 'read_run'): lambda *_, **__: ([(1.0, 10.0)], []),
         (compare_curve, 'draw'): lambda *_: True}, []),
    'alexnet_tf.inspect_dataset': (
        {(writing, 'check_writable'): None, (datasets, 'open_dataset'): None, (writing, 'write_text'): lambda *_: None,
         (inspection, 'survey'): lambda dataset, **_: inspection.Survey(
             dataset, np.zeros(dataset.num_classes, int), np.zeros([0, 2]), {}, []),
         (contact_sheet, 'draw'): lambda *_, **__: 'a figure', (figures, 'check'): None,
         (figures, 'save'): lambda *_: None}, ['--dataset_dir={records}', '--splits=train']),
} | arrival_of_pictures.COMMANDS
NOT_COMPARED = ('.self', 'publish.write', '.log', 'score.batches', 'load.reuse', 'EvaluationBatches.dataset',
                'Server.config', 'Server.start')


NEW = '--output_dir={tmp}/new'
OF_SAVED_MODELS = ('export.loaded', 'export.output_dir', 'write_requests.loaded', 'write_requests.folder',
                   'write_requests.signatures', 'write_requests.served_name', 'text.loaded', 'text.folder',
                   'text.recipe', 'text.weights_license')
NO_CHECKPOINT = {'choose.precision': None, 'Network.loaded': None, 'Network.num_views': None, **{
    f'load.{name}': None for name in ('checkpoint_path', 'model_name', 'dtype')}}
WORKER_IN_PLACE_OF_DISPATCHER = {'check_free.port': None} | {
    f'{kind.__name__}.{name}': None for kind in (SERVICE.DispatcherConfig, SERVICE.WorkerConfig)
    for name in kind._fields}
ARRIVES = {  # {module: {flag: (value, what changes, other flags …)}}
    'eval_image_classifier': {
        'checkpoint_path': ('/no/one,/no/two', {'load.paths': ['/no/one', '/no/two']}),
        'eval_dir': ('{tmp}/two', {'check_writable.folder': '{tmp}/two', 'check_writable 2.folder': '{tmp}/two',
                                   'results': None, 'two/results': '/no/model.ckpt-3'}),
        'dataset_dir': ('{other}', {'open_dataset.folder': '{other}'}),
        'dataset_name': ('flowers', {'open_dataset.default_num_classes': None}),
        'dataset_split_name': ('train', {'open_dataset.split': 'train', 'score.num_examples': 48}),
        'labels_offset': (1, {'open_dataset.labels_offset': 1}),
        'model_name': ('alexnet', {'Scorer.model_name': 'alexnet'}),
        'batch_size': (7, {'EvaluationBatches.batch_size': 7}),
        'max_num_batches': (2, {'score.max_num_batches': 2, 'score.num_examples': 6}, '--batch_size=3'),
        'eval_image_size': (230, {'Scorer.image_size': 230}),
        'resize_mode': ('warp', {'Scorer.resize_mode': 'warp'}),
        'views': ('10', {'Scorer.num_views': 10, 'views': 10}),
        'precision': ('bfloat16', {'choose.precision': 'bfloat16', 'Scorer.dtype': 'mixed_bfloat16'}),
        'num_preprocessing_threads': (3, {'EvaluationBatches.num_threads': 3}),
        'max_bad_records': (2, {'open_dataset.max_bad_records': 2}),
        'scores_file': ('{tmp}/scores.npz', {
            'check_writable 2.folder': '{tmp}', 'check_writable 2.flag': 'scores_file',
            'check_writable 3.folder': '{tmp}/eval', 'check_writable 3.flag': 'eval_dir',
            'score.keep_scores': True, 'scores': 190.0}),
        'wait_for_checkpoints': ('true', {
            'follow.folder': '/no/model.ckpt-3', 'follow.timeout_secs': 3600.0, 'damage.path': '/no/model.ckpt-3'}),
        'wait_timeout_secs': (2.5, {'follow.timeout_secs': 2.5}),
    },
    'alexnet_tf.build_tfrecords': {
        'input_dir': ('/a', {'build.input_dir': '/a'}),
        'imagenet_archives': ('/a', {'build.input_dir': '/a', 'build.archives': True}),
        'allow_partial': ('true', {'build.allow_partial': True}),
        'output_dir': ('/b', {'build.output_dir': '/b'}),
        'seed': (4, {'build.seed': 4}), 'train_shards': (3, {'build.shards.train': 3}),
        'validation_shards': (2, {'build.shards.validation': 2}),
        'resize_shorter_side': (300, {'build.resize_shorter_side': 300}), 'quality': (80, {'build.quality': 80}),
        'skip_unreadable': ('true', {'build.skip_unreadable': True}),
        'synset_names': ('/names', {'build.synset_names': '/names'}), 'num_processes': (3, {'build.num_processes': 3}),
        'beam_runner': ('Some', {'build.beam_runner': 'Some'}),
        'beam_options': ('--a=1,--b', {'build.beam_options': ['--a=1', '--b']}),
    },
    'alexnet_tf.export': {
        'checkpoint_path': ('/a', {'load.checkpoint_path': '/a'}, NEW),
        'output_dir': ('{tmp}/b', {'check_writable.folder': '{tmp}/b', 'export.output_dir': '{tmp}/b',
                                   'write_requests.folder': '{tmp}/b', 'write_requests.served_name': 'b',
                                   'text.folder': '{tmp}/b'}, NEW),
        'publish_dir': ('{tmp}/b', {'check_writable.folder': '{tmp}/b', 'publish.folder': '{tmp}/b'},
                        '--publish_dir={tmp}/new'),
        'to': ('npz', dict.fromkeys(OF_SAVED_MODELS) | {
            'write.loaded': LOADED, 'write.path': '{tmp}/new/weights.npz'}, NEW),
        'calibration_dir': ('{other}', {'write.calibration_dir': '{other}'}, NEW, '--to=litert_int8',
                            '--calibration_dir={records}'),
        'precision': ('bfloat16', {'load.dtype': 'bfloat16'}, NEW),
        'served_name': ('flowers', {'write_requests.served_name': 'flowers'}, NEW),
        'license': ('CC0', {'text.weights_license': 'CC0'}, NEW),
        'model_name': ('alexnet', {'load.model_name': 'alexnet'}, NEW),
    },
    'alexnet_tf.predict': {
        'images': ('b.jpg,c', {'find.arguments': ['b.jpg', 'c'], 'of_files.found': [('b.jpg', None), ('c', None)]}),
        'checkpoint_path': ('/a', {'load.checkpoint_path': '/a'}),
        'saved_model': ('/a', NO_CHECKPOINT | {'SavedModel.folder': '/a', 'SavedModel.num_views': 1}),
        'server': ('a:1', NO_CHECKPOINT | {'connect.server': 'a:1', 'connect.model_name': 'alexnet', 'connect.views': 1,
                                           'connect.timeout': 60}),
        'served_name': ('b', {'connect.model_name': 'b'}),
        'server_timeout_secs': (2.5, {'connect.timeout': 2.5}),
        'views': ('10', {'Network.num_views': 10}),
        'json_lines': ('true', {'block.path': None, 'block.answer': None, 'json_line.path': 'a.jpg',
                                'json_line.answer': [('cat', 0.5)]}),
        'batch_size': (7, {'of_files.batch_size': 7}),
        'model_name': ('alexnet', {'load.model_name': 'alexnet'}),
        'precision': ('bfloat16', {'choose.precision': 'bfloat16', 'load.dtype': 'mixed_bfloat16'}),
    },
    'alexnet_tf.import_weights': {
        'source': ('/a', {'read.path': '/a'}),
        'output_dir': ('{tmp}/b', {'write.folder': '{tmp}/b'}),
        'variant': ('caffe', {'read.variant': 'caffe', 'write.loaded': lambda _, after: after.spec.variant == 'caffe'}),
        'class_names': ('{names}', {'read_class_names.path': '{names}', 'read.class_names': ('one', 'two')}),
    },
    'alexnet_tf.ablate': {
        'dataset_dir': ('{other}', {
            'open_dataset.folder': '{other}', 'open_dataset 2.folder': '{other}',
            'train_variant.dataset': ('other', 'train'), 'train_variant.validation': ('other', 'validation')}),
        'output_dir': ('{tmp}/b', {'check_writable.folder': '{tmp}/b', 'train_variant.folder': '{tmp}/b/alexnet-0',
                                   'draw.path': '{tmp}/b/curves.png'}),
        'epochs': (3, {'train_variant.epochs': 3}),
        'seeds': ('2', {'train_variant.seed': 2, 'train_variant.folder': '{tmp}/ablations/alexnet-2',
                        'table.results': [{'variant': 'alexnet', 'seed': 2}],
                        'draw.results': [{'variant': 'alexnet', 'seed': 2}]}),
        'width': (0.5, {'variants.width': 0.5, 'train_variant.variant.table': lambda before, after: (
            before[0].filters, after[0].filters) == (96, 48)}),
        'batch_size': (16, {'train_variant.batch_size': 16}),
        'learning_rate': (0.5, {'train_variant.learning_rate': 0.5}),
        'precision': ('bfloat16', {'choose.precision': 'bfloat16', 'train_variant.dtype': 'mixed_bfloat16'}),
        'only': ('no dropout', {
            'train_variant.variant.name': 'no dropout', 'train_variant.variant.keep_prob': 1.0,
            'train_variant.variant.paper': lambda before, after: not before and 'overfitting' in after,
            'train_variant.folder': '{tmp}/ablations/no_dropout-0',
            'table.results': [{'variant': 'no dropout', 'seed': 0}],
            'draw.results': [{'variant': 'no dropout', 'seed': 0}]}),
    },
    'alexnet_tf.data_service': {
        'port': (7070, {'check_free.port': 7070, 'DispatcherConfig.port': 7070}),
        'dispatcher': ('grpc://a:7', WORKER_IN_PLACE_OF_DISPATCHER | {
            'wait_for.service.address': 'grpc://a:7', 'wait_for.service.timeout_secs': 60.0,
            'WorkerConfig.dispatcher_address': 'a:7', 'WorkerConfig.worker_address': '10.0.0.1:%port%',
            'WorkerConfig.data_transfer_address': '10.0.0.1:%dts_port%', 'WorkerConfig.port': 0,
            'WorkerConfig.protocol': 'grpc'}),
        'host': ('b', {'WorkerConfig.worker_address': 'b:%port%',
                       'WorkerConfig.data_transfer_address': 'b:%dts_port%'}),
        'timeout_secs': (2.5, {'wait_for.service.timeout_secs': 2.5}),
        'work_dir': ('{tmp}/journal', {
            'check_writable.folder': '{tmp}/journal', 'check_writable.flag': 'work_dir',
            'DispatcherConfig.work_dir': '{tmp}/journal', 'DispatcherConfig.fault_tolerant_mode': True}),
    },
    'alexnet_tf.compare_curve': {
        'train_dir': ('/a', {'read_run.train_dir': '/a', 'draw.path': '/a/curve.png'}),
        'num_examples': (100, {'read_run.num_examples': 100}), 'batch_size': (16, {'read_run.batch_size': 16}),
        'output': ('{tmp}/c.svg', {'draw.path': '{tmp}/c.svg', 'check_writable.folder': '{tmp}',
                                   'check_writable.flag': 'output'}),
    },
    'alexnet_tf.inspect_dataset': {
        'dataset_dir': ('{other}', {'open_dataset.folder': '{other}', 'survey.dataset': ('other', 'train')}),
        'splits': ('validation', {'open_dataset.split': 'validation', 'survey.dataset': ('other', 'validation')},
                   '--dataset_dir={other}'),
        'labels_offset': (0, {'open_dataset.labels_offset': 0}),
        'decode': ('true', {'survey.decode': True}),
        'csv': ('{tmp}/c.csv', {'check_writable.folder': '{tmp}', 'check_writable.flag': 'csv',
                                'write_text.path': '{tmp}/c.csv', 'write_text.text': lambda _, after: (
                                    after.startswith('label,class,train\n1,airplane,0\n'))}),
        'contact_sheet': ('{tmp}/c.png', {
            'check.path': '{tmp}/c.png', 'check.flag': 'contact_sheet', 'check_writable.folder': '{tmp}',
            'check_writable.flag': 'contact_sheet', 'save.figure': 'a figure', 'save.path': '{tmp}/c.png',
            'draw.dataset': ('other', 'train'), 'draw.seed': 0, 'draw.count': 8},
            '--dataset_dir={other}'),
        'examples': (3, {'draw.count': 3}, '--contact_sheet={tmp}/c.png'),
        'seed': (3, {'draw.seed': 3}, '--contact_sheet={tmp}/c.png'),
    },
} | arrival_of_pictures.ARRIVES


def rows_of(module):
    return [row for row in importlib.import_module(module).ROWS if not row.refused]


@pytest.mark.parametrize('module', COMMANDS)
def test_every_flag_has_its_place(module):
    assert set(ARRIVES[module]) == {row.name for row in rows_of(module)}


def is_excluded(argument, module, others):
    """Whether an argument has no effect beside others (Flag.works_with UNSET)."""
    names = [other[2:].partition('=')[0] for other in (argument, *others)]
    row = next(row for row in rows_of(module) if row.name == names[0])
    return any(values == UNSET and other in names for other, values in row.works_with)


def written(folder):
    """What an evaluation wrote: its results' checkpoint and views, the sum of the scores."""
    found = {}
    for name, place in (('eval', ''), ('two', 'two/')):
        if (folder / name / 'eval_results.json').exists():
            results = json.loads((folder / name / 'eval_results.json').read_text())
            found |= {f'{place}results': results['checkpoint'], 'views': results['views']}
    if (folder / 'scores.npz').exists():
        found['scores'] = np.load(folder / 'scores.npz')['scores'].sum()
    return found


@pytest.mark.parametrize('module, name', [(module, name) for module in COMMANDS for name in ARRIVES[module]])
def test_a_flag_arrives_and_changes_nothing_else(module, name, small_records, tmp_path, monkeypatch):
    for place, check in ((flag_table, 'check_paths'), (places, 'check_checkpoint')):
        monkeypatch.setattr(place, check, lambda _: None)  # what is not there is given all the same
    functions, common = COMMANDS[module]
    value, expected, *beside = ARRIVES[module][name]
    (tmp_path / 'other').symlink_to(small_records)
    (tmp_path / 'names').write_text('one\ntwo\n')
    counts = iter('ab')

    def filled(text, tmp):
        places = {'{tmp}': str(tmp), '{records}': str(small_records), '{other}': str(tmp_path / 'other'),
                  '{names}': str(tmp_path / 'names')}
        return functools.reduce(lambda text, place: text.replace(*place), places.items(), text)

    def call(*arguments):
        tmp = tmp_path / next(counts)
        tmp.mkdir()
        given = [argument for argument in common if not is_excluded(argument, module, arguments)]
        found = calls.of_command(importlib.import_module(module), functions,
                                 *[filled(argument, tmp) for argument in [*given, *arguments]])
        assert found['exit'] == 0, found['said']
        kept = found | written(tmp)
        return {name: value.replace(str(tmp), '{tmp}') if isinstance(value, str) else value
                for name, value in kept.items() if not name.endswith(NOT_COMPARED)}
    row = next(row for row in rows_of(module) if row.name == name)
    expected = {place: wanted.replace('{other}', str(tmp_path / 'other')).replace('{names}', str(tmp_path / 'names'))
                if isinstance(wanted, str) else wanted for place, wanted in expected.items()}
    with flags_of(importlib.import_module(module).ROWS):
        calls.check(row, rows_of(module), call, value, expected, *beside)
