"""The decision: which outcome, with which reasons, and that more evidence for a person never harms."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.session.decision import Facts, Verdict, decide
from protocol.entitlements import Rule
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.outcomes import Outcome, Reason
from protocol.policy import (
    ComparisonPolicy,
    NormalisedThresholds,
    PathName,
    PathPolicy,
    ThresholdSource,
    default_policy,
)
from protocol.records import Purpose
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.obligations import Entitled
from protocol.shipped_packs import default_pack, shipped_pack

BARE = PathPolicy(required=(EvidenceKind.CHALLENGE, EvidenceKind.CONTINUITY), advisory=(EvidenceKind.TEXTURE,))
WITNESSED = PathPolicy(required=(EvidenceKind.CONTINUITY,), needs_witness=True)
POLICY = default_policy().model_copy(update={"paths": {PathName.STANDARD: BARE, PathName.NO_MOVEMENT: WITNESSED}})
NETWORK = "features_mobilefacenet"
THRESHOLDS = POLICY.comparison[NETWORK]


def result(kind: EvidenceKind, status: EvidenceStatus = EvidenceStatus.PASSED) -> EvidenceResult:
    return EvidenceResult(kind=kind, status=status, reason="for_a_test")


FACTS = Facts(
    is_subject_known=True,
    has_reference=True,
    is_reference_provisional=False,
    path=PathName.STANDARD,
    witness=None,
    network=NETWORK,
    policy=POLICY,
    ended=None,
    similarity=0.9,
    evidence=(result(EvidenceKind.CHALLENGE), result(EvidenceKind.CONTINUITY)),
    day=date(2026, 11, 22),
    clock_uncertainty_s=1.0,
    rules=(Rule(default_pack(), Entitled(date(2015, 1, 1))),),
)
FAILED, NOT_RUN = EvidenceStatus.FAILED, EvidenceStatus.NOT_RUN


@pytest.mark.parametrize(
    ("changes", "outcome", "reasons"),
    [
        ({}, Outcome.CERTIFIED, ()),
        ({"similarity": THRESHOLDS.match}, Outcome.CERTIFIED, ()),
        ({"similarity": THRESHOLDS.match - 1e-9}, Outcome.REVIEW, (Reason.COMPARISON_GREY,)),
        ({"similarity": THRESHOLDS.grey}, Outcome.REVIEW, (Reason.COMPARISON_GREY,)),
        ({"similarity": THRESHOLDS.grey - 1e-9}, Outcome.NOT_CERTIFIED, (Reason.COMPARISON_NON_MATCH,)),
        ({"similarity": float("nan")}, Outcome.NOT_CERTIFIED, (Reason.COMPARISON_NON_MATCH,)),
        ({"similarity": None}, Outcome.NOT_CERTIFIED, (Reason.COMPARISON_MISSING,)),
        ({"is_reference_provisional": True}, Outcome.REVIEW, (Reason.REFERENCE_PROVISIONAL,)),
        ({"clock_uncertainty_s": None}, Outcome.TIME_UNCERTAIN, (Reason.CLOCK,)),
        ({"clock_uncertainty_s": POLICY.max_clock_uncertainty_s}, Outcome.CERTIFIED, ()),
        ({"clock_uncertainty_s": POLICY.max_clock_uncertainty_s + 1}, Outcome.TIME_UNCERTAIN, (Reason.CLOCK,)),
        ({"policy": None}, Outcome.NOT_CERTIFIED, (Reason.POLICY_UNKNOWN,)),
        (
            {"evidence": (result(EvidenceKind.CHALLENGE), result(EvidenceKind.CONTINUITY, FAILED))},
            Outcome.PRESENTATION_ATTACK,
            (Reason.EVIDENCE_FAILED,),
        ),
        (
            {"evidence": (result(EvidenceKind.CHALLENGE, FAILED), result(EvidenceKind.CONTINUITY))},
            Outcome.REVIEW,
            (Reason.EVIDENCE_FAILED,),
        ),
        (
            {"evidence": (*FACTS.evidence, result(EvidenceKind.TEXTURE, FAILED))},
            Outcome.REVIEW,
            (Reason.EVIDENCE_FAILED,),
        ),
        ({"evidence": (*FACTS.evidence, result(EvidenceKind.TEXTURE, NOT_RUN))}, Outcome.CERTIFIED, ()),
        (
            {"evidence": (result(EvidenceKind.CHALLENGE, NOT_RUN), result(EvidenceKind.CONTINUITY))},
            Outcome.NOT_CERTIFIED,
            (Reason.EVIDENCE_NOT_RUN,),
        ),
        ({"evidence": ()}, Outcome.NOT_CERTIFIED, (Reason.EVIDENCE_NOT_RUN,)),
        ({"ended": Reason.LEFT}, Outcome.CANCELLED, (Reason.LEFT,)),
        ({"ended": Reason.TOO_MANY_FACES}, Outcome.POOR_SAMPLE, (Reason.TOO_MANY_FACES,)),
        ({"path": PathName.NO_MOVEMENT}, Outcome.REVIEW, (Reason.WITNESS_MISSING,)),
        ({"path": PathName.NO_MOVEMENT, "witness": "w-1"}, Outcome.CERTIFIED, ()),
        ({"path": PathName.HELPER}, Outcome.NOT_CERTIFIED, (Reason.POLICY_UNKNOWN,)),
        ({"is_subject_known": False}, Outcome.NO_REFERENCE, (Reason.NO_SUBJECT,)),
    ],
)
def test_each_condition_has_its_outcome_and_reason(changes, outcome, reasons):
    verdict = decide(replace(FACTS, **changes))
    assert (verdict.outcome, verdict.reasons) == (outcome, reasons)
    assert (verdict.certified_until is not None) == (outcome is Outcome.CERTIFIED)


def test_a_failed_continuity_is_an_attack_although_the_faces_do_not_match():
    evidence = (result(EvidenceKind.CHALLENGE), result(EvidenceKind.CONTINUITY, FAILED))
    verdict = decide(replace(FACTS, evidence=evidence, similarity=0.1))
    assert verdict.outcome is Outcome.PRESENTATION_ATTACK
    assert set(verdict.reasons) == {Reason.EVIDENCE_FAILED, Reason.COMPARISON_NON_MATCH}


def test_a_non_match_with_a_failed_challenge_is_not_certified():
    evidence = (result(EvidenceKind.CHALLENGE, FAILED), result(EvidenceKind.CONTINUITY))
    assert decide(replace(FACTS, evidence=evidence, similarity=0.1)).outcome is Outcome.NOT_CERTIFIED


ORDER = {"non_match": 0, "grey": 1, "match": 2}
SCORES = st.floats(-1, 1)


@given(SCORES, SCORES, SCORES, SCORES)
def test_a_higher_score_is_never_in_a_worse_zone(first, second, one, other):
    thresholds = ComparisonPolicy(match=max(one, other), grey=min(one, other))
    low, high = sorted((first, second))
    assert ORDER[thresholds.judge(low).zone] <= ORDER[thresholds.judge(high).zone]


@given(SCORES, SCORES, SCORES, st.floats(0, 2))
def test_lower_thresholds_never_worsen_the_zone(score, one, other, step):
    thresholds = ComparisonPolicy(match=max(one, other), grey=min(one, other))
    eased = ComparisonPolicy(match=max(-1.0, thresholds.match - step), grey=max(-1.0, thresholds.grey - step))
    assert ORDER[thresholds.judge(score).zone] <= ORDER[eased.judge(score).zone]


NORMALISED = THRESHOLDS.model_copy(
    update={
        "normalised": NormalisedThresholds(
            match=0.3,
            grey=0.1,
            nearest_share=0.04,
            least_people=200,
            source=ThresholdSource(
                calibration_id="0" * 32,
                population="fleet",
                fmr=1e-3,
                grey_fmr=1e-2,
                match_estimate=0.25,
                match_interval=(0.2, 0.3),
                people=300,
                pairs=44_850,
            ),
        )
    }
)
CALIBRATED = POLICY.model_copy(update={"comparison": {NETWORK: NORMALISED}})


@pytest.mark.parametrize(
    ("similarity", "normalised", "people", "outcome"),
    [
        (0.5, 0.3, 200, Outcome.CERTIFIED),
        (0.5, 0.29, 200, Outcome.REVIEW),
        (0.9, 0.09, 200, Outcome.NOT_CERTIFIED),
        (0.5, 0.9, 199, Outcome.REVIEW),
        (0.5, None, 200, Outcome.REVIEW),
        (0.9, None, 0, Outcome.CERTIFIED),
        (None, 0.9, 200, Outcome.NOT_CERTIFIED),
    ],
)
def test_normalised_scores_decide_where_there_is_a_cohort(similarity, normalised, people, outcome):
    facts = replace(FACTS, policy=CALIBRATED, similarity=similarity, normalised=normalised, cohort_people=people)
    assert decide(facts).outcome is outcome


STATUS = st.sampled_from(EvidenceStatus)
FACTS_STRATEGY = st.builds(
    Facts,
    is_subject_known=st.booleans(),
    has_reference=st.booleans(),
    is_reference_provisional=st.booleans(),
    path=st.sampled_from([PathName.STANDARD, PathName.STANDARD, PathName.NO_MOVEMENT, PathName.HELPER]),
    witness=st.sampled_from([None, "w-1"]),
    network=st.sampled_from([NETWORK, "other"]),
    policy=st.sampled_from([POLICY, None]),
    ended=st.sampled_from([None, None, Reason.LEFT, Reason.QUALITY]),
    similarity=st.one_of(st.none(), SCORES),
    evidence=st.lists(st.builds(result, st.sampled_from(EvidenceKind), STATUS), max_size=4).map(tuple),
    day=st.one_of(st.none(), st.just(date(2026, 2, 28))),
    clock_uncertainty_s=st.one_of(st.none(), st.floats(0, 1e5)),
)


@given(FACTS_STRATEGY)
def test_certified_has_no_reason_against_it_and_everything_else_has_one(facts):
    verdict = decide(facts)
    assert (verdict.outcome is Outcome.CERTIFIED) == (verdict.reasons == () and facts.day is not None)


@given(FACTS_STRATEGY, SCORES)
def test_raising_the_score_never_takes_a_certification_away(facts, score):
    if decide(facts).outcome is Outcome.CERTIFIED and score >= facts.similarity:
        assert decide(replace(facts, similarity=score)).outcome is Outcome.CERTIFIED


ENROLMENT = replace(
    FACTS, purpose=Purpose.ENROLMENT, may_enrol=True, has_reference=False, similarity=None, is_probe_complete=True
)


@pytest.mark.parametrize(
    ("changes", "outcome", "reasons"),
    [
        ({}, Outcome.CERTIFIED, ()),
        ({"may_enrol": False}, Outcome.REVIEW, (Reason.OPERATOR_MISSING,)),
        ({"is_subject_known": False}, Outcome.REVIEW, (Reason.NO_SUBJECT,)),
        ({"is_probe_complete": False}, Outcome.NOT_CERTIFIED, (Reason.COMPARISON_MISSING,)),
        ({"has_reference": True, "similarity": 0.9}, Outcome.CERTIFIED, ()),
        ({"has_reference": True, "similarity": None}, Outcome.NOT_CERTIFIED, (Reason.COMPARISON_MISSING,)),
        ({"has_reference": True, "similarity": 0.0}, Outcome.REVIEW, (Reason.COMPARISON_NON_MATCH,)),
        ({"has_reference": True, "similarity": THRESHOLDS.grey}, Outcome.REVIEW, (Reason.COMPARISON_GREY,)),
        ({"has_reference": True, "is_reference_provisional": True, "similarity": 0.9}, Outcome.CERTIFIED, ()),
        ({"clock_uncertainty_s": None}, Outcome.TIME_UNCERTAIN, (Reason.CLOCK,)),
        ({"policy": None}, Outcome.NOT_CERTIFIED, (Reason.POLICY_UNKNOWN,)),
        ({"ended": Reason.QUALITY}, Outcome.POOR_SAMPLE, (Reason.QUALITY,)),
        (
            {"evidence": (result(EvidenceKind.CHALLENGE, NOT_RUN), result(EvidenceKind.CONTINUITY))},
            Outcome.NOT_CERTIFIED,
            (Reason.EVIDENCE_NOT_RUN,),
        ),
        (
            {"evidence": (result(EvidenceKind.CHALLENGE), result(EvidenceKind.CONTINUITY, FAILED))},
            Outcome.PRESENTATION_ATTACK,
            (Reason.EVIDENCE_FAILED,),
        ),
    ],
)
def test_an_enrolment_needs_an_operator_and_evidence_but_no_reference(
    changes: dict[str, object], outcome: Outcome, reasons: tuple[Reason, ...]
) -> None:
    verdict = decide(replace(ENROLMENT, **changes))  # type: ignore[arg-type]  # the table above holds fields of Facts
    assert (verdict.outcome, verdict.reasons) == (outcome, reasons)


@given(st.booleans(), st.booleans(), st.none() | st.floats(allow_nan=True), st.booleans(), st.booleans())
def test_r4_10_no_enrolment_against_somebody_elses_reference_certifies(
    has_reference: bool, is_known: bool, similarity: float | None, may_enrol: bool, is_complete: bool
) -> None:
    verdict = decide(
        replace(
            ENROLMENT,
            has_reference=has_reference,
            is_subject_known=is_known,
            similarity=similarity,
            may_enrol=may_enrol,
            is_probe_complete=is_complete,
        )
    )
    if verdict.outcome is Outcome.CERTIFIED:
        assert (may_enrol, is_known, is_complete) == (True, True, True)
        assert not has_reference or (similarity is not None and similarity >= THRESHOLDS.match)


def lanzhou(*days: date, **cycle: object) -> Rule:
    """The Lanzhou pack over a benefit, with passes on these days."""
    pack = shipped_pack("LZ-2019")
    pack = pack.model_copy(update={"cycle": pack.cycle.model_copy(update=cycle)})
    acts = tuple(Act(str(day), day, ActKind.LIVE, Channel.TERMINAL) for day in days)
    return Rule(pack, Entitled(date(2012, 3, 1)), acts)


def certified(day: date, *rules: Rule, **changes: object) -> Verdict:
    return decide(replace(FACTS, day=day, rules=rules, **changes))


def test_r2_1_r2_2_the_first_pass_of_a_half_year_holds_until_the_end_of_the_next() -> None:
    first = certified(date(2019, 3, 4), lanzhou())
    assert (first.certified_until, first.rule_pack) == (date(2019, 12, 31), "LZ-2019/1")
    assert (first.next_from, first.is_early) == (date(2019, 7, 1), False)
    second = certified(date(2019, 9, 20), lanzhou(date(2019, 3, 4)))
    assert (second.certified_until, second.next_from, second.is_early) == (date(2020, 6, 30), date(2020, 1, 1), False)


def test_r2_3_a_pass_before_the_gap_is_over_is_a_pass_and_the_next_one_counts_later() -> None:
    early = certified(date(2019, 8, 1), lanzhou(date(2019, 6, 15)))
    assert early.outcome is Outcome.CERTIFIED
    assert (early.certified_until, early.next_from, early.is_early) == (date(2019, 12, 31), date(2019, 9, 15), True)
    assert not certified(date(2019, 9, 15), lanzhou(date(2019, 6, 15))).is_early


@pytest.mark.parametrize(("reading", "opens"), [("date", date(2019, 9, 15)), ("month", date(2019, 10, 1))])
def test_r2_4_both_readings_of_certified_in_june_then_after_september(reading: str, opens: date) -> None:
    early = certified(date(2019, 9, 14), lanzhou(date(2019, 6, 15), gap_reading=reading))
    assert (early.next_from, early.is_early) == (opens, True)
    assert not certified(opens, lanzhou(date(2019, 6, 15), gap_reading=reading)).is_early


def test_r2_5_under_a_rolling_year_every_pass_counts_from_its_own_day() -> None:
    rule = Rule(shipped_pack("SX-2018"), Entitled(date(2012, 3, 1)))
    verdict = certified(date(2020, 2, 29), rule)
    assert (verdict.certified_until, verdict.rule_pack) == (date(2021, 2, 28), "SX-2018/1")
    assert (verdict.next_from, verdict.is_early) == (None, False)


def test_of_several_packs_the_strictest_is_told() -> None:
    shanxi = Rule(shipped_pack("SX-2018"), Entitled(date(2012, 3, 1)))
    verdict = certified(date(2019, 8, 1), shanxi, lanzhou(date(2019, 6, 15)))
    assert (verdict.certified_until, verdict.rule_pack, verdict.is_early) == (date(2019, 12, 31), "LZ-2019/1", True)


def test_a_pass_before_a_window_opens_is_told_when_it_opens() -> None:
    rule = Rule(shipped_pack("HZ-2020"), Entitled(date(2012, 3, 1)))
    verdict = certified(date(2020, 9, 1), rule)
    assert (verdict.certified_until, verdict.next_from) == (date(2020, 12, 20), date(2020, 11, 1))


def test_a_pack_that_takes_no_such_act_gives_no_day() -> None:
    pack = shipped_pack("SX-2018").model_copy(update={"channels": (Channel.BANK,)})
    verdict = certified(date(2020, 9, 1), Rule(pack, Entitled(date(2012, 3, 1))))
    assert (verdict.outcome, verdict.certified_until, verdict.rule_pack) == (Outcome.CERTIFIED, None, "SX-2018/1")


def test_r1_1_an_enrolment_is_an_act_of_its_own_kind() -> None:
    pack = shipped_pack("SX-2018").model_copy(update={"counts": (ActKind.ENROLMENT,), "silent": None})
    rule = Rule(pack, Entitled(date(2012, 3, 1)))
    changes = {"purpose": Purpose.ENROLMENT, "may_enrol": True}
    assert certified(date(2020, 9, 1), rule, **changes).certified_until == date(2021, 9, 1)
    assert certified(date(2020, 9, 1), rule).certified_until is None


def test_nothing_is_told_of_dates_where_nothing_was_decided() -> None:
    verdict = certified(date(2019, 8, 1), lanzhou(), clock_uncertainty_s=None)
    assert verdict == Verdict(Outcome.TIME_UNCERTAIN, (Reason.CLOCK,))
