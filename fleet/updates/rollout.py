"""PURE. A roll-out as a machine: who comes when, what each terminal's word means for all others, and when it goes on, holds or turns back.

Terminals are put into phases before the start: the canary group first, then growing shares of the rest. A phase is over when each of
its terminals has ended well or badly, or is out of reach, and the least time is over; it is passed only if one at least was kept. Time is
an argument, and a turn that finds nothing to do changes nothing, so that any number of programs may take turns.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from protocol.times import is_within_hours

SHADOW = -1
"""The phase before the canary group's own: it runs new networks beside the present ones, and they decide nothing."""
CANARY = 0


class State(StrEnum):
    """Where a roll-out stands."""

    WAITING = "waiting"
    """For whoever must agree before it starts."""
    RUNNING = "running"
    PAUSED = "paused"
    """Nobody new is asked; who was asked goes on."""
    DONE = "done"
    ABORTED = "aborted"
    """Everybody is asked for what they were asked for before."""
    DROPPED = "dropped"
    """It never started."""


class Standing(StrEnum):
    """Where one terminal of it stands."""

    AHEAD = "ahead"
    """Its phase has not come."""
    WORKING = "working"
    KEPT = "kept"
    WENT_BACK = "went_back"
    REFUSED = "refused"
    """It does not take it, for instance because it is another board; this says nothing of the others."""
    LOST = "lost"
    """It was heard of after it was asked, and then no more."""
    UNREACHABLE = "unreachable"
    """It was not heard of since it was asked."""
    LEFT_OUT = "left_out"


class Verdict(StrEnum):
    """What a terminal itself says of what it was asked for."""

    OPEN = "open"
    KEPT = "kept"
    WENT_BACK = "went_back"
    REFUSED = "refused"


class Why(StrEnum):
    """Why a roll-out ended or holds."""

    BY_PERSON = "by_person"
    WENT_BACK = "went_back"
    LOST = "lost"
    LEFT_OUT = "left_out"
    """Nobody is left in it."""


FAILED = frozenset({Standing.WENT_BACK, Standing.LOST})
"""What counts against a roll-out."""
_PENDING = frozenset({Standing.AHEAD, Standing.WORKING})


@dataclass(frozen=True, slots=True)
class Plan:
    """How a roll-out goes on."""

    shares: tuple[int, ...] = (5, 25, 100)
    """Percent of all terminals that have been asked by the end of each phase after the canary group's; growing, the last one 100."""
    soak: timedelta = timedelta(hours=24)
    """Least length of a phase."""
    shadow: timedelta = timedelta()
    """So long the canary group runs it in shadow before its own phase; none for anything but networks."""
    from_hour: int | None = None
    """Phases begin from this hour of the agency's day on, until `until_hour`; None: at any time."""
    until_hour: int | None = None
    abort_percent: int = 20
    """It turns back when more than this share of the terminals that ended it went back or were lost."""
    least_counted: int = 3
    """Fewer ended terminals than this say nothing yet."""
    lost_after: timedelta = timedelta(hours=48)
    """So long nothing is heard of a terminal before it counts as lost or out of reach."""

    def __post_init__(self) -> None:
        if not self.shares or self.shares[-1] != 100 or self.shares[0] < 1:
            raise ValueError("shares: from 1 to 100, the last one 100")
        if any(later <= earlier for earlier, later in pairwise(self.shares)):
            raise ValueError("shares: each larger than the one before")
        if self.soak < timedelta() or self.shadow < timedelta() or self.lost_after <= timedelta():
            raise ValueError("times: not below zero, and some until a terminal counts as lost")
        if (self.from_hour is None) != (self.until_hour is None):
            raise ValueError("hours: one without the other")
        if any(hour is not None and not 0 <= hour <= 23 for hour in (self.from_hour, self.until_hour)):
            raise ValueError("hours: 0 to 23")
        if not 0 <= self.abort_percent <= 100 or self.least_counted < 1:
            raise ValueError("thresholds: 0 to 100 percent, of one terminal at least")

    @property
    def first(self) -> int:
        """The phase that it begins with."""
        return SHADOW if self.shadow else CANARY

    @property
    def last(self) -> int:
        """The phase in which everybody has been asked."""
        return len(self.shares)

    def is_open(self, hour: int) -> bool:
        """Return whether a phase may begin in this hour of the agency's day."""
        return is_within_hours(self.from_hour, self.until_hour, hour)


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where a roll-out stands."""

    state: State = State.WAITING
    phase: int = CANARY
    phase_since: datetime | None = None
    why: Why | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.state in (State.DONE, State.ABORTED, State.DROPPED)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one terminal of a roll-out."""

    verdict: Verdict
    released_at: datetime | None
    """When it was asked; None while its phase has not come."""
    last_word_at: datetime | None
    """When anything came from it over the network."""
    is_left_out: bool = False
    """By a person, or because it was retired."""


class NotPossible(ValueError):
    """What a person asked for does not go with where the roll-out stands."""


def placed(
    terminals: Iterable[str], plan: Plan, *, canary: Collection[str], canary_count: int, seed: str
) -> dict[str, int]:
    """Return in which phase each terminal comes.

    Args:
        terminals: all of them.
        plan: with the shares.
        canary: who are the canary group, as far as they are among the terminals; empty to have some chosen.
        canary_count: how many are chosen, at least one.
        seed: by which they are drawn: the same seed, the same order, which nobody can foretell from names.
    """
    drawn = sorted(set(terminals), key=lambda each: hashlib.sha256(f"{seed}:{each}".encode()).digest())
    named = [each for each in drawn if each in set(canary)]
    first = named or drawn[: max(1, canary_count)]
    found = dict.fromkeys(first, CANARY)
    rest = [each for each in drawn if each not in found]
    done = len(first)
    for phase, share in enumerate(plan.shares, start=1):
        until = -(-len(drawn) * share // 100)
        count = max(0, until - done)
        found |= dict.fromkeys(rest[:count], phase)
        rest, done = rest[count:], done + count
    return found


def standing_of(facts: Facts, plan: Plan, now: datetime) -> Standing:
    """Return where a terminal stands: its own word first, then how long nothing was heard of it."""
    if facts.is_left_out:
        return Standing.LEFT_OUT
    if facts.released_at is None:
        return Standing.AHEAD
    if facts.verdict is not Verdict.OPEN:
        return Standing(facts.verdict.value)
    heard = facts.last_word_at is not None and facts.last_word_at > facts.released_at
    since = facts.last_word_at if heard and facts.last_word_at is not None else facts.released_at
    if now - since < plan.lost_after:
        return Standing.WORKING
    return Standing.LOST if heard else Standing.UNREACHABLE


def start(rollout: Rollout, plan: Plan, now: datetime) -> Rollout:
    """Begin with the first phase. Raises `NotPossible` unless it waits."""
    _demand(rollout, State.WAITING)
    return replace(rollout, state=State.RUNNING, phase=plan.first, phase_since=now, why=None)


def drop(rollout: Rollout) -> Rollout:
    """Give it up before it started. Raises `NotPossible` unless it waits."""
    _demand(rollout, State.WAITING)
    return replace(rollout, state=State.DROPPED, why=Why.BY_PERSON)


def pause(rollout: Rollout) -> Rollout:
    """Ask nobody new. Raises `NotPossible` unless it runs."""
    _demand(rollout, State.RUNNING)
    return replace(rollout, state=State.PAUSED, why=Why.BY_PERSON)


def resume(rollout: Rollout) -> Rollout:
    """Go on. Raises `NotPossible` unless it is paused."""
    _demand(rollout, State.PAUSED)
    return replace(rollout, state=State.RUNNING, why=None)


def abort(rollout: Rollout) -> Rollout:
    """Turn back. Raises `NotPossible` unless it runs or is paused."""
    _demand(rollout, State.RUNNING, State.PAUSED)
    return replace(rollout, state=State.ABORTED, why=Why.BY_PERSON)


def turn(
    rollout: Rollout, plan: Plan, members: Mapping[str, tuple[int, Standing]], *, hour: int, now: datetime
) -> Rollout:
    """Return where a roll-out stands after a look at all of its terminals; itself where there is nothing to do.

    Args:
        rollout: where it stands.
        plan: how it goes on.
        members: phase and standing of each terminal.
        hour: of the agency's day.
        now: in UTC.
    """
    if rollout.state is not State.RUNNING or rollout.phase_since is None:
        return rollout
    if members and all(standing is Standing.LEFT_OUT for _, standing in members.values()):
        # Nobody has it: were it done it would hold for terminals that come later.
        return replace(rollout, state=State.ABORTED, why=Why.LEFT_OUT)
    asked = Counter(standing for phase, standing in members.values() if phase <= rollout.phase)
    failed = sum(asked[each] for each in FAILED)
    counted = failed + asked[Standing.KEPT]
    if counted >= plan.least_counted and failed * 100 > plan.abort_percent * counted:
        why = Why.WENT_BACK if asked[Standing.WENT_BACK] >= asked[Standing.LOST] else Why.LOST
        return replace(rollout, state=State.ABORTED, why=why)
    least = plan.shadow if rollout.phase == SHADOW else plan.soak
    if now - rollout.phase_since < least or any(asked[each] for each in _PENDING):
        return rollout
    if rollout.phase >= plan.last:
        return replace(rollout, state=State.DONE)
    if is_held(rollout.phase, members.values()) or not plan.is_open(hour):
        return rollout
    following = rollout.phase + 1
    # A phase without terminals, in a small fleet, takes no time.
    filled = {phase for phase, _ in members.values()}
    while following < plan.last and following not in filled:
        following += 1
    return replace(rollout, phase=following, phase_since=now)


def is_held(phase: int, members: Iterable[tuple[int, Standing]]) -> bool:
    """Return whether nobody of the present phase was kept although all have ended: then a person decides.

    Where all of it were left out, one who was kept before says enough.

    Args:
        phase: the present one.
        members: phase and standing of each terminal.
    """
    asked = [each for each in members if each[0] <= phase]
    here = {standing for its, standing in asked if its == phase}
    if not here or _PENDING & here or Standing.KEPT in here:
        return False
    return here != {Standing.LEFT_OUT} or all(standing is not Standing.KEPT for _, standing in asked)


def _demand(rollout: Rollout, *states: State) -> None:
    if rollout.state not in states:
        raise NotPossible(f"it is {rollout.state}")
