"""What reports about one person come to: the day of death, spans without entitlement, the first month that is not paid. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from protocol.rules.life import ENDING, SUSPENDING, LifeEvent, LifeEventKind, first_unpaid_month


@dataclass(frozen=True, slots=True)
class Reported:
    """One report that stands."""

    event_id: str
    event: LifeEvent
    source: str
    """Who says so: `feed:<name>`, `family`, `unit`, `village`, `staff`."""
    source_id: str
    confirmed: bool
    received_on: date


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Days without entitlement, or in custody: from `since` to the day before `until`; open where that is None."""

    since: date
    until: date | None
    kind: LifeEventKind
    event_id: str

    def holds_on(self, day: date) -> bool:
        """Return whether a day falls into it."""
        return self.since <= day and (self.until is None or day < self.until)


@dataclass(frozen=True, slots=True)
class Loss:
    """A confirmed loss of the entitlement."""

    kind: LifeEventKind
    since: date
    until: date | None
    """For an interruption: the day on which it ended, if it did."""
    first_unpaid: date
    """The first day of the month after the loss (R7-9)."""
    event_id: str


def date_of_death(reports: Iterable[Reported]) -> Reported | None:
    """Return the report that fixes the day of death: the earliest that is confirmed, of a death, a cremation, a burial or a court (R8-7).

    Whether others contradict it is another question, and does not change the answer until a person withdraws one.
    """
    ending = [each for each in reports if each.confirmed and each.event.kind in ENDING]
    return min(ending, key=lambda each: (each.event.since, each.event_id), default=None)


def spans(reports: Iterable[Reported], *, confirmed_only: bool = False) -> list[Span]:
    """Return the interruptions in order, sentences ended by the releases that belong to them (R8-9).

    A release ends the last sentence that began on its day or before and was not released yet; what it says comes before the planned end.
    """
    taken = [each for each in reports if each.confirmed or not confirmed_only]
    found = [
        Span(each.event.since, each.event.until, each.event.kind, each.event_id)
        for each in taken
        if each.event.kind in SUSPENDING and each.event.kind is not LifeEventKind.SENTENCE
    ]
    sentences = sorted(
        Span(each.event.since, each.event.until, each.event.kind, each.event_id)
        for each in taken
        if each.event.kind is LifeEventKind.SENTENCE
    )
    released: dict[str, date] = {}
    for day in sorted({each.event.since for each in taken if each.event.kind is LifeEventKind.RELEASE}):
        begun = [span for span in sentences if span.since <= day and span.event_id not in released]
        if begun:
            # Several bodies may report one sentence: all that began on that day end together.
            last = begun[-1].since
            released |= {span.event_id: day for span in begun if span.since == last}
    found += [Span(s.since, released.get(s.event_id, s.until), s.kind, s.event_id) for s in sentences]
    return sorted(found, key=lambda span: (span.since, span.event_id))


def losses(reports: Iterable[Reported]) -> list[Loss]:
    """Return what confirmed reports take away, in order: interruptions, and the end by death."""
    taken = list(reports)
    found = [
        Loss(span.kind, span.since, span.until, first_unpaid_month(span.since), span.event_id)
        for span in spans(taken, confirmed_only=True)
    ]
    death = date_of_death(taken)
    if death is not None:
        day = death.event.since
        found.append(Loss(death.event.kind, day, None, first_unpaid_month(day), death.event_id))
    return sorted(found, key=lambda loss: (loss.since, loss.event_id))
