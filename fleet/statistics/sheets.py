"""Statistics as tables, for programs, spreadsheets and the command line."""

from __future__ import annotations

from collections.abc import Iterable

from fleet.statistics.counts import Answer
from fleet.statistics.export import Sheet
from fleet.statistics.fairness import Fairness
from fleet.statistics.figures import Interval, Ratio
from fleet.statistics.snapshots import Change


def sheet_of(answer: Answer) -> Sheet:
    """Return counts as a table."""
    has_coverage = any(line.asked is not None for line in answer.lines)
    heading: list[str] = ["key", "name", *answer.columns, "sessions" if answer.is_of_sessions else "people"]
    if has_coverage:
        heading += ["due_in_span", "done", "coverage"]
    rows = []
    for line in answer.lines:
        row: list[object] = [line.key, line.name, *(line.counts.get(name, 0) for name in answer.columns), line.total]
        if has_coverage:
            share = line.coverage
            row += [line.asked or 0, line.done or 0, None if share is None else round(share, 4)]
        rows.append(tuple(row))
    return Sheet(f"by {answer.question.by.value}", tuple(heading), tuple(rows))


def fairness_sheets(found: Fairness) -> list[Sheet]:
    """Return rates with their intervals, and the worst of each group against the best; of what is hidden nothing but the key."""
    heading = (
        "group",
        "key",
        "sessions",
        "failure",
        "failure_low",
        "failure_high",
        "abandon",
        "abandon_low",
        "abandon_high",
    )
    rows: list[tuple[object, ...]] = []
    for by, cells in (("all", (found.total,)), *((group.by, group.cells) for group in found.groups)):
        rows += [
            (by, cell.key, None if cell.is_hidden else cell.sessions, *_parts(cell.failure()), *_parts(cell.abandon()))
            for cell in cells
        ]
    ratios = [
        _ratio_row(group.by, name, ratio)
        for group in found.groups
        for name, ratio in (("failure", group.failure_ratio), ("abandon", group.abandon_ratio))
        if ratio is not None
    ]
    return [
        Sheet("rates", heading, tuple(rows)),
        Sheet("worst against best", ("group", "rate", "worst", "best", "ratio", "low", "high"), tuple(ratios)),
    ]


def trend_sheet(changes: Iterable[Change]) -> Sheet:
    """Return what changed between two days as a table."""
    rows = tuple((c.key, c.name, c.state, c.before, c.after, c.after - c.before) for c in changes)
    return Sheet("trend", ("key", "name", "state", "before", "after", "change"), rows)


def _parts(found: Interval | None) -> tuple[object, object, object]:
    return (None, None, None) if found is None else (round(found.value, 4), round(found.low, 4), round(found.high, 4))


def _ratio_row(by: str, name: str, found: Ratio) -> tuple[object, ...]:
    return (
        by,
        name,
        found.worst,
        found.best,
        *(round(x, 2) for x in (found.ratio.value, found.ratio.low, found.ratio.high)),
    )
