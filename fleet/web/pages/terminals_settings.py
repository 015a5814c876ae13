"""Settings of one terminal from afar: what it is asked for, what it says, and changing its own, with the differences to look at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from fleet.errors import NotFound, Refused
from fleet.store import terminals
from fleet.store.terminal_settings import Scope, StoredSettings, Target, find_settings, sealed_of
from fleet.updates.desired import door_of, settings_now
from fleet.updates.terminal_settings import (
    differences,
    parsed,
    schema,
    set_for_terminal,
    settings_of,
    text_of,
    texts_of,
)
from fleet.web.pages.terminals import ACT, LOOK, covers, found_terminal
from fleet.web.saying import said
from fleet.web.visits import Visit, needs, not_found, not_permitted, sends
from protocol.desired import SettingValues

router = APIRouter(include_in_schema=False)
_PATH = "/terminals/{terminal_id}/settings"


@router.get(_PATH)
def form(visit: Annotated[Visit, needs(LOOK)], terminal_id: str) -> HTMLResponse:
    """Show a terminal's settings."""
    return _page(visit, terminal_id)


@router.post(_PATH)
def change(visit: Annotated[Visit, sends(ACT)], terminal_id: str) -> Response:
    """Set a terminal's own settings, once the visitor has seen what becomes different."""
    try:
        with visit.begin() as connection:
            _change(visit, connection, terminal_id.replace("\0", ""))
    except (Refused, NotFound) as error:
        status = 409 if error.code in ("settings_moved_on", "not_in_service") else 422
        problems = [said(visit.texts["rollouts"], error)]
        return _page(visit, terminal_id, typed=visit.sent.fields, problems=problems, status=status)
    return visit.done(f"/terminals/{terminal_id}/settings", "settings_set")


def _change(visit: Visit, connection: Connection, terminal_id: str) -> None:
    known = terminals.find_terminals(connection, [terminal_id], lock=True).get(terminal_id)
    if known is None or not covers(visit.codes(connection, LOOK), known.area):
        raise not_found()
    if not covers(visit.codes(connection, ACT), known.area):
        raise not_permitted()
    target = Target(Scope.TERMINAL, terminal_id)
    stored = find_settings(connection, target)
    wanted = parsed({each.name: visit.sent.text(each.name) for each in schema()})
    if visit.sent.text("version") != _version(stored):
        if stored is not None and stored.settings == wanted:
            # The same form twice.
            return
        raise Refused("set otherwise meanwhile", code="settings_moved_on")
    before = settings_now(connection, terminal_id, {})
    after = settings_now(connection, terminal_id, {target: wanted})
    visit.make_sure("set_settings", _told(visit, before, after), terminal=terminal_id)
    set_for_terminal(
        connection,
        visit.cipher,
        terminal_id,
        wanted,
        by=visit.visitor.name,
        reason=visit.sent.text("reason"),
        door=door_of(visit.console.settings.provisioning),
        now=visit.now,
    )


def _told(visit: Visit, before: SettingValues, after: SettingValues) -> list[tuple[str, str]]:
    """Return what would become different for the terminal, whatever the layers are that its settings come from."""
    t = visit.texts["rollouts"]
    found = [
        (
            str(t["settings"][each.name]),
            str(t["from_to"]).format(
                before=text_of(each.before) or t["as_on_card"], after=text_of(each.after) or t["as_on_card"]
            ),
        )
        for each in differences(before, after)
    ]
    return [*found, (str(t["reason"]), visit.sent.text("reason"))]


def _page(
    visit: Visit,
    terminal_id: str,
    *,
    typed: Mapping[str, str] | None = None,
    problems: Sequence[str] = (),
    status: int = 200,
) -> HTMLResponse:
    with visit.begin() as connection:
        found = found_terminal(visit, connection, terminal_id)
        name = found.item.terminal_id
        target = Target(Scope.TERMINAL, name)
        stored = find_settings(connection, target)
        general = settings_now(connection, name, {target: SettingValues()})
        own = settings_of(connection, target)
        may_act = visit.may(ACT.value) and covers(visit.codes(connection, ACT), found.item.area)
    of = sealed_of(target)
    return visit.page(
        "terminals/settings.html",
        status=status,
        found=found,
        general=texts_of(general),
        own=texts_of(own),
        in_force={} if found.asked.in_force is None else texts_of(found.asked.in_force),
        schema=schema(),
        version=_version(stored),
        by="" if stored is None else visit.opened(stored.changed_by_sealed, of=of, field_name="changed_by"),
        reason="" if stored is None else visit.opened(stored.reason_sealed, of=of, field_name="reason"),
        changed_at=None if stored is None else stored.changed_at,
        may_act=may_act and found.item.seen.retired_at is None,
        typed=texts_of(own) if typed is None else typed,
        problems=problems,
    )


def _version(stored: StoredSettings | None) -> str:
    return "0" if stored is None else str(stored.number)
