from __future__ import annotations

import numpy as np
import pytest

from device.vision.frame import Frame


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
