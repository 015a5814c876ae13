"""What the desk asks of the terminal; the front desk carries it out and brings the result back as an event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from device.desk.events import DeskTimer
from device.desk.view import Language
from device.session.commands import Dated, Line
from protocol.cases import CaseKind, CaseReason, OtherWay, PhotoRole, Relation
from protocol.commissioning import Answer
from protocol.policy import PathName
from protocol.records import Purpose
from protocol.references import LegalBasis
from protocol.visits import VisitReason


@dataclass(frozen=True, slots=True)
class BeginByCode:
    """Begin a certification of whoever the document names, on the usual path."""

    text: str

    def __repr__(self) -> str:
        return "BeginByCode()"


@dataclass(frozen=True, slots=True)
class AskMyStatus:
    """Say how whoever the document names stands."""

    text: str

    def __repr__(self) -> str:
        return "AskMyStatus()"


@dataclass(frozen=True, slots=True)
class Say:
    """Say a line that belongs to no session."""

    line: Line
    dates: tuple[Dated, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckSlip:
    """Say what a slip says, and whether it is genuine."""

    text: str

    def __repr__(self) -> str:
        return "CheckSlip()"


@dataclass(frozen=True, slots=True)
class BeginSession:
    """Begin a session of the person held."""

    operator: str
    may_enrol: bool
    purpose: Purpose
    path: PathName
    witness: str | None
    visit_reason: VisitReason | None
    place: str | None
    """The code of the chosen place; None lets the position receiver say where it is."""
    legal_basis: LegalBasis


@dataclass(frozen=True, slots=True)
class StoreCase:
    """Store a case about the person held, with the pictures held."""

    kind: CaseKind
    operator: str
    reason: CaseReason
    witness: str | None
    place: str | None
    """As in `BeginSession`."""
    other_way: OtherWay | None
    newspaper_date: date | None
    relation: Relation | None
    legal_basis: LegalBasis | None


@dataclass(frozen=True, slots=True)
class SignIn:
    """Sign in with operator number and PIN."""

    operator_id: str
    pin: str

    def __repr__(self) -> str:
        return f"SignIn({self.operator_id!r})"


@dataclass(frozen=True, slots=True)
class SignInByCode:
    """Sign in with an operator code."""

    text: str

    def __repr__(self) -> str:
        return "SignInByCode()"


@dataclass(frozen=True, slots=True)
class SignOut:
    """Nobody is signed in any more."""

    operator_id: str
    was_quiet: bool
    """Whether nobody had touched anything for long."""


@dataclass(frozen=True, slots=True)
class FindPerson:
    """Look up the person, or the proxy, that a document names, and hold them."""

    text: str
    is_proxy: bool = False

    def __repr__(self) -> str:
        return "FindPerson()"


@dataclass(frozen=True, slots=True)
class ChoosePerson:
    """Hold the person at a position of the name list shown."""

    position: int


@dataclass(frozen=True, slots=True)
class Search:
    """Show a page of the name list; `page` counts from 0."""

    part: str
    page: int

    def __repr__(self) -> str:
        return f"Search(page {self.page})"


@dataclass(frozen=True, slots=True)
class FindWitness:
    """Check an operator code, or `operator number/PIN`; the one signed in is no witness of themselves."""

    text: str
    worker: str

    def __repr__(self) -> str:
        return "FindWitness()"


@dataclass(frozen=True, slots=True)
class FindPlaces:
    """Say which places there are to choose from."""


@dataclass(frozen=True, slots=True)
class FindSticks:
    """Say which sticks are plugged in."""


@dataclass(frozen=True, slots=True)
class RunCourier:
    """Receipts and rosters home from a stick, records out to it."""

    stick: str


@dataclass(frozen=True, slots=True)
class StartCommissioning:
    """Try every part of this terminal."""


@dataclass(frozen=True, slots=True)
class AnswerCommissioning:
    """Give the answer to what was asked last."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class EndCommissioning:
    """The commissioning has ended or was left: the terminal has its parts back and serves people."""


@dataclass(frozen=True, slots=True)
class CheckTask:
    """Say at once if what a task ends in cannot be had here now, before anything is asked and anybody photographed."""

    purpose: Purpose | None
    """Of the session it ends in; None for a case."""


@dataclass(frozen=True, slots=True)
class CheckDate:
    """Say whether a date can be that of a newspaper."""

    found: date


@dataclass(frozen=True, slots=True)
class TakePhoto:
    """Take a picture and check it."""

    role: PhotoRole


@dataclass(frozen=True, slots=True)
class KeepPhoto:
    """Hold the picture just taken for the case."""

    role: PhotoRole


@dataclass(frozen=True, slots=True)
class Aim:
    """Show what the camera sees, so that a picture can be taken, or stop showing it."""

    is_on: bool


@dataclass(frozen=True, slots=True)
class Forget:
    """Forget the person, the proxy, the names shown and the pictures."""


@dataclass(frozen=True, slots=True)
class PressButton:
    """The button on the screen is a button like the one on the box."""

    button: Literal["start", "repeat", "cancel"]


@dataclass(frozen=True, slots=True)
class SetVoice:
    """Speak and write in a language, at a speed, from the next line on."""

    language: Language
    is_slow: bool


@dataclass(frozen=True, slots=True)
class AskStanding:
    """Bring counters and warnings."""


@dataclass(frozen=True, slots=True)
class StartDeskTimer:
    """Start or restart a timer."""

    timer: DeskTimer
    seconds: float


@dataclass(frozen=True, slots=True)
class CancelDeskTimer:
    """Stop a timer; one that is not running is no error."""

    timer: DeskTimer


DeskCommand = (
    BeginByCode
    | AskMyStatus
    | Say
    | CheckSlip
    | BeginSession
    | StoreCase
    | SignIn
    | SignInByCode
    | SignOut
    | FindPerson
    | ChoosePerson
    | Search
    | FindWitness
    | FindPlaces
    | FindSticks
    | RunCourier
    | StartCommissioning
    | AnswerCommissioning
    | EndCommissioning
    | CheckTask
    | CheckDate
    | TakePhoto
    | KeepPhoto
    | Aim
    | Forget
    | PressButton
    | SetVoice
    | AskStanding
    | StartDeskTimer
    | CancelDeskTimer
)
