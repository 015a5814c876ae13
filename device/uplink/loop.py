"""The uplink's loop: connects, sends, applies what arrives, waits; one thread, no state that is not on the disk or replaceable.

A broker's PUBACK marks a record as published; only the fleet's receipt, verified, moves it to acknowledged. Everything here may
be repeated: records are known to the fleet by their digest, receipts and pages are applied once.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from device.errors import (
    AttachmentsUnavailable,
    AttestationUnavailable,
    CommandsUnavailable,
    DesiredUnavailable,
    DeviceError,
    LinkDown,
    OutboxUnavailable,
    PolicyUnavailable,
    ReferencesUnavailable,
    ReportsUnavailable,
    RestartAsked,
    RulePacksUnavailable,
    StaffUnavailable,
)
from device.ports import (
    Answer,
    AttachmentStore,
    AttestationStore,
    Clock,
    CommandStore,
    DesiredStore,
    Entropy,
    Outbox,
    PolicyStore,
    ReferenceStore,
    ReportStore,
    RulePackStore,
    RunningStore,
    Signer,
    StaffStore,
    Updating,
    Vitals,
)
from device.settings import Uplink as UplinkSettings
from device.updates.reporting import what_changes as what_updates_change
from device.uplink.attachments import AttachmentSender
from device.uplink.flow import PresenceTimer, RosterQuestions, SendWindow, full_jitter_s
from device.uplink.health import HealthReport, what_changes
from device.uplink.inbox import AttestationToken, DesiredToken, Inbound, Inbox, RulePacksToken, why_refused
from protocol.commands import RESULT_TYP, CommandResult, CommandWithdrawal, TerminalCommand
from protocol.desired import ReportedState
from protocol.envelope import sha256_of
from protocol.errors import Expired, ProtocolError
from protocol.health import Health, LinkTimes
from protocol.presence import PRESENCE_TYP, OutboxCounts, PictureCounts, Presence
from protocol.receipts import Receipt, Verdict
from protocol.reference_card import CardKeys
from protocol.roster import ROSTER_REQUEST_TYP, RosterPage, RosterRequest
from protocol.staff import StaffList
from protocol.times import best_guess
from protocol.topics import Kind, Topic, TopicFilter, terminal_inbox

logger = logging.getLogger(__name__)

_NS = 1_000_000_000
_LAST_WORD_S = 3.0
"""How long a stopping uplink waits for the broker to take `offline`; systemd waits longer than that."""
_SLICE_S = 2.0
"""Longest sleep between two signs of life to the watchdog."""
_HOUSEKEEPING_S = 60.0
_HEALTH_CHANGE_S = 30.0
"""So often the condition is looked at, and told when it has changed."""
_MOST_TURNS = 100
"""However much arrives, records are sent and the watchdog is fed in between."""
_QUESTIONS_REMEMBERED = 16
CURABLE = frozenset(
    {"unknown_terminal", "signature", "malformed", "unsupported_version", "retired_terminal", "not_storable"}
)
"""Reasons of a refusal that registering this terminal or updating the fleet takes away, or, of a picture, its case when it arrives.
Source: `fleet.admission.Refusal`; the others say something about the record or picture itself that stays true."""
_MOST_RETRIED = 1000
"""Refused records sent again on one connection. Pictures are large: one, and one more for each picture that the fleet then takes."""
_LOG_EVERY = 100

_STORES = (
    OutboxUnavailable,
    ReferencesUnavailable,
    PolicyUnavailable,
    RulePacksUnavailable,
    AttestationUnavailable,
    StaffUnavailable,
    AttachmentsUnavailable,
    CommandsUnavailable,
    ReportsUnavailable,
    DesiredUnavailable,
)


class Link(Protocol):
    """A connection to a broker, see `device.uplink.mqtt.MqttLink`."""

    def connect(self, will: Topic, will_payload: bytes) -> None:
        """Connect, with a will. Raises `LinkDown`."""

    def subscribe(self, topics: TopicFilter) -> None:
        """Ask for messages. Raises `LinkDown`."""

    def publish(self, topic: Topic, payload: bytes) -> int:
        """Give the link a message and return its token. Raises `LinkDown`."""

    def turn(self, timeout_s: float) -> None:
        """Send and receive for a while. Raises `LinkDown`."""

    def disconnect(self) -> None:
        """Take leave of the broker."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the uplink works with."""

    outbox: Outbox
    references: ReferenceStore
    policies: PolicyStore
    packs: RulePackStore
    attestations: AttestationStore
    staff: StaffStore
    attachments: AttachmentStore
    signer: Signer
    clock: Clock
    entropy: Entropy
    inbox: Inbox
    vitals: Vitals
    running: RunningStore
    commands: CommandStore
    reports: ReportStore
    desired: DesiredStore
    updates: Updating


@dataclass(frozen=True, slots=True)
class Identity:
    """Who speaks."""

    fleet_id: str
    terminal_id: str
    software: str


class Uplink:
    """Runs until it is told to stop.

    Args:
        identity: who speaks.
        parts: stores, keys, clock.
        settings: windows and waits.
        keep: how many acknowledged records stay in the outbox.
        keep_alive_s: of the link.
        make_link: makes the link from the two callbacks, `on_arrived` and `on_taken`.
        alive: called at least every few seconds while everything is in order.
        on_refused: called with topic kind and reason (`device.uplink.inbox.why_refused`) when something that came down is refused; once
            for each of them until something of that kind is taken.
    """

    def __init__(
        self,
        identity: Identity,
        parts: Parts,
        settings: UplinkSettings,
        *,
        keep: int,
        keep_alive_s: int,
        make_link: Callable[[Callable[[str, bytes], None], Callable[[int], None]], Link],
        alive: Callable[[], None],
        on_refused: Callable[[Kind, str], None] = lambda _kind, _why: None,
    ) -> None:
        self._identity = identity
        self._parts = parts
        self._settings = settings
        self._keep = keep
        self._alive = alive
        self._on_refused = on_refused
        self._told: set[tuple[Kind, str]] = set()
        self._link = make_link(self._arrived, self._taken)
        self._window = SendWindow(resend_after_s=settings.resend_after_s, resend_cap_s=settings.resend_cap_s)
        self._attachments = AttachmentSender(
            parts.attachments, resend_after_s=settings.resend_after_s, resend_cap_s=settings.resend_cap_s
        )
        self._questions = RosterQuestions(retry_s=settings.roster_retry_s, refresh_s=settings.roster_refresh_s)
        self._presence = PresenceTimer(every_s=settings.presence_s, change_s=settings.presence_change_s)
        self._health = PresenceTimer(every_s=settings.health_s, change_s=_HEALTH_CHANGE_S)
        self._report = HealthReport(
            vitals=parts.vitals,
            running=parts.running,
            outbox=parts.outbox,
            references=parts.references,
            packs=parts.packs,
            staff=parts.staff,
            clock=parts.clock,
            link=LinkTimes(presence_s=settings.presence_s, keep_alive_s=keep_alive_s),
        )
        self._answered: dict[Kind, dict[str, int]] = {}
        """When each answer to a command, and each report, is sent next."""
        self._newly_taken: list[str] = []
        self._receipts: list[Receipt] = []
        self._happened = 0
        self._asked: dict[str, int] = {}
        self._connection = 0
        self._housekept_ns: int | None = None
        self._goodbye: int | None = None
        self._is_store_down = False
        self._is_link_down = False
        self.dropped: Counter[str] = Counter()
        """Messages that were refused, by topic kind and error."""

    def run(self, stop: Event) -> None:
        """Serve until `stop` is set, then say goodbye. Connection attempts go on for ever.

        Raises:
            RestartAsked: after the goodbye, where there is something newer to start from.
        """
        attempt = 0
        while not stop.is_set():
            try:
                self._connect()
                while not stop.is_set() and not self._parts.updates.must_restart():
                    self._turn()
                    attempt = 0
                self._say_goodbye()
            except LinkDown as error:
                self._report_link(error)
            except _STORES as error:
                self._report_store(error)
            if self._parts.updates.must_restart():
                raise RestartAsked("uplink: there is something newer to start from")
            if not stop.is_set():
                self._sleep(attempt, stop)
                attempt += 1

    def _connect(self) -> None:
        moment = self._parts.clock.now()
        self._connection = max(self._connection + 1, int(moment.wall_clock.timestamp() * _NS))
        self._link.connect(self._topic(Kind.PRESENCE), self._presence_message("offline", *self._counts()))
        self._link.subscribe(terminal_inbox(self._identity.fleet_id, self._identity.terminal_id))
        now_ns = self._parts.clock.monotonic_ns()
        self._window.reconnected(now_ns)
        self._attachments.reconnected()
        self._questions.connected(now_ns)
        self._presence.connected()
        self._health.connected()
        self._answered.clear()
        logger.info("broker connected connection=%d", self._connection)
        self._is_link_down = False
        retried = self._parts.outbox.retry_refused(_MOST_RETRIED, reasons=CURABLE)
        if retried:
            logger.info("refused records are sent again count=%d", retried)
        with self._stores():
            self._retry_a_picture()

    def _turn(self) -> None:
        self._alive()
        self._listen()
        attachments = self._topic(Kind.ATTACHMENT)
        now_ns = self._parts.clock.monotonic_ns()
        with self._stores():
            self._settle()
            self._note_taken()
            self._send_records(now_ns)
            self._keep_house(now_ns)
            self._ask_for_roster(now_ns)
            self._send_presence(now_ns)
            self._send_answers(Kind.COMMAND_RESULT, self._parts.commands.unsettled(), now_ns)
            # Last: a store of pictures, or of reports, that fails keeps nothing else from being sent.
            self._attachments.send(
                lambda sealed: self._link.publish(attachments, sealed), now_ns=now_ns, fraction=self._fraction()
            )
            self._send_answers(Kind.COMMISSIONING, self._parts.reports.unsettled(), now_ns)
        waiting_since_ns = self._window.waiting_since_ns()
        if waiting_since_ns is not None and now_ns - waiting_since_ns > self._settings.puback_timeout_s * _NS:
            raise LinkDown(f"broker took nothing for {self._settings.puback_timeout_s} s")

    def _listen(self) -> None:
        """Wait for something to happen, then take all that is there: what comes together shares one disk write."""
        self._link.turn(self._settings.poll_s)
        for _ in range(_MOST_TURNS):
            before = self._happened
            self._link.turn(0)
            if self._happened == before:
                return

    def _settle(self) -> None:
        if not self._receipts:
            return
        items = [item for receipt in self._receipts for item in receipt.items]
        self._parts.outbox.settle(items)
        for store in (self._parts.attachments, self._parts.commands, self._parts.reports):
            try:
                store.settle(items)
            except _STORES as error:
                # It keeps records from nothing: what is its own is sent again, and answered again.
                logger.warning("receipt not applied why=%s", error)
        for receipt in self._receipts:
            self._note_receipt(receipt)
        self._receipts.clear()

    def _note_receipt(self, receipt: Receipt) -> None:
        digests = [item.sha256 for item in receipt.items]
        known = [self._window.settled(digests), *(self._asked.pop(digest, None) for digest in digests)]
        after_ns = max((moment for moment in known if moment is not None), default=None)
        self._parts.clock.note_fleet_time(receipt.fleet_time, after_ns=after_ns)
        for item in receipt.items:
            is_picture = self._attachments.settled(item.sha256)
            if item.verdict is Verdict.REFUSED:
                what = "picture" if is_picture else "record"
                logger.error("fleet refuses a %s digest=%s reason=%s", what, item.sha256[:12], item.reason)
            elif is_picture:
                self._retry_a_picture()

    def _retry_a_picture(self) -> None:
        if self._parts.attachments.retry_refused(1, reasons=CURABLE):
            logger.info("a refused picture is sent again")

    def _send_records(self, now_ns: int) -> None:
        # All unconfirmed rows are asked for, and the window decides by monotonic time: the wall clock may jump.
        rows = self._parts.outbox.unconfirmed(self._settings.window)
        topic = self._topic(Kind.RECORD)
        for row in self._window.due(rows, limit=self._settings.window, now_ns=now_ns):
            token = self._link.publish(topic, row.envelope)
            self._window.sent(row, token, now_ns=now_ns, fraction=self._fraction())

    def _note_taken(self) -> None:
        if self._newly_taken:
            self._parts.outbox.mark_published(self._newly_taken)
            self._newly_taken.clear()

    def _keep_house(self, now_ns: int) -> None:
        if self._housekept_ns is not None and now_ns - self._housekept_ns < _HOUSEKEEPING_S * _NS:
            return
        self._housekept_ns = now_ns
        self._parts.references.expire(self._parts.clock.now())
        gone = self._parts.outbox.purge(self._keep)
        if gone:
            logger.info("confirmed records purged count=%d", gone)

    def _ask_for_roster(self, now_ns: int) -> None:
        if not self._questions.is_due(now_ns):
            return
        request = RosterRequest(
            fleet_id=self._identity.fleet_id,
            terminal_id=self._identity.terminal_id,
            have=self._parts.references.received(),
            asked_at=self._parts.clock.now().wall_clock,
        )
        token = self._parts.signer.sign(request.to_bytes(), ROSTER_REQUEST_TYP)
        self._link.publish(self._topic(Kind.ROSTER_REQUEST), token)
        self._questions.asked(now_ns, fraction=self._fraction())
        self._asked[sha256_of(token)] = now_ns
        while len(self._asked) > _QUESTIONS_REMEMBERED:
            del self._asked[next(iter(self._asked))]

    def _send_presence(self, now_ns: int) -> None:
        told = self._health_due(now_ns)
        if told is None and not self._presence.may_be_due(now_ns):
            return
        counts = self._counts()
        content = (*counts, self._policy_version(), self._parts.references.version())
        if told is not None or self._presence.is_due(content, now_ns):
            health, reported = (None, None) if told is None else told
            message = self._presence_message("online", *counts, health, reported)
            self._link.publish(self._topic(Kind.PRESENCE), message)
            self._presence.said(content, now_ns)

    def _send_answers(self, kind: Kind, waiting: Sequence[Answer], now_ns: int) -> None:
        """Send what commands came to, or reports of commissionings, and again until the fleet has confirmed it."""
        before = self._answered.get(kind, {})
        due = {found.sha256: before.get(found.sha256, now_ns) for found in waiting}
        for found in waiting:
            if now_ns >= due[found.sha256]:
                self._link.publish(self._topic(kind), found.envelope)
                due[found.sha256] = now_ns + int(self._settings.resend_after_s * _NS)
        self._answered[kind] = due

    def _health_due(self, now_ns: int) -> tuple[Health, ReportedState] | None:
        """Return the terminal's condition, and what it is beside what it was asked to be, when they are to be told."""
        if not self._health.may_be_due(now_ns):
            return None
        health, reported = self._report.now(), self._parts.updates.reported()
        content = (what_changes(health), what_updates_change(reported))
        if not self._health.is_due(content, now_ns):
            return None
        self._health.said(content, now_ns)
        return health, reported

    def _say_goodbye(self) -> None:
        token = self._link.publish(self._topic(Kind.PRESENCE), self._presence_message("offline", *self._counts()))
        self._goodbye = token
        deadline_ns = self._parts.clock.monotonic_ns() + int(_LAST_WORD_S * _NS)
        while self._goodbye is not None and self._parts.clock.monotonic_ns() < deadline_ns:
            self._link.turn(0.1)
        with self._stores():
            self._settle()
            self._note_taken()
        self._link.disconnect()
        logger.info("broker left")

    def _arrived(self, topic_name: str, payload: bytes) -> None:
        self._happened += 1
        try:
            message = self._parts.inbox.read(topic_name, payload)
            with self._stores():
                self._apply(message, payload)
                if isinstance(message, Receipt | RosterPage):
                    # An answer: what the broker kept of earlier does not show that the fleet can be reached.
                    self._parts.updates.heard()
        except ProtocolError as error:
            self._drop(topic_name, error)

    def _apply(self, message: Inbound, payload: bytes) -> None:
        now_ns = self._parts.clock.monotonic_ns()
        if isinstance(message, Receipt):
            self._receipts.append(message)
        elif isinstance(message, RosterPage):
            self._apply_page(message, now_ns)
        elif isinstance(message, CardKeys):
            self._check_time(message)
            if self._parts.references.apply_card_keys(message):
                logger.info("card keys applied keys=%d revoked=%d", len(message.keys), len(message.revoked))
            self._was_taken(Kind.CARD_KEYS)
        elif isinstance(message, StaffList):
            self._parts.staff.apply(message)
            self._was_taken(Kind.STAFF)
        elif isinstance(message, TerminalCommand):
            # One that is too old is answered as such by whoever would carry it out.
            if self._parts.commands.take(message, payload):
                logger.info("command taken kind=%s number=%d", message.kind, message.number)
            self._was_taken(Kind.COMMAND)
        elif isinstance(message, CommandWithdrawal):
            self._withdraw(message)
            self._was_taken(Kind.COMMAND_WITHDRAWAL)
        elif isinstance(message, AttestationToken):
            self._parts.attestations.apply(message.token)
            self._was_taken(Kind.ATTESTATION)
        elif isinstance(message, DesiredToken):
            self._parts.desired.apply(message.token)
            self._was_taken(Kind.DESIRED)
        elif isinstance(message, RulePacksToken):
            self._parts.packs.apply(message.token)
            self._was_taken(Kind.RULE_PACKS)
        else:
            self._parts.policies.apply(message.token)
            self._was_taken(Kind.POLICY)

    def _withdraw(self, withdrawal: CommandWithdrawal) -> None:
        """Answer for a command that was taken back: whoever would carry it out may not run, which may be why it was given."""
        result = CommandResult(
            fleet_id=withdrawal.fleet_id,
            terminal_id=withdrawal.terminal_id,
            command_id=withdrawal.command_id,
            verdict="withdrawn",
            finished_at=best_guess(self._parts.clock.now()),
        )
        if self._parts.commands.withdraw(withdrawal, self._parts.signer.sign(result.to_bytes(), RESULT_TYP)):
            logger.info("command taken back number=%d", withdrawal.number)

    def _apply_page(self, page: RosterPage, now_ns: int) -> None:
        if self._parts.references.apply(page):
            # Signed after the question: the fleet was heard of, also where nobody comes and no receipt is due.
            self._parts.clock.note_fleet_time(page.issued_at)
            self._questions.page_applied(now_ns, complete=page.complete)
            logger.info("roster page applied version=%d entries=%d", page.upto, len(page.entries))
            self._was_taken(Kind.ROSTER)
            return
        self._questions.page_unfit(now_ns)
        self._check_time(page)
        logger.info("roster page does not fit, asking again after=%d", page.after)

    def _check_time(self, message: RosterPage | CardKeys) -> None:
        now = self._parts.clock.now()
        if message.expires_at <= best_guess(now):
            raise Expired(f"{message.TYPE}: expired at {message.expires_at:%Y-%m-%d %H:%M} UTC")

    def _drop(self, topic_name: str, error: ProtocolError) -> None:
        kind = topic_name.rpartition("/")[2]
        known = kind if kind in {str(k) for k in Kind} else "other"
        name = f"{known}: {type(error).__name__}"
        self.dropped[name] += 1
        # Who can write to the broker must not be able to fill the log.
        if self.dropped[name] % _LOG_EVERY == 1:
            logger.warning("message dropped kind=%s error=%s count=%d", known, type(error).__name__, self.dropped[name])
        if known != "other" and (told := (Kind(known), why_refused(error))) not in self._told:
            self._told.add(told)
            logger.warning("refused kind=%s why=%s", *told)
            self._on_refused(*told)

    def _was_taken(self, kind: Kind) -> None:
        self._told = {told for told in self._told if told[0] is not kind}

    def _taken(self, token: int) -> None:
        self._happened += 1
        if token == self._goodbye:
            self._goodbye = None
        sha256 = self._window.taken(token)
        if sha256 is not None:
            self._newly_taken.append(sha256)

    def _presence_message(
        self,
        state: str,
        records: OutboxCounts,
        pictures: PictureCounts | None,
        health: Health | None = None,
        reported: ReportedState | None = None,
    ) -> bytes:
        moment = self._parts.clock.now()
        presence = Presence(
            fleet_id=self._identity.fleet_id,
            terminal_id=self._identity.terminal_id,
            state="online" if state == "online" else "offline",
            boot_id=moment.boot_id,
            connection=self._connection,
            said_at=moment.wall_clock,
            software=self._identity.software,
            policy_version=self._policy_version(),
            roster_version=self._parts.references.version(),
            outbox=records,
            pictures=pictures,
            health=health,
            reported=reported,
        )
        return self._parts.signer.sign(presence.to_bytes(), PRESENCE_TYP)

    def _topic(self, kind: Kind) -> Topic:
        return Topic(self._identity.fleet_id, self._identity.terminal_id, kind)

    def _counts(self) -> tuple[OutboxCounts, PictureCounts | None]:
        try:
            pictures = self._parts.attachments.counts()
        except AttachmentsUnavailable:
            # Whoever sends them says so; presence and records go without.
            pictures = None
        return self._parts.outbox.counts(), pictures

    def _policy_version(self) -> str | None:
        policy = self._parts.policies.current()
        return None if policy is None else policy.policy_version

    def _fraction(self) -> float:
        return int.from_bytes(self._parts.entropy.token(4), "big") / 2.0**32

    def _sleep(self, attempt: int, stop: Event) -> None:
        wait_s = full_jitter_s(
            attempt,
            base_s=self._settings.reconnect_base_s,
            cap_s=self._settings.reconnect_cap_s,
            fraction=self._fraction(),
        )
        deadline_ns = self._parts.clock.monotonic_ns() + int(wait_s * _NS)
        while (left_ns := deadline_ns - self._parts.clock.monotonic_ns()) > 0 and not stop.is_set():
            self._alive()
            stop.wait(min(left_ns / _NS, _SLICE_S))

    def _report_link(self, error: LinkDown) -> None:
        if not self._is_link_down:
            logger.warning("broker lost reason=%s", error)
        self._is_link_down = True

    def _report_store(self, error: DeviceError) -> None:
        if not self._is_store_down:
            logger.error("storage lost reason=%s", error)
        self._is_store_down = True

    @contextmanager
    def _stores(self) -> Iterator[None]:
        """Let the link live on while the disk does not: what could not be stored is sent again by the fleet or asked for."""
        try:
            yield
        except _STORES as error:
            self._report_store(error)
        else:
            if self._is_store_down:
                logger.info("storage back")
            self._is_store_down = False
