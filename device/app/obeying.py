"""Carries out what the fleet asks of this terminal, between sessions."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Literal

from device.errors import RestartAsked
from device.ports import Clock, CommandStore, Signer
from protocol.commands import RESULT_TYP, CommandKind, CommandResult, TerminalCommand
from protocol.selftest import SelftestReport
from protocol.times import best_guess

logger = logging.getLogger(__name__)

_LOOK_NS = 2_000_000_000


_IDENTIFY_NS = 60_000_000_000
_BLINK_NS = 500_000_000
"""Half a period: once a second, which nobody's eyes or brain mind (WCAG 2.3.1 allows three flashes a second)."""


class Obeying:
    """Looks for commands and answers each once.

    Args:
        store: where the uplink puts them.
        signer: signs the answers.
        clock: of the terminal.
        diagnose: the self test; runs in a thread of its own.
        log: the newest lines of the log.
        show_beacon: makes the terminal visible: True and False in turn while it blinks, None at the end.
        decommission: has the terminal erased because of this signed command; returns False if something would be lost.
    """

    def __init__(
        self,
        store: CommandStore,
        signer: Signer,
        clock: Clock,
        *,
        diagnose: Callable[[], SelftestReport],
        log: Callable[[], tuple[str, ...]],
        show_beacon: Callable[[bool | None], None],
        decommission: Callable[[bytes], bool],
    ) -> None:
        self._store = store
        self._signer = signer
        self._clock = clock
        self._diagnose = diagnose
        self._log = log
        self._show_beacon = show_beacon
        self._decommission = decommission
        self._beacon_until_ns: int | None = None
        self._blinked_ns = 0
        self._is_lit = False
        self._looked_ns: int | None = None
        self._testing: TerminalCommand | None = None
        self._tested: queue.SimpleQueue[SelftestReport | None] = queue.SimpleQueue()

    def look(self, *, is_free: bool) -> None:
        """Carry out what has come, one command at a time.

        Args:
            is_free: whether nobody is being served.

        Raises:
            RestartAsked: after the answer is on the disk; for a terminal that is to be erased as well, which serves nobody from then on.
            CommandsUnavailable: if the store cannot be used now.
        """
        now_ns = self._clock.monotonic_ns()
        self._blink(now_ns, is_free=is_free)
        if self._testing is not None:
            self._end_test(self._testing)
            return
        if not is_free or (self._looked_ns is not None and now_ns - self._looked_ns < _LOOK_NS):
            return
        self._looked_ns = now_ns
        command = self._store.next()
        if command is not None:
            self._carry_out(command)

    def _blink(self, now_ns: int, *, is_free: bool) -> None:
        """Go on blinking until the time is over or somebody comes, who needs the lamp."""
        if self._beacon_until_ns is None:
            return
        if not is_free or now_ns >= self._beacon_until_ns:
            self._beacon_until_ns = None
            self._show_beacon(None)
        elif now_ns - self._blinked_ns >= _BLINK_NS:
            self._blinked_ns, self._is_lit = now_ns, not self._is_lit
            self._show_beacon(self._is_lit)

    def _carry_out(self, command: TerminalCommand) -> None:
        logger.info("fleet asks kind=%s number=%d", command.kind, command.number)
        if command.expires_at <= best_guess(self._clock.now()):
            self._answer(command, "expired")
        elif not self._store.begin(command.number):
            logger.info("taken back number=%d", command.number)
        elif command.kind is CommandKind.RESTART:
            self._answer(command, "done")
            raise RestartAsked("terminal: the fleet asks for a restart")
        elif command.kind is CommandKind.IDENTIFY:
            self._beacon_until_ns = self._clock.monotonic_ns() + _IDENTIFY_NS
            self._answer(command, "done")
        elif command.kind is CommandKind.LOG_BUNDLE:
            self._answer(command, "done", log=self._log())
        elif command.kind is CommandKind.DECOMMISSION:
            # The proof that it is done comes by another way, when there is nobody left here to answer.
            token = self._store.token(command.number)
            if token is None or not self._decommission(token):
                self._answer(command, "failed")
                return
            self._answer(command, "done")
            # Whoever erases it must not meet anybody who is being served.
            raise RestartAsked("terminal: the fleet asks for its end")
        else:
            self._testing = command
            threading.Thread(target=self._test, name="diagnose", daemon=True).start()

    def _test(self) -> None:
        try:
            self._tested.put(self._diagnose())
        except Exception:
            # Top of a thread: the fleet is told that the test itself failed.
            logger.exception("self test failed")
            self._tested.put(None)

    def _end_test(self, command: TerminalCommand) -> None:
        try:
            report = self._tested.get_nowait()
        except queue.Empty:
            return
        self._testing = None
        self._answer(command, "failed" if report is None else "done", report=report)

    def _answer(
        self,
        command: TerminalCommand,
        verdict: Literal["done", "failed", "expired"],
        *,
        report: SelftestReport | None = None,
        log: tuple[str, ...] | None = None,
    ) -> None:
        result = CommandResult(
            fleet_id=command.fleet_id,
            terminal_id=command.terminal_id,
            command_id=command.command_id,
            verdict=verdict,
            finished_at=best_guess(self._clock.now()),
            report=report,
            log=log,
        )
        self._store.answer(command.number, self._signer.sign(result.to_bytes(), RESULT_TYP))
