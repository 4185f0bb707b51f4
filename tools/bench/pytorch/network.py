"""Residual encoder with the MoCo v2 head at one width, as plain PyTorch modules, for speed.

Every width is an ordinary network of its own. The sub-networks own no convolution or linear weights:
`share_weights` makes theirs views of the full network's, so that nothing is copied, and no full-size gradient of a
slice is built.
"""

from typing import Dict, Iterator, List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ENCODERS: Dict[str, Tuple[bool, List[int], int]] = {
    # Bottleneck blocks or basic ones, blocks of each stage, channels of the first.
    "resnet20": (False, [3, 3, 3], 16),
    "resnet18": (False, [2, 2, 2, 2], 64),
    "resnet50": (True, [3, 4, 6, 3], 64),
}


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    norm.num_batches_tracked = None  # a counter that nobody reads
    return norm


class Projection(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv = convolution(inputs, outputs, 1, stride)
        self.bn = batch_norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, middle: int, outputs: int, stride: int, projects: bool):
        super().__init__()
        self.conv1 = convolution(inputs, middle, 3, stride)
        self.bn1 = batch_norm(middle)
        self.conv2 = convolution(middle, outputs, 3)
        self.bn2 = batch_norm(outputs)
        self.downsample: Optional[nn.Module] = Projection(inputs, outputs, stride) if projects else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu_(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu_(y)


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, middle: int, outputs: int, stride: int, projects: bool):
        super().__init__()
        self.conv1 = convolution(inputs, middle, 1)
        self.bn1 = batch_norm(middle)
        self.conv2 = convolution(middle, middle, 3, stride)
        self.bn2 = batch_norm(middle)
        self.conv3 = convolution(middle, outputs, 1)
        self.bn3 = batch_norm(outputs)
        self.downsample: Optional[nn.Module] = Projection(inputs, outputs, stride) if projects else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu_(self.bn1(self.conv1(x)))
        y = F.relu_(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu_(y)


class Encoder(nn.Module):
    """[N, 3, H, W] -> [N, out_channels]."""

    def __init__(self, name: str, stem: str, width: float):
        super().__init__()
        bottleneck, depths, channels = ENCODERS[name]
        full = channels
        self.conv1 = convolution(3, int(full * width), 7 if stem == "imagenet" else 3, 2 if stem == "imagenet" else 1)
        self.bn1 = batch_norm(int(full * width))
        self.pools = stem == "imagenet"
        self.stages: List[str] = []
        for stage, depth in enumerate(depths):
            blocks = nn.Sequential()
            for index in range(depth):
                middle = channels * 2**stage
                outputs = middle * 4 if bottleneck else middle
                stride = 2 if stage > 0 and index == 0 else 1
                projects = stride != 1 or full != outputs
                sizes = [int(size * width) for size in (full, middle, outputs)]
                blocks.append((Bottleneck if bottleneck else BasicBlock)(*sizes, stride, projects))
                full = outputs
            self.stages.append(f"layer{stage + 1}")
            self.add_module(self.stages[-1], blocks)
        self.full_channels = full
        self.out_channels = int(full * width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(self.bn1(self.conv1(x)))
        if self.pools:
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in self.stages:
            x = getattr(self, stage)(x)
        return x.mean((2, 3))


class Head(nn.Module):
    """[N, C] -> [N, D]."""

    def __init__(self, channels: int, dimension: int):
        super().__init__()
        self.fc1 = nn.Linear(channels, channels)
        self.fc2 = nn.Linear(channels, dimension)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.relu_(self.fc1(x)))


class Network(nn.Module):
    """Encoder, head and L2 normalisation: [N, 3, H, W] -> [N, D], rows of length 1."""

    def __init__(self, config: dict, width: float):
        super().__init__()
        self.encoder = Encoder(config["encoder"]["name"], config["encoder"]["stem"], width)
        self.head = Head(self.encoder.out_channels, config["method"]["dimension"])

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.head(self.encoder(x)), dim=1)


def tied_parameters(network: Network) -> Iterator[Tuple[nn.Module, str, nn.Parameter]]:
    """Module, attribute and parameter of all that the widths share: everything but batch norm."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            for name, parameter in module.named_parameters(recurse=False):
                yield module, name, parameter


def leading_block(full: Tensor, like: Tensor) -> Tensor:
    """The view `full[:d0, :d1, ...]` of the shape of `like`."""
    return full[tuple(slice(size) for size in like.shape)]


def share_weights(narrow: Network, full: Network) -> None:
    """Replace the shared parameters of `narrow` by views of those of `full`."""
    for (module, name, parameter), (_, _, source) in zip(tied_parameters(narrow), tied_parameters(full)):
        setattr(module, name, nn.Parameter(leading_block(source.detach(), parameter)))


def share_gradients(narrow: Network, full: Network) -> None:
    """Let the backward pass of `narrow` add into the gradients that `full` has from its own."""
    for (_, _, parameter), (_, _, source) in zip(tied_parameters(narrow), tied_parameters(full)):
        parameter.grad = leading_block(source.grad, parameter)
