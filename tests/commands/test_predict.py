"""predict: the numbers of the evaluation, what it prints where, how it ends."""
import io
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets, folder_builder
from alexnet_tf.model import building, loading, specs
from alexnet_tf.weights import checkpoint_files
from tests.helpers import commands, shards
from tests.helpers.networks import with_larger_weights
from tests.helpers.processes import NARROW, ROOT, run_python, run_pythons
from tests.helpers.small_processes import Started

IMAGENETTE = ROOT.parent / 'shared' / 'data' / 'imagenette'
NAMES = tuple('airplane automobile bird cat deer dog frog horse ship truck'.split())
SPEC = specs.Spec('alexnet', 224, NAMES, (120.0, 110.0, 100.0), 1)


def predict(*arguments):
    return commands.call('alexnet_tf.predict', *arguments, positional='images')


def write_run(folder, spec=SPEC):
    """A folder with a checkpoint of random weights."""
    tf.keras.utils.set_random_seed(3)
    checkpoint_files.write(loading.Loaded(
        with_larger_weights(building.build(spec)), spec, np.float32(spec.mean), '', 0), str(folder))
    return folder


@pytest.fixture(scope='module')
def run(narrow_module, tmp_path_factory):
    return write_run(tmp_path_factory.mktemp('predicted') / 'run')


def images_of_all_kinds(count):
    """Encoded images of the sample; among them a PNG, a gray and a CMYK JPEG, and one of another shape."""
    pillow = pytest.importorskip('PIL.Image')
    dataset = datasets.open_dataset(datasets.SAMPLE_DIR, 'validation')
    images = [dataset.example(position)[0] for position in range(count)]
    picture = pillow.open(io.BytesIO(images[5]))
    for place, (other, kind) in {5: (picture, 'PNG'), 17: (picture.convert('L'), 'JPEG'),
                                 31: (picture.convert('CMYK'), 'JPEG'), 44: (picture.resize([300, 400]), 'JPEG'),
                                 45: (picture.convert('L'), 'PNG')}.items():
        file = io.BytesIO()
        other.save(file, format=kind)
        images[place] = file.getvalue()
    return images


@pytest.fixture(scope='module')
def photographs(tmp_path_factory):
    """(folder of records, folder of the same 200 images, which sort as the records do)."""
    place = tmp_path_factory.mktemp('photographs')
    images = images_of_all_kinds(200)
    (place / 'images').mkdir()
    for number, image in enumerate(images):
        (place / 'images' / f'{number:04}.jpg').write_bytes(image)
    shards.write_split(place / 'records', [shards.example(image, 1) for image in images], split='validation',
                       labels_txt=''.join(f'{label}:{name}\n' for label, name in enumerate(NAMES, 1)))
    return place / 'records', place / 'images'


def best_by_evaluation(scores_file, names=NAMES):
    """[(classes, probabilities)] for each row of an evaluation's scores: their softmax in float64."""
    scores = np.load(scores_file)['scores']
    exponentials = np.exp(np.float64(scores - scores.max(1, keepdims=True)))
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    order = np.argsort(-probabilities, 1, kind='stable')[:, :5]
    return [([names[number] for number in best], row[best].tolist()) for best, row in zip(order, probabilities)]


@pytest.mark.parametrize('flags, batches', [
    (('--batch_size=64',), 4), (('--views=10', '--batch_size=25'), 2), (('--precision=bfloat16', '--batch_size=7'), 7)])
def test_it_agrees_with_the_evaluation_to_the_last_digit(flags, batches, run, photographs, tmp_path):
    records, images = photographs
    commands.call('eval_image_classifier', f'--checkpoint_path={run}', f'--dataset_dir={records}',
                  f'--scores_file={tmp_path}/scores.npz', f'--eval_dir={tmp_path}', f'--max_num_batches={batches}',
                  *flags, check=True)
    expected = best_by_evaluation(tmp_path / 'scores.npz')
    files = [f'{images}/{number:04}.jpg' for number in range(len(expected))]
    result = predict(*(files if len(files) < 200 else [images]), f'--checkpoint_path={run}', '--json_lines', *flags)
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line['file'] for line in lines] == files and len(files) > 45
    assert len({tuple(classes) for classes, _ in expected}) > 10  # the network tells the images apart
    for line, (classes, probabilities) in zip(lines, expected):
        assert (line['classes'], line['probabilities']) == (classes, probabilities), line['file']


@pytest.mark.slow
@pytest.mark.skipif(not IMAGENETTE.is_dir(), reason='the photographs of Imagenette are not there')
@pytest.mark.parametrize('network', ['alexnet', 'alexnet_v2'])
def test_it_agrees_on_the_validation_photographs_of_imagenette(network, tmp_path):
    """The whole network, in processes of their own. Grayscale photographs are taken from the records, where
    build_tfrecords has written them anew, in RGB."""
    (tmp_path / 'in').mkdir()
    for split in ('train', 'val'):
        (tmp_path / 'in' / split).symlink_to(IMAGENETTE / 'val')  # what is in train plays no part
    folder_builder.build(str(tmp_path / 'in'), str(tmp_path / 'records'), num_processes=1, log=lambda _: None)
    dataset = datasets.open_dataset(str(tmp_path / 'records'), 'validation')
    run = write_run(tmp_path / 'run', specs.Spec(network, 224, dataset.class_names, (120.0, 110.0, 100.0), 1))
    by_content, files, anew = {path.read_bytes(): path for path in IMAGENETTE.glob('val/*/*')}, [], 0
    for position in range(len(dataset)):
        image = dataset.example(position)[0]
        if image not in by_content:
            anew += 1
            by_content[image] = tmp_path / f'{position}.jpg'
            by_content[image].write_bytes(image)
        files.append(by_content[image])
    assert len(files) == 1959 and anew < 100
    _, predicted = run_pythons(
        ['eval_image_classifier.py', f'--checkpoint_path={run}', f'--dataset_dir={tmp_path / "records"}',
         f'--scores_file={tmp_path}/scores.npz'],
        ['-m', 'alexnet_tf.predict', f'--checkpoint_path={run}', '--json_lines', *files], timeout=3000)
    lines = [json.loads(line) for line in predicted.stdout.splitlines()]
    assert [(line['classes'], line['probabilities']) for line in lines] == best_by_evaluation(
        tmp_path / 'scores.npz', dataset.class_names)
    assert '1959 images in' in predicted.stderr


# What is printed, and how it ends ---------------------------------------------------------------------------


def test_for_people(run, photographs, capsys):
    result = predict(f'--checkpoint_path={run}', photographs[1] / '0003.jpg')
    assert result.returncode == 0
    first, *lines = result.stdout.splitlines()
    assert first == f'{photographs[1]}/0003.jpg' and len(lines) == 5
    shares = [float(line[:8]) for line in lines]
    assert shares == sorted(shares, reverse=True) and 20 < sum(shares) <= 100.02
    assert all(line[8:12] == ' %  ' and line[12:] in NAMES for line in lines)
    assert capsys.readouterr().err == f'alexnet from {run}/model.ckpt-0; float32, as asked.\n'


def test_what_is_broken_is_named_and_the_rest_is_answered(run, photographs, tmp_path, capsys):
    content = (photographs[1] / '0000.jpg').read_bytes()
    for name, stored in {'-a.jpg': content, 'b\n\x1b[31m.jpg': b'GIF89a', 'c.jpg': content[:300], 'd.jpg': content,
                         'notes.txt': b''}.items():
        (tmp_path / name).write_bytes(stored)
    arguments = f'--checkpoint_path={run}', tmp_path, tmp_path / 'none.jpg'
    result = predict(*arguments, '--json_lines')
    said = capsys.readouterr().err
    assert result.returncode == 3
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [os.path.basename(line['file']) for line in lines] == [
        '-a.jpg', 'b\n\x1b[31m.jpg', 'c.jpg', 'd.jpg', 'none.jpg']
    assert lines[0]['probabilities'] == pytest.approx(lines[3]['probabilities'])
    assert lines[0]['classes'] == lines[3]['classes']
    reasons = 'it is neither JPEG nor PNG', lines[2]['error'], 'there is no such file'
    assert [line['error'] for line in (lines[1], lines[2], lines[4])] == list(reasons) and reasons[1]
    for name, reason in zip((r'b\n\x1b[31m.jpg', 'c.jpg', 'none.jpg'), reasons):
        assert f'{tmp_path}/{name}: {reason}\n' in said
    assert 'are not read: 1; the first is' in said and '\n5 images in 0:' in said
    assert said.endswith('3 of 5 could not be read; they are named above.\n')
    people = predict(*arguments)
    assert people.returncode == 3 and people.stdout.count('\n') == 2 * 6


@pytest.mark.parametrize('arguments', [['none.jpg'], ['empty']])
def test_nothing_that_can_be_read(arguments, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    result = predict(f'--checkpoint_path={run}', *arguments)
    assert (result.returncode, result.stdout) == (3, '')
    assert f'{arguments[0]}: the' in capsys.readouterr().err


def test_names_that_look_like_flags(run, photographs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / '-x.jpg').write_bytes((photographs[1] / '0000.jpg').read_bytes())
    (tmp_path / '-').write_bytes((photographs[1] / '0000.jpg').read_bytes())
    refused = predict(f'--checkpoint_path={run}', '-x.jpg')
    assert refused.returncode == 1 and refused.stderr == (
        'x: --x.jpg is no flag of this command; --help lists them. The file -x.jpg is given as ./-x.jpg.')
    result = predict('-', './-x.jpg', f'--checkpoint_path={run}', '--', '-x.jpg')
    assert result.returncode == 0, result.stderr
    assert [line for line in result.stdout.splitlines() if line[0] != ' '] == ['-', './-x.jpg', '-x.jpg']


def test_by_a_server(photographs, monkeypatch, capsys):
    """Of the client (tests/prediction/test_client.py) only what is asked of it."""
    class Client:
        def predict(self, images):
            return ['the server could not read it', *([(str(len(image)), 0.5)] for image in images[1:])]
    asked = []

    def connect(*args, **kwargs):
        asked.append((args, kwargs))
        return Client()
    from alexnet_tf.prediction import client
    monkeypatch.setattr(client, 'connect', connect)
    files = [photographs[1] / f'000{number}.jpg' for number in range(2)]
    result = predict(*files, '--server=here:8500', '--served_name=m', '--server_timeout_secs=3', '--views=10')
    assert asked == [(('here:8500',), {'model_name': 'm', 'views': 10, 'timeout': 3.0})]
    assert result.returncode == 3
    assert result.stdout == f'{files[1]}\n   50.00 %  {files[1].stat().st_size}\n'
    assert f'{files[0]}: the server could not read it\n' in capsys.readouterr().err


@pytest.fixture
def started(run, photographs):
    """A process that predicts 20,000 images, of which the first line is printed."""
    process = Started('alexnet_tf.predict', f'--checkpoint_path={run}', '--json_lines', '--batch_size=10',
                      *[photographs[1]] * 100, module='narrow')
    process.wait_for('"probabilities"')
    yield process
    process.kill()


def test_ctrl_c_ends_it_with_a_sentence(started):
    started.send_signal(signal.SIGINT)
    printed = started.communicate(timeout=60)
    assert started.returncode == 130, printed
    *lines, last = printed.splitlines()
    assert last == 'predict: interrupted; the same command can be given again.'
    assert len(lines) < 15000 and all(json.loads(line) for line in lines if line[0] == '{')


@pytest.mark.slow
def test_a_reader_that_ends_ends_it(started):
    started.stdout.close()
    assert started.wait(60) == 1


@pytest.mark.slow
def test_ten_thousand_files_take_no_more_memory_than_a_thousand(run, photographs, tmp_path):
    peaks = []
    for count in (1000, 10_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            os.link(photographs[1] / f'{number % 200:04}.jpg', folder / f'{number}.jpg')
        with open(tmp_path / 'out', 'wb') as out:
            process = subprocess.Popen([sys.executable, *NARROW, 'alexnet_tf.predict', f'--checkpoint_path={run}',
                                        '--json_lines', str(folder)], cwd=ROOT, stdout=out, stderr=subprocess.PIPE)
            process.stderr.read()
            _, status, used = os.wait4(process.pid, 0)
        assert status == 0 and (tmp_path / 'out').read_bytes().count(b'\n') == count
        peaks.append(used.ru_maxrss / 1024)
    assert peaks[1] - peaks[0] < 100, peaks


@pytest.mark.slow
def test_standard_output_of_a_process_has_answers_alone(run, photographs):
    result = run_python(*NARROW, 'alexnet_tf.predict', photographs[1], f'--checkpoint_path={run}', '--json_lines')
    assert len([json.loads(line) for line in result.stdout.splitlines()]) == 200
    assert 'float32, as asked.' in result.stderr and '200 images in' in result.stderr
