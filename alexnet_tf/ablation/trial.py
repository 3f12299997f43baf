"""One variant trained from one seed."""
import numpy as np
import tf_keras

from alexnet_tf.data import preprocessing
from alexnet_tf.data.batches import EvaluationBatches
from alexnet_tf.data.color_noise import color_noise
from alexnet_tf.model import evaluation
from alexnet_tf.run_folder import metrics
from alexnet_tf.training import optimizers, run
from alexnet_tf.training.pace import Pace
from alexnet_tf.training.schedules import Decay
from nets import alexnet

SIZE = 224


def train_variant(variant, seed, dataset, validation, *, folder, epochs, batch_size, learning_rate, dtype):
    """Trains a variants.Variant in a folder, where it goes on if it was started before.

    Args:
      dataset, validation: Datasets. epochs: of training; the rate is divided by 10 after 70 % and 90 % of them.
      dtype: Keras policy.

    Returns: the row of results.json.
    """
    tf_keras.backend.clear_session()
    tf_keras.utils.set_random_seed(seed)  # of initial weights
    model = alexnet.from_table(variant.table, dataset.num_classes, dropout_keep_prob=variant.keep_prob, dtype=dtype,
                               name='alexnet')
    state = run.begin(model, train_dir=folder, optimizer=optimizers.make('momentum'))
    mean = np.array(dataset.info.get('mean_rgb', preprocessing.IMAGENET_MEAN_RGB), np.float32)
    per_epoch = len(dataset) / batch_size
    result = run.train(
        state, dataset, validation, train_dir=folder, seed=seed, mean=mean, augment=variant.augment,
        noise=color_noise(dataset.info, scale=variant.color_noise),
        rates=Decay('piecewise', learning_rate, boundaries=(0.7 * epochs, 0.9 * epochs)),
        pace=Pace(max(1, round(epochs * per_epoch)), batch_size, len(dataset), log_every=max(1, round(per_epoch / 2)),
                  validate_every=max(1, round(per_epoch))))
    squares, learned = (EvaluationBatches(split, batch_size=100, image_size=SIZE) for split in (validation, dataset))
    one, ten = (evaluation.make_eval_step([(model, mean, SIZE)], num_views=views) for views in (1, 10))
    result = result or evaluation.evaluate(one, squares, len(validation))[0]
    ten_views = evaluation.evaluate(ten, squares, len(validation))[0]
    # Of training images as they are at test, so that dropout and augmentation don't make variants unlike.
    fitted = evaluation.evaluate(one, learned, len(dataset), max_num_batches=10)[0]
    return {'variant': variant.name, 'seed': seed, 'parameters': model.count_params(),
            'top_1': 100 * result.accuracy, 'top_5': 100 * result.recall_5, 'ten_views': 100 * ten_views.accuracy,
            'train_loss': fitted.loss, 'validation_loss': result.loss,
            'curve': [[row['step'] / per_epoch, 100 * row['accuracy']] for row in metrics.read(folder)
                      if row['kind'] == 'validation']}
