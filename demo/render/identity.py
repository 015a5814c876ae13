"""A person's shape from the mesh's targets: ancestry, sex, age, weight and drawn details."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from demo.render.description import Shape
from demo.render.mesh import Floats, ShapeData

_DETAIL_FOLDERS = ("head", "nose", "chin", "forehead", "mouth", "cheek", "eyes", "eyebrows", "ears", "neck")
_LEFT_OUT = ("age", "trans-in", "trans-out", "eye-trans-up", "eye-trans-down", "push", "scale-vert", "mouth-trans")
"""Targets that are given otherwise, or leave the range in which a face looks like one."""
_SPREAD, _MOST = 0.34, 0.9
"""Standard deviation and largest weight of a drawn detail. Source: chosen by eye, so that faces differ and still look human."""


def person_vertices(data: ShapeData, shape: Shape) -> Floats:
    """Return the positions of the whole base mesh, (V, 3), as this person at rest."""
    vertices = data.base().vertices.copy()
    for name, weight in {**_macro(shape), **_drawn(data, shape), **shape.details}.items():
        rows, moves = data.target(name)
        vertices[rows] += np.float32(weight) * moves
    return vertices


def add_units(data: ShapeData, vertices: Floats, units: dict[str, float]) -> Floats:
    """Return the positions with the face units added, each with its weight 0..1."""
    moved = vertices.copy()
    for name, weight in units.items():
        if weight != 0.0:
            rows, moves = data.unit(name)
            moved[rows] += np.float32(weight) * moves
    return moved


def _macro(shape: Shape) -> dict[str, float]:
    """Return weights of the targets for ancestry, sex, age, weight and muscle."""
    weights: dict[str, float] = defaultdict(float)
    heaviness = _around(shape.weight, "minweight", "averageweight", "maxweight")
    strength = _around(shape.muscle, "minmuscle", "averagemuscle", "maxmuscle")
    for sex, sex_weight in (("female", 1 - shape.masculinity), ("male", shape.masculinity)):
        for age, age_weight in (("young", 1 - shape.age), ("old", shape.age)):
            for ancestry, share in shape.ancestry.items():
                weights[f"macrodetails/{ancestry}-{sex}-{age}"] += sex_weight * age_weight * share
            for heavy, heavy_weight in heaviness.items():
                for strong, strong_weight in strength.items():
                    name = f"macrodetails/universal-{sex}-{age}-{strong}-{heavy}"
                    weights[name] += sex_weight * age_weight * heavy_weight * strong_weight
    return {name: weight for name, weight in weights.items() if weight > 0.0}


def _around(value: float, low: str, middle: str, high: str) -> dict[str, float]:
    distance = abs(value - 0.5) * 2
    return {middle: 1 - distance, (high if value > 0.5 else low): distance}


def _drawn(data: ShapeData, shape: Shape) -> dict[str, float]:
    """Draw symmetric details: of each pair of opposite targets one, with a random weight."""
    random = np.random.default_rng(shape.seed)
    weights: dict[str, float] = {"head/head-age-incr": 0.5 * shape.age}
    for folder in _DETAIL_FOLDERS:
        names = [name for name in data.target_names(folder) if not any(part in name for part in _LEFT_OUT)]
        families: dict[str, set[str]] = defaultdict(set)
        for name in names:
            bare = name[2:] if name[:2] in ("l-", "r-") else name
            families[bare.rsplit("-", 1)[0]].add(bare)
        for members in families.values():
            chosen = sorted(members)[random.integers(len(members))]
            weight = float(np.clip(abs(random.normal(0, _SPREAD)), 0, _MOST)) * shape.distinctness
            if folder == "head" and "scale" in chosen:
                weight *= 0.5
            if folder == "ears":
                weight *= 0.6
            weights |= {f"{folder}/{name}": weight for name in (chosen, f"l-{chosen}", f"r-{chosen}") if name in names}
    return weights
