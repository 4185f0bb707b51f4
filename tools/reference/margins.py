#!/usr/bin/env python3
"""Move biases so that no ReLU of the query encoder has an input close to 0.

python3 margins.py FOLDER --inputs inputs.safetensors --out moved.safetensors

The gradient of a network jumps where a ReLU's input passes 0. Among millions of units some lie within rounding
error of that point, and which way they fall is chance: two float32 runs of PyTorch itself, with and without
oneDNN, differ in single units and then in whole gradient tensors. A comparison of gradients means something at
weights where this does not happen. They are found layer by layer: each channel's beta (for a head, each bias)
moves by at most REACH to where 0 lies farthest from all of the channel's values.

The file written holds the moved tensors only.
"""

import argparse
import json
from pathlib import Path
from typing import Dict, List, Sequence

import torch
from torch import Tensor, nn

import safetensors_io
from moco_v2 import build_model
from slimclr_reference import SwitchableBatchNorm2d, parameters, statistics

REACH = 0.05
STEPS = 2001


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


def place_margins(config: dict, widths: Sequence[float], tensors: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """The parameters of the query encoder that moved, by name. `tensors` as for `train_step`, in float64."""
    query = build_model(config, widths, torch.float64)
    with torch.no_grad():
        for name, tensor in {**parameters(query), **statistics(query)}.items():
            tensor.copy_(tensors[name])
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
            query(tensors["view1"], width)
        bias = query.head.fc1.bias
        for channel in range(len(bias)):
            values = torch.cat([rows[channel] for rows in hidden if channel < len(rows)])
            bias[channel] += widest_margin(values[None])[0]
    return {
        name: tensor.detach()
        for name, tensor in parameters(query).items()
        if not torch.equal(tensor, tensors[name])
    }


def _move_beta(switchable: SwitchableBatchNorm2d):
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
