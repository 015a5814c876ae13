"""Stores in memory, for one session on a clip: nothing reaches a disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime

from device.errors import AttachmentsFull, OutboxFull
from device.name_list import initials, matching
from device.ports import Answer, Attachment, Attempts, Labelled, OutboxRow, RefusedAttachment, RefusedRow, StoredRecord
from protocol.attestation import SignedStatement
from protocol.commands import CommandWithdrawal, TerminalCommand
from protocol.desired import DesiredBundle, DesiredState, ReportedState
from protocol.envelope import sha256_of, sign, unverified_payload
from protocol.errors import Malformed, NotForUs
from protocol.health import Running
from protocol.keys import PrivateKey
from protocol.policy import Policy
from protocol.presence import OutboxCounts, PictureCounts
from protocol.receipts import ReceiptItem, Verdict
from protocol.reference_card import CardKeys
from protocol.roster import RosterEntry, RosterPage
from protocol.rules.acts import Act
from protocol.rules.pack import RulePack
from protocol.rules.shelf import Shelf
from protocol.shipped_packs import default_pack
from protocol.staff import StaffList
from protocol.times import DeviceTime


class MemoryOutbox:
    """An outbox that forgets everything when the program ends."""

    def __init__(self, *, max_rows: int = 1000) -> None:
        self._max_rows = max_rows
        self._rows: list[tuple[StoredRecord, bytes]] = []
        self._states: dict[str, str] = {}
        self._reasons: dict[str, str | None] = {}
        self._counter = 0
        self._previous: str | None = None

    def append(self, build: Callable[[int, str | None], bytes]) -> StoredRecord:
        """Store the next record.

        Raises:
            OutboxFull: if no room is left.
        """
        self.check()
        envelope = build(self._counter + 1, self._previous)
        self._counter += 1
        self._previous = sha256_of(envelope)
        stored = StoredRecord(self._previous, self._counter)
        self._rows.append((stored, envelope))
        self._states[stored.sha256] = "pending"
        return stored

    def unconfirmed(self, limit: int, *, after: int = 0) -> Sequence[OutboxRow]:
        """Return the oldest unconfirmed rows above a counter."""
        rows = self.history(len(self._rows), after=after)
        return [row for row in rows if self._states[row.sha256] in {"pending", "published"}][:limit]

    def history(self, limit: int, *, after: int = 0) -> Sequence[OutboxRow]:
        """Return the oldest rows above a counter."""
        return [
            OutboxRow(stored.sha256, stored.counter, envelope)
            for stored, envelope in self._rows
            if stored.counter > after
        ][:limit]

    def refused(self, limit: int) -> Sequence[RefusedRow]:
        """Return the oldest refused rows."""
        return [
            RefusedRow(stored.sha256, stored.counter, self._reasons[stored.sha256])
            for stored, _ in self._rows
            if self._states[stored.sha256] == "refused"
        ][:limit]

    def retry_refused(self, limit: int, *, reasons: Collection[str] | None = None) -> int:
        """Set the oldest refused rows of these reasons pending again."""
        found = [row for row in self.refused(len(self._rows)) if reasons is None or row.reason in reasons][:limit]
        for row in found:
            self._states[row.sha256] = "pending"
        return len(found)

    def mark_published(self, sha256s: Sequence[str]) -> None:
        """Note that the broker took these."""
        for sha256 in sha256s:
            if self._states.get(sha256) == "pending":
                self._states[sha256] = "published"

    def settle(self, items: Sequence[ReceiptItem]) -> None:
        """Apply a receipt."""
        for item in items:
            if self._states.get(item.sha256, "acknowledged") != "acknowledged":
                self._states[item.sha256] = "refused" if item.verdict is Verdict.REFUSED else "acknowledged"
                self._reasons[item.sha256] = item.reason

    def purge(self, keep: int) -> int:
        """Delete acknowledged rows but the newest `keep`."""
        done = [stored.sha256 for stored, _ in self._rows if self._states[stored.sha256] == "acknowledged"]
        gone = set(done[: max(0, len(done) - keep)])
        self._rows = [row for row in self._rows if row[0].sha256 not in gone]
        for sha256 in gone:
            del self._states[sha256]
        return len(gone)

    def counts(self) -> OutboxCounts:
        """Return the number of rows by state."""
        found = list(self._states.values())
        return OutboxCounts(
            pending=found.count("pending"),
            published=found.count("published"),
            acknowledged=found.count("acknowledged"),
            refused=found.count("refused"),
            stored=self._counter,
        )

    def check(self) -> None:
        """Raise `OutboxFull` when no room is left."""
        waiting = sum(state in {"pending", "published"} for state in self._states.values())
        if waiting >= self._max_rows:
            raise OutboxFull(f"outbox: {waiting} records not confirmed, at most {self._max_rows}")


class MemoryReferences:
    """A roster of given entries."""

    def __init__(
        self,
        entries: Sequence[RosterEntry] = (),
        *,
        claim_key: bytes | None,
        feature_keys: dict[str, bytes] | None = None,
        enrolment_domain: str | None = None,
        card_keys: CardKeys | None = None,
        has_expired: bool = False,
        expires_at: datetime | None = None,
        issued_at: datetime | None = None,
    ) -> None:
        self._issued_at = issued_at
        self._acts: dict[str, list[Act]] = {}
        self._card_keys = card_keys
        self._has_expired = has_expired
        self._expires_at = expires_at
        self._entries = {entry.claim_token: entry for entry in entries}
        self._claim_key = claim_key
        self._feature_keys = feature_keys or {}
        self._enrolment_domain = enrolment_domain
        self._was_refused = False

    def note_refused(self) -> None:
        """Remember that a page was refused."""
        self._was_refused = True

    def was_refused(self) -> bool:
        """Say whether one was."""
        return self._was_refused

    def version(self) -> int:
        """Return the newest change among the entries."""
        return max((entry.roster_version for entry in self._entries.values()), default=0)

    def received(self) -> int:
        """Return the same: nothing is ever gathered."""
        return self.version()

    def apply(self, page: RosterPage) -> bool:  # noqa: ARG002 - the port's signature
        """Refuse: this roster is the one it was made with."""
        return False

    def claim_key(self) -> bytes | None:
        """Return the key for claim tokens."""
        return self._claim_key

    def enrolment_domain(self) -> str | None:
        """Return the key domain of references made here."""
        return self._enrolment_domain

    def feature_key(self, domain: str) -> bytes | None:
        """Return the rotation key of a key domain."""
        return self._feature_keys.get(domain)

    def find(self, token: str) -> RosterEntry | None:
        """Return the entry with this claim token."""
        return self._entries.get(token)

    def issued_at(self) -> datetime | None:
        """Return what it was made to say."""
        return self._issued_at

    def note_act(self, token: str, act: Act) -> None:
        """Remember a certification made here."""
        self._acts.setdefault(token, []).append(act)

    def acts(self, token: str) -> list[Act]:
        """Return what was certified here."""
        return list(self._acts.get(token, ()))

    def people(self, part: str, *, offset: int, limit: int) -> list[Labelled]:
        """Return a page of those whose name contains `part`."""
        return matching(self._labelled(), part)[offset : offset + limit]

    def initials(self) -> list[str]:
        """Return the characters that names begin with, the most frequent first."""
        return initials(self._labelled())

    def _labelled(self) -> list[Labelled]:
        return [
            Labelled(entry.label.document, entry.claim_token, entry.label)
            for entry in self._entries.values()
            if entry.label is not None and not entry.removed
        ]

    def others(self, token: str, limit: int) -> list[RosterEntry]:
        """Return other entries than the one with this claim token, so many at most."""
        found = [entry for entry in self._entries.values() if entry.claim_token != token and not entry.removed]
        return sorted(found, key=lambda entry: entry.claim_token)[:limit]

    def has_expired(self) -> bool:
        """Say what it was made to say."""
        return self._has_expired

    def expires_at(self) -> datetime | None:
        """Return what it was made to say."""
        return self._expires_at

    def lapse(self, ended: datetime) -> None:
        """Let the roster's time be over."""
        self._entries.clear()
        self._claim_key, self._has_expired, self._expires_at = None, True, ended

    def apply_card_keys(self, keys: CardKeys) -> bool:
        """Keep card keys."""
        self._card_keys = keys
        return True

    def card_keys(self) -> CardKeys | None:
        """Return what opens reference cards."""
        return self._card_keys

    def expire(self, now: DeviceTime) -> None:
        """Keep everything: the roster lives as long as the program."""


class FixedPolicy:
    """One policy for good."""

    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy

    def current(self) -> Policy | None:
        """Return it."""
        return self._policy

    def apply(self, token: bytes) -> Policy:
        """Refuse any other.

        Raises:
            NotForUs: always.
        """
        raise NotForUs(f"policy of {len(token)} bytes: this terminal keeps the one it was started with")


class FixedRulePacks:
    """Rule packs for good."""

    def __init__(self, *packs: RulePack) -> None:
        self._shelf = Shelf(packs, default_pack())

    def shelf(self) -> Shelf:
        """Return them."""
        return self._shelf

    def issued_at(self) -> datetime | None:
        """Say that no fleet sent them."""
        return None

    def apply(self, token: bytes) -> Shelf:
        """Refuse any other.

        Raises:
            NotForUs: always.
        """
        raise NotForUs(f"rule packs of {len(token)} bytes: this terminal keeps those it was started with")


class MemoryRunning:
    """What was said of the terminal's process, as long as the program runs."""

    def __init__(self) -> None:
        self._running: Running | None = None

    def current(self) -> Running | None:
        """Return what was said last."""
        return self._running

    def say(self, running: Running) -> None:
        """Put this in the place of what was said before."""
        self._running = running


class MemoryDesired:
    """What the office wants, as long as the program runs; whoever signed it."""

    def __init__(self) -> None:
        self._desired: DesiredState | None = None

    def current(self) -> DesiredState | None:
        """Return the newest that was taken."""
        return self._desired

    def apply(self, token: bytes) -> DesiredState:
        """Keep it if it is newer."""
        found = DesiredState.parse(unverified_payload(token))
        if self._desired is None or found.number > self._desired.number:
            self._desired = found
        return self._desired


class MemoryShelf:
    """Bundles that are wanted, and those that came."""

    def __init__(self, *wants: DesiredBundle) -> None:
        self._wants = {want.bundle_id: want for want in wants}
        self.bundles: dict[str, bytes] = {}

    def lacking(self) -> tuple[DesiredBundle, ...]:
        """Return what is wanted and not here."""
        return tuple(want for want in self._wants.values() if want.bundle_id not in self.bundles)

    def put(self, want: DesiredBundle, pieces: Iterable[bytes]) -> None:
        """Take it in, if it has the size that it must have."""
        data = b"".join(pieces)
        if len(data) != want.size:
            raise Malformed("bundle: of another size", code="other_bundle")
        self.bundles[want.bundle_id] = data


class MemoryUpdating:
    """A terminal that is never updated."""

    def __init__(self) -> None:
        self.is_heard = False
        self.is_over = False
        self.state = ReportedState()

    def heard(self) -> None:
        """Note that the fleet has answered."""
        self.is_heard = True

    def reported(self) -> ReportedState:
        """Return what the terminal says that it is."""
        return self.state

    def must_restart(self) -> bool:
        """Say whether there is something newer to start from."""
        return self.is_over


class MemoryCommands:
    """Commands of the fleet, as long as the program runs."""

    def __init__(self) -> None:
        self._commands: dict[int, TerminalCommand] = {}
        self._tokens: dict[int, bytes] = {}
        self._answers: dict[int, bytes] = {}
        self._begun: set[int] = set()
        self._settled: set[int] = set()
        self._newest = 0

    def take(self, command: TerminalCommand, token: bytes) -> bool:
        """Keep a command that is newer than all before."""
        if command.number <= self._newest:
            self._settled.discard(command.number)
            return False
        self._newest = command.number
        self._commands[command.number] = command
        self._tokens[command.number] = token
        return True

    def next(self) -> TerminalCommand | None:
        """Return the oldest command without an answer."""
        waiting = sorted(self._commands.keys() - self._answers.keys())
        return self._commands[waiting[0]] if waiting else None

    def token(self, number: int) -> bytes | None:
        """Return a command as the fleet signed it."""
        return self._tokens.get(number)

    def begin(self, number: int) -> bool:
        """Note that a command without an answer is being carried out."""
        if number in self._answers:
            return False
        self._begun.add(number)
        return True

    def withdraw(self, withdrawal: CommandWithdrawal, envelope: bytes) -> bool:
        """Answer a command that is not begun."""
        number, known = withdrawal.number, self._commands.get(withdrawal.number)
        if known is None and number <= self._newest:
            return False
        if known is not None and known.command_id != withdrawal.command_id:
            return False
        if number in self._answers or number in self._begun:
            self._settled.discard(number)
            return False
        self._answers[number] = envelope
        return True

    def answer(self, number: int, envelope: bytes) -> None:
        """Keep the first answer to a command."""
        self._answers.setdefault(number, envelope)

    def unsettled(self) -> Sequence[Answer]:
        """Return the answers that were not confirmed."""
        waiting = sorted(self._answers.keys() - self._settled)
        return [Answer(sha256_of(self._answers[number]), self._answers[number]) for number in waiting]

    def settle(self, items: Sequence[ReceiptItem]) -> None:
        """Apply a receipt."""
        named = {item.sha256 for item in items}
        self._settled |= {number for number, found in self._answers.items() if sha256_of(found) in named}


class FixedAttestation:
    """One statement about the terminal's key for good, or none."""

    def __init__(self, statement: SignedStatement | None) -> None:
        self._statement = statement

    def current(self) -> SignedStatement | None:
        """Return it."""
        return self._statement

    def apply(self, token: bytes) -> SignedStatement:
        """Refuse any other.

        Raises:
            NotForUs: always.
        """
        raise NotForUs(f"attestation of {len(token)} bytes: this terminal keeps what it was started with")


class ThrowAwaySigner:
    """A signing key that nobody knows and that is gone with the program."""

    def __init__(self) -> None:
        self._key = PrivateKey.generate()

    @property
    def key_id(self) -> str:
        """Thumbprint of the public key."""
        return self._key.key_id

    def sign(self, payload: bytes, typ: str) -> bytes:
        """Return a compact JWS."""
        return sign(payload, key=self._key, typ=typ)


class MemoryStaff:
    """A staff list that is gone with the program."""

    def __init__(self, staff: StaffList | None = None) -> None:
        self._staff = staff
        self._attempts = Attempts()

    def current(self) -> StaffList | None:
        """Return the list."""
        return self._staff

    def apply(self, staff: StaffList) -> bool:
        """Keep a newer list."""
        if self._staff is not None and staff.issued_at <= self._staff.issued_at:
            return False
        self._staff = staff
        return True

    def attempts(self) -> Attempts:
        """Return the failed attempts."""
        return self._attempts

    def note_attempts(self, attempts: Attempts) -> None:
        """Remember them."""
        self._attempts = attempts


class MemoryAttachments:
    """Sealed pictures that are gone with the program."""

    def __init__(self, *, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._kept: dict[str, bytes] = {}
        self._refused: dict[str, str | None] = {}
        """Digest -> reason, refused longest ago first."""

    def put(self, sealed: Sequence[bytes]) -> tuple[str, ...]:
        """Store sealed pictures.

        Raises:
            AttachmentsFull: if no room is left; none of them is stored then.
        """
        if sum(map(len, self._kept.values())) + sum(map(len, sealed)) > self._max_bytes:
            raise AttachmentsFull(f"attachments: more than {self._max_bytes} bytes")
        digests = tuple(sha256_of(one) for one in sealed)
        for digest, one in zip(digests, sealed, strict=True):
            self._kept.setdefault(digest, one)
        return digests

    def waiting(self, limit: int, *, skip: int = 0) -> Sequence[Attachment]:
        """Return the oldest that nothing was said about, but the `skip` oldest of them."""
        found = [Attachment(sha256, one) for sha256, one in self._kept.items() if sha256 not in self._refused]
        return found[skip : skip + limit]

    def settle(self, items: Sequence[ReceiptItem]) -> None:
        """Apply a receipt."""
        for item in items:
            self._refused.pop(item.sha256, None)
            if item.verdict is not Verdict.REFUSED:
                self._kept.pop(item.sha256, None)
            elif item.sha256 in self._kept:
                self._refused[item.sha256] = item.reason

    def refused(self, limit: int) -> Sequence[RefusedAttachment]:
        """Return those that were refused, longest ago first."""
        return [RefusedAttachment(sha256, reason) for sha256, reason in self._refused.items()][:limit]

    def retry_refused(self, limit: int, *, reasons: Collection[str] | None = None) -> int:
        """Let so many refused ones wait again, behind those that wait."""
        found = [sha256 for sha256, reason in self._refused.items() if reasons is None or reason in reasons][:limit]
        for sha256 in found:
            del self._refused[sha256]
            self._kept[sha256] = self._kept.pop(sha256)
        return len(found)

    def drop(self, sha256s: Sequence[str]) -> None:
        """Delete pictures."""
        for sha256 in sha256s:
            self._kept.pop(sha256, None)
            self._refused.pop(sha256, None)

    def counts(self) -> PictureCounts:
        """Return how many wait and how many were refused."""
        return PictureCounts(waiting=len(self._kept) - len(self._refused), refused=len(self._refused))
