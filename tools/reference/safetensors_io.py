"""Read and write the safetensors layout with numpy: u64 header length, JSON header, raw little-endian tensors."""

import json
import struct
from pathlib import Path
from typing import Dict, Union

import numpy as np

_DTYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "|u1"}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


def read(path: Union[str, Path]) -> Dict[str, np.ndarray]:
    """All tensors of a file by name, as read-only views of one memory map."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    (header_length,) = struct.unpack("<Q", data[:8].tobytes())
    start = 8 + header_length
    header = json.loads(data[8:start].tobytes())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        block = data[start + begin : start + end]
        tensors[name] = block.view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def write(path: Union[str, Path], tensors: Dict[str, np.ndarray]) -> None:
    """Write tensors in the order of the dictionary; the header is padded so that data starts at a multiple of 8."""
    header = {}
    offset = 0
    for name, tensor in tensors.items():
        end = offset + tensor.nbytes
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor).data)
