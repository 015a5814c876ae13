"""Erasures that wait for a second person: on what ground the first one asked, who that was, and until when it waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.privacy import erasure
from fleet.store.privacy_pages import AskedErasure
from fleet.web.visits import Visit


@dataclass(frozen=True, slots=True)
class Asked:
    """An erasure that waits, as the second person sees it."""

    erasure_id: str
    object_id: str
    asked_at: datetime
    until: datetime
    by: str
    ground: str
    """Empty in words of before it was kept: they count no more once somebody asks anew."""
    although_entitled: bool


def told_asked(visit: Visit, stored: AskedErasure) -> Asked:
    """Return what somebody must know of an erasure to give the second word on it."""
    _, _, what = stored.object_id.partition("/")
    ground, _, whom = what.partition("/")
    by = visit.opened(stored.name_sealed, of=f"{erasure.APPROVED}:{stored.object_id}", field_name="approver")
    return Asked(
        stored.erasure_id,
        stored.object_id,
        stored.asked_at,
        stored.asked_at + word_kept(visit),
        by,
        ground,
        whom == erasure.ENTITLED,
    )


def word_kept(visit: Visit) -> timedelta:
    """Return how long a first word on an erasure waits."""
    return timedelta(days=visit.console.settings.privacy.erasure_word_days)
