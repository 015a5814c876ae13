from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.admission import (
    EFFECTS,
    Bracket,
    ConflictKind,
    Effect,
    Facts,
    LifeEvent,
    conflicts,
    worst,
)
from protocol.rules.life import LifeEventKind

THEN = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KNOWN = Bracket(THEN, THEN + HOUR)
ROUGH = Bracket(None, THEN + HOUR)
BEFORE, WITHIN, AFTER = THEN - DAY, THEN + HOUR / 2, THEN + DAY


def dead(since: datetime, until: datetime | None = None) -> Facts:
    return Facts(life_events=(LifeEvent(LifeEventKind.DEATH, since, until),))


@pytest.mark.parametrize(
    ("facts", "kinds", "effect"),
    [
        (Facts(), [], Effect.COUNTS),
        (Facts(subject_removed_at=BEFORE), ["subject_removed_before"], Effect.VOID),
        (Facts(subject_removed_at=THEN), ["subject_removed_before"], Effect.VOID),
        (Facts(subject_removed_at=WITHIN), ["subject_removed_about_then"], Effect.HELD),
        (Facts(subject_removed_at=AFTER), [], Effect.COUNTS),
        (Facts(reference_withdrawn_at=BEFORE), ["reference_withdrawn_before"], Effect.VOID),
        (Facts(reference_withdrawn_at=WITHIN), ["reference_withdrawn_about_then"], Effect.VOID),
        (Facts(reference_withdrawn_at=AFTER), [], Effect.COUNTS),
        (Facts(reference_expires_at=BEFORE), ["reference_expired_before"], Effect.VOID),
        (Facts(reference_expires_at=WITHIN), [], Effect.COUNTS),
        (Facts(reference_expires_at=AFTER), [], Effect.COUNTS),
        (Facts(terminal_retired_at=BEFORE), ["terminal_retired_before"], Effect.REFUSED),
        (Facts(terminal_retired_at=WITHIN), ["terminal_retired_about_then"], Effect.HELD),
        (Facts(terminal_retired_at=AFTER), [], Effect.COUNTS),
        (Facts(policy_replaced_at=BEFORE), ["policy_replaced_before"], Effect.COUNTS),
        (Facts(policy_replaced_at=AFTER), [], Effect.COUNTS),
        (Facts(passes_elsewhere=(BEFORE,)), ["certified_elsewhere"], Effect.COUNTS),
        (Facts(passes_elsewhere=(AFTER,)), ["certified_elsewhere"], Effect.COUNTS),
        (dead(BEFORE), ["life_event_before"], Effect.HELD),
        (dead(WITHIN), ["life_event_about_then"], Effect.HELD),
        (dead(AFTER), [], Effect.COUNTS),
        (dead(BEFORE - DAY, BEFORE), [], Effect.COUNTS),
        (dead(BEFORE, WITHIN), ["life_event_about_then"], Effect.HELD),
        (dead(BEFORE, AFTER), ["life_event_before"], Effect.HELD),
    ],
)
def test_what_was_right_when_it_happened_stays_right(facts: Facts, kinds: list[str], effect: Effect) -> None:
    found = conflicts(KNOWN, facts)
    assert [conflict.kind for conflict in found] == kinds
    assert worst(found) is effect


@pytest.mark.parametrize(
    ("facts", "effect"),
    [
        (Facts(subject_removed_at=BEFORE), Effect.HELD),
        (Facts(reference_withdrawn_at=BEFORE), Effect.VOID),
        (Facts(terminal_retired_at=BEFORE), Effect.HELD),
        (Facts(policy_replaced_at=BEFORE), Effect.COUNTS),
        (dead(BEFORE), Effect.HELD),
    ],
)
def test_a_moment_that_nothing_bounds_below_is_never_certainly_after(facts: Facts, effect: Effect) -> None:
    found = conflicts(ROUGH, facts)
    assert not any(conflict.kind.endswith("_before") for conflict in found)
    assert worst(found) is effect


def test_the_worst_of_several_decides() -> None:
    facts = Facts(reference_withdrawn_at=BEFORE, passes_elsewhere=(AFTER,), terminal_retired_at=BEFORE)
    found = conflicts(KNOWN, facts)
    assert [conflict.effect for conflict in found] == [Effect.VOID, Effect.REFUSED, Effect.COUNTS]
    assert worst(found) is Effect.REFUSED


MOMENTS = st.integers(-1000, 1000).map(lambda hours: THEN + HOUR * hours)


@given(MOMENTS, st.none() | st.integers(0, 500), st.builds(Facts, *[st.none() | MOMENTS] * 5))
def test_what_happened_after_the_session_never_counts_against_it(
    latest: datetime, width: int | None, facts: Facts
) -> None:
    moment = Bracket(None if width is None else latest - HOUR * width, latest)
    later = all(
        at is None or at > latest
        for at in (
            facts.subject_removed_at,
            facts.reference_withdrawn_at,
            facts.reference_expires_at,
            facts.terminal_retired_at,
            facts.policy_replaced_at,
        )
    )
    if later:
        assert conflicts(moment, facts) == ()


def test_the_table_names_every_conflict_and_the_page_for_the_agency_shows_each() -> None:
    assert set(EFFECTS) == set(ConflictKind)
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    for kind, effect in EFFECTS.items():
        assert f"| `{kind}` | {effect} |" in page
