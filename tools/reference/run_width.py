#!/usr/bin/env python3
"""Run one width's training graph with plain onnxruntime and numpy: loss and gradients of a random batch.

pip install onnxruntime numpy
python3 run_width.py FOLDER [w0.25]

The graph file brings its parameters along (defaults that point into weights.safetensors), so only the data
are fed. Any parameter can be fed too, by its name; that is how a training loop passes updated ones.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

folder = Path(sys.argv[1])
manifest = json.loads((folder / "manifest.json").read_text())
label = sys.argv[2] if len(sys.argv) > 2 else manifest["labels"][-1]
graph = next(g for g in manifest["graphs"] if g["kind"] == "query" and g["width"] == label)

random = np.random.default_rng(0)
feeds = {}
for entry in graph["inputs"]:
    if entry["kind"] == "data":
        feeds[entry["name"]] = random.standard_normal(entry["shape"], dtype=np.float32)
for name in ("keys", "queue"):  # rows are embeddings: length 1
    feeds[name] /= np.linalg.norm(feeds[name], axis=1, keepdims=True)

options = onnxruntime.SessionOptions()
options.log_severity_level = 3  # onnxruntime warns of every parameter that can be fed
session = onnxruntime.InferenceSession(str(folder / graph["file"]), options, providers=["CPUExecutionProvider"])
names = [entry["name"] for entry in graph["outputs"]]
outputs = dict(zip(names, session.run(names, feeds)))

print(f"{graph['file']}: loss {outputs['loss']:.6f}, logits {outputs['logits'].shape}")
for entry in graph["outputs"]:
    if entry["name"].startswith("grad."):
        gradient = outputs[entry["name"]]
        print(f"  {entry['of']:48} {str(gradient.shape):20} |gradient| {np.linalg.norm(gradient):.3e}")
