"""Trains AlexNet on TFRecords of images.

    python train_image_classifier.py                                   # the sample that comes along
    python train_image_classifier.py --dataset_dir=records --train_dir=runs/one --model_name=alexnet

Started again with the same --train_dir it goes on where it stopped.
"""
import contextlib
import os
import shlex

from absl import flags

from alexnet_tf.console import command, flag_table, loading, signals
from alexnet_tf.data import service_address
from alexnet_tf.files import places, writing
from alexnet_tf.script_flags import recipes
from alexnet_tf.script_flags.train import OPTIMIZER, RESUME, ROWS
from alexnet_tf.training import cluster, pace, resuming, schedules

FLAGS = flags.FLAGS
FLAGS_OF_A_RUN = [name for name in RESUME if name not in (resuming.DATASET, resuming.WORKERS, resuming.ONEDNN)]


def main():
    """Reads the flags; imports TensorFlow, which takes seconds, only when they are known to be right."""
    recipes.fill_in(FLAGS)
    if FLAGS.print_recipe:
        print('\n'.join(recipes.describe(FLAGS)))
        return
    check_flags()
    with signals.noted('train_image_classifier') as notice:
        train(notice)


def train(notice):
    """One run, from the data to the last checkpoint."""
    if FLAGS.strategy == 'multi_worker':  # else TensorFlow writes pages before the sentence when a worker has gone
        os.environ.setdefault(loading.LEVEL, '3')
    loading.load_tensorflow()
    import tensorflow as tf

    from alexnet_tf.model import precision

    FLAGS.intra_op_threads, reason = resuming.choose_threads(FLAGS.train_dir, FLAGS.intra_op_threads)
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.intra_op_threads)
    print(f'Threads per operation: {FLAGS.intra_op_threads} ({reason}).')
    strategy, towers, team = make_devices()
    policy, reason = precision.choose(FLAGS.precision)
    print(f'Precision: {reason}.')
    with team.together():
        train_on(strategy, towers, team, policy=policy, notice=notice)


def make_devices():
    """(strategy, the two devices of model_parallel=2 or None, team) that the flags say."""
    from alexnet_tf.training import devices, joining, team
    if FLAGS.strategy != 'multi_worker':
        return *devices.make_strategy(FLAGS.num_clones, FLAGS.clone_on_cpu, FLAGS.model_parallel), team.ALONE
    named = cluster.from_environment()
    cluster.check_batch(FLAGS.batch_size, len(named.addresses), FLAGS.num_clones)
    joined = joining.join(named, num_clones=FLAGS.num_clones, on_cpu=FLAGS.clone_on_cpu,
                          timeout_secs=FLAGS.cluster_timeout_secs)
    return joined.strategy, None, joined


def train_on(strategy, towers, team, *, policy, notice):
    """`train`, when the devices are known."""
    import tf_keras

    from alexnet_tf.data import datasets, preprocessing
    from alexnet_tf.data.color_noise import color_noise
    from alexnet_tf.model import building
    from alexnet_tf.run_folder import checkpoints, lock
    from alexnet_tf.training import description, optimizers, run
    from alexnet_tf.training.plateau import Plateau
    from alexnet_tf.training.start import WarmStart
    from nets import alexnet

    log = print if team.is_chief else lambda _: None
    service = FLAGS.data_service and service_address.Service(FLAGS.data_service, FLAGS.data_service_timeout_secs)
    if service:
        service_address.wait_for(service)
    preprocessing.check_resize_side_max(
        FLAGS.resize_side_max, FLAGS.train_image_size or alexnet.IMAGE_SIZES[FLAGS.variant])
    dataset, validation = datasets.open_splits(
        FLAGS.dataset_dir or datasets.SAMPLE_DIR, FLAGS.dataset_split_name, FLAGS.validation_split_name,
        labels_offset=FLAGS.labels_offset, default_num_classes=1000 if FLAGS.dataset_name == 'imagenet' else None,
        max_bad_records=FLAGS.max_bad_records)
    team.compare(what_workers_share(policy, dataset, validation))

    with lock.hold(FLAGS.train_dir) if team.is_chief else contextlib.nullcontext():
        if team.is_chief:
            checkpoints.remove_leftovers(FLAGS.train_dir)
        settings = team.decide(lambda: agreed_settings(policy, dataset, team.count))
        spec = description.agreed_spec(description.make_spec(
            dataset, model_name=FLAGS.model_name, variant=FLAGS.variant, image_size=FLAGS.train_image_size,
            mean=FLAGS.mean, dropout_keep_prob=FLAGS.dropout_keep_prob, dropout_form=FLAGS.dropout_form,
            resize_mode=FLAGS.resize_mode, log=log), FLAGS.train_dir,
            other_data=resuming.DATASET in FLAGS.allow_changes)
        tf_keras.utils.set_random_seed(FLAGS.seed)  # of initial weights
        with strategy.scope():
            model = building.build(spec, dtype=policy, dropout_keep_prob=FLAGS.dropout_keep_prob, devices=towers,
                                   hidden_bias=FLAGS.hidden_bias, initial_values=FLAGS.initial_values)
            rates = make_rates(sorted(layer.name for layer in model.layers if layer.weights))
            state = run.begin(
                model, train_dir=FLAGS.train_dir, team=team, log=log, trainable_scopes=FLAGS.trainable_scopes,
                own_rates=rates.own_rates,
                optimizer=optimizers.make(FLAGS.optimizer, **{row.name: FLAGS[row.name].value for row in OPTIMIZER}),
                plateau=Plateau(FLAGS.plateau_patience) if FLAGS.learning_rate_decay_type == 'plateau' else None,
                warm_start=WarmStart(FLAGS.checkpoint_path, FLAGS.checkpoint_exclude_scopes, FLAGS.ignore_missing_vars,
                                     spec) if FLAGS.checkpoint_path else None)
        first_step = int(state.step.numpy())
        mean = description.write(FLAGS.train_dir, spec, settings, data_folder=dataset.folder, resumed=first_step > 0,
                                 is_chief=team.is_chief)
        length = make_pace(len(dataset))
        log(f'Training {spec.model_name} with {model.count_params():,} parameters on {len(dataset)} images of '
              f'{spec.num_classes} classes from {dataset.folder}: steps {first_step} to {length.max_steps}, '
              f'{length.steps_per_epoch:.1f} steps per epoch.')
        result = run.train(
            state, dataset, validation, train_dir=FLAGS.train_dir, pace=length, rates=rates, seed=FLAGS.seed, mean=mean,
            noise=color_noise(dataset.info, scale=FLAGS.color_noise, kind=FLAGS.color_noise_kind),
            weight_decay=FLAGS.weight_decay, label_smoothing=FLAGS.label_smoothing,
            resize_side_max=FLAGS.resize_side_max, resize_mode=spec.resize_mode,
            num_threads=FLAGS.num_preprocessing_threads, pictures=FLAGS.summaries == 'pictures', notice=notice,
            team=team, service=service, log=log)
        if team.is_chief:
            print_summary(first_step, length.max_steps, result, float(state.best_accuracy.numpy()))


def check_flags():
    """Refuses, before TensorFlow is loaded, what the flags alone show to be wrong."""
    flag_table.check_effects(ROWS)
    resuming.check_allowed(FLAGS.allow_changes, RESUME)
    check_devices()
    if FLAGS.batch_size % FLAGS.num_clones:
        raise ValueError(f'--batch_size={FLAGS.batch_size} does not divide among --num_clones={FLAGS.num_clones}; '
                         'give a multiple of it.')
    if (FLAGS.learning_rate_steps or FLAGS.bias_learning_rate_factor != 1) and FLAGS.optimizer not in (
            'momentum', 'sgd'):
        raise ValueError(f'--optimizer={FLAGS.optimizer} cannot give single variables a rate of their own '
                         '(--learning_rate_steps, --bias_learning_rate_factor); momentum and sgd can.')
    if FLAGS.learning_rate_decay_type == 'plateau' and not FLAGS.validation_split_name:
        raise ValueError('--learning_rate_decay_type=plateau needs a validation split; choose another schedule '
                         'or name one with --validation_split_name.')
    flag_table.check_paths(ROWS)
    writing.check_writable(FLAGS.train_dir, 'train_dir')
    if not places.some_checkpoint(FLAGS.train_dir) and FLAGS.checkpoint_path:  # which a run that goes on ignores
        places.check_checkpoint(FLAGS.checkpoint_path)


def check_devices():
    """Refuses a strategy that contradicts the other flags, or a cluster that no strategy is given for."""
    cluster.check_not_ignored(FLAGS.strategy)
    if FLAGS.strategy == 'multi_worker' and FLAGS.data_service:
        raise ValueError('--data_service and --strategy=multi_worker do not go together: each worker reads its part '
                         'of the batch. Leave one out.')
    for strategy, others, remedy in (
            ('one_device', FLAGS.num_clones > 1, '--num_clones is for mirrored and multi_worker'),
            ('mirrored', FLAGS.num_clones == 1, 'it needs --num_clones'),
            ('multi_worker', FLAGS.model_parallel > 1, 'the towers of --model_parallel are trained on one machine'),
            ('multi_worker', FLAGS.clone_on_cpu and FLAGS.num_clones > 1, 'a worker has one device on a CPU')):
        if FLAGS.strategy == strategy and others:
            raise ValueError(f'--strategy={strategy} contradicts --num_clones={FLAGS.num_clones} '
                             f'--model_parallel={FLAGS.model_parallel}: {remedy}.')


def what_workers_share(policy, dataset, validation):
    """{what: value} that must be the same on all workers: flags but for those of one machine, data, software."""
    import tensorflow as tf
    own = ('train_dir', 'dataset_dir', 'num_preprocessing_threads', 'cluster_timeout_secs')
    shared = {f'--{name}': FLAGS[name].value for name in FLAGS_OF_A_RUN if name not in own}
    return shared | {'--precision': policy, 'a training set of': resuming.describe(dataset),
                     'a validation set of': validation and resuming.describe(validation),
                     'TensorFlow': tf.__version__, resuming.ONEDNN: onednn()}


def onednn():
    """Whether TensorFlow uses it, in a word."""
    return 'on' if loading.uses_onednn() else 'off'


def agreed_settings(policy, dataset, workers):
    """{name: value} of this run, compared with those that the run in train_dir was started with."""
    from alexnet_tf.run_folder import checkpoints
    settings = {name: FLAGS[name].value for name in FLAGS_OF_A_RUN}
    settings |= {'precision': policy.replace('mixed_', ''), resuming.DATASET: resuming.describe(dataset),
                 resuming.WORKERS: workers, resuming.ONEDNN: onednn()}
    if not checkpoints.find(FLAGS.train_dir):
        return settings
    return resuming.check(FLAGS.train_dir, settings, RESUME, FLAGS.allow_changes)


def make_rates(layers):
    """The schedule that the flags say, for a network with these layers."""
    if FLAGS.learning_rate_steps:
        return schedules.Steps(schedules.parse_steps(FLAGS.learning_rate_steps, layers))
    return schedules.Decay(
        FLAGS.learning_rate_decay_type, FLAGS.learning_rate, factor=FLAGS.learning_rate_decay_factor,
        epochs_per_decay=FLAGS.num_epochs_per_decay, end=FLAGS.end_learning_rate,
        boundaries=tuple(map(float, FLAGS.decay_epochs)), warmup_epochs=FLAGS.warmup_epochs,
        bias_factor=FLAGS.bias_learning_rate_factor)


def make_pace(num_examples):
    """The Pace that the flags say."""
    steps = FLAGS.max_number_of_steps
    if steps is None:
        steps = pace.steps(num_examples, batch_size=FLAGS.batch_size, num_epochs=FLAGS.num_epochs)
    return pace.Pace(
        steps, FLAGS.batch_size, num_examples,
        validate_every=FLAGS.validate_every_n_steps or max(1, round(num_examples / FLAGS.batch_size)),
        log_every=FLAGS.log_every_n_steps, save_secs=FLAGS.save_interval_secs, summary_secs=FLAGS.save_summaries_secs,
        max_rollbacks=FLAGS.max_rollbacks)


def print_summary(first_step, max_steps, result, best_accuracy):
    if max_steps == 0:
        print('No step was asked for, so none was trained and nothing saved.')
        return
    if first_step >= max_steps:
        print(f'{FLAGS.train_dir} is trained to step {first_step} already; for more give a larger --num_epochs '
              'or --max_number_of_steps, for a new run another --train_dir.')
    elif result:
        print(f'Finished at step {max_steps}: top-1 {result.accuracy:.2%}, top-5 {result.recall_5:.2%} of '
              f'{result.num_examples} validation images (best top-1: {best_accuracy:.2%}).')
    trained = f'--checkpoint_path={shlex.quote(FLAGS.train_dir)}'
    folder = '' if FLAGS.dataset_dir is None else f' --dataset_dir={shlex.quote(FLAGS.dataset_dir)}'
    print(f'Next: python eval_image_classifier.py {trained}{folder} --views=10, or '
          f'python -m alexnet_tf.export {trained} --output_dir=exported')


def cli():
    command.run('train_image_classifier', main, ROWS)


if __name__ == '__main__':
    cli()
