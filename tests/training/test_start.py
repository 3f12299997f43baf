"""What a run starts from: its own checkpoint, the weights of another run, or nothing."""
import shutil

import pytest

from alexnet_tf.model import loading, specs
from alexnet_tf.run_folder import checkpoints
from alexnet_tf.training import optimizers, run, start
from alexnet_tf.training.start import WarmStart
from alexnet_tf.training.state import State
from tests.helpers import small_run
from tests.helpers.saved import content, three_checkpoints


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """Folder of a run at step 2, whose variables are not the initial ones."""
    folder, state = tmp_path_factory.mktemp('source'), small_run.fresh()
    state.step.assign(2)
    for variable in [*state.model.weights, *state.optimizer.momentums]:
        variable.assign(variable + 1)
    checkpoints.save(str(folder), 2, state.tensors())
    return folder


def begin(warm_start, train_dir, **options):
    lines = []
    return run.begin(small_run.network(), optimizer=optimizers.make('momentum'), train_dir=str(train_dir),
                     warm_start=warm_start, log=lines.append, **options), lines


def test_a_warm_start_takes_the_weights_alone(tmp_path, source):
    state, lines = begin(WarmStart(str(source), ('small/fc8',)), tmp_path / 'run')
    learned, initial = content(checkpoints.find(str(source))), small_run.network()
    for layer in ('conv1', 'fc8'):
        for kind, new in (('weights', initial.get_layer(layer).kernel), ('biases', initial.get_layer(layer).bias)):
            name = f'small/{layer}/{kind}'
            expected = learned[name] if layer == 'conv1' else new.numpy()
            assert state.weights[name].numpy().tobytes() == expected.tobytes(), name
    assert int(state.step) == 0 and not state.optimizer.momentums[0].numpy().any()
    assert 'initial values for small/fc8/biases, small/fc8/weights' in lines[-1]


def test_a_checkpoint_of_the_folder_takes_precedence(tmp_path, source):
    state, lines = begin(WarmStart('nowhere'), source, plateau=small_run.Plateau(2))
    assert int(state.step) == 2
    assert '--checkpoint_path=nowhere is not used, since train_dir has a checkpoint' in lines[-1]


@pytest.mark.parametrize('options', [{}, {'plateau': small_run.Plateau, 'trainable_scopes': ['small/fc8']}])
def test_a_checkpoint_of_a_run_with_other_variables_is_refused(source, options):
    options = {name: option(2) if callable(option) else option for name, option in options.items()}
    with pytest.raises(ValueError, match='was written by a run with another network, optimizer, .*Resume with'):
        begin(None, source, **options)


def test_a_new_run_does_not_replace_the_best_of_an_old_one(tmp_path):
    three_checkpoints(tmp_path / 'best')
    with pytest.raises(ValueError, match='has no checkpoint, but .*best has one, which a new run would replace'):
        start.restore(small_run.fresh(), str(tmp_path))
    with pytest.raises(ValueError, match='no checkpoint at --checkpoint_path=.*; .*best has one'):
        loading.load(str(tmp_path))


def test_variables_that_are_neither_loaded_nor_trained_are_refused(tmp_path, source):
    state = State(small_run.network(), optimizers.make('momentum'), trainable_scopes=['small/conv1'])
    with pytest.raises(ValueError, match='small/fc8/biases, small/fc8/weights would keep random values'):
        start.restore(state, str(tmp_path), warm_start=WarmStart(str(source), ('small/fc8',)))


@pytest.mark.parametrize('field, value, flag', [
    ('model_name', 'alexnet_v2', 'model_name'), ('variant', 'caffe', 'variant'),
    ('unscaled_dropout', 0.5, 'dropout_form')])
def test_weights_of_a_network_that_computes_otherwise_are_refused(tmp_path, source, field, value, flag):
    known = {'model_name': 'alexnet', 'image_size': 224, 'class_names': ('a',), 'mean': (1, 2, 3)}
    shutil.copytree(source, tmp_path / 'source')
    specs.write_spec(specs.Spec(**known | {field: value}), str(tmp_path / 'source'))
    with pytest.raises(ValueError, match=rf'is of a network with {field} .*Give the same --{flag}'):
        begin(WarmStart(str(tmp_path / 'source'), spec=specs.Spec(**known)), tmp_path / 'run')
