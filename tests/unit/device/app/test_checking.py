"""Those before the screen who are asked, and a commissioning that cannot be brought to its end."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from device.adapters.clock_system import SystemClock
from device.app.board import make_board
from device.app.checking import ScreenPeople, ThreadedCommissioning
from device.commissioning.check import check
from device.desk.view import CommissioningView, Problem
from device.ports import Button
from device.runner.lending import Loan, LoanEnded
from device.settings import Settings, load_settings
from protocol.commissioning import Answer, Part, Question


class Told:
    """What the screen was told."""

    def __init__(self) -> None:
        self.all: queue.SimpleQueue[tuple[CommissioningView, str | None]] = queue.SimpleQueue()

    def __call__(self, view: CommissioningView, problem: str | None) -> None:
        self.all.put((view, problem))

    def next(self) -> CommissioningView:
        return self.all.get(timeout=30)[0]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a terminal whose key is gone."""
    (tmp_path / "terminal.toml").write_text(
        """
[terminal]
fleet_id = "north"
terminal_id = "t-1"
data_dir = "data"
[keys]
signing = "signing.pem"
sealing = "sealing.pem"
fleet = "fleet.json"
[camera]
kind = "simulated"
[panel]
kind = "simulated"
[voice]
kind = "none"
"""
    )
    return load_settings(tmp_path / "terminal.toml")


@pytest.fixture
def loan(settings: Settings) -> Loan:
    board = make_board(settings, SystemClock(settings.clock_path))
    return Loan(board.camera, board.ring, board.panel, order=lambda order: order.work())


def test_an_answer_is_waited_for_and_one_from_before_the_question_is_none(loan: Loan) -> None:
    told, answers = Told(), []
    people = ScreenPeople(loan, told)
    people.answer("no")
    thread = threading.Thread(target=lambda: answers.append(people.ask(Question.HEARD)))
    thread.start()
    assert told.next().question is Question.HEARD
    people.answer("yes")
    thread.join(30)
    assert answers == ["yes"]
    assert told.next().question is None


def test_a_question_that_nobody_answers_is_over_in_its_time(loan: Loan) -> None:
    told = Told()
    assert ScreenPeople(loan, told, answer_s=0.0).ask(Question.LAMP) is None
    assert [told.next().question, told.next().question] == [Question.LAMP, None]


@pytest.mark.parametrize("late", [None, "yes"])
def test_who_leaves_while_something_is_asked_is_asked_no_more(loan: Loan, late: Answer | None) -> None:
    told, ended = Told(), queue.SimpleQueue[bool]()
    people = ScreenPeople(loan, told)

    def ask() -> None:
        try:
            people.ask(Question.TARGET)
        except LoanEnded:
            ended.put(item=True)

    threading.Thread(target=ask, daemon=True).start()
    assert told.next().question is Question.TARGET
    loan.end()
    people.answer(late)
    assert ended.get(timeout=30)
    with pytest.raises(LoanEnded):
        people.show(check(Part.FOCUS, "passed", "sharp", {"sharpness": 0.2, "least": 0.12}))
    assert told.all.empty()


def test_results_are_shown_as_they_come_with_what_keeps_the_terminal_from_passing(loan: Loan) -> None:
    told = Told()
    people = ScreenPeople(loan, told)
    people.show(check(Part.POWER, "passed", "good"))
    people.show(check(Part.CAMERA, "failed", "no_frames", is_required=False))
    people.show(check(Part.FOCUS, "skipped", "nobody_answered"))
    people.show(check(Part.RING_LEFT, "skipped", "none", is_required=False))
    *_, last = (told.next() for _ in range(4))
    assert [(row.part, row.is_open) for row in last.rows] == [
        (Part.POWER, False),
        (Part.CAMERA, True),
        (Part.FOCUS, True),
        (Part.RING_LEFT, False),
    ]
    assert last.rows[1].zh.startswith("没有画面")
    assert last.rows[1].en.startswith("No frames.")


def test_one_that_cannot_be_signed_is_told_and_the_terminal_has_everything_back(settings: Settings) -> None:
    told, lamps = Told(), []
    board = make_board(settings, SystemClock(settings.clock_path))
    assert board.simulated_camera is not None
    before = board.simulated_camera.actor
    commissioning = ThreadedCommissioning(
        settings, board, borrow=lambda order: order.work(), show_lamp=lambda: lamps.append("usual")
    )
    assert not commissioning.press(Button.START)
    assert commissioning.run(told)
    assert told.all.get(timeout=30) == (CommissioningView("failed"), Problem.CHECK_FAILED)
    assert commissioning.wait(30)
    # As the desk does, which was told.
    commissioning.end()
    assert lamps == ["usual"]
    assert not commissioning.press(Button.START)
    assert board.simulated_camera.actor is before
    assert commissioning.run(told), "the next one may begin"
    assert commissioning.wait(30)
