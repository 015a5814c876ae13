"""What is a stored record worth?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.admission.conflicts import Effect, Facts, conflicts, worst
from fleet.admission.decisions import supports_decision, supports_enrolment
from fleet.admission.facts import Flag, Known, KnownReference
from fleet.admission.moments import AnyLink, Bracket, bracket_of, moment_of
from fleet.admission.operators import KnownStaff
from protocol.cases import CaseKind, CaseRecord
from protocol.outcomes import Outcome
from protocol.records import CertificationRecord, Purpose
from protocol.references import CaptureKind

ROSTER_VALIDITY = timedelta(days=14)
"""How long a terminal may use a roster page. Source: the review clock of R6-2 (two weeks): what a terminal holds is never staler
than a case."""
MAX_UNCERTAIN_SPAN = ROSTER_VALIDITY
"""A `time_uncertain` record counts if its moment is known to within this span. Source: a terminal can compare only while its roster is
valid, so a longer span says nothing a roster does not, and one by a reference card is held to the same; the pass is dated at the span's
early end, so doubt never lengthens a certification."""


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


def judge(record: CertificationRecord, known: Known, *, accept_simulated: bool, received_at: datetime) -> Judgement:
    """Say what a certification record is worth.

    Args:
        record: the parsed record.
        known: what the fleet knows of the things it names.
        accept_simulated: whether what no camera saw may count.
        received_at: when it arrived, by the fleet's clock.
    """
    seen = judge_moment(record, accept_simulated=accept_simulated, received_at=received_at)
    bracket, flags = seen.bracket, list(seen.flags)
    if known.policy is None:
        flags.append(Flag.POLICY_UNKNOWN)
    if _claims_pass(record):
        about = _of_enrolment if record.purpose is Purpose.ENROLMENT else _of_certification
        flags += about(record, known, bracket)
        if record.witness is not None and not known.staff.vouches(record.witness, bracket):
            flags.append(Flag.WITNESS_UNKNOWN)
        if record.witness is not None and record.witness == record.operator:
            flags.append(Flag.WITNESS_IS_OPERATOR)
    path = None if known.policy is None else known.policy.paths.get(record.decision.path)
    against = _not_counted(record, needs_witness=path is not None and path.needs_witness).intersection(flags)
    pass_at = None if against else _pass_at(record, bracket)
    if pass_at is not None and worst(conflicts(bracket, Facts(life_events=known.life_events))) is not Effect.COUNTS:
        # Nothing else is in the way: the flag says that the pass and the report cannot both be right.
        flags.append(Flag.LIFE_EVENT)
        pass_at = None
    return Judgement(bracket, pass_at, tuple(flags))


def judge_case(case: CaseRecord, staff: KnownStaff, *, accept_simulated: bool, received_at: datetime) -> Judgement:
    """Say when a case was opened and what its reviewer should know; a case certifies nobody.

    An exception can be recorded by whoever was in service; everything else is for those who may enrol.
    """
    seen = judge_moment(case, accept_simulated=accept_simulated, received_at=received_at)
    may = staff.may_serve if case.kind is CaseKind.EXCEPTION else staff.may_enrol
    flags = list(seen.flags)
    if not may(case.operator, seen.bracket):
        flags.append(Flag.OPERATOR_UNFIT)
    if case.witness is not None and not staff.vouches(case.witness, seen.bracket):
        flags.append(Flag.WITNESS_UNKNOWN)
    return Judgement(seen.bracket, None, tuple(flags))


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


def _of_certification(record: CertificationRecord, known: Known, bracket: Bracket) -> Iterator[Flag]:
    if known.policy is not None and not supports_decision(record, known.policy):
        yield Flag.DECISION_UNSUPPORTED
    if not _is_reference_fit(record, known.reference, bracket):
        yield Flag.REFERENCE_UNFIT
    # Who came for a visit is who was signed in: the record would not parse otherwise.
    if record.operator is not None and known.staff.is_unfit(record.operator, bracket):
        yield Flag.OPERATOR_UNFIT


def _of_enrolment(record: CertificationRecord, known: Known, bracket: Bracket) -> Iterator[Flag]:
    """Give what speaks against the first certification that an enrolment is (R1-1), and against its reference."""
    model_sha256 = None if known.made is None else known.made.model_sha256
    if model_sha256 is None:
        yield Flag.REFERENCE_UNREADABLE
    elif known.policy is not None and not supports_enrolment(record, known.policy, model_sha256):
        yield Flag.DECISION_UNSUPPORTED
    if not known.staff.may_enrol(record.operator, bracket):
        yield Flag.OPERATOR_UNFIT
    if known.made is not None and known.made.has_earlier:
        comparison = record.comparison
        is_live = comparison is not None and comparison.capture is CaptureKind.LIVE
        if not is_live or not _is_reference_fit(record, known.reference, bracket):
            yield Flag.COMPARISON_LACKING


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


def _pass_at(record: CertificationRecord, bracket: Bracket) -> datetime | None:
    if not _claims_pass(record) or bracket.earliest is None:
        return None
    if record.decision.outcome is Outcome.CERTIFIED:
        return bracket.earliest
    return bracket.earliest if bracket.latest - bracket.earliest < MAX_UNCERTAIN_SPAN else None


def _not_counted(record: CertificationRecord, *, needs_witness: bool) -> frozenset[Flag]:
    # A certification rests on comparison and evidence; who was signed in vouches for nothing in it but as its witness, who is looked up. A
    # witness whom nothing asked for is no condition: that they are unknown is said, and costs nobody their pension.
    unneeded = set() if needs_witness else {Flag.WITNESS_UNKNOWN}
    if record.purpose is not Purpose.ENROLMENT:
        unneeded.add(Flag.OPERATOR_UNFIT)
    return _NOT_COUNTED - unneeded


_NOT_COUNTED = frozenset(Flag) - {Flag.CLOCK_CONTRADICTED, Flag.TIME_UNBOUNDED, Flag.WITNESS_IS_OPERATOR}
