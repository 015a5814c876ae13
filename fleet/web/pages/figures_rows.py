"""Counts as the rows of a table, each number with the list behind it, and as a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from fleet.accounts.roles import Permission
from fleet.statistics.counts import Answer, Cut, Line
from fleet.statistics.reading import Reading
from fleet.store.areas import LEVELS
from fleet.store.statistics import UNKNOWN_AGE
from fleet.web.charts import Chart, Form
from fleet.web.labels import scheme_word
from fleet.web.palette import tone_of
from fleet.web.visits import Visit

_MOST_BARS = 24
_LISTED = (Cut.AREA, Cut.SCHEME, Cut.STATE)
"""Of what is counted by these there is a list of people."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number, with the address of the list of whom it counts."""

    value: int
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    label: str
    link: str | None
    """Where it is told apart further, or its own page."""
    numbers: tuple[Number, ...]
    total: Number
    asked: int | None
    done: int | None
    coverage: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """How one row differs from that of an earlier day."""

    label: str
    before: int
    after: int
    states: tuple[int, ...]
    """Change of each state, in the order of the columns."""


@dataclass(frozen=True, slots=True)
class Differences:
    """All of them."""

    columns: tuple[str, ...]
    rows: tuple[Difference, ...]


def rows_of(visit: Visit, answer: Answer, days: Mapping[str, str], *, limit: int) -> list[Row]:
    """Return the first rows of an answer, of terminals the busiest; further figures are asked for the same days, if some were asked for."""
    return [_row(visit, answer, line, days) for line in _ordered(answer)[:limit]]


def columns_of(visit: Visit, answer: Answer) -> list[str]:
    """Return the names of its columns."""
    words = visit.texts["words"]["outcomes" if answer.is_of_sessions else "states"]
    return [words[column] for column in answer.columns]


def chart_of(visit: Visit, answer: Answer) -> Chart | None:
    """Return an answer as a chart: bars whose parts are states or outcomes; None where there is nothing, or more than can be told apart."""
    words = visit.texts["figures"]
    lines = _ordered(answer)
    if answer.question.by is Cut.DEVICE:
        lines = lines[:_MOST_BARS]
    if not lines or (len(lines) > _MOST_BARS and answer.question.by is not Cut.DAY):
        return None
    labels = [label_of(visit, answer.question.by, line.key, line.name) for line in lines]
    title = words["chart_sessions" if answer.is_of_sessions else "chart_people"].format(
        by=words["cuts"][answer.question.by]
    )
    if answer.question.by is Cut.STATE:
        tones = [tone_of("states", line.key) for line in lines]
        return Chart(title, labels, {words["people"]: [line.total for line in lines]}, form=Form.SIDEWAYS, tones=tones)
    names = dict(zip(answer.columns, columns_of(visit, answer), strict=True))
    shown = [column for column in names if any(line.counts.get(column) for line in lines)]
    series = {names[column]: [line.counts.get(column, 0) for line in lines] for column in shown}
    tones = [tone_of("outcomes" if answer.is_of_sessions else "states", column) for column in shown]
    return Chart(title, labels, series, form=Form.STACKED, tones=tones)


def differences_of(visit: Visit, found: Reading, *, limit: int) -> Differences | None:
    """Return what changed against the earlier day; None where nothing is compared."""
    if found.answer is None or found.compared is None:
        return None
    by = found.answer.question.by
    keyed: dict[str, dict[str, tuple[int, int]]] = {}
    names: dict[str, str] = {}
    for change in found.changes:
        keyed.setdefault(change.key, {})[change.state] = (change.before, change.after)
        names[change.key] = change.name
    rows = [
        Difference(
            label_of(visit, by, key, names[key]),
            sum(before for before, _ in states.values()),
            sum(after for _, after in states.values()),
            tuple(after - before for before, after in (states.get(column, (0, 0)) for column in found.answer.columns)),
        )
        for key, states in list(keyed.items())[:limit]
    ]
    return Differences(tuple(columns_of(visit, found.answer)), tuple(rows))


def label_of(visit: Visit, by: Cut | str, key: str, name: str = "") -> str:
    """Return what a row is called."""
    words = visit.texts["figures"]
    if by == Cut.SCHEME:
        return scheme_word(key, visit.texts)
    if by == Cut.STATE:
        return str(visit.texts["words"]["states"][key])
    if by == Cut.CHANNEL:
        return str(words["channels"][key]) if key in words["channels"] else key
    if by == Cut.AGE:
        return str(words["unknown"]) if key == UNKNOWN_AGE else str(words["years"]).format(band=key.replace("-", "–"))
    return name or key


def _ordered(answer: Answer) -> Sequence[Line]:
    if answer.question.by is Cut.DEVICE:
        return sorted(answer.lines, key=lambda line: (-line.total, line.key))
    return answer.lines


def _row(visit: Visit, answer: Answer, line: Line, days: Mapping[str, str]) -> Row:
    question = answer.question
    has_list = question.by in _LISTED and visit.may(Permission.PEOPLE)
    place = {"area": question.area or "", "scheme": question.scheme or "", "state": ""}
    if question.by in _LISTED:
        place[question.by] = line.key

    def number(value: int, **more: str) -> Number:
        return Number(value, _address("/people", {**place, **more}) if has_list and value else None)

    return Row(
        label_of(visit, question.by, line.key, line.name),
        _further(answer, line, days),
        tuple(number(line.counts.get(column, 0), state=column) for column in answer.columns),
        number(line.total),
        line.asked,
        line.done,
        line.coverage,
    )


def _further(answer: Answer, line: Line, days: Mapping[str, str]) -> str | None:
    question = answer.question
    kept = {"scheme": question.scheme or "", **days}
    if question.by is Cut.AREA and line.name and question.level < LEVELS:
        return _address("/figures", {"by": "area", "area": line.key, "level": str(question.level + 1), **kept})
    if question.by is Cut.SCHEME:
        return _address("/figures", {"by": "area", "area": question.area or "", **kept, "scheme": line.key})
    return f"/terminals/{line.key}" if question.by is Cut.DEVICE else None


def _address(path: str, asked: Mapping[str, str]) -> str:
    return f"{path}?{urlencode({name: value for name, value in asked.items() if value})}"
