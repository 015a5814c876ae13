"""Which months are paid, withheld, paid back and claimed back. Pure; a month is its first day.

A month is due in full if the person was entitled on any day of it: the month of a loss is paid, the one after it is not (R7-9), and so
the month in which a loss ends is paid again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from fleet.admission import ended_by_releases
from protocol.rules.days import add_months, first_of_month
from protocol.rules.life import ENDING, SUSPENDING, LifeEvent, first_unpaid_month
from protocol.rules.pack import Recovery


@dataclass(frozen=True, slots=True)
class Months:
    """Months from the first one up to another, that one not included."""

    first: date
    until: date | None
    """None while it lasts."""

    def has(self, month: date) -> bool:
        """Return whether a month is one of them."""
        return self.first <= month and (self.until is None or month < self.until)


@dataclass(frozen=True, slots=True)
class Account:
    """Every month of a span, in exactly one of the first three."""

    paid: tuple[date, ...]
    """When it was due."""
    paid_back: tuple[date, ...]
    """After a stop was undone (R7-5, R7-6)."""
    withheld: tuple[date, ...]
    """Not paid: stopped still, or not entitled."""
    overpaid: tuple[date, ...]
    """Of those paid: nobody was entitled (R7-9, R7-10)."""


@dataclass(frozen=True, slots=True)
class RepaidStop:
    """A stop after which payment went on."""

    first_unpaid: date
    paid_again: date
    """The first month that is paid again when it is due."""
    paid_back: tuple[date, ...]
    """Of the months between: those that are paid back (R7-5, R7-6)."""


def month_of_stop(stop_day: date) -> date:
    """Return the first month that is not paid when benefits stop on a day: its own if it is the first of it, else the next.

    Source: R7-3 (suspended from 1 December), R7-4 (stopped from July), R7-1 (after 20 December: from January).
    """
    return stop_day if stop_day.day == 1 else first_of_month(stop_day, 1)


def losses(events: Iterable[LifeEvent]) -> tuple[Months, ...]:
    """Return the months for which nobody is entitled by these life events, which must be confirmed ones.

    Source: R7-7 to R7-9: from the month after the loss; for good after a death, up to the month in which any other loss ended. A release
    ends a prison term.
    """
    found = []
    for event in ended_by_releases(events):
        first = first_unpaid_month(event.since)
        if event.kind in ENDING:
            found.append(Months(first, None))
        elif event.kind in SUSPENDING:
            until = None if event.until is None else first_of_month(event.until)
            if until is None or until > first:
                found.append(Months(first, until))
    return tuple(found)


def unpaid_months(unpaid: Iterable[Months], until: date) -> tuple[date, ...]:
    """Return the months of these spans before a month, in order, each once."""
    return tuple(sorted({month for span in unpaid for month in _each(span, until)}))


def arrears(stops: Iterable[Months], restored_from: date, lost: Sequence[Months]) -> tuple[date, ...]:
    """Return the months that are paid back when payment goes on: those of the stops, without those of losses. Source: R7-5, R7-6.

    Args:
        stops: which months were not paid.
        restored_from: the first month that is paid again when it is due.
        lost: months without entitlement, by `losses`.
    """
    return tuple(month for month in unpaid_months(stops, restored_from) if not _is_in(month, lost))


def overpaid_months(first: date, until: date, unpaid: Sequence[Months], lost: Sequence[Months]) -> tuple[date, ...]:
    """Return the months that were paid without entitlement: from the month after the loss on. Source: R7-9, R7-10, R7-12.

    Args:
        first: the benefit's first month.
        until: the first month that is not looked at.
        unpaid: months that were not paid.
        lost: months without entitlement, by `losses`.
    """
    span = _each(Months(first_of_month(first), None), until)
    return tuple(month for month in span if _is_in(month, lost) and not _is_in(month, unpaid))


def account(first: date, until: date, unpaid: Sequence[Months], lost: Sequence[Months]) -> Account:
    """Return what became of every month from one up to another, that one not included.

    Args:
        first: the benefit's first month.
        until: the first month that is not looked at.
        unpaid: months that were not paid when they were due; those of a span without an end are not paid back yet.
        lost: months without entitlement, by `losses`.
    """
    closed = [span for span in unpaid if span.until is not None]
    still = [span for span in unpaid if span.until is None]
    paid: list[date] = []
    paid_back: list[date] = []
    withheld: list[date] = []
    for month in _each(Months(first_of_month(first), None), until):
        if not _is_in(month, unpaid):
            paid.append(month)
        elif _is_in(month, closed) and not _is_in(month, still) and not _is_in(month, lost):
            paid_back.append(month)
        else:
            withheld.append(month)
    over = overpaid_months(first, until, unpaid, lost)
    return Account(tuple(paid), tuple(paid_back), tuple(withheld), over)


def repaid(unpaid: Sequence[Months], lost: Sequence[Months]) -> list[RepaidStop]:
    """Return every stop that is over with the months that were paid back, by `account`; in order.

    Args:
        unpaid: months that were not paid when they were due.
        lost: months without entitlement, by `losses`.
    """
    found = []
    for span in unpaid:
        if span.until is not None:
            made = account(span.first, span.until, unpaid, lost)
            found.append(RepaidStop(span.first, span.until, made.paid_back))
    return found


def fine_bounds(amount: Decimal, recovery: Recovery) -> tuple[Decimal, Decimal]:
    """Return the least and the highest fine for what was got by fraud, in the unit of the amount. Source: R7-18 (2 to 5 times).

    Raises:
        ValueError: for an amount that is not above 0.
    """
    if amount <= 0:
        raise ValueError("an amount above 0 expected")
    return amount * recovery.fine_from_times, amount * recovery.fine_to_times


def is_without_trace(stopped_from: date, last_trace: date | None, today: date, recovery: Recovery) -> bool:
    """Return whether payment has stopped for more than so many months and nothing was heard of the person since. Source: R7-14.

    Args:
        stopped_from: first day of the first unpaid month.
        last_trace: the last day on which anything was heard; None if never.
        today: the day.
        recovery: what the pack says.
    """
    is_long = today > add_months(stopped_from, recovery.no_trace_months)
    return is_long and (last_trace is None or last_trace < stopped_from)


def is_claim_in_time(death_day: date, claimed_on: date) -> bool:
    """Return whether the family claimed within the month of death; a later claim is a recovery. Source: R7-12."""
    return first_of_month(claimed_on) <= first_of_month(death_day)


def mismatches(certified: dict[str, str | None], paid: dict[str, str | None]) -> tuple[str, ...]:
    """Return the fields in which certification and benefit disagree; what one side lacks says nothing. Source: R7-15."""
    both = sorted(certified.keys() & paid.keys())
    return tuple(n for n in both if certified[n] is not None and paid[n] is not None and certified[n] != paid[n])


def _is_in(month: date, spans: Sequence[Months]) -> bool:
    return any(span.has(month) for span in spans)


def _each(span: Months, until: date) -> Iterator[date]:
    last = until if span.until is None else min(span.until, until)
    month = span.first
    while month < last:
        yield month
        month = first_of_month(month, 1)
