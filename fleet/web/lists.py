"""Long lists, a page at a time: what the address says (filters, where the page begins) and the addresses of the pages beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, TypeVar
from urllib.parse import urlencode

from fleet.web.forms import count_in, day_in

Row = TypeVar("Row")
PAGE = 50
"""Rows of a page: what a person looks through, and well within 300 KB."""
LONGEST = 200
"""Characters of a search; a longer one is cut off, and the page says so."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """One page of a list.

    Rows come in an order in which each has a place (`key`), and a page is asked for by the place that it begins behind (`after`) or ends
    before (`before`), so that the list may grow while somebody reads it.
    """

    rows: Sequence[Row]
    path: str
    filters: Mapping[str, str]
    """What the list is narrowed to, as in the address; fields left empty are not among them."""
    first: str | None
    """Place to ask before for the page before this one; None on the first."""
    last: str | None
    """Place to ask after for the next page; None on the last."""
    cut: bool = False
    """Whether the search was too long and was cut off."""

    @property
    def previous_url(self) -> str | None:
        """Address of the page before."""
        return None if self.first is None else self._url(before=self.first)

    @property
    def next_url(self) -> str | None:
        """Address of the page after."""
        return None if self.last is None else self._url(after=self.last)

    def url(self, **changed: str) -> str:
        """Return the address of the list's first page with filters changed; an empty value takes one away."""
        return self._url(**changed)

    def _url(self, **changed: str) -> str:
        asked = {name: value for name, value in {**self.filters, **changed}.items() if value}
        return f"{self.path}?{urlencode(asked)}" if asked else self.path


def listing(
    path: str,
    filters: Mapping[str, str],
    *,
    after: str = "",
    before: str = "",
    fetch: Callable[[str, str, int], Sequence[Row]],
    key: Callable[[Row], str],
) -> Listing[Row]:
    """Return one page.

    Args:
        path: address of the list.
        filters: from the address, empty ones too.
        after: place that the page begins behind; empty for the first page.
        before: place that the page ends before, in its stead.
        fetch: gives so many rows (the third argument) behind a place, or, where the second is not empty, the last ones before it; in the
            list's order in both cases.
        key: a row's place.
    """
    # One row more tells whether there is another page.
    rows = list(fetch("" if before else after, before, PAGE + 1))
    more = len(rows) > PAGE
    if before:
        rows = rows[-PAGE:]
        has_previous, has_next = more, True
    else:
        rows = rows[:PAGE]
        has_previous, has_next = bool(after), more
    kept = {name: value for name, value in filters.items() if value}
    return Listing(
        rows,
        path,
        {name: value[:LONGEST] for name, value in kept.items()},
        key(rows[0]) if rows and has_previous else None,
        key(rows[-1]) if rows and has_next else None,
        any(len(value) > LONGEST for value in kept.values()),
    )


def number_in(place: str) -> int | None:
    """Return the number of a row that a place in an address is; None for what is none."""
    return count_in(place, digits=18)


def place_in(place: str) -> tuple[date, str] | None:
    """Return the day and the id that a place in an address is, `2026-12-01|id`; None for what is none."""
    day, _, named = place.partition("|")
    found = day_in(day)
    return (found, named) if found is not None and named else None


def moment_in(place: str) -> tuple[datetime, str] | None:
    """Return the moment and the id that a place in an address is, `2026-12-01T08:00:00+00:00|id`; None for what is none."""
    at, _, named = place.partition("|")
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return None
    return None if found.tzinfo is None else (found, named)
