"""The inference port: what the vision code needs from a network file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from device.vision.frame import Pixels
from protocol.manifest import ModelManifest


@dataclass(frozen=True, slots=True)
class GoldenVector:
    """A picture, and what a network said to it when it was made."""

    network: str
    """SHA-256 of the network's file, 64 hexadecimal digits."""
    image: Pixels
    outputs: Mapping[str, NDArray[np.float32]]
    """As `Network.infer` gives them."""


class Network(Protocol):
    """One loaded network. An implementation may be used by one thread at a time."""

    @property
    def manifest(self) -> ModelManifest:
        """The manifest the file was checked against."""

    @property
    def digest(self) -> str:
        """SHA-256 of the network file, 64 hexadecimal digits."""

    @property
    def runtime(self) -> str:
        """The interpreter and its version, e.g. `ai-edge-litert 2.3.0`; goes into every record."""

    def golden(self) -> GoldenVector:
        """Return what is kept beside the network to compare with, read anew each time. Raises `GoldenMismatch` where none can be read."""

    def infer(self, image: Pixels) -> Mapping[str, NDArray[np.float32]]:
        """Run the network on one picture.

        Args:
            image: uint8 (H, W, 3) RGB of exactly the manifest's height and width. It is not changed.

        Returns:
            One dequantised float32 array for each output role of the manifest, in the tensor's shape.

        Raises:
            ValueError: if the picture has another size or dtype.
        """


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks of a terminal."""

    detection: Network
    landmarks: Network
    eyelids: Network
    features: Network
    texture: Network | None = None
    """Passive PAD; without it that evidence is not run."""

    def each(self) -> tuple[Network, ...]:
        """Return all of them."""
        texture = (self.texture,) if self.texture is not None else ()
        return (self.detection, self.landmarks, self.eyelids, self.features, *texture)
