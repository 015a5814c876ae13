"""The front desk: feeds the desk with touches, codes and what the session does, and carries out what it asks for.

It belongs to the loop's thread. Screen, readers and stick work in threads of their own and come in through `Runner.call`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

from device.desk import commands as asked
from device.desk.events import (
    AnswerRefused,
    CodeRead,
    CourierMoved,
    DeskEvent,
    DeskTimerExpired,
    OptionsFound,
    ResultCame,
    Service,
    ServiceMoved,
    SlipChecked,
    StandingCame,
    TaskRefused,
    Touched,
)
from device.desk.machine import advance
from device.desk.state import Desk, view_of
from device.desk.view import (
    CountsView,
    CourierView,
    Language,
    Problem,
    ResultView,
    Screen,
    SlipView,
    StaffWarning,
    Touch,
    View,
)
from device.errors import DeviceError
from device.ports import BoardNotice, Button, DeskScreen, Positioner, StaffStore
from device.runner.asking import answer
from device.runner.board import BoardNews, BoardWatch
from device.runner.casework import Casework
from device.runner.commissionings import CommissioningRunner, Commissionings
from device.runner.desk_timers import DeskTimers
from device.runner.directory import Directory
from device.runner.events import EventLog
from device.runner.following import follow
from device.runner.left_documents import LeftDocuments
from device.runner.loop import Notice, Ports, Runner, Stored
from device.runner.operators import Operators
from device.runner.orders import Aim, PictureNotTaken, PictureTaken
from device.runner.page import PageWatch
from device.runner.records import Identity
from device.runner.sign_in import SignInGuard
from device.runner.speech import Speech
from device.runner.sticks import StickRunner, Sticks
from device.runner.stills import Stills
from device.runner.tasks import Tasks
from device.runner.troubles import Troubles
from device.session.commands import Command, Line, Prompt
from device.session.events import ClaimProblem, ClaimRefused, FaultRaised
from device.session.machine import Session, State
from protocol.errors import ProtocolError
from protocol.events import EventKind

logger = logging.getLogger(__name__)

_MIND_NS = 1_000_000_000
"""The uplink confirms records in a process of its own; a second is soon enough for a person who looks at the counter."""


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
    commissioning: CommissioningRunner | None = None


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
        self._operators = Operators(SignInGuard(parts.staff, ports.clock, today=parts.today), parts.events)
        self._sticks = Sticks(parts.stick, parts.events)
        self._commissionings = Commissionings(parts.commissioning, runner, self.feed)
        self._stills = Stills(runner, ports, identity, casework=parts.casework, screen=parts.screen)
        self._timers = DeskTimers(ports.clock)
        self._directory = Directory(
            ports.references,
            parts.staff,
            parts.casework,
            features_sha256=identity.features_sha256,
            today=parts.today,
            positioner=parts.positioner,
        )
        self._tasks = Tasks(
            runner,
            ports,
            casework=parts.casework,
            directory=self._directory,
            troubles=self._troubles,
            today=parts.today,
        )
        self._moved = ServiceMoved(Service.STARTING)
        self._left = LeftDocuments()
        self._shown: View | None = None
        self._is_identifying = False
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
        if not self._left.is_left(text, now, is_served=is_served):
            self.feed(CodeRead(text))

    def on_step(self, session: Session, commands: tuple[Command, ...]) -> None:
        """Follow the session."""
        if session.state is State.IDLE:
            self._troubles.back()
        for command in commands:
            if isinstance(command, Prompt):
                self._speech.begun(command.line.value)
        moved = follow(self._moved, session, commands, has_started=self._runner.has_started)
        if moved is not None:
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
        self._parts.events.note_missing_line(pack, line)

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
        event = self._stills.came(news, self.desk)
        if event is not None:
            self.feed(event)

    def next_deadline_ns(self) -> int | None:
        """Return when the next timer of the desk runs out, None when none runs."""
        return self._timers.next_deadline_ns()

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
        has_one = False
        for timer in self._timers.run_out():
            has_one = True
            self.feed(DeskTimerExpired(timer))
        return has_one

    def feed(self, event: DeskEvent) -> None:
        """Let the desk take an event, do what it asks for, and show it."""
        waiting = [event]
        while waiting:
            self.desk, wanted = advance(self.desk, waiting.pop(0))
            for command in wanted:
                answer = self._carry_out(command)
                if answer is not None:
                    waiting.append(answer)
        self._show()

    def show_identity(self, *, is_on: bool) -> None:
        """Say on the screen, or not any more, that this is the terminal the office means."""
        if is_on != self._is_identifying:
            self._is_identifying = is_on
            self._show()

    @property
    def view(self) -> View:
        """What the screen shows, whether there is one or not."""
        return replace(view_of(self.desk), is_identifying=self._is_identifying)

    def _show(self) -> None:
        view = self.view
        if view != self._shown and self._parts.screen is not None:
            self._shown = view
            self._parts.screen.show(view)

    def _carry_out(self, command: asked.DeskCommand) -> DeskEvent | None:
        match command:
            case asked.StartDeskTimer(timer, seconds):
                self._timers.start(timer, seconds)
            case asked.CancelDeskTimer(timer):
                self._timers.cancel(timer)
            case asked.PressButton(button):
                self._runner.press(Button(button))
            case asked.SetVoice(language, is_slow):
                self._parts.set_voice(language, is_slow)
            case asked.AskStanding():
                return self._standing()
            case asked.BeginByCode(text):
                self._left.claim(text)
                self._runner.present_claim(text)
            case asked.AskMyStatus(text):
                self._left.claim(text)
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
                self._tasks.begin(command)
            case asked.SignIn(operator_id, pin):
                return self._operators.by_pin(operator_id, pin)
            case asked.SignInByCode(text):
                return self._operators.by_code(text)
            case asked.SignOut(operator_id, was_quiet):
                self._operators.left(operator_id, was_quiet=was_quiet)
            case asked.Forget():
                self._forget()
            case _:
                return self._carry_out_step(command)
        return None

    def _carry_out_step(self, command: asked.DeskCommand) -> DeskEvent | None:
        match command:
            case asked.FindPerson(text, is_proxy):
                if not is_proxy:
                    self._left.claim(text)
                return self._asked(self._directory.find(text, is_proxy=is_proxy))
            case asked.ChoosePerson(position):
                return self._asked(self._directory.choose(position))
            case asked.Search(part, page):
                return self._directory.search(part, page)
            case asked.FindWitness(text, worker):
                return self._operators.witness(text, worker)
            case asked.FindPlaces():
                return self._directory.places()
            case asked.FindSticks():
                return OptionsFound(self._sticks.options())
            case asked.RunCourier(stick):
                return self._run_courier(stick)
            case asked.StartCommissioning():
                return self._commissionings.start()
            case asked.AnswerCommissioning(answer):
                self._commissionings.answer(answer)
            case asked.EndCommissioning():
                self._commissionings.end()
            case asked.Aim(is_on):
                self._runner.order(Aim(is_on))
            case asked.CheckTask(purpose):
                problem = self._parts.casework.problem if purpose is None else self._tasks.problem(purpose)
                return None if problem is None else TaskRefused(problem)
            case asked.CheckDate(found):
                return self._tasks.check_date(found)
            case asked.TakePhoto(role):
                return self._stills.take(role)
            case asked.KeepPhoto(role):
                self._stills.keep(role)
            case asked.StoreCase():
                return self._tasks.store(command)
            case _:
                raise AssertionError(command)
        return None

    def _asked(self, found: DeskEvent) -> DeskEvent:
        """Note what an operator's question brought to light."""
        if isinstance(found, AnswerRefused) and found.problem == Line.ROSTER_EXPIRED:
            self._troubles.roster()
        return found

    def _run_courier(self, stick: str) -> DeskEvent | None:
        def tell(courier: CourierView, problem: str | None) -> None:
            self._runner.call(lambda: self._courier_moved(courier, problem))

        if self._sticks.run(stick, tell):
            return None
        return CourierMoved(CourierView("failed"), Problem.STICK_REMOVED)

    def _courier_moved(self, courier: CourierView, problem: str | None) -> None:
        operator = self.desk.operator.operator_id if self.desk.operator is not None else None
        self._sticks.note(courier, problem, operator=operator)
        self.feed(CourierMoved(courier, problem))

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
        self._stills.forget()
