"""Golden vectors through the real interpreters: what is whole passes, what was changed is found, by what was changed."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device.adapters.inference_tflite import open_networks
from device.app.golden import TOLERANCES, check_golden
from device.errors import GoldenMismatch, ModelDigestMismatch
from models.tools.flatbuffer import read_model

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]

SHIPPED = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    for path in SHIPPED.iterdir():
        if path.suffix in {".toml", ".tflite", ".npz"}:
            shutil.copy(path, folder)
    return folder


def _changed(models: Path, name: str, change: Callable[[bytearray], None], *, with_golden: bool = False) -> None:
    """Change a network's file and make its manifest, and if told so its golden vector, name the changed file."""
    path = models / f"{name}.tflite"
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    manifest = models / f"{name}.toml"
    manifest.write_text(re.sub(r'(?m)^sha256 = "\w+"', f'sha256 = "{digest}"', manifest.read_text(), count=1))
    if with_golden:
        _rewritten(models / f"{name}.npz", network=np.frombuffer(bytes.fromhex(digest), np.uint8))


def _rewritten(path: Path, **arrays: np.ndarray) -> None:
    with np.load(path) as stored:
        kept = {key: stored[key] for key in stored.files}
    np.savez_compressed(path, **(kept | arrays))


def _flip(content: bytearray) -> None:
    content[len(content) // 2] ^= 0x80


def test_shipped_networks_give_what_was_kept_on_both_runtimes(runtime: str) -> None:
    for features in ("features_mobilefacenet", "features_dlib"):
        found = check_golden(open_networks(SHIPPED, features=features, runtime=runtime))  # type: ignore[arg-type]  # one of the literals
        assert [result.name for result in found] == [
            "face_detection",
            "face_landmarks",
            "eyelids",
            features,
            "texture_recapture",
        ]
        for result in found:
            # A third of the tolerance is what the source of the tolerances says was found.
            assert result.largest_difference <= result.tolerance / 2
            assert result.sha256 == hashlib.sha256((SHIPPED / f"{result.name}.tflite").read_bytes()).hexdigest()
            assert result.runs >= 3
            assert result.median_ms > 0
    assert {result.tolerance for result in found} <= set(TOLERANCES.values())


def test_a_flipped_byte_is_found_by_the_digest(models: Path) -> None:
    path = models / "eyelids.tflite"
    content = bytearray(path.read_bytes())
    _flip(content)
    path.write_bytes(content)
    with pytest.raises(ModelDigestMismatch, match=r"eyelids\.tflite"):
        open_networks(models)


@pytest.mark.parametrize("name", ["face_detection", "face_landmarks", "eyelids", "texture_recapture"])
def test_a_flipped_byte_under_a_manifest_that_fits_is_found(models: Path, name: str) -> None:
    _changed(models, name, _flip)
    with pytest.raises(GoldenMismatch, match=f"network {name}: its golden vector was made with another file"):
        check_golden(open_networks(models))


@pytest.mark.parametrize("name", ["face_landmarks", "eyelids", "features_mobilefacenet"])
def test_weights_that_are_not_those_are_found_by_what_the_network_says(models: Path, name: str) -> None:
    # Manifest and golden vector both name the changed file, so that only its answers can tell.
    def spoil(content: bytearray) -> None:
        weights = max((b.data.tobytes() for b in read_model(content).buffers if b.data is not None), key=len)
        at = content.index(weights)
        content[at : at + len(weights)] = weights[::-1]

    _changed(models, name, spoil, with_golden=True)
    with pytest.raises(GoldenMismatch, match=rf"network {name}: .* differs by .* put the networks on anew"):
        check_golden(open_networks(models))


def test_another_network_under_the_same_name_is_found(models: Path) -> None:
    shutil.copy(models / "features_dlib.tflite", models / "features_mobilefacenet.tflite")
    other = (models / "features_dlib.toml").read_text()
    (models / "features_mobilefacenet.toml").write_text(other.replace("features_dlib", "features_mobilefacenet"))
    with pytest.raises(GoldenMismatch, match="another file"):
        check_golden(open_networks(models))
    digest = hashlib.sha256((models / "features_mobilefacenet.tflite").read_bytes()).digest()
    _rewritten(models / "features_mobilefacenet.npz", network=np.frombuffer(digest, np.uint8))
    with pytest.raises(GoldenMismatch, match="another network's"):
        check_golden(open_networks(models))


def test_an_interpreter_that_computes_wrongly_is_found(models: Path) -> None:
    networks = open_networks(models)
    honest = networks.eyelids

    class Drifting:
        manifest, digest, runtime, golden = honest.manifest, honest.digest, honest.runtime, honest.golden

        def infer(self, image: np.ndarray) -> dict[str, np.ndarray]:
            return {role: values * self.factor for role, values in honest.infer(image).items()}

        factor = 1.0

    drifting = Drifting()
    assert check_golden(replace(networks, eyelids=drifting))
    for wrong in (1.1, 0.0, float("nan")):
        drifting.factor = wrong
        with pytest.raises(GoldenMismatch, match=r"network eyelids: .* this board computes wrongly"):
            check_golden(replace(networks, eyelids=drifting))


@pytest.mark.parametrize("broken", [None, b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_a_golden_vector_that_cannot_be_read_is_said(models: Path, broken: bytes | None) -> None:
    path = models / "eyelids.npz"
    if broken is None:
        path.unlink()
    else:
        path.write_bytes(broken)
    with pytest.raises(GoldenMismatch, match=r"eyelids\.npz: no golden vector can be read"):
        check_golden(open_networks(models))


def test_a_golden_vector_with_other_outputs_is_said(models: Path) -> None:
    _rewritten(models / "eyelids.npz", kept_presence=np.zeros((1, 1), np.float32))
    with pytest.raises(GoldenMismatch, match="outputs are"):
        check_golden(open_networks(models))
