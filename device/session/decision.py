"""The decision of a session: denies unless every condition of the policy holds, and gives every reason that speaks against.

A score equal to its threshold belongs to the better side: at the match threshold it is a match, at the grey threshold it is
grey. A score that is missing or not a number never is a match. The outcome is the first of these that holds:

1. the session was ended: `cancelled`;
2. nobody to compare with: `no_reference`;
3. no policy, or one that does not know the path or the network: `not_certified`;
4. no usable picture: `poor_sample`;
5. evidence failed that the policy calls an attack: `presentation_attack`;
6. comparison is a non-match: `not_certified`;
7. any other evidence failed, required or not: `review`;
8. required evidence did not run, or there is no comparison: `not_certified`;
9. comparison is grey, the reference is provisional, or the path needs a witness and none is named: `review`;
10. nothing bounds the date well enough: `time_uncertain`;
11. `certified`.

An enrolment makes a reference, and the first one is itself a certification (R1-1). It needs an operator who may enrol, and no
reference; where there is one already the probe must match it, because nobody's reference may be replaced by somebody else's face.
Of the ladder above, 2 does not apply to it, and in place of 6, and for a subject that this terminal has not got or an operator who
may not enrol, a person decides: `review`.

What a certification is good for is the rule packs' word (`protocol.entitlements`): with it among the acts, the strictest of the person's
obligations says until when they are certified. One that comes before a gap is over or a window opens is a certification all the same;
it counts for nothing further, and the person is told from when on the next one does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from protocol.entitlements import Rule, strictest_of
from protocol.evidence import EvidenceResult, fuse
from protocol.outcomes import Outcome, Reason
from protocol.policy import PathName, Policy
from protocol.records import Purpose
from protocol.rules.acts import Act, ActKind, Channel

NO_POLICY = "none"
"""Stands in a record for the policy version when no policy was in force."""

_THIS_ACT = "this"
"""Stands for the id of an act whose record has none yet."""
_ENDED = (Reason.CANCELLED_BY_PERSON, Reason.LEFT, Reason.FAULT)
_NOBODY = (Reason.NO_SUBJECT, Reason.NO_USABLE_REFERENCE)
_NO_PICTURE = (Reason.NO_FACE, Reason.QUALITY, Reason.TOO_MANY_FACES)
_FOR_A_PERSON = (
    Reason.COMPARISON_GREY,
    Reason.REFERENCE_PROVISIONAL,
    Reason.WITNESS_MISSING,
    # The next ones only in an enrolment: a certification has ended further up the ladder.
    Reason.COMPARISON_NON_MATCH,
    Reason.NO_SUBJECT,
    Reason.OPERATOR_MISSING,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a decision rests on."""

    is_subject_known: bool
    has_reference: bool
    is_reference_provisional: bool
    path: PathName
    witness: str | None
    """Opaque id of the worker who vouches for the presentation."""
    network: str
    policy: Policy | None
    ended: Reason | None
    """What ended the session before comparison (cancelled, left, fault, no face, quality, too many faces); None when nothing did."""
    similarity: float | None
    """Cosine -1..1, larger = more alike; None without comparison."""
    evidence: tuple[EvidenceResult, ...]
    day: date | None
    """The day of the decision; None when nobody asked the clock."""
    clock_uncertainty_s: float | None
    """Bound on the wall clock's error; None when nothing bounds it."""
    normalised: float | None = None
    """The normalised score, -2..2, larger = more alike; None where there was no cohort for one."""
    cohort_people: int = 0
    """How many others the cohort was made of."""
    is_probe_complete: bool = True
    """Whether the probe was made of as many samples as the policy asks for."""
    purpose: Purpose = Purpose.CERTIFICATION
    may_enrol: bool = False
    """Whether somebody is signed in who may enrol."""
    rules: tuple[Rule, ...] = ()
    """What the packs ask about the person's benefits."""
    channel: Channel = Channel.TERMINAL


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, with every reason that speaks against certification."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    certified_until: date | None = None
    """The last day before which nothing more need be done; only with `certified`, None where no pack counts such an act."""
    rule_pack: str | None = None
    """Id and version of the pack whose obligation is the strictest."""
    next_from: date | None = None
    """The first day on which another certification counts, where that day is still to come."""
    is_early: bool = False
    """Whether this one came before it could count for that obligation."""


def decide(facts: Facts) -> Verdict:
    """Return the verdict over the facts."""
    reasons = _reasons(facts)
    outcome = _outcome(facts, reasons)
    if outcome is Outcome.CERTIFIED and facts.day is not None:
        return _certified(facts, facts.day)
    return Verdict(outcome, reasons)


def _certified(facts: Facts, day: date) -> Verdict:
    kind = ActKind.ENROLMENT if facts.purpose is Purpose.ENROLMENT else ActKind.LIVE
    next_one = strictest_of(facts.rules, Act(_THIS_ACT, day, kind, facts.channel))
    if next_one is None:
        return Verdict(Outcome.CERTIFIED, ())
    has_counted = next_one.last is not None and next_one.last.day >= day
    return Verdict(
        Outcome.CERTIFIED,
        (),
        certified_until=None if next_one.last is None else next_one.due,
        rule_pack=f"{next_one.pack_id}/{next_one.pack_version}",
        next_from=next_one.opens if next_one.opens > day else None,
        is_early=not has_counted and next_one.opens > day,
    )


def _reasons(facts: Facts) -> tuple[Reason, ...]:
    """Return every reason that holds, in the order of `Reason`."""
    found: set[Reason] = set()
    if facts.ended is not None:
        found.add(facts.ended)
    is_enrolment = facts.purpose is Purpose.ENROLMENT
    if is_enrolment and not facts.may_enrol:
        found.add(Reason.OPERATOR_MISSING)
    if not facts.is_subject_known:
        found.add(Reason.NO_SUBJECT)
    elif not facts.has_reference and not is_enrolment:
        found.add(Reason.NO_USABLE_REFERENCE)
    elif facts.is_reference_provisional and not is_enrolment:
        found.add(Reason.REFERENCE_PROVISIONAL)
    thresholds = facts.policy.comparison.get(facts.network) if facts.policy else None
    path = facts.policy.paths.get(facts.path) if facts.policy else None
    if facts.policy is None or thresholds is None or path is None:
        found.add(Reason.POLICY_UNKNOWN)
    if facts.similarity is None and (facts.has_reference or not is_enrolment):
        found.add(Reason.COMPARISON_MISSING)
    if is_enrolment and not facts.is_probe_complete:
        found.add(Reason.COMPARISON_MISSING)
    if facts.similarity is not None and thresholds is not None:
        judged = thresholds.judge(facts.similarity, normalised=facts.normalised, cohort_people=facts.cohort_people)
        found |= _ZONE_REASONS[judged.zone]
    if path is not None and path.needs_witness and facts.witness is None:
        found.add(Reason.WITNESS_MISSING)
    fused = fuse(facts.evidence, path.required if path else (), path.advisory if path else ())
    if fused.failed:
        found.add(Reason.EVIDENCE_FAILED)
    if fused.missing:
        found.add(Reason.EVIDENCE_NOT_RUN)
    # Without a day nobody looked at the clock, because the session ended before it mattered.
    if facts.policy is not None and facts.day is not None and not _is_clock_good(facts, facts.policy):
        found.add(Reason.CLOCK)
    return tuple(reason for reason in Reason if reason in found)


def _is_clock_good(facts: Facts, policy: Policy) -> bool:
    uncertainty = facts.clock_uncertainty_s
    return uncertainty is not None and uncertainty <= policy.max_clock_uncertainty_s


_ZONE_REASONS: dict[str, set[Reason]] = {
    "match": set(),
    "grey": {Reason.COMPARISON_GREY},
    "non_match": {Reason.COMPARISON_NON_MATCH},
}


def _outcome(facts: Facts, reasons: tuple[Reason, ...]) -> Outcome:
    found = set(reasons)
    is_enrolment = facts.purpose is Purpose.ENROLMENT
    attacks = set(facts.policy.attack_evidence) if facts.policy else set()
    failed = set(fuse(facts.evidence, ()).failed)
    ladder: tuple[tuple[bool, Outcome], ...] = (
        (not found.isdisjoint(_ENDED), Outcome.CANCELLED),
        (not found.isdisjoint(_NOBODY) and not is_enrolment, Outcome.NO_REFERENCE),
        (Reason.POLICY_UNKNOWN in found, Outcome.NOT_CERTIFIED),
        (not found.isdisjoint(_NO_PICTURE), Outcome.POOR_SAMPLE),
        (not failed.isdisjoint(attacks), Outcome.PRESENTATION_ATTACK),
        (Reason.COMPARISON_NON_MATCH in found and not is_enrolment, Outcome.NOT_CERTIFIED),
        (Reason.EVIDENCE_FAILED in found, Outcome.REVIEW),
        (Reason.EVIDENCE_NOT_RUN in found or Reason.COMPARISON_MISSING in found, Outcome.NOT_CERTIFIED),
        (not found.isdisjoint(_FOR_A_PERSON), Outcome.REVIEW),
        (Reason.CLOCK in found or facts.day is None, Outcome.TIME_UNCERTAIN),
    )
    for holds, outcome in ladder:
        if holds:
            return outcome
    return Outcome.CERTIFIED if not found else Outcome.NOT_CERTIFIED
