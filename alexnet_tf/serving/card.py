"""The model card of an exported model: what it is of, how good it is, what goes in and comes out."""
import datetime
import os
import re
import shlex
import time

import tensorflow as tf

from alexnet_tf.console import terminal
from alexnet_tf.data import preprocessing
from alexnet_tf.files import reading
from alexnet_tf.run_folder import checkpoints, metrics, settings

SIGNATURES = '''\
## Input and output

| signature | takes | answers |
|---|---|---|
| `serving_default` | `images`: float32 [batch, {size}, {size}, 3], RGB 0..255 | classes |
| `serve_bytes` | `image_bytes`: strings [batch], JPEG or PNG; a batch with a broken one is refused | classes |
| `serve_bytes_checked` | `image_bytes` | classes, and `valid` (bool [batch]); the rows of broken images are empty |
| `ten_views` | `image_bytes` | classes by the mean of ten views |
| `features` | `image_bytes` | `features` (float32 [batch, {width}]): fc7 after its ReLU |

Classes are `logits` and `probabilities` (float32 [batch, {classes}]), `classes` (int64 [batch]), `class_names`
(strings [batch]), and `top_probabilities` and `top_class_names` of the best {top}, best first.

{resized} resized to {side} pixels, and the central {size} x {size} are seen. Images of more than {pixels:,} pixels
count as broken. The mean, {mean}, is subtracted inside.

'''
_RESULTS = {  # of eval_results.json, as far as they are used here
    'checkpoint': (lambda path: isinstance(path, str), 'a path', True),
    'accuracy': (reading.is_number, 'a number', True), 'recall_5': (reading.is_number, 'a number', True),
    'num_examples': (reading.is_count, 'a whole number', True), 'views': (reading.is_count, 'a whole number', True),
    'dataset_dir': (lambda path: isinstance(path, str), 'a path', False),
    'dataset_split_name': (lambda name: isinstance(name, str), 'a name', False)}


def text(loaded, folder, *, recipe, weights_license):
    """The card of a loading.Loaded that was exported into a folder, in Markdown.

    Args:
      recipe: function from the settings of a run ({flag: value}) to the command that trained it.
      weights_license: None: the card says that it is not stated.

    Raises: ValueError when a file of the run is damaged.
    """
    spec, variables = loaded.spec, loaded.model.variables
    run = os.path.dirname(os.path.abspath(loaded.checkpoint))
    whole_run = os.path.dirname(run) if os.path.basename(run) == checkpoints.BEST_DIR else run
    trained = settings.read(whole_run)
    variant = f', variant {spec.variant}' if spec.model_name == 'alexnet' else ''
    size = sum(os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(folder) for name in names)
    measured = [*filter(None, (_evaluated(loaded, folder) for folder in dict.fromkeys((run, whole_run)))),
                *_validated(loaded, whole_run)]
    if measured and variables[0].dtype != tf.float32:
        measured.append(f'These are of the checkpoint. The {variables[0].dtype.name} weights here were not measured.')
    return f'''\
# {spec.model_name}{variant}

Exported on {_day(time.time())} from step {loaded.step} ({_last(loaded.checkpoint)}) with TensorFlow {tf.__version__}.
It needs TensorFlow alone.

## Recipe

{'    ' + recipe(trained) if trained else 'Not known: there is no flags.json beside the checkpoint.'}

## Data

{_data(trained)}{spec.num_classes} classes; `classes.txt` names them, one a line, from number 0 on.

## Accuracy

{(chr(10) * 2).join(measured) or 'Not measured: there is no evaluation of this checkpoint.'}

{_input_and_output(spec, loaded.model.get_layer('fc7').output.shape[-1])}
## Size

{loaded.model.count_params():,} parameters in {variables[0].dtype.name}; {size / 1e6:,.1f} MB in all.

## License

Weights: {weights_license or 'not stated; ask whoever trained them'}. The program that exported them: Apache 2.0.
'''


def class_names(spec):
    """The text of classes.txt."""
    return ''.join(terminal.printable(name) + '\n' for name in spec.class_names)


def _input_and_output(spec, width):
    mean = 'a mean image' if isinstance(spec.mean, str) else f'RGB {", ".join(f"{value:.2f}" for value in spec.mean)}'
    resized = 'Both sides are' if spec.resize_mode == 'warp' else 'The shorter side is'
    return SIGNATURES.format(
        size=spec.image_size, width=width, classes=spec.num_classes, top=min(5, spec.num_classes), mean=mean,
        resized=resized, side=preprocessing.square_side(spec.image_size), pixels=preprocessing.MAX_PIXELS)


def _data(trained):
    """A sentence about the training set, where it is known."""
    count = re.match(r'(\d{1,9}) records', str((trained or {}).get('dataset')))
    if not count:
        return ''
    folder = trained.get('dataset_dir')
    name = f'`{_last(str(folder))}`' if folder else 'the CIFAR-10 sample that comes with the program'
    return f'Trained on the {int(count[1]):,} images of {name}. '


def _evaluated(loaded, folder):
    """What an evaluation of the checkpoint said that wrote its results to folder/eval; None: there is none."""
    path = os.path.join(folder, 'eval', 'eval_results.json')
    results = reading.read_json(path)
    if results is None:
        return None
    reading.check_fields(results, _RESULTS, path)
    of_several = ',' in results['checkpoint']  # networks, whose probabilities were averaged
    if of_several or _last(results['checkpoint']) != _last(loaded.checkpoint):
        return None
    views, dataset, split = results['views'], results.get('dataset_dir'), results.get('dataset_split_name')
    command = ['python', 'eval_image_classifier.py', f'--checkpoint_path={_last(folder)}',
               *([f'--dataset_dir={_last(dataset)}'] if dataset else []),
               *([f'--dataset_split_name={split}'] if split not in (None, 'validation') else []), f'--views={views}']
    return (f'{_shares(results)} of {results["num_examples"]:,} images with {views} view{"s" if views > 1 else ""}, '
            f'{_day(os.path.getmtime(path))}:\n\n    {terminal.printable(shlex.join(command))}')


def _validated(loaded, run):
    """What the training run's own validation at the checkpoint's step said."""
    rows = [row for row in metrics.read(run, {'validation': 'accuracy'})
            if row['kind'] == 'validation' and row['step'] == loaded.step and reading.is_number(row.get('recall_5'))]
    try:
        day = f', {_day(os.path.getmtime(f"{loaded.checkpoint}.index"))}' if rows else ''
    except FileNotFoundError:  # a training run goes on there, and has removed it since it was loaded
        day = ''
    return [f'{_shares(row)} of the validation images, by the training run itself{day}.' for row in rows[-1:]]


def _shares(values):
    return f'Top-1 {100 * values["accuracy"]:.2f} %, top-5 {100 * values["recall_5"]:.2f} %'


def _last(path):
    """The last part of a path: a card goes where the machine's folders mean nothing."""
    return terminal.printable(os.path.basename(os.path.normpath(path)))


def _day(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).date().isoformat()
