"""Works with one stick: takes home what the fleet sent, and puts onto it what the fleet has not confirmed.

Nothing in the outbox changes by an export: a stick in a pocket is no confirmation. Only the receipts that come home on it, or over
the network meanwhile, move a record to acknowledged; a record that went both ways is known to the fleet by its digest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import count, groupby
from pathlib import Path
from typing import assert_never

from device.errors import (
    KeyUnusable,
    StickForeign,
    StickFull,
    StickMissing,
    StickReadOnly,
    StickRemoved,
    StickUnusable,
    UpdatesUnavailable,
)
from device.ports import (
    AttachmentStore,
    AttestationStore,
    Clock,
    DesiredStore,
    Outbox,
    OutboxRow,
    PolicyStore,
    ReferenceStore,
    RulePackStore,
    Signer,
    StaffStore,
    UpdateShelf,
)
from device.uplink.inbox import AttestationToken, DesiredToken, Inbound, Inbox, PolicyToken, RulePacksToken, why_refused
from device.uplink.loop import CURABLE
from protocol.commands import CommandWithdrawal, TerminalCommand
from protocol.courier import (
    BLOCK,
    MOST_CHUNKS,
    Address,
    ChunkName,
    CourierBundle,
    CourierChunk,
    CourierMessage,
    courier_message,
    sealed_bytes,
    split,
    update_file,
)
from protocol.courier_files import (
    BundleReader,
    BundleWriter,
    Problem,
    ProblemKind,
    find_bundle,
    find_updates,
    make_bundle,
)
from protocol.desired import MOST_BUNDLE_FILE_BYTES, DesiredBundle
from protocol.errors import Malformed, ProtocolError, SignatureInvalid
from protocol.keys import PrivateKey, PublicJwk
from protocol.receipts import Receipt, ReceiptItem, Verdict
from protocol.reference_card import CardKeys
from protocol.registration import FleetIdentity
from protocol.roster import ROSTER_REQUEST_TYP, RosterPage, RosterRequest
from protocol.staff import StaffList
from protocol.stick import Disk, Folder, StickFailed, StickFault, open_stick
from protocol.times import best_guess
from protocol.topics import Kind, Topic

logger = logging.getLogger(__name__)

_PAGE_ROWS = 40 * BLOCK
"""Rows read from the outbox at once: some 8 MB."""
_MOST_RETRIED = 1000
_PICTURES = 10**12 - 2
"""Sequence of chunks with a picture: after the records that name them."""
_QUESTION = 10**12 - 1
"""Sequence of the chunk with the question for roster changes: after everything else."""
_BUNDLES = (CourierBundle.ANSWERS, CourierBundle.ROSTER)
_WHY = {
    ProblemKind.FORGED: "signature",
    ProblemKind.FOREIGN: "other_terminal",
    ProblemKind.DAMAGED: "malformed",
    ProblemKind.UNSUPPORTED: "malformed",
    ProblemKind.MISSING: "incomplete",
    ProblemKind.UNFINISHED: "incomplete",
    ProblemKind.NO_ROOM: "incomplete",
}
"""Why a file is refused; one that is merely `INVALID` was opened, and what was wrong with its messages is told of each."""

_DAMAGED = frozenset({"not_a_bundle", "cut_short", "too_long", "other_file", "other_bundle"})
"""Codes of `protocol.bundle` that say of a bundle of updates that it is not what was written; the others, that it does not fit here."""
_ERRORS: dict[StickFault, type[StickUnusable]] = {
    StickFault.ABSENT: StickMissing,
    StickFault.REMOVED: StickRemoved,
    StickFault.FULL: StickFull,
    StickFault.READ_ONLY: StickReadOnly,
    StickFault.FOREIGN: StickForeign,
}


class Step(StrEnum):
    """What is being done."""

    READING = "reading"
    """Chunks of the fleet."""
    CHECKING = "checking"
    """Chunks that an earlier export left on the stick."""
    WRITING = "writing"
    """Records."""


OnProgress = Callable[[Step, int, int], None]
"""Takes the step, how much of it is done and the total."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a courier works with; the same stores as the terminal's and the uplink's."""

    outbox: Outbox
    references: ReferenceStore
    policies: PolicyStore
    packs: RulePackStore
    attestations: AttestationStore
    staff: StaffStore
    attachments: AttachmentStore
    signer: Signer
    clock: Clock
    inbox: Inbox
    desired: DesiredStore
    shelf: UpdateShelf


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did."""

    records: int
    """On the stick now, of those the fleet has not confirmed."""
    chunks_written: int
    chunks_kept: int
    """Were on the stick whole, from an export before."""
    left: int
    """Records and pictures beyond what one stick takes; they go with the next."""
    pictures: int = 0
    """Sealed pictures of cases on the stick now."""


@dataclass(slots=True)
class Imported:
    """What an import did."""

    confirmed: int = 0
    """Records that were unconfirmed until now."""
    refused: int = 0
    """Records that the fleet refuses, for the first time."""
    pictures: int = 0
    """Sealed pictures of cases that the fleet has now."""
    pictures_refused: int = 0
    """Sealed pictures of cases that the fleet refuses, for the first time."""
    pages: int = 0
    """Roster pages applied."""
    pages_unfit: int = 0
    """Roster pages of another version than the one here; the next export asks for the right ones."""
    expired: int = 0
    """Roster pages and card keys that were under way too long."""
    updates: int = 0
    """Bundles of updates that this terminal was to have, and has now."""
    policy: str | None = None
    """Version of the policy in force afterwards, if one came."""
    chunks: int = 0
    problems: list[Problem] = field(default_factory=list)
    """Files that did not count; the others did."""


class Courier:
    """Imports from and exports to a stick. While the terminal and the uplink run; the stores are made for that.

    Args:
        fleet: the terminal's fleet; without a sealing key nothing can be exported.
        terminal_id: the terminal.
        parts: stores, keys, clock.
        sealing_key: opens what the fleet sealed to this terminal.
        mount_root: see `device.settings.Courier`.
        keep: how many acknowledged records stay in the outbox.
        disk: how files are changed.
        on_refused: called with what it was and why when something on a stick is refused: for a message its topic kind and
            `device.uplink.inbox.why_refused`; for files the bundle, and in addition `incomplete`, once an import for each reason.
    """

    def __init__(
        self,
        fleet: FleetIdentity,
        terminal_id: str,
        parts: Parts,
        *,
        sealing_key: PrivateKey,
        mount_root: Path | None,
        keep: int,
        disk: Disk | None = None,
        on_refused: Callable[[Kind | CourierBundle, str], None] = lambda _kind, _why: None,
    ) -> None:
        self._fleet = fleet
        self._terminal_id = terminal_id
        self._parts = parts
        self._sealing_key = sealing_key
        self._mount_root = mount_root
        self._keep = keep
        self._disk = disk
        self._on_refused = on_refused

    def sync(self, stick: Path, *, on_progress: OnProgress | None = None) -> tuple[Imported, Exported]:
        """Import, then export: what somebody who comes by with a stick wants.

        Raises:
            StickUnusable: see its subclasses; what was done until then counts, and doing it again finishes it.
            KeyUnusable: if the fleet's identity has no sealing key.
            DeviceError: if a store cannot be used.
        """
        self._reader_key()
        with self._open(stick) as root:
            imported = self._import(root, on_progress)
            return imported, self._export(root, on_progress, everything=False)

    def import_from(self, stick: Path, *, on_progress: OnProgress | None = None) -> Imported:
        """Take home receipts, roster pages and policy, and remove from the stick what was taken.

        Raises:
            StickForeign: if it carries nothing for this terminal.
            StickUnusable: as `sync`.
            DeviceError: as `sync`.
        """
        with self._open(stick) as root:
            imported = self._import(root, on_progress)
        if not imported.chunks and not imported.problems and not imported.updates:
            raise StickForeign(
                f"stick {stick}: carries nothing for terminal {self._terminal_id}; take it to the fleet first",
                "nothing",
            )
        return imported

    def export_to(self, stick: Path, *, on_progress: OnProgress | None = None, everything: bool = False) -> Exported:
        """Put onto the stick what the fleet has not confirmed, and the question for roster changes.

        Args:
            stick: where it is mounted.
            on_progress: told what is done.
            everything: confirmed records that are still here as well, when the fleet asks for its history again.

        Raises:
            StickUnusable: as `sync`.
            KeyUnusable: if the fleet's identity has no sealing key.
            DeviceError: as `sync`.
        """
        self._reader_key()
        with self._open(stick) as root:
            return self._export(root, on_progress, everything=everything)

    def _import(self, root: Folder, on_progress: OnProgress | None) -> Imported:
        done = Imported()
        for bundle in _BUNDLES:
            address = self._address(bundle)
            folder = find_bundle(root, address)
            if folder is not None:
                with folder:
                    self._import_bundle(folder, address, done, on_progress)
        self._import_updates(root, done)
        # A terminal that never has a network has nobody else who does this.
        self._parts.references.expire(self._parts.clock.now())
        self._parts.outbox.purge(self._keep)
        return done

    def _import_bundle(self, folder: Folder, address: Address, done: Imported, on_progress: OnProgress | None) -> None:
        reader = BundleReader(folder, address, key=self._sealing_key, key_of=self._fleet.signing_key.only)
        told: set[str] = set()
        for problem in reader.whole():
            self._leave_out(problem, address.bundle, done, told)
        taken: list[ChunkName] = []
        newest: datetime | None = None
        for number, name in enumerate(reader.names):
            _tell(on_progress, Step.READING, number, len(reader.names))
            found = reader.open(name)
            if isinstance(found, Problem):
                self._leave_out(found, address.bundle, done, told)
                continue
            newest = found.made_at if newest is None else max(newest, found.made_at)
            if self._take(found, done):
                taken.append(name)
            else:
                done.problems.append(Problem(str(name), ProblemKind.INVALID))
        if newest is not None:
            # Signed by the fleet, and older than this moment by the stick's journey: a lower bound and nothing more.
            self._parts.clock.note_fleet_time(newest)
        _tell(on_progress, Step.READING, len(reader.names), len(reader.names))
        done.chunks += len(taken)
        try:
            reader.remove(taken)
        except StickFailed as error:
            # Everything is stored; a stick that cannot be written to, or was pulled out now, is read once more another time.
            logger.warning("what was taken in stays on the stick reason=%s", error.fault)

    def _import_updates(self, root: Folder, done: Imported) -> None:
        """Copy the bundles that this terminal is to have; they stay on the stick, for the next one."""
        folder = find_updates(root, self._fleet.fleet_id)
        if folder is None:
            return
        with folder:
            for want in self._parts.shelf.lacking():
                name = update_file(want.bundle_id)
                with folder.stream(name, MOST_BUNDLE_FILE_BYTES) as pieces:
                    if pieces is not None:
                        self._import_update(want, name, pieces, done)

    def _import_update(self, want: DesiredBundle, name: str, pieces: Iterator[bytes], done: Imported) -> None:
        try:
            self._parts.shelf.put(want, pieces)
        except ProtocolError as error:
            logger.warning("bundle on the stick refused kind=%s why=%s", want.kind, error.code)
            done.problems.append(Problem(name, _kind_of(error)))
            self._on_refused(Kind.DESIRED, why_refused(error))
        except UpdatesUnavailable as error:
            logger.warning("bundle on the stick not taken kind=%s why=%s", want.kind, error)
            done.problems.append(Problem(name, ProblemKind.NO_ROOM))
        else:
            done.updates += 1

    def _leave_out(self, problem: Problem, bundle: CourierBundle, done: Imported, told: set[str]) -> None:
        """Note a file that does not count; `told` has the reasons that were given before."""
        done.problems.append(problem)
        why = _WHY[problem.kind]
        if why not in told:
            told.add(why)
            logger.warning("left out bundle=%s why=%s", bundle, why)
            self._on_refused(bundle, why)

    def _take(self, chunk: CourierChunk, done: Imported) -> bool:
        """Apply a chunk's messages; return whether all of them were what they have to be."""
        is_good = True
        for message in chunk.messages:
            topic = str(Topic(chunk.fleet_id, chunk.terminal_id, message.kind))
            try:
                self._apply(self._parts.inbox.read(topic, message.envelope.encode()), done)
            except ProtocolError as error:
                logger.warning("message dropped kind=%s error=%s", message.kind, type(error).__name__)
                self._on_refused(message.kind, why_refused(error))
                is_good = False
        return is_good

    def _apply(self, message: Inbound, done: Imported) -> None:
        if isinstance(message, Receipt):
            self._settle(message.items, done)
        elif isinstance(message, RosterPage):
            if self._is_late(message):
                done.expired += 1
                self._on_refused(Kind.ROSTER, "expired")
            elif self._parts.references.apply(message):
                done.pages += 1
            else:
                done.pages_unfit += 1
        elif isinstance(message, PolicyToken):
            done.policy = self._parts.policies.apply(message.token).policy_version
        elif isinstance(message, RulePacksToken):
            self._parts.packs.apply(message.token)
        elif isinstance(message, CardKeys):
            if self._is_late(message):
                done.expired += 1
                self._on_refused(Kind.CARD_KEYS, "expired")
            else:
                self._parts.references.apply_card_keys(message)
        elif isinstance(message, StaffList):
            self._parts.staff.apply(message)
        elif isinstance(message, AttestationToken):
            self._parts.attestations.apply(message.token)
        elif isinstance(message, DesiredToken):
            self._parts.desired.apply(message.token)
        elif isinstance(message, TerminalCommand | CommandWithdrawal):
            # No fleet puts one onto a stick: its answer would be under way for weeks.
            raise Malformed(f"{message.TYPE}: comes over the network only")
        else:
            assert_never(message)

    def _settle(self, items: Sequence[ReceiptItem], done: Imported) -> None:
        outbox, attachments = self._parts.outbox, self._parts.attachments
        before, pictures_before = outbox.counts(), attachments.counts()
        outbox.settle(items)
        attachments.settle(items)
        after, pictures = outbox.counts(), attachments.counts()
        done.confirmed += max(0, after.acknowledged - before.acknowledged)
        done.refused += max(0, after.refused - before.refused)
        gone = pictures_before.waiting + pictures_before.refused - pictures.waiting - pictures.refused
        done.pictures += max(0, gone)
        done.pictures_refused += max(0, pictures.refused - pictures_before.refused)
        for item in items:
            if item.verdict is Verdict.REFUSED:
                logger.error("fleet refuses a record or picture digest=%s reason=%s", item.sha256[:12], item.reason)

    def _is_late(self, message: RosterPage | CardKeys) -> bool:
        now = self._parts.clock.now()
        return message.expires_at <= best_guess(now)

    def _export(self, root: Folder, on_progress: OnProgress | None, *, everything: bool) -> Exported:
        address = self._address(CourierBundle.RECORDS)
        retried = self._parts.outbox.retry_refused(_MOST_RETRIED, reasons=CURABLE)
        retried_pictures = self._parts.attachments.retry_refused(_MOST_RETRIED, reasons=CURABLE)
        if retried or retried_pictures:
            logger.info("refused ones are sent again records=%d pictures=%d", retried, retried_pictures)
        with make_bundle(root, address) as folder:
            writer = BundleWriter(
                folder,
                address,
                sign=self._parts.signer.sign,
                writer_id=self._parts.signer.key_id,
                reader=self._reader_key(),
                made_at=self._parts.clock.now().wall_clock,
                progress=lambda done, total: _tell(on_progress, Step.CHECKING, done, total),
            )
            return self._write(folder, writer, on_progress, everything=everything)

    def _write(
        self, folder: Folder, writer: BundleWriter, on_progress: OnProgress | None, *, everything: bool
    ) -> Exported:
        question = self._question()
        total, sizes = 0, [sealed_bytes([question])]
        for planned in self._planned(everything=everything):
            total += planned.records
            if not writer.has(planned.content(writer)):
                sizes.append(sealed_bytes(planned.messages))
        folder.need([*sizes, 64 * (len(sizes) + writer.chunks)])
        records = pictures = written = kept = left = 0
        for number, planned in enumerate(self._planned(everything=everything)):
            if number >= MOST_CHUNKS:
                left += len(planned.messages)
                continue
            _tell(on_progress, Step.WRITING, records, total)
            if writer.put(planned.sequence, planned.content(writer), planned.messages):
                written += 1
            else:
                kept += 1
            records += planned.records
            pictures += len(planned.messages) - planned.records
        have = self._parts.references.received()
        if writer.put(_QUESTION, writer.content([f"roster request, have {have}".encode()]), [question]):
            written += 1
        # An older question would have the fleet send pages that no longer fit.
        writer.finish(is_replaced=lambda name: name.sequence == _QUESTION)
        _tell(on_progress, Step.WRITING, records, max(total, records))
        return Exported(records, written, kept, left, pictures)

    def _planned(self, *, everything: bool) -> Iterator[_Planned]:
        """Give what has to be on the stick, chunk by chunk.

        A chunk holds records whose counters lie in one block, so that what is new touches only the last one: the others are on the stick
        from the last time.
        """
        for _, rows in groupby(self._rows(everything=everything), key=lambda row: (row.counter - 1) // BLOCK):
            block = list(rows)
            start = 0
            for messages in split(courier_message(Kind.RECORD, row.envelope) for row in block):
                end = start + len(messages)
                yield _Planned(block[start].counter, messages, tuple(row.sha256 for row in block[start:end]))
                start = end
        # One at a time: a picture may have a MiB. One that is confirmed meanwhile makes another be passed over until the next export.
        for skip in count():
            for picture in self._parts.attachments.waiting(1, skip=skip):
                yield _Planned(_PICTURES, (courier_message(Kind.ATTACHMENT, picture.sealed),), (picture.sha256,))
                break
            else:
                return

    def _rows(self, *, everything: bool) -> Iterator[OutboxRow]:
        read = self._parts.outbox.history if everything else self._parts.outbox.unconfirmed
        after = 0
        while rows := read(_PAGE_ROWS, after=after):
            yield from rows
            after = rows[-1].counter

    def _question(self) -> CourierMessage:
        request = RosterRequest(
            fleet_id=self._fleet.fleet_id,
            terminal_id=self._terminal_id,
            have=self._parts.references.received(),
            asked_at=self._parts.clock.now().wall_clock,
        )
        return courier_message(Kind.ROSTER_REQUEST, self._parts.signer.sign(request.to_bytes(), ROSTER_REQUEST_TYP))

    def _address(self, bundle: CourierBundle) -> Address:
        return Address(self._fleet.fleet_id, self._terminal_id, bundle)

    def _reader_key(self) -> PublicJwk:
        if self._fleet.sealing_key is None:
            raise KeyUnusable(
                "fleet.json: has no key to seal records to, it is older than that key; get the fleet's identity anew"
                " (lifecert-fleet init --identity FILE) and put it there (lifecert-provision accept-fleet FILE)"
            )
        return self._fleet.sealing_key

    @contextmanager
    def _open(self, stick: Path) -> Iterator[Folder]:
        try:
            with open_stick(stick, mount_root=self._mount_root, disk=self._disk) as root:
                yield root
        except StickFailed as error:
            raise _ERRORS.get(error.fault, StickUnusable)(str(error), error.fault) from error


@dataclass(frozen=True, slots=True)
class _Planned:
    """A chunk that has to be on the stick."""

    sequence: int
    messages: tuple[CourierMessage, ...]
    digests: tuple[str, ...]

    @property
    def records(self) -> int:
        """How many of the messages are records."""
        return sum(message.kind is Kind.RECORD for message in self.messages)

    def content(self, writer: BundleWriter) -> str:
        return writer.content([digest.encode() for digest in self.digests])


def _kind_of(error: ProtocolError) -> ProblemKind:
    """Return what is wrong with a bundle of updates."""
    if isinstance(error, SignatureInvalid):
        return ProblemKind.FORGED
    return ProblemKind.DAMAGED if error.code in _DAMAGED else ProblemKind.INVALID


def _tell(on_progress: OnProgress | None, step: Step, done: int, total: int) -> None:
    if on_progress is not None:
        on_progress(step, done, total)
