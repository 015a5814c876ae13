"""MiniFASNet as a plain graph: the passive PAD networks an operator may bring, from the arrays of their state dict.

The structure is MobileFaceNet's (Chen et al., "MobileFaceNets", CCBR 2018, table 1) at 80 x 80 with every width cut down by pruning:
a 3 x 3 convolution with stride 2, a depthwise one, three stages of bottlenecks that each begin with stride 2, a 1 x 1
convolution, a depthwise one over all that is left (5 x 5), and two linear layers without bias, with batch normalisation
between them. Activation is PReLU. In the SE variant the last bottleneck of a stage weighs its channels (Hu et al.,
"Squeeze-and-Excitation Networks", CVPR 2018, section 3). All widths are read from the arrays' shapes.

Source: names and shapes in the state dict; the input (BGR 0..255), and that class 1 is bona fide, from the networks' publisher.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.tools.graph_builder import GraphBuilder
from models.tools.mobilefacenet import Layer, tensor_name
from models.tools.torch_weights import WeightsInvalid

Weights = NDArray[np.float32]
State = Mapping[str, NDArray[np.generic]]

SIZE = 80
"""Width and height of the input, pixels."""
INPUT_SHAPE = (1, SIZE, SIZE, 3)
CLASSES = 3
BONA_FIDE = 1
FLOAT_TAIL = 3
"""The last convolution, softmax and the choice of the class stay float: a probability in 1/256 steps has no tails."""
_STAGES = (("conv_23", "conv_3"), ("conv_34", "conv_4"), ("conv_45", "conv_5"))
_LAST_SIZE = 5
# torch.nn.BatchNorm's default.
_EPSILON = 1e-5
_SUFFIXES = frozenset({"num_batches_tracked"})


@dataclass(frozen=True, slots=True)
class Excitation:
    """Weights of channels from their means: 1 x 1 convolution, ReLU, 1 x 1 convolution, sigmoid."""

    first: Weights
    """(inner, 1, 1, channels)."""
    first_bias: Weights
    second: Weights
    """(channels, 1, 1, inner)."""
    second_bias: Weights


@dataclass(frozen=True, slots=True)
class MiniFasNet:
    """A network ready to be written: batch normalisation folded into the layers."""

    layers: list[Layer]
    """All convolutions in order, both linear layers as the last two."""
    excitations: dict[int, Excitation]
    """By index of the layer whose result they weigh, before its shortcut is added."""
    padded: frozenset[int]
    """Layers of stride 2: they read one row and one column of zeros before the picture's first, and none after its last."""


def read_network(state: State) -> MiniFasNet:
    """Return the network of a state dict.

    Raises:
        WeightsInvalid: if an array is missing, has another shape or a value that is no number, or one is there too many.
    """
    reader = _Reader(state)
    reader.convolution("conv1", 3, stride=2, has_activation=True)
    reader.depthwise("conv2_dw", 3, stride=1, has_activation=True)
    for down, stage in _STAGES:
        reader.bottleneck(down, stride=2)
        blocks = {match[1] for name in state if (match := re.match(rf"{stage}\.model\.(\d{{1,3}})\.", name))}
        if blocks != {str(number) for number in range(len(blocks))}:
            raise WeightsInvalid(f"blocks of {stage} are {sorted(blocks)}, expected 0, 1, 2 and so on")
        for number in range(len(blocks)):
            reader.bottleneck(f"{stage}.model.{number}", stride=1)
    reader.convolution("conv_6_sep", 1, stride=1, has_activation=True)
    reader.depthwise("conv_6_dw", _LAST_SIZE, stride=1, has_activation=False)
    reader.linear("linear", "bn")
    reader.linear("prob", None)
    if reader.width != CLASSES:
        raise WeightsInvalid(f"prob gives {reader.width} classes, expected {CLASSES}")
    left = sorted(reader.unread())
    if left:
        raise WeightsInvalid(f"holds {len(left)} arrays that a MiniFASNet does not have, such as {left[0]!r}")
    return MiniFasNet(reader.layers, reader.excitations, frozenset(reader.padded))


def emit(network: MiniFasNet) -> bytes:
    """Return the float network file: BGR 0..255 in, the probability of a bona fide presentation (1, 1) out."""
    graph = GraphBuilder(INPUT_SHAPE)
    results = {-1: graph.input}
    for index, layer in enumerate(network.layers):
        x, name = results[layer.source], tensor_name(index)
        if index in network.padded:
            x = graph.pad(x, f"{name}/padded", [(0, 0), (1, 0), (1, 0), (0, 0)])
        make = graph.depthwise if layer.is_depthwise else graph.conv
        x = make(x, name, layer.weights, layer.bias, stride=layer.stride, padding=layer.padding)
        if layer.slopes is not None:
            x = graph.prelu(x, f"{name}/prelu", layer.slopes)
        if index in network.excitations:
            x = _excite(graph, x, name, network.excitations[index])
        if layer.shortcut is not None:
            x = graph.add(x, results[layer.shortcut], f"{name}/sum")
        results[index] = x
    probabilities = graph.softmax(results[len(network.layers) - 1], "classes")
    bona_fide = graph.slice(probabilities, "bona_fide", begin=(0, 0, 0, BONA_FIDE), size=(1, 1, 1, 1))
    return graph.finish(bona_fide)


def _excite(graph: GraphBuilder, x: int, name: str, weights: Excitation) -> int:
    size = graph.shape(x)[1]
    y = graph.pool(x, f"{name}/mean", kind="average", size=size, stride=1)
    y = graph.conv(y, f"{name}/squeeze", weights.first, weights.first_bias, stride=1, padding="VALID", relu=True)
    y = graph.conv(y, f"{name}/excite", weights.second, weights.second_bias, stride=1, padding="VALID")
    return graph.multiply(x, graph.sigmoid(y, f"{name}/gains"), f"{name}/weighed")


class _Reader:
    """Takes arrays out of a state dict by name, checks their shapes and collects layers; each reads the one before."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._read: set[str] = set()
        self.layers: list[Layer] = []
        self.excitations: dict[int, Excitation] = {}
        self.padded: set[int] = set()
        self.width = 3

    def convolution(self, name: str, size: int, *, stride: int, has_activation: bool) -> None:
        """Append a convolution of size x size."""
        values = self._array(f"{name}.conv.weight", (None, self.width, size, size))
        self._append(name, values.transpose(0, 2, 3, 1), stride=stride, has_activation=has_activation)

    def depthwise(self, name: str, size: int, *, stride: int, has_activation: bool) -> None:
        """Append a depthwise convolution of size x size."""
        values = self._array(f"{name}.conv.weight", (self.width, 1, size, size))
        kernel = values.transpose(1, 2, 3, 0)
        self._append(name, kernel, stride=stride, has_activation=has_activation, is_depthwise=True)

    def bottleneck(self, name: str, *, stride: int) -> None:
        """Append expansion, depthwise 3 x 3 and projection; with stride 1 the block's input is added."""
        source, width = len(self.layers) - 1, self.width
        self.convolution(f"{name}.conv", 1, stride=1, has_activation=True)
        self.depthwise(f"{name}.conv_dw", 3, stride=stride, has_activation=True)
        self.convolution(f"{name}.project", 1, stride=1, has_activation=False)
        last = len(self.layers) - 1
        if f"{name}.se_module.fc1.weight" in self._state:
            first, first_bias = self._excitation(f"{name}.se_module", "1", self.width)
            second, second_bias = self._excitation(f"{name}.se_module", "2", first.shape[0])
            if second.shape[0] != self.width:
                raise WeightsInvalid(f"{name}.se_module weighs {second.shape[0]} channels, expected {self.width}")
            self.excitations[last] = Excitation(first, first_bias, second, second_bias)
        if stride == 1:
            if self.width != width:
                raise WeightsInvalid(f"{name} gives {self.width} channels, its shortcut {width}")
            self.layers[last] = replace(self.layers[last], shortcut=source)

    def linear(self, name: str, norm: str | None) -> None:
        """Append a linear layer without bias as a 1 x 1 convolution."""
        values = self._array(f"{name}.weight", (None, self.width))[:, None, None, :]
        scale, shift = self._norm(norm, values.shape[0]) if norm else (np.ones(1), np.zeros(values.shape[0]))
        self._add(values * scale.reshape(-1, 1, 1, 1), shift, stride=1, slopes=None, is_depthwise=False)

    def unread(self) -> set[str]:
        """Return the names that no layer asked for, counters aside."""
        return {name for name in self._state if name.rpartition(".")[2] not in _SUFFIXES} - self._read

    def _excitation(self, name: str, number: str, width: int) -> tuple[Weights, Weights]:
        values = self._array(f"{name}.fc{number}.weight", (None, width, 1, 1)).transpose(0, 2, 3, 1)
        scale, shift = self._norm(f"{name}.bn{number}", values.shape[0])
        return (values * scale.reshape(-1, 1, 1, 1)).astype(np.float32), shift.astype(np.float32)

    def _append(
        self, name: str, kernel: NDArray[np.float64], *, stride: int, has_activation: bool, is_depthwise: bool = False
    ) -> None:
        width = kernel.shape[3] if is_depthwise else kernel.shape[0]
        scale, shift = self._norm(f"{name}.bn", width)
        kernel = kernel * (scale if is_depthwise else scale.reshape(-1, 1, 1, 1))
        slopes = self._array(f"{name}.prelu.weight", (width,)).astype(np.float32) if has_activation else None
        self._add(kernel, shift, stride=stride, slopes=slopes, is_depthwise=is_depthwise)

    def _add(
        self,
        kernel: NDArray[np.float64],
        bias: NDArray[np.float64],
        *,
        stride: int,
        slopes: Weights | None,
        is_depthwise: bool,
    ) -> None:
        index = len(self.layers)
        # PyTorch pads by half the kernel on all sides. With stride 2 and an even size the last row is never reached, and
        # TensorFlow Lite's own SAME would pad after the picture and not before it.
        is_padded, is_whole = stride == 2, kernel.shape[1] == _LAST_SIZE
        if is_padded:
            self.padded.add(index)
        self.layers.append(
            Layer(
                is_depthwise=is_depthwise,
                weights=np.ascontiguousarray(kernel, np.float32),
                bias=bias.astype(np.float32),
                stride=stride,
                padding="VALID" if is_padded or is_whole else "SAME",
                source=index - 1,
                slopes=slopes,
                shortcut=None,
            )
        )
        self.width = bias.size

    def _norm(self, name: str, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return factor and summand of a batch normalisation."""
        gain, shift, mean, variance = (
            self._array(f"{name}.{part}", (width,)) for part in ("weight", "bias", "running_mean", "running_var")
        )
        if (variance < 0).any():
            raise WeightsInvalid(f"{name}.running_var holds a negative variance")
        scale = gain / np.sqrt(variance + _EPSILON)
        return scale, shift - mean * scale

    def _array(self, name: str, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
        if name not in self._state:
            raise WeightsInvalid(f"array {name} is missing: not a MiniFASNet")
        values = np.asarray(self._state[name], np.float64)
        is_shaped = len(values.shape) == len(shape) and all(
            expected in {None, found} for expected, found in zip(shape, values.shape, strict=True)
        )
        if not is_shaped or not values.size:
            wanted = tuple("any" if size is None else size for size in shape)
            raise WeightsInvalid(f"array {name} is {values.shape}, expected {wanted}")
        if not np.isfinite(values).all():
            raise WeightsInvalid(f"array {name} holds a value that is no number")
        self._read.add(name)
        return values
