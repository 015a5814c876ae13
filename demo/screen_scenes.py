"""The terminal's screen as a technician meets it: the real server and the real desk, told what their terminal would tell them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from demo.agency.terminal_work import RED, in_order
from device.desk.events import CommissioningMoved, DeskEvent, Service, ServiceMoved, SignedIn, StandingCame, Touched
from device.desk.machine import advance
from device.desk.state import Desk, view_of
from device.desk.tasks import Task
from device.desk.view import CheckRow, CommissioningView, CountsView, Language, StaffWarning, Touch, TouchKind
from device.screen.server import WebScreen
from device.screen.viewfinder import LatestFrame
from protocol.commissioning import CommissioningCheck, Part, Question, sentence
from protocol.staff import Role

_FREE = ServiceMoved(Service.FREE, line="welcome")
_STANDING = StandingCame(CountsView(0, 0), ())
_WAITING = StandingCame(CountsView(1234, 1187), (StaffWarning.OFFLINE,))
_CHECKING = (
    _FREE,
    SignedIn("w-1", "Wang Xiulan", tuple(Role)),
    Touched(Touch(TouchKind.TASK, Task.STATUS)),
    _STANDING,
    Touched(Touch(TouchKind.TASK, Task.COMMISSION)),
)


def _row(found: CommissioningCheck) -> CheckRow:
    is_open = found.status != "passed"
    return CheckRow(found.part, found.status, is_open, sentence(found, "zh"), sentence(found, "en"))


def _moved(
    state: str, *, question: Question | None = None, upto: Part | None = None, red: frozenset[Part] = frozenset()
) -> tuple[DeskEvent, ...]:
    """Return how a check gets as far as that."""
    parts = list(Part)
    done = parts if upto is None else parts[: parts.index(upto)]
    rows = tuple(_row(RED[part] if part in red else in_order(part)) for part in done)
    view = CommissioningView(state, question, rows, has_passed=state == "done" and not red)  # type: ignore[arg-type]
    return (*_CHECKING, Touched(Touch(TouchKind.CONFIRM)), CommissioningMoved(view, None))


SCENES: Mapping[str, tuple[DeskEvent, ...]] = {
    "start": (_FREE, _STANDING),
    "status": (*_CHECKING[:3], _WAITING),
    "check-begin": _CHECKING,
    "check-target": _moved("running", question=Question.TARGET, upto=Part.FOCUS),
    "check-found": _moved("done", red=frozenset({Part.SEAT})),
    "check-passed": _moved("done"),
}
"""What happened before each picture."""


def desk_of(scene: str, language: Language) -> Desk:
    """Return the desk after all that."""
    desk = Desk(usual=language, language=language)
    for event in SCENES[scene]:
        desk, _ = advance(desk, event)
    return desk


@contextmanager
def shown_screen(scene: str, language: Language) -> Iterator[str]:
    """Serve the screen of a terminal that stands so; give its address."""
    screen = WebScreen(0, LatestFrame())
    screen.start(lambda _: None)
    try:
        screen.show(view_of(desk_of(scene, language)))
        yield f"http://127.0.0.1:{screen.port}/"
    finally:
        screen.stop()
