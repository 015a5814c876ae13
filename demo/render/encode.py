"""Writes layered clips."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from demo.render.camera import HEIGHT, WIDTH
from demo.render.coding import LAYERS

_QUALITY = "19"
"""Constant rate factor. Source: chosen by eye; a clip takes about half a megabyte."""


class ClipWriter:
    """An H.264 file of layered pictures."""

    def __init__(self, path: Path, rate: float) -> None:
        self._container = av.open(str(path), "w")
        self._stream = self._container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
        self._stream.width, self._stream.height = WIDTH, HEIGHT * len(LAYERS)
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {
            "crf": _QUALITY,
            "preset": "medium",
            "threads": "1",
            "x264-params": "keyint=60:aq-mode=3",
        }

    def add(self, picture: NDArray[np.uint8]) -> None:
        """Append a picture (3H, W, 3), RGB."""
        for packet in self._stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
            self._container.mux(packet)

    def close(self) -> None:
        """Write what is left and close the file."""
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()
