"""Runs ResNet-50 of one width for `npm run bench -- infer`: requests on standard input, replies on standard output,
one JSON object a line. Stays alive between requests, so that the other side can be timed in between.

    python serve.py weights.safetensors images.safetensors

{"export": FILE, "width": W}            torch.onnx, any batch size -> {"exporter": NAME} or {"error": REASON}
{"open": N, "width": W}                 every setting, on the first N images -> {"settings": [NAME, ...]}
{"features": SETTING}                   one run -> {"features": [N * C numbers]}
{"time": SETTING, "runs": R, "warm_up": U}    U runs, then R timed ones -> {"milliseconds": [R numbers]}
"""

import inspect
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any, Callable, Dict

import torch
from torch import Tensor

from resnet50 import load

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "reference"))
import safetensors_io  # noqa: E402

OPSET = 17

Run = Callable[[], Tensor]


class Server:
    def __init__(self, weights: str, images: str) -> None:
        self.weights = safetensors_io.read(weights)
        self.images = torch.from_numpy(safetensors_io.read(images)["images"].copy())
        self.runs: Dict[str, Run] = {}

    def reply(self, request: Dict[str, Any]) -> Dict[str, Any]:
        if "export" in request:
            try:
                return {"exporter": self.export(request["export"], request["width"])}
            except Exception as error:  # Exporters raise what they like, also for a package that is missing.
                return {"error": repr(error)[:200]}
        if "open" in request:
            self.runs = self.settings(request["width"], request["open"])
            return {"settings": list(self.runs)}
        if "features" in request:
            return {"features": self.runs[request["features"]]().flatten().tolist()}
        return {"milliseconds": measure(self.runs[request["time"]], request["runs"], request["warm_up"])}

    def export(self, file: str, width: float) -> str:
        """PyTorch 2.9 and newer trace with torch.export by default, older ones with TorchScript."""
        network = load(self.weights, width)
        names = {"input_names": ["images"], "output_names": ["features"]}
        if "dynamic_shapes" in inspect.signature(torch.onnx.export).parameters:
            shapes = {"x": {0: torch.export.Dim("batch", min=1)}}
            # A batch of 1 would be taken for a constant.
            torch.onnx.export(
                network, (self.images[:2],), file, **names, dynamic_shapes=shapes, dynamo=True, external_data=False
            )
            return "torch.export"
        axes = {name: {0: "batch"} for name in ("images", "features")}
        torch.onnx.export(network, self.images[:1], file, **names, dynamic_axes=axes, opset_version=OPSET)
        return "TorchScript"

    def settings(self, width: float, batch: int) -> Dict[str, Run]:
        runs = {}
        for layout in (torch.contiguous_format, torch.channels_last):
            name = "channels_last" if layout is torch.channels_last else "NCHW"
            images = self.images[:batch].contiguous(memory_format=layout)
            network = load(self.weights, width).to(memory_format=layout)
            with torch.no_grad():
                frozen = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(network, images)))
            runs[f"eager {name}"] = bind(network, images)
            runs[f"frozen {name}"] = bind(frozen, images)
        return runs


def bind(network: Callable[[Tensor], Tensor], images: Tensor) -> Run:
    def run() -> Tensor:
        with torch.inference_mode():
            return network(images)

    # The first runs of a traced network compile it.
    for _ in range(3):
        run()
    return run


def measure(run: Run, runs: int, warm_up: int) -> "list[float]":
    for _ in range(warm_up):
        run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return times


def main() -> None:
    warnings.simplefilter("ignore")
    # Exporters print their progress; the replies have the standard output to themselves.
    replies, sys.stdout = sys.stdout, sys.stderr
    server = Server(sys.argv[1], sys.argv[2])
    print(json.dumps({"version": torch.__version__}), file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(server.reply(json.loads(line))), file=replies, flush=True)


if __name__ == "__main__":
    main()
