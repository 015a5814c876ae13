"""Builds the made-up agency in a database with the newest schema, and says what is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from demo.accounts import add_staff
from demo.agency import rules, runs
from demo.agency.cases import CaseWork, send
from demo.agency.conditions import Condition
from demo.agency.copying import copy_rows
from demo.agency.exchange import ExchangeWork
from demo.agency.index import Index, index_of
from demo.agency.notices import NoticeWork
from demo.agency.people import Community, Person, area_rows, communities, people_of, rows_of
from demo.agency.sessions import store_sessions
from demo.agency.stops import StopWork
from demo.agency.terminal_work import TerminalWork
from demo.agency.terminals import Terminal, make_terminals, register, tell_presence
from demo.agency.updates import UpdateWork
from demo.agency.world import FLEET_ID, ZONE, Agenda, World, moment_of
from fleet.accounts.roles import Grant, Role
from fleet.app import Fleet
from fleet.keys import FleetKeys
from fleet.settings import Settings
from fleet.status.projection import reproject_outdated
from fleet.store.database import Database
from fleet.terminals.daily import look_for_drift
from protocol.topics import Kind


@dataclass(frozen=True, slots=True)
class Built:
    """A made-up agency in a database."""

    url: str
    keys: FleetKeys
    settings: Settings
    now: datetime
    """The moment at which it is looked at; a clock for it starts here."""
    index: Index


def build(
    url: str,
    keys: FleetKeys,
    settings: Settings,
    *,
    today: date,
    now: datetime | None = None,
    people: int = 20_000,
    terminals: int = 200,
    seed: int = 1,
    say: Callable[[str], object] = lambda _: None,
) -> Built:
    """Fill a database with the made-up agency.

    Args:
        url: of an empty database with the newest schema.
        keys: the fleet's, with which everything is encrypted and signed.
        settings: the fleet's; its `fleet_id` is that of `demo.agency.world`.
        today: the day on which it is looked at.
        now: the moment on it, an hour after its midnight or later, and within an hour after its end; its evening without it.
        people: how many; with fewer than 2,000 there may not be somebody in every state.
        terminals: how many; 20 at least for one in each condition.
        seed: of everything that is drawn.
        say: told what is being done.

    Raises:
        DatabaseUnavailable: as any transaction; the database is of no use then.
        ValueError: if the settings are of another fleet.
    """
    if settings.fleet_id != FLEET_ID:
        raise ValueError(f"fleet_id: {FLEET_ID!r} expected")
    database = Database(url)
    try:
        world = World(url, database, keys, settings, today, now or moment_of(today), seed, people, terminals)
        made, everybody = _fill(world, say)
        return Built(url, keys, settings, world.now, index_of(database, today, made, everybody))
    finally:
        database.close()


def settings_for(**more: Any) -> Settings:
    """Return settings of the made-up agency's fleet, with any key set."""
    agency = {"name": "示例省社会保险经办中心", "name_en": "Example Province Social Insurance Centre"}
    return Settings.model_validate({"fleet_id": FLEET_ID, "agency": agency, **more})


def staff_of(where: Sequence[Community]) -> list[tuple[str, Grant]]:
    """Return who works for one city of the agency only."""
    return [("Hao Liying", Grant(Role.AREA_ADMINISTRATOR, where[0].city))]


def _fill(world: World, say: Callable[[str], object]) -> tuple[list[Terminal], list[Person]]:
    say("rules")
    add_staff(Fleet(world.settings, world.keys, world.database, lambda: world.at(960)))
    rules.publish(world)
    say("people")
    where = communities(world.people)
    everybody = list(people_of(world, where))
    copy_rows(world.url, {"areas": area_rows(where), **rows_of(world, everybody)})
    add_staff(Fleet(world.settings, world.keys, world.database, lambda: world.at(950)), staff_of(where))
    say("terminals and their sessions")
    made = make_terminals(world, where)
    register(world, made)
    store_sessions(world, everybody, made)
    reproject_outdated(world.database, zone=ZONE, clock=lambda: world.now)
    say("what people and programs did")
    agenda = Agenda()
    CaseWork(world, agenda, everybody, made).put_down()
    StopWork(world, agenda).put_down()
    ExchangeWork(world, agenda, everybody).put_down()
    NoticeWork(world, agenda, everybody).put_down()
    TerminalWork(world, agenda, made).put_down()
    UpdateWork(world, agenda, made).put_down()
    agenda.at(world.at(3, 16), lambda now: rules.propose(world, now))
    agenda.at(world.at(2, 15), lambda now: rules.calibrate(world, now))
    agenda.at(world.at(2, 16), lambda now: runs.photographs(world, everybody, now))
    agenda.at(world.at(1, 14), lambda now: runs.search(world, now))
    agenda.at(world.at(1, 13), lambda now: runs.plan_and_export(world, now))
    agenda.at(world.at(1, 15), lambda now: runs.propose_policy(world, now))
    agenda.at(world.at(1, 16), lambda now: runs.ask_for_a_reviewer(world, now))
    agenda.play()
    say("what terminals say of themselves")
    _refuse_some(world, made)
    tell_presence(world, made)
    look_for_drift(world.database, h=world.settings.terminals.drift_h, zone=ZONE, now=world.now)
    say("counting")
    with psycopg.connect(world.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("ANALYZE")
    return made, everybody


def _refuse_some(world: World, made: list[Terminal]) -> None:
    """Let messages arrive that cannot be taken: of known terminals, and of one that nobody registered."""
    bad = [terminal.terminal_id for terminal in made if terminal.condition is Condition.QUARANTINED]
    for place, name in enumerate([*bad, "x-9000"]):
        for number in range(2 + place):
            moment = world.at(4 - place * 0.5, 12)
            send(world, name, Kind.RECORD, [f"not.a.record-{place}-{number}".encode()], moment)
