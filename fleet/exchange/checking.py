"""Judges the rows of a delivery: what each says, and everything that cannot be so. Pure; no message repeats a number or a name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from fleet.exchange.definitions import FeedDefinition, catalogue
from fleet.exchange.messages import DeliveredRow
from fleet.tables.written_days import day_in
from protocol.documents import IdentityDocument, birth_date, parse_document
from protocol.errors import Malformed
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

    where: str
    """`line 4` of a file, `row 3` of a message."""
    row: DeliveredRow = field(repr=False)


@dataclass(frozen=True, slots=True)
class StatedRow:
    """What a row says, once it passed all checks."""

    where: str
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
    problems: list[str]


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
    problems: list[str] = []
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


def _swapped(given: Sequence[Given]) -> str | None:
    """Say once, of the first row, that columns are swapped, where most rows have a day for a number and a number for a day."""
    wrong = sum(day_in(each.row.document_number) is not None and _looks_like_number(each.row.since) for each in given)
    if given and wrong >= _FEWEST_SWAPPED * len(given):
        return f"{given[0].where}: the columns document_number and since are swapped: give each its own heading"
    named = sum(_looks_like_number(each.row.name) for each in given)
    if given and named >= _FEWEST_SWAPPED * len(given):
        return f"{given[0].where}: the columns document_number and name are swapped: give each its own heading"
    return None


def _looks_like_number(text: str) -> bool:
    if day_in(text) is not None:
        return False
    try:
        parse_document(text)
    except Malformed:
        return False
    return True


def _stated(definition: FeedDefinition, given: Given, today: date, ends: date, problems: list[str]) -> StatedRow | None:
    row, wrong = given.row, list[str]()
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
        wrong.append(f"until: a {kind} has one day only")
    problems += [f"{given.where}: {problem}" for problem in wrong]
    if wrong or document is None or kind is None or since is None:
        return None
    makes_event = definition.code is None or code not in definition.code.no_event
    return StatedRow(given.where, row.row_id, document, name, kind, since, until, reported, code, makes_event)


_LASTING = frozenset(
    {LifeEventKind.MISSING, LifeEventKind.SENTENCE, LifeEventKind.REGISTER_CANCELLED, LifeEventKind.HOSPITAL}
)
"""What has an end."""


def _document(row: DeliveredRow, wrong: list[str]) -> IdentityDocument | None:
    kind = None
    if row.document_kind:
        kind = catalogue().document_kind(row.document_kind)
        if kind is None:
            wrong.append("document_kind: no kind of document that is known")
            return None
    if day_in(row.document_number) is not None and kind is None:
        wrong.append("document_number: a date; are the columns swapped?")
        return None
    try:
        return parse_document(row.document_number, kind, issuer=row.document_issuer)
    except Malformed as error:
        wrong.append(f"document_number: {error}")
        return None


def _name(row: DeliveredRow, wrong: list[str]) -> str:
    if not row.name:
        return ""
    try:
        return normal_name(row.name)
    except Malformed as error:
        wrong.append(str(error))
        return ""


def _kind(definition: FeedDefinition, row: DeliveredRow, wrong: list[str]) -> LifeEventKind | None:
    kinds = definition.kinds
    if not row.kind and len(kinds) == 1:
        return kinds[0]
    found = catalogue().event_kind(row.kind)
    if found not in kinds:
        wrong.append(f"kind: {' or '.join(kinds)} expected")
        return None
    return found


def _code(definition: FeedDefinition, row: DeliveredRow, wrong: list[str]) -> str:
    if definition.code is None:
        if row.code:
            wrong.append("code: this feed has none")
        return ""
    found = definition.code.code_of(row.code)
    if found is None:
        wrong.append(f"{definition.code.name}: {' or '.join(definition.code.words)} expected")
    return found or ""


def _day(column: str, text: str, wrong: list[str]) -> date | None:
    found = day_in(text)
    if found is None:
        wrong.append(f"{column}: a date like 2026-10-03 expected")
        return None
    if found < _FIRST_DAY:
        wrong.append(f"{column}: before {_FIRST_DAY}")
        return None
    return found


def _impossible(
    document: IdentityDocument, since: date, until: date | None, reported: date | None, today: date, ends: date
) -> list[str]:
    wrong = []
    if since > today:
        wrong.append("since: in the future")
    elif since >= ends:
        wrong.append("since: after the end of the period that this delivery is for")
    if until is not None and until < since:
        wrong.append("until: before since")
    if reported is not None and reported > today:
        wrong.append("reported_on: in the future")
    if reported is not None and reported < since:
        wrong.append("reported_on: before since: nobody learns of it before it happened")
    born = birth_date(document)
    if born is not None and since < born:
        wrong.append("since: before the birth that the document number tells")
    return wrong


def _without_repeats(rows: list[StatedRow], problems: list[str]) -> tuple[list[StatedRow], int]:
    kept: list[StatedRow] = []
    said: dict[tuple[object, ...], str] = {}
    by_id: dict[str, StatedRow] = {}
    for row in rows:
        what = (row.row_id, row.document, row.kind, row.since, row.until, row.code)
        if what in said:
            continue
        said[what] = row.where
        if row.row_id:
            other = by_id.setdefault(row.row_id, row)
            if other is not row:
                problems.append(f"{row.where}: same row id as {other.where}, and says something else")
        kept.append(row)
    return kept, len(rows) - len(kept)


def _contradictions(rows: Iterable[StatedRow]) -> list[str]:
    """Return where rows about one person cannot all be so."""
    problems: list[str] = []
    by_person: dict[IdentityDocument, list[StatedRow]] = {}
    for row in rows:
        by_person.setdefault(row.document, []).append(row)
    for person in by_person.values():
        if len(person) > 1:
            problems += _person_contradictions(person)
    return problems


def _person_contradictions(rows: list[StatedRow]) -> list[str]:
    problems: list[str] = []
    names = {folded_name(row.name) for row in rows if row.name}
    if len(names) > 1:
        problems.append(f"{rows[-1].where}: same document number as {rows[0].where}, other name")
    deaths = [row for row in rows if row.kind is LifeEventKind.DEATH]
    problems += [
        f"{row.where}: same person as {deaths[0].where}, another day of death"
        for row in deaths[1:]
        if row.since != deaths[0].since
    ]
    for row in rows:
        is_after = row.kind in (LifeEventKind.CREMATION, LifeEventKind.BURIAL)
        problems += [
            f"{row.where}: {row.kind} before the death in {death.where}"
            for death in deaths
            if is_after and row.since < death.since
        ]
    sentences = [row for row in rows if row.kind is LifeEventKind.SENTENCE]
    for row in rows:
        if row.kind is LifeEventKind.RELEASE and sentences and row.since < min(s.since for s in sentences):
            problems.append(f"{row.where}: release before the sentence in {sentences[0].where}")
    return problems
