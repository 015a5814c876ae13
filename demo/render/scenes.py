"""Rooms and their light, and the ring around the lens."""

from __future__ import annotations

import math

import cv2
import numpy as np

from demo.render import forms
from demo.render.description import Place
from demo.render.forms import Form
from demo.render.gpu import Kind, Lighting, Painter, Scene, Solid
from demo.render.mesh import Floats, Ints

RING_RADIUS = 0.075
"""Metres from the lens to the ring's diodes."""
LAMP_STRENGTH = 0.30
"""Radiance of white paper at 0.55 m under one half, where 1 is white paper in a lit room. Source: an assumption, a small ring
against a lit office; whoever plays a clip may scale the lamp layers."""
_WALL = 1.15
"""Metres from the face to the wall."""

_Key = tuple[tuple[float, float, float], tuple[float, float, float], float]
_WARM, _DAY = (1.0, 0.90, 0.76), (0.88, 0.95, 1.06)


def lighting_of(place: Place) -> Lighting:
    """Return the light in which a person at this place is seen."""
    keys, fill = _keys(place.light)
    ways = np.array([way for way, _, _ in keys], np.float32)
    colours = np.array([colour for _, colour, _ in keys], np.float32) * place.brightness
    level = fill * place.brightness
    return Lighting(
        lamp_left=ring_half(1),
        lamp_right=ring_half(-1),
        lamp_strength=LAMP_STRENGTH,
        sky=(0.95 * level, 0.97 * level, 1.0 * level),
        horizon=(0.72 * level, 0.70 * level, 0.67 * level),
        ground=(0.34 * level, 0.30 * level, 0.27 * level),
        key_direction=ways / np.linalg.norm(ways, axis=1, keepdims=True),
        key_colour=colours,
        key_width=(keys[0][2], keys[1][2]),
        target=np.array([place.right, place.up - 0.03, -place.distance - 0.05], np.float32),
    )


def ring_half(side: int) -> Floats:
    """Return three points of a half of the ring, (3, 3) metres; side 1 is the subject's left, -1 the right."""
    turns = (math.radians(angle) for angle in (48, 0, -48))
    return np.array([[side * RING_RADIUS * math.cos(t), RING_RADIUS * math.sin(t), 0.0] for t in turns], np.float32)


def room_picture(painter: Painter, place: Place, lighting: Lighting) -> Floats:
    """Return the empty room, (3, H, W, 3), linear, a little out of focus."""
    scene = Scene(_room(painter, place))
    seen = painter.shoot(scene, lighting)[..., :3]
    return np.asarray([cv2.GaussianBlur(layer, (0, 0), 1.4) for layer in seen], np.float32)


def composed(front: Floats, room: Floats) -> Floats:
    """Return the picture of what stands before a room: front (3, H, W, 4) over room (3, H, W, 3)."""
    return front[..., :3] + room * (1 - np.clip(front[..., 3:], 0, 1))


def solid_of(painter: Painter, form: Form, kind: Kind, *, casting: Ints | None = None, **material: object) -> Solid:
    """Make a form a part of a scene."""
    solid = Solid(painter, form.texture, form.triangles, kind, casting=casting, **material)  # type: ignore[arg-type]  # values of uniforms
    solid.place(form.positions, form.normals)
    return solid


def _keys(light: str) -> tuple[tuple[_Key, _Key], float]:
    """Return the two main lights (direction, radiance, breadth) and the level of the surroundings."""
    ceiling: _Key = ((0.25, 1.0, 0.25), tuple(0.55 * c for c in _WARM), 0.35)  # type: ignore[assignment]  # three of them
    if light.startswith("window_") and light != "window_behind":
        side = 1.0 if light == "window_left" else -1.0
        window: _Key = ((side, 0.25, 0.45), tuple(0.62 * c for c in _DAY), 0.5)  # type: ignore[assignment]  # three of them
        return (window, ((0.1, 1.0, 0.2), tuple(0.28 * c for c in _WARM), 0.35)), 0.42  # type: ignore[return-value]  # three
    if light == "window_behind":
        rim: _Key = ((0.5, 0.35, -0.9), tuple(1.5 * c for c in _DAY), 0.5)  # type: ignore[assignment]  # three of them
        return (rim, ((0.0, 1.0, 0.3), tuple(0.15 * c for c in _WARM), 0.35)), 0.36  # type: ignore[return-value]  # three
    if light == "dim":
        return (((0.6, 0.6, 0.4), (0.40, 0.30, 0.19), 0.25), ((0.0, 1.0, 0.0), (0.05, 0.05, 0.05), 0.4)), 0.25
    return (ceiling, ((-0.5, 0.35, 0.8), tuple(0.22 * c for c in _DAY), 0.5)), 0.48  # type: ignore[return-value]  # three


def _room(painter: Painter, place: Place) -> list[Solid]:
    random = np.random.default_rng(1000 + place.room)
    back = -place.distance - _WALL
    tint = random.uniform(0.38, 0.72) * np.array([1.0, 0.97, 0.90]) * random.uniform(0.92, 1.06, 3)
    solids = [_box(painter, (-3, -2, back - 0.1), (3, 2.5, back), tint)]
    skirting = tint * random.uniform(0.45, 0.8)
    solids.append(_box(painter, (-3, -2, back), (3, random.uniform(-0.75, -0.45), back + 0.012), skirting))
    for _ in range(6):
        width, height, deep = random.uniform(0.10, 0.42), random.uniform(0.10, 0.5), random.uniform(0.01, 0.25)
        x, y = random.uniform(-1.25, 1.25), random.uniform(-0.85, 0.75)
        shade = random.uniform(0.08, 0.6) * random.uniform(0.6, 1.3, 3)
        low, high = (x - width / 2, y - height / 2, back), (x + width / 2, y + height / 2, back + deep)
        solids.append(_box(painter, low, high, np.clip(shade, 0.02, 0.85)))
        if deep < 0.06:
            inner = (
                (x - width * 0.42, y - height * 0.42, back + deep),
                (x + width * 0.42, y + height * 0.42, back + deep + 0.004),
            )
            solids.append(_box(painter, *inner, np.clip(random.uniform(0.1, 0.8, 3), 0, 1)))
    if place.light == "window_behind":
        glow = 2.6 * place.brightness * np.array(_DAY)
        x = random.uniform(0.1, 0.45)
        solids.append(_box(painter, (x - 0.42, -0.35, back), (x + 0.42, 0.8, back + 0.02), (0.8, 0.8, 0.78)))
        for pane in (-0.2, 0.2):
            low, high = (x + pane - 0.175, -0.3, back + 0.02), (x + pane + 0.175, 0.75, back + 0.03)
            solids.append(_box(painter, low, high, glow, Kind.SHINING))
    if place.bed:
        z = -place.distance - 0.16
        form = forms.sphere(1.0)
        size = np.array([0.33, 0.21, 0.07], np.float32)
        pillow = Form(
            form.positions * size + (place.right, place.up - 0.03, z - 0.05),
            form.normals / size,
            form.texture,
            form.triangles,
        )
        solids.append(
            solid_of(
                painter, pillow, Kind.CLOTH, colour=(0.66, 0.68, 0.72), roughness=0.9, cut_height=9.0, cut_curve=0.0
            )
        )
    return solids


def _box(
    painter: Painter,
    low: tuple[float, ...],
    high: tuple[float, ...],
    colour: Floats | tuple[float, ...],
    kind: Kind = Kind.PLAIN,
) -> Solid:
    tone = tuple(float(value) for value in colour)
    return solid_of(painter, forms.box(low, high), kind, colour=tone, roughness=0.8)
