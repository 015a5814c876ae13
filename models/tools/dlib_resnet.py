"""The CC0 face network of dlib, read from its port for browsers and written as a plain convolutional graph.

29 convolutions in residual blocks, 150 x 150 RGB in, 128 features out. The port stores each weight array as bytes with one scale and
offset; dlib's affine layers are folded into the convolutions here, which is exact.

Source: layout of the network in dlib `examples/dnn_face_recognition_ex.cpp`; names and encodings in the port's
`face_recognition_model-weights_manifest.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.tools.graph_builder import GraphBuilder

Weights = NDArray[np.float32]

CHIP_SIZE = 150
INPUT_SHAPE = (1, CHIP_SIZE, CHIP_SIZE, 3)
CHIP_POINTS = ((47.549, 46.599), (100.476, 46.599), (74.013, 76.563), (50.415, 103.023), (97.610, 103.023))
"""Eye centres (picture left, right), nose tip, mouth corners (left, right) in the chip.

Source: dlib's mean face shape (`get_face_chip_details`, size 150, padding .25), points 36-41, 42-47, 30, 48 and 54 of the 68.
"""
PIXEL_MULTIPLY = 1 / 256
"""The network takes (pixel - mean) / 256; the mean is folded into the first layer, so it sees pixel / 256."""
_MEAN_COLOUR = (122.782, 117.001, 104.298)
_BLOCKS = (
    *(("conv32_1", 1), ("conv32_2", 1), ("conv32_3", 1)),
    *(("conv64_down", 2), ("conv64_1", 1), ("conv64_2", 1), ("conv64_3", 1)),
    *(("conv128_down", 2), ("conv128_1", 1), ("conv128_2", 1)),
    *(("conv256_down", 2), ("conv256_1", 1), ("conv256_2", 1), ("conv256_down_out", 2)),
)


def read_weights(listing: bytes, stored: bytes) -> dict[str, Weights]:
    """Return every weight array by name, float32, in the port's layout (height, width, in, out).

    Raises:
        ValueError: if the file is longer or shorter than its listing says.
    """
    weights: dict[str, Weights] = {}
    offset = 0
    for group in json.loads(listing):
        for item in group["weights"]:
            count = int(np.prod(item["shape"]))
            coding = item.get("quantization")
            raw = np.frombuffer(stored, np.uint8 if coding else np.dtype("<f4"), count, offset)
            offset += raw.nbytes
            values = raw * coding["scale"] + coding["min"] if coding else raw
            weights[item["name"]] = values.astype(np.float32).reshape(item["shape"])
    if offset != len(stored):
        raise ValueError(f"weights take {offset} bytes, the file has {len(stored)}")
    return weights


def emit(weights: Mapping[str, Weights]) -> bytes:
    """Return the float network file; its input is pixel / 256."""
    graph = GraphBuilder(INPUT_SHAPE)
    kernel, bias = _folded(weights, "conv32_down")
    # The first layer has no padding, so that taking the mean out of its bias is exact.
    bias = bias - (kernel * np.array(_MEAN_COLOUR, np.float32) * np.float32(PIXEL_MULTIPLY)).sum(axis=(1, 2, 3))
    x = graph.conv(graph.input, "conv32_down", kernel, bias, stride=2, padding="VALID", relu=True)
    x = graph.pool(x, "max_pool", kind="max", size=3, stride=2)
    size, channels = _size_after_pool(), kernel.shape[0]
    for name, stride in _BLOCKS:
        x, size, channels = _block(graph, weights, name, stride, x, size, channels)
    x = graph.pool(x, "mean", kind="average", size=size, stride=1)
    last = weights["fc"].reshape(channels, 1, 1, -1).transpose(3, 1, 2, 0)
    x = graph.conv(x, "fc", last, np.zeros(last.shape[0], np.float32), stride=1, padding="VALID")
    return graph.finish(graph.reshape(x, "features", (1, last.shape[0])))


def _block(
    graph: GraphBuilder, weights: Mapping[str, Weights], name: str, stride: int, x: int, size: int, channels: int
) -> tuple[int, int, int]:
    """Append one residual block; return its result with size and channels."""
    first, first_bias = _folded(weights, f"{name}/conv1")
    second, second_bias = _folded(weights, f"{name}/conv2")
    if stride == 1:
        y = graph.conv(x, f"{name}/conv1", first, first_bias, stride=1, padding="SAME", relu=True)
        y = graph.conv(y, f"{name}/conv2", second, second_bias, stride=1, padding="SAME")
        return graph.add(y, x, f"{name}/sum", relu=True), size, channels
    y = graph.conv(x, f"{name}/conv1", first, first_bias, stride=2, padding="VALID", relu=True)
    y = graph.conv(y, f"{name}/conv2", second, second_bias, stride=1, padding="SAME")
    shortcut = graph.pool(x, f"{name}/pool", kind="average", size=2, stride=2)
    inner, outer, wider = (size - 3) // 2 + 1, size // 2, second.shape[0]
    # dlib adds tensors of unequal size as if the smaller went on with zeros, below, to the right and in channels.
    height = max(inner, outer)
    if inner < height:
        y = graph.pad(y, f"{name}/padded", [(0, 0), (0, height - inner), (0, height - inner), (0, 0)])
    if outer < height or channels < wider:
        gap = height - outer
        shortcut = graph.pad(shortcut, f"{name}/pool_padded", [(0, 0), (0, gap), (0, gap), (0, wider - channels)])
    return graph.add(y, shortcut, f"{name}/sum", relu=True), height, wider


def _folded(weights: Mapping[str, Weights], name: str) -> tuple[Weights, Weights]:
    """Return kernel (out, height, width, in) and bias (out,) with the affine layer folded in."""
    scale = weights[f"{name}/scale/weights"]
    kernel = weights[f"{name}/conv/filters"].transpose(3, 0, 1, 2) * scale.reshape(-1, 1, 1, 1)
    return kernel, weights[f"{name}/conv/bias"] * scale + weights[f"{name}/scale/biases"]


def _size_after_pool() -> int:
    after_conv = (CHIP_SIZE - 7) // 2 + 1
    return (after_conv - 3) // 2 + 1
