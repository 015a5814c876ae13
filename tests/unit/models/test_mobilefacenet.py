"""The rewrites of MobileFaceNet change no output but for rounding."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the flatbuffer schema comes with ai-edge-litert")

from models.tools.flatbuffer import read_model, write_model
from models.tools.mobilefacenet import Layer, emit, equalise, fold_slopes


def layers() -> list[Layer]:
    random = np.random.Generator(np.random.PCG64(7))
    values = lambda *shape: random.normal(0, 0.3, shape).astype(np.float32)  # noqa: E731  # a name for three words

    def slopes(count: int) -> np.ndarray:
        return random.uniform(-9, 9, count).astype(np.float32)

    return [
        Layer(False, values(4, 3, 3, 3), values(4), 2, "SAME", -1, slopes(4), None),
        Layer(True, values(1, 3, 3, 4), values(4), 2, "SAME", 0, slopes(4), None),
        Layer(False, values(6, 1, 1, 4), values(6), 1, "SAME", 1, None, None),
    ]


def reference(net: list[Layer], picture: np.ndarray) -> np.ndarray:
    """Run a chain of layers in plain numpy, double precision."""
    x = picture.astype(np.float64)
    for layer in net:
        size, kernel = x.shape[0], layer.weights.shape[1]
        out = -(-size // layer.stride)
        total = max((out - 1) * layer.stride + kernel - size, 0)
        before = total // 2
        padded = np.pad(x, ((before, total - before), (before, total - before), (0, 0)))
        y = np.empty((out, out, layer.bias.size))
        for row in range(out):
            for column in range(out):
                top, left = row * layer.stride, column * layer.stride
                window = padded[top : top + kernel, left : left + kernel]
                if layer.is_depthwise:
                    y[row, column] = (window * layer.weights[0]).sum((0, 1)) + layer.bias
                else:
                    y[row, column] = (window * layer.weights).sum((1, 2, 3)) + layer.bias
        x = y if layer.slopes is None else np.where(y > 0, y, y * layer.slopes)
    return x


def test_folded_slopes_are_within_one_and_the_function_stays() -> None:
    net, picture = layers(), np.random.Generator(np.random.PCG64(8)).normal(size=(12, 12, 3))
    folded = fold_slopes(net)
    assert all(layer.slopes is None or np.abs(layer.slopes).max() <= 1 for layer in folded)
    np.testing.assert_allclose(reference(folded, picture), reference(net, picture), rtol=1e-4, atol=1e-5)


def test_equalising_evens_the_channels_and_the_function_stays() -> None:
    net, picture = fold_slopes(layers()), np.random.Generator(np.random.PCG64(9)).normal(size=(12, 12, 3))
    even = equalise(net, {0: np.array([0.1, 1, 5, 20], np.float32)})
    np.testing.assert_allclose(reference(even, picture), reference(net, picture), rtol=1e-4, atol=1e-5)
    assert np.abs(even[0].weights).max() != np.abs(net[0].weights).max()


def test_slope_above_one_cannot_be_written_as_a_maximum() -> None:
    steep = layers()
    with pytest.raises(ValueError, match="above 1"):
        emit([*steep[:1]])


def test_written_network_reads_back_as_the_same_bytes() -> None:
    data = emit(fold_slopes(layers())[:1])
    assert write_model(read_model(data)) == data
