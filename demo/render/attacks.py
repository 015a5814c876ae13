"""Renders sheets that show a person: a flat print, a bent one, a cut-out with eye holes before another face."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator

from demo.render import forms
from demo.render.camera import HEIGHT, WIDTH, focal_px, rotation, to_pixels, zoomed
from demo.render.coding import LAYERS, scale_of, to_code, write_description
from demo.render.description import Attack, Person, Place
from demo.render.encode import ClipWriter
from demo.render.figure import Figure
from demo.render.gpu import Kind, Painter, Scene, Solid
from demo.render.mesh import Floats, ShapeData
from demo.render.motion import RATE, Pose, held_acts, live_acts
from demo.render.people import person_facts, truth_of
from demo.render.scenes import composed, lighting_of, room_picture, solid_of

_ZOOM = 1.5
_PRINT_SCALE = 3
"""Printed dots per pixel of the portrait."""
_SHEET = (0.25, 0.31)
"""Metres of a flat or bent print, nearly A4: a life-size head."""
_MASK = (0.170, 0.235)
"""Metres of the sheet of which a cut-out is cut."""
_BENDS: dict[str, float] = {"print_flat": 0.0, "print_bent": 4.5, "cut_out": 5.5}
"""1 / metres."""
_SATURATION, _INK_BLACK, _PAPER_WHITE = 0.86, 0.022, (0.84, 0.83, 0.80)
"""Of an inkjet on plain paper: less colour, a black that reflects 2 %, a white that reflects 83 %."""
_THUMB = (0.46, 0.27, 0.19)


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photograph of a person as an attacker may have it: frontal, lit room, life-size."""

    linear: Floats
    """(HEIGHT, WIDTH, 3), 1 is white."""
    metres_per_px: float
    eyes_px: Floats
    """(2, 2), own left eye first."""


def take_portrait(person: Person, painter: Painter, data: ShapeData) -> Portrait:
    """Photograph a person."""
    place = Place(distance=0.60, up=0.0, room=person.place.room, light="ceiling")
    sitter = person.model_copy(update={"place": place})
    figure, lighting = Figure(painter, data, sitter), lighting_of(place)
    lens = zoomed(_ZOOM)
    room = np.stack([cv2.resize(layer, (WIDTH, HEIGHT)) for layer in room_picture(painter, place, lighting)])
    seen = composed(painter.shoot(figure.scene(Pose(smile=0.06)), lighting, lens=lens), room)
    light = seen[0] + 0.35 * (seen[1] + seen[2])
    middle = light[HEIGHT // 4 : HEIGHT * 3 // 4, WIDTH // 3 : WIDTH * 2 // 3].mean()
    eyes = (to_pixels(figure.eye_centres()) - (WIDTH / 2, HEIGHT / 2)) * _ZOOM + (WIDTH / 2, HEIGHT / 2)
    metres = (place.distance + 0.01) / focal_px() / _ZOOM
    return Portrait(np.clip(light * 0.30 / middle, 0, 1).astype(np.float32), metres, eyes.astype(np.float32))


def printed(picture: Floats, random: Generator) -> Floats:
    """Return the linear reflectance of a print, (3h, 3w, 3), of a linear picture (h, w, 3): fewer colours, ink dots, grain."""
    height, width = (side * _PRINT_SCALE for side in picture.shape[:2])
    large = np.clip(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    grey = large.mean(-1, keepdims=True)
    large = np.clip(grey + (large - grey) * _SATURATION, 0, 1)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    dots = np.empty_like(large)
    for channel, angle in enumerate(np.deg2rad([15, 75, 0])):
        u = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / 3
        v = (y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / 3
        limit = 0.5 + 0.25 * (np.cos(u) + np.cos(v))
        dots[..., channel] = 1 / (1 + np.exp(-(large[..., channel] - limit) * 8))
    inked = 0.72 * large + 0.28 * dots
    paper = np.array(_PAPER_WHITE, np.float32)
    grain = 1 + 0.015 * random.normal(size=(height, width, 1)).astype(np.float32)
    return np.asarray(((_INK_BLACK + inked * (paper - _INK_BLACK)) * grain).clip(0, 1), np.float32)


def render_attack(
    name: str,
    attack: Attack,
    people: dict[str, Person],
    portrait: Portrait,
    painter: Painter,
    data: ShapeData,
    folder: Path,
) -> None:
    """Write `<name>.mp4` and `<name>.toml` into a folder."""
    shown = people[attack.of]
    worn = attack.species == "cut_out"
    place = shown.place.model_copy(update={"yaw_deg": 0.0, "pitch_deg": 0.0, "roll_deg": 0.0})
    stage = _Worn(attack, people, place, portrait, painter, data) if worn else _Held(attack, place, portrait, painter)
    lighting = lighting_of(place)
    room = room_picture(painter, place, lighting)
    names = ("blink", "turn_left", "turn_right", "look_up")
    acts = live_acts(attack.seed, names=names) if worn else held_acts(attack.seed)
    extremes = [acts.poses[0]] + [acts.poses[max(indices)] for indices in acts.segments.values()]
    scale = scale_of(composed(painter.shoot(stage.scene(pose), lighting), room) for pose in extremes)
    writer = ClipWriter(folder / f"{name}.mp4", RATE)
    for pose in acts.poses:
        writer.add(to_code(composed(painter.shoot(stage.scene(pose), lighting), room), scale))
    writer.close()
    content: dict[str, object] = {
        "kind": "layered",
        "clip": f"{name}.mp4",
        "layers": list(LAYERS),
        "scale": scale,
        "shown_rate": RATE,
        "group": shown.group,
        "segments": acts.segments,
        "truth": truth_of(acts, shown.model_copy(update={"place": place})),
        "attack": {"species": attack.species, "of": attack.of, **({"behind": attack.behind} if attack.behind else {})},
        "person": person_facts(shown),
    }
    write_description(folder / f"{name}.toml", f"{_COMMENTS[attack.species]} {attack.of}.", content)


class _Held:
    """A print in two hands."""

    def __init__(self, attack: Attack, place: Place, portrait: Portrait, painter: Painter) -> None:
        random = np.random.default_rng(attack.seed)
        width, height = _SHEET
        middle = portrait.eyes_px.mean(axis=0) + np.array([0, 0.035 / portrait.metres_per_px])
        picture = _cut(portrait, middle, width, height)
        alpha = np.ones((*picture.shape[:2], 1), np.float32)
        self._sheet = _paper(painter, picture, alpha, random, _SHEET, _BENDS[attack.species])
        self._hands = _thumbs(painter, width, _BENDS[attack.species])
        self._place = place
        self._lean = random.uniform(-1.5, 1.5, 2)

    def scene(self, pose: Pose) -> Scene:
        """Return the sheet and the hands in this pose."""
        place = self._place
        matrix = np.eye(4, dtype=np.float32)
        matrix[:3, :3] = rotation(pose.yaw_deg + self._lean[0], pose.pitch_deg + self._lean[1], pose.roll_deg)
        matrix[:3, 3] = (place.right + pose.right, place.up - 0.035 + pose.up, -place.distance + pose.near)
        for part in (self._sheet, *self._hands):
            part.to_scene = matrix
        return Scene([self._sheet, *self._hands])


class _Worn:
    """A cut-out before the face of somebody else, whose eyes look through it."""

    def __init__(
        self,
        attack: Attack,
        people: dict[str, Person],
        place: Place,
        portrait: Portrait,
        painter: Painter,
        data: ShapeData,
    ) -> None:
        behind = people[attack.behind or attack.of].model_copy(update={"place": place})
        self._figure = Figure(painter, data, behind)
        eyes = self._figure.eye_centres()
        random = np.random.default_rng(attack.seed)
        wide = float(np.linalg.norm(eyes[0] - eyes[1]))
        fit = wide / (float(np.linalg.norm(portrait.eyes_px[0] - portrait.eyes_px[1])) * portrait.metres_per_px)
        width, height = _MASK
        middle = portrait.eyes_px.mean(axis=0) + np.array([0, 0.030 / portrait.metres_per_px / fit])
        picture = _cut(portrait, middle, width / fit, height / fit)
        alpha = _outline(picture.shape[:2], width, height, wide)
        self._sheet = _paper(painter, picture, alpha, random, _MASK, _BENDS["cut_out"])

    def scene(self, pose: Pose) -> Scene:
        """Return the person behind, moving as in this pose, and the cut-out before the face."""
        scene = self._figure.scene(pose)
        matrix = np.eye(4, dtype=np.float32)
        matrix[:3, 3] = (0.0, -0.030, 0.041)
        self._sheet.to_scene = self._figure.head @ matrix
        return Scene([*scene.solids, self._sheet], scene.strands)


_COMMENTS: dict[Literal["print_flat", "print_bent", "cut_out"], str] = {
    "print_flat": "A flat print, trembling in two hands, turned and tilted, of",
    "print_bent": "A print bent to an arch, trembling in two hands, turned and tilted, of",
    "cut_out": "A cut-out with eye holes, worn by somebody who blinks and turns behind it, of",
}


def _cut(portrait: Portrait, middle: Floats, width: float, height: float) -> Floats:
    """Return the part of a portrait around a pixel that is so many metres wide and high; edges are repeated outside."""
    size = (round(width / portrait.metres_per_px), round(height / portrait.metres_per_px))
    return np.asarray(
        cv2.warpAffine(
            portrait.linear,
            np.array([[1, 0, size[0] / 2 - middle[0]], [0, 1, size[1] / 2 - middle[1]]], np.float32),
            size,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


def _paper(
    painter: Painter, picture: Floats, alpha: Floats, random: Generator, size: tuple[float, float], bend: float
) -> Solid:
    ink = printed(picture, random)
    cover = cv2.resize(alpha, ink.shape[1::-1])[..., None]
    pixels = np.concatenate([np.sqrt(ink), cover], -1)[::-1]
    form = forms.sheet(*size, bend=bend)
    place = (form.texture * (alpha.shape[1] - 1, alpha.shape[0] - 1)).round().astype(int)
    is_solid = alpha[alpha.shape[0] - 1 - place[:, 1], place[:, 0], 0] > 0.5
    casting = form.triangles[is_solid[form.triangles].all(axis=1)]
    sheet = solid_of(painter, form, Kind.PAPER, casting=casting, roughness=0.5, f0=0.022)
    sheet.maps = {"albedo_map": painter.map_of(np.ascontiguousarray(pixels))}
    return sheet


def _outline(shape: tuple[int, ...], width: float, height: float, eye_distance: float) -> Floats:
    """Return the alpha of a cut-out: an egg around the face with two almond holes 30 mm above its middle."""
    rows, columns = shape[:2]
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    x, y = (x / columns - 0.5) * width, (0.5 - y / rows) * height
    taper = 1 - 0.9 * np.clip(-y, 0, None) / height
    egg = np.hypot(x / (0.47 * width * taper), y / (0.48 * height))
    alpha = (egg < 1).astype(np.float32)
    for side in (-1, 1):
        hole = np.hypot((x - side * eye_distance / 2) / 0.0185, (y - 0.030) / 0.0095)
        alpha[hole < 1] = 0.0
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), 0.8)[..., None], np.float32)


def _thumbs(painter: Painter, width: float, bend: float) -> list[Solid]:
    edge = np.sin(width / 2 * bend) / bend if bend else width / 2
    back = -(1 - np.cos(width / 2 * bend)) / bend if bend else 0.0
    parts = []
    for side in (-1, 1):
        for start, end, radius in (
            ((edge + 0.028, -0.085, back - 0.008), (edge - 0.016, -0.068, back + 0.010), 0.0095),
            ((edge + 0.030, -0.090, back - 0.012), (edge + 0.022, -0.170, back - 0.020), 0.021),
        ):
            form = forms.capsule((side * start[0], *start[1:]), (side * end[0], *end[1:]), radius)
            parts.append(solid_of(painter, form, Kind.PLAIN, colour=_THUMB, roughness=0.5))
    return parts
