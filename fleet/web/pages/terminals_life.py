"""A broken, doubtful or used-up terminal: swapped, suspended, judged, its certificates taken back, the proof of its end taken in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import Connection

from fleet.errors import NotFound, Refused
from fleet.store import held
from fleet.store.terminals import StoredTerminal
from fleet.terminals.changing import TerminalChanges
from fleet.web.pages.terminals import ACT
from fleet.web.pages.terminals_changes import again, allowed, change, why
from fleet.web.pages.terminals_claims import made_claim
from fleet.web.visits import Visit, sends
from protocol.decommissioning import MAX_PROOF_BYTES, proof_from_text
from protocol.errors import ProtocolError

router = APIRouter(include_in_schema=False)


@router.post("/terminals/{terminal_id}/swap")
def swap(visit: Annotated[Visit, sends(ACT)], terminal_id: str) -> Response:
    """Make a claim by which a new terminal takes this one's place."""
    try:
        with visit.begin() as connection:
            allowed(visit, connection, terminal_id)
            return made_claim(visit, connection, area="", has_people=True, replaces=terminal_id)
    except (Refused, NotFound) as error:
        return again(visit, terminal_id, "swap", error)


@router.post("/terminals/{terminal_id}/suspend")
def suspend(visit: Annotated[Visit, sends(ACT)], terminal_id: str) -> Response:
    """Believe a terminal nothing for now."""

    def work(_connection: Connection, changes: TerminalChanges) -> None:
        changes.suspend(terminal_id)

    return change(visit, terminal_id, "suspend", lambda _, known: known.suspended_at is not None, work)


@router.post("/terminals/{terminal_id}/resume")
def resume(visit: Annotated[Visit, sends(ACT)], terminal_id: str) -> Response:
    """Believe it again, and take in what was held."""

    def work(connection: Connection, changes: TerminalChanges) -> None:
        found = held.held_of(connection, terminal_id)
        visit.make_sure("resume", why(visit), terminal=terminal_id, records=found.records, pictures=found.pictures)
        changes.resume(terminal_id)

    return change(visit, terminal_id, "resume", lambda _, known: known.suspended_at is None, work)


@router.post("/terminals/{terminal_id}/judge")
def judge(visit: Annotated[Visit, sends(ACT)], terminal_id: str) -> Response:
    """Decide about what is held of a terminal."""
    verdict = visit.sent.text("verdict")

    def work(connection: Connection, changes: TerminalChanges) -> None:
        if verdict not in ("take_in", "refuse"):
            raise Refused("form not whole", code="choice_missing")
        found = held.held_of(connection, terminal_id)
        facts = {"terminal": terminal_id, "records": found.records, "pictures": found.pictures}
        if verdict == "take_in":
            visit.make_sure("held_take_in", why(visit), **facts)
        else:
            visit.make_sure("held_refuse", why(visit), **facts)
        changes.judge_held(terminal_id, take_in=verdict == "take_in")

    def fulfilled(connection: Connection, _known: StoredTerminal) -> bool:
        found = held.held_of(connection, terminal_id)
        return not (found.records or found.pictures)

    return change(visit, terminal_id, "judge", fulfilled, work)


@router.post("/terminals/{terminal_id}/revoke")
def revoke(visit: Annotated[Visit, sends(ACT)], terminal_id: str) -> Response:
    """Take all certificates of a terminal back."""

    def work(_connection: Connection, changes: TerminalChanges) -> None:
        visit.make_sure("revoke_certificates", why(visit), terminal=terminal_id)
        changes.revoke_certificates(terminal_id)

    return change(visit, terminal_id, "revoke", lambda _connection, _known: True, work)


@router.post("/terminals/{terminal_id}/decommissioned")
def decommissioned(visit: Annotated[Visit, sends(ACT, files=MAX_PROOF_BYTES)], terminal_id: str) -> Response:
    """Take in the proof that a terminal has erased itself."""

    def work(_connection: Connection, changes: TerminalChanges) -> None:
        proof = changes.decommission(_proof(visit), fleet_id=visit.console.settings.fleet_id)
        if proof.terminal_id != terminal_id:
            raise Refused("proof of another terminal", code="proof_of_another", terminal=proof.terminal_id)

    return change(visit, terminal_id, "decommissioned", lambda _, known: known.decommissioned_at is not None, work)


def _proof(visit: Visit) -> bytes:
    files = visit.sent.files.get("file", ())
    token = files[0].file.read(MAX_PROOF_BYTES + 1) if files else visit.sent.text("text").encode()
    if not token.strip():
        raise Refused("nothing was sent", code="proof_missing")
    try:
        return proof_from_text(token)
    except ProtocolError as error:
        raise Refused(f"proof: {error}", code="proof_unreadable") from error
