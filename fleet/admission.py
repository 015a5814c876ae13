"""Is this record to be believed? Pure functions over what is known when a record arrives.

A record whose signature holds is either stored or refused. Refused records (fork, retired terminal, wrong fleet or terminal) have no
effect and wait in quarantine for a person. A stored record says what was seen; whether it counts as a pass is decided here from four
things: the decision must follow from the record's own numbers by the policy it names, which this fleet issued; the reference it compared
with must be one of this fleet; its moment must be known well enough; and the chain must not be broken.

What the fleet cannot know is who a witness is: terminals name one by an opaque operator id, and any id counts where a path needs a witness.

Order of arrival does not matter: what is derived from neighbours in the chain (`Chain`) is a function of the set of stored records, and
`judge` can be asked again when the fleet knows more (a policy put back, a setting changed).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from protocol.challenge import ChallengeDraws
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus, PadOutcome, fuse
from protocol.outcomes import Outcome, Reason
from protocol.policy import PathPolicy, Policy
from protocol.presence import Presence
from protocol.quality import is_acceptable
from protocol.records import CertificationRecord
from protocol.references import CaptureKind
from protocol.times import ClockSource, DeviceTime

ROSTER_VALIDITY = timedelta(days=14)
"""How long a terminal may use a roster page. Source: the review clock of R6-2 (two weeks): what a terminal holds is never staler
than a case."""
MAX_UNCERTAIN_SPAN = ROSTER_VALIDITY
"""A `time_uncertain` record counts if its moment is known to within this span. Source: a terminal can compare only while its roster is
valid, so a longer span says nothing a roster does not, and one by a reference card is held to the same; the pass is dated at the span's
early end, so doubt never lengthens a certification."""
MAX_COUNTER = 2**53
"""Largest counter taken: the largest integer all readers of JSON agree on (RFC 8259 section 6); a terminal never gets near it."""
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the fleet's own clock may have fallen back. Source: the fleet's hosts keep time by NTP, whose steps after a restart and
differences between two hosts are seconds; five minutes leave room for a host that waits for its time server, and a certification is
counted in days, so that so much doubt can move it by one day at most."""
QUALITY_ROUNDING = 0.05
"""Terminals write quality components rounded to a tenth."""
MEASURE_ROUNDING = 0.00005
"""Terminals write the measures behind evidence rounded to four places; scores as they are."""
_ALL_OF_IT = 1.0
"""What the light's score, the least of its measures as a part of what is asked, must reach."""
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
    NOT_HANDLED = "not_handled"
    """A fault of the fleet's own programs with this one message; it got no receipt, so the terminal sends it again."""


class Flag(StrEnum):
    """What a reader of a stored record should know."""

    CLOCK_CONTRADICTED = "clock_contradicted"
    """The wall clock with its bound lies outside what the fleet itself knows; it was not used."""
    TIME_UNBOUNDED = "time_unbounded"
    """No lower bound of the moment is known."""
    DECISION_UNSUPPORTED = "decision_unsupported"
    """The outcome does not follow from the record's own comparison, evidence and challenge by the policy it names."""
    POLICY_UNKNOWN = "policy_unknown"
    """The fleet never issued the policy it names; a pass does not count."""
    REFERENCE_UNFIT = "reference_unfit"
    """The reference it compared with is not the subject's, of another kind or network, withdrawn or out of date; it does not count."""
    SIMULATED = "simulated"
    """No camera saw it; it counts only where the settings accept that."""


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
class KnownReference:
    """What the fleet holds of the reference a record names, under the subject the record names."""

    capture: CaptureKind
    model_sha256: str
    expires_at: datetime
    """The end of its last day of validity."""
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class Bracket:
    """Between which moments something happened, by the fleet's own clock."""

    earliest: datetime | None
    """None when nothing bounds it."""
    latest: datetime
    contradicted: bool = False
    """Whether the terminal's clock said otherwise."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a stored record is worth."""

    bracket: Bracket
    pass_at: datetime | None
    """The moment from which it certifies, if its chain is not broken; None when it does not."""
    flags: tuple[Flag, ...]

    @property
    def event_at(self) -> datetime:
        """The moment it is listed under: the early end of the bracket, or the late one where there is none."""
        return self.bracket.earliest or self.bracket.latest


@dataclass(frozen=True, slots=True)
class Admission:
    """What becomes of one record."""

    refusal: Refusal | None
    repeated: bool
    chain: Chain
    judgement: Judgement


def admit(
    record: CertificationRecord,
    *,
    sha256: str,
    fleet_id: str,
    terminal_id: str,
    retired_at: datetime | None,
    position: Position,
    policy: Policy | None,
    reference: KnownReference | None,
    accept_simulated: bool,
    received_at: datetime,
) -> Admission:
    """Say what becomes of a record whose signature holds.

    Args:
        record: the parsed record.
        sha256: digest of the signed bytes.
        fleet_id: this fleet.
        terminal_id: whose key signed it and on whose topic it came.
        retired_at: when that terminal was retired, if it was; what it certainly decided before still counts.
        position: what is stored around it.
        policy: the policy the record names, if this fleet issued it.
        reference: the reference the record names, if this fleet holds it for the subject the record names.
        accept_simulated: whether a record that no camera saw may count.
        received_at: when it arrived, by the fleet's clock.
    """
    judgement = judge(
        record, policy=policy, reference=reference, accept_simulated=accept_simulated, received_at=received_at
    )
    is_retired = retired_at is not None and judgement.bracket.latest >= retired_at
    refusal, repeated = _refusal(record, sha256, fleet_id, terminal_id, is_retired, position)
    chain = chain_of(record.counter, record.previous, position.before)
    return Admission(refusal=refusal, repeated=repeated, chain=chain, judgement=judgement)


def judge(
    record: CertificationRecord,
    *,
    policy: Policy | None,
    reference: KnownReference | None,
    accept_simulated: bool,
    received_at: datetime,
) -> Judgement:
    """Say what a record is worth; arguments as in `admit`."""
    bracket = bracket_of(record.decided, received_at)
    flags: list[Flag] = []
    if bracket.contradicted:
        flags.append(Flag.CLOCK_CONTRADICTED)
    if bracket.earliest is None:
        flags.append(Flag.TIME_UNBOUNDED)
    if policy is None:
        flags.append(Flag.POLICY_UNKNOWN)
    if _is_simulated(record) and not accept_simulated:
        flags.append(Flag.SIMULATED)
    if _claims_pass(record):
        if policy is not None and not supports_decision(record, policy):
            flags.append(Flag.DECISION_UNSUPPORTED)
        if not _is_reference_fit(record, reference, bracket):
            flags.append(Flag.REFERENCE_UNFIT)
    return Judgement(bracket, _pass_at(record, bracket, flags), tuple(flags))


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
    A moment ahead of the arrival by no more than `CLOCK_TOLERANCE` means that the fleet's clock fell back: it is taken as the arrival. A
    signed time further ahead bounds nothing.
    """
    floor = moment.last_fleet_time
    is_floor_wrong = floor is not None and floor - received_at > CLOCK_TOLERANCE
    floor = None if floor is None or is_floor_wrong else min(floor, received_at)
    spread = moment.uncertainty_s
    if moment.source is ClockSource.NONE or spread is None or spread >= _UNBOUNDED_S:
        return Bracket(floor, received_at, contradicted=is_floor_wrong)
    doubt = timedelta(seconds=spread)
    try:
        low, high = moment.wall_clock - doubt, moment.wall_clock + doubt
    except OverflowError:
        return Bracket(floor, received_at, contradicted=True)
    if low - received_at > CLOCK_TOLERANCE or (floor is not None and high < floor):
        return Bracket(floor, received_at, contradicted=True)
    low, high = min(low, received_at), min(high, received_at)
    return Bracket(low if floor is None else max(low, floor), high, contradicted=is_floor_wrong)


def supports_decision(record: CertificationRecord, policy: Policy) -> bool:
    """Return whether a pass follows from the record's own numbers by the policy it names.

    Everything a pass needs must stand in the record: no reason against it but the clock's where the moment is left to the fleet, a
    match by the policy's own thresholds for the one network that compared, required evidence whose scores and measures reach what the
    policy asks (advisory evidence that says it passed, too), the challenge the nonce draws, a probe of the policy's size and quality, and
    the name of a witness, whoever that is, where the path asks for one.
    """
    allowed = {Reason.CLOCK} if record.decision.outcome is Outcome.TIME_UNCERTAIN else set()
    path = policy.paths.get(record.decision.path)
    if path is None or not allowed.issuperset(record.decision.reasons):
        return False
    if path.needs_witness and record.witness is None:
        return False
    if fuse(record.evidence, path.required, path.advisory).outcome is not PadOutcome.BONA_FIDE:
        return False
    if not _is_match(record, policy) or not _is_probe_good(record, policy):
        return False
    named = {*path.required, *path.advisory}
    passed = [result for result in record.evidence if result.status is EvidenceStatus.PASSED and result.kind in named]
    if not all(_is_reached(result, record, policy) for result in passed):
        return False
    return EvidenceKind.CHALLENGE not in path.required or _is_challenge_met(record, policy, path)


def _is_match(record: CertificationRecord, policy: Policy) -> bool:
    comparison = record.comparison
    if comparison is None or comparison.zone != "match" or comparison.capture is CaptureKind.PHOTO:
        return False
    compared = [network.name for network in record.networks if network.sha256 == comparison.model_sha256]
    thresholds = policy.comparison.get(compared[0]) if len(compared) == 1 else None
    if thresholds is None:
        return False
    judged = thresholds.judge(
        comparison.score, normalised=comparison.normalised_score, cohort_people=comparison.cohort_people
    )
    if (comparison.match_threshold, comparison.grey_threshold) != (judged.match, judged.grey):
        return False
    return judged.kind == comparison.judged and judged.zone == "match"


def _is_probe_good(record: CertificationRecord, policy: Policy) -> bool:
    if record.comparison is None or record.comparison.samples < policy.quality.probe_samples:
        return False
    return is_acceptable(record.quality, policy.minimum_quality(record.decision.path), rounding=QUALITY_ROUNDING)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a policy asks of a result that passed."""

    score: float
    """The least score, and the least threshold the terminal may have compared it with."""
    least: Mapping[str, float] = field(default_factory=dict)
    """By measure; one that is not in the record reaches nothing."""
    most: Mapping[str, float] = field(default_factory=dict)


def _is_reached(result: EvidenceResult, record: CertificationRecord, policy: Policy) -> bool:
    """Return whether a result that passed shows all that the policy asks of its kind."""
    if result.kind is EvidenceKind.CHALLENGE:
        # It has no score; what was asked and answered stands in the record and is judged there.
        return True
    asked = _asked_of(result.kind, record, policy)
    if asked is None or result.score is None or result.threshold is None:
        return False
    found = result.measures
    return (
        result.score >= asked.score
        and result.threshold >= asked.score
        and all(name in found and found[name] >= value - MEASURE_ROUNDING for name, value in asked.least.items())
        and all(name in found and found[name] <= value + MEASURE_ROUNDING for name, value in asked.most.items())
    )


def _asked_of(kind: EvidenceKind, record: CertificationRecord, policy: Policy) -> _Asked | None:
    """Return what the policy asks of a kind with a score; None where it says nothing of it, so that nothing reaches it."""
    match kind:
        case EvidenceKind.CONTINUITY:
            return _Asked(policy.continuity.min_similarity)
        case EvidenceKind.PLANARITY if (depth := policy.planarity) is not None:
            return _Asked(depth.min_residual, {"turned_frames": depth.min_frames, "largest_yaw_deg": depth.min_yaw_deg})
        case EvidenceKind.ILLUMINATION if (light := policy.illumination) is not None:
            least = {
                "code_correlation": light.min_code_correlation,
                "gain": light.min_gain,
                "relief_left": light.min_relief,
                "relief_right": light.min_relief,
                "albedo_share": light.min_albedo_share,
                # Measures are rounded in a record: the terminal asks for more than 0, which may be written as 0.
                "code_margin": 0.0,
                "steady": light.min_steady,
            }
            most = {
                "highlight": light.max_highlight,
                "code_deviation": light.max_code_deviation,
                "longest_gap_s": light.max_gap_s,
            }
            return _Asked(_ALL_OF_IT, least, most)
        case EvidenceKind.CAPTURE_PATH if (sensor := policy.capture_path) is not None:
            most = {"exposure_error": sensor.max_exposure_error, "repeated": sensor.max_repeated_frames}
            least = {"exposure_response": sensor.min_exposure_response, "regular": sensor.min_regular}
            return _Asked(sensor.min_exposure_response, least, most)
        case EvidenceKind.PULSE if policy.pulse is not None:
            return _Asked(policy.pulse.min_snr_db, most={"motion": policy.pulse.max_motion})
        case EvidenceKind.TEXTURE:
            used = [network.name for network in record.networks if network.name in policy.texture]
            if len(used) != 1:
                return None
            skin = policy.texture[used[0]]
            return _Asked(skin.min_score, {"frames": skin.min_frames})
        case _:
            return None


def _is_challenge_met(record: CertificationRecord, policy: Policy, path: PathPolicy) -> bool:
    """Enough actions were performed, and those asked for are the ones the nonce draws."""
    draws = ChallengeDraws(
        bytes.fromhex(record.nonce), policy.challenge, needs_turn=EvidenceKind.PLANARITY in path.required
    )
    return draws.are_met([(asked.action, asked.result) for asked in record.challenge])


def _is_reference_fit(record: CertificationRecord, reference: KnownReference | None, bracket: Bracket) -> bool:
    comparison = record.comparison
    if comparison is None or reference is None:
        return False
    if reference.capture is not comparison.capture or reference.model_sha256 != comparison.model_sha256:
        return False
    if reference.withdrawn_at is not None and reference.withdrawn_at <= bracket.latest:
        return False
    return (bracket.earliest or bracket.latest) < reference.expires_at


def _is_simulated(record: CertificationRecord) -> bool:
    return record.simulated


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
    is_retired: bool,
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
    if is_retired:
        return Refusal.RETIRED_TERMINAL, False
    if position.here is not None:
        return Refusal.FORK, False
    if position.record_id_sha256 is not None:
        return Refusal.RECORD_ID_REUSED, False
    return None, False


def _claims_pass(record: CertificationRecord) -> bool:
    return record.decision.outcome in (Outcome.CERTIFIED, Outcome.TIME_UNCERTAIN)


def _pass_at(record: CertificationRecord, bracket: Bracket, flags: Sequence[Flag]) -> datetime | None:
    if not _claims_pass(record) or bracket.earliest is None or not _NOT_COUNTED.isdisjoint(flags):
        return None
    if record.decision.outcome is Outcome.CERTIFIED:
        return bracket.earliest
    return bracket.earliest if bracket.latest - bracket.earliest < MAX_UNCERTAIN_SPAN else None


_NOT_COUNTED = frozenset({Flag.POLICY_UNKNOWN, Flag.DECISION_UNSUPPORTED, Flag.REFERENCE_UNFIT, Flag.SIMULATED})
