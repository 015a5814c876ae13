"""Deliveries of feeds on the real database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from fleet.benefits.i_am_here import look_again
from fleet.benefits.i_am_here import resolve as resolve_here
from fleet.errors import ImportRefused, NotFound, Refused
from fleet.exchange import reports
from fleet.exchange.cycles import parse_month
from fleet.exchange.definitions import catalogue
from fleet.exchange.deliveries import Report, take_in, zero_report
from fleet.exchange.delivery_csv import Place, read_delivery
from fleet.exchange.effects import settle_all
from fleet.exchange.lists import (
    feed_standings,
    is_anything_missing,
    loss_list,
    overdue_compared,
    people_abroad,
    register_checks,
)
from fleet.exchange.messages import DeliveredRow, Delivery
from fleet.exchange.resolving import Keep, Resolution, close_with_case, open_contradictions, resolve
from fleet.exchange.results_csv import export_results
from fleet.store import feeds as store
from fleet.store.acts import NewAct, add_acts
from fleet.store.areas import Area, save_areas
from fleet.store.contradictions import add_resolution
from fleet.store.feeds import StoredFeed
from fleet.store.life_events import NewLifeEvent, add_life_events, withdraw_life_event
from fleet.store.packs import put_in_force as put
from fleet.store.packs import save_proposal
from fleet.store.subjects import lock_subjects
from protocol.documents import check_digit
from protocol.errors import Malformed
from protocol.rules.acts import ActKind, Channel
from protocol.rules.life import LifeEventKind
from protocol.rules.pack import parse_pack
from protocol.shipped_packs import shipped_text

pytestmark = pytest.mark.integration


def number(serial: int = 1) -> str:
    digits = f"99999919400101{serial:03d}"
    return digits + check_digit(digits)


def row(serial: int, since: str, **more: str) -> DeliveredRow:
    return DeliveredRow(document_number=number(serial), since=since, **more)


def judge(office: Any, connection: Any, subject_ids: Any) -> None:
    office.settling.judge_anew(connection, subject_ids, now=office.now)


@dataclass
class Exchange:
    """An office with feeds."""

    office: Any

    def add(self, *names: str, first: str = "2026-10", **changes: Any) -> None:
        with self.office.database.begin() as connection:
            for name in names:
                definition = catalogue().feeds[name].model_copy(update=changes)
                feed = StoredFeed(name, definition.model_dump(mode="json"), parse_month(first), self.office.now)
                store.save_feed(connection, feed)

    def deliver(self, feed: str, number: int, *rows: DeliveredRow, **more: Any) -> Report:
        period = more.pop("period", "2026-10")
        return self.take_in(Delivery(feed=feed, period=period, number=number, rows=rows, **more))

    def take_in(self, delivery: Delivery, **more: Any) -> Report:
        given = {"now": self.office.now, "zone": self.office.settings.zone(), "unknown_days": 400, **more}
        return take_in(self.office.database, self.office.keys, delivery, actor="Li Na", **given)

    def zero(self, feed: str, area: str = "", *, period: str = "2026-10", corrects: int | None = None) -> bool:
        return zero_report(
            self.office.database,
            self.office.keys,
            feed,
            parse_month(period),
            area=area,
            corrects=corrects,
            actor="Li Na",
            now=self.office.now,
            zone=self.office.settings.zone(),
        )

    def resolve(self, contradiction_id: str, keep: Keep, name: str = "Li Na") -> Resolution:
        office = self.office
        return resolve(
            office.database,
            office.keys,
            contradiction_id,
            keep,
            name=name,
            reason="Asked the register",
            judging=partial(judge, office),
            now=office.now,
            zone=office.settings.zone(),
        )

    def contradictions(self) -> list[Any]:
        with self.office.database.begin() as connection:
            return open_contradictions(connection)

    def events(self) -> list[tuple[str, str, str]]:
        found = self.office.rows(
            "SELECT kind, since, source FROM life_events WHERE withdrawn_at IS NULL ORDER BY 1, 2, 3"
        )
        return [(each.kind, each.since.isoformat(), each.source) for each in found]

    def silent_days(self) -> list[str]:
        found = self.office.rows(
            "SELECT acted_at FROM acts WHERE kind = 'silent' AND withdrawn_at IS NULL ORDER BY acted_at"
        )
        return [each.acted_at.astimezone(self.office.settings.zone()).date().isoformat() for each in found]

    def statuses(self) -> list[tuple[str | None, date]]:
        found = self.office.rows("SELECT last_act_kind, due FROM statuses ORDER BY subject_id")
        return [(each.last_act_kind, each.due) for each in found]


@pytest.fixture
def exchange(office: Any) -> Exchange:
    office.import_people(3)
    return Exchange(office)


def test_r8_7_a_death_is_stored_confirmed_and_ends_payment_from_the_next_month(exchange: Exchange) -> None:
    exchange.add("deaths")
    done = exchange.deliver("deaths", 1, row(1, "2026-10-31", name="甲1"))
    assert (done.rows, done.known, done.unknown, done.names_differ) == (1, 1, 0, 0)
    assert exchange.events() == [("death", "2026-10-31", "feed:deaths")]
    with exchange.office.database.begin() as connection:
        ((subject_id, loss),) = loss_list(
            connection, date(2026, 10, 1), date(2026, 11, 1), zone=exchange.office.settings.zone()
        )
    assert subject_id == next(iter(exchange.office.people))
    assert (loss.since, loss.first_unpaid) == (date(2026, 10, 31), date(2026, 11, 1)), "R7-9"


def test_a_delivery_that_comes_twice_changes_nothing(exchange: Exchange) -> None:
    exchange.add("travel")
    first = exchange.deliver("travel", 1, row(1, "2026-10-03"), row(2, "2026-10-04"))
    before = exchange.office.rows("SELECT * FROM life_events ORDER BY event_id")
    again = exchange.deliver("travel", 1, row(2, "2026-10-04"), row(1, "2026-10-03"))
    assert (first.certified, again.is_repeated, again.certified) == (2, True, 0)
    assert exchange.office.rows("SELECT * FROM life_events ORDER BY event_id") == before
    with pytest.raises(Refused, match="came before and said something else"):
        exchange.deliver("travel", 1, row(1, "2026-10-05"))


def test_the_same_row_in_two_deliveries_is_one_event(exchange: Exchange) -> None:
    exchange.add("deaths")
    exchange.deliver("deaths", 1, row(1, "2026-10-03"))
    exchange.deliver("deaths", 1, row(1, "2026-10-03"), row(2, "2026-11-04"), period="2026-11")
    assert exchange.events() == [("death", "2026-10-03", "feed:deaths"), ("death", "2026-11-04", "feed:deaths")]


def test_a_correction_withdraws_what_it_does_not_say_any_more(exchange: Exchange) -> None:
    exchange.add("travel")
    exchange.deliver("travel", 1, row(1, "2026-10-03"), row(2, "2026-10-04"))
    assert exchange.silent_days() == ["2026-10-03", "2026-10-04"]
    done = exchange.deliver("travel", 2, row(1, "2026-10-03"), row(3, "2026-10-09"), corrects=1)
    assert (done.certified, done.withdrawn) == (1, 1)
    assert exchange.silent_days() == ["2026-10-03", "2026-10-09"]
    assert sorted(str(kind) for kind, _ in exchange.statuses()) == ["None", "silent", "silent"]
    with pytest.raises(Refused, match="was corrected by 2 already"):
        exchange.deliver("travel", 3, row(1, "2026-10-03"), corrects=1)


def test_what_a_second_correction_says_again_stands_again(exchange: Exchange) -> None:
    exchange.add("travel")
    exchange.deliver("travel", 1, row(1, "2026-10-03"))
    exchange.deliver("travel", 2, row(2, "2026-10-04"), corrects=1)
    exchange.deliver("travel", 3, row(1, "2026-10-03"), corrects=2)
    assert exchange.silent_days() == ["2026-10-03"]
    history = exchange.office.rows(
        "SELECT since, withdrawn_at IS NULL AS stands FROM life_events ORDER BY received_at, 1, 2"
    )
    assert sorted(each.stands for each in history) == [False, False, True], "what was withdrawn stays so"


def test_a_correction_that_comes_first_makes_what_it_corrects_come_too_late(exchange: Exchange) -> None:
    exchange.add("travel")
    done = exchange.deliver("travel", 2, row(2, "2026-10-04"), corrects=1)
    assert done.awaits == 1
    exchange.deliver("travel", 1, row(1, "2026-10-03"))
    assert exchange.silent_days() == ["2026-10-04"]


def test_a_row_id_that_says_something_else_is_a_correction_or_refused(exchange: Exchange) -> None:
    exchange.add("deaths")
    exchange.deliver("deaths", 1, row(1, "2026-10-03", row_id="7"))
    with pytest.raises(ImportRefused) as refused:
        exchange.deliver("deaths", 2, row(2, "2026-10-01"), row(1, "2026-10-04", row_id="7"))
    assert refused.value.problems == [
        "row 2: its row id was delivered before and said something else; deliver it as a correction"
    ]
    assert exchange.events() == [("death", "2026-10-03", "feed:deaths")], "nothing half done"
    exchange.deliver("deaths", 2, row(1, "2026-10-04", row_id="7"), corrects=1)
    assert exchange.events() == [("death", "2026-10-04", "feed:deaths")]


def test_who_is_imported_later_meets_what_was_said_of_them(exchange: Exchange) -> None:
    exchange.add("travel")
    done = exchange.deliver("travel", 1, row(4, "2026-10-03", name="甲4"), row(5, "2026-10-03", name="乙"))
    assert (done.known, done.unknown) == (0, 2)
    assert exchange.events() == []
    exchange.office.import_people(2, first=4)
    assert exchange.silent_days() == ["2026-10-03"]
    assert [each.kind.value for each in exchange.contradictions()] == ["name_differs"]


def test_rows_about_strangers_are_forgotten_after_a_time_and_hold_no_name(exchange: Exchange) -> None:
    exchange.add("travel")
    exchange.deliver("travel", 1, row(9, "2026-10-03", name="王小明", row_id="row-77"))
    stored = repr(exchange.office.rows("SELECT * FROM feed_rows"))
    assert number(9) not in stored
    assert "王小明" not in stored
    assert "row-77" not in stored
    exchange.office.now += timedelta(days=400)
    exchange.deliver("travel", 1, row(1, "2026-11-03"), period="2026-11")
    assert len(exchange.office.rows("SELECT * FROM feed_rows WHERE subject_id IS NULL")) == 1
    exchange.office.now += timedelta(days=1)
    exchange.deliver("travel", 2, row(1, "2026-11-04"), period="2026-11")
    assert exchange.office.rows("SELECT * FROM feed_rows WHERE subject_id IS NULL") == []


def test_r4_27_silent_certification_changes_the_status_in_the_same_transaction(exchange: Exchange) -> None:
    exchange.add("hospital_stays")
    exchange.deliver("hospital_stays", 1, row(1, "2026-10-03", until="2026-10-20"))
    assert ("silent", date(2027, 10, 3)) in exchange.statuses()
    (act,) = exchange.office.rows("SELECT channel, source FROM acts")
    assert (act.channel, act.source) == ("data", "feed:hospital_stays")
    before = exchange.office.rows("SELECT * FROM statuses ORDER BY subject_id")
    exchange.office.rebuild()
    assert exchange.office.rows("SELECT * FROM statuses ORDER BY subject_id") == before


def test_r4_27_a_death_reported_later_takes_the_silent_act_back(exchange: Exchange) -> None:
    exchange.add("travel", "deaths", "cremations")
    exchange.deliver("travel", 1, row(1, "2026-10-20"))
    assert exchange.silent_days() == ["2026-10-20"]
    exchange.deliver("deaths", 1, row(1, "2026-10-03"))
    assert exchange.silent_days() == []
    (found,) = exchange.contradictions()
    assert (found.kind.value, found.first.what, found.second.what) == ("alive_after_death", "death", "travel")
    assert exchange.events() == [("death", "2026-10-03", "feed:deaths"), ("travel", "2026-10-20", "feed:travel")]


def test_a_death_is_withdrawn_by_two_persons_and_life_certifies_again(exchange: Exchange) -> None:
    exchange.add("travel", "deaths")
    exchange.deliver("deaths", 1, row(1, "2026-10-03"))
    exchange.deliver("travel", 1, row(1, "2026-10-20"))
    (found,) = exchange.contradictions()
    one = exchange.resolve(found.contradiction_id, Keep.SECOND)
    assert (one.is_done, exchange.silent_days()) == (False, [])
    with pytest.raises(Refused, match="second person"):
        exchange.resolve(found.contradiction_id, Keep.SECOND, " li  NA")
    two = exchange.resolve(found.contradiction_id, Keep.SECOND, "Wang Wei")
    assert two.is_done
    assert two.withdrawn == found.first.ref
    assert exchange.contradictions() == []
    assert exchange.silent_days() == ["2026-10-20"]
    exchange.deliver("deaths", 1, row(1, "2026-10-03"), row(2, "2026-11-02"), period="2026-11")
    assert ("death", "2026-10-03", "feed:deaths") not in exchange.events(), (
        "what persons decided is not undone by a list"
    )
    assert [entry.action for entry in exchange.office.rows("SELECT action FROM audit_log ORDER BY entry")] == [
        "delivery.taken_in",
        "delivery.taken_in",
        "contradiction.approved",
        "contradiction.resolved",
        "delivery.taken_in",
    ]


def test_one_person_withdraws_a_sign_of_life_or_keeps_both(exchange: Exchange) -> None:
    exchange.add("travel", "deaths")
    exchange.deliver("deaths", 1, row(1, "2026-10-03"), row(2, "2026-10-03"))
    exchange.deliver("travel", 1, row(1, "2026-10-20"), row(2, "2026-10-20"))
    first, second = exchange.contradictions()
    assert exchange.resolve(first.contradiction_id, Keep.FIRST) == Resolution(True, first.second.ref)
    assert exchange.resolve(second.contradiction_id, Keep.BOTH) == Resolution(True, None)
    assert exchange.contradictions() == []
    assert [kind for kind, _, _ in exchange.events()] == ["death", "death", "travel"]
    with pytest.raises(NotFound):
        exchange.resolve(first.contradiction_id, Keep.BOTH)


def test_of_two_persons_who_resolve_at_once_one_is_told_that_it_is_done(exchange: Exchange) -> None:
    exchange.add("travel", "deaths")
    exchange.deliver("deaths", 1, row(1, "2026-10-03"))
    exchange.deliver("travel", 1, row(1, "2026-10-20"))
    (found,) = exchange.contradictions()
    office = exchange.office
    with ThreadPoolExecutor(1) as pool:
        with office.database.begin() as connection:
            lock_subjects(connection, [found.subject_id])
            add_resolution(connection, found.contradiction_id, found.subject_id, "both", now=office.now)
            other = pool.submit(exchange.resolve, found.contradiction_id, Keep.FIRST, "Wang Wei")
            office.wait_for_somebody_waiting()
        with pytest.raises(NotFound, match="none of this id is open"):
            other.result()
    assert [kind for kind, _, _ in exchange.events()] == ["death", "travel"]


def test_r8_5_a_death_of_whatever_source_leaves_nobody_silently_certified(exchange: Exchange) -> None:
    office = exchange.office
    exchange.add("travel")
    exchange.deliver("travel", 1, row(1, "2026-10-03"))
    assert exchange.silent_days() == ["2026-10-03"]
    (subject_id,) = office.rows("SELECT subject_id FROM acts")[0]
    judging = partial(office.settling.judge_anew, now=office.now)
    again = {"judging": judging, "now": office.now, "zone": office.settings.zone()}
    report = NewLifeEvent(subject_id, LifeEventKind.DEATH, date(2026, 11, 2), None, "family", "1", confirmed=False)
    with office.database.begin() as connection:
        (event_id,) = add_life_events(connection, [report], now=office.now)
        look_again(connection, [subject_id], **again)
    assert exchange.silent_days() == []
    assert [kind for kind, _ in exchange.statuses()] == [None, None, None]
    with office.database.begin() as connection:
        withdraw_life_event(connection, event_id, now=office.now)
        look_again(connection, [subject_id], **again)
    assert exchange.silent_days() == ["2026-10-03"], "it was wrong"


def test_a_report_of_the_family_is_withdrawn_the_same_way(exchange: Exchange) -> None:
    exchange.add("deaths")
    exchange.deliver("deaths", 1, row(1, "2026-10-03"))
    subject_id = next(iter(exchange.office.people))
    report = NewLifeEvent(subject_id, LifeEventKind.DEATH, date(2026, 10, 2), None, "family", "1", confirmed=False)
    with exchange.office.database.begin() as connection:
        reports.take_in(connection, [report], now=exchange.office.now, zone=exchange.office.settings.zone())
    (found,) = exchange.contradictions()
    assert found.kind.value == "death_days"
    keep = Keep.FIRST if found.first.source == "feed:deaths" else Keep.SECOND
    exchange.resolve(found.contradiction_id, keep)
    exchange.resolve(found.contradiction_id, keep, "Wang Wei")
    assert exchange.events() == [("death", "2026-10-03", "feed:deaths")]


def certified_against_a_death(exchange: Exchange) -> tuple[str, Any]:
    """Let a special certification and a reported death meet; return who it is, and the contradiction. The case is open."""
    office = exchange.office
    subject_id = next(iter(office.people))
    exchange.add("deaths")
    exchange.deliver("deaths", 1, row(1, "2026-10-03"))
    act = NewAct(subject_id, ActKind.SPECIAL, Channel.PHOTOGRAPHS, office.now, "case", "1")
    with office.database.begin() as connection:
        add_acts(connection, [act], now=office.now)
        zone = office.settings.zone()
        assert look_again(connection, [subject_id], judging=partial(judge, office), now=office.now, zone=zone)
    (found,) = exchange.contradictions()
    return subject_id, found


def here(office: Any, subject_id: str, resolution: Any) -> None:
    """Let two persons decide an i-am-here case, and what is decided with it."""
    for by in ("Li Na", "Wang Wei"):
        with office.database.begin() as connection:
            resolve_here(
                connection,
                office.keys.cipher,
                subject_id,
                resolution,
                by=by,
                why="seen at the counter",
                judging=partial(judge, office),
                now=office.now,
                zone=office.settings.zone(),
                also=lambda connection, case, _: close_with_case(connection, case, now=office.now),
            )


def test_two_persons_who_withdraw_the_report_close_the_case_of_the_pass_with_it(exchange: Exchange) -> None:
    subject_id, found = certified_against_a_death(exchange)
    assert not exchange.resolve(found.contradiction_id, Keep.SECOND).is_case_closed
    assert exchange.office.rows("SELECT 1 FROM i_am_here WHERE resolved_at IS NULL"), "one person decides nothing"
    assert exchange.resolve(found.contradiction_id, Keep.SECOND, "Wang Wei").is_case_closed
    (case,) = exchange.office.rows("SELECT resolution, resolved_at FROM i_am_here")
    assert (case.resolution, case.resolved_at) == ("alive", exchange.office.now)
    (file,) = exchange.office.rows("SELECT state, frozen_by FROM benefit_files")
    assert (file.state, list(file.frozen_by)) == ("paying", [])
    with pytest.raises(NotFound):
        here(exchange.office, subject_id, "alive")


def test_the_case_stays_open_while_another_report_stands_against_the_pass(exchange: Exchange) -> None:
    subject_id, found = certified_against_a_death(exchange)
    village = NewLifeEvent(subject_id, LifeEventKind.DEATH, date(2026, 10, 3), None, "village", "1", False)
    with exchange.office.database.begin() as connection:
        add_life_events(connection, [village], now=exchange.office.now)
    exchange.resolve(found.contradiction_id, Keep.SECOND)
    assert not exchange.resolve(found.contradiction_id, Keep.SECOND, "Wang Wei").is_case_closed
    assert exchange.office.rows("SELECT 1 FROM i_am_here WHERE resolved_at IS NULL")


@pytest.mark.parametrize("resolution", ["alive", "report_stands"])
def test_what_two_persons_decide_of_the_pass_decides_the_contradiction(exchange: Exchange, resolution: str) -> None:
    subject_id, _ = certified_against_a_death(exchange)
    here(exchange.office, subject_id, resolution)
    assert exchange.contradictions() == []
    assert len(exchange.events()) == (0 if resolution == "alive" else 1)


def test_a_pass_after_a_reported_death_is_shown_and_stays(
    exchange: Exchange, make_fleet_terminal: Callable[..., Any]
) -> None:
    office = exchange.office
    terminal = make_fleet_terminal()
    office.register(terminal)
    office.assign_all(terminal.terminal_id)
    office.hold_references()
    subject_id, token = next(iter(office.people.items()))
    office.send(terminal, terminal.next(subject_id=subject_id, token=token))
    (passed,) = office.rows("SELECT pass_at FROM records")
    assert passed.pass_at is not None
    exchange.add("deaths", first="2026-01")
    exchange.deliver("deaths", 1, row(1, "2026-01-05"))
    (found,) = exchange.contradictions()
    assert (found.kind.value, found.second.what) == ("alive_after_death", "live")
    with pytest.raises(Refused, match="a pass of a terminal cannot be withdrawn here"):
        exchange.resolve(found.contradiction_id, Keep.FIRST)
    assert exchange.contradictions() == [found]


def test_another_name_has_no_effect_until_somebody_accepts_it(exchange: Exchange) -> None:
    exchange.add("deaths")
    done = exchange.deliver("deaths", 1, row(1, "2026-10-03", name="乙1"), row(2, "2026-10-03", name="甲 2"))
    assert (done.names_differ, exchange.events()) == (1, [("death", "2026-10-03", "feed:deaths")])
    (found,) = exchange.contradictions()
    with pytest.raises(Refused, match="import-subjects"):
        exchange.resolve(found.contradiction_id, Keep.FIRST)
    assert exchange.resolve(found.contradiction_id, Keep.BOTH).is_done
    assert len(exchange.events()) == 2
    assert exchange.contradictions() == []


def test_a_name_that_is_put_right_by_an_import_takes_effect(exchange: Exchange) -> None:
    exchange.add("deaths")
    exchange.deliver("deaths", 1, row(1, "2026-10-03", name="乙1"))
    assert exchange.events() == []
    exchange.office.import_people(1, name="乙")
    assert exchange.events() == [("death", "2026-10-03", "feed:deaths")]


def areas(office: Any) -> None:
    with office.database.begin() as connection:
        save_areas(
            connection,
            [
                Area("14", None, 1, "山西省"),
                Area("1401", "14", 2, "太原市"),
                Area("140105", "1401", 3, "小店区"),
                Area("140105001", "140105", 4, "坞城街道"),
                Area("140105001001", "140105001", 5, "甲社区"),
                Area("140105001002", "140105001", 5, "乙社区"),
            ],
        )


def test_r8_10_an_area_without_a_zero_report_is_missing(exchange: Exchange) -> None:
    areas(exchange.office)
    exchange.add("village_deaths")
    with pytest.raises(Refused, match="every area of level 5"):
        exchange.zero("village_deaths")
    with pytest.raises(NotFound, match="none of level 5"):
        exchange.zero("village_deaths", "140105001")
    assert exchange.zero("village_deaths", "140105001001")
    assert not exchange.zero("village_deaths", "140105001001"), "twice is once"
    (standing,) = standings(exchange)
    assert standing.missing == (date(2026, 10, 1),)
    assert standing.missing_areas == {date(2026, 10, 1): ("140105001002",)}
    exchange.office.import_people(1, first=7, area="140105001002")
    exchange.deliver("village_deaths", 1, row(7, "2026-10-03", kind="死亡"), area="140105001002")
    assert standings(exchange)[0].missing == ()
    assert exchange.office.rows("SELECT confirmed FROM life_events")[0].confirmed is False


def test_r8_10_a_zero_report_is_corrected_and_not_contradicted_in_silence(exchange: Exchange) -> None:
    areas(exchange.office)
    exchange.add("village_deaths", "deaths")
    exchange.office.import_people(1, first=7, area="140105001001")
    exchange.zero("village_deaths", "140105001001")
    exchange.deliver("deaths", 1, row(7, "2026-10-03"))
    (found,) = exchange.contradictions()
    assert (found.kind.value, found.second.source) == ("zero_report", "feed:deaths")
    with pytest.raises(Refused, match="--corrects"):
        exchange.resolve(found.contradiction_id, Keep.SECOND)
    late = (row(7, "2026-10-03", kind="death"),)
    with pytest.raises(Refused, match="a zero report is here"):
        exchange.deliver("village_deaths", 1, *late, area="140105001001")
    exchange.deliver("village_deaths", 1, *late, area="140105001001", corrects=0)
    assert exchange.contradictions() == []
    with pytest.raises(Refused, match="has rows"):
        exchange.zero("village_deaths", "140105001001")
    assert exchange.zero("village_deaths", "140105001001", corrects=1)
    assert [source for _, _, source in exchange.events()] == ["feed:deaths"]


def standings(exchange: Exchange) -> list[Any]:
    with exchange.office.database.begin() as connection:
        return feed_standings(connection, date(2026, 11, 20))


def test_r8_9_a_monthly_feed_that_did_not_come_is_missing(exchange: Exchange) -> None:
    exchange.add("sentences", "missing", first="2026-09")
    exchange.deliver("sentences", 1, row(1, "2026-10-03"))
    by_name = {each.name: each for each in standings(exchange)}
    assert by_name["sentences"].missing == (date(2026, 9, 1),)
    assert by_name["missing"].due is None, "R8-8: as it happens"
    assert is_anything_missing(list(by_name.values()))
    exchange.zero("sentences", period="2026-09")
    assert not is_anything_missing(standings(exchange))


def test_r8_9_sentence_and_release_of_two_feeds_pair_up(exchange: Exchange) -> None:
    exchange.add("sentences", "releases", first="2026-01")
    exchange.deliver("releases", 1, row(1, "2026-10-20"))
    exchange.deliver("sentences", 1, row(1, "2026-02-03", until="2029-02-03"))
    with exchange.office.database.begin() as connection:
        ((_, loss),) = loss_list(connection, date(2026, 2, 1), date(2026, 3, 1), zone=exchange.office.settings.zone())
    assert (loss.until, loss.first_unpaid) == (date(2026, 10, 20), date(2026, 3, 1))


def test_r8_6_who_is_abroad_and_due_needs_the_form(exchange: Exchange) -> None:
    exchange.add("exit_entry", "deaths", first="2025-10")
    out = [row(n, "2025-10-03", code="出境") for n in (1, 2, 3)]
    exchange.deliver("exit_entry", 1, *out, period="2025-10")
    exchange.deliver("exit_entry", 1, row(2, "2026-10-09", code="入境"))
    with exchange.office.database.begin() as connection:
        found = people_abroad(connection, form_days=49, today=date(2026, 11, 20))
    assert [(each.since, each.due, each.needs_form) for each in found] == [
        (date(2025, 10, 3), date(2026, 10, 3), True)
    ] * 2
    exchange.deliver("deaths", 1, row(3, "2026-10-09"))
    with exchange.office.database.begin() as connection:
        assert len(people_abroad(connection, form_days=49, today=date(2026, 11, 20))) == 1


def test_r8_15_the_household_register_is_checked_beside_certification(exchange: Exchange) -> None:
    exchange.add("household_register", "travel")
    exchange.deliver("household_register", 1, row(1, "2026-10-01", code="在册"), row(2, "2026-10-02", code="迁出"))
    assert exchange.events() == [("register_cancelled", "2026-10-02", "feed:household_register")]
    assert [check.finding for check in checks(exchange)] == ["moved_out", "not_checked", "registered"]
    exchange.deliver("travel", 1, row(1, "2026-11-03"), period="2026-11")
    assert [check.finding for check in checks(exchange)] == ["moved_out", "not_checked", "outdated"]


def test_r7_13_who_moved_out_is_to_declare_it(exchange: Exchange) -> None:
    exchange.add("household_register")
    exchange.deliver("household_register", 1, row(1, "2026-10-02", code="迁出"), row(2, "2026-10-02", code="注销"))
    assert [(check.finding, check.declaration) for check in checks(exchange)] == [
        ("cancelled", True),
        ("moved_out", True),
        ("not_checked", False),
    ]


def checks(exchange: Exchange) -> list[Any]:
    with exchange.office.database.begin() as connection:
        return sorted(register_checks(connection, "east"), key=lambda each: each.finding)


def test_results_of_a_month_are_given_to_other_bodies(exchange: Exchange, tmp_path: Path) -> None:
    who = next(iter(exchange.office.people))
    with exchange.office.database.begin() as connection:
        sealed = exchange.office.keys.cipher.encrypt("=1+1", subject_id=who, field_name="name")
        connection.execute(
            text("UPDATE subjects SET name_sealed = :name WHERE subject_id = :id"), {"name": sealed, "id": who}
        )
    exchange.add("travel")
    exchange.deliver("travel", 1, row(1, "2026-10-03"), row(2, "2026-10-31"))
    exchange.deliver("travel", 1, row(3, "2026-11-01"), period="2026-11")
    out = tmp_path / "results.csv"
    office = exchange.office
    asked = (office.database, office.keys, date(2026, 10, 1), out)
    known = {"actor": "Li Na", "now": office.now, "zone": office.settings.zone()}
    assert export_results(*asked, **known) == 2
    assert out.stat().st_mode & 0o777 == 0o600
    heading, *lines = out.read_text(encoding="utf-8-sig").splitlines()
    assert heading == "document_kind,document_number,document_issuer,name,scheme,day,kind,channel"
    assert sorted(lines) == [
        f"resident_id,\t{number(1)},,\t=1+1,pension,2026-10-03,silent,data",
        f"resident_id,\t{number(2)},,甲2,pension,2026-10-31,silent,data",
    ]
    with pytest.raises(Refused, match="exists already"):
        export_results(*asked, **known)
    (entry,) = office.rows("SELECT detail FROM audit_log WHERE action = 'results.exported'")
    assert entry.detail == {"rows": 2}


def test_r8_4_a_message_is_taken_in_as_a_file_is(exchange: Exchange, tmp_path: Path) -> None:
    exchange.add("travel")
    file = tmp_path / "d.csv"
    file.write_bytes(f"身份证号,姓名,出行日期\n{number(1)},甲1,2026年10月3日\n".encode("gb18030"))
    read = read_delivery(file, "travel", catalogue().feeds["travel"], Place(date(2026, 10, 1), 1))
    assert exchange.take_in(read.delivery).certified == 1
    as_message = Delivery.parse(read.delivery.to_bytes())
    assert exchange.take_in(as_message).is_repeated
    with pytest.raises(Malformed):
        Delivery.parse(read.delivery.to_bytes().replace(b'"rows":[', b'"rows":[{},'))


def test_what_is_refused_leaves_nothing_behind(exchange: Exchange) -> None:
    exchange.add("travel")
    with pytest.raises(ImportRefused) as refused:
        exchange.deliver("travel", 1, row(1, "2026-10-03"), row(2, "2026-11-03"), row(3, "x"))
    assert [problem[:6] for problem in refused.value.problems] == ["row 2:", "row 3:"]
    for name in ("feed_deliveries", "feed_rows", "life_events", "acts", "audit_log"):
        assert exchange.office.rows(f"SELECT * FROM {name}") == []
    with pytest.raises(NotFound, match="feeds add"):
        exchange.deliver("deaths", 1, row(1, "2026-10-03"))
    with pytest.raises(Refused, match="has not begun"):
        exchange.deliver("travel", 1, row(1, "2026-10-03"), period="2026-12")
    with pytest.raises(Refused, match="leave the area out"):
        exchange.deliver("travel", 1, row(1, "2026-10-03"), area="14")


def put_in_force(exchange: Exchange, pack_id: str, *changes: tuple[str, str]) -> None:
    """Put a variant of Shanxi's pack in force for the area of the people here."""
    written = shipped_text("SX-2018")
    for old, new in (("SX-2018", pack_id), ('region = "14"', 'region = "east"'), *changes):
        assert old in written
        written = written.replace(old, new)
    with exchange.office.database.begin() as connection:
        save_proposal(connection, parse_pack(written), written, pack_id, now=exchange.office.now)
        put(connection, pack_id, 1, b"signed", now=exchange.office.now)


def test_a_pack_that_comes_into_force_has_its_own_points(exchange: Exchange) -> None:
    exchange.add("travel")
    exchange.deliver("travel", 1, row(1, "2026-10-03"), row(2, "2026-10-03"), row(2, "2026-10-05"))
    assert exchange.silent_days() == ["2026-10-03", "2026-10-03"]
    put_in_force(exchange, "EAST-2026", ("needed = 1", "needed = 2"))
    exchange.office.handler.clean()
    assert exchange.silent_days() == ["2026-10-05"]
    kinds = sorted(str(kind) for kind, _ in exchange.statuses())
    assert kinds == ["None", "None", "silent"]


def test_r7_11_the_overdue_are_compared_with_the_data(exchange: Exchange) -> None:
    exchange.add("deaths", first="2026-01")
    # Before they were on the lists nobody would be overdue.
    exchange.office.list_since("2018-07-14")
    put_in_force(exchange, "EAST-2026", ("months_after_due = ", 'after = "data_comparison"\nmonths_after_due = '))
    exchange.office.handler.clean()
    exchange.deliver("deaths", 1, row(2, "2026-01-09"))
    with exchange.office.database.begin() as connection:
        zone = exchange.office.settings.zone()
        found = overdue_compared(connection, "east", zone=zone, today=date(2026, 11, 20))
        assert overdue_compared(connection, "west", zone=zone, today=date(2026, 11, 20)) == []
    assert sorted(each.finding.value for each in found) == ["loss", "nothing", "nothing"]


DELIVERIES = [
    ("travel", 1, None, [(1, "2026-10-03"), (2, "2026-10-04")]),
    ("travel", 2, 1, [(1, "2026-10-05"), (3, "2026-10-04")]),
    ("travel", 3, None, [(2, "2026-10-28"), (1, "2026-10-29")]),
    ("deaths", 1, None, [(2, "2026-10-10"), (3, "2026-10-02")]),
    ("deaths", 2, 1, [(3, "2026-10-02")]),
    ("sentences", 1, None, [(1, "2026-10-04")]),
    ("releases", 1, None, [(1, "2026-10-20")]),
]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Any]:
    """What the first order gave."""
    return {}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(DELIVERIES))
def test_r4_27_deliveries_in_any_order_give_the_same(
    exchange: Exchange, outcomes: dict[str, Any], order: list[tuple[str, int, int | None, list[tuple[int, str]]]]
) -> None:
    with exchange.office.database.begin() as connection:
        for table in ("acts", "life_events", "feed_delivery_rows", "feed_rows", "feed_deliveries"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    exchange.add("travel", "deaths", "sentences", "releases")
    for feed, number_, corrects, rows in order:
        exchange.deliver(feed, number_, *(row(n, day) for n, day in rows), corrects=corrects)
    kinds = sorted((found.kind.value, found.first.day, found.second.day) for found in exchange.contradictions())
    found = (exchange.events(), exchange.silent_days(), exchange.statuses(), kinds)
    assert outcomes.setdefault("first", found) == found
    # The first is in custody on 5 October, the second's death and journey of the 4th were corrected away, the third is dead.
    assert exchange.silent_days() == ["2026-10-28", "2026-10-29"]
    done = settle_all(exchange.office.database, zone=exchange.office.settings.zone(), now=exchange.office.now)
    assert (done.certified, done.withdrawn) == (0, 0)
