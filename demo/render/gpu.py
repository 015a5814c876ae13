"""Drawing with OpenGL: parts of a scene, shadow maps, and one picture for each light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import cv2
import moderngl
import numpy as np

from demo.render.camera import HEIGHT, WIDTH, look_from, projection
from demo.render.mesh import Floats, Ints

_SUPERSAMPLING = 1
_SAMPLES = 4
_SHADOW_SIZE = 1024
_LAYERS = 3
_RING_TOP = 0.2
"""Metres. Hair casts shadows under lights higher than that; the ring looks under it."""

Value = float | Sequence[float] | Floats


class Kind(IntEnum):
    """What a solid is made of, as the shader numbers it."""

    SKIN = 0
    EYE = 1
    PLAIN = 2
    CLOTH = 3
    PAPER = 4
    GLASS = 5
    LASH = 6
    SHINING = 7
    KNIT = 8


@dataclass(frozen=True, slots=True)
class Lighting:
    """The light of a scene; colours are the radiance of white paper that faces the light."""

    lamp_left: Floats
    """(3, 3), points of the ring's half at the subject's own left, metres."""
    lamp_right: Floats
    """(3, 3)."""
    lamp_strength: float
    """At 0.55 m from one half."""
    sky: tuple[float, float, float]
    horizon: tuple[float, float, float]
    ground: tuple[float, float, float]
    key_direction: Floats
    """(2, 3), unit vectors to the room's main lights."""
    key_colour: Floats
    """(2, 3)."""
    key_width: tuple[float, float]
    """0 is a point, 1 a wall of light."""
    target: Floats
    """(3,), what the shadow maps look at."""


class Solid:
    """A part of a scene made of triangles. Its place and shape may change from picture to picture."""

    def __init__(
        self,
        painter: Painter,
        texture: Floats,
        triangles: Ints,
        kind: Kind,
        *,
        casting: Ints | None = None,
        **material: Value,
    ) -> None:
        """Make a part.

        Args:
            painter: who draws it.
            texture: (N, 2), texture coordinates of its corners.
            triangles: (M, 3), rows of the corners.
            kind: what it is made of.
            casting: the triangles that cast shadows, where some do not: holes.
            material: uniforms of the shader.
        """
        context = painter.context
        self.kind, self.material = kind, material
        self.maps: dict[str, Any] = {}
        self.to_scene: Floats = np.eye(4, dtype=np.float32)
        self.casts_shadow = kind not in (Kind.GLASS, Kind.LASH, Kind.SHINING)
        count = len(texture)
        self._positions = context.buffer(reserve=count * 12)
        self._normals = context.buffer(reserve=count * 12)
        self._open = context.buffer(np.ones(count, np.float32).tobytes())
        indices = context.buffer(triangles.astype(np.int32).tobytes())
        texture_buffer = context.buffer(texture.astype(np.float32).tobytes())
        layout = [
            (self._positions, "3f", "position"),
            (self._normals, "3f", "normal"),
            (texture_buffer, "2f", "texture_place"),
            (self._open, "1f", "openness"),
        ]
        self.seen = context.vertex_array(painter.solids, layout, indices)
        casting_indices = indices if casting is None else context.buffer(casting.astype(np.int32).tobytes())
        self.cast = context.vertex_array(painter.depth, layout[:1], casting_indices)

    def place(self, positions: Floats, normals: Floats) -> None:
        """Set positions, (N, 3) metres, and unit normals, (N, 3)."""
        self._positions.write(np.ascontiguousarray(positions, np.float32).tobytes())
        self._normals.write(np.ascontiguousarray(normals, np.float32).tobytes())

    def set_openness(self, openness: Floats) -> None:
        """Set which share of the surroundings reaches each corner, (N,), 0..1."""
        self._open.write(np.ascontiguousarray(openness, np.float32).tobytes())


class Strands:
    """Hair: ribbons along polylines."""

    def __init__(
        self, painter: Painter, lines: Floats, shades: Floats, *, colour: Sequence[float], width: float
    ) -> None:
        """Take polylines (S, P, 3) in metres, a brightness for each (S,), linear colour and half width in metres."""
        self.colour, self.width = tuple(colour), width
        self.to_scene: Floats = np.eye(4, dtype=np.float32)
        self.head_centre: Floats = np.zeros(3, np.float32)
        count, points = lines.shape[:2]
        along = np.gradient(lines, axis=1)
        rows = np.zeros((count, points, 2, 9), np.float32)
        rows[..., 0:3] = lines[:, :, None]
        rows[..., 3:6] = along[:, :, None] + 1e-6
        rows[..., 6] = (-1, 1)
        rows[..., 7] = np.linspace(0, 1, points)[None, :, None]
        rows[..., 8] = shades[:, None, None]
        first = np.arange(count * points * 2).reshape(count, points, 2)
        a, b, c, d = first[:, :-1, 0], first[:, :-1, 1], first[:, 1:, 0], first[:, 1:, 1]
        triangles = np.stack([a, b, c, b, d, c], -1).reshape(-1, 3)
        context = painter.context
        corners = context.buffer(rows.tobytes())
        indices = context.buffer(triangles.astype(np.int32).tobytes())
        layout = [(corners, "3f 3f 1f 1f 1f", "position", "along", "side", "part", "shade")]
        self.seen = context.vertex_array(painter.strands, layout, indices, skip_errors=True)
        self.cast = context.vertex_array(painter.strand_depth, layout, indices, skip_errors=True)


@dataclass(slots=True)
class Scene:
    """What is drawn together."""

    solids: list[Solid] = field(default_factory=list)
    """In the order of drawing: what lets light through comes last."""
    strands: list[Strands] = field(default_factory=list)


class Painter:
    """Owns the OpenGL context and its programs."""

    def __init__(self) -> None:
        self.context: Any = moderngl.create_standalone_context(backend="egl")
        light = _shader("light.glsl")
        head = "#version 330\n" + light
        self.solids = self._program(_shader("shape.vert"), head + _shader("shape.frag"))
        strand_head = "#version 330\n#define ONE_TAP\n" + light
        self.strands = self._program(strand_head + _shader("strand.vert"), _shader("strand.frag"))
        self.depth = self._program(_shader("depth.vert"), _shader("depth.frag"))
        self.strand_depth = self._program(strand_head + _shader("strand.vert"), _shader("depth.frag"))
        self._bake = self._program(_shader("bake.vert"), _shader("bake.frag"))
        size = (WIDTH * _SUPERSAMPLING, HEIGHT * _SUPERSAMPLING)
        self._many = self.context.framebuffer(
            [self.context.renderbuffer(size, 4, samples=_SAMPLES, dtype="f2") for _ in range(_LAYERS)],
            self.context.depth_renderbuffer(size, samples=_SAMPLES),
        )
        self._one = self.context.framebuffer([self.context.texture(size, 4, dtype="f2") for _ in range(_LAYERS)])
        self._shadows = [self._shadow_map(_SHADOW_SIZE) for _ in range(4)]
        self._probe = self._shadow_map(512)

    def map_of(self, pixels: Floats, *, is_fine: bool = False) -> object:
        """Make a texture of (H, W, C) values, first row at the bottom; `is_fine` keeps more than 8 bits."""
        height, width, channels = pixels.shape
        data = pixels.astype(np.float16) if is_fine else (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8)
        texture = self.context.texture((width, height), channels, data.tobytes(), dtype="f2" if is_fine else "f1")
        texture.build_mipmaps()
        texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        return texture

    def bake(self, texture: Floats, triangles: Ints, values: Floats, size: int) -> Floats:
        """Lay values of corners (N, 3) out over their texture: (size, size, 4), first row at the top, alpha where covered."""
        context = self.context
        target = context.framebuffer([context.texture((size, size), 4, dtype="f4")])
        layout = [
            (context.buffer(texture.astype(np.float32).tobytes()), "2f", "texture_place"),
            (context.buffer(values.astype(np.float32).tobytes()), "3f", "value"),
        ]
        drawn = context.vertex_array(self._bake, layout, context.buffer(triangles.astype(np.int32).tobytes()))
        target.use()
        target.clear()
        context.disable(moderngl.DEPTH_TEST | moderngl.BLEND | moderngl.CULL_FACE)
        drawn.render()
        data = np.frombuffer(target.read(components=4, dtype="f4"), np.float32)
        return data.reshape(size, size, 4)[::-1].copy()

    def openness(
        self, scene: Scene, points: Floats, normals: Floats, *, reach: float = 0.4, directions: int = 48
    ) -> Floats:
        """Return which share of the surroundings, weighted by the cosine, reaches points (N, 3) past the scene's solids: (N,)."""
        step = np.arange(directions) + 0.5
        height = 1 - 2 * step / directions
        turn = step * np.pi * (3 - 5**0.5)
        flat = np.sqrt(1 - height**2)
        ways = np.stack([flat * np.cos(turn), height, flat * np.sin(turn)], -1).astype(np.float32)
        centre = points.mean(axis=0)
        seen, all_light = np.zeros(len(points)), np.zeros(len(points))
        for way in ways:
            matrix = look_from(centre + way * 2 * reach, centre, extent=reach, is_far=True)
            depth = self._depth_picture(scene, matrix)
            clip = points @ matrix[:3, :3].T + matrix[:3, 3]
            spot = ((clip[:, :2] * 0.5 + 0.5) * 512).astype(int).clip(0, 511)
            visible = clip[:, 2] * 0.5 + 0.5 < depth[spot[:, 1], spot[:, 0]] + 0.0025
            weight = np.maximum(normals @ way, 0.0)
            seen += weight * visible
            all_light += weight
        return np.asarray(seen / np.maximum(all_light, 1e-6), np.float32)

    def shoot(self, scene: Scene, lighting: Lighting, *, lens: Floats | None = None) -> Floats:
        """Return what the camera sees of the scene: (3, HEIGHT, WIDTH, 4), room, left, right; linear, premultiplied by alpha.

        Args:
            scene: what is seen.
            lighting: by which light.
            lens: another matrix to clip space than the terminal camera's.
        """
        lens = projection() if lens is None else lens
        views = self._cast_shadows(scene, lighting)
        context = self.context
        self._many.use()
        context.enable_only(moderngl.DEPTH_TEST | moderngl.BLEND)
        context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        self._many.clear()
        for program in (self.solids, self.strands):
            self._light(program, lighting, views)
            _set(program, "to_clip", lens)
        self._lay_depth(scene, lens)
        see_through = [solid for solid in scene.solids if solid.kind in (Kind.LASH, Kind.GLASS)]
        for solid in scene.solids:
            if solid not in see_through:
                self._draw(solid)
        for hair in scene.strands:
            _set(self.strands, "to_scene", hair.to_scene)
            _set(self.strands, "colour", hair.colour)
            _set(self.strands, "width", hair.width)
            _set(self.strands, "eye", (0.0, 0.0, 0.0))
            _set(self.strands, "head_centre", hair.to_scene[:3, :3] @ hair.head_centre + hair.to_scene[:3, 3])
            hair.seen.render()
        for solid in see_through:
            self._draw(solid)
        context.copy_framebuffer(self._one, self._many)
        return np.stack([self._read(layer) for layer in range(_LAYERS)])

    def _lay_depth(self, scene: Scene, lens: Floats) -> None:
        """Draw depth alone, so that nothing hidden is lit; paper and cloth, which end where their shader says, stay out."""
        context = self.context
        context.depth_func = "<"
        self._many.color_mask = ((False,) * 4,) * _LAYERS
        _set(self.depth, "to_clip", lens)
        for solid in scene.solids:
            if solid.casts_shadow and solid.kind not in (Kind.PAPER, Kind.CLOTH):
                _set(self.depth, "to_scene", solid.to_scene)
                solid.cast.render()
        self._many.color_mask = ((True,) * 4,) * _LAYERS
        context.depth_func = "<="

    def _draw(self, solid: Solid) -> None:
        program = self.solids
        _set(program, "to_scene", solid.to_scene)
        _set(program, "kind", int(solid.kind))
        defaults: Mapping[str, Value] = {
            "roughness": 0.6,
            "f0": 0.03,
            "shine": 0.5,
            "relief": 0.0,
            "colour": (0.5,) * 3,
        }
        for name, value in {**defaults, **solid.material}.items():
            _set(program, name, value)
        for unit, (name, texture) in enumerate(solid.maps.items(), start=4):
            texture.use(unit)
            program[name].value = unit
        solid.seen.render()

    def _read(self, layer: int) -> Floats:
        size = self._one.size
        data = np.frombuffer(self._one.read(components=4, attachment=layer, dtype="f2"), np.float16)
        picture = data.reshape(size[1], size[0], 4)[::-1].astype(np.float32)
        return cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)

    def _cast_shadows(self, scene: Scene, lighting: Lighting) -> list[Floats]:
        target = lighting.target
        views = [
            look_from(lamp[1], target, extent=0.3, is_far=False) for lamp in (lighting.lamp_left, lighting.lamp_right)
        ]
        views += [look_from(target + way * 1.2, target, extent=0.32, is_far=True) for way in lighting.key_direction]
        eyes = [lighting.lamp_left[1], lighting.lamp_right[1], *(target + way * 1.2 for way in lighting.key_direction)]
        for (picture, _), view, eye in zip(self._shadows, views, eyes, strict=True):
            self._fill(picture, scene, view)
            if eye[1] > _RING_TOP:
                self._fill_strands(scene, view, eye)
        return views

    def _fill(self, picture: Any, scene: Scene, view: Floats) -> None:
        picture.use()
        picture.clear(depth=1.0)
        self.context.enable_only(moderngl.DEPTH_TEST)
        _set(self.depth, "to_clip", view)
        for solid in scene.solids:
            if solid.casts_shadow:
                _set(self.depth, "to_scene", solid.to_scene)
                solid.cast.render()

    def _fill_strands(self, scene: Scene, view: Floats, eye: Floats) -> None:
        _set(self.strand_depth, "to_clip", view)
        _set(self.strand_depth, "is_shadow", 1)
        for hair in scene.strands:
            _set(self.strand_depth, "to_scene", hair.to_scene)
            _set(self.strand_depth, "width", hair.width)
            _set(self.strand_depth, "eye", eye)
            hair.cast.render()

    def _depth_picture(self, scene: Scene, view: Floats) -> Floats:
        picture, texture = self._probe
        self._fill(picture, scene, view)
        return np.frombuffer(texture.read(), np.float32).reshape(512, 512)

    def _light(self, program: Any, lighting: Lighting, views: list[Floats]) -> None:
        for unit, (_, texture) in enumerate(self._shadows):
            texture.use(unit)
        program["shadow"].value = (0, 1, 2, 3)
        program["shadow_view"].write(np.stack([view.T for view in views]).astype(np.float32).tobytes())
        widths = [0.008, 0.008, *(0.006 + 0.03 * width for width in lighting.key_width)]
        _set(program, "shadow_blur", np.array(widths))
        _set(program, "shadow_bias", np.array([0.003, 0.003, 0.012, 0.012]))
        for name in ("lamp_left", "lamp_right", "key_direction", "key_colour"):
            _set(program, name, np.asarray(getattr(lighting, name)), is_list=True)
        _set(program, "key_width", np.array(lighting.key_width))
        for name in ("lamp_strength", "sky", "horizon", "ground"):
            _set(program, name, getattr(lighting, name))

    def _shadow_map(self, size: int) -> tuple[Any, Any]:
        texture = self.context.depth_texture((size, size))
        texture.compare_func = "<="
        texture.filter = moderngl.LINEAR, moderngl.LINEAR
        texture.repeat_x = texture.repeat_y = False
        return self.context.framebuffer(depth_attachment=texture), texture

    def _program(self, vertex: str, fragment: str) -> Any:
        return self.context.program(vertex_shader=vertex, fragment_shader=fragment)


def _shader(name: str) -> str:
    return (Path(__file__).parent / "shaders" / name).read_text(encoding="utf-8")


def _set(program: Any, name: str, value: Value, *, is_list: bool = False) -> None:
    """Set a uniform, unless the compiler found that it changes nothing; matrices are given row by row.

    Args:
        program: whose uniform.
        name: which.
        value: what.
        is_list: whether the rows of an array are elements, of which the compiler may have kept the first few.
    """
    if name not in program:
        return
    uniform = program[name]
    if is_list and isinstance(value, np.ndarray):
        uniform.write(np.ascontiguousarray(value[: uniform.array_length], np.float32).tobytes())
    elif isinstance(value, np.ndarray):
        uniform.write(np.ascontiguousarray(value.T, np.float32).tobytes())
    else:
        uniform.value = tuple(value) if isinstance(value, Sequence) else value
