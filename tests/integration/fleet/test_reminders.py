"""Reminders from plan to proof, on the real database and with real servers at the other end."""

from __future__ import annotations

import hmac
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from fleet.errors import SettingsInvalid
from fleet.reminders.planner import Plan, plan_reminders
from fleet.reminders.receipts import Applied, GatewayReceipt, apply_receipts
from fleet.reminders.sending import Sender, Sent, message_id_of
from fleet.reminders.setup import open_channels
from fleet.settings import Settings
from fleet.store import contacts
from fleet.store.contacts import NewContact, contact_field
from fleet.store.life_events import NewLifeEvent, add_life_events, withdraw_life_event
from fleet.store.reminders import note_occasion, steps_proven
from fleet.store.subjects import save_phone
from protocol.outcomes import Outcome
from protocol.rules.life import LifeEventKind

pytestmark = pytest.mark.integration

KEY = b"a secret of the gateway"
MORNING = datetime(2026, 11, 20, 1, tzinfo=UTC)
"""09:00 at the agency."""


@dataclass
class Gateway:
    """A gateway for short messages: checks signatures, keeps each message once by its id, and answers as it is told."""

    url: str = ""
    arrived: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Answers to give before `default`."""
    default: tuple[int, dict[str, Any]] = (200, {})
    held: threading.Event = field(default_factory=threading.Event)
    """While it is clear no answer is given."""
    holds_at: int = 0
    """From this arrival on, counted from 1, none is answered; 0: all are."""

    def __post_init__(self) -> None:
        self.held.set()

    @property
    def ids(self) -> Counter[str]:
        return Counter(body["id"] for _, body in self.arrived)

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        stamp = headers["X-Lifecert-Timestamp"]
        expected = "sha256=" + hmac.new(KEY, stamp.encode() + b"." + body, "sha256").hexdigest()
        if headers["X-Lifecert-Signature"] != expected:
            return 401, {}
        self.arrived.append((headers, json.loads(body)))
        if len(self.arrived) == self.holds_at:
            self.held.clear()
        self.held.wait(30)
        return self.answers.pop(0) if self.answers else self.default


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = made.take(dict(self.headers), body)
            payload = json.dumps(answer).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
            except OSError:
                """Whoever asked was killed."""

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/send"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.held.set()
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Desk:
    """Plans and sends for one office."""

    office: Any
    settings: Settings

    def at(self, moment: datetime) -> Desk:
        self.office.now = moment
        return self

    def plan(self) -> Plan:
        return plan_reminders(
            self.office.database,
            self.office.keys,
            self.settings.reminders,
            zone=self.settings.zone(),
            now=self.office.now,
        )

    @contextmanager
    def sender(self) -> Iterator[Sender]:
        with open_channels(self.settings, clock=self.office.clock) as channels:
            yield Sender(
                self.office.database,
                self.office.keys,
                channels,
                self.settings.reminders,
                zone=self.settings.zone(),
                clock=self.office.clock,
            )

    def send(self, **limits: Any) -> Sent:
        with self.sender() as sender:
            return sender.send(**limits)

    def receipt(self, message_id: str, state: str, code: str = "", channel: str = "sms") -> Applied:
        found = GatewayReceipt.model_validate({"message_id": message_id, "state": state, "code": code})
        return apply_receipts(self.office.database, channel, [found], zone=self.settings.zone(), now=self.office.now)

    def phone(self, subject_id: str, number: str = "13800000000", channel: str = "sms", **more: Any) -> None:
        sealed = self.office.keys.cipher.encrypt(number, subject_id=subject_id, field_name=contact_field(channel))
        with self.office.database.begin() as connection:
            contacts.save_contacts(
                connection,
                [NewContact(subject_id, channel, sealed, more.get("out"))],
                source="test",
                now=self.office.now,
            )

    def steps(self, subject_id: str) -> list[tuple[str, str, str]]:
        with self.office.database.begin() as connection:
            return [
                (step.step, str(step.day), step.outcome)
                for step in steps_proven(connection, subject_id, date(2000, 1, 1))
            ]

    def rows(self) -> list[tuple[str, str, str, str | None]]:
        return [
            tuple(row)
            for row in self.office.rows(
                "SELECT kind, step, state, code FROM reminders ORDER BY priority,"
                " array_position(ARRAY['message', 'call', 'visit'], step), reminder_id"
            )
        ]


@pytest.fixture
def make_desk(office: Any, gateway: Gateway, tmp_path: Path) -> Callable[..., Desk]:
    key = tmp_path / "gateway.key"
    key.write_bytes(KEY + b"\n")

    def make(**changes: Any) -> Desk:
        found = {
            "fleet_id": "north",
            "data_dir": tmp_path,
            "sms": {"url": gateway.url, "key_file": key, "cost_per_part": 5, **changes.pop("sms", {})},
            **changes,
        }
        return Desk(office, Settings.model_validate(found)).at(MORNING)

    return make


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


def certify(office: Any, terminal: Any, subject_id: str, at: datetime, **changes: Any) -> None:
    office.hold_references()
    office.send(terminal, terminal.next(subject_id=subject_id, token=office.people[subject_id], at=at, **changes))


def test_r9_1_a_message_goes_out_signed_once_and_its_delivery_is_the_proof(
    desk: Desk, gateway: Gateway, office: Any
) -> None:
    office.import_people(1)
    (subject,) = office.people
    desk.phone(subject, "13800001234")
    assert desk.plan().planned == 1
    assert desk.plan().planned == 0, "never twice for one occasion"
    done = desk.send()
    assert (done.accepted, done.parts, done.cost) == (1, 2, 10)
    ((headers, body),) = gateway.arrived
    assert body["to"] == "13800001234"
    assert "甲1" in body["text"]
    assert "12333" in body["text"]
    assert headers["Idempotency-Key"] == body["id"]
    assert desk.send() == Sent()
    assert desk.steps(subject) == [], "a gateway's word that it has a message is no proof"
    assert desk.receipt(body["id"], "delivered") == Applied(1, 0, 0, 0)
    assert desk.receipt(body["id"], "delivered") == Applied(0, 0, 1, 0)
    assert desk.steps(subject) == [("message", "2026-11-20", "reached")]


def test_r9_2_people_with_no_data_are_told_before_all_others(
    desk: Desk, gateway: Gateway, office: Any, terminal: Any
) -> None:
    office.import_people(3)
    first, second, third = office.people
    for number, subject in enumerate(office.people):
        desk.phone(subject, f"1380000000{number}")
    certify(office, terminal, first, datetime(2025, 12, 10, 2, tzinfo=UTC))
    certify(office, terminal, second, datetime(2025, 10, 1, 2, tzinfo=UTC))
    assert desk.plan().planned == 3
    desk.send(limit=1)
    assert [body["to"] for _, body in gateway.arrived] == ["13800000002"], third
    desk.send()
    assert [row[0] for row in desk.rows()] == ["no_data", "stop_proposed", "expiring"]


def test_r6_10_who_tried_in_vain_is_told_of_another_way(
    desk: Desk, gateway: Gateway, office: Any, terminal: Any
) -> None:
    office.import_people(1)
    (subject,) = office.people
    desk.phone(subject)
    certify(office, terminal, subject, datetime(2026, 6, 1, 2, tzinfo=UTC))
    assert desk.plan().planned == 0
    certify(office, terminal, subject, datetime(2026, 11, 19, 2, tzinfo=UTC), outcome=Outcome.NOT_CERTIFIED)
    assert desk.plan().planned == 1
    desk.send()
    assert "未通过" in gateway.arrived[0][1]["text"]


def test_r6_10_who_cannot_be_told_is_called_by_unit_or_village(desk: Desk, office: Any) -> None:
    office.import_people(1)
    (subject,) = office.people
    desk.plan()
    assert desk.send().codes == Counter({"no_address": 1})
    assert desk.steps(subject) == [("message", "2026-11-20", "not_possible")]
    assert desk.plan().planned == 1
    assert [row[:3] for row in desk.rows()] == [("no_data", "message", "failed"), ("no_data", "call", "pending")]


def test_nobody_is_told_while_a_death_report_stands(desk: Desk, gateway: Gateway, office: Any) -> None:
    office.import_people(2)
    late, early = office.people
    for subject in office.people:
        desk.phone(subject)
    death = NewLifeEvent(early, LifeEventKind.DEATH, date(2026, 11, 18), None, "family", "f-1", confirmed=False)
    with office.database.begin() as connection:
        ((event_id, _),) = add_life_events(connection, [death], now=office.now).items()
    assert desk.plan().planned == 1
    after = NewLifeEvent(late, LifeEventKind.CREMATION, date(2026, 11, 19), None, "feed:civil", "c-1", confirmed=True)
    with office.database.begin() as connection:
        add_life_events(connection, [after], now=office.now)
    assert desk.send().cancelled == 1, "a report that comes between plan and sending is heard"
    assert gateway.arrived == []
    with office.database.begin() as connection:
        withdraw_life_event(connection, event_id, now=office.now)
    assert desk.plan().planned == 1, "the report was wrong"
    assert desk.send().accepted == 1


def test_whoever_came_meanwhile_is_not_told_any_more(desk: Desk, gateway: Gateway, office: Any, terminal: Any) -> None:
    office.import_people(2)
    for subject in office.people:
        desk.phone(subject)
    first, second = office.people
    desk.plan()
    certify(office, terminal, first, MORNING - timedelta(minutes=5))
    assert desk.plan().cancelled == 1
    certify(office, terminal, second, MORNING - timedelta(minutes=5))
    assert desk.send().cancelled == 1
    assert gateway.arrived == []


def test_quiet_hours_hold_messages_back(desk: Desk, gateway: Gateway, office: Any) -> None:
    office.import_people(1)
    desk.phone(next(iter(office.people)))
    desk.at(datetime(2026, 11, 20, 12, 30, tzinfo=UTC)).plan()
    done = desk.send()
    assert done.quiet_until == datetime(2026, 11, 21, 0, 0, tzinfo=UTC)
    assert gateway.arrived == []
    desk.at(datetime(2026, 11, 21, 0, 0, tzinfo=UTC))
    assert desk.send().accepted == 1


def test_a_message_that_waits_follows_quiet_hours_that_were_changed(
    make_desk: Callable[..., Desk], gateway: Gateway, office: Any
) -> None:
    office.import_people(1)
    evening = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
    before = make_desk().at(evening)
    before.phone(next(iter(office.people)))
    before.plan()
    assert before.send().quiet_until is not None
    after = make_desk(reminders={"quiet_from": "22:00:00"}).at(evening)
    assert after.send().accepted == 1
    assert len(gateway.arrived) == 1


def test_an_address_of_a_channel_that_is_not_set_up_is_called_so(desk: Desk, office: Any) -> None:
    office.import_people(1)
    (subject,) = office.people
    desk.phone(subject, "wx_open_id", channel="wechat")
    desk.plan()
    assert desk.send().codes == Counter({"no_channel": 1})
    assert desk.steps(subject) == [("message", "2026-11-20", "not_possible")]


def test_an_opt_out_is_kept_and_another_channel_is_taken(
    make_desk: Callable[..., Desk], gateway: Gateway, office: Any
) -> None:
    plain = make_desk()
    desk = make_desk(wechat={"url": gateway.url, "key_file": plain.settings.sms.key_file})
    office.import_people(2)
    first, second = office.people
    desk.phone(first, out=True)
    desk.phone(second, out=True)
    desk.phone(second, "wx-second", "wechat")
    desk.plan()
    done = desk.send()
    assert [body["to"] for _, body in gateway.arrived] == ["wx-second"]
    assert (done.accepted, done.codes) == (1, Counter({"opted_out": 1}))
    assert desk.steps(first) == [("message", "2026-11-20", "not_possible")]


def test_a_gateway_that_does_not_answer_is_tried_again_with_the_same_id_after_ever_longer_waits(
    make_desk: Callable[..., Desk], gateway: Gateway, office: Any
) -> None:
    desk = make_desk(reminders={"max_tries": 3, "first_wait_s": 60})
    office.import_people(1)
    (subject,) = office.people
    desk.phone(subject)
    desk.plan()
    gateway.default = (503, {})
    assert desk.send().later == 1
    assert desk.send() == Sent()
    desk.at(MORNING + timedelta(seconds=60))
    assert desk.send().later == 1
    desk.at(MORNING + timedelta(seconds=179))
    assert desk.send() == Sent()
    desk.at(MORNING + timedelta(seconds=180))
    done = desk.send()
    assert (done.next_channel, done.failed) == (1, 1)
    assert list(gateway.ids.values()) == [3]
    assert desk.steps(subject) == [("message", "2026-11-20", "not_reached")]
    assert desk.rows()[0][3] == "http_503"


def test_a_refused_number_is_doubted_and_asked_for_r8_14(
    make_desk: Callable[..., Desk], gateway: Gateway, office: Any
) -> None:
    desk = make_desk(sms={"ok_key": "result.code", "id_key": "result.id"})
    office.import_people(2)
    first, second = office.people
    desk.phone(first)
    desk.phone(second)
    gateway.answers = [(200, {"result": {"code": "unknown number"}}), (200, {"result": {"code": 0, "id": "g-77"}})]
    gateway.answers[0][1]["result"]["code"] = "unknown_number"
    desk.plan()
    done = desk.send()
    assert (done.failed, done.accepted) == (1, 1)
    assert office.rows("SELECT gateway_id FROM reminder_deliveries WHERE state = 'accepted'") == [("g-77",)]
    with office.database.begin() as connection:
        reach = contacts.reach(connection, date(2026, 11, 20))
    assert (reach.asked, reach.no_address, reach.doubtful, reach.opted_out) == (2, 0, 1, 0)
    accepted = office.rows("SELECT message_id, reminder_id FROM reminder_deliveries WHERE state = 'accepted'")[0]
    assert accepted.message_id == message_id_of(accepted.reminder_id, "sms")
    desk.receipt(accepted.message_id, "failed", "unknown_number")
    with office.database.begin() as connection:
        assert contacts.reach(connection, date(2026, 11, 20)).doubtful == 2
    desk.phone(first, "13900000000")
    with office.database.begin() as connection:
        assert contacts.reach(connection, date(2026, 11, 20)).doubtful == 1, "a new number is not doubtful"


def test_a_message_nobody_called_delivered_is_given_up_after_some_days(desk: Desk, office: Any) -> None:
    office.import_people(1)
    (subject,) = office.people
    desk.phone(subject)
    desk.plan()
    desk.send()
    desk.at(MORNING + timedelta(days=3)).plan()
    assert desk.rows() == [("no_data", "message", "sent", None)]
    assert desk.at(MORNING + timedelta(days=4)).plan().unheard == 1
    desk.send()
    assert desk.steps(subject) == [("message", "2026-11-24", "not_reached")]
    assert desk.plan().planned == 1, "the call is next"


def test_occasions_that_others_note_are_told(desk: Desk, gateway: Gateway, office: Any, terminal: Any) -> None:
    office.import_people(1)
    (subject,) = office.people
    desk.phone(subject)
    certify(office, terminal, subject, datetime(2026, 6, 1, 2, tzinfo=UTC))
    with office.database.begin() as connection:
        for _ in range(2):
            note_occasion(connection, subject, "appeal_answered", date(2026, 11, 19), now=office.now)
    assert desk.plan().planned == 1
    desk.send()
    assert "申诉" in gateway.arrived[0][1]["text"]


def test_two_programs_at_once_do_not_send_twice(desk: Desk, gateway: Gateway, office: Any) -> None:
    office.import_people(40)
    for subject in office.people:
        desk.phone(subject)
    desk.plan()
    done: list[Sent] = []
    threads = [threading.Thread(target=lambda: done.append(desk.send())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each.accepted for each in done) == 40
    assert len(gateway.ids) == 40
    assert set(gateway.ids.values()) == {1}


def test_a_receipt_that_comes_before_our_own_commit_is_kept(desk: Desk, gateway: Gateway, office: Any) -> None:
    office.import_people(1)
    (subject,) = office.people
    desk.phone(subject)
    desk.plan()
    gateway.held.clear()
    sending = threading.Thread(target=desk.send)
    sending.start()
    wait_for(lambda: len(gateway.arrived) == 1)
    answers: list[Applied] = []
    calling = threading.Thread(target=lambda: answers.append(desk.receipt(gateway.arrived[0][1]["id"], "delivered")))
    calling.start()
    time.sleep(0.2)
    gateway.held.set()
    sending.join()
    calling.join()
    assert answers == [Applied(1, 0, 0, 0)]
    assert desk.steps(subject) == [("message", "2026-11-20", "reached")]


SENDING = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from fleet.keys import load_keys
from fleet.reminders.sending import Sender
from fleet.reminders.setup import open_channels
from fleet.settings import Settings
from fleet.store.database import Database
settings = Settings.model_validate_json(sys.argv[1])
clock = lambda: datetime(2026, 11, 20, 1, tzinfo=UTC)
database = Database(sys.argv[2])
with open_channels(settings, clock=clock) as channels:
    Sender(database, load_keys(Path(sys.argv[3])), channels, settings.reminders, zone=settings.zone(), clock=clock).send()
"""


def test_sending_killed_between_handing_over_and_commit_hands_over_again_with_the_same_id(
    desk: Desk, gateway: Gateway, office: Any, database_url: str, tmp_path: Path
) -> None:
    office.import_people(12)
    for subject in office.people:
        desk.phone(subject)
    desk.plan()
    settings = desk.settings.model_dump_json(exclude={"database"})
    arguments = (sys.executable, "-c", SENDING, settings, database_url, str(tmp_path / "office" / "keys"))
    for round_ in range(3):
        gateway.holds_at = len(gateway.arrived) + 2 + round_
        program = subprocess.Popen(arguments)
        try:
            wait_for(lambda: not gateway.held.is_set())
        finally:
            program.kill()
            program.wait()
        gateway.held.set()
    # The server ends a killed program's transaction as soon as it reads from the broken connection.
    wait_for(
        lambda: (
            not office.rows(
                "SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in%' AND datname = current_database()"
            )
        )
    )
    desk.send()
    assert len(gateway.ids) == 12, "nobody is left out"
    assert sum(gateway.ids.values()) > 12, "the killed ones were handed over again"
    assert office.rows("SELECT count(*) FROM reminders WHERE state = 'sent'") == [(12,)]
    assert office.rows("SELECT count(*) FROM reminder_deliveries") == [(12,)]


def test_no_number_and_no_name_gets_into_a_log(
    desk: Desk, gateway: Gateway, office: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    office.import_people(2, name="欧阳")
    for subject in office.people:
        desk.phone(subject, "13812345678")
    desk.plan()
    gateway.answers = [(500, {})]
    desk.send()
    assert len(gateway.arrived) == 2
    assert "13812345678" not in caplog.text
    assert "欧阳" not in caplog.text
    stored = office.rows(
        "SELECT r.*, d.*, c.address_sealed FROM reminders r JOIN reminder_deliveries d USING (reminder_id), contacts c"
    )
    assert "13812345678" not in str(stored)


def test_an_address_of_another_key_holds_up_nobody_and_is_not_lost(desk: Desk, gateway: Gateway, office: Any) -> None:
    office.import_people(2)
    first, _ = office.people
    for subject in office.people:
        desk.phone(subject)
    kept = office.rows("SELECT address_sealed FROM contacts WHERE subject_id = :id", id=first)[0].address_sealed
    change = text("UPDATE contacts SET address_sealed = :sealed WHERE subject_id = :id")
    with office.database.begin() as connection:
        connection.execute(change, {"sealed": bytes(40), "id": first})
    desk.plan()
    done = desk.send()
    assert (done.accepted, done.later, done.codes) == (1, 1, Counter({"unreadable": 1}))
    with office.database.begin() as connection:
        connection.execute(change, {"sealed": kept, "id": first})
    assert desk.at(MORNING + timedelta(hours=4)).send().accepted == 1


def test_a_secret_that_cannot_be_read_is_named(make_desk: Callable[..., Desk], tmp_path: Path) -> None:
    desk = make_desk(sms={"key_file": tmp_path / "none"})
    with pytest.raises(SettingsInvalid, match=r"sms\.key_file"), desk.sender():
        pass
    (tmp_path / "short").write_bytes(b"short")
    desk = make_desk(sms={"key_file": tmp_path / "short"})
    with pytest.raises(SettingsInvalid, match="at least 16"), desk.sender():
        pass


def wait_for(holds: Callable[[], object], timeout_s: float = 20) -> None:
    until = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_outbox_goes_with_the_person(desk: Desk, office: Any) -> None:
    office.import_people(1)
    (subject,) = office.people
    desk.phone(subject)
    desk.plan()
    desk.send()
    with office.database.begin() as connection:
        connection.execute(text("DELETE FROM subjects"))
    left = "SELECT (SELECT count(*) FROM reminders) + (SELECT count(*) FROM reminder_deliveries) + (SELECT count(*) FROM contacts)"
    assert office.rows(left) == [(0,)]


def test_r8_14_a_number_that_was_put_right_is_the_one_that_is_called(office: Any) -> None:
    office.import_people(1)
    (subject_id,) = office.people
    with office.database.begin() as connection:
        old = NewContact(subject_id, "sms", b"old", is_opted_out=False)
        contacts.save_contacts(connection, [old], source="import", now=office.now)
        contacts.doubt(connection, subject_id, "sms", now=office.now)
        save_phone(connection, subject_id, b"new")
        way = contacts.contacts_of(connection, [subject_id])[subject_id]["sms"]
    assert (way.address_sealed, way.is_doubtful, way.field_name) == (b"new", False, "phone")
