"""Requests that TensorFlow Serving answers for itself when it loads a model, so that the first client need not wait."""
import os

import numpy as np
import tensorflow as tf

from alexnet_tf.data import datasets, preprocessing

FILE = os.path.join('assets.extra', 'tf_serving_warmup_requests')  # where TensorFlow Serving looks for them


def write_requests(loaded, folder, signatures, *, served_name):
    """Writes one request for each signature of an exported model, of a photograph of the sample.

    Args:
      loaded: the loading.Loaded that was exported. folder: of the SavedModel. signatures: their names.
      served_name: name under which the server has the model.

    Returns: whether they were written; False: the package of their messages is not installed.
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        return False
    spec = loaded.spec
    encoded = datasets.open_dataset(datasets.SAMPLE_DIR, 'validation').example(0)[0]
    square = preprocessing.evaluation_image(encoded, size=spec.image_size, resize_mode=spec.resize_mode)
    images = preprocessing.central_crop(square, spec.image_size).numpy().astype(np.float32)[np.newaxis]
    path = os.path.join(folder, FILE)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path) as writer:
        for signature in signatures:
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = served_name, signature
            name, values = ('images', images) if signature == 'serving_default' else ('image_bytes', [encoded])
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
    return True
