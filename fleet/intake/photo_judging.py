"""Decides whether a photograph file may enrol somebody: what rule packs ask (R1-10, R1-13, R1-14, R1-17), and what was found. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from protocol.photo_files import CheckName, PhotoReport
from protocol.quality import weakest
from protocol.rules.pack import RulePack

STUDIO_RATIO = 5 / 7
"""Width by height. Source: the studio formats, one inch 25 x 35 mm and two inches 35 x 49 mm, are both 5:7 (R1-10, R1-13)."""
RATIO_TOLERANCE = 0.05
"""Part by which width by height may differ. Source: R1-13 and R1-14, of one page, ask for two inches and for 640x480 at the same time; the
smallest picture of that size, 480x640 upright, is 5 % too wide for two inches, and must be good enough. The larger
35 x 53 mm is 7.6 % too narrow."""
_ROUNDING = 1e-9


class Reason(StrEnum):
    """Why a file was not taken; each has its text in `photo_texts.toml`."""

    UNSAFE_NAME = "unsafe_name"
    ENCRYPTED = "encrypted"
    DAMAGED = "damaged"
    TOO_PACKED = "too_packed"
    NAME_FORM = "name_form"
    NUMBER_WRONG = "number_wrong"
    UNKNOWN_PERSON = "unknown_person"
    OTHER_NAME = "other_name"
    SECOND_PICTURE = "second_picture"
    OTHER_PERSONS_PICTURE = "other_persons_picture"
    NOT_ALLOWED = "not_allowed"
    FORMAT = "format"
    BYTES = "bytes"
    UNREADABLE = "unreadable"
    RESOLUTION = "resolution"
    PROPORTIONS = "proportions"
    ONE_FACE = "one_face"
    WHOLE_FACE = "whole_face"
    FACE_QUALITY = "face_quality"
    WHITE_GROUND = "white_ground"
    BARE_HEAD = "bare_head"


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason, with what was found and what is asked for, as far as these are numbers or names of components."""

    reason: Reason
    found: str = ""
    asked: str = ""


@dataclass(frozen=True, slots=True)
class PhotoDemands:
    """What all packs of a person ask of a photograph together: the strictest of each."""

    longer_px: int
    shorter_px: int
    """Of the sides: a resolution is given for a camera that lies, a portrait stands."""
    max_bytes: int
    needs_white: bool
    needs_proportions: bool
    may_enrol: bool


def demands_of(packs: Iterable[RulePack]) -> PhotoDemands:
    """Return what packs ask together.

    Args:
        packs: one at least.
    """
    held = list(packs)
    rules = [pack.photos for pack in held]
    return PhotoDemands(
        longer_px=max(max(rule.min_width_px, rule.min_height_px) for rule in rules),
        shorter_px=max(min(rule.min_width_px, rule.min_height_px) for rule in rules),
        max_bytes=min(rule.max_bytes for rule in rules),
        needs_white=any(rule.ground == "white" for rule in rules),
        needs_proportions=any(rule.size_inches is not None for rule in rules),
        may_enrol=all(pack.enrolment.photo_may_enrol for pack in held),
    )


def faults_before(image_bytes: int, *, is_jpeg: bool, demands: PhotoDemands) -> list[Fault]:
    """Return what is wrong with a file before anybody looks at the picture."""
    found = []
    if not demands.may_enrol:
        found.append(Fault(Reason.NOT_ALLOWED))
    if not is_jpeg:
        found.append(Fault(Reason.FORMAT))
    if image_bytes > demands.max_bytes:
        found.append(Fault(Reason.BYTES, str(image_bytes), str(demands.max_bytes)))
    return found


def faults_of(report: PhotoReport, demands: PhotoDemands, minimum: Mapping[str, float]) -> list[Fault]:
    """Return everything for which a picture cannot enrol.

    Args:
        report: what the terminal program found.
        demands: of the person's packs.
        minimum: least quality by component, of the policy in force.
    """
    if report.width_px is None or report.height_px is None:
        return [Fault(Reason.UNREADABLE)]
    found = _size(report.width_px, report.height_px, demands)
    wanted: list[tuple[CheckName, Reason]] = [("one_face", Reason.ONE_FACE), ("whole_face", Reason.WHOLE_FACE)]
    if demands.needs_white:
        wanted.append(("white_ground", Reason.WHITE_GROUND))
    wanted.append(("bare_head", Reason.BARE_HEAD))
    checks = {check.name: check for check in report.checks}
    for name, reason in wanted:
        check = checks.get(name)
        if check is not None and not check.passed:
            found.append(Fault(reason, f"{check.found:g}", f"{check.asked:g}"))
    quality = None if report.features is None else report.features.quality
    lacking = None if quality is None else weakest(quality, minimum)
    if quality is not None and lacking is not None:
        found.append(Fault(Reason.FACE_QUALITY, lacking, f"{minimum[lacking]:g}"))
    if report.features is None and not found:
        # Nothing to enrol from is never in order, whatever the checks say.
        found.append(Fault(Reason.ONE_FACE))
    return found


def _size(width: int, height: int, demands: PhotoDemands) -> list[Fault]:
    found = []
    if max(width, height) < demands.longer_px or min(width, height) < demands.shorter_px:
        asked = f"{demands.longer_px}x{demands.shorter_px}"
        found.append(Fault(Reason.RESOLUTION, f"{width}x{height}", asked))
    if demands.needs_proportions and abs(width / height / STUDIO_RATIO - 1) > RATIO_TOLERANCE + _ROUNDING:
        found.append(Fault(Reason.PROPORTIONS, f"{width}x{height}", "5:7"))
    return found
