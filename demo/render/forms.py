"""Simple bodies: spheres, tubes, boxes, sheets. Each is positions (N, 3), normals (N, 3), texture (N, 2), triangles (M, 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from demo.render.mesh import Floats, Ints


@dataclass(frozen=True, slots=True)
class Form:
    """A body made of triangles."""

    positions: Floats
    normals: Floats
    texture: Floats
    triangles: Ints


def sphere(radius: float, *, bulge: float = 0.0) -> Form:
    """Return a sphere around the origin whose pole looks along positive z; `bulge` raises a cornea there, as a share."""
    rings, sectors = 36, 40
    polar, around = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, sectors + 1), indexing="ij")
    way = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1)
    raised = 1 + bulge * np.clip(1 - (np.degrees(polar) / 32) ** 2, 0, 1)
    return _grid(way * (radius * raised)[..., None], is_outward=True)


def tube(line: Floats, radius: float, *, is_closed: bool = False) -> Form:
    """Return a tube of this radius along a polyline (P, 3)."""
    sides = 10
    points = np.concatenate([line[-1:], line, line[:1]]) if is_closed else np.concatenate([line[:1], line, line[-1:]])
    along = points[2:] - points[:-2]
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    aid = np.where(np.abs(along[:, 1:2]) < 0.9, [[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    across = np.cross(along, aid)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    up = np.cross(across, along)
    turn = np.linspace(0, 2 * np.pi, sides + 1)
    ring = across[:, None] * np.cos(turn)[None, :, None] + up[:, None] * np.sin(turn)[None, :, None]
    places = line[:, None] + radius * ring
    if is_closed:
        places, ring = np.concatenate([places, places[:1]]), np.concatenate([ring, ring[:1]])
    form = _grid(places, is_outward=False)
    return Form(form.positions, ring.reshape(-1, 3).astype(np.float32), form.texture, form.triangles)


def capsule(start: Sequence[float], end: Sequence[float], radius: float) -> Form:
    """Return a rod with round ends, such as a finger."""
    a, b = np.array(start, np.float64), np.array(end, np.float64)
    way = (b - a) / np.linalg.norm(b - a)
    bow = np.linspace(-np.pi / 2, 0, 6)
    steps = np.concatenate(
        [a + np.outer(np.sin(bow), way) * radius, b + np.outer(np.sin(bow[::-1] * -1), way) * radius]
    )
    widths = np.concatenate([np.cos(bow), np.cos(bow[::-1])]).clip(0.02) * radius
    aid = np.array([0.0, 1.0, 0.0]) if abs(way[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    across = np.cross(way, aid)
    across /= np.linalg.norm(across)
    up = np.cross(across, way)
    turn = np.linspace(0, 2 * np.pi, 17)
    ring = across * np.cos(turn)[:, None] + up * np.sin(turn)[:, None]
    return _grid(steps[:, None] + widths[:, None, None] * ring[None], is_outward=True)


def sheet(width: float, height: float, *, bend: float = 0.0) -> Form:
    """Return a sheet around the origin that faces positive z; `bend` curves it about the upright axis, 1 / metres."""
    columns, rows = 64, 64
    s, t = np.meshgrid(np.linspace(-0.5, 0.5, columns + 1), np.linspace(-0.5, 0.5, rows + 1))
    if bend:
        turn = s * width * bend
        x, z = np.sin(turn) / bend, -(1 - np.cos(turn)) / bend
    else:
        x, z = s * width, np.zeros_like(s)
    form = _grid(np.stack([x, t * height, z], -1), is_outward=False)
    flip = np.sign(form.normals[:, 2:3]) + (form.normals[:, 2:3] == 0)
    return Form(
        form.positions,
        form.normals * flip,
        np.stack([s + 0.5, t + 0.5], -1).reshape(-1, 2).astype(np.float32),
        form.triangles,
    )


def box(low: Sequence[float], high: Sequence[float]) -> Form:
    """Return a box between two corners."""
    positions, normals, triangles = [], [], []
    corners = np.array([low, high], np.float32)
    for axis in range(3):
        for end in range(2):
            normal = np.zeros(3)
            normal[axis] = 2 * end - 1
            first, second = [other for other in range(3) if other != axis]
            for a, b in ((0, 0), (1, 0), (1, 1), (0, 1)):
                point = np.zeros(3)
                point[axis], point[first], point[second] = corners[end, axis], corners[a, first], corners[b, second]
                positions.append(point)
                normals.append(normal)
            start = len(positions) - 4
            triangles += [[start, start + 1, start + 2], [start, start + 2, start + 3]]
    places = np.array(positions, np.float32)
    return Form(
        places, np.array(normals, np.float32), np.zeros((len(places), 2), np.float32), np.array(triangles, np.int32)
    )


def _grid(places: Floats, *, is_outward: bool) -> Form:
    """Make a body of a grid of points (R, C, 3); its texture runs over the grid."""
    rows, columns = places.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    triangles = np.stack([a, b, c, a, c, d], -1).reshape(-1, 3)
    normals = np.cross(np.gradient(places, axis=1), np.gradient(places, axis=0))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-12
    if is_outward:
        out = places - places.mean(axis=(0, 1))
        normals *= np.where((normals * out).sum(-1, keepdims=True) < 0, -1, 1)
    v, u = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    texture = np.stack([u, v], -1).reshape(-1, 2).astype(np.float32)
    flat = places.reshape(-1, 3).astype(np.float32)
    return Form(flat, normals.reshape(-1, 3).astype(np.float32), texture, triangles.astype(np.int32))
