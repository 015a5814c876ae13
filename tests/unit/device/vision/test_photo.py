"""What the machine says of a photograph before a person looks at it."""

from __future__ import annotations

import numpy as np
import pytest

from device.vision.photo import BELOW_LEAST, check_photo, white_share
from protocol.cases import PhotoRole
from protocol.policy import default_policy

MINIMUM = default_policy().quality.minimum
GOOD = dict.fromkeys(MINIMUM, 100.0)
WHITE = np.full((480, 640, 3), 235, np.uint8)
FACE = (250.0, 80.0, 390.0, 220.0)


def failed(role, pixels=WHITE, faces=(FACE,), quality=GOOD, image_bytes=100_000, **more):
    checks = check_photo(
        pixels, role=role, image_bytes=image_bytes, faces=faces, quality=quality, minimum=MINIMUM, **more
    )
    return {check.name for check in checks if not check.passed}


@pytest.mark.parametrize("role", PhotoRole)
def test_a_picture_by_the_rules_passes(role):
    assert failed(role) == set()


def test_size_in_pixels_and_bytes_is_asked_of_every_picture():
    for role in PhotoRole:
        assert "resolution" in failed(role, pixels=WHITE[:479])
        assert "resolution" in failed(role, pixels=WHITE[:, :639])
        assert "bytes" in failed(role, image_bytes=2 * 1024 * 1024 + 1)


@pytest.mark.parametrize("faces", [(), (FACE, FACE)])
def test_no_face_or_two_are_told_where_one_is_wanted(faces):
    for role in (PhotoRole.FACE, PhotoRole.IDENTITY_CARD, PhotoRole.WITH_NEWSPAPER):
        assert "one_face" in failed(role, faces=faces)
    assert failed(PhotoRole.AUTHORITY, faces=faces) == set()


def test_a_bad_face_and_a_coloured_or_dark_ground_are_told_of_a_portrait():
    assert failed(PhotoRole.FACE, quality=GOOD | {"sharpness": 0.0}) == {"face_quality"}
    assert failed(PhotoRole.FACE, quality={}) == {"face_quality"}
    green = WHITE.copy()
    green[..., 0] = 120
    assert failed(PhotoRole.FACE, pixels=green) == {"white_ground"}
    assert failed(PhotoRole.FACE, pixels=WHITE // 2) == {"white_ground"}


def test_a_shadow_beside_the_head_leaves_the_ground_white():
    shadowed = WHITE.copy()
    shadowed[100:140, -64:] = 90
    assert 0.8 < white_share(shadowed) < 1.0


def test_a_close_up_shows_no_newspaper():
    near = (150.0, 100.0, 450.0, 400.0)
    assert failed(PhotoRole.WITH_NEWSPAPER, faces=(near,)) == {"upper_body"}
    just = 480.0 / (1.0 + BELOW_LEAST)
    assert failed(PhotoRole.WITH_NEWSPAPER, faces=((250.0, 0.0, 390.0, just),)) == set()


def test_two_pictures_of_two_people_are_told():
    assert failed(PhotoRole.WITH_NEWSPAPER, similarity=0.44, least_similarity=0.45) == {"same_face"}
    assert failed(PhotoRole.WITH_NEWSPAPER, similarity=0.45, least_similarity=0.45) == set()
