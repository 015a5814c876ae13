"""The build step that needs the quantiser: from the fetched source files to calibration crops, then to int8 networks.

Runs inside the build environment, never in the product's:

    python -m models.tools.convert crops --sources DIR --clips DIR --out crops.npz
    python -m models.tools.convert network NAME --sources DIR --crops crops.npz --out NAME.tflite
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.tools import dlib_resnet, mobilefacenet, sources
from models.tools.crops import (
    DETECTION_SIZE,
    FACE_POINTS,
    FACE_SIZE,
    Face,
    aligned_chip,
    close_up,
    eye_crops,
    face_crop,
    find_face,
)
from models.tools.flatbuffer import Model, input_name, only_graph, read_model, tidy, write_model
from models.tools.pictures import Picture, calibration_pictures, letterbox
from models.tools.quantize import FloatNetwork, Range, quantize
from models.tools.rewrites import fold_half_precision, fuse_relu, last_tensors

PICTURES = 96
"""Changed pictures that are drawn; about as many faces, twice as many eyes are found in them."""
_SEED = 20190517
# The detector is shown every picture whole, then each face near: bedside pictures are close.
_CLOSE_UPS = (0.8, 1.2, 1.8)
# The decoder with both heads stays float: as int8 it loses faces that fill the frame. Of 65 faces that the float detector found in
# 70 pictures, half of them tight crops, 58 were found with float heads alone and all 65 with a float decoder.
_FLOAT_TAIL = 32
_ALL_PICTURES = 2 * PICTURES
_LARGE_FACES = 64
_SMALL_NETWORK_FACES = 96

# Pixel scaling of the float networks. The int8 input takes the same values on a grid on which a pixel p is p - 128 exactly.
_TO_SIGNED_UNIT = (1 / 127.5, (-1.0,))
_TO_UNIT = (1 / 255, (0.0,))
_SIGNED_UNIT_RANGE: Range = (-128 / 127.5, 127 / 127.5)
_UNIT_RANGE: Range = (0.0, 1.0)
_DLIB_RANGE: Range = (0.0, 255 / 256)
# Calibration shows faces only, on which the presence logit is never negative; the network must be able to say "no face".
_PRESENCE_RANGE: Range = (-16.0, 16.0 * 127 / 128)

Crops = Mapping[str, NDArray[np.uint8]]


def float_mediapipe(data: bytes) -> Model:
    """Return a MediaPipe file with float32 weights and fused activations."""
    model = read_model(data)
    fold_half_precision(model)
    tidy(model)
    fuse_relu(model)
    tidy(model)
    return model


def float_network(name: str, folder: Path, crops: Crops) -> bytes:
    """Return the float file that is quantised for a network: what int8 is compared with.

    Raises:
        KeyError: if there is no network of this name.
    """
    return _FLOAT[name](folder, crops)


def make_crops(folder: Path, clips: Path) -> dict[str, NDArray[np.uint8]]:
    """Return the calibration inputs of every network by name, uint8 (N, H, W, 3) RGB."""
    detect = FloatNetwork(write_model(float_mediapipe(_read(folder, sources.DETECTION))), *_TO_SIGNED_UNIT)
    landmarks = FloatNetwork(write_model(float_mediapipe(_read(folder, sources.LANDMARKS))), *_TO_UNIT)
    paths = [clips / name for name in sorted(sources.CLIPS)]
    pictures = calibration_pictures(paths, folder / sources.PORTRAIT.name, PICTURES, _SEED)
    found: list[tuple[Picture, Face]] = []
    for picture in pictures:
        face = find_face(picture, detect, landmarks)
        if face is not None:
            found.append((picture, face))
    targets = {FACE_SIZE: np.array(FACE_POINTS), dlib_resnet.CHIP_SIZE: np.array(dlib_resnet.CHIP_POINTS)}
    chips = {
        size: np.stack([aligned_chip(picture, face.points, target, size) for picture, face in found])
        for size, target in targets.items()
    }
    whole = [letterbox(picture, DETECTION_SIZE)[0] for picture in pictures]
    near = [close_up(*pair, scale) for pair, scale in zip(found, itertools.cycle(_CLOSE_UPS), strict=False)]
    return {
        "face_detection": np.stack(whole + near),
        "face_landmarks": np.stack([face_crop(*pair) for pair in found]),
        "eyelids": np.stack([eye for pair in found for eye in eye_crops(*pair)]),
        "features_mobilefacenet": chips[FACE_SIZE],
        "features_dlib": chips[dlib_resnet.CHIP_SIZE],
    }


def make_network(name: str, folder: Path, crops: Crops) -> bytes:
    """Return the int8 file of a network."""
    data = float_network(name, folder, crops)
    model = read_model(data)
    multiply, add, known, count = _SCALING[name]
    network = FloatNetwork(data, multiply, add)
    known_ranges = {input_name(model): known}
    if name == "face_landmarks":
        graph = only_graph(model)
        (presence,) = (t.name.decode() for i in graph.outputs if np.prod((t := graph.tensors[i]).shape) == 1)
        known_ranges[presence] = _PRESENCE_RANGE
    return quantize(
        data,
        [network.real_input(picture) for picture in crops[name][:count]],
        known_ranges=known_ranges,
        shared_ranges=mobilefacenet.activation_groups(model) if name == "features_mobilefacenet" else (),
        float_tensors=last_tensors(model, _FLOAT_TAIL) if name == "face_detection" else (),
    )


def _float_mobilefacenet(folder: Path, crops: Crops) -> bytes:
    layers = mobilefacenet.fold_slopes(mobilefacenet.read_layers(read_model(_read(folder, sources.MOBILEFACENET))))
    activated = [index for index, layer in enumerate(layers) if layer.slopes is not None]
    network = FloatNetwork(mobilefacenet.emit(layers), *_TO_SIGNED_UNIT, keep_all=True)
    chips = crops["features_mobilefacenet"][:_LARGE_FACES]
    peaks = network.channel_peaks(chips, [mobilefacenet.tensor_name(index) for index in activated])
    ranges = {index: peaks[mobilefacenet.tensor_name(index)] for index in activated}
    return mobilefacenet.emit(mobilefacenet.equalise(layers, ranges))


def _float_dlib(folder: Path, crops: Crops) -> bytes:  # noqa: ARG001  # the table calls all makers alike
    return dlib_resnet.emit(
        dlib_resnet.read_weights(_read(folder, sources.DLIB_LISTING), _read(folder, sources.DLIB_WEIGHTS))
    )


def _mediapipe_maker(source: sources.SourceFile) -> Callable[[Path, Crops], bytes]:
    return lambda folder, _: write_model(float_mediapipe(_read(folder, source)))


_FLOAT: Mapping[str, Callable[[Path, Crops], bytes]] = {
    "face_detection": _mediapipe_maker(sources.DETECTION),
    "face_landmarks": _mediapipe_maker(sources.LANDMARKS),
    "eyelids": _mediapipe_maker(sources.EYELIDS),
    "features_mobilefacenet": _float_mobilefacenet,
    "features_dlib": _float_dlib,
}
_SCALING: Mapping[str, tuple[float, tuple[float, ...], Range, int]] = {
    "face_detection": (*_TO_SIGNED_UNIT, _SIGNED_UNIT_RANGE, _ALL_PICTURES),
    "face_landmarks": (*_TO_UNIT, _UNIT_RANGE, _SMALL_NETWORK_FACES),
    "eyelids": (*_TO_UNIT, _UNIT_RANGE, _SMALL_NETWORK_FACES),
    "features_mobilefacenet": (*_TO_SIGNED_UNIT, _SIGNED_UNIT_RANGE, _LARGE_FACES),
    "features_dlib": (dlib_resnet.PIXEL_MULTIPLY, (0.0,), _DLIB_RANGE, _LARGE_FACES),
}


def _read(folder: Path, source: sources.SourceFile) -> bytes:
    return (folder / source.name).read_bytes()


def main(arguments: list[str]) -> None:
    """Run one step."""
    parser = argparse.ArgumentParser(description="one step of the network build")
    steps = parser.add_subparsers(dest="step", required=True)
    for step in ("crops", "network"):
        command = steps.add_parser(step)
        command.add_argument("--sources", type=Path, required=True)
        command.add_argument("--out", type=Path, required=True)
        if step == "crops":
            command.add_argument("--clips", type=Path, required=True)
        else:
            command.add_argument("name", choices=sorted(_FLOAT))
            command.add_argument("--crops", type=Path, required=True)
            command.add_argument("--float", action="store_true", help="write the float file instead")
    options = parser.parse_args(arguments)
    if options.step == "crops":
        with options.out.open("wb") as out:
            np.savez(out, **make_crops(options.sources, options.clips))
        return
    with np.load(options.crops) as stored:
        crops = {name: stored[name] for name in stored.files}
    make = float_network if options.float else make_network
    options.out.write_bytes(make(options.name, options.sources, crops))


if __name__ == "__main__":
    main(sys.argv[1:])
