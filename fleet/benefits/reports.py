"""The two clocks of a report: how long a family and a unit or village may take. Pure; days of the calendar.

The family tells the unit or the village of a death, an imprisonment or a disappearance within seven days; unit or village tell the paying
agency within three (R8-1, R8-2). The day on which it happened, or was learnt, is day 0. A late report is taken in like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from fleet.errors import Refused
from protocol.rules.pack import Clocks


@dataclass(frozen=True, slots=True)
class ReportClock:
    """One of the two."""

    allowed_days: int
    took_days: int

    @property
    def late_days(self) -> int:
        """How many days too late; 0 if in time."""
        return max(self.took_days - self.allowed_days, 0)

    def __str__(self) -> str:
        said = f"late by {self.late_days} days" if self.late_days else "in time"
        return f"{said} ({self.took_days} of {self.allowed_days} days)"


@dataclass(frozen=True, slots=True)
class ReportClocks:
    """How long a report was on its way."""

    family: ReportClock
    """From the event until the family told the unit or the village, or the agency itself (R8-1)."""
    unit: ReportClock | None
    """From then until it was at the agency (R8-2); None where the family came to the agency itself."""


def report_clocks(
    event_day: date, reported_on: date, received_on: date, *, is_passed_on: bool, clocks: Clocks
) -> ReportClocks:
    """Return the clocks of a report.

    Args:
        event_day: when it happened.
        reported_on: when the family told somebody.
        received_on: when it came to the agency.
        is_passed_on: whether a unit or a village brought it.
        clocks: what the pack allows.

    Raises:
        Refused: if the days are not in this order.
    """
    if not event_day <= reported_on <= received_on:
        raise Refused(
            f"days of a report go forward: happened {event_day}, reported {reported_on}, at the agency {received_on}",
            code="days_not_forward",
        )
    family = ReportClock(clocks.family_report_days, (reported_on - event_day).days)
    unit = ReportClock(clocks.unit_report_days, (received_on - reported_on).days) if is_passed_on else None
    return ReportClocks(family, unit)
