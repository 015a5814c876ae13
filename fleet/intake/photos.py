"""Takes photographs in from files: whose each is, whether it may enrol, and a provisional reference of it (R1-10, R1-12 to R1-17, R1-19).

Pictures are held one at a time, in memory, and go to the terminal program through a pipe; what stays is a protected reference that may
enrol and never certify, and a keyed digest by which the same picture is known again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Protocol

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.clock import day_of
from fleet.intake.held_packs import held_packs
from fleet.intake.photo_files import PhotoFile
from fleet.intake.photo_judging import Fault, PhotoDemands, Reason, demands_of, faults_before, faults_of
from fleet.intake.photo_names import NameReading, masked, read_name
from fleet.keys import FleetKeys
from fleet.references.enrol import Enrolment, enrol_within
from fleet.settings import Settings
from fleet.store import photos, policies, subjects
from fleet.store.database import Database
from fleet.store.names import cleaned
from fleet.store.photos import PhotoImportRow
from fleet.store.terminals import find_terminals
from protocol.capture import FeatureReport
from protocol.documents import claim_token
from protocol.photo_files import PhotoReport, is_jpeg
from protocol.policy import default_policy
from protocol.references import CaptureKind, LegalBasis
from protocol.shipped_packs import default_pack


class Result(StrEnum):
    """What became of a file."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    REPEATED = "repeated"
    """This very picture has enrolled this person before."""


class Form(StrEnum):
    """The modelling information form that came with the photographs (R1-16)."""

    NONE = "none"
    UNSEALED = "unsealed"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class PhotoLine:
    """One file of a report."""

    file: int
    """Its place, from 1."""
    ends: str
    """The end of its name; no more of it is shown."""
    result: Result
    faults: tuple[Fault, ...] = ()
    subject_id: str | None = None
    reference_id: str | None = None


@dataclass(frozen=True, slots=True)
class PhotoIntake:
    """What is taken in, and on whose word."""

    legal_basis: LegalBasis
    by: str
    unit: str | None = None
    form: Form = Form.NONE
    is_dry: bool = False
    """Look and report, and store nothing."""
    within: frozenset[str] | None = None
    """Codes of the areas whose people may be enrolled; None for all. Who lives elsewhere is told like somebody unknown."""


@dataclass(frozen=True, slots=True)
class PhotoRules:
    """What does not depend on the person."""

    minimum: Mapping[str, float]
    """Least quality by component, of the policy in force."""
    key_domain: str
    validity_months: int
    zone: tzinfo


def rules_in_force(database: Database, settings: Settings) -> PhotoRules:
    """Return how references of photographs are made now, by the newest policy or the default one.

    Raises:
        DatabaseUnavailable: as any transaction.
    """
    with database.begin() as connection:
        stored = policies.newest_policy(connection)
    minimum = (default_policy() if stored is None else stored.policy).quality.minimum
    made = settings.references
    return PhotoRules(minimum, made.key_domain, made.validity_months, settings.zone())


class Looker(Protocol):
    """What looks at pictures: the terminal's program."""

    def look(self, content: bytes) -> PhotoReport:
        """Return what a picture shows."""


@dataclass(frozen=True, slots=True)
class PhotoImport:
    """What an import did."""

    import_id: str
    lines: tuple[PhotoLine, ...]

    def count(self, result: Result) -> int:
        """Return how many files came to a result."""
        return sum(line.result is result for line in self.lines)


def import_photos(
    database: Database,
    keys: FleetKeys,
    files: Iterable[PhotoFile],
    looker: Looker,
    intake: PhotoIntake,
    rules: PhotoRules,
    *,
    clock: Callable[[], datetime],
    on_line: Callable[[PhotoLine], None] = lambda _: None,
    import_id: str = "",
) -> PhotoImport:
    """Take photographs in, each in a transaction of its own: what was accepted stays, whatever becomes of the next.

    Args:
        database: where people are known and references stored.
        keys: the fleet's.
        files: the photographs.
        looker: what looks at them.
        intake: on whose word.
        rules: how references are made.
        clock: gives the time.
        on_line: told of every file when it is done.
        import_id: its id; empty for a new one.

    Raises:
        Refused: if the name of who takes them in cannot be taken.
        FleetError: if the program fails; what was accepted before is stored, and the same files again go on from there.
    """
    import_id = import_id or os.urandom(8).hex()
    # Names that cannot be taken are told before anything is.
    named = replace(intake, by=cleaned(intake.by), unit=None if intake.unit is None else cleaned(intake.unit))
    one = _Intake(database, keys, looker, named, rules, clock, import_id)
    lines: list[PhotoLine] = []
    for file in files:
        lines.append(one.take(file))
        on_line(lines[-1])
    done = PhotoImport(import_id, tuple(lines))
    if not intake.is_dry:
        _record(database, keys, done, named, clock())
    return done


class _Intake:
    """One import under way."""

    def __init__(
        self,
        database: Database,
        keys: FleetKeys,
        looker: Looker,
        intake: PhotoIntake,
        rules: PhotoRules,
        clock: Callable[[], datetime],
        import_id: str,
    ) -> None:
        self._database = database
        self._keys = keys
        self._looker = looker
        self._intake = intake
        self._rules = rules
        self._clock = clock
        self._import_id = import_id
        self._taken: set[str] = set()
        """Subjects who have a picture of this import."""

    def take(self, file: PhotoFile) -> PhotoLine:
        if file.fault is not None:
            return self._refused(file, [file.fault], None)
        digest = self._digest(file.content)
        with self._database.begin() as connection:
            subject_id, reason = self._owner(connection, read_name(file.name))
            enrolled = photos.owner_of(connection, digest)
            demands = self._demands(connection, subject_id)
        if subject_id is not None and enrolled == subject_id:
            return PhotoLine(file.number, masked(file.name), Result.REPEATED, (), subject_id)
        faults = [] if reason is None else [Fault(reason)]
        if enrolled is not None:
            faults.append(Fault(Reason.OTHER_PERSONS_PICTURE))
        if subject_id in self._taken:
            faults.append(Fault(Reason.SECOND_PICTURE))
        features = self._look(file.content, demands, faults)
        if subject_id is None or features is None or faults:
            return self._refused(file, faults, subject_id)
        return self._accepted(file, subject_id, features, digest)

    def _look(self, content: bytes, demands: PhotoDemands, faults: list[Fault]) -> FeatureReport | None:
        """Return the features of a picture; what is wrong with it is added to `faults`."""
        faults += faults_before(len(content), is_jpeg=is_jpeg(content), demands=demands)
        if not is_jpeg(content):
            return None
        report = self._looker.look(content)
        faults += faults_of(report, demands, self._rules.minimum)
        return report.features

    def _demands(self, connection: Connection, subject_id: str | None) -> PhotoDemands:
        """Return what the packs of a person ask, of nobody known what the default pack does."""
        if subject_id is None:
            return demands_of((default_pack(),))
        today = day_of(self._clock(), self._rules.zone)
        return demands_of(held_packs(connection, [subject_id], today=today)[subject_id])

    def _accepted(self, file: PhotoFile, subject_id: str, features: FeatureReport, digest: bytes) -> PhotoLine:
        self._taken.add(subject_id)
        if self._intake.is_dry:
            return PhotoLine(file.number, masked(file.name), Result.ACCEPTED, (), subject_id)
        reference_id = self._enrol(subject_id, features, digest)
        result = Result.REPEATED if reference_id is None else Result.ACCEPTED
        return PhotoLine(file.number, masked(file.name), result, (), subject_id, reference_id)

    def _enrol(self, subject_id: str, features: FeatureReport, digest: bytes) -> str | None:
        """Store a reference; return its id, or None if another import enrolled with this picture meanwhile."""
        now, rules = self._clock(), self._rules
        with self._database.begin() as connection:
            find_terminals(connection, lock=True)
            if photos.hold(connection, digest) is not None:
                return None
            done = enrol_within(
                connection,
                self._keys,
                subject_id,
                features,
                # A picture shows nobody alive (R1-19): a reference of a photo enrols, and never certifies.
                Enrolment(CaptureKind.PHOTO, self._intake.legal_basis),
                key_domain=rules.key_domain,
                validity_months=rules.validity_months,
                now=now,
                zone=rules.zone,
            )
            photos.add_file(connection, digest, subject_id, done.reference_id, self._import_id, now=now)
            note(
                connection,
                self._keys.cipher,
                actor=self._intake.by,
                action="reference.enrolled",
                object_kind="subject",
                object_id=subject_id,
                detail={"reference_id": done.reference_id, "capture": "photo", "import_id": self._import_id},
                now=now,
            )
        return done.reference_id

    def _owner(self, connection: Connection, reading: NameReading) -> tuple[str | None, Reason | None]:
        """Return whom a file's name means: the person who is known by this number and has this name; or why nobody."""
        if not reading.candidates:
            return None, Reason.NUMBER_WRONG if reading.has_number else Reason.NAME_FORM
        tokens = [claim_token(each.document, self._keys.claim_key) for each in reading.candidates]
        within = self._intake.within
        known = {
            token: subject
            for token, subject in subjects.find_by_tokens(connection, tokens).items()
            if within is None or subject.area in within
        }
        meant = []
        for candidate, token in zip(reading.candidates, tokens, strict=True):
            subject = known.get(token)
            if subject is None:
                continue
            sealed, subject_id = subject.name_sealed, subject.subject_id
            if self._keys.cipher.decrypt(sealed, subject_id=subject_id, field_name="name") == candidate.name:
                meant.append(subject_id)
        if len(meant) == 1:
            return meant[0], None
        return None, Reason.OTHER_NAME if known else Reason.UNKNOWN_PERSON

    def _digest(self, content: bytes) -> bytes:
        """Return a digest that says nothing about the picture to who has no key."""
        sha256 = hashlib.sha256(content).hexdigest()
        return self._keys.cipher.digest(sha256, subject_id="photo_files", field_name="picture")

    def _refused(self, file: PhotoFile, faults: list[Fault], subject_id: str | None) -> PhotoLine:
        return PhotoLine(file.number, masked(file.name), Result.REFUSED, tuple(faults), subject_id)


def _record(database: Database, keys: FleetKeys, done: PhotoImport, intake: PhotoIntake, now: datetime) -> None:
    counts = {result.value: done.count(result) for result in Result}
    sealed = keys.cipher.encrypt(intake.by, subject_id=done.import_id, field_name="taken_by")
    with database.begin() as connection:
        photos.add_import(connection, PhotoImportRow(done.import_id, intake.unit, intake.form, now, sealed, **counts))
        note(
            connection,
            keys.cipher,
            actor=intake.by,
            action="photos.imported",
            object_kind="photo_import",
            object_id=done.import_id,
            detail={"form": intake.form.value, **counts},
            now=now,
        )
