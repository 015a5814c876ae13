"""The pages of stops: the list by stage and area, and every step of one stop from the proposal to the way back."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import pytest
from playwright.sync_api import expect

from fleet.audit.log import entries
from fleet.benefits import due
from fleet.benefits.acts import take_acts
from fleet.benefits.events import LADDER, StepOutcome, StopEffect, StopReason
from fleet.benefits.files import file_of
from fleet.benefits.guard import StopGuard
from fleet.cases.desk import Request, open_request
from fleet.cases.machine import Kind
from fleet.cases.opening import Registry
from fleet.status.projection import project
from fleet.store.acts import NewAct, add_acts
from fleet.store.areas import Area, save_areas
from fleet.store.life_events import NewLifeEvent, add_life_events
from protocol.documents import parse_document
from protocol.rules.acts import ActKind, Channel
from protocol.rules.life import LifeEventKind

pytestmark = pytest.mark.integration
DAY = "2026-11-20"


class Desk:
    """What tests do to benefits beside the pages."""

    def __init__(self, office: Any) -> None:
        self.office = office

    @property
    def people(self) -> list[str]:
        return list(self.office.people)

    def guard(self, work: Callable[[StopGuard], Any]) -> Any:
        with self.office.database.begin() as connection:
            zone = self.office.settings.zone()
            return work(StopGuard(connection, self.office.keys.cipher, now=self.office.now, zone=zone))

    def propose(self, subject_id: str, reason: StopReason = StopReason.OTHER_BY_LAW) -> str:
        return str(
            self.guard(
                lambda guard: guard.propose(
                    subject_id,
                    "pension",
                    reason=reason,
                    effect=StopEffect.PAUSE,
                    from_month=date(2026, 12, 1),
                    by="Zhao",
                    why="a court order",
                )
            )
        )

    def ladder(self, stop_id: str, steps: int = 3) -> None:
        for step in LADDER[:steps]:
            self.guard(
                lambda guard, step=step: guard.record_step(
                    stop_id, step, StepOutcome.NOT_REACHED, day=date(2026, 11, 20), by="Zhao", proof=f"{step} 7"
                )
            )

    def approve(self, stop_id: str, *names: str) -> None:
        for name in names:
            self.guard(lambda guard, name=name: guard.approve(stop_id, by=name, why="nobody answers"))

    def stopped(self, subject_id: str) -> str:
        stop_id = self.propose(subject_id)
        self.ladder(stop_id)
        self.approve(stop_id, "Qian", "Sun")
        self.guard(lambda guard: guard.carry_out(stop_id, by="Qian"))
        return stop_id

    def file(self, subject_id: str) -> Any:
        with self.office.database.begin() as connection:
            return file_of(connection, subject_id, "pension")

    def actions(self) -> list[str]:
        with self.office.database.begin() as connection:
            return [entry.action for entry in entries(connection)]


@pytest.fixture
def desk(office: Any) -> Desk:
    with office.database.begin() as connection:
        save_areas(connection, [Area("east", None, 1, "东区"), Area("west", None, 1, "西区")])
    office.import_people(3)
    office.import_people(1, area="west", first=9)
    return Desk(office)


def address(subject_id: str) -> str:
    return f"/stops/{subject_id}?scheme=pension"


def form(client: Any, subject_id: str, action: str, **fields: str) -> Any:
    """Send a form as the page that the client sees now has it."""
    page = client.get(address(subject_id)).text
    version = re.search(r"(?:up to entry|本页显示的是共) (\d+)", page)
    given = {"version": version[1] if version else "0", **fields}
    return client.send_form(f"/stops/{subject_id}/{action}?scheme=pension", given)


def step_form(client: Any, subject_id: str, step: str, **fields: str) -> Any:
    return form(client, subject_id, "step", **{"step": step, "outcome": "not_reached", "proof": "note 7", **fields})


def test_r7_3_a_stop_goes_its_whole_way_through_the_pages_with_three_steps_and_two_reviewers(
    desk: Desk, sign_in: Callable[..., Any]
) -> None:
    person = desk.people[0]
    desk.propose(person)
    operator = sign_in("operator", area="east", name="Li Na")
    first, second = (sign_in("reviewer", area="east", name=name) for name in ("Zhou", "Wu"))
    for step in ("message", "call", "visit"):
        assert form(first, person, "approve", approval_reason="x").status_code == 409
        answer = step_form(operator, person, step)
        assert answer.status_code == 303
        assert answer.headers["location"].endswith("done=stop_step")
    assert form(first, person, "carry-out").status_code == 409
    assert form(first, person, "approve", approval_reason="all by the file").status_code == 303
    again = form(first, person, "approve", approval_reason="once more")
    assert again.status_code == 409
    assert "another person must" in again.text
    shown = second.get(address(person)).text
    assert "Zhou" in shown
    assert "all by the file" not in shown, "one word is not to follow the other"
    assert form(second, person, "approve", approval_reason="I looked, too").status_code == 303
    assert "all by the file" in second.get(address(person)).text
    asked = form(second, person, "carry-out", from_month="2026-12", meant="")
    assert (asked.status_code, desk.file(person).standing.value) == (200, "paying")
    assert f'action="/stops/{person}/carry-out?scheme=pension"' in asked.text
    assert "<dd>2026-12</dd>" in asked.text
    assert "Nothing was done" in form(second, person, "carry-out", from_month="2026-12", meant="no").text
    assert form(second, person, "carry-out").headers["location"].endswith("done=stop_carried_out")
    file = desk.file(person)
    assert (file.standing.value, file.stopped_from) == ("paused", date(2026, 12, 1))
    assert [each for each in desk.actions() if each in ("benefit.stop_approved", "benefit.stopped")] == [
        "benefit.stop_approved",
        "benefit.stop_approved",
        "benefit.stopped",
    ]


def test_r7_10_a_stop_begins_with_this_month_at_the_earliest_and_within_a_year(
    desk: Desk, sign_in: Callable[..., Any]
) -> None:
    person = desk.people[0]
    stop_id = desk.propose(person)
    desk.ladder(stop_id)
    desk.approve(stop_id, "Qian", "Sun")
    client = sign_in("reviewer", area="east")
    assert "from 2026-11 to 2027-11" in client.get(address(person)).text
    for month, sentence in (
        ("2026-10", "What was paid is claimed back, not stopped; 2026-11 is the earliest."),
        ("2026-11", "Nothing stops before 2026-12"),
        ("2027-12", "2027-11 is the latest"),
    ):
        refused = form(client, person, "carry-out", from_month=month)
        assert (refused.status_code, sentence in refused.text) == (422, True), month
    assert desk.file(person).standing.value == "paying"
    assert form(client, person, "carry-out", from_month="2027-11").status_code == 303
    assert desk.file(person).stopped_from == date(2027, 11, 1)
    assert "from 2027-11 on" in client.get(address(person)).text
    assert "自 2027-11 起停发" in sign_in("reviewer", area="east", language="zh").get(address(person)).text


def test_r7_5_payment_goes_on_by_two_persons_who_say_the_same_with_the_months_paid_back(
    desk: Desk, sign_in: Callable[..., Any]
) -> None:
    person = desk.people[0]
    desk.stopped(person)
    desk.office.now = datetime(2027, 2, 10, 4, tzinfo=UTC)
    first, second = (sign_in("reviewer", area="east", name=name) for name in ("Zhou", "Wu"))
    page = first.get(address(person)).text
    assert "2026-12, 2027-01, 2027-02" in page
    wrong = form(first, person, "restore", because="certified", restoration_reason="came")
    assert wrong.status_code == 409
    assert "Certifying alone does not undo it" in wrong.text
    said = {"because": "mistake", "restoration_reason": "the order was void"}
    assert form(first, person, "restore", **said).headers["location"].endswith("stop_restoration_approved")
    same = form(first, person, "restore", **said)
    assert same.status_code == 409
    assert "Zhou agreed to restore it" in same.text
    assert "the order was void" in same.text, "what was typed is kept"
    assert form(second, person, "restore", **said).headers["location"].endswith("stop_restored")
    assert desk.file(person).standing.value == "paying"
    page = second.get(address(person)).text
    assert "paid again" in page
    assert "2026-12, 2027-01, 2027-02" in page
    assert f"/stops/{person}?" in second.get("/stops?stage=restored").text
    assert f"/stops/{person}?" not in second.get("/stops").text


def test_r7_5_who_certified_again_is_paid_by_one_persons_word(desk: Desk, sign_in: Callable[..., Any]) -> None:
    person, office = desk.people[0], desk.office
    office.list_since("2001-07-01")
    zone = office.settings.zone()
    with office.database.begin() as connection:
        project(connection, [person], zone=zone, today=office.now.date())
    due.propose_due_stops(office.database, office.keys.cipher, judging=lambda *_: None, now=office.now, zone=zone)
    proposal = desk.file(person).proposal
    assert proposal is not None
    desk.ladder(proposal.stop.stop_id)
    desk.approve(proposal.stop.stop_id, "Qian", "Sun")
    desk.guard(lambda guard: guard.carry_out(proposal.stop.stop_id, by="Qian"))
    client = sign_in("reviewer", area="east")
    early = form(client, person, "restore", because="certified", restoration_reason="came")
    assert early.status_code == 409
    assert "has not certified again" in early.text
    with office.database.begin() as connection:
        act = NewAct(person, ActKind.SPECIAL, Channel.COUNTER, office.now, "case", "1")
        add_acts(connection, [act], now=office.now)
        project(connection, [person], zone=zone, today=office.now.date())
    done = form(client, person, "restore", because="certified", restoration_reason="came")
    assert done.headers["location"].endswith("stop_restored")
    assert desk.file(person).standing.value == "paying"


def test_a_stale_form_is_refused_with_what_happened_meanwhile_and_what_was_typed(
    desk: Desk, sign_in: Callable[..., Any]
) -> None:
    person = desk.people[0]
    stop_id = desk.propose(person)
    client = sign_in("operator", area="east")
    fields = {"version": "1", "step": "message", "outcome": "reached", "proof": "my own note 12"}
    desk.ladder(stop_id, 1)
    answer = client.send_form(f"/stops/{person}/step?scheme=pension", fields)
    assert answer.status_code == 409
    assert "Something happened to this benefit while you were writing" in answer.text
    assert "my own note 12" in answer.text
    assert "> new</span>" in answer.text
    assert desk.file(person).events == 2


def test_a_form_sent_twice_does_a_thing_once(desk: Desk, sign_in: Callable[..., Any]) -> None:
    person = desk.people[0]
    desk.propose(person)
    client = sign_in("operator", area="east")
    fields = {"version": "1", "step": "message", "outcome": "reached", "proof": "note"}
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda _: client.send_form(f"/stops/{person}/step?scheme=pension", fields).status_code, range(2))
        )
    assert sorted(answers) == [303, 409]
    assert desk.file(person).events == 2


def test_of_two_reviewers_at_once_on_one_stop_one_is_told_of_the_other(desk: Desk, sign_in: Callable[..., Any]) -> None:
    person = desk.people[0]
    desk.ladder(desk.propose(person))
    clients = [sign_in("reviewer", area="east", name=name) for name in ("Zhou", "Wu")]
    fields = {"version": "4", "approval_reason": "by the file"}
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda one: one.send_form(f"/stops/{person}/approve?scheme=pension", fields), clients))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    assert len(desk.file(person).proposal.approvals) == 1


@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        ({"proof": "  "}, 422, "1 to 1000 characters"),
        ({"proof": "x" * 1001}, 422, "1 to 1000 characters"),
        ({"day": "2026-11-21"}, 422, "still to come"),
        ({"day": "2026-11-19"}, 422, "counts from 2026-11-20 on"),
        ({"day": "soon"}, 422, "like 2026-12-01"),
        ({"outcome": "<script>"}, 422, "Choose an answer"),
        ({"step": "visit"}, 409, "The next step is the message, not the visit"),
    ],
)
def test_what_a_step_cannot_take_is_said_and_kept(
    desk: Desk, sign_in: Callable[..., Any], fields: dict[str, str], status: int, told: str
) -> None:
    person = desk.people[0]
    desk.propose(person)
    client = sign_in("operator", area="east")
    answer = step_form(client, person, fields.pop("step", "message"), **{"proof": "note 77", **fields})
    assert answer.status_code == status
    assert told in answer.text
    assert "<script>" not in answer.text.split("<main")[1]
    if "proof" not in fields:
        assert "note 77" in answer.text
    assert desk.file(person).events == 1


def test_a_stop_is_refused_by_a_reviewer_and_the_benefit_is_paid(desk: Desk, sign_in: Callable[..., Any]) -> None:
    person = desk.people[0]
    desk.propose(person)
    client = sign_in("reviewer", area="east")
    assert form(client, person, "withdraw", withdrawal_reason=" ").status_code == 422
    assert form(client, person, "withdraw", withdrawal_reason="they came").status_code == 303
    assert desk.file(person).proposal is None
    assert "they came" in client.get(address(person)).text
    late = form(client, person, "withdraw", withdrawal_reason="again")
    assert late.status_code == 409
    assert "no longer proposed" in late.text


def test_r7_11_a_sign_of_life_in_the_data_keeps_a_stop_from_being_approved(
    desk: Desk, sign_in: Callable[..., Any]
) -> None:
    person = desk.people[0]
    desk.ladder(desk.propose(person))
    operator, reviewer = sign_in("operator", area="east"), sign_in("reviewer", area="east")
    answer = form(operator, person, "compare", found="sign_found", compared_proof="travel data")
    assert answer.status_code == 303
    refused = form(reviewer, person, "approve", approval_reason="by the file")
    assert refused.status_code == 409
    assert "sign of life" in refused.text
    assert form(operator, person, "compare", found="nothing_found", compared_proof="").status_code == 422


def test_a_frozen_stop_stands_out_and_cannot_be_approved(desk: Desk, sign_in: Callable[..., Any]) -> None:
    person = desk.people[0]
    desk.ladder(desk.propose(person))
    desk.guard(lambda guard: guard.freeze(person, "pension", "c-1", by="Zhao", why="they are here"))
    client = sign_in("reviewer", area="east", language="zh")
    assert "> 已冻结</span>" in client.get("/stops?stage=frozen").text
    page = client.get(address(person)).text
    assert "停发已冻结" in page
    assert "本人在世" not in page.split("<h1")[1].split("</details>")[1]
    assert f'action="/stops/{person}/approve' not in page
    refused = form(client, person, "approve", approval_reason="尽管如此")
    assert refused.status_code == 409
    assert "有个案冻结了此项待遇的停发" in refused.text


def test_a_case_freezes_a_stop_until_it_is_lifted(desk: Desk, sign_in: Callable[..., Any]) -> None:
    person = desk.people[0]
    desk.propose(person)
    client = sign_in("reviewer", area="east", name="Zhou")
    assert "has no open case" in client.get(address(person)).text
    asked = Request(Kind.WRONG_DATA, person, "phone", note="13800000000")
    other = Request(Kind.WRONG_DATA, desk.people[1], "phone", note="13800000000")
    registry = Registry(desk.office.keys.cipher, desk.office.settings.zone())
    with desk.office.database.begin() as connection:
        case_id = open_request(connection, registry, asked, by="Wu", now=desk.office.now)
        others = open_request(connection, registry, other, by="Wu", now=desk.office.now)
    assert f'<option value="{case_id}">' in client.get(address(person)).text
    for wrong in (" ", "12345", others):
        assert form(client, person, "freeze", case_id=wrong, freeze_reason="asked again").status_code == 422
    assert form(client, person, "freeze", case_id=case_id, freeze_reason="").status_code == 422
    assert desk.file(person).frozen_by == ()
    assert form(client, person, "freeze", case_id=case_id, freeze_reason="asked again").status_code == 303
    assert desk.file(person).frozen_by == (case_id,)
    assert form(client, person, "freeze", case_id=case_id, freeze_reason="twice").status_code == 409
    assert form(client, person, "unfreeze", held_case="c-8", unfreeze_reason="over").status_code == 409
    lifts = sign_in("reviewer", area="east", name="Wu")
    assert form(lifts, person, "unfreeze", held_case=case_id, unfreeze_reason="over").status_code == 303
    assert desk.file(person).frozen_by == ()
    told = re.findall(
        r'<td class="sentence"[^>]*>([^<]*)</td><td[^>]*>([^<]*)</td><td[^>]*>([^<]*)</td>',
        client.get(address(person)).text,
    )
    assert told[:2] == [
        ("No longer frozen (case 2026-000001)", "over", "Wu"),
        ("Frozen: by hand (case 2026-000001)", "asked again", "Zhou"),
    ]
    assert case_id not in "".join(map(str, told))


def test_nobody_just_lifts_what_a_pass_against_a_report_has_frozen(desk: Desk, sign_in: Callable[..., Any]) -> None:
    person, office = desk.people[0], desk.office
    desk.propose(person)
    zone = office.settings.zone()
    with office.database.begin() as connection:
        said = NewLifeEvent(person, LifeEventKind.DEATH, date(2026, 11, 10), None, "feed:police", "1", confirmed=True)
        add_life_events(connection, [said], now=office.now)
        act = NewAct(person, ActKind.SPECIAL, Channel.COUNTER, office.now, "case", "1")
        take_acts(connection, [act], now=office.now, zone=zone)
    (case_id,) = desk.file(person).frozen_by
    client = sign_in("reviewer", area="east")
    page = client.get(address(person)).text
    assert "“I am here”: the stop is frozen" in page
    assert "/unfreeze" not in page
    assert f'<a href="/people/{person}/here">Decide whether the person is alive</a>' in page
    assert client.get(f"/people/{person}/here").status_code == 200
    assert 'href="/cases"' not in page.split("<main")[1]
    # Who may not decide it is told who does.
    page = sign_in("operator", area="east").get(address(person)).text
    assert f"/people/{person}/here" not in page
    assert "Two reviewers of the area where the person lives" in page
    refused = form(client, person, "unfreeze", held_case=case_id, unfreeze_reason="it is fine")
    assert refused.status_code == 409
    assert "two persons decide that" in refused.text
    assert desk.file(person).frozen_by == (case_id,)


def test_whoever_a_stop_is_proposed_for_is_found_by_their_number_or_on_their_page(
    desk: Desk, sign_in: Callable[..., Any]
) -> None:
    person = desk.people[1]
    client = sign_in("operator", area="east")
    (row,) = desk.office.rows("SELECT document_sealed FROM subjects WHERE subject_id = :id", id=person)
    cipher = desk.office.keys.cipher
    document = cipher.decrypt(bytes(row.document_sealed), subject_id=person, field_name="document")
    number = parse_document(document).number
    sent = client.send_form("/stops/find", {"typed": number})
    assert sent.status_code == 303
    assert sent.headers["location"] == f"/stops/new?subject_id={person}"
    assert number not in client.get(sent.headers["location"]).text
    for typed in (number[:-4], "0" * 32, ""):
        unknown = client.send_form("/stops/find", {"typed": typed})
        assert unknown.status_code == 422
        assert "Nobody was found" in unknown.text
    assert sign_in("operator", area="west").send_form("/stops/find", {"typed": number}).status_code == 422
    link = f"/stops/new?subject_id={person}&amp;scheme=pension"
    assert f'href="{link}"' in client.get(f"/people/{person}").text
    assert '<option value="pension" selected>' in client.get(link.replace("&amp;", "&")).text
    assert link not in sign_in("reviewer", area="east").get(f"/people/{person}").text


def test_a_stop_is_proposed_by_hand(desk: Desk, sign_in: Callable[..., Any]) -> None:
    person = desk.people[1]
    client = sign_in("operator", area="east")
    fields = {
        "subject_id": person,
        "scheme": "pension",
        "because": "other_by_law",
        "effect": "pause",
        "from_month": "2026-12",
        "reason": "a court order of 12 November",
    }
    assert client.get(f"/stops/new?subject_id={person}").status_code == 200
    for wrong, told in (
        ({"because": "overdue"}, "Choose an answer"),
        ({"from_month": "soon"}, "like 2026-12"),
        ({"reason": ""}, "1 to 1000 characters"),
    ):
        answer = client.send_form("/stops/new", fields | wrong)
        assert answer.status_code == 422
        assert told in answer.text
    assert desk.file(person).events == 0
    assert client.send_form("/stops/new", fields).status_code == 303
    twice = client.send_form("/stops/new", fields)
    assert twice.status_code == 409
    assert "proposed already" in twice.text
    assert "a court order of 12 November" in twice.text


def test_the_list_is_by_stage_and_pages_through_everything_once(desk: Desk, sign_in: Callable[..., Any]) -> None:
    desk.office.import_people(120, first=20)
    for person in desk.people:
        desk.propose(person)
    client = sign_in("reviewer", area="east")
    seen: list[str] = []
    page = "/stops?stage=proposed"
    while True:
        answer = client.get(page)
        seen += re.findall(r'href="/stops/([0-9a-f-]+)\?scheme=pension"', answer.text)
        if 'rel="next"' not in answer.text:
            break
        page = answer.text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 123, "all of the east and nobody of the west"
    previous = client.get(page).text.split('rel="prev"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert re.findall(r'href="/stops/([0-9a-f-]+)\?scheme=pension"', client.get(previous).text) == seen[50:100]
    assert '<span class="count">123</span>' in client.get("/stops/stages").text


@pytest.mark.parametrize(
    ("setting_up", "stage"),
    [
        (0, "proposed"),
        (1, "noticed"),
        (2, "attempts"),
        (3, "first_approval"),
        (4, "second_approval"),
        (5, "to_carry_out"),
        (6, "in_force"),
    ],
)
def test_every_step_of_the_ladder_is_a_stage_of_the_list_and_of_the_page(
    desk: Desk, sign_in: Callable[..., Any], setting_up: int, stage: str
) -> None:
    person = desk.people[0]
    stop_id = desk.propose(person)
    desk.ladder(stop_id, min(setting_up, 3))
    desk.approve(stop_id, *("Qian", "Sun")[: max(0, setting_up - 3)])
    if setting_up == 6:
        desk.guard(lambda guard: guard.carry_out(stop_id, by="Qian"))
    client = sign_in("reviewer", area="east", language="en")
    found = [each for each in STAGES if f"/stops/{person}?" in client.get(f"/stops?stage={each}").text]
    assert found == [stage]
    assert STAGES[stage] in client.get(address(person)).text


STAGES = {
    "frozen": "> frozen<",
    "proposed": "proposed, nobody told",
    "noticed": "message sent",
    "attempts": "called",
    "comparison": "data to be compared",
    "first_approval": "waits for the first review",
    "second_approval": "waits for the second review",
    "to_carry_out": "approved, to be carried out",
    "in_force": "stopped",
    "restored": "paid again",
}


def test_nobody_sees_or_changes_what_is_outside_their_areas(desk: Desk, sign_in: Callable[..., Any]) -> None:
    person = desk.people[0]
    desk.ladder(desk.propose(person))
    other = sign_in("reviewer", area="west")
    assert f"/stops/{person}?" not in other.get("/stops").text
    nobody = other.get(address("0" * 32))
    assert other.get(address(person)).status_code == nobody.status_code == 404
    assert other.get(address(person)).text == nobody.text.replace("0" * 32, person)
    for action in ("approve", "carry-out", "withdraw", "restore"):
        assert form(other, person, action).status_code == 404
    operator = sign_in("operator", area="west")
    assert step_form(operator, person, "message").status_code == 404
    assert operator.get(f"/stops/new?subject_id={person}").status_code == 404
    fields = {"subject_id": person, "scheme": "pension", "because": "other_by_law", "effect": "pause"}
    answer = operator.send_form("/stops/new", fields | {"from_month": "2026-12", "reason": "x"})
    assert answer.status_code == 409
    assert "does not belong to your areas" in answer.text
    assert desk.file(person).events == 4


@pytest.mark.parametrize(
    ("role", "action", "status"),
    [
        ("viewer", "step", 403),
        ("auditor", "approve", 403),
        ("operator", "approve", 403),
        ("operator", "carry-out", 403),
        ("operator", "withdraw", 403),
        ("operator", "restore", 403),
        ("reviewer", "step", 403),
        ("reviewer", "compare", 403),
        ("fleet_administrator", "approve", 403),
    ],
)
def test_steps_are_for_who_prepares_and_decisions_for_who_reviews(
    desk: Desk, sign_in: Callable[..., Any], role: str, action: str, status: int
) -> None:
    person = desk.people[0]
    desk.propose(person)
    answer = form(sign_in(role), person, action, step="message", outcome="reached", proof="x", approval_reason="x")
    assert answer.status_code == status
    assert desk.file(person).events == 1


def test_an_auditor_sees_stops_of_their_areas_and_is_offered_nothing(desk: Desk, sign_in: Callable[..., Any]) -> None:
    person = desk.people[0]
    desk.ladder(desk.propose(person))
    auditor = sign_in("auditor", area="east")
    page = auditor.get("/stops").text
    assert f"/stops/{person}?" in page
    assert "/stops/new" not in page
    one = auditor.get(address(person))
    assert one.status_code == 200
    assert [action for action in re.findall(r'action="(/[^"]*)"', one.text) if action != "/sign-out"] == []
    assert desk.actions()[-1] == "benefits.viewed"
    assert f"/stops/{person}?scheme=pension" in auditor.get(f"/people/{person}").text
    assert auditor.get("/stops/new").status_code == 403
    assert sign_in("auditor", area="west").get(address(person)).status_code == 404


def test_a_form_is_no_permission_in_another_area_of_the_same_person(desk: Desk, sign_in: Callable[..., Any]) -> None:
    person = desk.people[0]
    desk.propose(person)
    # A grant that looks does not decide: operator in the east, reviewer nowhere near it.
    assert sign_in("operator", area="east").get("/stops").status_code == 200
    assert sign_in("viewer").get("/stops").status_code == 403


def test_stages_are_counted_once_even_where_there_is_nothing(desk: Desk, sign_in: Callable[..., Any]) -> None:
    client = sign_in("reviewer", area="east")
    assert 'hx-get="/stops/stages' in client.get("/stops").text
    assert "hx-get" not in client.get("/stops/stages").text
    desk.propose(desk.people[0])
    shown = client.get("/stops/stages?stage=proposed&reason=death").text
    assert 'href="/stops?stage=proposed&amp;reason=death" aria-current="true"' in shown
    assert '<span class="count">1</span>' in shown
    assert '<span class="count">1</span>' not in sign_in("reviewer", area="west").get("/stops/stages").text


def test_who_looks_at_a_benefit_is_written_down(desk: Desk, sign_in: Callable[..., Any]) -> None:
    person = desk.people[0]
    desk.propose(person)
    sign_in("reviewer", area="east").get(address(person))
    assert desk.actions()[-1] == "benefits.viewed"


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_stops_in_a_browser(desk: Desk, browse: Callable[..., Any], language: str, width: int) -> None:
    people = desk.people
    desk.ladder(desk.propose(people[0]))
    desk.stopped(people[1])
    desk.propose(people[2])
    desk.guard(lambda guard: guard.freeze(people[2], "pension", "c-1", by="Zhao", why="they are here"))
    seen = browse("reviewer", area="east", language=language, width=width)
    page = seen.go("/stops")
    expect(page.locator(".count").first).to_be_visible()
    seen.check(f"stops-{language}-{width}")
    seen.go(address(people[2]))
    seen.check(f"stops-frozen-{language}-{width}")
    seen.go(address(people[1]))
    seen.check(f"stops-stopped-{language}-{width}")
    seen.go(address(people[0]))
    page.fill("#f-approval_reason", "按档案" if language == "zh" else "by the file")
    seen.check(f"stops-one-{language}-{width}")
    page.locator("form[action*=approve] button").click()
    seen.mean_it(f"sure-approve-{language}-{width}")
    page.wait_for_url("**done=stop_approved*")
    expect(page.locator("[role=status]")).to_be_visible()
    worker = browse("operator", area="east", language=language, width=width)
    page = worker.go("/stops/new")
    page.fill("#f-typed", people[0])
    page.locator("main form button").click()
    expect(page.locator("#f-from_month")).to_be_visible()
    worker.check(f"stops-new-{language}-{width}")


def test_whoever_prepared_a_stop_does_not_approve_it_with_another_role(desk: Desk, sign_in: Callable[..., Any]) -> None:
    (person, *_) = desk.people
    desk.ladder(desk.propose(person))
    reviewer = sign_in("reviewer", area="east", name="Zhao")
    page = reviewer.get(f"/stops/{person}", params={"scheme": "pension"}).text
    assert "others must approve it" in page
    assert "approval_reason" not in page
    refused = form(reviewer, person, "approve", approval_reason="x")
    assert (refused.status_code, "others must approve it" in refused.text) == (409, True)
