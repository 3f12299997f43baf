"""Runs a command with networks of a sixteenth of the kernels: the same tables, all else as it is for users.

    python -m tests.helpers.narrow train_image_classifier --train_dir=…

DIE_AT=stage:count in the environment: it kills itself there, as small_run's --die_at says.
"""
import importlib
import os
import sys
from unittest import mock

from alexnet_tf.ablation.variants import narrowed
from nets import alexnet

WIDTH = 1 / 16
TABLES = {'ALEXNET_V2': narrowed(alexnet.ALEXNET_V2, WIDTH),
          'VARIANTS': {name: narrowed(table, WIDTH) for name, table in alexnet.VARIANTS.items()}}


def networks():
    """A context: inside it the networks of this process are narrow."""
    return mock.patch.multiple(alexnet, **TABLES)


def main(arguments=None):
    """arguments: a command and its flags; None: those of the process."""
    if 'DIE_AT' in os.environ:
        from tests.helpers import small_run
        small_run.arm(os.environ['DIE_AT'])
    module, *rest = arguments or sys.argv[1:]
    sys.argv[1:] = rest
    with networks():
        importlib.import_module(module).cli()


if __name__ == '__main__':
    main()
