"""What must hold of every person after a run. Each check looks at what was written, not at the machine that wrote it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from random import Random

from fleet.benefits.events import LADDER, Approved, CarriedOut, Event, Restored, StepTaken, StopProposed, StopReason
from fleet.benefits.machine import NotAllowed, Standing, replay
from fleet.benefits.months import account, losses
from fleet.simulation.agency import Agency
from fleet.simulation.life import Arrival
from fleet.simulation.world import Person
from protocol.rules.days import first_of_month, months_between
from protocol.rules.obligations import obligation

_REVIEW_DAYS = 14
"""R6-2."""


def violations(
    person: Person, agency: Agency, arrivals: Sequence[Arrival], begin: date, end: date, draw: Random
) -> Iterator[str]:
    """Give a sentence for everything that does not hold of one person.

    Args:
        person: the truth about them.
        agency: after its run.
        arrivals: all acts that the person did of their own.
        begin: first day of the run.
        end: the day after its last.
        draw: for the order in which a rebuild hears of things.
    """
    yield from _stopped_without_ladder(agency.books.events)
    yield from _stopped_though_certified(person, agency)
    yield from _wrong_months(person, agency, begin, end)
    yield from _left_stopped(agency, end)
    yield from _rebuilt_differs(person, agency, end, draw)
    yield from _counted_twice(agency, arrivals, end)
    if agency.books.longest_appeal_days > _REVIEW_DAYS:
        yield f"an appeal took {agency.books.longest_appeal_days} days"


def _stopped_without_ladder(events: Sequence[Event]) -> Iterator[str]:
    """Nobody is stopped without message, call and visit, each proven, and two persons."""
    for place, event in enumerate(events):
        if not isinstance(event, CarriedOut):
            continue
        before = [each for each in events[:place] if getattr(each, "stop_id", None) == event.stop_id]
        steps = [each for each in before if isinstance(each, StepTaken)]
        if [step.step for step in steps] != list(LADDER) or not all(step.proof for step in steps):
            yield f"{event.stop_id}: carried out without the whole ladder"
        if len({each.person for each in before if isinstance(each, Approved)}) < 2:
            yield f"{event.stop_id}: carried out without two persons"


def _stopped_though_certified(person: Person, agency: Agency) -> Iterator[str]:
    """Nobody is stopped for not coming whose acts of which the agency knew then were enough, and whoever's were is paid back."""
    stops = {each.stop_id: each for each in agency.books.events if isinstance(each, StopProposed)}
    done = [(n, e) for n, e in enumerate(agency.books.events) if isinstance(e, CarriedOut)]
    for place, event in done:
        if stops[event.stop_id].reason is not StopReason.OVERDUE:
            continue
        acts = [act for act in agency.books.acts.values() if act.day <= event.day]
        found = obligation(person.pack_on(event.day), person.entitled(), acts)
        is_restored = any(isinstance(each, Restored) for each in agency.books.events[place:])
        is_moved = person.moved is not None and person.moved[0] <= event.day
        is_lost = bool(losses(agency.books.reports.values()))
        if found.stop_from > event.day and not (is_restored or is_moved or is_lost):
            yield f"{event.stop_id}: stopped for not coming, had come, and was never restored"


def _wrong_months(person: Person, agency: Agency, begin: date, end: date) -> Iterator[str]:
    """What was really paid is what the spans of the file say, month by month; no month twice, no entitled one lost."""
    first = first_of_month(max(begin, person.started))
    expected = account(first, end, agency.file.unpaid, losses(agency.books.reports.values()))
    paid, paid_back = Counter(agency.books.paid), Counter(agency.books.paid_back)
    if any(count > 1 for count in (paid + paid_back).values()):
        yield "a month was paid twice"
    if tuple(sorted(paid)) != expected.paid:
        yield "the months that were paid are not those that no stop covers"
    reached = {month for month in paid_back if month < end}
    if not reached <= set(expected.paid_back) | set(expected.withheld):
        yield "a month was paid back that no stop covers"
    if missing := set(expected.paid_back) - reached:
        yield f"{len(missing)} months of a stop that was undone were not paid back"
    months = len(expected.paid) + len(expected.paid_back) + len(expected.withheld)
    if months != max(months_between(first, end), 0):
        yield "paid, paid back and withheld months do not add up"


def _left_stopped(agency: Agency, end: date) -> Iterator[str]:
    """Every stop has a way back: who came, and is entitled as far as anybody knows, is paid at the end."""
    is_lost = any(span.until is None for span in losses(agency.books.reports.values()))
    if agency.obligation.stop_from > end and not is_lost and agency.file.standing is not Standing.PAYING:
        yield "came, and is stopped at the end"


def _rebuilt_differs(person: Person, agency: Agency, end: date, draw: Random) -> Iterator[str]:
    """Status and file rebuilt from what is stored, heard in another order, are the live ones."""
    acts = list(agency.books.acts.values())
    draw.shuffle(acts)
    if obligation(person.pack_on(end), person.entitled(), acts) != agency.obligation:
        yield "the rebuilt status is another than the live one"
    try:
        rebuilt = replay(agency.file.subject_id, agency.file.scheme, agency.books.events)
    except NotAllowed as error:
        yield f"the file cannot be rebuilt: {error}"
        return
    if rebuilt != agency.file:
        yield "the rebuilt file is another than the live one"


def _counted_twice(agency: Agency, arrivals: Sequence[Arrival], end: date) -> Iterator[str]:
    """Every record that arrived counts once, however often it arrived."""
    expected = {arrival.act.act_id for arrival in arrivals if min(arrival.days) < end}
    known = {name for name in agency.books.acts if not name.startswith("visit-")}
    if known != expected:
        yield f"{len(expected ^ known)} records were lost or invented"
