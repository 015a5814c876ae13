"""What terminals were found to be like before they served people, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fleet.store.commissionings import reports_of
from protocol.commissioning import CommissioningReport, part_name, sentence, status_name
from protocol.envelope import unverified_payload
from protocol.errors import ProtocolError

REPORTS = 10


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was tried."""

    part: str
    status: str
    status_name: str
    sentence: str
    """What was found, and what to do."""


@dataclass(frozen=True, slots=True)
class Commissioned:
    """One report."""

    report: CommissioningReport
    received_at: datetime
    sha256: str
    lines: tuple[Line, ...]
    """Everything that was tried, and what never came to its turn."""

    @property
    def open(self) -> int:
        """How many things keep the terminal from having passed."""
        return len(self.report.open_checks)


def commissionings(connection: Connection, terminal_id: str, language: str) -> list[Commissioned]:
    """Return a terminal's newest reports, the newest first; one of a version that this fleet no longer knows is left out."""
    found = []
    for stored in reports_of(connection, terminal_id, limit=REPORTS):
        try:
            report = CommissioningReport.parse(unverified_payload(stored.envelope))
        except ProtocolError:
            continue
        known = {check.part for check in report.checks}
        told = (*report.checks, *(check for check in report.open_checks if check.part not in known))
        lines = tuple(
            Line(
                part_name(check.part, language),
                check.status,
                status_name(check.status, language),
                sentence(check, language),
            )
            for check in told
        )
        found.append(Commissioned(report, stored.received_at, stored.sha256, lines))
    return found
