"""Exported files, each run by its own runtime: first all images, one after the other, and then the first one alone.

What they import they import inside, since each has a process of its own.
"""
import itertools
import re
from pathlib import Path

import numpy as np

from benchmarks.inputs import CORES

PAGE = Path(__file__).parents[1] / 'docs' / 'serving.md'


def runner(logits, images, *, channels_first):
    """A function that gives the logits of all images, and when called again those of the first one.

    Args:
      logits: a function of one image, float32 [1, …]. images: file of uint8 images [n, size, size, 3].
    """
    images, calls = np.load(images, mmap_mode='r'), itertools.count()

    def one(image):
        image = image.transpose(2, 0, 1) if channels_first else image
        return np.ascontiguousarray(image[np.newaxis], np.float32)
    first = one(images[0])

    def run():
        if next(calls):
            return logits(first)
        return np.concatenate([logits(one(image)) for image in images])
    return run


def saved_model(path, images):
    import tensorflow as tf
    signature = tf.saved_model.load(path).signatures['serving_default']
    return runner(lambda image: signature(images=tf.constant(image))['logits'].numpy(), images, channels_first=False)


def litert(path, images):
    from ai_edge_litert.interpreter import Interpreter
    run = Interpreter(path, num_threads=CORES).get_signature_runner()
    return runner(lambda image: run(images=image)['logits'], images, channels_first=False)


def onnxruntime(path, images):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = CORES
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return runner(lambda image: session.run(None, {'images': image})[0], images, channels_first=True)


def openvino(path, images):
    import openvino
    compiled = openvino.Core().compile_model(path, 'CPU', {
        'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_NUM_THREADS': CORES, 'INFERENCE_PRECISION_HINT': 'f32'})
    return runner(lambda image: compiled(image)[0], images, channels_first=True)


def torch(path, images):
    """By the module of docs/serving.md."""
    import torch
    torch.set_num_threads(CORES)
    names = {}
    exec(re.search(r'```python\n((?:(?!```).)*?class AlexNet.*?)```', PAGE.read_text(encoding='utf-8'), re.S)[1], names)
    network = names['AlexNet'](path).eval()

    def logits(image):
        with torch.no_grad():
            return network(torch.from_numpy(image)).numpy()
    return runner(logits, images, channels_first=True)
