"""Simulated recapture: what a camera sees of a scene, and of a print or a screen that shows a photograph of the scene.

A scene is light: float32 (S, S, 3), linear RGB, 0 black, 1 white paper. `photograph` is the camera for all presentations alike: lens,
exposure and white balance by its own measurement, sensor noise, demosaicing, denoising, sharpening, tone curve, JPEG. An attack
presentation passes through it twice, with a medium in between; that medium and the second passage are all that tells it from a bona
fide one, so brightness, colour cast, blur and noise alone are no sign of either.

Everything is drawn from the generator passed in. The ranges are wide on purpose and were set by what the devices physically do, not by
any evaluation set.

Source: sRGB transfer function, IEC 61966-2-1; screen angles and dot growth of offset and laser prints, gamut and black level of matt paper
(about 1.5 to 8 % reflectance) and contrast of displays in a lit room as commonly published by their makers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Light = NDArray[np.float32]
"""float32 (H, W, 3), linear RGB, 1 is white paper."""
Picture = NDArray[np.uint8]
"""uint8 (H, W, 3), RGB."""
Random = np.random.Generator

SIZE = 128
"""Side of what the network sees, pixels."""
_PLANE_PER_PIXEL = 1.5
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_FULL_TURN = 2 * np.pi


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera in one room; ranges are those of `draw_camera`."""

    side_px: int
    """Pixels the region takes in the frame."""
    blur_px: float
    motion_px: float
    motion_angle: float
    mean_level: float
    """Linear mean that automatic exposure aims at."""
    grey_world: float
    """How much of a colour cast automatic white balance takes away, 0..1."""
    cast: Light
    """(3,), the cast that is left by its mistakes."""
    electrons: float
    """At white."""
    read_noise: float
    veil: float
    """Light scattered in the lens, as a share of white."""
    chroma_blur_px: float
    denoise: float
    sharpening: float
    sharpening_px: float
    contrast: float
    """Strength of the S-shaped tone curve."""
    saturation: float
    qualities: tuple[int, ...]
    """JPEG, once for each time the picture was stored."""


def draw_camera(random: Random, *, smallest_px: int = 90, largest_px: int = 256) -> Camera:
    """Return a camera: from a sharp one in daylight to a poor one in a dark room."""
    red, blue = random.uniform(0.85, 1.18, 2)
    return Camera(
        side_px=int(np.exp(random.uniform(np.log(smallest_px), np.log(largest_px)))),
        blur_px=float(random.uniform(0.25, 1.1)),
        motion_px=float(random.uniform(1, 4)) if random.random() < 0.15 else 0.0,
        motion_angle=float(random.uniform(0, np.pi)),
        mean_level=float(np.exp(random.normal(np.log(0.2), 0.4))),
        grey_world=float(random.uniform(0, 0.9)),
        cast=np.array([red, 1, blue], np.float32),
        electrons=float(10 ** random.uniform(2.3, 4)),
        read_noise=float(10 ** random.uniform(-3.3, -2)),
        veil=float(random.uniform(0, 0.02)) if random.random() < 0.7 else float(random.uniform(0, 0.08)),
        chroma_blur_px=float(random.uniform(0.3, 1.4)),
        denoise=float(random.uniform(0.3, 0.95)) if random.random() < 0.4 else 0.0,
        sharpening=float(random.uniform(0, 1.3)),
        sharpening_px=float(random.uniform(0.7, 1.7)),
        contrast=float(random.uniform(-0.15, 0.7)),
        saturation=float(random.uniform(0.75, 1.4)),
        qualities=tuple(int(q) for q in random.integers(60, 98, size=random.integers(1, 3))),
    )


def photograph(scene: Light, camera: Camera, random: Random) -> Picture:
    """Return the region as the camera delivers it, (side_px, side_px, 3)."""
    side = camera.side_px
    plane = scene.shape[0] / side
    seen = cv2.GaussianBlur(scene, (0, 0), max(camera.blur_px * plane, 0.2))
    if camera.motion_px:
        seen = _moved(np.asarray(seen, np.float32), camera.motion_px * plane, camera.motion_angle)
    seen = cv2.resize(seen, (side, side), interpolation=cv2.INTER_AREA)
    means = seen.mean((0, 1)) + 1e-4
    balance = (means.mean() / means) ** camera.grey_world * camera.cast
    seen = seen * (balance * (camera.mean_level / float(means.mean()))).astype(np.float32)
    seen = seen + camera.veil
    # Shot noise as a normal deviate of the same variance.
    spread = np.sqrt(np.clip(seen, 0, 1.5) / np.float32(camera.electrons) + np.float32(camera.read_noise**2))
    seen = seen + spread * _noise(seen.shape, random)
    luma = seen @ _LUMA
    chroma = cv2.GaussianBlur(seen - luma[..., None], (0, 0), camera.chroma_blur_px)
    seen = np.clip(luma[..., None] + chroma, 0, 1.2)
    shown = to_srgb(seen)
    if camera.denoise:
        shown += camera.denoise * (cv2.bilateralFilter(shown, 5, 0.09, 2.0) - shown)
    shown += camera.sharpening * (shown - cv2.GaussianBlur(shown, (0, 0), camera.sharpening_px))
    shown = np.clip(shown, 0, 1)
    shown += camera.contrast * shown * (1 - shown) * (2 * shown - 1)
    grey = (shown @ _LUMA)[..., None]
    picture = np.asarray(np.clip((grey + (shown - grey) * camera.saturation) * 255 + 0.5, 0, 255), np.uint8)
    for quality in camera.qualities:
        _, coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)
    return np.ascontiguousarray(picture)


def bona_fide(scene: Light, camera: Camera, random: Random) -> Picture:
    """Return a bona fide presentation as the network sees it, (SIZE, SIZE, 3)."""
    light = _resized(scene, _plane(camera))
    if random.random() < 0.2:
        light = _with_edge(light, random)
    return _seen(photograph(light * _room_light(light, random, 0.3), camera, random))


def print_attack(scene: Light, camera: Camera, random: Random, background: Light | None = None) -> Picture:
    """Return a photograph of a print of a photograph of the scene."""
    return _recaptured(scene, camera, random, _print, background)


def screen_attack(scene: Light, camera: Camera, random: Random, background: Light | None = None) -> Picture:
    """Return a photograph of a screen that shows a photograph of the scene."""
    return _recaptured(scene, camera, random, _screen, background)


def to_linear(values: NDArray[np.float32]) -> Light:
    """Return linear light of sRGB values 0..1."""
    return np.asarray(np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4), np.float32)


def to_srgb(light: Light) -> NDArray[np.float32]:
    """Return sRGB values 0..1 of linear light."""
    held = np.clip(light, 0, 1)
    return np.asarray(np.where(held <= 0.0031308, held * 12.92, 1.055 * held ** (1 / 2.4) - 0.055), np.float32)


def _recaptured(
    scene: Light,
    camera: Camera,
    random: Random,
    medium: Callable[[Light, float, Random], Light],
    background: Light | None,
) -> Picture:
    first = draw_camera(random, smallest_px=110, largest_px=400)
    source = photograph(_resized(scene, max(int(first.side_px * 1.2), 128)), first, random)
    side = _plane(camera)
    shown = to_linear(_resized(source.astype(np.float32) / 255, side))
    shown = medium(shown, side / camera.side_px, random)
    shown = _placed(shown, None if background is None else _resized(background, side), random)
    return _seen(photograph(shown, camera, random))


def _print(light: Light, pixel: float, random: Random) -> Light:
    """Ink on paper in room light; `pixel` is the size of a camera pixel on the plane."""
    side = light.shape[0]
    grey = (light @ _LUMA)[..., None]
    ink = np.clip(grey + (light - grey) * random.uniform(0.55, 1.0), 0, 1) ** random.uniform(0.85, 1.25)
    mixing = (np.eye(3) + random.normal(0, 0.04, (3, 3))).astype(np.float32)
    ink = np.clip(ink @ mixing.T, 0, 1)
    style = random.random()
    if style < 0.4:
        ink += random.uniform(0.1, 0.7) * (_halftone(ink, random.uniform(1.3, 4.5) * pixel, random) - ink)
    elif style < 0.7:
        ink = np.clip(ink + np.float32(random.uniform(0.02, 0.1)) * _noise(ink.shape, random), 0, 1)
        bands = np.sign(np.sin(np.arange(side) / side * _FULL_TURN * random.uniform(20, 90)))
        ink *= (1 + random.uniform(0, 0.04) * bands)[:, None, None].astype(np.float32)
    black = random.uniform(0.015, 0.08)
    paper = random.uniform(0.72, 0.92) * np.array([1, random.uniform(0.97, 1.01), random.uniform(0.88, 1.04)])
    sheet = np.float32(black) + ink * (paper - black).astype(np.float32)
    fibre = 1 + np.float32(random.uniform(0.002, 0.02)) * _noise((side, side), random)
    sheet = sheet * fibre[..., None] * _room_light(light, random, 0.5)
    if random.random() < 0.45:
        sheet = sheet + _streak(side, random)[..., None]
    return np.asarray(sheet, np.float32)


def _screen(light: Light, pixel: float, random: Random) -> Light:
    """A backlit or self-luminous screen behind glass that reflects the room."""
    side = light.shape[0]
    grey = (light @ _LUMA)[..., None]
    shown = np.clip(grey + (light - grey) * random.uniform(0.9, 1.35), 0, 1) ** random.uniform(0.8, 1.3)
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
    tilt = random.normal(0, 0.06)
    u, v = columns * np.cos(tilt) + rows * np.sin(tilt), rows * np.cos(tilt) - columns * np.sin(tilt)
    style = random.random()
    if style < 0.35:
        pitch = random.uniform(1.1, 3.5) * pixel
        shift = random.uniform(-1.5, 1.5) * _clouds(side, 0.006, random)
        phases = np.stack([0.5 + 0.5 * np.cos(_FULL_TURN * ((u + shift) / pitch - k / 3)) for k in range(3)], -1)
        grid = phases * (0.75 + 0.25 * np.cos(_FULL_TURN * v / pitch))[..., None]
        strength = random.uniform(0.1, 0.9)
        shown = shown * (1 - strength) + shown * strength * grid * 2.2
    elif style < 0.65:
        shown = shown * (1 + _moire(u, v, side, random))
    black = 10 ** random.uniform(-3, -1.4)
    white = np.array([random.uniform(0.8, 1.02), random.uniform(0.93, 1.02), random.uniform(0.98, 1.3)], np.float32)
    shown = np.asarray(black + shown * (1 - black), np.float32) * white
    if random.random() < 0.3:
        waves = np.sin(np.arange(side) / side * _FULL_TURN * random.uniform(0.5, 5) + random.uniform(0, _FULL_TURN))
        shown = shown * (1 + random.uniform(0.02, 0.15) * waves)[:, None, None].astype(np.float32)
    for _ in range(int(random.integers(0, 3))):
        shown = shown + _glare(side, random)[..., None] * np.array([1, 1, random.uniform(0.8, 1.1)], np.float32)
    return (shown + random.uniform(0, 0.06)).astype(np.float32)


def _noise(shape: tuple[int, ...], random: Random) -> Light:
    return np.asarray(random.standard_normal(shape, np.float32))


def _halftone(ink: Light, period: float, random: Random) -> Light:
    side = ink.shape[0]
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
    dots = np.empty_like(ink)
    turn, hardness = random.uniform(0, 0.3), random.uniform(4, 12)
    for channel, angle in enumerate(np.deg2rad([15, 75, 0]) + turn):
        u = (columns * np.cos(angle) + rows * np.sin(angle)) / period * _FULL_TURN
        v = (rows * np.cos(angle) - columns * np.sin(angle)) / period * _FULL_TURN
        raster = 0.5 + 0.25 * (np.cos(u) + np.cos(v))
        dots[..., channel] = 1 / (1 + np.exp(-(ink[..., channel] - raster) * hardness))
    return dots


def _moire(u: Light, v: Light, side: int, random: Random) -> Light:
    """Beats of a grid too fine to be seen with the sensor's."""
    angle = random.uniform(0, _FULL_TURN)
    along = (u * np.cos(angle) + v * np.sin(angle)) / side * _FULL_TURN * random.uniform(3, 40)
    along = along + random.uniform(0, 6) * _clouds(side, 0.012, random)
    amplitude = random.uniform(0.01, 0.12)
    apart = random.uniform(0, 2.5)
    return np.asarray(np.stack([amplitude * np.sin(along + apart * k) for k in range(3)], -1), np.float32)


def _placed(medium: Light, background: Light | None, random: Random) -> Light:
    """Return the medium in perspective; with a background its border is in the picture."""
    side = medium.shape[0]
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    target = corners + random.uniform(-0.04, 0.04, (4, 2)).astype(np.float32) * side
    if background is None:
        target = (target - side / 2) * 1.09 + side / 2
        matrix = cv2.getPerspectiveTransform(corners, target.astype(np.float32))
        return np.asarray(cv2.warpPerspective(medium, matrix, (side, side), borderMode=cv2.BORDER_REFLECT), np.float32)
    border = random.uniform(0.01, 0.08)
    edge = random.uniform(0.6, 0.95) if random.random() < 0.5 else random.uniform(0.005, 0.06)
    wide = int(side * border)
    framed = cv2.copyMakeBorder(medium, wide, wide, wide, wide, cv2.BORDER_CONSTANT, value=(edge, edge, edge))
    framed = cv2.resize(framed, (side, side), interpolation=cv2.INTER_AREA)
    target = (target - side / 2) * random.uniform(0.7, 1.0) + side / 2 + random.uniform(-0.12, 0.12, 2) * side
    matrix = cv2.getPerspectiveTransform(corners, target.astype(np.float32))
    cover = np.ones((side, side), np.float32)
    if random.random() < 0.3:
        # Cut out along the face.
        cover = np.zeros((side, side), np.float32)
        axes = (int(side * random.uniform(0.32, 0.45)), int(side * random.uniform(0.4, 0.5)))
        cv2.ellipse(cover, (side // 2, side // 2), axes, float(random.uniform(-10, 10)), 0, 360, (1.0,), -1)
    cover = np.asarray(cv2.warpPerspective(cover, matrix, (side, side)), np.float32)[..., None]
    shown = np.asarray(cv2.warpPerspective(framed, matrix, (side, side)), np.float32)
    around = background * (float(shown.mean() + 0.01) / float(background.mean() + 0.01) * random.uniform(0.4, 1.6))
    return np.asarray(shown * cover + around * (1 - cover), np.float32)


def _with_edge(light: Light, random: Random) -> Light:
    """Put a straight edge of something plain into the scene: a door, a cupboard, a picture on the wall."""
    side = light.shape[0]
    depth = int(side * random.uniform(0.04, 0.2))
    shade = (random.uniform(0.02, 0.9) * (1 + random.normal(0, 0.05, 3))).astype(np.float32)
    turns = int(random.integers(4))
    turned = np.rot90(light, turns).copy()
    turned[:, :depth] = shade * (1 + 0.05 * _clouds(side, 0.02, random)[:, :depth, None])
    return np.asarray(np.rot90(turned, -turns), np.float32)


def _room_light(light: Light, random: Random, strength: float) -> Light:
    side = light.shape[0]
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    angle = random.uniform(0, _FULL_TURN)
    slope = strength * random.uniform(-1, 1) * (np.cos(angle) * columns + np.sin(angle) * rows) * 2
    uneven = np.clip(1 + slope + strength * 0.3 * _clouds(side, 0.02, random), 0.15, 3)
    return np.asarray(uneven[..., None], np.float32)


def _streak(side: int, random: Random) -> Light:
    """Lamp light that glossy paper throws back."""
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    angle = random.uniform(0, _FULL_TURN)
    across = np.cos(angle) * columns + np.sin(angle) * rows - random.uniform(-0.5, 0.5)
    return np.asarray(np.exp(-((across / random.uniform(0.05, 0.35)) ** 2)) * random.uniform(0.02, 0.3), np.float32)


def _glare(side: int, random: Random) -> Light:
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32) / side
    x, y = random.random(2)
    wide, high = random.uniform(0.05, 0.5, 2)
    spot = np.exp(-(((columns - x) / wide) ** 2 + ((rows - y) / high) ** 2))
    return np.asarray(spot * random.uniform(0.01, 0.3), np.float32)


def _clouds(side: int, fineness: float, random: Random) -> Light:
    count = max(2, int(side * fineness))
    return np.asarray(
        cv2.resize(_noise((count, count), random), (side, side), interpolation=cv2.INTER_CUBIC), np.float32
    )


def _moved(light: Light, length: float, angle: float) -> Light:
    size = max(3, int(length) | 1)
    kernel = np.zeros((size, size), np.float32)
    half = size // 2
    dx, dy = half * np.cos(angle), half * np.sin(angle)
    start, end = (round(half - dx), round(half - dy)), (round(half + dx), round(half + dy))
    cv2.line(kernel, start, end, (1.0,))
    return np.asarray(cv2.filter2D(light, -1, kernel / kernel.sum()), np.float32)


def _plane(camera: Camera) -> int:
    return int(camera.side_px * _PLANE_PER_PIXEL)


def _resized(light: Light, side: int) -> Light:
    method = cv2.INTER_AREA if light.shape[0] > side else cv2.INTER_CUBIC
    return np.asarray(np.maximum(cv2.resize(light, (side, side), interpolation=method), 0), np.float32)


def _seen(picture: Picture) -> Picture:
    method = cv2.INTER_AREA if picture.shape[0] > SIZE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (SIZE, SIZE), interpolation=method), np.uint8)
