"""What is a stored record worth?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from fleet.admission.conflicts import Effect, Facts, conflicts, worst
from fleet.admission.decisions import supports_decision
from fleet.admission.moments import AnyLink, Bracket, bracket_of, moment_of
from protocol.outcomes import Outcome
from protocol.policy import Policy
from protocol.records import CertificationRecord
from protocol.references import CaptureKind

ROSTER_VALIDITY = timedelta(days=14)
"""How long a terminal may use a roster page. Source: the review clock of R6-2 (two weeks): what a terminal holds is never staler
than a case."""
MAX_UNCERTAIN_SPAN = ROSTER_VALIDITY
"""A `time_uncertain` record counts if its moment is known to within this span. Source: a terminal can compare only while its roster is
valid, so a longer span says nothing a roster does not, and one by a reference card is held to the same; the pass is dated at the span's
early end, so doubt never lengthens a certification."""


class Flag(StrEnum):
    """What a reader of a stored link should know."""

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


@dataclass(frozen=True, slots=True)
class KnownReference:
    """What the fleet holds of the reference a record names, under the subject the record names."""

    capture: CaptureKind
    model_sha256: str
    expires_at: datetime
    """The end of its last day of validity."""
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a stored link is worth."""

    bracket: Bracket
    pass_at: datetime | None
    """The moment from which it certifies, if its chain is not broken; None when it does not."""
    flags: tuple[Flag, ...]

    @property
    def event_at(self) -> datetime:
        """The moment it is listed under: the early end of the bracket, or the late one where there is none."""
        return self.bracket.earliest or self.bracket.latest


def judge(
    record: CertificationRecord,
    *,
    policy: Policy | None,
    reference: KnownReference | None,
    accept_simulated: bool,
    received_at: datetime,
) -> Judgement:
    """Say what a certification record is worth.

    Args:
        record: the parsed record.
        policy: the policy the record names, if this fleet issued it.
        reference: the reference the record names, if this fleet holds it for the subject the record names.
        accept_simulated: whether what no camera saw may count.
        received_at: when it arrived, by the fleet's clock.
    """
    seen = judge_moment(record, accept_simulated=accept_simulated, received_at=received_at)
    bracket, flags = seen.bracket, list(seen.flags)
    if policy is None:
        flags.append(Flag.POLICY_UNKNOWN)
    if _claims_pass(record):
        if policy is not None and not supports_decision(record, policy):
            flags.append(Flag.DECISION_UNSUPPORTED)
        if not _is_reference_fit(record, reference, bracket):
            flags.append(Flag.REFERENCE_UNFIT)
    return Judgement(bracket, _pass_at(record, bracket, flags), tuple(flags))


def judge_moment(link: AnyLink, *, accept_simulated: bool, received_at: datetime) -> Judgement:
    """Say when a link of whatever kind happened and what a reader should know of that; by itself it is no pass."""
    bracket = bracket_of(moment_of(link), received_at)
    flags: list[Flag] = []
    if bracket.contradicted:
        flags.append(Flag.CLOCK_CONTRADICTED)
    if bracket.earliest is None:
        flags.append(Flag.TIME_UNBOUNDED)
    if link.simulated and not accept_simulated:
        flags.append(Flag.SIMULATED)
    return Judgement(bracket, None, tuple(flags))


def _is_reference_fit(record: CertificationRecord, reference: KnownReference | None, bracket: Bracket) -> bool:
    comparison = record.comparison
    if comparison is None or reference is None:
        return False
    if reference.capture is not comparison.capture or reference.model_sha256 != comparison.model_sha256:
        return False
    facts = Facts(reference_withdrawn_at=reference.withdrawn_at, reference_expires_at=reference.expires_at)
    return worst(conflicts(bracket, facts)) is Effect.COUNTS


def _claims_pass(record: CertificationRecord) -> bool:
    return record.decision.outcome in (Outcome.CERTIFIED, Outcome.TIME_UNCERTAIN)


def _pass_at(record: CertificationRecord, bracket: Bracket, flags: Sequence[Flag]) -> datetime | None:
    if not _claims_pass(record) or bracket.earliest is None or not _NOT_COUNTED.isdisjoint(flags):
        return None
    if record.decision.outcome is Outcome.CERTIFIED:
        return bracket.earliest
    return bracket.earliest if bracket.latest - bracket.earliest < MAX_UNCERTAIN_SPAN else None


_NOT_COUNTED = frozenset({Flag.POLICY_UNKNOWN, Flag.DECISION_UNSUPPORTED, Flag.REFERENCE_UNFIT, Flag.SIMULATED})
