"""The control socket of a simulated terminal: what hands, cards and people do to a real one.

A Unix socket; each line is one JSON object, answered by one line. Orders:

- `{"do": "present_claim", "number": "...", "path": "standard", "witness": "..."}` (path and witness may be left out) waits until the
  terminal is free, presents the number and answers when the session's record is stored: `{"ok": true, "outcome": "...", "reasons":
  [...], "session_id": "...", "record_id": "...", "counter": n, "sha256": "...", "certified_until": "YYYY-MM-DD" or null}`. A claim
  that began no session or was not stored: `{"ok": false, "error": "unreadable" | "busy" | "not_ready" | "not_stored" | "fault"}`.
- `{"do": "set_actor", "actor": "PATH"}` puts somebody else before the camera (clip, folder or clip description).
- `{"do": "press", "button": "start" | "repeat" | "cancel"}` presses a button; `hold` keeps it down until `release`.
- `{"do": "board", "verb": "step_in_front" | "leave" | "loosen_sensor" | "cut_power" | "restore_power"}` does that in front of the board
  or to it.
- `{"do": "camera", "verb": "unplug" | "plug_in" | "cover_lens" | "uncover_lens"}` does that to the camera.
- `{"do": "read", "text": "..."}` holds a card or code before a reader.
- `{"do": "touch", "kind": "...", "value": "..."}` touches the screen (`device.desk.view.TouchKind`), whether there is one or not.
- `{"do": "status"}` answers `{"ok": true, "state": "...", "lamp": "...", "outbox": {...}, "policy_version": ..., "roster_version": n,
  "view": {...}}`, where `view` is what a screen shows (`device.desk.view.View`).

Anything else, and any order that fails, answers `{"ok": false, "error": "..."}`.
"""

from __future__ import annotations

import json
import logging
import queue
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from device.desk.view import Touch, TouchKind
from device.errors import DeviceError
from device.ports import Button, Errand, OnClaim
from device.simulated.actor import Actor, open_actor
from device.simulated.camera import SimulatedCamera
from device.simulated.panel import SimulatedPanel
from protocol.ids import Witness
from protocol.policy import PathName

logger = logging.getLogger(__name__)

_FREE_TIMEOUT_S = 60.0
"""Longest wait for the session before to end: its result stays for the policy's time, at most a minute."""
_ANSWER_TIMEOUT_S = 600.0
"""Longest wait for an outcome: a session with every timer of a policy used up is shorter."""
_POLL_S = 0.02
_LONGEST_LINE = 65536


class _Order(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PresentClaim(_Order):
    """Present a document number."""

    do: Literal["present_claim"]
    number: str = Field(repr=False)
    path: PathName | None = None
    """The terminal's usual one by default."""
    witness: Witness | None = None


class SetActor(_Order):
    """Change who is before the camera."""

    do: Literal["set_actor"]
    actor: Path


class Press(_Order):
    """Press a button, keep it down or let it go."""

    do: Literal["press", "hold", "release"]
    button: Button


class ReadCode(_Order):
    """Hold a card or code before a reader."""

    do: Literal["read"]
    text: str = Field(repr=False)


class TouchScreen(_Order):
    """Touch something on the screen."""

    do: Literal["touch"]
    kind: TouchKind
    value: str = Field(default="", repr=False)


class HandleBoard(_Order):
    """Do something in front of the board or to it."""

    do: Literal["board"]
    verb: Literal["step_in_front", "leave", "loosen_sensor", "cut_power", "restore_power"]


class HandleCamera(_Order):
    """Do something to the camera."""

    do: Literal["camera"]
    verb: Literal["unplug", "plug_in", "cover_lens", "uncover_lens"]


class AskStatus(_Order):
    """Ask how the terminal stands."""

    do: Literal["status"]


_Any = PresentClaim | SetActor | Press | ReadCode | TouchScreen | HandleBoard | HandleCamera | AskStatus
_ORDER: TypeAdapter[_Any] = TypeAdapter(Annotated[_Any, Field(discriminator="do")])


class ControlSocket:
    """A claim source that takes orders on a Unix socket.

    Args:
        path: of the socket; a stale one is replaced.
        camera: the simulated camera.
        panel: the simulated board.
        is_free: whether the terminal would take a claim now.
        ask_status: gives the terminal's status; called from the connection's thread.
        on_touch: takes a touch.
        on_read: takes what a reader read.
        open_somebody: opens an actor.
    """

    def __init__(
        self,
        path: Path,
        *,
        camera: SimulatedCamera,
        panel: SimulatedPanel,
        is_free: Callable[[], bool],
        ask_status: Callable[[], dict[str, Any]],
        on_touch: Callable[[Touch], None] = lambda _: None,
        on_read: Callable[[str], None] = lambda _: None,
        open_somebody: Callable[[Path], Actor] = open_actor,
    ) -> None:
        self._path = path
        self._camera = camera
        self._panel = panel
        self._is_free = is_free
        self._ask_status = ask_status
        self._on_touch = on_touch
        self._on_read = on_read
        self._open_somebody = open_somebody
        self._on_claim: OnClaim | None = None
        self._claiming = threading.Lock()
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._waiting = threading.Event()
        self._server: socketserver.ThreadingUnixStreamServer | None = None

    def start(self, on_claim: OnClaim) -> None:
        """Listen."""
        self._on_claim = on_claim
        self._path.unlink(missing_ok=True)
        control = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while line := self.rfile.readline(_LONGEST_LINE):
                    self.wfile.write(json.dumps(control.answer(line)).encode() + b"\n")

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(str(self._path), Connection)
        self._path.chmod(0o600)
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="control", daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        self._waiting.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            self._path.unlink(missing_ok=True)

    def conclude(self, answer: dict[str, Any]) -> None:
        """Say what became of the claim that was presented."""
        self._answers.put(answer)

    def answer(self, line: bytes) -> dict[str, Any]:
        """Carry out one order and return the answer."""
        try:
            order = _ORDER.validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            return _refusal(f"order: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}")
        try:
            return self._carry_out(order)
        except DeviceError as error:
            return _refusal(str(error))

    def _carry_out(self, order: _Any) -> dict[str, Any]:
        match order:
            case PresentClaim():
                return self._present(order)
            case SetActor():
                self._camera.change_actor(self._open_somebody(order.actor))
            case Press():
                hands = {"press": self._panel.press, "hold": self._panel.hold, "release": self._panel.release}
                hands[order.do](order.button)
            case ReadCode():
                self._on_read(order.text)
            case TouchScreen():
                self._on_touch(Touch(order.kind, order.value))
            case HandleBoard():
                deeds = {
                    "step_in_front": self._panel.step_in_front,
                    "leave": self._panel.leave,
                    "loosen_sensor": self._panel.loosen_sensor,
                    "cut_power": self._panel.cut_power,
                    "restore_power": self._panel.restore_power,
                }
                deeds[order.verb]()
            case HandleCamera():
                verbs = {
                    "unplug": self._camera.unplug,
                    "plug_in": self._camera.plug_in,
                    "cover_lens": self._camera.cover_lens,
                    "uncover_lens": self._camera.uncover_lens,
                }
                verbs[order.verb]()
            case AskStatus():
                return {"ok": True, **self._ask_status()}
        return {"ok": True}

    def _present(self, order: PresentClaim) -> dict[str, Any]:
        with self._claiming:
            waited = 0.0
            while not self._is_free():
                if waited >= _FREE_TIMEOUT_S or self._waiting.wait(_POLL_S):
                    return _refusal("busy")
                waited += _POLL_S
            while not self._answers.empty():
                self._answers.get_nowait()
            if self._on_claim is None:
                return _refusal("not_ready")
            self._on_claim(order.number, Errand(path=order.path, witness=order.witness))
            try:
                return self._answers.get(timeout=_ANSWER_TIMEOUT_S)
            except queue.Empty:
                return _refusal("no_answer")


def _refusal(why: str) -> dict[str, Any]:
    return {"ok": False, "error": why}
