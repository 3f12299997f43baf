"""safetensors files, by the PyTorch module of docs/serving.md as it stands there."""
import importlib.util
import re

import numpy as np
import pytest

from tests.formats.conftest import SPECS
from tests.helpers.networks import assert_close
from tests.helpers.processes import ROOT, run_python

RUN = '''
import sys
import numpy as np
import torch
for folder in sys.argv[1:]:
    network = AlexNet(f'{folder}/model.safetensors').eval()
    images = torch.from_numpy(np.load(f'{folder}/images.npy'))
    with torch.no_grad():
        np.save(f'{folder}/logits.npy', network(images).numpy())
    assert network.class_names[3] == 'cat' and network.conv1.weight.requires_grad
    assert not torch.equal(network.train()(images[:2]), network(images[:2]))  # dropout
'''


def module_of_the_page():
    page = (ROOT / 'docs' / 'serving.md').read_text(encoding='utf-8')
    return re.search(r'```python\n((?:(?!```).)*?class AlexNet.*?)```', page, re.S)[1]


def test_the_module_has_thirty_lines():
    assert len(module_of_the_page().partition('class ')[2].splitlines()) == 30


def test_torch_computes_the_logits(networks, tmp_path):
    pytest.importorskip('safetensors')
    if importlib.util.find_spec('torch') is None:
        pytest.skip('could not import torch')  # not imported: beside TensorFlow it aborts
    from alexnet_tf.formats import safetensors_file
    folders = [tmp_path / name for name in SPECS]
    for folder, each in zip(folders, networks.values()):
        safetensors_file.write(each.loaded, str(folder))
        np.save(folder / 'images.npy', np.ascontiguousarray(each.images.transpose(0, 3, 1, 2)))
    (tmp_path / 'run.py').write_text(module_of_the_page() + RUN)
    run_python(tmp_path / 'run.py', *folders, cwd=tmp_path)
    for folder, each in zip(folders, networks.values()):
        assert_close(np.load(folder / 'logits.npy'), each.logits)
