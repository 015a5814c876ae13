"""The build step that makes an operator's texture network int8. Runs inside the build environment, never in the product's:

python -m models.tools.pad_quantize --network float.tflite --crops crops.npy --float-tail 3 --out int8.tflite
"""  # noqa: D415  # the first line leads to the command below

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.tools.flatbuffer import input_name, read_model
from models.tools.mobilefacenet import activation_groups
from models.tools.quantize import FloatNetwork, quantize
from models.tools.rewrites import last_tensors


def make_int8(data: bytes, crops: NDArray[np.uint8], float_tail: int) -> bytes:
    """Return the int8 file of a float network whose input is pixels 0..255.

    Args:
        data: the float file.
        crops: uint8 (N, H, W, 3) in the network's own colour order.
        float_tail: how many of the last operators stay float.
    """
    model = read_model(data)
    network = FloatNetwork(data, 1.0, (0.0,))
    return quantize(
        data,
        [network.real_input(crop) for crop in crops],
        known_ranges={input_name(model): (0.0, 255.0)},
        shared_ranges=activation_groups(model),
        float_tensors=last_tensors(model, float_tail) if float_tail else (),
    )


def main(arguments: list[str]) -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description="int8 quantisation of a texture network")
    parser.add_argument("--network", type=Path, required=True)
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--float-tail", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    crops = np.load(options.crops, allow_pickle=False)
    options.out.write_bytes(make_int8(options.network.read_bytes(), crops, options.float_tail))


if __name__ == "__main__":
    main(sys.argv[1:])
