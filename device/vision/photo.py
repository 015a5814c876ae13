"""Machine checks of a photograph that a person will look at: they say what to look at, and refuse nothing by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from device.vision.frame import Pixels
from device.vision.geometry import Box
from device.vision.landmarks import FaceLandmarks
from protocol.cases import PhotoCheck, PhotoRole
from protocol.quality import unified_score

LEAST_PX = (640, 480)
"""Width and height. Source: R1-14."""
MOST_BYTES = 2 * 1024 * 1024
"""Source: R1-17."""
WHITE_LEAST, COLOUR_MOST = 200, 30
"""A pixel is white if its darkest channel reaches the first and its channels differ by no more than the second. Source: 200 is .58 of
full scale in linear light (IEC 61966-2-1), so a white wall lit a third less than the picture's brightest place still counts; 30 of
255 is the tint of a lamp at 4000 K on a picture balanced for daylight, roughly."""
WHITE_SHARE = 0.8
"""Part of the ground that must be white; the rest is room for a shadow beside the head."""
_GROUND = 0.1
"""The outer tenth on both sides of the upper half is ground in any portrait and any upper-body picture."""
COVER_MOST = 8.0
"""Steps of 8-bit CIELAB (a*, b*) by which what stands above the forehead may lie off every colour between grey and the person's own skin,
where natural hair of any shade lies. Source: of the rendered people of `demo/people`, the eleven bare-headed reach 0 to 4 and the one
with a knitted hat 13; the middle. A hat that is black, grey, white or brown has hair's colour, and is for a person to see."""
_ABOVE = (0.1, 0.2, 0.3)
"""Face heights above the top of the forehead at which the colour is looked at: hair, hat, or, over a bald head, the ground."""
_PATCH = 0.08
"""Half a patch's side by the distance of the eyes."""
_FOREHEAD, _CHIN, _CHEEKS = 10, 152, (50, 280)
"""Landmarks, as `device.vision.landmarks` numbers them."""
_MOST_SKIN = 1.5
"""Hair may be more saturated than skin, by so much: red hair is, grey hair is not."""
_NEUTRAL = 128.0
"""Of a* and b* in 8 bits. Source: OpenCV, colour conversions, CIE L*a*b*."""
BELOW_LEAST = 1.0
"""Face heights below the chin that show an upper body: the chest, and hands that hold a newspaper before it, begin one below."""


def check_photo(
    pixels: Pixels,
    *,
    role: PhotoRole,
    image_bytes: int,
    faces: Sequence[Box],
    quality: Mapping[str, float],
    minimum: Mapping[str, float],
    similarity: float | None = None,
    least_similarity: float = 0.0,
) -> tuple[PhotoCheck, ...]:
    """Check a photograph against what its role asks for.

    Args:
        pixels: uint8 (H, W, 3) RGB, as it was taken.
        role: what it is to show.
        image_bytes: of the JPEG.
        faces: boxes of all faces, frame pixels.
        quality: components of the largest face, 0..100; empty without one.
        minimum: by component, as for a live sample.
        similarity: cosine with the face on the identity card, larger = more alike; None where there is nothing to compare.
        least_similarity: below it the two may be two people.
    """
    height, width = pixels.shape[:2]
    size = min(width / LEAST_PX[0], height / LEAST_PX[1])
    checks = [
        PhotoCheck(name="resolution", passed=size >= 1.0, found=round(size, 3), asked=1.0),
        PhotoCheck(name="bytes", passed=image_bytes <= MOST_BYTES, found=float(image_bytes), asked=float(MOST_BYTES)),
    ]
    if role is PhotoRole.AUTHORITY:
        return tuple(checks)
    checks.append(PhotoCheck(name="one_face", passed=len(faces) == 1, found=float(len(faces)), asked=1.0))
    if role is PhotoRole.FACE:
        score = unified_score(quality, minimum) if quality else -100.0
        checks.append(PhotoCheck(name="face_quality", passed=score >= 0.0, found=round(score, 1), asked=0.0))
        share = white_share(pixels)
        checks.append(
            PhotoCheck(name="white_ground", passed=share >= WHITE_SHARE, found=round(share, 3), asked=WHITE_SHARE)
        )
    if role is PhotoRole.WITH_NEWSPAPER:
        below = max((_below(box, height) for box in faces), default=0.0)
        checks.append(
            PhotoCheck(name="upper_body", passed=below >= BELOW_LEAST, found=round(below, 2), asked=BELOW_LEAST)
        )
    if similarity is not None:
        checks.append(
            PhotoCheck(
                name="same_face",
                passed=similarity >= least_similarity,
                found=round(similarity, 3),
                asked=least_similarity,
            )
        )
    return tuple(checks)


def white_share(pixels: Pixels) -> float:
    """Return which part of the ground is white, 0..1.

    Args:
        pixels: uint8 (H, W, 3) RGB.
    """
    height, width = pixels.shape[:2]
    edge = max(1, round(width * _GROUND))
    upper = pixels[: max(1, height // 2)]
    ground = np.concatenate([upper[:, :edge].reshape(-1, 3), upper[:, -edge:].reshape(-1, 3)]).astype(np.int16)
    darkest, brightest = ground.min(axis=1), ground.max(axis=1)
    return float(np.mean((darkest >= WHITE_LEAST) & (brightest - darkest <= COLOUR_MOST)))


def cover_colour(pixels: Pixels, landmarks: FaceLandmarks) -> float:
    """Return how far what stands above the forehead lies off the colours of hair and skin, in steps of 8-bit CIELAB; 0 if nothing is seen.

    Args:
        pixels: uint8 (H, W, 3) RGB.
        landmarks: of the face.
    """
    points = landmarks.points[:, :2]
    up = points[_FOREHEAD] - points[_CHIN]
    reach = max(2, round(landmarks.interocular_px * _PATCH))
    cheeks = [_colour(pixels, points[place], reach) for place in _CHEEKS]
    skin = np.mean([cheek for cheek in cheeks if cheek is not None] or [np.zeros(2)], axis=0)
    most = 0.0
    for height in _ABOVE:
        colour = _colour(pixels, points[_FOREHEAD] + height * up, reach)
        if colour is not None:
            part = float(np.clip(colour @ skin / max(float(skin @ skin), 1.0), 0.0, _MOST_SKIN))
            most = max(most, float(np.hypot(*(colour - part * skin))))
    return most


def _colour(pixels: Pixels, place: NDArray[np.floating[Any]], reach: int) -> NDArray[np.float64] | None:
    """Return the median (a*, b*) of a square, grey as (0, 0); None outside the picture."""
    x, y = round(float(place[0])), round(float(place[1]))
    region = pixels[max(0, y - reach) : max(0, y + reach + 1), max(0, x - reach) : max(0, x + reach + 1)]
    if not region.size:
        return None
    lab = cv2.cvtColor(np.ascontiguousarray(region), cv2.COLOR_RGB2LAB)
    return np.asarray(np.median(lab.reshape(-1, 3)[:, 1:].astype(np.float64), axis=0) - _NEUTRAL, np.float64)


def _below(box: Box, height: int) -> float:
    """Return how many face heights there are between chin and lower border."""
    return max(0.0, height - box[3]) / max(box[3] - box[1], 1.0)
