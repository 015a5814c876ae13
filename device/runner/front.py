"""The front desk: feeds the desk with touches, codes and what the session does, and carries out what it asks for.

It belongs to the loop's thread. Screen, readers and stick work in threads of their own and come in through `Runner.call`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from device.desk import commands as asked
from device.desk.events import (
    AnswerRefused,
    CaseNotStored,
    CaseStored,
    CodeRead,
    CourierMoved,
    DateChecked,
    DeskEvent,
    DeskTimer,
    DeskTimerExpired,
    OptionsFound,
    PhotoFailed,
    PhotoTaken,
    ResultCame,
    Service,
    ServiceMoved,
    SignedIn,
    SlipChecked,
    StandingCame,
    TaskRefused,
    Touched,
    WitnessFound,
)
from device.desk.machine import advance
from device.desk.state import Desk, view_of, waits_for_picture
from device.desk.view import (
    CountsView,
    CourierView,
    Language,
    Option,
    PhotoCheckView,
    Problem,
    ResultView,
    Screen,
    SlipView,
    StaffWarning,
    Touch,
    View,
)
from device.errors import DeviceError
from device.ports import BoardNotice, Button, DeskScreen, Errand, Positioner, StaffStore
from device.runner.asking import answer
from device.runner.board import BoardNews, BoardWatch
from device.runner.casework import CaseNotKept, Casework
from device.runner.directory import Directory
from device.runner.events import EventLog
from device.runner.loop import Notice, Ports, Runner, Stored
from device.runner.orders import Aim, ForgetStills, PictureNotTaken, PictureTaken, TakeStill
from device.runner.page import PageWatch
from device.runner.records import Identity
from device.runner.sign_in import Refused, SignInGuard
from device.runner.speech import Speech
from device.runner.troubles import Troubles
from device.session.acquiring import CLAIM_LINES
from device.session.commands import Command, Line, Prompt, SetLamp
from device.session.events import ClaimProblem, ClaimRefused, FaultRaised
from device.session.machine import SEEING, Session, State
from protocol.cases import PhotoRole
from protocol.challenge import Action
from protocol.errors import ProtocolError
from protocol.events import EventKind
from protocol.policy import PathName
from protocol.records import Purpose
from protocol.visits import Visit

logger = logging.getLogger(__name__)

_LEFT_NS = 3_000_000_000
"""A document left on a reader in presentation mode is read again and again: what was read in a session and is read again within so
long has been lying there, and begins no second session. An assumption: no reader's data sheet says how soon it reads again; whoever
takes a card away and holds it there once more, after the result, needs longer."""
_MIND_NS = 1_000_000_000
"""The uplink confirms records in a process of its own; a second is soon enough for a person who looks at the counter."""
_ACTIONS = frozenset(Action)
_SERVICE = {
    State.IDLE: Service.FREE,
    State.REPORTING: Service.REPORTING,
    State.FAULTED: Service.OUT_OF_ORDER,
}


class StickRunner(Protocol):
    """Carries records out and receipts home on a stick, in a thread of its own."""

    def sticks(self) -> tuple[Option, ...]:
        """Return the sticks that are plugged in."""

    def run(self, stick: str, tell: Callable[[CourierView, str | None], None]) -> None:
        """Begin; `tell` is called from the other thread with how far it came and, where it failed, the id of a text."""


@dataclass(frozen=True, slots=True)
class FrontParts:
    """What the front desk needs beside the ports of the session."""

    screen: DeskScreen | None
    staff: StaffStore
    casework: Casework
    events: EventLog
    today: Callable[[], date]
    set_voice: Callable[[Language, bool], None] = lambda _language, _is_slow: None
    slip_of: Callable[[Stored], str | None] = lambda _: None
    """Makes what the code of a slip says; None where none can be made."""
    check_slip: Callable[[str], SlipView] = lambda _: SlipView("not_a_slip")
    standing: Callable[[], tuple[CountsView, tuple[StaffWarning, ...]]] = lambda: (CountsView(0, 0), ())
    stick: StickRunner | None = None
    positioner: Positioner | None = None


class FrontDesk:
    """Owns the desk. Every public method but `touch` and `read` belongs to the loop's thread.

    Args:
        runner: of the sessions; the front desk watches it.
        ports: of the sessions.
        identity: of the terminal.
        parts: everything else.
        language: of a terminal that nobody has touched.
        is_slow: whether it speaks slowly then.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        ports: Ports,
        identity: Identity,
        parts: FrontParts,
        language: Language = "zh",
        is_slow: bool = False,
    ) -> None:
        self._runner = runner
        self._ports = ports
        self._identity = identity
        self._parts = parts
        self._speech = Speech(ports.prompter, ports.clock)
        self._page = PageWatch(parts.screen, clock=ports.clock, events=parts.events, speech=self._speech)
        self._board = BoardWatch(runner, parts.events)
        self._troubles = Troubles(runner, ports, parts.events)
        self._guard = SignInGuard(parts.staff, ports.clock, today=parts.today)
        self._timers: dict[DeskTimer, int] = {}
        self._directory = Directory(
            ports.references,
            parts.staff,
            parts.casework,
            features_sha256=identity.features_sha256,
            today=parts.today,
            positioner=parts.positioner,
        )
        self._moved = ServiceMoved(Service.STARTING)
        self._shown: View | None = None
        self._claimed: int | None = None
        """Python's hash of the text that named the person served last: enough to know it again, and no document number is kept."""
        self._left_ns: int | None = None
        """When that text was last read without being wanted."""
        self._still = 0
        """Number of the picture that is waited for; with another one nobody knows any more whom it shows."""
        self._minded_ns = ports.clock.monotonic_ns()
        runner.watch(self)
        self.desk = Desk(usual=language, is_usually_slow=is_slow, language=language, is_slow=is_slow)

    def touch(self, touch: Touch) -> None:
        """Something was touched; may be called from any thread."""
        self._runner.call(lambda: self.feed(Touched(touch)))

    def read(self, text: str) -> None:
        """A reader gave a text; may be called from any thread."""
        self._runner.call(lambda: self._read(text.strip()))

    def _read(self, text: str) -> None:
        now = self._ports.clock.monotonic_ns()
        self._troubles.read(text, now)
        is_served = self.desk.screen in {Screen.SESSION, Screen.RESULT, Screen.MY_STATUS}
        is_left = self._left_ns is not None and now - self._left_ns < _LEFT_NS
        if hash(text) == self._claimed and (is_served or is_left):
            self._left_ns = now
            return
        self.feed(CodeRead(text))

    def _claim(self, text: str) -> None:
        """Remember which text names the person to be served, as long as it may lie on the reader."""
        self._claimed, self._left_ns = hash(text), None

    def on_step(self, session: Session, commands: tuple[Command, ...]) -> None:
        """Follow the session."""
        service = _SERVICE.get(session.state, Service.BUSY)
        if session.state is State.IDLE:
            self._troubles.back()
        if not self._runner.has_started:
            service = Service.STARTING
        said = [command.line for command in commands if isinstance(command, Prompt)]
        lamps = [command.lamp for command in commands if isinstance(command, SetLamp)]
        line = said[-1].value if said else None
        if line is not None:
            self._speech.begun(line)
        action = self._moved.action if line is None else (line if line in _ACTIONS else None)
        moved = ServiceMoved(
            service,
            line=line,
            action=action if session.state is State.CHALLENGING else None,
            lamp=lamps[-1].value if lamps else self._moved.lamp,
            is_seen=session.state in SEEING,
        )
        # A session steps with every frame, the desk only when something is to be seen.
        if line is not None or moved != ServiceMoved(
            self._moved.service, None, self._moved.action, self._moved.lamp, self._moved.is_seen
        ):
            self._moved = moved
            self.feed(moved)

    def begin(self) -> None:
        """Note that the terminal has started."""
        self._parts.events.note(EventKind.STARTED, software=self._identity.software)

    def note_board(self, notice: BoardNotice) -> None:
        """The board noticed something; may be called from any thread."""
        self._runner.call(lambda: self._noticed(notice))

    def note_missing_line(self, pack: str, line: str) -> None:
        """A voice pack lacks a line, or the whole pack cannot be used (`*`)."""
        self._parts.events.note(EventKind.VOICE_LINE_MISSING, pack=_code(pack), line=_code(line))

    def on_notice(self, notice: Notice) -> None:
        """Show the result of a session whose record is on the disk, and note what went wrong."""
        match notice:
            case Stored():
                self._show_result(notice)
                self._troubles.clock(notice.record.decided)
                self._troubles.standing()
                self._mind_standing()
            case FaultRaised(_, fault):
                self._troubles.lost(fault)
            case ClaimRefused(_, ClaimProblem.ROSTER_EXPIRED):
                self._troubles.roster()
            case ClaimRefused(_, ClaimProblem.OFFLINE_LIMIT):
                self._troubles.standing()
            case _:
                pass

    def _show_result(self, stored: Stored) -> None:
        decision = stored.record.decision
        slip = None
        try:
            slip = self._parts.slip_of(stored)
        except (DeviceError, ProtocolError) as error:
            logger.warning("no slip why=%s", error)
        self.feed(
            ResultCame(
                ResultView(
                    decision.outcome.value,
                    decision.certified_until,
                    slip,
                    next_from=stored.next_from,
                    is_early=stored.is_early,
                )
            )
        )

    def on_picture(self, news: PictureTaken | PictureNotTaken) -> None:
        """Show a picture that was taken, if it is still wanted."""
        if isinstance(news, PictureNotTaken):
            if news.number == self._still:
                self.feed(PhotoFailed(news.role, Problem.CAMERA_LOST))
            return
        # Whoever it was taken for may have gone meanwhile.
        if news.number != self._still or not waits_for_picture(self.desk, news.picture.role):
            news.picture.erase()
            return
        self._parts.casework.take(news.picture)
        if self._parts.screen is not None:
            self._parts.screen.show_photo(news.picture.jpeg)
        self.feed(
            PhotoTaken(
                news.picture.role, tuple(PhotoCheckView(check.name, check.passed) for check in news.picture.checks)
            )
        )

    def next_deadline_ns(self) -> int | None:
        """Return when the next timer of the desk runs out, None when none runs."""
        return min(self._timers.values(), default=None)

    def _noticed(self, notice: BoardNotice) -> None:
        match self._board.take(notice):
            case BoardNews.SOMEBODY_CAME if self.desk.screen is Screen.IDLE:
                self._speech.say(Line.WELCOME)
            case BoardNews.BUTTON_STUCK:
                self._tell_waiting(Line.BUTTON_STUCK)
            case BoardNews.BUTTONS_FREE if self.desk.line == Line.BUTTON_STUCK:
                self.feed(replace(self._moved, line=Line.WELCOME.value))
            case _:
                pass
        self._mind_standing()

    def _tell_waiting(self, line: Line) -> None:
        """Say and show a line where nobody is being served."""
        if self.desk.screen is Screen.IDLE:
            self._speech.say(line)
            self.feed(replace(self._moved, line=line.value))

    def mind(self) -> None:
        """Bring counters and warnings up to date and look whether the page is there; to be called after every turn of the loop."""
        now = self._ports.clock.monotonic_ns()
        if now - self._minded_ns >= _MIND_NS:
            self._minded_ns = now
            self._mind_standing()
            self._page.look(
                is_in_session=self._runner.session.state is not State.IDLE,
                is_somebody_there=self._board.is_near or self.desk.screen is not Screen.IDLE,
            )
            self._troubles.roster()
            if self._runner.session.state is State.IDLE:
                self._troubles.back()

    def _mind_standing(self) -> None:
        standing = self._standing()
        if standing is not None and (standing.counts, standing.warnings) != (self.desk.counts, self.desk.warnings):
            self.feed(standing)

    def expire(self) -> bool:
        """Let timers of the desk run out; return whether one did."""
        now = self._ports.clock.monotonic_ns()
        due = [(deadline, timer) for timer, deadline in self._timers.items() if deadline <= now]
        for _, timer in sorted(due):
            if self._timers.pop(timer, None) is not None:
                self.feed(DeskTimerExpired(timer))
        return bool(due)

    def feed(self, event: DeskEvent) -> None:
        """Let the desk take an event, do what it asks for, and show it."""
        waiting = [event]
        while waiting:
            self.desk, wanted = advance(self.desk, waiting.pop(0))
            for command in wanted:
                answer = self._carry_out(command)
                if answer is not None:
                    waiting.append(answer)
        view = view_of(self.desk)
        if view != self._shown and self._parts.screen is not None:
            self._shown = view
            self._parts.screen.show(view)

    def _carry_out(self, command: asked.DeskCommand) -> DeskEvent | None:
        match command:
            case asked.StartDeskTimer(timer, seconds):
                self._timers[timer] = self._ports.clock.monotonic_ns() + round(seconds * 1e9)
            case asked.CancelDeskTimer(timer):
                self._timers.pop(timer, None)
            case asked.PressButton(button):
                self._runner.press(Button(button))
            case asked.SetVoice(language, is_slow):
                self._parts.set_voice(language, is_slow)
            case asked.AskStanding():
                return self._standing()
            case asked.BeginByCode(text):
                self._claim(text)
                self._runner.present_claim(text)
            case asked.AskMyStatus(text):
                self._claim(text)
                return answer(
                    text,
                    self._ports,
                    rules_for=self._runner.rules_for,
                    features_sha256=self._identity.features_sha256,
                )
            case asked.Say(line, dates):
                self._speech.begun(line.value)
                self._runner.say(Prompt(line, dates))
            case asked.CheckSlip(text):
                return SlipChecked(self._parts.check_slip(text))
            case asked.BeginSession():
                self._begin(command)
            case asked.SignIn(operator_id, pin):
                return self._signed_in(self._guard.by_pin(operator_id, pin))
            case asked.SignInByCode(text):
                return self._signed_in(self._guard.by_code(text))
            case asked.SignOut(operator_id, was_quiet):
                why = "quiet" if was_quiet else "touched"
                self._parts.events.note(EventKind.SIGNED_OUT, operator=operator_id, why=why)
            case asked.Forget():
                self._forget()
            case _:
                return self._carry_out_step(command)
        return None

    def _carry_out_step(self, command: asked.DeskCommand) -> DeskEvent | None:
        match command:
            case asked.FindPerson(text, is_proxy):
                if not is_proxy:
                    self._claim(text)
                return self._asked(self._directory.find(text, is_proxy=is_proxy))
            case asked.ChoosePerson(position):
                return self._asked(self._directory.choose(position))
            case asked.Search(part, page):
                return self._directory.search(part, page)
            case asked.FindWitness(text, worker):
                return self._witness(text, worker)
            case asked.FindPlaces():
                return self._directory.places()
            case asked.FindSticks():
                return OptionsFound(self._parts.stick.sticks() if self._parts.stick is not None else ())
            case asked.RunCourier(stick):
                self._run_courier(stick)
            case asked.Aim(is_on):
                self._runner.order(Aim(is_on))
            case asked.CheckTask(purpose):
                problem = self._parts.casework.problem if purpose is None else self._session_problem(purpose)
                return None if problem is None else TaskRefused(problem)
            case asked.CheckDate(found):
                return self._check_date(found)
            case asked.TakePhoto(role):
                return self._take(role)
            case asked.KeepPhoto(role):
                self._parts.casework.keep(role)
                self._show_photo(None)
            case asked.StoreCase():
                return self._store(command)
            case _:
                raise AssertionError(command)
        return None

    def _asked(self, found: DeskEvent) -> DeskEvent:
        """Note what an operator's question brought to light."""
        if isinstance(found, AnswerRefused) and found.problem == Line.ROSTER_EXPIRED:
            self._troubles.roster()
        return found

    def _session_problem(self, purpose: Purpose) -> str | None:
        if self._runner.session.state is State.FAULTED:
            return Line.OUT_OF_ORDER.value
        try:
            problem = self._runner.problem(purpose)
        except DeviceError as error:
            # The session will say so itself.
            logger.warning("not known whether a session could begin why=%s", error)
            return None
        if problem is ClaimProblem.OFFLINE_LIMIT:
            self._troubles.standing()
        return None if problem is None else CLAIM_LINES[problem].value

    def _begin(self, command: asked.BeginSession) -> None:
        person = self._parts.casework.person
        if person is None:
            self._runner.present_claim("")
            return
        visit = None
        if command.visit_reason is not None:
            place = self._directory.place(command.place)
            visit = Visit(worker=command.operator, reason=command.visit_reason, place=place)
        policy = self._ports.policies.current()
        path = policy.paths.get(command.path) if policy is not None else None
        # Who is signed in vouches for the presentation where a path asks for somebody and nobody else is there.
        needs_witness = path is not None and path.needs_witness
        self._runner.present_claim(
            person.claim,
            Errand(
                purpose=command.purpose,
                path=PathName(command.path),
                operator=command.operator,
                may_enrol=command.may_enrol,
                witness=command.witness or (command.operator if needs_witness else None),
                visit=visit,
                legal_basis=command.legal_basis,
            ),
        )

    def _signed_in(self, found: SignedIn | Refused) -> DeskEvent:
        if isinstance(found, SignedIn):
            self._parts.events.note(EventKind.SIGNED_IN, operator=found.operator_id)
            return found
        self._note_refused(found)
        return found.event

    def _note_refused(self, found: Refused) -> None:
        # What is tried while a lock runs is not looked at, and says nothing new.
        if found.is_counted:
            kind = EventKind.SIGN_IN_LOCKED if found.lock_s else EventKind.SIGN_IN_REFUSED
            whose = found.operator_id or "unknown"
            self._parts.events.note(kind, whose=whose, attempts=found.attempts, seconds=found.lock_s)

    def _witness(self, text: str, worker: str) -> DeskEvent:
        """Let a witness prove who they are as at sign-in, under the same counts and locks: a number alone could be anybody's."""
        found = self._guard.by_either(text)
        if isinstance(found, SignedIn):
            is_worker = found.operator_id == worker
            return AnswerRefused(Problem.WITNESS_IS_WORKER) if is_worker else WitnessFound(found.operator_id)
        self._note_refused(found)
        unknown = found.event.problem == Problem.CODE_UNKNOWN
        return AnswerRefused(Problem.WITNESS_UNKNOWN if unknown else found.event.problem)

    def _run_courier(self, stick: str) -> None:
        if self._parts.stick is None:
            self.feed(CourierMoved(CourierView("failed"), Problem.STICK_REMOVED))
            return

        def tell(courier: CourierView, problem: str | None) -> None:
            self._runner.call(lambda: self._courier_moved(courier, problem))

        self._parts.stick.run(stick, tell)

    def _courier_moved(self, courier: CourierView, problem: str | None) -> None:
        operator = self.desk.operator.operator_id if self.desk.operator is not None else None
        if courier.state == "done":
            self._parts.events.note_stick(
                exported=courier.exported, imported=courier.imported, problem=problem, operator=operator
            )
        elif courier.state == "failed":
            self._parts.events.note_stick_failed(problem, operator=operator)
        self.feed(CourierMoved(courier, problem))

    def _check_date(self, found: date) -> DeskEvent:
        # A clock that nothing bounds may be behind every newspaper.
        is_sure = self._ports.clock.now().uncertainty_s is not None
        if is_sure and found > self._parts.today():
            return AnswerRefused(Problem.DATE_IN_FUTURE)
        return DateChecked(found)

    def _take(self, role: PhotoRole) -> DeskEvent | None:
        policy = self._ports.policies.current()
        thresholds = policy.comparison.get(self._identity.features_name) if policy is not None else None
        if policy is None or thresholds is None:
            return PhotoFailed(role, Line.NOT_READY.value)
        self._show_photo(None)
        self._still += 1
        self._runner.order(
            TakeStill(
                self._still,
                role,
                minimum=policy.quality.minimum,
                least_similarity=thresholds.grey,
                keep_as=self._runner.references.key() if role is PhotoRole.FACE else None,
            )
        )
        return None

    def _store(self, command: asked.StoreCase) -> DeskEvent:
        try:
            self._parts.casework.store(command, place=self._directory.place(command.place))
        except CaseNotKept as error:
            logger.error("case not stored why=%s", error)  # noqa: TRY400 - likewise
            return CaseNotStored(error.problem)
        return CaseStored()

    def _standing(self) -> StandingCame | None:
        try:
            counts, warnings = self._parts.standing()
        except DeviceError as error:
            logger.warning("no counters why=%s", error)
            return None
        return StandingCame(counts, warnings + self._board.warnings)

    def _forget(self) -> None:
        self._runner.forget_said()
        self._directory.forget()
        self._still += 1
        self._parts.casework.forget()
        self._runner.order(ForgetStills())
        self._show_photo(None)

    def _show_photo(self, jpeg: bytes | None) -> None:
        if self._parts.screen is not None:
            self._parts.screen.show_photo(jpeg)


def _code(text: str) -> str:
    """Return a name as a detail of an event carries it: a folder may be called anything."""
    return re.sub(r"[^A-Za-z0-9_.:+-]", "_", text)[:64]
