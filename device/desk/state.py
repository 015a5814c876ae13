"""What the desk knows, what all its pages share, and what the screen shows of it. The theory stands in `device.desk.machine`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from device.desk.commands import Aim, AskStanding, CancelDeskTimer, DeskCommand, Forget, SetVoice, StartDeskTimer
from device.desk.events import DeskTimer, Service, SignedIn
from device.desk.tasks import STEPS, TASKS, Step, StepRule, Task, tasks_of
from device.desk.view import (
    CommissioningView,
    CountsView,
    CourierView,
    Language,
    MyStatusView,
    NameRow,
    Option,
    PhotoView,
    ResultView,
    Screen,
    SlipView,
    StaffWarning,
    View,
)
from protocol.cases import CaseReason, OtherWay, PhotoRole, Relation
from protocol.policy import PathName
from protocol.references import LegalBasis
from protocol.visits import VisitReason

QUIET_S = 60.0
"""Somebody who types a number and goes away: long enough to look for one's card, short enough that the next finds a free terminal."""
OPERATOR_QUIET_S = 300.0
"""An operator who turns to the person and comes back. Source: NIST SP 800-63B, 4.2.3 asks for 30 minutes at most at its second level;
here the screen stands among the public."""
DONE_S = 10.0
"""Nothing is left on the screen after this."""
MY_STATUS_S = 45.0
"""Two dates are spoken slowly in some 20 s; an old person reads them once more, and touches something to have longer."""
SECOND_S = 1.0
NO_WITNESS = "none"
NO_PLACE = "none"
"""It is none of the list; offered where no receiver could say which."""
BY_RECEIVER = "receiver"
"""The place is the one that the position receiver states."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a task has been told so far; whom it is about is held by the front desk."""

    has_person: bool = False
    person: str | None = None
    path: PathName = PathName.STANDARD
    legal_basis: LegalBasis | None = None
    visit_reason: VisitReason | None = None
    place: str | None = None
    witness: str | None = None
    case_reason: CaseReason | None = None
    other_way: OtherWay | None = None
    relation: Relation | None = None
    newspaper_date: date | None = None

    def __repr__(self) -> str:
        return f"Answers({self.path})"


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything the desk knows; a new one waits for the terminal to start."""

    screen: Screen = Screen.STARTING
    service: Service = Service.STARTING
    usual: Language = "zh"
    """The language of a terminal that nobody has touched."""
    is_usually_slow: bool = False
    language: Language = "zh"
    is_slow: bool = False
    operator: SignedIn | None = None
    task: Task | None = None
    step: int = 0
    answers: Answers = Answers()
    search: str = ""
    page: int = 0
    names: tuple[NameRow, ...] = ()
    has_more_names: bool = False
    initials: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    photo: PhotoView | None = None
    courier: CourierView | None = None
    commissioning: CommissioningView | None = None
    line: str | None = None
    action: str | None = None
    lamp: str | None = None
    is_seen: bool = False
    problem: str | None = None
    wait_s: int = 0
    result: ResultView | None = None
    slip: SlipView | None = None
    is_asking: bool = False
    """Whether the number page is for somebody who asks how they stand."""
    my_status: MyStatusView | None = None
    counts: CountsView | None = None
    warnings: tuple[StaffWarning, ...] = ()

    def __repr__(self) -> str:
        return f"Desk({self.screen}, {self.task}, step {self.step})"


Move = tuple[Desk, tuple[DeskCommand, ...]]


def home(desk: Desk, commands: tuple[DeskCommand, ...] = ()) -> Move:
    """Go to the menu, or to the page that stands when nobody is signed in; forget everything about a person."""
    home = {
        Service.STARTING: Screen.STARTING,
        Service.OUT_OF_ORDER: Screen.OUT_OF_ORDER,
    }.get(desk.service, Screen.IDLE)
    if desk.operator is not None:
        home = Screen.MENU
    cleared = clear(desk, home)
    if desk.operator is None and is_changed(desk):
        # The next person is somebody else.
        cleared = replace(cleared, language=desk.usual, is_slow=desk.is_usually_slow)
        commands += (SetVoice(desk.usual, desk.is_usually_slow),)
    quiet = StartDeskTimer(DeskTimer.QUIET, OPERATOR_QUIET_S) if desk.operator else CancelDeskTimer(DeskTimer.QUIET)
    return cleared, (*commands, Forget(), Aim(is_on=False), CancelDeskTimer(DeskTimer.DONE), quiet, AskStanding())


def clear(desk: Desk, screen: Screen) -> Desk:
    """Return a page on which nothing about a person is left."""
    return Desk(
        screen=screen,
        service=desk.service,
        usual=desk.usual,
        is_usually_slow=desk.is_usually_slow,
        language=desk.language,
        is_slow=desk.is_slow,
        operator=desk.operator,
        line=desk.line if screen in {Screen.IDLE, Screen.OUT_OF_ORDER} else None,
        lamp=desk.lamp,
        is_seen=desk.is_seen,
        counts=desk.counts,
        warnings=desk.warnings,
    )


def is_changed(desk: Desk) -> bool:
    """Say whether somebody chose another language or speed than the usual ones."""
    return (desk.language, desk.is_slow) != (desk.usual, desk.is_usually_slow)


def touched_again(desk: Desk) -> tuple[DeskCommand, ...]:
    """Whoever touches something is there."""
    if desk.operator is not None:
        return (StartDeskTimer(DeskTimer.QUIET, OPERATOR_QUIET_S),)
    if desk.screen is Screen.MY_STATUS:
        return (StartDeskTimer(DeskTimer.DONE, MY_STATUS_S),)
    is_waited_for = desk.screen in {Screen.NUMBER, Screen.SIGN_IN, Screen.WORKING}
    is_waited_for |= desk.screen is Screen.IDLE and is_changed(desk)
    return (StartDeskTimer(DeskTimer.QUIET, QUIET_S),) if is_waited_for else ()


def view_of(desk: Desk) -> View:
    """Return what the screen shows."""
    rule = rule_of(desk)
    is_menu = desk.screen is Screen.MENU
    shows_counts = desk.operator is not None or desk.screen is Screen.IDLE
    return View(
        screen=desk.screen,
        language=desk.language,
        is_slow=desk.is_slow,
        lamp=desk.lamp,
        line=desk.line,
        action=desk.action,
        has_picture=_has_picture(desk),
        problem=desk.problem,
        wait_s=desk.wait_s,
        operator=desk.operator.name if desk.operator else None,
        tasks=tasks_of(desk.operator.roles) if desk.operator and is_menu else (),
        task=desk.task,
        step=step_of(desk),
        step_number=desk.step + 1 if rule else 0,
        steps=len(TASKS[desk.task].steps) if desk.task else 0,
        kind=rule.kind if rule else None,
        options=(tuple(Option(code) for code in rule.options) or desk.options) if rule else (),
        names=desk.names,
        has_more_names=desk.has_more_names,
        initials=desk.initials,
        person=desk.answers.person,
        photo=desk.photo,
        courier=desk.courier,
        commissioning=desk.commissioning,
        result=desk.result if desk.screen is Screen.RESULT else None,
        slip=desk.slip if desk.screen is Screen.SLIP else None,
        is_asking=desk.is_asking,
        my_status=desk.my_status if desk.screen is Screen.MY_STATUS else None,
        counts=desk.counts if shows_counts else None,
        warnings=desk.warnings if desk.operator else (),
    )


def _has_picture(desk: Desk) -> bool:
    if desk.screen is Screen.SESSION:
        return desk.is_seen
    # In a photo step the operator aims with it, until there is a picture to look at.
    return desk.photo is not None and desk.photo.state != "taken"


def waits_for_picture(desk: Desk, role: PhotoRole) -> bool:
    """Say whether a picture of this kind was ordered by the step that is asked."""
    rule = rule_of(desk)
    return rule is not None and rule.role is role and desk.photo is not None and desk.photo.state == "taking"


def step_of(desk: Desk) -> Step | None:
    """Return the step that is asked, None on other pages."""
    if desk.screen is not Screen.STEP or desk.task is None:
        return None
    return TASKS[desk.task].steps[desk.step]


def rule_of(desk: Desk) -> StepRule | None:
    """Return how the step is asked, None on other pages."""
    step = step_of(desk)
    return None if step is None else STEPS[step]
