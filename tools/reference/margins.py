#!/usr/bin/env python3
"""Keep the trained network away from the points where its gradient jumps.

python3 margins.py FOLDER --inputs inputs.safetensors --out moved.safetensors

The gradient of a network jumps where a ReLU's input passes 0, and where another element of a max-pool window
becomes the largest. Among millions of units some lie within rounding error of such a point, and which way they
fall is chance: two float32 runs of PyTorch itself, with and without oneDNN, differ in single units and then in
whole gradient tensors. A comparison of gradients means something at weights where this does not happen:

- each channel's beta (where no batch norm precedes the ReLU, each bias) moves by at most REACH to where 0 lies
  farthest from all of the channel's values, layer by layer;
- pixels of the views that the trained network sees move where an element of a max-pool window is closer than CLOSE to
  the largest, but not equal to it.

The file written holds the moved tensors only.
"""

import argparse
import json
from pathlib import Path
from typing import Callable, Dict, List

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import safetensors_io
from methods import METHODS
from slimclr_reference import BATCH_NORMS, ResNet, SlimmableLinear, SwitchableBatchNorm, block, parameters

REACH = 0.05
STEPS = 2001
# In standard deviations of the channel.
CLOSE = 3e-5
# What is closer in float64 is a tie, of positions that see equal pixels: each of them has the same gradient.
TIE = 1e-10
NUDGE = 0.1


def widest_margin(values: Tensor) -> Tensor:
    """For each row of [C, M] values, the shift within REACH that keeps the row farthest from 0. [C]."""
    ordered = values.sort(dim=1).values.contiguous()
    points = torch.linspace(-REACH, REACH, STEPS, dtype=values.dtype).expand(len(values), -1).contiguous()
    after = torch.searchsorted(ordered, points)
    last = ordered.shape[1] - 1
    above = (ordered.gather(1, after.clamp(max=last)) - points).abs()
    below = (points - ordered.gather(1, (after - 1).clamp(min=0))).abs()
    best = torch.minimum(above, below).argmax(dim=1, keepdim=True)
    return -points.gather(1, best).squeeze(1)


def separate_maxima(encoder: ResNet, images: Tensor) -> None:
    """Move pixels of [N, 3, H, W] images until every window of the max pool has a clear winner."""
    while True:
        # Batch norm with gamma > 0 and ReLU keep the order, and a width's channels are some of these.
        x = encoder.conv1(images, 1.0)
        padded = F.pad(x, (1, 1, 1, 1), value=-torch.inf)
        windows = padded.unfold(2, 3, 2).unfold(3, 3, 2).flatten(4)  # [N, C, H / 4, W / 4, 9]
        behind = (windows.amax(4, keepdim=True) - windows) / x.std((0, 2, 3))[:, None, None, None]
        close = (behind > TIE) & (behind < CLOSE)
        n, row, column = close.any(4).any(1).nonzero(as_tuple=True)
        if len(n) == 0:
            return
        # Stem and pool have stride 2 each.
        images[n, :, 4 * row, 4 * column] += NUDGE


@torch.no_grad()
def place_margins(config: dict, tensors: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Parameters that moved, and views that did, by name. `tensors` as for `train_step`, in float64."""
    moved = {name: tensor.clone() for name, tensor in tensors.items() if name in ("view1", "view2")}
    method = METHODS[config["method"]["kind"]](config, {**tensors, **moved})
    network = method.network
    if network.encoder.maxpool is not None:
        for view in method.views:
            separate_maxima(network.encoder, moved[view])
    passes = method.passes()
    # One run over all passes, so that a layer's values of all of them are there when its beta moves.
    modules = dict(network.named_modules())
    biased: List[SlimmableLinear] = []
    values: Dict[SlimmableLinear, List[List[Tensor]]] = {}
    for path, module in modules.items():
        if isinstance(module, BATCH_NORMS):
            _normalize_each(module, len(passes))
        elif isinstance(module, nn.ReLU):
            # `relu2` follows `bn2`, `relu` follows `bn1`; in the head of MoCo v2 it follows `fc1`.
            parent, _, name = path.rpartition(".")
            number = name[len("relu") :] or "1"
            prefix = f"{parent}." if parent else ""
            if f"{prefix}bn{number}" in modules:
                module.register_forward_pre_hook(_move_beta(modules[f"{prefix}bn{number}"]))
            else:
                biased.append(modules[f"{prefix}fc{number}"])
    for layer in biased:
        values[layer] = [[] for _ in layer.bias]
        layer.register_forward_hook(_keep(values[layer]))
    for width in method.widths:
        network(torch.cat(passes), width)
    # Widths share a bias, so it has to wait for the values of all.
    for layer, channels in values.items():
        layer.bias += torch.stack([widest_margin(torch.cat(channel)[None])[0] for channel in channels])
    return {
        name: tensor.detach()
        for name, tensor in {**parameters(network), **moved}.items()
        if not torch.equal(tensor, tensors[name])
    }


def _normalize_each(norm: nn.Module, passes: int) -> None:
    """Let a batch norm treat the parts of its input as the batches that they are."""
    whole = norm.forward
    norm.forward = lambda x: torch.cat([whole(part) for part in x.chunk(passes)])


def _move_beta(switchable: SwitchableBatchNorm) -> Callable[[nn.Module, tuple], Tensor]:
    def hook(_module: nn.Module, inputs: tuple) -> Tensor:
        (x,) = inputs  # [N, C, H, W] or [N, C]
        (norm,) = [norm for norm in switchable.values() if norm.num_features == x.shape[1]]
        shift = widest_margin(x.transpose(0, 1).flatten(1))
        norm.bias += shift
        return x + shift.view(-1, *[1] * (x.dim() - 2))

    return hook


def _keep(channels: List[List[Tensor]]) -> Callable[[nn.Module, tuple, Tensor], None]:
    """Collect a linear layer's outputs of all widths, by channel."""

    def hook(layer: nn.Module, inputs: tuple, output: Tensor) -> None:
        _, width = inputs
        for channel, values in zip(channels[block(layer.out_features, width)], output.T):
            channel.append(values)

    return hook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--inputs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    manifest = json.loads((arguments.folder / "manifest.json").read_text())
    stored = safetensors_io.read(arguments.inputs)
    tensors = {name: torch.tensor(array, dtype=torch.float64) for name, array in stored.items()}
    moved = place_margins(manifest["config"], tensors)
    safetensors_io.write(arguments.out, {name: tensor.float().numpy() for name, tensor in moved.items()})


if __name__ == "__main__":
    main()
