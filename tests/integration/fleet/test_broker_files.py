"""A real Mosquitto with the files the fleet writes for it: who gets in, what each may do, and how soon who was put out is out."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from demo.processes import free_port
from fleet.app import Fleet
from fleet.errors import AuthorityEnded
from fleet.pki.authority import ISSUING_YEARS, SERVER_VALIDITY, Authority, issue_client
from fleet.pki.broker import FLEET_NAME, write_broker_files, write_server
from fleet.pki.files import (
    REVOKED,
    ROOT,
    ROOT_KEY,
    load_authority,
    make_authority,
    renew_authority,
    write,
    write_key,
    write_revoked,
)
from fleet.pki.listed import NextList
from fleet.pki.renewing import DOOR
from fleet.service import Service
from fleet.store.certificates import Revoked, StoredCertificate, add_certificate, revoke_certificates
from fleet.store.database import Database
from protocol.topics import Kind, Topic
from protocol.trust import ClosingSocket, pem_of
from tests.integration.authority import listed

pytestmark = pytest.mark.integration
SOON_S = 10.0


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def program() -> str:
    found = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert found, "mosquitto is not installed: make system-packages"
    return found


class Office:
    """An authority, and a broker that was set up by it."""

    def __init__(self, folder: Path, *, made: datetime | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.issuing: Authority = make_authority(folder / "pki", "north", now=made or now())
        self.write(made=made)
        # As Debian's own configuration does; the tests' folder is closed to the broker's usual user.
        (folder / "main.conf").write_text(f"user root\ninclude_dir {folder / 'broker'}\n")
        self.start()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([program(), "-c", str(self.folder / "main.conf")], stderr=log)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def write(self, *, made: datetime | None = None) -> None:
        write_broker_files(
            self.folder / "broker",
            self.folder / "pki",
            self.issuing,
            fleet_id="north",
            hosts=["127.0.0.1", "localhost"],
            port=self.port,
            revoked=NextList(made or now(), []),
            now=made or now(),
        )
        # However old the certificates are: a list of that day would be over, and nobody let in.
        write_revoked(self.folder / "broker", self.issuing, (), now=now())

    def settings(self, *, web_port: int, door_port: int) -> dict[str, Any]:
        """Return what a fleet's settings say to come to this broker and to look after it."""
        folder = self.folder / "broker"
        broker = {
            "mode": "external",
            "host": "localhost",
            "port": self.port,
            "ca_file": folder / "trusted.pem",
            "certificate_file": folder / "fleet.pem",
            "key_file": folder / "fleet.key",
        }
        return {
            "web": {"port": web_port},
            "broker": broker,
            "provisioning": {"port": door_port, "broker_dir": folder},
        }

    def card(self, name: str, issuing: Authority | None = None) -> str:
        """Issue a certificate; return its serial number. The same name has another file each time."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = issue_client(issuing or self.issuing, name, key.public_key(), now=now())
        write_key(self.folder / f"{made.serial}.key", key)
        write(self.folder / f"{made.serial}.pem", made.chain)
        return made.serial

    def revoke(self, *serials: str) -> None:
        write_revoked(self.folder / "broker", self.issuing, [Revoked(serial, now()) for serial in serials], now=now())
        self.process.send_signal(signal.SIGHUP)

    def client(self, serial: str, client_id: str = "") -> Heard:
        return Heard(self, str(self.folder / f"{serial}.pem"), str(self.folder / f"{serial}.key"), client_id)


class Heard:
    """A client of the broker, and what it heard."""

    def __init__(self, office: Office, certificate: str, key: str, client_id: str) -> None:
        self.messages: list[str] = []
        self.is_in = threading.Event()
        self.is_out = threading.Event()
        # One that came back by itself would put its successor of the same name out.
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)
        context = ssl.create_default_context(cafile=office.folder / "pki" / ROOT)
        context.sslsocket_class = ClosingSocket
        context.load_cert_chain(certificate, key)
        self.client.tls_set_context(context)
        self.client.on_connect = lambda *_: self.is_in.set()
        self.client.on_disconnect = lambda *_: self.is_out.set()
        self.client.on_message = lambda _client, _data, message: self.messages.append(str(message.topic))
        self.port = office.port

    def enter(self) -> bool:
        """Connect; return whether the broker let it in."""
        self.is_in.clear()
        self.is_out.clear()
        try:
            self.client.connect("127.0.0.1", self.port, keepalive=60)
        except OSError:
            return False
        self.client.loop_start()
        waits, deadline = threading.Event(), time.monotonic() + SOON_S
        while not self.is_in.is_set() and not self.is_out.is_set() and time.monotonic() < deadline:
            waits.wait(0.01)
        return self.is_in.is_set() and not self.is_out.wait(0.3)

    def publish(self, topic: str) -> None:
        self.client.publish(topic, b"x", qos=1).wait_for_publish(5)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    office.stop()


@pytest.fixture
def entered(office: Office) -> Iterator[Callable[..., Heard]]:
    clients: list[Heard] = []

    def enter(serial: str, client_id: str = "", *, asks: str = "#") -> Heard:
        client = office.client(serial, client_id)
        deadline = time.monotonic() + SOON_S
        while not client.enter():
            assert time.monotonic() < deadline, "not let in"
            client = office.client(serial, client_id)
        subscribed = threading.Event()
        client.client.on_subscribe = lambda *_: subscribed.set()
        client.client.subscribe(asks, qos=1)
        assert subscribed.wait(SOON_S)
        clients.append(client)
        return client

    yield enter
    for each in clients:
        each.client.disconnect()
        each.client.loop_stop()


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def topic(terminal: str, kind: Kind) -> str:
    return str(Topic("north", terminal, kind))


def test_each_terminal_has_its_own_topics(office: Office, entered: Callable[..., Heard]) -> None:
    fleet, one, two = (entered(office.card(name)) for name in (FLEET_NAME, "t-1", "t-2"))
    one.publish(topic("t-1", Kind.RECORD))
    one.publish(topic("t-2", Kind.RECORD))
    one.publish(topic("t-1", Kind.POLICY))
    two.publish(topic("t-2", Kind.PRESENCE))
    fleet.publish(topic("t-1", Kind.POLICY))
    fleet.publish(topic("t-2", Kind.RECORD))
    fleet.publish(topic("t-2", Kind.RECEIPT))
    until(lambda: len(fleet.messages) >= 2 and one.messages and two.messages)
    assert sorted(fleet.messages) == [topic("t-1", Kind.RECORD), topic("t-2", Kind.PRESENCE)]
    assert one.messages == [topic("t-1", Kind.POLICY)]
    assert two.messages == [topic("t-2", Kind.RECEIPT)]


def test_nobody_takes_anothers_place_by_its_name(office: Office, entered: Callable[..., Heard]) -> None:
    one = entered(office.card("t-1"), "t-1")
    entered(office.card("t-2"), "t-1")
    assert not one.is_out.wait(0.5)


def test_whoever_is_not_of_this_fleet_is_not_let_in(office: Office, tmp_path: Path) -> None:
    stranger = make_authority(tmp_path / "stranger", "north", now=now())
    until(lambda: office.client(office.card("t-1")).enter())
    assert not office.client(office.card("t-1", stranger)).enter()


def test_who_is_put_out_is_out_soon_and_stays_out(office: Office, entered: Callable[..., Heard]) -> None:
    serial = office.card("t-1")
    revoked, stays = entered(serial), entered(office.card("t-2"))
    started = time.monotonic()
    office.revoke(serial)
    until(lambda: not office.client(serial).enter())
    # A connection that is open outlives its certificate: the fleet takes its place for a moment, with a certificate of its own.
    successor = office.client(office.card("t-1"))
    assert successor.enter()
    assert revoked.is_out.wait(SOON_S)
    successor.client.disconnect()
    assert time.monotonic() - started < SOON_S
    assert not stays.is_out.is_set()
    assert not office.client(serial).enter()


def test_written_again_keys_stay_and_the_broker_takes_the_new_certificates(
    office: Office, entered: Callable[..., Heard]
) -> None:
    entered(office.card("t-1"))
    folder = office.folder / "broker"
    keys = {name: (folder / name).read_bytes() for name in ("broker.key", "fleet.key")}
    before = (folder / "broker.pem").read_bytes()
    office.write()
    assert {name: (folder / name).read_bytes() for name in keys} == keys
    assert (folder / "broker.pem").read_bytes() != before
    office.process.send_signal(signal.SIGHUP)
    entered(office.card("t-3"))


def test_an_authority_goes_on_with_the_same_key(tmp_path: Path) -> None:
    office = Office(tmp_path, made=now() - timedelta(days=ISSUING_YEARS * 365 - 30))
    try:
        folder, pki = office.folder / "broker", office.folder / "pki"
        old_end = office.issuing.certificate.not_valid_after_utc
        office.stop()
        office.write()
        before, out = office.card("t-1"), office.card("t-2")
        write_revoked(folder, office.issuing, [Revoked(out, now())], now=now())
        office.start()
        until(lambda: office.client(before).enter())
        assert not office.client(out).enter()

        # Whom the broker trusts is new; its own certificate and its list are those of before.
        office.stop()
        renew_authority(pki, pki / ROOT_KEY, elsewhere=[folder], now=now())
        office.issuing = load_authority(pki)
        office.start()
        later = office.card("t-1")
        assert in_file(office.folder / f"{later}.pem").not_valid_after_utc > old_end
        until(lambda: office.client(later).enter())
        assert office.client(before).enter()
        assert not office.client(out).enter()
        office.revoke(later)
        until(lambda: not office.client(later).enter())
    finally:
        office.stop()


def in_file(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def shown_at(port: int, broker: Office) -> int:
    """Return the serial number of the certificate that a terminal is shown."""
    serial = broker.card("t-2")
    context = ssl.create_default_context(cafile=broker.folder / "pki" / ROOT)
    context.load_cert_chain(broker.folder / f"{serial}.pem", broker.folder / f"{serial}.key")
    with (
        socket.create_connection(("127.0.0.1", port), timeout=SOON_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        found = tls.getpeercert(binary_form=True)
    assert found
    return x509.load_der_x509_certificate(found).serial_number


def test_a_running_fleet_renews_its_own_and_comes_in_with_the_new_one(
    tmp_path: Path, database: Database, make_office: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    # Half of their time is over twelve hours from now; what is made anew later today is good now, for a broker with a clock of its own.
    made = now() - SERVER_VALIDITY / 2 + timedelta(hours=24)
    half = made - timedelta(days=1) + (SERVER_VALIDITY + timedelta(days=1)) / 2
    assert now() < half < now() + timedelta(days=1)
    moment = [made]
    broker = Office(tmp_path / "office", made=made)
    folder, data = broker.folder / "broker", broker.folder
    door_port, web_port = free_port(), free_port()
    office = make_office(database, **broker.settings(web_port=web_port, door_port=door_port))
    fleet = Fleet(office.settings, office.keys, database, lambda: moment[0])
    service = Service(fleet)
    files = [folder / "broker.pem", folder / "fleet.pem", data / "pki" / "door.pem"]
    moment[0] = half - timedelta(minutes=1)
    service.start()
    try:
        assert service.wait_connected(SOON_S)
        old = [in_file(each).serial_number for each in files]
        assert [shown_at(port, broker) for port in (broker.port, door_port)] == [old[0], old[2]]
        for name in ("fleet.pem", "fleet.key"):
            (tmp_path / name).write_bytes((folder / name).read_bytes())
        listed = (folder / REVOKED).read_bytes()

        moment[0] = half + timedelta(hours=6)
        eventually(lambda: not {in_file(each).serial_number for each in files} & set(old), "all three are new")
        new = [in_file(each).serial_number for each in files]
        eventually(lambda: shown_at(door_port, broker) == new[2], "the door shows it without a new start")
        # What `lifecert-broker-reload.path` waits for.
        eventually(lambda: (folder / REVOKED).read_bytes() != listed, "a list is written for the broker to be reloaded")
        broker.process.send_signal(signal.SIGHUP)
        eventually(lambda: shown_at(broker.port, broker) == new[0], "the broker shows it without a new start")

        broker.stop()
        # The old one is let in no more, so who comes in has the new one.
        write_revoked(folder, broker.issuing, [Revoked(f"{old[1]:x}", now())], now=now() + timedelta(minutes=1))
        broker.start()
        with_old = Heard(broker, str(tmp_path / "fleet.pem"), str(tmp_path / "fleet.key"), "")
        terminal = broker.client(broker.card("t-1"))
        eventually(terminal.enter, "the broker listens again")

        def is_heard() -> bool:
            terminal.publish(topic("t-1", Kind.RECORD))
            return bool(office.rows("SELECT 1 FROM quarantine"))

        eventually(is_heard, "the fleet is in again, and reads what terminals write")
        assert not with_old.enter()
        terminal.client.loop_stop()
    finally:
        service.stop()
        broker.stop()


def test_a_fleet_whose_authority_has_ended_keeps_its_console_and_comes_back(
    tmp_path: Path,
    database: Database,
    make_office: Callable[..., Any],
    make_fleet_terminal: Any,
    eventually: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = Office(tmp_path / "office", made=now() - timedelta(days=ISSUING_YEARS * 365 + 3))
    folder, pki = broker.folder / "broker", broker.folder / "pki"
    # All of them as they were on its last day.
    last_day = broker.issuing.certificate.not_valid_after_utc - timedelta(days=1)
    broker.write(made=last_day)
    write_server(pki, DOOR, broker.issuing, ["localhost"], now=last_day)
    files = [folder / "broker.pem", folder / "fleet.pem", pki / f"{DOOR}.pem"]
    before = [path.read_bytes() for path in files]
    door_port, web_port = free_port(), free_port()
    office = make_office(database, **broker.settings(web_port=web_port, door_port=door_port))

    def service() -> Service:
        return Service(Fleet(office.settings, office.keys, database, now))

    ended = service()
    try:
        ended.start()
        with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/", timeout=SOON_S) as answer:
            assert answer.status == HTTPStatus.OK
        assert not ended.wait_connected(1)
        assert [path.read_bytes() for path in files] == before
        with pytest.raises(AuthorityEnded, match="renew-issuing"):
            broker.card("t-1")
        # One after the other: whoever keeps the list goes on, although there is nothing to put a terminal off the broker with.
        for serial, name in ((0xA1, "t-8"), (0xB2, "t-9")):
            office.register(make_fleet_terminal(terminal_id=name))
            with database.begin() as connection:
                card = StoredCertificate(f"{serial:x}", name, f"{serial:x}", last_day, now() + timedelta(days=60))
                add_certificate(connection, card)
                assert revoke_certificates(connection, name, now=now()) == 1
            eventually(lambda serial=serial: serial in listed(folder), "who is taken back is in the list")
        assert "revocation list not written" not in caplog.text, "the first of them did not stop it either"
    finally:
        ended.stop()

    renew_authority(pki, pki / ROOT_KEY, elsewhere=[folder], now=now())
    broker.issuing = load_authority(pki)
    broker.stop()
    broker.start()
    renewed = service()
    try:
        renewed.start()
        assert all(path.read_bytes().endswith(pem_of(broker.issuing.certificate).encode()) for path in files)
        # What `lifecert-broker-reload.path` does.
        broker.process.send_signal(signal.SIGHUP)
        assert renewed.wait_connected(2 * SOON_S)
        assert shown_at(door_port, broker) == in_file(files[2]).serial_number
        terminal = broker.client(broker.card("t-1"))
        assert terminal.enter()
        terminal.client.loop_stop()
    finally:
        renewed.stop()
        broker.stop()
