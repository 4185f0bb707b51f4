"""PyTorch's side of `npm run gpu`: one step a line read from standard input (../bench/stepProcess.ts).

python3 pytorch_worker.py MANIFEST --device cuda|cpu --precision float32|float16 [--compile] [--threads N]

In channels_last. float32 uses TF32 on a GPU; float16 is AMP with loss scaling, on a CPU bfloat16 without.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Callable

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench" / "pytorch"))
from slimclr_step import SlimclrStep  # noqa: E402


class DeviceStep(SlimclrStep):
    def __init__(self, config: dict, device: str, mixed: bool, compiled: bool):
        # Moved later, the narrow networks would lose the weights that they share.
        with torch.device(device):
            super().__init__(config, channels_last=True, compiled=compiled)
        self.device = device
        scales = mixed and device == "cuda"
        self.scaler = torch.amp.GradScaler(device, enabled=scales)
        if mixed:
            dtype = torch.float16 if device == "cuda" else torch.bfloat16
            self.embed = [autocast(embed, device, dtype) for embed in self.embed]
            self.embed_key = autocast(self.embed_key, device, dtype)

    def backward(self, loss: Tensor) -> None:
        self.scaler.scale(loss).backward()

    def update(self) -> None:
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def synchronize(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


def autocast(embed: Callable[[Tensor], Tensor], device: str, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    def run(images: Tensor) -> Tensor:
        with torch.autocast(device, dtype=dtype):
            features = embed(images)
        return features.float()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--device", choices=("cuda", "cpu"), required=True)
    parser.add_argument("--precision", choices=("float32", "float16"), required=True)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    config = json.loads(arguments.manifest.read_text())["config"]

    torch.manual_seed(0)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cuda.matmul.allow_tf32 = True
    step = DeviceStep(config, arguments.device, arguments.precision == "float16", arguments.compile)
    size = config["data"]["viewSize"] or config["data"]["imageSize"]
    shape = (config["batchSize"], 3, size, size)
    # As a loader hands them out: pinned where they go to a GPU, which a step includes, as ours does.
    views = [torch.randn(shape).contiguous(memory_format=torch.channels_last) for _ in range(2)]
    if arguments.device == "cuda":
        views = [view.pin_memory() for view in views]

    kind = "AMP" if arguments.precision == "float16" else "float32"
    name = f"PyTorch {torch.__version__} {kind}, channels_last{', compiled' if arguments.compile else ''}"
    print(json.dumps({"ready": name}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        losses = step.run(*(view.to(arguments.device, non_blocking=True) for view in views))
        step.synchronize()
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "losses": losses}), flush=True)


if __name__ == "__main__":
    main()
