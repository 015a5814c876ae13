"""Stops of benefits: which are proposed or in force, and one of them with its history, its months and the steps that are next.

Whoever prepares records how the person was tried to be reached; whoever decides approves, carries out, takes back and restores. Every
step is `fleet.benefits.guard`'s; a form that was made before the last event is refused, and what happened meanwhile is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.benefits.events import (
    LADDER,
    Approved,
    LadderStep,
    RestoreReason,
    StepOutcome,
    StopEffect,
    StopReason,
)
from fleet.benefits.files import file_of
from fleet.benefits.guard import StopGuard
from fleet.benefits.inspection import Inspected, inspect
from fleet.benefits.machine import BenefitFile
from fleet.errors import NotFound, Refused
from fleet.store.benefits import listed_facts, schemes_of
from fleet.store.names import cleaned
from fleet.store.stops import Stage, StopLine, StopsAsked, area_of_benefit, stage_counts, stop_lines
from fleet.store.subjects import find_by_id, find_by_ids
from fleet.web.lists import Listing, listing
from fleet.web.pages.people_words import scheme_word
from fleet.web.pages.stops_forms import TYPED, address_of, day_in, month_in
from fleet.web.pages.stops_words import basis_link, events_told, stage_of
from fleet.web.saying import said
from fleet.web.visits import Visit, needs, not_found, not_permitted, sends

router = APIRouter(include_in_schema=False)
PREPARE, DECIDE = Permission.STOPS_PREPARE, Permission.STOPS_APPROVE
BOTH = (PREPARE, DECIDE)
_BY_HAND = tuple(reason for reason in StopReason if reason is not StopReason.OVERDUE)
"""Reasons for which a person may propose a stop; that nobody came only packs say."""


@router.get("/stops")
def stops(
    visit: Annotated[Visit, needs(*BOTH)], stage: str = "", reason: str = "", after: str = "", before: str = ""
) -> HTMLResponse:
    """Show the benefits with a stop in the visitor's areas, those that wait longest first."""
    asked_stage = Stage(stage) if stage in set(Stage) else None
    asked_reason = reason if reason in set(StopReason) else ""
    with visit.begin() as connection:
        within = visit.codes(connection, *BOTH)
        asked = StopsAsked(within, asked_stage, asked_reason)
        shown = listing(
            "/stops",
            {"stage": asked_stage or "", "reason": asked_reason},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: stop_lines(connection, asked, after=behind, before=ahead, limit=limit),
            key=lambda line: line.place,
        )
        found = find_by_ids(connection, {line.subject_id for line in shown.rows})
        names = {each.subject_id: visit.opened(each.name_sealed, of=each.subject_id) for each in found}
        if names:
            visit.note(connection, "subjects.listed", "subjects", "stops", people=len(names), **shown.filters)
    return visit.page(
        "stops/list.html",
        shown=shown,
        names=names,
        schemes={line.scheme: scheme_word(line.scheme, visit.language) for line in shown.rows},
        counts=None,
        stages=list(Stage),
        reasons=list(StopReason),
    )


@router.get("/stops/stages")
def stages(visit: Annotated[Visit, needs(*BOTH)], stage: str = "", reason: str = "") -> HTMLResponse:
    """Show how many benefits are at each stage: counted beside the list, which does not wait for it."""
    kept = {"stage": stage if stage in set(Stage) else "", "reason": reason if reason in set(StopReason) else ""}
    with visit.begin() as connection:
        counts = stage_counts(connection, visit.codes(connection, *BOTH))
    shown: Listing[StopLine] = Listing((), "/stops", {name: value for name, value in kept.items() if value}, None, None)
    return visit.page("stops/stages.html", shown=shown, counts=counts, stages=list(Stage))


@router.get("/stops/new")
def new(visit: Annotated[Visit, needs(PREPARE)], subject_id: str = "", scheme: str = "") -> HTMLResponse:
    """Show the form by which a stop is proposed for a reason that no pack and no confirmed report gives (R7-7, R7-17)."""
    return _new_page(visit, {"subject_id": subject_id.strip(), "scheme": scheme})


@router.post("/stops/new")
def propose(visit: Annotated[Visit, sends(PREPARE)]) -> Response:
    """Propose a stop by hand."""
    subject_id, scheme = visit.sent.text("subject_id"), visit.sent.text("scheme")
    try:
        _propose(visit, subject_id, scheme)
    except (Refused, NotFound) as error:
        status = 422 if error.code in TYPED else 409
        return _new_page(visit, visit.sent.fields, problems=[said(visit.texts["stops"], error)], status=status)
    return visit.done(address_of(subject_id, scheme), "stop_proposed")


def _propose(visit: Visit, subject_id: str, scheme: str) -> None:
    month = month_in(visit.sent.text("from_month"))
    reason, effect = visit.sent.text("because"), visit.sent.text("effect")
    if month is None or reason not in _BY_HAND or effect not in set(StopEffect):
        raise Refused("form not whole", code="choice_missing")
    with visit.begin() as connection:
        if area_of_benefit(connection, subject_id, scheme, visit.codes(connection, PREPARE)) is None:
            raise NotFound("no such benefit", code="benefit_unknown")
        _guard(visit, connection).propose(
            subject_id,
            scheme,
            reason=StopReason(reason),
            effect=StopEffect(effect),
            from_month=month,
            by=visit.visitor.name,
            why=visit.sent.text("reason"),
        )


@router.get("/stops/{subject_id}")
def stop(visit: Annotated[Visit, needs(*BOTH)], subject_id: str, scheme: str = "") -> HTMLResponse:
    """Show one benefit; who looks is written down."""
    return _page(visit, subject_id, scheme)


@router.get("/stops/{subject_id}/{action}")
def back(visit: Annotated[Visit, needs(*BOTH)], subject_id: str, action: str, scheme: str = "") -> Response:
    """Lead back to the benefit: the address of a form that was sent is reloaded, too."""
    del visit, action
    return RedirectResponse(address_of(subject_id, scheme), status_code=303)


@router.post("/stops/{subject_id}/step")
def step(visit: Annotated[Visit, sends(PREPARE)], subject_id: str, scheme: str = "") -> Response:
    """Record a step of the ladder with its proof."""
    sent = visit.sent

    def work(guard: StopGuard, stop_id: str) -> str:
        given, outcome = sent.text("step"), sent.text("outcome")
        if given not in set(LADDER) or outcome not in set(StepOutcome):
            raise Refused("form not whole", code="choice_missing")
        guard.record_step(
            stop_id,
            LadderStep(given),
            StepOutcome(outcome),
            day=day_in(visit, "day"),
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
        found = sent.text("found")
        if found not in ("sign_found", "nothing_found"):
            raise Refused("form not whole", code="choice_missing")
        guard.record_comparison(
            stop_id,
            is_sign_found=found == "sign_found",
            day=day_in(visit, "compared_day"),
            by=visit.visitor.name,
            proof=sent.text("compared_proof"),
        )
        return "stop_compared"

    return _act(visit, subject_id, scheme, PREPARE, work)


@router.post("/stops/{subject_id}/approve")
def approve(visit: Annotated[Visit, sends(DECIDE)], subject_id: str, scheme: str = "") -> Response:
    """Approve a stop as it stands; two different persons must."""

    def work(guard: StopGuard, stop_id: str) -> str:
        given = guard.approve(stop_id, by=visit.visitor.name, why=visit.sent.text("approval_reason"))
        return "stop_approved" if given == 1 else "stop_approved_by_two"

    return _act(visit, subject_id, scheme, DECIDE, work)


@router.post("/stops/{subject_id}/carry-out")
def carry_out(visit: Annotated[Visit, sends(DECIDE)], subject_id: str, scheme: str = "") -> Response:
    """Stop the payment that two persons have approved to stop."""

    def work(guard: StopGuard, stop_id: str) -> str:
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
        because = sent.text("because")
        if because not in set(RestoreReason):
            raise Refused("form not whole", code="choice_missing")
        done = guard.restore(
            subject_id,
            scheme,
            because=RestoreReason(because),
            by=visit.visitor.name,
            why=sent.text("restoration_reason"),
            first_paid_month=month_in(sent.text("paid_month")),
        )
        return "stop_restoration_approved" if done.approvals_missing else "stop_restored"

    return _act(visit, subject_id, scheme, DECIDE, work)


@router.post("/stops/{subject_id}/freeze")
def freeze(visit: Annotated[Visit, sends(DECIDE)], subject_id: str, scheme: str = "") -> Response:
    """Let a case hold up every stop of a benefit."""

    def work(guard: StopGuard, _stop_id: str) -> str:
        case_id = cleaned(visit.sent.text("case_id"))
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
            done = work(_guard(visit, connection), stop_id)
    except (Refused, NotFound) as error:
        status = 422 if error.code in TYPED else 409
        problem = said(visit.texts["stops"], error)
        return _page(visit, subject_id, scheme, typed=visit.sent.fields, problems=[problem], status=status)
    return visit.done(address_of(subject_id, scheme), done)


def _current_file(
    visit: Visit, connection: Connection, subject_id: str, scheme: str, permission: Permission
) -> BenefitFile:
    """Return the benefit's file, its subject locked, if the visitor may do this to it and the form is of what there is now."""
    if area_of_benefit(connection, subject_id, scheme, visit.codes(connection, *BOTH)) is None:
        raise not_found()
    if area_of_benefit(connection, subject_id, scheme, visit.codes(connection, permission)) is None:
        raise not_permitted()
    file = file_of(connection, subject_id, scheme)
    if visit.sent.text("version") != str(file.events):
        raise Refused("form is stale", code="stale")
    return file


def _guard(visit: Visit, connection: Connection) -> StopGuard:
    return StopGuard(connection, visit.cipher, now=visit.now, zone=visit.zone)


def _page(
    visit: Visit,
    subject_id: str,
    scheme: str,
    *,
    typed: Mapping[str, str] | None = None,
    problems: list[str] | None = None,
    status: int = 200,
) -> HTMLResponse:
    with visit.begin() as connection:
        area = area_of_benefit(connection, subject_id, scheme, visit.codes(connection, *BOTH))
        subject = None if area is None else find_by_id(connection, subject_id)
        facts = None if subject is None else listed_facts(connection, subject_id, scheme)
        if area is None or subject is None or facts is None:
            raise not_found()
        found = inspect(connection, visit.cipher, subject_id, scheme, today=visit.today)
        may_prepare, may_decide = (
            area_of_benefit(connection, subject_id, scheme, visit.codes(connection, permission)) is not None
            for permission in BOTH
        )
        visit.note(connection, "benefits.viewed", "subject", subject_id, scheme=scheme)
    group = visit.texts["stops"]
    seen = (typed or {}).get("version", "")
    return visit.page(
        "stops/benefit.html",
        status=status,
        subject=subject,
        name=visit.opened(subject.name_sealed, of=subject_id),
        facts=facts,
        area=area,
        scheme=scheme,
        found=found,
        stage=stage_of(found),
        told=events_told(group, found),
        basis=_basis(found),
        may_prepare=may_prepare,
        may_decide=may_decide,
        has_approved=_has_approved(visit, found),
        typed=typed or {},
        problems=problems or [],
        seen=int(seen) if seen.isdecimal() and len(seen) < 9 else found.version,
        query=urlencode({"scheme": scheme}),
        outcomes=list(StepOutcome),
        restore_reasons=list(RestoreReason),
    )


def _new_page(
    visit: Visit, typed: Mapping[str, str], *, problems: list[str] | None = None, status: int = 200
) -> HTMLResponse:
    schemes: list[str] = []
    subject_id = typed.get("subject_id", "").strip()
    with visit.begin() as connection:
        within = visit.codes(connection, PREPARE)
        if subject_id:
            schemes = [
                scheme
                for scheme in schemes_of(connection, subject_id)
                if area_of_benefit(connection, subject_id, scheme, within) is not None
            ]
            if not schemes and not problems:
                raise not_found()
    return visit.page(
        "stops/new.html",
        status=status,
        typed=typed,
        schemes=schemes,
        problems=problems or [],
        reasons=_BY_HAND,
        effects=list(StopEffect),
    )


def _basis(found: Inspected) -> str | None:
    """Return the address of the pack by which the present stop came; None where it came otherwise."""
    file = found.file
    stop = file.stopped_by if file.proposal is None else file.proposal.stop
    return None if stop is None else basis_link(stop.basis)


def _has_approved(visit: Visit, found: Inspected) -> bool:
    """Return whether the visitor is one of the two already, for the page not to offer what would be refused."""
    proposal = found.file.proposal
    if proposal is None or not proposal.approvals:
        return False
    stop_id = proposal.stop.stop_id
    by = {each.by for each in found.happened if isinstance(each.event, Approved) and each.event.stop_id == stop_id}
    return visit.visitor.name in by
