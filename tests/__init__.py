"""Tests compare their own numbers with those of commands, which use oneDNN on every CPU."""
import os

os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
