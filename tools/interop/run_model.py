"""Runs one ONNX model on one runtime: `run_model.py RUNTIME REQUEST`.

REQUEST is a JSON file: `model` (path), `feeds` (name -> `file` of raw values, `dtype`, `shape`), `results` (an empty
folder for `<number>.f32`). The last line on stdout is JSON: `version`, and `outputs` (name -> `file`, `shape`).
"""

import importlib
import json
import os
import sys

import numpy as np


def main():
    runtime = importlib.import_module(f"runtimes.{sys.argv[1]}")
    with open(sys.argv[2], encoding="utf-8") as file:
        request = json.load(file)
    feeds = {
        name: np.fromfile(feed["file"], feed["dtype"]).reshape(feed["shape"])
        for name, feed in request["feeds"].items()
    }
    outputs = runtime.run(request["model"], feeds, request["outputs"])
    written = {}
    for number, (name, values) in enumerate(outputs.items()):
        file = os.path.join(request["results"], f"{number}.f32")
        np.ascontiguousarray(values, np.float32).tofile(file)
        written[name] = {"file": file, "shape": list(np.shape(values))}
    print()
    print(json.dumps({"version": runtime.version(), "outputs": written}))


main()
