"""The camera and the coordinates of a scene.

Scene coordinates are metres with the lens at the origin: x to the right of the picture (to the own left of a subject who faces
the lens), y up, z towards the viewer, so that a subject stands at negative z and faces positive z. Angles of a head follow
`device.vision.pose`: positive yaw to the subject's own left, positive pitch up, positive roll to the own left shoulder.
"""

from __future__ import annotations

import math

import numpy as np

from demo.render.mesh import Floats

WIDTH, HEIGHT = 640, 480
"""Pixels of a layer."""
FIELD_DEG = 62.2
"""Horizontal field of view. Source: Raspberry Pi camera module 2, documentation of the camera hardware."""
_NEAR, _FAR = 0.05, 8.0
"""Metres."""


def focal_px(width: int = WIDTH) -> float:
    """Return the focal length in pixels for a picture of this width."""
    return width / 2 / math.tan(math.radians(FIELD_DEG) / 2)


def projection() -> Floats:
    """Return the (4, 4) matrix from scene coordinates to clip space."""
    across = 2 * focal_px() / WIDTH
    up = 2 * focal_px() / HEIGHT
    depth, offset = -(_FAR + _NEAR) / (_FAR - _NEAR), -2 * _FAR * _NEAR / (_FAR - _NEAR)
    return np.array([[across, 0, 0, 0], [0, up, 0, 0], [0, 0, depth, offset], [0, 0, -1, 0]], np.float32)


def zoomed(factor: float) -> Floats:
    """Return the (4, 4) matrix of the same camera with its focal length multiplied."""
    matrix = projection()
    matrix[0, 0] *= factor
    matrix[1, 1] *= factor
    return matrix


def to_pixels(points: Floats) -> Floats:
    """Return the pixels (N, 2), x right and y down from the top left corner, at which scene points (N, 3) are seen."""
    scale = focal_px() / -points[:, 2]
    pixels = [WIDTH / 2 + points[:, 0] * scale, HEIGHT / 2 - points[:, 1] * scale]
    return np.asarray(np.stack(pixels, -1), np.float32)


def rays() -> Floats:
    """Return the direction of each pixel's centre, (HEIGHT, WIDTH, 3), with z = -1."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    x = (columns + 0.5 - WIDTH / 2) / focal_px()
    y = (HEIGHT / 2 - rows - 0.5) / focal_px()
    return np.stack([x, y, np.full_like(x, -1.0)], -1)


def rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> Floats:
    """Return the (3, 3) matrix that turns a head which looks along positive z: roll first, then pitch, then yaw."""
    yaw, pitch, roll = math.radians(yaw_deg), -math.radians(pitch_deg), -math.radians(roll_deg)
    about_y = [[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]]
    about_x = [[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]]
    about_z = [[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]]
    return np.asarray(np.array(about_y) @ np.array(about_x) @ np.array(about_z), np.float32)


def look_from(eye: Floats, target: Floats, *, extent: float, is_far: bool) -> Floats:
    """Return the (4, 4) matrix of a shadow map.

    Args:
        eye: where the light is, metres.
        target: what it looks at, metres.
        extent: half the width of what must be seen around the target, metres.
        is_far: whether its rays are parallel.
    """
    back = eye - target
    distance = float(np.linalg.norm(back))
    back = back / distance
    right = np.cross([0.0, 1.0, 0.0] if abs(back[1]) < 0.99 else [0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    view = np.eye(4)
    view[:3, :3] = np.stack([right, np.cross(back, right), back])
    view[:3, 3] = -view[:3, :3] @ eye
    near, far = max(0.05, distance - 2 * extent), distance + 2 * extent
    if is_far:
        lens = np.diag([1 / extent, 1 / extent, -2 / (far - near), 1.0])
        lens[2, 3] = -(far + near) / (far - near)
    else:
        zoom = distance / extent
        lens = np.zeros((4, 4))
        lens[0, 0] = lens[1, 1] = zoom
        lens[2, 2:] = -(far + near) / (far - near), -2 * far * near / (far - near)
        lens[3, 2] = -1
    return (lens @ view).astype(np.float32)
