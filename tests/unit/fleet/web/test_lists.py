from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from fleet.web.lists import LONGEST, PAGE, Listing, listing

NUMBERS = st.integers(0, 4 * PAGE)


def page(count: int, after: str = "", before: str = "") -> Listing[int]:
    def fetch(behind: str, ahead: str, limit: int) -> Sequence[int]:
        numbers = list(range(count))
        if ahead:
            return [number for number in numbers if number < int(ahead)][-limit:]
        return [number for number in numbers if not behind or number > int(behind)][:limit]

    return listing("/list", {"name": "甲", "area": ""}, after=after, before=before, fetch=fetch, key=str)


@given(NUMBERS)
def test_going_on_shows_everything_once_and_going_back_the_same_pages(count: int) -> None:
    pages = [page(count)]
    while pages[-1].last is not None:
        pages.append(page(count, after=pages[-1].last))
    assert [row for each in pages for row in each.rows] == list(range(count))
    assert pages[0].first is None
    for earlier, later in itertools.pairwise(pages):
        assert later.first is not None
        back = page(count, before=later.first)
        assert back.rows == earlier.rows
        assert back.last is not None


def test_addresses_keep_what_the_list_is_narrowed_to() -> None:
    found = page(2 * PAGE)
    assert found.next_url == f"/list?name=%E7%94%B2&after={PAGE - 1}"
    assert found.url(name="", state="due") == "/list?state=due"


def test_a_search_without_end_is_cut_and_said_so() -> None:
    found = listing("/list", {"name": "x" * 10_000}, fetch=lambda *_: [], key=str)
    assert found.cut
    assert len(found.filters["name"]) == LONGEST
