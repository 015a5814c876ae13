"""What the fleet tells terminals for the rules: in roster entries and as rule packs; the terminal then says what the fleet will say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from device.adapters.references_sqlite import SqliteReferenceStore
from device.adapters.rule_packs_file import FileRulePackStore
from device.simulated.clock import SteppedClock
from fleet.clock import day_of
from fleet.status.projection import ask, facts_of, project
from fleet.store import packs
from fleet.store.acts import NewAct, add_acts
from fleet.store.subjects import Benefit
from fleet.updates.rule_packs import signed_packs
from protocol.entitlements import rules_of, strictest_of
from protocol.roster import RosterEntry
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.obligations import strictest
from protocol.rules.pack import parse_pack
from protocol.rules.shelf import Shelf
from protocol.shipped_packs import shipped_text
from protocol.topics import Kind

pytestmark = pytest.mark.integration

LANZHOU = shipped_text("LZ-2019").replace('region = "6201"', 'region = "east"')
SHANXI = shipped_text("SX-2018").replace('region = "14"', 'region = "east"')


@pytest.fixture
def store(office: Any, tmp_path: Path) -> Iterator[SqliteReferenceStore]:
    made = SqliteReferenceStore(tmp_path / "references.sqlite", tmp_path / "storage.key", SteppedClock(office.now))
    yield made
    made.close()


@pytest.fixture
def rule_packs(office: Any, tmp_path: Path) -> FileRulePackStore:
    return FileRulePackStore(tmp_path / "rule-packs.jws", office.keys.signing.public())


def import_injured(office: Any, count: int = 1) -> str:
    """People with a benefit that the Lanzhou pack covers; returns the first of them."""
    done = office.import_people(count)
    with office.database.begin() as connection:
        pack = parse_pack(LANZHOU)
        category = pack.categories[0] if pack.categories else "retired"
        benefit = Benefit(pack.schemes[0], "east", category, date(2012, 3, 1))
        connection.execute(
            text("UPDATE benefits SET scheme = :scheme, category = :category, started = :started"),
            {"scheme": benefit.scheme, "category": benefit.category, "started": benefit.started},
        )
        project_all(office, connection, done.subject_ids)
    return str(done.subject_ids[0])


def project_all(office: Any, connection: Any, ids: Any) -> None:
    zone = office.settings.zone()
    project(connection, list(ids), zone=zone, today=day_of(office.now, zone))


def add_act(office: Any, subject_id: str, at: datetime, source_id: str) -> None:
    with office.database.begin() as connection:
        act = NewAct(subject_id, ActKind.LIVE, Channel.COUNTER, at, "case", source_id)
        project_all(office, connection, add_acts(connection, [act], now=office.now))


def bring(office: Any, terminal: Any, store: SqliteReferenceStore, rule_packs: FileRulePackStore) -> list[RosterEntry]:
    """Send a terminal everything that is due; return the entries that came."""
    entries: list[RosterEntry] = []
    for answer in [*office.handler.standing(), *office.handler.push_rosters()]:
        if answer.topic.kind is Kind.RULE_PACKS:
            rule_packs.apply(answer.payload)
        if answer.topic.kind is Kind.ROSTER and answer.topic.terminal_id == terminal.terminal_id:
            page = office.page(answer.payload, terminal)
            assert store.apply(page)
            entries += page.entries
    return entries


def shelf_ids(shelf: Shelf) -> list[str]:
    return [f"{pack.pack_id}/{pack.version}" for pack in shelf.packs]


@pytest.mark.parametrize("day", [date(2026, 6, 15), date(2026, 8, 1), date(2026, 11, 20), date(2027, 7, 3)])
def test_r2_3_the_terminal_says_of_a_pass_what_the_fleet_says_of_it_afterwards(
    office: Any, terminal: Any, store: SqliteReferenceStore, rule_packs: FileRulePackStore, day: date
) -> None:
    office.put_packs_in_force(LANZHOU, SHANXI)
    subject_id = import_injured(office)
    office.assign_all("t-1")
    zone = office.settings.zone()
    add_act(office, subject_id, datetime(2026, 5, 3, 9, tzinfo=zone), "1")
    bring(office, terminal, store, rule_packs)
    entry = store.find(office.people[subject_id])
    assert entry is not None
    rules = rules_of(entry.entitlements, rule_packs.shelf(), today=day)
    on_terminal = strictest_of(rules, Act("here", day, ActKind.LIVE, Channel.TERMINAL))

    with office.database.begin() as connection:
        act = NewAct(
            subject_id, ActKind.LIVE, Channel.TERMINAL, datetime(day.year, day.month, day.day, 9, tzinfo=zone), "x", "y"
        )
        add_acts(connection, [act], now=office.now)
        asked = ask(facts_of(connection, [subject_id], zone=zone), packs.shelf_of(connection), day)
    by_fleet = strictest(each.obligation for each in asked)
    assert len(asked) == len(rules) == 2
    assert on_terminal is not None
    assert by_fleet is not None
    assert (on_terminal.pack_id, on_terminal.due, on_terminal.opens) == (by_fleet.pack_id, by_fleet.due, by_fleet.opens)


def test_a_pass_makes_one_entry_new_on_each_terminal_that_holds_the_person_and_nothing_else(
    office: Any, terminal: Any, make_fleet_terminal: Any, store: SqliteReferenceStore, rule_packs: FileRulePackStore
) -> None:
    other = make_fleet_terminal("north", "t-2")
    office.register(other)
    office.import_people(3)
    office.hold_references()
    for name in ("t-1", "t-2"):
        office.assign_all(name)
    assert len(bring(office, terminal, store, rule_packs)) >= 3
    assert office.handler.push_rosters() == []
    subject_id = next(iter(office.people))
    at = office.now
    add_act(office, subject_id, at, "1")
    pages = office.handler.push_rosters()
    assert [str(page.topic).split("/")[3] for page in pages] == ["t-1", "t-2"]
    page = office.page(pages[0].payload, terminal)
    assert [entry.subject_id for entry in page.entries] == [subject_id]
    assert page.entries[0].entitlements[0].last is not None
    assert page.entries[0].entitlements[0].last.day == day_of(at, office.settings.zone())
    assert store.apply(page)
    # The same act once more, and a projection of everybody, change nothing.
    add_act(office, subject_id, at, "1")
    office.rebuild()
    assert office.handler.push_rosters() == []


def test_a_terminal_that_asks_gets_what_changed_without_a_version_of_its_own(
    office: Any, terminal: Any, store: SqliteReferenceStore, rule_packs: FileRulePackStore
) -> None:
    office.import_people(2)
    office.assign_all("t-1")
    bring(office, terminal, store, rule_packs)
    before = store.version()
    subject_id = list(office.people)[1]
    add_act(office, subject_id, office.now, "1")
    (answer,) = office.handler.whole_roster("t-1")
    page = office.page(answer.payload, terminal)
    assert page.upto == before + 1
    found = {entry.subject_id: entry.entitlements[0].last for entry in page.entries}
    assert [subject for subject, last in found.items() if last is not None] == [subject_id]


def test_an_entry_tells_nothing_but_pack_days_and_last_act(office: Any, terminal: Any) -> None:
    office.import_people(1)
    office.assign_all("t-1")
    (answer,) = office.handler.whole_roster("t-1")
    (entry,) = office.page(answer.payload, terminal).entries
    assert [told.model_dump(mode="json") for told in entry.entitlements] == [
        {
            "pack_id": "SX-2018",
            "pack_version": 1,
            "started": "2001-07-01",
            "listed": "2026-11-20",
            "birth_date": None,
            "last": None,
        }
    ]


def test_packs_go_out_with_what_a_terminal_is_always_to_have_once_one_is_in_force(
    office: Any, terminal: Any, rule_packs: FileRulePackStore
) -> None:
    def sent() -> list[bytes]:
        return [answer.payload for answer in office.handler.standing() if answer.topic.kind is Kind.RULE_PACKS]

    assert sent() == []
    office.put_packs_in_force(LANZHOU)
    (first,) = sent()
    assert shelf_ids(rule_packs.apply(first)) == ["LZ-2019/1"]
    office.now += timedelta(days=1)
    office.put_packs_in_force(SHANXI)
    (second,) = sent()
    assert shelf_ids(rule_packs.apply(second)) == ["LZ-2019/1", "SX-2018/1"]
    assert shelf_ids(rule_packs.apply(first)) == ["LZ-2019/1", "SX-2018/1"]


def test_a_version_is_sent_until_no_roster_can_name_it_any_more(
    office: Any, rule_packs: FileRulePackStore, tmp_path: Path
) -> None:
    begins = date(2026, 12, 1)
    first = parse_pack(LANZHOU).valid_from
    office.put_packs_in_force(LANZHOU)
    office.now += timedelta(minutes=1)
    office.put_packs_in_force(
        LANZHOU.replace("version = 1", "version = 2").replace(f"valid_from = {first}", f"valid_from = {begins}")
    )

    def named(day: date) -> list[str]:
        with office.database.begin() as connection:
            signed = signed_packs(connection, office.keys, today=day)
        assert signed is not None
        return shelf_ids(rule_packs.apply(signed))

    assert named(begins - timedelta(days=1)) == ["LZ-2019/1", "LZ-2019/2"]
    kept = tmp_path / "rule-packs.jws"
    kept.unlink()
    assert named(begins + timedelta(days=62)) == ["LZ-2019/1", "LZ-2019/2"]
    kept.unlink()
    assert named(begins + timedelta(days=63)) == ["LZ-2019/2"]
