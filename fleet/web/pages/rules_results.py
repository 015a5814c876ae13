"""What came of a trial, as charts and tables. Pure: it is told the counts, the areas and the texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.web.charts import Chart, Form
from fleet.web.saying import said
from fleet.web.texts import Texts
from protocol.errors import Problem
from protocol.rules.obligations import CertificationState

_MOST_BARS = 15
"""Areas or schemes in a chart and its table; the exported table has all."""
_STOPPABLE = "stoppable"


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One area, scheme or age."""

    name: str
    people: int
    changed: int
    overdue: tuple[int, int]
    stoppable: tuple[int, int]


@dataclass(frozen=True, slots=True)
class CutTable:
    """Everybody by one cut."""

    cut: str
    rows: Sequence[KeyRow]
    left_out: int
    """How many more there are, with fewer changes."""


@dataclass(frozen=True, slots=True)
class Result:
    """What is shown."""

    people: int
    covered: int
    changed: int
    newly_stoppable: int
    nobody: str
    """Why it would hold for nobody; empty where it holds for somebody."""
    charts: Sequence[Chart]
    moves: Sequence[tuple[str, str, int]]
    """From which state to which, and how many."""
    other_days: Sequence[tuple[str, int]]
    """What moves for how many who stay in their state."""
    tables: Sequence[CutTable]


def result_in(
    found: Mapping[str, Any],
    region: str,
    parents: Mapping[str, str | None],
    names: Mapping[str, str],
    texts: Texts,
) -> Result:
    """Return a stored result as it is shown.

    Args:
        found: as `fleet.status.trials.result_of` made it.
        region: of the pack; its areas are put together by those directly below it.
        parents: the area above each.
        names: of areas.
        texts: all of the language.
    """
    group, words = texts["rules"], texts["words"]["states"]
    states, stoppable = found["states"], found["stoppable"]
    nobody = found["nobody"]
    total = _pairs(states.get("area", ()))
    moves = sorted(
        ((words[before], words[after], count) for (before, after), count in total.items() if before != after),
        key=lambda each: -each[2],
    )
    moved: Counter[str] = Counter()
    for _, move, count in found["moved"]:
        moved[move] += count

    def name_of(cut: str, key: str) -> str:
        if cut == "area":
            return names.get(key, key)
        if cut == "age":
            return str(group["ages"]["unknown"]) if key == "unknown" else str(group["ages"]["years"]).format(band=key)
        return key or str(group["no_scheme"])

    tables = []
    for cut in ("area", "scheme", "age"):
        keys = _Below(region, parents) if cut == "area" else {}
        tables.append(_table(cut, states.get(cut, ()), stoppable.get(cut, ()), keys, name_of))
    return Result(
        found["people"],
        found["covered"],
        found["changed"],
        found["newly_stoppable"],
        "" if nobody is None else said(group, Problem(nobody["sentence"], nobody["code"], **nobody["facts"])),
        _charts(total, stoppable.get("area", ()), tables, group, words),
        moves,
        [(str(group["moves"][move.replace(" ", "_")]), count) for move, count in sorted(moved.items())],
        tables,
    )


def _pairs(rows: Sequence[Sequence[Any]]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for _, before, after, count in rows:
        found[before, after] += count
    return found


class _Below(dict[str, str]):
    """By area: the one directly below the region in which it lies, or itself where it lies elsewhere."""

    def __init__(self, region: str, parents: Mapping[str, str | None]) -> None:
        super().__init__()
        self._region = region
        self._parents = parents

    def __missing__(self, code: str) -> str:
        at, found = code, code
        seen = {code}
        while (above := self._parents.get(at)) is not None and above not in seen:
            if above == self._region:
                found = at
                break
            seen.add(above)
            at = above
        self[code] = found
        return found


def _table(
    cut: str,
    states: Sequence[Sequence[Any]],
    stoppable: Sequence[Sequence[Any]],
    keys: Mapping[str, str],
    name_of: Any,
) -> CutTable:
    pairs: dict[str, Counter[tuple[str, str]]] = {}
    stops: dict[str, list[int]] = {}
    is_put_together = cut == "area"
    for key, before, after, count in states:
        pairs.setdefault(keys[key] if is_put_together else key, Counter())[before, after] += count
    for key, before, after in stoppable:
        counts = stops.setdefault(keys[key] if is_put_together else key, [0, 0])
        counts[0] += before
        counts[1] += after
    late = CertificationState.OVERDUE.value
    rows = [
        KeyRow(
            name_of(cut, key),
            found.total(),
            sum(count for (before, after), count in found.items() if before != after),
            (
                sum(count for (before, _), count in found.items() if before == late),
                sum(count for (_, after), count in found.items() if after == late),
            ),
            (stops[key][0], stops[key][1]),
        )
        for key, found in pairs.items()
    ]
    # Ages in their order, all else by how much changes.
    rows.sort(key=lambda row: row.name if cut == "age" else (-row.changed, -row.people, row.name))
    return CutTable(cut, rows[:_MOST_BARS], max(0, len(rows) - _MOST_BARS))


def _charts(
    total: Counter[tuple[str, str]],
    stoppable: Sequence[Sequence[Any]],
    tables: Sequence[CutTable],
    group: Texts,
    words: Texts,
) -> list[Chart]:
    states = list(CertificationState)
    before = [sum(count for (was, _), count in total.items() if was == state) for state in states]
    after = [sum(count for (_, becomes), count in total.items() if becomes == state) for state in states]
    stops = [sum(row[place] for row in stoppable) for place in (1, 2)]
    names = (str(group["before"]), str(group["after"]))
    charts = [
        Chart(
            str(group["charts"]["states"]),
            [*(str(words[state]) for state in states), str(group["charts"][_STOPPABLE])],
            {names[0]: [*before, stops[0]], names[1]: [*after, stops[1]]},
            Form.BAR,
        )
    ]
    charts.extend(
        Chart(
            str(group["charts"][table.cut]),
            [row.name for row in table.rows],
            {
                str(group["state_changed"]): [row.changed for row in table.rows],
                str(group["stoppable_after"]): [row.stoppable[1] for row in table.rows],
            },
            Form.SIDEWAYS,
        )
        for table in tables
        if len(table.rows) > 1
    )
    return charts
