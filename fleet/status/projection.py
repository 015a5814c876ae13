"""Projects records on certification statuses, by one rule: twelve months since the last pass (R2-5).

A status is a function of the stored records and of what each is worth (`fleet.admission.judge`). Ingest judges a record when it arrives
and projects the subjects of a batch inside the batch's transaction; `rebuild` judges and projects everybody by the same functions,
and gives the same rows unless the fleet knows more than then: a policy that was put back, a setting that was changed. Which state a
person is in on a day is not stored: it follows from the day of the last pass by `state_on`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, tzinfo

from sqlalchemy import Connection, Row, text

from fleet.clock import day_of
from fleet.store.database import Database
from fleet.store.subjects import lock_subjects
from protocol.rules.certification import CertificationState, certification_state, certified_until
from protocol.rules.pack import ROLLING_12_MONTHS, RulePack

_CHUNK = 1000
"""Subjects in one transaction of a rebuild."""


def project(
    connection: Connection, subject_ids: Sequence[str], *, zone: tzinfo, pack: RulePack = ROLLING_12_MONTHS
) -> int:
    """Work out the statuses of these subjects from their records; return how many have one.

    The subjects are locked first: of two transactions with records of one subject, the second sees what the first committed.
    """
    known = lock_subjects(connection, subject_ids)
    if not known:
        return 0
    ids = {"ids": sorted(known)}
    connection.execute(text("DELETE FROM statuses WHERE subject_id = ANY(:ids)"), ids)
    rows = connection.execute(text(_SUMMARY), ids).all()
    columns: dict[str, list[object]] = {name: [] for name, _ in _COLUMNS}
    for row in rows:
        for name, value in _status(row, zone, pack).items():
            columns[name].append(value)
    names = ", ".join(name for name, _ in _COLUMNS)
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMNS)
    connection.execute(text(f"INSERT INTO statuses ({names}) SELECT * FROM unnest({arrays})"), columns)  # noqa: S608 - our own column list
    return len(rows)


Judging = Callable[[Connection, Sequence[str]], None]
"""Judges all records of some subjects anew; may lock terminals first."""


def rebuild(database: Database, *, judging: Judging, zone: tzinfo) -> int:
    """Judge every pass and work out every status anew, some subjects at a time, while ingest goes on; return how many there are.

    Raises:
        DatabaseUnavailable: as any transaction.
    """
    total = 0
    for chunk in _chunks(database):
        with database.begin() as connection:
            # Records before subjects, the order in which ingest locks them.
            judging(connection, chunk)
            total += project(connection, chunk, zone=zone)
    return total


def state_on(last_pass_day: date | None, today: date, pack: RulePack = ROLLING_12_MONTHS) -> CertificationState:
    """Return the certification state on a day."""
    return certification_state(last_pass_day, today, pack)


# A pass counts if the record's claim token is the subject's own and its chain is not broken. Ties are broken by terminal and counter, so
# that the same records give the same row in whatever order they came.
_SUMMARY = """
SELECT s.subject_id, p.pass_at, p.record_id AS pass_record, l.record_id AS last_record, l.outcome, l.event_at,
    (SELECT count(*) FROM records c WHERE c.subject_id = s.subject_id) AS records
FROM subjects s
JOIN LATERAL (
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
_COLUMNS = (
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
)


def _status(row: Row[tuple[object, ...]], zone: tzinfo, pack: RulePack) -> dict[str, object]:
    day = None if row.pass_at is None else day_of(row.pass_at, zone)
    return {
        "subject_id": row.subject_id,
        "last_pass_at": row.pass_at,
        "last_pass_record": row.pass_record,
        "last_pass_day": day,
        "certified_until": None if day is None else certified_until(day, pack),
        "rule_pack": pack.pack_id,
        "last_record": row.last_record,
        "last_outcome": row.outcome,
        "last_event_at": row.event_at,
        "records": row.records,
    }


def _chunks(database: Database) -> Iterator[list[str]]:
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
