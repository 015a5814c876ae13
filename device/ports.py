"""What the runner needs from the world, as protocols. Each says what an implementation must do and what it raises."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field

from device.desk.view import Touch, View
from device.session.commands import Dated, Lamp
from device.vision.frame import Frame
from protocol.attestation import SignedStatement
from protocol.commands import CommandWithdrawal, TerminalCommand
from protocol.desired import DesiredBundle, DesiredState, ReportedState
from protocol.documents import DocumentKind
from protocol.health import BoardVitals, Running
from protocol.policy import PathName, Policy
from protocol.presence import OutboxCounts, PictureCounts
from protocol.receipts import ReceiptItem
from protocol.records import Purpose
from protocol.reference_card import CardKeys
from protocol.references import LegalBasis
from protocol.roster import RosterEntry, RosterPage, SubjectLabel
from protocol.rules.acts import Act
from protocol.rules.shelf import Shelf
from protocol.staff import StaffList
from protocol.times import DeviceTime
from protocol.visits import Place, Visit


class Button(StrEnum):
    """Buttons a person can press."""

    START = "start"
    REPEAT = "repeat"
    CANCEL = "cancel"


class BoardChange(StrEnum):
    """What the board notices besides presses."""

    PRESENT = "present"
    """Somebody has come near."""
    ABSENT = "absent"
    """Nobody is near any more."""
    SENSOR_FLAPPING = "sensor_flapping"
    """The presence sensor changes too often to be believed; whether somebody is there is unknown until the next of the two above."""
    POWER_FAILING = "power_failing"
    """Mains power is gone; the battery lasts some minutes."""
    POWER_BACK = "power_back"
    """Mains power is there again."""
    BUTTON_STUCK = "button_stuck"
    """A button stays closed, or never comes to rest; it is ignored until it is free."""
    BUTTON_FREE = "button_free"
    """A button that was stuck works again."""


@dataclass(frozen=True, slots=True)
class BoardNotice:
    """Something the board noticed."""

    change: BoardChange
    button: Button | None = None
    """Which button is stuck or free; None for everything else."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A signed record that is on the disk."""

    sha256: str
    counter: int


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A signed record that the fleet has not confirmed."""

    sha256: str
    counter: int
    envelope: bytes


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A signed record that the fleet has refused."""

    sha256: str
    counter: int
    reason: str | None
    """The fleet's code, see `fleet.admission.Refusal`; None when it gave none."""


class PrinterCondition(StrEnum):
    """How a printer was when it was last asked."""

    READY = "ready"
    PAPER_LOW = "paper_low"
    PAPER_OUT = "paper_out"
    UNAVAILABLE = "unavailable"
    """Absent, switched off, or it takes nothing."""


@dataclass(frozen=True, slots=True)
class SlipSheet:
    """What comes out of the printer."""

    lines: tuple[str, ...]
    content: str
    """What the QR code below the lines says."""

    def __repr__(self) -> str:
        return f"SlipSheet({len(self.lines)} lines)"


class Camera(Protocol):
    """A source of frames. `capture` is called from one thread only."""

    def start(self) -> None:
        """Open the device. Raises `CameraUnavailable`."""

    def capture(self, timeout_s: float) -> Frame | None:
        """Return the newest frame not yet returned, or None when none came in time. Raises `CameraUnavailable`."""

    def still(self, timeout_s: float = 2.0) -> Frame:
        """Return a new picture in the camera's large size, for a document, a person, or sealed evidence; may take many frames' time.

        It is numbered among the frames, and must be called from the thread of `capture`. Raises `CameraUnavailable`, also when none
        came in time.
        """

    def lock_exposure(self, factor: float) -> None:
        """Hold exposure, gain and white balance as they were when first locked, with `factor` on the exposure time.

        A lock within a second of the last release holds what that lock held: automatic control has not found its way back yet. Takes effect
        some frames later; the frames' metadata say when. Raises `CameraUnavailable`.
        """

    def release_exposure(self) -> None:
        """Let exposure, gain and white balance be automatic again; without a lock before, nothing happens."""

    def stop(self) -> None:
        """Close the device; may be called twice."""


class RingLight(Protocol):
    """The white light around the lens, in two halves. Called from the thread of the camera."""

    def start(self) -> None:
        """Open it, dark. Raises `RingLightUnavailable`."""

    def set(self, left: float, right: float) -> None:
        """Set the brightness of both halves at once, 0..1; left and right are the subject's own. Raises `RingLightUnavailable`."""

    def stop(self) -> None:
        """Switch it off; may be called twice."""


def nobody_listens(_notice: BoardNotice) -> None:
    """Take a notice and do nothing."""


class Panel(Protocol):
    """Status lamp and buttons; where they are fitted, a presence sensor and a power-fail input."""

    def start(
        self, on_press: Callable[[Button], None], on_notice: Callable[[BoardNotice], None] = nobody_listens
    ) -> None:
        """Open the board. Raises `PanelUnavailable`.

        `on_press` is called once for each debounced press, `on_notice` for what else the board notices; both from any thread, and not any
        more once `stop` has returned. Who is there already, power that is gone already, and a button that is stuck already are noticed,
        too; a button that is held down at the start was not pressed.
        """

    def show(self, lamp: Lamp) -> None:
        """Set the status lamp."""

    def stop(self) -> None:
        """Switch everything off; may be called twice."""


class Viewfinder(Protocol):
    """Shows the person what the camera sees. Called from the thread of the camera."""

    @property
    def is_watched(self) -> bool:
        """Whether anybody looks; frames are not handed over otherwise."""

    def show(self, frame: Frame) -> None:
        """Show a frame, mirrored, small; nothing of it is kept once the next one or `clear` came."""

    def clear(self) -> None:
        """Show nothing, and forget the last frame."""


class DeskScreen(Protocol):
    """The screen a person touches."""

    def start(self, on_touch: Callable[[Touch], None]) -> None:
        """Begin; `on_touch` may be called from any thread. Raises `ScreenUnavailable`."""

    def show(self, view: View) -> None:
        """Show a view instead of the one before."""

    def show_photo(self, jpeg: bytes | None) -> None:
        """Offer the picture that was taken to whoever took it; None takes it away."""

    @property
    def is_watched(self) -> bool:
        """Whether a page has asked for the view within the last seconds."""

    def stop(self) -> None:
        """End; may be called twice."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What a session is for and who answers for it, as far as it is no business of the session's."""

    purpose: Purpose = Purpose.CERTIFICATION
    path: PathName | None = None
    """The terminal's usual one by default."""
    operator: str | None = None
    """Opaque id of who is signed in."""
    may_enrol: bool = False
    """Whether that operator may enrol."""
    witness: str | None = None
    """Opaque id of the worker who vouches for the presentation."""
    visit: Visit | None = None
    legal_basis: LegalBasis = LegalBasis.STATUTE
    """Why a reference made in this session may be kept."""


USUAL = Errand()
"""Somebody comes by themselves to be certified."""


class OnClaim(Protocol):
    """Takes a claim."""

    def __call__(self, claim: str, errand: Errand = USUAL, /) -> None:
        """Take a document number as it was read, and what it was presented for."""


class Positioner(Protocol):
    """Knows where the terminal is."""

    def start(self) -> None:
        """Begin to listen; a receiver that is not there is waited for."""

    def place(self) -> Place | None:
        """Return the position now, None while the receiver has none."""

    def stop(self) -> None:
        """End; may be called twice."""


class ClaimSource(Protocol):
    """Where document numbers come from: a card or code reader, a keyboard, the simulated control."""

    def start(self, on_claim: OnClaim) -> None:
        """Begin; `on_claim` may be called from any thread, with one document number as it was read, unchecked."""

    def stop(self) -> None:
        """End; may be called twice."""


class Prompter(Protocol):
    """Tells the person what to do and what came of it. Called from any thread; never waits, never raises for what a person said or did."""

    def say(self, line: str, *, dates: Sequence[Dated] = ()) -> None:
        """Begin to give the line with this id (`device/lines.toml`), in the languages the terminal is set to; do not wait for its end.

        The dates follow it, each with what it means. A new line takes the place of the one being given; but
        `welcome` waits for the end of an outcome.
        """

    def length_s(self, line: str) -> float:
        """Return how long the line takes to be given, in seconds, as the terminal is now set to; 0 where it is there at once."""

    def use(self, language: str | None, *, is_slow: bool) -> None:
        """Give every line from the next one on in this language, with None in the usual ones, slowly or not.

        A usual dialect of the language stands for it. A language it does not have changes nothing.
        """

    def stop(self) -> None:
        """Fall silent, and forget what waits; may be called twice. A later line is given again."""


class Playing(Protocol):
    """A sound on its way to the loudspeaker."""

    def wait(self) -> None:
        """Return at its end, or once it was stopped. Raises `LoudspeakerUnavailable`."""

    def stop(self) -> None:
        """Silence it at once; may be called from any thread, twice, and after its end."""


class Loudspeaker(Protocol):
    """Plays sound."""

    def play(self, pcm: bytes, rate_hz: int) -> Playing:
        """Begin to play 16-bit little-endian samples of one channel. Raises `LoudspeakerUnavailable`."""


class SlipPrinter(Protocol):
    """Prints result slips. A session never waits for it and never ends because of it."""

    def start(self) -> None:
        """Begin; a printer that is away is no error."""

    def print_slip(self, sheet: SlipSheet) -> None:
        """Take a slip to be printed; never waits, never raises for the state of the printer.

        A slip that cannot be printed soon is dropped, so that it does not come out in front of the next person.
        """

    @property
    def condition(self) -> PrinterCondition:
        """How the printer was when it was last asked: at the start, and before and after every slip."""

    def stop(self) -> None:
        """End; may be called twice."""


class Outbox(Protocol):
    """Signed records until the fleet has confirmed them; shared by the terminal and the uplink process.

    Rows go `pending -> published -> acknowledged -> purged`, or to `refused` and from there back to `pending`. What `append`
    returned survives power loss.
    """

    def append(self, build: Callable[[int, str | None], bytes]) -> StoredRecord:
        """Give `build` the next counter and the digest of the record before, and store the JWS it returns, in one transaction.

        Raises `OutboxFull` when no room is left and `OutboxUnavailable` when the disk does not take it; nothing is used up then.
        Refused records do not count: what the fleet will never take must not keep people from being certified.
        """

    def unconfirmed(self, limit: int, *, after: int = 0) -> Sequence[OutboxRow]:
        """Return the oldest rows that are pending or published, of those with a counter above `after`."""

    def history(self, limit: int, *, after: int = 0) -> Sequence[OutboxRow]:
        """Return the oldest rows in whatever state, of those with a counter above `after`: everything that was not purged."""

    def refused(self, limit: int) -> Sequence[RefusedRow]:
        """Return the oldest refused rows."""

    def retry_refused(self, limit: int, *, reasons: Collection[str] | None = None) -> int:
        """Set the oldest refused rows pending again and return how many: those refused for one of `reasons`, None for any.

        The reason stays with the row until the fleet gives its verdict anew.
        """

    def mark_published(self, sha256s: Sequence[str]) -> None:
        """Note that the broker took these."""

    def settle(self, items: Sequence[ReceiptItem]) -> None:
        """Apply a receipt: stored and repeated become acknowledged, refused becomes refused; unknown digests are ignored."""

    def purge(self, keep: int) -> int:
        """Delete acknowledged rows but the newest `keep`; the chain's end always stays. Return how many went."""

    def counts(self) -> OutboxCounts:
        """Return the number of rows by state and of all that was ever stored, of one moment: true also after a purge or a power cut."""

    def check(self) -> None:
        """Do nothing when a record could be stored now; raise what `append` would raise otherwise. No session starts without."""


class ReferenceStore(Protocol):
    """The route roster and the card keys, encrypted at rest; shared by the terminal and the uplink process.

    A roster that begins anew, from version 0, is gathered beside the one in force and takes its place once it is complete.
    """

    def version(self) -> int:
        """Return the version of the roster in force, 0 when there is none."""

    def received(self) -> int:
        """Return the version the next page is to build upon: that of the roster being gathered, else `version()`."""

    def apply(self, page: RosterPage) -> bool:
        """Apply a page whole; return False, unchanged, when it fits nothing that is here.

        It fits when it builds upon `received()` or `version()`, or when it begins a roster anew that was issued after the one in
        force and the one being gathered: so does a fleet that was put back to an older state.
        """

    def claim_key(self) -> bytes | None:
        """Return the key for claim tokens, None when there is no roster or it has expired."""

    def enrolment_domain(self) -> str | None:
        """Return the key domain of references made on this terminal, None where it makes none."""

    def feature_key(self, domain: str) -> bytes | None:
        """Return the rotation key of a key domain, None when unknown or expired."""

    def find(self, token: str) -> RosterEntry | None:
        """Return the subject with this claim token."""

    def issued_at(self) -> datetime | None:
        """Return when the fleet last said something of the roster in force; None when there is none, or it has expired."""

    def note_act(self, token: str, act: Act) -> None:
        """Remember a certification made here, until the fleet's roster tells of it or of a later one; a month at most."""

    def acts(self, token: str) -> Sequence[Act]:
        """Return what was certified here under this claim token and the fleet has not told of yet."""

    def people(self, part: str, *, offset: int, limit: int) -> Sequence[Labelled]:
        """Return subjects whose name contains `part`, so many at most from `offset` on.

        First come those whose name begins with it, each by name and year of birth.

        Subjects without a label are not among them.
        """

    def initials(self) -> Sequence[str]:
        """Return the characters that names begin with, the most frequent first: surnames, where those come first and have one character."""

    def others(self, token: str, limit: int) -> Sequence[RosterEntry]:
        """Return other subjects than the one with this claim token, so many at most; the same ones as long as the roster is the same.

        Which ones has nothing to do with when they came on the roster.
        """

    def has_expired(self) -> bool:
        """Say whether the roster in force has expired and no other has taken its place, so that the person can be told why."""

    def expires_at(self) -> datetime | None:
        """Return when the roster in force ends, or ended if no other has taken its place; None when there never was one."""

    def note_refused(self) -> None:
        """Remember until a page is applied that one was refused, so that staff can be told. Raises `ReferencesUnavailable`."""

    def was_refused(self) -> bool:
        """Say whether a page was refused and none has been applied since."""

    def apply_card_keys(self, keys: CardKeys) -> bool:
        """Keep card keys instead of those before; return False, unchanged, when they are not newer or have expired."""

    def card_keys(self) -> CardKeys | None:
        """Return what opens reference cards, None when there is nothing or it has expired. It outlives rosters."""

    def expire(self, now: DeviceTime) -> None:
        """Delete everything that has certainly expired at `now`, and what is left of things deleted before.

        What the wall clock alone calls expired is not given out, but stays on the disk: a date that nothing vouches for may be
        years ahead, and the roster of a terminal without a network could not come again.
        """


@dataclass(frozen=True, slots=True)
class Labelled:
    """Somebody on the roster whom an operator can find by name."""

    document: DocumentKind
    token: str
    label: SubjectLabel

    def __repr__(self) -> str:
        return "Labelled()"


class Attempts(BaseModel):
    """Failed attempts to sign in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failed: int = Field(default=0, ge=0)
    """Of the whole terminal; time takes them away again."""
    by_operator: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Of each operator id, in a row; empty for all ids that nobody has."""


class StaffStore(Protocol):
    """Who may sign in; shared by the terminal and the uplink process."""

    def current(self) -> StaffList | None:
        """Return the newest list, None when there is none."""

    def apply(self, staff: StaffList) -> bool:
        """Keep a list in place of an older one; return False, unchanged, otherwise. Raises `StaffUnavailable`."""

    def attempts(self) -> Attempts:
        """Return the failed attempts; they outlive a restart."""

    def note_attempts(self, attempts: Attempts) -> None:
        """Remember the failed attempts. Raises `StaffUnavailable`."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A sealed picture that the fleet has not confirmed."""

    sha256: str
    sealed: bytes

    def __repr__(self) -> str:
        return f"Attachment({self.sha256[:12]})"


@dataclass(frozen=True, slots=True)
class RefusedAttachment:
    """A sealed picture that the fleet did not take, and why."""

    sha256: str
    reason: str | None


class AttachmentStore(Protocol):
    """Sealed pictures until the fleet has confirmed them; shared by the terminal and the uplink process."""

    def put(self, sealed: Sequence[bytes]) -> tuple[str, ...]:
        """Store sealed pictures, all or none, and return their digests. Raises `AttachmentsUnavailable` and `AttachmentsFull`."""

    def waiting(self, limit: int, *, skip: int = 0) -> Sequence[Attachment]:
        """Return the oldest that the fleet has said nothing about, but the `skip` oldest of them."""

    def settle(self, items: Sequence[ReceiptItem]) -> None:
        """Apply a receipt: what the fleet has is deleted, what it refuses is kept aside; unknown digests are ignored."""

    def refused(self, limit: int) -> Sequence[RefusedAttachment]:
        """Return those that were refused, in the order in which they are tried again: longest ago first."""

    def retry_refused(self, limit: int, *, reasons: Collection[str] | None = None) -> int:
        """Let so many refused ones wait again, behind those that wait, and return how many: refused for one of `reasons`, None for any."""

    def drop(self, sha256s: Sequence[str]) -> None:
        """Delete pictures whose case could not be stored."""

    def counts(self) -> PictureCounts:
        """Return how many wait and how many were refused, of one moment."""


class PolicyStore(Protocol):
    """The policy in force."""

    def current(self) -> Policy | None:
        """Return it; None when the fleet has not sent one."""

    def apply(self, token: bytes) -> Policy:
        """Verify a signed policy and keep it if it is newer. Raises `ProtocolError`."""


class RulePackStore(Protocol):
    """The rule packs in force."""

    def shelf(self) -> Shelf:
        """Return them; the default pack alone when the fleet has not sent any, or they are damaged."""

    def issued_at(self) -> datetime | None:
        """Return when the newest of the packs came into force; None when the fleet has not sent any, or they are damaged."""

    def apply(self, token: bytes) -> Shelf:
        """Verify signed packs and keep them if they are newer. Raises `ProtocolError`."""


class AttestationStore(Protocol):
    """The fleet's statement about this terminal's key, which every slip carries."""

    def current(self) -> SignedStatement | None:
        """Return it; None when the fleet has not sent one about the key that signs now."""

    def apply(self, token: bytes) -> SignedStatement:
        """Verify a signed attestation and keep it if it is newer. Raises `ProtocolError`."""


class Signer(Protocol):
    """The terminal's signing key."""

    @property
    def key_id(self) -> str:
        """Thumbprint of the public key."""

    def sign(self, payload: bytes, typ: str) -> bytes:
        """Return a compact JWS."""


class Clock(Protocol):
    """Time. The only place where the terminal reads a clock."""

    def monotonic_ns(self) -> int:
        """Return monotonic nanoseconds of this boot."""

    def now(self) -> DeviceTime:
        """Return the moment with everything known about its worth."""

    def note_fleet_time(self, moment: datetime, *, after_ns: int | None = None) -> None:
        """Remember a moment the fleet signed.

        `after_ns` is a monotonic time of this boot that the moment is known to follow (the fleet signed it in answer to something
        sent then); without it the moment is a lower bound of the true time and nothing more.
        """


class Vitals(Protocol):
    """The condition of the board."""

    def read(self) -> BoardVitals:
        """Return what can be read now; what the board has not, or does not tell, is None. Never raises for it."""


class RunningStore(Protocol):
    """What the terminal's process says of itself, for the uplink process to pass on."""

    def current(self) -> Running | None:
        """Return what was said last; None when nothing was, or it cannot be read."""

    def say(self, running: Running) -> None:
        """Put this in the place of what was said before; it may be lost, and never raises for that."""


class DesiredStore(Protocol):
    """What the office wants of this terminal."""

    def current(self) -> DesiredState | None:
        """Return the newest that was taken, None when there is none."""

    def apply(self, token: bytes) -> DesiredState:
        """Verify a signed message, keep it if it is newer, and return the one then kept.

        Raises:
            ProtocolError: if it does not hold, or cannot be in force here.
            DesiredUnavailable: if it cannot be written.
        """


class UpdateShelf(Protocol):
    """Bundles of updates, for whoever brings one that did not come over the network."""

    def lacking(self) -> tuple[DesiredBundle, ...]:
        """Return what is wanted and not here."""

    def put(self, want: DesiredBundle, pieces: Iterable[bytes]) -> None:
        """Take a bundle in, checked whole.

        Raises:
            ProtocolError: if it is not the one that is wanted, not to be taken here, or damaged; nothing of it stays.
            UpdatesUnavailable: if there is no room, or it cannot be written.
        """


class Updating(Protocol):
    """What becomes of updates, as far as the uplink has to do with it."""

    def heard(self) -> None:
        """Note that the fleet has answered."""

    def reported(self) -> ReportedState:
        """Return what the terminal says that it is."""

    def must_restart(self) -> bool:
        """Say whether the uplink has to end, to be started anew from something newer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A signed answer to a command that the fleet has not confirmed."""

    sha256: str
    envelope: bytes


class CommandStore(Protocol):
    """What the fleet asks of this terminal; the uplink brings it, the terminal's process obeys. Raises `CommandsUnavailable`."""

    def take(self, command: TerminalCommand, token: bytes) -> bool:
        """Keep a command; return False for one that was taken before, whose answer is then sent again, or is older than one that was.

        Args:
            command: what the fleet asks.
            token: the message as the fleet signed it, for whoever must see that it did.
        """

    def next(self) -> TerminalCommand | None:
        """Return the oldest command without an answer."""

    def token(self, number: int) -> bytes | None:
        """Return a command as the fleet signed it; None of one that is not here, or was taken by a version that kept no signatures."""

    def begin(self, number: int) -> bool:
        """Note that a command is being carried out and cannot be taken back any more; return False if it has an answer."""

    def withdraw(self, withdrawal: CommandWithdrawal, envelope: bytes) -> bool:
        """Give a command that was taken back this signed answer, also one that comes later than its withdrawal.

        Return False for one that has begun, or has an answer, which is then sent again, or whose number another command has.
        """

    def answer(self, number: int, envelope: bytes) -> None:
        """Keep the signed answer to a command; the first one counts."""

    def unsettled(self) -> Sequence[Answer]:
        """Return the answers that the fleet has not confirmed, the oldest first."""

    def settle(self, items: Sequence[ReceiptItem]) -> None:
        """Apply a receipt: what it names is not sent again, whatever the fleet says of it; unknown digests are ignored."""


class ReportStore(Protocol):
    """Signed reports of commissionings; the technician's run puts them there, the uplink sends them. Raises `ReportsUnavailable`."""

    def put(self, envelope: bytes) -> str:
        """Keep a report on the disk until the fleet has confirmed it; return its digest."""

    def unsettled(self) -> Sequence[Answer]:
        """Return the reports that the fleet has not confirmed, the oldest first."""

    def settle(self, items: Sequence[ReceiptItem]) -> None:
        """Apply a receipt: what it names is not sent again, whatever the fleet says of it; unknown digests are ignored."""


class Microphone(Protocol):
    """Records sound."""

    def record(self, seconds: float, rate_hz: int) -> bytes:
        """Return 16-bit little-endian samples of one channel, of so many seconds from now. Raises `MicrophoneUnavailable`."""


class Entropy(Protocol):
    """Randomness for ids and nonces."""

    def token(self, size: int) -> bytes:
        """Return `size` unpredictable bytes."""
