#!/usr/bin/env python3
"""Run one training step in PyTorch on the weights of a program folder and write everything it computes.

python3 run_reference.py FOLDER --inputs inputs.safetensors --out out.safetensors [--dtype float64]
    [--channels-last] [--lr 0.03] [--wd 1e-4] [--steps 0 0 1] [--slow-start]

Names of the inputs and outputs: README.md beside this file.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Optional

import numpy as np

import safetensors_io

try:
    import torch
except ImportError:
    sys.exit("PyTorch is missing: apt-get install python3-torch (or pip install torch), and name that Python")

from methods import METHODS, Moment
from train_step import train_step


def row_major(array: np.ndarray, parameter: Optional[dict]) -> np.ndarray:
    """A tensor of a program folder by the manifest's entry, None for a statistic (src/targets/parameterLayout.ts)."""
    if parameter is None or parameter["layout"] == "plain":
        return array
    inputs, outputs = map(int, re.fullmatch(r"OIHW(?:(\d+)i)?(\d+)o", parameter["layout"]).groups(default="1"))
    rows, columns, *window = parameter["shape"]
    blocks = array.reshape(rows // outputs, columns // inputs, *window, inputs, outputs)
    return blocks.transpose(0, 5, 1, 4, 2, 3).reshape(parameter["shape"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a program folder: manifest.json and weights.safetensors")
    parser.add_argument("--inputs", type=Path, required=True, help="what README.md lists; replaces stored weights")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--channels-last", action="store_true", help="memory format of the images; default: contiguous")
    parser.add_argument("--lr", type=float, default=0.03, help="learning rate of the update")
    parser.add_argument("--wd", type=float, default=1e-4, help="weight decay of the update")
    parser.add_argument(
        "--steps",
        type=int,
        nargs=3,
        default=[0, 0, 1],
        metavar=("DONE", "NARROW", "TOTAL"),
        help="steps before this one, those of them that trained all widths, steps of the training",
    )
    parser.add_argument("--slow-start", action="store_true", help="only the full width trains, with weight 1")
    arguments = parser.parse_args()

    manifest = json.loads((arguments.folder / "manifest.json").read_text())
    kind = manifest["config"]["method"]["kind"]
    if kind not in METHODS:
        sys.exit(f"no reference for method {kind}; there is one for {', '.join(METHODS)}")
    parameters = {parameter["name"]: parameter for parameter in manifest["parameters"]}
    weights = safetensors_io.read(arguments.folder / manifest["weights"])
    stored = {
        **{name: row_major(array, parameters.get(name)) for name, array in weights.items()},
        **safetensors_io.read(arguments.inputs),
    }
    dtype = getattr(torch, arguments.dtype)
    tensors = {name: torch.tensor(array, dtype=dtype) for name, array in stored.items()}
    if arguments.channels_last:
        for view in {"view1", "view2"} & set(tensors):
            # Every layer hands the format of its input on.
            tensors[view] = tensors[view].contiguous(memory_format=torch.channels_last)
    moment = Moment(arguments.lr, arguments.wd, *arguments.steps, slow_start=arguments.slow_start)
    results = train_step(manifest["config"], tensors, moment)
    safetensors_io.write(arguments.out, {name: tensor.numpy() for name, tensor in results.items()})


if __name__ == "__main__":
    main()
