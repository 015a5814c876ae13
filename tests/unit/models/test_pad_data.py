"""The data recipe of the texture network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import SourceRefused
from models.tools.pad_data import BONA_FIDE, PACKAGES, PRINT, SCREEN, make_presentations, read_photographs
from models.tools.pad_recapture import SIZE, Picture


def photograph(seed: int) -> Picture:
    coarse = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (20, 20, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (520, 560), interpolation=cv2.INTER_LINEAR), np.uint8)


def test_every_scene_is_shown_in_all_three_ways_and_repeats() -> None:
    photographs = [photograph(seed) for seed in range(2)]
    faces = [(photograph(9), (200.0, 200.0, 320.0, 320.0))] * 6
    made, again = (make_presentations(photographs, faces, 2, seed=1) for _ in range(2))
    assert made.pictures.shape == (8, SIZE, SIZE, 3)
    assert made.labels.tolist() == [BONA_FIDE, BONA_FIDE, PRINT, SCREEN] * 2
    assert made.scenes.tolist() == [0] * 4 + [1] * 4
    assert made.are_held_out.tolist() == [True] * 4 + [False] * 4
    np.testing.assert_array_equal(made.pictures, again.pictures)


def test_package_with_another_digest_is_refused(tmp_path: Path) -> None:
    (tmp_path / PACKAGES[0].archive).write_bytes(b"another")
    with pytest.raises(SourceRefused, match="SHA-256"):
        read_photographs(tmp_path)


def test_every_package_names_its_licence_and_its_files() -> None:
    for package in PACKAGES:
        assert package.licence
        assert len(package.sha256) == 64
        assert len(set(package.files)) == len(package.files) > 0
