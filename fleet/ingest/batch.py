"""One transaction over a batch of messages: each is verified, admitted and stored or refused, and what is to be answered is collected."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from fleet.admission import (
    MAX_COUNTER,
    AnyLink,
    Chain,
    Judgement,
    KnownPresence,
    Position,
    Refusal,
    admit,
    chain_of,
    judge,
    judge_case,
    judge_moment,
    supersedes,
)
from fleet.benefits.i_am_here import open_cases
from fleet.clock import day_of
from fleet.errors import DatabaseUnavailable
from fleet.ingest.messages import Inbound
from fleet.ingest.reporting import note_endings, note_reported
from fleet.ingest.settling import Settling
from fleet.references.made import propose, reference_in, take
from fleet.status.background import Background, background_of
from fleet.status.projection import project
from fleet.store import (
    cases,
    commissionings,
    held,
    links,
    made,
    quarantine,
    terminal_commands,
    terminal_health,
    terminals,
)
from fleet.store.cases import Arrived
from fleet.store.links import AdmittedLink, ChainLink
from fleet.store.quarantine import RefusedMessage
from fleet.store.terminals import StoredTerminal
from protocol.cases import CASE_TYP, CaseRecord
from protocol.commands import RESULT_TYP, CommandResult
from protocol.commissioning import COMMISSIONING_TYP, CommissioningReport
from protocol.envelope import sha256_of, typ_of, verify
from protocol.errors import ProtocolError, SignatureInvalid, UnsupportedVersion
from protocol.events import EVENT_TYP, TerminalEvent
from protocol.presence import PRESENCE_TYP, Presence
from protocol.receipts import ReceiptItem, Verdict
from protocol.records import RECORD_TYP, CertificationRecord
from protocol.roster import ROSTER_REQUEST_TYP, RosterRequest
from protocol.topics import Kind

logger = logging.getLogger(__name__)

_LINKS: dict[str, type[CertificationRecord | CaseRecord | TerminalEvent]] = {
    RECORD_TYP: CertificationRecord,
    CASE_TYP: CaseRecord,
    EVENT_TYP: TerminalEvent,
}
"""By the type in the signed header."""
_SEAL_DOTS = 4
"""In a compact JWE. Source: RFC 7516 section 3.1."""


class AllTerminals(Exception):
    """A batch that changes rosters: it is begun anew with all terminals locked."""


class Batch:
    """One transaction's work: `take` every message, then `finish`, then read what is to be answered.

    Args:
        connection: of the transaction.
        fleet_id: of this fleet; what is for another one is refused.
        settling: judges records anew where what is known of a person changes.
        messages: all that will be taken; their terminals are locked at once.
        now: in UTC.
        may_touch: whether every terminal is locked, so that rosters may change.
        most_unclaimed: bytes of pictures that a terminal may have waiting for a case that names them.

    Attributes:
        verdicts: what to answer, by terminal.
        roster_requests: the version of its roster that a terminal has, for those that ask.
        fresh_records: ids of the records and cases that were stored.
        fresh_pictures: terminal and SHA-256 of the pictures that were stored.
        projected: subjects whose statuses were worked out anew.
        terminals: those of the batch, by name.
    """

    def __init__(
        self,
        connection: Connection,
        fleet_id: str,
        settling: Settling,
        messages: Sequence[Inbound],
        *,
        now: datetime,
        may_touch: bool,
        most_unclaimed: int,
    ) -> None:
        self.verdicts: dict[str, list[ReceiptItem]] = {}
        self.roster_requests: dict[str, int] = {}
        self.fresh_records: list[str] = []
        self.fresh_pictures: list[tuple[str, str]] = []
        self.projected: set[str] = set()
        self._connection = connection
        self._fleet_id = fleet_id
        self._settling = settling
        self._zone = settling.references.zone
        self._now = now
        self._may_touch = may_touch
        self._most_unclaimed = most_unclaimed
        # A batch comes from the broker or from one stick.
        self._by_stick = any(message.by_stick for message in messages)
        self._pictures: list[tuple[StoredTerminal, Inbound]] = []
        self._links: list[tuple[AnyLink, Inbound, str]] = []
        names = {topic.terminal_id for message in messages if (topic := message.parsed_topic()) is not None}
        self.terminals = terminals.find_terminals(connection, sorted(names), lock=True)
        self._presence = {name: terminal.presence for name, terminal in self.terminals.items()}

    def take(self, message: Inbound, forced: Refusal | None) -> None:
        """Look at one message; links are only collected."""
        topic = message.parsed_topic()
        if topic is None or topic.rule.direction != "up" or topic.fleet_id != self._fleet_id:
            self._refuse(message, "", "topic", Refusal.TOPIC)
            return
        terminal = self.terminals.get(topic.terminal_id)
        if terminal is None:
            self._refuse(message, topic.terminal_id, topic.kind, Refusal.UNKNOWN_TERMINAL)
        elif forced is not None:
            self._refuse(message, topic.terminal_id, topic.kind, forced)
        elif len(message.payload) > topic.rule.max_bytes:
            self._refuse(message, topic.terminal_id, topic.kind, Refusal.TOO_LARGE)
        elif topic.kind is Kind.PRESENCE and not message.payload:
            logger.debug("retained presence removed terminal=%s", topic.terminal_id)
        else:
            self._take_from(terminal, topic.kind, message)

    def finish(self) -> None:
        """Store what was collected: links first, so that a picture finds the case that names it.

        Raises:
            AllTerminals: if rosters would change and not every terminal is locked.
            DatabaseUnavailable: as any transaction.
        """
        self._finish_links()
        for terminal, message in self._pictures:
            self._store_picture(terminal, message)

    def _finish_links(self) -> None:
        """Admit and insert the collected links, mend the chain verdicts around them, and project the statuses."""
        places = [(link.terminal_id, link.counter) for link, _, _ in self._links]
        if not places:
            return
        around = links.links_around(self._connection, places)
        digests = links.digests_by_record_id(self._connection, [link.record_id for link, _, _ in self._links])
        background = background_of(self._connection, [link for link, _, _ in self._links], zone=self._zone)
        fresh: list[AdmittedLink] = []
        for link, message, sha256 in self._links:
            terminal = self.terminals[link.terminal_id]
            here = around.get((link.terminal_id, link.counter))
            before = around.get((link.terminal_id, link.counter - 1))
            admission = admit(
                link,
                sha256=sha256,
                fleet_id=self._fleet_id,
                terminal_id=terminal.terminal_id,
                # Whether it counts all the same was a person's to say, who has said so.
                retired_at=None if message.is_released else terminal.retired_at,
                position=Position(
                    here=here.sha256 if here else None,
                    before=before.sha256 if before else None,
                    record_id_sha256=digests.get(link.record_id),
                ),
                received_at=message.received_at,
            )
            if admission.refusal is not None:
                self._refuse(message, link.terminal_id, Kind.RECORD, admission.refusal)
            elif admission.repeated:
                self._answer(link.terminal_id, sha256, Verdict.REPEATED)
            elif admission.is_held:
                self._hold(terminal, Kind.RECORD, message)
            else:
                judgement = self._judgement(link, background, message.received_at)
                fresh.append(AdmittedLink(link, admission, judgement, sha256, message.payload, message.received_at))
                self._answer(link.terminal_id, sha256, Verdict.STORED)
                digests[link.record_id] = sha256
                around[(link.terminal_id, link.counter)] = ChainLink(
                    link.counter, sha256, link.previous, admission.chain, _subject_of(link)
                )
        self._store(fresh, around)

    def _judgement(self, link: AnyLink, background: Background, received_at: datetime) -> Judgement:
        accept_simulated = self._settling.accept_simulated
        if isinstance(link, CaseRecord):
            staff = background.staff_of(link, received_at)
            return judge_case(link, staff, accept_simulated=accept_simulated, received_at=received_at)
        if isinstance(link, TerminalEvent):
            return judge_moment(link, accept_simulated=accept_simulated, received_at=received_at)
        known = background.known(link, received_at)
        return judge(link, known, accept_simulated=accept_simulated, received_at=received_at)

    def _store(self, fresh: list[AdmittedLink], around: dict[tuple[str, int], ChainLink]) -> None:
        if links.insert_links(self._connection, fresh) != len(fresh):
            raise DatabaseUnavailable("database: another worker stored one of these records at the same time")
        changed: dict[tuple[str, int], str] = {}
        touched = {_subject_of(item.link) for item in fresh}
        for item in fresh:
            for counter in (item.link.counter, item.link.counter + 1):
                place = (item.link.terminal_id, counter)
                link = around.get(place)
                if link is None:
                    continue
                before = around.get((place[0], counter - 1))
                verdict = chain_of(counter, link.previous, before.sha256 if before else None)
                if verdict != link.chain:
                    changed[place] = verdict.value
                    touched.add(link.subject_id)
                if verdict is Chain.BROKEN:
                    logger.error("chain broken terminal=%s counter=%d", place[0], counter)
        for terminal_id in {item.link.terminal_id for item in fresh}:
            own = [item for item in fresh if item.link.terminal_id == terminal_id]
            terminals.note_links(
                self._connection,
                terminal_id,
                counter=max(item.link.counter for item in own),
                records=sum(isinstance(item.link, CertificationRecord) for item in own),
                by_stick=self._by_stick,
                now=max(item.received_at for item in own),
            )
        links.set_chain(self._connection, changed)
        events = [item.link for item in fresh if isinstance(item.link, TerminalEvent)]
        note_endings(self._connection, events, now=self._now)
        cases.add_photos(self._connection, [item.link for item in fresh if isinstance(item.link, CaseRecord)])
        who = {subject for subject in touched if subject is not None}
        self._settle(fresh, who)
        project(self._connection, sorted(who), zone=self._zone, today=day_of(self._now, self._zone))
        for case in open_cases(self._connection, who, now=self._now, zone=self._zone):
            logger.warning(
                "a pass contradicts a report, stops frozen subject=%s case=%s", case.subject_id, case.case_id
            )
        self.fresh_records += [item.link.record_id for item in fresh if not isinstance(item.link, TerminalEvent)]
        self.projected |= who

    def _settle(self, fresh: list[AdmittedLink], who: set[str]) -> None:
        """Keep the references that the fresh links brought, and look again at the subjects whose references hang on these links."""
        bringing = [item for item in fresh if reference_in(item.link) is not None]
        sessions = [item.link.record_id for item in fresh if isinstance(item.link, CertificationRecord)]
        affected = made.with_made(self._connection, who) | made.adopt(self._connection, sessions)
        if (bringing or affected) and not self._may_touch:
            # Rosters will change: every terminal must be locked before anything else is.
            raise AllTerminals
        for item in bringing:
            subject_id = take(self._connection, self._settling.references, item.link, received_at=item.received_at)
            affected |= {found for found in (subject_id, _subject_of(item.link)) if found is not None}
        if affected:
            self._settling.settle(self._connection, affected, now=self._now)
            who |= affected
        proposing = [item.link for item in bringing if isinstance(item.link, CertificationRecord)]
        propose(self._connection, self._settling.references, proposing, now=self._now)

    def _take_from(self, terminal: StoredTerminal, kind: Kind, message: Inbound) -> None:
        try:
            if kind is Kind.RECORD:
                self._take_link(terminal, message)
            elif kind is Kind.ATTACHMENT:
                if message.payload.count(b".") != _SEAL_DOTS or not message.payload.isascii():
                    self._refuse(message, terminal.terminal_id, kind, Refusal.MALFORMED)
                elif terminal.suspended_at is not None and not message.is_released:
                    self._hold(terminal, kind, message)
                else:
                    self._pictures.append((terminal, message))
            elif kind is Kind.PRESENCE:
                payload = verify(message.payload, key_of=terminal.key_of, typ=PRESENCE_TYP).payload
                self._take_presence(terminal, Presence.parse(payload), message)
            elif kind is Kind.COMMAND_RESULT:
                payload = verify(message.payload, key_of=terminal.key_of, typ=RESULT_TYP).payload
                self._take_result(terminal, CommandResult.parse(payload), message)
            elif kind is Kind.COMMISSIONING:
                payload = verify(message.payload, key_of=terminal.key_of, typ=COMMISSIONING_TYP).payload
                self._take_report(terminal, CommissioningReport.parse(payload), message)
            else:
                payload = verify(message.payload, key_of=terminal.key_of, typ=ROSTER_REQUEST_TYP).payload
                self._take_request(terminal, RosterRequest.parse(payload), message)
        except SignatureInvalid:
            self._refuse(message, terminal.terminal_id, kind, Refusal.SIGNATURE)
        except UnsupportedVersion:
            self._refuse(message, terminal.terminal_id, kind, Refusal.UNSUPPORTED_VERSION)
        except ProtocolError:
            self._refuse(message, terminal.terminal_id, kind, Refusal.MALFORMED)

    def _hold(self, terminal: StoredTerminal, kind: Kind, message: Inbound) -> None:
        """Keep a copy for a person, and answer nothing: the terminal keeps its own."""
        sha256 = sha256_of(message.payload)
        is_kept = held.hold(
            self._connection,
            terminal.terminal_id,
            kind=kind.value,
            sha256=sha256,
            envelope=message.payload,
            received_at=message.received_at,
            by_stick=message.by_stick,
            most=held.MAX_RECORDS if kind is Kind.RECORD else self._most_unclaimed,
        )
        logger.warning("message held terminal=%s kind=%s kept=%s", terminal.terminal_id, kind.value, is_kept)

    def _store_picture(self, terminal: StoredTerminal, message: Inbound) -> None:
        """Store a sealed picture as it came. It is not signed: what makes it somebody's is that a case names its digest."""
        name, sha256 = terminal.terminal_id, sha256_of(message.payload)
        if cases.has_picture(self._connection, name, sha256):
            self._answer(name, sha256, Verdict.REPEATED)
            return
        is_named = sha256 in cases.named_pictures(self._connection, name, [sha256])
        if not is_named and terminal.retired_at is not None and not message.is_released:
            if held.held_of(self._connection, name).records:
                # The case that names it may be among them.
                self._hold(terminal, Kind.ATTACHMENT, message)
            else:
                self._refuse(message, name, Kind.ATTACHMENT, Refusal.RETIRED_TERMINAL)
            return
        if not is_named:
            waiting = cases.unclaimed_bytes(self._connection, name)
            if waiting + len(message.payload) > self._most_unclaimed:
                # No answer: the terminal keeps it and sends it again, by when the cases may be here.
                logger.warning("picture not taken terminal=%s unclaimed_bytes=%d", name, waiting)
                return
        arrived = Arrived(name, sha256, message.payload, message.received_at)
        cases.add_picture(self._connection, arrived)
        self.fresh_pictures.append((name, sha256))
        self._answer(name, sha256, Verdict.STORED)

    def _take_link(self, terminal: StoredTerminal, message: Inbound) -> None:
        typ = typ_of(message.payload)
        # What is no link at all is looked at as a record, whose signature then does not hold.
        payload = verify(message.payload, key_of=terminal.key_of, typ=typ if typ in _LINKS else RECORD_TYP).payload
        link = _LINKS[typ].parse(payload)
        if link.terminal_id != terminal.terminal_id:
            self._refuse(message, terminal.terminal_id, Kind.RECORD, Refusal.WRONG_TERMINAL)
        elif link.counter > MAX_COUNTER:
            self._refuse(message, terminal.terminal_id, Kind.RECORD, Refusal.OUT_OF_RANGE)
        elif terminal.suspended_at is not None and not message.is_released:
            self._hold(terminal, Kind.RECORD, message)
        else:
            self._links.append((link, message, sha256_of(message.payload)))

    def _take_presence(self, terminal: StoredTerminal, presence: Presence, message: Inbound) -> None:
        if (refusal := self._foreign(terminal, presence.fleet_id, presence.terminal_id)) is not None:
            self._refuse(message, terminal.terminal_id, Kind.PRESENCE, refusal)
            return
        if supersedes(presence, self._presence[terminal.terminal_id]):
            terminals.save_presence(self._connection, presence, now=message.received_at)
            terminal_health.save_health(self._connection, presence, now=message.received_at)
            note_reported(self._connection, presence, now=message.received_at)
            self._presence[terminal.terminal_id] = KnownPresence(
                presence.state, presence.connection, presence.boot_id, presence.said_at
            )

    def _take_request(self, terminal: StoredTerminal, request: RosterRequest, message: Inbound) -> None:
        if (refusal := self._foreign(terminal, request.fleet_id, request.terminal_id)) is not None:
            self._refuse(message, terminal.terminal_id, Kind.ROSTER_REQUEST, refusal)
            return
        self.roster_requests[terminal.terminal_id] = request.have
        # Answered like a record: the signed time in the receipt, bound to the terminal's question, sets the clock of one that has none.
        self._answer(terminal.terminal_id, sha256_of(message.payload), Verdict.STORED)

    def _take_result(self, terminal: StoredTerminal, result: CommandResult, message: Inbound) -> None:
        if (refusal := self._foreign(terminal, result.fleet_id, result.terminal_id)) is not None:
            self._refuse(message, terminal.terminal_id, Kind.COMMAND_RESULT, refusal)
            return
        is_new = terminal_commands.settle(self._connection, result, now=message.received_at)
        if is_new:
            logger.info("command answered terminal=%s verdict=%s", terminal.terminal_id, result.verdict)
        # Also of a command that this fleet does not know any more: the terminal need not say it again.
        verdict = Verdict.STORED if is_new else Verdict.REPEATED
        self._answer(terminal.terminal_id, sha256_of(message.payload), verdict)

    def _take_report(self, terminal: StoredTerminal, report: CommissioningReport, message: Inbound) -> None:
        if terminal.suspended_at is not None:
            # Not answered: the terminal keeps it, and sends it again once it is believed again.
            logger.info("report not taken now terminal=%s", terminal.terminal_id)
            return
        if (refusal := self._foreign(terminal, report.fleet_id, report.terminal_id)) is not None:
            self._refuse(message, terminal.terminal_id, Kind.COMMISSIONING, refusal)
            return
        sha256 = sha256_of(message.payload)
        is_new = commissionings.add(
            self._connection,
            report,
            sha256=sha256,
            envelope=message.payload,
            passed=report.passed and (self._settling.accept_simulated or not report.is_simulated),
            received_at=message.received_at,
        )
        if is_new:
            logger.info("commissioned terminal=%s passed=%s", terminal.terminal_id, report.passed)
        self._answer(terminal.terminal_id, sha256, Verdict.STORED if is_new else Verdict.REPEATED)

    def _foreign(self, terminal: StoredTerminal, fleet_id: str, terminal_id: str) -> Refusal | None:
        if fleet_id != self._fleet_id:
            return Refusal.WRONG_FLEET
        if terminal_id != terminal.terminal_id:
            return Refusal.WRONG_TERMINAL
        if terminal.retired_at is not None:
            return Refusal.RETIRED_TERMINAL
        return None if terminal.suspended_at is None else Refusal.SUSPENDED_TERMINAL

    def _refuse(self, message: Inbound, terminal_id: str, kind: str, reason: Refusal) -> None:
        known = terminal_id in self.terminals
        sha256 = sha256_of(message.payload)
        kept = quarantine.keep(
            self._connection,
            RefusedMessage(terminal_id, known, kind, reason, sha256, message.payload, message.received_at),
        )
        # Anyone who reaches the broker can invent names; they must not be able to fill the log.
        level = logging.WARNING if known else logging.DEBUG
        logger.log(
            level, "message refused terminal=%s kind=%s reason=%s kept=%s", terminal_id, kind, reason.value, kept
        )
        if known and kind in (Kind.RECORD, Kind.ATTACHMENT, Kind.COMMISSIONING):
            self._answer(terminal_id, sha256, Verdict.REFUSED, reason.value)

    def _answer(self, terminal_id: str, sha256: str, verdict: Verdict, reason: str | None = None) -> None:
        self.verdicts.setdefault(terminal_id, []).append(ReceiptItem(sha256=sha256, verdict=verdict, reason=reason))


def _subject_of(link: AnyLink) -> str | None:
    """Return whose status a link has a part in."""
    return link.claim.subject_id if isinstance(link, CertificationRecord) else None
