"""tract, with the batch as a symbol where the model has it so."""

from importlib.metadata import version as installed

import tract


def version():
    return installed("tract")


def run(model, feeds, outputs):
    loaded = tract.onnx().load(model)
    names = [loaded.input_name(number) for number in range(loaded.input_count())]
    runnable = loaded.into_model().into_runnable()
    results = runnable.run([feeds[name] for name in names])
    return {name: result.to_numpy() for name, result in zip(outputs, results)}
