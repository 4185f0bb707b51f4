"""PyTorch's side of `npm run bench -- step`: one step a line read from standard input (stepProcess.ts).

python3 step_worker.py MANIFEST [--channels-last] [--compile] --threads N
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from slimclr_step import SlimclrStep


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    config = json.loads(arguments.manifest.read_text())["config"]

    torch.manual_seed(0)
    torch.set_num_threads(arguments.threads)
    step = SlimclrStep(config, arguments.channels_last, arguments.compile)
    size = config["data"]["viewSize"] or config["data"]["imageSize"]
    shape = (config["batchSize"], 3, size, size)
    # A loader can hand out either memory format, so neither is converted within a step.
    views = [torch.randn(shape).contiguous(memory_format=step.memory_format) for _ in range(2)]

    print(json.dumps({"ready": f"PyTorch {torch.__version__}"}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        losses = step.run(*views)
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "losses": losses}), flush=True)


if __name__ == "__main__":
    main()
