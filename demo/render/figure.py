"""A person ready to be drawn in any pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.render import forms
from demo.render.camera import rotation
from demo.render.description import Person
from demo.render.gpu import Kind, Painter, Scene, Solid, Strands
from demo.render.hair import beard_strands, scalp_strands
from demo.render.identity import add_units, person_vertices
from demo.render.mesh import BaseMesh, Floats, Ints, ShapeData, Surface
from demo.render.motion import Pose
from demo.render.scenes import solid_of
from demo.render.skin import SIZE, hairline, paint, reference_of

_METRES = 0.1
"""Metres in a mesh unit."""
_HEAD_BOTTOM, _SHOULDERS = 4.3, 1.35
"""The skin is drawn above and between these, mesh units."""
_GAZE_LIMIT = 25.0
"""Degrees of the eyes against the head."""
_EYE_SHARE = 0.985
"""Of the mesh's eye, so that the lids cover the eyeball."""


@dataclass(frozen=True, slots=True)
class _Worn:
    """A part whose corners follow the mesh."""

    solid: Solid
    surface: Surface
    offset: float
    """Out of the mesh's surface, metres."""


class Figure:
    """A person in front of the camera."""

    def __init__(self, painter: Painter, data: ShapeData, person: Person) -> None:
        self._painter, self._data, self._person = painter, data, person
        base = data.base()
        self._rest = _arms_down(person_vertices(data, person.shape))
        self._eyes = [self._rest[base.vertices_of(f"helper-{side}-eye")] for side in ("l", "r")]
        self._middle = (self._eyes[0].mean(0) + self._eyes[1].mean(0)) / 2
        self._pivot = self._rest[base.vertices_of("joint-neck")].mean(0) + np.array([0, 0.15, 0], np.float32)
        skin_faces = _faces(base, ("body",), self._rest, bottom=_HEAD_BOTTOM, widest=_SHOULDERS)
        surface = Surface(base, skin_faces, 0)
        points, normals = surface.corners(self._rest)
        mouth = base.vertices_of("joint-mouth")
        self._reference = reference_of(
            self._eyes[0].mean(0) * (1, 1, 1), float(self._mouth_height(surface, points, mouth))
        )
        skin = self._skin(surface, points, normals)
        self._worn = [_Worn(skin, surface, 0.0)]
        self._worn += self._inner_parts(base)
        self._worn += self._clothes(base)
        self._eyeballs = [self._eyeball(eye) for eye in self._eyes]
        self._glasses = self._make_glasses()
        self._strands = self._hair(base)
        self.head: Floats = np.eye(4, dtype=np.float32)
        """(4, 4), from the head's own metres (origin between the eyes) to the scene, as last posed."""
        self._set_openness(skin, surface)

    def eye_centres(self) -> Floats:
        """Return where the eyes are as last posed, (2, 3) in the scene, own left eye first."""
        centres = self._metres(np.stack([eye.mean(0) for eye in self._eyes]))
        return np.asarray(centres @ self.head[:3, :3].T + self.head[:3, 3], np.float32)

    def scene(self, pose: Pose) -> Scene:
        """Return the parts of the person in this pose."""
        place = self._person.place
        held = (place.yaw_deg + pose.yaw_deg, place.pitch_deg + pose.pitch_deg, place.roll_deg + pose.roll_deg)
        turn = rotation(*held)
        offset = np.array(
            [place.right + pose.right, place.up + pose.up, -place.distance - 0.022 + pose.near], np.float32
        )
        vertices = self._bent(add_units(self._data, self._rest, _units(pose)), turn)
        for worn in self._worn:
            points, normals = worn.surface.corners(vertices)
            worn.solid.place(self._metres(points) + worn.offset * normals, normals)
            worn.solid.to_scene = _shift(offset)
        head = np.eye(4, dtype=np.float32)
        head[:3, :3] = turn
        pivot = self._metres(self._pivot)
        head[:3, 3] = pivot - turn @ pivot + offset
        self.head = head
        self._place_eyes(pose, head)
        for strands in self._strands:
            strands.to_scene = head
        for solid in self._glasses:
            solid.to_scene = head
        solids = [worn.solid for worn in self._worn] + self._eyeballs + self._glasses
        return Scene(solids, self._strands)

    def _metres(self, points: Floats) -> Floats:
        """Return points relative to the middle between the eyes, in metres."""
        return np.asarray((points - self._middle) * _METRES, np.float32)

    def _bent(self, vertices: Floats, turn: Floats) -> Floats:
        """Turn the head about the neck; the neck follows gradually."""
        low, high = self._pivot[1] - 0.75, self._pivot[1] + 0.45
        share = np.clip((vertices[:, 1] - low) / (high - low), 0, 1)
        share = (share * share * (3 - 2 * share))[:, None]
        turned = (vertices - self._pivot) @ turn.T + self._pivot
        return np.asarray(vertices * (1 - share) + turned * share, np.float32)

    def _mouth_height(self, surface: Surface, points: Floats, fallback: Ints) -> float:
        lips = self._data.mask("lips", SIZE)
        column = (surface.texture[:, 0] * (SIZE - 1)).astype(int).clip(0, SIZE - 1)
        row = ((1 - surface.texture[:, 1]) * (SIZE - 1)).astype(int).clip(0, SIZE - 1)
        is_lip = lips[row, column] > 0.5
        return float(points[is_lip, 1].mean() if is_lip.any() else self._rest[fallback, 1].mean())

    def _skin(self, surface: Surface, points: Floats, normals: Floats) -> Solid:
        painter, person = self._painter, self._person
        places = painter.bake(surface.texture, surface.triangles, self._reference.apply(points), SIZE)
        facing = painter.bake(surface.texture, surface.triangles, normals, SIZE)
        covered = places[..., 3]
        maps = paint(self._data, person, places[..., :3] * covered[..., None], facing[..., :3], covered)
        solid = Solid(painter, surface.texture, surface.triangles, Kind.SKIN, shine=person.skin.shine, relief=0.0016)
        solid.maps = {
            "albedo_map": painter.map_of(maps.colour),
            "detail_map": painter.map_of(maps.detail, is_fine=True),
        }
        return solid

    def _inner_parts(self, base: BaseMesh) -> list[_Worn]:
        parts = []
        lashes = tuple(f"helper-{side}-eyelashes-{row}" for side in "lr" for row in (1, 2))
        for groups, kind, colour, roughness in (
            (("helper-upper-teeth", "helper-lower-teeth"), Kind.PLAIN, (0.40, 0.35, 0.26), 0.3),
            (("helper-tongue",), Kind.PLAIN, (0.16, 0.04, 0.04), 0.45),
            (lashes, Kind.LASH, (0.012, 0.010, 0.009), 0.6),
        ):
            surface = Surface(base, base.faces_of(*groups), 0)
            solid = Solid(self._painter, surface.texture, surface.triangles, kind, colour=colour, roughness=roughness)
            if kind is Kind.PLAIN:
                solid.set_openness(np.full(len(surface.texture), 0.22, np.float32))
            parts.append(_Worn(solid, surface, 0.0))
        return parts

    def _clothes(self, base: BaseMesh) -> list[_Worn]:
        wear = self._person.wear
        surface = Surface(base, _faces(base, ("helper-tights",), self._rest, bottom=2.0, widest=9.0), 0)
        neck = self._metres(self._pivot)[1]
        cut = {"round": (neck - 0.030, 3.0), "v": (neck - 0.085, 14.0), "high": (neck + 0.015, 0.0)}[wear.collar]
        rest = self._metres(surface.corners(self._rest)[0])
        is_cloth = rest[:, 1] < cut[0] + cut[1] * rest[:, 0] ** 2 + 0.004
        solid = Solid(
            self._painter,
            surface.texture,
            surface.triangles[is_cloth[surface.triangles].any(axis=1)],
            Kind.CLOTH,
            colour=wear.shirt,
            roughness=0.85,
            f0=0.02,
            cut_height=cut[0],
            cut_curve=cut[1],
        )
        parts = [_Worn(solid, surface, 0.007)]
        if wear.hat is not None:
            parts.append(self._hat(base, wear.hat))
        return parts

    def _hat(self, base: BaseMesh, colour: tuple[float, float, float]) -> _Worn:
        faces = base.faces_of("body")
        middles = self._reference.apply(self._rest[base.quads[faces]].mean(axis=1))
        brim = 6.55 + 0.55 * np.clip(middles[:, 2], 0, 1.1)
        chosen = faces[(middles[:, 1] > brim) & (np.abs(middles[:, 0]) < 0.86)]
        surface = Surface(base, chosen, 1)
        solid = Solid(
            self._painter, surface.texture, surface.triangles, Kind.KNIT, colour=colour, roughness=0.95, f0=0.02
        )
        return _Worn(solid, surface, 0.011)

    def _eyeball(self, eye: Floats) -> Solid:
        radius = float(np.ptp(eye[:, 0])) / 2 * _EYE_SHARE * _METRES
        solid = solid_of(self._painter, forms.sphere(radius, bulge=0.045), Kind.EYE)
        solid.material |= {"iris": self._person.skin.iris, "eye_centre": (0.0, 0.0, 0.0), "eye_radius": radius}
        solid.material["gaze"] = np.eye(3, dtype=np.float32)
        return solid

    def _place_eyes(self, pose: Pose, head: Floats) -> None:
        across = float(np.clip(pose.gaze_x_deg, -_GAZE_LIMIT, _GAZE_LIMIT))
        for solid, eye in zip(self._eyeballs, self._eyes, strict=True):
            radius = float(solid.material["eye_radius"])  # type: ignore[arg-type]  # set above
            centre = eye.mean(0).copy()
            centre[2] = eye[:, 2].max() - radius / _METRES / _EYE_SHARE * 1.0
            matrix = np.eye(4, dtype=np.float32)
            matrix[:3, :3] = rotation(across, pose.gaze_y_deg, 0)
            matrix[:3, 3] = self._metres(centre)
            solid.to_scene = head @ matrix

    def _make_glasses(self) -> list[Solid]:
        kind = self._person.wear.glasses
        if kind == "none":
            return []
        radius, width, height = (0.0010, 0.0235, 0.0185) if kind == "thin" else (0.0021, 0.0250, 0.0205)
        colour, shine = ((0.25, 0.23, 0.20), 0.25) if kind == "thin" else ((0.012, 0.010, 0.010), 0.3)
        turn = np.linspace(0, 2 * np.pi, 41)[:-1]
        eye_x = float(abs(self._eyes[0].mean(0)[0])) * _METRES
        front = self._metres(np.array([0, 0, max(eye[:, 2].max() for eye in self._eyes)]))[2] + 0.014
        parts: list[Solid] = []
        for side in (-1, 1):
            power = 2 / 2.8
            x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power * width
            y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power * height - 0.004
            rim = np.stack([side * (eye_x + 0.001) + x, y, front - 2.5 * (side * x).clip(0) ** 2 * 8], -1)
            parts.append(
                solid_of(
                    self._painter, forms.tube(rim, radius, is_closed=True), Kind.PLAIN, colour=colour, roughness=shine
                )
            )
            hinge = np.array([side * (eye_x + width + 0.002), 0.004, front - 0.012])
            ear = np.array([side * (eye_x + width + 0.010), 0.004, front - 0.115])
            temple = np.stack([rim[20 if side < 0 else 0], hinge, ear])
            parts.append(
                solid_of(self._painter, forms.tube(temple, radius), Kind.PLAIN, colour=colour, roughness=shine)
            )
            lens = forms.sphere(0.09)
            keep = np.hypot(lens.positions[:, 0] / width, lens.positions[:, 1] / height) < 0.97
            inside = keep[lens.triangles].all(axis=1) & (lens.positions[lens.triangles][:, :, 2].min(axis=1) > 0)
            shifted = lens.positions + np.array([side * (eye_x + 0.001), -0.004, front - 0.09])
            glass = forms.Form(shifted.astype(np.float32), lens.normals, lens.texture, lens.triangles[inside])
            parts.append(solid_of(self._painter, glass, Kind.GLASS, roughness=0.08, f0=0.04))
        gap = eye_x - width
        bridge = np.stack(
            [np.linspace(-gap, gap, 9), 0.004 + 0.003 * np.cos(np.linspace(-1.5, 1.5, 9)), np.full(9, front + 0.001)],
            -1,
        )
        parts.append(solid_of(self._painter, forms.tube(bridge, radius), Kind.PLAIN, colour=colour, roughness=shine))
        return sorted(parts, key=lambda part: part.kind is Kind.GLASS)

    def _hair(self, base: BaseMesh) -> list[Strands]:
        person = self._person
        faces = _faces(base, ("body",), self._rest, bottom=_HEAD_BOTTOM, widest=_SHOULDERS)
        quads = base.quads[faces]
        grown = []
        lines, shades = scalp_strands(person.hair, self._rest, quads, self._reference, person.shape.seed)
        if person.wear.hat is not None:
            tips = self._reference.apply(lines[:, -1])
            is_out = tips[:, 1] < 6.55 + 0.55 * np.clip(tips[:, 2], 0, 1.1) - 0.06
            lines, shades = lines[is_out], shades[is_out]
        if len(lines):
            grown.append((lines, shades, person.hair.colour, 0.00085))
        if person.wear.beard > 0:
            beard = beard_strands(person.wear.beard, self._rest, quads, self._reference, person.shape.seed)
            grown.append((*beard, person.hair.colour, 0.00050))
        strands = []
        for lines, shades, colour, width in grown:
            hair = Strands(self._painter, self._metres(lines), shades, colour=colour, width=width)
            hair.head_centre = self._metres(self._middle + np.array([0, 0.35, -1.0], np.float32))
            strands.append(hair)
        return strands

    def _set_openness(self, skin: Solid, surface: Surface) -> None:
        scene = self.scene(Pose())
        points, normals = surface.corners(
            self._bent(
                self._rest,
                rotation(self._person.place.yaw_deg, self._person.place.pitch_deg, self._person.place.roll_deg),
            )
        )
        moved = self._metres(points) + skin.to_scene[:3, 3]
        openness = self._painter.openness(Scene(scene.solids), moved.astype(np.float32), normals)
        under_hair = np.clip(
            hairline(self._reference.apply(surface.corners(self._rest)[0]), self._person.hair) * 3, 0, 0.6
        )
        skin.set_openness(openness * (1 - under_hair))


def _units(pose: Pose) -> dict[str, float]:
    """Return the face units of a pose."""
    return {
        "eyeBlinkLeft": pose.lids,
        "eyeBlinkRight": pose.lids,
        "jawOpen": pose.jaw,
        "mouthSmileLeft": pose.smile,
        "mouthSmileRight": pose.smile,
    }


def _faces(base: BaseMesh, groups: tuple[str, ...], vertices: Floats, *, bottom: float, widest: float) -> Ints:
    faces = base.faces_of(*groups)
    corners = vertices[base.quads[faces]]
    middles = corners.mean(axis=1)
    is_high = (corners[:, :, 1].min(axis=1) > min(bottom, 2.0)) & (middles[:, 1] > bottom)
    return np.asarray(faces[is_high & (np.abs(middles[:, 0]) < widest)], np.int32)


def _arms_down(vertices: Floats) -> Floats:
    """Lower the arms, which the base mesh holds away from the body."""
    moved = vertices.copy()
    side, x = np.sign(vertices[:, 0]), np.abs(vertices[:, 0])
    share = np.clip((x - 1.25) / 0.7, 0, 1)
    turn = share * share * (3 - 2 * share) * np.radians(72)
    across, up = x - 1.3, vertices[:, 1] - 4.9
    moved[:, 0] = side * (1.3 + across * np.cos(turn) + up * np.sin(turn))
    moved[:, 1] = 4.9 - across * np.sin(turn) + up * np.cos(turn)
    return moved.astype(np.float32)


def _shift(offset: Floats) -> Floats:
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, 3] = offset
    return matrix
