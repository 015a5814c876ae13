"""What can happen to a benefit: the events from which its file follows. Pure values of days and codes, no names and no texts.

What a person wrote (a proof, a reason) stands sealed elsewhere; an event names it by a reference that is not empty.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter


class StopReason(StrEnum):
    """Why payment is to stop. Source: R7-1 to R7-4, R7-7."""

    OVERDUE = "overdue"
    """Nobody came, and the pack lets a stop be proposed (R7-1, R7-3, R7-4, R7-11)."""
    DEATH = "death"
    MISSING = "missing"
    SENTENCE = "sentence"
    REGISTER_CANCELLED = "register_cancelled"
    OTHER_BY_LAW = "other_by_law"


class StopEffect(StrEnum):
    """Two states that a stop can lead to, and they are not the same. Source: R7-19."""

    PAUSE = "pause"
    END = "end"


class LadderStep(StrEnum):
    """What is done to reach the person before anything stops, in this order."""

    MESSAGE = "message"
    CALL = "call"
    VISIT = "visit"


LADDER = tuple(LadderStep)
"""All steps, in order."""


class StepOutcome(StrEnum):
    """What came of a step."""

    REACHED = "reached"
    NOT_REACHED = "not_reached"
    NOT_POSSIBLE = "not_possible"


class RestoreReason(StrEnum):
    """Why payment goes on. Source: R7-5, R7-6."""

    CERTIFIED = "certified"
    """The person certified again."""
    ALIVE = "alive"
    """A report of a loss was wrong."""
    LOSS_OVER = "loss_over"
    """Found again, released, registered again."""
    MISTAKE = "mistake"
    """The stop should not have been."""


class RecoveryReason(StrEnum):
    """Why something is claimed back. Source: R7-10, R7-12, R7-14, R7-15, R7-17."""

    OVERPAID = "overpaid"
    NO_TRACE = "no_trace"
    MISMATCH = "mismatch"
    FALSE_CLAIM = "false_claim"


@dataclass(frozen=True, slots=True)
class StopProposed:
    """A stop is proposed, by the machine or by a person; by itself it changes no payment."""

    stop_id: str
    reason: StopReason
    effect: StopEffect
    from_month: date
    """First day of the first month that is not to be paid."""
    since: date
    """The day since which the reason holds: earlier steps of the ladder are about something else."""
    basis: str
    """By what: pack, version and stop day (`LZ-2019/1/2026-12-21`), id of a life event, or a reference to a written basis."""
    day: date
    needs_comparison: bool = False
    """Whether the data of other bodies must be compared before anybody approves (R7-11)."""
    by: str = ""
    """Who proposed it, as `Approved.person`; empty for the machine, and for what was stored before it was kept."""


@dataclass(frozen=True, slots=True)
class DataCompared:
    """The data of other bodies were compared (R7-11)."""

    stop_id: str
    is_sign_found: bool
    """Whether they show that the person is alive."""
    proof: str
    day: date
    by: str = ""
    """Who compared them, as `Approved.person`."""


@dataclass(frozen=True, slots=True)
class StepTaken:
    """A step of the ladder was taken, or could not be."""

    stop_id: str
    step: LadderStep
    outcome: StepOutcome
    proof: str
    """Reference to the proof: the delivery, the note of the call or the visit; of a step that was not possible, to the written reason."""
    day: date
    by: str = ""
    """Who recorded it, as `Approved.person`."""


@dataclass(frozen=True, slots=True)
class Approved:
    """One of two persons approves the stop as it stands."""

    stop_id: str
    person: str
    """Keyed hash: the same person has the same for one stop."""
    day: date


@dataclass(frozen=True, slots=True)
class WordDropped:
    """An approval is taken back, or counts no more: whoever gave it is out of service, or lost the role."""

    stop_id: str
    person: str
    """As `Approved.person`."""
    day: date


@dataclass(frozen=True, slots=True)
class Frozen:
    """A case holds up every stop of this benefit until it is decided."""

    case_id: str
    because: str
    day: date


BY_HAND = "by_hand"
"""Why a stop is frozen where a person named the case."""


@dataclass(frozen=True, slots=True)
class Unfrozen:
    """The case is decided."""

    case_id: str
    day: date


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """Payment stops: paused or ended, as was proposed."""

    stop_id: str
    first_unpaid_month: date
    """First day of the month; not before the one that was proposed."""
    day: date


REASON_GONE = "reason_gone"
"""Why the machine takes a proposal back. Nobody answered it: with the reason (a certification withdrawn) the stop comes back."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The proposal is taken back; nothing stops by it."""

    stop_id: str
    reason: str
    """`REASON_GONE`, or what people wrote: their word answers the basis of the stop for good."""
    day: date


@dataclass(frozen=True, slots=True)
class Restored:
    """Payment goes on; what is paid back follows from the months (`fleet.benefits.months`)."""

    because: RestoreReason
    basis: str
    """Id of the act or the life event, or a reference to what was written."""
    first_paid_month: date
    """First day of the first month that is paid again."""
    day: date


@dataclass(frozen=True, slots=True)
class RecoveryOpened:
    """Something is to be claimed back."""

    recovery_id: str
    reason: RecoveryReason
    months: int
    """How many months were paid and should not have been; 0 where it is not about months."""
    day: date


class RecoveryOutcome(StrEnum):
    """What came of a claim. Source: R7-10, R7-16."""

    RETURNED = "returned"
    """In full."""
    LEGAL_ACTION = "legal_action"
    """It was refused (R7-16)."""
    DROPPED = "dropped"
    """There was nothing to claim."""


@dataclass(frozen=True, slots=True)
class RecoveryClosed:
    """What came of a recovery."""

    recovery_id: str
    outcome: RecoveryOutcome
    day: date


Event = (
    StopProposed
    | DataCompared
    | StepTaken
    | Approved
    | WordDropped
    | Frozen
    | Unfrozen
    | CarriedOut
    | Withdrawn
    | Restored
    | RecoveryOpened
    | RecoveryClosed
)
KINDS: dict[str, type[Event]] = {
    "stop_proposed": StopProposed,
    "data_compared": DataCompared,
    "step_taken": StepTaken,
    "approved": Approved,
    "word_dropped": WordDropped,
    "frozen": Frozen,
    "unfrozen": Unfrozen,
    "carried_out": CarriedOut,
    "withdrawn": Withdrawn,
    "restored": Restored,
    "recovery_opened": RecoveryOpened,
    "recovery_closed": RecoveryClosed,
}
"""What each kind is called where it is stored."""
_NAMES = {kind: name for name, kind in KINDS.items()}
_ADAPTERS: dict[str, TypeAdapter[Event]] = {name: TypeAdapter(kind) for name, kind in KINDS.items()}


def kind_of(event: Event) -> str:
    """Return what an event's kind is called."""
    return _NAMES[type(event)]


def body_of(event: Event) -> dict[str, Any]:
    """Return what an event says as plain JSON values, without its day."""
    found = {field.name: getattr(event, field.name) for field in fields(event) if field.name != "day"}
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in found.items()}


def event_from(kind: str, day: date, body: dict[str, Any]) -> Event:
    """Return the event that was stored; raises KeyError or ValueError for what never was one."""
    return _ADAPTERS[kind].validate_python({**body, "day": day})
