"""Where somebody sits before the lens: from the places of the eyes in the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

VIEW_DEG: Final = 50.0
"""What Camera Module 3 sees in width at 640x480 with the shipped `still_size`. Source: docs/hardware.md. A wider lens makes everything seem
further away and lower or higher than it is, by the ratio of the tangents of half its angle and half of this."""
EYES_CM: Final = 6.2
"""Between the pupils of an adult. Source: docs/hardware.md; people differ by a tenth either way, and so does the distance that follows."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Where the eyes are, seen from the lens."""

    distance_cm: float
    above_cm: float
    """Above the lens's axis; negative is below."""
    aside_cm: float
    """To the right of the picture, which is the subject's left."""


def seat_of(
    right_eye: tuple[float, float],
    left_eye: tuple[float, float],
    *,
    width: int,
    height: int,
    view_deg: float = VIEW_DEG,
) -> Seat | None:
    """Return where somebody sits who looks into the lens; None where the eyes lie on each other.

    Args:
        right_eye: the subject's, pixels.
        left_eye: likewise.
        width: of the picture.
        height: of the picture.
        view_deg: angle of view over the picture's width.
    """
    apart_px = math.dist(right_eye, left_eye)
    if apart_px < 1:
        return None
    focal_px = width / 2 / math.tan(math.radians(view_deg / 2))
    cm_a_px = EYES_CM / apart_px
    x, y = (right_eye[0] + left_eye[0]) / 2, (right_eye[1] + left_eye[1]) / 2
    return Seat(focal_px * cm_a_px, (height / 2 - y) * cm_a_px, (x - width / 2) * cm_a_px)
