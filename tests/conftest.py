"""Fixtures for all tests. Add to them; never change what one gives."""

from __future__ import annotations

import fcntl
import logging
import os
import pickle
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import numpy as np
import psycopg
import pytest
from joserfc.jwk import ECKey
from playwright.sync_api import Browser, expect, sync_playwright
from pydantic import SecretStr
from sqlalchemy import text

from demo.agency.build import Built, build, settings_for
from demo.agency.index import Index
from demo.processes import free_port
from device.vision.frame import Frame
from fleet.app import Fleet
from fleet.broker import EmbeddedBroker
from fleet.keys import FleetKeys, load_keys, make_keys
from fleet.settings import Settings
from fleet.status.doubts import doubt, open_doubts
from fleet.store.contradictions import page_of
from fleet.store.database import Database
from fleet.store.embedded import EmbeddedDatabase
from fleet.store.migrate import migrate
from fleet.store.subjects import all_ids
from protocol.capture import FeatureReport
from protocol.cases import CASE_TYP
from protocol.challenge import ChallengeDraws
from protocol.decommissioning import DecommissionProof, ErasedPart
from protocol.documents import DocumentKind, IdentityDocument
from protocol.envelope import sha256_of, sign
from protocol.events import EVENT_TYP
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.examples import examples
from protocol.keys import PrivateKey
from protocol.outcomes import Outcome
from protocol.policy import PathName, Policy, default_policy
from protocol.records import RECORD_TYP, AskedAction, CertificationRecord, Claim, Comparison, Decision, Link, NetworkUse
from protocol.references import CaptureKind, Reference
from protocol.registration import TerminalRegistration, sign_registration
from protocol.roster import RosterEntry, RosterPage
from protocol.times import ClockSource, DeviceTime
from protocol.topics import Kind, Topic

# No test fails because the machine is busy.
hypothesis.settings.register_profile("lifecert", deadline=None)
hypothesis.settings.load_profile("lifecert")
expect.set_options(timeout=30_000)

CHROMIUM = Path("/usr/bin/chromium")
OURS = ("protocol", "device", "fleet", "provisioning", "models", "demo")
NEVER_LOGGED = (
    bytes,
    bytearray,
    memoryview,
    np.ndarray,
    Frame,
    FeatureReport,
    IdentityDocument,
    Reference,
    RosterEntry,
    RosterPage,
    PrivateKey,
    ECKey,
)
_IDENTITY_NUMBER = re.compile(r"(?<![0-9a-zA-Z])[1-9]\d{16}[\dXx](?![0-9a-zA-Z])")
_violations: list[str] = []


def _log_violation(record: logging.LogRecord) -> str | None:
    values: list[Any] = list(record.args.values()) if isinstance(record.args, dict) else list(record.args or ())
    for value in values:
        if isinstance(value, NEVER_LOGGED):
            return f"{type(value).__name__} handed to the log"
    try:
        text = record.getMessage()
    except Exception as error:  # noqa: BLE001 - whatever a bad format raises is the finding
        return f"format {record.msg!r} does not fit its arguments: {error}"
    return "an identity number in the log" if _IDENTITY_NUMBER.search(text) else None


@pytest.fixture(scope="session", autouse=True)
def _log_guard() -> Iterator[None]:
    """Format every log record of ours, at every level, and note what must not be there."""
    make = logging.getLogRecordFactory()

    def guarded(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        if record.name.partition(".")[0] in OURS and (found := _log_violation(record)):
            _violations.append(f"{record.pathname}:{record.lineno}: {found}")
        return record

    levels = {name: logging.getLogger(name).level for name in OURS}
    logging.setLogRecordFactory(guarded)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield
    logging.setLogRecordFactory(make)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(autouse=True)
def _nothing_private_in_the_log() -> Iterator[None]:
    _violations.clear()
    yield
    assert not _violations, "\n".join(_violations)


@pytest.fixture
def log_violation() -> Callable[[logging.LogRecord], str | None]:
    """The check behind the log guard, for its own test."""
    return _log_violation


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    """Wait for a condition: `eventually(lambda: done(), "what is waited for", timeout_s=20)`; fails after the deadline."""

    def wait(condition: Callable[[], object], what: str = "the condition", timeout_s: float = 20.0) -> None:
        deadline = time.monotonic() + timeout_s
        pause = threading.Event()
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {timeout_s} s: {what}")
            pause.wait(0.02)

    return wait


class Mosquitto:
    """Debian's broker on a free port, with its data in a folder of its own; can be killed and started again.

    Args:
        folder: for configuration, data and log.
        extra: more configuration lines.
        tls: with True, plain connections are not offered and `extra` names the certificates.
    """

    def __init__(self, folder: Path, extra: str = "", *, tls: bool = False) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        assert program, "mosquitto is not installed: make system-packages"
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.host = "127.0.0.1"
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        anonymous = "" if tls else "allow_anonymous true\n"
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nuser root\npersistence true\npersistence_location {folder}/\n{anonymous}{extra}"
        )

    def start(self) -> None:
        """Start it and wait until it listens."""
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self._folder / "mosquitto.conf")], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, (self._folder / "mosquitto.log").read_text()
                assert time.monotonic() < deadline, "mosquitto does not listen"
                threading.Event().wait(0.02)
            else:
                return

    def kill(self) -> None:
        """End it with SIGKILL: what it holds in memory only is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running mosquitto; `.port`, `.kill()`, `.start()`, `.stop()`."""
    broker = Mosquitto(tmp_path / "mosquitto")
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def make_mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Make a mosquitto that is not started yet: `make_mosquitto(extra_configuration, tls=...)`."""
    made: list[Mosquitto] = []

    def make(extra: str = "", *, tls: bool = False) -> Mosquitto:
        made.append(Mosquitto(tmp_path / f"mosquitto{len(made)}", extra, tls=tls))
        return made[-1]

    yield make
    for broker in made:
        broker.kill()


class RunningEmbeddedBroker:
    """Where the embedded broker listens."""

    def __init__(self, port: int) -> None:
        self.host = "127.0.0.1"
        self.port = port


@pytest.fixture
def embedded_broker() -> Iterator[RunningEmbeddedBroker]:
    """The fleet's own broker, running in this process; `.port`."""
    where = RunningEmbeddedBroker(free_port())
    broker = EmbeddedBroker(where.host, where.port)
    broker.start()
    yield where
    broker.stop()


def _draws(policy: Policy) -> ChallengeDraws:
    """Every draw of a session with a nonce of zeros."""
    needs_turn = EvidenceKind.PLANARITY in policy.paths[PathName.STANDARD].required
    return ChallengeDraws(bytes(16), policy.challenge, needs_turn=needs_turn)


def passed_evidence(kind: EvidenceKind) -> EvidenceResult:
    """What a terminal writes of a kind that just passed by the default policy."""
    policy = default_policy()
    light, depth, sensor, pulse = policy.illumination, policy.planarity, policy.capture_path, policy.pulse
    assert light is not None
    assert depth is not None
    assert sensor is not None
    assert pulse is not None
    skin = next(iter(policy.texture.values()))
    least: dict[EvidenceKind, tuple[float | None, dict[str, float]]] = {
        EvidenceKind.CHALLENGE: (None, {}),
        EvidenceKind.CONTINUITY: (policy.continuity.min_similarity, {}),
        EvidenceKind.PLANARITY: (
            depth.min_residual,
            {"turned_frames": depth.min_frames, "largest_yaw_deg": depth.min_yaw_deg},
        ),
        EvidenceKind.ILLUMINATION: (
            1.0,
            {
                "code_correlation": light.min_code_correlation,
                "gain": light.min_gain,
                "relief_left": light.min_relief,
                "relief_right": light.min_relief,
                "albedo_share": light.min_albedo_share,
                "highlight": light.max_highlight,
                "code_margin": 0.3,
                "steady": light.min_steady,
                "code_deviation": light.max_code_deviation,
                "longest_gap_s": light.max_gap_s,
            },
        ),
        EvidenceKind.TEXTURE: (skin.min_score, {"frames": skin.min_frames}),
        EvidenceKind.PULSE: (pulse.min_snr_db, {"motion": pulse.max_motion}),
        EvidenceKind.CAPTURE_PATH: (
            sensor.min_exposure_response,
            {
                "exposure_response": sensor.min_exposure_response,
                "exposure_error": sensor.max_exposure_error,
                "repeated": sensor.max_repeated_frames,
                "regular": sensor.min_regular,
            },
        ),
    }
    score, measures = least[kind]
    return EvidenceResult(
        kind=kind, status=EvidenceStatus.PASSED, score=score, threshold=score, reason="all_right", measures=measures
    )


class FleetTerminal:
    """A terminal as the fleet knows it: keys, a chain, and signed messages, made with the protocol alone."""

    def __init__(self, fleet_id: str = "north", terminal_id: str = "t-1") -> None:
        self.fleet_id = fleet_id
        self.terminal_id = terminal_id
        self.signing = PrivateKey.generate()
        self.sealing = PrivateKey.generate()
        self.counter = 0
        self.previous: str | None = None

    def topic(self, kind: Kind) -> Topic:
        """The topic of this terminal for a kind of message."""
        return Topic(self.fleet_id, self.terminal_id, kind)

    def registration(self) -> bytes:
        """The self-signed registration."""
        return sign_registration(
            TerminalRegistration(
                fleet_id=self.fleet_id,
                terminal_id=self.terminal_id,
                signing_key=self.signing.public(),
                sealing_key=self.sealing.public(),
                made_at=datetime(2026, 11, 1, tzinfo=UTC),
            ),
            self.signing,
        )

    def proof(self, at: datetime, **changes: Any) -> DecommissionProof:
        """What it says at its end, with any field changed."""
        numbers = ("subjects", "references", "searched_bytes", "traces", "last_counter", "records_confirmed")
        fields: dict[str, Any] = {
            "fleet_id": self.fleet_id,
            "terminal_id": self.terminal_id,
            "begun_at": at,
            "finished_at": at,
            "parts": (ErasedPart(name="sealing.pem", kind="key", bytes_overwritten=241),),
            "content_sha256": "a" * 64,
            **dict.fromkeys((*numbers, "records_exported", "records_lost", "pictures_exported", "pictures_lost"), 0),
        }
        return DecommissionProof.model_validate({**fields, **changes})

    def record(self, **changes: Any) -> CertificationRecord:
        """The next record of the chain, a supported `certified` one, with any field changed; does not move the chain on."""
        at = changes.pop("at", datetime(2026, 11, 20, 8, tzinfo=UTC))
        moment = DeviceTime(
            boot_id="b" * 32, monotonic_ns=1, wall_clock=at, source=ClockSource.NETWORK, uncertainty_s=1.0
        )
        outcome = changes.pop("outcome", Outcome.CERTIFIED)
        policy = default_policy()
        name, thresholds = next(iter(policy.comparison.items()))
        subject_id, token = changes.pop("subject_id", None), changes.pop("token", "A" * 43)
        fields: dict[str, Any] = {
            "record_id": uuid4().hex,
            "fleet_id": self.fleet_id,
            "terminal_id": self.terminal_id,
            "counter": self.counter + 1,
            "previous": self.previous,
            "session_id": uuid4().hex,
            "nonce": "0" * 32,
            "claim": Claim(document=DocumentKind.RESIDENT_ID, token=token, subject_id=subject_id),
            "decision": Decision(
                outcome=outcome, reasons=(), policy_version=policy.policy_version, path=PathName.STANDARD
            ),
            "comparison": Comparison(
                reference_id="c" * 32,
                capture=CaptureKind.LIVE,
                score=0.9,
                zone="match",
                match_threshold=thresholds.match,
                grey_threshold=thresholds.grey,
                model_sha256="d" * 64,
                samples=5,
            ),
            "evidence": tuple(passed_evidence(kind) for kind in policy.paths[PathName.STANDARD].required),
            "challenge": tuple(
                AskedAction(action=action, result="performed", seconds=1.0) for action in _draws(policy).first().left
            ),
            "quality": policy.quality.minimum,
            "networks": (NetworkUse(name=name, sha256="d" * 64, runtime="test"),),
            "software": "test",
            "started": moment,
            "decided": moment,
        }
        return CertificationRecord.model_validate({**fields, **changes})

    def signed(self, record: CertificationRecord) -> bytes:
        """The record as it travels; the chain goes on from it."""
        return self.sign_link(record, RECORD_TYP)

    def next(self, **changes: Any) -> bytes:
        """The next record of the chain as it travels."""
        return self.signed(self.record(**changes))

    def next_case(self, **changes: Any) -> bytes:
        """A case record as the next link of the chain, as it travels; fields as in `protocol.examples`, where not changed."""
        return self._next_like(CASE_TYP, changes)

    def next_event(self, **changes: Any) -> bytes:
        """A terminal event as the next link of the chain, as it travels."""
        return self._next_like(EVENT_TYP, changes)

    def _next_like(self, typ: str, changes: dict[str, Any]) -> bytes:
        example = examples()[typ]
        head = {
            "record_id": uuid4().hex,
            "fleet_id": self.fleet_id,
            "terminal_id": self.terminal_id,
            "counter": self.counter + 1,
            "previous": self.previous,
        }
        link = type(example).model_validate({**example.model_dump(), **head, **changes})
        assert isinstance(link, Link)
        return self.sign_link(link, typ)

    def sign_link(self, link: Link, typ: str) -> bytes:
        """A link as it travels; the chain goes on from it."""
        envelope = sign(link.to_bytes(), key=self.signing, typ=typ)
        self.counter, self.previous = link.counter, sha256_of(envelope)
        return envelope

    @staticmethod
    def passed(kind: EvidenceKind) -> EvidenceResult:
        """Evidence that just passed."""
        return passed_evidence(kind)


@pytest.fixture
def make_fleet_terminal() -> Callable[..., FleetTerminal]:
    """Make a terminal that signs: `make_fleet_terminal(fleet_id, terminal_id)`."""
    return FleetTerminal


@pytest.fixture(scope="session")
def make_data_dir() -> Iterator[Callable[[], Path]]:
    """Make a folder for an embedded PostgreSQL, removed after the run.

    Started by root the server runs as a user of its own, and pytest closes its own folders to other users at each start of any pytest.
    """
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="lifecert-test-")))
        return made[-1]

    yield make
    for folder in made:
        shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class Shared:
    """A folder for what the processes of one run make once for all of them; one process alone has it for itself."""

    folder: Path

    @contextmanager
    def made_once(self, name: str) -> Iterator[bool]:
        """Keep the others waiting, and say whether something is still to be made: it is until a block that made it has ended well."""
        with (self.folder / f"{name}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            mark = self.folder / f"{name}.made"
            yield not mark.exists()
            mark.touch()


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str, testrun_uid: str) -> Iterator[Shared]:
    """The folder of this run, removed by whoever leaves last; a process that is killed counts as having left."""
    base = tmp_path_factory.getbasetemp()
    coming_and_going = (base if worker_id == "master" else base.parent) / "coming-and-going"
    # Not below pytest's own folder, see `make_data_dir`.
    folder = Path(tempfile.gettempdir()) / f"lifecert-test-{testrun_uid}"
    with coming_and_going.open("ab") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        folder.mkdir(mode=0o700, exist_ok=True)
        users = (folder / "users").open("ab")
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield Shared(folder)
        fcntl.flock(gate, fcntl.LOCK_EX)
        with users, suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)


@pytest.fixture(scope="session")
def _postgres(whole_run: Shared) -> Iterator[str]:
    """One embedded PostgreSQL for the whole run, with a migrated database to copy; gives its URL."""
    server = EmbeddedDatabase(whole_run.folder, database="blank", connections=300)
    with whole_run.made_once("blank") as is_to_be_made:
        url = server.start()
        if is_to_be_made:
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
                # The data lives for this run only.
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")
            blank = Database(url)
            migrate(blank)
            blank.close()
    yield url
    server.stop()


_ZONE = timezone(timedelta(hours=8))
"""Of every fleet in the tests."""


_DOUBTED = "SELECT " + " OR ".join(
    f"EXISTS (SELECT 1 FROM {table})"
    for table in ("open_contradictions", "life_events", "feed_rows", "feed_deliveries")
)
"""Without any of these there is nothing to contradict itself."""


def _demand_kept_doubts(url: str) -> None:
    """Whatever a test did: what is kept of contradictions is what is found when all is worked out anew."""
    with psycopg.connect(url.replace("+psycopg", "")) as raw:
        is_there = raw.execute("SELECT to_regclass('open_contradictions') IS NOT NULL").fetchone() == (True,)
        if not is_there or raw.execute(_DOUBTED).fetchone() == (False,):
            return
    database = Database(url)
    try:
        with database.begin() as connection:
            kept = {doubt(each) for each in page_of(connection)}
            found = set(open_doubts(connection, all_ids(connection), zone=_ZONE))
    finally:
        database.close()
    assert kept == found


@contextmanager
def _fresh(postgres: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    server = postgres.replace("+psycopg", "").replace("/blank?", "/postgres?")
    with psycopg.connect(server, autocommit=True) as connection:
        # Without fsync copying files is quicker than copying through the log.
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE blank STRATEGY file_copy')
        url = postgres.replace("/blank?", f"/{name}?")
        yield url
        _demand_kept_doubts(url)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def database_url(_postgres: str) -> Iterator[str]:
    """The URL of a fresh database with the newest schema."""
    with _fresh(_postgres) as url:
        yield url


@pytest.fixture
def other_database_url(_postgres: str) -> Iterator[str]:
    """The URL of a second one."""
    with _fresh(_postgres) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database with the newest schema."""
    found = Database(database_url)
    yield found
    found.close()


@dataclass(frozen=True, slots=True)
class MadeAgency:
    """The made-up agency of `demo.agency` in a database of its own, to be looked at and changed."""

    url: str
    keys: FleetKeys
    settings: Settings
    """With `database` set to the URL and `data_dir` to a folder with the keys: `open_fleet(agency.settings)` works."""
    now: datetime
    """The moment at which it is looked at, 2026-11-20 17:00 of the agency."""
    index: Index
    """One id for everything that a page can show."""
    database: Database

    def clock(self) -> datetime:
        """The agency's time, which stands still."""
        return self.now

    @property
    def fleet(self) -> Fleet:
        """What commands and pages work with."""
        return Fleet(self.settings, self.keys, self.database, self.clock)

    def rows(self, statement: str, **values: object) -> list[Any]:
        """The rows of a statement."""
        with self.database.begin() as connection:
            return list(connection.execute(text(statement), values).all())


AGENCY_DAY = date(2026, 11, 20)
AGENCY_PEOPLE = int(os.environ.get("LIFECERT_AGENCY_PEOPLE", "20000"))
"""Fewer while one page is worked on: 2,000 are made in a few seconds, and somebody of every kind is still there."""


@pytest.fixture(scope="session")
def agency_template(_postgres: str, whole_run: Shared) -> Built:
    """The made-up agency, built once for the whole run in a database that only `agency` and `module_agency` copy. Never connect to it."""
    url = _postgres.replace("/blank?", "/agency?")
    folder = whole_run.folder / "agency"
    settings, index = settings_for(data_dir=folder), folder / "index.pickle"
    with whole_run.made_once("agency") as is_to_be_made:
        if is_to_be_made:
            server = _postgres.replace("+psycopg", "").replace("/blank?", "/postgres?")
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute("CREATE DATABASE agency TEMPLATE blank")
            make_keys(folder / "keys", key_domain="d1")
            made = build(url, load_keys(folder / "keys"), settings, today=AGENCY_DAY, people=AGENCY_PEOPLE)
            index.write_bytes(pickle.dumps((made.now, made.index)))
    now, found = pickle.loads(index.read_bytes())
    return Built(url, load_keys(folder / "keys"), settings, now, found)


@contextmanager
def _copied(template: Built) -> Iterator[MadeAgency]:
    name = f"agency_{uuid4().hex}"
    url = template.url.replace("/agency?", f"/{name}?")
    server = template.url.replace("+psycopg", "").replace("/agency?", "/postgres?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE agency STRATEGY file_copy')
        settings = template.settings.model_copy(update={"database": SecretStr(url)})
        database = Database(url)
        yield MadeAgency(url, template.keys, settings, template.now, template.index, database)
        database.close()
        _demand_kept_doubts(url)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def agency(agency_template: Built) -> Iterator[MadeAgency]:
    """A fresh copy of the made-up agency, for a test that changes something."""
    with _copied(agency_template) as made:
        yield made


@pytest.fixture(scope="module")
def module_agency(agency_template: Built) -> Iterator[MadeAgency]:
    """A copy of the made-up agency for all tests of a module, which only look at it."""
    with _copied(agency_template) as made:
        yield made


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; for a module only, as Playwright's event loop is in the way of tests that have one of their own."""
    assert CHROMIUM.exists(), "chromium is not installed: make system-packages"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def free_ports() -> Callable[[], int]:
    """Find a TCP port of this machine that nobody listens on: `free_ports()`."""
    return free_port
