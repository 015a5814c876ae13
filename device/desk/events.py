"""What can happen at the desk, as plain values; every one the desk does not wait for in its state changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from device.desk.view import (
    CommissioningView,
    CountsView,
    CourierView,
    MyStatusView,
    NameRow,
    Option,
    PhotoCheckView,
    ResultView,
    SlipView,
    StaffWarning,
    Touch,
)
from device.session.commands import Dated, Line
from protocol.cases import PhotoRole
from protocol.staff import Role


class DeskTimer(StrEnum):
    """Timers the desk can start."""

    QUIET = "quiet"
    """Nobody has touched anything: back to the idle page, and whoever was signed in is signed out."""
    DONE = "done"
    """How long the end of a task without a session stays."""
    WAIT = "wait"
    """A second of a wait that is shown."""


class Service(StrEnum):
    """How the terminal stands, as far as the desk cares."""

    STARTING = "starting"
    FREE = "free"
    BUSY = "busy"
    """A session is under way."""
    REPORTING = "reporting"
    """Its result is shown."""
    OUT_OF_ORDER = "out_of_order"


@dataclass(frozen=True, slots=True)
class Touched:
    """Something was touched on the screen."""

    touch: Touch


@dataclass(frozen=True, slots=True)
class CodeRead:
    """A reader gave a text; its repr shows nothing of it."""

    text: str

    def __repr__(self) -> str:
        return "CodeRead()"


@dataclass(frozen=True, slots=True)
class ServiceMoved:
    """The session went on, or the terminal changed."""

    service: Service
    line: str | None = None
    """The line said with it; None when none was."""
    action: str | None = None
    lamp: str | None = None
    is_seen: bool = False
    """Whether the camera is on."""


@dataclass(frozen=True, slots=True)
class ResultCame:
    """The record of the session is on the disk."""

    result: ResultView


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody may do what their roles say."""

    operator_id: str
    name: str
    roles: tuple[Role, ...]

    def __repr__(self) -> str:
        return f"SignedIn({self.operator_id})"


@dataclass(frozen=True, slots=True)
class SignInRefused:
    """Nobody was signed in."""

    problem: str
    """A `Problem`."""
    wait_s: int = 0
    """How long nobody can sign in."""


@dataclass(frozen=True, slots=True)
class PersonFound:
    """The person a task is about."""

    name: str | None = None
    """As the name list has it; None where only a document was presented."""

    def __repr__(self) -> str:
        return "PersonFound()"


@dataclass(frozen=True, slots=True)
class ProxyFound:
    """Who acts for the person has shown a valid document."""


@dataclass(frozen=True, slots=True)
class WitnessFound:
    """The witness has an id; None: there is no witness."""

    witness: str | None


@dataclass(frozen=True, slots=True)
class AnswerRefused:
    """What was read or typed for a step cannot be used."""

    problem: str


@dataclass(frozen=True, slots=True)
class NamesFound:
    """A page of the name list."""

    rows: tuple[NameRow, ...]
    has_more: bool
    initials: tuple[str, ...] = ()
    """Of the whole list, with its first page."""

    def __repr__(self) -> str:
        return f"NamesFound({len(self.rows)})"


@dataclass(frozen=True, slots=True)
class PhotoTaken:
    """A picture was taken and checked."""

    role: PhotoRole
    checks: tuple[PhotoCheckView, ...]


@dataclass(frozen=True, slots=True)
class PhotoFailed:
    """No picture came."""

    role: PhotoRole
    problem: str


@dataclass(frozen=True, slots=True)
class DateChecked:
    """The date that was typed can be that of a newspaper."""

    found: date


@dataclass(frozen=True, slots=True)
class CaseStored:
    """The case is on the disk."""


@dataclass(frozen=True, slots=True)
class TaskRefused:
    """What the task ends in cannot be had now."""

    problem: str


@dataclass(frozen=True, slots=True)
class CaseNotStored:
    """The case could not be kept; nothing of it is."""

    problem: str


@dataclass(frozen=True, slots=True)
class OptionsFound:
    """What there is to choose from in a step whose options the terminal has to look for: places, sticks."""

    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class CourierMoved:
    """The stick went on."""

    courier: CourierView
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class CommissioningMoved:
    """The commissioning went on, asks something, or has ended."""

    commissioning: CommissioningView
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class SlipChecked:
    """What a slip says."""

    slip: SlipView


@dataclass(frozen=True, slots=True)
class MyStatusFound:
    """How somebody stands who asked, and what is said of it."""

    status: MyStatusView
    line: Line
    dates: tuple[Dated, ...] = ()


@dataclass(frozen=True, slots=True)
class MyStatusRefused:
    """What was presented tells nobody's standing."""

    line: Line


@dataclass(frozen=True, slots=True)
class StandingCame:
    """Counters and warnings for staff."""

    counts: CountsView
    warnings: tuple[StaffWarning, ...]


@dataclass(frozen=True, slots=True)
class DeskTimerExpired:
    """A timer the desk started ran out."""

    timer: DeskTimer


DeskEvent = (
    Touched
    | CodeRead
    | ServiceMoved
    | ResultCame
    | SignedIn
    | SignInRefused
    | PersonFound
    | ProxyFound
    | WitnessFound
    | AnswerRefused
    | NamesFound
    | PhotoTaken
    | PhotoFailed
    | DateChecked
    | CaseStored
    | CaseNotStored
    | TaskRefused
    | OptionsFound
    | CourierMoved
    | CommissioningMoved
    | SlipChecked
    | MyStatusFound
    | MyStatusRefused
    | StandingCame
    | DeskTimerExpired
)
