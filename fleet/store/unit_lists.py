"""Lists of verified persons that units and villages hand in, as SQL; and who is to be on the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class UnitList:
    """One list, with what was handed in beside it (R4-20)."""

    list_id: str
    body: str
    """`unit` or `village`."""
    unit: str
    evidence: str
    """`list` with copies, or `certificate` (R4-21)."""
    matches_originals: bool
    """Whether 与原件相符 stands on the copies."""
    register_copies: int
    verified_on: date
    handler_sealed: bytes
    handler_token: str
    """Keyed hash of the handler's own document."""
    sha256: str
    taken_at: datetime
    taken_by_sealed: bytes
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody on a list."""

    subject_id: str
    line: int
    result: str
    """What the list says of the person."""
    name_sealed: bytes = b""
    """As it stands at the person; not stored with the list."""


@dataclass(frozen=True, slots=True)
class ToCertify:
    """Somebody who is asked to come; who it is stands encrypted."""

    subject_id: str
    area: str
    name_sealed: bytes
    document_sealed: bytes
    schemes: list[str]
    """Of the benefits that are paid."""
    categories: list[str]
    has_act: bool
    asked: date
    expiring: date
    due: date
    overdue: date


def add_unit_list(connection: Connection, found: UnitList, members: Sequence[Member]) -> None:
    """Store a list; it has a seal, or it would not be here.

    Args:
        connection: where.
        found: the list.
        members: everybody on it.
    """
    connection.execute(
        text(
            "INSERT INTO unit_lists (list_id, body, unit, evidence, is_sealed, matches_originals, register_copies, verified_on,"
            " handler_sealed, handler_token, sha256, taken_at, taken_by_sealed) VALUES (:list_id, :body, :unit, :evidence,"
            " true, :originals, :copies, :verified_on, :handler, :token, :sha256, :taken_at, :taken_by)"
        ),
        {
            "list_id": found.list_id,
            "body": found.body,
            "unit": found.unit,
            "evidence": found.evidence,
            "originals": found.matches_originals,
            "copies": found.register_copies,
            "verified_on": found.verified_on,
            "handler": found.handler_sealed,
            "token": found.handler_token,
            "sha256": found.sha256,
            "taken_at": found.taken_at,
            "taken_by": found.taken_by_sealed,
        },
    )
    connection.execute(
        text(
            "INSERT INTO unit_list_members (list_id, subject_id, line, result) SELECT :list_id, p.*"
            " FROM unnest(CAST(:subjects AS text[]), CAST(:lines AS integer[]), CAST(:results AS text[])) AS p"
        ),
        {
            "list_id": found.list_id,
            "subjects": [member.subject_id for member in members],
            "lines": [member.line for member in members],
            "results": [member.result for member in members],
        },
    )


def find_unit_list(connection: Connection, list_id: str, *, lock: bool = False) -> UnitList | None:
    """Return a list; locked, others that decide about it wait."""
    statement = _SELECT + " WHERE list_id = :id" + (" FOR UPDATE" if lock else "")
    row = connection.execute(text(statement), {"id": list_id}).one_or_none()
    return None if row is None else UnitList(*row)


def find_by_digest(connection: Connection, sha256: str) -> UnitList | None:
    """Return the list that this very file was."""
    row = connection.execute(text(_SELECT + " WHERE sha256 = :sha256"), {"sha256": sha256}).one_or_none()
    return None if row is None else UnitList(*row)


def unit_lists(connection: Connection, *, limit: int) -> list[tuple[UnitList, int, int]]:
    """Return the last lists, the newest first, each with how many persons are on it and how many have approved it."""
    rows = connection.execute(
        text(
            f"SELECT {_NAMES}, (SELECT count(*) FROM unit_list_members m WHERE m.list_id = u.list_id) AS persons,"  # noqa: S608 - our own names
            " (SELECT count(*) FROM approvals a WHERE a.object_kind = 'unit_list' AND a.object_id = u.list_id) AS approved"
            " FROM unit_lists u ORDER BY taken_at DESC, list_id LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [(UnitList(*row[:-2]), row.persons, row.approved) for row in rows]


def members_of(connection: Connection, list_id: str) -> list[Member]:
    """Return everybody on a list, by line; who was deleted since is not there."""
    rows = connection.execute(
        text(
            "SELECT m.subject_id, m.line, m.result, s.name_sealed FROM unit_list_members m JOIN subjects s USING (subject_id)"
            " WHERE m.list_id = :id ORDER BY m.line"
        ),
        {"id": list_id},
    )
    return [Member(row.subject_id, row.line, row.result, bytes(row.name_sealed)) for row in rows]


def certified_by(connection: Connection, list_id: str) -> set[str]:
    """Return whom a list has certified."""
    rows = connection.execute(
        text("SELECT subject_id FROM acts WHERE source = 'unit_list' AND source_id = :id AND withdrawn_at IS NULL"),
        {"id": list_id},
    )
    return set(rows.scalars())


def mark_decided(connection: Connection, list_id: str, *, now: datetime) -> None:
    """Write down that a list has had its effect."""
    connection.execute(text("UPDATE unit_lists SET decided_at = :now WHERE list_id = :id"), {"now": now, "id": list_id})


def to_certify(
    connection: Connection, *, unit: str | None, areas: Sequence[str], today: date, within: Sequence[str] | None = None
) -> list[ToCertify]:
    """Return who is asked to come today, of a unit or of areas, by area, due day and id: who is paid by the unit, or lives in the areas."""
    rows = connection.execute(
        text(
            "SELECT s.subject_id, s.area, s.name_sealed, s.document_sealed, array_agg(b.scheme ORDER BY b.scheme),"
            " array_agg(DISTINCT b.category), t.last_act IS NOT NULL, t.asked, t.expiring, t.due, t.overdue"
            " FROM benefits b JOIN subjects s USING (subject_id) JOIN statuses t USING (subject_id)"
            " WHERE t.asked <= :today AND (b.ended IS NULL OR b.ended >= :today)"
            " AND (b.unit = :unit OR (CAST(:unit AS text) IS NULL AND s.area = ANY(:areas)))"
            " AND (CAST(:within AS text[]) IS NULL OR s.area = ANY(:within))"
            " GROUP BY s.subject_id, t.subject_id ORDER BY s.area, t.due, s.subject_id"
        ),
        {
            "unit": unit,
            "areas": list(areas),
            "today": today,
            "within": None if within is None else list(within),
        },
    )
    return [ToCertify(*row) for row in rows]


_NAMES = (
    "list_id, body, unit, evidence, matches_originals, register_copies, verified_on, handler_sealed, handler_token, sha256,"
    " taken_at, taken_by_sealed, decided_at"
)
_SELECT = f"SELECT {_NAMES} FROM unit_lists"  # noqa: S608 - our own names
