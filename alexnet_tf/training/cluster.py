"""Which processes train together: the workers that TF_CONFIG or Slurm names. The first of them is the chief."""
import dataclasses
import json
import os

TF_CONFIG = 'TF_CONFIG'
_SLURM = ('SLURM_PROCID', 'SLURM_STEP_NUM_TASKS', 'SLURM_STEP_NODELIST', 'SLURM_STEP_TASKS_PER_NODE')


@dataclasses.dataclass(frozen=True)
class Cluster:
    """addresses: host:port of every worker, the chief's first. index: which of them this process is."""
    addresses: tuple
    index: int

    def name(self, index):
        """How messages call a worker."""
        return f'worker {index} ({self.addresses[index]})'


def from_environment():
    """The Cluster that TF_CONFIG names, or else Slurm, by the resolvers of tf.distribute.

    Raises: ValueError when neither does, or what they name is no cluster of workers.
    """
    if os.environ.get(TF_CONFIG):
        return _of_tf_config()
    if all(name in os.environ for name in _SLURM):
        return _of_slurm()
    raise ValueError(f'--strategy=multi_worker needs a cluster, but neither {TF_CONFIG} nor Slurm names one; set '
                     f"{TF_CONFIG} as docs/cluster.md shows, or start the workers with srun.")


def check_not_ignored(strategy):
    """Raises ValueError when TF_CONFIG names other processes and no strategy says what to do with them."""
    try:
        jobs = json.loads(os.environ.get(TF_CONFIG) or '{}')['cluster']
        count = sum(len(jobs[job]) for job in ('chief', 'master', 'worker') if job in jobs)
    except (ValueError, KeyError, TypeError):
        return  # it names none
    if count > 1 and strategy is None:
        raise ValueError(f'{TF_CONFIG} names a cluster of {count} processes; train on it with --strategy=multi_worker, '
                         'or on this machine alone with --strategy=one_device.')


def check_batch(batch_size, workers, num_clones):
    """Raises ValueError for a batch that does not divide among the workers and their devices."""
    if batch_size % (workers * num_clones):
        raise ValueError(f'--batch_size={batch_size} does not divide among {workers} workers with '
                         f'--num_clones={num_clones}; give a multiple of {workers * num_clones}.')


def _of_tf_config():
    import tensorflow as tf
    try:
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        jobs, task_type, task_id = resolver.cluster_spec().as_dict(), resolver.task_type, resolver.task_id
        others = sorted(set(jobs) - {'chief', 'worker'})
        if others:
            raise ValueError(f'it has tasks of type {", ".join(others)}; here there are chief and worker alone')
        addresses = [*jobs.get('chief', ()), *jobs.get('worker', ())]
        index = addresses.index(jobs[task_type][task_id])
        if len(set(addresses)) < len(addresses) or task_id < 0:
            raise ValueError('every worker needs an address of its own')
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f'{TF_CONFIG} names no cluster of workers ({type(error).__name__}: {error}); it must be as '
                         '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": '
                         '0}}, with an index of its own for every worker.') from error
    return Cluster(tuple(addresses), index)


def _of_slurm():
    import tensorflow as tf
    try:
        # The ports differ from job to job, which may share a machine. GPUs are Slurm's own business (--gpus-per-task);
        # the resolver would ask nvidia-smi, which a machine without GPUs lacks, and needs one at least for every task.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=20000 + int(os.environ.get('SLURM_JOB_ID', 0)) % 10000, auto_set_gpu=False, gpus_per_task=1,
            gpus_per_node=int(os.environ['SLURM_STEP_NUM_TASKS']))
        addresses = resolver.cluster_spec().as_dict()['worker']
    except (ValueError, RuntimeError, KeyError, AssertionError) as error:
        raise ValueError(f'the variables of Slurm name no cluster: {error}. Start the workers with srun.') from error
    cluster = Cluster(tuple(addresses), resolver.task_id)
    own = os.environ.get('SLURMD_NODENAME')
    host = addresses[cluster.index].rpartition(':')[0]
    if own and own != host:
        raise ValueError(f'task {cluster.index} runs on {own}, but tf.distribute expects it on {host}: it sorts the '
                         'names of nodes and fills one after the other. Use srun --distribution=block and nodes whose '
                         f'numbers have the same length, or set {TF_CONFIG}.')
    return cluster
