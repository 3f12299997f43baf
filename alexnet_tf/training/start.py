"""What a run starts from: its own checkpoint, the weights of another one, or nothing."""
import dataclasses
import os

from alexnet_tf.files import places
from alexnet_tf.model import specs
from alexnet_tf.run_folder import checkpoints
from alexnet_tf.training.state import check_scopes
from alexnet_tf.training.team import ALONE
from nets import slim_checkpoints


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """Weights to begin with. checkpoint_path: a checkpoint or its folder. exclude_scopes: prefixes of names to leave.

    ignore_missing: whether variables that the checkpoint lacks keep their initial values; else they are an error.
    spec: the Spec of the run; weights of a network that computes otherwise are refused.
    """
    checkpoint_path: str
    exclude_scopes: tuple = ()
    ignore_missing: bool = False
    spec: specs.Spec | None = None


def restore(state, train_dir, *, warm_start=None, team=ALONE, log=print):
    """Decides what the run starts from, and loads it.

    Raises: ValueError when a checkpoint does not fit.
    """
    if warm_start:
        check_scopes('checkpoint_exclude_scopes', warm_start.exclude_scopes, state.weights)
    # 1. Resume: a checkpoint in train_dir takes precedence, and all of it is loaded.
    latest = newest(train_dir, team, log)
    if latest:
        _check_names(state.tensors(), latest)
        slim_checkpoints.load(state.tensors(), latest)
        if team.is_chief:
            checkpoints.keep_best(train_dir, int(state.best_step.numpy()))
        unused = f'; --checkpoint_path={warm_start.checkpoint_path} is not used, since train_dir has a checkpoint' if (
            warm_start) else ''
        log(f'Resuming from {latest}{unused}.')
        return
    best = os.path.join(train_dir, checkpoints.BEST_DIR)
    if checkpoints.find(best):
        raise ValueError(f'{train_dir} has no checkpoint, but {best} has one, which a new run would replace. Move it '
                         f'away, or choose another --train_dir (--checkpoint_path={best} begins with its weights).')
    # 2. Warm start: the weights of another checkpoint, less the excluded scopes; step and optimizer are new.
    if warm_start:
        _load_weights(state, warm_start, log)
        return
    # 3. Fresh start.
    log(f'Fresh start: no checkpoint in {train_dir}.')


def newest(train_dir, team=ALONE, log=print):
    """The last intact checkpoint of a run, as the chief sees it, or None.

    Raises: ValueError when a worker does not see it.
    """
    name = team.decide(lambda: (path := checkpoints.find_intact(train_dir, log)) and os.path.basename(path))
    path = name and os.path.join(train_dir, name)
    if path and not team.is_chief and not checkpoints.find(path):
        raise ValueError(f'{path} is not here, but the chief goes on from it; --train_dir must be a folder that all '
                         'workers share.')
    return path


def _load_weights(state, warm_start, log):
    source = checkpoints.find_intact(warm_start.checkpoint_path, log)
    if not source:
        raise places.no_checkpoint(warm_start.checkpoint_path)
    _check_same_network(warm_start.spec, specs.read_spec(os.path.dirname(os.path.abspath(source))), source)
    loaded, left = slim_checkpoints.load(
        state.weights, source, exclude_scopes=warm_start.exclude_scopes, ignore_missing=warm_start.ignore_missing)
    _check_trained(state, left)
    log(f'Warm start: {len(loaded)} variables from {source}'
        + (f', initial values for {", ".join(left)}.' if left else '.'))


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
