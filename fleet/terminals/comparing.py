"""PURE. What a terminal is to have, beside what it says it has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from protocol.health import Held


class Match(StrEnum):
    """How the two stand to each other."""

    SAME = "same"
    BEHIND = "behind"
    """What the terminal has is not what the fleet sent last; it may still be under way."""
    NOT_SAID = "not_said"
    """The terminal does not say: an older one, or one that never spoke."""
    NOTHING = "nothing"
    """The fleet has nothing for it."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing, desired and reported."""

    what: str
    """`policy`, `rule_packs`, `roster`, `staff` or `card_keys`."""
    desired: str | int | datetime | None
    reported: str | int | datetime | None
    match: Match


@dataclass(frozen=True, slots=True)
class Desired:
    """What the fleet sent last."""

    policy_version: str | None
    rule_packs: datetime | None
    roster_version: int
    staff: datetime | None
    card_keys: datetime | None


@dataclass(frozen=True, slots=True)
class Reported:
    """What the terminal says."""

    policy_version: str | None
    roster_have: int | None
    """None if it never spoke."""
    held: Held | None
    """None from a terminal that does not say."""


def compare(desired: Desired, reported: Reported) -> list[Compared]:
    """Return all of it side by side.

    Policy, rule packs, staff list and card keys are named by what cannot be the same twice: a version, or the moment of issue. A terminal
    whose roster is of a higher version than the fleet's (the fleet was put back to an older state) is behind, too: it gets another one.
    """
    held, has_spoken = reported.held, reported.roster_have is not None
    moments = (
        ("rule_packs", desired.rule_packs, None if held is None else held.rule_packs),
        ("staff", desired.staff, None if held is None else held.staff),
        ("card_keys", desired.card_keys, None if held is None else held.card_keys),
    )
    roster = _match(desired.roster_version or None, reported.roster_have, is_said=has_spoken)
    policy = _match(desired.policy_version, reported.policy_version, is_said=has_spoken)
    return [
        Compared("policy", desired.policy_version, reported.policy_version, policy),
        Compared("roster", desired.roster_version, reported.roster_have, roster),
        *(
            Compared(what, wanted, found, _match(wanted, found, is_said=held is not None))
            for what, wanted, found in moments
        ),
    ]


def _match(wanted: object, found: object, *, is_said: bool) -> Match:
    if wanted is None:
        return Match.NOTHING
    if not is_said:
        return Match.NOT_SAID
    return Match.SAME if found == wanted else Match.BEHIND
