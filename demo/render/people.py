"""Renders a live person: every act once, under each light."""

from __future__ import annotations

from pathlib import Path

from demo.render.coding import LAYERS, scale_of, to_code, write_description
from demo.render.description import Person
from demo.render.encode import ClipWriter
from demo.render.figure import Figure
from demo.render.gpu import Painter
from demo.render.mesh import ShapeData
from demo.render.motion import RATE, Acts, live_acts
from demo.render.scenes import composed, lighting_of, room_picture


def render_person(name: str, person: Person, painter: Painter, data: ShapeData, folder: Path) -> None:
    """Write `<name>.mp4` and `<name>.toml` into a folder."""
    figure = Figure(painter, data, person)
    lighting = lighting_of(person.place)
    room = room_picture(painter, person.place, lighting)
    acts = live_acts(person.shape.seed)
    extremes = [acts.poses[0]] + [acts.poses[max(indices)] for indices in acts.segments.values()]
    scale = scale_of(composed(painter.shoot(figure.scene(pose), lighting), room) for pose in extremes)
    writer = ClipWriter(folder / f"{name}.mp4", RATE)
    for pose in acts.poses:
        layers = composed(painter.shoot(figure.scene(pose), lighting), room)
        writer.add(to_code(layers, scale))
    writer.close()
    content: dict[str, object] = {
        "kind": "layered",
        "clip": f"{name}.mp4",
        "layers": list(LAYERS),
        "scale": scale,
        "shown_rate": RATE,
        "group": person.group,
        "segments": acts.segments,
        "truth": truth_of(acts, person),
        "person": person_facts(person),
    }
    write_description(
        folder / f"{name}.toml",
        f"{person.description} A rendered person; left and right are the person's own.",
        content,
    )


def truth_of(acts: Acts, person: Person) -> dict[str, list[float]]:
    """Return what is true in each picture: angles of the head against the camera's axis, lids, jaw."""
    place = person.place

    def column(name: str, offset: float = 0.0) -> list[float]:
        return [round(float(getattr(pose, name)) + offset, 2) for pose in acts.poses]

    return {
        "yaw_deg": column("yaw_deg", place.yaw_deg),
        "pitch_deg": column("pitch_deg", place.pitch_deg),
        "roll_deg": column("roll_deg", place.roll_deg),
        "lids": column("lids"),
        "jaw": column("jaw"),
    }


def person_facts(person: Person) -> dict[str, object]:
    """Return what is said about a person in a library entry."""
    return {
        "description": person.description,
        "age_band": person.age_band,
        "sex": person.sex,
        "skin_tone": person.skin_tone,
        "glasses": person.wear.glasses != "none",
        "beard": person.wear.beard > 0,
        "hat": person.wear.hat is not None,
        "distance_m": person.place.distance,
        "light": person.place.light,
    }
