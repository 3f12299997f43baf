"""A network's weights for PyTorch: torch's names and layouts, and the rows of the network."""
import dataclasses
import json
import os

from safetensors import numpy as safetensors

from alexnet_tf.files import writing
from alexnet_tf.formats import layers


def write(loaded, folder):
    """Writes a loading.Loaded as folder/model.safetensors; returns the path. Raises: OSError.

    Tensors: as of layers.arrays. Metadata: rows (layers.plain_rows as JSON) and model_json (the Spec, with its class
    names); format `pt`, by which other programs know torch's layouts.
    """
    path = os.path.join(folder, 'model.safetensors')
    metadata = {'format': 'pt', 'rows': json.dumps(layers.plain_rows(loaded.spec)),
                'model_json': json.dumps(dataclasses.asdict(loaded.spec))}
    with writing.whole(path) as file:
        file.write(safetensors.save(layers.arrays(loaded), metadata))
    return path
