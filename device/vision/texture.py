"""What a passive PAD network says to one frame: the face and what surrounds it, scored by the look of its surface."""

from __future__ import annotations

import cv2
import numpy as np

from device.vision.frame import Pixels
from device.vision.geometry import Box
from device.vision.inference import Network

_OUTPUT = "bona_fide"


class TextureScorer:
    """Scores frames with the terminal's texture network."""

    def __init__(self, network: Network) -> None:
        steps = network.manifest.preprocessing
        if steps.box_scale is None:
            raise ValueError(f"network {network.manifest.name}: its manifest names no box scale")
        self._network = network
        self._scale = steps.box_scale
        self._size = (steps.width, steps.height)

    @property
    def model_digest(self) -> str:
        """SHA-256 of the network file; scores of two networks cannot be compared."""
        return self._network.digest

    def score(self, pixels: Pixels, box: Box) -> float:
        """Return how likely a face is a bona fide presentation.

        Args:
            pixels: uint8 (H, W, 3) RGB, the whole frame.
            box: of the face, in frame pixels.

        Returns:
            0..1, larger = more likely bona fide. A network's scores are its own scale, not a probability in the field.

        Raises:
            ValueError: if the box is empty.
        """
        left, top, right, bottom = texture_region(pixels.shape, box, self._scale)
        region = pixels[top:bottom, left:right]
        is_shrunk = region.shape[1] > self._size[0] or region.shape[0] > self._size[1]
        # Averaging where the region shrinks: what the camera did not resolve must not come back as a pattern.
        method = cv2.INTER_AREA if is_shrunk else cv2.INTER_LINEAR
        crop = np.asarray(cv2.resize(region, self._size, interpolation=method), np.uint8)
        score = float(self._network.infer(crop)[_OUTPUT].reshape(-1)[0])
        return min(max(score, 0.0), 1.0)


def texture_region(frame_shape: tuple[int, ...], box: Box, scale: float) -> tuple[int, int, int, int]:
    """Return the part of a frame that a texture network sees, whole pixels left, top, right, bottom, all inside the frame.

    It is the box enlarged `scale` times about its centre. Where it would reach over the border it is moved inside, and where it is
    larger than the frame it is first reduced until it fits: no pixel is made up.

    Args:
        frame_shape: height and width, then anything.
        box: of the face, in frame pixels.
        scale: factor on the box's sides.

    Raises:
        ValueError: if the box is empty.

    Source: the rule that the publisher of MiniFASNet crops by, so that a network brought by an operator sees what it was trained on.
    """
    height, width = frame_shape[:2]
    box_width, box_height = box[2] - box[0], box[3] - box[1]
    if not (box_width > 0 and box_height > 0):
        raise ValueError(f"face box {box} is empty")
    factor = min(scale, width / box_width, height / box_height)
    across, down = box_width * factor, box_height * factor
    left = min(max((box[0] + box[2] - across) / 2, 0.0), width - across)
    top = min(max((box[1] + box[3] - down) / 2, 0.0), height - down)
    left_px, top_px = min(round(left), width - 1), min(round(top), height - 1)
    right_px = min(max(round(left + across), left_px + 1), width)
    bottom_px = min(max(round(top + down), top_px + 1), height)
    return left_px, top_px, right_px, bottom_px
