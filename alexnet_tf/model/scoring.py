"""Scoring checkpoints, one network or the mean of several."""
from alexnet_tf.data import preprocessing
from alexnet_tf.model import evaluation, loading


class Scorer:
    """Scores one set of checkpoints after the other, as a training run writes them.

    The models of the checkpoints before get the new weights where they fit, and the step is traced once: building and
    tracing for every checkpoint of a run would fill the memory.

    Args:
      num_views: see preprocessing.views. load_options: of loading.load.
    """

    def __init__(self, *, num_views=1, **load_options):
        self._num_views, self._load_options = num_views, load_options
        self._step, self.networks = None, []

    def load(self, paths):
        """Loads the checkpoints (a path each), whose probabilities are to be averaged.

        Returns: a list of loading.Loaded. Raises: ValueError when one cannot be loaded, or they do not go together.
        """
        before = self.networks if len(self.networks) == len(paths) else [None] * len(paths)
        self.networks = [loading.load(path, reuse=known, **self._load_options) for path, known in zip(paths, before)]
        check_together(self.networks)
        if self._step is None or any(known is None or known.model is not loaded.model
                                     for known, loaded in zip(before, self.networks)):
            self._step = evaluation.make_eval_step(
                [(loaded.model, loaded.mean, loaded.spec.image_size) for loaded in self.networks],
                num_views=self._num_views)
        return self.networks

    def score(self, batches, num_examples, **options):
        """evaluation.evaluate with the networks that were loaded last."""
        return evaluation.evaluate(self._step, batches, num_examples, **options)


def check_together(networks):
    """Raises ValueError for networks whose probabilities can't be averaged."""
    first = networks[0]
    for other in networks[1:]:
        for what, values in (
                ('classes', [loaded.spec.class_names for loaded in (first, other)]),
                ('labels_offset', [loaded.spec.labels_offset or 0 for loaded in (first, other)]),
                ('resize_mode', [loaded.spec.resize_mode for loaded in (first, other)]),
                ('side of the resized image', [preprocessing.square_side(loaded.spec.image_size)
                                               for loaded in (first, other)])):
            if values[0] != values[1]:
                raise ValueError(f'{first.checkpoint} and {other.checkpoint} differ in their {what}; only networks '
                                 'with the same can be averaged.')


def check_classes(loaded, dataset, log=print):
    """Raises ValueError for a Dataset of other classes than a network's; logs a note where only names differ."""
    if dataset.num_classes != loaded.spec.num_classes:
        raise ValueError(f'{loaded.checkpoint} knows {loaded.spec.num_classes} classes, {dataset.folder} has '
                         f'{dataset.num_classes}; give records of the same classes with --dataset_dir (slim data have '
                         'one class more, background, with --labels_offset=0).')
    if dataset.class_names == loaded.spec.class_names:
        return
    if sorted(dataset.class_names) == sorted(loaded.spec.class_names):
        raise ValueError(f'{dataset.folder} has the classes of the training set in another order, so that their '
                         'numbers mean other classes; build it from the same class folders.')
    log(f'Note: the classes of {dataset.folder} have other names than those of the training set; they are taken by '
        'number.')
