"""The steps of a stop: the ladder and the comparison, two approvals, carrying it out, taking it back, restoring, freezing.

Whoever prepares records how the person was tried to be reached; whoever decides does the rest. Every step is `fleet.benefits.guard`'s; a
form that was made before the last event is refused, and what happened meanwhile is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.benefits.events import LADDER, RestoreReason, StepOutcome
from fleet.benefits.files import file_of
from fleet.benefits.guard import StopGuard
from fleet.benefits.machine import BenefitFile
from fleet.errors import NotFound, Refused
from fleet.store.person import open_cases_of
from fleet.store.stops import area_of_benefit
from fleet.store.subjects import find_by_id
from fleet.web.labels import scheme_word
from fleet.web.pages.stops_benefit import benefit_page
from fleet.web.pages.stops_forms import DECIDE, LOOK, PREPARE, TYPED, address_of, guard_of, month_in
from fleet.web.saying import said
from fleet.web.visits import Visit, not_found, not_permitted, sends

router = APIRouter(include_in_schema=False)


@router.post("/stops/{subject_id}/step")
def step(visit: Annotated[Visit, sends(PREPARE)], subject_id: str, scheme: str = "") -> Response:
    """Record a step of the ladder with its proof."""
    sent = visit.sent

    def work(guard: StopGuard, stop_id: str) -> str:
        guard.record_step(
            stop_id,
            sent.choice("step", LADDER),
            sent.choice("outcome", StepOutcome),
            day=sent.day("day", visit.today),
            by=visit.visitor.name,
            proof=sent.text("proof"),
        )
        return "stop_step"

    return _act(visit, subject_id, scheme, PREPARE, work)


@router.post("/stops/{subject_id}/compare")
def compare(visit: Annotated[Visit, sends(PREPARE)], subject_id: str, scheme: str = "") -> Response:
    """Record that the data of other bodies were compared (R7-11)."""
    sent = visit.sent

    def work(guard: StopGuard, stop_id: str) -> str:
        found = sent.choice("found", ("sign_found", "nothing_found"))
        guard.record_comparison(
            stop_id,
            is_sign_found=found == "sign_found",
            day=sent.day("compared_day", visit.today),
            by=visit.visitor.name,
            proof=sent.text("compared_proof"),
        )
        return "stop_compared"

    return _act(visit, subject_id, scheme, PREPARE, work)


@router.post("/stops/{subject_id}/approve")
def approve(visit: Annotated[Visit, sends(DECIDE)], subject_id: str, scheme: str = "") -> Response:
    """Approve a stop as it stands; two different persons must."""

    def work(guard: StopGuard, stop_id: str) -> str:
        why = visit.sent.text("approval_reason")
        told = [(visit.texts["stops"]["approve_reason"], why)]
        visit.make_sure("approve_stop", told, name=_name(visit, subject_id), scheme=scheme_word(scheme, visit.texts))
        given = guard.approve(stop_id, by=visit.visitor.name, why=why)
        return "stop_approved" if given == 1 else "stop_approved_by_two"

    return _act(visit, subject_id, scheme, DECIDE, work)


@router.post("/stops/{subject_id}/carry-out")
def carry_out(visit: Annotated[Visit, sends(DECIDE)], subject_id: str, scheme: str = "") -> Response:
    """Stop the payment that two persons have approved to stop."""

    def work(guard: StopGuard, stop_id: str) -> str:
        texts, month = visit.texts["stops"], visit.sent.text("from_month")
        told = [(texts["carry_out_month"], month)]
        visit.make_sure("carry_out", told, name=_name(visit, subject_id), scheme=scheme_word(scheme, visit.texts))
        guard.carry_out(stop_id, by=visit.visitor.name, from_month=month_in(visit.sent.text("from_month")))
        return "stop_carried_out"

    return _act(visit, subject_id, scheme, DECIDE, work)


@router.post("/stops/{subject_id}/withdraw")
def withdraw(visit: Annotated[Visit, sends(DECIDE)], subject_id: str, scheme: str = "") -> Response:
    """Refuse a stop: the proposal is taken back, and the same reason gives no other."""

    def work(guard: StopGuard, stop_id: str) -> str:
        guard.withdraw(stop_id, by=visit.visitor.name, why=visit.sent.text("withdrawal_reason"))
        return "stop_withdrawn"

    return _act(visit, subject_id, scheme, DECIDE, work)


@router.post("/stops/{subject_id}/restore")
def restore(visit: Annotated[Visit, sends(DECIDE)], subject_id: str, scheme: str = "") -> Response:
    """Let payment go on; what is no certification again needs a second person."""
    sent = visit.sent

    def work(guard: StopGuard, _stop_id: str) -> str:
        done = guard.restore(
            subject_id,
            scheme,
            because=sent.choice("because", RestoreReason),
            by=visit.visitor.name,
            why=sent.text("restoration_reason"),
            first_paid_month=month_in(sent.text("paid_month")),
        )
        return "stop_restoration_approved" if done.approvals_missing else "stop_restored"

    return _act(visit, subject_id, scheme, DECIDE, work)


@router.post("/stops/{subject_id}/freeze")
def freeze(visit: Annotated[Visit, sends(DECIDE)], subject_id: str, scheme: str = "") -> Response:
    """Let an open case of the person hold up every stop of a benefit."""

    def work(guard: StopGuard, _stop_id: str) -> str:
        with visit.begin() as connection:
            case_id = visit.sent.choice("case_id", [each.case_id for each in open_cases_of(connection, subject_id)])
        guard.freeze(subject_id, scheme, case_id, by=visit.visitor.name, why=visit.sent.text("freeze_reason"))
        return "stop_frozen"

    return _act(visit, subject_id, scheme, DECIDE, work)


@router.post("/stops/{subject_id}/unfreeze")
def unfreeze(visit: Annotated[Visit, sends(DECIDE)], subject_id: str, scheme: str = "") -> Response:
    """Say that a case no longer holds the stops of a benefit up."""

    def work(guard: StopGuard, _stop_id: str) -> str:
        case_id = visit.sent.text("held_case")
        guard.unfreeze(subject_id, scheme, case_id, by=visit.visitor.name, why=visit.sent.text("unfreeze_reason"))
        return "stop_unfrozen"

    return _act(visit, subject_id, scheme, DECIDE, work)


Work = Callable[[StopGuard, str], str]
"""Does a step, of the stop that is proposed; returns the code of the sentence about it."""


def _act(visit: Visit, subject_id: str, scheme: str, permission: Permission, work: Work) -> Response:
    """Do a step in one transaction with the check that the form is of what there is now."""
    try:
        with visit.begin() as connection:
            file = _current_file(visit, connection, subject_id, scheme, permission)
            stop_id = "" if file.proposal is None else file.proposal.stop.stop_id
            done = work(guard_of(visit, connection), stop_id)
    except (Refused, NotFound) as error:
        status = 422 if error.code in TYPED else 409
        problem = said(visit.texts["stops"], error)
        return benefit_page(visit, subject_id, scheme, problems=[problem], status=status)
    return visit.done(address_of(subject_id, scheme), done)


def _current_file(
    visit: Visit, connection: Connection, subject_id: str, scheme: str, permission: Permission
) -> BenefitFile:
    """Return the benefit's file, its subject locked, if the visitor may do this to it and the form is of what there is now."""
    if area_of_benefit(connection, subject_id, scheme, visit.codes(connection, LOOK)) is None:
        raise not_found()
    if area_of_benefit(connection, subject_id, scheme, visit.codes(connection, permission)) is None:
        raise not_permitted()
    file = file_of(connection, subject_id, scheme)
    if visit.sent.text("version") != str(file.events):
        raise Refused("form is stale", code="stale")
    return file


def _name(visit: Visit, subject_id: str) -> str:
    with visit.begin() as connection:
        subject = find_by_id(connection, subject_id)
    return "" if subject is None else visit.opened(subject.name_sealed, of=subject_id)
