"""OpenVINO's CPU plugin in float32: its own choice is bfloat16 where the processor has it."""

import openvino


def version():
    return openvino.__version__.split("-")[0]


def run(model, feeds, outputs):
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled(feeds)
    return {name: results[name] for name in outputs}
