"""The made population of the simulation, heard of by the real database in the order in which its records arrive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from fleet.clock import day_of
from fleet.rules.publishing import PACK_TYP
from fleet.simulation.agency import Agency
from fleet.simulation.life import live
from fleet.simulation.run import BEGIN
from fleet.simulation.world import REGIONS, Person, draw_person
from fleet.status.projection import project
from fleet.store.acts import NewAct, add_acts
from fleet.store.packs import put_in_force, save_proposal
from fleet.store.subjects import Benefit, save_benefit
from protocol.envelope import sha256_of, sign
from protocol.rules.acts import Act
from protocol.shipped_packs import SHIPPED, shipped_pack, shipped_text

pytestmark = pytest.mark.integration
PEOPLE = 60
YEARS = 3
END = BEGIN.replace(year=BEGIN.year + YEARS)
CATEGORIES = {"LZ-2019": "dependant", "SJZ-2017": "retired"}


def test_live_statuses_rebuilt_ones_and_those_of_the_simulation_are_the_same(
    make_office: Callable[..., Any], database: Any
) -> None:
    office = make_office(database)
    office.now = datetime(BEGIN.year, BEGIN.month, BEGIN.day, 1, tzinfo=UTC)
    zone = office.settings.zone()
    with office.database.begin() as connection:
        for pack_id in SHIPPED:
            written = shipped_text(pack_id)
            pack = shipped_pack(pack_id)
            save_proposal(connection, pack, written, sha256_of(written.encode()), now=office.now)
            signed = sign(written.encode(), key=office.keys.signing, typ=PACK_TYP)
            put_in_force(connection, pack_id, pack.version, signed, now=office.now)
    office.import_people(PEOPLE)
    subjects = list(office.people)
    played = [play(number) for number in range(PEOPLE)]
    heard: list[tuple[date, int, Act | None]] = []
    with office.database.begin() as connection:
        connection.execute(text("DELETE FROM benefits"))
        for number, (person, agency, arrivals) in enumerate(played):
            connection.execute(
                text("UPDATE subjects SET created_at = :listed, birth_date = :born WHERE subject_id = :id"),
                {
                    "id": subjects[number],
                    "born": person.born,
                    "listed": datetime(person.listed.year, person.listed.month, person.listed.day, 1, tzinfo=UTC),
                },
            )
            give_benefit(connection, subjects[number], person, BEGIN)
            own = {arrival.act.act_id for arrival in arrivals}
            heard += [(day, number, arrival.act) for arrival in arrivals for day in arrival.days if day < END]
            heard += [(act.day, number, act) for act in agency.books.acts.values() if act.act_id not in own]
            if person.moved is not None and person.moved[0] < END:
                heard.append((person.moved[0], number, None))
    for day, number, act in sorted(heard, key=lambda each: each[:2]):
        with office.database.begin() as connection:
            if act is None:
                give_benefit(connection, subjects[number], played[number][0], day)
            else:
                at = datetime(act.day.year, act.day.month, act.day.day, 4, tzinfo=UTC)
                new = NewAct(subjects[number], act.kind, act.channel, at, "simulation", f"{number}:{act.act_id}")
                add_acts(connection, [new], now=at)
            project(connection, [subjects[number]], zone=zone, today=day)
    office.now = datetime(END.year, END.month, END.day, 1, tzinfo=UTC)
    with office.database.begin() as connection:
        project(connection, subjects, zone=zone, today=day_of(office.now, zone))

    live_rows = rows(office)
    expected = {}
    for number, (_, agency, _) in enumerate(played):
        found = agency.obligation
        expected[subjects[number]] = (
            found.pack_id,
            None if found.last is None else found.last.day,
            found.opens,
            found.due,
            found.stop_from,
        )
    assert live_rows == expected
    office.rebuild()
    assert rows(office) == live_rows
    assert office.rows("SELECT count(*) FROM acts")[0][0] == sum(len(agency.books.acts) for _, agency, _ in played)


def play(number: int) -> tuple[Person, Agency, list[Any]]:
    draw = Random(f"5:{number}")
    person = draw_person(number, draw, BEGIN, YEARS)
    agency = Agency(person, draw, BEGIN, END)
    arrivals = live(person, agency, draw, BEGIN, END)
    agency.run()
    return person, agency, arrivals


def give_benefit(connection: Any, subject_id: str, person: Person, day: date) -> None:
    """Pay the person by the region in which they live on a day."""
    pack = person.pack_on(day)
    scheme = next(scheme for pack_id, scheme, _ in REGIONS if pack_id == pack.pack_id)
    connection.execute(text("DELETE FROM benefits WHERE subject_id = :id"), {"id": subject_id})
    category = CATEGORIES.get(pack.pack_id, "retired")
    save_benefit(connection, subject_id, Benefit(scheme, pack.region, category, person.started))
    assert pack.covers(scheme, category, frozenset({pack.region}))
    assert person.started - timedelta(days=1) < END


def rows(office: Any) -> dict[str, tuple[Any, ...]]:
    found = office.rows(
        "SELECT subject_id, pack_id, last_day, opens, due, stop_from FROM obligations ORDER BY subject_id"
    )
    return {row[0]: tuple(row[1:]) for row in found}
