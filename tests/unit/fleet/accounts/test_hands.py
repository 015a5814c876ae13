"""Whoever has an account in hand is no second person to it, for a time, in either order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fleet.accounts.hands import Hand, bound_to

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
TERM = timedelta(days=30)


def hand(account_id: str, by: str, days: int) -> Hand:
    return Hand(account_id, by, NOW - timedelta(days=days))


def test_both_are_bound_to_each_other_and_to_nobody_else() -> None:
    hands = [hand("b", "a", 1), hand("c", "b", 2)]
    assert bound_to("a", hands, term=TERM, now=NOW) == {"b"}
    assert bound_to("b", hands, term=TERM, now=NOW) == {"a", "c"}
    assert bound_to("d", hands, term=TERM, now=NOW) == frozenset()


def test_it_ends_with_the_term_and_begins_anew_with_the_next_hand() -> None:
    assert bound_to("a", [hand("b", "a", 30)], term=TERM, now=NOW) == frozenset()
    assert bound_to("a", [hand("b", "a", 29)], term=TERM, now=NOW) == {"b"}
    assert bound_to("a", [hand("b", "a", 90), hand("b", "a", 3)], term=TERM, now=NOW) == {"b"}
    assert bound_to("a", [hand("b", "a", 0)], term=timedelta(0), now=NOW) == frozenset()


def test_nobody_is_bound_to_themselves() -> None:
    assert bound_to("a", [hand("a", "a", 1)], term=TERM, now=NOW) == frozenset()
