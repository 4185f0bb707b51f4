"""Fine-tunes a folder of artifacts with onnxruntime-training's own API. A job (JSON) on stdin, what it found on stdout.

job: folder; images, a file of float32; shape of one image; labels of each batch; learning_rate; save_after steps.
"""

import importlib.util
import json
import os
import sys
import types

import numpy as np
import onnxruntime

# The package imports torch, which its on-device API does not use.
if importlib.util.find_spec("torch") is None:
    training = types.ModuleType("onnxruntime.training")
    training.__path__ = [os.path.join(os.path.dirname(onnxruntime.__file__), "training")]
    sys.modules["onnxruntime.training"] = training

from onnxruntime.training.api import CheckpointState, Module, Optimizer

job = json.load(sys.stdin)
folder = job["folder"]
images = np.fromfile(job["images"], np.float32).reshape(-1, *job["shape"])


def opened(checkpoint):
    state = CheckpointState.load_checkpoint(os.path.join(folder, checkpoint))
    module = Module(
        os.path.join(folder, "training_model.onnx"), state, os.path.join(folder, "eval_model.onnx")
    )
    optimizer = Optimizer(os.path.join(folder, "optimizer_model.onnx"), module)
    return state, module, optimizer


state, module, optimizer = opened("checkpoint")
names = {"train": [module.input_names(), module.output_names()]}
optimizer.set_learning_rate(job["learning_rate"])
losses = []
start = 0
for step, labels in enumerate(job["labels"]):
    if step == job["save_after"]:
        CheckpointState.save_checkpoint(state, os.path.join(folder, "saved"), include_optimizer_state=True)
        state, module, optimizer = opened("saved")
        optimizer.set_learning_rate(job["learning_rate"])
    batch = images[start : start + len(labels)]
    start += len(labels)
    loss, _ = module(batch, np.array(labels, np.int64))
    losses.append(float(loss))
    optimizer.step()
    module.lazy_reset_grad()

module.eval()
names["eval"] = [module.input_names(), module.output_names()]
labels = job["labels"][0]
first = images[: len(labels)]
loss, logits = module(first, np.array(labels, np.int64))
path = os.path.join(folder, "inference.onnx")
module.export_model_for_inferencing(path, ["features", "logits"])
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
features, exported = session.run(["features", "logits"], {"images": first})
json.dump(
    {
        "names": names,
        "properties": dict(state.properties),
        "losses": losses,
        "loss": float(loss),
        "logits": logits.ravel().tolist(),
        "exported": {
            "inputs": [each.name for each in session.get_inputs()],
            "features": features.ravel().tolist(),
            "logits": exported.ravel().tolist(),
        },
        "trained": {
            name: parameter.data.ravel().tolist()
            for name, parameter in state.parameters
            if parameter.requires_grad
        },
    },
    sys.stdout,
)
