"""Renders displays held into the picture: everything but the light that they emit."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from demo.render import forms
from demo.render.camera import rotation, to_pixels
from demo.render.coding import LAYERS, scale_of, to_code, write_description
from demo.render.description import Screen
from demo.render.gpu import Kind, Painter, Scene, Solid
from demo.render.mesh import Floats
from demo.render.scenes import composed, lighting_of, room_picture, solid_of

_SIZES = {"phone": (0.068, 0.147), "tablet": (0.160, 0.213)}
"""Metres of the lit area: 6.4 and 10.5 inches across the diagonal."""
_BEZELS = {"phone": 0.003, "tablet": 0.011}
_ROUGHNESS = {"glossy": 0.06, "matte": 0.34}
"""Of bare glass and of an etched film."""
_BLACK = (0.010, 0.010, 0.011)
"""Reflectance of a display that shows black."""
_LAMP_SCALE = (1.2, 3.0)
"""Least and largest radiance of code 255 of the ring's layers: spots on bare glass are far brighter and saturate any camera."""


def render_screen(name: str, screen: Screen, painter: Painter, folder: Path) -> None:
    """Write `<name>.png` and `<name>.toml` into a folder."""
    place = screen.place
    lighting = lighting_of(place)
    width, height = _SIZES[screen.device]
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3] = rotation(place.yaw_deg, place.pitch_deg, place.roll_deg)
    matrix[:3, 3] = (place.right, place.up, -place.distance)
    solids = _device(painter, width, height, _BEZELS[screen.device], screen.surface)
    for solid in solids:
        solid.to_scene = matrix
    layers = composed(painter.shoot(Scene(solids), lighting), room_picture(painter, place, lighting))
    scale = scale_of([layers])
    scale = [scale[0], *(float(np.clip(value, *_LAMP_SCALE)) for value in scale[1:])]
    code = to_code(layers, scale)
    cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(code, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    content: dict[str, object] = {
        "kind": "screen",
        "picture": f"{name}.png",
        "layers": list(LAYERS),
        "scale": scale,
        "quad": [[round(float(value), 2) for value in corner] for corner in _quad(width, height, matrix)],
        "emission": screen.emission,
        "pixel_grid": screen.pixel_grid,
        "screen": {
            "surface": screen.surface,
            "device": screen.device,
            "distance_m": place.distance,
            "light": place.light,
        },
    }
    write_description(folder / f"{name}.toml", f"A {screen.surface} {screen.device}, switched off.", content)


def _quad(width: float, height: float, matrix: Floats) -> Floats:
    """Return the pixels of the display's corners, top left first, clockwise in the picture."""
    x, y = width / 2, height / 2
    corners = np.array([[-x, y, 0], [x, y, 0], [x, -y, 0], [-x, -y, 0]], np.float32)
    return to_pixels(corners @ matrix[:3, :3].T + matrix[:3, 3])


def _device(painter: Painter, width: float, height: float, bezel: float, surface: str) -> list[Solid]:
    glass = solid_of(
        painter, forms.sheet(width, height), Kind.PLAIN, colour=_BLACK, roughness=_ROUGHNESS[surface], f0=0.045
    )
    x, y = width / 2 + bezel, height / 2 + bezel
    body = solid_of(
        painter, forms.box((-x, -y, -0.009), (x, y, -0.0005)), Kind.PLAIN, colour=(0.012,) * 3, roughness=0.25, f0=0.04
    )
    parts = [body, glass]
    for side, low in ((-1, 0.0), (1, -0.02), (1, 0.0), (1, 0.02)):
        reach = 0.006 if side > 0 else 0.012
        start = (side * (x + 0.020), low - height * 0.25, -0.010)
        end = (side * (x - reach), low - height * 0.25 + 0.006, 0.004)
        finger = forms.capsule(start, end, 0.0085)
        parts.append(solid_of(painter, finger, Kind.PLAIN, colour=(0.44, 0.26, 0.18), roughness=0.5))
    palm = forms.capsule((0.0, -y - 0.05, -0.03), (0.0, -height * 0.2, -0.03), 0.028)
    parts.append(solid_of(painter, palm, Kind.PLAIN, colour=(0.44, 0.26, 0.18), roughness=0.5))
    return parts
