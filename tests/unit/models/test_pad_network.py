"""The project's own texture network as a graph."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

pytest.importorskip("ai_edge_litert", reason="the flatbuffer schema comes with ai-edge-litert")

from ai_edge_litert.interpreter import Interpreter

from models.tools.pad_network import BONA_FIDE, CLASSES, LAYERS, SIZE, emit, read_layers


def random_arrays() -> dict[str, NDArray[np.float32]]:
    random = np.random.Generator(np.random.PCG64(4))
    widths = [3, *(width for width, _ in LAYERS)]
    arrays = {}
    for index, (into, out) in enumerate(pairwise(widths)):
        arrays[f"weights_{index}"] = random.normal(0, (2 / (9 * into)) ** 0.5, (out, 3, 3, into)).astype(np.float32)
        arrays[f"bias_{index}"] = random.normal(0, 0.1, out).astype(np.float32)
    arrays[f"weights_{len(LAYERS)}"] = random.normal(0, 0.3, (CLASSES, 1, 1, widths[-1])).astype(np.float32)
    arrays[f"bias_{len(LAYERS)}"] = random.normal(0, 0.3, CLASSES).astype(np.float32)
    return arrays


def reference(arrays: dict[str, NDArray[np.float32]], picture: NDArray[np.float64]) -> float:
    """Return the score in plain numpy, as training computes it: pixel / 128, stride 2 padded after the picture."""
    x = picture / 128
    for index, (_, stride) in enumerate(LAYERS):
        before = 0 if stride == 2 else 1
        x = np.pad(x, ((before, 1), (before, 1), (0, 0)))
        kernel = arrays[f"weights_{index}"].astype(np.float64)
        windows = sliding_window_view(x, (3, 3, x.shape[2]))[::stride, ::stride, 0]
        x = np.maximum(np.einsum("yxabi,oabi->yxo", windows, kernel) + arrays[f"bias_{index}"], 0)
    logits = arrays[f"weights_{len(LAYERS)}"][:, 0, 0] @ x.mean((0, 1)) + arrays[f"bias_{len(LAYERS)}"]
    powers = np.exp(logits - logits.max())
    return float(powers[BONA_FIDE] / powers.sum())


def test_graph_computes_what_training_does() -> None:
    arrays = random_arrays()
    picture = np.random.Generator(np.random.PCG64(5)).integers(0, 256, (SIZE, SIZE, 3)).astype(np.float64)
    interpreter = Interpreter(model_content=emit(read_layers(arrays)), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[None].astype(np.float32))
    interpreter.invoke()
    found = float(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).reshape(-1)[0])
    assert found == pytest.approx(reference(arrays, picture), abs=1e-4)


def test_missing_layer_is_named() -> None:
    arrays = random_arrays()
    del arrays["bias_3"]
    with pytest.raises(KeyError, match="bias_3"):
        read_layers(arrays)
