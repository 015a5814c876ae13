"""Sticks at the fleet: what terminals put onto them goes through the very handler MQTT feeds, and its answers go back onto the stick.

For each terminal: chunks are opened and their messages handled in batches; when all are committed the answers are written; only then
are the chunks removed that were taken in. Whatever is interrupted is done by doing it again, because the handler knows what it has.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleet.clock import Clock
from fleet.errors import DatabaseUnavailable, NotFound, StickUnusable
from fleet.ingest.handler import Handler
from fleet.ingest.messages import Inbound, Outbound
from fleet.keys import FleetKeys
from fleet.store import terminals
from fleet.store.database import Database
from fleet.store.terminals import StoredTerminal
from fleet.updates.bundles import bundle_file
from fleet.updates.desired import wanted_bundles
from protocol.courier import (
    ROOT,
    UPDATES,
    Address,
    ChunkName,
    CourierBundle,
    CourierChunk,
    courier_message,
    fleet_folder,
    sealed_bytes,
    split,
    update_file,
)
from protocol.courier_files import (
    BundleReader,
    BundleWriter,
    Problem,
    find_bundle,
    make_bundle,
    refuse_foreign,
    terminals_on,
)
from protocol.envelope import sha256_of, sign, verify
from protocol.keys import PublicJwk
from protocol.receipts import RECEIPT_TYP, Receipt, Verdict
from protocol.stick import Disk, Folder, StickFailed, StickFault, open_stick
from protocol.topics import Kind, Topic

logger = logging.getLogger(__name__)

OnProgress = Callable[[str, int, int], None]
"""Takes the terminal, how many of its chunks are done and their total."""


@dataclass(slots=True)
class Taken:
    """What was done for one terminal."""

    terminal_id: str
    stored: int = 0
    """Records that are new to the database."""
    repeated: int = 0
    """Records it had already: they came another way, or the stick was taken in before."""
    refused: int = 0
    set_aside: int = 0
    """Messages the fleet's own programs failed on; kept, without an answer."""
    pages: int = 0
    """Roster pages now on the stick."""
    bundles: int = 0
    """Bundles of updates now on the stick that this terminal is asked for."""
    problems: list[Problem] = field(default_factory=list)
    """Files that did not count; the others did."""
    failures: list[str] = field(default_factory=list)
    """What else a person has to look at, in words."""

    @property
    def is_in_order(self) -> bool:
        """Whether nobody has to look at anything."""
        return not (self.problems or self.failures or self.set_aside)


class FleetCourier:
    """Takes in and hands out sticks for one fleet.

    Args:
        database: where terminals are registered.
        keys: the fleet's; without a sealing key no stick can be read.
        handler: as ingest has it.
        fleet_id: the fleet.
        clock: the fleet's.
        batch_messages: most messages that share one transaction.
        bundles: folder of the bundles of updates; None where none are handed out.
        disk: how files are changed.

    Raises:
        KeysMissing: if the fleet has no sealing key yet.
    """

    def __init__(
        self,
        database: Database,
        keys: FleetKeys,
        handler: Handler,
        *,
        fleet_id: str,
        clock: Clock,
        batch_messages: int,
        bundles: Path | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._database = database
        self._keys = keys
        self._sealing = keys.sealing_key()
        self._handler = handler
        self._fleet_id = fleet_id
        self._clock = clock
        self._batch_messages = batch_messages
        self._bundles = bundles
        self._disk = disk

    def take_in(self, stick: Path, *, on_progress: OnProgress | None = None) -> list[Taken]:
        """Take in everything terminals put onto a stick, and write the answers onto it.

        A stick that is pulled out and a database that goes away end it early, which stands in the last one's `failures`.

        Raises:
            StickUnusable: if it cannot be read, or carries nothing of this fleet.
        """
        done: list[Taken] = []
        with self._open(stick) as root:
            for terminal_id in terminals_on(root, self._fleet_id):
                taken = Taken(terminal_id)
                done.append(taken)
                try:
                    self._take_in_one(root, taken, on_progress or _silent)
                except (DatabaseUnavailable, StickFailed) as error:
                    taken.failures.append(f"{error}; what was taken in until then counts, import the stick again")
                    break
        if not done:
            raise StickUnusable(f"stick {stick}: no terminal of fleet {self._fleet_id} has put anything onto it")
        return done

    def hand_out(self, stick: Path, terminal_id: str) -> tuple[int, int]:
        """Write a terminal's whole roster, what it is always to have and the bundles it is asked for onto a stick.

        Returns:
            The number of roster pages, and that of bundles which are on the stick now.

        Raises:
            NotFound: if no terminal of this name is in service.
            StickUnusable: if the stick cannot be worked on.
            DatabaseUnavailable: as any transaction.
        """
        terminal = self._terminal(terminal_id)
        if terminal is None or not terminal.is_in_service:
            raise NotFound(f"terminal {terminal_id}: none of this name is in service")
        with self._open(stick) as root:
            refuse_foreign(root, self._fleet_id)
            pages = self._handler.whole_roster(terminal_id)
            self._write(root, terminal, [*pages, *self._handler.standing(terminal_id)])
            return len(pages), self._write_updates(root, terminal_id)

    def _take_in_one(self, root: Folder, taken: Taken, on_progress: OnProgress) -> None:
        address = Address(self._fleet_id, taken.terminal_id, CourierBundle.RECORDS)
        folder = find_bundle(root, address)
        if folder is None:
            return
        with folder:
            terminal = self._terminal(taken.terminal_id)
            reader = BundleReader(
                folder, address, key=self._sealing, key_of=_nobody if terminal is None else terminal.key_of
            )
            if not reader.names:
                return
            if terminal is None:
                taken.failures.append(
                    "is not registered; register it (lifecert-fleet register-terminal) and import again, its data is still on the stick"
                )
                return
            if terminal.retired_at is not None:
                taken.failures.append("is retired: what it decided since then has no effect and is kept in quarantine")
            elif terminal.suspended_at is not None:
                taken.failures.append("is suspended: what it sends is held until a person has decided")
            taken.problems += reader.whole()
            names, answers = self._read(reader, taken, on_progress)
            if not names:
                return
            answers += self._handler.standing(taken.terminal_id)
            try:
                self._write(root, terminal, answers)
                taken.pages = sum(answer.topic.kind is Kind.ROSTER for answer in answers)
                reader.remove(names)
                taken.bundles = self._write_updates(root, taken.terminal_id)
            except StickFailed as error:
                if error.fault is StickFault.REMOVED:
                    raise
                taken.failures.append(f"all of it is in the database, but no answer could be written: {error}")

    def _read(
        self, reader: BundleReader, taken: Taken, on_progress: OnProgress
    ) -> tuple[list[ChunkName], list[Outbound]]:
        """Have all chunks handled; return those that were, and the answers."""
        names: list[ChunkName] = []
        answers: list[Outbound] = []
        batch: list[Inbound] = []
        for number, name in enumerate(reader.names):
            on_progress(taken.terminal_id, number, len(reader.names))
            found = reader.open(name)
            if isinstance(found, Problem):
                taken.problems.append(found)
                continue
            names.append(name)
            batch += self._arrivals(found)
            if len(batch) >= self._batch_messages:
                answers += self._handle(batch, taken)
                batch = []
        answers += self._handle(batch, taken)
        on_progress(taken.terminal_id, len(reader.names), len(reader.names))
        return names, answers

    def _arrivals(self, chunk: CourierChunk) -> list[Inbound]:
        now = self._clock()
        return [
            Inbound(
                str(Topic(chunk.fleet_id, chunk.terminal_id, message.kind)),
                message.envelope.encode(),
                now,
                by_stick=True,
            )
            for message in chunk.messages
        ]

    def _handle(self, batch: Sequence[Inbound], taken: Taken) -> list[Outbound]:
        if not batch:
            return []
        try:
            answers = self._handler.handle(batch)
        except DatabaseUnavailable:
            raise
        except Exception:
            # As at the top of the thread that takes messages from the broker: one message that we fail on costs no other.
            logger.exception("batch not handled messages=%d", len(batch))
            answers = [answer for message in batch for answer in self._handle_or_set_aside(message, taken)]
        # Questions get a receipt, too.
        records = {sha256_of(message.payload) for message in batch if message.topic.endswith(f"/{Kind.RECORD}")}
        for answer in answers:
            if answer.topic.kind is Kind.RECEIPT:
                self._count(answer, records, taken)
        return answers

    def _handle_or_set_aside(self, message: Inbound, taken: Taken) -> list[Outbound]:
        try:
            return self._handler.handle([message])
        except DatabaseUnavailable:
            raise
        except Exception:
            # As above.
            logger.exception("message set aside topic=%r", message.topic)
            self._handler.set_aside(message)
            taken.set_aside += 1
            return []

    def _count(self, answer: Outbound, records: Collection[str], taken: Taken) -> None:
        own = self._keys.signing.public()
        receipt = Receipt.parse(verify(answer.payload, key_of=lambda _: own, typ=RECEIPT_TYP).payload)
        verdicts = Counter(item.verdict for item in receipt.items if item.sha256 in records)
        taken.stored += verdicts[Verdict.STORED]
        taken.repeated += verdicts[Verdict.REPEATED]
        taken.refused += verdicts[Verdict.REFUSED]

    def _write(self, root: Folder, terminal: StoredTerminal, answers: Sequence[Outbound]) -> None:
        pages = [answer for answer in answers if answer.topic.kind is Kind.ROSTER]
        others = [answer for answer in answers if answer.topic.kind is not Kind.ROSTER]
        if others:
            self._write_bundle(root, terminal, CourierBundle.ANSWERS, others)
        if pages:
            # What was written before and not taken home yet can be made again, and would not fit together with these.
            self._write_bundle(root, terminal, CourierBundle.ROSTER, pages, is_replaced=True)

    def _write_updates(self, root: Folder, terminal_id: str) -> int:
        """Put the bundles that a terminal is asked for where every terminal finds them; return how many of them are there now.

        One that is there by its name is whole, as a file gets its name only then. It is told by the terminal, and sealed to nobody.
        """
        if self._bundles is None:
            return 0
        with self._database.begin() as connection:
            wanted = wanted_bundles(connection, terminal_id)
        paths = {bundle_id: bundle_file(self._bundles, bundle_id) for bundle_id in wanted}
        found = {bundle_id: path for bundle_id, path in paths.items() if path is not None and path.is_file()}
        if not found:
            return 0
        with (
            root.make_folder(ROOT) as ours,
            ours.make_folder(fleet_folder(self._fleet_id)) as fleet,
            fleet.make_folder(UPDATES) as updates,
        ):
            there = set(updates.names())
            missing = {each: path for each, path in found.items() if update_file(each) not in there}
            updates.need([path.stat().st_size for path in missing.values()])
            for bundle_id, path in missing.items():
                with path.open("rb") as source:
                    updates.write_from(update_file(bundle_id), source)
        return len(found)

    def _write_bundle(
        self,
        root: Folder,
        terminal: StoredTerminal,
        bundle: CourierBundle,
        answers: Sequence[Outbound],
        *,
        is_replaced: bool = False,
    ) -> None:
        groups = list(split(courier_message(answer.topic.kind, answer.payload) for answer in answers))
        address = Address(self._fleet_id, terminal.terminal_id, bundle)
        with make_bundle(root, address) as folder:
            folder.need([sealed_bytes(group) for group in groups])
            writer = BundleWriter(
                folder,
                address,
                sign=lambda payload, typ: sign(payload, key=self._keys.signing, typ=typ),
                writer_id=self._keys.signing.key_id,
                reader=terminal.sealing_key,
                made_at=self._clock(),
            )
            start = writer.next_sequence
            for number, group in enumerate(groups):
                content = writer.content([message.envelope.encode() for message in group])
                writer.put(start + number, content, group)
            writer.finish(is_replaced=lambda _name: is_replaced)

    def _terminal(self, terminal_id: str) -> StoredTerminal | None:
        with self._database.begin() as connection:
            return terminals.find_terminals(connection, [terminal_id]).get(terminal_id)

    @contextmanager
    def _open(self, stick: Path) -> Iterator[Folder]:
        try:
            with open_stick(stick, disk=self._disk) as root:
                yield root
        except StickFailed as error:
            raise StickUnusable(str(error)) from error


def _nobody(_key_id: str) -> PublicJwk | None:
    return None


def _silent(_terminal_id: str, _done: int, _total: int) -> None:
    """Take progress that nobody asked for."""
