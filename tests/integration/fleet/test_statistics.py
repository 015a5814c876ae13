"""Counts, fairness and snapshots on the real database."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from sqlalchemy import text

from demo import bench_agency
from fleet.app import Fleet, make_handler
from fleet.benefits.standing import status_of_person
from fleet.errors import NotFound, Refused
from fleet.keys import load_keys, make_keys
from fleet.statistics.counts import Answer, Cut, Question, ancestor, count, count_then
from fleet.statistics.export import Sheet, export
from fleet.statistics.fairness import fairness
from fleet.statistics.snapshots import take_snapshot, trend
from fleet.status.projection import project
from fleet.store import statistics
from fleet.store.areas import Area, save_areas
from fleet.store.standings import counts, pack_standings
from fleet.store.statistics import Filter, band_names
from fleet.store.unit_lists import to_certify
from protocol.outcomes import Outcome
from protocol.rules.days import age_on
from protocol.rules.obligations import state_of

pytestmark = pytest.mark.integration

TODAY = date(2026, 11, 20)
AREAS = [
    Area("1", None, 1, "省"),
    Area("11", "1", 2, "市"),
    Area("111", "11", 3, "东县"),
    Area("112", "11", 3, "西县"),
    Area("1111", "111", 4, "镇"),
    Area("11111", "1111", 5, "村一"),
    Area("11112", "1111", 5, "村二"),
]


@pytest.fixture
def district(office: Any) -> Any:
    """People in two villages of one county, in the seat of another, and in a place that is in no tree."""
    with office.database.begin() as connection:
        save_areas(connection, AREAS)
    for number, area in enumerate(("11111", "11112", "112", "elsewhere")):
        office.import_people(number + 2, area=area, first=100 * number + 1)
    # Long since on the lists: of who is new nobody is asked at once.
    office.list_since("2020-01-01")
    office.rebuild()
    return office


def asked(office: Any, by: Cut, **more: Any) -> Answer:
    question = Question(**{"by": by, "as_of": TODAY, "since": date(2026, 1, 1), **more})
    with office.database.begin() as connection:
        return count(connection, question, zone=office.settings.zone())


def totals(answer: Answer) -> dict[str, int]:
    return {line.key: line.total for line in answer.lines}


def certify(office: Any, terminal: Any, subject: str, day: date, **changes: Any) -> None:
    office.hold_references()
    at = datetime(day.year, day.month, day.day, 3, tzinfo=UTC)
    office.send(terminal, terminal.next(subject_id=subject, token=office.people[subject], at=at, **changes))


def test_feature_80_people_are_rolled_up_along_the_tree_and_unknown_areas_stand_alone(district: Any) -> None:
    assert totals(asked(district, Cut.AREA, level=5)) == {"11111": 2, "11112": 3, "112": 4, "elsewhere": 5}
    assert totals(asked(district, Cut.AREA, level=4)) == {"1111": 5, "112": 4, "elsewhere": 5}
    assert totals(asked(district, Cut.AREA, level=3)) == {"111": 5, "112": 4, "elsewhere": 5}
    assert totals(asked(district, Cut.AREA, level=1)) == {"1": 9, "elsewhere": 5}
    assert [line.name for line in asked(district, Cut.AREA, level=3).lines] == ["东县", "西县", ""]
    assert totals(asked(district, Cut.AREA, level=5, area="111")) == {"11111": 2, "11112": 3}
    with pytest.raises(Refused, match="level"):
        asked(district, Cut.AREA, level=6)
    with pytest.raises(Refused, match="span"):
        asked(district, Cut.AREA, since=date(2027, 1, 1))


def test_r9_1_coverage_is_who_came_of_those_who_had_to(district: Any, terminal: Any) -> None:
    people = list(district.people)
    certify(district, terminal, people[0], date(2026, 3, 1))
    certify(district, terminal, people[1], date(2025, 6, 1))
    found = {line.key: line for line in asked(district, Cut.AREA, level=3).lines}
    assert (found["111"].asked, found["111"].done) == (5, 1)
    assert found["111"].coverage == 0.2
    assert found["111"].counts == {"certified": 1, "overdue": 4}
    assert found["112"].coverage == 0


def test_feature_80_by_scheme_channel_age_device_and_day(
    district: Any, terminal: Any, make_fleet_terminal: Any
) -> None:
    other = make_fleet_terminal(terminal_id="t-2")
    district.register(other)
    people = list(district.people)
    certify(district, terminal, people[0], date(2026, 3, 1))
    certify(district, other, people[1], date(2026, 3, 1))
    certify(district, other, people[2], date(2026, 3, 2), outcome=Outcome.NOT_CERTIFIED)
    with district.database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO benefits (subject_id, scheme, region, category, started) VALUES (:id, 'injury', '11', 'x', '2020-01-01')"
            ),
            {"id": people[0]},
        )
        connection.execute(
            text(
                "INSERT INTO acts (act_id, subject_id, kind, channel, acted_at, source, source_id, recorded_at)"
                " VALUES ('a1', :id, 'special', 'remote_form', '2026-05-01', 'case', 'c1', '2026-05-02')"
            ),
            {"id": people[3]},
        )
        project(connection, people, zone=district.settings.zone(), today=TODAY)
    assert totals(asked(district, Cut.SCHEME)) == {"pension": 14, "injury": 1}
    assert totals(asked(district, Cut.AREA, level=3, scheme="injury")) == {"111": 1}
    assert totals(asked(district, Cut.CHANNEL)) == {"none": 11, "remote_form": 1, "terminal": 2}
    assert totals(asked(district, Cut.AGE)) == {"85-89": 14}, "born on 1 January 1940"
    devices = {line.key: line.counts for line in asked(district, Cut.DEVICE).lines}
    assert devices == {"t-1": {"certified": 1}, "t-2": {"certified": 1, "not_certified": 1}}
    days = {line.key: line.total for line in asked(district, Cut.DAY).lines}
    assert days == {"2026-03-01": 2, "2026-03-02": 1}
    assert totals(asked(district, Cut.DAY, since=date(2026, 3, 2))) == {"2026-03-02": 1}


def test_a_session_after_midnight_is_counted_on_the_agencys_day(district: Any, terminal: Any) -> None:
    district.hold_references()
    (first, *_) = district.people
    at = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)
    district.send(terminal, terminal.next(subject_id=first, token=district.people[first], at=at))
    assert totals(asked(district, Cut.DAY)) == {"2026-03-02": 1}


def test_states_and_bands_in_sql_are_those_of_the_rules(office: Any) -> None:
    """A thousand made people; the pure functions count the same."""
    drawn = random.Random(5)
    office.import_people(999)
    ids = list(office.people)
    rows = []
    for subject in ids:
        asked_on = TODAY + timedelta(days=drawn.randint(-60, 40))
        expiring = asked_on + timedelta(days=drawn.randint(0, 30))
        overdue = expiring + timedelta(days=drawn.randint(1, 30))
        born = None if drawn.random() < 0.1 else date(1930, 1, 1) + timedelta(days=drawn.randint(0, 15000))
        if drawn.random() < 0.1:
            born = date(drawn.choice((1936, 1940, 1956, 1960)), 2, 29)
        rows.append((subject, drawn.random() < 0.5, asked_on, expiring, overdue, born))
    with office.database.begin() as connection:
        for subject, has_act, asked_on, expiring, overdue, born in rows:
            connection.execute(
                text(
                    "UPDATE statuses SET last_act = :act, asked = :a, expiring = :e, overdue = :o WHERE subject_id = :id"
                ),
                {"act": "x" if has_act else None, "a": asked_on, "e": expiring, "o": overdue, "id": subject},
            )
            connection.execute(
                text("UPDATE subjects SET birth_date = :born WHERE subject_id = :id"), {"born": born, "id": subject}
            )
    for today in (TODAY, date(2026, 2, 28), date(2027, 3, 1), date(2028, 2, 29)):
        with office.database.begin() as connection:
            states = statistics.people_by(connection, "state", today, Filter())
            bands = statistics.people_by(connection, "age", today, Filter())
        # Who never came is overdue once the last day has passed, in every count and list.
        expected = Counter(
            "overdue" if o <= today else state_of(has, a, e, o, today).value for _, has, a, e, o, _ in rows
        )
        assert {row.key: row.people for row in states} == dict(expected)
        ages = Counter(band_of(None if born is None else age_on(born, today)) for *_, born in rows)
        found: Counter[str] = Counter()
        for row in bands:
            found[row.key] += row.people
        assert found == ages


def band_of(age: int | None) -> str:
    if age is None:
        return "unknown"
    return next(name for name in band_names() if name.endswith("+") or age <= int(name.split("-")[1]))


def test_feature_84_rates_by_age_region_and_device_hide_small_cells(district: Any, terminal: Any) -> None:
    people = list(district.people)
    for number in range(12):
        outcome = Outcome.POOR_SAMPLE if number < 3 else Outcome.CERTIFIED
        certify(district, terminal, people[0], date(2026, 3, 1 + number), outcome=outcome)
        certify(district, terminal, people[6], date(2026, 3, 1 + number))
        certify(
            district,
            terminal,
            people[10],
            date(2026, 3, 1 + number),
            outcome=Outcome.CANCELLED if number < 6 else Outcome.CERTIFIED,
        )
    with district.database.begin() as connection:
        found = fairness(
            connection, date(2026, 1, 1), TODAY, level=3, least=10, scheme=None, zone=district.settings.zone()
        )
    groups = {group.by: group for group in found.groups}
    assert (found.total.sessions, found.total.failed, found.total.abandoned) == (36, 3, 6)
    regions = {cell.key: cell.is_hidden for cell in groups["region"].cells}
    assert regions == {"111": False, "112": False, "elsewhere": True}
    worst = groups["region"].failure_ratio
    assert worst is not None
    assert (worst.worst, worst.best) == ("111", "112")
    (age,) = groups["age"].cells
    rate = age.failure()
    assert rate is not None
    assert rate.value == pytest.approx(3 / 30)
    assert rate.low < 0.1 < rate.high
    assert groups["device"].failure_ratio is None, "one device has nothing to be compared with"


def test_feature_84_rates_are_of_the_areas_that_are_asked_for_and_no_others(district: Any, terminal: Any) -> None:
    people = list(district.people)
    with district.database.begin() as connection:
        connection.execute(
            text("UPDATE subjects SET sex = CASE WHEN area = '11111' THEN 'female' WHEN area = '11112' THEN 'male' END")
        )
    for number in range(31):
        for person, outcome in ((people[0], Outcome.POOR_SAMPLE), (people[2], Outcome.CERTIFIED)):
            certify(district, terminal, person, date(2026, 3, 1 + number), outcome=outcome)
        certify(district, terminal, people[6], date(2026, 3, 1 + number))

    def rates(**where: Any) -> Any:
        with district.database.begin() as connection:
            return fairness(
                connection,
                date(2026, 1, 1),
                TODAY,
                level=3,
                least=10,
                scheme=None,
                zone=district.settings.zone(),
                **where,
            )

    groups = {group.by: group for group in rates().groups}
    assert {cell.key: (cell.failed, cell.sessions) for cell in groups["sex"].cells} == {
        "female": (31, 31), "male": (0, 31), "unknown": (0, 31),
    }  # fmt: skip
    assert groups["sex"].failing == ("female",)
    assert groups["sex"].leaving == ()
    assert rates(area="112").total.sessions == 31
    assert rates(tops=frozenset({"111"})).total.sessions == 62
    assert rates(area="1111", tops=frozenset({"11112"})).total.sessions == 31
    assert rates(area="112", tops=frozenset({"111"})).total.sessions == 0
    assert totals(asked(district, Cut.AREA, level=5, tops=frozenset({"11112", "112"}))) == {"11112": 3, "112": 4}
    assert totals(asked(district, Cut.AREA, level=5, area="111", tops=frozenset({"11112", "112"}))) == {"11112": 3}
    assert asked(district, Cut.AREA, area="elsewhere", tops=frozenset({"111"})).lines == ()


def test_a_snapshot_is_taken_once_a_day_kept_for_a_while_and_compared(district: Any, terminal: Any) -> None:
    def snap(moment: datetime) -> bool:
        district.now = moment
        return take_snapshot(district.database, keep_days=400, zone=district.settings.zone(), now=moment)

    first = datetime(2026, 11, 18, 17, tzinfo=UTC)
    assert snap(first)
    assert not snap(first + timedelta(hours=3)), "once a day"
    before = district.rows("SELECT sum(people) FROM statistics_snapshot_rows WHERE scheme IS NULL")
    assert before == [(14,)]
    people = list(district.people)
    district.now = first + timedelta(hours=12)
    certify(district, terminal, people[0], date(2026, 11, 19))
    assert snap(first + timedelta(days=1))
    then = Question(Cut.AREA, date(2026, 11, 19), date(2026, 11, 19))
    now = Question(Cut.AREA, date(2026, 11, 20), date(2026, 11, 20))
    with district.database.begin() as connection:
        changes = {(c.key, c.state): (c.before, c.after) for c in trend(connection, then, now)}
        assert changes["111", "certified"] == (0, 1)
        assert changes["111", "overdue"] == (5, 4)
        by_scheme = count_then(connection, Question(Cut.SCHEME, now.as_of, now.as_of))
        assert totals(by_scheme) == {"pension": 14}
        live = count(connection, now, zone=district.settings.zone())
        assert [(line.key, line.counts) for line in live.lines] == [
            (line.key, line.counts) for line in count_then(connection, now).lines
        ]
        with pytest.raises(NotFound, match=r"2026-11-01: the nearest is of 2026-11-19"):
            count_then(connection, Question(Cut.AREA, date(2026, 11, 1), date(2026, 11, 1)))
        with pytest.raises(Refused, match="area, scheme and state"):
            count_then(connection, Question(Cut.AGE, now.as_of, now.as_of))
    assert snap(first + timedelta(days=401))
    assert district.rows("SELECT day FROM statistics_snapshots ORDER BY day")[0][0] == date(2026, 11, 20)


def test_serve_counts_everybody_once_a_day(district: Any) -> None:
    handler = make_handler(Fleet(district.settings, district.keys, district.database, district.clock))
    for _ in range(2):
        handler.clean()
    assert district.rows("SELECT day FROM statistics_snapshots") == [(TODAY,)]


def test_r9_1_r9_4_due_people_of_a_village_and_the_status_of_one(district: Any, terminal: Any) -> None:
    people = list(district.people)
    certify(district, terminal, people[0], date(2026, 3, 1))
    with district.database.begin() as connection:
        due = to_certify(connection, unit=None, areas=["11111", "11112"], today=TODAY)
        assert {found.subject_id for found in due} == set(people[1:5])
        assert not any(found.has_act for found in due)
        stand = {
            (found.area, found.state.value): found.people for found in counts(connection, within=None, today=TODAY)
        }
        assert stand == {
            ("11111", "certified"): 1, ("11111", "never_certified"): 1, ("11112", "never_certified"): 3,
            ("112", "never_certified"): 4, ("elsewhere", "never_certified"): 5,
        }  # fmt: skip
        one = status_of_person(connection, people[0], TODAY)
        assert (one.state.value, one.strictest.due) == ("certified", date(2027, 3, 1))
        (obligation,) = pack_standings(connection, [people[0]])[people[0]]
        assert (obligation.scheme, obligation.pack_id, obligation.last_day, obligation.due) == (
            "pension", "SX-2018", date(2026, 3, 1), date(2027, 3, 1),
        )  # fmt: skip
        assert obligation.state(date(2027, 3, 2)).value == "overdue"
        assert pack_standings(connection, ["nobody"]) == {}
        with pytest.raises(NotFound):
            status_of_person(connection, "nobody", TODAY)


def test_tables_are_written_as_csv_xlsx_and_json(tmp_path: Path) -> None:
    sheet = Sheet("by area", ("key", "name", "people"), (("111", "东县", 5), ("=1+1", "@x", 2)))
    for ending in ("csv", "xlsx", "json"):
        path = tmp_path / f"out.{ending}"
        path.write_text("old")
        export(path, [sheet, sheet])
    assert (tmp_path / "out.csv").read_bytes().startswith(b"\xef\xbb\xbfkey,name,people\r\n")
    rows = list(csv.reader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8-sig"))))
    assert rows[:3] == [["key", "name", "people"], ["111", "东县", "5"], ["\t=1+1", "\t@x", "2"]]
    book = load_workbook(tmp_path / "out.xlsx")
    assert [[cell.value for cell in row] for row in book.worksheets[0].iter_rows()][1:] == [
        ["111", "东县", 5],
        ["=1+1", "@x", 2],
    ]
    book.close()
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["by area"][0] == {
        "key": "111", "name": "东县", "people": 5,
    }  # fmt: skip
    with pytest.raises(Refused, match=r"\.csv"):
        export(tmp_path / "out.doc", [sheet])
    with pytest.raises(Refused, match="cannot be written"):
        export(tmp_path / "none" / "out.csv", [sheet])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.json", "out.xlsx"]


def test_an_area_that_is_in_no_tree_is_its_own_ancestor() -> None:
    areas = {area.code: area for area in AREAS}
    assert [ancestor(code, areas, 3) for code in ("11111", "111", "11", "none")] == ["111", "111", "11", "none"]


def test_the_benchmarks_population_answers_what_it_asks(database_url: str, database: Any, tmp_path: Path) -> None:
    make_keys(tmp_path / "keys", key_domain="d1")
    ids = bench_agency.fill(database_url, database, 2_000, load_keys(tmp_path / "keys").cipher)
    found = bench_agency.measure(database, tmp_path, ids, 20)
    assert set(found["statistics_ms"]) == {cut.value for cut in Cut}
    assert found["reminders_planned"] > 0
    with database.begin() as connection:
        people = connection.execute(
            text("SELECT count(*) FROM statuses JOIN obligations USING (subject_id)")
        ).scalar_one()
        found_in = counts(connection, within=None, today=TODAY)
    assert people == 2_200
    villages: dict[str, int] = {}
    for each in found_in:
        villages[each.area] = villages.get(each.area, 0) + each.people
    assert villages == {
        bench_agency.village_of(0): 800, bench_agency.village_of(800): 800, bench_agency.village_of(1600): 400,
    }  # fmt: skip
    states = {each.state.value for each in found_in}
    assert states == {"never_certified", "certified", "expiring", "overdue"}
