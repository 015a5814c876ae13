"""When a new slot has proven itself and when it has not: pure, and only the standard library, as `slots`, which see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

MOST_STARTS = 3
"""Starts within a trial. One is the switch itself and one may be a power cut; a program that ends a third time would go on so."""
MOST_SECONDS = 30 * 60
"""How long a trial may take without proof, counted while the terminal is on. A terminal that is without network for days
keeps what is healthy: see `Verdict.KEEP`."""


class Verdict(Enum):
    """What is to be done with what is on trial."""

    WAIT = "wait"
    KEEP = "keep"
    GO_BACK = "go_back"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a trial may take."""

    starts: int = MOST_STARTS
    seconds: int = MOST_SECONDS
    needs_contact: bool = True
    """Whether the fleet must have been heard from by the new one: so where it was heard from before the update."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A new slot that has not proven itself yet."""

    bundle_id: str
    to: str
    """The slot on trial."""
    back: str
    """The slot that comes again if it fails."""
    limits: Limits = Limits()
    number: int = 0
    """Of the bundle."""
    wish: int = 0
    """Number of the desired state that it was begun for; 0 where an older program began it."""
    starts: int = 0
    seconds: int = 0
    """That the terminal was on since the first start after the switch, and was down before it."""
    is_healthy: bool | None = None
    """Whether the terminal ran on it for long enough, or what else was found wrong with it; None before either. That it can decide at all
    was looked at before the switch (`device.app.examining`)."""
    is_heard: bool = False
    """Whether the fleet answered the new one."""


def started(trial: Trial) -> Trial:
    """Return the trial after one more start."""
    return replace(trial, starts=trial.starts + 1)


def passed(trial: Trial, seconds: int, *, is_down: bool = False) -> Trial:
    """Return the trial after so many more seconds.

    They count from the first start on: who is served keeps the old one running, for hours where an operator is signed in. They count before
    it, too, where the terminal is down for good: then nobody is served, and the trial must come to an end.
    """
    return replace(trial, seconds=trial.seconds + max(0, seconds)) if trial.starts or is_down else trial


def examined(trial: Trial, *, is_healthy: bool) -> Trial:
    """Return the trial after it was seen whether the new one is healthy; one that failed once has failed."""
    return replace(trial, is_healthy=is_healthy and trial.is_healthy is not False)


def heard(trial: Trial) -> Trial:
    """Return the trial after the fleet has answered."""
    return replace(trial, is_heard=True)


def judge(trial: Trial) -> tuple[Verdict, str]:
    """Return what is to be done, and why, as a word.

    It goes back where the examination failed, it was started too often, or the time is over without proof: no examination, or no
    answer of a fleet that had answered the old one. It stays where it is healthy and, if that is asked for, was answered.
    """
    if trial.is_healthy is False:
        return Verdict.GO_BACK, "unhealthy"
    if trial.is_healthy and (trial.is_heard or not trial.limits.needs_contact):
        return Verdict.KEEP, "proven"
    if trial.starts > trial.limits.starts:
        return Verdict.GO_BACK, "crash_loop"
    if trial.seconds >= trial.limits.seconds:
        return Verdict.GO_BACK, "no_contact" if trial.is_healthy else "not_examined"
    return Verdict.WAIT, ""
