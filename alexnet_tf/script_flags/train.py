"""The flags of train_image_classifier.py: slim's names wherever the meaning stands, with AlexNet's defaults."""
import math

from alexnet_tf.console.flag_table import IGNORE, KEEP, NAME, REFUSE, SET, UNSET, Flag
from alexnet_tf.data import color_noise, service_address
from alexnet_tf.files import places
from alexnet_tf.model.specs import RESIZE_MODES
from alexnet_tf.script_flags import refused
from alexnet_tf.script_flags.recipes import NAMES as RECIPES
from alexnet_tf.training import resuming, schedules

SCHEDULE = 'learning_rate_decay_type'


def are_epochs(values):
    """Whether texts are numbers of epochs, ascending."""
    try:
        epochs = [float(value) for value in values]
    except ValueError:
        return False
    return all(0 <= epoch < math.inf for epoch in epochs) and epochs == sorted(epochs)


def _only(*values, of=SCHEDULE):
    return (of, values),


def _part(name, default, help, of, high=None):
    return Flag(name, float, default, help, 0, high, works_with=_only(*of, of='optimizer'), resume=REFUSE, slim='kept')


DATA = (
    Flag('train_dir', str, 'runs/alexnet', 'Folder for checkpoints and metrics.', resume=IGNORE, slim='kept'),
    Flag('dataset_dir', str, None, 'Folder with TFRecords. Default: the sample that comes along, with other defaults '
         'of some flags.', slim='kept', check_path=places.check_records),
    Flag('dataset_name', str, 'imagenet', 'imagenet: assume 1000 classes where the folder does not say how many. Other '
         'names assume nothing.', slim='kept; it says nothing else'),
    Flag('dataset_split_name', str, 'train', 'Split to train on.', resume=REFUSE, slim='kept'),
    Flag('validation_split_name', str, 'validation', "Split to validate on; '' for none.", may_be_empty=True),
    Flag('labels_offset', int, None, 'Subtracted from labels and from the number of classes. Default: what makes the '
         "first class 0. 0 keeps slim's background class.", 0, slim='kept'),
    Flag('batch_size', int, 128, 'Examples per step, on all devices together.', 1, resume=REFUSE,
         slim='kept, but not for each clone'),
    Flag('num_preprocessing_threads', int, None, 'Threads that decode images. Default: one per core.', 1,
         resuming.MAX_THREADS, resume=IGNORE, slim='kept'),
    Flag('max_bad_records', int, 0, 'Leave out up to this many records of each split that are damaged or are no '
         'images; each is named. One more ends the run.', 0, works_with=(('data_service', UNSET),)),
    Flag('data_service', str, None, 'The dispatcher of a data service whose machines decode the training images, as '
         'grpc://10.0.0.5:5050 (docs/cluster.md). Default: this machine decodes.',
         valid=(service_address.is_address, service_address.RULE), resume=IGNORE),
    Flag('data_service_timeout_secs', float, 120, 'Seconds to wait for the data service: for its dispatcher at the '
         'start, then for each batch. Then the run ends.', 1, works_with=(('data_service', SET),), resume=IGNORE),
    Flag('mean', str, 'rgb', "Subtract the training set's mean RGB or its mean image.", choices=('rgb', 'image')),
    Flag('resize_mode', str, 'shorter_side', 'How an image becomes a square, in evaluation and export too. '
         'shorter_side: the shorter side is resized, and the center taken. warp: both sides are resized, as for the '
         'weights of Caffe.',
         choices=RESIZE_MODES),
    Flag('resize_side_max', int, None, 'Scale jitter: resize the shorter side to a random length between 256 and this '
         'before the crop (for other image sizes in proportion). Default: no jitter, as in the paper.', 1,
         resume=REFUSE),
    Flag('color_noise', float, 0.1, 'Strength of the PCA color noise, in standard deviations of the training set along '
         'its principal axes (paper: 0.1). 0: none.', 0, resume=REFUSE),
    Flag('color_noise_kind', str, 'deviations', 'Unit of the noise. deviations: standard deviations of the training '
         'set. source: the same, and the data divided by 1.1. paper: eigenvalues of pixels at 0..1. popular: those '
         'that many programs copy.', choices=color_noise.KINDS, works_with=(('color_noise', SET),), resume=REFUSE),
)

NETWORK = (
    Flag('model_name', str, 'alexnet_v2', 'Network to train.', choices=('alexnet_v2', 'alexnet'), slim='kept'),
    Flag('recipe', str, None, "Train with the whole recipe of the paper, of the original program (source) or of Caffe. "
         'Flags that are given take precedence.', choices=RECIPES),
    Flag('print_recipe', bool, False, 'Print the flags of the recipe with values and sources, and end.'),
    Flag('variant', str, 'paper', 'Whose alexnet, where the sources disagree.', choices=('paper', 'source', 'caffe')),
    Flag('train_image_size', int, None, 'Side of the crops in pixels. Default: 224; 227 for --variant=caffe.', 1,
         slim='kept'),
    Flag('initial_values', str, None, 'Whose initial weights and biases alexnet starts from. Default: those of the '
         'variant.', choices=RECIPES, resume=KEEP),
    Flag('hidden_bias', float, None, 'Initial bias of conv2, conv4, conv5, fc6 and fc7 (paper: 1); in alexnet_v2 all '
         'but fc8. Default: 0.1; 1 with the initial values of source.', resume=KEEP),
    Flag('dropout_keep_prob', float, 0.5, 'Share of fc6 and fc7 that dropout keeps.', 0, 1, resume=REFUSE),
    Flag('dropout_form', str, None, 'inverted: rescale what is kept in training. original: multiply everything at test '
         'instead, as the program of 2012 did. Default: the form of the variant.', choices=('inverted', 'original')),
    Flag('seed', int, 0, 'Seed of order, crops, noise, dropout and weights.', 0, 2 ** 32 - 1, resume=REFUSE),
    Flag('precision', str, 'auto', 'Arithmetic; variables are always float32. auto: bfloat16 where the processor '
         'multiplies it in hardware.', choices=('float32', 'bfloat16', 'auto'), resume=REFUSE),
    Flag('weight_decay', float, 0.0005, 'Weight decay, on weights and not on biases.', 0, resume=REFUSE, slim='kept'),
    Flag('label_smoothing', float, 0.0, 'Share of the target given to all classes.', 0, 1, resume=REFUSE, slim='kept'),
    Flag('checkpoint_path', str, None, 'Warm start: a checkpoint or its folder. Ignored on resuming.', resume=KEEP,
         slim='kept'),
    Flag('checkpoint_exclude_scopes', list, [], 'Prefixes of variables not to load, as alexnet_v2/fc8.',
         works_with=(('checkpoint_path', SET),), resume=KEEP, slim='kept'),
    Flag('ignore_missing_vars', bool, False, 'Variables missing in --checkpoint_path keep their initial values.',
         works_with=(('checkpoint_path', SET),), resume=KEEP, slim='kept'),
    Flag('trainable_scopes', list, [], 'Prefixes of variables to train. Default: all.', resume=REFUSE, slim='kept'),
)

OPTIMIZER = (
    _part('momentum', 0.9, 'Momentum of the update.', ['momentum'], 1),
    _part('adadelta_rho', 0.95, 'Decay of the averages of Adadelta.', ['adadelta'], 1),
    _part('adagrad_initial_accumulator_value', 0.1, 'Initial sum of squares of Adagrad.', ['adagrad']),
    _part('adam_beta1', 0.9, 'Decay of the first moment of Adam.', ['adam'], 1),
    _part('adam_beta2', 0.999, 'Decay of the second moment of Adam.', ['adam'], 1),
    _part('opt_epsilon', 1.0, 'Added to the denominator of the update.', ['adadelta', 'adam', 'rmsprop']),
    Flag('ftrl_learning_rate_power', float, -0.5, 'Power of the step in the learning rate of FTRL.', None, 0,
         works_with=_only('ftrl', of='optimizer'), resume=REFUSE, slim='kept'),
    _part('ftrl_initial_accumulator_value', 0.1, 'Initial sum of squares of FTRL.', ['ftrl']),
    _part('ftrl_l1', 0.0, 'L1 regularization of FTRL.', ['ftrl']),
    _part('ftrl_l2', 0.0, 'L2 regularization of FTRL.', ['ftrl']),
    _part('rmsprop_momentum', 0.9, 'Momentum of RMSProp.', ['rmsprop'], 1),
    _part('rmsprop_decay', 0.9, 'Decay of the mean square of RMSProp.', ['rmsprop'], 1),
)

RATE = (
    Flag('optimizer', str, 'momentum', 'Update rule, with the arithmetic of Keras.', resume=REFUSE, slim='kept',
         choices=('adadelta', 'adagrad', 'adam', 'ftrl', 'momentum', 'sgd', 'rmsprop')),
    *OPTIMIZER,
    Flag('learning_rate', float, 0.01, 'Initial learning rate.', 0, works_with=_only(*schedules.DECAY_TYPES),
         slim='kept'),
    Flag('bias_learning_rate_factor', float, 1.0, 'Learning rate of biases, as a multiple of the rate of weights.', 0,
         works_with=_only(*schedules.DECAY_TYPES), resume=REFUSE),
    Flag(SCHEDULE, str, 'plateau', 'When the learning rate changes. plateau: divided when the validation error stops '
         'improving. piecewise: divided at --decay_epochs. steps: as --learning_rate_steps says. exponential, '
         'polynomial and fixed: as in slim.', choices=(*schedules.DECAY_TYPES, 'steps'),
         slim='kept; new are plateau, piecewise and steps. Epochs count the examples of all devices'),
    Flag('learning_rate_decay_factor', float, 0.1, 'Factor by which plateau, piecewise and exponential multiply the '
         'learning rate.', 0, works_with=_only('plateau', 'piecewise', 'exponential'), slim='kept'),
    Flag('num_epochs_per_decay', float, 30.0, 'Epochs between two drops of exponential; epochs until polynomial ends.',
         1e-9, works_with=_only('exponential', 'polynomial'), slim='kept'),
    Flag('end_learning_rate', float, 0.0001, 'Learning rate at which polynomial ends.', 0,
         works_with=_only('polynomial'), slim='kept'),
    Flag('decay_epochs', list, [], 'Epochs at which piecewise multiplies the rate by --learning_rate_decay_factor, as '
         '13,18.', valid=(are_epochs, 'must be numbers of epochs, ascending, as 13,18'), works_with=_only('piecewise'),
         needed_with=(SCHEDULE, 'piecewise')),
    Flag('learning_rate_steps', list, [], 'Rates of the schedule steps: epoch:rate or epoch:target=rate, as '
         '0:0.01,25:0.001,67:conv1=0,67:color_noise=0. Targets are layers, weights, biases, conv1/biases.',
         works_with=_only('steps'), needed_with=(SCHEDULE, 'steps')),
    Flag('plateau_patience', int, 5, 'Validations without a new best after which plateau divides the rate.', 1,
         works_with=_only('plateau')),
    Flag('warmup_epochs', float, 0.0, 'Epochs in which the rate rises linearly from 0.', 0,
         works_with=_only(*schedules.DECAY_TYPES), slim='kept'),
)

LENGTH = (
    Flag('num_epochs', float, 90.0, 'Epochs to train (paper: about 90).', 0,
         works_with=(('max_number_of_steps', UNSET),)),
    Flag('max_number_of_steps', int, None, 'Step at which training ends, counted from the start of the run. In place '
         'of --num_epochs.', 0, slim='kept'),
    Flag('validate_every_n_steps', int, None, 'Steps between validations. Default: one epoch.', 1,
         works_with=(('validation_split_name', SET),)),
    Flag('log_every_n_steps', int, 10, 'Steps between progress lines.', 1, slim='kept'),
    Flag('save_interval_secs', float, 600, 'Seconds between checkpoints. Each validation writes one, too.', 0,
         slim='kept'),
    Flag('save_summaries_secs', int, 30, 'Seconds until summaries are on disk. Each progress line makes one.', 1,
         slim='kept'),
    Flag('summaries', str, 'scalars', "What a run writes for TensorBoard. scalars: the numbers of metrics.jsonl. "
         "pictures: at each validation also images of a batch as the network sees them, conv1's kernels, histograms of "
         'the weights.', choices=('scalars', 'pictures'), works_with=(('validation_split_name', SET),),
         resume=IGNORE),
    Flag('max_rollbacks', int, 1, 'How often a loss that is not finite sends the run back to its last checkpoint. Then '
         'it ends.', 0),
    Flag('allow_changes', list, [], 'Names of settings that may differ from those that the run in --train_dir was '
         'started with, as batch_size,seed.', resume=IGNORE),
)

DEVICES = (
    Flag('strategy', str, None, 'Where a run trains. one_device; mirrored: on --num_clones devices of this machine; '
         'multi_worker: on all machines that TF_CONFIG or Slurm names, each started with this command '
         '(docs/cluster.md). Default: one_device, or mirrored with --num_clones.',
         choices=('one_device', 'mirrored', 'multi_worker')),
    Flag('cluster_timeout_secs', float, 300, 'Seconds to wait for all workers at the start.', 1,
         works_with=(('strategy', ('multi_worker',)),), resume=IGNORE),
    Flag('num_clones', int, 1, "Local devices that share each batch, or a worker's part of it.", 1, slim='kept'),
    Flag('model_parallel', int, 1, "2: the paper's two towers, each on a device of its own.", 1, 2),
    Flag('clone_on_cpu', bool, False, 'Make the clones, or the two devices, on logical CPU devices.', slim='kept'),
    Flag('intra_op_threads', int, None, 'Threads that share one operation; the last bits of the weights depend on '
         'their number. Default: as the run in --train_dir was started, else one per core.', 1, resuming.MAX_THREADS,
         resume=REFUSE),
)

ROWS = (*DATA, *NETWORK, *RATE, *LENGTH, *DEVICES, *refused.TRAIN)
# The training set is compared as the flags are: it may be another one in the same folder.
RESUME = {row.name: row.resume for row in ROWS if not row.refused} | {
    resuming.DATASET: REFUSE, resuming.WORKERS: NAME, resuming.ONEDNN: NAME}
