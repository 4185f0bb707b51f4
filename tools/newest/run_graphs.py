"""Runs graphs on this Python's onnxruntime. A line of JSON in: files of model, feeds, results. A line out: done, or why not."""

import json
import os
import sys

import numpy as np
import onnxruntime

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
from safetensors_io import read, write  # noqa: E402


def main():
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_mem_pattern = False
    options.intra_op_num_threads = 2
    options.log_severity_level = 4
    print(onnxruntime.__version__, flush=True)
    for line in sys.stdin:
        files = json.loads(line)
        try:
            session = onnxruntime.InferenceSession(
                files["model"], options, providers=["CPUExecutionProvider"]
            )
            results = session.run(None, read(files["feeds"]))
            names = [output.name for output in session.get_outputs()]
            write(files["results"], dict(zip(names, map(np.ascontiguousarray, results))))
            print("done", flush=True)
        except Exception as error:  # whatever ONNX Runtime says is the result
            print(str(error).splitlines()[0], flush=True)


main()
