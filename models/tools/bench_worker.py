"""The part of the bench that runs in both environments: pictures in, processor time out, one request after the other.

It needs numpy and OpenCV and nothing of ours, so that the environment of the peers can run it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""uint8 (H, W, 3), RGB."""
Chain = Callable[[Picture, int], bool]
"""Looks at a picture, given its place in the clip (0 begins anew); returns whether it found a face."""

_IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}


def serve(chains: Mapping[str, Callable[[], Chain]]) -> None:
    """Answer requests on standard input until it ends.

    The first line is `{"clips": [...], "most": N}`, answered by the number of pictures in each clip. Every other line is
    `{"chain": name, "clip": i, "picture": k}`, answered by `{"ms": processor time of the whole process, "found": bool}`. Libraries that
    print go to standard error.

    Args:
        chains: what makes each chain; it is made when first asked for, outside the measured time.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    cv2.setNumThreads(1)
    made: dict[str, Chain] = {}
    requests = (json.loads(line) for line in sys.stdin)
    opening = next(requests)
    clips = [read_clip(Path(path), opening["most"]) for path in opening["clips"]]
    _answer(answers, [len(clip) for clip in clips])
    for request in requests:
        name, place = request["chain"], request["picture"]
        if name not in made:
            made[name] = chains[name]()
        picture = clips[request["clip"]][place]
        begin_ns = time.process_time_ns()
        found = made[name](picture, place)
        took_ns = time.process_time_ns() - begin_ns
        _answer(answers, {"ms": took_ns / 1e6, "found": bool(found)})


def read_clip(path: Path, most: int) -> list[Picture]:
    """Return the first pictures of a clip, or of a folder of images; those that cannot be read are left out."""
    pictures = []
    for picture in _images(path) if path.is_dir() else _frames(path):
        pictures.append(np.ascontiguousarray(picture[:, :, ::-1], np.uint8))
        if len(pictures) == most:
            break
    return pictures


def _images(folder: Path) -> Iterator[Any]:
    for path in sorted(folder.iterdir()):
        picture = cv2.imread(str(path)) if path.suffix.lower() in _IMAGES else None
        if picture is not None:
            yield picture


def _frames(path: Path) -> Iterator[Any]:
    capture = cv2.VideoCapture(str(path))
    while True:
        is_read, picture = capture.read()
        if not is_read:
            break
        yield picture
    capture.release()


def _answer(stream: Any, value: object) -> None:
    stream.write(json.dumps(value) + "\n")
    stream.flush()
