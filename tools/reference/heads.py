"""The heads of the methods, sliced like the encoder, and the network of encoder and heads. C: channels of the encoder
at full width."""

from typing import Callable, Dict, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from slimclr_reference import (
    ResNet,
    SlimmableLinear,
    SwitchableBatchNorm,
    build_encoder,
    module_label,
)


class MocoV2Head(nn.Module):
    """Linear(C -> C), ReLU, Linear(C -> dimension). [N, int(C * width)] -> [N, dimension]."""

    def __init__(self, channels: int, dimension: int):
        super().__init__()
        self.fc1 = SlimmableLinear(channels, channels)
        self.relu = nn.ReLU()
        self.fc2 = SlimmableLinear(channels, dimension, slice_output=False)

    def forward(self, x: Tensor, width: float) -> Tensor:
        return self.fc2(self.relu(self.fc1(x, width)), width)


class SimclrHead(nn.Module):
    """Linear(C -> hidden), BN, ReLU, Linear(hidden -> dimension, no bias), BN."""

    def __init__(self, channels: int, hidden: int, dimension: int, widths: Sequence[float]):
        super().__init__()
        self.fc1 = SlimmableLinear(channels, hidden)
        self.bn1 = SwitchableBatchNorm(hidden, widths, nn.BatchNorm1d)
        self.relu = nn.ReLU()
        self.fc2 = SlimmableLinear(hidden, dimension, bias=False, slice_output=False)
        self.bn2 = SwitchableBatchNorm(dimension, widths, nn.BatchNorm1d, slim=False)

    def forward(self, x: Tensor, width: float) -> Tensor:
        x = self.relu(self.bn1(self.fc1(x, width), width))
        return self.bn2(self.fc2(x, width), width)


class MocoV3Projector(nn.Module):
    """Linear(C -> hidden, no bias), BN, ReLU, Linear(hidden -> dimension, no bias), BN without affine transform."""

    def __init__(self, channels: int, hidden: int, dimension: int, widths: Sequence[float]):
        super().__init__()
        self.fc1 = SlimmableLinear(channels, hidden, bias=False)
        self.bn1 = SwitchableBatchNorm(hidden, widths, nn.BatchNorm1d)
        self.relu = nn.ReLU()
        self.fc2 = SlimmableLinear(hidden, dimension, bias=False, slice_output=False)
        self.bn2 = SwitchableBatchNorm(dimension, widths, nn.BatchNorm1d, slim=False, affine=False)

    def forward(self, x: Tensor, width: float) -> Tensor:
        x = self.relu(self.bn1(self.fc1(x, width), width))
        return self.bn2(self.fc2(x, width), width)


class MocoV3Predictor(nn.Module):
    """Linear(dimension -> hidden, no bias), BN, ReLU, Linear(hidden -> dimension, no bias)."""

    def __init__(self, hidden: int, dimension: int, widths: Sequence[float]):
        super().__init__()
        self.fc1 = SlimmableLinear(dimension, hidden, bias=False, slice_input=False)
        self.bn1 = SwitchableBatchNorm(hidden, widths, nn.BatchNorm1d)
        self.relu = nn.ReLU()
        self.fc2 = SlimmableLinear(hidden, dimension, bias=False, slice_output=False)

    def forward(self, x: Tensor, width: float) -> Tensor:
        return self.fc2(self.relu(self.bn1(self.fc1(x, width), width)), width)


class Classifier(nn.Module):
    """Linear(C -> classes); classes are not sliced."""

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.fc = SlimmableLinear(channels, classes, slice_output=False)

    def forward(self, x: Tensor, width: float) -> Tensor:
        return self.fc(x, width)


class SwitchableHead(nn.ModuleDict):
    """An own, unshared head for each width, of that width's size. `build(scale, widths)` is one of them, all sizes
    times `scale`; inside, its width is 1."""

    def __init__(self, build: Callable[[float, Sequence[float]], nn.Module], widths: Sequence[float]):
        super().__init__({module_label(width): build(width, [1.0]) for width in widths})

    def forward(self, x: Tensor, width: float) -> Tensor:
        return self[module_label(width)](x, 1.0)


class Network(nn.Module):
    """An encoder and the heads on it, one behind the other, named as in the manifest. [N, 3, H, W] -> [N, D], rows
    of length 1, or class scores [N, classes]."""

    def __init__(self, encoder: ResNet, heads: Dict[str, nn.Module], normalize: bool = True):
        super().__init__()
        self.encoder = encoder
        self.heads = list(heads)
        for name, head in heads.items():
            self.add_module(name, head)
        self.normalize = normalize

    def forward(self, x: Tensor, width: float) -> Tensor:
        x = self.encoder(x, width)
        for name in self.heads:
            x = getattr(self, name)(x, width)
        return F.normalize(x, dim=1) if self.normalize else x


def build_network(config: dict, widths: Sequence[float], key: bool = False) -> Network:
    """The trained network of a config at these widths, or the network of its keys."""
    method = config["method"]
    encoder = build_encoder(config["encoder"]["name"], config["encoder"]["stem"], widths)
    channels = encoder.out_channels
    hidden, dimension = method.get("hiddenDimension"), method.get("dimension")
    # Heads by name, of channels and hidden units times `scale`, for these widths.
    heads: Dict[str, Callable[[float, Sequence[float]], nn.Module]]
    if method["kind"] == "simclr":
        heads = {"head": lambda s, w: SimclrHead(int(channels * s), int(hidden * s), dimension, w)}
    elif method["kind"] == "moco-v3":
        heads = {"projector": lambda s, w: MocoV3Projector(int(channels * s), int(hidden * s), dimension, w)}
        if not key:
            heads["predictor"] = lambda s, w: MocoV3Predictor(int(hidden * s), dimension, w)
    elif method["kind"] == "supervised":
        heads = {"head": lambda s, _: Classifier(int(channels * s), method["classes"])}
    else:
        heads = {"head": lambda s, _: MocoV2Head(int(channels * s), dimension)}
    switchable = config["techniques"]["head"] == "switchable"
    built = {name: SwitchableHead(build, widths) if switchable else build(1.0, widths) for name, build in heads.items()}
    return Network(encoder, built, normalize=method["kind"] != "supervised").train()
