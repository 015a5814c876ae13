"""Claims: by which new terminals come, and who waits to be let in."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from fleet.errors import NotFound, Refused
from fleet.pki.joining import LONGEST_HOURS, approve_claim, carried, make_claim, take_back_claim
from fleet.store import claims
from fleet.store.areas import area_names
from fleet.store.claims import StoredClaim
from fleet.web.codes import qr_of
from fleet.web.pages.terminals import ACT, covers
from fleet.web.pages.terminals_changes import area_meant, status_of
from fleet.web.saying import said
from fleet.web.visits import Visit, needs, not_found, sends
from protocol.ids import is_terminal_id
from protocol.provisioning import shown
from protocol.trust import root_fingerprint, root_in

router = APIRouter(include_in_schema=False)
_PATH = "/terminals/-/claims"
_LISTED = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One claim in the list."""

    claim: StoredClaim
    state: str
    area: str
    """Its name, or its code where it has none."""
    by: str
    is_good: bool
    """Whether it can still bring a terminal in."""
    double: str | None
    """Another terminal in service that came with the same board."""
    fingerprint: str
    """The first signs of the digest of the keys that came with it."""


@router.get(_PATH)
def listed(visit: Annotated[Visit, needs(ACT)]) -> HTMLResponse:
    """Show who waits, the newest claims, and the form for another one."""
    return _show(visit)


@router.post(_PATH)
def make(visit: Annotated[Visit, sends(ACT)]) -> Response:
    """Make a claim; its code is kept nowhere, and shown in the answer alone."""
    try:
        with visit.begin() as connection:
            area = area_meant(connection, visit.sent.text("area"), visit.codes(connection, ACT))
            return made_claim(visit, connection, area=area, has_people=visit.sent.text("people") == "yes")
    except (Refused, NotFound) as error:
        return _show(visit, status=status_of(error), problems=[said(visit.texts["terminals"], error)])


@router.post(_PATH + "/{claim_id}/approve")
def approve(visit: Annotated[Visit, sends(ACT)], claim_id: str) -> Response:
    """Let the terminal in that waits with a claim."""
    try:
        with visit.begin() as connection:
            found = _found(visit, connection, claim_id)
            visit.make_sure("approve_claim", terminal=found.asked_as or "", area=found.area)
            approve_claim(connection, visit.cipher, claim_id, by=visit.visitor.name, now=visit.now)
    except (Refused, NotFound) as error:
        return _show(visit, status=status_of(error), problems=[said(visit.texts["terminals"], error)])
    return visit.done(_PATH, "claim_approved")


@router.post(_PATH + "/{claim_id}/take-back")
def take_back(visit: Annotated[Visit, sends(ACT)], claim_id: str) -> Response:
    """Take a claim back that was not used, which also turns away whoever waits with it."""
    try:
        with visit.begin() as connection:
            found = _found(visit, connection, claim_id)
            visit.make_sure("take_back_claim", terminal=found.asked_as or found.terminal_id or "–", area=found.area)
            take_back_claim(connection, visit.cipher, claim_id, by=visit.visitor.name, now=visit.now)
    except (Refused, NotFound) as error:
        return _show(visit, status=status_of(error), problems=[said(visit.texts["terminals"], error)])
    return visit.done(_PATH, "claim_taken_back")


def made_claim(
    visit: Visit, connection: Connection, *, area: str, has_people: bool, replaces: str | None = None
) -> HTMLResponse:
    """Make a claim of what was sent, and return the page that shows it once.

    Raises:
        NotFound: if there is no terminal whose place could be taken.
        Refused: if it cannot be made so.
    """
    name = visit.sent.text("terminal_id")
    if name and not is_terminal_id(name):
        raise Refused(f"terminal {name!r}: no name for one", code="terminal_name")
    code, stored = make_claim(
        connection,
        visit.cipher,
        terminal_id=name or None,
        area=area,
        has_people=has_people,
        needs_approval=visit.sent.text("wait") == "yes",
        hours=_hours(visit),
        by=visit.visitor.name,
        now=visit.now,
        replaces=replaces,
    )
    claim = carried(code, stored, visit.console.settings)
    file = base64.b64encode(claim.to_bytes() + b"\n").decode()
    return visit.page(
        "terminals/claim.html",
        claim=stored,
        code=shown(code),
        door=claim.url,
        root=shown(root_fingerprint(root_in(claim.root))),
        picture=qr_of(claim.to_qr()),
        file=f"data:application/json;base64,{file}",
        file_name=f"{name or claim_name(stored.made_at)}.claim",
    )


def claim_name(made_at: datetime) -> str:
    """Return what the file of a claim is called that names no terminal."""
    return f"{made_at:%Y%m%d-%H%M%S}"


def _hours(visit: Visit) -> int:
    typed = visit.sent.text("hours")
    if not typed:
        return visit.console.settings.provisioning.claim_hours
    if not (typed.isascii() and typed.isdigit() and len(typed) < 9):
        raise Refused("hours: a number expected", code="claim_hours", most=LONGEST_HOURS)
    return int(typed)


def _found(visit: Visit, connection: Connection, claim_id: str) -> StoredClaim:
    """Return a claim, locked; one outside the visitor's areas is as if there were none."""
    found = claims.find_claim(connection, claim_id.replace("\0", ""), lock=True)
    if found is None or not covers(visit.codes(connection, ACT), found.area):
        raise not_found()
    return found


def _show(visit: Visit, *, status: int = 200, problems: list[str] | None = None) -> HTMLResponse:
    with visit.begin() as connection:
        within = visit.codes(connection, ACT)
        waiting = claims.newest_claims(connection, limit=_LISTED, within=within, only_waiting=True)
        newest = claims.newest_claims(connection, limit=_LISTED, within=within)
        names = area_names(connection, {claim.area for claim in (*waiting, *newest)})
        rows = {claim.claim_id: _row(visit, connection, claim, names.get(claim.area, claim.area)) for claim in waiting}
        others = [
            _row(visit, connection, claim, names.get(claim.area, claim.area))
            for claim in newest
            if claim.claim_id not in rows
        ]
    return visit.page(
        "terminals/claims.html",
        status=status,
        waiting=list(rows.values()),
        others=others,
        typed=visit.sent.fields if problems else {},
        problems=problems or [],
        hours=visit.console.settings.provisioning.claim_hours,
        most_hours=LONGEST_HOURS,
        has_door=visit.console.settings.provisioning.port is not None,
    )


def _row(visit: Visit, connection: Connection, claim: StoredClaim, area: str) -> Row:
    state = claim.state(visit.now)
    double = None
    if claim.board_serial is not None and claim.asked_as is not None and state == "waits":
        double = claims.served_by_board(connection, claim.board_serial, but=claim.asked_as)
    return Row(
        claim,
        state,
        area,
        visit.opened(claim.by_sealed, of=claim.claim_id, field_name="claim_by"),
        claim.is_good(visit.now),
        double,
        (claim.asked_keys or "")[:16],
    )
