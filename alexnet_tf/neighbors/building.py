"""Building an index: features of a split go to the disk as they come, so that a kill loses a second of work."""
import contextlib
import dataclasses
import os
import time

import numpy as np
import tensorflow as tf

from alexnet_tf.console.progress import Progress
from alexnet_tf.data import preprocessing
from alexnet_tf.data.batches import EvaluationBatches
from alexnet_tf.files import reading, writing
from alexnet_tf.model import features
from alexnet_tf.neighbors import description, index
from alexnet_tf.run_folder import lock
from nets import normalization

SAVE_SECS = 1  # between two notes of how far it is


def build(loaded, dataset, folder, *, batch_size, log=print):
    """Writes the index of a Dataset's images into a folder, or what is missing of it. loaded: a loading.Loaded.

    Killed and given again, it leaves the bytes of an undisturbed one: it goes on at the start of a batch.

    Raises: ValueError for a folder with another index, or in which another process builds, and for records that cannot
    be read; OSError.
    """
    with lock.hold(folder, 'output'):  # a second one would cut off what the first has just written
        _build(loaded, dataset, folder, _describe(loaded, dataset, batch_size), log)


def _build(loaded, dataset, folder, about, log):
    if _is_there(about, folder):
        log(f'{folder} has this index already: {about.images} images.')
        with contextlib.suppress(FileNotFoundError):  # a kill may have come just before the end
            os.remove(os.path.join(folder, description.UNFINISHED))
        return
    done = _begin(about, folder)
    size = about.images * (about.width * 2 + 8)
    log(f'{folder} will take {size / 1e6:,.1f} MB: {about.images} images of {about.width} features in float16.')
    if done:
        log(f'Going on after {done} images.')
    if done < about.images:
        _fill(loaded, dataset, about, folder, done, log)
    files = {name: reading.fingerprint(os.path.join(folder, name)) for name in (index.FEATURES, index.LABELS)}
    _note(dataclasses.replace(about, files=files), os.path.join(folder, description.DESCRIPTION))
    os.remove(os.path.join(folder, description.UNFINISHED))


def _describe(loaded, dataset, batch_size):
    width = loaded.model.get_layer('fc7').output.shape[-1]
    return description.Description(
        os.path.abspath(loaded.checkpoint), loaded.step, features.fingerprint(loaded), os.path.abspath(dataset.folder),
        dataset.split, dataset.labels_offset, tuple(dataset.class_names), index.lengths_crc32c(dataset), len(dataset),
        width, batch_size)


def _is_there(about, folder):
    """Whether the finished index in the folder is this one. Raises: ValueError for another or a damaged one."""
    if not os.path.exists(os.path.join(folder, description.DESCRIPTION)):
        return False
    _check_same(about, index.open_index(folder).about, folder)
    return True


def _begin(about, folder):
    """How many images an unfinished build of this index has done. Raises: ValueError for one of another index."""
    path = os.path.join(folder, description.UNFINISHED)
    begun = description.read(path)
    if begun is None:
        _note(about, path, done=0)
        return 0
    _check_same(about, begun, folder)
    done = reading.read_json(path).get('done')
    if not reading.is_count(done) or done > about.images or done % about.batch_size and done != about.images:
        raise ValueError(f'{path} says that {reading.short(done)} images are done; remove it, to begin again.')
    return done


def _check_same(about, other, folder):
    for name, value in dataclasses.asdict(about).items():
        there = dataclasses.asdict(other)[name]
        if name not in ('files', 'checkpoint') and there != value:
            raise ValueError(f'{folder} has an index whose {name} is {reading.short(there)}, not '
                             f'{reading.short(value)}; choose another --output, or remove the folder.')


def _note(about, path, **more):
    writing.write_json(path, dataclasses.asdict(about) | more)


def _fill(loaded, dataset, about, folder, done, log):
    """Appends the features and labels of the images from number `done` on."""
    step, spec = compiled(loaded), loaded.spec
    batches = EvaluationBatches(dataset, batch_size=about.batch_size, image_size=spec.image_size,
                                resize_mode=spec.resize_mode, part=(done, about.images))
    progress = Progress(about.images, 'images', log, done=done)
    with (_appending(folder, index.FEATURES, np.float16, (about.images, about.width), done) as vectors,
          _appending(folder, index.LABELS, np.int64, (about.images,), done) as labels):
        saved = 0.0
        for squares, numbers in batches:
            found = step(squares).numpy()
            vectors.write(_checked(found, dataset, done).tobytes())
            labels.write(numbers.numpy().tobytes())
            done += len(found)
            progress.update(done)
            if time.monotonic() - saved >= SAVE_SECS or done == about.images:
                for file in vectors, labels:
                    file.flush()
                    os.fsync(file.fileno())
                _note(about, os.path.join(folder, description.UNFINISHED), done=done)
                saved = time.monotonic()
    progress.finish()


def compiled(loaded):
    """features.of_squares as one compiled function."""
    side, network = preprocessing.square_side(loaded.spec.image_size), features.of_squares(loaded)

    @tf.function(input_signature=[tf.TensorSpec([None, side, side, 3], tf.uint8)])
    def step(squares):
        with normalization.compiled():
            return network(squares)
    return step


def _checked(found, dataset, done):
    """float16 of features. Raises: ValueError for those that are beyond it, or no numbers."""
    with np.errstate(over='ignore'):
        stored = found.astype(np.float16)
    wrong = np.flatnonzero(~np.isfinite(stored).all(1))
    if len(wrong):
        raise ValueError(f'the features of {dataset.index.where(done + wrong[0])} reach {found[wrong[0]].max():g}, and '
                         'float16 ends at 65504; is the checkpoint of a training that went well?')
    return stored


@contextlib.contextmanager
def _appending(folder, name, dtype, shape, done):
    """A .npy file of this shape, open behind its first `done` rows. It grows as it is filled."""
    path = os.path.join(folder, name)
    with open(path, 'r+b' if done else 'wb') as file:
        np.lib.format.write_array_header_1_0(file, {
            'descr': np.lib.format.dtype_to_descr(np.dtype(dtype)), 'fortran_order': False, 'shape': shape})
        end = file.tell() + done * int(np.prod(shape[1:])) * np.dtype(dtype).itemsize
        file.seek(0, os.SEEK_END)
        if file.tell() < end:
            raise ValueError(f'{path} was cut off; remove {os.path.join(folder, description.UNFINISHED)}, to begin '
                             'again.')
        file.truncate(end)
        file.seek(end)
        yield file
