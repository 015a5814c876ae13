"""The page on which a terminal is commissioned: what its touches mean, and what the person on the spot is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from device.desk.commands import AnswerCommissioning, DeskCommand, Say, StartCommissioning, StartDeskTimer
from device.desk.events import CommissioningMoved, DeskTimer, Service
from device.desk.state import OPERATOR_QUIET_S, Desk, Move
from device.desk.view import CommissioningView, Problem, Screen, Touch
from device.session.commands import Line
from protocol.commissioning import Answer, Question

_ANSWERS: Final[dict[str, Answer]] = {"yes": "yes", "no": "no", "skip": "skip"}
_PRESSES: Final = frozenset({Question.PRESS_START, Question.PRESS_REPEAT, Question.PRESS_CANCEL})
"""To these nobody answers but the button."""


def is_running(desk: Desk) -> bool:
    """Say whether the terminal is being tried."""
    return desk.commissioning is not None and desk.commissioning.state == "running"


def open_page(desk: Desk) -> Move:
    """Say what is needed; nothing is tried before somebody says so."""
    return replace(desk, screen=Screen.COMMISSIONING, commissioning=CommissioningView("ready")), ()


def start(desk: Desk, _: Touch) -> Move:
    """Begin, or begin anew after one that has ended."""
    if is_running(desk):
        return desk, ()
    if desk.service not in {Service.FREE, Service.OUT_OF_ORDER}:
        return replace(desk, problem=Problem.CHECK_NOT_NOW), ()
    return replace(desk, commissioning=CommissioningView("running")), (StartCommissioning(),)


def answer(desk: Desk, touch: Touch) -> Move:
    """Take an answer to the question that is asked now; one to the question before comes from a page that is a moment behind."""
    asked = desk.commissioning.question if desk.commissioning is not None else None
    question, _, given = touch.value.partition("/")
    found = _ANSWERS.get(given)
    if asked is None or asked in _PRESSES or question != asked or found is None or desk.commissioning is None:
        return desk, ()
    after = replace(desk, commissioning=replace(desk.commissioning, question=None))
    # The only question to which there is something to say: whoever sits there looks at the lens and not at the screen.
    says = (Say(Line.LOOK_HERE),) if asked is Question.SEAT and found == "yes" else ()
    return after, (AnswerCommissioning(found), *says)


def moved(desk: Desk, event: CommissioningMoved) -> Move:
    """Show how far it has come; what was left is over."""
    if not is_running(desk):
        return desk, ()
    # Measuring takes its time without a touch; a question that nobody answers ends the page like any other.
    still_there: tuple[DeskCommand, ...] = (StartDeskTimer(DeskTimer.QUIET, OPERATOR_QUIET_S),)
    return replace(desk, commissioning=event.commissioning, problem=event.problem), still_there


def turn_away(desk: Desk) -> Move:
    """Tell whoever comes that the terminal is being tried."""
    if not is_running(desk):
        return desk, ()
    return replace(desk, problem=Problem.BEING_CHECKED), (Say(Line.NOT_READY),)
