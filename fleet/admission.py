"""Is this record to be believed? Pure functions over what is known when a record arrives.

A record whose signature holds is either stored or refused. Refused records (fork, retired terminal, wrong fleet or terminal) have no
effect and wait in quarantine for a person. A stored record says what was seen; whether it counts as a pass is decided here from three
things: the decision must agree with its own evidence and with the policy it names, its moment must be known well enough, and the chain
must not be broken.

Order of arrival does not matter: what is derived from neighbours in the chain (`Chain`) is a function of the set of stored records.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from protocol.evidence import EvidenceStatus, PadOutcome, fuse
from protocol.outcomes import Outcome
from protocol.policy import Policy
from protocol.presence import Presence
from protocol.records import CertificationRecord
from protocol.references import CaptureKind
from protocol.times import ClockSource, DeviceTime

ROSTER_VALIDITY = timedelta(days=14)
"""How long a terminal may use a roster page. Source: the review clock of R6-2 (two weeks): what a terminal holds is never staler
than a case."""
MAX_UNCERTAIN_SPAN = ROSTER_VALIDITY
"""A `time_uncertain` record counts if its moment is known to within this span. Source: a terminal can compare only while its roster is
valid, so a longer span says nothing a roster does not; the pass is dated at the span's early end, so doubt never lengthens a
certification."""
MAX_COUNTER = 2**53
"""Largest counter taken: the largest integer all readers of JSON agree on (RFC 8259 section 6); a terminal never gets near it."""
_UNBOUNDED_S = timedelta(days=3650).total_seconds()
"""A clock error bound of ten years or more bounds nothing."""


class Refusal(StrEnum):
    """Why a message has no effect."""

    TOPIC = "topic"
    TOO_LARGE = "too_large"
    UNKNOWN_TERMINAL = "unknown_terminal"
    SIGNATURE = "signature"
    MALFORMED = "malformed"
    UNSUPPORTED_VERSION = "unsupported_version"
    WRONG_FLEET = "wrong_fleet"
    WRONG_TERMINAL = "wrong_terminal"
    RETIRED_TERMINAL = "retired_terminal"
    FORK = "fork"
    """Another record with this counter is stored: two programs sign with one key, or a disk was put back."""
    RECORD_ID_REUSED = "record_id_reused"
    OUT_OF_RANGE = "out_of_range"
    NOT_STORABLE = "not_storable"
    """The database does not take its text (a NUL character, for one)."""


class Flag(StrEnum):
    """What a reader of a stored record should know."""

    CLOCK_CONTRADICTED = "clock_contradicted"
    """The wall clock with its bound lies outside what the fleet itself knows; it was not used."""
    TIME_UNBOUNDED = "time_unbounded"
    """No lower bound of the moment is known."""
    DECISION_UNSUPPORTED = "decision_unsupported"
    """The outcome does not follow from the record's own comparison and evidence, or from the policy it names."""
    POLICY_UNKNOWN = "policy_unknown"
    """The fleet never issued the policy it names."""


class Chain(StrEnum):
    """How a record joins the one before it."""

    LINKED = "linked"
    GAP = "gap"
    """The record before it has not arrived."""
    BROKEN = "broken"
    """The record before it is not the one it names."""


@dataclass(frozen=True, slots=True)
class Position:
    """What is stored around a record's place in its terminal's chain, by digest."""

    here: str | None
    """The record with the same counter."""
    before: str | None
    """The record with the counter before."""
    record_id_sha256: str | None
    """The record with the same record id, of whatever terminal."""


@dataclass(frozen=True, slots=True)
class Bracket:
    """Between which moments something happened, by the fleet's own clock."""

    earliest: datetime | None
    """None when nothing bounds it."""
    latest: datetime
    contradicted: bool = False
    """Whether the terminal's clock said otherwise."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What becomes of one record."""

    refusal: Refusal | None
    repeated: bool
    chain: Chain
    bracket: Bracket
    event_at: datetime
    """The moment it is listed under: the early end of the bracket, or the late one where there is none."""
    pass_at: datetime | None
    """The moment from which it certifies, if its chain is not broken; None when it does not."""
    flags: tuple[Flag, ...]


def admit(
    record: CertificationRecord,
    *,
    sha256: str,
    fleet_id: str,
    terminal_id: str,
    retired: bool,
    position: Position,
    policy: Policy | None,
    received_at: datetime,
) -> Admission:
    """Judge a record whose signature holds.

    Args:
        record: the parsed record.
        sha256: digest of the signed bytes.
        fleet_id: this fleet.
        terminal_id: whose key signed it and on whose topic it came.
        retired: whether that terminal was retired before it arrived.
        position: what is stored around it.
        policy: the policy the record names, if this fleet issued it.
        received_at: when it arrived, by the fleet's clock.
    """
    bracket = bracket_of(record.decided, received_at)
    flags = _flags(record, bracket, policy)
    refusal, repeated = _refusal(record, sha256, fleet_id, terminal_id, retired, position)
    return Admission(
        refusal=refusal,
        repeated=repeated,
        chain=chain_of(record.counter, record.previous, position.before),
        bracket=bracket,
        event_at=bracket.earliest or bracket.latest,
        pass_at=None if refusal else _pass_at(record, bracket, flags),
        flags=flags,
    )


def chain_of(counter: int, previous: str | None, before: str | None) -> Chain:
    """Return how a record joins the one before it.

    Args:
        counter: the record's counter.
        previous: the digest it names.
        before: the digest of the stored record with the counter before; None if there is none.
    """
    if counter == 1:
        return Chain.LINKED if previous is None else Chain.BROKEN
    if previous is None:
        return Chain.BROKEN
    if before is None:
        return Chain.GAP
    return Chain.LINKED if previous == before else Chain.BROKEN


def bracket_of(moment: DeviceTime, received_at: datetime) -> Bracket:
    """Return between which moments a device's moment lies, by the fleet's clock.

    The fleet itself knows two bounds: not before the newest time it had signed for the terminal, not after the arrival. The terminal's wall
    clock, with its stated bound, narrows them; where it contradicts them it is set aside. Without a source or a bound it says nothing.
    """
    floor = moment.last_fleet_time
    if floor is not None and floor > received_at:
        # A time this fleet has not reached yet: no bound at all.
        return Bracket(None, received_at, contradicted=True)
    spread = moment.uncertainty_s
    if moment.source is ClockSource.NONE or spread is None or spread >= _UNBOUNDED_S:
        return Bracket(floor, received_at)
    doubt = timedelta(seconds=spread)
    try:
        low, high = moment.wall_clock - doubt, moment.wall_clock + doubt
    except OverflowError:
        return Bracket(floor, received_at, contradicted=True)
    if low > received_at or (floor is not None and high < floor):
        return Bracket(floor, received_at, contradicted=True)
    return Bracket(low if floor is None else max(low, floor), min(high, received_at))


def supports_decision(record: CertificationRecord, policy: Policy | None) -> bool:
    """Return whether a pass follows from the record's own numbers, and from the policy it names where that is known."""
    comparison = record.comparison
    if comparison is None or comparison.zone != "match" or comparison.capture is CaptureKind.PHOTO:
        return False
    thresholds = [comparison.match_threshold]
    if policy is not None:
        thresholds += [
            policy.comparison[network.name].match
            for network in record.networks
            if network.sha256 == comparison.model_sha256 and network.name in policy.comparison
        ]
    if comparison.score < max(thresholds):
        return False
    path = policy.paths.get(record.decision.path) if policy is not None else None
    if policy is not None and path is None:
        return False
    required = (
        path.required if path is not None else [e.kind for e in record.evidence if e.status is EvidenceStatus.PASSED]
    )
    return fuse(record.evidence, required).outcome is PadOutcome.BONA_FIDE


@dataclass(frozen=True, slots=True)
class KnownPresence:
    """What is stored of a terminal's presence; all None before the first message."""

    state: str | None
    connection: int | None
    boot_id: str | None
    said_at: datetime | None


def supersedes(presence: Presence, known: KnownPresence) -> bool:
    """Return whether a presence message is newer than what is stored.

    Connections are numbered by the terminal's wall clock: a will of an older one is out of date. A terminal that started again without
    a clock numbers from the past, so its word that it is online counts whenever it names another boot; presence is repeated, so
    an old message that slips through here is put right by the next. Within one connection `offline` is the last word, because a will is
    sent only once the connection is gone.
    """
    if known.connection is None or presence.connection > known.connection:
        return True
    if presence.connection < known.connection:
        return presence.state == "online" and presence.boot_id != known.boot_id
    if presence.state == "offline":
        return known.state != "offline"
    return known.state == "online" and (known.said_at is None or presence.said_at >= known.said_at)


def _refusal(
    record: CertificationRecord,
    sha256: str,
    fleet_id: str,
    terminal_id: str,
    retired: bool,
    position: Position,
) -> tuple[Refusal | None, bool]:
    if record.fleet_id != fleet_id:
        return Refusal.WRONG_FLEET, False
    if record.terminal_id != terminal_id:
        return Refusal.WRONG_TERMINAL, False
    if record.counter > MAX_COUNTER:
        return Refusal.OUT_OF_RANGE, False
    if position.here == sha256:
        return None, True
    if retired:
        return Refusal.RETIRED_TERMINAL, False
    if position.here is not None:
        return Refusal.FORK, False
    if position.record_id_sha256 is not None:
        return Refusal.RECORD_ID_REUSED, False
    return None, False


def _flags(record: CertificationRecord, bracket: Bracket, policy: Policy | None) -> tuple[Flag, ...]:
    flags: list[Flag] = []
    if bracket.contradicted:
        flags.append(Flag.CLOCK_CONTRADICTED)
    if bracket.earliest is None:
        flags.append(Flag.TIME_UNBOUNDED)
    if policy is None:
        flags.append(Flag.POLICY_UNKNOWN)
    if _claims_pass(record) and not supports_decision(record, policy):
        flags.append(Flag.DECISION_UNSUPPORTED)
    return tuple(flags)


def _claims_pass(record: CertificationRecord) -> bool:
    return record.decision.outcome in (Outcome.CERTIFIED, Outcome.TIME_UNCERTAIN)


def _pass_at(record: CertificationRecord, bracket: Bracket, flags: tuple[Flag, ...]) -> datetime | None:
    if not _claims_pass(record) or Flag.DECISION_UNSUPPORTED in flags or bracket.earliest is None:
        return None
    if record.decision.outcome is Outcome.CERTIFIED:
        return bracket.earliest
    return bracket.earliest if bracket.latest - bracket.earliest < MAX_UNCERTAIN_SPAN else None
