"""The event loop of the terminal: feeds the session with events and carries out its commands."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from device.errors import DeviceError
from device.ports import (
    USUAL,
    Button,
    Clock,
    Entropy,
    Errand,
    Outbox,
    Panel,
    PolicyStore,
    Prompter,
    ReferenceStore,
    RulePackStore,
    Signer,
)
from device.runner.chain import Chain, LinkNotStored
from device.runner.claims import Chosen, Claimed, ClaimUnfit, cohort_of, look_up
from device.runner.making import MadeReference, ReferenceMaker
from device.runner.orders import Borrowed, CompareWith, Findings, News, Order, PictureNotTaken, PictureTaken, Reopen
from device.runner.records import Head, Identity, build_record
from device.session.commands import (
    STATUS_LINES,
    CancelTimer,
    Command,
    Compare,
    Lamp,
    Line,
    Prompt,
    Recheck,
    SetLamp,
    StartTimer,
    StoreRecord,
)
from device.session.events import (
    CancelPressed,
    ClaimPresented,
    ClaimProblem,
    ClaimRefused,
    ComparisonDone,
    Event,
    Fault,
    FaultCleared,
    FaultRaised,
    RecordNotStored,
    RecordStored,
    RepeatPressed,
    StartPressed,
    Timer,
    TimerExpired,
)
from device.session.machine import RETRY_S, UNDER_WAY, Session, State, advance
from device.vision.normalisation import CohortMember, CohortRules
from protocol.entitlements import Rule, rules_of
from protocol.errors import Malformed, ProtocolError
from protocol.ids import parse_witness
from protocol.offline import OfflineLevel, Standing, standing
from protocol.outcomes import Outcome
from protocol.policy import OfflinePolicy, PathName, Policy
from protocol.records import CertificationRecord, Purpose
from protocol.references import CaptureKind
from protocol.rules.acts import Act, ActKind, Channel
from protocol.times import DeviceTime, agency_day

logger = logging.getLogger(__name__)

_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Ports:
    """The world as the runner sees it; the camera belongs to the vision worker."""

    panel: Panel
    prompter: Prompter
    outbox: Outbox
    references: ReferenceStore
    policies: PolicyStore
    packs: RulePackStore
    signer: Signer
    clock: Clock
    entropy: Entropy


@dataclass(frozen=True, slots=True)
class _Presented:
    claim: str | Chosen
    errand: Errand


@dataclass(frozen=True, slots=True)
class _Pressed:
    button: Button


@dataclass(frozen=True, slots=True)
class _FromWorker:
    generation: int
    news: News | RecordStored | RecordNotStored


@dataclass(frozen=True, slots=True)
class _Called:
    function: Callable[[], None]


Input = _Presented | _Pressed | _FromWorker | _Called


@dataclass(frozen=True, slots=True)
class Stored:
    """A record that was stored, for whoever watches the terminal."""

    record: CertificationRecord
    sha256: str
    tail: str = ""
    """The last characters of the document, which may be shown on the person's slip."""
    next_from: date | None = None
    """The first day on which another certification counts, where that day is still to come."""
    is_early: bool = False
    """Whether this one came before it could count further."""


Notice = Stored | ClaimRefused | RecordNotStored | FaultRaised
"""What became of a claim, for whoever watches the terminal."""


class Worker(Protocol):
    """Carries out orders before its next frame and posts what comes of them; see `device.runner.worker.VisionWorker`."""

    def order(self, generation: int, order: Order) -> None:
        """Take an order; never waits."""


class Watcher(Protocol):
    """Follows the sessions; called on the loop's thread."""

    def on_step(self, session: Session, commands: tuple[Command, ...]) -> None:
        """Take what the session came to, and what it asked for."""

    def on_notice(self, notice: Notice) -> None:
        """Take what became of a claim."""

    def on_picture(self, news: PictureTaken | PictureNotTaken) -> None:
        """Take what came of an order for a picture."""


@dataclass(frozen=True, slots=True)
class _Running:
    """What belongs to the session under way but is none of its business."""

    claimed: Claimed
    errand: Errand
    started: DeviceTime
    made: MadeReference | None = None
    """The reference that the session made, until its record is stored."""


class Runner:
    """Owns the event queue, the timers and the session. `turn` is called from one thread; the rest from any."""

    def __init__(
        self,
        ports: Ports,
        *,
        identity: Identity,
        on_notice: Callable[[Notice], None] = lambda _: None,
        path: PathName = PathName.STANDARD,
    ) -> None:
        self._ports = ports
        self._identity = identity
        self._on_notice = on_notice
        self._watchers: list[Watcher] = []
        self.references = ReferenceMaker(ports.references, ports.policies, ports.clock, ports.entropy, identity)
        self.chain = Chain(outbox=ports.outbox, signer=ports.signer, entropy=ports.entropy, identity=identity)
        self._path = path
        self._inputs: queue.SimpleQueue[Input] = queue.SimpleQueue()
        self._timers: dict[Timer, int] = {}
        self._before_expiry: int | None = None
        """Inputs that were there when a timer was found overdue and are still to be taken; None while none is overdue."""
        self._worker: Worker | None = None
        self._generation = 0
        self._running: _Running | None = None
        self._level = OfflineLevel.OK
        self._prompt: Prompt | None = None
        """What was said last."""
        self.session = Session()
        self.is_power_failing = False
        """While it is, no session begins: it might not end."""
        self.is_lent = False
        """While a commissioning has camera and buttons, no session begins."""
        self.has_started = False
        """Whether storage and camera have been tried since the start, with whatever result; before that no claim is taken."""

    def watch(self, watcher: Watcher) -> None:
        """Let somebody follow everything the sessions do."""
        self._watchers.append(watcher)

    def attach(self, worker: Worker) -> None:
        """Name the worker that carries out orders; it posts to `post`."""
        self._worker = worker

    def present_claim(self, claim: str | Chosen, errand: Errand = USUAL) -> None:
        """A document number was read or typed, or somebody was chosen.

        Args:
            claim: the number, unchecked, or whom a signed-in operator chose from the name list.
            errand: what the session is for.

        Raises:
            Malformed: if witness or operator is no id; a record with it could not be stored.
        """
        for name in (errand.witness, errand.operator):
            if name is not None:
                parse_witness(name)
        self._inputs.put(_Presented(claim, errand))

    def press(self, button: Button) -> None:
        """A button was pressed."""
        self._inputs.put(_Pressed(button))

    def post(self, generation: int, news: News) -> None:
        """Take news from the vision worker."""
        self._inputs.put(_FromWorker(generation, news))

    def post_crash(self) -> None:
        """The vision worker is no more."""
        self.post(self._generation, FaultRaised(self._ports.clock.monotonic_ns(), Fault.VISION))

    def post_fault(self, fault: Fault) -> None:
        """A part of the terminal failed."""
        self.post(self._generation, FaultRaised(self._ports.clock.monotonic_ns(), fault))

    def end(self) -> None:
        """The terminal is about to stop: take in what is waiting, and end and record a session under way."""
        while self.turn():
            pass
        if self.session.state in UNDER_WAY:
            self._feed(FaultRaised(self._ports.clock.monotonic_ns(), Fault.SHUTDOWN))

    def call(self, function: Callable[[], None]) -> None:
        """Have a function called between two events, on the loop's thread: stores belong to that thread."""
        self._inputs.put(_Called(function))

    def begin(self) -> None:
        """Be out of order until storage answers and the camera has given a frame; then greet."""
        self.session = Session(state=State.FAULTED)
        self._ports.panel.show(Lamp.WORKING)
        self._carry_out(StartTimer(Timer.RETRY, RETRY_S))
        self._recheck()

    def next_deadline_ns(self) -> int | None:
        """Return when the next timer runs out, None when none runs."""
        return min(self._timers.values(), default=None)

    def turn(self, wait_s: float = 0.0) -> bool:
        """Take one input or expire one timer; return whether anything happened.

        What was waiting when a timer was found overdue goes before it: it may be what the timer waited for. What comes later does not, so
        no flood of inputs keeps a timer from running out.

        Args:
            wait_s: longest wait for an input; a timer that runs out first ends it.
        """
        now = self._ports.clock.monotonic_ns()
        deadline = self.next_deadline_ns()
        if self._is_expiry_next(is_overdue=deadline is not None and deadline <= now):
            return self._expire()
        if deadline is not None:
            wait_s = max(0.0, min(wait_s, (deadline - now) / 1e9))
        try:
            given = self._inputs.get(timeout=wait_s) if wait_s > 0 else self._inputs.get_nowait()
        except queue.Empty:
            return self._expire()
        self._take(given)
        return True

    def _is_expiry_next(self, *, is_overdue: bool) -> bool:
        """Say whether every input that may go before an overdue timer was taken; count the one that is taken next."""
        waiting = self._inputs.qsize() if self._before_expiry is None else self._before_expiry
        self._before_expiry = waiting - 1 if is_overdue and waiting else None
        return is_overdue and not waiting

    def _expire(self) -> bool:
        now = self._ports.clock.monotonic_ns()
        due = [(deadline, timer) for timer, deadline in self._timers.items() if deadline <= now]
        if not due:
            return False
        _, timer = min(due)
        del self._timers[timer]
        self._feed(TimerExpired(now, timer))
        return True

    def _take(self, given: Input) -> None:
        match given:
            case _Presented():
                self._feed(self._claim(given))
            case _Called(function):
                function()
            case _Pressed(Button.REPEAT) if self.session.state is not State.CHALLENGING:
                # A prompt of the challenge is the session's to repeat; anything else that was said is only said again.
                self._say_again()
            case _Pressed(button):
                at_ns = self._ports.clock.monotonic_ns()
                pressed: dict[Button, Event] = {
                    Button.START: StartPressed(at_ns),
                    Button.REPEAT: RepeatPressed(at_ns),
                    Button.CANCEL: CancelPressed(at_ns),
                }
                self._feed(pressed[button])
            case _FromWorker(generation, news):
                self._hear(generation, news)

    def say(self, prompt: Prompt) -> None:
        """Say something that belongs to no session; the repeat button says it again. To be called on the loop's thread."""
        self._prompt = prompt
        self._ports.prompter.say(prompt.line, dates=prompt.dates)

    def forget_said(self) -> None:
        """Take back what was said of a person outside a session: who comes next hears nothing of it."""
        if self._prompt is not None and self._prompt.line in STATUS_LINES:
            self.say(Prompt(Line.WELCOME))

    def _say_again(self) -> None:
        if self._prompt is not None:
            self._ports.prompter.say(self._prompt.line, dates=self._prompt.dates)

    def _hear(self, generation: int, news: News | RecordStored | RecordNotStored) -> None:
        # Faults are about the parts, pictures about a case, everything else about the session it was seen for.
        if isinstance(news, PictureTaken | PictureNotTaken):
            for watcher in self._watchers:
                watcher.on_picture(news)
        elif generation == self._generation or isinstance(news, FaultRaised | FaultCleared):
            self._feed(self._done(news) if isinstance(news, Findings) else news)
        elif isinstance(news, Findings) and news.reference is not None:
            news.reference.erase()

    def standing(self) -> Standing:
        """Say how the terminal stands that hears nothing from its fleet. To be called on the loop's thread.

        Raises:
            DeviceError: if a store does not answer.
        """
        ports = self._ports
        policy, now = ports.policies.current(), ports.clock.now()
        found = standing(
            OfflinePolicy() if policy is None else policy.offline,
            now,
            now.last_fleet_time,
            ports.outbox.counts(),
            ports.references.expires_at(),
        )
        if found.level is not self._level:
            self._level = found.level
            log = logger.info if found.level is OfflineLevel.OK else logger.warning
            log(
                "standing without the fleet level=%s reasons=%s days_offline=%s days_left=%s records_left=%d",
                found.level,
                ",".join(found.reasons) or "-",
                found.days_offline,
                found.days_left,
                found.records_left,
            )
        return found

    def problem(self, purpose: Purpose) -> ClaimProblem | None:
        """Say why no session could begin now, whoever came; None where one could. To be called on the loop's thread.

        Raises:
            DeviceError: if a store does not answer.
        """
        references = self._ports.references
        if self.is_power_failing:
            return ClaimProblem.POWER_FAILING
        if references.claim_key() is None and references.card_keys() is None:
            return ClaimProblem.ROSTER_EXPIRED if references.has_expired() else ClaimProblem.NOT_READY
        if self.standing().level is OfflineLevel.HARD:
            return ClaimProblem.OFFLINE_LIMIT
        if purpose is Purpose.ENROLMENT and self.references.key() is None:
            return ClaimProblem.NOT_READY
        return None

    def _claim(self, presented: _Presented) -> Event:
        """Turn a presented number into an event; the number itself goes no further than `look_up`."""
        clock = self._ports.clock
        if self.session.state is not State.IDLE:
            return ClaimRefused(clock.monotonic_ns(), ClaimProblem.BUSY)
        if self.is_lent:
            return ClaimRefused(clock.monotonic_ns(), ClaimProblem.NOT_READY)
        if self.is_power_failing:
            # Whatever was presented: nobody is to try a second time now.
            return ClaimRefused(clock.monotonic_ns(), ClaimProblem.POWER_FAILING)
        started = clock.now()
        try:
            self._ports.outbox.check()
            policy = self._ports.policies.current()
            claimed = look_up(
                presented.claim,
                self._ports.references,
                model_sha256=self._identity.features_sha256,
                today=agency_day(started),
            )
            problem = self.problem(presented.errand.purpose)
        except Malformed as error:
            logger.info("claim refused why=%s", error)
            return ClaimRefused(clock.monotonic_ns(), ClaimProblem.UNREADABLE)
        except ClaimUnfit as error:
            logger.info("claim refused why=%s", error)
            return ClaimRefused(clock.monotonic_ns(), error.problem)
        except DeviceError as error:
            logger.error("no session without the stores why=%s", error)  # noqa: TRY400 - the message says all, a trace nothing
            return FaultRaised(clock.monotonic_ns(), Fault.STORAGE)
        if claimed is None:
            return ClaimRefused(clock.monotonic_ns(), ClaimProblem.NOT_READY)
        if problem is not None:
            return ClaimRefused(clock.monotonic_ns(), problem)
        errand = presented.errand
        self._generation += 1
        self._running = _Running(claimed, errand, started)
        reference = claimed.reference
        return ClaimPresented(
            at_ns=clock.monotonic_ns(),
            session_id=self._ports.entropy.token(_ID_BYTES).hex(),
            nonce=self._ports.entropy.token(_ID_BYTES).hex(),
            is_subject_known=claimed.subject_id is not None,
            has_reference=reference is not None,
            is_reference_provisional=reference is not None and reference.capture is CaptureKind.PHOTO,
            path=errand.path if errand.path is not None else self._path,
            witness=errand.witness,
            network=self._identity.features_name,
            policy=policy,
            purpose=errand.purpose,
            operator=errand.operator,
            may_enrol=errand.may_enrol,
            rules=self.rules_for(claimed, today=agency_day(started)),
            channel=_channel(errand),
        )

    def rules_for(self, claimed: Claimed, *, today: date) -> tuple[Rule, ...]:
        """Return what the packs ask of somebody, with what was certified here since the fleet last told of them."""
        found = rules_of(claimed.entitlements, self._ports.packs.shelf(), today=today)
        own = tuple(claimed.acts)
        return tuple(replace(rule, acts=(*rule.acts, *own)) for rule in found)

    def _done(self, findings: Findings) -> ComparisonDone:
        now = self._ports.clock.now()
        if findings.reference is not None and self._running is not None:
            made = MadeReference(findings.reference, findings.unified_quality, findings.samples)
            self._running = replace(self._running, made=made)
        return ComparisonDone(
            at_ns=findings.at_ns,
            similarity=findings.similarity,
            normalised=findings.normalised,
            cohort_people=findings.cohort_people,
            samples=findings.samples,
            evidence=findings.evidence,
            quality=findings.quality,
            day=agency_day(now),
            clock_uncertainty_s=now.uncertainty_s,
        )

    def _feed(self, event: Event) -> None:
        before = self.session.state
        self.session, commands = advance(self.session, event)
        if self.session.state is not before:
            logger.info("session state=%s after=%s", self.session.state, type(event).__name__)
        if isinstance(event, FaultRaised | FaultCleared):
            self.has_started = True
        # Before the commands, which may bring news that belong to where the session now stands.
        for watcher in self._watchers:
            watcher.on_step(self.session, commands)
        for command in commands:
            self._carry_out(command)
        if isinstance(event, ClaimRefused | RecordNotStored | FaultRaised):
            self._tell(event)
        if self.session.state in {State.IDLE, State.FAULTED}:
            if self._running is not None and self._running.made is not None:
                self._running.made.features.erase()
            self._running = None

    def _tell(self, notice: Notice) -> None:
        self._on_notice(notice)
        for watcher in self._watchers:
            watcher.on_notice(notice)

    def _carry_out(self, command: Command) -> None:
        match command:
            case Prompt():
                self.say(command)
            case SetLamp(lamp):
                self._ports.panel.show(lamp)
            case StartTimer(timer, seconds, line, line_s):
                # Whoever is told slowly, in two languages, has as long to answer as anybody else.
                spoken_s = 0.0 if line is None else self._ports.prompter.length_s(line)
                late_s = max(0.0, spoken_s - line_s)
                self._timers[timer] = self._ports.clock.monotonic_ns() + round((seconds + late_s) * 1e9)
            case CancelTimer(timer):
                self._timers.pop(timer, None)
            case StoreRecord():
                self._store(command)
            case Recheck():
                self._recheck()
            case Compare():
                self._compare(command)
            case _:
                self.order(command)

    def _compare(self, command: Compare) -> None:
        claimed = self._running.claimed if self._running else None
        rules, cohort = self._cohort(claimed, command.policy)
        self.order(
            CompareWith(
                reference=claimed.features() if claimed else None,
                key=claimed.key if claimed else b"",
                policy=command.policy,
                path=command.path,
                phases=command.phases,
                watched=command.watched,
                subject_id=(claimed.subject_id or "") if claimed else "",
                cohort=cohort,
                rules=rules,
                keep_as=self.references.wanted(command, claimed.reference if claimed else None),
            )
        )

    def _cohort(self, claimed: Claimed | None, policy: Policy) -> tuple[CohortRules | None, tuple[CohortMember, ...]]:
        """Return how scores are normalised and with whom; nothing where the policy judges raw scores.

        A roster that cannot be read now leaves the score raw, which the policy's raw thresholds judge.
        """
        thresholds = policy.comparison.get(self._identity.features_name)
        limits = thresholds.normalised if thresholds else None
        if limits is None or claimed is None:
            return None, ()
        try:
            found = cohort_of(
                claimed,
                self._ports.references,
                model_sha256=self._identity.features_sha256,
                today=agency_day(self._ports.clock.now()),
            )
        except DeviceError as error:
            logger.warning("no cohort why=%s", error)
            return None, ()
        return CohortRules(limits.nearest_share, limits.least_people), found

    def order(self, order: Order) -> None:
        """Have the vision worker do something, before its next frame."""
        if self._worker is not None:
            self._worker.order(self._generation, order)

    def borrow(self, order: Borrowed) -> None:
        """Have the vision worker do something for a commissioning. May be called from any thread."""
        self.order(order)
        # Where time is stepped the worker works on this loop's turns, and the loop may be waiting for an input.
        self.call(lambda: None)

    def _store(self, draft: StoreRecord) -> None:
        """Sign and store; the answer comes back as an event like any other."""
        running = self._running
        if running is None:
            return
        try:
            reference = self.references.seal(running.made, draft, running.errand, running.claimed.reference)
            self._running = replace(running, made=None)

            def build(head: Head) -> CertificationRecord:
                return build_record(
                    draft,
                    head,
                    identity=self._identity,
                    claimed=running.claimed,
                    errand=running.errand,
                    reference=reference,
                    started=running.started,
                    decided=self._ports.clock.now(),
                )

            appended = self.chain.append(build)
        except (LinkNotStored, DeviceError, ProtocolError) as error:
            logger.error("record not stored why=%s", error)  # noqa: TRY400 - the message says all, a trace nothing
            self._inputs.put(_FromWorker(self._generation, RecordNotStored(self._ports.clock.monotonic_ns())))
            return
        logger.info("record stored counter=%d outcome=%s", appended.stored.counter, draft.verdict.outcome)
        self._inputs.put(_FromWorker(self._generation, RecordStored(self._ports.clock.monotonic_ns())))
        self._note_act(draft, running, appended.link)
        self._tell(
            Stored(
                appended.link,
                appended.stored.sha256,
                running.claimed.tail,
                next_from=draft.verdict.next_from,
                is_early=draft.verdict.is_early,
            )
        )

    def _note_act(self, draft: StoreRecord, running: _Running, record: CertificationRecord) -> None:
        """Remember a certification until the fleet tells of it: the same person may come again before that."""
        if draft.verdict.outcome is not Outcome.CERTIFIED:
            return
        kind = ActKind.ENROLMENT if draft.purpose is Purpose.ENROLMENT else ActKind.LIVE
        act = Act(record.record_id, agency_day(record.decided), kind, _channel(running.errand))
        try:
            self._ports.references.note_act(running.claimed.token, act)
        except DeviceError as error:
            # The record is safe; until the fleet tells of it, this terminal may name an earlier date.
            logger.warning("act not remembered why=%s", error)

    def _recheck(self) -> None:
        try:
            self._ports.outbox.check()
        except DeviceError as error:
            logger.warning("storage still unavailable why=%s", error)
            self.post(self._generation, FaultRaised(self._ports.clock.monotonic_ns(), Fault.STORAGE))
            return
        self.order(Reopen())


def _channel(errand: Errand) -> Channel:
    return Channel.TERMINAL if errand.visit is None else Channel.HOME_VISIT
