"""Strands of hair and beard: polylines that grow from the head and lie over it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from demo.render.description import Hair
from demo.render.mesh import Floats, Ints
from demo.render.skin import Reference, hairline

_POINTS = 5
_ROWS, _COLUMNS = 90, 180


class HeadForm:
    """The distance of the head's skin from its centre in each direction, to keep hair outside."""

    def __init__(self, points: Floats, centre: Floats) -> None:
        self.centre = centre
        way = points - centre
        distance = np.linalg.norm(way, axis=1)
        row, column = self._cell(way / distance[:, None])
        grid = np.zeros((_ROWS, _COLUMNS), np.float32)
        np.maximum.at(grid, (row, column), distance)
        wide = np.concatenate([grid] * 3, axis=1)
        for _ in range(12):
            grown = cv2.dilate(wide, np.ones((3, 3), np.uint8))
            wide = np.where(wide > 0, wide, grown)
        wide[:6] = wide[6].mean()
        self._grid = cv2.blur(wide, (5, 5))[:, _COLUMNS : 2 * _COLUMNS].astype(np.float32)

    def distance(self, ways: Floats) -> Floats:
        """Return the skin's distance in directions (N, 3), (N,)."""
        row, column = self._cell(ways)
        return self._grid[row, column]

    def _cell(self, ways: Floats) -> tuple[Ints, Ints]:
        row = (np.arccos(np.clip(ways[:, 1], -1, 1)) / np.pi * _ROWS).astype(np.int32).clip(0, _ROWS - 1)
        column = (
            ((np.arctan2(ways[:, 0], ways[:, 2]) / np.pi + 1) / 2 * _COLUMNS).astype(np.int32).clip(0, _COLUMNS - 1)
        )
        return row, column


def scalp_strands(hair: Hair, points: Floats, quads: Ints, reference: Reference, seed: int) -> tuple[Floats, Floats]:
    """Grow the hair of a head.

    Args:
        hair: the style.
        points: (N, 3), the head's skin in mesh units.
        quads: (F, 4), its faces.
        reference: brings mesh units to reference places.
        seed: what is drawn.

    Returns:
        Polylines (S, P, 3) in mesh units, and a brightness for each strand, (S,).
    """
    random = np.random.default_rng(seed)
    middles = points[quads].mean(axis=1)
    places = reference.apply(middles)
    lowest = 5.9 if hair.style == "bob" else 6.25
    chosen = quads[(hairline(places, hair) > 0) & (places[:, 1] > lowest)]
    roots, normals = _scatter(points, chosen, hair.strands, random)
    is_on_head = reference.apply(points)[:, 1] > 5.2
    crown = middles[places[:, 1] > 6.2]
    centre = np.array([0.0, crown[:, 1].mean(), crown[:, 2].mean()], np.float32)
    form = HeadForm(points[is_on_head], centre)
    lines = _grow(hair, roots, normals, form, random)
    shades = (1 + 0.22 * random.normal(size=len(lines))).clip(0.4, 1.8)
    return lines, shades.astype(np.float32)


def beard_strands(length: float, points: Floats, quads: Ints, reference: Reference, seed: int) -> tuple[Floats, Floats]:
    """Grow a beard of this length 0..1 on chin, cheeks and upper lip; arguments and result as of `scalp_strands`."""
    random = np.random.default_rng(seed + 1)
    places = reference.apply(points[quads].mean(axis=1))
    x, y, z = np.abs(places[:, 0]), places[:, 1], places[:, 2]
    is_chin = (x < 0.62) & (y < 5.98 - 0.20 * np.cos(x * 4)) & (y > 5.5) & (z > 0.35)
    is_side = (x > 0.42) & (x < 0.72) & (y < 6.25 + (x - 0.42) * 0.9) & (y > 5.6) & (z > 0.25) & (z < 1.0)
    is_lip = (x < 0.26) & (y < 6.22 - 0.1 * x) & (y > 6.12 - 0.28 * x) & (z > 1.0)
    chosen = quads[is_chin | is_side | is_lip]
    roots, normals = _scatter(points, chosen, int(1500 + 1500 * length), random)
    longest = (0.04 + 0.28 * length) / (_POINTS - 1)
    step = (
        longest * np.where(reference.apply(roots)[:, 1:2] > 6.04, 0.25, 1.0) * random.uniform(0.6, 1.3, (len(roots), 1))
    )
    way = normals * 0.8 + np.array([0, -0.75, 0.1]) + random.normal(size=roots.shape) * 0.22
    lines = [roots - 0.01 * normals]
    for _ in range(_POINTS - 1):
        way = way + np.array([0, -0.18, 0]) + random.normal(size=roots.shape) * 0.12
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        lines.append(lines[-1] + way * step)
    shades = (1 + 0.3 * random.normal(size=len(roots))).clip(0.4, 1.8)
    return np.stack(lines, 1).astype(np.float32), shades.astype(np.float32)


def _scatter(points: Floats, quads: Ints, count: int, random: Generator) -> tuple[Floats, Floats]:
    """Return points spread evenly over the faces and the faces' unit normals, (count, 3) each."""
    a, b, c, d = (points[quads[:, corner]] for corner in range(4))
    normal = np.cross(c - a, d - b)
    area = np.linalg.norm(normal, axis=1)
    pick = random.choice(len(quads), count, p=area / area.sum())
    s, t = random.random((2, count, 1)).astype(np.float32)
    spread = (a[pick] * (1 - s) + b[pick] * s) * (1 - t) + (d[pick] * (1 - s) + c[pick] * s) * t
    return spread.astype(np.float32), (normal[pick] / area[pick, None]).astype(np.float32)


def _grow(hair: Hair, roots: Floats, normals: Floats, form: HeadForm, random: Generator) -> Floats:
    count = len(roots)
    length = hair.length * (1 + 0.25 * random.normal(size=(count, 1))).clip(0.5, 1.6)
    lift = hair.volume * random.uniform(0.35, 1.0, (count, 1))
    locks = random.normal(size=(500, 3)).astype(np.float32)
    lock = locks[random.integers(0, 500, count)]
    curl = {"curls": 0.85, "short": 0.22, "bob": 0.06}.get(hair.style, 0.14)
    lines = [roots - 0.02 * normals]
    phase = random.uniform(0, 2 * np.pi, (count, 1))
    for k in range(1, _POINTS):
        at = lines[-1]
        out = at - form.centre
        distance = np.linalg.norm(out, axis=1, keepdims=True)
        out = out / distance
        way = _flow(hair, at, roots, form.centre) + curl * 0.5 * lock
        if hair.style == "curls":
            turn = phase + k * 1.9
            side = np.cross(out, [0.3, 1.0, 0.2])
            way = way + curl * 1.6 * (np.cos(turn) * side + np.sin(turn) * np.cross(out, side))
        way = way + random.normal(size=way.shape) * curl * 0.35
        hangs = (at[:, 1:2] < form.centre[1] - 0.1) & (hair.style == "bob")
        way -= np.where(hangs, 0.0, (way * out).sum(1, keepdims=True)) * out
        way /= np.linalg.norm(way, axis=1, keepdims=True) + 1e-6
        moved = at + way * length / (_POINTS - 1)
        rel = moved - form.centre
        rel_distance = np.linalg.norm(rel, axis=1, keepdims=True)
        rel = rel / rel_distance
        t = k / (_POINTS - 1)
        height = lift * (np.sin(np.pi * min(0.5 + 0.25 * t, t * 1.6)) if hair.style != "curls" else t**0.5) + 0.02
        skin = form.distance(rel.astype(np.float32))[:, None]
        lines.append(
            np.where(
                hangs, form.centre + rel * np.maximum(rel_distance, skin + 0.04), form.centre + rel * (skin + height)
            )
        )
    return np.stack(lines, 1).astype(np.float32)


def _flow(hair: Hair, at: Floats, roots: Floats, centre: Floats) -> Floats:
    """Return in which direction hair is combed at points (N, 3), before it is laid along the head."""
    rel = at - centre
    side = np.sign(roots[:, 0:1] - 0.25)
    down = np.array([[0.0, -1.0, 0.0]])
    front = (rel[:, 2:3] > 0.25).astype(np.float32)
    if hair.style in ("back", "bald"):
        return np.asarray(np.array([[0.0, 0.25, -1.0]]) + 0.5 * down * (rel[:, 1:2] < 0.3), np.float32)
    if hair.style == "side":
        over = np.concatenate([1.2 * side, np.zeros_like(side), -0.35 + 0 * side], 1)
        return np.asarray(over + 0.9 * down * (np.abs(rel[:, 0:1]) > 0.5), np.float32)
    if hair.style == "bob":
        falling = np.clip((rel[:, 1:2] + 0.5) / 0.6, -0.12, 1)
        return np.concatenate([1.3 * side * falling, -0.9 + 0 * side, -0.30 * front * falling], 1)
    crown = np.array([[0.05, 0.9, -0.5]])
    away = rel - crown
    return np.asarray(away / (np.linalg.norm(away, axis=1, keepdims=True) + 1e-6) + 0.25 * down, np.float32)
