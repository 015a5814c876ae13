"""The answer to somebody who asks how they stand (R9-4, R5-7): from the roster and the rule packs, without a session and without a name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from device.desk.view import MyStatusView, PackView
from device.session.commands import Dated, DateRole, Line
from protocol.entitlements import Rule
from protocol.rules.obligations import CertificationState, Obligation, state_on
from protocol.rules.pack import AnnualWindow, BirthMonth, HalfYears, Rolling, RulePack

UNKNOWN = "unknown"
"""Stands for the state of somebody of whom the terminal was not told."""
_LINES: dict[str, Line] = {
    CertificationState.CERTIFIED: Line.STATUS_CERTIFIED,
    CertificationState.DUE: Line.STATUS_DUE,
    CertificationState.EXPIRING: Line.STATUS_EXPIRING,
    CertificationState.OVERDUE: Line.STATUS_OVERDUE,
    CertificationState.NEVER_CERTIFIED: Line.STATUS_NEVER_CERTIFIED,
    UNKNOWN: Line.STATUS_UNKNOWN,
}


def my_status(rules: Sequence[Rule], *, today: date, as_of: date) -> MyStatusView:
    """Return how somebody stands, by the strictest of their obligations, with every pack's reason.

    Args:
        rules: what the packs ask of the person, one at least.
        today: the day that is asked about.
        as_of: the day up to which the terminal knows of the person's acts.
    """
    asked = sorted(
        ((rule, rule.obligation()) for rule in rules),
        key=lambda pair: (pair[1].due, pair[1].stop_from, pair[1].pack_id),
    )
    rule, strictest = asked[0]
    # Two benefits under one pack say the same to the person.
    packs = dict.fromkeys(_pack_view(each.pack, found, today) for each, found in asked)
    return MyStatusView(
        state=state_on(strictest, today).value,
        due=strictest.due,
        next_from=strictest.opens if strictest.opens > today else None,
        as_of=as_of,
        packs=tuple(packs),
        help_line=rule.pack.help_line,
    )


def unknown_status(default: RulePack, *, as_of: date | None) -> MyStatusView:
    """Return the answer to somebody of whom the terminal was not told: whom to ask."""
    return MyStatusView(state=UNKNOWN, due=None, next_from=None, as_of=as_of, packs=(), help_line=default.help_line)


def said_of(status: MyStatusView, *, today: date) -> tuple[Line, tuple[Dated, ...]]:
    """Return what is spoken: a line, and the dates after it. A day that has passed is not asked for any more."""
    dates: list[Dated] = []
    is_valid = status.state == CertificationState.CERTIFIED
    if status.next_from is not None:
        dates.append(Dated(DateRole.NEXT_FROM, status.next_from))
    if status.due is not None and status.due >= today:
        dates.insert(0 if is_valid else len(dates), Dated(DateRole.UNTIL if is_valid else DateRole.BY, status.due))
    return _LINES[status.state], tuple(dates)


def _pack_view(pack: RulePack, found: Obligation, today: date) -> PackView:
    kind, numbers = _cycle(pack)
    return PackView(pack.title.zh, pack.title.en, state_on(found, today).value, found.due, kind, numbers)


def _cycle(pack: RulePack) -> tuple[str, tuple[tuple[str, int], ...]]:
    """Return the id of the sentence that says a pack's cycle, and the numbers in it."""
    match pack.cycle:
        case HalfYears(gap_months=gap):
            return "half_years", (("gap", gap),)
        case Rolling(months=months):
            return "rolling", (("months", months),)
        case AnnualWindow(opens=opens, closes=closes):
            return "annual_window", (
                ("opens_month", opens.month),
                ("opens_day", opens.day),
                ("closes_month", closes.month),
                ("closes_day", closes.day),
            )
        case BirthMonth(early_from_age=age):
            return "birth_month", (("age", age),)
