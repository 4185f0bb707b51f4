"""MNN, of what its converter makes of the model, in full precision."""

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version as installed

import MNN
import numpy as np


def version():
    return installed("mnn")


def run(model, feeds, outputs):
    with tempfile.TemporaryDirectory() as folder:
        converted = os.path.join(folder, "model.mnn")
        convert = os.path.join(os.path.dirname(sys.executable), "mnnconvert")
        subprocess.run(
            [convert, "-f", "ONNX", "--modelFile", model, "--MNNModel", converted, "--bizCode", "MNN"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        runtime = MNN.nn.create_runtime_manager(({"precision": "high", "backend": 0, "numThread": 1},))
        names = list(feeds)
        net = MNN.nn.load_module_from_file(converted, names, outputs, runtime_manager=runtime)
        results = net.forward([variable(feeds[name]) for name in names])
        return {name: np.array(MNN.expr.convert(value, MNN.expr.NCHW).read()) for name, value in zip(outputs, results)}


def variable(values):
    dtype = {"float32": MNN.expr.float, "uint8": MNN.expr.uint8}[values.dtype.name]
    return MNN.expr.const(values, values.shape, MNN.expr.NCHW, dtype)
