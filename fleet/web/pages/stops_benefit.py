"""One benefit: its history, its months, and the steps of its stop that are next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fleet.accounts.roles import Permission
from fleet.benefits.events import Approved, RestoreReason, StepOutcome
from fleet.benefits.guard import MOST_AHEAD
from fleet.benefits.inspection import Inspected, inspect, person_of
from fleet.store.areas import area_names
from fleet.store.benefits import listed_facts
from fleet.store.case_numbers import numbers_of
from fleet.store.people import may_see
from fleet.store.person import open_cases_of
from fleet.store.stops import area_of_benefit
from fleet.store.subjects import find_by_id
from fleet.web.forms import count_in
from fleet.web.pages.stops_forms import BOTH, LOOK, address_of
from fleet.web.pages.stops_words import basis_link, basis_word, events_told, stage_of
from fleet.web.visits import Visit, needs, not_found
from protocol.rules.days import first_of_month

router = APIRouter(include_in_schema=False)


@router.get("/stops/{subject_id}")
def stop(visit: Annotated[Visit, needs(LOOK)], subject_id: str, scheme: str = "") -> HTMLResponse:
    """Show one benefit; who looks is written down."""
    return benefit_page(visit, subject_id, scheme)


@router.get("/stops/{subject_id}/{action}")
def back(visit: Annotated[Visit, needs(LOOK)], subject_id: str, action: str, scheme: str = "") -> Response:
    """Lead back to the benefit: the address of a form that was sent is reloaded, too."""
    del visit, action
    return RedirectResponse(address_of(subject_id, scheme), status_code=303)


def benefit_page(
    visit: Visit,
    subject_id: str,
    scheme: str,
    *,
    problems: Sequence[str] = (),
    status: int = 200,
) -> HTMLResponse:
    """Show a benefit, with what was typed if a form of it was sent; who looks is written down."""
    with visit.begin() as connection:
        area = area_of_benefit(connection, subject_id, scheme, visit.codes(connection, LOOK))
        subject = None if area is None else find_by_id(connection, subject_id)
        facts = None if subject is None else listed_facts(connection, subject_id, scheme)
        if area is None or subject is None or facts is None:
            raise not_found()
        open_cases = open_cases_of(connection, subject_id)
        found = inspect(connection, visit.cipher, subject_id, scheme, today=visit.today)
        may_prepare, may_decide = (
            area_of_benefit(connection, subject_id, scheme, visit.codes(connection, permission)) is not None
            for permission in BOTH
        )
        may_settle = may_see(connection, subject_id, visit.tops(Permission.CONTRADICTIONS_DECIDE))
        # By hand any id may be named; a link is to a case that is there.
        named = {str(getattr(each.event, "case_id", "")) for each in found.happened}
        numbers = numbers_of(connection, named)
        held_cases = {each: numbers[each] for each in found.held_by_hand if each in numbers}
        areas = area_names(connection, {area})
        visit.note(connection, "benefits.viewed", "subject", subject_id, scheme=scheme)
    seen = count_in(visit.sent.text("version"))
    return visit.page(
        "stops/benefit.html",
        status=status,
        subject=subject,
        name=visit.opened(subject.name_sealed, of=subject_id),
        facts=facts,
        area=area,
        areas=areas,
        scheme=scheme,
        found=found,
        stage=stage_of(found),
        told=events_told(visit.texts["stops"], found, numbers),
        basis=_basis(found),
        basis_word=basis_word(visit.texts["stops"], _basis_of(found)),
        may_prepare=may_prepare,
        may_decide=may_decide,
        may_settle=may_settle,
        held_cases=held_cases,
        held=[(each, held_cases.get(each, each)) for each in found.held_by_hand],
        has_approved=_has_approved(visit, found),
        has_prepared=_has_prepared(visit, found),
        typed=visit.sent.fields,
        problems=problems,
        seen=found.version if seen is None else seen,
        query=urlencode({"scheme": scheme}),
        open_cases=[
            (
                each.case_id,
                f"{each.number} · {visit.texts['cases']['kinds'][each.kind]} · {each.asked_at.astimezone(visit.zone).date()}",
            )
            for each in open_cases
            # A pass against a report freezes by itself, and is no case of the queue.
            if each.kind in visit.texts["cases"]["kinds"]
        ],
        first_month=first_of_month(visit.today),
        last_month=first_of_month(visit.today, MOST_AHEAD),
        outcomes=list(StepOutcome),
        restore_reasons=list(RestoreReason),
    )


def _basis(found: Inspected) -> str | None:
    """Return the address of the pack by which the present stop came; None where it came otherwise."""
    return basis_link(_basis_of(found))


def _basis_of(found: Inspected) -> str:
    file = found.file
    stop = file.stopped_by if file.proposal is None else file.proposal.stop
    return "" if stop is None else stop.basis


def _has_prepared(visit: Visit, found: Inspected) -> bool:
    """Return whether the visitor proposed the stop that is open, or recorded something about it."""
    proposal = found.file.proposal
    if proposal is None:
        return False
    return person_of(visit.cipher, visit.visitor.name, proposal.stop.stop_id) in proposal.prepared_by


def _has_approved(visit: Visit, found: Inspected) -> bool:
    """Return whether the visitor is one of the two already, for the page not to offer what would be refused."""
    proposal = found.file.proposal
    if proposal is None or not proposal.approvals:
        return False
    stop_id = proposal.stop.stop_id
    by = {each.by for each in found.happened if isinstance(each.event, Approved) and each.event.stop_id == stop_id}
    return visit.visitor.name in by
