"""Scores a checkpoint on TFRecords, every image exactly once.

    python eval_image_classifier.py --checkpoint_path=runs/one --dataset_dir=records --views=10
    python eval_image_classifier.py --checkpoint_path=runs/one,runs/two --dataset_dir=records
"""
import os

from absl import flags

from alexnet_tf.console import command, flag_table
from alexnet_tf.console.loading import load_tensorflow
from alexnet_tf.files import places, writing
from alexnet_tf.script_flags.eval import ROWS

FLAGS = flags.FLAGS


def main():
    """Reads the flags; imports TensorFlow, which takes seconds, only when they are known to be right."""
    paths = FLAGS.checkpoint_path.split(',')
    check_flags(paths)
    load_tensorflow()
    from alexnet_tf.data import datasets, slim_folders
    from alexnet_tf.model import precision
    from alexnet_tf.model.scoring import Scorer
    folder = FLAGS.dataset_dir or datasets.SAMPLE_DIR
    policy, reason = precision.choose(FLAGS.precision)
    info = slim_folders.read_info(folder) or {}
    scorer = Scorer(num_views=int(FLAGS.views), model_name=FLAGS.model_name, class_names=info.get('class_names'),
                    mean_rgb=info.get('mean_rgb'), image_size=FLAGS.eval_image_size,
                    resize_mode=FLAGS.resize_mode, dtype=policy)
    if FLAGS.wait_for_checkpoints:
        follow(scorer, folder, reason)
    else:
        evaluate_once(scorer, paths, folder, reason)


def check_flags(paths):
    """Refuses, before anything is scored, what could not be read or written after it."""
    flag_table.check_effects(ROWS)
    if '' in paths:
        raise ValueError(f'--checkpoint_path={FLAGS.checkpoint_path} has an empty entry; remove the comma.')
    if len(paths) > 1 and FLAGS.wait_for_checkpoints:
        raise ValueError(f'--wait_for_checkpoints follows one folder; --checkpoint_path has {len(paths)}.')
    if len(paths) > 1 and not FLAGS.eval_dir:
        raise ValueError(f'--checkpoint_path names {len(paths)} networks; say with --eval_dir where their '
                         'common result goes.')
    flag_table.check_paths(ROWS)
    for path in [] if FLAGS.wait_for_checkpoints else paths:
        places.check_checkpoint(path)
    if FLAGS.eval_dir:
        writing.check_writable(FLAGS.eval_dir, 'eval_dir')
    if FLAGS.scores_file:
        if os.path.isdir(FLAGS.scores_file):
            raise ValueError(f'--scores_file={FLAGS.scores_file} is a folder; give the name of a file, as scores.npz.')
        writing.check_writable(os.path.dirname(FLAGS.scores_file) or '.', 'scores_file')


def follow(scorer, folder, reason):
    """Scores the newest checkpoint whenever there is a new one, until none has come for --wait_timeout_secs."""
    from alexnet_tf.run_folder import checkpoints
    scored = False
    for latest in checkpoints.follow(FLAGS.checkpoint_path, FLAGS.wait_timeout_secs):
        damage = checkpoints.damage(latest)
        try:
            if damage is None:
                evaluate_once(scorer, [latest], folder, reason)
                scored = True
        except ValueError:
            if checkpoints.is_whole(latest):
                raise
            damage = 'it was removed by the training run'
        if damage:
            print(f'{latest} cannot be scored ({damage}); going on with the next.')
    if not scored:
        raise ValueError(f'no whole checkpoint came to --checkpoint_path={FLAGS.checkpoint_path} in '
                         f'{FLAGS.wait_timeout_secs:g} s; give the --train_dir of a run.')
    print(f'No new checkpoint in {FLAGS.checkpoint_path} for {FLAGS.wait_timeout_secs:g} s.')


def evaluate_once(scorer, paths, folder, reason):
    """Loads, scores, prints and writes. reason: why this precision, for the line that is printed."""
    import numpy as np

    from alexnet_tf.data import datasets
    from alexnet_tf.data.batches import EvaluationBatches
    from alexnet_tf.model import scoring
    networks = scorer.load(paths)
    eval_dir = FLAGS.eval_dir or os.path.join(os.path.dirname(networks[0].checkpoint), 'eval')
    writing.check_writable(eval_dir, 'eval_dir')
    offset = FLAGS.labels_offset
    if offset is None and networks[0].knows_background:
        offset = 0
    dataset = datasets.open_dataset(
        folder, FLAGS.dataset_split_name, default_num_classes=1000 if FLAGS.dataset_name == 'imagenet' else None,
        labels_offset=offset, max_bad_records=FLAGS.max_bad_records)
    for loaded in networks:
        scoring.check_classes(loaded, dataset)
        print(f'Scoring {loaded.spec.model_name} from {loaded.checkpoint} on {len(dataset)} images of '
              f'{dataset.folder} with {FLAGS.views} view{"s" if FLAGS.views != "1" else ""}; {reason}.')
    batches = EvaluationBatches(dataset, batch_size=FLAGS.batch_size, image_size=networks[0].spec.image_size,
                                resize_mode=networks[0].spec.resize_mode, num_threads=FLAGS.num_preprocessing_threads)
    limit = FLAGS.max_num_batches
    expected = min(len(dataset), limit * FLAGS.batch_size) if limit else len(dataset)
    result, scores, labels = scorer.score(
        batches, expected, max_num_batches=limit, log=print, keep_scores=bool(FLAGS.scores_file))
    dataset.report_bad()
    write_results(networks, result, dataset, eval_dir)
    if FLAGS.scores_file:
        os.makedirs(os.path.dirname(FLAGS.scores_file) or '.', exist_ok=True)
        np.savez(FLAGS.scores_file, scores=scores, labels=labels)


def write_results(networks, result, dataset, eval_dir):
    """Prints accuracies as slim does, and writes eval_results.json and TensorBoard's events."""
    import tensorflow as tf

    from alexnet_tf.run_folder.metrics_log import write_scalars
    print(f'eval/Accuracy[{result.accuracy:.5g}]')
    print(f'eval/Recall_5[{result.recall_5:.5g}]')
    step, path = networks[0].step, os.path.join(eval_dir, 'eval_results.json')
    writing.write_json(path, {
        'checkpoint': ','.join(loaded.checkpoint for loaded in networks), 'global_step': step,
        'dataset_dir': dataset.folder, 'dataset_split_name': dataset.split, 'views': int(FLAGS.views),
        'num_examples': result.num_examples, 'accuracy': result.accuracy, 'recall_5': result.recall_5,
        'loss': result.loss, 'bad_records': len(dataset.bad)})
    writer = tf.summary.create_file_writer(eval_dir)
    write_scalars(writer, step, {'eval/Accuracy': result.accuracy, 'eval/Recall_5': result.recall_5,
                                 'eval/Loss': result.loss})
    writer.close()
    print(f'{result.num_examples} images, loss {result.loss:.4f}; written to {path}')


def cli():
    command.run('eval_image_classifier', main, ROWS)


if __name__ == '__main__':
    cli()
