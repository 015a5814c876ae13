"""Judges the rows of a delivery: what each says, and everything that cannot be so. Pure; no message repeats a number or a name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from fleet.exchange.definitions import FeedDefinition, catalogue
from fleet.exchange.messages import DeliveredRow
from fleet.tables.places import in_column
from fleet.tables.written_days import day_in
from protocol.documents import IdentityDocument, birth_date, parse_document
from protocol.errors import Malformed, Problem
from protocol.names import normal_name
from protocol.rules.days import first_of_month
from protocol.rules.life import LifeEventKind

_FIRST_DAY = date(1949, 10, 1)
"""No life event of somebody who is paid by these schemes is older than the state that pays them."""
_FEWEST_SWAPPED = 0.5
"""From this share of rows on columns count as swapped as a whole, which is said once."""


@dataclass(frozen=True, slots=True)
class Given:
    """One row as it came, and where."""

    where: Problem
    """`line 4` of a file, `row 3` of a message."""
    row: DeliveredRow = field(repr=False)


@dataclass(frozen=True, slots=True)
class StatedRow:
    """What a row says, once it passed all checks."""

    where: Problem
    row_id: str = field(repr=False)
    document: IdentityDocument = field(repr=False)
    name: str = field(repr=False)
    """Empty where the source gives none."""
    kind: LifeEventKind
    since: date
    until: date | None
    reported_on: date | None
    code: str
    """Empty where the feed has none."""
    makes_event: bool
    """False for what is noted and is no life event."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What came out of a delivery's rows."""

    rows: list[StatedRow] = field(repr=False)
    repeated: int
    """Rows that say again what a row before them says; they are left out of `rows`."""
    problems: list[Problem]


def check_rows(definition: FeedDefinition, given: Sequence[Given], *, period: date, today: date) -> Checked:
    """Check all rows by themselves and against each other.

    Args:
        definition: the feed.
        given: the rows.
        period: first day of the month that they are for.
        today: nothing that is reported happened later.
    """
    if swapped := _swapped(given):
        return Checked([], 0, [swapped])
    ends = first_of_month(period, 1)
    problems: list[Problem] = []
    rows: list[StatedRow] = []
    for each in given:
        row = _stated(definition, each, today, ends, problems)
        if row is not None:
            rows.append(row)
    kept, repeated = _without_repeats(rows, problems)
    problems += _contradictions(kept)
    return Checked(kept, repeated, problems)


def folded_name(name: str) -> str:
    """Return what all ways of writing a name have in common: forms of characters, case, blanks and middle dots do not count."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in plain if not (c.isspace() or unicodedata.category(c) in {"Po", "Pd", "Cf"}))


def _swapped(given: Sequence[Given]) -> Problem | None:
    """Say once, of the first row, that columns are swapped, where most rows have a day for a number and a number for a day."""
    wrong = sum(day_in(each.row.document_number) is not None and _looks_like_number(each.row.since) for each in given)
    if given and wrong >= _FEWEST_SWAPPED * len(given):
        return _of_each_other("since").within(given[0].where)
    named = sum(_looks_like_number(each.row.name) for each in given)
    if given and named >= _FEWEST_SWAPPED * len(given):
        return _of_each_other("name").within(given[0].where)
    return None


def _of_each_other(column: str) -> Problem:
    sentence = f"the columns document_number and {column} are swapped: give each its own heading"
    return Problem(sentence, "swapped", first=in_column("document_number"), second=in_column(column))


def _looks_like_number(text: str) -> bool:
    if day_in(text) is not None:
        return False
    try:
        parse_document(text)
    except Malformed:
        return False
    return True


def _stated(
    definition: FeedDefinition, given: Given, today: date, ends: date, problems: list[Problem]
) -> StatedRow | None:
    row, wrong = given.row, list[Problem]()
    document = _document(row, wrong)
    name = _name(row, wrong)
    kind = _kind(definition, row, wrong)
    code = _code(definition, row, wrong)
    since = _day("since", row.since, wrong)
    until = _day("until", row.until, wrong) if row.until else None
    reported = _day("reported_on", row.reported_on, wrong) if row.reported_on else None
    if since is not None and document is not None:
        wrong += _impossible(document, since, until, reported, today, ends)
    if kind is not None and until is not None and kind not in _LASTING:
        wrong.append(Problem(f"a {kind} has one day only", "one_day", kind=kind).within(in_column("until")))
    problems += [problem.within(given.where) for problem in wrong]
    if wrong or document is None or kind is None or since is None:
        return None
    makes_event = definition.code is None or code not in definition.code.no_event
    return StatedRow(given.where, row.row_id, document, name, kind, since, until, reported, code, makes_event)


_LASTING = frozenset(
    {LifeEventKind.MISSING, LifeEventKind.SENTENCE, LifeEventKind.REGISTER_CANCELLED, LifeEventKind.HOSPITAL}
)
"""What has an end."""


def _document(row: DeliveredRow, wrong: list[Problem]) -> IdentityDocument | None:
    kind = None
    if row.document_kind:
        kind = catalogue().document_kind(row.document_kind)
        if kind is None:
            unknown = Problem("no kind of document that is known", "unknown_document")
            wrong.append(unknown.within(in_column("document_kind")))
            return None
    if day_in(row.document_number) is not None and kind is None:
        wrong.append(Problem("a date; are the columns swapped?", "number_is_date").within(in_column("document_number")))
        return None
    try:
        return parse_document(row.document_number, kind, issuer=row.document_issuer)
    except Malformed as error:
        wrong.append(error.problem.within(in_column("document_number")))
        return None


def _name(row: DeliveredRow, wrong: list[Problem]) -> str:
    if not row.name:
        return ""
    try:
        return normal_name(row.name)
    except Malformed as error:
        wrong.append(error.problem)
        return ""


def _kind(definition: FeedDefinition, row: DeliveredRow, wrong: list[Problem]) -> LifeEventKind | None:
    kinds = definition.kinds
    if not row.kind and len(kinds) == 1:
        return kinds[0]
    found = catalogue().event_kind(row.kind)
    if found not in kinds:
        wrong.append(_any_of(kinds).within(in_column("kind")))
        return None
    return found


def _code(definition: FeedDefinition, row: DeliveredRow, wrong: list[Problem]) -> str:
    if definition.code is None:
        if row.code:
            wrong.append(Problem("this feed has none", "no_code").within(in_column("code")))
        return ""
    found = definition.code.code_of(row.code)
    if found is None:
        wrong.append(_any_of(list(definition.code.words)).within(in_column(definition.code.name)))
    return found or ""


def _any_of(words: Sequence[str]) -> Problem:
    return Problem(f"{' or '.join(words)} expected", "any_expected", expected=list(words))


def _day(column: str, text: str, wrong: list[Problem]) -> date | None:
    found = day_in(text)
    if found is None:
        wrong.append(Problem("a date like 2026-10-03 expected", "date_form").within(in_column(column)))
        return None
    if found < _FIRST_DAY:
        wrong.append(Problem(f"before {_FIRST_DAY}", "before_day", first=_FIRST_DAY).within(in_column(column)))
        return None
    return found


def _impossible(
    document: IdentityDocument, since: date, until: date | None, reported: date | None, today: date, ends: date
) -> list[Problem]:
    wrong = []
    future = Problem("in the future", "in_future")
    if since > today:
        wrong.append(future.within(in_column("since")))
    elif since >= ends:
        late = Problem("after the end of the period that this delivery is for", "after_period")
        wrong.append(late.within(in_column("since")))
    if until is not None and until < since:
        wrong.append(Problem("before since", "before_since").within(in_column("until")))
    if reported is not None and reported > today:
        wrong.append(future.within(in_column("reported_on")))
    if reported is not None and reported < since:
        early = Problem("before since: nobody learns of it before it happened", "before_it")
        wrong.append(early.within(in_column("reported_on")))
    born = birth_date(document)
    if born is not None and since < born:
        unborn = Problem("before the birth that the document number tells", "before_birth")
        wrong.append(unborn.within(in_column("since")))
    return wrong


def _without_repeats(rows: list[StatedRow], problems: list[Problem]) -> tuple[list[StatedRow], int]:
    kept: list[StatedRow] = []
    said: set[tuple[object, ...]] = set()
    by_id: dict[str, StatedRow] = {}
    for row in rows:
        what = (row.row_id, row.document, row.kind, row.since, row.until, row.code)
        if what in said:
            continue
        said.add(what)
        if row.row_id:
            other = by_id.setdefault(row.row_id, row)
            if other is not row:
                sentence = f"same row id as {other.where}, and says something else"
                problems.append(Problem(sentence, "row_id_twice", other=other.where).within(row.where))
        kept.append(row)
    return kept, len(rows) - len(kept)


def _contradictions(rows: Iterable[StatedRow]) -> list[Problem]:
    """Return where rows about one person cannot all be so."""
    problems: list[Problem] = []
    by_person: dict[IdentityDocument, list[StatedRow]] = {}
    for row in rows:
        by_person.setdefault(row.document, []).append(row)
    for person in by_person.values():
        if len(person) > 1:
            problems += _person_contradictions(person)
    return problems


def _person_contradictions(rows: list[StatedRow]) -> list[Problem]:
    problems: list[Problem] = []
    names = {folded_name(row.name) for row in rows if row.name}
    if len(names) > 1:
        sentence = f"same document number as {rows[0].where}, other name"
        problems.append(Problem(sentence, "same_number_named", other=rows[0].where).within(rows[-1].where))
    deaths = [row for row in rows if row.kind is LifeEventKind.DEATH]
    problems += [
        Problem(f"same person as {deaths[0].where}, another day of death", "two_deaths", other=deaths[0].where).within(
            row.where
        )
        for row in deaths[1:]
        if row.since != deaths[0].since
    ]
    for row in rows:
        is_after = row.kind in (LifeEventKind.CREMATION, LifeEventKind.BURIAL)
        problems += [
            Problem(
                f"{row.kind} before the death in {death.where}", "before_death", kind=row.kind, other=death.where
            ).within(row.where)
            for death in deaths
            if is_after and row.since < death.since
        ]
    sentences = [row for row in rows if row.kind is LifeEventKind.SENTENCE]
    for row in rows:
        if row.kind is LifeEventKind.RELEASE and sentences and row.since < min(s.since for s in sentences):
            sentence = f"release before the sentence in {sentences[0].where}"
            problems.append(Problem(sentence, "release_before", other=sentences[0].where).within(row.where))
    return problems
