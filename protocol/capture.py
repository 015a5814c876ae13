"""Features of one picture, as the terminal program prints them for the fleet's enrolment.

The fleet does not contain vision code: it starts the terminal program on the picture and reads this from its output, so that
references are made by the very code that later compares with them. It travels through a pipe and is never written to a file.
"""

from __future__ import annotations

import base64
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from protocol.ids import Sha256
from protocol.wire import WireMessage


class FeatureReport(WireMessage):
    """Unit features of the one face in a picture, with its quality."""

    TYPE: ClassVar[str] = "feature-report"
    VERSION: ClassVar[int] = 1

    type: Literal["feature-report"] = "feature-report"
    version: Literal[1] = 1
    features: str = Field(max_length=16384, repr=False)
    """float32 little-endian, unit length, base64."""
    model_name: str
    model_sha256: Sha256
    runtime: str
    quality: dict[str, float]
    """Named components 0..100, larger = better."""
    overall_quality: float = Field(ge=0, le=100)

    def vector(self) -> NDArray[np.float32]:
        """Return the features, float32 (D,)."""
        return np.frombuffer(base64.b64decode(self.features, validate=True), dtype="<f4").astype(np.float32)
