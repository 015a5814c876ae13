"""What a terminal reaches, for its commissioning: the way out, broker and fleet; and the same on behalf of a process without a network."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from device.adapters.clock_system import SystemClock
from device.adapters.reaching_files import FileReaching
from device.adapters.references_sqlite import SqliteReferenceStore
from device.adapters.signer_keyfile import load_fleet_identity, load_private_key
from device.commissioning.check import check, error_check
from device.errors import DeviceError
from device.ports import Signer
from device.settings import Settings
from device.uplink.inbox import Inbox
from device.uplink.probe import Probe, Reached
from protocol.commissioning import CommissioningCheck, Part
from protocol.errors import ProtocolError
from protocol.times import best_guess
from protocol.trust import client_context, root_in

logger = logging.getLogger(__name__)

ANSWER_S: Final = 15.0
"""For the fleet's answer; a loaded fleet commits within seconds."""
REACHED: Final = (Part.NETWORK, Part.BROKER, Part.FLEET)
_CONNECT_S: Final = 10.0
_LOOK_S: Final = 1.0


class OwnReach:
    """Tries with this process's own network; broker and fleet are asked once, together.

    Args:
        settings: of the terminal.
        signer: its key.
        clock: of the system.
    """

    def __init__(self, settings: Settings, signer: Signer, clock: SystemClock) -> None:
        self._settings = settings
        self._signer = signer
        self._clock = clock
        self._reached: Reached | None = None

    def of(self, part: Part) -> CommissioningCheck:
        """Try network, broker or fleet, in this order.

        Raises:
            KeyUnusable: if a key, a certificate or the fleet's identity cannot be used.
            ReferencesUnavailable: if the roster cannot be looked at.
            OSError: if a file cannot be read.
        """
        if part is Part.NETWORK:
            return check_network(self._settings, best_guess(self._clock.peek()))
        if part is Part.BROKER:
            self._reached = ask_fleet(self._settings, self._signer, self._clock)
            return judge_broker(self._settings, self._reached)
        if self._reached is None or self._reached.connected_ms is None:
            return check(Part.FLEET, "skipped", "needs", {"part": Part.BROKER.value})
        return judge_fleet(self._reached)


class ReachingForOthers:
    """Answers, in a thread of the uplink, what the terminal's process asks, which has no network (`systemd/lifecert-terminal.service`).

    Args:
        files: where it asks.
        make: makes what tries; anew for each question.
    """

    def __init__(self, files: FileReaching, make: Callable[[], OwnReach]) -> None:
        self._files = files
        self._make = make
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="reaching", daemon=True).start()

    def stop(self) -> None:
        """End, once what is under way has; waits for nothing."""
        self._stop.set()

    def step(self) -> bool:
        """Answer a question that is there; return whether there was one."""
        asked = self._files.question()
        if asked is None:
            return False
        reach = self._make()
        self._files.answer(asked, tuple(_tried(reach, part) for part in REACHED))
        return True

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            try:
                self.step()
            except DeviceError as error:
                logger.warning("what is reached cannot be told why=%s", error)
            except Exception:
                # The top of the thread: who asked waits in vain this time, and may ask again.
                logger.exception("what is reached was not tried")


def _tried(reach: OwnReach, part: Part) -> CommissioningCheck:
    try:
        return reach.of(part)
    except (DeviceError, ProtocolError, OSError, ValueError) as error:
        return error_check(part, error)


def check_network(settings: Settings, now: datetime) -> CommissioningCheck:
    """Look for a way to the broker, and shake hands with the fleet's door where `lifecert-provision join` left word of one."""
    host, port = settings.broker.host, settings.broker.port
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError:
        return check(Part.NETWORK, "failed", "no_name", {"host": host[:200]})
    try:
        # No packet goes: the kernel only says which way it would take.
        with socket.socket(address[0], socket.SOCK_DGRAM) as probe:
            probe.connect(address[4])
            own = str(probe.getsockname()[0])
    except OSError:
        return check(Part.NETWORK, "failed", "no_route")
    try:
        _reach_door(settings, now)
    except (OSError, ProtocolError) as error:
        facts = {"host": _door_host(settings)[:200], "what": str(error)[:200]}
        return check(Part.NETWORK, "failed", "no_door", facts)
    return check(Part.NETWORK, "passed", "good", {"address": own, "host": host[:200]})


def ask_fleet(settings: Settings, signer: Signer, clock: SystemClock) -> Reached:
    """Ask the fleet something over a connection of this terminal's own.

    Raises:
        KeyUnusable: if a key, a certificate or the fleet's identity cannot be used.
        ReferencesUnavailable: if the roster cannot be looked at.
    """
    terminal = settings.terminal
    inbox = Inbox(
        fleet_id=terminal.fleet_id,
        terminal_id=terminal.terminal_id,
        fleet_key=load_fleet_identity(settings.keys.fleet, fleet_id=terminal.fleet_id).signing_key,
        sealing_key=load_private_key(settings.keys.sealing.path),
    )
    have = _roster_version(settings, clock)
    return Probe(settings, signer, inbox, have=have, now=lambda: best_guess(clock.peek())).ask(ANSWER_S)


def judge_broker(settings: Settings, reached: Reached) -> CommissioningCheck:
    """Say whether the broker let this terminal in."""
    if reached.connected_ms is None:
        facts = {"host": f"{settings.broker.host[:200]}:{settings.broker.port}"[:200], "what": reached.why[:200]}
        return check(Part.BROKER, "failed", "refused", facts)
    how = "plain" if settings.broker.tls_ca is None else "good"
    return check(Part.BROKER, "passed", how, {"took": reached.connected_ms})


def judge_fleet(reached: Reached) -> CommissioningCheck:
    """Say whether the fleet answered."""
    if reached.answered_ms is not None:
        return check(Part.FLEET, "passed", "good", {"took": reached.answered_ms})
    if reached.why:
        return check(Part.FLEET, "failed", "refused", {"what": reached.why[:200]})
    return check(Part.FLEET, "failed", "silent", {"waited": ANSWER_S})


def _reach_door(settings: Settings, now: datetime) -> None:
    folder = settings.keys.fleet.parent
    try:
        door, root = urlsplit((folder / "door.txt").read_text()), (folder / "root.pem").read_text()
    except FileNotFoundError:
        return
    where = (door.hostname or "", door.port or 443)
    context = client_context([root_in(root)], now=now)
    with socket.create_connection(where, timeout=_CONNECT_S) as plain:
        context.wrap_socket(plain, server_hostname=where[0]).close()


def _door_host(settings: Settings) -> str:
    with suppress(OSError):
        return urlsplit((settings.keys.fleet.parent / "door.txt").read_text()).netloc
    return ""


def _roster_version(settings: Settings, clock: SystemClock) -> int:
    if not settings.references_path.exists() or not settings.keys.storage.path.exists():
        return 0
    with closing(SqliteReferenceStore(settings.references_path, settings.keys.storage.path, clock)) as references:
        return references.version()
