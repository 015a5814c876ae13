"""What becomes of an entitlement when something happens to the person (R7-7 to R7-9, R8-4 to R8-10)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class LifeEventKind(StrEnum):
    """What a report says. Source: domain.md part 8."""

    DEATH = "death"
    CREMATION = "cremation"
    BURIAL = "burial"
    MISSING = "missing"
    DECLARED_DEAD = "declared_dead"
    SENTENCE = "sentence"
    """Sentenced and imprisoned; `until` is the release, where known (R7-7)."""
    RELEASE = "release"
    REGISTER_CANCELLED = "register_cancelled"
    """The household register was cancelled for now, or the person moved out (R7-7, R7-13)."""
    TRAVEL = "travel"
    HOSPITAL = "hospital"
    HEALTH_CHECK = "health_check"
    EXIT_ENTRY = "exit_entry"
    MEDICAL_SETTLEMENT = "medical_settlement"


ENDING = frozenset({LifeEventKind.DEATH, LifeEventKind.CREMATION, LifeEventKind.BURIAL, LifeEventKind.DECLARED_DEAD})
"""After these nobody is entitled any more (R7-8)."""
SUSPENDING = frozenset({LifeEventKind.MISSING, LifeEventKind.SENTENCE, LifeEventKind.REGISTER_CANCELLED})
"""While these last nobody is entitled (R7-7)."""
SIGNS_OF_LIFE = frozenset(
    {
        LifeEventKind.TRAVEL,
        LifeEventKind.HOSPITAL,
        LifeEventKind.HEALTH_CHECK,
        LifeEventKind.EXIT_ENTRY,
        LifeEventKind.MEDICAL_SETTLEMENT,
    }
)
"""Scenes in which the person was identified (R8-4, R8-5)."""


@dataclass(frozen=True, slots=True, order=True)
class LifeEvent:
    """One report: from the day `since` on, until the day before `until` where that is known."""

    kind: LifeEventKind
    since: date
    until: date | None = None


def first_unpaid_month(event_day: date) -> date:
    """Return the first day of the month from which nothing is paid: the one after the loss. Source: R7-9."""
    return date(event_day.year + event_day.month // 12, event_day.month % 12 + 1, 1)
