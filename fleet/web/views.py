"""What the console's templates show, ready to print: names opened, moments in the agency's time, a colour kind for each badge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from fleet.errors import FleetError
from fleet.keys import FieldCipher
from fleet.store.console import RecordLine, SubjectLine, TerminalLine
from fleet.store.links import Gap
from protocol.outcomes import Outcome
from protocol.rules.days import FOREVER
from protocol.rules.obligations import CertificationState

SYMBOLS = {"good": "✓", "bad": "✗", "warn": "!", "plain": "·"}
"""Stands in every badge beside colour and text."""
_STATE_KINDS = {
    CertificationState.CERTIFIED: "good",
    CertificationState.DUE: "plain",
    CertificationState.EXPIRING: "warn",
    CertificationState.OVERDUE: "bad",
    CertificationState.NEVER_CERTIFIED: "plain",
}
_OUTCOME_KINDS = {
    Outcome.CERTIFIED: "good",
    Outcome.REVIEW: "warn",
    Outcome.NOT_CERTIFIED: "bad",
    Outcome.NO_REFERENCE: "warn",
    Outcome.POOR_SAMPLE: "warn",
    Outcome.PRESENTATION_ATTACK: "bad",
    Outcome.TIME_UNCERTAIN: "warn",
    Outcome.CANCELLED: "plain",
}
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
"""Stands for a name that was stored under another key or altered."""


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One subject."""

    name: str
    area: str
    state: str
    state_kind: str
    certified_until: date | None
    last_outcome: str | None
    outcome_kind: str
    last_event: str
    references: int


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record."""

    time: str
    name: str | None
    outcome: str
    outcome_kind: str
    reasons: Sequence[str]
    flags: Sequence[str]
    chain: str
    terminal_id: str
    counter: int


@dataclass(frozen=True, slots=True)
class TerminalRow:
    """One terminal."""

    terminal_id: str
    area: str
    presence: str
    """Key of the text."""
    presence_kind: str
    reported: str
    unconfirmed: int | None
    """Records it has stored and not seen confirmed."""
    pictures_waiting: int | None
    """Pictures of cases that have not arrived."""
    pictures_refused: int | None
    records: int
    gaps: str
    quarantined: int
    roster_version: int
    roster_have: int | None
    policy_version: str | None
    software: str | None


def person_row(line: SubjectLine, *, cipher: FieldCipher, today: date, zone: tzinfo) -> PersonRow:
    """Return what is shown of one subject."""
    state = line.state_on(today)
    return PersonRow(
        name=_name(cipher, line.name_sealed, line.subject_id),
        area=line.area,
        state=state.value,
        state_kind=_STATE_KINDS[state],
        certified_until=None if line.certified_until == FOREVER else line.certified_until,
        last_outcome=line.last_outcome,
        outcome_kind=_outcome_kind(line.last_outcome),
        last_event=_moment(line.last_event_at, zone),
        references=line.references,
    )


def record_row(line: RecordLine, *, cipher: FieldCipher, zone: tzinfo) -> RecordRow:
    """Return what is shown of one record; a pass that does not count is not shown in green."""
    name = None
    if line.name_sealed is not None and line.subject_id is not None:
        name = _name(cipher, line.name_sealed, line.subject_id)
    kind = _outcome_kind(line.outcome)
    return RecordRow(
        time=_moment(line.earliest or line.latest, zone),
        name=name,
        outcome=line.outcome,
        outcome_kind="warn" if kind == "good" and not line.counts else kind,
        reasons=line.reasons,
        flags=line.flags,
        chain=line.chain,
        terminal_id=line.terminal_id,
        counter=line.counter,
    )


def terminal_row(line: TerminalLine, gaps: Sequence[Gap], *, zone: tzinfo) -> TerminalRow:
    """Return what is shown of one terminal."""
    presence = "retired" if line.retired_at is not None else line.state or "never_seen"
    unconfirmed = None
    if line.outbox_pending is not None and line.outbox_published is not None:
        unconfirmed = line.outbox_pending + line.outbox_published
    return TerminalRow(
        terminal_id=line.terminal_id,
        area=line.area,
        presence=presence,
        presence_kind="good" if presence == "online" else "warn" if presence == "offline" else "plain",
        reported=_moment(line.presence_received_at, zone),
        unconfirmed=unconfirmed,
        pictures_waiting=line.pictures_waiting,
        pictures_refused=line.pictures_refused,
        records=line.records,
        gaps=", ".join(
            str(gap.first) if gap.first == gap.last else f"{gap.first}–{gap.last}"
            for gap in gaps
            if gap.terminal_id == line.terminal_id
        ),
        quarantined=line.quarantined,
        roster_version=line.roster_version,
        roster_have=line.roster_have,
        policy_version=line.policy_version,
        software=line.software,
    )


def _name(cipher: FieldCipher, sealed: bytes, subject_id: str) -> str:
    """Return a name, or a mark in its place: one row that does not open must not take the page away."""
    try:
        return cipher.decrypt(sealed, subject_id=subject_id, field_name="name")
    except FleetError:
        return _UNREADABLE


def _outcome_kind(outcome: str | None) -> str:
    return "plain" if outcome is None else _OUTCOME_KINDS[Outcome(outcome)]


def _moment(moment: datetime | None, zone: tzinfo) -> str:
    return "" if moment is None else moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")
