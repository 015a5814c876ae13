"""Registering a terminal by the file that it printed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from fleet.errors import NotFound, Refused
from fleet.store import terminals
from fleet.terminals.changing import LONGEST_REGISTRATION, registration_in
from fleet.web.pages.terminals import ACT, covers
from fleet.web.pages.terminals_changes import area_meant, changes_by, status_of
from fleet.web.saying import said
from fleet.web.visits import Visit, needs, sends
from protocol.registration import TerminalRegistration

router = APIRouter(include_in_schema=False)
_PATH = "/terminals/-/register"


@router.get(_PATH)
def registration(visit: Annotated[Visit, needs(ACT)]) -> HTMLResponse:
    """Show the form by which a terminal is registered."""
    return visit.page("terminals/register.html", typed={}, problems=[])


@router.post(_PATH)
def register(visit: Annotated[Visit, sends(ACT, files=LONGEST_REGISTRATION)]) -> Response:
    """Register a terminal by the file that it printed, or by the text in it."""
    token = b""
    try:
        token = _token(visit)
        found = registration_in(token)
        _register(visit, found)
    except (Refused, NotFound) as error:
        typed = {**visit.sent.fields, "text": token.decode("ascii", "replace")[:LONGEST_REGISTRATION]}
        problems = [said(visit.texts["terminals"], error)]
        return visit.page("terminals/register.html", status=status_of(error), typed=typed, problems=problems)
    return visit.done(f"/terminals/{found.terminal_id}", "terminal_registered")


def _register(visit: Visit, found: TerminalRegistration) -> None:
    with visit.begin() as connection:
        known = terminals.find_terminals(connection, [found.terminal_id], lock=True).get(found.terminal_id)
        within = visit.codes(connection, ACT)
        if known is not None and not covers(within, known.area):
            raise Refused("registered in another area", code="registered_elsewhere")
        area = area_meant(connection, visit.sent.text("area"), within)
        changes_by(visit, connection).register(found, area, fleet_id=visit.console.settings.fleet_id)


def _token(visit: Visit) -> bytes:
    """Return the registration that was sent: a file, or its text."""
    files = visit.sent.files.get("file", ())
    token = files[0].file.read(LONGEST_REGISTRATION + 1) if files else visit.sent.text("text").encode()
    if not token.strip():
        raise Refused("nothing was sent", code="registration_missing")
    return token.strip()
