"""What a worker of the data service reads for a training: the pipeline that comes from there calls `examples` here.

A graph cannot carry a Python function to another process. So it carries the name under which TensorFlow knows the
function in the worker (TOKEN), and a request, which says what the training needs and from what it was made.
"""
import functools
import hashlib
import json
import os
import socket

import numpy as np
import tensorflow as tf

from alexnet_tf.data import records
from alexnet_tf.data.batches import positions
from alexnet_tf.data.datasets import BadRecords, Dataset

TOKEN = b'pyfunc_0'  # TensorFlow's name for the first Python function of a process
_RECORDS, _SOFTWARE = 'records', 'software'


@functools.cache
def software():
    """{what: version} of all that decides what a batch holds, as it was when this process asked first."""
    code, folder = hashlib.sha256(), os.path.dirname(__file__)
    for name in sorted(name for name in os.listdir(folder) if name.endswith('.py')):
        with open(os.path.join(folder, name), 'rb') as file:
            code.update(name.encode() + file.read())
    return {'TensorFlow': tf.__version__, 'the code in alexnet_tf/data': f'checksum {code.hexdigest()[:12]}'}


def request_for(dataset, seed):
    """What a training asks workers for, as a text."""
    return json.dumps({
        'files': [os.path.abspath(path) for path in dataset.index.files], 'seed': seed,
        'fields': {'folder': os.path.abspath(dataset.folder), 'split': dataset.split, 'image_key': dataset.image_key,
                   'label_key': dataset.label_key, 'labels_offset': dataset.labels_offset,
                   'class_names': dataset.class_names},
        _RECORDS: records.description(dataset.index.length), _SOFTWARE: software()})


@functools.lru_cache(maxsize=8)
def _opened(request):
    """(Dataset, seed) of a request. Raises: ValueError when this worker would read something else."""
    asked, here = json.loads(request), software()
    for what, wanted in asked[_SOFTWARE].items():
        if here.get(what) != wanted:
            raise ValueError(f'worker {socket.gethostname()} has {what} {here.get(what)}, the training has {wanted}; '
                             'install the same on both.')
    folder = asked['fields']['folder']
    missing = next((path for path in asked['files'] if not os.path.exists(path)), None)
    if missing:
        raise ValueError(f'worker {socket.gethostname()} has no {missing}; workers read the records themselves, so '
                         'mount the folder there under the same path.')
    index = records.index_files(asked['files'])
    found = records.description(index.length)
    if found != asked[_RECORDS]:
        raise ValueError(f'worker {socket.gethostname()} has other records in {folder} than the training: {found}, not '
                         f'{asked[_RECORDS]}; give both the same folder.')
    return Dataset(index=index, info={}, bad=BadRecords(0, print), **asked['fields']), asked['seed']


def examples(request, first, count):
    """(encoded images [count] of bytes, labels int64 [count]) of the examples from number `first` on.

    Raises: ValueError naming file and record for a bad one, or naming this worker for a request that does not fit it.
    """
    dataset, seed = _opened(request)
    found = [dataset.example(position) for position in positions(seed, int(first), int(count), len(dataset)).tolist()]
    return np.array([image for image, _ in found], object), np.array([label for _, label in found], np.int64)


def register():
    """Makes `examples` what TOKEN means in this process, as long as the result is kept. Call it before all else."""
    @tf.function(input_signature=[tf.TensorSpec([], kind) for kind in (tf.string, tf.int64, tf.int64)])
    def read(request, first, count):
        return tf.numpy_function(examples, [request, first, count], [tf.string, tf.int64])
    operations = read.get_concrete_function().graph.get_operations()
    tokens = [operation.get_attr('token') for operation in operations if operation.type == 'PyFunc']
    if tokens != [TOKEN]:
        raise ValueError(f'TensorFlow {tf.__version__} calls the first Python function of a process {tokens}, not '
                         f'{TOKEN}; the data service needs the version in pyproject.toml.')
    software()  # later the files may be of another version than this process
    return read
