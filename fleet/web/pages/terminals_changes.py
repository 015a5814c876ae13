"""What people do to terminals from the browser: move, retire, say whom each knows, ask it something.

Each form carries the version that it was made of; one that is older is refused, what happened meanwhile is shown, and what was typed
stays. A form that comes twice is carried out once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import Connection

from fleet.errors import NotFound, Refused
from fleet.people.person import NOBODY
from fleet.references.enrol import find_subject
from fleet.store import rosters, terminals
from fleet.store.areas import codes_called, has_areas
from fleet.store.names import cleaned
from fleet.store.people import may_see
from fleet.store.rosters import AssignmentKind
from fleet.store.terminal_commands import last_number
from fleet.store.terminals import StoredTerminal
from fleet.terminals.changing import (
    Change,
    TerminalChanges,
    changes_of,
    version_of,
)
from fleet.terminals.commanding import commands_of, give_command, withdraw_command
from fleet.web.pages.terminals import ACT, LOOK, covers, settings, show
from fleet.web.saying import said
from fleet.web.texts import LANGUAGES
from fleet.web.visits import Visit, needs, not_found, not_permitted, sends
from protocol.commands import CommandKind

router = APIRouter(include_in_schema=False)
_STATE = frozenset(
    {
        *("changed_meanwhile", "not_in_service", "not_registered", "not_assigned", "other_keys", "was_retired"),
        *("no_such_command", "command_answered", "command_over"),
        *("is_suspended", "not_suspended", "nothing_held", "has_successor", "claim_not_waiting", "claim_over"),
        *("claim_open", "claim_came"),
    }
)
"""Refusals of the state; all others are of what was typed."""
_KINDS: tuple[AssignmentKind, ...] = ("all", "area", "subject")


@router.get("/terminals/{terminal_id}/{action}")
def back(visit: Annotated[Visit, needs(LOOK)], terminal_id: str, action: str) -> Response:
    """Lead back to the terminal: the address of a form that was sent is loaded again, for another language too."""
    if action not in _ACTIONS:
        raise not_found()
    return RedirectResponse(f"/terminals/{terminal_id}{_query(visit)}", status_code=303)


@router.post("/terminals/{terminal_id}/move")
def move(visit: Annotated[Visit, sends(ACT)], terminal_id: str) -> Response:
    """Have a terminal serve another area of the visitor's."""

    def area(connection: Connection) -> str:
        return area_meant(connection, visit.sent.text("area"), visit.codes(connection, ACT))

    def work(connection: Connection, changes: TerminalChanges) -> None:
        changes.move(terminal_id, area(connection))

    return change(visit, terminal_id, "move", lambda c, known: known.area == area(c), work)


@router.post("/terminals/{terminal_id}/retire")
def retire(visit: Annotated[Visit, sends(ACT)], terminal_id: str) -> Response:
    """Take a terminal out of service, once its name is typed."""

    def work(_connection: Connection, changes: TerminalChanges) -> None:
        if visit.sent.text("confirmation") != terminal_id:
            raise Refused("another name was typed", code="name_differs", terminal=terminal_id)
        visit.make_sure("retire", why(visit), terminal=terminal_id)
        changes.retire(terminal_id)

    return change(visit, terminal_id, "retire", lambda _, known: known.retired_at is not None, work)


@router.post("/terminals/{terminal_id}/assign")
def assign(visit: Annotated[Visit, sends(ACT)], terminal_id: str) -> Response:
    """Give a terminal people of the visitor's areas."""

    def fulfilled(connection: Connection, _known: StoredTerminal) -> bool:
        return _whom(visit, connection) in rosters.assignments_of(connection, terminal_id)

    def work(connection: Connection, changes: TerminalChanges) -> None:
        changes.assign(terminal_id, *_whom(visit, connection))

    return change(visit, terminal_id, "assign", fulfilled, work)


@router.post("/terminals/{terminal_id}/unassign")
def unassign(visit: Annotated[Visit, sends(ACT)], terminal_id: str) -> Response:
    """Take a standing order of a terminal back."""
    kind, _, value = visit.sent.text("order").partition(":")
    order = next(((each, value) for each in _KINDS if each == kind), None)

    def work(_connection: Connection, changes: TerminalChanges) -> None:
        if order is None:
            raise Refused("form not whole", code="choice_missing")
        changes.unassign(terminal_id, *order)

    return change(
        visit, terminal_id, "unassign", lambda c, _: order not in rosters.assignments_of(c, terminal_id), work
    )


@router.post("/terminals/{terminal_id}/command")
def command(visit: Annotated[Visit, sends(ACT)], terminal_id: str) -> Response:
    """Ask a terminal to restart, to test itself, or for its log; it answers when it is free."""
    try:
        _ask(visit, terminal_id)
    except (Refused, NotFound) as error:
        return again(visit, terminal_id, "command", error)
    return visit.done(f"/terminals/{terminal_id}", "terminal_asked")


@router.post("/terminals/{terminal_id}/withdraw")
def withdraw(visit: Annotated[Visit, sends(ACT)], terminal_id: str) -> Response:
    """Take back a command that has no answer."""
    try:
        with visit.begin() as connection:
            allowed(visit, connection, terminal_id)
            number = visit.sent.count("number")
            withdraw_command(connection, visit.cipher, terminal_id, number, by=visit.visitor.name, now=visit.now)
    except (Refused, NotFound) as error:
        return again(visit, terminal_id, "withdraw", error)
    return visit.done(f"/terminals/{terminal_id}", "command_withdrawn")


def _ask(visit: Visit, terminal_id: str) -> None:
    kind = visit.sent.choice("kind", CommandKind)
    with visit.begin() as connection:
        allowed(visit, connection, terminal_id)
        if visit.sent.text("number") != str(last_number(connection, terminal_id)):
            newest = commands_of(connection, visit.cipher, terminal_id, limit=1)
            if [(each.kind, each.asked_by) for each in newest] == [(kind, cleaned(visit.visitor.name))]:
                # The same form twice.
                return
            raise Refused("asked something meanwhile", code="asked_meanwhile")
        if kind is CommandKind.RESTART:
            visit.make_sure("restart", why(visit), terminal=terminal_id)
        if kind is CommandKind.DECOMMISSION:
            visit.make_sure("decommission", why(visit), terminal=terminal_id)
        give_command(
            connection,
            visit.cipher,
            terminal_id,
            kind,
            by=visit.visitor.name,
            reason=visit.sent.text("reason"),
            valid=timedelta(hours=settings(visit).command_hours),
            now=visit.now,
        )


_ACTIONS = (
    *("move", "retire", "assign", "unassign", "command", "withdraw"),
    *("swap", "suspend", "resume", "judge", "revoke", "decommissioned"),
)
_DONE = {
    "move": "terminal_moved",
    "retire": "terminal_retired",
    "assign": "terminal_assigned",
    "unassign": "terminal_unassigned",
    "suspend": "terminal_suspended",
    "resume": "terminal_resumed",
    "judge": "held_judged",
    "revoke": "certificates_revoked",
    "decommissioned": "terminal_decommissioned",
}
Fulfilled = Callable[[Connection, StoredTerminal], bool]
Work = Callable[[Connection, TerminalChanges], None]


class _Stale(Refused):
    """A form of an older version; what happened since is with it."""

    def __init__(self, meanwhile: list[Change]) -> None:
        super().__init__("changed meanwhile", code="changed_meanwhile")
        self.meanwhile = meanwhile


def change(visit: Visit, terminal_id: str, form: str, fulfilled: Fulfilled, work: Work) -> Response:
    """Do something to a terminal in one transaction with the check that the form is of what there is now."""
    try:
        with visit.begin() as connection:
            known = allowed(visit, connection, terminal_id)
            meanwhile = _meanwhile(visit, connection, terminal_id)
            if meanwhile is None:
                work(connection, changes_by(visit, connection))
            elif not _is_own(visit, meanwhile) or not fulfilled(connection, known):
                raise _Stale(meanwhile)
    except (Refused, NotFound) as error:
        return again(visit, terminal_id, form, error)
    return visit.done(f"/terminals/{terminal_id}", _DONE[form])


def again(visit: Visit, terminal_id: str, form: str, error: Refused | NotFound) -> HTMLResponse:
    """Return the page of the terminal with the form that was refused, and why."""
    return show(
        visit,
        terminal_id,
        status=status_of(error),
        form=form,
        typed=visit.sent.fields,
        problems=[said(visit.texts["terminals"], error)],
        meanwhile=error.meanwhile if isinstance(error, _Stale) else (),
    )


def status_of(error: Refused | NotFound) -> int:
    """Return the status of a refusal: whether it is of the state or of what was typed."""
    return 409 if error.code in _STATE or error.code == "asked_meanwhile" else 422


def allowed(visit: Visit, connection: Connection, terminal_id: str) -> StoredTerminal:
    """Return a terminal, locked, if the visitor may do something to it."""
    known = terminals.find_terminals(connection, [terminal_id.replace("\0", "")], lock=True).get(terminal_id)
    if known is None or not covers(visit.codes(connection, LOOK), known.area):
        raise not_found()
    if not covers(visit.codes(connection, ACT), known.area):
        raise not_permitted()
    return known


def _meanwhile(visit: Visit, connection: Connection, terminal_id: str) -> list[Change] | None:
    """Return what was done since the form was made; None if nothing was."""
    if visit.sent.text("version") == str(version_of(connection, terminal_id)):
        return None
    return changes_of(connection, visit.cipher, terminal_id, after=visit.sent.count("version"))


def _is_own(visit: Visit, meanwhile: list[Change]) -> bool:
    return len(meanwhile) == 1 and meanwhile[0].by == cleaned(visit.visitor.name)


def why(visit: Visit) -> list[tuple[str, str]]:
    """Return the reason that was typed, to be looked at before it is done."""
    return [(visit.texts["terminals"]["reason"], visit.sent.text("reason"))]


def changes_by(visit: Visit, connection: Connection) -> TerminalChanges:
    """Return what changes terminals, in a transaction, by the visitor and for the reason that was typed."""
    return TerminalChanges(
        connection, visit.cipher, by=visit.visitor.name, reason=visit.sent.text("reason"), now=visit.now
    )


def _whom(visit: Visit, connection: Connection) -> tuple[AssignmentKind, str]:
    """Return whom the visitor wants on a roster, if all of them are of the visitor's areas."""
    who, within = visit.sent.text("who"), visit.codes(connection, ACT)
    if who == "all":
        if within is not None:
            raise Refused("everybody is for the whole fleet", code="all_of_the_fleet")
        return "all", ""
    if who == "area":
        return "area", area_meant(connection, visit.sent.text("assigned_area"), within)
    if who != "subject":
        raise Refused("form not whole", code="choice_missing")
    try:
        subject_id = find_subject(connection, visit.sent.text("subject"), visit.keys)
    except NotFound as error:
        raise Refused(str(error), code="subject_unknown") from error
    if not may_see(connection, subject_id, visit.tops(ACT)):
        raise Refused(NOBODY, code="subject_unknown")
    return "subject", subject_id


def area_meant(connection: Connection, typed: str, within: list[str] | None) -> str:
    """Return the code of the area that is meant, by code or by name.

    One that there is not and one that is not the visitor's are refused alike: nobody can tell one from the other. An agency without a
    tree of areas has those of its terminals.
    """
    named = codes_called(connection, typed.replace("\0", "")) if typed else []
    if typed and not named and not has_areas(connection):
        named = [typed]
    found = [code for code in named if covers(within, code)]
    if typed in found:
        return typed
    if len(found) > 1:
        raise Refused("several areas of this name", code="area_several")
    if not found:
        raise Refused("no such area", code="area_unknown")
    return found[0]


def _query(visit: Visit) -> str:
    asked = visit.request.query_params.get("lang", "")
    return f"?lang={asked}" if asked in LANGUAGES else ""
