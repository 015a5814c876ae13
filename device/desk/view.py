"""What the screen shows at one moment, as plain values: ids of texts and never texts, except names a signed-in operator may see.

The page asks for the newest view and draws it; it decides nothing. Everything it can send back is a `Touch`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Literal

from device.desk.tasks import InputKind, Step, Task
from protocol.commissioning import Part, Question

Language = Literal["zh", "en"]


class Screen(StrEnum):
    """The pages of the screen."""

    STARTING = "starting"
    IDLE = "idle"
    """Welcome; a card can be presented, a number typed, the language changed."""
    NUMBER = "number"
    """A document number is typed, its kind chosen where the number does not say it."""
    SESSION = "session"
    RESULT = "result"
    SIGN_IN = "sign_in"
    MENU = "menu"
    """An operator's tasks."""
    STEP = "step"
    """One question of a task."""
    WORKING = "working"
    """Something is looked up or stored; a moment."""
    SLIP = "slip"
    """A slip was held before a reader: what it says, and whether it is genuine."""
    DONE = "done"
    """A task without a session is done."""
    STATUS = "status"
    MY_STATUS = "my_status"
    """How somebody stands who asked; nobody's name."""
    COMMISSIONING = "commissioning"
    """The terminal is tried by a member of staff, part by part, and serves nobody meanwhile."""
    OUT_OF_ORDER = "out_of_order"


class Problem(StrEnum):
    """What did not work, as the screen says it; a session's own lines (`device.session.commands.Line`) are problems, too."""

    PIN_WRONG = "pin_wrong"
    CODE_UNKNOWN = "code_unknown"
    OPERATOR_EXPIRED = "operator_expired"
    STAFF_LIST_MISSING = "staff_list_missing"
    SIGN_IN_LOCKED = "sign_in_locked"
    PERSON_UNKNOWN = "person_unknown"
    ROSTER_MISSING = "roster_missing"
    WITNESS_UNKNOWN = "witness_unknown"
    WITNESS_IS_WORKER = "witness_is_worker"
    DATE_UNREADABLE = "date_unreadable"
    DATE_IN_FUTURE = "date_in_future"
    CAMERA_LOST = "camera_lost"
    CASE_NOT_STORED = "case_not_stored"
    FLEET_KEY_MISSING = "fleet_key_missing"
    """The fleet's identity on this terminal is older than its key for sealed messages."""
    STICK_ABSENT = "stick_absent"
    STICK_REMOVED = "stick_removed"
    STICK_FULL = "stick_full"
    STICK_READ_ONLY = "stick_read_only"
    STICK_FOREIGN = "stick_foreign"
    STICK_FAILED = "stick_failed"
    STICK_PART_REFUSED = "stick_part_refused"
    """It is done; part of what is on the stick is not genuine, not for this terminal or not whole."""
    DECOMMISSIONED = "decommissioned"
    """The terminal has been erased; it serves nobody any more."""
    STICK_ROSTER_REFUSED = "stick_roster_refused"
    """It is done; a roster on the stick has expired or does not fit the one here."""
    BEING_CHECKED = "being_checked"
    """Somebody presented something while the terminal is being tried."""
    CHECK_NOT_NOW = "check_not_now"
    """The terminal is starting, serves somebody, or the last check has not quite ended."""
    CHECK_FAILED = "check_failed"
    """The check itself could not be done or its report not be kept; what came before is told."""


class StaffWarning(StrEnum):
    """What staff should know, long before it stops anything."""

    OFFLINE = "offline"
    """The fleet has not been heard of for days."""
    RECORDS_WAITING = "records_waiting"
    """Many records wait for the fleet."""
    RECORDS_REFUSED = "records_refused"
    """The fleet does not take some records, or pictures of cases; the counts say which."""
    ROSTER_ENDS = "roster_ends"
    CLOCK_UNSURE = "clock_unsure"
    PRINTER = "printer"
    POWER_FAILING = "power_failing"
    BUTTON_STUCK = "button_stuck"
    """A button of the box stays closed, and does nothing until it is free."""
    SENSOR_FLAPPING = "sensor_flapping"
    """Whether somebody is near is not known: nobody is greeted."""
    ROSTER_REFUSED = "roster_refused"
    """A roster came, by network or stick, and could not be taken; none has been taken since."""


class TouchKind(StrEnum):
    """What can be done on the screen; `value` means what is said beside each."""

    LANGUAGE = "language"
    """`zh` or `en`."""
    SPEED = "speed"
    """`slow` or `normal`."""
    BEGIN = "begin"
    """Wants to type a number."""
    ASK = "ask"
    """Wants to know how they stand."""
    NUMBER = "number"
    """The number, preceded by `kind:` where one was chosen."""
    STAY = "stay"
    """Somebody types: nothing is sent before the end, and whoever is slow is still there."""
    REPEAT = "repeat"
    CANCEL = "cancel"
    """Ends what is going on: a session, a task, the typing."""
    BACK = "back"
    """To the step before."""
    SIGN_IN = "sign_in"
    """Wants to sign in."""
    PIN = "pin"
    """`operator number/PIN`."""
    SIGN_OUT = "sign_out"
    TASK = "task"
    """A `Task`."""
    CHOOSE = "choose"
    """One of the step's options; for a witness, `operator number/PIN` or `none`."""
    SEARCH = "search"
    """Part of a name, for the name list; empty for all."""
    MORE = "more"
    """The next page of the name list."""
    PERSON = "person"
    """The position of a name in the list shown."""
    TAKE = "take"
    """Take the picture."""
    KEEP = "keep"
    """Keep the picture that was taken."""
    DATE = "date"
    """`YYYY-MM-DD`."""
    CONFIRM = "confirm"
    STICK = "stick"
    """One of the sticks shown."""
    ANSWER = "answer"
    """`question/answer`, a `Question` and an `Answer` of `protocol.commissioning`."""


@dataclass(frozen=True, slots=True)
class Touch:
    """Something done on the screen."""

    kind: TouchKind
    value: str = ""

    def __repr__(self) -> str:
        return f"Touch({self.kind})"


@dataclass(frozen=True, slots=True)
class Option:
    """Something to choose: a code, and a name where the code is not one of ours with a text of its own."""

    code: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class NameRow:
    """A row of the name list."""

    position: int
    name: str
    born: int | None
    place: str | None


@dataclass(frozen=True, slots=True)
class PhotoCheckView:
    """A machine check of the picture that was taken."""

    name: str
    passed: bool


@dataclass(frozen=True, slots=True)
class PhotoView:
    """The picture of a photo step; the picture itself is at `/photo.jpg` while it is `taken`."""

    state: Literal["ready", "taking", "taken", "failed"]
    checks: tuple[PhotoCheckView, ...] = ()


@dataclass(frozen=True, slots=True)
class ResultView:
    """The result of a session."""

    outcome: str
    until: date | None
    """The last day the certification holds."""
    slip: str | None = None
    """What the QR code of the slip says."""
    next_from: date | None = None
    """The first day on which another certification counts, where that day is still to come."""
    is_early: bool = False
    """Whether this one came before it could count further: then `until` is the last day for the next one."""


@dataclass(frozen=True, slots=True)
class SlipView:
    """What a slip that somebody brought says."""

    verdict: str
    """A `protocol.slip.SlipVerdict`."""
    outcome: str | None = None
    """Only of a genuine slip."""
    until: date | None = None


@dataclass(frozen=True, slots=True)
class PackView:
    """Why somebody is asked, by one rule pack."""

    title_zh: str
    title_en: str
    state: str
    """A `CertificationState`."""
    due: date
    cycle: str
    """Id of the sentence that says how often it asks."""
    numbers: tuple[tuple[str, int], ...] = ()
    """What stands in the blanks of that sentence."""


@dataclass(frozen=True, slots=True)
class MyStatusView:
    """How somebody stands who asked."""

    state: str
    """A `CertificationState`, or `unknown`."""
    due: date | None
    """Until when they are certified, or by when they are to be; None where that is unknown."""
    next_from: date | None
    """The first day on which a certification counts, where that day is still to come."""
    as_of: date | None
    """Up to which day the terminal knows; None without a roster."""
    packs: tuple[PackView, ...] = ()
    """Each pack's reason, the strictest first."""
    help_line: str = ""


@dataclass(frozen=True, slots=True)
class CountsView:
    """The outbox, as `stored N, confirmed M`; and, apart from it, the pictures of cases that are still here."""

    stored: int
    confirmed: int
    refused: int = 0
    pictures_waiting: int = 0
    pictures_refused: int = 0


@dataclass(frozen=True, slots=True)
class CourierView:
    """How far the stick has come."""

    state: Literal["running", "done", "failed"]
    exported: int = 0
    imported: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A part of the terminal that was tried."""

    part: Part
    status: Literal["passed", "failed", "skipped"]
    is_open: bool
    """Whether the terminal does not pass because of it."""
    zh: str
    """What was found, with what to do."""
    en: str


@dataclass(frozen=True, slots=True)
class CommissioningView:
    """How far a commissioning has come."""

    state: Literal["ready", "running", "done", "failed"]
    question: Question | None = None
    """What the person on the spot is asked, or has to press; None while something is measured."""
    rows: tuple[CheckRow, ...] = ()
    """In the order in which they were tried."""
    parts: int = len(Part)
    """How many rows there will be."""
    has_passed: bool = False
    """Once it is done."""
    is_simulated: bool = False
    """Whether stand-ins were tried, which proves nothing of a terminal."""


@dataclass(frozen=True, slots=True)
class View:
    """Everything the page needs."""

    screen: Screen
    language: Language
    is_slow: bool = False
    lamp: str | None = None
    line: str | None = None
    """Id of the line last said (`device/lines.toml`): the page shows it large."""
    action: str | None = None
    """The action asked for (`turn_left`, `turn_right`, `look_up`, `open_mouth`, `blink`), for the animation; None when none is."""
    has_picture: bool = False
    """Whether the live picture at `/picture.mjpg` is to be shown; in a session with the oval."""
    problem: str | None = None
    """Id of a text about what was just tried and did not work."""
    wait_s: int = 0
    """Seconds until it may be tried again."""
    operator: str | None = None
    """Name of who is signed in."""
    tasks: tuple[Task, ...] = ()
    task: Task | None = None
    step: Step | None = None
    step_number: int = 0
    """1 for a task's first step."""
    steps: int = 0
    kind: InputKind | None = None
    options: tuple[Option, ...] = ()
    names: tuple[NameRow, ...] = ()
    has_more_names: bool = False
    initials: tuple[str, ...] = ()
    """What names on the list begin with, the most frequent first: to be touched where nobody can type them."""
    person: str | None = None
    """Name of the person the task is about, where the name list gave it."""
    photo: PhotoView | None = None
    courier: CourierView | None = None
    commissioning: CommissioningView | None = None
    result: ResultView | None = None
    slip: SlipView | None = None
    is_asking: bool = False
    """Whether the number is typed by somebody who asks how they stand."""
    my_status: MyStatusView | None = None
    counts: CountsView | None = None
    """Shown to an operator and, small, on the idle page."""
    warnings: tuple[StaffWarning, ...] = ()
    """`StaffWarning`s, for whoever is signed in."""
    is_identifying: bool = False
    """Whether the office asks this terminal to show which one it is; said where nobody is being served."""

    def to_json(self) -> dict[str, Any]:
        """Return what the page reads."""
        found: dict[str, Any] = asdict(self, dict_factory=_with_written_dates)
        return found


def _with_written_dates(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in fields}
