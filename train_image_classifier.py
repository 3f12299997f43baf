"""Trains AlexNet on TFRecords of images.

    python train_image_classifier.py                                   # the sample that comes along
    python train_image_classifier.py --dataset_dir=records --train_dir=runs/one --model_name=alexnet

Started again with the same --train_dir it goes on where it stopped.
"""
import dataclasses
import functools
import math
import os
import shlex

import tensorflow as tf
from absl import flags

from alexnet_tf.console import command, flag_table, signals
from alexnet_tf.data import datasets, preprocessing, sizes
from alexnet_tf.data.batches import evaluation_batches, training_batches
from alexnet_tf.data.color_noise import color_noise
from alexnet_tf.files import writing
from alexnet_tf.model import building, evaluation, precision, specs
from alexnet_tf.run_folder import checkpoints, lock
from alexnet_tf.script_flags import recipes
from alexnet_tf.script_flags.train import OPTIMIZER, RESUME, ROWS
from alexnet_tf.training import loop, optimizers, resuming, schedules
from alexnet_tf.training import threads as threads_of
from alexnet_tf.training.devices import make_strategy
from alexnet_tf.training.plateau import Plateau
from alexnet_tf.training.start import restore
from alexnet_tf.training.state import State
from alexnet_tf.training.step import make_train_step
from nets import alexnet

FLAGS = flags.FLAGS
# What the sample's 2,000 small photographs want; flags that are given go before.
SAMPLE_DEFAULTS = {'batch_size': 32, 'num_epochs': 5.0, 'learning_rate_decay_type': 'piecewise',
                   'decay_epochs': ['4'], 'dropout_keep_prob': 0.8, 'color_noise': 0.0}

def run(notice):
    check_flags()
    threads, reason = threads_of.choose(FLAGS.train_dir, FLAGS.intra_op_threads)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    FLAGS.intra_op_threads = threads
    print(f'Threads of an operation: {threads} ({reason}).')
    strategy, devices = make_strategy(FLAGS.num_clones, FLAGS.clone_on_cpu, FLAGS.model_parallel)
    policy, reason = precision.choose(FLAGS.precision)
    print(f'Precision: {reason}.')
    dataset, validation = open_splits()
    with lock.hold(FLAGS.train_dir):
        checkpoints.remove_leftovers(FLAGS.train_dir)
        run_on(dataset, validation, strategy, devices, policy, notice)


def run_on(dataset, validation, strategy, devices, policy, notice):
    """What the process does while it has train_dir for itself."""
    flag_values = described_flags(policy, dataset)
    if checkpoints.find(FLAGS.train_dir):
        flag_values = resuming.check(FLAGS.train_dir, flag_values, RESUME, FLAGS.allow_changes)
    spec = make_spec(dataset)
    building.set_seed(FLAGS.seed)
    with strategy.scope():
        model = building.build(spec, dtype=policy, dropout_keep_prob=FLAGS.dropout_keep_prob, devices=devices,
                             hidden_bias=FLAGS.hidden_bias, initial_values=FLAGS.initial_values)
        optimizer = optimizers.make(FLAGS.optimizer, **{row.name: FLAGS[row.name].value for row in OPTIMIZER})
        plateau = Plateau(FLAGS.plateau_patience) if uses_plateau() else None
        state = State(model, optimizer, trainable_scopes=FLAGS.trainable_scopes, plateau=plateau,
                               own_rates=bool(FLAGS.learning_rate_steps) or FLAGS.bias_learning_rate_factor != 1)
        start_step = restore(
            state, FLAGS.train_dir, checkpoint_path=FLAGS.checkpoint_path, spec=spec,
            exclude_scopes=FLAGS.checkpoint_exclude_scopes, ignore_missing=FLAGS.ignore_missing_vars)
    schedule = make_schedule(state, len(dataset) / FLAGS.batch_size)
    loop.keep_best(state, FLAGS.train_dir)
    mean = write_description(spec, dataset, flag_values, resumed=start_step > 0)
    train_step = make_train_step(
        state, strategy, batch_size=FLAGS.batch_size, mean=mean, seed=FLAGS.seed,
        noise=color_noise(dataset.info, scale=FLAGS.color_noise, kind=FLAGS.color_noise_kind),
        weight_decay=FLAGS.weight_decay, label_smoothing=FLAGS.label_smoothing)
    pace = make_pace(dataset)
    print(f'Training {spec.model_name} with {model.count_params():,} parameters on {len(dataset)} images of '
          f'{spec.num_classes} classes from {dataset.folder}: steps {start_step} to {pace.max_steps}, '
          f'{len(dataset) / FLAGS.batch_size:.1f} steps an epoch.')
    try:
        result = loop.train(
            state, train_step, functools.partial(batches_from, dataset), train_dir=FLAGS.train_dir,
            schedule=schedule, pace=pace, notice=notice,
            validate=make_validation(model, spec, mean, validation, notice))
    finally:
        for split in filter(None, (dataset, validation)):
            split.report_bad()
    print_summary(start_step, pace.max_steps, result, state)


def make_pace(dataset):
    """The loop.Pace that the flags say."""
    per_epoch, steps = len(dataset) / FLAGS.batch_size, FLAGS.max_number_of_steps
    if steps is None:
        steps = round(FLAGS.num_epochs * per_epoch, 6)
        if steps > flag_table.LARGEST:
            raise ValueError(f'--num_epochs={FLAGS.num_epochs:g} would be {steps:g} steps; it must be at most '
                             f'{flag_table.LARGEST}.')
    return loop.Pace(
        max_steps=math.ceil(steps),
        batch_size=FLAGS.batch_size, num_examples=len(dataset),
        validate_every=FLAGS.validate_every_n_steps or max(1, round(per_epoch)), log_every=FLAGS.log_every_n_steps,
        save_secs=FLAGS.save_interval_secs, summary_secs=FLAGS.save_summaries_secs, max_rollbacks=FLAGS.max_rollbacks)


def open_splits():
    """(training Dataset, validation Dataset or None)."""
    folder = FLAGS.dataset_dir or datasets.SAMPLE_DIR
    classes = 1000 if FLAGS.dataset_name == 'imagenet' else None
    dataset = datasets.open_dataset(folder, FLAGS.dataset_split_name, labels_offset=FLAGS.labels_offset,
                                default_num_classes=classes, max_bad_records=FLAGS.max_bad_records)
    if not FLAGS.validation_split_name:
        if uses_plateau():
            raise ValueError('--learning_rate_decay_type=plateau needs a validation split; choose another schedule '
                             'or name one with --validation_split_name.')
        return dataset, None
    try:
        validation = datasets.open_dataset(folder, FLAGS.validation_split_name, labels_offset=dataset.labels_offset,
                                       default_num_classes=classes, max_bad_records=FLAGS.max_bad_records)
    except ValueError as error:
        raise ValueError(f'the validation split: {error} Another split can be named with --validation_split_name; to '
                         'train without any: --validation_split_name= --learning_rate_decay_type=fixed.') from error
    if validation.class_names != dataset.class_names:
        raise ValueError(f'in {folder} the splits {dataset.split} and {validation.split} have different classes '
                         f'({dataset.num_classes} and {validation.num_classes}); put a labels.txt beside the shards '
                         "(a line 'label:name' a class).")
    return dataset, validation


def make_spec(dataset):
    """The Spec of the network to train; it must be that of train_dir, if there is one."""
    if FLAGS.mean == 'image' and not dataset.info.get('mean_image'):
        raise ValueError(f'--mean=image, but {dataset.folder} has no mean image (build_tfrecords writes one); '
                         'use --mean=rgb.')
    if not dataset.info:
        print(f"{dataset.folder} has no statistics of build_tfrecords: ImageNet's mean RGB and colour axes are used.")
    mean = (dataset.info['mean_image'] if FLAGS.mean == 'image'
            else tuple(dataset.info.get('mean_rgb', preprocessing.IMAGENET_MEAN_RGB)))
    unscaled = alexnet.has_unscaled_dropout(FLAGS.variant) if FLAGS.dropout_form is None else (
        FLAGS.dropout_form == 'original')
    spec = specs.Spec(FLAGS.model_name, image_size(), dataset.class_names, mean, dataset.labels_offset, FLAGS.variant,
                       FLAGS.dropout_keep_prob if unscaled else None)
    known = specs.read_spec(FLAGS.train_dir) if checkpoints.find(FLAGS.train_dir) else None
    if known and 'dataset' in FLAGS.allow_changes and type(known.mean) is type(spec.mean):
        spec = dataclasses.replace(spec, mean=known.mean)  # the run keeps its own
    if known and known != spec:
        raise ValueError(f'--train_dir={FLAGS.train_dir} holds a run with {specs.differences(known, spec)}; no flag '
                         'allows that, since the weights would mean something else. Choose another --train_dir, with '
                         '--checkpoint_path for the weights.')
    return spec


def image_size():
    return FLAGS.train_image_size or alexnet.IMAGE_SIZES[FLAGS.variant]


def check_flags():
    """Refuses flags that would have no effect."""
    flag_table.check_effects(ROWS)
    resuming.check_allowed(FLAGS.allow_changes, RESUME)
    if FLAGS.batch_size % FLAGS.num_clones:
        raise ValueError(f'--batch_size={FLAGS.batch_size} does not divide among --num_clones={FLAGS.num_clones}.')
    piecewise = FLAGS.learning_rate_decay_type == 'piecewise'
    if piecewise != bool(FLAGS.decay_epochs):
        raise ValueError('--learning_rate_decay_type=piecewise and --decay_epochs (as 13,18) need each other; '
                         f'the schedule is {FLAGS.learning_rate_decay_type}.')
    steps = FLAGS.learning_rate_decay_type == 'steps'
    if steps != bool(FLAGS.learning_rate_steps):
        raise ValueError('--learning_rate_decay_type=steps and --learning_rate_steps (as 0:0.01,25:0.001) need each '
                         f'other; the schedule is {FLAGS.learning_rate_decay_type}.')
    if (steps or FLAGS.bias_learning_rate_factor != 1) and FLAGS.optimizer not in ('momentum', 'sgd'):
        raise ValueError(f'--optimizer={FLAGS.optimizer} cannot give single variables a rate of their own '
                         '(--learning_rate_steps, --bias_learning_rate_factor); momentum and sgd can.')
    writing.check_writable(FLAGS.train_dir, 'train_dir')
    sizes.check_resize_side_max(FLAGS.resize_side_max, image_size())
    if steps and FLAGS.bias_learning_rate_factor != 1:
        raise ValueError('--bias_learning_rate_factor has no effect with --learning_rate_decay_type=steps; give biases '
                         'their rate there, as 0:biases=0.02.')
    for name in ('checkpoint_exclude_scopes', 'trainable_scopes'):
        if '' in FLAGS[name].value:
            raise ValueError(f'--{name} has an empty entry, which would mean all variables; remove the comma.')
    for name in ('checkpoint_exclude_scopes', 'ignore_missing_vars'):
        if FLAGS[name].value and not FLAGS.checkpoint_path:
            raise ValueError(f'--{name} is about --checkpoint_path, which is not given.')


def described_flags(policy, dataset):
    """{flag: value} of this run, with the arithmetic that was chosen and what the training set is."""
    values = {name: FLAGS[name].value for name in RESUME if name != resuming.DATASET}
    return values | {'precision': policy.replace('mixed_', ''), 'dataset': resuming.describe(dataset)}


def write_description(spec, dataset, flag_values, resumed):
    """model.json, the mean image if there is one, and the flags, beside the checkpoints. Returns the mean."""
    kept = resumed and isinstance(spec.mean, str) and os.path.exists(os.path.join(FLAGS.train_dir, spec.mean))
    mean = building.load_mean(spec, FLAGS.train_dir if kept else dataset.folder)
    for folder in (FLAGS.train_dir, os.path.join(FLAGS.train_dir, checkpoints.BEST_DIR)):
        specs.write_spec(spec, folder, mean)
    writing.write_json(os.path.join(FLAGS.train_dir, resuming.FLAGS_FILE), flag_values)
    return mean


def batches_from(dataset, start_step):
    return training_batches(
        dataset, seed=FLAGS.seed, batch_size=FLAGS.batch_size, start_step=start_step,
        image_size=image_size(), resize_side_max=FLAGS.resize_side_max, num_threads=FLAGS.num_preprocessing_threads)


def make_validation(model, spec, mean, dataset, notice):
    """() -> evaluation.Result, or None without a validation split."""
    if dataset is None:
        return None
    eval_step = evaluation.make_eval_step([(model, mean, spec.image_size)])
    batches = evaluation_batches(dataset, batch_size=100, image_size=spec.image_size,
                                      num_threads=FLAGS.num_preprocessing_threads)
    return lambda: evaluation.evaluate(eval_step, batches, len(dataset), between=notice.check)[0]


def uses_plateau():
    return FLAGS.learning_rate_decay_type == 'plateau'


def make_schedule(state, steps_per_epoch):
    """step -> schedules.Settings."""
    names = state.trainable_names
    if FLAGS.learning_rate_steps:
        layers = sorted({name.split('/')[-2] for name in state.weights})
        changes = schedules.parse_steps(FLAGS.learning_rate_steps, layers)
        return lambda step: schedules.follow_steps(changes, step / steps_per_epoch, names)
    boundaries = [float(epoch) for epoch in FLAGS.decay_epochs]
    factors = tuple(FLAGS.bias_learning_rate_factor if name.endswith('biases') else 1.0 for name in names)
    return lambda step: schedules.Settings(schedules.learning_rate(
        step, decay_type=FLAGS.learning_rate_decay_type, base=FLAGS.learning_rate,
        steps_per_epoch=steps_per_epoch, decay_factor=FLAGS.learning_rate_decay_factor,
        epochs_per_decay=FLAGS.num_epochs_per_decay, end=FLAGS.end_learning_rate, boundaries=boundaries,
        warmup_epochs=FLAGS.warmup_epochs,
        divisions=int(state.plateau.divisions.numpy()) if state.plateau else 0), factors)


def print_summary(start_step, max_steps, result, state):
    if max_steps == 0:
        print('No step was asked for, so none was trained and nothing saved.')
        return
    if start_step >= max_steps:
        print(f'{FLAGS.train_dir} is trained to step {start_step} already; for more give a larger --num_epochs '
              'or --max_number_of_steps, for a new run another --train_dir.')
    elif result:
        print(f'Finished at step {max_steps}: top-1 {result.accuracy:.2%}, top-5 {result.recall_5:.2%} of '
              f'{result.num_examples} validation images (best top-1: {float(state.best_accuracy.numpy()):.2%}).')
    trained = f'--checkpoint_path={shlex.quote(FLAGS.train_dir)}'
    folder = '' if FLAGS.dataset_dir is None else f' --dataset_dir={shlex.quote(FLAGS.dataset_dir)}'
    print(f'Next: python eval_image_classifier.py {trained}{folder} --views=10, or '
          f'python -m alexnet_tf.export {trained} --output_dir=exported')


def main():
    if FLAGS.recipe:
        recipes.apply(FLAGS, FLAGS.recipe)
    if FLAGS.print_recipe:
        print('\n'.join(recipes.describe(FLAGS, FLAGS.recipe)))
        return
    if FLAGS.dataset_dir is None and not FLAGS.recipe:
        changed = {name: value for name, value in SAMPLE_DEFAULTS.items() if not FLAGS[name].present}
        if FLAGS['learning_rate_decay_type'].present:
            changed.pop('decay_epochs', None)  # of the sample's own schedule
        for name, value in changed.items():
            FLAGS[name].value = value
        print('No --dataset_dir: training on the CIFAR-10 sample that comes along, with '
              + ' '.join(f'--{name}={",".join(value) if isinstance(value, list) else value}'
                         for name, value in changed.items()))
    with signals.noted() as notice:
        run(notice)


if __name__ == '__main__':
    command.run('train_image_classifier', main, ROWS)
