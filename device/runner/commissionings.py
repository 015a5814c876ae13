"""A commissioning from the front desk: begun where nobody is served, and whatever one that was left still says is passed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from device.desk.events import CommissioningMoved
from device.desk.view import CommissioningView, Problem
from device.runner.loop import Runner
from device.session.machine import State
from protocol.commissioning import Answer

TellProgress = Callable[[CommissioningView, str | None], None]
"""Is told how far it has come and, where it failed, the id of a text."""


class CommissioningRunner(Protocol):
    """Tries the parts of this terminal, in a thread of its own."""

    def run(self, tell: TellProgress) -> bool:
        """Begin; `tell` is called from the other thread. Return False while one that was left has not quite ended."""

    def answer(self, answer: Answer) -> None:
        """Give the answer to what was asked last."""

    def end(self) -> None:
        """Have the parts back at once, whether it has come to its end or not; what is still under way ends by itself."""


class Commissionings:
    """Runs commissionings. Used by the loop's thread.

    Args:
        commissioning: does it; None where the terminal cannot.
        runner: of the sessions, of which none begins meanwhile.
        moved: takes what happens, on the loop's thread.
    """

    def __init__(
        self, commissioning: CommissioningRunner | None, runner: Runner, moved: Callable[[CommissioningMoved], None]
    ) -> None:
        self._commissioning = commissioning
        self._runner = runner
        self._moved = moved
        self._number = 0

    def start(self) -> CommissioningMoved | None:
        """Begin; return why not, None where it began."""
        is_free = self._runner.session.state in {State.IDLE, State.FAULTED}
        self._number += 1
        number = self._number

        def tell(view: CommissioningView, problem: str | None) -> None:
            self._runner.call(lambda: self._tell(number, CommissioningMoved(view, problem)))

        if self._commissioning is None or not is_free or not self._commissioning.run(tell):
            return CommissioningMoved(CommissioningView("ready"), Problem.CHECK_NOT_NOW)
        self._runner.is_lent = True
        return None

    def answer(self, answer: Answer) -> None:
        """Give an answer."""
        if self._commissioning is not None:
            self._commissioning.answer(answer)

    def end(self) -> None:
        """Serve people again."""
        self._number += 1
        # One that did not begin has lent nothing.
        if self._commissioning is not None and self._runner.is_lent:
            self._runner.is_lent = False
            self._commissioning.end()

    def _tell(self, number: int, event: CommissioningMoved) -> None:
        if number == self._number:
            self._moved(event)
