"""`lifecert-terminal check-photos` on rendered people, with the real networks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device.adapters.inference_tflite import open_networks
from device.app.photo_files import PhotoChecker
from protocol.photo_files import PhotoReport, framed

pytestmark = pytest.mark.integration

Studio = Callable[..., Image.Image]
JpegOf = Callable[..., bytes]
Run = Callable[..., subprocess.CompletedProcess[bytes]]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def checker() -> PhotoChecker:
    return PhotoChecker(open_networks(ROOT / "models"))


def failed(report: PhotoReport) -> set[str]:
    return {check.name for check in report.checks if not check.passed}


def test_r1_13_a_studio_portrait_is_in_order_and_has_features(
    checker: PhotoChecker, studio: Studio, jpeg_of: JpegOf
) -> None:
    report = checker.report(jpeg_of(studio("pine")))
    assert failed(report) == set()
    assert (report.width_px, report.height_px) == (480, 672)
    assert report.features is not None
    assert np.linalg.norm(report.features.vector()) == pytest.approx(1.0, abs=1e-3)


def test_r1_13_a_coloured_ground_and_a_hat_are_told(checker: PhotoChecker, studio: Studio, jpeg_of: JpegOf) -> None:
    assert "white_ground" in failed(checker.report(jpeg_of(studio("pine", "steelblue"))))
    assert "bare_head" in failed(checker.report(jpeg_of(studio("birch"))))


def test_two_faces_none_and_a_cut_one_have_no_features(checker: PhotoChecker, studio: Studio, jpeg_of: JpegOf) -> None:
    one = studio("pine")
    both = Image.new("RGB", (960, 672), "white")
    both.paste(one, (0, 0))
    both.paste(one, (480, 0))
    nobody = Image.new("RGB", (480, 672), "white")
    for picture, name in ((both, "one_face"), (nobody, "one_face"), (one.crop((0, 0, 480, 430)), "whole_face")):
        report = checker.report(jpeg_of(picture))
        assert name in failed(report), name
        assert report.features is None, name


def test_what_cannot_be_decoded_has_a_report_as_well(checker: PhotoChecker, studio: Studio, jpeg_of: JpegOf) -> None:
    whole = jpeg_of(studio("pine"))
    huge = whole[: whole.index(b"\xff\xc0") + 5] + b"\xff\xff\xff\xff" + whole[whole.index(b"\xff\xc0") + 9 :]
    for content in (b"", b"no picture", huge):
        report = checker.report(content)
        assert failed(report) == {"readable"}
        assert report.width_px is None


def test_a_picture_is_looked_at_as_its_exif_data_turn_it(
    checker: PhotoChecker, studio: Studio, jpeg_of: JpegOf
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = studio("pine").transpose(Image.Transpose.ROTATE_90)
    report = checker.report(jpeg_of(lying, exif=exif))
    assert (report.width_px, report.height_px) == (480, 672)
    assert failed(report) == set()


@pytest.fixture
def run() -> Run:
    def start(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        program = Path(sys.executable).with_name("lifecert-terminal")
        return subprocess.run([program, "check-photos", *arguments], input=given, capture_output=True, check=False)

    return start


def test_a_batch_is_answered_line_by_line(
    run: Run,
    studio: Callable[..., Image.Image],
    jpeg_of: Callable[..., bytes],
) -> None:
    pictures = [jpeg_of(studio("pine")), b"no picture", jpeg_of(studio("peony"))]
    done = run("-", "--json", given=b"".join(framed(picture) for picture in pictures))
    reports = [PhotoReport.parse(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [failed(report) for report in reports] == [set(), {"readable"}, set()]
    assert reports[0].sha256 != reports[2].sha256


def test_a_stream_that_breaks_off_ends_with_what_is_wrong(
    run: Run,
) -> None:
    done = run("-", "--json", given=framed(b"no picture") + b"\0\0\0\x09abc")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert b"the stream ends after 3 of 9 bytes" in done.stderr


def test_files_are_checked_by_name_and_a_missing_one_is_told(
    run: Run,
    tmp_path: Path,
    studio: Callable[..., Image.Image],
    jpeg_of: Callable[..., bytes],
) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(jpeg_of(studio("pine", "steelblue")))
    assert run(str(picture)).stdout.strip() == b"1: white_ground"
    assert run(str(tmp_path / "none.jpg")).returncode == 2
