"""The one place where a training run is put together; scripts, ablations, benchmarks and tests all come here.

    state = run.begin(model, train_dir=folder, optimizer=optimizers.make('momentum'))
    run.train(state, dataset, validation, train_dir=folder, pace=Pace(…), rates=Decay(…), seed=0, mean=mean)
"""
import functools

import numpy as np

from alexnet_tf.data.batches import EvaluationBatches, TrainingBatches
from alexnet_tf.data.service_batches import ServiceBatches
from alexnet_tf.model import evaluation
from alexnet_tf.training import loop, start, summaries
from alexnet_tf.training.state import State
from alexnet_tf.training.step import make_train_step
from alexnet_tf.training.team import ALONE


def begin(model, *, optimizer, train_dir=None, trainable_scopes=(), plateau=None, own_rates=False, warm_start=None,
          team=ALONE, log=print):
    """The State of a run: that of the checkpoint in train_dir if there is one, else a new one.

    Call it inside the scope of the run's tf.distribute strategy.

    Args:
      model: a Keras model from images [batch, size, size, 3] to logits. optimizer: see optimizers.make.
      train_dir: None: the run has no folder, and nothing is restored. warm_start: a start.WarmStart, or None.
      trainable_scopes, plateau, own_rates: see State. team: a team.Team, for a run of several workers.

    Raises: ValueError when a checkpoint or a scope does not fit.
    """
    state = State(model, optimizer, trainable_scopes=trainable_scopes, plateau=plateau, own_rates=own_rates)
    if train_dir is not None:
        start.restore(state, train_dir, warm_start=warm_start, team=team, log=log)
    return state


def train(state, dataset, validation=None, *, train_dir, pace, rates, pictures=False, notice=None, team=ALONE,
          log=print, **options):
    """Trains from the state's step to pace.max_steps.

    Args:
      dataset, validation: Datasets; validation None: there are no validations.
      pace: a Pace. rates: a schedules.Decay or schedules.Steps.
      pictures: whether TensorBoard gets pictures, too (`summaries`), at validations.
      notice: a signals.Notice; after a signal the run is saved and signals.Stopped raised.
      options: of `pieces`.

    Returns: the last evaluation.Result, or None.

    Raises: ValueError for a bad record, a checkpoint that cannot be written, or a loss that is not finite.
    """
    if pace.batch_size > len(dataset):
        log(f'Note: a batch of {pace.batch_size} is more than the {len(dataset)} training images, so that each step '
            'sees some of them more than once; a smaller --batch_size trains on each once an epoch.')
    train_step, batches_from, validate = pieces(state, dataset, validation, batch_size=pace.batch_size, team=team,
                                                **options)
    try:
        return loop.train(state, train_step, batches_from, train_dir=train_dir, rates=rates, pace=pace,
                          validate=validate, notice=notice, team=team, log=log,
                          pictures=_pictures(state, options) if pictures and team.is_chief else None)
    finally:
        for split in filter(None, (dataset, validation)):
            split.report_bad(log)


def _pictures(state, options):
    """What the loop calls after a validation. options: of `pieces`."""
    how = {name: options.get(name) for name in ('mean', 'seed', 'noise')}

    def pictures(step, images):
        found = {'conv1': summaries.conv1(state)}
        if images is not None:  # None: a resumed run makes a validation before its first step
            found['batch'] = summaries.batch(images, np.int64(step - 1), noise_on=state.noise_on, **how)
        return found, summaries.samples(state)
    return pictures


def pieces(state, dataset, validation=None, *, batch_size, seed, mean, noise=None, weight_decay=0.0005,
           label_smoothing=0.0, resize_side_max=None, augment=True,
           resize_mode='shorter_side', num_threads=None, team=ALONE, service=None):
    """What the loop calls: (train step, step -> batches from there on, validation or None).

    Args:
      seed: data order, crops, noise and dropout are functions of it and of the step.
      mean, noise, weight_decay, label_smoothing: see make_train_step.
      resize_side_max, augment, resize_mode: see preprocessing.training_image.
      num_threads: threads that decode; None: one per core.
      team: whose worker reads its part of each batch and of the validation.
      service: the service_address.Service that decodes the training images; None: this process does.
    """
    training_batches = functools.partial(ServiceBatches, service=service) if service else TrainingBatches
    size = state.model.input_shape[1]
    train_step = make_train_step(state, batch_size=batch_size, mean=mean, seed=seed, noise=noise,
                                 weight_decay=weight_decay, label_smoothing=label_smoothing)

    def batches_from(step):
        return training_batches(dataset, seed=seed, batch_size=batch_size, start_step=step, image_size=size,
                                resize_side_max=resize_side_max, augment=augment, resize_mode=resize_mode,
                                num_threads=num_threads, rows=team.share(batch_size))
    if validation is None:
        return train_step, batches_from, None
    eval_step = evaluation.make_eval_step([(state.model, mean, size)])
    first, end = part = team.share(len(validation))
    squares = EvaluationBatches(validation, batch_size=100, image_size=size, resize_mode=resize_mode,
                                num_threads=num_threads, part=part)

    def validate(between=None):
        return team.total(lambda: evaluation.evaluate(eval_step, squares, end - first, between=between)[0]
                          if first < end else None)
    return train_step, batches_from, validate
