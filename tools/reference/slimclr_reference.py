"""Slimmable layers and residual encoders in PyTorch, the independent half of the comparison in README.md.

A layer takes the width explicitly: `layer(x, width)` uses `weight[:int(out * width), :int(in * width)]`.
Convolution, linear layer and batch norm are PyTorch's own; nothing here differentiates or normalises by hand.
"""

import re
from typing import Dict, List, Optional, Sequence, Type, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def width_label(width: float) -> str:
    """`w1.00`, `w0.25`, `w0.125`: how a width is written in tensor names."""
    short = f"{width:.2f}"
    return f"w{short if float(short) == width else width}"


class Width(float):
    """A width whose channels are not the first ones: they follow those of the `narrower` widths."""

    narrower: Sequence[float] = ()


def widths_of(config: dict) -> List[Width]:
    """The widths of a config. With `non-overlapping` weights each width below 1 has channels of its own."""
    widths = [Width(width) for width in config["widths"]]
    if config["techniques"]["weights"] == "non-overlapping":
        for index, width in enumerate(widths):
            if width != 1:
                width.narrower = widths[index + 1 :]
    return widths


def block(channels: int, width: float) -> slice:
    """Which of a layer's channels a width uses."""
    start = sum(int(channels * narrower) for narrower in getattr(width, "narrower", ()))
    return slice(start, start + int(channels * width))


class SlimmableConv2d(nn.Conv2d):
    """Convolution without bias, padded to keep the size at stride 1. [N, C_in, H, W] -> [N, C_out, H', W']."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, slice_input: bool = True):
        super().__init__(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False)
        self.slice_input = slice_input

    def forward(self, x: Tensor, width: float) -> Tensor:
        rows = block(self.out_channels, width)
        columns = block(self.in_channels, width) if self.slice_input else slice(None)
        return F.conv2d(x, self.weight[rows, columns], None, self.stride, self.padding)


class SlimmableLinear(nn.Linear):
    """Linear layer. [N, C_in] -> [N, C_out]; the last layer of a network keeps all its outputs."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        slice_input: bool = True,
        slice_output: bool = True,
    ):
        super().__init__(in_features, out_features, bias)
        self.slice_input = slice_input
        self.slice_output = slice_output

    def forward(self, x: Tensor, width: float) -> Tensor:
        rows = block(self.out_features, width) if self.slice_output else slice(None)
        columns = block(self.in_features, width) if self.slice_input else slice(None)
        return F.linear(x, self.weight[rows, columns], None if self.bias is None else self.bias[rows])


def module_label(width: float) -> str:
    """`w0_25`: a module's name holds no dot; `_dotted` below undoes it."""
    return width_label(width).replace(".", "_")


class SwitchableBatchNorm(nn.ModuleDict):
    """One complete batch norm per width (Yu et al., ICLR 2019). momentum 0.1, eps 1e-5."""

    def __init__(
        self,
        channels: int,
        widths: Sequence[float],
        norm: Type[Union[nn.BatchNorm1d, nn.BatchNorm2d]],
        slim: bool = True,
        affine: bool = True,
    ):
        size = lambda width: int(channels * width) if slim else channels
        super().__init__(
            {module_label(width): norm(size(width), eps=1e-5, momentum=0.1, affine=affine) for width in widths}
        )

    def forward(self, x: Tensor, width: float) -> Tensor:
        return self[module_label(width)](x)


def SwitchableBatchNorm2d(channels: int, widths: Sequence[float]) -> SwitchableBatchNorm:
    """Of feature maps [N, C, H, W]."""
    return SwitchableBatchNorm(channels, widths, nn.BatchNorm2d)


class Shortcut(nn.Module):
    """1x1 projection where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, widths: Sequence[float]):
        super().__init__()
        self.conv = SlimmableConv2d(in_channels, out_channels, 1, stride)
        self.bn = SwitchableBatchNorm2d(out_channels, widths)

    def forward(self, x: Tensor, width: float) -> Tensor:
        return self.bn(self.conv(x, width), width)


class BasicBlock(nn.Module):
    """3x3, 3x3, plus the shortcut."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int, widths: Sequence[float]):
        super().__init__()
        self.conv1 = SlimmableConv2d(in_channels, channels, 3, stride)
        self.bn1 = SwitchableBatchNorm2d(channels, widths)
        self.relu1 = nn.ReLU()
        self.conv2 = SlimmableConv2d(channels, channels, 3)
        self.bn2 = SwitchableBatchNorm2d(channels, widths)
        self.relu2 = nn.ReLU()
        changes = stride != 1 or in_channels != channels
        self.downsample = Shortcut(in_channels, channels, stride, widths) if changes else None

    def forward(self, x: Tensor, width: float) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x, width)
        y = self.relu1(self.bn1(self.conv1(x, width), width))
        y = self.bn2(self.conv2(y, width), width)
        return self.relu2(y + identity)


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries the stride, v1.5), 1x1 to four times the channels, plus the shortcut."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int, widths: Sequence[float]):
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = SlimmableConv2d(in_channels, channels, 1)
        self.bn1 = SwitchableBatchNorm2d(channels, widths)
        self.relu1 = nn.ReLU()
        self.conv2 = SlimmableConv2d(channels, channels, 3, stride)
        self.bn2 = SwitchableBatchNorm2d(channels, widths)
        self.relu2 = nn.ReLU()
        self.conv3 = SlimmableConv2d(channels, out_channels, 1)
        self.bn3 = SwitchableBatchNorm2d(out_channels, widths)
        self.relu3 = nn.ReLU()
        changes = stride != 1 or in_channels != out_channels
        self.downsample = Shortcut(in_channels, out_channels, stride, widths) if changes else None

    def forward(self, x: Tensor, width: float) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x, width)
        y = self.relu1(self.bn1(self.conv1(x, width), width))
        y = self.relu2(self.bn2(self.conv2(y, width), width))
        y = self.bn3(self.conv3(y, width), width)
        return self.relu3(y + identity)


class ResNet(nn.Module):
    """[N, 3, H, W] -> [N, int(out_channels * width)]. Stages are `layer1`, `layer2`, ...; each after the first halves H and W."""

    def __init__(
        self,
        block: Type[Union[BasicBlock, Bottleneck]],
        depths: Sequence[int],
        channels: int,
        stem: str,
        widths: Sequence[float],
    ):
        super().__init__()
        if stem == "imagenet":
            self.conv1 = SlimmableConv2d(3, channels, 7, stride=2, slice_input=False)
            self.maxpool: Optional[nn.Module] = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            self.conv1 = SlimmableConv2d(3, channels, 3, slice_input=False)
            self.maxpool = None
        self.bn1 = SwitchableBatchNorm2d(channels, widths)
        self.relu = nn.ReLU()
        in_channels = channels
        self.stages = []
        for stage, depth in enumerate(depths):
            stage_channels = channels * 2**stage
            blocks = nn.ModuleList()
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(block(in_channels, stage_channels, stride, widths))
                in_channels = stage_channels * block.expansion
            name = f"layer{stage + 1}"
            self.add_module(name, blocks)
            self.stages.append(name)
        self.out_channels = in_channels

    def forward(self, x: Tensor, width: float) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x, width), width))
        if self.maxpool is not None:
            x = self.maxpool(x)
        for stage in self.stages:
            for block in getattr(self, stage):
                x = block(x, width)
        return x.mean((2, 3))


_ENCODERS = {
    "resnet20": (BasicBlock, [3, 3, 3], 16),
    "resnet32": (BasicBlock, [5, 5, 5], 16),
    "resnet44": (BasicBlock, [7, 7, 7], 16),
    "resnet56": (BasicBlock, [9, 9, 9], 16),
    "resnet18": (BasicBlock, [2, 2, 2, 2], 64),
    "resnet34": (BasicBlock, [3, 4, 6, 3], 64),
    "resnet50": (Bottleneck, [3, 4, 6, 3], 64),
    "resnet101": (Bottleneck, [3, 4, 23, 3], 64),
}


def build_encoder(name: str, stem: str, widths: Sequence[float]) -> ResNet:
    """An encoder by its name in a config; `stem` is `cifar` (3x3) or `imagenet` (7x7 stride 2, max pool)."""
    block, depths, channels = _ENCODERS[name]
    return ResNet(block, depths, channels, stem, widths)


def parameters(model: nn.Module) -> Dict[str, Tensor]:
    """Trained tensors by the names of manifest.json: `encoder.conv1.weight`, `encoder.bn1.w0.25.gamma`, ..."""
    named = {}
    for path, module in model.named_modules():
        if isinstance(module, BATCH_NORMS):
            if module.affine:
                named[f"{_dotted(path)}.gamma"] = module.weight
                named[f"{_dotted(path)}.beta"] = module.bias
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            named[f"{_dotted(path)}.weight"] = module.weight
            if module.bias is not None:
                named[f"{_dotted(path)}.bias"] = module.bias
    return named


def statistics(model: nn.Module) -> Dict[str, Tensor]:
    """Running statistics of batch norm by the names of manifest.json: `encoder.bn1.w0.25.running_mean`, ..."""
    named = {}
    for path, module in model.named_modules():
        if isinstance(module, BATCH_NORMS):
            named[f"{_dotted(path)}.running_mean"] = module.running_mean
            named[f"{_dotted(path)}.running_var"] = module.running_var
    return named


BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def _dotted(path: str) -> str:
    """`encoder.bn1.w0_25` -> `encoder.bn1.w0.25`. The batch norms of a head of a width's own have that width's name
    too: `head.w0_25.bn1.w1_00` -> `head.w0.25.bn1.w0.25`."""
    labels = re.findall(r"\bw\d+_\d+\b", path)
    if not labels:
        return path
    return re.sub(r"\bw\d+_\d+\b", labels[0], path).replace(labels[0], labels[0].replace("_", "."))
