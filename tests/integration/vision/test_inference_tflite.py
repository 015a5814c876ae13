from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from device.adapters.inference_tflite import Runtime, open_network, open_networks
from device.errors import InterpreterUnavailable, ManifestMismatch, ModelDigestMismatch

pytestmark = pytest.mark.integration
NAMES = ["face_detection", "face_landmarks", "eyelids", "features_mobilefacenet", "features_dlib"]


@pytest.fixture
def models_copy(models_dir: Path, tmp_path: Path) -> Path:
    for path in [*models_dir.glob("*.toml"), *models_dir.glob("*.tflite")]:
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_network_loads_and_answers_by_role(models_dir: Path, name: str, runtime: Runtime) -> None:
    network = open_network(models_dir / f"{name}.toml", runtime=runtime)
    steps = network.manifest.preprocessing
    picture = np.random.default_rng(0).integers(0, 256, (steps.height, steps.width, 3), dtype=np.uint8)
    before = picture.copy()
    outputs = network.infer(picture)
    assert set(outputs) == {tensor.role for tensor in network.manifest.outputs}
    assert all(values.dtype == np.float32 and np.isfinite(values).all() for values in outputs.values())
    assert (picture == before).all()
    assert network.runtime.startswith(f"{runtime} ")
    assert network.digest == network.manifest.sha256


@pytest.mark.parametrize("name", NAMES)
def test_answer_depends_on_the_picture_alone(models_dir: Path, name: str) -> None:
    network = open_network(models_dir / f"{name}.toml")
    steps = network.manifest.preprocessing
    generator = np.random.default_rng(0)
    a, b = (generator.integers(0, 256, (steps.height, steps.width, 3), dtype=np.uint8) for _ in range(2))
    first = {role: values.copy() for role, values in network.infer(a).items()}
    other = network.infer(b)
    again = network.infer(np.asfortranarray(a))
    assert all((first[role] == again[role]).all() for role in first)
    assert any((first[role] != other[role]).any() for role in first)


def test_picture_of_another_size_or_type_is_refused(models_dir: Path) -> None:
    network = open_network(models_dir / "eyelids.toml")
    for picture in (np.zeros((32, 64, 3), np.uint8), np.zeros((64, 64, 3), np.float32)):
        with pytest.raises(ValueError, match="expected uint8"):
            network.infer(picture)


def test_changed_file_is_refused(models_copy: Path) -> None:
    path = models_copy / "eyelids.tflite"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelDigestMismatch, match=r"eyelids\.tflite"):
        open_network(models_copy / "eyelids.toml")


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"shape = \[1, 64, 64, 3\]", "shape = [1, 64, 64, 1]"),
        (r'name = "([^"]+)"\nrole = "contour"', 'name = "other"\nrole = "contour"'),
        (r"(?s)(role = \"contour\".*?scale = )[0-9.]+", r"\g<1>0.5"),
        (r"(?s)(role = \"contour\".*?zero_point = )-?[0-9]+", r"\g<1>7"),
        (r"(?s)(role = \"contour\".*?dtype = )\"int8\"", r'\g<1>"float32"'),
        (r"schema_version = 1", "schema_version = 9"),
    ],
    ids=["shape", "name", "scale", "zero point", "dtype", "schema"],
)
def test_manifest_that_disagrees_with_its_file_is_refused(models_copy: Path, pattern: str, replacement: str) -> None:
    path = models_copy / "eyelids.toml"
    text, count = re.subn(pattern, replacement, path.read_text(), count=1)
    assert count == 1
    path.write_text(text)
    with pytest.raises(ManifestMismatch):
        open_network(path)


def test_missing_file_and_missing_manifest_are_refused(models_copy: Path) -> None:
    (models_copy / "eyelids.tflite").unlink()
    for name in ("eyelids.toml", "none.toml"):
        with pytest.raises(ManifestMismatch, match="cannot be read"):
            open_network(models_copy / name)


def test_file_that_is_no_network_is_refused(models_copy: Path) -> None:
    content = b"no network"
    (models_copy / "eyelids.tflite").write_bytes(content)
    path = models_copy / "eyelids.toml"
    digest = hashlib.sha256(content).hexdigest()
    path.write_text(re.sub(r'^sha256 = "\w+"', f'sha256 = "{digest}"', path.read_text(), count=1, flags=re.MULTILINE))
    with pytest.raises(InterpreterUnavailable, match="cannot load"):
        open_network(path)


def test_folder_with_a_task_missing_or_doubled_is_refused(models_copy: Path) -> None:
    shutil.copy(models_copy / "eyelids.toml", models_copy / "eyelids_too.toml")
    with pytest.raises(ManifestMismatch, match="task eyelids: found 2"):
        open_networks(models_copy)
    (models_copy / "eyelids_too.toml").unlink()
    (models_copy / "eyelids.toml").unlink()
    with pytest.raises(ManifestMismatch, match="task eyelids: found 0"):
        open_networks(models_copy)


def test_feature_network_is_chosen_by_name(models_dir: Path) -> None:
    assert open_networks(models_dir, features="features_dlib").features.manifest.name == "features_dlib"
    with pytest.raises(ManifestMismatch, match="expected features"):
        open_networks(models_dir, features="eyelids")
