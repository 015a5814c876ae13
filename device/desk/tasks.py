"""What an operator can do at a terminal: each task is a row of steps, asked one after the other.

A task ends in a session (with a purpose, a path and perhaps a visit) or in a case for the reviewers. Whoever adds a task adds a row
here, and its texts; screen and desk follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from protocol.cases import CaseKind, CaseReason, OtherWay, PhotoRole, Relation
from protocol.policy import PathName
from protocol.records import Purpose
from protocol.references import LegalBasis
from protocol.staff import Role
from protocol.visits import VisitReason


class Task(StrEnum):
    """One kind of errand."""

    CERTIFY = "certify"
    """A session on a chosen path, of a person found by document or in the name list."""
    VISIT = "visit"
    """A session at home, in a hospital or on a round (R4-7, R4-14, R6-9)."""
    ENROL = "enrol"
    SPECIAL = "special"
    PROXY = "proxy"
    EXCEPTION = "exception"
    PHOTO_ENROLMENT = "photo_enrolment"
    COURIER = "courier"
    """Records out and receipts home on a stick."""
    STATUS = "status"
    """How the terminal stands."""
    COMMISSION = "commission"
    """Every part of the terminal is tried, with somebody on the spot; has a page of its own and no steps."""


class Step(StrEnum):
    """One question of a task."""

    PERSON = "person"
    PATH = "path"
    LEGAL_BASIS = "legal_basis"
    VISIT_REASON = "visit_reason"
    WITNESS = "witness"
    """Another operator's code, or number and PIN, or nobody."""
    PLACE = "place"
    CASE_REASON = "case_reason"
    OTHER_WAY = "other_way"
    PROXY_PERSON = "proxy_person"
    """The document of who acts for the person."""
    RELATION = "relation"
    PHOTO_IDENTITY_CARD = "photo_identity_card"
    PHOTO_WITH_NEWSPAPER = "photo_with_newspaper"
    PHOTO_FACE = "photo_face"
    PHOTO_AUTHORITY = "photo_authority"
    NEWSPAPER_DATE = "newspaper_date"
    CONFIRM = "confirm"
    STICK = "stick"
    """Which stick; the work begins with the answer."""


InputKind = Literal["person", "choice", "witness", "place", "photo", "date", "confirm", "stick"]


@dataclass(frozen=True, slots=True)
class StepRule:
    """How a step is asked."""

    kind: InputKind
    options: tuple[str, ...] = ()
    """Codes to choose from, for `choice`."""
    role: PhotoRole | None = None
    """What the picture shows, for `photo`."""


STEPS: Mapping[Step, StepRule] = {
    Step.PERSON: StepRule("person"),
    Step.PATH: StepRule("choice", tuple(PathName)),
    Step.LEGAL_BASIS: StepRule("choice", tuple(LegalBasis)),
    Step.VISIT_REASON: StepRule("choice", tuple(VisitReason)),
    Step.WITNESS: StepRule("witness"),
    Step.PLACE: StepRule("place"),
    Step.CASE_REASON: StepRule("choice", tuple(CaseReason)),
    Step.OTHER_WAY: StepRule("choice", tuple(OtherWay)),
    Step.PROXY_PERSON: StepRule("person"),
    Step.RELATION: StepRule("choice", tuple(Relation)),
    Step.PHOTO_IDENTITY_CARD: StepRule("photo", role=PhotoRole.IDENTITY_CARD),
    Step.PHOTO_WITH_NEWSPAPER: StepRule("photo", role=PhotoRole.WITH_NEWSPAPER),
    Step.PHOTO_FACE: StepRule("photo", role=PhotoRole.FACE),
    Step.PHOTO_AUTHORITY: StepRule("photo", role=PhotoRole.AUTHORITY),
    Step.NEWSPAPER_DATE: StepRule("date"),
    Step.CONFIRM: StepRule("confirm"),
    Step.STICK: StepRule("stick"),
}


@dataclass(frozen=True, slots=True)
class TaskRule:
    """What a task asks, who may do it and what it ends in."""

    steps: tuple[Step, ...]
    roles: tuple[Role, ...]
    """Any of these may do it."""
    purpose: Purpose | None = None
    """Ends in a session."""
    case: CaseKind | None = None
    """Ends in a case."""


TASKS: Mapping[Task, TaskRule] = {
    Task.CERTIFY: TaskRule((Step.PERSON, Step.PATH), (Role.WORKER,), purpose=Purpose.CERTIFICATION),
    # The fewest questions that leave a visit provable: three taps between the person and the session. What is taken in for a person to
    # decide is asked the same way: reason, place and witness before the camera is on, so that the witness sees what is done.
    Task.VISIT: TaskRule(
        (Step.PERSON, Step.VISIT_REASON, Step.PLACE, Step.WITNESS, Step.PATH),
        (Role.WORKER,),
        purpose=Purpose.CERTIFICATION,
    ),
    Task.ENROL: TaskRule(
        (Step.PERSON, Step.LEGAL_BASIS, Step.CONFIRM, Step.PATH), (Role.ENROLLER,), purpose=Purpose.ENROLMENT
    ),
    Task.SPECIAL: TaskRule(
        (
            Step.PERSON,
            Step.CASE_REASON,
            # It can end in a certification, and is mostly taken at home (R6-5, R6-7, R6-9).
            Step.PLACE,
            Step.WITNESS,
            Step.PHOTO_IDENTITY_CARD,
            Step.PHOTO_WITH_NEWSPAPER,
            Step.NEWSPAPER_DATE,
            Step.CONFIRM,
        ),
        (Role.ENROLLER,),
        case=CaseKind.SPECIAL,
    ),
    Task.PROXY: TaskRule(
        (
            Step.PERSON,
            Step.PROXY_PERSON,
            Step.RELATION,
            Step.CASE_REASON,
            Step.PLACE,
            Step.WITNESS,
            Step.PHOTO_AUTHORITY,
            Step.CONFIRM,
        ),
        (Role.ENROLLER,),
        case=CaseKind.PROXY,
    ),
    Task.EXCEPTION: TaskRule(
        (Step.PERSON, Step.CASE_REASON, Step.OTHER_WAY, Step.PLACE, Step.WITNESS, Step.CONFIRM),
        (Role.WORKER,),
        case=CaseKind.EXCEPTION,
    ),
    # It is taken at home or far away (R1-12), so its place is asked. A witness is not: a photograph shows nobody alive and certifies
    # nobody (R1-19), and who confirms it is the unit (R1-16).
    Task.PHOTO_ENROLMENT: TaskRule(
        (Step.PERSON, Step.LEGAL_BASIS, Step.CASE_REASON, Step.PLACE, Step.PHOTO_FACE, Step.CONFIRM),
        (Role.ENROLLER,),
        case=CaseKind.PHOTO_ENROLMENT,
    ),
    # Records must come out of a terminal, and its standing be seen, by whoever has come to it.
    Task.COURIER: TaskRule((Step.STICK,), tuple(Role)),
    Task.STATUS: TaskRule((), tuple(Role)),
    # Whoever is there when a terminal is mounted or moved; it changes nothing, and the report says by itself what came of it.
    Task.COMMISSION: TaskRule((), tuple(Role)),
}


def tasks_of(roles: tuple[Role, ...]) -> tuple[Task, ...]:
    """Return what somebody with these roles may do, in the order of the menu."""
    return tuple(task for task, rule in TASKS.items() if set(rule.roles) & set(roles))
