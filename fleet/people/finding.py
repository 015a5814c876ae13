"""Searches for people as a page asks for them: what is typed, who may look where, one page, and the way to the next."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import Connection

from fleet.errors import FleetError, Refused
from fleet.keys import FleetKeys
from fleet.store import people
from fleet.store.areas import codes_below
from fleet.store.name_index import LONGEST, fits, most_tokens, pattern_of, search_for
from fleet.store.people import NameParts, PersonLine, Position, Sort, StopState, Wanted
from protocol.documents import claim_token, parse_document
from protocol.errors import ProtocolError
from protocol.rules.obligations import CertificationState

PAGE = 50
"""People of one page."""
MOST_OPENED = 20_000
"""Names that are opened to hold them against one with unknown characters: a tenth of a second."""
_SUBJECT_ID = re.compile("[0-9a-f]{32}")
_POSITION = re.compile(r"([<>])(\d{1,7})-([0-9A-Za-z_.:-]{1,64})")


@dataclass(frozen=True, slots=True)
class Search:
    """What somebody asks for."""

    typed: str = ""
    """A name or some of it, a document's number, or a subject id; empty for everybody."""
    area: str | None = None
    """Only those of this area and below."""
    state: CertificationState | None = None
    scheme: str | None = None
    unit: str | None = None
    stop: StopState | None = None
    born: int | None = None
    """Year of birth."""
    sort: Sort = Sort.DAYS
    """What is typed is always in the order of matches."""
    at: str = ""
    """`next_at` or `previous_at` of another page; empty for the first page."""


@dataclass(frozen=True, slots=True)
class Found:
    """A person in a list."""

    name: str | None
    """None if it does not open with the fleet's key."""
    line: PersonLine
    state: CertificationState


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list."""

    people: tuple[Found, ...]
    next_at: str | None
    """What `Search.at` is for the page after this; None at the end."""
    previous_at: str | None
    is_too_vague: bool = False
    """Too little was typed to look for: a single character, or nothing but unknown ones."""
    is_to_be_narrowed: bool = False
    """So little of the name is known that it is looked for only in an area or a year of birth, and a smaller one than was named."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many people a search finds."""

    people: int
    is_more: bool
    """There are more than `people`, which is as far as it was counted."""


def find_people(
    connection: Connection, keys: FleetKeys, search: Search, *, tops: Collection[str] | None, today: date
) -> Page:
    """Return one page of whom a search finds.

    Args:
        connection: where to read.
        keys: the fleet's.
        search: what is asked for.
        tops: areas at whose top the visitor may look; None for the whole fleet. Somebody outside is as good as nobody.
        today: the day for which states are told.

    Raises:
        Refused: if `search.at` is none of ours.
    """
    wanted = _wanted(connection, keys, search, tops, today)
    return wanted if isinstance(wanted, Page) else page_of(connection, keys, wanted, search.sort, search.at)


def find_and_count(
    connection: Connection, keys: FleetKeys, search: Search, *, tops: Collection[str] | None, today: date
) -> tuple[Page, Count | None]:
    """Return one page of whom a search finds, and how many they are, None if too little was typed; arguments as of `find_people`.

    Raises:
        Refused: if `search.at` is none of ours.
    """
    wanted = _wanted(connection, keys, search, tops, today)
    if isinstance(wanted, Page):
        return wanted, None
    return page_of(connection, keys, wanted, search.sort, search.at), _count(connection, wanted)


def page_of(connection: Connection, keys: FleetKeys, wanted: Wanted, sort: Sort, at: str) -> Page:
    """Return one page of whom is wanted; `sort` and `at` are those of `Search`.

    Raises:
        Refused: if `at` is none of ours.
    """
    if wanted.name is not None:
        sort = Sort.MATCH
    elif sort is Sort.MATCH:
        sort = Sort.DAYS
    start, backwards = _start(at, sort)
    found = people.positions(connection, wanted, sort, start=start, backwards=backwards, limit=PAGE + 1)
    has_more, found = len(found) > PAGE, found[:PAGE]
    if backwards:
        found.reverse()
    if not found:
        return Page((), None, None)
    rows = people.lines(connection, [each.subject_id for each in found], wanted.today)
    return Page(
        tuple(_found(keys, row, wanted.today) for row in rows),
        _said(">", found[-1]) if has_more or backwards else None,
        _said("<", found[0]) if start is not None and (has_more or not backwards) else None,
    )


def count_people(
    connection: Connection, keys: FleetKeys, search: Search, *, tops: Collection[str] | None, today: date
) -> Count:
    """Return how many people a search finds, counted no further than `MOST_COUNTED`; the arguments are those of `find_people`."""
    wanted = _wanted(connection, keys, search, tops, today)
    return Count(0, is_more=False) if isinstance(wanted, Page) else _count(connection, wanted)


def _count(connection: Connection, wanted: Wanted) -> Count:
    found = people.count_capped(connection, wanted)
    return Count(min(found, people.MOST_COUNTED), found > people.MOST_COUNTED)


def _wanted(
    connection: Connection, keys: FleetKeys, search: Search, tops: Collection[str] | None, today: date
) -> Wanted | Page:
    """Return who is looked for, or a page that says that too little was typed."""
    if any("\0" in (each or "") for each in (search.area, search.scheme, search.unit)):
        # The database knows no such text, so nobody has it.
        return Page((), None, None)
    wanted = Wanted(
        today=today,
        areas=_areas(connection, search.area, tops),
        state=search.state,
        scheme=search.scheme,
        unit=search.unit,
        stop=search.stop,
        born=search.born,
    )
    typed = search.typed.strip()[:LONGEST]
    if not typed:
        return wanted
    if _SUBJECT_ID.fullmatch(typed):
        return replace(wanted, subject_id=typed)
    token = _token(typed, keys)
    return _named(connection, keys, wanted, typed) if token is None else replace(wanted, claim_token=token)


def _named(connection: Connection, keys: FleetKeys, wanted: Wanted, typed: str) -> Wanted | Page:
    """Return who of those wanted has a name, or a page that says that too little of it was typed."""
    found, pattern = search_for(keys.cipher, typed), pattern_of(typed)
    named = wanted if found is None else replace(wanted, name=NameParts(found.parts, found.whole, found.given))
    if pattern is None:
        return named if found is not None else Page((), None, None, is_too_vague=True)
    if len(pattern) > LONGEST // 2:
        # No name is as long, and of one that was cut off nobody knows how many characters it has.
        return replace(wanted, subject_ids=())
    to_be_narrowed = Page((), None, None, is_to_be_narrowed=True)
    if found is None and wanted.areas is None and wanted.born is None:
        return to_be_narrowed
    sealed = people.sealed_names(connection, named, most_tokens=most_tokens(len(pattern)), limit=MOST_OPENED + 1)
    if len(sealed) > MOST_OPENED:
        return to_be_narrowed
    opened = ((subject_id, _opened(keys, subject_id, name)) for subject_id, name in sealed)
    return replace(wanted, subject_ids=tuple(each for each, name in opened if name is not None and fits(pattern, name)))


def _token(typed: str, keys: FleetKeys) -> str | None:
    """Return the claim token of a document's number, of whatever kind; None if it is none."""
    if not any(character.isdigit() for character in typed):
        return None
    try:
        return claim_token(parse_document(typed), keys.claim_key)
    except ProtocolError:
        return None


def _areas(connection: Connection, area: str | None, tops: Collection[str] | None) -> frozenset[str] | None:
    seen = None if tops is None else people.codes_below_any(connection, tops)
    if area is None:
        return seen
    named: Sequence[str] = codes_below(connection, area)
    return frozenset(named) if seen is None else seen.intersection(named)


def _found(keys: FleetKeys, row: PersonLine, today: date) -> Found:
    return Found(_opened(keys, row.subject_id, bytes(row.name_sealed)), row, row.state_on(today))


def _opened(keys: FleetKeys, subject_id: str, sealed: bytes) -> str | None:
    try:
        return keys.cipher.decrypt(sealed, subject_id=subject_id, field_name="name")
    except FleetError:
        return None


def _said(way: str, position: Position) -> str:
    return f"{way}{position.rank}-{position.subject_id}"


def _start(at: str, sort: Sort) -> tuple[Position | None, bool]:
    if not at:
        return None, False
    read = _POSITION.fullmatch(at)
    lowest = date.min.toordinal() if sort is Sort.DAYS else 0
    if read is None or not lowest <= int(read[2]) <= date.max.toordinal():
        raise Refused("page: this address is not one of a list; go back to its first page")
    return Position(int(read[2]), read[3]), read[1] == "<"
