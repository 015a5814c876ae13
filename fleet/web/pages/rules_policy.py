"""The policy in force and the thresholds of comparison: what every terminal asks for, who has it, and proposals with two approvals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from fleet.accounts.roles import Permission
from fleet.errors import NotFound, Refused
from fleet.store.areas import area_names
from fleet.store.calibrations import find_calibrations
from fleet.store.policies import newest_policy
from fleet.store.rule_pages import (
    calibration_names,
    calibrations,
    issued_policies,
    terminals_by_policy,
    terminals_without_policy,
)
from fleet.updates import calibration
from fleet.updates.calibration import Proposal, Wanted
from fleet.updates.policy import APPROVALS
from fleet.updates.policy_parts import PolicyPart, Value, parts_of
from fleet.web.rendering import NOTHING
from fleet.web.saying import said, word
from fleet.web.texts import Texts
from fleet.web.visits import Visit, needs, not_found, sends

router = APIRouter(include_in_schema=False)
_MOST = 20
_MOST_TERMINALS = 50
_FMR, _GREY_FMR = "0.001", "0.01"
"""False match rates that the form begins with, as the command has them."""


@router.get("/rules/policy")
def policy(visit: Annotated[Visit, needs(Permission.RULES)]) -> HTMLResponse:
    """Show the policy in force, the terminals that have another one, and proposed thresholds."""
    return _policy_page(visit)


@router.post("/rules/calibrations")
def propose(visit: Annotated[Visit, sends(Permission.RULES_PROPOSE)]) -> Response:
    """Find thresholds from the fleet's own people, and store them as a proposal."""
    visit.whole_fleet(Permission.RULES_PROPOSE)
    sent = visit.sent
    try:
        wanted = Wanted(
            sent.text("network"),
            _rate(sent.text("fmr")),
            _rate(sent.text("grey_fmr")),
            sent.text("area") or None,
            sent.text("model") or None,
        )
        found = calibration.propose(
            visit.console.database,
            visit.keys,
            wanted,
            by=visit.visitor.name,
            now=visit.now,
            today=visit.today,
        )
    except Refused as error:
        status = 422 if error.code in ("rates_unusable", "several_networks") else 409
        return _policy_page(visit, typed=sent.fields, problem=said(visit.texts["rules"], error), status=status)
    return visit.done(f"/rules/calibrations/{found.calibration_id}", "calibration_proposed")


@router.get("/rules/calibrations/{calibration_id}")
def proposal(visit: Annotated[Visit, needs(Permission.RULES)], calibration_id: str) -> HTMLResponse:
    """Show proposed thresholds with what they rest on."""
    return _proposal_page(visit, calibration_id)


@router.post("/rules/calibrations/{calibration_id}/approve")
def approve(visit: Annotated[Visit, sends(Permission.RULES_APPROVE, is_fresh=True)], calibration_id: str) -> Response:
    """Approve proposed thresholds; the second person's approval signs them into a new policy."""
    visit.whole_fleet(Permission.RULES_APPROVE)
    try:
        done = calibration.approve(
            visit.console.database, visit.keys, _whole(visit, calibration_id), by=visit.visitor.name, now=visit.now
        )
    except (Refused, NotFound) as error:
        return _proposal_page(visit, calibration_id, problem=said(visit.texts["rules"], error), status=409)
    code = "calibration_approved" if done.policy_version is None else "calibration_in_force"
    return visit.done(f"/rules/calibrations/{calibration_id}", code)


def _policy_page(
    visit: Visit, *, typed: Mapping[str, str] | None = None, problem: str = "", status: int = 200
) -> HTMLResponse:
    is_whole = visit.tops(Permission.RULES) is None
    with visit.begin() as connection:
        newest = newest_policy(connection)
        issued = issued_policies(connection, limit=_MOST)
        within = visit.codes(connection, Permission.TERMINALS)
        version = "" if newest is None else newest.policy.policy_version
        counts = terminals_by_policy(connection, within)
        lagging = terminals_without_policy(connection, version, within, limit=_MOST_TERMINALS + 1)
        areas = area_names(connection, {each.area for each in lagging})
        proposed = calibrations(connection, limit=_MOST) if is_whole else []
    words = visit.texts["rules"]["policy"]
    parts: list[tuple[str, list[tuple[str, str]]]] = []
    for part in () if newest is None else parts_of(newest.policy):
        title = str(words["sections"][part.section])
        name = "" if not part.name else named(words, part.name)
        rows = [
            (field_word(words, part.section, field), value_word(visit, words, value))
            for field, value in _ordered(words, part)
        ]
        parts.append((f"{title}: {name}" if name else title, rows))
    return visit.page(
        "rules/policy.html",
        status=status,
        policy=None if newest is None else newest.policy,
        parts=parts,
        issued=issued,
        counts=counts,
        lagging=lagging[:_MOST_TERMINALS],
        areas=areas,
        has_more=len(lagging) > _MOST_TERMINALS,
        proposed=proposed,
        is_whole_fleet=is_whole,
        networks=[] if newest is None else [(name, named(words, name)) for name in sorted(newest.policy.comparison)],
        typed=typed or {"fmr": _FMR, "grey_fmr": _GREY_FMR},
        problems=[problem] if problem else [],
        needed=APPROVALS,
    )


def _proposal_page(visit: Visit, calibration_id: str, *, problem: str = "", status: int = 200) -> HTMLResponse:
    visit.whole_fleet(Permission.RULES)
    calibration_id = _whole(visit, calibration_id)
    with visit.begin() as connection:
        (stored,) = find_calibrations(connection, calibration_id)
        proposer, approvers = calibration_names(connection, calibration_id)
    approved = [(visit.opened(name, of=calibration_id, field_name="approver"), at) for name, at in approvers]
    return visit.page(
        "rules/calibration.html",
        status=status,
        stored=stored,
        proposal=Proposal.model_validate(stored.proposal),
        proposer=visit.opened(proposer, of=calibration_id, field_name="proposer"),
        approved=approved,
        has_approved=visit.visitor.name in {name for name, _ in approved},
        may_approve=visit.tops(Permission.RULES_APPROVE) is None,
        problems=[problem] if problem else [],
        needed=APPROVALS,
    )


def _whole(visit: Visit, calibration_id: str) -> str:
    """Return a proposal's id; a beginning of one, which commands take, is none here."""
    with visit.begin() as connection:
        found = find_calibrations(connection, calibration_id)
    if len(found) != 1 or found[0].calibration_id != calibration_id:
        raise not_found()
    return calibration_id


def _rate(written: str) -> float:
    try:
        return float(written)
    except ValueError as error:
        raise Refused("no rate", code="rates_unusable") from error


def _ordered(words: Texts, part: PolicyPart) -> list[tuple[str, Value]]:
    """Return values in the order of their names in the texts: what is stored keeps none."""
    places = {field: place for place, field in enumerate(words["fields"][part.section])}
    return sorted(part.values.items(), key=lambda item: (places.get(item[0], len(places)), item[0]))


def field_word(words: Texts, section: str, field: str) -> str:
    """Return what a value is called; a component of quality that is new has its own name."""
    fields = words["fields"][section]
    return str(fields[field]) if field in fields or section != "minimum" else field


def named(words: Texts, name: str) -> str:
    """Return what a path, a network or a kind of evidence is called."""
    return str(words["names"][name]) if name in words["names"] else name


def value_word(visit: Visit, words: Texts, value: Value) -> str:
    """Return how a value reads."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return str(visit.texts["console"]["yes" if value else "no"])
    if isinstance(value, tuple):
        each: list[Any] = [named(words, one) if isinstance(one, str) else f"{one:g}" for one in value]
        return word(visit.texts["rules"], each) or str(visit.texts["console"]["none"])
    return value if isinstance(value, str) else f"{value:g}"
