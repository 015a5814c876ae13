"""What contradicts itself is kept: whatever changes, it is what is found when everything is worked out anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import pytest

from fleet.benefits.acts import take_acts
from fleet.benefits.reporting import Report, ReportDesk
from fleet.exchange import reports
from fleet.exchange.definitions import catalogue
from fleet.exchange.resolving import Keep, open_contradictions
from fleet.exchange.taking_up import take_up
from fleet.intake.areas import import_areas
from fleet.status.contradictions import Contradiction
from fleet.status.doubts import open_doubts
from fleet.store.acts import NewAct
from fleet.store.areas import Area
from fleet.store.life_events import NewLifeEvent
from fleet.store.subjects import all_ids
from protocol.rules.acts import ActKind, Channel
from protocol.rules.life import LifeEventKind
from tests.integration.fleet.test_erasure import erase
from tests.integration.fleet.test_feeds import Exchange, areas, judge, row

pytestmark = pytest.mark.integration

VILLAGE = "140105001001"
NEIGHBOURS = "140105001002"
ZERO = "zero_report"
DAYS = "death_days"
AFTER = "alive_after_death"


class Town(Exchange):
    """An exchange with one person in a village, whose contradictions are looked at after each change."""

    def __init__(self, office: Any) -> None:
        super().__init__(office)
        areas(office)
        self.add("deaths", "travel", "village_deaths")
        self.live_in(VILLAGE)
        (self.person,) = office.people
        self.zone = office.settings.zone()

    def live_in(self, area: str, name: str = "甲") -> None:
        self.office.import_people(1, first=7, area=area, name=name)

    def kept(self) -> list[Contradiction]:
        with self.office.database.begin() as connection:
            kept = open_contradictions(connection)
            found = open_doubts(connection, all_ids(connection), zone=self.zone)
        assert sorted(kept, key=repr) == sorted(found, key=repr)
        assert kept == sorted(kept, key=lambda each: (each.since, each.contradiction_id))
        return kept

    def kinds(self) -> list[str]:
        return sorted(each.kind.value for each in self.kept())

    def one(self, kind: str) -> str:
        return next(each.contradiction_id for each in self.kept() if each.kind.value == kind)

    def desk(self, connection: Any) -> ReportDesk:
        office = self.office
        judging = partial(judge, office)
        return ReportDesk(connection, office.keys.cipher, judging=judging, now=office.now, zone=self.zone)

    def report(self, kind: LifeEventKind, since: date) -> str:
        report = Report(self.person, kind, since, None, "family", since, None)
        with self.office.database.begin() as connection:
            taken = self.desk(connection).take(report, by="Li Na", is_sure=True)
        assert taken.event_id is not None
        return taken.event_id

    def told(self, kind: LifeEventKind, since: date) -> None:
        said = NewLifeEvent(self.person, kind, since, None, "partner:clinic", f"{kind}", confirmed=False)
        with self.office.database.begin() as connection:
            reports.take_in(connection, [said], now=self.office.now, zone=self.zone)

    def certified(self, kind: ActKind) -> None:
        act = NewAct(self.person, kind, Channel.COUNTER, self.office.now, "case", kind.value)
        with self.office.database.begin() as connection:
            take_acts(connection, [act], now=self.office.now, zone=self.zone)


@pytest.fixture
def town(office: Any) -> Town:
    return Town(office)


def test_reports_acts_and_decisions(town: Town) -> None:
    town.deliver("deaths", 1, row(7, "2026-10-03"))
    assert town.kinds() == []
    report = town.report(LifeEventKind.DEATH, date(2026, 10, 2))
    assert town.kinds() == [DAYS]
    with town.office.database.begin() as connection:
        town.desk(connection).withdraw(report, by="Li Na", why="the wrong person")
    assert town.kinds() == []
    town.told(LifeEventKind.TRAVEL, date(2026, 10, 9))
    assert town.kinds() == [AFTER]
    town.certified(ActKind.ACCEPTED)
    assert town.kinds() == [AFTER, AFTER]
    certified = next(each.contradiction_id for each in town.kept() if each.second.what == "accepted")
    town.resolve(certified, Keep.FIRST)
    assert town.kinds() == [AFTER], "the act is withdrawn"
    town.resolve(town.one(AFTER), Keep.BOTH)
    assert town.kinds() == []
    town.office.rebuild()
    assert town.kinds() == [], "what somebody decided stays decided"
    town.deliver("travel", 1, row(7, "2026-10-20"))
    town.deliver("deaths", 2, row(7, "2026-10-05", name="乙7"))
    assert town.kinds() == [AFTER, "name_differs"]
    town.live_in(VILLAGE, name="乙")
    assert town.kinds() == [AFTER, AFTER, AFTER, DAYS]
    town.deliver("deaths", 3, row(8, "2026-10-05"), corrects=2)
    assert town.kinds() == [AFTER]
    town.deliver("deaths", 4, row(8, "2026-10-05"), corrects=1)
    assert town.kinds() == []


def test_an_absence_that_is_over(town: Town) -> None:
    report = town.report(LifeEventKind.MISSING, date(2026, 9, 1))
    town.told(LifeEventKind.HOSPITAL, date(2026, 10, 9))
    assert town.kinds() == ["seen_while_missing"]
    with town.office.database.begin() as connection:
        town.desk(connection).end(report, on=date(2026, 10, 1), by="Li Na", why="found")
    assert town.kinds() == []


def test_a_row_that_is_about_nothing_is_decided(town: Town) -> None:
    """A row without a life event, with another name."""
    town.add("household_register")
    town.deliver("household_register", 1, row(7, "2026-10-03", name="乙7", code="在册"))
    assert town.kinds() == ["name_differs"]
    town.resolve(town.one("name_differs"), Keep.SECOND)
    assert (town.kinds(), town.events()) == ([], [])
    town.deliver("household_register", 2, row(7, "2026-10-04", name="乙7", code="在册"))
    town.live_in(VILLAGE, name="乙")
    assert (town.kinds(), town.events()) == ([], [])


def test_passes_of_terminals(town: Town, make_fleet_terminal: Callable[..., Any]) -> None:
    office = town.office
    terminal = make_fleet_terminal()
    office.register(terminal, area=VILLAGE)
    office.assign_all(terminal.terminal_id)
    office.hold_references()
    first, second = (terminal.next(subject_id=town.person, token=office.people[town.person]) for _ in range(2))
    town.add("deaths", first="2026-01")
    town.deliver("deaths", 1, row(7, "2026-01-05"))
    assert town.kinds() == []
    office.send(terminal, second)
    assert office.rows("SELECT flags FROM records")[0].flags == ["life_event"], "it is held"
    town.deliver("deaths", 2, row(8, "2026-01-05"), corrects=1)
    office.send(terminal, first)
    town.deliver("deaths", 3, row(7, "2026-01-06"))
    assert town.kinds() == [AFTER], "a pass that was here before"


def test_zero_reports(town: Town) -> None:
    town.zero("village_deaths", VILLAGE)
    assert town.kinds() == []
    town.deliver("deaths", 1, row(7, "2026-10-03"))
    assert town.kinds() == [ZERO]
    town.live_in(NEIGHBOURS)
    assert town.kinds() == [], "the village did not report for whoever moved away"
    town.zero("village_deaths", NEIGHBOURS)
    assert town.kinds() == [ZERO]
    other = catalogue().feeds["village_deaths"].model_copy(update={"kinds": (LifeEventKind.BURIAL,)})
    told = {"first": None, "by": "Li Na", "now": town.office.now, "zone": town.zone}
    take_up(town.office.database, town.office.keys, "village_deaths", other, **told)
    assert town.kinds() == [], "it is not asked for deaths any more"
    take_up(town.office.database, town.office.keys, "village_deaths", catalogue().feeds["village_deaths"], **told)
    assert town.kinds() == [ZERO]
    town.deliver("village_deaths", 1, row(7, "2026-10-03", kind="death"), area=NEIGHBOURS, corrects=0)
    assert town.kinds() == []
    town.zero("village_deaths", NEIGHBOURS, corrects=1)
    assert town.kinds() == [ZERO]
    town.resolve(town.one(ZERO), Keep.BOTH)
    assert town.kinds() == []


def test_a_village_that_comes_below_another_town(town: Town) -> None:
    town.add("village_deaths", area_level=4)
    town.zero("village_deaths", "140105001")
    town.deliver("deaths", 1, row(7, "2026-10-03"))
    assert town.kinds() == [ZERO]
    moved = [Area("140105002", "140105", 4, "北营街道"), Area(VILLAGE, "140105002", 5, "甲社区")]
    import_areas(town.office.database, town.office.keys, moved, by="Li Na", now=town.office.now, zone=town.zone)
    assert town.kinds() == []


def test_an_erasure(town: Town) -> None:
    town.deliver("deaths", 1, row(7, "2026-10-03"))
    town.deliver("deaths", 2, row(7, "2026-10-04"))
    assert town.kinds() == [DAYS]
    erase(town.office, town.person)
    assert town.office.rows("SELECT * FROM open_contradictions") == []


def test_an_older_database_is_filled_once_everybody_is_projected(town: Town) -> None:
    """As migration 0036 leaves it: empty, and everybody is to be projected."""
    town.zero("village_deaths", VILLAGE)
    for number, (day, name) in enumerate((("03", "甲7"), ("04", ""), ("05", "乙")), start=1):
        town.deliver("deaths", number, row(7, f"2026-10-{day}", name=name))
    kept = town.kept()
    assert len(kept) == 4
    with town.office.database.begin() as connection:
        for table in ("open_contradictions", "projected_with"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    town.office.handler.clean()
    assert town.kept() == kept
    town.office.rebuild()
    assert town.kept() == kept
