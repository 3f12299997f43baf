"""The local devices of a run."""
import tensorflow as tf


def make_strategy(num_clones, clone_on_cpu, model_parallel=1):
    """The tf.distribute strategy for local devices, and the two devices of model_parallel=2 (else None).

    Call it before TensorFlow uses any device. clone_on_cpu: make logical CPU devices, for tests.

    Raises: ValueError when there are fewer GPUs.
    """
    gpus = tf.config.list_physical_devices('GPU')
    wanted, flag = max(num_clones, model_parallel), 'model_parallel' if model_parallel > 1 else 'num_clones'
    if num_clones > 1 and model_parallel > 1:
        raise ValueError(f'--num_clones={num_clones} and --model_parallel={model_parallel} do not go together; choose '
                         'one.')
    if clone_on_cpu:
        tf.config.set_visible_devices([], 'GPU')
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * wanted)
    elif wanted > max(1, len(gpus)):
        raise ValueError(f'--{flag}={wanted}, but this machine has {len(gpus)} GPUs, where it needs {wanted}; use '
                         f'--{flag}={max(1, min(wanted, len(gpus)))}, or --clone_on_cpu (which is a test, not faster).')
    names = [f'/{"CPU" if clone_on_cpu else "GPU"}:{number}' for number in range(wanted)]
    if num_clones == 1:
        return tf.distribute.get_strategy(), tuple(names) if model_parallel > 1 else None
    reduce = None
    if clone_on_cpu:
        # The collective operations that TensorFlow would choose keep 1.3 KB of every step on CPUs.
        reduce = tf.distribute.ReductionToOneDevice()
        # It joins the clones' gradients and decays to one sum, whose order is that in which memory becomes free.
        tf.config.optimizer.set_experimental_options({'arithmetic_optimization': False})
    return tf.distribute.MirroredStrategy(names, cross_device_ops=reduce), None
