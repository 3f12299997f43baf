"""slim's 51 + 16 flags: kept, mapped or refused with a sentence; wrong values end in one sentence."""
import json
import re

import pytest

from tests.helpers.processes import ROOT, run_python, run_pythons

# slim's own flags, from its two scripts.
SLIM_TRAIN = '''master train_dir warmup_epochs num_clones clone_on_cpu worker_replicas num_ps_tasks num_readers
num_preprocessing_threads log_every_n_steps save_summaries_secs save_interval_secs task weight_decay optimizer
adadelta_rho adagrad_initial_accumulator_value adam_beta1 adam_beta2 opt_epsilon ftrl_learning_rate_power
ftrl_initial_accumulator_value ftrl_l1 ftrl_l2 momentum rmsprop_momentum rmsprop_decay quantize_delay
learning_rate_decay_type learning_rate end_learning_rate label_smoothing learning_rate_decay_factor
num_epochs_per_decay sync_replicas replicas_to_aggregate moving_average_decay dataset_name dataset_split_name
dataset_dir labels_offset model_name preprocessing_name batch_size train_image_size max_number_of_steps
use_grayscale checkpoint_path checkpoint_exclude_scopes trainable_scopes ignore_missing_vars'''.split()
SLIM_EVAL = '''batch_size max_num_batches master checkpoint_path eval_dir num_preprocessing_threads dataset_name
dataset_split_name dataset_dir labels_offset model_name preprocessing_name moving_average_decay eval_image_size
quantize use_grayscale'''.split()

# In a process of its own: flags are global. Prints {flag: message of giving it the value "1"}.
TRY_ALL = '''
import json, sys
from absl import flags
import {module}
{module}.define_flags()
names = set(flags.FLAGS) & set(sys.argv[1:])
messages = {{}}
for name in sorted(names):
    flags.FLAGS.unparse_flags()
    for flag in flags.FLAGS:
        flags.FLAGS[flag].unparse()
    try:
        flags.FLAGS(["x", "--" + name + "=1"])
    except flags.Error as error:
        messages[name] = str(error)
print(json.dumps([sorted(names), messages]))
'''


@pytest.mark.parametrize('module, slim', [('train_image_classifier', SLIM_TRAIN), ('eval_image_classifier', SLIM_EVAL)])
def test_every_flag_of_slim_is_known_and_a_refused_one_says_why(module, slim):
    assert len(slim) == {'train_image_classifier': 51, 'eval_image_classifier': 16}[module]
    names, messages = json.loads(run_python('-c', TRY_ALL.format(module=module), *slim).stdout.splitlines()[-1])
    assert names == sorted(slim)
    readme = (ROOT / 'README.md').read_text()
    for name in slim:
        row = re.search(rf'^\|.*`{name}`.*\|$', readme, re.M)
        assert row, f'the README does not mention {name}'
        refused = 'refused: ' in messages.get(name, '')
        assert refused == ('refused' in row[0]), f'{name}: {row[0]}'


SENTENCES = {
    'not understood: False': ['train_image_classifier.py', '--clone_on_cpu', 'False'],
    'refused: records are read by position': ['train_image_classifier.py', '--num_readers=8'],
    "the dataset folder '/no/such' does not exist": ['train_image_classifier.py', '--dataset_dir=/no/such'],
    '--num_epochs=inf; it must be a finite number': ['train_image_classifier.py', '--num_epochs=inf'],
    'does not divide': ['train_image_classifier.py', '--num_clones=3', '--clone_on_cpu', '--batch_size=32'],
    'no checkpoint at --checkpoint_path=/no/such': ['eval_image_classifier.py', '--checkpoint_path=/no/such'],
    'no checkpoint at': ['-m', 'alexnet_tf.export', '--checkpoint_path=/no/such', '--output_dir=/tmp/none']}


def test_a_wrong_value_ends_in_a_sentence(tmp_path):
    results = run_pythons(*(
        [*arguments, f'--train_dir={tmp_path / str(number)}'] if arguments[0].startswith('train') else arguments
        for number, arguments in enumerate(SENTENCES.values())), check=False)
    for sentence, result in zip(SENTENCES, results):
        assert result.returncode == 1 and sentence in result.stderr and 'Traceback' not in result.stderr, result.stderr
