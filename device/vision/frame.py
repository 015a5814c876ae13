"""One picture from the camera, with the few facts about it that the rest of the terminal may rely on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""uint8, shape (H, W, 3), RGB, 0..255; x runs to the right, y runs down, (0, 0) is the centre of the top left pixel."""


@dataclass(frozen=True, slots=True)
class CaptureMetadata:
    """What the sensor says about a frame."""

    sensor_id: str
    """The driver's name of the sensor, e.g. `imx708`."""
    sensor_ns: int
    """The sensor's own time of the frame, in nanoseconds."""
    exposure_us: float
    """Exposure time."""
    analogue_gain: float
    """Amplification, 1 = none."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A camera frame. It stays in the vision worker: never stored, logged or sent.

    Raises:
        ValueError: if the pixels are not uint8 of shape (H, W, 3) with at least one pixel.
    """

    pixels: Pixels = field(repr=False)
    """uint8 (H, W, 3) RGB, not mirrored: the subject's left is on the right of the picture."""
    sequence: int
    """The camera's frame counter; grows by one with each captured frame, so gaps show dropped frames."""
    monotonic_ns: int
    """Time of exposure on the monotonic clock, in nanoseconds."""
    metadata: CaptureMetadata | None = None
    """None where the frames come from no sensor."""

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or not self.pixels.size:
            raise ValueError(
                f"frame {self.sequence}: pixels are {self.pixels.dtype} {self.pixels.shape}, expected uint8 (H, W, 3)"
            )
