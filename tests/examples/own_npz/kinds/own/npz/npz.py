"""Reads arrays of a NumPy archive and writes data sets. Plain Python; with NumPy, `read` is numpy.load(...)[name]."""

import ast
import json
import struct
import zipfile
from array import array

CODES = {"u1": "B", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u2": "H", "u4": "I"}


def read(archive, name):
    """Shape and numbers of an array."""
    data = archive.read(name + ".npy")
    assert data[:6] == b"\x93NUMPY", f"{name} is no array"
    length, start = (*struct.unpack("<H", data[8:10]), 10) if data[6] == 1 else (*struct.unpack("<I", data[8:12]), 12)
    header = ast.literal_eval(data[start : start + length].decode("latin1"))
    code = CODES.get(header["descr"][1:])
    if code is None or header["fortran_order"]:
        raise SystemExit(f"{name}: type {header['descr']}; images and labels are whole numbers in C order")
    return list(header["shape"]), array(code, data[start + length :])


def save(path, images, labels, about):
    shape, pixels = images
    raw_labels = array("q", labels[1]).tobytes()
    raw_pixels = pixels.tobytes()
    middle, end = len(raw_labels), len(raw_labels) + len(raw_pixels)
    header = {
        "__metadata__": {"ddpipe": json.dumps({"type": "dataset", "about": about})},
        "labels": {"dtype": "I64", "shape": [len(labels[1])], "data_offsets": [0, middle]},
        "images": {"dtype": "U8", "shape": shape, "data_offsets": [middle, end]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + raw_labels + raw_pixels)


def channels_first(images):
    """[N,H,W] or [N,H,W,C] to [N,C,H,W]."""
    shape, pixels = images
    if pixels.typecode != "B":
        raise SystemExit("images have to be unsigned bytes (uint8)")
    if len(shape) == 3:
        return [shape[0], 1, *shape[1:]], pixels
    count, height, width, channels = shape
    size = height * width * channels
    moved = array("B")
    for n in range(count):
        image = pixels[n * size : (n + 1) * size]
        for channel in range(channels):
            moved += image[channel::channels]
    return [count, channels, height, width], moved


with open("params.json") as file:
    params = json.load(file)["params"]
with zipfile.ZipFile("inputs/file.bin") as archive:
    sets = {name: [read(archive, array_name) for array_name in params[name]] for name in ("train", "test")}

sets = {name: (channels_first(images), labels) for name, (images, labels) in sets.items()}
(count, channels, height, width), pixels = sets["train"][0]
mean, std = [], []
for channel in range(channels):
    own = array("B")
    for n in range(count):
        start = (n * channels + channel) * height * width
        own += pixels[start : start + height * width]
    middle = sum(own) / len(own)
    mean.append(middle / 255)
    std.append((sum((pixel - middle) ** 2 for pixel in own) / len(own)) ** 0.5 / 255)

with open("inputs.json") as file:
    digest = json.load(file)["file"][0]["digest"]
about = {
    "classes": max(sets["train"][1][1]) + 1,
    "scale": 255,
    "normalisation": {"mean": mean, "std": std},
    "origin": f"an archive, blake3 {digest[:12]}",
}
for name, (images, labels) in sets.items():
    save(f"outputs/{name}.safetensors", images, labels, about)
