"""Stores lists of people and their benefits: all of a list or nothing, and again without harm."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from sqlalchemy import Connection, text

from fleet.audit.log import note
from fleet.clock import day_of
from fleet.errors import ImportRefused, Refused
from fleet.exchange.effects import meet
from fleet.intake.comparison import Change, Comparison, completed
from fleet.intake.people_table import PeopleList, SubjectRow
from fleet.intake.preview import look
from fleet.keys import FleetKeys
from fleet.status.projection import project
from fleet.store import duplicates, rosters, subjects
from fleet.store.database import Database
from fleet.store.name_index import tokens_of
from fleet.store.subject_areas import also_outside_of, outside_of
from fleet.store.subjects import PHONE_FIELD, Benefit, StoredSubject
from fleet.store.terminals import find_terminals
from fleet.tables.places import at_line, in_column
from protocol.documents import birth_date, claim_token, sex
from protocol.errors import Problem

_LOCK = 0x6C637070
"""Advisory lock number of lists with people who are not known: "lcpp" in ASCII."""
_TOLD = 500
"""Rows between two calls of `progress`."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    new: int
    changed: int
    unchanged: int
    subject_ids: tuple[str, ...]
    """One for each row, in order."""


def import_rows(
    database: Database, keys: FleetKeys, rows: Sequence[SubjectRow], *, now: datetime, zone: tzinfo
) -> Imported:
    """Store rows in one transaction and bring the rosters up to date.

    Raises:
        DatabaseUnavailable: nothing was stored.
    """
    with database.begin() as connection:
        return store_rows(connection, keys, rows, now=now, zone=zone)


def import_people(
    database: Database,
    keys: FleetKeys,
    people: PeopleList,
    *,
    by: str,
    now: datetime,
    zone: tzinfo,
    within: Collection[str] | None = None,
    expected: str | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Imported:
    """Import a file of people as `import_rows` does, and write into the audit log who did.

    Args:
        database: where.
        keys: the fleet's.
        people: the list.
        by: who brings it.
        now: when.
        zone: where a day ends.
        within: codes of the areas whose people may be on it; None for all. Who is known and belongs to none of them is not taken from
            where they are, and who belongs elsewhere as well keeps name, home and who pays.
        expected: `Comparison.digest` of what was seen before; None where nobody looked.
        progress: called now and then with how many rows are stored.

    Raises:
        ImportRefused: with every row that is not within; the audit log then says that it was tried. People of other areas are told as a
            number only, and only of a list without other faults: no line says who is known elsewhere.
        Refused: if the list would change something else than was expected, with the code `import_overtaken`; if nothing is left of the name
            in `by`, or it is too long.
        DatabaseUnavailable: nothing was stored.
    """
    if within is not None:
        _refuse_outside(database, keys, people, frozenset(within), by=by, now=now)
    with database.begin() as connection:
        people, compared = look(connection, keys, people)
        if expected is not None and compared.digest != expected:
            raise Refused("what the list would change is another than was shown", code="import_overtaken")
        done = store_rows(connection, keys, people.rows, now=now, zone=zone, progress=progress)
        note_changes(connection, keys, done.subject_ids, compared, by=by, now=now)
        note(
            connection,
            keys.cipher,
            actor=by,
            action="subjects.imported",
            object_kind="subjects",
            object_id="all",
            detail={
                "rows": len(people.rows),
                "new": done.new,
                "changed": done.changed,
                "sha256": people.sha256,
                "encoding": people.encoding,
            },
            now=now,
        )
    return done


def look_at(
    database: Database,
    keys: FleetKeys,
    people: PeopleList,
    *,
    by: str,
    now: datetime,
    within: Collection[str] | None = None,
) -> tuple[PeopleList, Comparison]:
    """Return a list with its schemes as they are called here, and what its import would change; nothing is stored.

    Arguments are those of `import_people`.

    Raises:
        ImportRefused: as `import_people`.
        DatabaseUnavailable: if it cannot be reached.
    """
    if within is not None:
        _refuse_outside(database, keys, people, frozenset(within), by=by, now=now)
    with database.begin() as connection:
        return look(connection, keys, people)


def note_changes(
    connection: Connection, keys: FleetKeys, ids: Sequence[str], compared: Comparison, *, by: str, now: datetime
) -> None:
    """Write down, for each person who was known, what the list changed: it stands in their history."""
    changes: dict[str, set[Change]] = {}
    for subject_id, found in zip(ids, compared.rows, strict=True):
        if found and Change.NEW not in found:
            changes.setdefault(subject_id, set()).update(found)
    for subject_id, what in changes.items():
        note(
            connection,
            keys.cipher,
            actor=by,
            action="subject.imported",
            object_kind="subject",
            object_id=subject_id,
            detail={"what": sorted(what)},
            now=now,
        )


def store_rows(
    connection: Connection,
    keys: FleetKeys,
    rows: Sequence[SubjectRow],
    *,
    now: datetime,
    zone: tzinfo,
    only_new: bool = False,
    progress: Callable[[int], object] = lambda _: None,
) -> Imported:
    """Store rows in a transaction that does more with them.

    People who are not known are stored first, without a lock that anybody waits for; then terminals are locked, then the subjects whose
    rows say something else than is stored.

    Args:
        connection: where.
        keys: the fleet's.
        rows: the list.
        now: when.
        zone: where a day ends.
        only_new: leave whoever is known as they are: the list is older than what is known of them.
        progress: called now and then with how many rows are stored.
    """
    saving = _Saving(connection, keys, rows, now)
    if any(saving.is_new(number) for number in range(len(rows))):
        # Of two lists with one person who was not known, the second finds them stored.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        saving = _Saving(connection, keys, rows, now)
    today = day_of(now, zone)
    new = [number for number in range(len(rows)) if saving.is_new(number)]
    known = sorted(set(range(len(rows))) - set(new))
    # Nobody waits for people who were not here: they come first, and ingest goes on meanwhile.
    for done, number in enumerate(new, start=1):
        saving.save(number)
        if done % _TOLD == 0:
            progress(done)
    project(connection, [saving.ids[number] for number in new], zone=zone, today=today)
    differing = [] if only_new else [number for number in known if not saving.is_same(number)]
    progress(len(rows) - len(differing))
    if new or differing:
        # Terminals before subjects, the order in which ingest locks them.
        find_terminals(connection, lock=True)
        changed = saving.read_anew(differing)
        for number in differing:
            saving.save(number)
        rosters.refresh(connection)
        project(connection, changed, zone=zone, today=today)
    meet(connection, keys, zone=zone, now=now)
    counts = Counter(saving.outcomes.get(number, "unchanged") for number in range(len(rows)))
    ids = tuple(saving.ids[number] for number in range(len(rows)))
    return Imported(counts["new"], counts["changed"], counts["unchanged"], ids)


def _refuse_outside(
    database: Database, keys: FleetKeys, people: PeopleList, within: frozenset[str], *, by: str, now: datetime
) -> None:
    with database.begin() as connection:
        problems, elsewhere = _outside(connection, keys, people, within)
        if problems or elsewhere:
            note(
                connection,
                keys.cipher,
                actor=by,
                action="subjects.import_refused",
                object_kind="subjects",
                object_id="all",
                detail={
                    "rows": len(people.rows),
                    "problems": len(problems),
                    "people_elsewhere": elsewhere,
                    "sha256": people.sha256,
                },
                now=now,
            )
    if problems:
        raise ImportRefused(problems)
    if elsewhere:
        sentence = f"{elsewhere} people of this list belong to other areas; whoever administers the fleet imports them"
        raise ImportRefused([Problem(sentence, "people_elsewhere", people=elsewhere)])


def _outside(
    connection: Connection, keys: FleetKeys, people: PeopleList, within: frozenset[str]
) -> tuple[list[Problem], int]:
    """Return what is wrong with rows by their lines, and how many people belong to other areas only."""
    problems: list[Problem] = []
    tokens = {row.line: claim_token(row.document, keys.claim_key) for row in people.rows}
    known = subjects.find_by_tokens(connection, list(tokens.values()))
    ids = [each.subject_id for each in known.values()]
    elsewhere = outside_of(connection, ids, within)
    shared = also_outside_of(connection, ids, within) - elsewhere
    benefits = subjects.benefits_of(connection, sorted(shared))
    for row in people.rows:
        stored = known.get(tokens[row.line])
        if row.area not in within:
            problems.append(Problem("none of yours", "area_not_yours").within(at_line(row.line), in_column("area")))
        elif stored is not None and stored.subject_id in shared:
            column = _taken_away(keys, row, stored, benefits.get(stored.subject_id, {}))
            if column is not None:
                both = Problem("is another, and the person belongs to another area as well", "person_shared")
                problems.append(both.within(at_line(row.line), in_column(column)))
    return problems, len(elsewhere)


def _taken_away(keys: FleetKeys, row: SubjectRow, stored: StoredSubject, benefits: Mapping[str, Benefit]) -> str | None:
    """Return the column of a row that another area must agree to, where the person is that area's, too."""
    if keys.cipher.decrypt(stored.name_sealed, subject_id=stored.subject_id, field_name="name") != row.name:
        return "name"
    paid = benefits.get(row.benefit.scheme)
    pays_another = paid is not None and paid.region != row.benefit.region
    return "area" if row.area != stored.area or pays_another else None


class _Saving:
    """Knows who is stored already, so that only what differs is written."""

    def __init__(self, connection: Connection, keys: FleetKeys, rows: Sequence[SubjectRow], now: datetime) -> None:
        self._connection = connection
        self._cipher = keys.cipher
        self._now = now
        self._rows = rows
        self._tokens = [claim_token(row.document, keys.claim_key) for row in rows]
        self._known = subjects.find_by_tokens(connection, self._tokens)
        self._known_before = frozenset(self._known)
        self._read([subject.subject_id for subject in self._known.values()])
        self.outcomes: dict[int, str] = {}
        """What became of the rows that were saved."""
        self.ids = {
            number: self._known[token].subject_id for number, token in enumerate(self._tokens) if token in self._known
        }
        """Subjects by row, as far as they are known or saved."""

    def _read(self, ids: Sequence[str]) -> None:
        self._benefits = subjects.benefits_of(self._connection, ids)
        self._phones = subjects.phones_of(self._connection, ids)

    def is_new(self, number: int) -> bool:
        """Return whether the person of a row was not known."""
        return self._tokens[number] not in self._known_before

    def is_same(self, number: int) -> bool:
        """Return whether a row of somebody known says what is stored."""
        row, known = self._rows[number], self._known[self._tokens[number]]
        if known.area != row.area or self._opened(known.subject_id, "name", known.name_sealed) != row.name:
            return False
        benefit = self._benefits.get(known.subject_id, {}).get(row.benefit.scheme)
        if benefit is None or completed(row, benefit) != benefit:
            return False
        phone = self._phones.get(known.subject_id)
        return not row.phone or (phone is not None and self._opened(known.subject_id, PHONE_FIELD, phone) == row.phone)

    def read_anew(self, numbers: Sequence[int]) -> list[str]:
        """Lock the people of these rows and read what is stored of them now; return who they are."""
        ids = sorted({self.ids[number] for number in numbers})
        subjects.lock_subjects(self._connection, ids)
        self._known |= subjects.find_by_tokens(self._connection, [self._tokens[number] for number in numbers])
        self._read(ids)
        return ids

    def save(self, number: int) -> None:
        """Store one row, and keep what became of it."""
        row, token = self._rows[number], self._tokens[number]
        known = self._known.get(token)
        subject, is_same_person = self._person(row, token, known)
        self._known[token] = subject
        self.ids[number] = subject.subject_id
        has_new_phone = self._phone(row, subject.subject_id)
        is_same_benefit = self._benefit(row, subject.subject_id)
        is_same = is_same_person and is_same_benefit and not has_new_phone
        self.outcomes[number] = "new" if known is None else "unchanged" if is_same else "changed"

    def _opened(self, subject_id: str, field_name: str, sealed: bytes) -> str:
        return self._cipher.decrypt(sealed, subject_id=subject_id, field_name=field_name)

    def _person(self, row: SubjectRow, token: str, known: StoredSubject | None) -> tuple[StoredSubject, bool]:
        if known is None:
            subject_id = os.urandom(16).hex()
            document = self._cipher.encrypt(row.document.text, subject_id=subject_id, field_name="document")
        else:
            subject_id, document = known.subject_id, known.document_sealed
            name = self._opened(subject_id, "name", known.name_sealed)
            if name == row.name and known.area == row.area:
                return known, True
        sealed = self._cipher.encrypt(row.name, subject_id=subject_id, field_name="name")
        subject = StoredSubject(
            subject_id, token, row.area, sealed, document, birth_date(row.document), sex(row.document)
        )
        tokens = tokens_of(self._cipher, row.name)
        subjects.save_subject(self._connection, subject, name_tokens=tokens, now=self._now)
        return subject, False

    def _benefit(self, row: SubjectRow, subject_id: str) -> bool:
        known = self._benefits.setdefault(subject_id, {}).get(row.benefit.scheme)
        benefit = row.benefit if known is None else completed(row, known)
        if benefit == known:
            return True
        if known is not None and known.region != benefit.region:
            # Moved, or paid twice (R8-11): people decide.
            hit = duplicates.other_region(subject_id, benefit.scheme, known.region, benefit.region)
            duplicates.add_hits(self._connection, [hit], now=self._now)
        subjects.save_benefit(self._connection, subject_id, benefit)
        self._benefits[subject_id][benefit.scheme] = benefit
        return False

    def _phone(self, row: SubjectRow, subject_id: str) -> bool:
        """Store a number that is new; a list that has none takes none away (R8-14)."""
        if not row.phone:
            return False
        stored = self._phones.get(subject_id)
        if stored is not None and self._opened(subject_id, PHONE_FIELD, stored) == row.phone:
            return False
        sealed = self._cipher.encrypt(row.phone, subject_id=subject_id, field_name=PHONE_FIELD)
        subjects.save_phone(self._connection, subject_id, sealed)
        self._phones[subject_id] = sealed
        return True
