"""The networks in PyTorch, channels_last: eager, or compiled by torch.compile."""
import torch
from torch import nn

from benchmarks import inputs


def network(layers):
    """The torch.nn.Sequential of networks.layers, with inputs.random_weights."""
    result, weights = [], inputs.random_weights(layers)
    for layer in layers:
        if layer.kind == 'Conv':
            result += _convolution(layer, *map(torch.from_numpy, weights[layer.name]))
        else:
            result.append({'LRN': _normalization,
                           'MaxPool': lambda row: nn.MaxPool2d(row.size, row.stride),
                           'Dropout': lambda row: nn.Dropout(1 - row.keep_prob)}[layer.kind](layer))
    return nn.Sequential(*result).to(memory_format=torch.channels_last)


class _Float32(nn.LocalResponseNorm):
    """Computed in float32, since eager PyTorch has no bfloat16 of it (avg_pool3d)."""

    def forward(self, x):
        return super().forward(x.float()).to(x.dtype)


def _normalization(layer):
    size = 2 * layer.depth_radius + 1  # by which PyTorch divides alpha
    return _Float32(size, layer.alpha * size, layer.beta, layer.bias)


def _convolution(layer, weights, biases):
    channels, filters = layer.inputs[2], layer.filters
    if layer.full:
        flat = [nn.Flatten()] if layer.kernel > 1 else []
        made, weights = nn.Linear(weights[..., 0].numel(), filters), weights.permute(3, 2, 0, 1).flatten(1)
    else:
        before, after = layer.padding if isinstance(layer.padding, tuple) else (0, 0)
        flat = [nn.ZeroPad2d((before, after, before, after))] if after else []
        made = nn.Conv2d(channels, filters, layer.kernel, layer.stride, groups=layer.groups,
                         padding=layer.kernel // 2 if layer.padding == 'SAME' else 0)
        weights = weights.permute(3, 2, 0, 1)
    made.weight, made.bias = nn.Parameter(weights.contiguous()), nn.Parameter(biases)
    return [*flat, made, *[nn.ReLU(inplace=True)] * layer.relu]


def training_step(layers, dtype, batch, compiled):
    """A function of one training step: mean subtracted, momentum, weight decay 0.0005.

    compiled: torch.compile of the loss and its gradients, and the optimizer in one loop over each tensor.
    """
    torch.set_num_threads(inputs.CORES)
    model = network(layers).train()
    for part in model:
        if hasattr(part, 'reset_parameters'):
            part.reset_parameters()  # PyTorch's own initial values: those of inference are too large to train from
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4, fused=compiled)
    cross_entropy = nn.CrossEntropyLoss()
    images, labels = map(torch.from_numpy, inputs.random_batch(batch))
    mean = torch.from_numpy(inputs.MEAN)

    def loss_of(images, labels):
        with torch.autocast('cpu', torch.bfloat16, enabled=dtype == 'bfloat16'):
            return cross_entropy(model((images.float() - mean).permute(0, 3, 1, 2)), labels)  # NHWC: channels_last
    if compiled:
        loss_of = torch.compile(loss_of, dynamic=False)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(images, labels)
        loss.backward()
        optimizer.step()
        return loss.item()
    return step


def inference(layers, dtype, batch, compiled):
    """A function of the logits, weights kept in dtype. compiled: frozen weights, packed and fused for oneDNN."""
    torch.set_num_threads(inputs.CORES)
    kept = getattr(torch, dtype)
    model = network(layers).eval().to(kept)
    images, mean = torch.from_numpy(inputs.random_batch(batch)[0]).float(), torch.from_numpy(inputs.MEAN)

    def logits(images):
        return model((images - mean).permute(0, 3, 1, 2).to(kept)).float()
    if compiled:
        from torch._inductor import config
        config.freezing = True
        logits = torch.compile(logits, dynamic=False)

    def run():
        with torch.no_grad():
            return logits(images).numpy()
    return run
