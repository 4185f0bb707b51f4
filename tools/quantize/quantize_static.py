"""Quantises models by onnxruntime's quantize_static: quantize_static.py IMAGES.npy METHOD FLOAT.onnx INT8.onnx ..."""
import sys

import numpy
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

methods = {
    'minmax': CalibrationMethod.MinMax,
    'percentile': CalibrationMethod.Percentile,
    'entropy': CalibrationMethod.Entropy,
}


class Images(CalibrationDataReader):
    def __init__(self, images, batch):
        self.batches = iter([images[i : i + batch] for i in range(0, len(images), batch)])

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {'images': batch}


images = numpy.load(sys.argv[1])
method = methods[sys.argv[2]]
paths = sys.argv[3:]
for source, target in zip(paths[::2], paths[1::2]):
    prepared = source + '.prepared'
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        target,
        # Batches of one size: its histograms are of whole batches.
        Images(images, 20 if len(images) % 20 == 0 else 1),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=method,
    )
