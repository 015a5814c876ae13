"""Files handed in at the agency for a case: checked, sealed on arrival, noted in the case's history."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import Connection

from fleet.audit.log import note as note_audit
from fleet.cases import history
from fleet.cases.clocks import pack_of_case
from fleet.cases.machine import Case, Event, Step
from fleet.cases.opening import Registry
from fleet.cases.scans import MOST_PAGES, PDF, pages_of
from fleet.clock import day_of
from fleet.errors import ImportRefused, PictureRefused, Refused
from fleet.keys import FleetKeys
from fleet.references.enrol import read_features
from fleet.store import case_files
from fleet.store.case_files import NewFile
from fleet.store.database import Database
from protocol.envelope import seal
from protocol.errors import Problem
from protocol.rules.pack import PhotoRules

delete_files = case_files.delete_files
_JPEG = b"\xff\xd8\xff"
"""How such files begin. Source: ITU-T T.81, B.1.1.3."""
MAX_PDF_BYTES = 10 * 1024 * 1024
"""Largest scan of a form: some ten pages of 300 dots per inch in shades of grey."""
_MAX_PIXELS = 64_000_000
"""Most pixels of a picture that are read at all: a 2 MB file that unpacks to more is no photograph."""


class Role(StrEnum):
    """What a file shows. Source: R1-18, R4-13, R4-19 to R4-21."""

    IDENTITY_CARD = "identity_card"
    WITH_NEWSPAPER = "with_newspaper"
    FACE = "face"
    AUTHORITY = "authority"
    FORM = "form"
    PROXY_CARD = "proxy_card"
    PROOF = "proof"
    HANDLER_CARD = "handler_card"
    VERIFIED_LIST = "verified_list"
    HOUSEHOLD_COPY = "household_copy"
    UNIT_CERTIFICATE = "unit_certificate"


PHOTOGRAPHS = frozenset({Role.IDENTITY_CARD, Role.WITH_NEWSPAPER, Role.FACE})
"""These are pictures, never scans."""
WITH_FACE = frozenset({Role.WITH_NEWSPAPER, Role.FACE})
"""In these the machine looks for a face."""


@dataclass(frozen=True, slots=True)
class FaceProgram:
    """The terminal's own program, which finds a face in a picture."""

    command: Sequence[str]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that may be taken in."""

    content: bytes
    media: str
    checks: tuple[Mapping[str, Any], ...]
    """What the machine found, for the reviewers: name, passed, found, asked."""

    def __repr__(self) -> str:
        return f"Checked({self.media})"


def read_file(path: Path, role: Role, rules: PhotoRules, face: FaceProgram | None) -> Checked:
    """Read a file and check it.

    Args:
        path: JPEG, or PDF where the role is a document.
        role: what it shows.
        rules: sizes that are asked for (R1-14, R1-17).
        face: looks for a face where there is one to be; None leaves that to the reviewers.

    Raises:
        ImportRefused: with everything that is wrong with the file.
        FleetError: if the program that looks for a face cannot work.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImportRefused([Problem(f"{path}: cannot be read: {error.strerror}", "unreadable")]) from error
    return check_content(str(path), content, role, rules, face)


def check_content(name: str, content: bytes, role: Role, rules: PhotoRules, face: FaceProgram | None) -> Checked:
    """Check a file that was read; `name` stands before each problem, the rest is as in `read_file`.

    Raises:
        ImportRefused: with everything that is wrong with the file, each a `Problem` with a code.
        FleetError: if the program that looks for a face cannot work.
    """
    if content.startswith(PDF):
        if role in PHOTOGRAPHS:
            raise ImportRefused([Problem(f"{name}: a PDF; {role} is a photograph, JPG expected", "pdf_for_photograph")])
        if len(content) > MAX_PDF_BYTES:
            sentence = f"{name}: {len(content)} bytes, at most {MAX_PDF_BYTES} are taken"
            raise ImportRefused([Problem(sentence, "pdf_too_large", most=MAX_PDF_BYTES // 1024**2)])
        try:
            pages_of(content)
        except Refused as error:
            # Said while whoever handed it in is here, not to the reviewers.
            raise ImportRefused([Problem(f"{name}: {error}", error.code, most=MOST_PAGES)]) from error
        return Checked(content, "application/pdf", ())
    if not content.startswith(_JPEG):
        raise ImportRefused([Problem(f"{name}: neither JPG nor PDF", "file_type")])
    checks = _photo_checks(name, content, rules)
    wrong = [
        Problem(
            f"{name}: {each['name']}: {each['found']:.0f}, {each['asked']:.0f} asked for",
            f"photo_{each['name']}",
            found=f"{each['found']:.0f}",
            asked=f"{each['asked']:.0f}",
        )
        for each in checks
        if not each["passed"]
    ]
    if wrong:
        raise ImportRefused(wrong)
    if face is not None and role in WITH_FACE:
        checks.append(_face_check(content, face))
    return Checked(content, "image/jpeg", tuple(checks))


def add_file(
    database: Database,
    keys: FleetKeys,
    office: Registry,
    case_id: str,
    role: Role,
    checked: Checked,
    *,
    by: str,
    sampled_at: datetime | None = None,
    now: datetime,
) -> Case:
    """Seal a file, store it with its case, and return the case.

    Args:
        database: where.
        keys: with the sealing key.
        office: cipher and time zone.
        case_id: of which case.
        role: what the file shows.
        checked: the file.
        by: who takes it in, and therefore does not review.
        sampled_at: when the person was seen, where the file says so (a form, a visit's report).
        now: when.

    Raises:
        NotFound: if there is no such case.
        Refused: if it takes no file now, has this one already, or the day is still to come.
        KeysMissing: if the fleet has no sealing key.
    """
    if sampled_at is not None and sampled_at > now:
        raise Refused("the day on which the person was seen is still to come", code="day_to_come")
    new = _sealed_file(keys, case_id, role, checked)
    with database.begin() as connection:
        case = history.locked(connection, case_id)
        event = Event(
            Step.EVIDENCE_ADDED,
            now,
            by=history.person(office.cipher, by, case_id),
            role=role.value,
            sampled_at=sampled_at,
            facts={"file_id": new.file_id},
        )
        case = history.add(connection, office.cipher, case, event, name=by)
        if not case_files.add_file(connection, new, now=now):
            raise Refused(f"case {case_id}: has this file as {role} already", code="file_twice")
        _note(connection, office, new, by, now)
    return case


def noon_of(day: date, zone: tzinfo, now: datetime) -> datetime:
    """Return noon of a day on which somebody was seen, or the present moment if that is earlier on the same day."""
    noon = datetime.combine(day, time(12), zone)
    return min(noon, now) if day_of(now, zone) == day else noon


def rules_of_case(database: Database, case_id: str) -> PhotoRules:
    """Return what the packs of the person a case is about ask of photographs.

    Raises:
        NotFound: if there is no such case.
    """
    with database.begin() as connection:
        return pack_of_case(connection, history.read(connection, case_id).subject_id).photos


def _sealed_file(keys: FleetKeys, case_id: str, role: Role, checked: Checked) -> NewFile:
    return NewFile(
        file_id=os.urandom(16).hex(),
        case_id=case_id,
        role=role.value,
        media=checked.media,
        file_bytes=len(checked.content),
        content_hash=keys.cipher.digest(checked.content.hex(), subject_id=case_id, field_name="case_file"),
        checks=checked.checks,
        sealed=seal(checked.content, reader=keys.sealing_key().public()),
    )


def _note(connection: Connection, office: Registry, new: NewFile, by: str, now: datetime) -> None:
    note_audit(
        connection,
        office.cipher,
        actor=by,
        action="case.evidence_added",
        object_kind="case",
        object_id=new.case_id,
        detail={"role": new.role, "file_id": new.file_id},
        now=now,
    )


def _photo_checks(name: str, content: bytes, rules: PhotoRules) -> list[Mapping[str, Any]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=("JPEG",)) as picture:
                width, height = picture.size
                if width * height > _MAX_PIXELS:
                    sentence = f"{name}: {width} x {height} pixels are no photograph"
                    raise ImportRefused([Problem(sentence, "no_photograph")])
                picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImportRefused([Problem(f"{name}: a damaged JPG", "photo_damaged")]) from error
    # The longer side is asked for in either direction: people are photographed upright.
    longer, shorter = max(width, height), min(width, height)
    asked_longer, asked_shorter = (
        max(rules.min_width_px, rules.min_height_px),
        min(rules.min_width_px, rules.min_height_px),
    )
    return [
        _check("bytes", len(content), rules.max_bytes, passed=len(content) <= rules.max_bytes),
        _check("longer_side_px", longer, asked_longer, passed=longer >= asked_longer),
        _check("shorter_side_px", shorter, asked_shorter, passed=shorter >= asked_shorter),
    ]


def _face_check(content: bytes, face: FaceProgram) -> Mapping[str, Any]:
    """Say whether the terminal's program finds one usable face; that it does not is for the reviewers, not a reason to refuse the file."""
    try:
        report = read_features(content, face.command, timeout_s=face.timeout_s)
    except PictureRefused:
        return _check("one_face", 0, 1, passed=False)
    return _check("one_face", 1, 1, passed=True) | {"quality": report.overall_quality}


def _check(name: str, found: float, asked: float, *, passed: bool) -> dict[str, Any]:
    return {"name": name, "passed": passed, "found": float(found), "asked": float(asked)}
