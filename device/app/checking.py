"""A commissioning in the running terminal, from its screen: the one of the command line, with parts that the terminal lends."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from device.desk.view import CheckRow, CommissioningView, Problem
from device.errors import DeviceError
from device.ports import Button
from device.runner.lending import Loan, LoanEnded
from device.runner.orders import Borrowed
from protocol.commissioning import Answer, CommissioningCheck, CommissioningReport, Question, sentence

if TYPE_CHECKING:
    # Imported by the thread that tries the parts: a terminal that starts has no need of what measures them.
    from device.app.board import Board
    from device.runner.commissionings import TellProgress
    from device.settings import Settings

logger = logging.getLogger(__name__)

_ANSWER_S: Final = 240.0
"""To fetch the printed target, or somebody who sits down. Shorter than an operator's silence, so that the report is signed before."""


class ThreadedCommissioning:
    """See `device.runner.commissionings.CommissioningRunner`.

    Args:
        settings: of the terminal.
        board: its parts, at work.
        borrow: hands an order to the vision worker; may be called from any thread.
        show_lamp: sets the lamp to what the terminal shows when nobody is served.
    """

    def __init__(
        self, settings: Settings, board: Board, *, borrow: Callable[[Borrowed], None], show_lamp: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._board = board
        self._borrow = borrow
        self._show_lamp = show_lamp
        self._loan: Loan | None = None
        self._people: ScreenPeople | None = None
        self._thread: threading.Thread | None = None

    def run(self, tell: TellProgress) -> bool:
        """Begin, unless one before has not quite ended."""
        if self._thread is not None and self._thread.is_alive():
            return False
        board = self._board
        self._loan = loan = Loan(board.camera, board.ring, board.panel, order=self._borrow)
        self._people = people = ScreenPeople(loan, tell)
        lent = replace(board, camera=loan.camera, ring=loan.ring, panel=loan.panel)
        self._thread = threading.Thread(target=self._work, args=(lent, loan, people), name="commissioning", daemon=True)
        self._thread.start()
        return True

    def press(self, button: Button) -> bool:
        """Take a press of the box's button while parts are lent; False for one that is the terminal's. From any thread."""
        loan = self._loan
        return loan is not None and loan.press(button)

    def answer(self, answer: Answer) -> None:
        """Give an answer."""
        if self._people is not None:
            self._people.answer(answer)

    def end(self) -> None:
        """Take the parts back."""
        if self._loan is not None and self._people is not None:
            self._loan.end()
            # It may be waiting for an answer, which then never comes.
            self._people.answer(None)
            self._show_lamp()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of what runs; return whether it has ended."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def _work(self, board: Board, loan: Loan, people: ScreenPeople) -> None:
        from device.app.commissioning import commission

        before = board.simulated_camera.actor if board.simulated_camera is not None else None
        try:
            report, _ = commission(self._settings, people, board=board)
            logger.info("commissioning done passed=%s report=%s", report.passed, report.report_id)
            people.end(report)
        except LoanEnded:
            logger.info("commissioning left")
        except DeviceError as error:
            logger.error("commissioning failed why=%s", error)  # noqa: TRY400 - the message says all, a trace nothing
            people.fail()
        except Exception:
            # The top of the thread: whatever it is, the screen must not stay at "running".
            logger.exception("commissioning failed")
            people.fail()
        finally:
            loan.end()
            if board.simulated_camera is not None and before is not None:
                board.simulated_camera.change_actor(before)


class ScreenPeople:
    """See `device.app.trying.People`: those before the screen. One that was left asks nobody any more, it raises `LoanEnded`.

    Args:
        loan: ends where the page is left.
        tell: takes what is to be shown.
        answer_s: how long an answer is waited for.
    """

    def __init__(self, loan: Loan, tell: TellProgress, *, answer_s: float = _ANSWER_S) -> None:
        self._loan = loan
        self._tell = tell
        self._answer_s = answer_s
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._view = CommissioningView("running")

    def answer(self, answer: Answer | None) -> None:
        """Give an answer; None where nobody will. From any thread."""
        self._answers.put(answer)

    def ask(self, question: Question) -> Answer | None:
        """Ask and wait; None where nobody answers in time."""
        self._loan.check()
        while not self._answers.empty():
            self._answers.get()
        self._show(replace(self._view, question=question))
        try:
            answer = self._answers.get(timeout=self._answer_s)
        except queue.Empty:
            answer = None
        self._show(replace(self._view, question=None))
        return answer

    def tell(self, question: Question) -> None:
        """Say what to do."""
        self._show(replace(self._view, question=question))

    def show(self, check: CommissioningCheck) -> None:
        """Show a part that was tried."""
        is_open = check.status == "failed" or (check.status == "skipped" and check.is_required)
        row = CheckRow(check.part, check.status, is_open, sentence(check, "zh"), sentence(check, "en"))
        self._show(replace(self._view, question=None, rows=(*self._view.rows, row)))

    def end(self, report: CommissioningReport) -> None:
        """Say what came of it."""
        self._show(
            replace(self._view, state="done", question=None, has_passed=report.passed, is_simulated=report.is_simulated)
        )

    def fail(self) -> None:
        """Say that it could not be brought to its end."""
        self._view = replace(self._view, state="failed", question=None)
        self._tell(self._view, Problem.CHECK_FAILED)

    def _show(self, view: CommissioningView) -> None:
        self._loan.check()
        self._view = view
        self._tell(view, None)
