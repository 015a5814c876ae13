"""What a person at the agency changes about somebody by hand: where they live, and which unit looks after a benefit.

It goes the way a list goes (`fleet.intake.subjects.store_rows`): rosters, obligations and the index of areas follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, tzinfo

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.errors import NotFound, Refused
from fleet.intake.people_table import MAX_TEXT, OPTIONAL_FACTS, SubjectRow
from fleet.intake.subjects import store_rows
from fleet.keys import FleetKeys
from fleet.store import subjects
from fleet.tables.reading import text_problem
from protocol.documents import parse_document


def change_details(
    connection: Connection,
    keys: FleetKeys,
    subject_id: str,
    *,
    area: str,
    units: Mapping[str, str],
    told_by: str,
    by: str,
    now: datetime,
    zone: tzinfo,
) -> bool:
    """Change where somebody lives and the units of their benefits; return whether anything was another before.

    Args:
        connection: a transaction that has locked nothing yet but `fleet.store.person.lock_changes`.
        keys: the fleet's.
        subject_id: whose.
        area: code of the area; whoever calls has made sure that there is one of this code.
        units: by scheme, the unit or nothing; of a scheme that is not named it stays.
        told_by: whose word it is, a code for the audit log.
        by: who changes it.
        now: when.
        zone: where a day ends.

    Raises:
        NotFound: if there is no such subject.
        Refused: if a unit's name cannot be taken, or they have no benefit, by which lists know a person.
    """
    subject = subjects.find_by_id(connection, subject_id)
    if subject is None:
        raise NotFound(f"subject {subject_id}: there is none of this id")
    benefits = subjects.benefits_of(connection, [subject_id]).get(subject_id, {})
    if not benefits:
        raise Refused(f"subject {subject_id}: has no benefit; import them with a list first", code="no_benefit")
    wrong = [scheme for scheme, unit in units.items() if unit and text_problem(unit, MAX_TEXT) is not None]
    if wrong:
        raise Refused(f"unit: 1 to {MAX_TEXT} characters of one line expected", code="unit_unusable", most=MAX_TEXT)
    document = parse_document(
        keys.cipher.decrypt(subject.document_sealed, subject_id=subject_id, field_name="document")
    )
    name = keys.cipher.decrypt(subject.name_sealed, subject_id=subject_id, field_name="name")
    rows = [
        SubjectRow(
            0,
            document,
            name,
            area,
            replace(benefit, unit=units.get(scheme, benefit.unit or "") or None),
            given=frozenset(OPTIONAL_FACTS),
        )
        for scheme, benefit in benefits.items()
    ]
    changed = area != subject.area or any(row.benefit != benefits[row.benefit.scheme] for row in rows)
    if changed:
        store_rows(connection, keys, rows, now=now, zone=zone)
        detail = {"area": area, "has_moved": area != subject.area, "told_by": told_by}
        note(
            connection,
            keys.cipher,
            actor=by,
            action="subject.changed",
            object_kind="subject",
            object_id=subject_id,
            detail=detail,
            now=now,
        )
    return changed
