"""Plays the rules of all regions over a made population and checks what must hold of everybody."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from multiprocessing import get_context
from random import Random

from fleet.benefits.events import CarriedOut, Frozen, RecoveryOpened, Restored, StopProposed
from fleet.benefits.machine import Standing
from fleet.clock import monotonic_s
from fleet.simulation.agency import Agency
from fleet.simulation.invariants import violations
from fleet.simulation.life import live
from fleet.simulation.world import REGIONS, draw_person
from protocol.rules.obligations import state_on

BEGIN = date(2021, 1, 1)
"""By then all shipped packs are in force."""
_CHUNK = 500
_MOST_VIOLATIONS = 100
"""So many are named; all are counted."""


@dataclass(slots=True)
class Simulated:
    """What came of a run."""

    people: int
    years: int
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def person_years_per_s(self) -> float:
        """Speed of the run."""
        return self.people * self.years / self.seconds if self.seconds > 0 else 0.0


def simulate(
    people: int, years: int, seed: int, *, workers: int | None = None, on_progress: Callable[[int], None] | None = None
) -> Simulated:
    """Play a population; the same arguments give the same counts, whatever the number of workers.

    Args:
        people: how many.
        years: for how long.
        seed: of everything that is drawn.
        workers: processes; None for one a processor.
        on_progress: told how many people are done.
    """
    begun = monotonic_s()
    done = Simulated(people, years, seed)
    chunks = [range(first, min(first + _CHUNK, people)) for first in range(0, people, _CHUNK)]
    for count, (counts, found) in enumerate(_played(partial(_play_chunk, years=years, seed=seed), chunks, workers), 1):
        done.counts.update(counts)
        done.counts["violations"] += len(found)
        done.violations += found[: _MOST_VIOLATIONS - len(done.violations)]
        if on_progress is not None:
            on_progress(min(count * _CHUNK, people))
    done.seconds = monotonic_s() - begun
    return done


_Chunk = tuple[Counter[str], list[str]]


def _played(play: Callable[[range], _Chunk], chunks: list[range], workers: int | None) -> Iterator[_Chunk]:
    count = min(workers or os.cpu_count() or 1, len(chunks))
    if count <= 1:
        yield from map(play, chunks)
        return
    # Started anew instead of forked: a fork would copy the threads' locks of whoever calls.
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield from pool.map(play, chunks)


def _play_chunk(numbers: range, *, years: int, seed: int) -> _Chunk:
    counts: Counter[str] = Counter()
    found: list[str] = []
    for number in numbers:
        found += play_person(number, years=years, seed=seed, counts=counts)
    return counts, found


def play_person(number: int, *, years: int, seed: int, counts: Counter[str]) -> list[str]:
    """Play one person, count what happened, and return what does not hold."""
    draw = Random(f"{seed}:{number}")  # noqa: S311 - drawn to be repeated, not to be secret
    end = BEGIN.replace(year=BEGIN.year + years)
    person = draw_person(number, draw, BEGIN, years)
    agency = Agency(person, draw, BEGIN, end)
    arrivals = live(person, agency, draw, BEGIN, end)
    agency.run()
    _count(person.region, agency, counts, end)
    for name in ("died", "moved", "prison", "missing", "wrong_death"):
        counts[name] += getattr(person, name) is not None
    return [f"person {number}: {what}" for what in violations(person, agency, arrivals, BEGIN, end, draw)]


def _count(region: int, agency: Agency, counts: Counter[str], end: date) -> None:
    books = agency.books
    counts["people"] += 1
    counts[f"people {REGIONS[region][0]}"] += 1
    counts["acts"] += len(books.acts)
    counts["arrivals"] += books.arrivals
    counts["appeals"] += books.appeals
    counts["months paid"] += len(books.paid)
    counts["months paid back"] += len(books.paid_back)
    for event in books.events:
        for kind, name in _COUNTED:
            counts[name] += isinstance(event, kind)
    counts["stopped at the end"] += agency.file.standing is not Standing.PAYING
    counts[f"state {state_on(agency.obligation, end)}"] += 1


_COUNTED = (
    (StopProposed, "stops proposed"),
    (CarriedOut, "stops carried out"),
    (Restored, "restored"),
    (Frozen, "frozen"),
    (RecoveryOpened, "recoveries"),
)
