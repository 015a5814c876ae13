"""Searches for people as a page asks for them: what is typed, who may look where, one page, and the way to the next."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from fleet.errors import FleetError, Refused
from fleet.keys import FleetKeys
from fleet.store import people
from fleet.store.areas import codes_below
from fleet.store.name_index import LONGEST, search_for
from fleet.store.people import NameParts, PersonLine, Position, Sort, StopState, Wanted
from protocol.documents import claim_token, parse_document
from protocol.errors import ProtocolError
from protocol.rules.obligations import CertificationState

PAGE = 50
"""People of one page."""
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
    if wanted is None:
        return Page((), None, None, is_too_vague=True)
    return page_of(connection, keys, wanted, search.sort, search.at)


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
    found = 0 if wanted is None else people.count_capped(connection, wanted)
    return Count(min(found, people.MOST_COUNTED), found > people.MOST_COUNTED)


def _wanted(
    connection: Connection, keys: FleetKeys, search: Search, tops: Collection[str] | None, today: date
) -> Wanted | None:
    """Return who is looked for; None if too little was typed."""
    if any("\0" in (each or "") for each in (search.area, search.scheme, search.unit)):
        # The database knows no such text, so nobody has it.
        return None
    name, subject_id, token = None, None, None
    typed = search.typed.strip()[:LONGEST]
    if typed:
        subject_id = typed if _SUBJECT_ID.fullmatch(typed) else None
        token = None if subject_id else _token(typed, keys)
        if subject_id is None and token is None:
            found = search_for(keys.cipher, typed)
            if found is None:
                return None
            name = NameParts(found.parts, found.whole, found.given)
    return Wanted(
        today=today,
        areas=_areas(connection, search.area, tops),
        state=search.state,
        scheme=search.scheme,
        unit=search.unit,
        stop=search.stop,
        name=name,
        subject_id=subject_id,
        claim_token=token,
    )


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
    name: str | None
    try:
        name = keys.cipher.decrypt(bytes(row.name_sealed), subject_id=row.subject_id, field_name="name")
    except FleetError:
        name = None
    return Found(name, row, row.state_on(today))


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
