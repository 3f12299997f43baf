"""What arrives of the flags of the commands that make pictures: a part of the tables of test_arrival.py."""
import contextlib
from types import SimpleNamespace

import numpy as np

from alexnet_tf.console import signals
from alexnet_tf.data import batches, datasets
from alexnet_tf.figure_one import examples
from alexnet_tf.figure_one import report as race_report
from alexnet_tf.figure_one import trial as race_trial
from alexnet_tf.files import writing
from alexnet_tf.model import evaluation, loading, specs
from alexnet_tf.neighbors import answers as neighbor_answers
from alexnet_tf.neighbors import building, codes, comparison, description, index, projector, sheet
from alexnet_tf.pictures import (
    augmentations,
    figures,
    kernels,
    network,
    predictions,
    subjects,
    whole_split,
)
from alexnet_tf.web_page import answering, listening, server
from nets import alexnet, slim_checkpoints

NAMES = tuple('airplane automobile bird cat deer dog frog horse ship truck'.split())
LOADED = SimpleNamespace(spec=specs.Spec('alexnet_v2', 224, NAMES, (1.0, 2.0, 3.0), 1), checkpoint='/no/model.ckpt-3',
                         step=3, knows_background=False, model='a model', mean=(1.0, 2.0, 3.0))
SCORES, LABELS = np.arange(20.0).reshape(2, 10), np.array([3, 4])
INDEX = type('Index', (SimpleNamespace,), {'__len__': lambda _: 5})(
    check_network=lambda _: None, check_records=lambda: None, open_split=lambda split: split,
    class_names=NAMES)
BUILD = '--task=build', '--output={tmp}/i'
SEARCH = '--index=/i', '--task=measure'
AUGMENTED = ['--picture=augmentations,train:3']
SOCKET = SimpleNamespace(getsockname=lambda: ('a', 7000))
COMMANDS = {
    'alexnet_tf.figure1': (
        {(figures, 'check'): lambda _: None, (figures, 'style'): contextlib.nullcontext,
         (figures, 'save'): lambda *_: None, (writing, 'check_writable'): None, (datasets, 'open_dataset'): None,
         (examples, 'read'): lambda *_, **__: 'images', (race_trial, 'Trial'): lambda *_, **__: SimpleNamespace(
             train_to=lambda epoch, _: 50.0), (race_report, 'draw'): lambda *_: None}, [
             '--dataset_dir={records}', '--output_dir={tmp}/figure1', '--rates=0.5', '--max_epochs=1']),
    'alexnet_tf.visualize': (
        {(figures, 'check'): lambda _: None, (figures, 'style'): contextlib.nullcontext,
         (figures, 'save'): lambda *_: None, (loading, 'load'): lambda *_, **__: LOADED,
         (slim_checkpoints, 'named_variables'): lambda _: {'alexnet_v2/conv1/weights': LABELS},
         (kernels, 'draw'): lambda *_: None, (network, 'draw'): lambda *_: None,
         (datasets, 'open_dataset'): None, (subjects, 'of_record'): lambda *_: subjects.Subject(b'', 'one'),
         (augmentations, 'augment'): lambda *_, **__: 'augmented', (augmentations, 'draw'): lambda *_: None,
         (subjects, 'answered'): lambda *_: [], (predictions, 'draw'): lambda *_: None,
         (evaluation, 'make_eval_step'): lambda _: None, (batches, 'EvaluationBatches'): lambda *_, **__: 'batches',
         (evaluation, 'evaluate'): lambda *_, **__: (None, SCORES, LABELS),
         (whole_split, 'draw_mistakes'): lambda *_: None, (whole_split, 'draw_confusion'): lambda *_: None,
         (whole_split, 'draw_classes'): lambda *_: None, (writing, 'write_text'): lambda *_: None}, []),
    'alexnet_tf.demo': (
        {(listening, 'check_installed'): lambda: None,
         (listening, 'listen'): lambda *_: contextlib.nullcontext(SOCKET),
         (loading, 'load'): lambda *_, **__: LOADED, (index, 'open_index'): lambda *_, **__: 'an index',
         (answering, 'Answering'): lambda *_: 'answers', (server, 'serving'): lambda *_: contextlib.nullcontext(),
         (signals, 'noted'): lambda _: contextlib.nullcontext(SimpleNamespace(number=1, check=lambda: None))}, []),
    'alexnet_tf.retrieval': (
        {(writing, 'check_writable'): None, (figures, 'check'): lambda _: None,
         (figures, 'style'): contextlib.nullcontext, (figures, 'save'): lambda *_: None,
         (loading, 'load'): lambda *_, **__: LOADED, (datasets, 'open_dataset'): None,
         (building, 'build'): lambda *_, **__: None, (index, 'library'): lambda: None,
         (index, 'open_index'): lambda *_, **__: INDEX, (description, 'of_folder'): lambda _: SimpleNamespace(
             checkpoint='/own'), (subjects, 'find'): lambda *_: 'a subject',
         (neighbor_answers, 'find'): lambda *_, **__: [], (neighbor_answers, 'lines'): lambda *_: [],
         (neighbor_answers, 'rows'): lambda *_: [], (neighbor_answers, 'title'): lambda *_: 'a title',
         (sheet, 'draw'): lambda *_: 'a figure', (codes, 'train'): lambda *_, **__: 'an encoder',
         (codes, 'write'): lambda *_: '/codes', (comparison, 'compare'): lambda *_, **__: ([], 0.1),
         (comparison, 'markdown'): lambda *_: '', (comparison, 'table'): lambda *_: '',
         (writing, 'write_text'): lambda *_: None, (projector, 'write'): lambda *_: 1}, []),
}
ARRIVES = {
    'alexnet_tf.figure1': {
        'dataset_dir': ('{other}', {'open_dataset.folder': '{other}', 'read.dataset': ('other', 'train')}),
        'output_dir': ('{tmp}/b', {
            'check_writable.folder': '{tmp}/b', 'check.path': '{tmp}/b/figure1.png', 'save.path': '{tmp}/b/figure1.png',
            'Trial.folder': '{tmp}/b/relu-0.5', 'Trial 2.folder': '{tmp}/b/tanh-0.5'}),
        'rates': ('0.1', {
            'Trial.rate': 0.1, 'Trial 2.rate': 0.1, 'Trial.folder': '{tmp}/figure1/relu-0.1',
            'Trial 2.folder': '{tmp}/figure1/tanh-0.1', 'draw.curves.relu.0.5': None, 'draw.curves.tanh.0.5': None,
            'draw.curves.relu.0.1': [50.0], 'draw.curves.tanh.0.1': [50.0]}),
        'max_epochs': (2, {'draw.curves.relu.0.5': [50.0, 50.0], 'draw.curves.tanh.0.5': [50.0, 50.0]}),
        'batch_size': (7, {'Trial.batch_size': 7, 'Trial 2.batch_size': 7}),
        'seed': (7, {'Trial.seed': 7, 'Trial 2.seed': 7}),
    },
    'alexnet_tf.visualize': {
        'picture': ('network', {
            'check.path': 'network.png', 'save.path': 'network.png', 'load.checkpoint_path': None,
            'load.model_name': None, 'named_variables.model': None, 'draw.weights': None, 'draw.num_parts': None,
            'draw.title': 'alexnet, variant paper', 'draw.size': 224,
            'draw.table': lambda _, table: [row.name for row in table] == [row.name for row in alexnet.ALEXNET]},
            '--picture=kernels'),
        'output': ('{tmp}/b.svg', {'check.path': '{tmp}/b.svg', 'save.path': '{tmp}/b.svg'}, '--picture=kernels'),
        'checkpoint_path': ('/a', {'load.checkpoint_path': '/a'}, '--picture=kernels'),
        'model_name': ('alexnet_v2', {'load.model_name': 'alexnet_v2'}, '--picture=kernels'),
        'variant': ('caffe', {'draw.title': 'alexnet, variant caffe', 'draw.size': 227,
                              'draw.table': lambda _, table: table[0].padding == 'VALID'}, '--picture=network'),
        'dataset_dir': ('{other}', {'open_dataset.folder': '{other}', 'of_record.dataset': ('other', 'train')},
                        '--picture=predictions,train:3', '--dataset_dir={records}'),
        'dataset_split_name': ('train', {
            'open_dataset.split': 'train', 'evaluate.num_examples': 48, **dict.fromkeys(
                ('draw_mistakes.title', 'draw_confusion.title', 'draw_classes.title'),
                lambda before, after: after == before.replace('20 images', '48 images')),
            'of_record.dataset': lambda _, after: after[1] == 'train',
            'of_record 2.dataset': lambda _, after: after[1] == 'train'},
            '--picture=predictions', '--dataset_dir={records}'),
        'labels_offset': (1, {'open_dataset.labels_offset': 1}, '--picture=predictions,train:3'),
        'seed': (3, {'augment.seed': 3, 'draw.title': lambda _, after: 'seed 3' in after}, *AUGMENTED),
        'color_noise': (0.2, {'augment.noise.axes': lambda before, after: np.allclose(2 * np.array(before), after),
                              'draw.title': lambda _, after: 'noise 0.2' in after}, *AUGMENTED),
        'resize_side_max': (300, {'augment.resize_side_max': 300}, *AUGMENTED),
    },
    'alexnet_tf.demo': {
        'checkpoint_path': ('/a', {'load.checkpoint_path': '/a'}),
        'model_name': ('alexnet_v2', {'load.model_name': 'alexnet_v2'}),
        'index': ('/i', {'open_index.folder': '/i', 'open_index.dataset_dir': None, 'Answering.index': 'an index'}),
        'dataset_dir': ('{other}', {'open_index.dataset_dir': '{other}'}, '--index=/i'),
        'host': ('0.0.0.0', {'listen.host': '0.0.0.0', 'serving.hosts': None}),
        'port': (80, {'listen.port': 80}),
    },
    'alexnet_tf.retrieval': {
        'task': ('codes', dict.fromkeys((
            'check_writable.flag', 'check_writable.folder', 'of_folder.folder', *(f'compare.{name}' for name in (
                'batch_size', 'count', 'dataset', 'found', 'lengths', 'loaded', 'seed')), 'load.checkpoint_path',
            'load.model_name', 'markdown.chance', 'markdown.results', 'table.class_names', 'table.results',
            'write_text.path', 'write_text.text', 'write_text 2.path', 'write_text 2.text')) | {
                f'{call}.{name}': value for number, call in enumerate(('train', 'train 2', 'train 3'))
                for name, value in (('bits', 32 << number), ('seed', 0), ('found', INDEX))} | {
                f'{call}.{name}': value for call in ('write', 'write 2', 'write 3')
                for name, value in (('encoder', 'an encoder'), ('found', INDEX))}, *SEARCH),
        'output': ('{tmp}/j', {'check_writable.folder': '{tmp}/j', 'build.folder': '{tmp}/j'}, *BUILD),
        'index': ('/j', {'open_index.folder': '/j', 'of_folder.folder': '/j'}, '--task=measure', '--index=/i'),
        'checkpoint_path': ('/a', {'load.checkpoint_path': '/a', 'of_folder.folder': None}, *SEARCH),
        'model_name': ('alexnet_v2', {'load.model_name': 'alexnet_v2'}, *BUILD),
        'dataset_dir': ('{other}', {'open_index.dataset_dir': '{other}'}, *SEARCH),
        'dataset_split_name': ('train', {'compare.dataset': 'train'}, *SEARCH),
        'labels_offset': (0, {'open_dataset.labels_offset': 0}, *BUILD),
        'batch_size': (7, {'build.batch_size': 7}, *BUILD),
        'bits': ('64', {'compare.lengths': [64]}, *SEARCH), 'seed': (3, {'compare.seed': 3}, *SEARCH),
        'queries': (9, {'compare.count': 9}, *SEARCH),
        'images': (11, {'write.count': 11}, '--task=projector', '--index=/i', '--output={tmp}/p'),
    },
}
