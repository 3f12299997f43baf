"""Scores a checkpoint on TFRecords, every image exactly once.

    python eval_image_classifier.py --checkpoint_path=runs/one --dataset_dir=records --views=10
    python eval_image_classifier.py --checkpoint_path=runs/one,runs/two --dataset_dir=records
"""
import glob
import itertools
import os
import time

import numpy as np
import tensorflow as tf
from absl import flags

from alexnet_tf.console import command, flag_table
from alexnet_tf.data import dataset_info, datasets, preprocessing
from alexnet_tf.data.batches import evaluation_batches
from alexnet_tf.files import writing
from alexnet_tf.model import evaluation, loading, precision
from alexnet_tf.run_folder import checkpoints
from alexnet_tf.run_folder.metrics_log import write_scalars
from alexnet_tf.script_flags.eval import ROWS

FLAGS = flags.FLAGS


def check_places(checkpoint_paths):
    """Refuses, before anything is scored, what could not be read or written after it."""
    datasets.check_folder(FLAGS.dataset_dir or datasets.SAMPLE_DIR)
    if '' in checkpoint_paths:
        raise ValueError(f'--checkpoint_path={FLAGS.checkpoint_path} has an empty entry; remove the comma.')
    if len(checkpoint_paths) > 1 and not FLAGS.eval_dir and not FLAGS.wait_for_checkpoints:
        raise ValueError(f'--checkpoint_path names {len(checkpoint_paths)} networks; say with --eval_dir where their '
                         'common result goes.')
    if FLAGS.eval_dir:
        writing.check_writable(FLAGS.eval_dir, 'eval_dir')
    if FLAGS.scores_file:
        if os.path.isdir(FLAGS.scores_file):
            raise ValueError(f'--scores_file={FLAGS.scores_file} is a folder; give the name of a file, as scores.npz.')
        writing.check_writable(os.path.dirname(FLAGS.scores_file) or '.', 'scores_file')
        os.makedirs(os.path.dirname(FLAGS.scores_file) or '.', exist_ok=True)


def evaluate_once(checkpoint_paths, before=((), None)):
    """Loads, scores, prints and writes.

    Args:
      before: what this function returned for checkpoints before; their models then get the new weights.

    Returns: (the networks, as loading.Loaded, the step that scores with them).
    """
    policy, reason = precision.choose(FLAGS.precision)
    folder = FLAGS.dataset_dir or datasets.SAMPLE_DIR
    info = dataset_info.read_info(folder) or {}
    networks = [loading.load(path, model_name=FLAGS.model_name, class_names=info.get('class_names'),
                               mean_rgb=info.get('mean_rgb'), image_size=FLAGS.eval_image_size, dtype=policy,
                               reuse=reuse)
                for path, reuse in itertools.zip_longest(checkpoint_paths, before[0])]
    check_together(networks)
    if not FLAGS.eval_dir:
        writing.check_writable(result_dir(networks), 'eval_dir')
    dataset = datasets.open_dataset(
        folder, FLAGS.dataset_split_name, default_num_classes=1000 if FLAGS.dataset_name == 'imagenet' else None,
        labels_offset=labels_offset(networks[0]), max_bad_records=FLAGS.max_bad_records)
    for loaded in networks:
        check_classes(loaded, dataset)
        print(f'Scoring {loaded.spec.model_name} from {loaded.checkpoint} on {len(dataset)} images of '
              f'{dataset.folder} with {FLAGS.views} view{"s" if FLAGS.views != "1" else ""}; {reason}.')
    batches = evaluation_batches(dataset, batch_size=FLAGS.batch_size, image_size=networks[0].spec.image_size,
                                      num_threads=FLAGS.num_preprocessing_threads)
    step = before[1]
    if [loaded.model for loaded in networks] != [loaded.model for loaded in before[0]]:  # traced once for each model
        step = evaluation.make_eval_step([(loaded.model, loaded.mean, loaded.spec.image_size) for loaded in networks],
                                         num_views=int(FLAGS.views))
    limit = FLAGS.max_num_batches
    expected = min(len(dataset), limit * FLAGS.batch_size) if limit else len(dataset)
    result, scores, labels = evaluation.evaluate(
        step, batches, expected, max_num_batches=limit, log=print, keep_scores=bool(FLAGS.scores_file))
    dataset.report_bad()
    write_results(networks, result, len(dataset.bad))
    if FLAGS.scores_file:
        np.savez(FLAGS.scores_file, scores=scores, labels=labels)
    return networks, step


def check_together(networks):
    """Refuses networks whose probabilities can't be averaged."""
    first = networks[0]
    for other in networks[1:]:
        for what, values in (
                ('classes', [loaded.spec.class_names for loaded in (first, other)]),
                ('labels_offset', [loaded.spec.labels_offset or 0 for loaded in (first, other)]),
                ('side of the resized image', [preprocessing.square_side(loaded.spec.image_size)
                                               for loaded in (first, other)])):
            if values[0] != values[1]:
                raise ValueError(f'{first.checkpoint} and {other.checkpoint} differ in their {what}; only networks '
                                 'with the same can be averaged.')


def labels_offset(loaded):
    """The flag's, else 0 (background kept) or None (found by looking) as the network's classes want it."""
    if FLAGS.labels_offset is not None:
        return FLAGS.labels_offset
    return 0 if loaded.knows_background else None


def check_classes(loaded, dataset):
    if dataset.num_classes != loaded.spec.num_classes:
        raise ValueError(f'{loaded.checkpoint} knows {loaded.spec.num_classes} classes, {dataset.folder} has '
                         f'{dataset.num_classes}; with --labels_offset=0 slim data have one class more (background).')
    if dataset.class_names != loaded.spec.class_names:
        if sorted(dataset.class_names) == sorted(loaded.spec.class_names):
            raise ValueError(f'{dataset.folder} has the classes of the training set in another order, so that their '
                             'numbers mean other classes; build it from the same class folders.')
        print(f'Note: the classes of {dataset.folder} have other names than those of the training set; they '
              'are taken by number.')


def result_dir(networks):
    return FLAGS.eval_dir or os.path.join(os.path.dirname(networks[0].checkpoint), 'eval')


def write_results(networks, result, bad_records):
    print(f'eval/Accuracy[{result.accuracy:.5g}]')
    print(f'eval/Recall_5[{result.recall_5:.5g}]')
    first, eval_dir = networks[0], result_dir(networks)
    path = os.path.join(eval_dir, 'eval_results.json')
    writing.write_json(path, {
        'checkpoint': ','.join(loaded.checkpoint for loaded in networks), 'global_step': first.step,
        'views': int(FLAGS.views), 'num_examples': result.num_examples, 'accuracy': result.accuracy,
        'recall_5': result.recall_5, 'loss': result.loss, 'bad_records': bad_records})
    writer = tf.summary.create_file_writer(eval_dir)
    write_scalars(writer, first.step, {'eval/Accuracy': result.accuracy, 'eval/Recall_5': result.recall_5,
                                               'eval/Loss': result.loss})
    writer.close()
    print(f'{result.num_examples} images, loss {result.loss:.4f}; written to {path}')


def follow():
    """Scores the newest checkpoint whenever there is a new one, until none has come for wait_timeout_secs."""
    done, since, before = None, time.monotonic(), ((), None)
    while True:
        latest = checkpoints.find(FLAGS.checkpoint_path)
        if latest in (None, done):
            if time.monotonic() - since > FLAGS.wait_timeout_secs:
                break
            time.sleep(min(10, FLAGS.wait_timeout_secs))
            continue
        damage = checkpoints.damage(latest)
        try:
            if damage is None:
                before = evaluate_once([latest], before)
        except ValueError:
            if is_whole(latest):
                raise
            damage = 'it was removed by the training run'
        if damage:
            print(f'{latest} cannot be scored ({damage}); going on with the next.')
        done, since = latest, time.monotonic()
    if not before[0]:
        raise ValueError(f'no whole checkpoint came to --checkpoint_path={FLAGS.checkpoint_path} in '
                         f'{FLAGS.wait_timeout_secs:g} s; give the --train_dir of a run.')
    print(f'No new checkpoint in {FLAGS.checkpoint_path} for {FLAGS.wait_timeout_secs:g} s.')


def is_whole(checkpoint):
    """Whether all of a checkpoint's files are there: training removes them one after the other."""
    files = glob.glob(glob.escape(checkpoint) + '.data-*-of-*')
    return bool(checkpoints.find(checkpoint) and files) and len(files) == int(files[0].rpartition('-')[2])


def main():
    paths = FLAGS.checkpoint_path.split(',')
    flag_table.check_effects(ROWS)
    check_places(paths)
    if not FLAGS.wait_for_checkpoints:
        evaluate_once(paths)
    elif len(paths) == 1:
        follow()
    else:
        raise ValueError(f'--wait_for_checkpoints follows one folder; --checkpoint_path has {len(paths)}.')


if __name__ == '__main__':
    command.run('eval_image_classifier', main, ROWS)
