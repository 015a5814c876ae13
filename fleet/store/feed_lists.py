"""Lists that are made of what feeds said: border crossings, findings of the household register, certified people of a month; as SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class BorderCrossing:
    """One crossing, with what the person is to do next."""

    subject_id: str
    since: date
    direction: str
    due: date


@dataclass(frozen=True, slots=True)
class RegisterState:
    """One person beside the household register."""

    subject_id: str
    finding: str | None
    """`registered`, `cancelled`, `moved_out`; None for somebody who was never checked."""
    checked_on: date | None
    last_certified: date | None
    due: date


@dataclass(frozen=True, slots=True)
class Overdue:
    """What a pack asked of somebody in vain."""

    subject_id: str
    pack_id: str
    opens: date
    overdue: date


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, as other bodies know them; both fields are encrypted."""

    subject_id: str
    name_sealed: bytes = field(repr=False)
    document_sealed: bytes = field(repr=False)


def crossings(connection: Connection) -> list[BorderCrossing]:
    """Return all crossings of everybody who ever left, unless a death is reported, by person."""
    rows = connection.execute(
        text(
            "SELECT e.subject_id, e.since, e.detail ->> 'direction', t.due FROM life_events e"
            " JOIN statuses t USING (subject_id) WHERE e.kind = 'exit_entry' AND e.withdrawn_at IS NULL"
            " AND EXISTS (SELECT 1 FROM life_events x WHERE x.subject_id = e.subject_id AND x.kind = 'exit_entry'"
            "  AND x.withdrawn_at IS NULL AND x.detail ->> 'direction' = 'exit')"
            " AND NOT EXISTS (SELECT 1 FROM life_events d WHERE d.subject_id = e.subject_id AND d.withdrawn_at IS NULL"
            "  AND d.kind IN ('death', 'cremation', 'burial', 'declared_dead'))"
            " ORDER BY e.subject_id, e.since"
        )
    )
    return [BorderCrossing(*row) for row in rows]


def register_states(connection: Connection, areas: Sequence[str]) -> list[RegisterState]:
    """Return the people of these areas with the newest finding of the household register about each."""
    rows = connection.execute(
        text(
            "SELECT s.subject_id, r.finding, r.since, o.last_day, t.due FROM subjects s JOIN statuses t USING (subject_id)"
            " LEFT JOIN LATERAL (SELECT max(last_day) AS last_day FROM obligations WHERE subject_id = s.subject_id) o ON true"
            " LEFT JOIN LATERAL (SELECT detail ->> 'finding' AS finding, since FROM feed_rows"
            "  WHERE subject_id = s.subject_id AND kind = 'register_cancelled' AND stands"
            "  AND name_state NOT IN ('unchecked', 'differs') ORDER BY since DESC, row_key LIMIT 1) r ON true"
            " WHERE s.area = ANY(:areas) ORDER BY s.subject_id"
        ),
        {"areas": list(areas)},
    )
    return [RegisterState(*row) for row in rows]


def overdue(connection: Connection, areas: Sequence[str], pack_ids: Sequence[str], today: date) -> list[Overdue]:
    """Return who of these areas is overdue under these packs, the longest first; of several benefits under one pack the oldest."""
    rows = connection.execute(
        text(
            "SELECT o.subject_id, o.pack_id, min(o.opens), min(o.overdue) FROM obligations o JOIN subjects s USING (subject_id)"
            " WHERE s.area = ANY(:areas) AND o.pack_id = ANY(:packs) AND o.overdue <= :today"
            " GROUP BY o.subject_id, o.pack_id ORDER BY min(o.overdue), o.subject_id, o.pack_id"
        ),
        {"areas": list(areas), "packs": list(pack_ids), "today": today},
    )
    return [Overdue(*row) for row in rows]


def people_with_acts(
    connection: Connection, begins: datetime, ends: datetime, *, chunk: int
) -> Iterator[dict[str, Person]]:
    """Give everybody who passed or has an act from one moment to before another, some at a time."""
    after = ""
    while True:
        rows = connection.execute(
            text(
                "SELECT subject_id, name_sealed, document_sealed FROM subjects WHERE subject_id > :after AND subject_id IN ("
                " SELECT subject_id FROM records WHERE pass_at >= :begins AND pass_at < :ends UNION"
                " SELECT subject_id FROM acts WHERE acted_at >= :begins AND acted_at < :ends AND withdrawn_at IS NULL)"
                " ORDER BY subject_id LIMIT :chunk"
            ),
            {"after": after, "begins": begins, "ends": ends, "chunk": chunk},
        )
        found = {r.subject_id: Person(r.subject_id, bytes(r.name_sealed), bytes(r.document_sealed)) for r in rows}
        if not found:
            return
        yield found
        after = max(found)
