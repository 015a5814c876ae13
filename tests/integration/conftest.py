"""A terminal's folder, its uplink as a process, and a fleet made of paho and the protocol alone."""

from __future__ import annotations

import io
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from PIL import Image, ImageDraw

from demo.processes import free_port
from device.adapters.attachments_sqlite import SqliteAttachmentStore
from device.adapters.outbox_sqlite import SqliteOutbox
from device.simulated.actor import portrait
from protocol.envelope import seal, sha256_of, sign, typ_of, verify
from protocol.keys import PrivateKey
from protocol.policy import POLICY_TYP, default_policy
from protocol.presence import PRESENCE_TYP, Presence
from protocol.receipts import RECEIPT_TYP, Receipt, ReceiptItem, Verdict
from protocol.records import RECORD_TYP
from protocol.registration import FleetIdentity
from protocol.roster import ROSTER_REQUEST_TYP, ROSTER_TYP, RosterEntry, RosterPage, RosterRequest
from protocol.topics import Kind, Topic, fleet_inbox
from tests.agency import Agency
from tests.integration.authority import Authority

# As pyproject.toml installs them: tflite-runtime has no build for Python 3.12 and later.
RUNTIMES = ("ai-edge-litert", "tflite-runtime") if sys.version_info < (3, 12) else ("ai-edge-litert",)
FLEET, TERMINAL = "north", "t-17"
SECRET = "A" * 43


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    """Each interpreter in turn."""
    return str(request.param)


@dataclass
class TerminalFolder:
    """Keys, settings and data of one terminal."""

    folder: Path
    signing: PrivateKey
    sealing: PrivateKey
    fleet_key: PrivateKey

    @property
    def config(self) -> Path:
        return self.folder / "terminal.toml"

    def configure(self, port: int, broker: str = "", uplink: str = "") -> None:
        self.config.write_text(
            f"""
[terminal]
fleet_id = "{FLEET}"
terminal_id = "{TERMINAL}"
data_dir = "data"
[keys]
signing = "signing.pem"
sealing = "sealing.pem"
storage = "storage.key"
fleet = "fleet.json"
[broker]
host = "127.0.0.1"
port = {port}
{broker}
[uplink]
poll_s = 0.05
window = 20
resend_after_s = 1.0
resend_cap_s = 1.0
reconnect_base_s = 0.05
reconnect_cap_s = 0.3
connect_timeout_s = 3
presence_change_s = 0.1
roster_retry_s = 1.0
{uplink}
"""
        )

    def outbox(self) -> SqliteOutbox:
        return SqliteOutbox(self.folder / "data" / "outbox.sqlite", max_rows=10**6, max_bytes=1 << 30)

    def attachments(self) -> SqliteAttachmentStore:
        return SqliteAttachmentStore(self.folder / "data" / "attachments.sqlite", max_bytes=1 << 30)

    def record(self, count: int) -> list[str]:
        """Store records as the terminal does, and return their digests."""
        outbox = self.outbox()

        def build(counter: int, previous: str | None) -> bytes:
            return sign(f'{{"counter": {counter}}}'.encode().ljust(2000), key=self.signing, typ=RECORD_TYP)

        digests = [outbox.append(build).sha256 for _ in range(count)]
        outbox.close()
        return digests

    def counts(self) -> dict[str, int]:
        outbox = self.outbox()
        try:
            return {state: count for state, count in outbox.counts().model_dump(exclude={"stored"}).items() if count}
        finally:
            outbox.close()


class UplinkProcess:
    """`lifecert-terminal uplink` as systemd starts it."""

    def __init__(self, config: Path) -> None:
        program = "from device.cli import main; main()"
        self._log = config.parent / "uplink.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", program, "uplink", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        self.process.terminate()
        return self.process.wait(15)


class FakeFleet:
    """Verifies what arrives, keeps it, and answers when told to."""

    def __init__(self, terminal: TerminalFolder, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._terminal = terminal
        self._lock = threading.Lock()
        self.answers = True
        self.refusal: str | None = None
        """Why pictures are refused."""
        self.stored: Counter[str] = Counter()
        """Digest -> how often it arrived."""
        self.presences: list[Presence] = []
        self.requests: list[RosterRequest] = []
        self.page: Callable[[RosterRequest], RosterPage | None] = lambda _: None
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="fleet", clean_session=False)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe(str(fleet_inbox(FLEET)), qos=1)
        self.subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self._arrived
        if tls is not None:
            self.client.tls_set_context(tls)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        if not self.subscribed.wait(20):
            self.stop()
            pytest.fail("the fake fleet cannot subscribe")

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def send(self, kind: Kind, payload: bytes, terminal: str = TERMINAL) -> None:
        topic = Topic(FLEET, terminal, kind)
        self.client.publish(str(topic), payload, qos=1, retain=topic.rule.retain)

    def receipt(
        self,
        digests: list[str],
        *,
        key: PrivateKey | None = None,
        terminal: str = TERMINAL,
        typ: str = RECEIPT_TYP,
        refusal: str | None = None,
    ) -> bytes:
        verdict = Verdict.STORED if refusal is None else Verdict.REFUSED
        receipt = Receipt(
            fleet_id=FLEET,
            terminal_id=terminal,
            fleet_time=now(),
            items=tuple(ReceiptItem(sha256=digest, verdict=verdict, reason=refusal) for digest in digests),
        )
        return sign(receipt.to_bytes(), key=key or self._terminal.fleet_key, typ=typ)

    def policy(
        self, version: str = "2026.1", issued_at: datetime | None = None, key: PrivateKey | None = None
    ) -> bytes:
        policy = default_policy().model_copy(update={"policy_version": version, "issued_at": issued_at or now()})
        return sign(policy.to_bytes(), key=key or self._terminal.fleet_key, typ=POLICY_TYP)

    def sealed(self, page: RosterPage) -> bytes:
        signed = sign(page.to_bytes(), key=self._terminal.fleet_key, typ=ROSTER_TYP)
        return seal(signed, reader=self._terminal.sealing.public())

    def _arrived(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        topic = Topic.parse(message.topic)
        if not message.payload:
            return
        public = self._terminal.signing.public()

        def checked(typ: str) -> bytes:
            return verify(message.payload, key_of=lambda _: public, typ=typ).payload

        with self._lock:
            if topic.kind is Kind.PRESENCE:
                self.presences.append(Presence.parse(checked(PRESENCE_TYP)))
            elif topic.kind is Kind.ROSTER_REQUEST:
                request = RosterRequest.parse(checked(ROSTER_REQUEST_TYP))
                self.requests.append(request)
                if self.answers and (page := self.page(request)) is not None:
                    self.send(Kind.ROSTER, self.sealed(page))
            elif topic.kind is Kind.ATTACHMENT:
                digest = sha256_of(message.payload)
                self.stored[digest] += 1
                if self.answers:
                    self.send(Kind.RECEIPT, self.receipt([digest], refusal=self.refusal))
            else:
                # A record, or an event such as that of a message refused.
                checked(typ_of(message.payload))
                digest = sha256_of(message.payload)
                self.stored[digest] += 1
                if self.answers:
                    self.send(Kind.RECEIPT, self.receipt([digest]))


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def roster_page(after: int, upto: int, *, complete: bool = True, entries: tuple[RosterEntry, ...] = ()) -> RosterPage:
    return RosterPage(
        fleet_id=FLEET,
        terminal_id=TERMINAL,
        issued_at=now(),
        expires_at=now() + timedelta(days=30),
        after=after,
        upto=upto,
        complete=complete,
        claim_key=SECRET,
        feature_keys={"d1": SECRET},
        entries=entries,
    )


@pytest.fixture
def make_page() -> Callable[..., RosterPage]:
    return roster_page


@pytest.fixture
def terminal(tmp_path: Path) -> TerminalFolder:
    """A provisioned terminal; call `configure(port)` before starting its uplink."""
    made = TerminalFolder(tmp_path / "terminal", PrivateKey.generate(), PrivateKey.generate(), PrivateKey.generate())
    made.folder.mkdir()
    made.signing.save(made.folder / "signing.pem")
    made.sealing.save(made.folder / "sealing.pem")
    identity = FleetIdentity(fleet_id=FLEET, signing_key=made.fleet_key.public())
    (made.folder / "fleet.json").write_bytes(identity.to_bytes())
    return made


@pytest.fixture
def start_uplink(terminal: TerminalFolder) -> Iterator[Callable[[], UplinkProcess]]:
    """Start the terminal's uplink; all are ended with the test."""
    started: list[UplinkProcess] = []

    def start() -> UplinkProcess:
        started.append(UplinkProcess(terminal.config))
        return started[-1]

    yield start
    for uplink in started:
        uplink.kill()


@pytest.fixture
def start_fleet(terminal: TerminalFolder) -> Iterator[Callable[..., FakeFleet]]:
    """Start a fake fleet on a broker's port."""
    started: list[FakeFleet] = []

    def start(port: int, tls: ssl.SSLContext | None = None) -> FakeFleet:
        started.append(FakeFleet(terminal, port, tls))
        return started[-1]

    yield start
    for fleet in started:
        fleet.stop()


@pytest.fixture(scope="session")
def studio() -> Callable[..., Image.Image]:
    """Make a two-inch portrait, 480x672, of a rendered person in an oval on a plain ground: `studio(name, ground="white")`."""

    def make(name: str, ground: str = "white") -> Image.Image:
        people = Path(__file__).resolve().parents[2] / "demo" / "people"
        scene = Image.fromarray(portrait(people / f"{name}.toml"))
        cut = scene.crop((149, 0, 491, 479)).resize((480, 672), Image.Resampling.LANCZOS)
        mask = Image.new("L", cut.size, 0)
        ImageDraw.Draw(mask).ellipse((70, 40, 410, 900), fill=255)
        return Image.composite(cut, Image.new("RGB", cut.size, ground), mask)

    return make


@pytest.fixture(scope="session")
def jpeg_of() -> Callable[..., bytes]:
    """Make a JPEG file of a picture."""

    def make(picture: Image.Image, **options: Any) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=92, **options)
        return buffer.getvalue()

    return make


@pytest.fixture
def secured(tmp_path: Path, make_mosquitto: Callable[..., Any]) -> tuple[Authority, Any, Path]:
    folder = tmp_path / "pki"
    authority = Authority(folder)
    for name in ("127.0.0.1", "fleet", "t-17", "t-18"):
        authority.issue(name)
    (folder / "acl").write_text(
        "user fleet\ntopic readwrite lifecert/v1/#\n"
        "pattern write lifecert/v1/+/%u/up/#\npattern read lifecert/v1/+/%u/down/#\n"
    )
    broker = make_mosquitto(
        f"cafile {folder}/ca.crt\ncertfile {folder}/127.0.0.1.crt\nkeyfile {folder}/127.0.0.1.key\n"
        f"require_certificate true\nuse_identity_as_username true\nacl_file {folder}/acl\n",
        tls=True,
    )
    broker.start()
    return authority, broker, folder


@pytest.fixture
def running_agency(tmp_path: Path, database_url: str) -> Iterator[Agency]:
    """A fleet and a broker that run as programs; the door for new terminals may not be open yet."""
    made = Agency(tmp_path, database_url, (free_port(), free_port(), free_port()))
    made.make()
    made.start()
    yield made
    made.stop()
