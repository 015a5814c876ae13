"""Policies from a file: what would differ from the one in force, in words; approvals where they are asked for; publishing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from fleet.accounts.roles import Permission
from fleet.errors import ImportRefused, NotFound, Refused
from fleet.store import policy_proposals
from fleet.store.approvals import approvals_of
from fleet.store.policies import newest_policy
from fleet.store.policy_proposals import StoredProposal
from fleet.tables.toml import written
from fleet.updates import policy_proposals as proposals
from fleet.updates.policy import APPROVALS, MAX_POLICY_BYTES, policy_of
from fleet.updates.policy_parts import differences
from fleet.web.pages.rules_policy import field_word, named, value_word
from fleet.web.pages.rules_words import faults_of
from fleet.web.saying import said
from fleet.web.visits import Visit, needs, not_found, sends
from protocol.errors import Problem
from protocol.policy import Policy

router = APIRouter(include_in_schema=False)
_PATH = "/rules/policies"
_MOST = 50
_TYPED = ("text_unusable",)
"""Codes of refusals that are about what was typed."""


@dataclass(frozen=True, slots=True)
class Told:
    """One difference in words."""

    where: str
    what: str
    before: str
    after: str
    is_lower: bool | None


@router.get(_PATH)
def listed(visit: Annotated[Visit, needs(Permission.RULES)]) -> HTMLResponse:
    """Show proposed policies, the newest first."""
    visit.whole_fleet(Permission.RULES)
    with visit.begin() as connection:
        found = policy_proposals.newest_proposals(connection, limit=_MOST)
    rows = [(each, _proposer(visit, each)) for each in found]
    return visit.page(
        "policies/list.html", group="rules", rows=rows, may_propose=visit.visitor.may(Permission.RULES_PROPOSE)
    )


@router.get("/rules/new-policy")
def form(visit: Annotated[Visit, needs(Permission.RULES_PROPOSE)]) -> HTMLResponse:
    """Show the form, begun with the policy in force."""
    visit.whole_fleet(Permission.RULES_PROPOSE)
    with visit.begin() as connection:
        newest = newest_policy(connection)
    return _form(visit, {"text": "" if newest is None else written(newest.policy.model_dump(mode="json"))})


@router.post("/rules/new-policy")
def propose(visit: Annotated[Visit, sends(Permission.RULES_PROPOSE, files=MAX_POLICY_BYTES)]) -> Response:
    """Store a proposal; it holds for nobody yet."""
    visit.whole_fleet(Permission.RULES_PROPOSE)
    files = visit.sent.files.get("file", ())
    raw = files[0].file.read(MAX_POLICY_BYTES + 1) if files else visit.sent.fields.get("text", "").encode()
    raw = raw.replace(b"\r\n", b"\n")
    typed = {**visit.sent.fields, "text": raw.decode("utf-8", "replace")[:MAX_POLICY_BYTES]}
    try:
        if not raw.strip():
            raise ImportRefused([Problem("nothing was sent", "nothing_sent")])  # noqa: TRY301 - as every other fault
        made = proposals.propose(
            visit.console.database,
            visit.keys,
            policy_of(raw),
            by=visit.visitor.name,
            reason=visit.sent.text("reason"),
            now=visit.now,
        )
    except ImportRefused as error:
        return _form(visit, typed, faults=faults_of(visit, typed["text"], error.problems))
    except Refused as error:
        return _form(visit, typed, problems=[said(visit.texts["policies"], error)])
    return visit.done(f"{_PATH}/{made}", "policy_proposed")


@router.get(_PATH + "/{proposal_id}")
def one(visit: Annotated[Visit, needs(Permission.RULES)], proposal_id: str) -> HTMLResponse:
    """Show a proposal beside the policy in force."""
    return _page(visit, proposal_id)


@router.post(_PATH + "/{proposal_id}/approve")
def approve(visit: Annotated[Visit, sends(Permission.RULES_APPROVE)], proposal_id: str) -> Response:
    """Take one person's approval; the second one publishes it."""

    def work() -> str:
        is_in_force = proposals.approve_proposal(
            visit.console.database,
            visit.keys,
            proposal_id,
            by=visit.visitor.name,
            reason=visit.sent.text("reason"),
            against=visit.sent.text("against"),
            now=visit.now,
        )
        return "policy_in_force" if is_in_force else "policy_approved"

    return _act(visit, proposal_id, work)


@router.post(_PATH + "/{proposal_id}/publish")
def publish(visit: Annotated[Visit, sends(Permission.RULES_APPROVE)], proposal_id: str) -> Response:
    """Put a proposal into force that needs no approval."""

    def work() -> str:
        visit.make_sure("publish_policy")
        proposals.publish_proposal(
            visit.console.database,
            visit.keys,
            proposal_id,
            by=visit.visitor.name,
            against=visit.sent.text("against"),
            now=visit.now,
        )
        return "policy_in_force"

    return _act(visit, proposal_id, work)


@router.post(_PATH + "/{proposal_id}/drop")
def drop(visit: Annotated[Visit, sends(Permission.RULES_PROPOSE)], proposal_id: str) -> Response:
    """Drop a proposal."""

    def work() -> str:
        proposals.drop_proposal(visit.console.database, visit.keys, proposal_id, by=visit.visitor.name, now=visit.now)
        return "policy_dropped"

    return _act(visit, proposal_id, work)


def _act(visit: Visit, proposal_id: str, work: Callable[[], str]) -> Response:
    visit.whole_fleet(Permission.RULES)
    try:
        done = work()
    except NotFound as error:
        raise not_found() from error
    except Refused as error:
        status = 422 if error.code in _TYPED else 409
        return _page(visit, proposal_id, problems=[said(visit.texts["policies"], error)], status=status)
    return visit.done(f"{_PATH}/{proposal_id}", done)


def _page(visit: Visit, proposal_id: str, *, problems: Sequence[str] = (), status: int = 200) -> HTMLResponse:
    visit.whole_fleet(Permission.RULES)
    with visit.begin() as connection:
        found = policy_proposals.find_proposal(connection, proposal_id)
        if found is None:
            raise not_found()
        newest = newest_policy(connection)
        approved = approvals_of(connection, visit.cipher, proposals.KIND, proposal_id)
        needs_two = found.is_open and proposals.needs_approvals(connection, found.policy)
    in_force = None if newest is None else newest.policy
    same_but_name = (
        None
        if in_force is None
        else in_force.model_copy(
            update={"policy_version": found.policy.policy_version, "issued_at": found.policy.issued_at}
        )
    )
    return visit.page(
        "policies/one.html",
        status=status,
        group="rules",
        found=found,
        proposer=_proposer(visit, found),
        reason=visit.opened(found.reason_sealed, of=proposal_id, field_name="proposal_reason"),
        in_force=in_force,
        told=_told(visit, found.policy, in_force),
        is_same=same_but_name == found.policy,
        approved=approved,
        needs_two=needs_two,
        needed=APPROVALS,
        has_approved=visit.visitor.name in {each.name for each in approved},
        may_approve=visit.tops(Permission.RULES_APPROVE) is None,
        may_drop=visit.tops(Permission.RULES_PROPOSE) is None,
        typed=visit.sent.fields,
        problems=problems,
    )


def _told(visit: Visit, proposed: Policy, in_force: Policy | None) -> list[Told]:
    words = visit.texts["rules"]["policy"]
    told = []
    for each in differences(in_force, proposed):
        title = str(words["sections"][each.section])
        told.append(
            Told(
                f"{title}: {named(words, each.name)}" if each.name else title,
                field_word(words, each.section, each.field),
                value_word(visit, words, each.before),
                value_word(visit, words, each.after),
                each.is_lower,
            )
        )
    return told


def _proposer(visit: Visit, found: StoredProposal) -> str:
    return visit.opened(found.proposer_sealed, of=found.proposal_id, field_name="proposer")


def _form(
    visit: Visit, typed: Mapping[str, str], *, problems: Sequence[str] = (), faults: Sequence[Any] = ()
) -> HTMLResponse:
    if faults:
        problems = [visit.texts["rules"]["faults_found"].format(count=len(faults))]
    return visit.page(
        "policies/new.html",
        status=422 if problems else 200,
        group="rules",
        typed=typed,
        problems=problems,
        faults=faults,
        most=MAX_POLICY_BYTES,
    )
