"""The choice of arithmetic."""
import re
from pathlib import Path

import tensorflow as tf

from alexnet_tf.model import precision


def test_precision_as_asked_is_the_same_everywhere():
    assert precision.choose('float32') == ('float32', 'float32 (--precision)')
    policy, reason = precision.choose('bfloat16')
    assert policy == 'mixed_bfloat16' and reason.startswith('bfloat16 with float32 variables (--precision')
    slow = precision.choose('auto')[0] == 'float32'
    assert ('slower than float32 on a CPU without AVX512_BF16' in reason or 'GPU' in reason) == slow


def test_auto_is_float32_where_onednn_is_switched_off(monkeypatch):
    monkeypatch.setattr(precision, '_cpu_flags', lambda: {'avx512_bf16'})
    monkeypatch.setattr(tf.config, 'get_visible_devices', lambda kind: [])
    assert precision.choose('auto') == ('mixed_bfloat16', 'bfloat16 with float32 variables, chosen for a CPU with '
                                        'avx512_bf16')
    monkeypatch.setenv('TF_ENABLE_ONEDNN_OPTS', 'False')
    assert precision.choose('auto') == ('float32', 'float32, chosen for a CPU without oneDNN (TF_ENABLE_ONEDNN_OPTS)')


def test_auto_goes_by_this_processor():
    policy, reason = precision.choose('auto')
    gpus = tf.config.get_visible_devices('GPU')
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0])['compute_capability']
        able, processor = capability[0] >= 8, f'GPU of compute capability {capability[0]}.{capability[1]}'
    else:
        cpuinfo = Path('/proc/cpuinfo')
        text = cpuinfo.read_text() if cpuinfo.exists() else ''
        flags = [flag for flag in ('amx_bf16', 'avx512_bf16') if re.search(rf'\b{flag}\b', text)]
        able, processor = bool(flags), f'CPU with {" and ".join(flags)}' if flags else 'CPU without AVX512_BF16 and AMX'
    assert policy == ('mixed_bfloat16' if able else 'float32')
    assert reason.endswith(f'chosen for a {processor}')
    assert reason.startswith('bfloat16 with float32 variables' if able else 'float32,')
