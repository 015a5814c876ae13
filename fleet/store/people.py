"""Lists of people a page at a time, as SQL: only those of areas at whose top somebody may look, in a stable order.

Areas are a condition of the search itself, so that a page, its neighbours and its count are the same whether somebody outside exists or
not. There are three ways to a page. What is narrow (a name, a unit, a stop) is gathered and sorted. A list of some areas takes the
first people of each area from an index and merges them. A list of very many areas, or of all, follows the index of everybody's days.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

from fleet.store.areas import MAX_ABOVE
from fleet.store.person import CASES, OVER
from protocol.rules.obligations import CertificationState, state_of

MOST_LISTED = 51
"""A page, and one more that says whether there is another."""
MOST_COUNTED = 1000
"""A count goes on no further: "more than 1,000"."""
_MOST_MERGED = 2500
"""Areas whose first people are merged; each costs a look into the index, some 20 microseconds, and of more than this the people are
so many of all that the index of everybody soon has a page of them."""


class StopState(StrEnum):
    """How far a stop has come."""

    PROPOSED = "proposed"
    STOPPED = "stopped"


_STOPS = {StopState.PROPOSED: ["pause_proposed", "end_proposed"], StopState.STOPPED: ["paused", "ended"]}


class Sort(StrEnum):
    """In which order people stand."""

    DAYS = "days"
    """By the day on which they become overdue, then by id."""
    ID = "id"
    MATCH = "match"
    """By how well the name fits (`fleet.store.name_index.Match`), then by id; only with a name."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where somebody stands in an order."""

    rank: int
    """Ordinal of the day, or how well the name fits; 0 in the order of ids."""
    subject_id: str


@dataclass(frozen=True, slots=True)
class NameParts:
    """Hashes of a name and of its parts, as `fleet.store.name_index.NameSearch` has them."""

    parts: tuple[int, ...]
    whole: int
    given: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who is looked for; what is None is no condition."""

    today: date
    areas: frozenset[str] | None = None
    """Codes of areas, with all below them."""
    state: CertificationState | None = None
    scheme: str | None = None
    unit: str | None = None
    stop: StopState | None = None
    name: NameParts | None = None
    subject_id: str | None = None
    claim_token: str | None = None
    born: int | None = None
    """Year of birth."""
    subject_ids: tuple[str, ...] | None = None
    """Only these, who have been found already."""
    is_scheme_rare: bool = False
    """Few have a benefit of the scheme; `positions` and `count_capped` find out themselves."""


@dataclass(frozen=True, slots=True)
class PersonLine:
    """What a list shows of one person; the name is still sealed."""

    subject_id: str
    name_sealed: bytes
    area: str
    certified_until: date | None
    asked: date | None
    expiring: date | None
    due: date | None
    overdue: date | None
    last_outcome: str | None
    last_event_at: datetime | None
    benefits: dict[str, str]
    """State (`fleet.benefits.machine.BenefitState`) of the benefit of each scheme."""
    open_cases: int

    def state_on(self, today: date) -> CertificationState:
        """Return where the person stands on a day."""
        if self.asked is None or self.expiring is None or self.overdue is None:
            return CertificationState.NEVER_CERTIFIED
        return state_of(self.certified_until is not None, self.asked, self.expiring, self.overdue, today)


def may_see(connection: Connection, subject_id: str, tops: Collection[str] | None) -> bool:
    """Return whether there is such a person, and they live or are paid in one of these areas or below; None for anywhere."""
    if "\0" in subject_id:
        # The database knows no such text.
        return False
    if tops is None:
        found = connection.execute(text("SELECT 1 FROM subjects WHERE subject_id = :id"), {"id": subject_id})
        return found.first() is not None
    found = connection.execute(text(_SEEN), {"id": subject_id, "tops": sorted(tops), "most": MAX_ABOVE})
    return bool(found.scalar_one())


def codes_below_any(connection: Connection, tops: Collection[str]) -> frozenset[str]:
    """Return the codes of these areas and of all below them."""
    rows = connection.execute(text(_BELOW), {"tops": sorted(tops), "most": MAX_ABOVE})
    return frozenset(rows.scalars())


def positions(
    connection: Connection, wanted: Wanted, sort: Sort, *, start: Position | None, backwards: bool, limit: int
) -> list[Position]:
    """Return who comes next.

    Args:
        connection: where to read.
        wanted: who is looked for.
        sort: the order.
        start: the one before the first; None for the beginning, or the end.
        backwards: against the order; those nearest to `start` come first then.
        limit: most people.
    """
    sql, values = _listing(_weighed(connection, wanted), sort, start, backwards)
    rows = connection.execute(text(sql), {**values, "limit": limit})
    return [Position(row.rank.toordinal() if sort is Sort.DAYS else row.rank, row.subject_id) for row in rows]


def count_capped(connection: Connection, wanted: Wanted) -> int:
    """Return how many there are, at most one more than `MOST_COUNTED`."""
    wanted = _weighed(connection, wanted)
    frame = _frame(wanted)
    # Somebody who belongs to several areas has several rows.
    is_merged = _is_merged(wanted)
    sql = (
        f"SELECT count(DISTINCT subject_id) FROM (SELECT p.subject_id FROM {frame.source} WHERE {frame.condition}"  # noqa: S608 - our own text
        f"{_IN_CODES if is_merged else ''} LIMIT :most) AS found"
    )
    most = (MOST_COUNTED + 1) * (_MOST_PLACES if is_merged else 1)
    found = int(connection.execute(text(sql), {**frame.values, "most": most}).scalar_one())
    return min(found, MOST_COUNTED + 1)


def sealed_names(connection: Connection, wanted: Wanted, *, most_tokens: int, limit: int) -> list[tuple[str, bytes]]:
    """Return ids and sealed names of who is wanted, in no order.

    Args:
        connection: where to read.
        wanted: who is looked for.
        most_tokens: only names with at most so many hashes in the index, and those that are not in it yet.
        limit: most people.
    """
    wanted = _weighed(connection, wanted)
    frame = _frame(wanted)
    found = f"SELECT p.subject_id FROM {frame.source} WHERE {frame.condition}{_IN_CODES if _is_merged(wanted) else ''}"  # noqa: S608 - our own text
    values = {**frame.values, "most_tokens": most_tokens, "limit": limit}
    rows = connection.execute(text(_SEALED.format(found=found)), values)
    return [(row.subject_id, bytes(row.name_sealed)) for row in rows]


def lines(connection: Connection, subject_ids: Sequence[str], today: date) -> list[PersonLine]:
    """Return what a list shows of these people, in the order of the ids."""
    rows = connection.execute(text(_LINES), {"ids": list(subject_ids), "today": today})
    return [PersonLine(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where rows `p` of people come from, and which are wanted."""

    source: str
    condition: str
    values: dict[str, Any]


def _is_narrow(wanted: Wanted) -> bool:
    named = (wanted.name, wanted.subject_id, wanted.subject_ids, wanted.claim_token, wanted.unit, wanted.stop)
    return wanted.is_scheme_rare or any(each is not None for each in named)


def _weighed(connection: Connection, wanted: Wanted) -> Wanted:
    """Return the same with whether the scheme is rare: then its people are gathered, and nobody else is looked at."""
    if wanted.scheme is None or _is_narrow(wanted):
        return wanted
    found = connection.execute(text(_OF_SCHEME), {"scheme": wanted.scheme, "most": _RARE + 1})
    return replace(wanted, is_scheme_rare=int(found.scalar_one()) <= _RARE)


def _is_merged(wanted: Wanted) -> bool:
    return not _is_narrow(wanted) and wanted.areas is not None and len(wanted.areas) <= _MOST_MERGED


def _frame(wanted: Wanted) -> _Frame:
    conditions: list[str] = []
    values: dict[str, Any] = {}
    placed: list[str] = []
    source = "subject_areas p"
    if wanted.name is not None:
        source = "subjects p"
        conditions.append("p.name_tokens @> CAST(:parts AS bigint[])")
        values["parts"] = list(wanted.name.parts)
    elif not _is_merged(wanted):
        conditions.append("p.is_home")
    filters = {**_FILTERS, "scheme": _IN_SCHEME} if wanted.is_scheme_rare else _FILTERS
    for name, condition in filters.items():
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(condition)
            values[name] = list(value) if isinstance(value, tuple) else value
    if wanted.state is not None:
        state = _STATES[wanted.state]
        if wanted.name is None:
            conditions.append(state.format("p"))
        else:
            placed.append(state.format("q"))
        values["today"] = wanted.today
    if wanted.stop is not None:
        conditions.append(_STOPPED if wanted.stop is StopState.STOPPED else _IN_STATE)
        values |= {"stops": _STOPS[wanted.stop]} | ({"today": wanted.today} if wanted.stop is StopState.STOPPED else {})
    if wanted.areas is not None:
        values["codes"] = sorted(wanted.areas)
        if not _is_merged(wanted):
            placed.append(_AMONG)
    if placed:
        conditions.append(_PLACED.format(conditions=" AND ".join(placed)))
    return _Frame(source, " AND ".join(conditions) or "true", values)


def _listing(wanted: Wanted, sort: Sort, start: Position | None, backwards: bool) -> tuple[str, dict[str, Any]]:
    """Return a statement and its values, but for the limit."""
    frame = _frame(wanted)
    rank, values = _rank(wanted, sort)
    direction = "DESC" if backwards else "ASC"
    order = f"p.subject_id {direction}" if sort is Sort.ID else f"{rank} {direction}, p.subject_id {direction}"
    condition = frame.condition
    if start is not None:
        sign = "<" if backwards else ">"
        values["start_id"] = start.subject_id
        if sort is Sort.ID:
            condition += f" AND p.subject_id {sign} :start_id"
        else:
            condition += f" AND ({rank}, p.subject_id) {sign} (:start_rank, :start_id)"
            values["start_rank"] = date.fromordinal(start.rank) if sort is Sort.DAYS else start.rank
    listed = f"SELECT {rank} AS rank, p.subject_id FROM {frame.source} WHERE {condition}"  # noqa: S608 - our own text
    if not _is_merged(wanted):
        return f"{listed} ORDER BY {order} LIMIT :limit", frame.values | values
    codes = len(wanted.areas or ()) or 1
    merged = _MERGED.format(
        listed=listed, order=order, rank=rank, direction=direction, sign=">=" if backwards else "<="
    )
    values["few"] = 2 + 2 * MOST_LISTED // codes
    values |= {"last_rank": _last_rank(sort, backwards), "last_id": "" if backwards else _LAST_ID}
    return merged, frame.values | values


def _last_rank(sort: Sort, backwards: bool) -> date | int:
    if sort is Sort.DAYS:
        return date.min if backwards else date.max
    return 0


def _rank(wanted: Wanted, sort: Sort) -> tuple[str, dict[str, Any]]:
    """Return what stands before the id in the order.

    Raises:
        ValueError: for the order of matches without a name.
    """
    if sort is Sort.DAYS:
        return "p.overdue", {}
    if sort is Sort.ID:
        return "0", {}
    if wanted.name is None:
        raise ValueError("without a name nothing matches better or worse")
    return (
        "(CASE WHEN p.name_tokens @> ARRAY[CAST(:whole AS bigint)] THEN 0"
        " WHEN p.name_tokens @> ARRAY[CAST(:given AS bigint)] THEN 1 ELSE 2 END)"
    ), {"whole": wanted.name.whole, "given": wanted.name.given}


_LAST_ID = "z"
"""Behind every id, which are of hexadecimal digits."""
# The first few of each area say how far the page reaches at most; up to there everybody is read. Of 1,500 areas that is a few thousand
# rows in place of a page of each.
_MERGED = """
WITH c AS MATERIALIZED (SELECT code FROM unnest(CAST(:codes AS text[])) AS named (code)),
near AS MATERIALIZED (
    SELECT DISTINCT x.rank, x.subject_id
    FROM c CROSS JOIN LATERAL ({listed} AND p.area = c.code ORDER BY {order} LIMIT :few) AS x
),
reach AS MATERIALIZED (
    SELECT rank, subject_id FROM near ORDER BY rank {direction}, subject_id {direction} OFFSET :limit - 1 LIMIT 1
)
SELECT DISTINCT x.rank, x.subject_id
FROM c CROSS JOIN LATERAL (
    {listed} AND p.area = c.code AND ({rank}, p.subject_id) {sign}
        (coalesce((SELECT rank FROM reach), :last_rank), coalesce((SELECT subject_id FROM reach), :last_id))
    ORDER BY {order} LIMIT :limit
) AS x
ORDER BY x.rank {direction}, x.subject_id {direction} LIMIT :limit
"""
_SEALED = """
SELECT subject_id, name_sealed FROM subjects
WHERE subject_id IN ({found}) AND (name_tokens IS NULL OR cardinality(name_tokens) <= :most_tokens) LIMIT :limit
"""
_MOST_PLACES = 4
"""Areas one person belongs to in a count: home, and three more that pay. Who has more makes a count of just over a thousand
smaller than it is."""
_IN_CODES = " AND p.area = ANY(:codes)"
_PLACED = "EXISTS (SELECT 1 FROM subject_areas q WHERE q.subject_id = p.subject_id AND {conditions})"
# Not the bare column: the index would be asked for each code of a long list, where one look into a hash table answers.
_AMONG = "q.area || '' = ANY(:codes)"
_FILTERS = {
    "subject_id": "p.subject_id = :subject_id",
    "subject_ids": "p.subject_id = ANY(CAST(:subject_ids AS text[]))",
    "born": "EXISTS (SELECT 1 FROM subjects s WHERE s.subject_id = p.subject_id"
    " AND s.birth_date >= make_date(:born, 1, 1) AND s.birth_date < make_date(:born + 1, 1, 1))",
    "claim_token": "p.subject_id IN (SELECT subject_id FROM subjects WHERE claim_token = :claim_token)",
    "unit": "p.subject_id IN (SELECT subject_id FROM benefits WHERE unit = :unit)",
    "scheme": "EXISTS (SELECT 1 FROM benefits b WHERE b.subject_id = p.subject_id AND b.scheme = :scheme)",
}
_IN_SCHEME = "p.subject_id IN (SELECT subject_id FROM benefits WHERE scheme = :scheme)"
_OF_SCHEME = "SELECT count(*) FROM (SELECT 1 FROM benefits WHERE scheme = :scheme LIMIT :most) AS found"
_RARE = 20_000
"""People of a scheme who are gathered and sorted in some 0.1 s."""
_IN_STATE = "p.subject_id IN (SELECT subject_id FROM benefit_files WHERE state <> 'paying' AND state = ANY(:stops))"
_STOPPED = (
    "p.subject_id IN (SELECT subject_id FROM benefit_files WHERE state <> 'paying' AND state = ANY(:stops)"
    " UNION SELECT subject_id FROM benefits WHERE ended < :today)"
)
# The cases of protocol.rules.obligations.state_of, with the range of the index first; but whoever never came is found among the overdue,
# too, once their last day has passed: they may be stopped. The counts (`fleet.store.statistics`) are the same.
_STATES = {
    CertificationState.NEVER_CERTIFIED: "NOT {0}.certified AND {0}.overdue > :today",
    CertificationState.OVERDUE: "{0}.overdue <= :today",
    CertificationState.CERTIFIED: "{0}.certified AND {0}.overdue > :today AND {0}.asked > :today",
    CertificationState.EXPIRING: "{0}.certified AND {0}.overdue > :today AND {0}.asked <= :today AND {0}.expiring <= :today",
    CertificationState.DUE: "{0}.certified AND {0}.overdue > :today AND {0}.asked <= :today"
    " AND {0}.expiring > :today AND {0}.asked < {0}.expiring",
}
_SEEN = """
WITH RECURSIVE up AS (
    SELECT area AS code, 0 AS step FROM subject_areas WHERE subject_id = :id
    UNION SELECT a.parent, up.step + 1 FROM areas a JOIN up ON a.code = up.code WHERE a.parent IS NOT NULL AND up.step < :most
) SELECT EXISTS (SELECT 1 FROM up WHERE code = ANY(:tops))
"""
_BELOW = """
WITH RECURSIVE down AS (
    SELECT code, 0 AS step FROM unnest(CAST(:tops AS text[])) AS top (code)
    UNION SELECT a.code, down.step + 1 FROM areas a JOIN down ON a.parent = down.code WHERE down.step < :most
) SELECT DISTINCT code FROM down
"""
_LINES = f"""
SELECT s.subject_id, s.name_sealed, s.area, t.certified_until, t.asked, t.expiring, t.due, t.overdue, t.last_outcome,
    t.last_event_at,
    (SELECT coalesce(jsonb_object_agg(b.scheme, CASE WHEN b.ended < :today THEN 'ended' ELSE coalesce(f.state, 'paying') END), '{{}}')
        FROM benefits b LEFT JOIN benefit_files f USING (subject_id, scheme) WHERE b.subject_id = s.subject_id),
    (SELECT count(*) FROM ({CASES}) c WHERE c.subject_id = s.subject_id AND c.state NOT IN {OVER})
FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS asked_for (id, place)
JOIN subjects s ON s.subject_id = asked_for.id
LEFT JOIN statuses t ON t.subject_id = s.subject_id
ORDER BY asked_for.place
"""  # noqa: S608 - our own text
