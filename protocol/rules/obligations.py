"""What a pack asks of somebody next, worked out from what they have done. Pure; says days, never "today".

An act counts for one period. Acts are looked at in the order of their days, whatever the order they arrived in: each counts if the
period it falls into is not served yet and the pack's gap since the act that counted last is kept. What is asked next, from which day, by
which day, and from which day a stop may be proposed, follow from the last act that counted. Which state that is on a given day is
`state_on`'s answer. Time alone never makes anybody's state better, and the same act twice is one act.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from protocol.rules.acts import Act
from protocol.rules.days import FOREVER, add_months, age_on, first_of_month
from protocol.rules.pack import AnnualWindow, BirthMonth, HalfYears, Rolling, RulePack

_DAY = timedelta(days=1)


class CertificationState(StrEnum):
    """Where somebody stands on a day. Source: domain.md part 11."""

    NEVER_CERTIFIED = "never_certified"
    CERTIFIED = "certified"
    """Nothing is asked at present."""
    DUE = "due"
    """The period has begun; there is time."""
    EXPIRING = "expiring"
    """The last days before the due day."""
    OVERDUE = "overdue"


SEVERITY: dict[CertificationState, int] = {
    CertificationState.CERTIFIED: 0,
    CertificationState.DUE: 1,
    CertificationState.EXPIRING: 2,
    CertificationState.NEVER_CERTIFIED: 3,
    CertificationState.OVERDUE: 4,
}
"""Which of several states says more."""


@dataclass(frozen=True, slots=True)
class Entitled:
    """What rules ask about a person with one benefit."""

    started: date
    """The first day of the benefit."""
    birth_date: date | None = None
    listed: date | None = None
    """The day on which these lists got the person: what was asked before is not known here, so nobody is overdue from the first day on."""

    left_off: frozenset[date] = frozenset()
    """Key dates of which there is a pay list without the person (R2-9)."""

    def begins(self, pack: RulePack) -> date:
        """Return the first day on which a pack can ask anything."""
        return max(self.started, pack.valid_from, self.listed or date.min)


@dataclass(frozen=True, slots=True)
class Obligation:
    """What one pack asks of one benefit next."""

    pack_id: str
    pack_version: int
    last: Act | None
    """The act that counted last."""
    opens: date
    """The first day on which the next act counts."""
    asked: date
    """From this day on the person is asked to come."""
    expiring: date
    """From this day on the due day is near."""
    due: date
    """The last day."""
    overdue: date
    """The first day on which it is too late, after the grace."""
    stop_from: date
    """From this day on a stop may be proposed; `FOREVER` where the pack never does."""


@dataclass(frozen=True, slots=True)
class _Period:
    """One period: an act from `begins` on, before `ends`, is for it."""

    begins: date
    ends: date
    due: date
    """The last day on which it is in time."""


def obligation(pack: RulePack, entitled: Entitled, acts: Iterable[Act]) -> Obligation:
    """Return what a pack asks next.

    Args:
        pack: the rules.
        entitled: whom.
        acts: everything that may certify the person, in any order; the same id twice is one act.
    """
    counting = sorted(
        {act.act_id: act for act in acts if _is_taken(act, pack)}.values(), key=lambda act: (act.day, act.act_id)
    )
    cycle = pack.cycle
    if isinstance(cycle, Rolling):
        last = counting[-1] if counting else None
        start = entitled.begins(pack) if last is None else last.day
        due = add_months(start, cycle.months)
        # Who has no certification yet is asked at once (R9-2); there is time until the last day.
        asked = start if last is None else max(due - timedelta(days=pack.clocks.expiring_days), start)
        return _made(pack, entitled, last, (start, asked, due))
    last, served = None, None
    for act in counting:
        period = _period_of(cycle, act.day, entitled)
        if last is None or served is None or (period.begins > served.begins and act.day >= _after_gap(cycle, last.day)):
            last, served = act, period
    if last is None or served is None:
        period = _first(pack, entitled)
        opens = period.begins
    else:
        period = _asked_in(pack, entitled, _period_of(cycle, served.ends, entitled))
        opens = max(period.begins, _after_gap(cycle, last.day))
    return _made(pack, entitled, last, (opens, opens, period.due))


def nothing_asked(pack: RulePack, found: Obligation) -> Obligation:
    """Return the obligation of somebody whose benefit is over: what counted stays, and nothing is asked any more."""
    return Obligation(pack.pack_id, pack.version, found.last, *(FOREVER,) * 6)


def state_on(found: Obligation, today: date) -> CertificationState:
    """Return the state on a day."""
    return state_of(found.last is not None, found.asked, found.expiring, found.overdue, today)


def state_of(has_act: bool, asked: date, expiring: date, overdue: date, today: date) -> CertificationState:
    """Return the state on a day from the days of an obligation."""
    if not has_act:
        return CertificationState.NEVER_CERTIFIED
    if today >= overdue:
        return CertificationState.OVERDUE
    if today < asked:
        return CertificationState.CERTIFIED
    return CertificationState.EXPIRING if today >= expiring else CertificationState.DUE


def strictest(found: Iterable[Obligation]) -> Obligation | None:
    """Return the obligation that is due first; of those due together the one whose stop comes first, then by pack id."""
    return min(found, key=lambda each: (each.due, each.stop_from, each.pack_id), default=None)


def _is_taken(act: Act, pack: RulePack) -> bool:
    return act.kind in pack.counts and (not pack.channels or act.channel in pack.channels)


def _made(pack: RulePack, entitled: Entitled, last: Act | None, days: tuple[date, date, date]) -> Obligation:
    opens, asked, due = days
    return Obligation(
        pack.pack_id,
        pack.version,
        last,
        opens,
        asked,
        max(asked, due - timedelta(days=pack.clocks.expiring_days)),
        due,
        due + timedelta(days=pack.clocks.grace_days + 1),
        _stop_from(pack, entitled, last, due),
    )


def _stop_from(pack: RulePack, entitled: Entitled, last: Act | None, due: date) -> date:
    """Return from when a stop may be proposed if nobody comes any more."""
    stop = pack.stop
    if stop.months_after_due is not None:
        return first_of_month(due + timedelta(days=pack.clocks.grace_days), stop.months_after_due)
    if stop.from_day is None:
        return FOREVER
    year = due.year
    if stop.missed == "calendar_year":
        # Who came once in a year is paid (R7-1), and so is who was not asked for the whole of it: the next year's day counts.
        if last is not None:
            year = max(year, last.day.year + 1)
        elif entitled.begins(pack) > date(year, 1, 1):
            year += 1
    day = stop.from_day.in_year(year)
    # A stop never comes before the last day on which somebody could still be in time.
    return day if day > due or stop.missed == "calendar_year" else stop.from_day.in_year(year + 1)


def _after_gap(cycle: HalfYears | AnnualWindow | BirthMonth, day: date) -> date:
    """Return the first day on which another act may count. Source: R2-3, R2-4."""
    if not isinstance(cycle, HalfYears):
        return day + _DAY
    if cycle.gap_reading == "date":
        return add_months(day, cycle.gap_months)
    return first_of_month(day, cycle.gap_months + 1)


def _period_of(cycle: HalfYears | AnnualWindow | BirthMonth, day: date, entitled: Entitled) -> _Period:
    """Return the period into which a day falls: the last one that had begun."""
    if isinstance(cycle, HalfYears):
        if day.month <= 6:
            begins, ends = date(day.year, 1, 1), date(day.year, 7, 1)
        else:
            begins, ends = date(day.year, 7, 1), date(day.year + 1, 1, 1)
        return _Period(begins, ends, ends - _DAY)
    windows = [_window(cycle, year, entitled) for year in range(day.year - 1, day.year + 3)]
    place = max(index for index, (opens, _) in enumerate(windows) if opens <= day)
    opens, closes = windows[place]
    return _Period(opens, windows[place + 1][0], closes)


def _window(cycle: AnnualWindow | BirthMonth, year: int, entitled: Entitled) -> tuple[date, date]:
    if isinstance(cycle, AnnualWindow):
        opens = cycle.opens.in_year(year)
        return opens, cycle.closes.in_year(year if cycle.closes >= cycle.opens else year + 1)
    # Nobody is asked for a birthday that no document told: then the whole calendar year is the window.
    if entitled.birth_date is None:
        return date(year, 1, 1), date(year, 12, 31)
    opens = date(year, entitled.birth_date.month, 1)
    closes = first_of_month(opens, cycle.months_after + 1) - _DAY
    if age_on(entitled.birth_date, opens) >= cycle.early_from_age:
        opens = first_of_month(opens, -cycle.early_months)
    return opens, closes


def _first(pack: RulePack, entitled: Entitled) -> _Period:
    """Return the first period in which somebody is asked: who came on the lists after its key day is asked in the next one."""
    cycle = pack.cycle
    if isinstance(cycle, Rolling):
        raise TypeError("a rolling cycle has no periods")
    begins = entitled.begins(pack)
    period = _period_of(cycle, begins, entitled)
    if period.due < begins:
        period = _period_of(cycle, period.ends, entitled)
    return _asked_in(pack, entitled, period)


def _asked_in(pack: RulePack, entitled: Entitled, period: _Period) -> _Period:
    """Return the first period from this one on in which the person is asked."""
    cycle = pack.cycle
    if isinstance(cycle, Rolling):
        raise TypeError("a rolling cycle has no periods")
    while entitled.started > _key_day(pack, period) or _is_left_off(pack, entitled, period):
        period = _period_of(cycle, period.ends, entitled)
    return period


def _is_left_off(pack: RulePack, entitled: Entitled, period: _Period) -> bool:
    """Return whether a pay list of the period's key date leaves the person off. Source: R2-9."""
    is_by_list = pack.key_date is not None and pack.key_date.basis == "pay_list"
    return is_by_list and _key_day(pack, period) in entitled.left_off


def _key_day(pack: RulePack, period: _Period) -> date:
    """Return by which day somebody must be on the lists to be asked in a period: its first day, or the last key date before its end."""
    if pack.key_date is None:
        return period.begins
    day = pack.key_date.day.in_year(period.due.year)
    return day if day <= period.due else pack.key_date.day.in_year(period.due.year - 1)
