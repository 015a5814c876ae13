"""Everything about one person, for somebody who has a reason to look: the look is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.benefits.files import open_text, repaid_stops
from fleet.benefits.months import RepaidStop
from fleet.benefits.standing import PersonStanding, status_of_person
from fleet.benefits.timeline import Entry, merged
from fleet.clock import day_of
from fleet.keys import FieldCipher
from fleet.store.timeline import ApprovalRow, TimelineRow, approvals_about, timeline_of


@dataclass(frozen=True, slots=True)
class History:
    """What happened, in order, and where the person stands now."""

    entries: tuple[Entry, ...]
    standing: PersonStanding
    repaid: Mapping[str, Sequence[RepaidStop]]
    """By scheme: the stops after which payment went on."""


def history_of(
    connection: Connection, cipher: FieldCipher, subject_id: str, *, by: str, now: datetime, zone: tzinfo
) -> History:
    """Return a person's history and write down who looked. Call it once in a transaction.

    Raises:
        NotFound: if there is no such subject.
        Refused: if the name cannot be taken.
    """
    standing = status_of_person(connection, subject_id, day_of(now, zone))
    rows = timeline_of(connection, subject_id)
    stops = {str(row.detail["stop_id"]) for row in rows if "stop_id" in row.detail}
    about = sorted(stops | {row.entry_id for row in rows if row.kind in ("i_am_here", "reference_made", "life_event")})
    entries = [
        *(_entry(row, cipher, subject_id) for row in rows),
        *(_approval(row, cipher) for row in approvals_about(connection, about)),
    ]
    repaid = repaid_stops(connection, subject_id)
    note(
        connection,
        cipher,
        actor=by,
        action="subject.history_viewed",
        object_kind="subject",
        object_id=subject_id,
        detail={"entries": len(entries)},
        now=now,
    )
    return History(tuple(merged(entries, zone=zone)), standing, repaid)


def _entry(row: TimelineRow, cipher: FieldCipher, subject_id: str) -> Entry:
    written = {} if row.text_sealed is None else {"written": open_text(cipher, subject_id, row.text_sealed)}
    return Entry(row.kind, row.entry_id, row.at, row.day, {**row.detail, **written})


def _approval(row: ApprovalRow, cipher: FieldCipher) -> Entry:
    of = f"{row.object_kind}:{row.object_id}"
    return Entry(
        f"approval.{row.object_kind}",
        row.object_id,
        row.approved_at,
        None,
        {
            "place": row.place,
            "by": cipher.decrypt(row.name_sealed, subject_id=of, field_name="approver"),
            "written": cipher.decrypt(row.reason_sealed, subject_id=of, field_name="approval_reason"),
        },
    )
