"""What lies beside the checkpoints of a run: which there are, their checksums, metrics.jsonl and flags.json."""
import functools
import json

import google_crc32c
from hypothesis import strategies as st

from tests.helpers.fuzz import checkpoint, texts
from tests.helpers.fuzz.cases import check_sentence

OTHER = 'model.ckpt-5'
FLAGS = {'batch_size': 128, 'intra_op_threads': 2, 'optimizer': 'momentum', 'learning_rate': 0.01, 'hidden_bias': None,
         'dataset': '3 records', 'seed': 0}
RULES = {'batch_size': 'refuse', 'intra_op_threads': 'ignore', 'optimizer': 'refuse', 'learning_rate': 'name',
         'hidden_bias': 'keep', 'dataset': 'refuse', 'seed': 'keep', 'initial_values': 'keep'}
ROWS = [{'kind': 'train', 'step': step, 'loss': 2.5, 'learning_rate': 0.01} for step in (1, 2, 3)] + [
    {'kind': 'validation', 'step': 3, 'accuracy': 0.5, 'loss': 1.5}]
STATE = ('model_checkpoint_path: "model.ckpt-7"\nall_model_checkpoint_paths: "model.ckpt-5"\n'
         'all_model_checkpoint_paths: "model.ckpt-7"\n')


def manifest(files):
    """What is written of a checkpoint's files when it is whole."""
    found = {}
    for name, content in files.items():
        checksum = google_crc32c.Checksum(content)
        found[name] = {'bytes': len(content), 'crc32c': checksum.hexdigest().decode()}
    return found


@functools.cache
def whole():
    saved = checkpoint.whole()
    del saved['model.json']
    other = {name.replace(checkpoint.NAME, OTHER): content for name, content in saved.items()}
    return {**saved, **other, 'checkpoint': STATE.encode(), 'flags.json': json.dumps(FLAGS).encode(),
            f'{checkpoint.NAME}.manifest.json': json.dumps(manifest(saved)).encode(),
            f'{OTHER}.manifest.json': json.dumps(manifest(other)).encode(), 'metrics.jsonl': lines(ROWS)}


def lines(rows):
    return ''.join(json.dumps(row) + '\n' for row in rows).encode()


def prepare():
    pass


PATHS = st.sampled_from(('model.ckpt-5', 'model.ckpt-7', '../x', '/etc/passwd', '.', '', 'a' * 5000, '\\0', '\\377',
                         '*', '\\n',
                         '/dev/zero', 'model.ckpt-99999999999999999999999', '猫'))
STATES = st.lists(st.tuples(st.sampled_from(('model_checkpoint_path', 'all_model_checkpoint_paths',
                                             'last_preserved_timestamp',
                                             'x', '[a.b]', '1')), st.sampled_from((': "%s"\n', ': %s\n', ' { %s }\n',
                                                                                   '"%s"', ': "%s')),
                            PATHS).map(lambda parts: parts[0] + parts[1] % parts[2]), max_size=5).map(
    lambda parts: ''.join(parts).encode()) | st.just(STATE.encode()).flatmap(lambda text: texts.changed_bytes(text, 0))


@st.composite
def cases(draw):
    files = dict(whole())
    for _ in range(draw(st.integers(1, 2))):
        which = draw(st.sampled_from(('manifest', 'manifest', 'metrics', 'metrics', 'flags', 'flags', 'state', 'state',
                                      'files')))
        name = draw(st.sampled_from((checkpoint.NAME, OTHER)))
        if which == 'manifest':
            files[f'{name}.manifest.json'] = draw(texts.changed_json(json.loads(whole()[f'{name}.manifest.json'])))
        elif which == 'metrics':
            stored = [lines([row]) for row in ROWS]
            at = draw(st.integers(0, 3))
            stored[at] = draw(texts.changed_json(ROWS[at])) + draw(st.sampled_from((b'\n', b'\n', b'', b'\r\n',
                                                                                    b'\n\n')))
            files['metrics.jsonl'] = b''.join(stored)
        elif which == 'flags':
            files['flags.json'] = draw(texts.changed_json(FLAGS))
        elif which == 'state':
            files['checkpoint'] = draw(STATES)
            if draw(st.booleans()):  # as slim's folders are, in which it counts
                files = {key: content for key, content in files.items() if not key.endswith('.manifest.json')}
        else:
            chosen = draw(st.sampled_from(sorted(files)))
            content = files.pop(chosen)
            if draw(st.booleans()):
                files[chosen] = draw(texts.changed_bytes(content, 0))
            elif draw(st.booleans()):
                files[draw(st.sampled_from(('model.ckpt-99999999999999999999.index', 'model.ckpt-x.index',
                                            'model.ckpt-8.index',
                                            'model.ckpt-.data-00000-of-00001')))] = content
    return files


def read(folder, files):
    """Every file by its own reader: one that refuses does not keep the others from being read."""
    from alexnet_tf import compare_curve
    from alexnet_tf.run_folder import checkpoints, metrics
    from alexnet_tf.training import resuming
    from nets import slim_checkpoints
    refusals = []

    def tried(reader):
        try:
            return reader()
        except (ValueError, OSError) as error:
            refusals.append(error)
            return None
    rows = tried(lambda: metrics.read(folder, {'train': 'learning_rate', 'validation': 'accuracy'}))
    for row in rows or ():
        assert type(row['step']) is int and json.dumps(row)
    tried(lambda: '\n'.join(compare_curve.table(compare_curve.read_run(folder)[0])))
    threads = tried(lambda: resuming.choose_threads(folder, None))
    assert threads is None or 1 <= threads[0] <= 1024
    kept = tried(lambda: resuming.check(folder, FLAGS | {'initial_values': None}, RULES))
    assert kept is None or set(kept) == {*FLAGS, 'initial_values'}
    path = tried(lambda: checkpoints.find_intact(folder))
    if path:
        assert path.startswith(f'{folder}/model.ckpt-')
        assert path.endswith(checkpoint.NAME) or files | {'checkpoint': b''} != whole() | {'checkpoint': b''}
        reader = tried(lambda: slim_checkpoints.read(path))
        if reader:
            entries, _, tensors = checkpoint.base()
            assert set(reader.get_variable_to_shape_map()) <= set(tensors)
            assert tried(lambda: checkpoints.step_of(path)) in (7, None)
    if refusals:
        for error in refusals[1:]:
            check_sentence(folder, error)
        raise refusals[0]
    return True
