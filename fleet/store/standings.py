"""Where people stand, and how many stand where; as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text

from protocol.rules.obligations import CertificationState, state_of


@dataclass(frozen=True, slots=True)
class PackStanding:
    """What one pack asks of one benefit of somebody."""

    subject_id: str
    scheme: str
    pack_id: str
    pack_version: int
    last_day: date | None
    """Day of the act that counted last."""
    last_act: str | None
    opens: date
    asked: date
    expiring: date
    due: date
    overdue: date
    stop_from: date

    def state(self, today: date) -> CertificationState:
        """Return where the person stands by this pack on a day."""
        return state_of(self.last_day is not None, self.asked, self.expiring, self.overdue, today)


@dataclass(frozen=True, slots=True)
class BenefitStateRow:
    """The state of one benefit."""

    scheme: str
    state: str
    stopped_from: date | None
    is_frozen: bool


@dataclass(frozen=True, slots=True)
class Count:
    """How many people of an area stand somewhere."""

    area: str
    state: CertificationState
    people: int


def pack_standings(connection: Connection, subject_ids: Sequence[str]) -> dict[str, list[PackStanding]]:
    """Return what packs ask of these people; what is due first comes first."""
    rows = connection.execute(
        text(
            "SELECT subject_id, scheme, pack_id, pack_version, last_day, last_act, opens, asked, expiring, due, overdue,"
            " stop_from FROM obligations WHERE subject_id = ANY(:ids) ORDER BY subject_id, due, stop_from, pack_id, scheme"
        ),
        {"ids": list(subject_ids)},
    )
    found: dict[str, list[PackStanding]] = {}
    for row in rows:
        found.setdefault(row.subject_id, []).append(PackStanding(*row))
    return found


def counts(connection: Connection, *, within: Sequence[str] | None, today: date) -> list[Count]:
    """Return how many people of each area are in each state on a day, in one statement.

    Args:
        connection: where to read.
        within: areas in which they live; None for all.
        today: the day. The cases are those of `protocol.rules.obligations.state_of`.
    """
    rows = connection.execute(
        text(
            "SELECT s.area, CASE WHEN t.certified_until IS NULL THEN 'never_certified'"
            " WHEN t.overdue <= :today THEN 'overdue' WHEN t.asked > :today THEN 'certified'"
            " WHEN t.expiring <= :today THEN 'expiring' ELSE 'due' END AS state, count(*) AS people"
            " FROM subjects s LEFT JOIN statuses t USING (subject_id)"
            " WHERE CAST(:within AS text[]) IS NULL OR s.area = ANY(:within) GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        {"today": today, "within": None if within is None else list(within)},
    )
    return [Count(row.area, CertificationState(row.state), row.people) for row in rows]


def benefit_states_of(connection: Connection, subject_id: str, today: date) -> list[BenefitStateRow]:
    """Return the state of each of somebody's benefits; one to which nothing ever happened is paid until the day its list ends it."""
    rows = connection.execute(
        text(
            "SELECT b.scheme, CASE WHEN b.ended < :today THEN 'ended' ELSE coalesce(f.state, 'paying') END AS state,"
            " coalesce(f.stopped_from, CASE WHEN b.ended < :today THEN"
            " CAST(date_trunc('month', b.ended) + interval '1 month' AS date) END) AS stopped_from,"
            " coalesce(cardinality(f.frozen_by) > 0, false) AS is_frozen"
            " FROM benefits b LEFT JOIN benefit_files f USING (subject_id, scheme) WHERE b.subject_id = :id ORDER BY b.scheme"
        ),
        {"id": subject_id, "today": today},
    )
    return [BenefitStateRow(*row) for row in rows]


def open_cases_of(connection: Connection, subject_id: str) -> int:
    """Return how many cases about somebody wait for a decision."""
    found = connection.execute(
        text(
            "SELECT (SELECT count(*) FROM cases WHERE subject_id = :id AND state NOT IN ('passed', 'refused', 'closed'))"
            " + (SELECT count(*) FROM i_am_here WHERE subject_id = :id AND resolved_at IS NULL)"
        ),
        {"id": subject_id},
    )
    return int(found.scalar_one())
