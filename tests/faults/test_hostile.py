"""Names, descriptions and files that were made to do harm: no code runs, nothing is written elsewhere, nothing is
printed raw. Pickles with code are in test_import_refused.py, descriptions in test_hostile_descriptions.py.
"""
import ast
import io
import json
import os
import pickle
import shutil
import sys
import unicodedata
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf import build_tfrecords, import_weights
from alexnet_tf.console import terminal
from alexnet_tf.data import datasets, shard_writer
from alexnet_tf.data.batches import evaluation_batches
from alexnet_tf.model import building, specs
from alexnet_tf.run_folder import checkpoints
from tests.helpers.processes import ROOT, run_python
from tests.test_datasets import prepare

ESCAPES = '\x1b[31mred\x1b]0;title\x07\x9b2J\x08\x7f\r\u202egnp.exe\u2066\ud800'
INFO = {'format': 'slim', 'counts': {'train': 3}, 'class_names': ['a', 'b'], 'label_base': 1}


def write_records(folder, labels=(1, 2, 1), name='train-00000-of-00001'):
    folder.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / name)) as writer:
        for label in labels:
            features = {'image/encoded': tf.train.Feature(bytes_list=tf.train.BytesList(value=[b'no image'])),
                        'image/class/label': tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return folder


def raw(text):
    """The characters in it that a terminal would act on."""
    return [character for character in text
            if unicodedata.category(character) in ('Cc', 'Cf', 'Cs') and character not in '\n\t']


# --- what is printed -------------------------------------------------------------------------------


@pytest.mark.parametrize('text, shown', [
    ('plain, ä 猫 …', 'plain, ä 猫 …'), ('\x1b[31m', '\\x1b[31m'), ('\x9b', '\\x9b'), ('a\r\nb', 'a\\r\\nb'),
    ('\u202egnp', '\\u202egnp'), ('caf\udce9', 'caf\\udce9'), ('wide\u3000space', 'wide\u3000space'), ('\0', '\\x00')])
def test_a_character_that_a_terminal_acts_on_is_shown_by_its_number(text, shown):
    assert terminal.printable(text) == shown and not raw(terminal.printable(text))


PRINT_ALL_WAYS = '''
import logging, sys
from absl import logging as absl_logging
logging.getLogger('tensorflow').addHandler(logging.StreamHandler(sys.stderr))
from alexnet_tf.console import terminal
terminal.guard_terminal()
text = sys.argv[1].encode().decode('unicode_escape')
print(text, 'stdout')
print(text, 'stderr', file=sys.stderr)
sys.stdout.writelines([text])
logging.getLogger('tensorflow').warning(text + 'tensorflow')
absl_logging.warning(text + 'absl')
try:
    raise ValueError(text + 'traceback')
except ValueError:
    sys.excepthook(*sys.exc_info())
sys.exit(text + 'exit')
'''


def test_no_way_of_printing_gets_past():
    escaped = ESCAPES.encode('unicode_escape').decode()
    result = run_python('-c', PRINT_ALL_WAYS, escaped, check=False)
    assert result.returncode == 1
    for way in ('stderr', 'tensorflow', 'absl', 'traceback', 'exit'):
        assert f'{escaped}{" " * (way == "stderr")}{way}' in result.stderr, way
    assert f'{escaped} stdout\n{escaped}' in result.stdout and not raw(result.stdout + result.stderr)


def test_a_terminal_without_the_letters_gets_numbers():
    code = 'from alexnet_tf.console import terminal; terminal.guard_terminal(); print("猫 caf\\udce9")'
    assert run_python('-c', code, PYTHONIOENCODING='ascii').stdout == '\\u732b caf\\udce9\n'


def test_every_command_guards_the_terminal():
    commands = [path for path in (*ROOT.glob('*.py'), *ROOT.glob('alexnet_tf/*.py'))
                if "__name__ == '__main__'" in path.read_text()]
    assert len(commands) == 7
    for path in commands:
        assert 'command.run(' in path.read_text().split("__name__ == '__main__'")[1], path


# --- code ------------------------------------------------------------------------------------------

# What runs, unpacks or unpickles what a file says. weight_files.py reads pickles with stand-ins of its own.
FORBIDDEN_MODULES = {'tarfile', 'marshal', 'shelve', 'dill', 'cloudpickle', 'joblib', 'runpy', 'ctypes', 'yaml'}
FORBIDDEN_CALLS = {'eval', 'exec', '__import__', 'import_module', 'system', 'popen', 'extract', 'extractall',
                   'unpack_archive', 'load_model', 'model_from_json', 'enable_unsafe_deserialization'}


def test_the_project_reads_no_archive_and_runs_nothing_that_a_file_says():
    sources = [*ROOT.glob('*.py'), *ROOT.glob('alexnet_tf/*.py'), *ROOT.glob('nets/*.py')]
    assert len(sources) > 30
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            assert not FORBIDDEN_MODULES & set(names), path
            assert 'pickle' not in names or path.name == 'weight_files.py', path
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, 'id', '')
                assert called not in FORBIDDEN_CALLS, f'{path}: {called}'
                assert 'saved_model.load' not in ast.unparse(node.func), path
                assert not any(keyword.arg == 'allow_pickle' and keyword.value.value is not False
                               for keyword in node.keywords), path


class Call:
    """Its pickle makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


def test_a_pickle_in_a_mean_image_does_not_run(tmp_path):
    array = np.empty(1, object)
    array[0] = Call(tmp_path / 'ran')
    np.save(tmp_path / 'mean.npy', array, allow_pickle=True)
    spec = specs.Spec('alexnet', 224, ('a',), 'mean.npy')
    refuse_mean(tmp_path, spec, 'cannot read the mean image')
    (tmp_path / 'mean.npy').write_bytes(pickle.dumps(array))
    refuse_mean(tmp_path, spec, 'cannot read the mean image')
    assert not (tmp_path / 'ran').exists()
    np.load(io.BytesIO(pickle.dumps(array)), allow_pickle=True)
    assert (tmp_path / 'ran').exists()  # so it would have


def refuse_mean(folder, spec, message):
    with pytest.raises(ValueError, match=message):
        building.load_mean(spec, str(folder))


@pytest.mark.parametrize('content, message', [
    (np.full([256, 256, 3], np.nan), 'not finite'), (np.full([256, 256, 3], 'a'), 'must hold grey levels'),
    (np.zeros([256, 256]), 'has shape'), (b'PK\x05\x06' + bytes(18), 'cannot read the mean image'),
    (b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (256, 256, 3000000000000000), }"
     + b' ' * 40 + b'\n', 'cannot read the mean image')])
def test_a_mean_image_that_is_none(content, message, tmp_path):
    if isinstance(content, bytes):
        (tmp_path / 'mean.npy').write_bytes(content)
    else:
        np.save(tmp_path / 'mean.npy', content)
    refuse_mean(tmp_path, specs.Spec('alexnet', 224, ('a',), 'mean.npy'), message)


def test_a_features_json_cannot_have_a_module_imported(tmp_path, monkeypatch):
    tfds = pytest.importorskip('tensorflow_datasets')
    (tmp_path / 'evil_module.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")')
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / 'data'
    folder.mkdir()
    evil = {'pythonClassName': 'evil_module.Image'}
    for features in (evil, {'type': 'evil_module.Image'}, {'python_class_name': 'evil_module.Image'},
                     {'pythonClassName': 'tensorflow_datasets.core.features.features_dict.FeaturesDict',
                      'featuresDict': {'features': {'image': {'deeper': [evil]}}}}):
        (folder / 'features.json').write_text(json.dumps(features))
        with pytest.raises(ValueError, match="class 'evil_module.Image', .* Nothing of it was run"):
            datasets.open_dataset(str(folder), 'train')
    assert not (tmp_path / 'ran').exists()
    with pytest.raises(ValueError):
        tfds.features.FeatureConnector.from_json(evil)
    assert (tmp_path / 'ran').exists()  # so tensorflow-datasets would have run it
    sys.modules.pop('evil_module')


@pytest.mark.parametrize('content', ['{', '[]', '{"name": 7}', '{"splits": [{"name": "train"}]}', '{"version": "x"}'])
def test_a_damaged_description_of_tensorflow_datasets(content, tmp_path):
    pytest.importorskip('tensorflow_datasets')
    (tmp_path / 'features.json').write_text(json.dumps({
        'pythonClassName': 'tensorflow_datasets.core.features.features_dict.FeaturesDict', 'featuresDict': {}}))
    (tmp_path / 'dataset_info.json').write_text(content)
    with pytest.raises(ValueError, match='cannot read|has no split'):
        datasets.open_dataset(str(tmp_path), 'train')


def test_an_empty_split_of_tensorflow_datasets(tmp_path):
    folder = prepare(tmp_path)
    path = folder / 'dataset_info.json'
    info = json.loads(path.read_text())
    split, = (split for split in info['splits'] if split['name'] == 'test')
    split['shardLengths'] = ['0']
    path.write_text(json.dumps(info))
    with pytest.raises(ValueError, match="has no examples in its split 'test'; choose another"):
        datasets.open_dataset(str(folder), 'test')
    assert len(datasets.open_dataset(str(folder), 'train')) == 5


# --- files that are no files -----------------------------------------------------------------------


@pytest.fixture(params=['device', 'pipe', 'folder'])
def special(request, tmp_path):
    """A path at which reading would not end, would wait, or fail."""
    path = tmp_path / 'special'
    if request.param == 'device':
        path.symlink_to('/dev/zero')
    elif request.param == 'pipe':
        os.mkfifo(path)
    else:
        path.mkdir()
    return path


SPECIAL = 'is a device, a pipe or a folder, not a file'


@pytest.mark.skipif(sys.platform == 'win32', reason='has no such files')
def test_special_files_are_refused_wherever_files_are_found(special, tmp_path):
    for name in ('dataset_info.json', 'labels.txt', 'train-00000-of-00001', 'mean_image.npy'):
        folder = write_records(tmp_path / f'with {name}', name='train-00000-of-00001')
        (folder / 'labels.txt').write_text('1:a\n2:b\n')
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(special)
        with pytest.raises(ValueError, match=SPECIAL):
            datasets.open_dataset(str(folder), 'train')
            building.load_mean(specs.Spec('alexnet', 224, ('a',), name), str(folder))
    with pytest.raises(ValueError, match=SPECIAL):
        shard_writer.read_image(str(special), None, 95)
    with pytest.raises(ValueError, match='no file and no checkpoint at'):
        import_weights.read(str(special))


def test_a_link_to_another_file_among_images_is_read_as_an_image(tmp_path):
    (tmp_path / 'private').write_text('a secret')
    (tmp_path / 'a.jpg').symlink_to(tmp_path / 'private')
    with pytest.raises((ValueError, tf.errors.OpError)) as caught:
        shard_writer.read_image(str(tmp_path / 'a.jpg'), None, 95)
    assert 'secret' not in str(caught.value)


# --- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', ['a\x1b[31m', 'a\nb', 'a\u202eb', os.fsdecode(b'caf\xe9'), '\x07'])
def test_a_class_folder_of_control_characters_is_refused_and_shown_escaped(name, tmp_path):
    (tmp_path / 'train' / name).mkdir(parents=True)
    with pytest.raises(ValueError, match='has control characters in its name; rename it') as caught:
        build_tfrecords.list_images(str(tmp_path))
    assert not raw(str(caught.value)) and '\n' not in str(caught.value)


def test_readable_names_may_have_slashes_but_no_control_characters(tmp_path):
    path = tmp_path / 'names.txt'
    path.write_text('n01 cat/dog, ../../x\n')
    assert build_tfrecords.read_texts(str(path), ['n01']) == {'n01': 'cat/dog, ../../x'}
    path.write_text('n01 cat\x1b[31m\n')
    with pytest.raises(ValueError, match='has control characters') as caught:
        build_tfrecords.read_texts(str(path), ['n01'])
    assert not raw(str(caught.value))


def test_a_writing_process_that_is_killed_is_named(tmp_path):
    (tmp_path / 'images' / 'train' / 'a').mkdir(parents=True)
    (tmp_path / 'images' / 'train' / 'a' / 'a.jpg').write_bytes(b'no image')
    # every process that multiprocessing starts dies at once, as for lack of memory
    (tmp_path / 'sitecustomize.py').write_text(
        "import os, sys\nif '--multiprocessing-fork' in sys.orig_argv:\n    os._exit(9)\n")
    result = run_python('-m', 'alexnet_tf.build_tfrecords', f'--input_dir={tmp_path / "images"}',
                        f'--output_dir={tmp_path / "records"}', '--num_processes=1', check=False,
                        PYTHONPATH=str(tmp_path))
    assert result.returncode == 1 and 'Traceback' not in result.stderr
    assert 'a process that writes records was ended from outside' in result.stderr


def zip_of(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w') as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize('name', ['../../escaped.npy', '/tmp/escaped.npy', 'a/../../escaped.npy', '..\\escaped.npy'])
def test_an_npz_with_paths_for_names_writes_nothing(name, tmp_path, monkeypatch):
    inner = tmp_path / 'a' / 'b'
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    (inner / 'weights.npz').write_bytes(zip_of(**{name: npy(np.ones(3, np.float32))}))
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(ValueError, match='expected are names such as'):
        import_weights.read('weights.npz')
    assert sorted(tmp_path.rglob('*')) == before and not os.path.exists('/tmp/escaped.npy')


def test_an_npz_with_one_name_twice(tmp_path):
    path = tmp_path / 'weights.npz'
    with pytest.warns(UserWarning), zipfile.ZipFile(path, 'w') as archive:
        for value in (1, 2):
            archive.writestr('conv1_W.npy', npy(np.full(3, value, np.float32)))
    with pytest.raises(ValueError, match='holds one name twice'):
        import_weights.read(str(path))


def test_names_in_a_weights_file_are_printed_escaped(tmp_path):
    path = tmp_path / 'weights\nimport_weights: done\x1b]0;x\x07.npz'
    array = npy(np.ones(3, np.float32))
    path.write_bytes(zip_of(**{'conv1\x1b[31m\u202e_W.npy': array}))
    result = run_python('-m', 'alexnet_tf.import_weights', f'--source={path}', f'--output_dir={tmp_path / "out"}',
                        check=False)
    assert result.returncode == 1 and '\\x1b]0;x\\x07.npz' in result.stderr and 'Traceback' not in result.stderr
    assert not raw(result.stderr + result.stdout) and not (tmp_path / 'out').exists()
    assert len([line for line in result.stderr.splitlines() if line.startswith('import_weights: ')]) == 1


ODD = 'bilder äöü 猫 [1] "q" $HOME;x'


def test_folders_with_spaces_and_other_letters(tmp_path):
    """Records are built, opened and read, and weights saved and found, under names that shells and globs act on."""
    images = tmp_path / ODD / 'images'
    for name in ('chat noir', "d'Artagnan", '猫'):
        for split in ('train', 'val'):
            (images / split / name).mkdir(parents=True)
            image = tf.io.encode_jpeg(np.full([8, 8, 3], 99, np.uint8)).numpy()
            (images / split / name / f'{name} 1.jpg').write_bytes(image)
    output = tmp_path / ODD / 'records'
    info = build_tfrecords.build(str(images), str(output), num_processes=1, log=lambda line: None)
    assert info['counts'] == {'train': 3, 'validation': 3}
    dataset = datasets.open_dataset(str(output), 'train')
    assert dataset.class_names == ('chat noir', "d'Artagnan", '猫') and len(dataset) == 3
    assert datasets.read_info(str(output))['mean_image'] == 'mean_image.npy'
    assert {len(images) for images, _ in evaluation_batches(dataset, batch_size=2, image_size=224)} == {1, 2}
    folder = tmp_path / ODD.replace('[1]', '')  # TensorFlow takes brackets in a checkpoint's path for a pattern
    specs.write_spec(specs.Spec('alexnet', 224, dataset.class_names, (1, 2, 3)), str(folder))
    checkpoints.save(str(folder), 3, {'a/b': tf.constant(1.0)})
    assert specs.read_spec(str(folder)).class_names == dataset.class_names
    assert checkpoints.step_of(checkpoints.find(str(folder))) == 3


@pytest.mark.slow
def test_the_commands_with_spaces_and_other_letters_in_all_paths(small_records, tmp_path):
    place = tmp_path / ODD.replace('[1]', '')
    shutil.copytree(small_records, place / 'records')
    run, records_flag = place / 'a run', f'--dataset_dir={place / "records"}'
    run_python('train_image_classifier.py', f'--train_dir={run}', records_flag, '--max_number_of_steps=1',
               '--batch_size=4', '--learning_rate_decay_type=fixed', '--validation_split_name=')
    run_python('eval_image_classifier.py', f'--checkpoint_path={run}', records_flag,
               f'--scores_file={place / "the scores.npz"}')
    assert json.loads((run / 'eval' / 'eval_results.json').read_text())['num_examples'] == 20
    assert np.load(place / 'the scores.npz')['scores'].shape == (20, 10)
    run_python('-m', 'alexnet_tf.export', f'--checkpoint_path={run}', f'--output_dir={place / "für später"}',
               '--to=npz')
    run_python('-m', 'alexnet_tf.import_weights', f'--source={place / "für später" / "weights.npz"}',
               f'--output_dir={place / "again"}')
    assert sorted(path.name for path in tmp_path.iterdir()) == [place.name]


def test_a_mean_image_that_names_another_place_copies_nothing(tmp_path):
    """The name in dataset_info.json is where training writes its copy."""
    folder = write_records(tmp_path / 'data' / 'deep')
    np.save(tmp_path / 'stolen.npy', np.zeros([256, 256, 3], np.float32))
    (folder / 'dataset_info.json').write_text(json.dumps(INFO | {'mean_image': '../../stolen.npy'}))
    run = tmp_path / 'runs' / 'a' / 'b'
    result = run_python('train_image_classifier.py', f'--dataset_dir={folder}', f'--train_dir={run}', '--mean=image',
                        '--validation_split_name=', '--learning_rate_decay_type=fixed', '--max_number_of_steps=0',
                        check=False)
    assert result.returncode == 1 and 'mean_image is' in result.stderr and 'Traceback' not in result.stderr
    assert not run.exists() and not (tmp_path / 'runs').exists()
