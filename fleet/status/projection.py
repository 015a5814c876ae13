"""Projects what is stored on certification statuses, by the rule packs in force.

An obligation is what one pack asks of one benefit next; a status is the strictest of a subject's obligations. Both are functions of the
acts (passes of records that count, and what `fleet.store.acts` holds), the benefits and the packs that hold today. Ingest judges a record
when it arrives and projects the subjects of a batch inside the batch's transaction; `rebuild` judges and projects everybody by the same
functions, and gives the same rows unless the fleet knows more than then: a policy that was put back, a setting that was changed, a
pack that has begun. Which state a person is in on a day is not stored: it follows from the stored days by `state_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Any

from sqlalchemy import Connection, text

from fleet.clock import Clock, day_of
from fleet.status.doubts import keep_doubts
from fleet.store import entitlements, subject_areas
from fleet.store.acts import acts_of
from fleet.store.areas import parents_above
from fleet.store.database import Database
from fleet.store.key_lists import days_left_off
from fleet.store.packs import shelf_of
from fleet.store.subjects import lock_subjects
from fleet.store.webhooks import standings, tell_changes
from protocol.entitlements import MOST_ENTITLEMENTS, Entitlement, entitlement
from protocol.rules.acts import Act
from protocol.rules.days import FOREVER
from protocol.rules.obligations import Entitled, Obligation, nothing_asked, obligation, strictest
from protocol.rules.shelf import Shelf, ancestors_in

_CHUNK = 1000
"""Subjects in one transaction of a rebuild."""
UNLISTED = ""
"""Stands for the scheme of somebody who is on no list of benefits: the default pack holds for them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a pack asks of one benefit of one subject."""

    subject_id: str
    area: str
    """Where the person lives."""
    scheme: str
    obligation: Obligation
    told: Entitlement
    """What terminals are told, so that they work out the same."""


@dataclass(frozen=True, slots=True)
class BenefitFacts:
    """What the rules ask about one benefit of one subject."""

    subject_id: str
    area: str
    """Where the person lives."""
    scheme: str
    category: str
    regions: frozenset[str]
    """The area that pays it, and all above."""
    entitled: Entitled
    ended: date | None
    """The last day of the benefit; None while it is paid."""
    acts: tuple[Act, ...]
    """Everything that may certify the person."""


def project(connection: Connection, subject_ids: Sequence[str], *, zone: tzinfo, today: date) -> int:
    """Work out obligations, statuses and contradictions of these subjects; return how many statuses there are.

    The subjects are locked first: of two transactions with records of one subject, the second sees what the first committed.
    """
    known = sorted(lock_subjects(connection, subject_ids))
    if not known:
        return 0
    asked = ask(facts_of(connection, known, zone=zone), shelf_of(connection), today)
    told = standings(connection, known)
    for name in ("obligations", "statuses"):
        connection.execute(text(f"DELETE FROM {name} WHERE subject_id = ANY(:ids)"), {"ids": known})  # noqa: S608 - our own names
    _insert(connection, "obligations", _OBLIGATION, [_obligation_row(each) for each in asked])
    by_subject: dict[str, list[Asked]] = {}
    for each in asked:
        by_subject.setdefault(each.subject_id, []).append(each)
    records = {row.subject_id: row for row in connection.execute(text(_RECORDS), {"ids": known})}
    rows = []
    for subject_id in known:
        worst = strictest(each.obligation for each in by_subject[subject_id])
        if worst is not None:
            rows.append(_status_row(subject_id, worst, records[subject_id], zone))
    _insert(connection, "statuses", _STATUS, rows)
    subject_areas.place(connection, known)
    keep_doubts(connection, known, zone=zone)
    if told is not None:
        tell_changes(connection, told, known, today)
    entitlements.tell(connection, {subject_id: _told(asked) for subject_id, asked in by_subject.items()})
    return len(rows)


def facts_of(connection: Connection, subject_ids: Sequence[str], *, zone: tzinfo) -> list[BenefitFacts]:
    """Return everything that the rules ask about each benefit of these subjects."""
    benefits = connection.execute(text(_BENEFITS), {"ids": list(subject_ids), "unlisted": UNLISTED}).all()
    above = ancestors_in(parents_above(connection, {row.region for row in benefits}))
    acts = acts_of(connection, subject_ids, zone=zone)
    left_off = days_left_off(connection, subject_ids)
    return [
        BenefitFacts(
            row.subject_id,
            row.area,
            row.scheme,
            row.category,
            above(row.region),
            _entitled(row, zone, left_off.get((row.subject_id, row.scheme), frozenset())),
            row.ended,
            tuple(acts.get(row.subject_id, ())),
        )
        for row in benefits
    ]


def ask(facts: Iterable[BenefitFacts], shelf: Shelf, today: date) -> list[Asked]:
    """Return what the packs of a shelf ask of these benefits; another shelf than the one in force answers "what if".

    Args:
        facts: of whom.
        shelf: the packs.
        today: decides which version of a pack holds.
    """
    found: list[Asked] = []
    for each in facts:
        for pack in shelf.packs_for(each.scheme, each.category, each.regions, today):
            next_one = obligation(pack, each.entitled, each.acts)
            if each.ended is not None and each.ended < today:
                next_one = nothing_asked(pack, next_one)
            told = entitlement(pack, each.entitled, next_one.last)
            found.append(Asked(each.subject_id, each.area, each.scheme, next_one, told))
    return found


def _told(asked: Sequence[Asked]) -> tuple[Entitlement, ...]:
    """Return what terminals are told of one subject, the strictest first; two schemes that ask the same are told once."""
    by_strictness = sorted(
        asked, key=lambda each: (each.obligation.due, each.obligation.stop_from, each.obligation.pack_id, each.scheme)
    )
    asking = (each.told for each in by_strictness if each.obligation.due != FOREVER)
    return tuple(dict.fromkeys(asking))[:MOST_ENTITLEMENTS]


Judging = Callable[[Connection, Sequence[str]], None]
"""Judges all records of some subjects anew; may lock terminals first."""


def rebuild(database: Database, *, judging: Judging, zone: tzinfo, clock: Clock) -> int:
    """Judge every pass and work out every status anew, some subjects at a time, while ingest goes on; return how many there are.

    Raises:
        DatabaseUnavailable: as any transaction.
    """
    total = 0
    for chunk in subject_chunks(database):
        with database.begin() as connection:
            # Records before subjects, the order in which ingest locks them.
            judging(connection, chunk)
            total += project(connection, chunk, zone=zone, today=day_of(clock(), zone))
    return total


def reproject_outdated(
    database: Database, *, zone: tzinfo, clock: Clock, then: Callable[[], object] = lambda: None
) -> int:
    """Project whoever is still held to a version of a pack that has begun or ended meanwhile; return how many statuses that made.

    Args:
        database: the fleet's.
        zone: where a day ends.
        clock: says which day it is.
        then: what else follows from other packs; a program that is killed before it is done begins again.

    Raises:
        DatabaseUnavailable: as any transaction.
    """
    today = day_of(clock(), zone)
    with database.begin() as connection:
        held = " ".join(f"{pack.pack_id}/{pack.version}" for pack in shelf_of(connection).on(today))
        known = connection.execute(text("SELECT packs FROM projected_with")).scalar_one_or_none()
    if held == known:
        return 0
    total = 0
    for chunk in subject_chunks(database):
        with database.begin() as connection:
            total += project(connection, chunk, zone=zone, today=today)
    then()
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO projected_with (packs) VALUES (:packs) ON CONFLICT (only_row) DO UPDATE SET packs = EXCLUDED.packs"
            ),
            {"packs": held},
        )
    return total


def subject_chunks(database: Database) -> Iterator[list[str]]:
    """Give the ids of all subjects, some at a time."""
    after = ""
    while True:
        with database.begin() as connection:
            found = list(
                connection.execute(
                    text("SELECT subject_id FROM subjects WHERE subject_id > :after ORDER BY subject_id LIMIT :chunk"),
                    {"after": after, "chunk": _CHUNK},
                ).scalars()
            )
        if not found:
            return
        yield found
        after = found[-1]


def _entitled(row: Any, zone: tzinfo, left_off: frozenset[date]) -> Entitled:
    listed = day_of(row.created_at, zone)
    return Entitled(row.started or listed, row.birth_date, listed, left_off)


_BENEFITS = """
SELECT s.subject_id, s.area, s.birth_date, s.created_at, coalesce(b.scheme, :unlisted) AS scheme, coalesce(b.category, '') AS category,
    coalesce(b.region, s.area) AS region, b.started, b.ended
FROM subjects s LEFT JOIN benefits b USING (subject_id) WHERE s.subject_id = ANY(:ids) ORDER BY s.subject_id, scheme
"""
# A pass counts if the record's claim token is the subject's own and its chain is not broken. Ties are broken by terminal and counter, so
# that the same records give the same row in whatever order they came.
_RECORDS = """
SELECT s.subject_id, p.pass_at, p.record_id AS pass_record, l.record_id AS last_record, l.outcome, l.event_at,
    (SELECT count(*) FROM records c WHERE c.subject_id = s.subject_id) AS records
FROM subjects s
LEFT JOIN LATERAL (
    SELECT record_id, outcome, event_at FROM records r WHERE r.subject_id = s.subject_id
    ORDER BY event_at DESC, terminal_id DESC, counter DESC LIMIT 1
) l ON true
LEFT JOIN LATERAL (
    SELECT r.record_id, r.pass_at FROM records r JOIN links k ON k.record_id = r.record_id
    WHERE r.subject_id = s.subject_id AND r.pass_at IS NOT NULL AND k.chain <> 'broken' AND r.claim_token = s.claim_token
    ORDER BY r.pass_at DESC, r.terminal_id DESC, r.counter DESC LIMIT 1
) p ON true
WHERE s.subject_id = ANY(:ids)
"""
_DAYS = (
    ("opens", "date"),
    ("asked", "date"),
    ("expiring", "date"),
    ("due", "date"),
    ("overdue", "date"),
    ("stop_from", "date"),
)
_OBLIGATION = (
    ("subject_id", "text"),
    ("scheme", "text"),
    ("pack_id", "text"),
    ("pack_version", "integer"),
    ("last_day", "date"),
    ("last_act", "text"),
    *_DAYS,
)
_STATUS = (
    ("subject_id", "text"),
    ("last_pass_at", "timestamptz"),
    ("last_pass_record", "text"),
    ("last_pass_day", "date"),
    ("certified_until", "date"),
    ("rule_pack", "text"),
    ("last_record", "text"),
    ("last_outcome", "text"),
    ("last_event_at", "timestamptz"),
    ("records", "bigint"),
    ("last_act", "text"),
    ("last_act_kind", "text"),
    *_DAYS,
)


def _days(found: Obligation) -> dict[str, Any]:
    return {name: getattr(found, name) for name, _ in _DAYS}


def _obligation_row(asked: Asked) -> dict[str, Any]:
    found = asked.obligation
    return {
        "subject_id": asked.subject_id,
        "scheme": asked.scheme,
        "pack_id": found.pack_id,
        "pack_version": found.pack_version,
        "last_day": None if found.last is None else found.last.day,
        "last_act": None if found.last is None else found.last.act_id,
        **_days(found),
    }


def _status_row(subject_id: str, worst: Obligation, row: Any, zone: tzinfo) -> dict[str, Any]:
    return {
        "subject_id": subject_id,
        "last_pass_at": row.pass_at,
        "last_pass_record": row.pass_record,
        "last_pass_day": None if row.pass_at is None else day_of(row.pass_at, zone),
        "certified_until": None if worst.last is None else worst.due,
        "rule_pack": worst.pack_id,
        "last_record": row.last_record,
        "last_outcome": row.outcome,
        "last_event_at": row.event_at,
        "records": row.records,
        "last_act": None if worst.last is None else worst.last.act_id,
        "last_act_kind": None if worst.last is None else worst.last.kind.value,
        **_days(worst),
    }


def _insert(
    connection: Connection, name: str, columns: Sequence[tuple[str, str]], rows: Sequence[dict[str, Any]]
) -> None:
    if not rows:
        return
    names = ", ".join(column for column, _ in columns)
    arrays = ", ".join(f"CAST(:{column} AS {kind}[])" for column, kind in columns)
    connection.execute(
        text(f"INSERT INTO {name} ({names}) SELECT * FROM unnest({arrays})"),  # noqa: S608 - our own names
        {column: [row[column] for row in rows] for column, _ in columns},
    )
