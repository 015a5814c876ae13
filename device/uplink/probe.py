"""One question to the fleet over a connection of its own: whether broker and fleet answer, while the uplink runs or not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from device.errors import LinkDown
from device.ports import Signer
from device.settings import Settings
from device.uplink.inbox import Inbox
from device.uplink.mqtt import MqttLink
from protocol.envelope import sha256_of
from protocol.errors import ProtocolError
from protocol.receipts import Receipt, ReceiptItem, Verdict
from protocol.roster import ROSTER_REQUEST_TYP, RosterRequest
from protocol.topics import Kind, Topic, terminal_inbox

_TURN_S = 0.1


@dataclass(frozen=True, slots=True)
class Reached:
    """How far the question came."""

    connected_ms: float | None
    """None where the broker could not be connected."""
    answered_ms: float | None = None
    """From the question to the fleet's signed answer; None where there was none."""
    why: str = ""
    """Where something did not come: what was said of it."""
    is_put_off: bool = False
    """Whether the connection was lost while the answer was waited for."""


class Probe:
    """Asks for the roster, as the uplink does; the answer is read and nothing is applied.

    The broker knows a terminal by its certificate and lets it in once: the probe takes the uplink's place for a moment, and the uplink
    takes it back. What came for the uplink meanwhile comes again, as after any lost connection; whoever is put off asks once more.

    Args:
        settings: of the terminal.
        signer: its key.
        inbox: opens and verifies what comes.
        have: version of the roster that is here, so that no more is sent than the uplink would ask for.
        now: what the clock says.
    """

    def __init__(
        self, settings: Settings, signer: Signer, inbox: Inbox, *, have: int, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._signer = signer
        self._inbox = inbox
        self._have = have
        self._now = now
        self._receipts: list[Receipt] = []
        self._unreadable = ""

    def ask(self, patience_s: float) -> Reached:
        """Connect, ask and wait for the fleet's receipt of the question; everything that goes wrong is in what is returned.

        Raises:
            KeyUnusable: if a certificate or key file of the connection cannot be used.
        """
        link = MqttLink(
            self._settings.terminal.terminal_id,
            self._settings.broker,
            connect_timeout_s=self._settings.uplink.connect_timeout_s,
            max_inflight=10,
            on_arrived=self._arrived,
            on_taken=lambda _token: None,
        )
        begin = time.monotonic()
        reached = self._try(link, patience_s)
        while reached.answered_ms is None and reached.is_put_off and time.monotonic() - begin < patience_s:
            reached = self._try(link, patience_s)
        return reached

    def _try(self, link: MqttLink, patience_s: float) -> Reached:
        terminal = self._settings.terminal
        begin = time.monotonic()
        try:
            link.connect()
        except LinkDown as error:
            return Reached(None, why=str(error))
        connected_ms = (time.monotonic() - begin) * 1000
        try:
            link.subscribe(terminal_inbox(terminal.fleet_id, terminal.terminal_id))
            answered_ms, why = self._question(link, patience_s)
        except LinkDown as error:
            return Reached(connected_ms, why=str(error), is_put_off=True)
        finally:
            link.disconnect()
        return Reached(connected_ms, answered_ms, why or self._unreadable)

    def _question(self, link: MqttLink, patience_s: float) -> tuple[float | None, str]:
        terminal = self._settings.terminal
        request = RosterRequest(
            fleet_id=terminal.fleet_id, terminal_id=terminal.terminal_id, have=self._have, asked_at=self._now()
        )
        token = self._signer.sign(request.to_bytes(), ROSTER_REQUEST_TYP)
        wanted = sha256_of(token)
        begin = time.monotonic()
        link.publish(Topic(terminal.fleet_id, terminal.terminal_id, Kind.ROSTER_REQUEST), token)
        while time.monotonic() - begin < patience_s:
            link.turn(_TURN_S)
            item = self._named(wanted)
            if item is not None:
                took_ms = (time.monotonic() - begin) * 1000
                return (None, item.reason or "refused") if item.verdict is Verdict.REFUSED else (took_ms, "")
        return None, ""

    def _named(self, sha256: str) -> ReceiptItem | None:
        items = (item for receipt in self._receipts for item in receipt.items)
        return next((item for item in items if item.sha256 == sha256), None)

    def _arrived(self, topic_name: str, payload: bytes) -> None:
        try:
            message = self._inbox.read(topic_name, payload)
        except ProtocolError as error:
            self._unreadable = str(error)
            return
        if isinstance(message, Receipt):
            self._receipts.append(message)
