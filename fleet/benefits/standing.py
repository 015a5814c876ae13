"""Where a person stands today, for whoever asks: console, open interface, terminal, slip, or the person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from fleet.benefits.machine import BenefitState
from fleet.errors import NotFound
from fleet.store.standings import benefit_states_of, open_cases_of, pack_standings
from protocol.rules.obligations import CertificationState


@dataclass(frozen=True, slots=True)
class PackReason:
    """What one pack asks of one benefit, and where that stands."""

    scheme: str
    """Empty for somebody who is on no list of benefits."""
    pack_id: str
    pack_version: int
    state: CertificationState
    last_day: date | None
    """Day of the act that counted last."""
    opens: date
    due: date
    stop_from: date


@dataclass(frozen=True, slots=True)
class BenefitLine:
    """One benefit."""

    scheme: str
    state: BenefitState
    stopped_from: date | None
    """The first unpaid month, by its first day."""
    is_frozen: bool
    """Whether a case holds every stop up."""


@dataclass(frozen=True, slots=True)
class PersonStanding:
    """Where one person stands on a day."""

    subject_id: str
    strictest: PackReason
    """Of the obligation that is due first."""
    reasons: tuple[PackReason, ...]
    """Every pack's own, the strictest first."""
    benefits: tuple[BenefitLine, ...]
    open_cases: int

    @property
    def state(self) -> CertificationState:
        """The state by the strictest obligation."""
        return self.strictest.state


def status_of_person(connection: Connection, subject_id: str, today: date) -> PersonStanding:
    """Return where a person stands on a day.

    Raises:
        NotFound: if there is no such subject.
    """
    rows = pack_standings(connection, [subject_id]).get(subject_id)
    if not rows:
        raise NotFound(f"subject {subject_id}: there is none of this id")
    reasons = tuple(
        PackReason(
            row.scheme,
            row.pack_id,
            row.pack_version,
            row.state(today),
            row.last_day,
            row.opens,
            row.due,
            row.stop_from,
        )
        for row in rows
    )
    lines = tuple(
        BenefitLine(row.scheme, BenefitState(row.state), row.stopped_from, row.is_frozen)
        for row in benefit_states_of(connection, subject_id, today)
    )
    return PersonStanding(subject_id, reasons[0], reasons, lines, open_cases_of(connection, subject_id))
