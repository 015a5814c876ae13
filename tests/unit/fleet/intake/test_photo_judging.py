"""What rule packs ask of a photograph, and what is told where it lacks."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.intake.photo_judging import Fault, PhotoDemands, Reason, demands_of, faults_before, faults_of
from protocol.capture import FeatureReport
from protocol.photo_files import PhotoFileCheck, PhotoReport
from protocol.policy import default_policy
from protocol.shipped_packs import default_pack, shipped_pack

PACKS = {name: shipped_pack(name) for name in ("SJZ-2017", "GZ-2018")}
SHIJIAZHUANG = demands_of([PACKS["SJZ-2017"]])
MINIMUM = default_policy().quality.minimum
GOOD = dict.fromkeys(MINIMUM, 100.0)


def report(
    width: int = 480, height: int = 672, quality: dict[str, float] | None = None, **failed: float
) -> PhotoReport:
    names: Any = ("readable", "one_face", "whole_face", "white_ground", "bare_head")
    checks = tuple(
        PhotoFileCheck(name=name, passed=name not in failed, found=failed.get(name, 1.0), asked=1.0) for name in names
    )
    has_face = not {"one_face", "whole_face"} & failed.keys()
    features = FeatureReport(
        features="AACAPwAAAAA=",
        model_name="features",
        model_sha256="d" * 64,
        runtime="test",
        quality=quality or GOOD,
        overall_quality=80.0,
    )
    return PhotoReport(
        sha256="d" * 64, width_px=width, height_px=height, checks=checks, features=features if has_face else None
    )


def reasons(found: PhotoReport, demands: PhotoDemands = SHIJIAZHUANG) -> list[Reason]:
    return [fault.reason for fault in faults_of(found, demands, MINIMUM)]


def test_r1_13_a_portrait_by_the_rules_has_no_fault() -> None:
    assert reasons(report()) == []


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (1050, 1470)])
def test_r1_14_vga_is_enough_standing_or_lying(size: tuple[int, int]) -> None:
    assert Reason.RESOLUTION not in reasons(report(*size))


@pytest.mark.parametrize("size", [(479, 671), (456, 639), (413, 579)])
def test_r1_14_less_than_640x480_is_told(size: tuple[int, int]) -> None:
    fault = faults_of(report(*size), SHIJIAZHUANG, MINIMUM)[0]
    assert fault == Fault(Reason.RESOLUTION, f"{size[0]}x{size[1]}", "640x480")


@pytest.mark.parametrize(("width", "height"), [(480, 640), (480, 672), (500, 700), (700, 1030)])
def test_r1_13_r1_10_one_and_two_inches_have_five_to_seven(width: int, height: int) -> None:
    assert reasons(report(width, height)) == []
    assert reasons(report(width, height), demands_of([PACKS["GZ-2018"]])) == []


@pytest.mark.parametrize(("width", "height"), [(640, 480), (482, 640), (700, 1060), (640, 640)])
def test_r1_13_other_proportions_are_told_where_a_format_is_asked_for(width: int, height: int) -> None:
    assert reasons(report(width, height)) == [Reason.PROPORTIONS]
    assert reasons(report(width, height), demands_of([default_pack()])) == []


def test_r1_13_ground_head_and_face_are_all_told_at_once() -> None:
    found = report(one_face=2.0, white_ground=0.4, bare_head=13.0)
    assert reasons(found) == [Reason.ONE_FACE, Reason.WHITE_GROUND, Reason.BARE_HEAD]


def test_r1_13_where_any_ground_will_do_none_is_told() -> None:
    pack = PACKS["SJZ-2017"]
    any_ground = pack.model_copy(update={"photos": pack.photos.model_copy(update={"ground": "any"})})
    assert reasons(report(white_ground=0.4), demands_of([any_ground])) == []


def test_the_weakest_component_of_a_bad_face_is_named() -> None:
    (fault,) = faults_of(report(quality=GOOD | {"sharpness": 0.0}), SHIJIAZHUANG, MINIMUM)
    assert (fault.reason, fault.found) == (Reason.FACE_QUALITY, "sharpness")


def test_without_features_a_picture_is_never_in_order() -> None:
    assert reasons(report().model_copy(update={"features": None})) == [Reason.ONE_FACE]
    assert reasons(PhotoReport(sha256="d" * 64, checks=())) == [Reason.UNREADABLE]


def test_r1_17_more_than_2_mib_or_no_jpg_is_told_before_anybody_looks() -> None:
    limit = 2 * 1024 * 1024
    assert faults_before(limit, is_jpeg=True, demands=SHIJIAZHUANG) == []
    assert [fault.reason for fault in faults_before(limit + 1, is_jpeg=False, demands=SHIJIAZHUANG)] == [
        Reason.FORMAT,
        Reason.BYTES,
    ]


def test_of_several_packs_the_strictest_of_each_demand_holds() -> None:
    large = default_pack().photos.model_copy(update={"min_width_px": 600, "min_height_px": 900, "max_bytes": 1000})
    other = default_pack().model_copy(update={"photos": large})
    found = demands_of([PACKS["SJZ-2017"], other])
    assert (found.longer_px, found.shorter_px, found.max_bytes, found.needs_proportions) == (900, 600, 1000, True)


def test_r1_12_a_region_that_takes_no_photographs_is_told() -> None:
    pack = PACKS["SJZ-2017"]
    none = pack.model_copy(update={"enrolment": pack.enrolment.model_copy(update={"photo_may_enrol": False})})
    assert [f.reason for f in faults_before(1, is_jpeg=True, demands=demands_of([none]))] == [Reason.NOT_ALLOWED]
