"""A folder of slim's records from images, with the statistics that preprocessing wants."""
import collections
import concurrent.futures
import concurrent.futures.process
import functools
import glob
import itertools
import multiprocessing
import os
import shlex
import shutil

import numpy as np

from alexnet_tf.console.progress import Progress
from alexnet_tf.data import image_folders, imagenet_archives, records, shard_writer
from alexnet_tf.data.slim_folders import INFO_FILE, PARTS_DIR, read_info
from alexnet_tf.files import reading, writing

IMAGES_A_SHARD = 1252  # 1,281,167 images make slim's 1024 shards


def build(input_dir, output_dir, *, skip_unreadable=False, num_processes=None, beam_runner=None, beam_options=(),
          log=print, **how):
    """Writes the records of input_dir's splits to output_dir. A finished folder is left alone, an unfinished completed.

    Arguments are the flags of build_tfrecords; how: those of `planned`.

    Returns: the contents of dataset_info.json.

    Raises: ValueError for wrong arguments, an unusable input_dir, an output_dir of other contents, and unreadable
      images (all are listed first).
    """
    writing.check_writable(output_dir, 'output_dir')
    workers = num_processes or os.cpu_count() or 1
    write = functools.partial(_write, num_processes=workers)
    if beam_runner:
        write = functools.partial(_write_by_beam, _beam().write, runner=beam_runner, options=beam_options,
                                  num_processes=workers, log=log, planned=functools.partial(
                                      planned, os.path.abspath(input_dir), os.path.abspath(output_dir), log=_silent,
                                      **how))
    jobs = planned(input_dir, output_dir, log=log, **how)
    plan = jobs[0].plan
    known = _finished(output_dir, plan)
    if known:
        log(f'{output_dir} is finished already: nothing to do. (Images are known by their names; if some '
            'were replaced, delete the folder and build it again.)')
        return known
    totals = _run(jobs, write, log)
    _check_unreadable(totals, skip_unreadable, log)
    info = _describe(output_dir, totals, plan)
    log(f'{output_dir}: ' + ', '.join(f'{count} {split} images' for split, count in info['counts'].items())
        + f' of {info["num_classes"]} classes in {len(jobs)} shards, {len(totals.unreadable)} unreadable left out. '
        f'Next: python train_image_classifier.py --dataset_dir={shlex.quote(output_dir)} '
        f'--train_dir={shlex.quote(os.path.join("runs", os.path.basename(os.path.abspath(output_dir))))}'
        + ('' if 'validation' in info['counts'] else ' --validation_split_name= --learning_rate_decay_type=fixed'))
    return info


def planned(input_dir, output_dir, *, archives=False, allow_partial=False, synset_names=None, seed=0, shards=None,
            resize_shorter_side=None, quality=95, log=print):
    """The shard_writer.Shards that make the folder output_dir, always the same for the same images.

    Args:
      input_dir: an image folder; with archives: the folder of ImageNet's archives. shards: {'train': n, 'validation':
        n}, as far as given. The others are flags of build_tfrecords.

    Raises: ValueError for wrong arguments and an unusable input_dir.
    """
    if archives:
        texts, images = imagenet_archives.list_images(input_dir, allow_partial, log)
    else:
        classes, images = image_folders.list_images(input_dir, log)
        texts = image_folders.read_names(synset_names, classes)
    plan = {'images': image_folders.fingerprint(input_dir, images), 'seed': seed, 'shards': shards or {},
            'resize_shorter_side': resize_shorter_side, 'quality': quality, 'texts': texts}
    return [job for split in sorted(images) for job in _shards(images[split], split, output_dir, plan)]


def _shards(images, split, output_dir, plan):
    """The shard_writer.Shards of one split; images: of a shard_writer.Shard."""
    count = plan['shards'].get(split) or -(-len(images) // IMAGES_A_SHARD)
    if not 1 <= count <= len(images):
        raise ValueError(f'{count} shards for the {len(images)} images of {split}; it must be 1 to that many.')
    key = np.array([plan['seed'], len(split)], np.uint64)
    order = np.random.Philox(key=key).random_raw(len(images)).argsort(kind='stable')
    for number, chosen in enumerate(np.array_split(order, count)):
        name = f'{split}-{number:05d}-of-{count:05d}'
        yield shard_writer.Shard(os.path.join(output_dir, name), os.path.join(output_dir, PARTS_DIR, name + '.npz'),
                                 split, [images[index] for index in chosen], plan)


def _finished(output_dir, plan):
    """dataset_info.json of a folder finished by the same plan; else None, with the plan noted there.

    Raises: ValueError when the folder is another plan's, or a finished shard is not as long as it was written.
    """
    parts_dir = os.path.join(output_dir, PARTS_DIR)
    plan_path = os.path.join(parts_dir, 'plan.json')
    info = read_info(output_dir)
    known = info.get('plan', {}) if info else reading.read_json(plan_path)
    if known not in (None, plan):
        raise ValueError(f'{output_dir} was started from other images or with other flags; choose another '
                         '--output_dir or delete it.')
    if not info:
        writing.write_json(plan_path, plan)
        return None
    shutil.rmtree(parts_dir, ignore_errors=True)
    for name, shard in info.get('shards', {}).items():
        path = os.path.join(output_dir, name)
        if not os.path.exists(path) or os.path.getsize(path) != shard['bytes']:
            raise ValueError(f'{path} is missing or cut off ({shard["bytes"]} bytes were written); delete {output_dir} '
                             'and build it again.')
    return info


def _run(jobs, write, log):
    """The Totals over all shards; write (see `_write`) is called with those that no earlier run finished."""
    todo, totals = [], Totals()
    for job in jobs:
        part = shard_writer.read_part(job)
        if part:
            totals.add(job, part)
        else:
            todo.append(job)
    if len(todo) < len(jobs):
        log(f'{len(jobs) - len(todo)} of {len(jobs)} shards are there already.')
    progress = Progress(sum(len(job.images) for job in todo), 'images', log)
    for job, part in write(todo, progress) if todo else ():
        totals.add(job, part)
    progress.finish()
    return totals


def _write(todo, progress, *, num_processes):
    """Yields (Shard, its part) of each shard when it is written."""
    counter, workers = itertools.count(1), min(num_processes, len(todo))
    if workers == 1:
        for job in todo:
            yield job, shard_writer.write_shard(job, lambda: progress.update(next(counter)))
        return
    try:
        yield from _written_by(workers, todo, progress)
    except concurrent.futures.process.BrokenProcessPool as error:
        raise ValueError('a process that writes records was ended from outside, for example for lack of memory; start '
                         'again with the same flags, and a smaller --num_processes: what is done is kept.') from error


def _beam():
    try:
        from alexnet_tf.data import beam_shards
    except ImportError as error:
        raise ValueError("--beam_runner needs Apache Beam: pip install apache-beam, or pip install -e '.[beam]'."
                         ) from error
    return beam_shards


def _write_by_beam(write, todo, progress, **how):
    """The same by a Beam pipeline, when all are written; how: of beam_shards.write."""
    write(todo, **how)
    for job in todo:
        part = shard_writer.read_part(job)
        if not part:
            raise ValueError(f'the Beam pipeline ended, but {job.path} is not there; all workers must write to the '
                             'same folder. Start again with one that they share.')
        yield job, part
    progress.update(sum(len(job.images) for job in todo))


def _silent(line):
    """For workers: the process that started them says it."""


def _written_by(workers, todo, progress):
    """Yields (Shard, its part) of each shard when one of several processes has written it."""
    context = multiprocessing.get_context('spawn')  # TensorFlow does not survive a fork
    counter = context.Value('q', 0)
    with concurrent.futures.ProcessPoolExecutor(workers, context, shard_writer.start_worker, (counter,)) as pool:
        pending = {pool.submit(shard_writer.write_shard, job, shard_writer.count_in_worker): job for job in todo}
        while pending:
            done, _ = concurrent.futures.wait(pending, timeout=1, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                yield pending.pop(future), future.result()
            progress.update(counter.value)


class Totals:
    """Sums over shards. They are whole numbers below 2^53, so the order of adding does not matter."""

    def __init__(self):
        self.counts, self.unreadable, self.shards = collections.Counter(), [], {}
        self.image_sum, self.product_sum = np.zeros([256, 256, 3]), np.zeros([3, 3])

    def add(self, job, part):
        self.counts[job.split] += len(part['lengths'])
        self.shards[os.path.basename(job.path)] = records.description(part['lengths'])
        self.unreadable += part['unreadable'].tolist()
        self.image_sum += part['image_sum']
        self.product_sum += part['product_sum']


def _check_unreadable(totals, skip_unreadable, log):
    for path, reason in sorted(totals.unreadable):
        log(f'unreadable: {path!r}: {reason}')
    if totals.unreadable and not skip_unreadable:
        raise ValueError(f'{len(totals.unreadable)} images cannot be read (listed above); replace them by whole '
                         'JPEG or PNG files of the same names, or leave them out with --skip_unreadable. Then start '
                         'again with the same flags: what is done is kept.')
    if not totals.counts['train']:
        raise ValueError('no training image can be read.')


def _describe(output_dir, totals, plan):
    """Writes what stands beside the shards, dataset_info.json last; returns its contents."""
    mean_image = totals.image_sum / totals.counts['train']
    mean_rgb = mean_image.mean((0, 1))
    pixels = totals.counts['train'] * mean_image[..., 0].size
    eigenvalues, eigenvectors = np.linalg.eigh(totals.product_sum / pixels - np.outer(mean_rgb, mean_rgb))
    np.save(os.path.join(output_dir, 'mean_image.npy'), mean_image.astype(np.float32))
    with open(os.path.join(output_dir, 'labels.txt'), 'w', encoding='utf-8') as file:
        file.writelines(f'{label}:{name}\n' for label, name in enumerate(plan['texts'], 1))
    info = {
        'format': 'slim', 'counts': dict(sorted(totals.counts.items())),
        'shards': dict(sorted(totals.shards.items())), 'unreadable': len(totals.unreadable),
        'num_classes': len(plan['texts']), 'class_names': list(plan['texts'].values()), 'label_base': 1,
        'mean_rgb': mean_rgb.tolist(), 'mean_image': 'mean_image.npy',
        # of grayscale images two are 0, give or take 1e-12
        'rgb_covariance_eigenvalues': np.maximum(eigenvalues, 0).tolist(),
        'rgb_covariance_eigenvectors': eigenvectors.tolist(), 'plan': plan}
    writing.write_json(os.path.join(output_dir, INFO_FILE), info)
    shutil.rmtree(os.path.join(output_dir, PARTS_DIR))
    for left in glob.glob(os.path.join(glob.escape(output_dir), '*-of-*.partial')):  # by workers that were killed
        os.remove(left)
    return info
