"""Ingest through real brokers: receipts after the commit, nothing lost while the database is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from fleet.clock import system_clock
from fleet.ingest import consumer as consuming
from fleet.ingest.consumer import Consumer
from fleet.ingest.handler import Handler
from fleet.ingest.messages import Inbound, Outbound
from fleet.settings import BrokerSettings
from fleet.store.database import Database
from fleet.store.embedded import EmbeddedDatabase
from fleet.store.migrate import migrate
from fleet.terminals.commanding import commands_of, give_command, withdraw_command
from protocol.attestation import read_attestation
from protocol.commands import (
    COMMAND_TYP,
    RESULT_TYP,
    WITHDRAWAL_TYP,
    CommandKind,
    CommandResult,
    CommandWithdrawal,
    TerminalCommand,
)
from protocol.envelope import sha256_of, sign, verify
from protocol.keys import PrivateKey
from protocol.records import RECORD_TYP
from protocol.roster import ROSTER_REQUEST_TYP, RosterRequest
from protocol.topics import Kind, Topic, terminal_inbox

pytestmark = pytest.mark.integration


class Wire:
    """A terminal's MQTT connection that notes what comes down."""

    def __init__(self, terminal: Any, office: Any, port: int) -> None:
        self._terminal, self._office = terminal, office
        self.verdicts: dict[str, list[str]] = {}
        self.pages: list[Any] = []
        self.policies: list[bytes] = []
        self.attestations: list[bytes] = []
        self.commands: list[TerminalCommand] = []
        self.withdrawals: list[CommandWithdrawal] = []
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=terminal.terminal_id, clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        inbox = str(terminal_inbox(terminal.fleet_id, terminal.terminal_id))
        self._client.on_connect = lambda client, *_: client.subscribe(inbox, qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._arrived
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        if not self._ready.wait(20):
            self.stop()
            pytest.fail("the terminal cannot subscribe")

    def send(self, *envelopes: bytes, kind: Kind = Kind.RECORD) -> None:
        for envelope in envelopes:
            self._client.publish(str(self._terminal.topic(kind)), envelope, qos=1)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _arrived(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        kind = Topic.parse(message.topic).kind
        if kind is Kind.RECEIPT:
            for item in self._office.receipt(message.payload).items:
                self.verdicts.setdefault(item.sha256, []).append(item.verdict.value)
        elif kind is Kind.ROSTER:
            self.pages.append(self._office.page(message.payload, self._terminal))
        elif kind is Kind.COMMAND:
            public = self._office.keys.signing.public()
            payload = verify(message.payload, key_of=lambda _: public, typ=COMMAND_TYP).payload
            self.commands.append(TerminalCommand.parse(payload))
        elif kind is Kind.COMMAND_WITHDRAWAL:
            public = self._office.keys.signing.public()
            payload = verify(message.payload, key_of=lambda _: public, typ=WITHDRAWAL_TYP).payload
            self.withdrawals.append(CommandWithdrawal.parse(payload))
        elif kind is Kind.ATTESTATION:
            self.attestations.append(message.payload)
        else:
            self.policies.append(message.payload)


@pytest.fixture
def start_wire(office: Any) -> Iterator[Callable[..., Wire]]:
    started: list[Wire] = []

    def start(terminal: Any, port: int, of: Any = office) -> Wire:
        started.append(Wire(terminal, of, port))
        return started[-1]

    yield start
    for wire in started:
        wire.stop()


@pytest.fixture
def start_ingest(office: Any) -> Iterator[Callable[..., Consumer]]:
    started: list[Consumer] = []

    def start(port: int, client_id: str = "ingest", of: Any = office, handler: Any = None, **broker: Any) -> Consumer:
        settings = BrokerSettings.model_validate({"mode": "external", "port": port, **broker})
        consumer = Consumer(
            handler or of.handler, of.database, settings, fleet_id="north", client_id=client_id, clock=system_clock
        )
        started.append(consumer)
        consumer.start()
        return consumer

    yield start
    for consumer in started:
        consumer.stop()
        consumer.stop()


@pytest.fixture(params=["mosquitto", "embedded_broker"])
def broker(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def claim(office: Any) -> dict[str, str]:
    office.import_people(1)
    subject_id, token = next(iter(office.people.items()))
    return {"subject_id": subject_id, "token": token}


def test_a_record_goes_in_and_a_receipt_comes_out(
    broker: Any, office: Any, terminal: Any, start_wire: Any, start_ingest: Any, eventually: Any
) -> None:
    person = claim(office)
    assert start_ingest(broker.port).wait_connected(10)
    wire = start_wire(terminal, broker.port)
    envelopes = [terminal.next(**person) for _ in range(30)]
    wire.send(*envelopes)
    eventually(lambda: len(wire.verdicts) == 30, "30 receipts")
    assert {tuple(found) for found in wire.verdicts.values()} == {("stored",)}
    assert len(office.rows("SELECT 1 FROM records")) == 30
    wire.send(envelopes[0])
    eventually(lambda: wire.verdicts[sha256_of(envelopes[0])] == ["stored", "repeated"], "repeated")
    forged = sign(terminal.record().to_bytes(), key=PrivateKey.generate(), typ=RECORD_TYP)
    wire.send(forged)
    eventually(lambda: wire.verdicts.get(sha256_of(forged)) == ["refused"], "refused")


def test_a_command_that_is_given_while_ingest_runs_goes_down_and_its_answer_comes_up(
    broker: Any, office: Any, terminal: Any, start_wire: Any, start_ingest: Any, eventually: Any
) -> None:
    office.now = system_clock()
    assert start_ingest(broker.port).wait_connected(10)
    wire = start_wire(terminal, broker.port)
    with office.database.begin() as connection:
        command_id = give_command(
            connection,
            office.keys.cipher,
            "t-1",
            CommandKind.LOG_BUNDLE,
            by="Li",
            reason="it is slow",
            valid=timedelta(hours=1),
            now=office.now,
        )
    eventually(lambda: [c.command_id for c in wire.commands] == [command_id], "the command", timeout_s=45)
    with office.database.begin() as connection:
        withdraw_command(connection, office.keys.cipher, "t-1", 1, by="Wu", now=office.now)
    eventually(lambda: [w.command_id for w in wire.withdrawals] == [command_id], "its withdrawal", timeout_s=45)
    result = CommandResult(
        fleet_id="north",
        terminal_id="t-1",
        command_id=command_id,
        verdict="done",
        finished_at=office.now,
        log=("a line",) * 300,
    )
    answer = sign(result.to_bytes(), key=terminal.signing, typ=RESULT_TYP)
    wire.send(answer, kind=Kind.COMMAND_RESULT)
    eventually(lambda: wire.verdicts.get(sha256_of(answer)) == ["stored"], "the receipt")
    with office.database.begin() as connection:
        (given,) = commands_of(connection, office.keys.cipher, "t-1")
    assert given.result == result
    assert given.was_done_before, "the terminal had sent its log when it was told not to"
    assert given.sent_at is not None


def test_statements_about_keys_are_made_anew_with_the_month_while_ingest_runs(
    embedded_broker: Any,
    office: Any,
    terminal: Any,
    start_wire: Any,
    start_ingest: Any,
    eventually: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consuming, "_CATCH_UP_S", 0.0)
    assert start_ingest(embedded_broker.port).wait_connected(10)
    wire = start_wire(terminal, embedded_broker.port)

    def months() -> set[date]:
        public = office.keys.signing.public()
        return {read_attestation(token, public).opened(public).statement.valid_from for token in wire.attestations}

    eventually(lambda: months() == {date(2026, 11, 1)}, "the statement of November")
    office.now = datetime(2026, 12, 3, tzinfo=UTC)
    eventually(lambda: date(2026, 12, 1) in months(), "the statement of December")


def test_policy_and_roster_reach_a_terminal_and_later_changes_are_pushed(
    broker: Any, office: Any, terminal: Any, start_wire: Any, start_ingest: Any, eventually: Any
) -> None:
    office.import_people(1)
    assert start_ingest(broker.port).wait_connected(10)
    wire = start_wire(terminal, broker.port)
    eventually(lambda: wire.policies, "the retained policy")
    eventually(lambda: wire.attestations, "the retained statement about the key")
    office.assign_all("t-1")
    eventually(lambda: wire.pages, "a pushed page")
    assert len(wire.pages[-1].entries) == 1
    office.import_people(1, first=7)
    eventually(lambda: wire.pages[-1].upto == 2, "the newcomer")
    request = RosterRequest(fleet_id="north", terminal_id="t-1", have=0, asked_at=system_clock())
    token = sign(request.to_bytes(), key=terminal.signing, typ=ROSTER_REQUEST_TYP)
    wire.send(token, kind=Kind.ROSTER_REQUEST)
    eventually(lambda: wire.pages[-1].after == 0 and len(wire.pages[-1].entries) == 2, "the whole roster")
    eventually(lambda: sha256_of(token) in wire.verdicts, "the signed time")


def test_records_wait_in_the_broker_while_no_ingest_runs(
    mosquitto: Any, office: Any, terminal: Any, start_wire: Any, start_ingest: Any, eventually: Any
) -> None:
    first = start_ingest(mosquitto.port)
    assert first.wait_connected(10)
    first.stop()
    wire = start_wire(terminal, mosquitto.port)
    wire.send(*[terminal.next() for _ in range(40)])
    start_ingest(mosquitto.port)
    eventually(lambda: len(wire.verdicts) == 40, "all receipts")


@pytest.mark.parametrize("group", [None, "workers"])
def test_two_workers_store_every_record_once(
    mosquitto: Any, office: Any, terminal: Any, start_wire: Any, start_ingest: Any, eventually: Any, group: str | None
) -> None:
    person = claim(office)
    for name in ("ingest-1", "ingest-2"):
        consumer = start_ingest(mosquitto.port, client_id=name, shared_group=group, batch_messages=7)
        assert consumer.wait_connected(10)
    wire = start_wire(terminal, mosquitto.port)
    envelopes = [terminal.next(**person) for _ in range(60)]
    wire.send(*envelopes)
    eventually(lambda: len(wire.verdicts) == 60, "60 receipts")
    rows = office.rows("SELECT chain FROM links")
    assert [row.chain for row in rows] == ["linked"] * 60
    assert all(found.count("stored") == 1 for found in wire.verdicts.values())
    assert office.statuses()[0].records == 60


def test_a_broker_that_is_away_at_start_is_waited_for_and_reported_once(
    make_mosquitto: Any,
    office: Any,
    terminal: Any,
    start_wire: Any,
    start_ingest: Any,
    eventually: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = make_mosquitto()
    consumer = start_ingest(broker.port)
    eventually(lambda: "broker lost" in caplog.text, "the loss")
    assert not consumer.is_connected
    broker.start()
    assert consumer.wait_connected(20)
    wire = start_wire(terminal, broker.port)
    wire.send(terminal.next())
    eventually(lambda: wire.verdicts, "a receipt")
    assert caplog.text.count("broker lost") == 1
    assert caplog.text.count("broker is back") == 1


class FaultyHandler(Handler):
    """A handler with a fault of our own: with every batch while `is_broken`, and with messages that hold `poison`."""

    is_broken = False
    poison = b"nothing"

    def handle(self, messages: Sequence[Inbound]) -> list[Outbound]:
        if self.is_broken or any(self.poison in message.payload for message in messages):
            raise RuntimeError("a fault of our own")
        return super().handle(messages)


def test_a_fault_that_passes_costs_no_message_and_is_shown_meanwhile(
    mosquitto: Any,
    office: Any,
    terminal: Any,
    start_wire: Any,
    start_ingest: Any,
    eventually: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consuming, "_TRIES", 1_000_000)
    handler = office.make_handler(FaultyHandler)
    handler.is_broken = True
    consumer = start_ingest(mosquitto.port, handler=handler)
    assert consumer.wait_connected(10)
    wire = start_wire(terminal, mosquitto.port)
    wire.send(*[terminal.next() for _ in range(3)])
    eventually(lambda: consumer.is_faulty, "the fault")
    handler.is_broken = False
    eventually(lambda: len(wire.verdicts) == 3, "receipts once the fault is gone")
    eventually(lambda: not consumer.is_faulty, "health")
    assert office.quarantine() == []


def test_a_message_that_fails_alone_is_set_aside_without_a_receipt(
    mosquitto: Any, office: Any, terminal: Any, start_wire: Any, start_ingest: Any, eventually: Any
) -> None:
    handler = office.make_handler(FaultyHandler)
    good, bad, more = (terminal.next() for _ in range(3))
    handler.poison = bad
    assert start_ingest(mosquitto.port, handler=handler, batch_wait_s=0.5).wait_connected(10)
    wire = start_wire(terminal, mosquitto.port)
    wire.send(good, bad, more)
    eventually(lambda: set(wire.verdicts) == {sha256_of(good), sha256_of(more)}, "the others' receipts")
    eventually(lambda: office.quarantine() == [("t-1", True, "not_handled", 1)], "the quarantine")


def test_a_full_queue_waits_and_loses_nothing(
    mosquitto: Any,
    office: Any,
    terminal: Any,
    start_wire: Any,
    start_ingest: Any,
    eventually: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(consuming, "_QUEUE_MESSAGES", 2)
    monkeypatch.setattr(consuming, "_TRIES", 1_000_000)
    handler = office.make_handler(FaultyHandler)
    handler.is_broken = True
    assert start_ingest(mosquitto.port, handler=handler, batch_messages=2).wait_connected(10)
    wire = start_wire(terminal, mosquitto.port)
    wire.send(*[terminal.next() for _ in range(40)])
    eventually(lambda: "ingest queue full" in caplog.text, "the queue is full")
    handler.is_broken = False
    eventually(lambda: len(wire.verdicts) == 40, "all receipts, nothing sent twice by the terminal")


def test_a_message_larger_than_its_topic_allows_is_dropped_and_stops_nothing(
    mosquitto: Any,
    office: Any,
    terminal: Any,
    start_wire: Any,
    start_ingest: Any,
    eventually: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert start_ingest(mosquitto.port).wait_connected(10)
    wire = start_wire(terminal, mosquitto.port)
    wire.send(b"x" * 70_000, terminal.next())
    eventually(lambda: len(wire.verdicts) == 1, "the record's receipt")
    assert "message dropped" in caplog.text
    assert office.quarantine() == []


def test_nothing_is_lost_and_no_receipt_is_given_while_the_database_is_away(
    mosquitto: Any,
    make_office: Any,
    make_fleet_terminal: Any,
    start_wire: Any,
    start_ingest: Any,
    eventually: Any,
    caplog: pytest.LogCaptureFixture,
    make_data_dir: Callable[[], Path],
) -> None:
    server = EmbeddedDatabase(make_data_dir())
    database = Database(server.start())
    migrate(database)
    office = make_office(database)
    terminal = make_fleet_terminal()
    office.register(terminal)
    consumer = start_ingest(mosquitto.port, of=office)
    assert consumer.wait_connected(10)
    wire = start_wire(terminal, mosquitto.port, office)
    wire.send(*[terminal.next() for _ in range(5)])
    eventually(lambda: len(wire.verdicts) == 5, "receipts before")
    server.stop()
    late = [terminal.next() for _ in range(50)]
    wire.send(*late)
    eventually(lambda: "database lost" in caplog.text, "the loss is noticed")
    assert len(wire.verdicts) == 5
    server.start()
    eventually(lambda: len(wire.verdicts) == 55, "receipts after")
    assert len(office.rows("SELECT 1 FROM records")) == 55
    assert caplog.text.count("database lost") == 1
    eventually(lambda: caplog.text.count("database is back") == 1, "back")
    eventually(lambda: "database notifications is back" in caplog.text, "notifications too")
    office.import_people(1)
    office.assign_all("t-1")
    eventually(lambda: wire.pages, "a page pushed after the outage")
    consumer.stop()
    database.close()
    server.stop()
