"""ncnn, of what pnnx makes of the model, in float32: one image at a time, for ncnn has no batch."""

import os
import shutil
import subprocess
import sys
import tempfile

import ncnn
import numpy as np


def version():
    return ncnn.__version__


def run(model, feeds, outputs):
    ((_, images),) = feeds.items()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(model, os.path.join(folder, "model.onnx"))
        shape = ",".join(map(str, (1, *images.shape[1:])))
        pnnx = os.path.join(os.path.dirname(sys.executable), "pnnx")
        subprocess.run(
            [pnnx, "model.onnx", f"inputshape=[{shape}]", "fp16=0"],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        net = ncnn.Net()
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
        net.load_param(os.path.join(folder, "model.ncnn.param"))
        net.load_model(os.path.join(folder, "model.ncnn.bin"))
        rows = [one_image(net, image, outputs) for image in images]
    return {name: np.stack([row[number] for row in rows]) for number, name in enumerate(outputs)}


def one_image(net, image, outputs):
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(np.ascontiguousarray(image)).clone())
    row = []
    for number in range(len(outputs)):
        status, values = extractor.extract(f"out{number}")
        if status != 0:
            raise RuntimeError(f"ncnn does not give output {number}: {status}")
        row.append(np.array(values))
    return row
