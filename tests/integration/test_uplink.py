"""The uplink as a process, against real brokers and a fleet made of paho and the protocol."""

from __future__ import annotations

import dataclasses
import gc
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from device.adapters.attestation_file import FileAttestationStore
from device.adapters.clock_system import SystemClock
from device.adapters.commands_sqlite import SqliteCommandStore
from device.adapters.policy_file import FilePolicyStore
from device.adapters.references_sqlite import SqliteReferenceStore
from device.cli import app
from device.errors import LinkDown
from device.settings import Broker
from device.uplink.mqtt import MqttLink
from protocol.attestation import KeyStatement, attest
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
from protocol.presence import PRESENCE_TYP, PictureCounts
from protocol.roster import RosterEntry
from protocol.times import ClockSource
from protocol.topics import Kind
from tests.integration.authority import Authority

pytestmark = pytest.mark.integration


@pytest.fixture(params=["mosquitto", "embedded_broker"])
def broker(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_a_record_arrives_and_the_receipt_makes_it_acknowledged(
    broker: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(broker.port)
    fleet = start_fleet(broker.port)
    digests = terminal.record(3)
    start_uplink()
    eventually(lambda: terminal.counts() == {"acknowledged": 3}, "three acknowledged records")
    assert set(fleet.stored) == set(digests)
    later = terminal.record(60)
    eventually(lambda: terminal.counts() == {"acknowledged": 63}, "more than a window of records while it runs")
    assert set(later) < set(fleet.stored)


def test_it_has_no_connection_but_the_one_to_the_broker(
    mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    # The unit forbids 127.0.0.1, over which the client library would wake itself: below systemd it hung there until the watchdog came.
    terminal.configure(mosquitto.port)
    start_fleet(mosquitto.port)
    terminal.record(1)
    uplink = start_uplink()
    eventually(lambda: terminal.counts() == {"acknowledged": 1}, "an acknowledged record")
    folder = Path(f"/proc/{uplink.process.pid}")
    held = set()
    for fd in (folder / "fd").iterdir():
        # One that was closed meanwhile is none that it has.
        with suppress(FileNotFoundError):
            held.add(str(fd.readlink()))
    rows = [line.split() for line in (folder / "net/tcp").read_text().splitlines()[1:]]
    theirs = [int(row[2].rpartition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in held]
    assert theirs == [mosquitto.port]


def test_the_brokers_word_alone_does_not_acknowledge_a_record(
    broker: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(broker.port)
    fleet = start_fleet(broker.port)
    fleet.answers = False
    digests = terminal.record(2)
    start_uplink()
    eventually(lambda: terminal.counts() == {"published": 2}, "both published")
    eventually(lambda: min(fleet.stored[digest] for digest in digests) >= 2, "both sent again without a receipt")
    assert terminal.counts() == {"published": 2}
    fleet.send(Kind.RECEIPT, fleet.receipt(digests))
    eventually(lambda: terminal.counts() == {"acknowledged": 2}, "acknowledged by the receipt")


def test_the_window_holds_back_newer_records_until_the_fleet_answers(
    mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(mosquitto.port)
    fleet = start_fleet(mosquitto.port)
    fleet.answers = False
    digests = terminal.record(50)
    start_uplink()
    eventually(lambda: terminal.counts() == {"published": 20, "pending": 30}, "one window published")
    eventually(lambda: set(fleet.stored) == set(digests[:20]), "that window, and nothing else, at the fleet")
    fleet.answers = True
    eventually(lambda: terminal.counts() == {"acknowledged": 50}, "all acknowledged")


def test_nothing_is_lost_when_the_broker_is_killed_with_messages_in_flight(
    mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(mosquitto.port)
    fleet = start_fleet(mosquitto.port)
    fleet.answers = False
    uplink = start_uplink()
    digests = terminal.record(40)
    eventually(lambda: terminal.counts().get("published", 0) >= 5, "some published")
    mosquitto.kill()
    digests += terminal.record(20)
    eventually(lambda: "broker lost" in uplink.log, "the loss is noticed")
    fleet.answers = True
    mosquitto.start()
    eventually(lambda: terminal.counts() == {"acknowledged": 60}, "all acknowledged", timeout_s=40)
    assert set(fleet.stored) == set(digests)
    assert uplink.log.count("broker lost") == 1
    assert uplink.log.count("broker connected") == 2


def test_a_broker_that_is_down_at_start_is_waited_for(
    make_mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    broker = make_mosquitto()
    terminal.configure(broker.port)
    terminal.record(2)
    uplink = start_uplink()
    eventually(lambda: "broker lost reason=no connection" in uplink.log, "the missing broker is reported")
    broker.start()
    start_fleet(broker.port)
    eventually(lambda: terminal.counts() == {"acknowledged": 2}, "acknowledged")
    assert uplink.log.count("broker lost") == 1
    assert uplink.process.poll() is None


def test_an_uplink_killed_in_the_middle_loses_nothing(
    mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(mosquitto.port)
    fleet = start_fleet(mosquitto.port)
    digests = terminal.record(150)
    for settled in (1, 40, 80):
        uplink = start_uplink()
        eventually(lambda settled=settled: terminal.counts().get("acknowledged", 0) >= settled, "some acknowledged")
        uplink.kill()
    start_uplink()
    eventually(lambda: terminal.counts() == {"acknowledged": 150}, "all acknowledged")
    assert set(fleet.stored) == set(digests)
    states = [presence.state for presence in fleet.presences]
    assert "offline" in states, "the broker gives the will of a killed uplink"


def test_the_condition_of_the_terminal_reaches_the_fleet(
    mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(mosquitto.port)
    fleet = start_fleet(mosquitto.port)
    start_uplink()
    eventually(lambda: any(said.health is not None for said in fleet.presences), "a presence with the condition")
    health = next(said.health for said in fleet.presences if said.health is not None)
    assert health.link.keep_alive_s >= 5
    assert health.uptime_s > 0
    assert health.board.memory_total_bytes is not None
    assert health.board.disk_free_bytes is not None
    assert health.running is None, "no process that certifies people has run"


def test_a_command_goes_to_the_terminal_once_and_its_answer_to_the_fleet_until_the_receipt(
    mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(mosquitto.port)
    fleet = start_fleet(mosquitto.port)
    start_uplink()
    now = datetime.now(UTC)  # noqa: TID251 - a test is its own fleet
    command = TerminalCommand(
        fleet_id="north",
        terminal_id="t-17",
        command_id="a" * 32,
        number=1,
        kind=CommandKind.DIAGNOSE,
        issued_at=now,
        expires_at=now + timedelta(hours=1),
    )
    eventually(lambda: fleet.presences, "the uplink is there")
    for key in (terminal.signing, terminal.fleet_key, terminal.fleet_key):
        fleet.send(Kind.COMMAND, sign(command.to_bytes(), key=key, typ=COMMAND_TYP))
    # The terminal's process works on the same file.
    store = SqliteCommandStore(terminal.folder / "data" / "commands.sqlite")
    eventually(lambda: store.next() == command, "the command, but for the one that the fleet did not sign")
    fleet.answers = False
    answer = sign(b"{}", key=terminal.signing, typ=RESULT_TYP)
    store.answer(1, answer)
    eventually(lambda: fleet.stored[sha256_of(answer)] >= 2, "the answer, and again without a receipt")
    fleet.send(Kind.RECEIPT, fleet.receipt([sha256_of(answer)]))
    eventually(lambda: not store.unsettled(), "settled by the receipt")
    store.close()


def test_a_command_is_taken_back_while_the_terminal_is_away_also_where_nothing_runs_that_would_carry_it_out(
    mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(mosquitto.port)
    fleet = start_fleet(mosquitto.port)
    uplink = start_uplink()
    eventually(lambda: fleet.presences, "the uplink is there")
    uplink.terminate()
    now = datetime.now(UTC)  # noqa: TID251 - a test is its own fleet
    fleet.answers = False
    for number in (1, 2):
        about = {"fleet_id": "north", "terminal_id": "t-17", "command_id": f"{number:032x}", "number": number}
        command = TerminalCommand.model_validate(
            {**about, "kind": CommandKind.RESTART, "issued_at": now, "expires_at": now + timedelta(hours=1)}
        )
        withdrawal = CommandWithdrawal.model_validate({**about, "withdrawn_at": now})
        fleet.send(Kind.COMMAND, sign(command.to_bytes(), key=terminal.fleet_key, typ=COMMAND_TYP))
        # The second one is taken back by somebody who is not the fleet.
        key = terminal.fleet_key if number == 1 else terminal.signing
        fleet.send(Kind.COMMAND_WITHDRAWAL, sign(withdrawal.to_bytes(), key=key, typ=WITHDRAWAL_TYP))
    start_uplink()
    # The terminal's process would work on the same file.
    store = SqliteCommandStore(terminal.folder / "data" / "commands.sqlite")
    eventually(lambda: store.unsettled(), "the answer")
    eventually(lambda: store.next() == command, "the other one is to be carried out")
    (answer,) = store.unsettled()
    eventually(lambda: fleet.stored[answer.sha256], "the answer at the fleet")
    public = terminal.signing.public()
    result = CommandResult.parse(verify(answer.envelope, key_of=lambda _: public, typ=RESULT_TYP).payload)
    assert (result.command_id, result.verdict) == (f"{1:032x}", "withdrawn")
    store.close()


def test_sigterm_leaves_an_offline_presence_and_exits_0(
    broker: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(broker.port)
    fleet = start_fleet(broker.port)
    uplink = start_uplink()
    eventually(lambda: fleet.presences and fleet.presences[-1].state == "online", "online")
    assert uplink.terminate() == 0
    eventually(lambda: fleet.presences[-1].state == "offline", "offline")
    assert fleet.presences[-1].connection == fleet.presences[0].connection
    assert fleet.presences[-1].boot_id == fleet.presences[0].boot_id


def test_presence_follows_the_outbox(
    mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(mosquitto.port)
    fleet = start_fleet(mosquitto.port)
    start_uplink()
    eventually(lambda: fleet.presences, "online")
    terminal.record(2)
    eventually(
        lambda: fleet.presences and fleet.presences[-1].outbox.acknowledged == 2, "two acknowledged in the presence"
    )


def test_a_refused_picture_is_counted_by_everybody_and_outbox_retry_sends_it_again(
    broker: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(broker.port)
    fleet = start_fleet(broker.port)
    fleet.refusal = "too_large"
    terminal.record(1)
    store = terminal.attachments()
    refused, _ = store.put([b"a.sealed.picture.of.somebody", b"an.other.picture.of.somebody"])
    start_uplink()
    eventually(lambda: store.counts().refused == 2, "both refused")
    eventually(
        lambda: fleet.presences and fleet.presences[-1].pictures == PictureCounts(waiting=0, refused=2),
        "said in the presence",
    )
    told = CliRunner().invoke(app, ["outbox", "list", "--config", str(terminal.config)]).stdout
    assert "0 wait for the fleet, 2 refused; " in told
    assert f"{refused} picture: too_large" in told
    before = fleet.stored[refused]
    fleet.refusal = None
    assert "2 pictures" in CliRunner().invoke(app, ["outbox", "retry", "--config", str(terminal.config)]).stdout
    eventually(lambda: store.counts() == PictureCounts(waiting=0, refused=0), "both with the fleet")
    assert fleet.stored[refused] > before
    store.close()


def test_a_picture_refused_for_what_may_be_cured_goes_again_by_itself_on_the_next_connection(
    mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(mosquitto.port)
    fleet = start_fleet(mosquitto.port)
    fleet.refusal = "retired_terminal"
    store = terminal.attachments()
    store.put([b"a.sealed.picture.of.somebody", b"an.other.picture.of.somebody"])
    uplink = start_uplink()
    eventually(lambda: store.counts().refused == 2, "both refused")
    assert uplink.terminate() == 0
    fleet.refusal = None
    start_uplink()
    eventually(lambda: store.counts() == PictureCounts(waiting=0, refused=0), "both with the fleet")
    store.close()


def test_malformed_and_forged_messages_change_nothing_and_stop_nothing(
    broker: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(broker.port)
    fleet = start_fleet(broker.port)
    fleet.answers = False
    digests = terminal.record(2)
    uplink = start_uplink()
    eventually(lambda: terminal.counts() == {"published": 2}, "published")
    stranger = PrivateKey.generate()
    forged = [
        (Kind.RECEIPT, b""),
        (Kind.RECEIPT, b"\xff\x00 not a token"),
        (Kind.RECEIPT, fleet.receipt(digests, key=stranger)),
        (Kind.RECEIPT, fleet.receipt(digests, terminal="t-18")),
        (Kind.RECEIPT, fleet.receipt(digests, typ=PRESENCE_TYP)),
        (Kind.RECEIPT, fleet.receipt(digests)[:-4] + b"AAAA"),
        (Kind.RECEIPT, b"x" * 100_000),
        (Kind.ROSTER, b"a.b.c.d.e"),
        (Kind.ROSTER, fleet.receipt(digests)),
        (Kind.POLICY, fleet.policy(key=stranger)),
        (Kind.POLICY, os.urandom(300)),
    ]
    for kind, payload in forged:
        fleet.send(kind, payload)
    fleet.send(Kind.POLICY, fleet.policy("2026.7"))
    eventually(
        lambda: fleet.presences and fleet.presences[-1].policy_version == "2026.7", "the good one after them is applied"
    )
    # What was refused is noted in links of its own, which are sent too; an acknowledged record stays acknowledged.
    eventually(lambda: set(terminal.counts()) == {"published"}, "all sent, and not one believed to be acknowledged")
    assert "message dropped kind=receipt error=SignatureInvalid" in uplink.log
    assert "Traceback" not in uplink.log
    fleet.send(Kind.RECEIPT, fleet.receipt(digests))
    eventually(lambda: terminal.counts().get("acknowledged") == 2, "the true receipt is believed")


def test_a_roster_in_several_pages_is_asked_for_and_applied(
    broker: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any, make_page: Any
) -> None:
    def entry(version: int) -> RosterEntry:
        return RosterEntry(roster_version=version, subject_id=f"{version:032x}", claim_token=f"{version:043d}")

    def answer(request: Any) -> Any:
        upto = min(request.have + 2, 5)
        entries = tuple(entry(version) for version in range(request.have + 1, upto + 1))
        return make_page(request.have, upto, complete=upto == 5, entries=entries)

    terminal.configure(broker.port)
    fleet = start_fleet(broker.port)
    fleet.page = answer
    start_uplink()
    eventually(lambda: fleet.presences and fleet.presences[-1].roster_version == 5, "version 5")
    # On a busy computer one is asked for twice.
    assert [have for have, _ in groupby(request.have for request in fleet.requests)][:3] == [0, 2, 4]
    clock = SystemClock(terminal.folder / "data" / "time.json")
    store = SqliteReferenceStore(terminal.folder / "data" / "references.sqlite", terminal.folder / "storage.key", clock)
    try:
        found = store.find(f"{3:043d}")
    finally:
        store.close()
    assert found is not None
    assert found.subject_id == f"{3:032x}"


def test_a_page_that_does_not_fit_makes_the_terminal_ask_again(
    mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any, make_page: Any
) -> None:
    terminal.configure(mosquitto.port, uplink="roster_refresh_s = 3600")
    fleet = start_fleet(mosquitto.port)
    fleet.page = lambda request: make_page(request.have, 7)
    start_uplink()
    eventually(lambda: fleet.presences and fleet.presences[-1].roster_version == 7, "version 7")
    asked = len(fleet.requests)
    fleet.page = lambda request: make_page(request.have, 9)
    fleet.send(Kind.ROSTER, fleet.sealed(make_page(8, 9)))
    eventually(lambda: fleet.presences[-1].roster_version == 9, "version 9")
    assert fleet.requests[asked].have == 7


def test_the_retained_statement_about_the_key_is_kept_for_slips_and_one_about_another_key_is_not(
    mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(mosquitto.port)
    fleet = start_fleet(mosquitto.port)
    mine = KeyStatement("north", "t-17", terminal.signing.public(), date(2026, 5, 1), date(2028, 4, 30))
    stranger = dataclasses.replace(mine, key=PrivateKey.generate().public())
    issued = datetime(2026, 5, 1, tzinfo=UTC)
    fleet.send(Kind.ATTESTATION, attest(mine, terminal.fleet_key, issued_at=issued))
    start_uplink()
    store = FileAttestationStore(
        terminal.folder / "data" / "attestation.jws",
        terminal.fleet_key.public(),
        fleet_id="north",
        terminal_id="t-17",
        key_id=terminal.signing.key_id,
    )
    eventually(lambda: store.current() is not None, "the retained statement")
    fleet.send(Kind.ATTESTATION, attest(stranger, terminal.fleet_key, issued_at=issued + timedelta(days=1)))
    terminal.record(1)
    eventually(lambda: set(terminal.counts()) == {"acknowledged"}, "what came after the stranger's statement")
    found = store.current()
    assert found is not None
    assert found.statement == mine


def test_a_retained_policy_is_kept_as_signed_and_an_older_one_does_not_replace_it(
    mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(mosquitto.port)
    fleet = start_fleet(mosquitto.port)
    newer = fleet.policy("2", datetime(2026, 5, 1, tzinfo=UTC))
    fleet.send(Kind.POLICY, newer)
    start_uplink()
    eventually(lambda: fleet.presences and fleet.presences[-1].policy_version == "2", "policy 2")
    fleet.send(Kind.POLICY, fleet.policy("1", datetime(2026, 4, 1, tzinfo=UTC)))
    terminal.record(1)
    eventually(lambda: fleet.presences[-1].outbox.acknowledged == 1, "what was sent after the old policy")
    assert fleet.presences[-1].policy_version == "2"
    path = terminal.folder / "data" / "policy.jws"
    assert path.read_bytes() == newer
    current = FilePolicyStore(path, terminal.fleet_key.public()).current()
    assert current is not None
    assert current.policy_version == "2"


def test_a_receipt_for_a_new_record_bounds_the_clock_of_a_terminal_without_time(
    mosquitto: Any, terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    terminal.configure(mosquitto.port)
    fleet = start_fleet(mosquitto.port)
    start_uplink()
    eventually(lambda: fleet.presences, "online")
    terminal.record(1)
    eventually(lambda: terminal.counts() == {"acknowledged": 1}, "acknowledged")
    clock = SystemClock(terminal.folder / "data" / "time.json")
    # The receipt settles the record first, in a transaction of its own.
    eventually(lambda: clock.now().last_fleet_time is not None, "the fleet's time")
    moment = clock.now()
    if moment.source is ClockSource.FLEET:
        assert moment.uncertainty_s is not None
        assert moment.uncertainty_s < 20


@pytest.mark.parametrize(
    ("damage", "code", "said"),
    [
        (lambda t: t.config.write_text("[terminal]\nfleet = 1\n"), 78, "terminal.fleet: unknown key"),
        (lambda t: (t.folder / "fleet.json").unlink(), 1, "accept-fleet"),
        (lambda t: (t.folder / "signing.pem").write_text("x"), 1, "signing.pem: cannot be read as a private key"),
        (lambda t: (t.folder / "data").write_text("x"), 1, "File exists"),
    ],
    ids=["settings", "fleet", "key", "data folder"],
)
def test_what_cannot_be_put_right_by_waiting_ends_the_uplink_with_one_message(
    terminal: Any, start_uplink: Any, damage: Callable[[Any], None], code: int, said: str
) -> None:
    terminal.configure(1)
    damage(terminal)
    uplink = start_uplink()
    assert uplink.process.wait(30) == code
    assert said in uplink.log
    assert "Traceback" not in uplink.log


def test_client_certificates_carry_the_connection(
    secured: tuple[Authority, Any, Path], terminal: Any, start_fleet: Any, start_uplink: Any, eventually: Any
) -> None:
    authority, broker, pki = secured
    terminal.configure(
        broker.port, f'tls_ca = "{pki}/ca.crt"\ntls_certificate = "{pki}/t-17.crt"\ntls_key = "{pki}/t-17.key"\n'
    )
    fleet = start_fleet(broker.port, authority.context("fleet"))
    terminal.record(30)
    start_uplink()
    eventually(lambda: terminal.counts() == {"acknowledged": 30}, "acknowledged over TLS")
    assert fleet.presences[-1].state == "online"


@pytest.mark.parametrize(
    ("begins_in_days", "clock_is_kept", "told"),
    [
        pytest.param(300, False, "", id="of the future, by a clock that nothing keeps"),
        pytest.param(300, True, "not yet valid", id="of the future, by a clock that is kept"),
        pytest.param(-300, False, "has expired", id="that has ended, by a clock that nothing keeps"),
        pytest.param(-300, True, "has expired", id="that has ended, by a clock that is kept"),
    ],
)
def test_a_brokers_certificate_of_another_time(
    tmp_path: Path,
    make_mosquitto: Any,
    monkeypatch: pytest.MonkeyPatch,
    begins_in_days: int,
    clock_is_kept: bool,
    told: str,
) -> None:
    folder = tmp_path / "pki"
    authority = Authority(folder)
    authority.issue(
        "127.0.0.1", start=datetime.fromtimestamp(time.time(), UTC) + timedelta(days=begins_in_days), days=200
    )
    broker = make_mosquitto(
        f"cafile {folder}/ca.crt\ncertfile {folder}/127.0.0.1.crt\nkeyfile {folder}/127.0.0.1.key\nallow_anonymous true\n",
        tls=True,
    )
    broker.start()
    # The same link at each connection: the clock may have been set in between.
    monkeypatch.setattr("protocol.trust.is_kept", lambda: not clock_is_kept)
    link = MqttLink(
        "t-17",
        Broker(host="127.0.0.1", port=broker.port, tls_ca=folder / "ca.crt"),
        connect_timeout_s=10,
        max_inflight=10,
        on_arrived=lambda _topic, _payload: None,
        on_taken=lambda _token: None,
    )
    monkeypatch.setattr("protocol.trust.is_kept", lambda: clock_is_kept)
    try:
        link.connect()
        found = ""
    except LinkDown as error:
        found = str(error)
    link.disconnect()
    # A connection left open for it would be a warning, and fail the test.
    gc.collect()
    assert (told in found, bool(found)) == (True, bool(told))


def test_a_broker_with_another_certificate_authority_gets_nothing(
    secured: tuple[Authority, Any, Path], terminal: Any, start_uplink: Any, eventually: Any, tmp_path: Path
) -> None:
    _, broker, pki = secured
    other = Authority(tmp_path / "other")
    assert other is not None
    terminal.configure(
        broker.port,
        f'tls_ca = "{tmp_path}/other/ca.crt"\ntls_certificate = "{pki}/t-17.crt"\ntls_key = "{pki}/t-17.key"\n',
    )
    terminal.record(1)
    uplink = start_uplink()
    eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in uplink.log, "the stranger is refused")
    assert terminal.counts() == {"pending": 1}
    assert uplink.process.poll() is None


def test_a_terminal_without_a_certificate_is_kept_out_and_keeps_trying(
    secured: tuple[Authority, Any, Path], terminal: Any, start_uplink: Any, eventually: Any
) -> None:
    _, broker, pki = secured
    terminal.configure(broker.port, f'tls_ca = "{pki}/ca.crt"\n')
    terminal.record(1)
    uplink = start_uplink()
    eventually(lambda: "broker lost" in uplink.log, "it is kept out")
    assert terminal.counts() == {"pending": 1}
    assert uplink.process.poll() is None
