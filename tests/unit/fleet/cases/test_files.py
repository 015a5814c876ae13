"""Files as they are handed in: what is taken and what is not."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fleet.cases.files import MAX_PDF_BYTES, FaceProgram, Role, read_file
from fleet.errors import ImportRefused
from protocol.rules.pack import PhotoRules
from tests.pdfs import scan

RULES = PhotoRules()


def jpeg(size: tuple[int, int], *, quality: int = 60, form: str = "JPEG") -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, quality=quality)
    return out.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "1.jpg"


@pytest.mark.parametrize(
    ("size", "wrong"),
    [
        ((640, 480), []),
        ((480, 640), []),
        ((639, 480), ["longer_side_px"]),
        ((640, 479), ["shorter_side_px"]),
        ((320, 240), ["longer_side_px", "shorter_side_px"]),
    ],
)
def test_r1_14_a_photograph_has_640_by_480_pixels_at_least_all_that_is_wrong_is_said(
    path: Path, size: tuple[int, int], wrong: list[str]
) -> None:
    path.write_bytes(jpeg(size))
    if not wrong:
        assert all(check["passed"] for check in read_file(path, Role.FACE, RULES, None).checks)
        return
    with pytest.raises(ImportRefused) as refused:
        read_file(path, Role.FACE, RULES, None)
    assert [problem.split(": ")[1] for problem in refused.value.problems] == wrong


def test_r1_17_a_photograph_has_two_megabytes_at_most(path: Path) -> None:
    exact = jpeg((800, 600))
    path.write_bytes(exact + bytes(RULES.max_bytes - len(exact)))
    assert read_file(path, Role.FACE, RULES, None).media == "image/jpeg"
    path.write_bytes(exact + bytes(RULES.max_bytes - len(exact) + 1))
    with pytest.raises(ImportRefused, match="bytes: 2097153"):
        read_file(path, Role.FACE, RULES, None)


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", jpeg((640, 480), form="PNG"), jpeg((640, 480))[:5000], b"\xff\xd8\xff"]
)
def test_r1_17_what_is_no_whole_jpg_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ImportRefused, match=r"neither JPG nor PDF|damaged"):
        read_file(path, Role.FACE, RULES, None)


def test_a_scan_is_a_document_never_a_photograph(path: Path) -> None:
    path.write_bytes(scan())
    assert read_file(path, Role.FORM, RULES, None).media == "application/pdf"
    with pytest.raises(ImportRefused, match="JPG expected"):
        read_file(path, Role.WITH_NEWSPAPER, RULES, None)
    path.write_bytes(b"%PDF-1.7" + bytes(MAX_PDF_BYTES))
    with pytest.raises(ImportRefused, match="at most"):
        read_file(path, Role.FORM, RULES, None)
    path.write_bytes(b"%PDF-1.7 nothing more")
    with pytest.raises(ImportRefused, match="no page that can be shown") as error:
        read_file(path, Role.FORM, RULES, None)
    assert [problem.code for problem in error.value.problems] == ["scan_damaged"]


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="cannot be read"):
        read_file(tmp_path / "none.jpg", Role.FORM, RULES, None)


def test_r1_18_that_no_face_is_found_is_for_the_reviewers_not_a_reason_to_refuse(path: Path, tmp_path: Path) -> None:
    program = tmp_path / "features.py"
    program.write_text("import sys\nprint('picture: no face found', file=sys.stderr)\nsys.exit(1)\n")
    path.write_bytes(jpeg((800, 600)))
    face = FaceProgram((sys.executable, str(program)), 30.0)
    found = read_file(path, Role.WITH_NEWSPAPER, RULES, face).checks[-1]
    assert (found["name"], found["passed"]) == ("one_face", False)
    names = [check["name"] for check in read_file(path, Role.IDENTITY_CARD, RULES, face).checks]
    assert "one_face" not in names, "nobody looks for a face on a card"


def test_nothing_of_a_file_is_in_what_is_logged_of_it(path: Path) -> None:
    path.write_bytes(scan(words="a name"))
    assert repr(read_file(path, Role.FORM, RULES, None)) == "Checked(application/pdf)"
