"""The four-layer network of the paper's figure 1: one table with ReLU, and the same with tanh.

The paper says no more than "four-layer convolutional neural network". Kernels, pools and initial weights are those of
the CIFAR-10 networks of cuda-convnet, its author's program of that time. Ours: all pools take the maximum (there the
second and third take the mean) and stop at the border, so that maps have 15, 7 and 3 pixels a side, not 16, 8 and 4.
"""
from alexnet_tf.ablation import variants
from nets.rows import Conv, Dropout, Init, MaxPool

SIZE = 32  # pixels
OURS = 'cuda-convnet; maximum, border: ours'

RELU = (
    Conv('conv1', 32, 5, init=Init('normal', 1e-4), bias=0, source='cuda-convnet'),
    MaxPool('pool1', 3, 2, source='cuda-convnet; border: ours'),
    Conv('conv2', 32, 5, init=Init('normal', 0.01), bias=0, source='cuda-convnet'),
    MaxPool('pool2', 3, 2, source=OURS),
    Conv('conv3', 64, 5, init=Init('normal', 0.01), bias=0, source='cuda-convnet'),
    MaxPool('pool3', 3, 2, source=OURS),
    Dropout('dropout3', keep_prob=1.0, source='paper, figure 1: no regularization, so that it keeps all'),
    Conv('fc4', None, 3, padding='VALID', relu=False, init=Init('normal', 0.01), bias=0, source='cuda-convnet'),
)
TABLES = {'relu': RELU, 'tanh': variants.with_tanh(RELU)}
