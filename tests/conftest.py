"""Fixtures for all tests. Add to them; never change what one gives."""

from __future__ import annotations

import gc
import logging
import re
import shutil
import socket
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from joserfc.jwk import ECKey

from device.vision.frame import Frame
from fleet.broker import EmbeddedBroker
from protocol.capture import FeatureReport
from protocol.documents import IdentityDocument
from protocol.keys import PrivateKey
from protocol.references import Reference
from protocol.roster import RosterEntry, RosterPage

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


def free_port() -> int:
    """Return a TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
    with warnings.catch_warnings():
        # amqtt leaves the transports of its connections to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        del broker
        gc.collect()
