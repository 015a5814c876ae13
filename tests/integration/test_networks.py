"""Every shipped network on both runtimes: its manifest, and its golden vector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from device.adapters.inference_tflite import open_network
from protocol.manifest import load_manifest, verified_network_path

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = sorted((ROOT / "models").glob("*.toml"))
# Largest mean |difference| by role, in the output's own unit, about three times what was found between the two runtimes
# on one processor (boxes .33 and points .16 of 192 px, contour .16 and iris .14 of 64 px, logits .10): kernels round differently.
MEAN_TOLERANCE = {
    "boxes": 1.0,
    "scores": 0.4,
    "points": 0.5,
    "presence": 0.5,
    "contour": 0.5,
    "iris": 0.5,
    "bona_fide": 0.05,
}
# Found .9991 and .9999 here; the least over 20 faces between the runtimes was .9945.
LEAST_COSINE = 0.99
# To the float network: found .997 for all of them.
LEAST_COSINE_TO_FLOAT = 0.985


def test_six_networks_are_shipped() -> None:
    assert [path.stem for path in MANIFESTS] == [
        "eyelids",
        "face_detection",
        "face_landmarks",
        "features_dlib",
        "features_mobilefacenet",
        "texture_recapture",
    ]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifest_names_its_file_and_its_source(path: Path) -> None:
    manifest = load_manifest(path)
    assert manifest.name == path.stem
    assert verified_network_path(path, manifest).name == f"{path.stem}.tflite"
    assert manifest.inputs[0].dtype == "int8"
    assert manifest.provenance.licence
    assert manifest.calibration.count > 0


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_outputs_are_the_golden_ones(path: Path, runtime: str) -> None:
    # Opening compares every tensor's name, shape, dtype and quantisation with the manifest.
    network = open_network(path, runtime=runtime)  # type: ignore[arg-type]  # one of the two literals
    golden = _golden(path.stem)
    found = network.infer(golden["image"])
    assert {tensor.role for tensor in network.manifest.outputs} == set(found)
    for role, values in found.items():
        expected = golden[f"kept_{role}"]
        assert values.shape == expected.shape
        if role == "features":
            assert _cosine(values, expected) >= LEAST_COSINE
            assert _cosine(values, golden[f"float_{role}"]) >= LEAST_COSINE_TO_FLOAT
        else:
            assert np.abs(values - expected).mean() <= MEAN_TOLERANCE[role]


def test_detector_finds_the_golden_face_where_float_does(runtime: str) -> None:
    golden = _golden("face_detection")
    found = open_network(ROOT / "models" / "face_detection.toml", runtime=runtime).infer(golden["image"])  # type: ignore[arg-type]  # one of the two literals
    best = int(golden["float_scores"].argmax())
    assert found["scores"].reshape(-1)[best] > 0
    # A twentieth of the face box, which is about 50 of the 192 pixels.
    difference = found["boxes"].reshape(-1, 16)[best] - golden["float_boxes"].reshape(-1, 16)[best]
    assert np.abs(difference).max() <= 2.5


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_output_follows_the_picture(path: Path, runtime: str) -> None:
    # Some quantised files give one constant on tflite-runtime without any error.
    network = open_network(path, runtime=runtime)  # type: ignore[arg-type]  # one of the two literals
    image = _golden(path.stem)["image"]
    before = {role: values.copy() for role, values in network.infer(image).items()}
    after = network.infer(np.ascontiguousarray(image[::-1]))
    assert any(not np.array_equal(values, after[role]) for role, values in before.items())


def _golden(name: str) -> Mapping[str, np.ndarray]:
    with np.load(ROOT / "models" / f"{name}.npz") as stored:
        return {key: stored[key] for key in stored.files}


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b)))
