"""What the project's speed is measured with, beside what users would pick instead."""
import os

from alexnet_tf.console.loading import ONEDNN

# Before TensorFlow is loaded, for every peer that uses it: as the commands have it, whatever the CPU.
os.environ.setdefault(ONEDNN, '1')
