#!/usr/bin/env python3
"""Keep the query encoder away from the points where its gradient jumps.

python3 margins.py FOLDER --inputs inputs.safetensors --out moved.safetensors

The gradient of a network jumps where a ReLU's input passes 0, and where another element of a max-pool window
becomes the largest. Among millions of units some lie within rounding error of such a point, and which way they
fall is chance: two float32 runs of PyTorch itself, with and without oneDNN, differ in single units and then in
whole gradient tensors. A comparison of gradients means something at weights where this does not happen:

- each channel's beta (in the head, each bias) moves by at most REACH to where 0 lies farthest from all of the
  channel's values, layer by layer;
- pixels of view 1 move where the two largest elements of a max-pool window are closer than CLOSE.

The file written holds the moved tensors only.
"""

import argparse
import json
from pathlib import Path
from typing import Callable, Dict, List, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import safetensors_io
from moco_v2 import build_model
from slimclr_reference import ResNet, SwitchableBatchNorm2d, parameters, statistics

REACH = 0.05
STEPS = 2001
# In standard deviations of the channel.
CLOSE = 3e-5
NUDGE = 0.1


def widest_margin(values: Tensor) -> Tensor:
    """For each row of [C, M] values, the shift within REACH that keeps the row farthest from 0. [C]."""
    ordered = values.sort(dim=1).values
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
        # Batch norm with gamma > 0 and ReLU keep the order, and a width's channels are the first of these.
        x = encoder.conv1(images, 1.0)
        padded = F.pad(x, (1, 1, 1, 1), value=-torch.inf)
        windows = padded.unfold(2, 3, 2).unfold(3, 3, 2).flatten(4)  # [N, C, H / 4, W / 4, 9]
        first, second = windows.topk(2).values.unbind(4)
        close = (first - second) < CLOSE * x.std((0, 2, 3))[:, None, None]
        n, row, column = close.any(1).nonzero(as_tuple=True)
        if len(n) == 0:
            return
        # Stem and pool have stride 2 each.
        images[n, :, 4 * row, 4 * column] += NUDGE


def place_margins(config: dict, widths: Sequence[float], tensors: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Parameters that moved, and view 1 if it did, by name. `tensors` as for `train_step`, in float64."""
    query = build_model(config, widths, torch.float64)
    with torch.no_grad():
        for name, tensor in {**parameters(query), **statistics(query)}.items():
            tensor.copy_(tensors[name])
    images = tensors["view1"].clone()
    if query.encoder.maxpool is not None:
        with torch.no_grad():
            separate_maxima(query.encoder, images)
    # `relu2` follows `bn2`; the stem's `relu` follows `bn1`.
    modules = dict(query.encoder.named_modules())
    for path, module in modules.items():
        if isinstance(module, nn.ReLU):
            norm = modules[path.replace("relu", "bn") if path != "relu" else "bn1"]
            module.register_forward_pre_hook(_move_beta(norm))
    # All widths share the head's bias, so it has to wait for the values of all.
    hidden: List[Tensor] = []
    query.head.relu.register_forward_pre_hook(lambda _module, inputs: hidden.append(inputs[0].T))
    with torch.no_grad():
        for width in widths:
            query(images, width)
        bias = query.head.fc1.bias
        for channel in range(len(bias)):
            values = torch.cat([rows[channel] for rows in hidden if channel < len(rows)])
            bias[channel] += widest_margin(values[None])[0]
    return {
        name: tensor.detach()
        for name, tensor in {**parameters(query), "view1": images}.items()
        if not torch.equal(tensor, tensors[name])
    }


def _move_beta(switchable: SwitchableBatchNorm2d) -> Callable[[nn.Module, tuple], Tensor]:
    def hook(_module: nn.Module, inputs: tuple) -> Tensor:
        (x,) = inputs  # [N, C, H, W]
        (norm,) = [norm for norm in switchable.values() if norm.num_features == x.shape[1]]
        shift = widest_margin(x.transpose(0, 1).flatten(1))
        norm.bias += shift
        return x + shift[None, :, None, None]

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
    moved = place_margins(manifest["config"], manifest["widths"], tensors)
    safetensors_io.write(arguments.out, {name: tensor.float().numpy() for name, tensor in moved.items()})


if __name__ == "__main__":
    main()
