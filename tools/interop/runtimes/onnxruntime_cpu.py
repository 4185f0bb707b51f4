"""ONNX Runtime's CPU provider."""

import onnxruntime


def version():
    return onnxruntime.__version__


def run(model, feeds, outputs):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(outputs, feeds)))
