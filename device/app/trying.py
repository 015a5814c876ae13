"""Trying the parts of a commissioning one after another: none that fails keeps the others from being tried."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from device.commissioning.check import check, error_check
from device.errors import DeviceError
from protocol.commissioning import Answer, CommissioningCheck, Part, Question
from protocol.errors import ProtocolError


class People(Protocol):
    """Those on the spot."""

    def ask(self, question: Question) -> Answer | None:
        """Ask, and wait for the answer; None where nobody gives one."""

    def tell(self, question: Question) -> None:
        """Say what to do, and do not wait."""

    def show(self, check: CommissioningCheck) -> None:
        """Show a part that was tried."""


class NotTried(Exception):
    """A part that needs another one, which is not in order."""

    def __init__(self, needed: Part) -> None:
        super().__init__(needed)
        self.needed = needed


class Trying:
    """Collects what came of each part.

    Args:
        people: who are asked and shown everything.
        do: does by hand what is asked for, where the board is simulated.
    """

    def __init__(self, people: People, do: Callable[[Question], None]) -> None:
        self.people = people
        self._do = do
        self.checks: list[CommissioningCheck] = []
        """In the order in which they were tried."""

    def attempt(self, part: Part, tried: Callable[[], CommissioningCheck]) -> None:
        """Try a part; an error of ours, or of the system, is what came of it."""
        begin = time.perf_counter()
        try:
            found = tried()
        except NotTried as why:
            found = check(part, "skipped", "needs", {"part": why.needed.value})
        except (DeviceError, ProtocolError, OSError, ValueError) as error:
            found = error_check(part, error)
        self.note(found.model_copy(update={"seconds": round(time.perf_counter() - begin, 2)}))

    def note(self, found: CommissioningCheck) -> None:
        """Take what came of a part."""
        self.checks.append(found)
        self.people.show(found)

    def fail(self, error: Exception, *parts: Part) -> None:
        """Note for each of these parts what kept all of them from being tried."""
        for part in parts:
            self.note(error_check(part, error))

    def lack(self, needed: Part, *parts: Part) -> None:
        """Note for each of these parts that it needs another one."""
        for part in parts:
            self.note(check(part, "skipped", "needs", {"part": needed.value}))

    def ask(self, question: Question) -> Answer | None:
        """Ask; what somebody agrees to do is done once this returns."""
        answer = self.people.ask(question)
        if answer == "yes":
            self._do(question)
        return answer

    def tell(self, question: Question) -> None:
        """Say what to do."""
        self.people.tell(question)
        self._do(question)
