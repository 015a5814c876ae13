"""What is done about a person in the browser: each with its version, by whoever may, by two persons where one is not enough."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from fleet.benefits.i_am_here import look_again
from fleet.store.life_events import life_events_of
from fleet.store.reminders import NewReminder, add_reminders
from protocol.rules.life import LifeEventKind

pytestmark = pytest.mark.integration


class Form:
    """A form as a browser has it: what it was shown with goes back with what is typed."""

    def __init__(self, client: Any, path: str) -> None:
        self.client, self.path = client, path
        shown = client.get(path)
        assert shown.status_code == 200, shown.status_code
        self.hidden = dict(re.findall(r'type="hidden" name="(version|seen_at)" value="([^"]*)"', shown.text))

    def send(self, **fields: str) -> Any:
        return self.client.send_form(self.path, {**self.hidden, **fields})


REPORT = {
    "kind": "missing",
    "since": "2026-11-10",
    "until": "",
    "source": "village",
    "reported_on": "2026-11-12",
    "paper": "A-7",
}


def standing(town: Any, subject_id: str) -> list[Any]:
    with town.office.database.begin() as connection:
        return life_events_of(connection, [subject_id]).get(subject_id, [])


def test_a_report_is_taken_in_and_stands_on_the_page(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英")
    client = sign_in("operator", area="east")
    sent = Form(client, f"/people/{subject_id}/report").send(**REPORT)
    assert sent.status_code == 303
    assert sent.headers["location"] == f"/people/{subject_id}?done=person_reported_late"
    stored = standing(town, subject_id)[0]
    assert (stored.event.kind, stored.source, stored.confirmed) == (LifeEventKind.MISSING, "village", False)
    page = client.get(sent.headers["location"]).text
    assert "it came late" in page
    assert "village reports: disappearance" in page
    assert "unit 5 days late" in page
    assert town.actions(subject_id).count("life_event.reported") == 1


@pytest.mark.parametrize("kind", ["death", "cremation", "burial", "declared_dead", "sentence", "register_cancelled"])
def test_every_kind_that_a_person_may_enter_is_taken_in(town: Any, sign_in: Callable[..., Any], kind: str) -> None:
    subject_id = town.add("王秀英")
    form = Form(sign_in("operator", area="east"), f"/people/{subject_id}/report")
    assert form.send(**{**REPORT, "kind": kind}).status_code == 303
    assert [each.event.kind for each in standing(town, subject_id)] == [kind]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"kind": "hospital"}, "Choose an answer in every field"),
        ({"source": "feed:x"}, "Choose an answer in every field"),
        ({"since": "2026-13-01"}, "Write days like"),
        ({"since": "2027-01-01", "reported_on": "2027-01-02"}, "2027-01-01 is still to come"),
        ({"until": "2026-11-09"}, "must be over after it began"),
        ({"kind": "death", "until": "2026-11-11"}, "a death is never over"),
        ({"reported_on": "2026-11-01"}, "The days go backwards"),
        ({"since": "1939-12-31", "reported_on": "2026-11-12"}, "before the person was born"),
        ({"kind": "death", "since": "1920-05-01"}, "before the person was born"),
        ({"until": "2026-12-01"}, "2026-12-01 is still to come"),
    ],
)
def test_a_report_with_bad_days_is_refused_and_what_was_typed_is_kept(
    town: Any, sign_in: Callable[..., Any], wrong: dict[str, str], sentence: str
) -> None:
    subject_id = town.add("王秀英")
    sent = Form(sign_in("operator", area="east"), f"/people/{subject_id}/report").send(**{**REPORT, **wrong})
    assert sent.status_code == 422
    assert sentence in sent.text
    assert 'value="A-7"' in sent.text
    assert standing(town, subject_id) == []
    assert "life_event.reported" not in town.actions(subject_id)


def test_a_form_that_is_sent_twice_does_its_work_once(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英")
    form = Form(sign_in("operator", area="east", name="乙"), f"/people/{subject_id}/report")
    assert form.send(**{**REPORT, "paper": ""}).status_code == 303
    again = form.send(**{**REPORT, "paper": ""})
    assert again.status_code == 409
    assert "Somebody changed something" in again.text
    assert "乙: took in a report" in again.text
    assert len(standing(town, subject_id)) == 1


def test_a_report_that_is_here_already_is_told_so(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英")
    client = sign_in("operator", area="east")
    assert Form(client, f"/people/{subject_id}/report").send(**REPORT).status_code == 303
    again = Form(client, f"/people/{subject_id}/report").send(**REPORT)
    assert again.status_code == 409
    assert "This report is here already" in again.text
    assert len(standing(town, subject_id)) == 1


def test_a_second_report_of_a_kind_is_taken_in_once_somebody_says_that_it_is_one(
    town: Any, sign_in: Callable[..., Any]
) -> None:
    subject_id = town.add("王秀英")
    client = sign_in("operator", area="east")
    path = f"/people/{subject_id}/report"
    death = {**REPORT, "kind": "death", "since": "2026-11-05"}
    assert "f-sure" not in client.get(path).text
    assert Form(client, path).send(**death).status_code == 303
    other = {**death, "since": "2026-11-06", "paper": "A-8"}
    asked = Form(client, path).send(**other)
    assert asked.status_code == 422
    assert "of 2026-11-05, stands already" in asked.text
    assert 'id="f-sure"' in asked.text
    assert 'value="A-8"' in asked.text
    assert len(standing(town, subject_id)) == 1
    assert Form(client, path).send(**other, sure="yes").status_code == 303
    assert len(standing(town, subject_id)) == 2
    # Of another kind nothing is asked.
    assert (
        Form(client, path).send(**{**death, "kind": "burial", "since": "2026-11-08", "paper": "A-9"}).status_code == 303
    )


def test_the_release_from_a_sentence_may_be_ahead(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英")
    form = Form(sign_in("operator", area="east"), f"/people/{subject_id}/report")
    assert form.send(**{**REPORT, "kind": "sentence", "until": "2028-11-09"}).status_code == 303


def test_what_follows_where_a_pass_contradicts_a_report_is_said_before_it_is_taken_in(
    town: Any, terminal: Any, sign_in: Callable[..., Any]
) -> None:
    subject_id = town.add("王秀英")
    office = town.office
    token = office.rows("SELECT claim_token FROM subjects")[0].claim_token
    office.hold_references()
    office.send(terminal, terminal.next(subject_id=subject_id, token=token))
    client = sign_in("operator", area="east")
    path = f"/people/{subject_id}/report"
    death = {**REPORT, "kind": "death"}
    asked = Form(client, path).send(**death)
    assert asked.status_code == 422
    assert "no one person can take the report back" in asked.text
    assert standing(town, subject_id) == []
    assert office.rows("SELECT 1 FROM i_am_here") == []
    done = Form(client, path).send(**death, sure="yes")
    assert done.headers["location"].endswith("person_reported_here")
    # A form that would be refused is not offered.
    event_id = standing(town, subject_id)[0].event_id
    page = client.get(f"/people/{subject_id}/reports/{event_id}").text
    assert "decide that first" in page
    assert 'name="what"' not in page


def test_what_somebody_else_did_meanwhile_is_shown_and_nothing_typed_is_lost(
    town: Any, sign_in: Callable[..., Any]
) -> None:
    subject_id = town.add("王秀英")
    first = Form(sign_in("operator", area="east", name="甲"), f"/people/{subject_id}/report")
    second = Form(sign_in("operator", area="east", name="乙"), f"/people/{subject_id}/details")
    assert first.send(**REPORT).status_code == 303
    answer = second.send(what="units", unit_enterprise_pension="纺织厂", told_by="unit")
    assert answer.status_code == 409
    assert "甲: took in a report" in answer.text
    assert 'value="纺织厂"' in answer.text
    assert town.office.rows("SELECT unit FROM benefits")[0].unit is None


def test_an_unconfirmed_report_is_taken_back_by_one_and_a_confirmed_one_by_two(
    town: Any, sign_in: Callable[..., Any]
) -> None:
    subject_id = town.add("王秀英")
    loose = town.report(subject_id, LifeEventKind.MISSING)
    firm = town.report(subject_id, LifeEventKind.SENTENCE, confirmed=True)
    one, two = sign_in("operator", area="east", name="甲"), sign_in("operator", area="east", name="乙")

    def take_back(client: Any, event_id: str, why: str = "报错了人") -> Any:
        return Form(client, f"/people/{subject_id}/reports/{event_id}").send(what="withdraw", why=why)

    assert take_back(one, loose, why="").status_code == 422
    assert take_back(one, loose).headers["location"].endswith("done=person_report_withdrawn")
    assert take_back(one, firm).headers["location"].endswith("done=person_first_word")
    assert [each.event_id for each in standing(town, subject_id)] == [firm]
    same = take_back(one, firm)
    assert same.status_code == 409
    assert "another person must" in same.text
    page = two.get(f"/people/{subject_id}").text
    assert page.count("In words: 报错了人") == 1, "the second is not to read the first one's reason"
    assert take_back(two, firm).headers["location"].endswith("done=person_report_withdrawn")
    assert standing(town, subject_id) == []
    assert one.get(f"/people/{subject_id}").text.count("In words: 报错了人") == 3


def test_a_loss_is_over_from_a_day_and_a_death_never(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英")
    missing, death = town.report(subject_id, LifeEventKind.MISSING), town.report(subject_id)
    client = sign_in("operator", area="east")
    form = Form(client, f"/people/{subject_id}/reports/{missing}")
    early = form.send(what="over", on="2026-11-01", why="找到了")
    assert early.status_code == 422
    assert "A day after 2026-11-01" in early.text
    assert 'value="找到了"' in early.text
    assert form.send(what="over", on="2026-11-15", why="找到了").status_code == 303
    assert str(next(each for each in standing(town, subject_id) if each.event.kind == "missing").event.until) == (
        "2026-11-15"
    )
    never = Form(client, f"/people/{subject_id}/reports/{death}").send(what="over", on="2026-11-15", why="x")
    assert never.status_code == 422
    assert "never over" in never.text


def test_somebody_elses_report_is_none_of_this_person(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id, other = town.add("王秀英"), town.add("李秀英")
    event_id = town.report(other)
    client = sign_in("operator", area="east")
    assert client.get(f"/people/{subject_id}/reports/{event_id}").status_code == 404
    form = Form(client, f"/people/{subject_id}/report")
    sent = client.send_form(f"/people/{subject_id}/reports/{event_id}", {**form.hidden, "what": "withdraw", "why": "x"})
    assert sent.status_code == 404
    assert len(standing(town, other)) == 1


def test_what_came_of_a_call_is_noted_once_with_who_did_it(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英")
    client = sign_in("operator", area="east")
    assert "No call or visit waits" in client.get(f"/people/{subject_id}/attempt").text
    office = town.office
    with office.database.begin() as connection:
        planned = office.now - timedelta(days=2)
        new = NewReminder(subject_id, "expiring", planned.date(), "call", 1, planned)
        add_reminders(connection, [new], now=planned)
    step = office.rows("SELECT reminder_id FROM reminders")[0].reminder_id
    form = Form(client, f"/people/{subject_id}/attempt")
    fields = {"step": step, "outcome": "reached", "day": "2026-11-19", "worker": "赵六"}
    early = form.send(**{**fields, "day": "2026-11-01"})
    assert early.status_code == 422
    assert "not before 2026-11-18" in early.text
    assert form.send(**{**fields, "worker": ""}).status_code == 422
    assert form.send(**fields).status_code == 303
    row = office.rows("SELECT outcome, proof_day, worker_sealed FROM reminders")[0]
    assert (row.outcome, str(row.proof_day)) == ("reached", "2026-11-19")
    sealed = bytes(row.worker_sealed)
    assert office.keys.cipher.decrypt(sealed, subject_id=step, field_name="reminder_worker") == "赵六"
    again = Form(client, f"/people/{subject_id}/attempt")
    assert again.send(**fields).status_code == 409


def test_area_unit_and_ways_are_changed_as_a_list_would(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英", "V1")
    client, path = sign_in("operator", area="east"), f"/people/{subject_id}/details"
    stepped = Form(client, path).send(what="area", area="T1")
    assert stepped.status_code == 200
    assert "东二村" in stepped.text
    assert town.office.rows("SELECT area FROM subjects")[0].area == "V1", "only a step on the way"
    for area in ("V3", "V9", ""):
        refused = Form(client, path).send(what="area", area=area, go="1", told_by="person")
        assert refused.status_code == 422
        assert "There is no such area" in refused.text
    assert Form(client, path).send(what="area", area="V2", go="1", told_by="person").status_code == 303
    assert town.office.rows("SELECT area FROM subjects")[0].area == "V2"
    assert [row.area for row in town.office.rows("SELECT area FROM subject_areas WHERE is_home")] == ["V2"]
    assert Form(client, path).send(what="units", unit_enterprise_pension="厂", told_by="unit").status_code == 303
    assert town.office.rows("SELECT unit FROM benefits")[0].unit == "厂"
    same = Form(client, path).send(what="units", unit_enterprise_pension="厂", told_by="unit")
    assert same.status_code == 422
    assert "Nothing is different" in same.text
    for wrong in ("abc", "12345", "1" * 11):
        bad = Form(client, path).send(what="ways", way_sms=wrong, told_by="person")
        assert bad.status_code == 422
        assert "This is no telephone number" in bad.text
    assert (
        Form(client, path).send(what="ways", way_sms="138 0013 8000", out_email="1", told_by="person").status_code
        == 303
    )
    rows = {row.channel: row for row in town.office.rows("SELECT channel, address_sealed, opted_out_at FROM contacts")}
    number = town.office.keys.cipher.decrypt(
        bytes(rows["sms"].address_sealed), subject_id=subject_id, field_name="contact_sms"
    )
    assert number == "13800138000"
    assert rows["email"].opted_out_at is not None
    assert "13800138000" not in client.get(path).text
    told = sign_in("operator", area="east", name="旁人").get(f"/people/{subject_id}").text
    name = "operator 0"
    assert (
        f"{name} changed ways to reach the person (by the word of: the person); new: short messages; not wanted: e-mail"
        in told
    )
    assert told.count(f"{name} changed details") == 2


def test_a_pass_against_a_report_is_decided_by_two_different_persons(
    town: Any, terminal: Any, sign_in: Callable[..., Any]
) -> None:
    subject_id = town.add("王秀英")
    office = town.office
    token = office.rows("SELECT claim_token FROM subjects")[0].claim_token
    office.hold_references()
    event_id = town.report(subject_id, confirmed=True)
    office.send(terminal, terminal.next(subject_id=subject_id, token=token))
    zone = office.settings.zone()
    with office.database.begin() as connection:
        judging = lambda connection, who: office.settling.judge_anew(connection, who, now=office.now)  # noqa: E731
        look_again(connection, [subject_id], judging=judging, now=office.now, zone=zone)
    one, two = sign_in("reviewer", area="east", name="甲"), sign_in("reviewer", area="east", name="乙")
    assert "A live pass contradicts a report" in one.get(f"/people/{subject_id}").text
    # One count everywhere: the list's and the page's.
    assert "1 case" in one.get("/people").text
    shown = one.get(f"/people/{subject_id}").text.partition('id="cases"')[2].partition("<h2>")[0]
    assert shown.count("<li>") == 1
    assert f'<a href="/people/{subject_id}/here">alive against a report</a>' in shown
    operator = sign_in("operator", area="east")
    hidden = Form(operator, f"/people/{subject_id}/report").hidden
    taking_back = {**hidden, "what": "withdraw", "why": "x"}
    refused = operator.send_form(f"/people/{subject_id}/reports/{event_id}", taking_back)
    assert refused.status_code == 422
    assert "decide that first" in refused.text
    path = f"/people/{subject_id}/here"
    assert Form(one, path).send(resolution="", why="x").status_code == 422
    stale = Form(two, path)
    assert Form(one, path).send(resolution="alive", why="见到本人").headers["location"].endswith("person_here_first")
    assert "见到本人" not in two.get(f"/people/{subject_id}").text
    assert stale.send(resolution="alive", why="同意").status_code == 409
    same = Form(one, path).send(resolution="alive", why="见到本人")
    assert same.status_code == 409
    done = Form(two, path).send(resolution="alive", why="同意")
    assert done.headers["location"].endswith("person_here_alive")
    assert standing(town, subject_id) == []
    page = two.get(done.headers["location"]).text
    assert "见到本人" in page
    assert "Decided: the person is alive" in page
    assert one.get(path).status_code == 404, "nothing is left to decide"


def test_a_person_who_moved_away_meanwhile_is_nobody(town: Any, sign_in: Callable[..., Any]) -> None:
    subject_id = town.add("王秀英", "V1")
    form = Form(sign_in("operator", area="V1"), f"/people/{subject_id}/report")
    with town.office.database.begin() as connection:
        connection.execute(text("UPDATE subject_areas SET area = 'V3'"))
    assert form.send(**REPORT).status_code == 404
    assert standing(town, subject_id) == []
