"""Terminals: all of the visitor's areas with what wants somebody first to be seen, and one with everything that is known of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.clock import day_of
from fleet.settings import TerminalSettings
from fleet.store import rosters, terminal_pages, terminals
from fleet.store.areas import Area, area_names, chain_above, codes_called
from fleet.store.certificates import certificates_of
from fleet.store.held import held_of
from fleet.store.links import gap_counts
from fleet.store.terminal_commands import last_number, logs_of
from fleet.store.terminal_lists import CONCERNS, STANDINGS, WANTS, Wanted
from fleet.terminals.changing import changes_of, version_of
from fleet.terminals.commanding import commands_of, log_of
from fleet.terminals.commissioned import commissionings
from fleet.terminals.daily import series_of
from fleet.terminals.life import state_of
from fleet.terminals.lists import TerminalItem, count_terminals, limits_of, list_terminals
from fleet.terminals.page import TerminalPage, terminal_page
from fleet.terminals.standing import Limits
from fleet.web.lists import LONGEST, listing
from fleet.web.narrowing import narrowed
from fleet.web.pages.terminals_charts import condition_charts, drift_charts
from fleet.web.pages.terminals_words import Presence, alarm_told, presence_of
from fleet.web.visits import Visit, needs, not_found, not_permitted
from protocol.commands import CommandKind
from protocol.decommissioning import DecommissionProof, unverified_proof
from protocol.keys import short_key_id

router = APIRouter(include_in_schema=False)
LOOK, ACT = Permission.TERMINALS, Permission.TERMINALS_COMMAND
_COMMANDS = 10
_CERTIFICATES = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One terminal in the list."""

    item: TerminalItem
    area: str
    """Its name, or its code where it has none."""
    gaps: int
    presence: Presence


@router.get("/terminals")
def listed(
    visit: Annotated[Visit, needs(LOOK)],
    state: str = "",
    area: str = "",
    part: str = "",
    after: str = "",
    before: str = "",
) -> HTMLResponse:
    """Show the terminals of the visitor's areas by id, and above them how many there are of each state and concern."""
    with visit.begin() as connection:
        mine = visit.codes(connection, LOOK)
        within = narrowed(connection, area[:LONGEST].strip(), mine)
        everything = Wanted(within=within, part=_plain(part))
        shown = listing(
            "/terminals",
            {"state": state, "area": area.strip(), "part": part.strip()},
            after=_plain(after),
            before=_plain(before),
            fetch=lambda behind, ahead, limit: _rows(
                visit, connection, _wanted(everything, state), behind, ahead, limit
            ),
            key=lambda row: row.item.terminal_id,
        )
        counts = count_terminals(connection, everything, limits(visit), now=visit.now)
        above = _chain(connection, area.strip(), mine)
    return visit.page(
        "terminals/list.html",
        shown=shown,
        counts=counts,
        standings=STANDINGS,
        concerns=CONCERNS,
        wants=WANTS,
        above=above,
        total=sum(counts[name] for name in STANDINGS),
    )


@router.get("/terminals/{terminal_id}")
def one(visit: Annotated[Visit, needs(LOOK)], terminal_id: str) -> HTMLResponse:
    """Show one terminal."""
    return show(visit, terminal_id)


@router.get("/terminals/{terminal_id}/drift")
def drift(visit: Annotated[Visit, needs(LOOK)], terminal_id: str) -> HTMLResponse:
    """Show how what a terminal measures has changed over its days."""
    with visit.begin() as connection:
        found = found_terminal(visit, connection, terminal_id)
        series = series_of(connection, terminal_id, zone=visit.zone, now=visit.now)
    return visit.page(
        "terminals/drift.html",
        found=found,
        alarms=[alarm_told(visit.texts["terminals"], alarm) for alarm in found.alarms],
        charts=drift_charts(visit.texts["terminals"], series, found.alarms),
    )


@router.get("/terminals/{terminal_id}/people")
def people(visit: Annotated[Visit, needs(Permission.PEOPLE)], terminal_id: str) -> HTMLResponse:
    """Show whom the newest sessions were about, of the visitor's areas only; for each of them it is written down who looked."""
    with visit.begin() as connection:
        found = found_terminal(visit, connection, terminal_id)
        within = visit.codes(connection, Permission.PEOPLE)
        sessions = terminal_pages.session_people(connection, terminal_id, within, limit=len(found.sessions))
        names = {each.subject_id: visit.opened(each.name_sealed, of=each.subject_id) for each in sessions}
        for subject_id in sorted(names):
            visit.note(connection, "subject.listed", "subject", subject_id, terminal=terminal_id)
    return visit.page("terminals/people.html", found=found, sessions=sessions, names=names)


@router.get("/terminals/{terminal_id}/log/{number}")
def log(visit: Annotated[Visit, needs(ACT)], terminal_id: str, number: int) -> HTMLResponse:
    """Show the log that a terminal sent when it was asked to."""
    with visit.begin() as connection:
        found = found_terminal(visit, connection, terminal_id)
        if not covers(visit.codes(connection, ACT), found.item.area):
            raise not_permitted()
        # As long as it is stored, however many commands came after it.
        lines = log_of(connection, terminal_id, number)
        others = [each for each in logs_of(connection, terminal_id) if each[0] != number]
    if lines is None:
        raise not_found()
    return visit.page("terminals/log.html", found=found, lines=lines, number=number, others=others)


def show(
    visit: Visit,
    terminal_id: str,
    *,
    status: int = 200,
    form: str = "",
    typed: Mapping[str, str] | None = None,
    problems: Collection[str] = (),
    meanwhile: Collection[Any] = (),
) -> HTMLResponse:
    """Return the page of a terminal.

    Args:
        visit: whose.
        terminal_id: which.
        status: of the answer.
        form: that was sent and not carried out; it stands open.
        typed: what was typed into it.
        problems: why it was not carried out, a sentence each.
        meanwhile: changes that others made since the form was shown.
    """
    with visit.begin() as connection:
        found = found_terminal(visit, connection, terminal_id)
        contents = _contents(visit, connection, found)
    return visit.page(
        "terminals/terminal.html",
        status=status,
        found=found,
        form=form,
        typed=typed or {},
        problems=problems,
        meanwhile=meanwhile,
        **contents,
    )


def found_terminal(visit: Visit, connection: Connection, terminal_id: str) -> TerminalPage:
    """Return what is known of a terminal; outside the visitor's areas it is as if there were none."""
    found = terminal_page(connection, _plain(terminal_id), limits(visit), now=visit.now)
    if found is None or not covers(visit.codes(connection, LOOK), found.item.area):
        raise not_found()
    return found


def limits(visit: Visit) -> Limits:
    """Return from where on something is a concern."""
    return limits_of(settings(visit))


def settings(visit: Visit) -> TerminalSettings:
    """Return the settings about terminals."""
    return visit.console.settings.terminals


def covers(codes: Collection[str] | None, area: str) -> bool:
    """Return whether an area is among these; None for all."""
    return codes is None or area in codes


def _contents(visit: Visit, connection: Connection, found: TerminalPage) -> dict[str, Any]:
    terminal_id, texts = found.item.terminal_id, visit.texts["terminals"]
    stored = terminals.find_terminals(connection, [terminal_id])[terminal_id]
    stood = terminals.areas_of(connection, terminal_id)
    assigned = rosters.assignments_of(connection, terminal_id)
    codes = {area for _, area in stood} | {value for kind, value in assigned if kind == "area"} | {found.item.area}
    may_act = visit.may(ACT) and covers(visit.codes(connection, ACT), found.item.area)
    return {
        "presence": presence_of(texts, found.item, limits(visit), visit.now),
        "alarms": [alarm_told(texts, alarm) for alarm in found.alarms if alarm.ended_on is None],
        "charts": condition_charts(texts, found.hours, limits(visit), zone=visit.zone, now=visit.now),
        "above": chain_above(connection, found.item.area),
        "names": area_names(connection, codes),
        "stood": stood,
        "assigned": assigned,
        "held": rosters.held(connection, terminal_id),
        "changes": changes_of(connection, visit.cipher, terminal_id),
        "version": version_of(connection, terminal_id),
        "commissionings": commissionings(connection, terminal_id, visit.language),
        "commands": commands_of(connection, visit.cipher, terminal_id, limit=_COMMANDS),
        "logs": logs_of(connection, terminal_id),
        "command_number": last_number(connection, terminal_id),
        "command_kinds": list(CommandKind),
        "fingerprint": short_key_id(stored.signing_key_id),
        "whole_fingerprint": stored.signing_key_id,
        "may_act": may_act,
        "stored": stored,
        "life": state_of(stored).value,
        "replaced": terminals.replaced_by(connection, terminal_id),
        "certificates": certificates_of(connection, terminal_id, limit=_CERTIFICATES),
        "held_messages": held_of(connection, terminal_id),
        "proof": _proof(connection, terminal_id),
        "now": visit.now,
        "may_name": visit.may(Permission.PEOPLE),
        "today": day_of(visit.now, visit.zone),
    }


def _proof(connection: Connection, terminal_id: str) -> DecommissionProof | None:
    """Return what a terminal signed of having erased itself; it was checked when it came."""
    found = terminals.decommission_proof(connection, terminal_id)
    return None if found is None else unverified_proof(found[0])


def _rows(visit: Visit, connection: Connection, wanted: Wanted, behind: str, ahead: str, limit: int) -> list[Row]:
    found = list_terminals(connection, wanted, limits(visit), now=visit.now, after=behind, before=ahead, limit=limit)
    names = area_names(connection, {item.area for item in found})
    gaps = gap_counts(connection, [item.terminal_id for item in found])
    texts = visit.texts["terminals"]
    return [
        Row(
            item,
            names.get(item.area, item.area),
            gaps.get(item.terminal_id, 0),
            presence_of(texts, item, limits(visit), visit.now),
        )
        for item in found
    ]


def _wanted(everything: Wanted, state: str) -> Wanted:
    return Wanted(
        within=everything.within,
        part=everything.part,
        standing=state if state in STANDINGS else None,
        concern=state if state in CONCERNS else None,
        wants_somebody=state == WANTS,
    )


def _chain(connection: Connection, typed: str, mine: Collection[str] | None) -> tuple[Area, ...]:
    """Return the area that the list is narrowed to and those above it, as far as the visitor may see; none where it is no single one."""
    named = [code for code in codes_called(connection, _plain(typed)) if mine is None or code in mine] if typed else []
    above = chain_above(connection, named[0]) if len(named) == 1 else ()
    return tuple(each for each in above if mine is None or each.code in mine)


def _plain(text: str) -> str:
    """Return a text of an address as the database takes it."""
    return text.replace("\0", "").strip()[:LONGEST]
