"""Gives other bodies the results of a month: who was certified, on which day and how, as a CSV file."""

from __future__ import annotations

from datetime import date, datetime, time, tzinfo
from pathlib import Path

from fleet.audit.log import note
from fleet.errors import Refused
from fleet.exchange.cycles import month_text
from fleet.keys import FleetKeys
from fleet.store.acts import acts_of
from fleet.store.database import Database
from fleet.store.feed_effects import benefits_held
from fleet.store.feed_lists import people_with_acts
from fleet.tables.writing import to_csv, write_new
from protocol.documents import parse_document
from protocol.rules.days import first_of_month

_CHUNK = 5000
_HEADING = ("document_kind", "document_number", "document_issuer", "name", "scheme", "day", "kind", "channel")


def export_results(
    database: Database, keys: FleetKeys, period: date, out: Path, *, actor: str, now: datetime, zone: tzinfo
) -> int:
    """Write everybody's certifications of a month, as `results_of` gives them; return how many rows there are.

    Args:
        database: where they are.
        keys: the fleet's.
        period: first day of the month.
        out: file to write, readable by its owner only; an existing one is never replaced.
        actor: who takes it, for the log, which is written before the file.
        now: when.
        zone: where a day ends.

    Raises:
        Refused: if the file cannot be written.
        DatabaseUnavailable: nothing was written.
    """
    if out.exists():
        raise Refused(f"{out}: exists already; results are never written over another file")
    content, rows = results_of(database, keys, period, actor=actor, now=now, zone=zone)
    write_new(out, content)
    return rows


def results_of(
    database: Database, keys: FleetKeys, period: date, *, actor: str, now: datetime, zone: tzinfo
) -> tuple[bytes, int]:
    """Return everybody's certifications of a month as CSV, a row for each scheme and act, and how many rows there are.

    Args:
        database: where they are.
        keys: the fleet's.
        period: first day of the month.
        actor: who takes it, for the log.
        now: when.
        zone: where a day ends.

    Raises:
        DatabaseUnavailable: nothing was given out.
    """
    begins = datetime.combine(period, time(), zone)
    ends = datetime.combine(first_of_month(period, 1), time(), zone)
    rows: list[tuple[str | None, ...]] = []
    about = set[str]()
    with database.begin() as connection:
        for people in people_with_acts(connection, begins, ends, chunk=_CHUNK):
            ids = sorted(people)
            schemes: dict[str, list[str]] = {}
            for benefit in benefits_held(connection, ids):
                schemes.setdefault(benefit.subject_id, []).append(benefit.scheme)
            about.update(ids)
            for subject_id, acts in sorted(acts_of(connection, ids, zone=zone).items()):
                person = people[subject_id]
                number = keys.cipher.decrypt(person.document_sealed, subject_id=subject_id, field_name="document")
                name = keys.cipher.decrypt(person.name_sealed, subject_id=subject_id, field_name="name")
                document = parse_document(number)
                for act in sorted(act for act in acts if period <= act.day < ends.date()):
                    for scheme in sorted(schemes.get(subject_id, [""])):
                        who = (document.kind.value, document.number, document.issuer, name, scheme)
                        rows.append((*who, act.day.isoformat(), act.kind.value, act.channel.value))
        note(
            connection,
            keys.cipher,
            actor=actor,
            action="results.exported",
            object_kind="results",
            object_id=month_text(period),
            detail={"rows": len(rows)},
            about=about,
            now=now,
        )
    return to_csv((_HEADING, rows)), len(rows)
