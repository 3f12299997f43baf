"""Image folders to slim's TFRecords, with the statistics that preprocessing wants.

    python -m alexnet_tf.build_tfrecords --input_dir=imagenet --output_dir=records

reads `train/<class>/*` and `val/<class>/*` (or `validation/<class>/*`), writes
`train-00000-of-01024`, …, `validation-00000-of-…`, …, `labels.txt`, `dataset_info.json`, `mean_image.npy`.
A finished folder is left alone, an interrupted one completed.
"""
import collections
import concurrent.futures
import hashlib
import multiprocessing
import os
import shlex
import shutil

import numpy as np
from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.console.progress import Progress
from alexnet_tf.data import shard_writer
from alexnet_tf.data.datasets import INFO_FILE, PARTS_DIR, read_info
from alexnet_tf.files import reading, writing

FLAGS = flags.FLAGS
ROWS = (
    Flag('input_dir', str, None, 'Folder with train/<class>/* and val/<class>/*.', required=True),
    Flag('output_dir', str, None, 'Folder for the records.', required=True),
    Flag('seed', int, 0, 'Seed of the shuffle.', 0, 2 ** 32 - 1),
    Flag('train_shards', int, None, 'Number of training files. Default: 1,252 images each.', 1),
    Flag('validation_shards', int, None, 'The same for validation.', 1),
    Flag('resize_shorter_side', int, None, 'Shrink images to this shorter side in pixels; 256 keeps all that training '
         'at 224 sees.', 1),
    Flag('quality', int, 95, 'Quality of JPEGs that are written anew.', 1, 100),
    Flag('skip_unreadable', bool, False, 'Leave unreadable images out instead of failing.'),
    Flag('synset_names', str, None, "File of lines 'class-folder readable name'."),
    Flag('num_processes', int, None, 'Processes that write. Default: one a core.', 1),
)
SPLITS = {'train': 'train', 'val': 'validation', 'validation': 'validation'}
IMAGES_A_SHARD = 1252  # 1,281,167 images make slim's 1024 shards
MEAN_IMAGE_FILE = 'mean_image.npy'


def build(input_dir, output_dir, *, seed=0, shards=None, resize_shorter_side=None, quality=95,
          skip_unreadable=False, synset_names=None, num_processes=None, log=print):
    """Writes the records of input_dir's splits to output_dir.

    Args:
      seed: of the shuffle over all images of a split.
      shards: {'train': n, 'validation': n}; missing: one for each 1,252 images.
      resize_shorter_side: shrink larger images so that the shorter side is this many pixels.
      quality: of JPEGs that are written anew (resized ones, and PNG, CMYK and grayscale inputs).
      skip_unreadable: leave unreadable images out instead of failing at the end.
      synset_names: file of lines `class-folder name`, for `image/class/text`.

    Returns: the contents of dataset_info.json.

    Raises: ValueError for wrong arguments, an unusable input_dir, an output_dir of other contents, and
      unreadable images (all are listed first).
    """
    writing.check_writable(output_dir, 'output_dir')
    classes, images = list_images(input_dir)
    texts = read_texts(synset_names, classes)
    plan = {'images': _fingerprint(input_dir, images), 'seed': seed, 'shards': shards or {},
            'resize_shorter_side': resize_shorter_side, 'quality': quality, 'texts': texts}
    jobs = [job for split in sorted(images) for job in _shards(
        images[split], split, output_dir, (shards or {}).get(split), seed, classes, texts,
        resize_shorter_side, quality)]
    known = _finished(output_dir, plan)
    if known:
        _check_shards(output_dir, known)
        log(f'{output_dir} is finished already: nothing to do. (Images are known by their names; if some '
            'were replaced, delete the folder and build it again.)')
        return known
    totals = _run(jobs, num_processes, log)
    return _finish(output_dir, classes, jobs, totals, plan, skip_unreadable, log)


def _finished(output_dir, plan):
    """dataset_info.json of a folder finished by the same plan; else None, with the plan noted there.

    Raises: ValueError when the folder is another plan's.
    """
    parts_dir = os.path.join(output_dir, PARTS_DIR)
    plan_path = os.path.join(parts_dir, 'plan.json')
    info = read_info(output_dir)
    known = info.get('plan', {}) if info else reading.read_json(plan_path)
    if known not in (None, plan):
        raise ValueError(f'{output_dir} was begun from other images or with other flags; choose another '
                         '--output_dir or delete it.')
    if info:
        shutil.rmtree(parts_dir, ignore_errors=True)
        return info
    os.makedirs(parts_dir, exist_ok=True)
    writing.write_json(plan_path, plan)
    return None


def _check_shards(output_dir, info):
    """Raises ValueError for a shard of a finished folder that is not there, or not as long as it was written."""
    for name, shard in info.get('shards', {}).items():
        path = os.path.join(output_dir, name)
        size = os.path.getsize(path) if os.path.exists(path) else None
        if size != shard['bytes']:
            found = 'is missing' if size is None else f'has {size} bytes'
            raise ValueError(f'{path} {found}, where {shard["bytes"]} were written; delete {output_dir} and build it '
                             'again.')


def list_images(input_dir):
    """({class folder: label from 1}, {'train': [(path, label)], 'validation': …}) of an image folder."""
    found = {}
    for folder, split in SPLITS.items():
        root = os.path.join(input_dir, folder)
        if os.path.isdir(root):
            found.setdefault(split, []).extend((root, entry.name) for entry in _visible(root))
    if 'train' not in found:
        raise ValueError(f'{input_dir!r} has no folder train; needed are train/<class>/* and val/<class>/*.')
    names = sorted({name for _, name in found['train']})
    for root, name in (pair for folders in found.values() for pair in folders):
        if not os.path.isdir(os.path.join(root, name)):
            raise ValueError(f'{os.path.join(root, name)!r} is not in a class folder; move or remove it. (ImageNet '
                             'unpacks its validation images into one folder; sort them into classes first.)')
        if name not in names:
            raise ValueError(f'{root} has a class {name!r} that train has not; rename or remove it.')
        if not name.isprintable():
            raise ValueError(f'class folder {name!r} has control characters in its name; rename it.')
    labels = {name: number for number, name in enumerate(names, 1)}
    images = {split: [(path, labels[name]) for root, name in sorted(folders)
                      for path in _files(os.path.join(root, name))] for split, folders in found.items()}
    empty = sorted(set(labels.values()) - {label for _, label in images['train']})
    if empty:
        folder = os.path.join(input_dir, 'train', names[empty[0] - 1])
        raise ValueError(f'{folder!r} has no images: the network could not learn its class. Put some there, or remove '
                         'the folder (and that of val).')
    for split, listed in images.items():
        if not listed:
            raise ValueError(f'{input_dir!r} has no images for the split {split}; they must stand in a folder a class.')
    return labels, images


def _visible(folder):
    """os.scandir's entries without hidden ones, sorted by name."""
    entries = [entry for entry in os.scandir(folder) if not entry.name.startswith('.')]
    return sorted(entries, key=lambda entry: entry.name)


def _files(folder):
    """Paths of a class folder's images, sorted; hidden files are no images, folders are an error."""
    entries = _visible(folder)
    for entry in entries:
        if entry.is_dir():
            raise ValueError(f'{entry.path!r} is a folder within a class; images must stand directly in <class>/.')
    return [entry.path for entry in entries]


def read_texts(path, classes):
    """{class folder: readable name} from a file of `folder name` lines; folders' names where none is."""
    texts = {}
    if path:
        try:
            with open(path, encoding='utf-8') as file:
                texts = dict(line.strip().split(None, 1) for line in file if len(line.split()) > 1)
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f'cannot read --synset_names={path}: {error}') from error
        for name in texts:
            if not texts[name].isprintable():
                raise ValueError(f'{path} has control characters in {name!r} {texts[name]!r}; remove them.')
        missing = sorted(set(classes) - set(texts))
        if missing:
            raise ValueError(f"{path} has no line for {', '.join(missing[:5])}; needed is a line 'folder name' "
                             'for every class.')
    return {name: texts.get(name, name) for name in classes}


def _fingerprint(input_dir, images):
    digest = hashlib.sha256()
    for split in sorted(images):
        for path, label in images[split]:
            name = os.fsencode(os.path.relpath(path, input_dir))
            digest.update(b'%s\0%s\0%d\n' % (split.encode(), name, label))
    return digest.hexdigest()


def _shards(images, split, output_dir, count, seed, classes, texts, resize_shorter_side, quality):
    count = count or -(-len(images) // IMAGES_A_SHARD)
    if not 1 <= count <= len(images):
        raise ValueError(f'{count} shards for the {len(images)} images of {split}; it must be 1 to that many.')
    order = np.random.Philox(key=np.array([seed, len(split)], np.uint64)).random_raw(len(images)).argsort(kind='stable')
    for number, chosen in enumerate(np.array_split(order, count)):
        name = f'{split}-{number:05d}-of-{count:05d}'
        yield shard_writer.Shard(
            os.path.join(output_dir, name), os.path.join(output_dir, PARTS_DIR, name + '.npz'), split,
            tuple(images[index] for index in chosen), tuple(classes), tuple(texts.values()),
            resize_shorter_side, quality)


def _run(jobs, num_processes, log):
    """The Totals over all shards; writes those that no earlier run finished."""
    todo, totals = [], Totals()
    for job in jobs:
        part = shard_writer.read_part(job)
        if part is None:
            todo.append(job)
        else:
            totals.add(job, part)
    if len(todo) < len(jobs):
        log(f'{len(jobs) - len(todo)} of {len(jobs)} shards are there already.')
    progress = Progress(sum(len(job.images) for job in todo), 'images', log)
    context = multiprocessing.get_context('spawn')  # TensorFlow does not survive a fork
    counter = context.Value('q', 0)
    workers = min(num_processes or os.cpu_count() or 1, max(1, len(todo)))
    with concurrent.futures.ProcessPoolExecutor(workers, context, shard_writer.set_counter, (counter,)) as pool:
        pending = {pool.submit(shard_writer.write_shard, job): job for job in todo}
        while pending:
            done, _ = concurrent.futures.wait(pending, timeout=1, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                totals.add(pending.pop(future), _result(future))
            progress.update(counter.value)
    progress.finish()
    return totals


def _result(future):
    try:
        return future.result()
    except concurrent.futures.process.BrokenProcessPool as error:
        raise ValueError('a process that writes records was ended from outside, for example for lack of memory; start '
                         'again with the same flags, and a smaller --num_processes: what is done is kept.') from error


class Totals:
    """Sums over shards. They are whole numbers below 2^53, so the order of adding does not matter."""

    def __init__(self):
        self.counts, self.unreadable, self.shards = collections.Counter(), [], {}
        self.image_sum, self.product_sum = np.zeros([256, 256, 3]), np.zeros([3, 3])

    def add(self, job, part):
        self.counts[job.split] += len(part.lengths)
        self.shards[os.path.basename(job.path)] = part.description()
        self.unreadable += part.unreadable
        self.image_sum += part.image_sum
        self.product_sum += part.product_sum

    def statistics(self):
        """(mean image, mean RGB, eigenvalues ascending, eigenvectors as columns) of the training images."""
        mean_image = self.image_sum / self.counts['train']
        mean_rgb = mean_image.mean((0, 1))
        pixels = self.counts['train'] * mean_image[..., 0].size
        covariance = self.product_sum / pixels - np.outer(mean_rgb, mean_rgb)
        values, vectors = np.linalg.eigh(covariance)
        return mean_image, mean_rgb, np.maximum(values, 0), vectors  # of grayscale images two are 0, give or take 1e-12


def _finish(output_dir, classes, jobs, totals, plan, skip_unreadable, log):
    for path, reason in sorted(totals.unreadable):
        log(f'unreadable: {path!r}: {reason}')
    if totals.unreadable and not skip_unreadable:
        raise ValueError(f'{len(totals.unreadable)} images cannot be read (listed above); replace them by whole ones '
                         'of the same names, or leave them out with --skip_unreadable; start again with the same '
                         'flags else: what is done is kept.')
    if not totals.counts['train']:
        raise ValueError('no training image can be read.')
    mean_image, mean_rgb, eigenvalues, eigenvectors = totals.statistics()
    np.save(os.path.join(output_dir, MEAN_IMAGE_FILE), mean_image.astype(np.float32))
    with open(os.path.join(output_dir, 'labels.txt'), 'w', encoding='utf-8') as file:
        file.writelines(f'{label}:{name}\n' for name, label in classes.items())
    info = {
        'format': 'slim', 'counts': dict(sorted(totals.counts.items())),
        'shards': dict(sorted(totals.shards.items())), 'unreadable': len(totals.unreadable),
        'num_classes': len(classes), 'class_names': [plan['texts'][name] for name in classes], 'label_base': 1,
        'mean_rgb': mean_rgb.tolist(), 'mean_image': MEAN_IMAGE_FILE,
        'rgb_covariance_eigenvalues': eigenvalues.tolist(),
        'rgb_covariance_eigenvectors': eigenvectors.tolist(), 'plan': plan}
    writing.write_json(os.path.join(output_dir, INFO_FILE), info)
    shutil.rmtree(os.path.join(output_dir, PARTS_DIR))
    log(f'{output_dir}: ' + ', '.join(f'{count} {split} images' for split, count in info['counts'].items())
        + f' of {len(classes)} classes in {len(jobs)} shards, {len(totals.unreadable)} unreadable left out. '
        f'Next: python train_image_classifier.py --dataset_dir={shlex.quote(output_dir)}'
        + ('' if 'validation' in info['counts'] else
           ' --validation_split_name= --learning_rate_decay_type=fixed'))
    return info


def main():
    shards = {'train': FLAGS.train_shards, 'validation': FLAGS.validation_shards}
    build(FLAGS.input_dir, FLAGS.output_dir, seed=FLAGS.seed, quality=FLAGS.quality,
          shards={split: count for split, count in shards.items() if count},
          resize_shorter_side=FLAGS.resize_shorter_side, skip_unreadable=FLAGS.skip_unreadable,
          synset_names=FLAGS.synset_names, num_processes=FLAGS.num_processes)


if __name__ == '__main__':
    command.run('build_tfrecords', main, ROWS)
