"""What partners are told: written with the news, signed, in order, again and again, and never to a place nobody may look at."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fleet.errors import Refused
from fleet.partners.delivery import Courier
from fleet.partners.registry import revoke_partner
from fleet.partners.webhooks import make_webhook, target_of
from fleet.status.projection import project
from fleet.store.acts import NewAct, add_acts
from fleet.store.partners import PartnerKind, Scope
from fleet.store.webhooks import WebhookEvent, WebhookLine, add_webhook, tell_case_answered, webhook_lines
from protocol.documents import DocumentKind
from protocol.records import Claim
from protocol.rules.acts import ActKind, Channel

pytestmark = pytest.mark.integration


class Receiver:
    """A partner's server: keeps what it is sent, and answers what it is told to."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                owner.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(owner.answers.pop(0) if owner.answers else 204)
                self.send_header("Location", f"http://127.0.0.1:{owner.port}/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/hook?a=1"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def listening(office: Any, receiver: Receiver) -> Callable[..., str]:
    """Have a partner of its own told: `listening(events, partner_id=..., areas=..., url=...)` gives the secret."""

    def listen(*events: WebhookEvent, partner_id: str = "listener", url: str = receiver.url, **rights: Any) -> str:
        office.give_key(*rights.pop("scopes", tuple(Scope)), partner_id=partner_id, **rights)
        chosen = events or tuple(WebhookEvent)
        webhook, secret = make_webhook(office.keys.cipher, partner_id, url, chosen, now=office.now)
        with office.database.begin() as connection:
            add_webhook(connection, webhook)
        return secret

    return listen


@pytest.fixture
def courier(office: Any) -> Courier:
    return Courier(office.database, office.keys.cipher, office.settings.webhooks, clock=office.clock)


def certify(office: Any, subject_id: str, *, days_ago: int = 0) -> None:
    act = NewAct(
        subject_id, ActKind.SPECIAL, Channel.COUNTER, office.now - timedelta(days=days_ago), "case", f"c-{days_ago}"
    )
    with office.database.begin() as connection:
        add_acts(connection, [act], now=office.now)
        project(connection, [subject_id], zone=office.settings.zone(), today=office.now.date())


def lines(office: Any) -> list[WebhookLine]:
    with office.database.begin() as connection:
        return webhook_lines(connection)


def test_r8_13_a_certification_is_shared_signed_and_without_a_name(
    office: Any, receiver: Receiver, listening: Callable[..., str], courier: Courier
) -> None:
    office.import_people(1)
    secret = listening()
    subject_id = next(iter(office.people))
    certify(office, subject_id)
    while courier.deliver_next():
        pass
    accepted, changed = receiver.told()
    assert (accepted["type"], accepted["data"]["kind"]) == ("certification.accepted", "special")
    assert changed["type"] == "status.changed"
    assert changed["data"] == {
        "subject_id": subject_id,
        "state": "certified",
        "day": "2026-11-20",
        "certified_until": "2027-11-20",
        "asked": "2027-10-21",
        "expiring": "2027-10-21",
        "due": "2027-11-20",
        "overdue": "2027-11-21",
    }
    for headers, body in receiver.got:
        said = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
        mac = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), said, hashlib.sha256)
        assert headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
        assert headers["webhook-timestamp"] == str(int(office.now.timestamp()))
        assert headers["host"] == f"127.0.0.1:{receiver.port}"
        assert "甲" not in body.decode()


def test_what_changes_nothing_is_no_news(office: Any, receiver: Receiver, listening: Any, courier: Courier) -> None:
    office.import_people(1)
    listening()
    subject_id = next(iter(office.people))
    certify(office, subject_id)
    certify(office, subject_id, days_ago=30)
    office.rebuild()
    while courier.deliver_next():
        pass
    assert len(receiver.got) == 2


def test_news_that_are_rolled_back_were_never_told(office: Any, listening: Any) -> None:
    office.import_people(1)
    listening()
    subject_id = next(iter(office.people))
    act = NewAct(subject_id, ActKind.SPECIAL, Channel.COUNTER, office.now, "case", "c-1")

    def fail_late() -> int:
        with office.database.begin() as connection:
            add_acts(connection, [act], now=office.now)
            project(connection, [subject_id], zone=office.settings.zone(), today=office.now.date())
            written = connection.exec_driver_sql("SELECT count(*) FROM webhook_messages").scalar_one()
            return int(1 / (written - 2))

    with pytest.raises(ZeroDivisionError):
        fail_late()
    assert lines(office)[0].waiting == 0


def test_a_decided_case_is_told_and_one_about_nobody_known_is_not(
    office: Any, terminal: Any, receiver: Receiver, listening: Any, courier: Courier
) -> None:
    office.import_people(1)
    listening(WebhookEvent.CASE_ANSWERED)
    subject_id, token = next(iter(office.people.items()))
    known = Claim(document=DocumentKind.RESIDENT_ID, token=token, subject_id=subject_id)
    unknown = Claim(document=DocumentKind.RESIDENT_ID, token="B" * 43, subject_id=None)
    for record_id, claim in (("1" * 32, known), ("2" * 32, unknown)):
        assert office.verdicts(office.send(terminal, terminal.next_case(record_id=record_id, claim=claim))) == [
            ("stored", None)
        ]
        with office.database.begin() as connection:
            tell_case_answered(connection, record_id, claim.subject_id)
    while courier.deliver_next():
        pass
    data = {"subject_id": subject_id, "case_id": "1" * 32, "number": "2026-000001"}
    assert receiver.told() == [{"type": "case.answered", "data": data}]


def test_only_who_may_see_a_person_is_told(office: Any, receiver: Receiver, listening: Any, courier: Courier) -> None:
    office.import_people(1)
    listening(WebhookEvent.STATUS_CHANGED, partner_id="near", areas=["east"])
    listening(WebhookEvent.STATUS_CHANGED, partner_id="far", areas=["west"])
    listening(WebhookEvent.STATUS_CHANGED, partner_id="blind", scopes=[Scope.WEBHOOKS_MANAGE])
    listening(WebhookEvent.STATUS_CHANGED, partner_id="gone")
    revoke_partner(office.database, office.keys.cipher, "gone", by="tester", now=office.now)
    certify(office, next(iter(office.people)))
    assert {line.webhook.partner_id: line.waiting for line in lines(office)} == {"near": 1, "far": 0, "blind": 0}


def test_messages_come_in_order_and_one_that_fails_holds_up_those_after_it(
    office: Any, receiver: Receiver, listening: Any, courier: Courier
) -> None:
    office.import_people(2)
    listening(WebhookEvent.STATUS_CHANGED)
    first, second = office.people
    certify(office, first)
    certify(office, second)
    receiver.answers = [500, 302]
    assert courier.deliver_next()
    (line,) = lines(office)
    assert (line.waiting, line.last_result) == (2, "HTTP 500")
    assert line.next_try_at is not None
    assert line.next_try_at <= office.now + timedelta(seconds=5)
    office.now += timedelta(seconds=5)
    courier.deliver_next()
    assert lines(office)[0].last_result == "HTTP 302"
    office.now += timedelta(seconds=10)
    while courier.deliver_next():
        pass
    assert [told["data"]["subject_id"] for told in receiver.told()] == [first, first, first, second]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 2
    assert (lines(office)[0].delivered, lines(office)[0].waiting) == (2, 0)


def test_a_message_nobody_takes_is_given_up_after_days_and_the_next_has_its_turn(
    office: Any, receiver: Receiver, listening: Any, courier: Courier, caplog: pytest.LogCaptureFixture
) -> None:
    office.import_people(2)
    listening(WebhookEvent.STATUS_CHANGED)
    for subject_id in office.people:
        certify(office, subject_id)
    receiver.answers = [503, 503]
    courier.deliver_next()
    office.now += timedelta(days=3)
    courier.deliver_next()
    assert (lines(office)[0].dead, lines(office)[0].waiting) == (1, 1)
    assert "webhook message given up" in caplog.text
    courier.deliver_next()
    assert (lines(office)[0].dead, lines(office)[0].delivered) == (1, 1)


def test_a_receiver_that_is_gone_for_good_is_sent_nothing_more(
    office: Any, receiver: Receiver, listening: Any, courier: Courier
) -> None:
    office.import_people(1)
    listening()
    certify(office, next(iter(office.people)))
    receiver.answers = [410]
    courier.deliver_next()
    office.now += timedelta(days=1)
    assert not courier.deliver_next()
    assert lines(office) == []


def test_what_is_done_is_deleted_after_days(office: Any, receiver: Receiver, listening: Any, courier: Courier) -> None:
    office.import_people(2)
    listening(WebhookEvent.STATUS_CHANGED)
    first, second = office.people
    certify(office, first)
    courier.deliver_next()
    office.now += timedelta(days=30, seconds=-1)
    certify(office, second)
    courier.tidy()
    assert (lines(office)[0].delivered, lines(office)[0].waiting) == (1, 1)
    office.now += timedelta(hours=1)
    courier.tidy()
    assert (lines(office)[0].delivered, lines(office)[0].waiting) == (0, 1)


def test_nobody_there_is_tried_again(office: Any, listening: Any, courier: Courier, free_ports: Any) -> None:
    office.import_people(1)
    listening(url=f"http://127.0.0.1:{free_ports()}/")
    certify(office, next(iter(office.people)))
    courier.deliver_next()
    assert lines(office)[0].last_result == "ConnectError"


def test_a_slow_receiver_holds_up_no_other(office: Any, receiver: Receiver, listening: Any, eventually: Any) -> None:
    patient = office.settings.webhooks.model_copy(update={"timeout_s": 60.0})
    courier = Courier(office.database, office.keys.cipher, patient, clock=office.clock)
    office.import_people(3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        listening(WebhookEvent.STATUS_CHANGED)
        listening(WebhookEvent.STATUS_CHANGED, partner_id="slow", url=f"http://127.0.0.1:{silent.getsockname()[1]}/")
        for subject_id in office.people:
            certify(office, subject_id)
        courier.start()
        try:
            eventually(lambda: len(receiver.got) == 3, "the quick one's messages while the slow one waits")
            assert {line.webhook.partner_id: line.delivered for line in lines(office)}["slow"] == 0
        finally:
            silent.close()
            courier.stop()


def test_two_workers_send_nothing_twice(office: Any, receiver: Receiver, listening: Any, courier: Courier) -> None:
    office.import_people(1)
    listening(WebhookEvent.STATUS_CHANGED)
    certify(office, next(iter(office.people)))
    threads = [threading.Thread(target=courier.deliver_next) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.got) == 1


def test_the_worker_delivers_by_itself_and_stops(
    office: Any, receiver: Receiver, listening: Any, courier: Courier, eventually: Any
) -> None:
    office.import_people(1)
    listening(WebhookEvent.STATUS_CHANGED)
    courier.start()
    certify(office, next(iter(office.people)))
    eventually(lambda: receiver.got, "the message")
    courier.stop()
    courier.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "webhooks"]


def addresses(*found: str) -> Callable[[str, int], list[str]]:
    return lambda _host, _port: list(found)


@pytest.mark.parametrize(
    ("url", "found", "says"),
    [
        ("http://partner.example/", ["93.184.216.34"], "https expected"),
        ("https://partner.example/", ["10.0.0.1"], "not public"),
        ("https://partner.example/", ["93.184.216.34", "192.168.1.1"], "not public"),
        ("https://partner.example/", ["169.254.169.254"], "not public"),
        ("https://partner.example/", ["127.0.0.1"], "not public"),
        ("https://partner.example/", ["::1"], "not public"),
        ("https://partner.example/", ["fd00::1"], "not public"),
        ("https://partner.example/", ["::ffff:10.0.0.1"], "not public"),
        ("https://partner.example/", ["224.0.0.1"], "not public"),
        ("https://partner.example/", ["0.0.0.0"], "not public"),
        ("http://127.0.0.1/", ["127.0.0.1"], "https expected"),
        ("https://a:b@partner.example/", ["93.184.216.34"], "without credentials"),
        ("https://partner.example/#x", ["93.184.216.34"], "without credentials and fragment"),
        ("ftp://partner.example/", ["93.184.216.34"], "https://"),
        ("https:///x", ["93.184.216.34"], "https://"),
        ("https://partner.example:99999/", ["93.184.216.34"], "not a URL"),
        ("https://partner.example/\r\nX: y", ["93.184.216.34"], "ASCII"),
    ],
)
def test_a_webhook_leads_to_no_machine_of_ours(url: str, found: list[str], says: str) -> None:
    with pytest.raises(Refused, match=says):
        target_of(url, is_own=False, allows_private=False, resolve=addresses(*found))


def test_the_address_that_was_looked_at_is_the_one_that_is_called() -> None:
    target = target_of(
        "https://partner.example:8443/a?b=c", is_own=False, allows_private=False, resolve=addresses("93.184.216.34")
    )
    assert (target.url, target.host_header) == ("https://93.184.216.34:8443/a?b=c", "partner.example:8443")
    target = target_of("https://p.example", is_own=False, allows_private=True, resolve=addresses("fd00::1"))
    assert (target.url, target.host_header) == ("https://[fd00::1]:443/", "p.example")


def test_a_name_that_leads_elsewhere_by_the_time_of_the_delivery_is_not_called(
    office: Any, receiver: Receiver, listening: Any
) -> None:
    office.import_people(1)
    listening(url=f"https://partner.example:{receiver.port}/", kind=PartnerKind.CITY, valid_until=date(2027, 1, 1))
    certify(office, next(iter(office.people)))
    rebound = Courier(
        office.database,
        office.keys.cipher,
        office.settings.webhooks,
        clock=office.clock,
        resolve=addresses("127.0.0.1"),
    )
    rebound.deliver_next()
    assert receiver.got == []
    assert "not public" in (lines(office)[0].last_result or "")
