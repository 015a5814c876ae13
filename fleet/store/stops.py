"""Benefits with a stop, a page at a time and by the step of the ladder that they are at; as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

from fleet.store.subject_areas import among, are_few, unless_everybody


class Stage(StrEnum):
    """How far a stop has come."""

    FROZEN = "frozen"
    """A case holds it up: the person may be there alive."""
    PROPOSED = "proposed"
    """Nothing was done yet to reach the person."""
    NOTICED = "noticed"
    """The message is recorded; the call comes next."""
    ATTEMPTS = "attempts"
    """Message and call are recorded; the visit comes next."""
    COMPARISON = "comparison"
    """The ladder is done; data of other bodies must still be compared (R7-11)."""
    FIRST = "first_approval"
    SECOND = "second_approval"
    TO_CARRY_OUT = "to_carry_out"
    """Two persons have approved it."""
    IN_FORCE = "in_force"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class StopLine:
    """One benefit in a list."""

    subject_id: str
    scheme: str
    stage: Stage
    state: str
    reason: str | None
    effect: str | None
    from_month: date | None
    since: date | None
    """The day on which it was proposed, or, of one restored, on which it was."""
    stopped_from: date | None
    approvals: int
    area: str
    """That pays it."""

    @property
    def place(self) -> str:
        """Its place in the list."""
        return f"{self.since or date.min}|{self.subject_id}|{self.scheme}"


@dataclass(frozen=True, slots=True)
class StopsAsked:
    """Which ones somebody looks for."""

    within: Sequence[str] | None
    """Areas in which people live or that pay them; None for all."""
    stage: Stage | None = None
    reason: str = ""

    @property
    def values(self) -> dict[str, Any]:
        """Parameters of the statements below."""
        return {
            "within": None if self.within is None else list(self.within),
            "stage": None if self.stage is None else self.stage.value,
            "reason": self.reason,
        }


def stop_lines(connection: Connection, asked: StopsAsked, *, after: str, before: str, limit: int) -> list[StopLine]:
    """Return benefits with a stop, those that were proposed first first; of restored ones the last first.

    Args:
        connection: where to read.
        asked: which.
        after: place (`StopLine.place`) behind which to begin; empty for the first.
        before: place before which to end, in its stead.
        limit: most lines.
    """
    is_restored = asked.stage is Stage.RESTORED
    is_back = bool(before)
    is_rising = is_restored == is_back
    day, subject_id, scheme = _place(before or after)
    # Only what is asked for stands in the statement, so that the indexes by day and by stage are found.
    conditions = [] if asked.stage is None or is_restored else ["l.stage = :stage"]
    if day is not None:
        conditions.append(
            f"(l.since, l.subject_id, l.scheme) {'>' if is_rising else '<'} (CAST(:day AS date), :subject, :scheme)"
        )
    statement = (
        f"{_statement(connection, asked, is_restored=is_restored)}{''.join(f' AND {each}' for each in conditions)}"
        f" ORDER BY l.since {_order(is_rising)}, l.subject_id {_order(is_rising)}, l.scheme {_order(is_rising)} LIMIT :limit"
    )
    rows = connection.execute(
        text(statement), {**asked.values, "day": day, "subject": subject_id, "scheme": scheme, "limit": limit}
    ).all()
    found = [_line(row) for row in rows]
    return found[::-1] if is_back else found


def stage_counts(connection: Connection, within: Sequence[str] | None) -> dict[Stage, int]:
    """Return how many benefits are at each stage but the last; benefits that are simply paid are not gone through."""
    within = unless_everybody(connection, within)
    where = f"WHERE {_IS_OPEN}" if within is None else f"{_WHERE_OPEN} AND {among('f.subject_id', 'within')}"
    rows = connection.execute(
        text(f"SELECT {_STAGE} AS stage, count(*) AS files FROM benefit_files f {where} GROUP BY 1"),  # noqa: S608 - our own text
        StopsAsked(within).values,
    )
    return {Stage(row.stage): row.files for row in rows}


def area_of_benefit(connection: Connection, subject_id: str, scheme: str, within: Sequence[str] | None) -> str | None:
    """Return the code of the area that pays a benefit; None if there is no such benefit, or none within these areas."""
    row = connection.execute(
        text(
            "SELECT b.region FROM benefits b JOIN subjects s USING (subject_id)"
            " WHERE b.subject_id = :subject AND b.scheme = :scheme"
            " AND (CAST(:within AS text[]) IS NULL OR s.area = ANY(:within) OR b.region = ANY(:within))"
        ),
        {"subject": subject_id, "scheme": scheme, "within": None if within is None else list(within)},
    ).one_or_none()
    return None if row is None else row.region


def _line(row: Any) -> StopLine:
    since = None if row.since == date.min else row.since
    return StopLine(
        row.subject_id,
        row.scheme,
        Stage(row.stage),
        row.state,
        row.reason,
        row.effect,
        row.from_month,
        since,
        row.stopped_from,
        row.approvals,
        row.region,
    )


def _order(is_rising: bool) -> str:
    return "ASC" if is_rising else "DESC"


def _place(written: str) -> tuple[date | None, str, str]:
    """Return the day, subject and scheme of a place; of what is none, that of the first page."""
    day, _, rest = written.partition("|")
    subject_id, _, scheme = rest.partition("|")
    try:
        return date.fromisoformat(day), subject_id, scheme
    except ValueError:
        return None, "", ""


# The index benefit_files_by_stage has the same words.
_STAGE = (
    "CASE WHEN f.frozen_by <> '{}' THEN 'frozen' WHEN f.state IN ('paused', 'ended') THEN 'in_force'"
    " WHEN f.approvals >= 2 THEN 'to_carry_out' WHEN f.approvals = 1 THEN 'second_approval'"
    " WHEN f.missing = '{}' THEN 'first_approval' WHEN f.steps >= 3 THEN 'comparison' WHEN f.steps = 2 THEN 'attempts'"
    " WHEN f.steps = 1 THEN 'noticed' ELSE 'proposed' END"
)
# Not the bare columns: their indexes would be asked for each of many areas, where one look into a hash table answers.
_WITHIN = "(CAST(:within AS text[]) IS NULL OR s.area || '' = ANY(:within) OR b.region || '' = ANY(:within))"
_IS_OPEN = "(f.state <> 'paying' OR f.frozen_by <> '{}')"
_WHERE_OPEN = (
    f"JOIN benefits b USING (subject_id, scheme) JOIN subjects s USING (subject_id) WHERE {_IS_OPEN} AND {_WITHIN}"
)
_COLUMNS = "f.subject_id, f.scheme, f.state, f.reason, f.effect, f.from_month, f.stopped_from, f.approvals, b.region"
_OPEN = f"""
SELECT l.* FROM (SELECT {_COLUMNS}, coalesce(f.proposed_on, DATE '0001-01-01') AS since, {_STAGE} AS stage
    FROM benefit_files f {_WHERE_OPEN} AND {{among}}) l
WHERE (:reason = '' OR l.reason = :reason)
"""  # noqa: S608 - our own text
# OFFSET 0: the planner thinks that scheme and subject have nothing to do with each other, and would join all that was ever restored.
_RESTORED = f"""
SELECT l.* FROM (SELECT e.subject_id, e.scheme, e.day AS since, 'restored' AS stage, x.state, x.reason, x.effect,
        x.from_month, x.stopped_from, x.approvals, x.region
    FROM benefit_events e CROSS JOIN LATERAL (SELECT {_COLUMNS} FROM benefit_files f JOIN benefits b USING (subject_id, scheme)
        JOIN subjects s USING (subject_id)
        WHERE f.subject_id = e.subject_id AND f.scheme = e.scheme AND f.state = 'paying' AND {_WITHIN} OFFSET 0) x
    WHERE e.kind = 'restored' AND {{among}} AND NOT EXISTS (SELECT 1 FROM benefit_events n
        WHERE n.subject_id = e.subject_id AND n.scheme = e.scheme AND n.kind = 'restored' AND n.number > e.number)
) l
WHERE (:reason = '' OR l.reason = :reason)
"""  # noqa: S608 - our own text


def _statement(connection: Connection, asked: StopsAsked, *, is_restored: bool) -> str:
    is_few = asked.within is not None and are_few(connection, asked.within)
    own = among(f"{'e' if is_restored else 'f'}.subject_id", "within") if is_few else "true"
    return (_RESTORED if is_restored else _OPEN).replace("{among}", own)
