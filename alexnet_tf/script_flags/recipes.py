"""Three recipes for training AlexNet, part by part with its source; `--recipe` chooses, each part is a flag of its own.

paper: Krizhevsky, Sutskever, Hinton, NIPS 2012. program: the original one, as its log of network 145 shows it.
Caffe: bvlc_alexnet's train_val.prototxt and solver.prototxt.
"""
import dataclasses
from typing import Any

NAMES = ('paper', 'source', 'caffe')

# The rates of the original run, entries as --learning_rate_steps takes them (`schedules.parse_steps`). Biases kept
# 0.02 throughout; the rate of conv1's weights was cut once more before conv1 was frozen as a whole.
STEPS_145 = ('0:0.01', '0:biases=0.02', '25:0.001', '51:0.0001', '67:conv1/weights=0.00001', '67:color_noise=0',
             '72:conv1/weights=0', '72:conv1/biases=0', '79:0.00001')


@dataclasses.dataclass(frozen=True)
class Part:
    """One flag's value in each recipe, as (value, where it comes from)."""
    flag: str
    paper: tuple[Any, str]
    source: tuple[Any, str]
    caffe: tuple[Any, str]


RECIPES = (
    Part('model_name', ('alexnet', 'paper 3'), ('alexnet', 'program'), ('alexnet', 'Caffe')),
    Part('variant', ('paper', 'paper 3'), ('source', 'program, layers-145'), ('caffe', 'Caffe, train_val')),
    Part('initial_values', ('paper', 'paper 5: normal, 0.01'), ('source', 'program: 0.03 in conv3 to conv5'),
         ('caffe', 'Caffe: 0.005 in fc6, fc7')),
    Part('hidden_bias', (1.0, 'paper 5; here the loss then stayed flat on Imagenette, as Caffe\'s authors saw'),
         (1.0, 'program'), (0.1, 'Caffe')),
    Part('batch_size', (128, 'paper 5'), (128, 'program'), (256, 'Caffe, train_val')),
    Part('learning_rate', (0.01, 'paper 5'), (0.01, 'program; the steps below say the rest'), (0.01, 'Caffe, solver')),
    Part('learning_rate_decay_type', ('plateau', 'paper 5: when the validation error stops improving'),
         ('steps', 'program, log'), ('exponential', 'Caffe, solver: step')),
    Part('learning_rate_decay_factor', (0.1, 'paper 5'), (0.1, 'not used by steps'), (0.1, 'Caffe, solver: gamma')),
    Part('num_epochs_per_decay', (30.0, 'not used by plateau'), (30.0, 'not used by steps'),
         (20.0, 'Caffe, solver: 100,000 steps of 256 images are 19.98 epochs')),
    Part('learning_rate_steps', ([], ''), (list(STEPS_145), 'program, log of 145'), ([], '')),
    Part('num_epochs', (90.0, 'paper 5: about 90'), (91.0, 'program, log: stopped at 91'),
         (90.0, 'Caffe, solver: 450,000 steps of 256 images')),
    Part('bias_learning_rate_factor', (1.0, 'paper 5: one rate for all'), (1.0, 'the steps give biases their own'),
         (2.0, 'Caffe, train_val: lr_mult')),
    Part('momentum', (0.9, 'paper 5'), (0.9, 'program'), (0.9, 'Caffe, solver')),
    Part('optimizer', ('momentum', 'paper 5'), ('momentum', 'program'), ('momentum', 'Caffe, solver: SGD')),
    Part('weight_decay', (0.0005, 'paper 5'), (0.0005, 'program'), (0.0005, 'Caffe, solver')),
    Part('mean', ('image', 'paper 2: each pixel'), ('image', 'program: its central part'),
         ('image', 'Caffe, train_val; there the part under the crop, here the central one')),
    Part('resize_mode', ('shorter_side', 'paper 2'), ('shorter_side', 'program'),
         ('warp', 'Caffe: images resized to 256 x 256')),
    Part('color_noise', (0.1, 'paper 4.1'), (0.1, 'program'), (0.0, 'Caffe has none')),
    Part('color_noise_kind', ('paper', 'paper 4.1: eigenvalues, of pixels at 0..1'),
         ('source', 'program: standard deviations, then the data divided by 1.1'), ('deviations', 'not used')),
    Part('dropout_keep_prob', (0.5, 'paper 4.2'), (0.5, 'program'), (0.5, 'Caffe')),
    Part('dropout_form', ('original', 'paper 4.2: outputs times 0.5 at test'), ('original', 'program'),
         ('inverted', 'Caffe: rescaled in training')),
)


# What the sample's 2,000 small photographs want.
SAMPLE = {'batch_size': 32, 'num_epochs': 5.0, 'learning_rate_decay_type': 'piecewise', 'decay_epochs': ['4'],
          'dropout_keep_prob': 0.8, 'color_noise': 0.0}


def fill_in(flags, log=print):
    """Gives flags that were not given the values of --recipe, or without --dataset_dir those of SAMPLE.

    Args:
      flags: absl's FLAGS, of the training script.

    Raises: ValueError when a recipe is to train another network than AlexNet.
    """
    if flags.recipe:
        _apply_recipe(flags, flags.recipe)
    elif flags.dataset_dir is None and not flags.print_recipe:
        _apply_sample(flags, log)


def _apply_recipe(flags, name):
    if flags['model_name'].present and flags.model_name != 'alexnet':
        raise ValueError(f'--recipe={name} trains alexnet, not --model_name={flags.model_name}; leave one of the two '
                         'out.')
    left_out = None  # a part of the recipe's own schedule that would contradict a schedule that was given
    if flags['learning_rate_decay_type'].present:
        steps = flags.learning_rate_decay_type == 'steps'
        left_out = 'bias_learning_rate_factor' if steps else 'learning_rate_steps'
    for part in RECIPES:
        if not flags[part.flag].present and part.flag != left_out:
            flags[part.flag].value = getattr(part, name)[0]


def _apply_sample(flags, log):
    changed = {name: value for name, value in SAMPLE.items() if not flags[name].present}
    if flags['learning_rate_decay_type'].present:
        changed.pop('decay_epochs', None)  # of the sample's own schedule
    for name, value in changed.items():
        flags[name].value = value
    log('No --dataset_dir: training on the CIFAR-10 sample that comes along, with '
        + ' '.join(f'--{name}={_text(value)}' for name, value in changed.items()))


def describe(flags):
    """Lines of a table, after `fill_in`: flag, value, source of the value."""
    lines = []
    for part in RECIPES:
        flag = flags[part.flag]
        recommended, source = getattr(part, flags.recipe) if flags.recipe else (flag.default, 'default')
        if flag.value != recommended:
            source = 'given' if flag.present else 'default'
        lines.append(f'--{part.flag}={_text(flag.value)}'.ljust(44) + f'  {source}')
    return lines


def _text(value):
    return ','.join(value) if isinstance(value, list) else '' if value is None else str(value)
