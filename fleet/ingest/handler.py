"""Verifies, admits and stores what terminals send, and says what to answer. Knows nothing of MQTT connections.

One call handles a batch in one transaction, or each message in its own where the database refuses the content of one. Answers (receipts,
roster pages) are returned only after the commit, so none exists for anything the database does not hold. A call that raises may be made
again with the same batch: what took effect then counts as repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection
from sqlalchemy.exc import DataError

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
from fleet.cases.files import delete_files
from fleet.cases.opening import Office, open_missing, take_in
from fleet.cases.pictures import PictureRules
from fleet.clock import Clock, day_of
from fleet.errors import DatabaseUnavailable, NotFound
from fleet.exchange.effects import settle_all
from fleet.ingest.settling import Settling
from fleet.keys import FleetKeys
from fleet.references.cards import RESEND_AFTER, sealed_card_keys
from fleet.references.made import UNCLAIMED, propose, reference_in, take
from fleet.references.rosters import RosterIssuer
from fleet.staff.lists import RESEND_AFTER as STAFF_RESEND_AFTER
from fleet.staff.lists import StaffIssuer
from fleet.status.background import Background, background_of
from fleet.status.projection import project, reproject_outdated
from fleet.store import cards, cases, links, made, operators, policies, quarantine, rosters, terminals
from fleet.store.cases import Arrived
from fleet.store.database import Database
from fleet.store.links import AdmittedLink, ChainLink
from fleet.store.quarantine import RefusedMessage
from fleet.store.terminals import StoredTerminal
from fleet.updates.attestation import attestation, first_day
from fleet.updates.rule_packs import signed_packs
from protocol.cases import CASE_TYP, CaseRecord
from protocol.envelope import sha256_of, sign, typ_of, verify
from protocol.errors import ProtocolError, SignatureInvalid, UnsupportedVersion
from protocol.events import EVENT_TYP, TerminalEvent
from protocol.presence import PRESENCE_TYP, Presence
from protocol.receipts import RECEIPT_TYP, Receipt, ReceiptItem, Verdict
from protocol.records import RECORD_TYP, CertificationRecord
from protocol.roster import ROSTER_REQUEST_TYP, RosterRequest
from protocol.topics import Kind, Topic

logger = logging.getLogger(__name__)

_RECEIPT_ITEMS = 200
"""Items in one receipt: some 36 KB as sent, under the topic's limit of 64 KiB."""
_LINKS: dict[str, type[CertificationRecord | CaseRecord | TerminalEvent]] = {
    RECORD_TYP: CertificationRecord,
    CASE_TYP: CaseRecord,
    EVENT_TYP: TerminalEvent,
}
"""By the type in the signed header."""
_SEAL_DOTS = 4
"""In a compact JWE. Source: RFC 7516 section 3.1."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message as it arrived."""

    topic: str
    payload: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message to publish, with the QoS and retain flag of its topic."""

    topic: Topic
    payload: bytes


Timer = Callable[[], Mapping[str, int]]
"""Does what time alone asks for, however often it is called; returns rows by table."""


class Handler:
    """Handles batches for one fleet; holds no state but the database."""

    def __init__(
        self,
        database: Database,
        keys: FleetKeys,
        *,
        fleet_id: str,
        settling: Settling,
        statement_months: int,
        key_domain: str | None,
        pictures: PictureRules,
        clock: Clock,
        timers: Sequence[Timer] = (),
    ) -> None:
        self._timers = timers
        self._database = database
        self._keys = keys
        self._fleet_id = fleet_id
        self._settling = settling
        self._zone = settling.references.zone
        self._statement_months = statement_months
        self._pictures = pictures
        self._clock = clock
        self._rosters = RosterIssuer(fleet_id, keys, key_domain=key_domain)
        self._office = Office(keys.cipher, self._zone)

    def handle(self, messages: Sequence[Inbound]) -> list[Outbound]:
        """Take in a batch and return the answers to it.

        Raises:
            DatabaseUnavailable: nothing may have taken effect; call again with the same messages.
        """
        try:
            return self._handle(messages)
        except DataError as error:
            # The database refuses the content of some message, such as a NUL character inside a text. Any other complaint is
            # about our own statements: then nothing may be refused to a terminal, which would not send it again.
            if len(messages) > 1:
                return [answer for message in messages for answer in self.handle([message])]
            logger.warning("message not storable topic=%r error=%s", messages[0].topic[:200], type(error.orig).__name__)
            return self._handle(messages, forced=Refusal.NOT_STORABLE)

    def set_aside(self, message: Inbound) -> None:
        """Keep a message that the fleet's own programs fail on, without an answer: the terminal sends it again.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        topic = _topic(message.topic)
        name, kind = ("", "topic") if topic is None else (topic.terminal_id, topic.kind.value)
        with self._database.begin() as connection:
            quarantine.keep(
                connection,
                RefusedMessage(
                    name,
                    bool(terminals.find_terminals(connection, [name])),
                    kind,
                    Refusal.NOT_HANDLED,
                    sha256_of(message.payload),
                    message.payload,
                    message.received_at,
                ),
            )

    def push_rosters(self) -> list[Outbound]:
        """Return pages for all terminals whose newest roster version was not sent yet.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        now = self._clock()
        answers: list[Outbound] = []
        with self._database.begin() as connection:
            names = rosters.behind(connection)
            for terminal in terminals.find_terminals(connection, names, lock=True).values():
                # Another worker may have sent it while this one waited for the lock.
                if terminal.roster_pushed < rosters.renumber_outdated(connection, terminal.terminal_id):
                    answers += self._roster(connection, terminal, terminal.roster_pushed, now)
        return answers

    def whole_roster(self, terminal_id: str) -> list[Outbound]:
        """Return a terminal's roster from version 0, for one that cannot be asked what it has.

        Raises:
            NotFound: if no terminal of this name is in service.
            DatabaseUnavailable: as any transaction.
        """
        with self._database.begin() as connection:
            terminal = terminals.find_terminals(connection, [terminal_id], lock=True).get(terminal_id)
            if terminal is None or terminal.retired_at is not None:
                raise NotFound(f"terminal {terminal_id}: none of this name is in service")
            return list(self._roster(connection, terminal, 0, self._clock()))

    def standing(self, only: str | None = None) -> list[Outbound]:
        """Return what every terminal in service, or one, is always to have: policy, rule packs, statement about its key, card keys, staff.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        return [
            *self.push_policy(only),
            *self.push_rule_packs(only),
            *self.push_attestations(only),
            *self.push_card_keys(only),
            *self.push_staff(only, anew=True),
        ]

    def push_policy(self, only: str | None = None) -> list[Outbound]:
        """Return the policy in force for every terminal in service, or for one; empty if there is none.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        with self._database.begin() as connection:
            newest = policies.newest_policy(connection)
            known = terminals.find_terminals(connection, None if only is None else [only])
        if newest is None:
            return []
        return [
            Outbound(Topic(self._fleet_id, terminal.terminal_id, Kind.POLICY), newest.envelope)
            for terminal in known.values()
            if terminal.retired_at is None
        ]

    def push_rule_packs(self, only: str | None = None) -> list[Outbound]:
        """Return the rule packs in force for every terminal in service, or for one; empty if none was ever published.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        with self._database.begin() as connection:
            signed = signed_packs(connection, self._keys, today=day_of(self._clock(), self._zone))
            known = terminals.find_terminals(connection, None if only is None else [only])
        if signed is None:
            return []
        return [
            Outbound(Topic(self._fleet_id, terminal.terminal_id, Kind.RULE_PACKS), signed)
            for terminal in known.values()
            if terminal.retired_at is None
        ]

    def push_attestations(self, only: str | None = None) -> list[Outbound]:
        """Return the fleet's statement about its key for every terminal in service, or for one.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        now = self._clock()
        with self._database.begin() as connection:
            known = terminals.find_terminals(connection, None if only is None else [only])
        return [
            Outbound(
                Topic(self._fleet_id, terminal.terminal_id, Kind.ATTESTATION),
                attestation(
                    terminal,
                    self._keys,
                    fleet_id=self._fleet_id,
                    today=day_of(now, self._zone),
                    months=self._statement_months,
                    now=now,
                ),
            )
            for terminal in known.values()
            if terminal.retired_at is None
        ]

    def push_card_keys(self, only: str | None = None) -> list[Outbound]:
        """Return the card keys for every terminal in service, or for one; empty if the fleet never had any.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        with self._database.begin() as connection:
            known = terminals.find_terminals(connection, None if only is None else [only])
            return self._card_keys(connection, [t for t in known.values() if t.retired_at is None], self._clock())

    def push_staff(self, only: str | None = None, *, anew: bool = False) -> list[Outbound]:
        """Return the staff lists that changed or will soon run out, or all of them anew; for every terminal in service, or for one.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        with self._database.begin() as connection:
            known = terminals.find_terminals(connection, None if only is None else [only])
            wanted = [terminal for terminal in known.values() if terminal.retired_at is None]
            return self._staff(connection, wanted, self._clock(), anew=anew)

    def clean(self) -> None:
        """Do what time alone asks for.

        Pictures, files and features whose time is over are deleted, the rule packs of the day are gone over to, and records that ask for
        a case and have none (they were here before there were cases) get one.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        now, rules = self._clock(), self._pictures
        with self._database.begin() as connection:
            pictures = cases.delete_pictures(
                connection, closed_before=now - rules.kept, unclaimed_before=now - rules.unclaimed
            )
            files = delete_files(connection, over_before=now - rules.kept, now=now)
            features = made.forget_unclaimed(connection, received_before=now - UNCLAIMED)
        if pictures or files or features:
            logger.info("deleted pictures=%d files=%d features=%d", pictures, files, features)
        accepted = self._settling.accept_simulated
        if opened := open_missing(self._database, self._office, accept_simulated=accepted, clock=self._clock):
            logger.info("cases put in order cases=%d", opened)
        for timer in self._timers:
            if done := timer():
                logger.info("done today %s", " ".join(f"{table}={rows}" for table, rows in done.items()))
        if projected := reproject_outdated(self._database, zone=self._zone, clock=self._clock):
            settled = settle_all(self._database, zone=self._zone, now=now)
            logger.info(
                "other rule packs hold today projected=%d silent_acts=%d withdrawn=%d",
                projected,
                settled.certified,
                settled.withdrawn,
            )

    def attestations_from(self) -> date:
        """Return the first day of the statements that would be made now; when it changes, they are to be sent anew."""
        return first_day(day_of(self._clock(), self._zone))

    def _handle(self, messages: Sequence[Inbound], *, forced: Refusal | None = None) -> list[Outbound]:
        try:
            return self._handle_once(messages, forced=forced)
        except _AllTerminals:
            return self._handle_once(messages, forced=forced, is_everybody_locked=True)

    def _handle_once(
        self, messages: Sequence[Inbound], *, forced: Refusal | None, is_everybody_locked: bool = False
    ) -> list[Outbound]:
        now = self._clock()
        with self._database.begin() as connection:
            if is_everybody_locked:
                terminals.find_terminals(connection, lock=True)
            batch = _Batch(
                connection,
                self._fleet_id,
                self._settling,
                messages,
                now=now,
                may_touch=is_everybody_locked,
                most_unclaimed=self._pictures.unclaimed_bytes,
            )
            for message in messages:
                batch.take(message, forced)
            batch.finish()
            take_in(
                connection,
                self._office,
                records=batch.fresh_records,
                pictures=batch.fresh_pictures,
                subjects=sorted(batch.projected),
                accept_simulated=self._settling.accept_simulated,
                now=now,
            )
            answers: list[Outbound] = []
            for terminal_id, have in batch.roster_requests.items():
                terminal = batch.terminals[terminal_id]
                answers += self._roster(connection, terminal, have, self._clock())
            answers += self._card_keys_due(connection, batch)
            answers += self._staff_due(connection, batch)
        return [*self._receipts(batch.verdicts), *answers]

    def _roster(self, connection: Connection, terminal: StoredTerminal, have: int, now: datetime) -> Iterable[Outbound]:
        topic = Topic(self._fleet_id, terminal.terminal_id, Kind.ROSTER)
        pages = self._rosters.pages(connection, terminal, have=have, now=now, today=day_of(now, self._zone))
        return [Outbound(topic, page) for page in pages]

    def _card_keys_due(self, connection: Connection, batch: _Batch) -> list[Outbound]:
        """Return card keys for the terminals that ask for their roster and have none, or old ones."""
        asking = batch.roster_requests
        if not asking:
            return []
        now = self._clock()
        due = set(cards.terminals_due(connection, list(asking), sent_before=now - RESEND_AFTER))
        # A terminal that has no roster may have lost its database.
        due |= {name for name, have in asking.items() if have == 0}
        return self._card_keys(connection, [batch.terminals[name] for name in sorted(due)], now)

    def _card_keys(self, connection: Connection, wanted: Sequence[StoredTerminal], now: datetime) -> list[Outbound]:
        if not wanted or not cards.has_keys(connection):
            return []
        cards.note_sent(connection, [terminal.terminal_id for terminal in wanted], now=now)
        return [
            Outbound(
                Topic(self._fleet_id, terminal.terminal_id, Kind.CARD_KEYS),
                sealed_card_keys(connection, self._keys, terminal, fleet_id=self._fleet_id, now=now, zone=self._zone),
            )
            for terminal in wanted
        ]

    def _staff_due(self, connection: Connection, batch: _Batch) -> list[Outbound]:
        """Return staff lists for the terminals that ask for their roster and have none, or one that will run out.

        Changes are not looked for here: whoever makes one says so, and the broker keeps the list for terminals that were away.
        """
        asking = batch.roster_requests
        if not asking:
            return []
        now = self._clock()
        known = operators.sent_staff(connection, asking)
        # A terminal that has no roster may have lost its staff list with it.
        due = [
            batch.terminals[name]
            for name, have in sorted(asking.items())
            if have == 0 or known[name].is_stale(now, STAFF_RESEND_AFTER)
        ]
        return self._staff(connection, due, now, anew=True) if due else []

    def _staff(
        self, connection: Connection, wanted: Sequence[StoredTerminal], now: datetime, *, anew: bool = False
    ) -> list[Outbound]:
        issuer = StaffIssuer(connection, self._keys, fleet_id=self._fleet_id, now=now, zone=self._zone)
        return [
            Outbound(Topic(self._fleet_id, name, Kind.STAFF), sealed)
            for name, sealed in issuer.due(wanted, anew=anew).items()
        ]

    def _receipts(self, verdicts: dict[str, list[ReceiptItem]]) -> list[Outbound]:
        answers: list[Outbound] = []
        for terminal_id, items in verdicts.items():
            for start in range(0, len(items), _RECEIPT_ITEMS):
                receipt = Receipt(
                    fleet_id=self._fleet_id,
                    terminal_id=terminal_id,
                    fleet_time=self._clock(),
                    items=tuple(items[start : start + _RECEIPT_ITEMS]),
                )
                signed = sign(receipt.to_bytes(), key=self._keys.signing, typ=RECEIPT_TYP)
                answers.append(Outbound(Topic(self._fleet_id, terminal_id, Kind.RECEIPT), signed))
        return answers


class _AllTerminals(Exception):
    """A batch that changes rosters: it is begun anew with all terminals locked."""


class _Batch:
    """One transaction's work."""

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
        self._pictures: list[tuple[StoredTerminal, Inbound]] = []
        self._links: list[tuple[AnyLink, Inbound, str]] = []
        names = {topic.terminal_id for message in messages if (topic := _topic(message.topic)) is not None}
        self.terminals = terminals.find_terminals(connection, sorted(names), lock=True)
        self._presence = {name: terminal.presence for name, terminal in self.terminals.items()}

    def take(self, message: Inbound, forced: Refusal | None) -> None:
        """Look at one message; links are only collected."""
        topic = _topic(message.topic)
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
        """Store what was collected: links first, so that a picture finds the case that names it."""
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
                retired_at=terminal.retired_at,
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
                now=max(item.received_at for item in own),
            )
        links.set_chain(self._connection, changed)
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
        affected = made.with_made(self._connection, who)
        if (bringing or affected) and not self._may_touch:
            # Rosters will change: every terminal must be locked before anything else is.
            raise _AllTerminals
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
                else:
                    self._pictures.append((terminal, message))
            elif kind is Kind.PRESENCE:
                payload = verify(message.payload, key_of=terminal.key_of, typ=PRESENCE_TYP).payload
                self._take_presence(terminal, Presence.parse(payload), message)
            else:
                payload = verify(message.payload, key_of=terminal.key_of, typ=ROSTER_REQUEST_TYP).payload
                self._take_request(terminal, RosterRequest.parse(payload), message)
        except SignatureInvalid:
            self._refuse(message, terminal.terminal_id, kind, Refusal.SIGNATURE)
        except UnsupportedVersion:
            self._refuse(message, terminal.terminal_id, kind, Refusal.UNSUPPORTED_VERSION)
        except ProtocolError:
            self._refuse(message, terminal.terminal_id, kind, Refusal.MALFORMED)

    def _store_picture(self, terminal: StoredTerminal, message: Inbound) -> None:
        """Store a sealed picture as it came. It is not signed: what makes it somebody's is that a case names its digest."""
        name, sha256 = terminal.terminal_id, sha256_of(message.payload)
        if cases.has_picture(self._connection, name, sha256):
            self._answer(name, sha256, Verdict.REPEATED)
            return
        is_named = sha256 in cases.named_pictures(self._connection, name, [sha256])
        if not is_named and terminal.retired_at is not None:
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
        else:
            self._links.append((link, message, sha256_of(message.payload)))

    def _take_presence(self, terminal: StoredTerminal, presence: Presence, message: Inbound) -> None:
        if (refusal := self._foreign(terminal, presence.fleet_id, presence.terminal_id)) is not None:
            self._refuse(message, terminal.terminal_id, Kind.PRESENCE, refusal)
            return
        if supersedes(presence, self._presence[terminal.terminal_id]):
            terminals.save_presence(self._connection, presence, now=message.received_at)
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

    def _foreign(self, terminal: StoredTerminal, fleet_id: str, terminal_id: str) -> Refusal | None:
        if fleet_id != self._fleet_id:
            return Refusal.WRONG_FLEET
        if terminal_id != terminal.terminal_id:
            return Refusal.WRONG_TERMINAL
        return None if terminal.retired_at is None else Refusal.RETIRED_TERMINAL

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
        if known and kind in (Kind.RECORD, Kind.ATTACHMENT):
            self._answer(terminal_id, sha256, Verdict.REFUSED, reason.value)

    def _answer(self, terminal_id: str, sha256: str, verdict: Verdict, reason: str | None = None) -> None:
        self.verdicts.setdefault(terminal_id, []).append(ReceiptItem(sha256=sha256, verdict=verdict, reason=reason))


def _subject_of(link: AnyLink) -> str | None:
    """Return whose status a link has a part in."""
    return link.claim.subject_id if isinstance(link, CertificationRecord) else None


def _topic(name: str) -> Topic | None:
    try:
        return Topic.parse(name)
    except ProtocolError:
        return None
