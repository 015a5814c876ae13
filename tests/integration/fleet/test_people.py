"""Finding people and one person's page on the real database: what a page shows, and that whoever is elsewhere is nobody."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from demo import bench_agency, bench_console
from fleet.audit.log import entries
from fleet.benefits import history
from fleet.benefits.history import history_of
from fleet.errors import NotFound, Refused
from fleet.intake.people_table import SubjectRow
from fleet.intake.subjects import import_rows
from fleet.people import finding
from fleet.people.finding import Count, Page, Search, count_people, find_people
from fleet.people.indexing import index_names
from fleet.people.person import older_history, person_page
from fleet.store import people as store
from fleet.store.acts import NewAct, add_acts
from fleet.store.areas import Area, save_areas
from fleet.store.people import Sort, StopState, may_see
from fleet.store.subject_areas import place
from fleet.store.subjects import Benefit
from protocol.documents import check_digit, parse_document
from protocol.rules.acts import ActKind, Channel
from protocol.rules.obligations import CertificationState

pytestmark = pytest.mark.integration

TREE = [
    Area("P", None, 1, "省"),
    Area("C", "P", 2, "市"),
    Area("D1", "C", 3, "东县"),
    Area("D2", "C", 3, "西县"),
    Area("T1", "D1", 4, "东镇"),
    Area("T2", "D2", 4, "西镇"),
    Area("V1", "T1", 5, "东一村"),
    Area("V2", "T1", 5, "东二村"),
    Area("V3", "T2", 5, "西村"),
]
EVERYWHERE = None


class People:
    """What the tests do with people."""

    def __init__(self, office: Any) -> None:
        self.office = office
        self.zone = office.settings.zone()
        self.today: date = office.now.astimezone(self.zone).date()
        self.serial = 0
        with office.database.begin() as connection:
            save_areas(connection, TREE)

    def add(
        self, name: str, area: str, *, paid: str | None = None, scheme: str = "pension", unit: str | None = None
    ) -> str:
        self.serial += 1
        benefit = Benefit(scheme, paid or area, "retired", date(2001, 7, 1), unit)
        row = SubjectRow(self.serial, document(self.serial), name, area, benefit)
        done = import_rows(self.office.database, self.office.keys, [row], now=self.office.now, zone=self.zone)
        return done.subject_ids[0]

    def find(self, typed: str = "", *, tops: set[str] | None = EVERYWHERE, **more: Any) -> Page:
        with self.office.database.begin() as connection:
            search = Search(typed=typed, **more)
            return find_people(connection, self.office.keys, search, tops=tops, today=self.today)

    def names(self, typed: str = "", **more: Any) -> list[str]:
        return [each.name or "" for each in self.find(typed, **more).people]

    def count(self, typed: str = "", *, tops: set[str] | None = EVERYWHERE, **more: Any) -> Count:
        with self.office.database.begin() as connection:
            search = Search(typed=typed, **more)
            return count_people(connection, self.office.keys, search, tops=tops, today=self.today)

    def sees(self, subject_id: str, tops: set[str] | None) -> bool:
        with self.office.database.begin() as connection:
            return may_see(connection, subject_id, tops)

    def set_days(self, subject_id: str, *, asked: int, expiring: int, overdue: int, certified: bool = True) -> None:
        """Have somebody's status say other days, so many from today."""
        day = {
            name: self.today + timedelta(days=each)
            for name, each in {"asked": asked, "expiring": expiring, "overdue": overdue}.items()
        }
        with self.office.database.begin() as connection:
            connection.execute(
                text(
                    "UPDATE statuses SET asked = :asked, expiring = :expiring, overdue = :overdue, certified_until ="
                    " CASE WHEN :certified THEN CAST(:overdue AS date) END WHERE subject_id = :id"
                ),
                {**day, "certified": certified, "id": subject_id},
            )
            place(connection, [subject_id])


def document(serial: int) -> Any:
    digits = f"99999919400101{serial:03d}"
    return parse_document(digits + check_digit(digits))


@pytest.fixture
def people(office: Any) -> People:
    return People(office)


def test_a_name_is_found_whole_first_then_by_its_parts(people: People) -> None:
    for name in ("李秀英", "秀英", "王秀英子", "王英秀", "王·秀英"):
        people.add(name, "V1")
    first, *given, last = people.names("秀英")
    assert (first, sorted(given), last) == ("秀英", ["李秀英", "王·秀英"], "王秀英子")
    assert people.names("王秀英") == ["王·秀英", "王秀英子"]
    assert people.names("英王") == []
    assert people.count("秀英") == Count(4, is_more=False)


def test_rare_characters_are_found_as_any_other_and_what_could_not_be_written_by_a_mark(people: People) -> None:
    for name in ("龚𬭎", "王㛃䶮", "王?英", "王YAN英", "王䶮英"):
        people.add(name, "V1")
    assert people.names("龚𬭎") == ["龚𬭎"]
    assert people.names("㛃䶮") == ["王㛃䶮"]
    assert sorted(people.names("王?英")) == ["王?英", "王YAN英", "王䶮英"]
    assert people.names("王䶮英") == ["王䶮英"]
    vague = people.find("王")
    assert vague.people == ()
    assert people.find("王?").is_to_be_narrowed
    assert people.find("?").is_too_vague
    assert people.count("王?") == Count(0, is_more=False)


def test_one_known_character_is_enough_in_an_area_or_a_year_of_birth(people: People) -> None:
    for name, area in (("张㛃", "V1"), ("李㛃", "V1"), ("张伟明", "V1"), ("陈娟", "V3"), ("张三", "V3")):
        people.add(name, area)
    assert people.names("张?", area="D1") == ["张㛃"]
    assert sorted(people.names("？㛃", area="V1")) == ["张㛃", "李㛃"]
    assert people.names("*娟", tops={"D2"}) == ["陈娟"], "the visitor's own area narrows it"
    assert set(people.names("张?", born=1940)) == {"张三", "张㛃"}
    assert people.names("张?", born=1941) == []
    assert people.names("张??", area="D1") == ["张伟明"]
    assert people.count("张?", born=1940) == Count(2, is_more=False)
    assert people.find("张?").is_to_be_narrowed
    assert people.find("??", area="D1").is_too_vague


def test_an_unknown_character_stands_for_one_and_no_more(people: People) -> None:
    for name in ("谢金", "谢金花", "谢金花花", "欧谢金花", "谢金?"):
        people.add(name, "V1")
    assert sorted(people.names("谢金?")) == ["谢金?", "谢金花"]
    assert people.names("?谢金?") == ["欧谢金花"]
    assert people.count("谢金??") == Count(1, is_more=False)


def test_no_more_names_are_opened_than_a_search_may_cost(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("张一", "张二", "张三"):
        people.add(name, "V1")
    monkeypatch.setattr(finding, "MOST_OPENED", 2)
    assert people.find("张?", area="V1").is_to_be_narrowed
    assert people.find("一?", area="V2") == Page((), None, None)


def test_a_document_and_an_id_find_their_person_and_nobody_else(people: People) -> None:
    first, second = people.add("甲", "V1"), people.add("乙", "V1")
    assert people.names(document(1).number) == ["甲"]
    assert people.names(f"  {document(2).number[:6]} {document(2).number[6:]} ") == ["乙"]
    assert people.names(second) == ["乙"]
    assert people.names(document(9).number) == []
    assert people.names(first[:-1] + ("0" if first[-1] != "0" else "1")) == []


def test_only_people_of_the_visitors_areas_are_there_wherever_they_live_or_are_paid(people: People) -> None:
    here = people.add("王秀英", "V1")
    paid_here = people.add("李秀英", "V3", paid="V2")
    there = people.add("张秀英", "V3")
    for tops, expected in (
        (EVERYWHERE, {here, paid_here, there}),
        ({"P"}, {here, paid_here, there}),
        ({"D1"}, {here, paid_here}),
        ({"V1"}, {here}),
        ({"V2", "V3"}, {paid_here, there}),
        ({"D2"}, {paid_here, there}),
        ({"nowhere"}, set()),
        (set(), set()),
    ):
        for typed in ("", "秀英"):
            found = [each.line.subject_id for each in people.find(typed, tops=tops).people]
            assert sorted(found) == sorted(expected), (tops, typed)
            assert people.count(typed, tops=tops) == Count(len(expected), is_more=False)
        assert {each for each in (here, paid_here, there) if people.sees(each, tops)} == expected
        for serial, who in ((1, here), (2, paid_here), (3, there)):
            assert len(people.find(who, tops=tops).people) == (who in expected)
            assert len(people.find(document(serial).number, tops=tops).people) == (who in expected)
    assert {each.line.subject_id for each in people.find(area="D2", tops={"D1"}).people} == set()
    assert {each.line.subject_id for each in people.find(area="T1", tops={"C"}).people} == {here, paid_here}


def test_somebody_elsewhere_answers_exactly_as_nobody(people: People) -> None:
    there = people.add("张秀英", "V3")
    for typed, none in ((there, "0" * 32), (document(1).number, document(5).number), ("张秀英", "张秀兰")):
        assert people.find(typed, tops={"D1"}) == people.find(none, tops={"D1"}) == Page((), None, None)
        assert people.count(typed, tops={"D1"}) == people.count(none, tops={"D1"})
    told = []
    for who in (there, "0" * 32, "a\0b"):
        with pytest.raises(NotFound) as refused, people.office.database.begin() as connection:
            page(people, connection, who, tops={"D1"})
        told.append(str(refused.value))
        with pytest.raises(NotFound), people.office.database.begin() as connection:
            older_history(
                connection, people.office.keys.cipher, who, before="", tops={"D1"}, by="an", now=people.office.now,
                zone=people.zone,
            )  # fmt: skip
    assert len(set(told)) == 1


def test_who_moves_is_found_where_they_are_now(people: People) -> None:
    who = people.add("王秀英", "V1")
    row = SubjectRow(1, document(1), "王秀兰", "V3", Benefit("pension", "V3", "retired", date(2001, 7, 1)))
    import_rows(people.office.database, people.office.keys, [row], now=people.office.now, zone=people.zone)
    assert (people.sees(who, {"D1"}), people.sees(who, {"D2"})) == (False, True)
    assert (people.names("秀英"), people.names("王秀兰")) == ([], ["王秀兰"])
    assert people.names(tops={"D1"}) == []


STATES = {
    CertificationState.NEVER_CERTIFIED: {"asked": -5, "expiring": -5, "overdue": 5, "certified": False},
    CertificationState.OVERDUE: {"asked": -90, "expiring": -30, "overdue": 0},
    CertificationState.EXPIRING: {"asked": -90, "expiring": 0, "overdue": 1},
    CertificationState.DUE: {"asked": 0, "expiring": 1, "overdue": 30},
    CertificationState.CERTIFIED: {"asked": 1, "expiring": 30, "overdue": 60},
}


def test_states_are_those_of_the_rules_on_the_day_and_what_is_overdue_comes_first(people: People) -> None:
    who = {state: people.add("王秀英", "V1") for state in STATES}
    for state, days in STATES.items():
        people.set_days(who[state], **days)
    listed = people.find()
    assert [each.state for each in listed.people] == [
        CertificationState.OVERDUE, CertificationState.EXPIRING, CertificationState.NEVER_CERTIFIED, CertificationState.DUE,
        CertificationState.CERTIFIED,
    ]  # fmt: skip
    for tops in (EVERYWHERE, {"D1"}, {"V1", "V3"}):
        for state in CertificationState:
            found = people.find(state=state, tops=tops).people
            assert [(each.line.subject_id, each.state) for each in found] == [(who[state], state)]
            assert people.find("秀英", state=state, tops=tops).people == found
            assert people.count(state=state, tops=tops) == Count(1, is_more=False)


def test_who_never_came_is_among_the_overdue_once_their_last_day_has_passed(people: People) -> None:
    never, late = people.add("王秀英", "V1"), people.add("王秀兰", "V1")
    people.set_days(never, **STATES[CertificationState.NEVER_CERTIFIED])
    people.set_days(late, asked=-90, expiring=-30, overdue=0, certified=False)
    for tops in (EVERYWHERE, {"D1"}, {"V1", "V3"}):
        for state, who in ((CertificationState.OVERDUE, late), (CertificationState.NEVER_CERTIFIED, never)):
            assert [each.line.subject_id for each in people.find(state=state, tops=tops).people] == [who]
            assert people.count(state=state, tops=tops) == Count(1, is_more=False)


def test_scheme_unit_and_stop_narrow_a_list(people: People) -> None:
    one = people.add("甲甲", "V1", scheme="pension", unit="mill")
    two = people.add("乙乙", "V3", scheme="allowance")
    with people.office.database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO benefit_files VALUES (:one, 'pension', 'end_proposed', 'paying', NULL, NULL, NULL, NULL, NULL, NULL,"
                " NULL, 0, '{}', 0, '{}', '{}', 0, '{}', 2), (:two, 'allowance', 'paused', 'paused', NULL, NULL, NULL, NULL, NULL,"
                " NULL, NULL, 0, '{}', 0, '{}', '{}', 0, '{}', 2)"
            ),
            {"one": one, "two": two},
        )
    assert people.names(scheme="allowance") == ["乙乙"]
    assert people.names(scheme="pension", tops={"D1"}) == ["甲甲"]
    assert people.names(unit="mill") == ["甲甲"]
    assert people.names(unit="mill", tops={"D2"}) == []
    assert people.names(stop=StopState.PROPOSED) == ["甲甲"]
    assert people.names(stop=StopState.STOPPED) == ["乙乙"]
    assert people.names(stop=StopState.STOPPED, tops={"V1"}) == []
    assert people.names(unit="a\0b") == people.names(area="\0") == people.names(scheme="\0") == []
    (line,) = people.find(unit="mill").people
    assert line.line.benefits == {"pension": "end_proposed"}
    assert (line.line.area, line.line.open_cases) == ("V1", 0)
    with people.office.database.begin() as connection:
        connection.execute(text("UPDATE benefits SET ended = '2026-10-31' WHERE subject_id = :id"), {"id": one})
    assert sorted(people.names(stop=StopState.STOPPED)) == ["乙乙", "甲甲"]


@pytest.mark.parametrize("tops", [EVERYWHERE, frozenset({"D1"}), frozenset({"V1", "V2"})])
@pytest.mark.parametrize(("typed", "sort"), [("", Sort.DAYS), ("", Sort.ID), ("秀英", Sort.DAYS)])
def test_pages_follow_each_other_there_and_back_without_gap_or_repetition(
    people: People, monkeypatch: pytest.MonkeyPatch, tops: frozenset[str] | None, typed: str, sort: Sort
) -> None:
    monkeypatch.setattr(finding, "PAGE", 3)
    drawn = random.Random(1)
    # Who lives in one of the areas and is paid by another stands in the list once.
    ids = [
        people.add(drawn.choice(("王秀英", "秀英", "王秀英子")), "V1", paid=drawn.choice(("V1", "V2")))
        for _ in range(10)
    ]
    for who in ids:
        people.set_days(who, asked=1, expiring=1, overdue=drawn.choice((3, 4, 5)))
    pages = [people.find(typed, tops=tops, sort=sort)]
    assert pages[0].previous_at is None
    while pages[-1].next_at is not None:
        pages.append(people.find(typed, tops=tops, sort=sort, at=pages[-1].next_at))
    shown = [each.line.subject_id for page_ in pages for each in page_.people]
    assert [len(page_.people) for page_ in pages] == [3, 3, 3, 1]
    assert sorted(shown) == sorted(ids)
    back = pages[-1]
    for before in reversed(pages[:-1]):
        assert back.previous_at is not None
        back = people.find(typed, tops=tops, sort=sort, at=back.previous_at)
        assert back.people == before.people
    assert back.previous_at is None
    # Somebody new before the next page moves nobody into it or out of it.
    new = people.add("秀英", "V1")
    people.set_days(new, asked=1, expiring=1, overdue=-100)
    again = people.find(typed, tops=tops, sort=sort, at=pages[0].next_at or "")
    if sort is not Sort.ID and not typed:
        assert again.people == pages[1].people


@pytest.mark.parametrize("at", ["x", ">1", ">99999999-a", ">9999999-a", "<1-a b", ">1-\0", "=1-a"])
def test_an_address_that_is_none_of_ours_is_refused(people: People, at: str) -> None:
    with pytest.raises(Refused, match="first page"):
        people.find(at=at)


def test_a_position_of_a_day_that_never_was_is_refused(people: People) -> None:
    with pytest.raises(Refused, match="first page"):
        people.find(at=">0-a")


def test_counts_stop_where_nobody_reads_them(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_COUNTED", 2)
    for _ in range(3):
        people.add("王秀英", "V1", paid="V2")
    for tops in (EVERYWHERE, {"D1"}):
        for typed in ("", "秀英"):
            assert people.count(typed, tops=tops) == Count(2, is_more=True)


@pytest.mark.parametrize("rare", [0, 100])
def test_a_rare_scheme_gives_what_a_common_one_gives(
    people: People, monkeypatch: pytest.MonkeyPatch, rare: int
) -> None:
    monkeypatch.setattr(store, "_RARE", rare)
    one = people.add("甲甲", "V1", paid="V3", scheme="allowance")
    people.add("乙乙", "V1", scheme="pension")
    for tops, expected in ((EVERYWHERE, [one]), ({"D1"}, [one]), ({"D2"}, [one]), ({"V2"}, [])):
        assert [each.line.subject_id for each in people.find(scheme="allowance", tops=tops).people] == expected
        assert people.count(scheme="allowance", tops=tops) == Count(len(expected), is_more=False)


def test_very_many_areas_give_what_few_give(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    here = [people.add("王秀英", "V1"), people.add("王秀兰", "V3", paid="V2")]
    people.add("王秀梅", "V3")
    few = people.find(tops={"D1"})
    assert sorted(each.line.subject_id for each in few.people) == sorted(here)
    monkeypatch.setattr(store, "_MOST_MERGED", 1)
    assert people.find(tops={"D1"}) == few
    assert people.count(tops={"D1"}) == Count(2, is_more=False)


def test_names_of_before_there_was_an_index_are_indexed_once_and_again_after_a_stop(people: People) -> None:
    people.add("王秀英", "V1")
    people.add("李秀英", "V1")
    lost = people.add("张秀英", "V1")
    with people.office.database.begin() as connection:
        connection.execute(text("UPDATE subjects SET name_tokens = NULL"))
        connection.execute(text("UPDATE subjects SET name_sealed = 'x' WHERE subject_id = :id"), {"id": lost})
    assert people.names("秀英") == []
    assert index_names(people.office.database, people.office.keys.cipher) == 3
    assert sorted(people.names("秀英")) == ["李秀英", "王秀英"]
    assert [each.name for each in people.find(lost).people] == [None]
    assert index_names(people.office.database, people.office.keys.cipher) == 0


def page(people: People, connection: Any, who: str, *, tops: set[str] | None = EVERYWHERE) -> Any:
    return person_page(
        connection, people.office.keys.cipher, who, tops=tops, by="an", now=people.office.now, zone=people.zone
    )


def test_feature_a_persons_page_has_everything_but_features_and_the_look_is_written_down(people: People) -> None:
    who = people.add("王䶮", "V1", paid="V2")
    office = people.office
    with office.database.begin() as connection:
        seen = page(people, connection, who, tops={"D1"})
    assert (seen.identity.name, seen.identity.document.tail) == ("王䶮", document(1).number[-4:])
    assert [area.name for area in seen.identity.home] == ["省", "市", "东县", "东镇", "东一村"]
    assert seen.standing.state is CertificationState.NEVER_CERTIFIED
    assert [each.pack_id for each in seen.days] == [each.pack_id for each in seen.standing.reasons]
    assert seen.benefits["pension"].region == "V2"
    assert not hasattr(seen, "features")
    with office.database.begin() as connection:
        (entry,) = [each for each in entries(connection) if each.action == "subject.viewed"]
    assert entry.object_id == who


def acted(people: People, who: str, count: int) -> None:
    with people.office.database.begin() as connection:
        add_acts(
            connection,
            [
                NewAct(who, ActKind.SPECIAL, Channel.COUNTER, people.office.now - timedelta(hours=7 * number), "test", f"{number}")
                for number in range(count)
            ],
            now=people.office.now,
        )  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_pages_of_a_history_together_are_the_whole_of_it(
    people: People, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(history, "PAGE", size)
    who = people.add("王秀英", "V1")
    office = people.office
    acted(people, who, 7)
    with office.database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO life_events (event_id, subject_id, kind, since, source, source_id, confirmed, received_at)"
                " SELECT 'event' || n, :id, 'travel', CAST('2026-11-18' AS date) + n, 'test', n::text, false, :now"
                " FROM generate_series(0, 2) n"
            ),
            {"id": who, "now": office.now},
        )
        connection.execute(
            text(
                "INSERT INTO approvals SELECT 'life_event', 'event1', place, sha256(convert_to(place::text, 'UTF8')), :name, 'as_given',"
                " :reason, :now FROM generate_series(1, 2) place"
            ),
            {
                "now": office.now - timedelta(days=1),
                "name": office.keys.cipher.encrypt("an", subject_id="life_event:event1", field_name="approver"),
                "reason": office.keys.cipher.encrypt(
                    "seen", subject_id="life_event:event1", field_name="approval_reason"
                ),
            },
        )
    whole = []
    before: str | None = ""
    while before is not None:
        with office.database.begin() as connection:
            piece = older_history(
                connection,
                office.keys.cipher,
                who,
                before=before,
                tops=EVERYWHERE,
                by="an",
                now=office.now,
                zone=people.zone,
            )
        assert len(piece.entries) <= size
        whole += piece.entries
        before = piece.before
    with office.database.begin() as connection:
        full = history_of(connection, office.keys.cipher, who, by="an", now=office.now, zone=people.zone)
    assert len(whole) == len(full.entries) == 12
    key = lambda entry: (entry.kind, entry.entry_id, entry.detail.get("place"))  # noqa: E731
    assert sorted(map(key, whole), key=str) == sorted(map(key, full.entries), key=str)
    moments = [each.moment(people.zone) for each in whole]
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize(
    "before", ["x", "|", "2026-11-01|a|b", "2026-11-01T00:00:00+00:00|a|", "2026-11-01T00:00:00+00:00|\0|b"]
)
def test_an_address_of_no_history_is_refused(people: People, before: str) -> None:
    who = people.add("王秀英", "V1")
    with pytest.raises(Refused, match="go back to the newest"), people.office.database.begin() as connection:
        older_history(
            connection, people.office.keys.cipher, who, before=before, tops=EVERYWHERE, by="an", now=people.office.now,
            zone=people.zone,
        )  # fmt: skip


def test_the_benchmarks_questions_are_answered(database_url: str, database: Any, office: Any) -> None:
    ids = bench_agency.fill(database_url, database, 2_000, office.keys.cipher)
    found = bench_console.measure(database, office.keys, ids, 3)
    assert found["everybody"].people == finding.PAGE
    assert found["count of everybody"].people == store.MOST_COUNTED
    assert found["document"].people == found["subject id"].people == 1
    assert found["whole name"].people >= 1
    assert found["two common characters"].people > 1
    assert found["overdue, whole fleet"].people == finding.PAGE
