"""Lists of one area are what the list of everybody has of it, whichever of the two ways to them is taken: by few people, or by many."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from demo import bench_agency, bench_pages, bench_terminals, bench_work
from fleet.app import Fleet
from fleet.keys import load_keys, make_keys
from fleet.settings import Settings
from fleet.store import case_queue, contradictions, exchange_pages, overview, reminder_pages, rule_pages, stops
from fleet.store.areas import areas_of
from fleet.store.subject_areas import FEW, are_few, unless_everybody
from fleet.store.subjects import find_by_ids

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
TODAY = date(2026, 11, 20)
PEOPLE = 4_000
VILLAGE = bench_agency.village_of(0)
ALL = 10_000
Ask = Callable[[Connection, list[str] | None], list[tuple[str | None, str]]]


@pytest.fixture
def fleet(database_url: str, database: Any, tmp_path: Path) -> Fleet:
    """A fleet with the work of five villages."""
    make_keys(tmp_path / "keys", key_domain="d1")
    keys = load_keys(tmp_path / "keys")
    bench_agency.fill(database_url, database, PEOPLE, keys.cipher)
    bench_terminals.add_terminals(database, 50, now=NOW)
    bench_work.add_work(database, keys.cipher, PEOPLE, now=NOW)
    return Fleet(Settings(fleet_id="bench", data_dir=tmp_path), keys, database, lambda: NOW)


def stops_at(stage: stops.Stage | None) -> Ask:
    """Return how to list stops at a stage, with the area that pays each."""

    def ask(connection: Connection, areas: list[str] | None) -> list[tuple[str | None, str]]:
        asked = stops.StopsAsked(areas, stage)
        return [(each.area, each.place) for each in stops.stop_lines(connection, asked, after="", before="", limit=ALL)]

    return ask


def cases(*, is_over: bool) -> Ask:
    """Return how to list cases."""

    def ask(connection: Connection, areas: list[str] | None) -> list[tuple[str | None, str]]:
        asked = case_queue.Asked(areas, is_over=is_over)
        return [(each.area, each.case_id) for each in case_queue.page_of(connection, asked, limit=ALL)]

    return ask


def failed(connection: Connection, areas: list[str] | None) -> list[tuple[str | None, str]]:
    """List steps that reached nobody."""
    found = reminder_pages.failed(connection, areas, step="", limit=ALL)
    return [(each.area, each.reminder_id) for each in found]


def silent(connection: Connection, areas: list[str] | None) -> list[tuple[str | None, str]]:
    """List whom data certified."""
    return [(each.area, each.act_id) for each in exchange_pages.silent(connection, areas, limit=ALL)]


def contradicting(connection: Connection, areas: list[str] | None) -> list[tuple[str | None, str]]:
    """List what contradicts itself."""
    found = contradictions.page_of(connection, areas)
    lives = {each.subject_id: each.area for each in find_by_ids(connection, {each.subject_id for each in found})}
    return [(lives[each.subject_id], each.contradiction_id) for each in found]


LISTS: dict[str, Ask] = {
    "stops": stops_at(None),
    "stops in force": stops_at(stops.Stage.IN_FORCE),
    "stops lifted": stops_at(stops.Stage.RESTORED),
    "cases": cases(is_over=False),
    "cases that are over": cases(is_over=True),
    "failed reminders": failed,
    "silent certifications": silent,
    "contradictions": contradicting,
}


def counts(connection: Connection, areas: list[str] | None) -> list[Any]:
    """Return everything that is counted of people."""
    month = (date(2026, 11, 1), date(2027, 1, 31))
    return [
        stops.stage_counts(connection, areas),
        overview.waiting(connection, today=TODAY, within=areas),
        reminder_pages.waiting(connection, areas),
        reminder_pages.days(connection, areas, since=NOW - timedelta(days=30), offset=timedelta(hours=8)),
        reminder_pages.coming(connection, areas, since=month[0], until=month[1]),
        rule_pages.people_by_pack(connection, areas),
        rule_pages.days_to_come(connection, "due", *month, areas),
        rule_pages.days_to_come(connection, "stop_from", *month, areas),
        rule_pages.reminders_waiting(connection, areas),
    ]


def crowd(connection: Connection) -> None:
    """Let so many more belong to the village that its people are not few any more; nothing is about them."""
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(
        text(
            "INSERT INTO subject_areas SELECT 'x' || n, :village, true, false, '9999-12-31', '9999-12-31', '9999-12-31'"
            " FROM generate_series(1, :most) AS n"
        ),
        {"village": VILLAGE, "most": FEW + 1},
    )


def test_a_list_of_an_area_is_its_part_of_the_whole_by_few_and_by_many(fleet: Fleet) -> None:
    with fleet.database.begin() as connection:
        whole = {name: [each for each in ask(connection, None) if each[0] == VILLAGE] for name, ask in LISTS.items()}
        assert are_few(connection, [VILLAGE])
        by_few = {name: ask(connection, [VILLAGE]) for name, ask in LISTS.items()}
        crowd(connection)
        assert not are_few(connection, [VILLAGE])
        by_many = {name: ask(connection, [VILLAGE]) for name, ask in LISTS.items()}
    assert all(whole.values())
    assert by_few == whole
    assert by_many == whole


def test_where_everybody_lives_there_all_is_theirs_and_no_longer_once_somebody_lives_elsewhere(fleet: Fleet) -> None:
    with fleet.database.begin() as connection:
        codes = sorted(areas_of(connection))
        crowd(connection)
        assert not are_few(connection, codes)
        assert unless_everybody(connection, codes) is None
        for name, ask in LISTS.items():
            # A case of nobody, from a terminal that is not known, lies nowhere.
            assert ask(connection, codes) == [each for each in ask(connection, None) if each[0] is not None], name
        assert counts(connection, codes) == counts(connection, None)
        for table, column in (("subjects", "area"), ("benefits", "region"), ("subject_areas", "area")):
            statement = (
                f"UPDATE {table} SET {column} = 'elsewhere' WHERE {column} = :village AND subject_id NOT LIKE 'x%'"
            )
            assert connection.execute(text(statement), {"village": VILLAGE}).rowcount
        assert unless_everybody(connection, codes) == codes
        for name, ask in LISTS.items():
            every = [each for each in ask(connection, None) if each[0] is not None]
            assert ask(connection, codes) == [each for each in every if each[0] != "elsewhere"] != every, name
        assert all(
            theirs != every for theirs, every in zip(counts(connection, codes), counts(connection, None), strict=True)
        )


def test_counts_of_an_area_are_those_of_its_lists(fleet: Fleet) -> None:
    with fleet.database.begin() as connection:
        open_cases = case_queue.page_of(connection, case_queue.Asked([VILLAGE]), limit=ALL)
        counted = case_queue.counts_by_day(connection, [VILLAGE], TODAY, TODAY)
        everywhere = overview.waiting(connection, today=TODAY, within=None)
        here = overview.waiting(connection, today=TODAY, within=[VILLAGE])
        stages = stops.stage_counts(connection, [VILLAGE])
        found = {
            stage: stops.stop_lines(connection, stops.StopsAsked([VILLAGE], stage), after="", before="", limit=ALL)
            for stage in stops.Stage
            if stage is not stops.Stage.RESTORED
        }
        steps = sum(each.steps for each in reminder_pages.waiting(connection, [VILLAGE]))
        pending = connection.execute(
            text(
                "SELECT count(*) FROM reminders r JOIN subject_areas a USING (subject_id) WHERE state = 'pending' AND area = :area"
            ),
            {"area": VILLAGE},
        ).scalar_one()
    assert counted.every == len(open_cases) > 0
    assert counted.late == sum(each.due_on < TODAY for each in open_cases)
    assert here.cases == len(open_cases) < everywhere.cases
    assert stages == {stage: len(lines) for stage, lines in found.items() if lines}
    assert steps == pending > 0


def test_every_page_that_the_benchmark_asks_for_is_there(fleet: Fleet, tmp_path: Path) -> None:
    bench_pages.add_visitors(fleet)
    found = bench_pages.measure_pages(
        fleet, Path(str(fleet.settings.data_dir)), bench_agency.ids_of(PEOPLE), 1, only="/audit"
    )
    assert {each.status for each in found.values()} == {200}
