"""Whether sessions fail or are broken off more often for some than for others: by age band, sex, region and device (features 38, 84)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo

from sqlalchemy import Connection

from fleet.errors import Refused
from fleet.statistics.counts import ancestor, filter_of, offset, span
from fleet.statistics.figures import Cell, Ratio, apart, hide_small, merge_bands, worst_to_best
from fleet.store import statistics
from fleet.store.areas import Area, areas_of
from fleet.store.statistics import UNKNOWN_AGE, band_names
from protocol.outcomes import Outcome

FAILED = frozenset({Outcome.NOT_CERTIFIED, Outcome.POOR_SAMPLE, Outcome.PRESENTATION_ATTACK})
"""Outcomes that count as failed. Not among them: `review`, which a person decides."""
LEFT_OUT = frozenset({Outcome.NO_REFERENCE})
"""Nothing was tried."""


@dataclass(frozen=True, slots=True)
class Group:
    """The cells of one dimension."""

    by: str
    cells: tuple[Cell, ...]
    failure_ratio: Ratio | None
    abandon_ratio: Ratio | None
    failing: tuple[str, ...]
    """Keys of those that fail clearly more often than all others together; see `fleet.statistics.figures.apart`."""
    leaving: tuple[str, ...]
    """Keys of those of which sessions are clearly more often broken off."""


@dataclass(frozen=True, slots=True)
class Fairness:
    """Figures of a span of days."""

    since: date
    until: date
    least: int
    total: Cell
    groups: tuple[Group, ...]


def fairness(
    connection: Connection,
    since: date,
    until: date,
    *,
    level: int,
    least: int,
    scheme: str | None,
    zone: tzinfo,
    area: str | None = None,
    tops: Collection[str] | None = None,
) -> Fairness:
    """Return failure and abandon rates by age band, sex, region and device.

    Args:
        connection: where to read.
        since: the first day.
        until: the last.
        level: of the regions, 1 to 5.
        least: fewer finished sessions are not shown by themselves.
        scheme: only sessions of its people; None for all.
        zone: where a day ends.
        area: only people who live there or below; None for all.
        tops: only people who live in one of these areas or below, where whoever asks may look; None for anywhere.

    Raises:
        Refused: if the span ends before it begins.
    """
    if since > until:
        raise Refused(f"the span begins on {since} and ends on {until}")
    first, end = span(since, until, zone)
    of, name = filter_of(connection, scheme, area, tops), offset(zone, first)
    statistics.work_in_memory(connection)
    sessions = statistics.sessions_by_each(connection, _CUTS, first, end, name, of)
    found = {cut: cells_of(rows) for cut, rows in sessions.items()}
    areas = areas_of(connection)
    shown = {
        "age": by_age(found["age"], least),
        "sex": hide_small(sorted(found["sex"].values(), key=lambda cell: cell.key), least),
        "region": by_region(found["area"], areas, level, least),
        "device": hide_small(sorted(found["device"].values(), key=lambda cell: cell.key), least),
    }
    groups = tuple(_group(by, cells) for by, cells in shown.items())
    everybody = _sum("all", found["age"].values())
    total = hide_small([everybody], least)[0]
    return Fairness(since, until, least, total, groups)


def cells_of(rows: Iterable[tuple[str, str, int]]) -> dict[str, Cell]:
    """Return the cells of some sessions, each with key, outcome and number."""
    parts: dict[str, list[int]] = {}
    for key, outcome, sessions in rows:
        if outcome in LEFT_OUT:
            continue
        part = parts.setdefault(key, [0, 0, 0])
        part[0] += sessions
        part[1] += sessions if outcome in FAILED else 0
        part[2] += sessions if outcome == Outcome.CANCELLED else 0
    return {key: Cell(key, part[0], part[1], part[2]) for key, part in parts.items()}


def by_age(cells: Mapping[str, Cell], least: int) -> list[Cell]:
    """Return age bands in order, small ones merged with their neighbours; what is too small even then, or of unknown age, is hidden."""
    ordered = [cells[name] for name in band_names() if name in cells and name != UNKNOWN_AGE]
    unknown = [cells[UNKNOWN_AGE]] if UNKNOWN_AGE in cells else []
    return hide_small([*merge_bands(ordered, least), *unknown], least)


def by_region(cells: Mapping[str, Cell], areas: Mapping[str, Area], level: int, least: int) -> list[Cell]:
    """Return the regions of a level; small ones are hidden among those with which they share the region above.

    Its total may be known from the figures of that level, so it must not tell what a hidden one is.
    """
    regions: dict[str, list[Cell]] = {}
    for cell in cells.values():
        regions.setdefault(ancestor(cell.key, areas, level), []).append(cell)
    above: dict[str | None, list[Cell]] = {}
    for key, parts in sorted(regions.items()):
        known = areas.get(key)
        above.setdefault(None if known is None else known.parent, []).append(_sum(key, parts))
    # Those of no region above are told apart from the rest by the total alone, and so are all together.
    return sorted((cell for group in above.values() for cell in hide_small(group, least)), key=lambda cell: cell.key)


def _group(by: str, cells: Sequence[Cell]) -> Group:
    return Group(
        by,
        tuple(cells),
        failure_ratio=worst_to_best(cells),
        abandon_ratio=worst_to_best(cells, abandon=True),
        failing=tuple(apart(cells)),
        leaving=tuple(apart(cells, abandon=True)),
    )


def _sum(key: str, cells: Iterable[Cell]) -> Cell:
    found = list(cells)
    return Cell(
        key,
        sum(cell.sessions for cell in found),
        sum(cell.failed for cell in found),
        sum(cell.abandoned for cell in found),
    )


_CUTS: tuple[statistics.SessionCut, ...] = ("age", "sex", "area", "device")
