"""The shards of a folder of records, written by an Apache Beam pipeline: by as many machines as its runner has."""
import logging
import os
import uuid

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from alexnet_tf.data import shard_writer

LOCAL = 'DirectRunner'


def write(shards, planned, *, runner, options, num_processes):
    """Writes shard_writer.Shards, each by some worker, and waits for all of them.

    Args:
      planned: function that gives these shards and perhaps others; every worker calls it once, since the list of their
        images would be too long for a pipeline's description. So all must see the same images, and the same folder for
        the records.
      runner, options: of Beam. num_processes: workers of the local runner.

    Raises: ValueError for wrong options, and when the pipeline fails.
    """
    logging.getLogger('apache_beam').setLevel(logging.ERROR)
    arguments = [f'--runner={runner}', '--default_sdk_harness_log_level=ERROR', *options]
    if runner == LOCAL:
        arguments += [f'--direct_num_workers={num_processes}', '--direct_running_mode=multi_processing']
    try:
        with beam.Pipeline(options=PipelineOptions(arguments)) as pipeline:
            names = pipeline | beam.Create([os.path.basename(shard.path) for shard in shards]) | beam.Reshuffle()
            _ = names | beam.ParDo(_Write(planned, shards[0].plan['images']))
    except (Exception, SystemExit) as error:  # of the runner's, or argparse's for a wrong option
        raise ValueError(f'the Beam pipeline failed ({type(error).__name__}: {error}); mend that and start again with '
                         'the same flags: the shards that are done are kept.') from error


class _Write(beam.DoFn):
    """Writes the shard of a name."""

    def __init__(self, planned, images):
        self._planned, self._images, self._shards = planned, images, None

    def setup(self):
        shards = self._planned()
        if shards[0].plan['images'] != self._images:
            raise ValueError('a worker sees other images than the process that started it; all need the same folder')
        self._shards = {os.path.basename(shard.path): shard for shard in shards}

    def process(self, name):
        # Runners may try a shard again while the first try is still at work: each has a name of its own.
        shard_writer.write_shard(self._shards[name], lambda: None, partial=f'.{uuid.uuid4().hex}.partial')
