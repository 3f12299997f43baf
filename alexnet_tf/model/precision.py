"""Which arithmetic a machine is good at. Variables are float32 always."""
import tensorflow as tf

from alexnet_tf.console import loading


def choose(precision):
    """(Keras policy name, the reason in words) for 'float32', 'bfloat16' or 'auto'.

    auto: bfloat16 where the processor multiplies it in hardware (GPUs of compute capability 8.0 and
    above; CPUs with AVX512_BF16 or AMX): 1.7 times as fast as float32 there, and slower elsewhere.
    """
    if precision == 'float32':
        return 'float32', 'float32 (--precision)'
    gpus = tf.config.get_visible_devices('GPU')
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get('compute_capability', (0, 0))
        processor, able = f'GPU of compute capability {capability[0]}.{capability[1]}', capability >= (8, 0)
    elif not loading.uses_onednn():
        processor, able = f'CPU without oneDNN ({loading.ONEDNN})', False
    else:
        found = _cpu_flags() & {'avx512_bf16', 'amx_bf16'}
        processor = f'CPU with {" and ".join(sorted(found))}' if found else 'CPU without AVX512_BF16 and AMX'
        able = bool(found)
    if precision == 'bfloat16':
        slow = '' if able else f'; slower than float32 on a {processor}'
        return 'mixed_bfloat16', f'bfloat16 with float32 variables (--precision{slow})'
    if able:
        return 'mixed_bfloat16', f'bfloat16 with float32 variables, chosen for a {processor}'
    return 'float32', f'float32, chosen for a {processor}'


def _cpu_flags():
    try:
        with open('/proc/cpuinfo', encoding='ascii', errors='replace') as file:
            return {flag for line in file if line.startswith('flags') for flag in line.split()}
    except OSError:  # not Linux
        return set()
