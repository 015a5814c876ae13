"""What happened between a session and the arrival of its record, and what that does to it. Pure, and a table.

A record can arrive weeks after its session: the terminal had no network. Meanwhile the fleet has learnt things the terminal could not know.
One principle decides: what was right when it happened stays right. A fact counts against a record only if it was so already when the
session was; where the moment is known too roughly to say, the record does not count until a person has decided, except where the
table says otherwise.

`ConflictKind` names each fact together with its place in time, `EFFECTS` is the table, `docs/operations.md` shows it to the agency.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fleet.admission.moments import Bracket
from protocol.rules.life import ENDING, LifeEventKind


class Effect(StrEnum):
    """What becomes of the record."""

    COUNTS = "counts"
    """It is what it says; the conflict is only worth knowing."""
    HELD = "held"
    """Kept, and counts for nothing until a person has decided."""
    VOID = "void"
    """Stored, and counts for nothing."""
    REFUSED = "refused"
    """Not stored; it waits in quarantine."""


class ConflictKind(StrEnum):
    """What happened, and when by the session's moment."""

    SUBJECT_REMOVED_BEFORE = "subject_removed_before"
    """The subject was off the lists already; the terminal had not heard."""
    SUBJECT_REMOVED_ABOUT_THEN = "subject_removed_about_then"
    REFERENCE_WITHDRAWN_BEFORE = "reference_withdrawn_before"
    """The reference it compared with was withdrawn already."""
    REFERENCE_WITHDRAWN_ABOUT_THEN = "reference_withdrawn_about_then"
    REFERENCE_EXPIRED_BEFORE = "reference_expired_before"
    """Its last day was over."""
    TERMINAL_RETIRED_BEFORE = "terminal_retired_before"
    """Nobody answers for what the terminal signed after that."""
    TERMINAL_RETIRED_ABOUT_THEN = "terminal_retired_about_then"
    POLICY_REPLACED_BEFORE = "policy_replaced_before"
    """A newer policy was signed, which the terminal did not have yet."""
    CERTIFIED_ELSEWHERE = "certified_elsewhere"
    """Another pass of the subject arrived first."""
    LIFE_EVENT_BEFORE = "life_event_before"
    """Somebody reported the subject dead, missing or imprisoned, and yet there was a live pass: one of the two is wrong."""
    LIFE_EVENT_ABOUT_THEN = "life_event_about_then"


EFFECTS: dict[ConflictKind, Effect] = {
    ConflictKind.SUBJECT_REMOVED_BEFORE: Effect.VOID,
    ConflictKind.SUBJECT_REMOVED_ABOUT_THEN: Effect.HELD,
    ConflictKind.REFERENCE_WITHDRAWN_BEFORE: Effect.VOID,
    # A reference is withdrawn because it may be somebody else's: in doubt nothing was compared with it.
    ConflictKind.REFERENCE_WITHDRAWN_ABOUT_THEN: Effect.VOID,
    ConflictKind.REFERENCE_EXPIRED_BEFORE: Effect.VOID,
    ConflictKind.TERMINAL_RETIRED_BEFORE: Effect.REFUSED,
    # A terminal may be retired because it was in other hands, or because it broke: a person knows which.
    ConflictKind.TERMINAL_RETIRED_ABOUT_THEN: Effect.HELD,
    # A terminal cannot apply what it does not have, and the older policy was the fleet's own.
    ConflictKind.POLICY_REPLACED_BEFORE: Effect.COUNTS,
    # Both are true; the newer pass dates the certification, in whatever order they came.
    ConflictKind.CERTIFIED_ELSEWHERE: Effect.COUNTS,
    ConflictKind.LIFE_EVENT_BEFORE: Effect.HELD,
    ConflictKind.LIFE_EVENT_ABOUT_THEN: Effect.HELD,
}
"""The table."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """One fact that a record meets at its arrival."""

    kind: ConflictKind

    @property
    def effect(self) -> Effect:
        """What becomes of the record by this fact alone."""
        return EFFECTS[self.kind]


CONTRADICTING = ENDING | {LifeEventKind.MISSING, LifeEventKind.SENTENCE}
"""Reports that a live pass contradicts: the dead, the missing and prisoners sit at no terminal. A cancelled register entry says nothing."""


@dataclass(frozen=True, slots=True)
class LifeEvent:
    """A report about a subject, by a family, a unit or a feed."""

    kind: LifeEventKind
    since: datetime
    """From when on it is said to be so: the beginning of the day, where only a day was reported."""
    until: datetime | None = None
    """When it is said to have ended (found again, released); None while it lasts."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the fleet knows by the time a record arrives; None or empty where there is nothing of the kind."""

    subject_removed_at: datetime | None = None
    reference_withdrawn_at: datetime | None = None
    reference_expires_at: datetime | None = None
    """The end of its last day."""
    terminal_retired_at: datetime | None = None
    policy_replaced_at: datetime | None = None
    """When the policy after the one the record names was signed."""
    passes_elsewhere: tuple[datetime, ...] = ()
    """Moments of other passes of the subject that count."""
    life_events: tuple[LifeEvent, ...] = ()


def conflicts(moment: Bracket, facts: Facts) -> tuple[Conflict, ...]:
    """Return what of the facts meets a record of this moment, in the order of the table; nothing for what came after it.

    Args:
        moment: between which moments the session was.
        facts: what is known.
    """
    found: set[ConflictKind] = set()
    for at, before, about_then in (
        (
            facts.subject_removed_at,
            ConflictKind.SUBJECT_REMOVED_BEFORE,
            ConflictKind.SUBJECT_REMOVED_ABOUT_THEN,
        ),
        (
            facts.reference_withdrawn_at,
            ConflictKind.REFERENCE_WITHDRAWN_BEFORE,
            ConflictKind.REFERENCE_WITHDRAWN_ABOUT_THEN,
        ),
        (
            facts.terminal_retired_at,
            ConflictKind.TERMINAL_RETIRED_BEFORE,
            ConflictKind.TERMINAL_RETIRED_ABOUT_THEN,
        ),
    ):
        if at is not None and at <= moment.latest:
            found.add(before if _is_certainly_after(moment, at) else about_then)
    # Expiry is a date that was known to the terminal, whose day may differ from ours by the bracket: the early end decides.
    early = moment.earliest or moment.latest
    if facts.reference_expires_at is not None and early >= facts.reference_expires_at:
        found.add(ConflictKind.REFERENCE_EXPIRED_BEFORE)
    if facts.policy_replaced_at is not None and _is_certainly_after(moment, facts.policy_replaced_at):
        found.add(ConflictKind.POLICY_REPLACED_BEFORE)
    if facts.passes_elsewhere:
        found.add(ConflictKind.CERTIFIED_ELSEWHERE)
    for event in facts.life_events:
        found |= _of_life_event(moment, event)
    return tuple(Conflict(kind) for kind in EFFECTS if kind in found)


def worst(found: tuple[Conflict, ...]) -> Effect:
    """Return what becomes of a record by all of its conflicts."""
    return max((conflict.effect for conflict in found), key=_ORDER.index, default=Effect.COUNTS)


_ORDER = tuple(Effect)


def _is_certainly_after(moment: Bracket, at: datetime) -> bool:
    return moment.earliest is not None and moment.earliest >= at


def _of_life_event(moment: Bracket, event: LifeEvent) -> set[ConflictKind]:
    if event.since > moment.latest or (event.until is not None and _is_certainly_after(moment, event.until)):
        return set()
    is_within = _is_certainly_after(moment, event.since) and (event.until is None or moment.latest < event.until)
    return {ConflictKind.LIFE_EVENT_BEFORE if is_within else ConflictKind.LIFE_EVENT_ABOUT_THEN}
