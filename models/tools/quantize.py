"""Post-training quantisation to int8 that gives the same file on every machine.

The quantiser takes weights from the float file (exact) and activation ranges from running it. Ranges differ in the last bits between
processors; they are widened to a coarse grid before use, so that those bits do not reach the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import (  # type: ignore[import-not-found]  # installed in the build environment only
    qtyping,
    quantizer,
    recipe_manager,
)
from ai_edge_quantizer.recipe import AlgorithmName  # type: ignore[import-not-found]  # likewise
from numpy.typing import NDArray

from models.tools.flatbuffer import SIGNATURE, read_model, tidy, write_model
from models.tools.pictures import Picture

Range = tuple[float, float]
"""Smallest and largest real value of a tensor."""

_RANGE_STEPS_PER_OCTAVE = 32


class FloatNetwork:
    """A float network file with its scaling of pixels, on the build environment's interpreter."""

    def __init__(self, data: bytes, multiply: float, add: Sequence[float], *, keep_all: bool = False) -> None:
        self._multiply, self._add = np.float32(multiply), np.asarray(add, np.float32)
        self._interpreter = Interpreter(model_content=data, num_threads=1, experimental_preserve_all_tensors=keep_all)
        self._interpreter.allocate_tensors()

    def real_input(self, picture: Picture) -> NDArray[np.float32]:
        """Return the (1, H, W, 3) float32 input for a uint8 RGB picture."""
        return (picture.astype(np.float32) * self._multiply + self._add)[None]

    def __call__(self, picture: Picture) -> list[NDArray[np.float32]]:
        """Return copies of all outputs in the file's order."""
        self._interpreter.set_tensor(self._interpreter.get_input_details()[0]["index"], self.real_input(picture))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(d["index"]) for d in self._interpreter.get_output_details()]

    def channel_peaks(self, pictures: Iterable[Picture], names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the largest |value| by channel that the named inner tensors reach; needs `keep_all`."""
        wanted = {d["name"]: d["index"] for d in self._interpreter.get_tensor_details() if d["name"] in set(names)}
        peaks: dict[str, NDArray[np.float32]] = {}
        for picture in pictures:
            self(picture)
            for name in names:
                found = np.abs(self._interpreter.get_tensor(wanted[name])).max(axis=(0, 1, 2))
                peaks[name] = np.maximum(found, peaks.get(name, found))
        return peaks


def quantize(
    data: bytes,
    inputs: Iterable[NDArray[np.float32]],
    *,
    known_ranges: Mapping[str, Range],
    shared_ranges: Sequence[Sequence[str]] = (),
    float_tensors: Sequence[str] = (),
) -> bytes:
    """Return the int8 file: weights per channel, activations per tensor.

    Args:
        data: the float file, tidied.
        inputs: real-valued calibration inputs, (1, H, W, 3).
        known_ranges: by tensor name, what is not left to calibration: the picture, and outputs whose whole range matters.
        shared_ranges: groups of tensors that get one range, the widest of theirs, so that nothing is rescaled between them.
        float_tensors: tensors whose operators stay float.
    """
    recipe = recipe_manager.RecipeManager()
    everything = qtyping.TFLOperationName.ALL_SUPPORTED
    recipe.add_static_config(
        regex=".*",
        operation_name=everything,
        activation_num_bits=8,
        weight_num_bits=8,
        algorithm_key=AlgorithmName.MIN_MAX_UNIFORM_QUANT,
    )
    if float_tensors:
        recipe.add_quantization_config(
            regex="^(" + "|".join(re.escape(name) for name in float_tensors) + ")(;|$)",
            operation_name=everything,
            algorithm_key=AlgorithmName.NO_QUANTIZE,
        )
    tool = quantizer.Quantizer(bytearray(data))
    tool.load_quantization_recipe(recipe.get_quantization_recipe())
    ranges = tool.calibrate({SIGNATURE: [{"input": x} for x in inputs]})
    for name, found in ranges.items():
        if name in known_ranges:
            found["min"], found["max"] = (
                np.full_like(found[key], value) for key, value in zip(("min", "max"), known_ranges[name], strict=True)
            )
        else:
            _coarsen(found)
    for group in shared_ranges:
        low = np.min([np.min(ranges[name]["min"]) for name in group])
        high = np.max([np.max(ranges[name]["max"]) for name in group])
        for name in group:
            ranges[name]["min"], ranges[name]["max"] = (np.full_like(ranges[name]["min"], v) for v in (low, high))
    result = tool.quantize(ranges).quantized_model
    if result is None:
        raise ValueError("the quantiser returned no file")
    model = read_model(bytes(result))
    tidy(model)
    return write_model(model)


def _coarsen(found: dict[str, Any]) -> None:
    for key, outward in (("min", -1), ("max", 1)):
        if key in found:
            values = np.asarray(found[key], np.float64)
            rounded = np.array([_on_grid(float(v), outward) for v in values.reshape(-1)]).reshape(values.shape)
            found[key] = rounded.astype(np.asarray(found[key]).dtype)


def _on_grid(value: float, outward: int) -> float:
    """Return the nearest value on a grid of 32 steps per octave that does not narrow the range."""
    if value == 0:
        return 0.0
    steps = math.log2(abs(value)) * _RANGE_STEPS_PER_OCTAVE
    grows = (value > 0) == (outward > 0)
    # A hair of slack: a value that lies on the grid but for its last bits stays there.
    steps = math.ceil(steps - 1e-3) if grows else math.floor(steps + 1e-3)
    return math.copysign(2.0 ** (steps / _RANGE_STEPS_PER_OCTAVE), value)
