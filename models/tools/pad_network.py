"""The project's own texture network as a plain graph: seven convolutions, a mean over the picture, one linear layer.

Nothing in it knows where in a face something is, so it can judge texture and colour and nothing else. All convolutions are 3 x 3 with
ReLU, batch normalisation folded in; those of stride 2 pad after the picture, as TensorFlow Lite's SAME does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.tools.graph_builder import GraphBuilder

SIZE = 128
"""Side of the input, pixels."""
INPUT_SHAPE = (1, SIZE, SIZE, 3)
LAYERS = ((16, 2), (24, 2), (24, 1), (48, 2), (48, 1), (80, 2), (80, 1))
"""Channels and stride of the convolutions."""
CLASSES = 3
BONA_FIDE = 0
PIXEL_MULTIPLY = 1 / 128
"""The first layer was trained on pixel / 128."""
FLOAT_TAIL = 3
"""The linear layer, softmax and the choice of the class stay float."""

Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Convolution:
    """One layer with batch normalisation folded in."""

    weights: Weights
    """(out, height, width, in)."""
    bias: Weights
    stride: int


def emit(layers: list[Convolution]) -> bytes:
    """Return the float network file: RGB 0..255 in, the score of a bona fide presentation (1, 1, 1, 1) out.

    The last of the layers is the linear one.
    """
    graph = GraphBuilder(INPUT_SHAPE)
    x = graph.input
    for index, layer in enumerate(layers[:-1]):
        weights = layer.weights * np.float32(PIXEL_MULTIPLY) if index == 0 else layer.weights
        x = graph.conv(x, f"layer_{index}", weights, layer.bias, stride=layer.stride, padding="SAME", relu=True)
    x = graph.pool(x, "mean", kind="average", size=graph.shape(x)[1], stride=1)
    x = graph.conv(x, "logits", layers[-1].weights, layers[-1].bias, stride=1, padding="VALID")
    x = graph.softmax(x, "classes")
    return graph.finish(graph.slice(x, "bona_fide", begin=(0, 0, 0, BONA_FIDE), size=(1, 1, 1, 1)))


def read_layers(arrays: Mapping[str, NDArray[np.float32]]) -> list[Convolution]:
    """Return the layers of a file that `models.tools.pad_train` wrote.

    Raises:
        KeyError: if one is missing.
    """
    strides = [stride for _, stride in LAYERS] + [1]
    return [Convolution(arrays[f"weights_{k}"], arrays[f"bias_{k}"], stride) for k, stride in enumerate(strides)]
