"""Reads and writes ddpipe's safetensors files: the length of a JSON header, the header, the numbers."""

import json
import struct
from array import array

CODES = {"U8": "B", "I32": "i", "I64": "q", "F32": "f", "F64": "d"}


def load(path):
    """The description of the file, and its tensors by name: shape and numbers."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            tensors[name] = (entry["shape"], array(CODES[entry["dtype"]], data[start:end]))
    return json.loads(header["__metadata__"]["ddpipe"])["about"], tensors


def save(path, kind, about, tensors):
    """Writes an artifact of this type. `tensors`: dtype, shape and numbers by name."""
    header = {"__metadata__": {"ddpipe": json.dumps({"type": kind, "about": about})}}
    data = b""
    # Wide numbers first, so that every tensor begins at a multiple of its numbers' size.
    for name, (dtype, shape, numbers) in sorted(tensors.items(), key=lambda item: -array(CODES[item[1][0]]).itemsize):
        raw = array(CODES[dtype], numbers).tobytes()
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
