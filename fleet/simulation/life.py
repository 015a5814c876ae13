"""What a person does and what others report, put on the agency's agenda on the days on which the agency hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from fleet.simulation.agency import Agency
from fleet.simulation.world import Person
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.days import first_of_month
from protocol.rules.life import LifeEvent, LifeEventKind
from protocol.rules.obligations import obligation

_FEED_DAY = timedelta(days=5)
"""Monthly deliveries arrive on the sixth of the month after."""
_LATEST = 250
"""Days after the last day by which the late ones have come."""
_TWICE = 0.3
"""Probability that a record of a mobile unit arrives twice."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An act and the days on which it arrives."""

    act: Act
    days: tuple[date, ...]


def live(person: Person, agency: Agency, draw: Random, begin: date, end: date) -> list[Arrival]:
    """Put a person's life on the agenda; return all acts of their own, in the order in which they happened."""
    arrivals = list(_acts(person, agency, draw, begin, end))
    for arrival in arrivals:
        for day in arrival.days:
            agency.at(day, agency.arrives(arrival.act))
    if person.moved is not None:
        agency.at(person.moved[0], agency.moved)
    _report(person, agency, draw)
    return arrivals


def _acts(person: Person, agency: Agency, draw: Random, begin: date, end: date) -> Iterator[Arrival]:
    acts: list[Act] = []
    day = max(begin, person.started)
    while day < end:
        asked = obligation(person.pack_on(day), person.entitled(), acts)
        first = max(asked.opens, day)
        luck = draw.random()
        if luck < person.habits.comes:
            comes = first + timedelta(days=draw.randrange(max((asked.due - first).days, 0) + 1))
        elif draw.random() < person.habits.comes_late:
            comes = max(asked.due, first) + timedelta(days=draw.randrange(1, _LATEST))
        else:
            day = max(asked.due, first) + timedelta(days=_LATEST)
            continue
        if comes >= end or not person.is_alive(comes):
            return
        if not person.can_come(comes):
            day = comes + timedelta(days=30)
            continue
        arrival = _act(person, agency, draw, comes, len(acts))
        day = comes + timedelta(days=1)
        if arrival is not None:
            acts.append(arrival.act)
            yield arrival


def _act(person: Person, agency: Agency, draw: Random, day: date, number: int) -> Arrival | None:
    """Return what comes of somebody's coming; None if the people who decided an appeal refused it."""
    habits, name = person.habits, f"act-{number}"
    if ActKind.SILENT in person.pack_on(day).counts and draw.random() < habits.seen_by_data:
        return Arrival(Act(name, day, ActKind.SILENT, Channel.DATA), (first_of_month(day, 1) + _FEED_DAY,))
    if draw.random() < habits.reviewed:
        decided = draw.randrange(1, person.pack_on(day).clocks.review_days + 1)
        agency.books.appeals += 1
        agency.books.longest_appeal_days = max(agency.books.longest_appeal_days, decided)
        if draw.random() < 0.1:
            return None
        return Arrival(Act(name, day, ActKind.SPECIAL, Channel.COUNTER), (day + timedelta(days=decided),))
    if draw.random() < habits.by_mobile_unit:
        days = [day + timedelta(days=draw.randrange(3, 60))]
        if draw.random() < _TWICE:
            days.append(days[0] + timedelta(days=draw.randrange(30)))
        return Arrival(Act(name, day, ActKind.LIVE, Channel.HOME_VISIT), tuple(days))
    kind = ActKind.ENROLMENT if number == 0 else ActKind.LIVE
    return Arrival(Act(name, day, kind, Channel.TERMINAL), (day,))


def _report(person: Person, agency: Agency, draw: Random) -> None:
    if person.died is not None:
        death = LifeEvent(LifeEventKind.DEATH, person.died)
        if draw.random() < 0.7:
            agency.at(person.died + timedelta(days=draw.randrange(1, 40)), agency.reported("family", death))
        agency.at(first_of_month(person.died, 1) + _FEED_DAY, agency.reported("deaths", death))
    if person.wrong_death is not None and person.is_alive(person.wrong_death + timedelta(days=120)):
        wrong = LifeEvent(LifeEventKind.DEATH, person.wrong_death)
        agency.at(person.wrong_death + timedelta(days=20), agency.reported("wrong", wrong))
    for name, span, kind in (
        ("sentences", person.prison, LifeEventKind.SENTENCE),
        ("missing", person.missing, LifeEventKind.MISSING),
    ):
        if span is None or not person.is_alive(span.since):
            continue
        heard = first_of_month(span.since, 1) + _FEED_DAY
        agency.at(heard, agency.reported(name, LifeEvent(kind, span.since)))
        if span.until is not None and person.is_alive(span.until):
            over = max(first_of_month(span.until, 1) + _FEED_DAY, heard + timedelta(days=1))
            agency.at(over, agency.reported(name, LifeEvent(kind, span.since, span.until)))
