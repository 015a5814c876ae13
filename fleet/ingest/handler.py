"""Verifies, admits and stores what terminals send, and says what to answer. Knows nothing of MQTT connections.

One call handles a batch in one transaction, or each message in its own where the database refuses the content of one. Answers (receipts,
roster pages) are returned only after the commit, so none exists for anything the database does not hold. A call that raises may be made
again with the same batch: what took effect then counts as repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from fleet.admission import Refusal
from fleet.cases.files import delete_files
from fleet.cases.opening import Registry, open_missing, take_in
from fleet.cases.pictures import PictureRules
from fleet.clock import Clock, day_of
from fleet.errors import DatabaseUnavailable, NotFound
from fleet.exchange.effects import settle_all
from fleet.ingest.batch import AllTerminals, Batch
from fleet.ingest.messages import Inbound, Outbound
from fleet.ingest.settling import Settling
from fleet.keys import FleetKeys
from fleet.references.cards import RESEND_AFTER, sealed_card_keys
from fleet.references.made import UNCLAIMED
from fleet.references.rosters import RosterIssuer
from fleet.staff.lists import RESEND_AFTER as STAFF_RESEND_AFTER
from fleet.staff.lists import StaffIssuer
from fleet.status.projection import reproject_outdated
from fleet.store import cards, cases, held, made, operators, policies, quarantine, rosters, terminals
from fleet.store.database import Database
from fleet.store.quarantine import RefusedMessage
from fleet.store.terminals import StoredTerminal
from fleet.terminals.commanding import open_commands
from fleet.updates.attestation import attestation, first_day
from fleet.updates.desired import signed_desired
from fleet.updates.rule_packs import signed_packs
from protocol.envelope import sha256_of, sign
from protocol.receipts import RECEIPT_TYP, Receipt, ReceiptItem
from protocol.topics import Kind, Topic

logger = logging.getLogger(__name__)

_RELEASED = 100
"""Held messages that are read at a time."""
_RECEIPT_ITEMS = 200
"""Items in one receipt: some 36 KB as sent, under the topic's limit of 64 KiB."""


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
        self._office = Registry(keys.cipher, self._zone)

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
        topic = message.parsed_topic()
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

    def take_released(self) -> list[Outbound]:
        """Take in what was held and a person has released, as of when it came; return the answers.

        Raises:
            DatabaseUnavailable: what was not taken in yet is the next time.
        """
        answers: list[Outbound] = []
        while True:
            with self._database.begin() as connection:
                found = held.released(connection, limit=_RELEASED)
            if not found:
                return answers
            for each in found:
                topic = str(Topic(self._fleet_id, each.terminal_id, Kind(each.kind)))
                answers += self._take_released(
                    Inbound(topic, each.envelope, each.received_at, each.by_stick, is_released=True)
                )
            with self._database.begin() as connection:
                held.forget(connection, [each.held_id for each in found])

    def _take_released(self, message: Inbound) -> list[Outbound]:
        try:
            return self.handle([message])
        except DatabaseUnavailable:
            raise
        except Exception:
            # As at the top of the thread that takes messages from the broker: one message that we fail on costs no other.
            logger.exception("released message set aside topic=%r", message.topic[:200])
            self.set_aside(message)
            return []

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
            if terminal is None or not terminal.is_in_service:
                raise NotFound(f"terminal {terminal_id}: none of this name is in service")
            return list(self._roster(connection, terminal, 0, self._clock()))

    def standing(self, only: str | None = None) -> list[Outbound]:
        """Return what every terminal in service, or one, is always to have.

        It is policy, rule packs, statement about its key, card keys, staff, and which bundles and settings it is asked for.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        return [
            *self.push_policy(only),
            *self.push_rule_packs(only),
            *self.push_attestations(only),
            *self.push_card_keys(only),
            *self.push_staff(only, anew=True),
            *self.push_desired(only),
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
            if terminal.is_in_service
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
            if terminal.is_in_service
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
            if terminal.is_in_service
        ]

    def push_card_keys(self, only: str | None = None) -> list[Outbound]:
        """Return the card keys for every terminal in service, or for one; empty if the fleet never had any.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        with self._database.begin() as connection:
            known = terminals.find_terminals(connection, None if only is None else [only])
            return self._card_keys(connection, [t for t in known.values() if t.is_in_service], self._clock())

    def push_staff(self, only: str | None = None, *, anew: bool = False) -> list[Outbound]:
        """Return the staff lists that changed or will soon run out, or all of them anew; for every terminal in service, or for one.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        with self._database.begin() as connection:
            known = terminals.find_terminals(connection, None if only is None else [only])
            wanted = [terminal for terminal in known.values() if terminal.is_in_service]
            return self._staff(connection, wanted, self._clock(), anew=anew)

    def push_desired(self, only: str | None = None, *, only_unsent: bool = False) -> list[Outbound]:
        """Return which bundles and settings terminals in service, all or one, are asked for; all, or those not sent since they changed.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        with self._database.begin() as connection:
            found = signed_desired(
                connection,
                self._keys,
                None if only is None else [only],
                fleet_id=self._fleet_id,
                only_unsent=only_unsent,
                now=self._clock(),
            )
        return [Outbound(Topic(self._fleet_id, name, Kind.DESIRED), signed) for name, signed in found]

    def push_commands(self, only: str | None = None, *, only_unsent: bool = False) -> list[Outbound]:
        """Return the commands that wait for an answer, of all terminals in service or of one; all of them, or those not sent before.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        with self._database.begin() as connection:
            return self._commands(connection, None if only is None else [only], only_unsent=only_unsent)

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
        # Before the day's jobs, which go by the packs of the day.
        settling = partial(settle_all, self._database, zone=self._zone, now=now)
        if projected := reproject_outdated(self._database, zone=self._zone, clock=self._clock, then=settling):
            logger.info("other rule packs hold today projected=%d", projected)
        for timer in self._timers:
            self._run(timer)

    def _run(self, timer: Timer) -> None:
        try:
            done = timer()
        except DatabaseUnavailable:
            raise
        except Exception:
            # Top of a task: a fault in one job keeps neither the others nor the terminals' rosters waiting; it runs again next time.
            logger.exception("daily job failed")
            return
        if done:
            logger.info("done today %s", " ".join(f"{table}={rows}" for table, rows in done.items()))

    def attestations_from(self) -> date:
        """Return the first day of the statements that would be made now; when it changes, they are to be sent anew."""
        return first_day(day_of(self._clock(), self._zone))

    def _handle(self, messages: Sequence[Inbound], *, forced: Refusal | None = None) -> list[Outbound]:
        try:
            return self._handle_once(messages, forced=forced)
        except AllTerminals:
            return self._handle_once(messages, forced=forced, is_everybody_locked=True)

    def _handle_once(
        self, messages: Sequence[Inbound], *, forced: Refusal | None, is_everybody_locked: bool = False
    ) -> list[Outbound]:
        now = self._clock()
        with self._database.begin() as connection:
            if is_everybody_locked:
                terminals.find_terminals(connection, lock=True)
            batch = Batch(
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
            # A terminal asks for its roster whenever it connects: what it missed while it was away is said once more.
            if not any(message.by_stick for message in messages):
                answers += self._commands(connection, list(batch.roster_requests))
            answers += self._staff_due(connection, batch)
        return [*self._receipts(batch.verdicts), *answers]

    def _roster(self, connection: Connection, terminal: StoredTerminal, have: int, now: datetime) -> Iterable[Outbound]:
        topic = Topic(self._fleet_id, terminal.terminal_id, Kind.ROSTER)
        pages = self._rosters.pages(connection, terminal, have=have, now=now, today=day_of(now, self._zone))
        return [Outbound(topic, page) for page in pages]

    def _commands(
        self, connection: Connection, only: Sequence[str] | None, *, only_unsent: bool = False
    ) -> list[Outbound]:
        if only is not None and not only:
            return []
        found = open_commands(
            connection, self._keys, fleet_id=self._fleet_id, only=only, now=self._clock(), only_unsent=only_unsent
        )
        return [Outbound(Topic(self._fleet_id, name, kind), signed) for name, kind, signed in found]

    def _card_keys_due(self, connection: Connection, batch: Batch) -> list[Outbound]:
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

    def _staff_due(self, connection: Connection, batch: Batch) -> list[Outbound]:
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
