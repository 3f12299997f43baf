"""The flags of eval_image_classifier.py: slim's names wherever the meaning stands."""
from alexnet_tf.console.flag_table import SET, Flag
from alexnet_tf.files import places
from alexnet_tf.model.specs import RESIZE_MODES
from alexnet_tf.script_flags import refused
from alexnet_tf.training.resuming import MAX_THREADS

ROWS = (
    Flag('checkpoint_path', str, 'runs/alexnet', 'A checkpoint, or a folder: its latest. Several, separated by commas: '
         'the mean of their probabilities is scored.', slim='kept; several are averaged'),
    Flag('eval_dir', str, None, 'Folder for results. Default: eval in the folder of the checkpoint. Several need one.',
         slim='kept'),
    Flag('dataset_dir', str, None, 'Folder with TFRecords. Default: the sample that comes along.', slim='kept',
         check_path=places.check_records),
    Flag('dataset_name', str, 'imagenet', 'imagenet: assume 1000 classes where the folder does not say how many. Other '
         'names assume nothing.', slim='kept; it says nothing else'),
    Flag('dataset_split_name', str, 'validation', 'Split to score.', slim='kept'),
    Flag('labels_offset', int, None, 'Number subtracted from every label and from the number of classes. Default: as '
         'in training.', 0, slim='kept'),
    Flag('model_name', str, None, 'Network of a checkpoint without a model.json.', choices=('alexnet_v2', 'alexnet'),
         slim='kept'),
    Flag('batch_size', int, 100, 'Images at once. It does not change the result.', 1, slim='kept'),
    Flag('max_num_batches', int, None, 'Score only this many batches.', 1, slim='kept'),
    Flag('eval_image_size', int, None, 'Side of the crops in pixels. Default: as in training.', 1, slim='kept'),
    Flag('resize_mode', str, None, 'How an image becomes a square: its shorter side is resized, or both are. Default: '
         'as in training; shorter_side for a checkpoint without a model.json.', choices=RESIZE_MODES),
    Flag('views', str, '1', '1: the center. 10: corners, center and their mirrors, probabilities averaged.',
         choices=('1', '10')),
    Flag('precision', str, 'float32', 'Arithmetic. auto: bfloat16 where the processor multiplies it in hardware.',
         choices=('float32', 'bfloat16', 'auto')),
    Flag('num_preprocessing_threads', int, None, 'Threads that decode images. Default: one per core.', 1,
         MAX_THREADS, slim='kept'),
    Flag('max_bad_records', int, 0, 'Leave out up to this many records that are damaged or are no images; each is '
         'named. One more is an error.', 0),
    Flag('scores_file', str, None, 'Write scores and labels of every image to this .npz.'),
    Flag('wait_for_checkpoints', bool, False, 'Follow a training run: score each new checkpoint of the folder.'),
    Flag('wait_timeout_secs', float, 3600, 'End when no new checkpoint came for this many seconds.', 0,
         works_with=(('wait_for_checkpoints', SET),)),
    *refused.EVAL,
)
