"""The projector's files, as TensorBoard's own plugin reads them."""
import io
import json

import numpy as np
import pytest

from alexnet_tf.neighbors import index, projector


def test_files(built, tmp_path):
    found = index.open_index(str(built))
    assert projector.write(found, str(tmp_path), 10) == 10
    lines = (tmp_path / 'metadata.tsv').read_text().splitlines()
    assert lines[:2] == ['image\tclass', f'train:0\t{found.class_names[found.labels[0]]}']
    assert lines[10] == f'train:47\t{found.class_names[found.labels[47]]}'
    stored = np.frombuffer((tmp_path / 'features.bytes').read_bytes(), '<f4').reshape(10, -1)
    np.testing.assert_array_equal(stored[[0, -1]], found.vectors[[0, 47]].astype(np.float32))
    image = pytest.importorskip('PIL.Image').open(tmp_path / 'thumbnails.png')
    assert image.size == (4 * 64, 3 * 64)  # ten are a square of four by four, less its last row
    photograph = pytest.importorskip('PIL.Image').open(io.BytesIO(found.example(47)[0])).convert('RGB').resize((64, 64))
    assert abs(np.float32(image)[128:, 64:128] - np.float32(photograph)).mean() < 12  # another resizing


def test_tensorboards_own_plugin_reads_them(built, tmp_path):
    plugin = pytest.importorskip('tensorboard.plugins.projector.projector_plugin', reason='needs tensorboard')
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.plugins import base_plugin
    from werkzeug import test, wrappers
    found = index.open_index(str(built))
    projector.write(found, str(tmp_path), 48)
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    apps = plugin.ProjectorPlugin(base_plugin.TBContext(
        logdir=str(tmp_path), multiplexer=multiplexer,
        data_provider=data_provider.MultiplexerDataProvider(multiplexer, str(tmp_path)))).get_plugin_apps()

    def ask(route, **query):
        answer = test.Client(apps[route], wrappers.Response).get(route, query_string={'run': '.', **query})
        assert answer.status_code == 200, answer.data
        return answer.data
    assert json.loads(ask('/runs')) == ['.']
    embedding, = json.loads(ask('/info'))['embeddings']
    assert embedding['tensorName'] == 'fc7' and embedding['sprite']['singleImageDim'] == [64, 64]
    values = np.frombuffer(ask('/tensor', name='fc7', num_rows='48'), np.float32).reshape(48, -1)
    np.testing.assert_array_equal(values, found.vectors.astype(np.float32))
    assert ask('/metadata', name='fc7', num_rows='48').decode().splitlines()[0] == 'image\tclass'
    assert ask('/sprite_image', name='fc7').startswith(b'\x89PNG')
