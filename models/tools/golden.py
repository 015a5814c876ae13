"""Golden vectors: one picture of a synthetic face for each network, and what the network says to it.

Written as `<network>.npz` beside the network, with `network` (SHA-256 of its file), `image` (the uint8 RGB input), `kept_<role>` (the
shipped file on ai-edge-litert) and `float_<role>` (the float network it was made from). Terminals compare with what was kept
(`device.app.golden`), tests with both; nothing in them is edited by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from device.adapters.inference_tflite import open_network
from device.vision.inference import Network
from models.tools.crops import (
    DETECTION_SIZE,
    FACE_POINTS,
    FACE_SIZE,
    Face,
    aligned_chip,
    eye_crops,
    face_crop,
    find_face,
)
from models.tools.dlib_resnet import CHIP_POINTS, CHIP_SIZE
from models.tools.manifests import describe, to_toml
from models.tools.networks import NETWORKS
from models.tools.pictures import Picture, letterbox, read_clip

CLIP = "live_om.mp4"
FRAME = 2
_RUNTIME: Literal["ai-edge-litert"] = "ai-edge-litert"

Arrays = dict[str, NDArray[np.float32] | NDArray[np.uint8]]


def golden_vectors(clips: Path, models: Path, floats: Mapping[str, bytes], workdir: Path) -> dict[str, Arrays]:
    """Return the arrays of each network's file.

    Args:
        clips: folder of the synthetic clips.
        models: folder of the shipped networks and manifests.
        floats: the float file of each network.
        workdir: where the float files are written with manifests of their own.
    """
    folder = workdir / "floats"
    write_floats(floats, folder)
    vectors: dict[str, Arrays] = {}
    for name, image in _images(read_clip(clips / CLIP)[FRAME], folder).items():
        shipped, original = (open_network(place / f"{name}.toml", runtime=_RUNTIME) for place in (models, folder))
        vectors[name] = vector(image, shipped, original)
    return vectors


def vector(image: Picture, network: Network, original: Network | None = None) -> Arrays:
    """Return the arrays of one network's file.

    Args:
        image: uint8 RGB of the size that the network takes.
        network: as it ships.
        original: the float network that it was made from; None where it is that itself.
    """
    arrays: Arrays = {"network": np.frombuffer(bytes.fromhex(network.digest), np.uint8), "image": image}
    arrays |= {f"kept_{role}": values for role, values in network.infer(image).items()}
    if original is not None:
        arrays |= {f"float_{role}": values for role, values in original.infer(image).items()}
    return arrays


def write_floats(floats: Mapping[str, bytes], folder: Path) -> None:
    """Write float networks, each with a manifest beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in floats.items():
        (folder / f"{name}.tflite").write_bytes(data)
        (folder / f"{name}.toml").write_text(to_toml(describe(NETWORKS[name], data)), encoding="utf-8")


def write(vectors: Mapping[str, Arrays], folder: Path) -> None:
    """Write one compressed file for each network."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, arrays in vectors.items():
        np.savez_compressed(folder / f"{name}.npz", **arrays)


def _images(frame: Picture, floats: Path) -> dict[str, Picture]:
    detection, landmarks = (
        open_network(floats / f"{name}.toml", runtime=_RUNTIME) for name in ("face_detection", "face_landmarks")
    )
    face = find_face(
        frame,
        lambda picture: list(detection.infer(picture).values()),
        lambda picture: list(landmarks.infer(picture).values()),
    )
    if face is None:
        raise ValueError(f"no face in frame {FRAME} of {CLIP}")
    return _regions(frame, face)


def _regions(frame: Picture, face: Face) -> dict[str, Picture]:
    return {
        "face_detection": letterbox(frame, DETECTION_SIZE)[0],
        "face_landmarks": face_crop(frame, face),
        "eyelids": eye_crops(frame, face)[0],
        "features_mobilefacenet": aligned_chip(frame, face.points, np.array(FACE_POINTS), FACE_SIZE),
        "features_dlib": aligned_chip(frame, face.points, np.array(CHIP_POINTS), CHIP_SIZE),
    }
