from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from device.vision.evidence.face_patch import FacePatch
from device.vision.frame import Frame
from device.vision.pipeline import SubjectObservation


def test_no_repr_shows_pixels() -> None:
    pixels = np.full((4, 4, 3), 123, np.uint8)
    hidden = {(Frame, "pixels"), (SubjectObservation, "crop"), (FacePatch, "brightness"), (FacePatch, "saturated")}
    for made, name in hidden:
        assert not next(part.repr for part in fields(made) if part.name == name), f"{made.__name__}.{name}"
    assert "123" not in repr(Frame(pixels=pixels, sequence=1, monotonic_ns=1))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_frame_of_another_shape_or_type_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        Frame(pixels=pixels, sequence=1, monotonic_ns=1)
