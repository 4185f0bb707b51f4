"""ResNet-50 (He et al., 2016; stride in the 3x3 convolution) of one width, with the weights of a slimmable one."""

from typing import Dict

import numpy as np
import torch
from torch import Tensor, nn

EXPANSION = 4
DEPTHS = (3, 4, 6, 3)
CHANNELS = (64, 128, 256, 512)


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, middle: int, stride: int) -> None:
        super().__init__()
        outputs = middle * EXPANSION
        self.conv1 = nn.Conv2d(inputs, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential()
            self.downsample.add_module("conv", nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.downsample.add_module("bn", nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += shortcut
        return self.relu(y)


class ResNet50(nn.Module):
    """Images [N, 3, S, S] -> features [N, int(2048 * width)], after global average pooling."""

    def __init__(self, width: float) -> None:
        super().__init__()
        inputs = int(CHANNELS[0] * width)
        self.conv1 = nn.Conv2d(3, inputs, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        for stage, (depth, channels) in enumerate(zip(DEPTHS, CHANNELS)):
            middle = int(channels * width)
            blocks = []
            for i in range(depth):
                blocks.append(Bottleneck(inputs, middle, 2 if stage > 0 and i == 0 else 1))
                inputs = middle * EXPANSION
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return torch.flatten(self.avgpool(x), 1)


def load(weights: Dict[str, np.ndarray], width: float) -> ResNet50:
    """The network of a width in eval mode: leading blocks of the convolutions, the width's own batch norms."""
    network = ResNet50(width)
    names = {"weight": "gamma", "bias": "beta"}
    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            outputs, inputs = module.weight.shape[:2]
            block = weights[f"encoder.{path}.weight"][:outputs, :inputs]
            module.weight.data = torch.from_numpy(np.array(block))
        elif isinstance(module, nn.BatchNorm2d):
            for own in ("weight", "bias", "running_mean", "running_var"):
                values = weights[f"encoder.{path}.w{width:.2f}.{names.get(own, own)}"]
                getattr(module, own).data = torch.from_numpy(np.array(values))
    return network.eval()
