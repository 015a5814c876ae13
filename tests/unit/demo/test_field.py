"""How the field is judged."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from demo.field.__main__ import WRONG, in_words
from demo.field.story import Field, LinkAtFleet, outcome_errors

SERVED = Counter({"certified": 2, "case_special": 1})


def links(*outcomes: str | None) -> list[LinkAtFleet]:
    return [LinkAtFleet(counter, f"{counter:032x}", outcome) for counter, outcome in enumerate(outcomes, 1)]


@pytest.mark.parametrize(
    ("outcomes", "cuts", "errors"),
    [
        ((None, "certified", None, "case_special", "certified"), (), 0),
        # An errand that was cut left nothing, a record, or more than it can.
        ((None, "certified", None, "case_special", "certified"), ((2, 3),), 0),
        ((None, "certified", "cancelled", None, "case_special", "certified"), ((2, 4),), 0),
        ((None, "certified", "cancelled", "cancelled", "case_special", "certified"), ((2, 4),), 1),
        # Served and not stored, stored and not served, another outcome.
        ((None, "certified", "case_special"), (), 1),
        ((None, "certified", "case_special", "certified", "cancelled"), (), 1),
        ((None, "certified", "case_special", "review"), (), 2),
    ],
)
def test_every_errand_leaves_what_was_shown_and_a_cut_one_at_most_one_thing(
    outcomes: tuple[str | None, ...], cuts: tuple[tuple[int, int], ...], errors: int
) -> None:
    assert len(outcome_errors(SERVED, cuts, links(*outcomes))) == errors


@pytest.mark.parametrize(
    ("shown", "shows_counts", "errors"),
    [([3, 1], True, 0), (None, False, 0), (None, True, 1), ([3, 0], True, 1), ([2, 1], True, 1)],
)
def test_a_counter_that_is_wrong_or_not_there_is_an_error(
    tmp_path: Path, shown: list[int] | None, shows_counts: bool, errors: int
) -> None:
    field = Field(tmp_path, seed=1, days=1, sessions=1, say=lambda _: None)
    field._stored, field._confirmed = 3, 1
    field._take({"stored": 3, "confirmed": 1, "shown": shown, "shows_counts": shows_counts, "up_s": 0})
    assert field.tally.counter_errors == errors


def test_the_last_line_says_why_the_fleet_has_more_outcomes_than_were_shown_and_what_is_wrong() -> None:
    found = {"sessions": 500, "served": 497, "stored": 499, "power_losses": 3} | dict.fromkeys(WRONG, 0)
    assert in_words(found) == (
        "500 sessions; 3 told nobody because power went, and 2 of these left a record all the same; nothing lost, nothing doubled"
    )
    assert in_words(found | {"lost": 1, "counter_errors": 2}).endswith("; 1 lost, 2 counter errors")
