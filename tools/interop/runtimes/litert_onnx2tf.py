"""LiteRT, of what onnx2tf makes of the model: one image at a time, bytes or floats as NHWC."""

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version as installed

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def version():
    return f"{installed('ai-edge-litert')}, onnx2tf {installed('onnx2tf')}"


def run(model, feeds, outputs):
    ((name, images),) = feeds.items()
    with tempfile.TemporaryDirectory() as folder:
        # onnx2tf tells layouts apart by running on these images, which it would fetch from another host.
        samples = np.random.default_rng(0).random((20, 128, 128, 3), np.float32)
        np.save(os.path.join(folder, "calibration_image_sample_data_20x128x128x3_float32.npy"), samples)
        shape = ",".join(map(str, (1, *images.shape[1:])))
        convert = [sys.executable, "-m", "onnx2tf", "-i", model, "-o", "out", "-ois", f"{name}:{shape}", "-coion", "-n"]
        subprocess.run(convert, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        stem = os.path.splitext(os.path.basename(model))[0]
        interpreter = Interpreter(os.path.join(folder, "out", f"{stem}_float32.tflite"))
        interpreter.allocate_tensors()
        rows = [one_image(interpreter, image[None], outputs) for image in images]
    return {name: np.concatenate([row[name] for row in rows]) for name in outputs}


def one_image(interpreter, image, outputs):
    runner = interpreter.get_signature_runner()
    (name,) = runner.get_input_details()
    wanted = tuple(runner.get_input_details()[name]["shape"])
    results = runner(**{name: image if image.shape == wanted else image.transpose(0, 2, 3, 1)})
    return {output: results[output] for output in outputs}
