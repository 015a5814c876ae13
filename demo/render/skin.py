"""Painted skin: colour, relief and gloss in texture space, without a photograph of anybody.

Everything is painted from the front onto a head brought to reference places (eyes, mouth), so that features sit where this
person's are; the lips, lids, ears and the inside of the mouth come from the mesh's own masks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from demo.render.description import Hair, Person
from demo.render.mesh import Floats, ShapeData

SIZE = 1024
"""Pixels of the texture."""
_EYE_X, _EYE_Y, _EYE_Z, _EYE_TO_MOUTH = 0.29, 6.69, 1.104, 0.62
"""Reference places in mesh units: half the distance of the eyes, their height and depth, the drop to the mouth."""
_LEFT, _RIGHT, _BOTTOM, _TOP, _DOTS = -0.95, 0.95, 5.2, 7.95, 700
"""The canvas that is painted from the front, and its pixels per mesh unit."""
_INK = (0.012, 0.009, 0.008)
_GREY = (0.17, 0.15, 0.135)


@dataclass(frozen=True, slots=True)
class Reference:
    """How a person's mesh units become reference places."""

    scale: Floats
    offset: Floats

    def apply(self, points: Floats) -> Floats:
        """Return reference places of points (..., 3) in mesh units."""
        return points * self.scale + self.offset


@dataclass(frozen=True, slots=True)
class SkinMaps:
    """The textures, first row at the bottom."""

    colour: Floats
    """(SIZE, SIZE, 4), square root of the linear albedo; alpha is 1 inside the mouth."""
    detail: Floats
    """(SIZE, SIZE, 2), height 0..1 and gloss 0..1."""


def reference_of(eye: Floats, mouth_y: float) -> Reference:
    """Return the transform for a left eye's centre (3,) and the mouth's height."""
    scale = np.array([_EYE_X / eye[0], _EYE_TO_MOUTH / (eye[1] - mouth_y), 1.0], np.float32)
    offset = np.array([0.0, _EYE_Y - eye[1] * scale[1], _EYE_Z - eye[2]], np.float32)
    return Reference(scale, offset)


def hairline(places: Floats, hair: Hair) -> Floats:
    """Return how far reference places (..., 3) lie above the hairline, mesh units; negative is skin."""
    back = hair.recede
    line = np.interp(
        places[..., 2],
        [-0.7, -0.1, 0.12, 0.5, 0.8, 1.05, 1.45],
        [5.85, 5.95, 6.62, 6.86, 7.08 + back * 0.4, 7.34 + back * 0.5, 7.45 + back],
    )
    x, y, z = np.abs(places[..., 0]), places[..., 1], places[..., 2]
    above = y - line
    is_ear = (x > 0.70) & (z < 0.35) & (z > -0.15) & (y < 6.9)
    above = np.where(is_ear, -1.0, above)
    if hair.style == "bald":
        above = np.minimum(above, 7.18 - 0.25 * np.clip(z, 0, 1) - y)
    return above.astype(np.float32)


def paint(data: ShapeData, person: Person, places: Floats, normals: Floats, covered: Floats) -> SkinMaps:
    """Paint the skin of a person.

    Args:
        data: where the masks come from.
        person: the description.
        places: (SIZE, SIZE, 3), reference place of each texel.
        normals: (SIZE, SIZE, 3), its normal.
        covered: (SIZE, SIZE), 1 where the texel belongs to the head.
    """
    return _Painting(data, person, places, normals, covered).paint()


class _Painting:
    def __init__(self, data: ShapeData, person: Person, places: Floats, normals: Floats, covered: Floats) -> None:
        self._person, self._places, self._covered = person, places, covered > 0.5
        self._random = np.random.default_rng(person.shape.seed)
        self._front = _ramp(0.05, 0.35, normals[..., 2]) * (places[..., 2] > 0.4)
        self._masks = {name: data.mask(name, SIZE) for name in ("lips", "eyelids", "ears", "inside-mouth")}
        self._inside = np.flatnonzero(self._covered)
        self._flat = places.reshape(-1, 3)[self._inside]

    def paint(self) -> SkinMaps:
        age, skin = self._person.shape.age, self._person.skin
        brows, wrinkles, spots = self._from_front(
            self._brows(), _wrinkles(self._random, age), _spots(self._random, age)
        )
        lips = np.asarray(cv2.GaussianBlur(self._masks["lips"], (0, 0), 2.5), np.float32)
        tone = np.array(skin.tone, np.float32) ** 2.2
        colour = np.ones((SIZE, SIZE, 3), np.float32) * tone
        colour *= 1 + _cover(0.09 * self._noise(3, 3) + 0.07 * self._noise(14, 2) + 0.05 * self._noise(60, 2))
        colour *= 1 + _cover(self._redness()) * np.array([0.06, -0.16, -0.16], np.float32)
        colour *= 1 - _cover(self._hollows(age)) * np.array([0.8, 1.0, 0.9], np.float32)
        colour *= 1 - _cover(self._stubble(lips)) * np.array([1.0, 0.85, 0.75], np.float32)
        colour *= 1 - _cover(spots * (0.5 + 0.4 * age)) * np.array([0.5, 0.75, 0.9], np.float32)
        colour *= 1 - _cover(wrinkles * 0.22) * np.array([0.7, 1.0, 1.0], np.float32)
        lip_colour = tone * np.array([0.90, 0.52, 0.54], np.float32) * (1 - 0.15 * age)
        strength = (0.55 + 0.35 * self._random.random()) * lips
        grain = 1 + 0.15 * self._noise(40, 2, (3.0, 0.6, 1.0))
        colour = colour * (1 - _cover(strength)) + _cover(strength * grain) * lip_colour
        mouth = self._masks["inside-mouth"]
        colour = colour * (1 - _cover(mouth)) + _cover(mouth) * np.array([0.10, 0.022, 0.02], np.float32)
        hair_colour = np.array(_INK) * (1 - skin.grey) + np.array(_GREY) * skin.grey
        colour = colour * (1 - _cover(brows)) + _cover(brows) * hair_colour.astype(np.float32)
        scalp = self._scalp()
        root = np.array(self._person.hair.colour, np.float32) * 0.8 + tone * 0.12
        colour = colour * (1 - _cover(scalp)) + _cover(scalp) * root
        height = 0.5 + 0.06 * self._noise(120, 2) + 0.05 * self._noise(45, 2)
        height += 0.05 * age * self._noise(18, 2, (1.0, 0.7, 1.0)) - 0.36 * wrinkles + 0.05 * brows
        height -= 0.10 * lips * np.abs(self._noise(30, 1, (4.0, 0.5, 1.0)))
        gloss = 0.5 + 0.25 * self._noise(30, 2) + 0.25 * self._oily() + 0.3 * lips - 0.4 * scalp - 0.3 * brows
        maps = np.concatenate([np.sqrt(np.clip(colour, 0, 1)), _cover(mouth)], -1)
        detail = np.stack([height, np.clip(gloss, 0, 1)], -1).astype(np.float32)
        return SkinMaps(self._spread(maps)[::-1], self._spread(detail)[::-1])

    def _brows(self) -> Floats:
        """Return the eyebrows as the front sees them: strokes along an arc."""
        random, canvas = self._random, _canvas()
        density = self._person.skin.brow
        thickness = 0.060 * density * random.uniform(0.8, 1.2)
        arch, lift, reach = random.uniform(0.02, 0.06), random.uniform(0.17, 0.215), random.uniform(0.38, 0.45)
        for side in (-1, 1):
            for _ in range(int(420 * density)):
                t = random.random()
                y = 6.70 + lift + arch * math.sin(math.pi * min(t * 1.15, 1)) - 0.20 * max(0.0, t - 0.65) ** 1.2
                y += random.normal(0, 0.42) * thickness * (1 - 0.75 * t**2) * (0.6 + 0.4 * min(1, t * 6))
                turn = math.radians(float(np.interp(t, [0, 0.25, 0.7, 1], [75, 35, 5, -25])) + random.normal(0, 12))
                length = random.uniform(0.05, 0.09)
                dx, dy = math.cos(turn) * length, math.sin(turn) * length * 0.8
                x = side * (0.10 + t * reach)
                ends = _dot(x, y - dy / 2), _dot(x + side * dx, y + dy / 2)
                cv2.line(canvas, *ends, [float(random.uniform(0.45, 0.85))], 1, cv2.LINE_AA, 3)
        sharp = cv2.GaussianBlur(canvas, (0, 0), 1.6) * 1.25
        return np.clip(sharp + cv2.GaussianBlur(sharp, (0, 0), 9) * 0.6, 0, 0.92).astype(np.float32)

    def _redness(self) -> Floats:
        """Return where blood shows: cheeks, nose, ears, chin."""
        red = 0.55 * self._blob(0.42, 6.25, 0.16) + 0.7 * self._blob(0, 6.25, 0.10) + 0.2 * self._blob(0, 5.75, 0.15)
        red += 0.5 * cv2.GaussianBlur(self._masks["ears"], (0, 0), 8) + 0.25 * self._noise(5, 2)
        return np.asarray(np.clip(red, -0.3, 1.2), np.float32)

    def _hollows(self, age: float) -> Floats:
        lids = cv2.GaussianBlur(self._masks["eyelids"], (0, 0), 5)
        dark = 0.8 * self._blob(0.275, 6.56, 0.09) + 0.5 * self._blob(0.14, 6.72, 0.06) + 0.35 * lids
        return np.asarray(dark * (0.18 + 0.14 * age), np.float32)

    def _stubble(self, lips: Floats) -> Floats:
        where = self._blob(0.2, 5.75, 0.26) + 0.8 * self._blob(0, 6.02, 0.12) + 0.5 * self._blob(0.55, 6.0, 0.2)
        grain = self._noise(110, 1) * 0.5 + 0.6
        cover = np.clip(_ramp(0.0, 0.5, where) * grain * (1 - lips), 0, 1)
        return np.asarray(cover * self._person.skin.stubble, np.float32)

    def _scalp(self) -> Floats:
        above = hairline(self._places, self._person.hair) + 0.05 * self._noise(9, 2)
        cover = _ramp(-0.02, 0.10, above) * (0.75 + 0.2 * self._noise(50, 1))
        return np.clip(cover, 0, 1).astype(np.float32) * self._covered

    def _oily(self) -> Floats:
        """Return where the skin shines: forehead, nose, cheekbones, chin."""
        oily = self._blob(0, 7.0, 0.2) + self._blob(0, 6.35, 0.12) + 0.7 * self._blob(0.42, 6.42, 0.1)
        return np.asarray(oily + 0.5 * self._blob(0, 5.75, 0.1), np.float32)

    def _blob(self, x: float, y: float, size: float) -> Floats:
        across, up = np.abs(self._flat[:, 0]) - x, self._flat[:, 1] - y
        return self._whole(np.exp(-(across**2 + up**2) / (2 * size**2)) * (self._flat[:, 2] > 0.3))

    def _noise(self, frequency: float, octaves: int, stretch: tuple[float, float, float] = (1, 1, 1)) -> Floats:
        points = self._flat * np.array(stretch, np.float32)
        return self._whole(_value_noise(points, frequency, self._random, octaves))

    def _whole(self, values: Floats) -> Floats:
        picture = np.zeros(SIZE * SIZE, np.float32)
        picture[self._inside] = values
        return picture.reshape(SIZE, SIZE)

    def _from_front(self, *canvases: Floats) -> list[Floats]:
        x = ((self._places[..., 0] - _LEFT) * _DOTS).astype(np.float32)
        y = ((_TOP - self._places[..., 1]) * _DOTS).astype(np.float32)
        return [cv2.remap(canvas, x, y, cv2.INTER_LINEAR).astype(np.float32) * self._front for canvas in canvases]

    def _spread(self, picture: Floats) -> Floats:
        """Carry colours a little over the seams, so that filtering finds no hole beside them."""
        weight = self._covered.astype(np.float32)
        total = cv2.blur(weight, (9, 9))
        filled = cv2.blur(picture * weight[..., None], (9, 9)) / np.maximum(total, 1e-4)[..., None]
        return np.where(self._covered[..., None], picture, filled).astype(np.float32)


def _wrinkles(random: Generator, age: float) -> Floats:
    """Return wrinkles as the front sees them: forehead, crow's feet, folds beside nose and mouth, lids; deeper with age."""
    canvas = _canvas()
    if age <= 0.3:
        return canvas

    def line(points: list[tuple[float, float]], width: float, depth: float) -> None:
        stroke = _canvas()
        dots = np.array([_dot(*point) for point in points], np.int32)
        cv2.polylines(stroke, [dots], False, [1.0], max(1, int(width * _DOTS * 0.02)), cv2.LINE_AA, 3)
        soft = cv2.GaussianBlur(stroke, (0, 0), width * _DOTS * 0.008)
        np.maximum(canvas, soft / (soft.max() + 1e-6) * depth, out=canvas)

    for k in range(int(2 + age * 3)):
        y, phase = 7.08 + k * 0.085 + random.normal(0, 0.01), random.random() * 6
        across = np.linspace(-random.uniform(0.25, 0.5), random.uniform(0.25, 0.5), 30)
        wave = [(x, y + 0.018 * math.sin(x * 5 + phase) - 0.05 * x * x + random.normal(0, 0.003)) for x in across]
        line(wave, 0.5, age * random.uniform(0.4, 0.9))
    folds = random.uniform(0.6, 1.0, 3)
    for side in (-1, 1):
        for k in range(5):
            turn, length = math.radians(-40 + k * 20 + random.normal(0, 5)), random.uniform(0.1, 0.2)
            steps = np.linspace(0, 1, 8) * length
            line(
                [(side * (0.52 + math.cos(turn) * t), 6.69 + math.sin(turn) * t) for t in steps],
                0.35,
                age * random.uniform(0.4, 0.8),
            )
        steps = np.linspace(0, 1, 20)
        line(
            [(side * (0.16 + 0.15 * t + 0.03 * math.sin(t * 3)), 6.30 - 0.38 * t) for t in steps],
            1.0,
            age * 0.9 * folds[0],
        )
        line([(side * (0.28 + 0.03 * t), 5.88 - 0.17 * t) for t in steps], 0.7, age * 0.7 * folds[1])
        for k in range(2):
            bag = [(side * (0.135 + 0.33 * t), 6.57 - 0.05 * k - 0.055 * math.sin(math.pi * t)) for t in steps]
            line(bag, 0.5, age * 0.7 * folds[2])
    for k in range(2):
        line([(random.normal(0.03 * (2 * k - 1), 0.004), y) for y in np.linspace(6.85, 7.0, 8)], 0.5, age * 0.6)
    return canvas


def _spots(random: Generator, age: float) -> Floats:
    canvas = _canvas()
    for _ in range(int(6 + 60 * age)):
        centre = _dot(random.uniform(-0.8, 0.8), random.uniform(5.6, 7.5))
        axes = [int(_DOTS * 8 * random.uniform(0.004, 0.012 + 0.018 * age)) for _ in range(2)]
        strength = float(random.uniform(0.1, 0.35))
        cv2.ellipse(canvas, centre, axes, random.uniform(0, 180), 0, 360, [strength], -1, cv2.LINE_AA, 3)
    return cv2.GaussianBlur(canvas, (0, 0), 4).astype(np.float32)


def _value_noise(points: Floats, frequency: float, random: Generator, octaves: int) -> Floats:
    """Return smooth noise at points (N, 3), about -1..1, (N,)."""
    total, strength = np.zeros(len(points), np.float32), 1.0
    for _ in range(octaves):
        grid = random.random((32, 32, 32)).astype(np.float32)
        shifted = points * np.float32(frequency) + random.random(3).astype(np.float32) * 32
        cell = np.floor(shifted).astype(np.int32)
        part = shifted - cell
        part = part * part * (3 - 2 * part)
        value = np.zeros(len(points), np.float32)
        for corner in np.ndindex(2, 2, 2):
            x, y, z = ((cell[:, axis] + corner[axis]) % 32 for axis in range(3))
            weights = [np.abs(1 - corner[axis] - part[:, axis]) for axis in range(3)]
            value += grid[x, y, z] * weights[0] * weights[1] * weights[2]
        total += np.float32(strength) * (value - 0.5) * 2
        strength, frequency = strength * 0.5, frequency * 2.03
    return total


def _canvas() -> Floats:
    return np.zeros((int((_TOP - _BOTTOM) * _DOTS), int((_RIGHT - _LEFT) * _DOTS)), np.float32)


def _dot(x: float, y: float) -> tuple[int, int]:
    """Return the place on the canvas in eighths of a pixel."""
    return round((x - _LEFT) * _DOTS * 8), round((_TOP - y) * _DOTS * 8)


def _ramp(low: float, high: float, values: Floats) -> Floats:
    t = np.clip((values - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _cover(mask: Floats) -> Floats:
    return mask[..., None].astype(np.float32)
