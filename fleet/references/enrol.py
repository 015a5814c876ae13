"""Makes a reference from a picture: the terminal's own program finds the features, the fleet protects and stores them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from sqlalchemy import Connection

from fleet.audit.log import UNNAMED, note
from fleet.clock import day_of
from fleet.errors import FleetError, NotFound, PictureRefused, Refused
from fleet.keys import FleetKeys
from fleet.references.domains import current_domain, feature_keys
from fleet.settings import Settings
from fleet.store import made, rosters, subjects
from fleet.store.database import Database
from fleet.store.terminals import find_terminals
from protocol.capture import FeatureReport
from protocol.documents import claim_token, parse_document
from protocol.errors import ProtocolError
from protocol.references import CaptureKind, LegalBasis, Reference, encode_features, protect
from protocol.rules.days import add_months

_NOBODY = "neither an id nor a document number of somebody here"
MAX_PICTURE_BYTES = 20 * 1024 * 1024
"""Largest picture taken: ten times the limit agencies set for photos (R1-17, 2 MB), so that a camera's original fits."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is to be enrolled."""

    capture: CaptureKind
    legal_basis: LegalBasis
    officer: str | None = None
    """Who confirmed the photograph; needed for `photo_confirmed` and only there."""

    def __post_init__(self) -> None:
        if (self.capture is CaptureKind.PHOTO_CONFIRMED) != (self.officer is not None):
            raise Refused("a confirmed photo needs the name of the officer who confirmed it, and only that one does")


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What was stored."""

    subject_id: str
    reference_id: str
    quality: float
    terminals: int
    """On how many terminals' rosters the subject stands."""


def read_features(picture: bytes, command: Sequence[str], *, timeout_s: float) -> FeatureReport:
    """Run the terminal's program on a picture and return what it found; the picture goes through a pipe only.

    Raises:
        PictureRefused: if the program finds no usable face.
        FleetError: if the program is missing, hangs or answers nonsense.
    """
    if not picture:
        raise PictureRefused("picture: empty file")
    if len(picture) > MAX_PICTURE_BYTES:
        raise PictureRefused(f"picture: {len(picture)} bytes, at most {MAX_PICTURE_BYTES} are taken")
    return _report(picture, command, timeout_s=timeout_s)


def features_of_file(path: Path, settings: Settings) -> FeatureReport:
    """Return the features of a picture file, or of the person in a clip description (`.toml`), who sits before simulated cameras.

    Raises:
        PictureRefused: if the file cannot be read or shows no usable face.
        Refused: if it is a clip description, and simulated records do not count in this fleet.
        FleetError: if the program is missing, hangs or answers nonsense.
    """
    made = settings.references
    if path.suffix != ".toml":
        return read_features(read_picture(path), made.feature_command(), timeout_s=made.timeout_s)
    if not settings.accept_simulated:
        raise Refused(f"{path}: a simulated person; only a fleet with accept_simulated = true takes one")
    return _report(b"", made.feature_command(str(path.resolve())), timeout_s=made.timeout_s)


def _report(picture: bytes, command: Sequence[str], *, timeout_s: float) -> FeatureReport:
    try:
        done = subprocess.run(list(command), input=picture, capture_output=True, timeout=timeout_s, check=False)
    except OSError as error:
        raise FleetError(f"{command[0]}: cannot be started: {error.strerror}; set references.command") from error
    except subprocess.TimeoutExpired as error:
        raise FleetError(f"{command[0]}: no answer within {timeout_s:g} s") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise PictureRefused(f"picture: {said[-1] if said else f'refused with exit status {done.returncode}'}")
    try:
        return FeatureReport.parse(done.stdout.strip())
    except ProtocolError as error:
        raise FleetError(f"{command[0]}: its answer is no feature report: {error}") from error


def read_picture(path: Path) -> bytes:
    """Read a picture file.

    Raises:
        PictureRefused: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise PictureRefused(f"{path}: cannot be read: {error.strerror}") from error


def find_subject(connection: Connection, who: str, keys: FleetKeys) -> str:
    """Return the id of a subject named by subject id or document number.

    Raises:
        NotFound: if there is none; the message does not repeat a number.
    """
    named = subjects.find_by_id(connection, who)
    if named is not None:
        return named.subject_id
    try:
        token = claim_token(parse_document(who), keys.claim_key)
    except ProtocolError as error:
        raise NotFound(f"{_NOBODY}: {error}", code="nobody_because", what=error.problem) from error
    found = subjects.find_by_tokens(connection, [token])
    if token not in found:
        raise NotFound(_NOBODY, code="nobody_here")
    return found[token].subject_id


def enrol(
    database: Database,
    keys: FleetKeys,
    who: str,
    report: FeatureReport,
    enrolment: Enrolment,
    *,
    key_domain: str,
    validity_months: int,
    now: datetime,
    zone: tzinfo,
    by: str = UNNAMED,
) -> Enrolled:
    """Protect features, store the reference and give the subject's rosters a new version.

    Raises:
        NotFound: if there is no such subject.
        FleetError: if the key domain has no key or the features are unusable.
    """
    with database.begin() as connection:
        # Before anything else, as everything that changes rosters: an assignment going on is then either seen or sees this.
        find_terminals(connection, lock=True)
        done = enrol_within(
            connection,
            keys,
            find_subject(connection, who, keys),
            report,
            enrolment,
            key_domain=key_domain,
            validity_months=validity_months,
            now=now,
            zone=zone,
        )
        note(
            connection,
            keys.cipher,
            actor=by,
            action="reference.enrolled",
            object_kind="reference",
            object_id=done.reference_id,
            detail={"subject_id": done.subject_id, "capture": enrolment.capture.value},
            now=now,
        )
    return done


def enrol_within(
    connection: Connection,
    keys: FleetKeys,
    subject_id: str,
    report: FeatureReport,
    enrolment: Enrolment,
    *,
    key_domain: str,
    validity_months: int,
    now: datetime,
    zone: tzinfo,
) -> Enrolled:
    """Do what `enrol` does in a transaction that does more, and has locked the terminals before.

    Raises:
        FleetError: if the key domain has no key or the features are unusable.
    """
    domain = current_domain(connection, key_domain)
    secret = feature_keys(connection, keys).get(domain)
    if secret is None:
        raise FleetError(f"key domain {domain}: no key; run `lifecert-fleet init`")
    reference = _protected(secret, report, enrolment, domain, validity_months, now, zone)
    officer = (
        None
        if enrolment.officer is None
        else keys.cipher.encrypt(enrolment.officer, subject_id=subject_id, field_name="officer")
    )
    subjects.add_reference(connection, subject_id, reference, officer_sealed=officer)
    held = rosters.touch(connection, subject_id)
    return Enrolled(subject_id, reference.reference_id, reference.quality, held)


def withdraw(database: Database, keys: FleetKeys, reference_id: str, *, now: datetime, by: str = UNNAMED) -> str:
    """Erase a reference and tell the terminals that hold it; return its subject.

    Raises:
        NotFound: if no such reference is in use.
    """
    with database.begin() as connection:
        find_terminals(connection, lock=True)
        # What a terminal sealed into a record is the same features once more.
        made.erase_seal(connection, reference_id)
        subject_id = subjects.withdraw_reference(connection, reference_id, now=now)
        if subject_id is None:
            raise NotFound(f"reference {reference_id}: not in use")
        rosters.touch(connection, subject_id)
        note(
            connection,
            keys.cipher,
            actor=by,
            action="reference.withdrawn",
            object_kind="reference",
            object_id=reference_id,
            detail={"subject_id": subject_id},
            now=now,
        )
    return subject_id


def _protected(
    key: bytes,
    report: FeatureReport,
    enrolment: Enrolment,
    key_domain: str,
    validity_months: int,
    now: datetime,
    zone: tzinfo,
) -> Reference:
    try:
        features = encode_features(protect(report.vector(), key))
    except ValueError as error:
        raise FleetError(f"features of the picture: {error}") from error
    return Reference(
        reference_id=os.urandom(16).hex(),
        features=features,
        model_sha256=report.model_sha256,
        runtime=report.runtime,
        key_domain=key_domain,
        quality=report.overall_quality,
        capture=enrolment.capture,
        legal_basis=enrolment.legal_basis,
        captured_at=now,
        valid_until=add_months(day_of(now, zone), validity_months),
    )
