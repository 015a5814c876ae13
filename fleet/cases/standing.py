"""What a case waits for, and what a person is to it. Pure."""

from __future__ import annotations

from enum import StrEnum

from fleet.cases.machine import OVER, Case, State


class Waits(StrEnum):
    """What a case waits for."""

    EVIDENCE = "evidence"
    FIRST = "first"
    """A first reviewer's word."""
    SECOND = "second"
    THIRD = "third"
    NOTHING = "nothing"
    """It is over."""


def waits_for(case: Case) -> Waits:
    """Return what a case waits for."""
    if case.state in OVER:
        return Waits.NOTHING
    if case.state in (State.OPENED, State.MORE_EVIDENCE):
        return Waits.EVIDENCE
    return (Waits.FIRST, Waits.SECOND, Waits.THIRD)[min(len(case.given), 2)]


class Standing(StrEnum):
    """What a person is to a case."""

    MAY_DECIDE = "may_decide"
    TOOK_IN = "took_in"
    SAID = "said"
    """Has said their word in this round."""
    NOT_NOW = "not_now"
    """Nobody can decide it now."""


def standing_of(case: Case, by: str) -> Standing:
    """Return what a person is to a case; only who `MAY_DECIDE` can take it up and give a verdict."""
    if by in case.taken_in_by:
        return Standing.TOOK_IN
    if any(each.by == by for each in case.given):
        return Standing.SAID
    is_ready = waits_for(case) not in (Waits.EVIDENCE, Waits.NOTHING)
    return Standing.MAY_DECIDE if is_ready else Standing.NOT_NOW
