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

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # start-up notes of TensorFlow's C++ code

import tensorflow as tf
from absl import flags

from alexnet_tf.console import command, signals
from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.data.batches import MAX_THREADS, evaluation_batches, training_batches
from alexnet_tf.files import writing
from alexnet_tf.model import building, evaluation, precision, specs
from alexnet_tf.run_folder import checkpoints, lock
from alexnet_tf.script_flags import recipes, refused
from alexnet_tf.training import loop, optimizers, resuming, schedules
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

MAY_BE_EMPTY = ('validation_split_name',)


def define_flags():
    """slim's flags wherever the meaning stands, with AlexNet's defaults; the README has the table."""
    f = flags
    f.DEFINE_string('train_dir', 'runs/alexnet', 'Folder for checkpoints, summaries and metrics.jsonl.')
    f.DEFINE_string('dataset_dir', None, 'Folder with TFRecords; without it the sample is used.')
    f.DEFINE_string('dataset_name', 'imagenet', "'imagenet': 1000 classes where the folder names none.")
    f.DEFINE_string('dataset_split_name', 'train', 'Split to train on.')
    f.DEFINE_string('validation_split_name', 'validation', "Split to validate on; '' for none.")
    f.DEFINE_integer('labels_offset', None, 'Subtracted from labels and their number; default: so that the first '
                     "class is 0. slim's default, 0, keeps the background class.", lower_bound=0)
    f.DEFINE_string('model_name', 'alexnet_v2', 'alexnet_v2 or alexnet.')
    f.DEFINE_enum('recipe', None, recipes.NAMES, "All of AlexNet's recipe as the paper, the original program (source) "
                  'or Caffe has it; flags that are given go before. See alexnet_tf/script_flags/recipes.py.')
    f.DEFINE_bool('print_recipe', False, "Print the recipe's flags, their values and sources, and end.")
    f.DEFINE_enum('variant', 'paper', list(alexnet.VARIANTS), 'Whose alexnet, where the sources disagree.')
    f.DEFINE_integer('train_image_size', None, 'Pixels; default: 224, for --variant=caffe 227.', lower_bound=1)
    f.DEFINE_integer('batch_size', 128, 'Examples a step, all devices together.', lower_bound=1)
    f.DEFINE_float('num_epochs', 90.0, 'Epochs to train (paper: about 90).', lower_bound=0)
    f.DEFINE_integer('max_number_of_steps', None, 'Steps to train, instead of --num_epochs.', lower_bound=0)
    f.DEFINE_integer('seed', 0, 'Of order, crops, noise, dropout and initial weights.', 0, 2 ** 32 - 1)
    f.DEFINE_enum('precision', 'auto', ['float32', 'bfloat16', 'auto'], 'Arithmetic; variables are float32.')
    f.DEFINE_integer('num_clones', 1, 'Local devices.', lower_bound=1)
    f.DEFINE_integer('model_parallel', 1, "2: the paper's two towers, one on each of two devices.", 1, 2)
    f.DEFINE_bool('clone_on_cpu', False, 'Make the clones, or the two devices, on logical CPU devices.')
    f.DEFINE_integer('num_preprocessing_threads', None, 'Default: TensorFlow decides.', 1, MAX_THREADS)
    f.DEFINE_integer('intra_op_threads', None, 'Threads of one operation; default: as the run in --train_dir was '
                     "begun, else one a core. Sums are split among them: the weights' last bits depend on it.", 1,
                     MAX_THREADS)
    f.DEFINE_integer('max_bad_records', 0, 'Of each split, leave out so many records that are damaged or no images; '
                     'each is named. One more ends the run.', lower_bound=0)
    f.DEFINE_enum('mean', 'rgb', ['rgb', 'image'], "Subtract the training set's mean RGB or mean image.")
    f.DEFINE_integer('resize_side_max', None, 'Scale jitter: the shorter side is resized to a random length from 256 '
                     '(in proportion for other sizes) to this, before the crop; default: none, as the paper.', 1)
    f.DEFINE_float('color_noise', 0.1, 'Standard deviation of the PCA colour noise, in deviations of the '
                   'training set along its axes (paper: 0.1); 0: none.', lower_bound=0)
    f.DEFINE_enum('color_noise_kind', 'deviations', preprocessing.NOISE_KINDS, 'What the draws are multiplied by; see '
                  'preprocessing.noise_axes.')
    f.DEFINE_float('dropout_keep_prob', 0.5, 'Share of fc6 and fc7 kept in training.', 0, 1)
    f.DEFINE_enum('dropout_form', None, ['inverted', 'original'], 'Rescale what is kept in training, or multiply all '
                  "at test, as the 2012 program; default: the variant's.")
    f.DEFINE_enum('initial_values', None, recipes.NAMES, "Initial weights and biases of alexnet; default: the "
                  "variant's.")
    f.DEFINE_float('hidden_bias', None, 'Initial bias of the layers that have one (paper: 1); default: 0.1, with '
                   'the values of source 1.')
    f.DEFINE_float('weight_decay', 0.0005, 'On weights, not on biases.', lower_bound=0)
    f.DEFINE_float('label_smoothing', 0.0, 'Share of the target spread over all classes.', 0, 1)
    f.DEFINE_enum('optimizer', 'momentum', optimizers.NAMES, 'Optimizer.')
    for name, default in OPTIMIZER_FLAGS.items():
        f.DEFINE_float(name, default, 'See alexnet_tf/training/optimizers.py.', *OPTIMIZER_BOUNDS.get(name, (0, None)))
    f.DEFINE_float('learning_rate', 0.01, 'Initial learning rate.', lower_bound=0)
    f.DEFINE_float('bias_learning_rate_factor', 1.0, "Biases' rate, in rates of weights.", lower_bound=0)
    f.DEFINE_list('learning_rate_steps', [], 'Of steps: epoch:rate or epoch:target=rate, as '
                  '0:0.01,25:0.001,67:conv1=0,67:color_noise=0; targets are layers, weights, biases, conv1/biases.')
    f.DEFINE_float('warmup_epochs', 0.0, 'Epochs in which the rate rises linearly from 0.', lower_bound=0)
    f.DEFINE_enum('learning_rate_decay_type', 'plateau', [*schedules.DECAY_TYPES, 'steps'], 'Schedule.')
    f.DEFINE_float('learning_rate_decay_factor', 0.1, 'Of plateau, piecewise and exponential.', lower_bound=0)
    f.DEFINE_float('num_epochs_per_decay', 30.0, 'Of exponential and polynomial.', lower_bound=1e-9)
    f.DEFINE_list('decay_epochs', [], 'Of piecewise: epochs after which the rate is multiplied, as 13,18.')
    f.DEFINE_integer('plateau_patience', 5, 'Of plateau: validations without a new best.', lower_bound=1)
    f.DEFINE_float('end_learning_rate', 0.0001, 'Of polynomial.', lower_bound=0)
    f.DEFINE_integer('validate_every_n_steps', None, 'Default: once an epoch.', lower_bound=1)
    f.DEFINE_integer('log_every_n_steps', 10, 'Steps between progress lines.', lower_bound=1)
    f.DEFINE_float('save_interval_secs', 600, 'Seconds between checkpoints.', lower_bound=0)
    f.DEFINE_integer('max_rollbacks', 1, 'How often a loss that is not finite sends the run back to its last '
                     'checkpoint, before it ends.', lower_bound=0)
    f.DEFINE_list('allow_changes', [], 'What may be other than when the run in --train_dir was begun: '
                  + ', '.join(resuming.COMPARED) + '.')
    f.DEFINE_integer('save_summaries_secs', 30, 'Seconds until summaries are on disk.', lower_bound=1)
    f.DEFINE_string('checkpoint_path', None, 'Warm start: a checkpoint or its folder (ignored on resuming).')
    f.DEFINE_list('checkpoint_exclude_scopes', [], 'Prefixes of variables not to load, as alexnet_v2/fc8.')
    f.DEFINE_list('trainable_scopes', [], 'Prefixes of variables to train; default: all.')
    f.DEFINE_bool('ignore_missing_vars', False, 'Let variables missing in checkpoint_path keep initial values.')
    f.register_validator('decay_epochs', are_epochs, message='must be numbers of epochs, ascending, as 13,18')
    refused.define_refused(refused.TRAIN)


OPTIMIZER_FLAGS = optimizers.make.__kwdefaults__
OPTIMIZER_BOUNDS = {'ftrl_learning_rate_power': (None, 0)} | dict.fromkeys(
    ('momentum', 'adadelta_rho', 'adam_beta1', 'adam_beta2', 'rmsprop_momentum', 'rmsprop_decay'), (0, 1))
SCHEDULE = 'learning_rate_decay_type'
WORKS_WITH = {  # a flag: (the one that decides, its values with which the first has an effect)
    'learning_rate': (SCHEDULE, schedules.DECAY_TYPES), 'warmup_epochs': (SCHEDULE, schedules.DECAY_TYPES),
    'learning_rate_decay_factor': (SCHEDULE, ('plateau', 'piecewise', 'exponential')),
    'num_epochs_per_decay': (SCHEDULE, ('exponential', 'polynomial')), 'end_learning_rate': (SCHEDULE, ('polynomial',)),
    'plateau_patience': (SCHEDULE, ('plateau',)),
    **{name: ('optimizer', (name.partition('_')[0],)) for name in OPTIMIZER_FLAGS},  # adam_beta1 with adam, …
    'opt_epsilon': ('optimizer', ('adadelta', 'adam', 'rmsprop'))}


def are_epochs(values):
    try:
        epochs = [float(value) for value in values]
        return all(0 <= epoch < math.inf for epoch in epochs) and epochs == sorted(epochs)
    except ValueError:
        return False


def run(notice):
    check_flags()
    threads, reason = resuming.choose_threads(FLAGS.train_dir, FLAGS.intra_op_threads)
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
        flag_values = resuming.check(FLAGS.train_dir, flag_values, FLAGS.allow_changes)
    spec = make_spec(dataset)
    building.set_seed(FLAGS.seed)
    with strategy.scope():
        model = building.build(spec, dtype=policy, dropout_keep_prob=FLAGS.dropout_keep_prob, devices=devices,
                             hidden_bias=FLAGS.hidden_bias, initial_values=FLAGS.initial_values)
        optimizer = optimizers.make(FLAGS.optimizer, **{name: FLAGS[name].value for name in OPTIMIZER_FLAGS})
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
        noise_axes=preprocessing.dataset_noise_axes(dataset.info, FLAGS.color_noise, FLAGS.color_noise_kind),
        noise_divisor=preprocessing.noise_divisor(FLAGS.color_noise, FLAGS.color_noise_kind),
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
        if steps > command.LARGEST:
            raise ValueError(f'--num_epochs={FLAGS.num_epochs:g} would be {steps:g} steps; it must be at most '
                             f'{command.LARGEST}.')
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
    resuming.check_allowed(FLAGS.allow_changes)
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
    for name, (decides, values) in WORKS_WITH.items():
        if FLAGS[name].present and FLAGS[decides].value not in values:
            raise ValueError(f'--{name} has no effect with --{decides}={FLAGS[decides].value}; leave it out, or choose '
                             f'--{decides}={"|".join(values)}.')
    if FLAGS['color_noise_kind'].present and not FLAGS.color_noise:
        raise ValueError(f'--color_noise_kind={FLAGS.color_noise_kind} has no effect with --color_noise=0.')
    if FLAGS['num_epochs'].present and FLAGS.max_number_of_steps is not None:
        raise ValueError(f'--num_epochs={FLAGS.num_epochs:g} and --max_number_of_steps={FLAGS.max_number_of_steps} '
                         'both say when training ends; give one of them.')
    if FLAGS.validate_every_n_steps and not FLAGS.validation_split_name:
        raise ValueError('--validate_every_n_steps has no effect with --validation_split_name= (no validation).')
    writing.check_writable(FLAGS.train_dir, 'train_dir')
    preprocessing.check_resize_side_max(FLAGS.resize_side_max, image_size())
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
    own = FLAGS.flags_by_module_dict()[FLAGS.find_module_defining_flag('train_dir')]
    values = {flag.name: flag.value for flag in own if flag.name not in refused.TRAIN}
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
    define_flags()
    command.run('train_image_classifier', main, may_be_empty=MAY_BE_EMPTY)
