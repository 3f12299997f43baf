"""What a run starts from: its own checkpoint, another one's weights, or nothing."""
import os

from alexnet_tf.model import specs
from alexnet_tf.run_folder import checkpoints
from alexnet_tf.training.state import check_scopes
from nets import slim_checkpoints


def restore(state, train_dir, *, checkpoint_path=None, spec=None, exclude_scopes=(), ignore_missing=False, log=print):
    """Decides what the run starts from, and loads it.

    Args:
      spec: the specs.Spec of the run; a warm start from a network that computes otherwise is refused.

    Returns: the step to start at. Raises: ValueError when a checkpoint does not fit.
    """
    check_scopes('checkpoint_exclude_scopes', exclude_scopes, state.weights)
    # 1. Resume: a checkpoint in train_dir goes before everything else, and all of it is loaded.
    latest = checkpoints.find_intact(train_dir, log)
    if latest:
        _check_names(state.tensors(), latest)
        slim_checkpoints.load(state.tensors(), latest)
        log(f'Resuming from {latest}' + (f'; --checkpoint_path={checkpoint_path} is not used, since train_dir '
                                         'has a checkpoint.' if checkpoint_path else '.'))
        return int(state.step.numpy())
    best = os.path.join(train_dir, checkpoints.BEST_DIR)
    if checkpoints.find(best):
        raise ValueError(f'{train_dir} has no checkpoint, but {best} has one, which a new run would replace. Move it '
                         f'away, or choose another --train_dir (--checkpoint_path={best} begins with its weights).')
    # 2. Warm start: the weights of checkpoint_path, less the excluded scopes; step and optimizer are new.
    if checkpoint_path:
        source = checkpoints.find_intact(checkpoint_path, log)
        if not source:
            raise ValueError(f'no checkpoint at --checkpoint_path={checkpoint_path}; give a file such as '
                             'model.ckpt-1000 or a folder that has one.')
        _check_same_network(spec, specs.read_spec(os.path.dirname(os.path.abspath(source))), source)
        loaded, left = slim_checkpoints.load(state.weights, source, exclude_scopes=exclude_scopes,
                                  ignore_missing=ignore_missing)
        _check_trained(state, left)
        log(f'Warm start: {len(loaded)} variables from {source}'
            + (f', initial values for {", ".join(left)}.' if left else '.'))
        return 0
    # 3. Fresh start.
    log(f'Fresh start: no checkpoint in {train_dir}.')
    return 0


def _check_trained(state, names):
    """Refuses variables that would keep random values: neither loaded nor trained."""
    trained = {variable.ref() for variable in state.trainable}
    parts = {name: getattr(state.weights[name], 'parts', [state.weights[name]]) for name in names}
    stuck = [name for name in names if not trained.issuperset(part.ref() for part in parts[name])]
    if stuck:
        raise ValueError(f'{", ".join(stuck)} would keep random values: they are not loaded from --checkpoint_path, '
                         'and --trainable_scopes has no scope for them; add one.')


def _check_same_network(spec, known, source):
    """Refuses weights that would mean something else here: of another network, variant or form of dropout."""
    if spec is None or known is None:
        return
    for flag, field in (('model_name', 'model_name'), ('variant', 'variant'), ('dropout_form', 'unscaled_dropout')):
        before, now = getattr(known, field), getattr(spec, field)
        if before != now:
            raise ValueError(f'{source} is of a network with {field} {before}, this run has {now}; the same weights '
                             f'would compute something else. Give the same --{flag}, or the checkpoint of another run.')


def _check_names(tensors, checkpoint):
    there = set(slim_checkpoints.read(checkpoint).get_variable_to_shape_map())
    differing = sorted(there ^ set(tensors))
    if differing:
        raise ValueError(f'{checkpoint} was written by a run with another network, optimizer, schedule (plateau) or '
                         f'trainable_scopes: it and this run differ in {", ".join(differing[:4])}'
                         f'{" …" if len(differing) > 4 else ""}. Resume with the same flags, or start another '
                         '--train_dir with --checkpoint_path for the weights.')
