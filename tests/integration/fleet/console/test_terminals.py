"""The pages of terminals and what is done from them: who sees which, what is refused, and that everything happens once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from fleet.audit.log import entries
from fleet.ingest.messages import Inbound
from fleet.store.areas import Area, save_areas
from fleet.store.rosters import assignments_of
from fleet.store.terminal_commands import settle
from fleet.terminals.commanding import commands_of
from protocol.commands import CommandKind, CommandResult
from protocol.commissioning import COMMISSIONING_TYP, CommissioningReport, Part
from protocol.envelope import sign
from protocol.examples import examples
from protocol.health import THROTTLED, BoardVitals, ClockState, Health, LinkTimes, Running
from protocol.keys import short_key_id
from protocol.presence import PRESENCE_TYP, OutboxCounts, Presence
from protocol.selftest import Check, SelftestReport
from protocol.times import ClockSource
from protocol.topics import Kind

pytestmark = pytest.mark.integration
MOVE = {"area": "west", "version": "1", "reason": "The hall was closed"}


@pytest.fixture
def areas(office: Any) -> Any:
    """A fleet with two areas, of which one has two below it."""
    with office.database.begin() as connection:
        save_areas(
            connection,
            [
                Area("all", None, 1, "全省"),
                Area("east", "all", 2, "东区"),
                Area("east-1", "east", 3, "一街"),
                Area("west", "all", 2, "西区"),
                Area("west-1", "west", 3, "一街"),
            ],
        )
    return office


@pytest.fixture
def t1(areas: Any, make_fleet_terminal: Callable[..., Any], sign_in: Callable[..., Any]) -> Any:
    """A terminal of the east, registered in the console."""
    terminal = make_fleet_terminal()
    client = sign_in("fleet_administrator", name="Qiao")
    answer = register(client, terminal, "east")
    assert answer.status_code == 303
    return terminal


def register(client: Any, terminal: Any, area: str, **fields: str) -> Any:
    return client.send_form(
        "/terminals/-/register",
        {"area": area, "reason": "New", **fields},
        files={"file": ("t.reg", terminal.registration() + b"\n")},
    )


def say(office: Any, terminal: Any, *, health: Health | None = None, **changes: Any) -> None:
    presence = Presence.model_validate(
        {
            "fleet_id": "north",
            "terminal_id": terminal.terminal_id,
            "state": "online",
            "boot_id": "b" * 32,
            "connection": 1,
            "said_at": office.now,
            "software": "0.9",
            "policy_version": "2026-1",
            "roster_version": 0,
            "outbox": OutboxCounts(pending=3, published=0, acknowledged=0, refused=0, stored=3),
            "health": health,
            **changes,
        }
    )
    envelope = sign(presence.to_bytes(), key=terminal.signing, typ=PRESENCE_TYP)
    office.send(terminal, envelope, kind=Kind.PRESENCE)


def hot() -> Health:
    return Health(
        board=BoardVitals(temperature_c=83.2, throttled=THROTTLED, battery_percent=55, disk_free_bytes=10**10),
        uptime_s=7300,
        clock=ClockState(source=ClockSource.NONE),
        link=LinkTimes(presence_s=600, keep_alive_s=300),
        oldest_unconfirmed_s=90_000,
        running=Running(software="0.9", camera_rate_hz=9.5),
    )


def notes(office: Any) -> list[str]:
    with office.database.begin() as connection:
        return [entry.action for entry in entries(connection)]


def test_a_list_has_every_terminal_once_in_both_directions(
    areas: Any, make_fleet_terminal: Callable[..., Any], sign_in: Callable[..., Any]
) -> None:
    for number in range(120):
        areas.register(make_fleet_terminal(terminal_id=f"t-{number:03d}"), area="east-1" if number % 2 else "west-1")
    client = sign_in("viewer")
    address, seen = "/terminals", []
    while True:
        text = client.get(address).text
        seen += [f"t-{number:03d}" for number in range(120) if f'"/terminals/t-{number:03d}"' in text]
        if 'rel="next"' not in text:
            break
        address = text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert seen == [f"t-{number:03d}" for number in range(120)]
    back = text.split('rel="prev"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    text = client.get(back).text
    assert '"/terminals/t-050"' in text
    assert '"/terminals/t-099"' in text
    assert '"/terminals/t-100"' not in text
    for narrowed, count in (
        ("area=east", 60),
        ("area=东区", 60),
        ("area=一街", 120),
        ("area=nowhere", 0),
        ("part=-00", 10),
    ):
        assert f'<span class="count">{count}</span>' in client.get(f"/terminals?{narrowed}").text, narrowed
    assert "No terminals match" in client.get("/terminals", params={"part": "%_'\"<script>", "after": "'"}).text
    assert client.get("/terminals", params={"part": "x" * 5000}).status_code == 200


def test_what_wants_somebody_is_counted_and_found(areas: Any, t1: Any, sign_in: Callable[..., Any]) -> None:
    say(areas, t1, health=hot())
    client = sign_in("viewer")
    text = client.get("/terminals").text
    for word in ("too warm", "slowed down", "clock not reliable", "records wait long", "Want somebody"):
        assert f'{word} <span class="count">1</span>' in text
    assert "/terminals/t-1" in client.get("/terminals?state=wants_somebody").text
    assert "No terminals match" in client.get("/terminals?state=low_battery").text
    assert client.get("/terminals?state=nonsense").status_code == 200


def test_presence_is_told_by_the_terminals_own_times(areas: Any, t1: Any, sign_in: Callable[..., Any]) -> None:
    say(areas, t1, health=hot())
    areas.now += timedelta(minutes=30)
    client = sign_in("viewer")
    text = client.get("/terminals/t-1").text
    assert "It speaks every 10 minutes, and may say nothing for 37 minutes" in text
    assert "83.2 °C" in text
    assert "9.5 pictures a second" in text
    # As it stands on the terminal's label, and whole.
    assert short_key_id(t1.signing.key_id) in text
    assert t1.signing.key_id in text
    areas.now += timedelta(minutes=10)
    assert "longer than the 37 minutes that it may say nothing" in client.get("/terminals/t-1").text


def test_a_terminal_outside_the_areas_is_as_one_that_is_not_there(
    areas: Any, t1: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("area_administrator", area="west")
    assert "/terminals/t-1" not in client.get("/terminals?area=east").text
    for path in ("", "/drift", "/people", "/log/1"):
        outside, nobody = client.get(f"/terminals/t-1{path}"), client.get(f"/terminals/t-2{path}")
        assert outside.status_code == nobody.status_code == 404
        assert outside.content == nobody.content
    for action in ("move", "retire", "assign", "unassign", "command", "withdraw"):
        fields = {**MOVE, "kind": "restart", "number": "0", "confirmation": "t-1", "who": "all", "order": "all:"}
        outside = client.send_form(f"/terminals/t-1/{action}", fields)
        nobody = client.send_form(f"/terminals/t-2/{action}", fields)
        assert outside.status_code == nobody.status_code == 404
        assert outside.content == nobody.content
    assert notes(areas).count("terminal.registered") == len(notes(areas))


@pytest.mark.parametrize("role", ["viewer", "operator", "reviewer", "auditor"])
def test_whoever_may_only_look_is_shown_no_form_and_refused(
    areas: Any, t1: Any, sign_in: Callable[..., Any], role: str
) -> None:
    client = sign_in(role)
    text = client.get("/terminals/t-1").text
    assert 'method="post" action="/terminals' not in text
    assert client.send_form("/terminals/t-1/retire", {"confirmation": "t-1", "version": "1"}).status_code == 403
    assert client.get("/terminals/-/register").status_code == 403


def test_looking_in_one_area_and_acting_in_another_are_not_mixed_up(
    areas: Any, t1: Any, make_fleet_terminal: Callable[..., Any], sign_in: Callable[..., Any], office: Any
) -> None:
    areas.register(make_fleet_terminal(terminal_id="t-9"), area="west")
    client = sign_in("area_administrator", area="west")
    viewer = sign_in("viewer", area="east", name="Han")
    assert viewer.get("/terminals/t-1").status_code == 200
    assert client.send_form("/terminals/t-9/move", {**MOVE, "version": "0", "area": "east"}).status_code == 422


def test_moving_is_done_once_and_kept_with_who_and_why(areas: Any, t1: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator", name="Qiao 2")
    answers: list[Any] = []
    senders = [
        threading.Thread(target=lambda: answers.append(client.send_form("/terminals/t-1/move", MOVE))) for _ in range(2)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert [answer.headers.get("location") for answer in answers] == ["/terminals/t-1?done=terminal_moved"] * 2
    assert notes(areas).count("terminal.moved") == 1
    text = client.get("/terminals/t-1?done=terminal_moved").text
    assert "The terminal was moved." in text
    assert "Qiao 2 · moved: west · The hall was closed" in text
    (row,) = areas.rows("SELECT by_sealed, reason_sealed FROM terminal_changes WHERE kind = 'moved'")
    assert b"Qiao" not in bytes(row.by_sealed)
    assert b"hall" not in bytes(row.reason_sealed)


def test_a_form_that_is_older_than_a_change_is_refused_and_kept(
    areas: Any, t1: Any, sign_in: Callable[..., Any]
) -> None:
    first, second = (sign_in("fleet_administrator", name=name, language="zh") for name in ("甲", "乙"))
    assert first.send_form("/terminals/t-1/move", MOVE).status_code == 303
    answer = second.send_form("/terminals/t-1/move", {**MOVE, "area": "east-1", "reason": "搬到<楼上>"})
    assert answer.status_code == 409
    assert "此终端在您填写期间已被他人更改" in answer.text
    assert "甲 · 调动：west" in answer.text
    assert 'value="搬到&lt;楼上&gt;"' in answer.text
    assert 'value="east-1"' in answer.text
    assert areas.rows("SELECT area FROM terminals") == [("west",)]
    # What stands in the refused page can be sent again.
    assert second.send_form("/terminals/t-1/move", {**MOVE, "area": "east-1", "version": "2"}).status_code == 303


@pytest.mark.parametrize(
    ("action", "fields", "said"),
    [
        ("move", {"reason": "  "}, "Say why."),
        ("move", {"reason": "x" * 501}, "500 characters at most"),
        ("move", {"area": "nowhere"}, "no such area"),
        ("move", {"area": "一街"}, "Several areas have this name"),
        ("move", {"area": "东区"}, "in this area already"),
        ("move", {"area": ""}, "no such area"),
        ("retire", {"confirmation": "t-2"}, "is not t-1; nothing was retired"),
        ("assign", {"who": ""}, "Choose one first"),
        ("assign", {"who": "area", "assigned_area": "north"}, "no such area"),
        ("assign", {"who": "subject", "subject": "nobody"}, "nobody of this id or number"),
        ("unassign", {"order": "area:west"}, "no such assignment"),
        ("unassign", {"order": "nonsense"}, "Choose one first"),
        ("command", {"kind": "explode"}, "Choose one first"),
        ("command", {"kind": "restart", "number": "0", "reason": ""}, "Say why."),
        ("command", {"kind": "restart", "number": "7"}, "was asked something else"),
    ],
)
def test_what_cannot_be_done_says_why_and_changes_nothing(
    areas: Any, t1: Any, sign_in: Callable[..., Any], action: str, fields: dict[str, str], said: str
) -> None:
    client = sign_in("fleet_administrator", name="Qiao 2")
    before = notes(areas)
    answer = client.send_form(f"/terminals/t-1/{action}", {**MOVE, **fields})
    assert answer.status_code in (409, 422)
    assert said in answer.text
    assert notes(areas) == before
    # The address of the form leads back, also to another language.
    again = client.get(f"/terminals/t-1/{action}?lang=zh")
    assert (again.status_code, again.headers["location"]) == (303, "/terminals/t-1?lang=zh")


def test_retiring_asks_for_the_id_and_cannot_be_taken_back(areas: Any, t1: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("area_administrator", area="east")
    form = {"confirmation": "t-1", "version": "1", "reason": "Stolen"}
    for _ in range(2):
        assert client.send_form("/terminals/t-1/retire", form).status_code == 303
    assert notes(areas).count("terminal.retired") == 1
    text = client.get("/terminals/t-1").text
    assert "What comes from it has no effect" in text
    assert "/terminals/t-1/retire" not in text
    assert "/terminals/t-1/command" not in text
    answer = client.send_form("/terminals/t-1/move", {**MOVE, "area": "east-1", "version": "2"})
    assert answer.status_code == 409
    assert "This terminal is retired." in answer.text
    assert "is retired" in register(client, t1, "east").text


def test_people_are_assigned_within_the_areas_of_whoever_does_it(
    areas: Any, t1: Any, sign_in: Callable[..., Any]
) -> None:
    areas.import_people(2, area="east")
    areas.import_people(1, area="west", first=3)
    inside, _, outside = areas.people
    client = sign_in("area_administrator", area="east", name="Qiao 2")

    def assign(who: str, version: int, **fields: str) -> Any:
        return client.send_form(
            "/terminals/t-1/assign", {"who": who, "version": str(version), "reason": "Their village", **fields}
        )

    assert "only by whoever has the whole fleet" in assign("all", 1).text
    assert "There is no such area" in assign("area", 1, assigned_area="west").text
    assert "nobody of this id or number" in assign("subject", 1, subject=outside).text
    assert assign("subject", 1, subject=inside).status_code == 303
    assert assign("subject", 1, subject=inside).status_code == 303
    assert assign("area", 2, assigned_area="东区").status_code == 303
    with areas.database.begin() as connection:
        assert assignments_of(connection, "t-1") == [("area", "east"), ("subject", inside)]
    assert notes(areas).count("terminal.assigned") == 2
    assert inside not in str(areas.rows("SELECT detail FROM terminal_changes"))
    for _ in range(2):
        answer = client.send_form(
            "/terminals/t-1/unassign", {"order": "area:east", "version": "3", "reason": "Their own terminal"}
        )
        assert answer.status_code == 303
    with areas.database.begin() as connection:
        assert assignments_of(connection, "t-1") == [("subject", inside)]


def test_a_command_is_given_once_and_its_answer_shown(areas: Any, t1: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator", name="Qiao 2")
    form = {"kind": "diagnose", "number": "0", "reason": "Slow since Monday"}
    for _ in range(2):
        answer = client.send_form("/terminals/t-1/command", form)
        assert answer.headers["location"] == "/terminals/t-1?done=terminal_asked"
    assert notes(areas).count("terminal.commanded") == 1
    text = client.get("/terminals/t-1").text
    assert "holds until 2026-11-21 17:00" in text
    assert "Slow since Monday" in text
    another = client.send_form("/terminals/t-1/command", {**form, "kind": "log_bundle"})
    assert another.status_code == 409
    assert client.send_form("/terminals/t-1/command", {**form, "kind": "log_bundle", "number": "1"}).status_code == 303
    for kind in (CommandKind.LOG_BUNDLE, CommandKind.DIAGNOSE):
        answer_command(areas, kind)
    text = client.get("/terminals/t-1").text
    assert "9000 MiB free" in text
    assert "a &lt;line&gt;" in client.get("/terminals/t-1/log/2").text
    for path in ("/terminals/t-1/log/1", "/terminals/t-1/log/9"):
        assert client.get(path).status_code == 404
    assert sign_in("viewer").get("/terminals/t-1/log/2").status_code == 403


def test_a_log_is_shown_as_long_as_it_is_stored(areas: Any, t1: Any, sign_in: Callable[..., Any]) -> None:
    client = sign_in("fleet_administrator", name="Qiao 2")
    for number in range(14):
        kind = CommandKind.DIAGNOSE if number else CommandKind.LOG_BUNDLE
        form = {"kind": kind.value, "number": str(number), "reason": "Slow since Monday"}
        assert client.send_form("/terminals/t-1/command", form).status_code == 303
        answer_command(areas, kind)
    assert 'href="/terminals/t-1/log/1"' in client.get("/terminals/t-1").text
    assert "a &lt;line&gt;" in client.get("/terminals/t-1/log/1").text


def test_a_command_is_taken_back_and_the_list_says_by_whom_and_whether_in_time(
    areas: Any, t1: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator", name="Qiao 2")
    for number, kind in enumerate(("restart", "diagnose", "identify")):
        form = {"kind": kind, "number": str(number), "reason": "Slow since Monday"}
        assert client.send_form("/terminals/t-1/command", form).status_code == 303
    areas.handler.push_commands()
    assert client.get("/terminals/t-1").text.count('action="/terminals/t-1/withdraw"') == 3
    assert 'action="/terminals/t-1/withdraw"' not in sign_in("viewer").get("/terminals/t-1").text
    for number in ("1", "1", "2"):
        answer = client.send_form("/terminals/t-1/withdraw", {"number": number})
        assert answer.headers["location"] == "/terminals/t-1?done=command_withdrawn"
    assert notes(areas).count("terminal.command_withdrawn") == 2
    text = client.get("/terminals/t-1").text
    assert text.count("the terminal has not confirmed it") == text.count("Taken back by Qiao 2") == 2
    answer_command(areas, CommandKind.DIAGNOSE)
    assert "It was carried out before it was taken back." in client.get("/terminals/t-1").text
    answer_command(areas, CommandKind.IDENTIFY)
    late = client.send_form("/terminals/t-1/withdraw", {"number": "3"})
    assert late.status_code == 409
    assert "has already answered this command" in late.text
    assert client.send_form("/terminals/t-1/withdraw", {"number": "9"}).status_code == 409
    areas.now += timedelta(hours=25)
    text = sign_in("fleet_administrator", name="Qiao 2").get("/terminals/t-1").text
    assert "did not say whether it was carried out" in text


def answer_command(office: Any, kind: CommandKind) -> None:
    report = SelftestReport(
        software="0.9",
        python="3.13",
        machine="Linux",
        checks=(Check(name="disk", status="passed", detail="9000 MiB free", seconds=0.0),),
    )
    with office.database.begin() as connection:
        given = next(each for each in commands_of(connection, office.keys.cipher, "t-1") if each.kind is kind)
        result = CommandResult(
            fleet_id="north",
            terminal_id="t-1",
            command_id=given.command_id,
            verdict="done",
            finished_at=office.now,
            report=report if kind is CommandKind.DIAGNOSE else None,
            log=("a <line>",) if kind is CommandKind.LOG_BUNDLE else None,
        )
        assert settle(connection, result, now=office.now)


def test_a_registration_that_cannot_be_taken_says_why_and_keeps_what_was_typed(
    areas: Any, t1: Any, make_fleet_terminal: Callable[..., Any], sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator", name="Qiao 2")
    before = notes(areas)
    damaged = t1.registration()[:-8] + b"AAAAAAAA"
    for token, said in (
        (b"", "Choose the registration file"),
        (b"nonsense", "This is no registration"),
        (b"a.b.c", "This is no registration"),
        (b"\xff" * 400, "This is no registration"),
        (damaged, "This is no registration"),
        (b"x" * 100_000, "This is no registration"),
        (make_fleet_terminal("south").registration(), "for the agency south; this is north"),
        (make_fleet_terminal().registration(), "registered with other keys"),
    ):
        answer = client.send_form(
            "/terminals/-/register", {"area": "east", "reason": "Brought by Han"}, files={"file": ("t.reg", token)}
        )
        assert answer.status_code in (409, 422), said
        assert said in answer.text
        assert 'value="Brought by Han"' in answer.text
    assert notes(areas) == before
    token = make_fleet_terminal(terminal_id="t-7").registration().decode()
    refused = client.send_form("/terminals/-/register", {"area": "nowhere", "reason": "New", "text": token})
    assert refused.status_code == 422
    assert token in refused.text
    assert (
        client.send_form("/terminals/-/register", {"area": "west", "reason": "New", "text": token}).status_code == 303
    )


def test_a_terminal_is_registered_once_and_only_in_areas_of_ones_own(
    areas: Any, t1: Any, sign_in: Callable[..., Any], make_fleet_terminal: Callable[..., Any]
) -> None:
    assert notes(areas) == ["terminal.registered"]
    client = sign_in("area_administrator", area="west")
    assert "registered in another area" in register(client, t1, "west").text
    mine = make_fleet_terminal(terminal_id="t-8")
    assert "There is no such area" in register(client, mine, "east").text
    for _ in range(2):
        assert register(client, mine, "west").headers["location"] == "/terminals/t-8?done=terminal_registered"
    assert notes(areas) == ["terminal.registered"] * 2
    assert mine.signing.key_id in client.get("/terminals/t-8").text


def test_names_of_people_are_for_whoever_may_see_them_and_the_look_is_written_down(
    areas: Any, t1: Any, sign_in: Callable[..., Any]
) -> None:
    areas.import_people(1, area="east")
    areas.import_people(1, area="west", name="乙", first=2)
    for subject_id, token in areas.people.items():
        areas.send(t1, t1.next(subject_id=subject_id, token=token))
    viewer = sign_in("viewer")
    assert viewer.get("/terminals/t-1/people").status_code == 403
    text = viewer.get("/terminals/t-1").text
    assert "甲1" not in text
    assert next(iter(areas.people)) not in text
    client = sign_in("reviewer", area="east")
    before = len(notes(areas))
    assert "甲1" not in client.get("/terminals/t-1").text
    assert len(notes(areas)) == before
    text = client.get("/terminals/t-1/people").text
    assert "甲1" in text
    assert "乙2" not in text
    assert notes(areas)[before:] == ["subject.listed"]


def test_quarantine_is_for_whoever_sees_the_whole_fleet(areas: Any, t1: Any, sign_in: Callable[..., Any]) -> None:
    stranger = str(t1.topic(Kind.RECORD)).replace("/t-1/", "/x-9/")
    for number in range(60):
        areas.handler.handle([Inbound(stranger, f"nonsense {number}".encode(), areas.now)])
    areas.send(t1, b"not.a.record")
    assert sign_in("viewer", area="east").get("/terminals/-/quarantine").status_code == 403
    client = sign_in("auditor")
    text = client.get("/terminals/-/quarantine").text
    assert "cannot be read" in text
    assert text.count("x-9 ") == 49
    text = client.get("/terminals/-/quarantine", params={"sender": "known", "reason": "malformed"}).text
    assert "/terminals/t-1" in text
    assert "x-9" not in text
    assert "No refused messages" in client.get("/terminals/-/quarantine?terminal=t-1&sender=unknown").text
    assert client.get("/terminals/-/quarantine?reason=x&after=-1&before=99999999999999999999").status_code == 200
    assert "cannot be read" in client.get("/terminals/t-1").text


def test_whether_a_terminal_was_commissioned_is_listed_and_its_reports_are_shown_in_both_languages(
    areas: Any, t1: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("viewer")
    assert "never commissioned" in client.get("/terminals").text
    assert "lifecert-provision commission" in client.get("/terminals/t-1").text
    example = examples()[COMMISSIONING_TYP]
    assert isinstance(example, CommissioningReport)
    report = example.model_copy(update={"fleet_id": "north", "terminal_id": "t-1", "finished_at": areas.now})
    areas.send(t1, sign(report.to_bytes(), key=t1.signing, typ=COMMISSIONING_TYP), kind=Kind.COMMISSIONING)
    listed, page = client.get("/terminals").text, client.get("/terminals/t-1").text
    assert "never commissioned" not in listed
    assert "not passed" in listed
    assert "raise the terminal by about 8.2 cm" in page
    # What the report says nothing of was not tried.
    assert f"not passed: {len(Part)} to be mended" in page
    assert page.count("Never came to its turn") == len(Part) - 1
    assert "请升高约 8.2 厘米" in sign_in("viewer", language="zh").get("/terminals/t-1").text
