"""The strategy of a cluster: tf.distribute.MultiWorkerMirroredStrategy, without what ends or fills a process."""
import tensorflow as tf
from tensorflow.python.distribute import collective_all_reduce_strategy, cross_device_utils
from tensorflow.python.eager import context

from alexnet_tf.training.team import Team
from alexnet_tf.training.watch import Watch


def join(cluster, *, num_clones, timeout_secs, on_cpu=False, name='train_image_classifier', log=print):
    """The Team of a cluster.Cluster, when all its workers have come. Call it before TensorFlow uses any device.

    Args:
      num_clones: local devices. on_cpu: leave GPUs alone. timeout_secs: how long to wait for the others.

    Raises: ValueError when there are fewer GPUs, the own address cannot be used, or a worker does not come.
    """
    gpus = [] if on_cpu else tf.config.list_physical_devices('GPU')
    if num_clones > max(1, len(gpus)):
        raise ValueError(f'--num_clones={num_clones}, but this machine has {len(gpus)} GPUs for its worker; a worker '
                         'without GPUs has one device, its CPU.')
    if on_cpu:
        tf.config.set_visible_devices([], 'GPU')
    _prepare()
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({'worker': list(cluster.addresses)}), task_type='worker', task_id=cluster.index,
        rpc_layer='grpc', num_accelerators={'GPU': num_clones if gpus else 0})
    kinds = tf.distribute.experimental.CommunicationImplementation
    log(f'This is {cluster.name(cluster.index)} of {len(cluster.addresses)}; the chief is {cluster.name(0)}.')
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(
            resolver, tf.distribute.experimental.CommunicationOptions(
                implementation=kinds.AUTO if gpus else kinds.RING))
    except tf.errors.OpError as error:
        raise ValueError(f'{cluster.name(cluster.index)} cannot listen there: {error.message.splitlines()[0]}. Is the '
                         'port in use?') from error
    watch = Watch(cluster, name)
    watch.wait_for_all(timeout_secs, log)
    return Team(strategy, cluster, watch)


def _prepare():
    """Settings for which tf.distribute has no public name."""
    # The coordination service waits without end for a chief that never comes. Watch takes its place.
    context.context().configure_coordination_service(service_type='')
    # Its thread asks every 30 seconds, and cannot end a process that is not in a collective operation.
    collective_all_reduce_strategy.CollectiveAllReduceExtended._enable_check_health = False
    # Every call of a collective operation would have a key of its own, with memory that is never freed: 1.5 KB each.
    cross_device_utils.CollectiveReplicaLauncher._prefer_unique_instance_key = False
