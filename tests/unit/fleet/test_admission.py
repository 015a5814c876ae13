from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import admission
from fleet.admission import (
    CLOCK_TOLERANCE,
    MAX_COUNTER,
    MAX_UNCERTAIN_SPAN,
    Chain,
    Flag,
    Judgement,
    Known,
    KnownMade,
    KnownOperator,
    KnownPresence,
    KnownReference,
    KnownStaff,
    Position,
    Refusal,
    admit,
    bracket_of,
    chain_of,
    judge_moment,
    supersedes,
)
from protocol.cases import CaseKind, CaseRecord
from protocol.challenge import ChallengeDraws
from protocol.events import TerminalEvent
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.examples import examples
from protocol.outcomes import Outcome, Reason
from protocol.policy import NormalisedThresholds, PathName, PathPolicy, Policy, ThresholdSource, default_policy
from protocol.presence import OutboxCounts, Presence
from protocol.records import AskedAction, CertificationRecord, NetworkUse, Purpose
from protocol.references import CaptureKind
from protocol.staff import Role
from protocol.times import ClockSource, DeviceTime

AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
RECEIVED = AT + timedelta(minutes=5)
REFERENCE = KnownReference(CaptureKind.LIVE, "d" * 64, expires_at=AT + timedelta(days=300), withdrawn_at=None)
ALONE = Position(here=None, before=None, record_id_sha256=None)


@pytest.fixture
def terminal(make_fleet_terminal: Callable[..., Any]) -> Any:
    return make_fleet_terminal()


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of a record, and what it is worth."""

    refusal: Refusal | None
    repeated: bool
    chain: Chain
    judgement: Judgement
    is_held: bool


def judge(record: CertificationRecord, **changes: Any) -> Judged:
    facts: dict[str, Any] = {
        "sha256": "1" * 64,
        "fleet_id": "north",
        "terminal_id": "t-1",
        "retired_at": None,
        "position": ALONE,
        "policy": default_policy(),
        "reference": REFERENCE,
        "staff": KnownStaff("east"),
        "made": None,
        "accept_simulated": False,
        "received_at": RECEIVED,
    }
    facts |= changes
    is_simulated_accepted = facts.pop("accept_simulated")
    known = Known(facts.pop("policy"), facts.pop("reference"), facts.pop("staff"), facts.pop("made"))
    found = admit(record, **facts)
    return Judged(
        found.refusal,
        found.repeated,
        found.chain,
        admission.judge(record, known, accept_simulated=is_simulated_accepted, received_at=facts["received_at"]),
        found.is_held,
    )


def moment(**changes: Any) -> DeviceTime:
    fields: dict[str, Any] = {
        "boot_id": "b" * 32,
        "monotonic_ns": 0,
        "wall_clock": AT,
        "source": ClockSource.NETWORK,
        "uncertainty_s": 2.0,
    }
    return DeviceTime.model_validate({**fields, **changes})


def test_a_certified_record_counts_from_the_earliest_moment_of_its_bracket(terminal: Any) -> None:
    found = judge(terminal.record(at=AT))
    assert found.refusal is None
    assert found.judgement.pass_at == AT - timedelta(seconds=1)
    assert found.judgement.flags == ()


@pytest.mark.parametrize("outcome", [o for o in Outcome if o not in (Outcome.CERTIFIED, Outcome.TIME_UNCERTAIN)])
def test_no_other_outcome_is_a_pass(terminal: Any, outcome: Outcome) -> None:
    assert judge(terminal.record(outcome=outcome)).judgement.pass_at is None


@pytest.mark.parametrize(
    ("facts", "refusal"),
    [
        ({"fleet_id": "south"}, Refusal.WRONG_FLEET),
        ({"terminal_id": "t-2"}, Refusal.WRONG_TERMINAL),
        ({"retired_at": AT - timedelta(days=1)}, Refusal.RETIRED_TERMINAL),
        ({"position": Position("9" * 64, None, None)}, Refusal.FORK),
        ({"position": Position(None, None, "9" * 64)}, Refusal.RECORD_ID_REUSED),
    ],
)
def test_a_refused_record_has_no_effect(terminal: Any, facts: dict[str, Any], refusal: Refusal) -> None:
    found = judge(terminal.record(), **facts)
    assert found.refusal is refusal
    assert found.chain is Chain.LINKED


def test_what_a_terminal_may_have_decided_before_it_was_retired_is_a_persons_to_judge(terminal: Any) -> None:
    found = judge(terminal.record(at=AT), retired_at=AT)
    assert (found.refusal, found.is_held) == (None, True)
    repeated = judge(terminal.record(at=AT), retired_at=AT, position=Position("1" * 64, None, None))
    assert (repeated.repeated, repeated.is_held) == (True, False)


def test_what_a_terminal_certainly_decided_before_it_was_retired_counts(terminal: Any) -> None:
    found = judge(terminal.record(at=AT), retired_at=AT + timedelta(minutes=1))
    assert found.refusal is None
    assert found.judgement.pass_at is not None


def test_a_counter_the_database_cannot_hold_is_refused(terminal: Any) -> None:
    assert judge(terminal.record(counter=MAX_COUNTER + 1, previous="0" * 64)).refusal is Refusal.OUT_OF_RANGE


def test_a_repeated_record_is_no_fork_even_of_a_retired_terminal(terminal: Any) -> None:
    found = judge(terminal.record(), position=Position("1" * 64, None, "1" * 64), retired_at=AT)
    assert found.repeated
    assert found.refusal is None


@pytest.mark.parametrize(
    ("counter", "previous", "before", "chain"),
    [
        (1, None, None, Chain.LINKED),
        (1, "a" * 64, None, Chain.BROKEN),
        (2, "a" * 64, "a" * 64, Chain.LINKED),
        (2, "a" * 64, "b" * 64, Chain.BROKEN),
        (2, None, "b" * 64, Chain.BROKEN),
        (2, "a" * 64, None, Chain.GAP),
    ],
)
def test_chain(counter: int, previous: str | None, before: str | None, chain: Chain) -> None:
    assert chain_of(counter, previous, before) is chain


def evidence_of(
    record: CertificationRecord, kind: EvidenceKind = EvidenceKind.CONTINUITY, **changes: Any
) -> tuple[EvidenceResult, ...]:
    """The record's evidence with the result of one kind changed."""
    return tuple(
        EvidenceResult.model_validate({**e.model_dump(), **changes}) if e.kind is kind else e for e in record.evidence
    )


def unsupported(record: CertificationRecord) -> dict[str, dict[str, Any]]:
    comparison, decision, challenge = record.comparison, record.decision, record.challenge
    assert comparison is not None
    failed = EvidenceResult(kind=EvidenceKind.TEXTURE, status=EvidenceStatus.FAILED, reason="replay")
    network = record.networks[0]
    missed = AskedAction(action=challenge[0].action, result="no_answer", seconds=9)
    return {
        "a reason against it": {"decision": decision.model_copy(update={"reasons": (Reason.COMPARISON_GREY,)})},
        "the clock's reason": {"decision": decision.model_copy(update={"reasons": (Reason.CLOCK,)})},
        "no comparison": {"comparison": None},
        "grey": {"comparison": comparison.model_copy(update={"zone": "grey"})},
        "photo": {"comparison": comparison.model_copy(update={"capture": CaptureKind.PHOTO})},
        "higher threshold of its own": {"comparison": comparison.model_copy(update={"match_threshold": 0.95})},
        "lower threshold of its own": {"comparison": comparison.model_copy(update={"match_threshold": 0.1})},
        "lower grey threshold": {"comparison": comparison.model_copy(update={"grey_threshold": 0.1})},
        "below the policy's": {"comparison": comparison.model_copy(update={"score": 0.59})},
        "no network": {"networks": ()},
        "another network": {"networks": (network.model_copy(update={"sha256": "e" * 64}),)},
        "a network the policy does not know": {"networks": (network.model_copy(update={"name": "other"}),)},
        "two networks of one digest": {"networks": (network, network.model_copy(update={"name": "features_dlib"}))},
        "too few samples": {"comparison": comparison.model_copy(update={"samples": 4})},
        "poor quality": {"quality": {**record.quality, "eyes_open": 10.0}},
        "no quality": {"quality": {}},
        "failed evidence": {"evidence": (*record.evidence, failed)},
        "missing evidence": {"evidence": record.evidence[:1]},
        "no evidence": {"evidence": ()},
        "lower continuity threshold": {"evidence": evidence_of(record, threshold=0.1)},
        "continuity without a score": {"evidence": evidence_of(record, score=None)},
        "no challenge": {"challenge": ()},
        "an action too few": {"challenge": challenge[:-1]},
        "an action not performed": {"challenge": (*challenge[:-1], missed)},
        "actions in another order": {"challenge": challenge[::-1]},
        "one action counted twice": {"challenge": (challenge[0], challenge[0], *challenge[1:-1])},
        "actions of another nonce": {"nonce": "2" * 32},
    }


def test_a_pass_that_does_not_follow_from_its_numbers_is_kept_and_not_counted(
    terminal: Any, subtests: pytest.Subtests
) -> None:
    record = terminal.record()
    for change, fields in unsupported(record).items():
        with subtests.test(change):
            found = judge(record.model_copy(update=fields))
            assert found.refusal is None
            assert Flag.DECISION_UNSUPPORTED in found.judgement.flags
            assert found.judgement.pass_at is None


SCORED = [kind for kind in EvidenceKind if kind is not EvidenceKind.CHALLENGE]
MEASURED = {
    EvidenceKind.PLANARITY: {"turned_frames": -1, "largest_yaw_deg": -1},
    EvidenceKind.ILLUMINATION: {
        "code_correlation": -1,
        "gain": -1,
        "relief_left": -1,
        "relief_right": -1,
        "albedo_share": -1,
        "highlight": 1,
        "steady": -1,
        "code_deviation": 1,
        "longest_gap_s": 1,
    },
    EvidenceKind.TEXTURE: {"frames": -1},
    EvidenceKind.CAPTURE_PATH: {"exposure_response": -1, "exposure_error": 1, "repeated": 1, "regular": -1},
    EvidenceKind.PULSE: {"motion": 1},
}
"""Which way a measure gets worse."""


def on_a_path_of_everything(terminal: Any) -> tuple[CertificationRecord, Policy]:
    """A record in which every kind of evidence just passed, and a policy that requires each."""
    policy = default_policy()
    texture = NetworkUse(name=next(iter(policy.texture)), sha256="7" * 64, runtime="test")
    record = terminal.record()
    record = record.model_copy(
        update={
            "evidence": tuple(terminal.passed(kind) for kind in EvidenceKind),
            "networks": (*record.networks, texture),
        }
    )
    everything = PathPolicy(required=tuple(EvidenceKind))
    return record, policy.model_copy(update={"paths": {PathName.STANDARD: everything}})


def is_counted(record: CertificationRecord, policy: Policy, kind: EvidenceKind, **changes: Any) -> bool:
    changed = record.model_copy(update={"evidence": evidence_of(record, kind, **changes)})
    found = judge(changed, policy=policy).judgement
    assert (found.pass_at is None) == (Flag.DECISION_UNSUPPORTED in found.flags)
    return found.pass_at is not None


def test_evidence_that_just_reaches_everything_the_policy_asks_counts(terminal: Any) -> None:
    record, policy = on_a_path_of_everything(terminal)
    assert judge(record, policy=policy).judgement.pass_at is not None


@pytest.mark.parametrize("kind", SCORED)
def test_evidence_that_says_it_passed_and_did_not_reach_the_policys_threshold_does_not_count(
    terminal: Any, kind: EvidenceKind
) -> None:
    record, policy = on_a_path_of_everything(terminal)
    score = next(e.score for e in record.evidence if e.kind is kind)
    assert score is not None
    lower = score - 0.001
    assert is_counted(record, policy, kind, score=score + 0.001)
    assert not is_counted(record, policy, kind, score=lower, threshold=lower)
    assert not is_counted(record, policy, kind, threshold=lower)
    assert not is_counted(record, policy, kind, score=None)
    assert not is_counted(record, policy, kind, threshold=None)
    advisory = PathPolicy(required=tuple(set(EvidenceKind) - {kind}), advisory=(kind,))
    advised = policy.model_copy(update={"paths": {PathName.STANDARD: advisory}})
    assert not is_counted(record, advised, kind, score=lower, threshold=lower)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in MEASURED.items() for name in names])
def test_evidence_counts_by_the_measures_that_the_policy_names(terminal: Any, kind: EvidenceKind, name: str) -> None:
    record, policy = on_a_path_of_everything(terminal)
    measures = next(e.measures for e in record.evidence if e.kind is kind)
    rounded = measures[name] + 0.00004 * MEASURED[kind][name]
    worse = measures[name] + 0.001 * MEASURED[kind][name]
    assert is_counted(record, policy, kind, measures={**measures, name: rounded})
    assert not is_counted(record, policy, kind, measures={**measures, name: worse})
    assert not is_counted(record, policy, kind, measures={n: v for n, v in measures.items() if n != name})


@pytest.mark.parametrize("margin", [None, -0.01])
def test_another_code_that_fits_as_well_is_no_light_on_a_face(terminal: Any, margin: float | None) -> None:
    record, policy = on_a_path_of_everything(terminal)
    measures = next(e.measures for e in record.evidence if e.kind is EvidenceKind.ILLUMINATION)
    others = {name: value for name, value in measures.items() if name != "code_margin"}
    changed = others if margin is None else {**others, "code_margin": margin}
    assert not is_counted(record, policy, EvidenceKind.ILLUMINATION, measures=changed)


@pytest.mark.parametrize(
    ("kind", "absent"),
    [
        (EvidenceKind.PLANARITY, {"planarity": None}),
        (EvidenceKind.ILLUMINATION, {"illumination": None}),
        (EvidenceKind.TEXTURE, {"texture": {}}),
        (EvidenceKind.PULSE, {"pulse": None}),
        (EvidenceKind.CAPTURE_PATH, {"capture_path": None}),
    ],
)
def test_evidence_of_which_the_policy_says_nothing_does_not_count(
    terminal: Any, kind: EvidenceKind, absent: dict[str, Any]
) -> None:
    record, policy = on_a_path_of_everything(terminal)
    assert not is_counted(record, policy.model_copy(update=absent), kind)


def test_texture_counts_only_from_the_network_the_policy_names(terminal: Any) -> None:
    record, policy = on_a_path_of_everything(terminal)
    without = record.model_copy(update={"networks": record.networks[:-1]})
    assert judge(without, policy=policy).judgement.flags == (Flag.DECISION_UNSUPPORTED,)


@pytest.mark.parametrize(
    ("operators", "since", "is_flagged"),
    [
        ({}, None, False),
        ({}, AT - timedelta(days=9), True),
        ({"w-1": "east"}, AT - timedelta(days=9), False),
        ({"w-1": "west"}, AT - timedelta(days=9), True),
    ],
    ids=["no operators at all", "unknown", "in service", "of another area"],
)
def test_a_certification_by_an_operator_not_in_service_there_is_flagged_and_counts(
    terminal: Any, operators: dict[str, str], since: datetime | None, is_flagged: bool
) -> None:
    known = {
        who: KnownOperator(frozenset({Role.WORKER}), area, AT - timedelta(days=9), AT + timedelta(days=9), None)
        for who, area in operators.items()
    }
    record = terminal.record(at=AT).model_copy(update={"operator": "w-1"})
    found = judge(record, staff=KnownStaff("east", known, since)).judgement
    assert found.flags == ((Flag.OPERATOR_UNFIT,) if is_flagged else ())
    assert found.pass_at is not None


def test_a_path_that_needs_a_witness_counts_with_a_witness_of_any_name(terminal: Any) -> None:
    record, policy = on_a_path_of_everything(terminal)
    path = PathPolicy(required=tuple(EvidenceKind), needs_witness=True)
    witnessed = policy.model_copy(update={"paths": {PathName.STANDARD: path}})
    assert judge(record, policy=witnessed).judgement.pass_at is None
    named = record.model_copy(update={"witness": "whoever"})
    assert judge(named, policy=witnessed).judgement.pass_at is not None


def test_a_pass_by_its_normalised_score_counts_by_the_policys_normalised_thresholds(
    terminal: Any, subtests: pytest.Subtests
) -> None:
    record = terminal.record()
    network = next(n.name for n in record.networks if n.sha256 == record.comparison.model_sha256)
    policy = default_policy()
    source = ThresholdSource(
        calibration_id="0" * 32,
        population="fleet",
        fmr=1e-3,
        grey_fmr=1e-2,
        match_estimate=0.25,
        match_interval=(0.2, 0.3),
        people=300,
        pairs=44_850,
    )
    limits = NormalisedThresholds(match=0.3, grey=0.1, nearest_share=0.04, least_people=200, source=source)
    thresholds = policy.comparison[network].model_copy(update={"normalised": limits})
    calibrated = policy.model_copy(update={"comparison": {network: thresholds}})
    lifted = {
        "score": 0.5,
        "judged": "normalised",
        "normalised_score": 0.35,
        "cohort_people": 250,
        "match_threshold": 0.3,
        "grey_threshold": 0.1,
    }
    cases: dict[str, tuple[dict[str, Any], bool]] = {
        "as it should be": ({}, True),
        "below the normalised threshold": ({"normalised_score": 0.29}, False),
        "a cohort too small": ({"cohort_people": 199}, False),
        "no normalised score": ({"normalised_score": None}, False),
        "judged raw in spite of a cohort": (
            {"judged": "raw", "score": 0.9, "match_threshold": 0.6, "grey_threshold": 0.452},
            False,
        ),
        "raw without a cohort": (
            {
                "judged": "raw",
                "score": 0.9,
                "normalised_score": None,
                "cohort_people": 3,
                "match_threshold": 0.6,
                "grey_threshold": 0.452,
            },
            True,
        ),
    }
    for case, (changes, counts) in cases.items():
        with subtests.test(case):
            compared = record.comparison.model_copy(update={**lifted, **changes})
            found = judge(record.model_copy(update={"comparison": compared}), policy=calibrated)
            assert (found.judgement.pass_at is not None) == counts


def test_a_new_beginning_and_one_more_action_after_a_wrong_one_are_a_challenge_met(terminal: Any) -> None:
    policy = default_policy()
    needs_turn = EvidenceKind.PLANARITY in policy.paths[PathName.STANDARD].required
    draws = ChallengeDraws(bytes(16), policy.challenge, needs_turn=needs_turn)
    missed = (draws.first().left[0], "no_answer")
    anew = draws.anew(draws.first(), missed[0])
    first, wrong = anew.left[:2]
    rest = [(action, "performed") for action in draws.after_wrong(anew.after_performed()).left]
    asked = [missed, (first, "performed"), (wrong, "wrong"), *rest]
    for listed, counts in ((asked, True), ([missed, *asked], False)):
        challenge = tuple(AskedAction.model_validate({"action": a, "result": r, "seconds": 1}) for a, r in listed)
        assert (judge(terminal.record(challenge=challenge)).judgement.pass_at is not None) is counts


def test_quality_rounded_to_a_tenth_still_reaches_its_minimum(terminal: Any) -> None:
    policy = default_policy()
    minimum = {name: least + 0.04 for name, least in policy.quality.minimum.items()}
    exact = policy.model_copy(update={"quality": policy.quality.model_copy(update={"minimum": minimum})})
    assert judge(terminal.record(), policy=exact).judgement.pass_at is not None


def test_a_policy_the_fleet_never_issued_is_shown_and_does_not_count(terminal: Any) -> None:
    found = judge(terminal.record(), policy=None)
    assert found.judgement.flags == (Flag.POLICY_UNKNOWN,)
    assert found.judgement.pass_at is None


@pytest.mark.parametrize(
    "reference",
    [
        None,
        replace(REFERENCE, capture=CaptureKind.PHOTO),
        replace(REFERENCE, capture=CaptureKind.PHOTO_CONFIRMED),
        replace(REFERENCE, model_sha256="e" * 64),
        replace(REFERENCE, withdrawn_at=AT - timedelta(days=1)),
        replace(REFERENCE, expires_at=AT - timedelta(minutes=1)),
    ],
)
def test_a_pass_by_an_unfit_reference_does_not_count(terminal: Any, reference: KnownReference | None) -> None:
    found = judge(terminal.record(at=AT), reference=reference)
    assert found.judgement.flags == (Flag.REFERENCE_UNFIT,)
    assert found.judgement.pass_at is None


def test_a_reference_withdrawn_later_takes_nothing_back(terminal: Any) -> None:
    later = replace(REFERENCE, withdrawn_at=AT + timedelta(minutes=1))
    assert judge(terminal.record(at=AT), reference=later).judgement.pass_at is not None


@pytest.mark.parametrize("accepted", [False, True])
def test_what_no_camera_saw_counts_only_where_that_is_accepted(terminal: Any, accepted: bool) -> None:
    record = terminal.record(simulated=True)
    found = judge(record, accept_simulated=accepted).judgement
    assert (found.pass_at is not None) is accepted
    assert (Flag.SIMULATED in found.flags) is not accepted


def test_without_a_clock_the_fleet_brackets_between_its_own_moments() -> None:
    floor = AT - timedelta(hours=3)
    bracket = bracket_of(moment(source=ClockSource.NONE, uncertainty_s=None, last_fleet_time=floor), RECEIVED)
    assert (bracket.earliest, bracket.latest) == (floor, RECEIVED)


@pytest.mark.parametrize("source", [ClockSource.NETWORK, ClockSource.RTC, ClockSource.FLEET])
def test_a_bounded_clock_narrows_the_bracket(source: ClockSource) -> None:
    bracket = bracket_of(moment(source=source), RECEIVED)
    assert (bracket.earliest, bracket.latest) == (AT - timedelta(seconds=2), AT + timedelta(seconds=2))


def test_the_bracket_never_ends_after_the_arrival() -> None:
    assert bracket_of(moment(uncertainty_s=3600.0), RECEIVED).latest == RECEIVED


@pytest.mark.parametrize(
    "changes",
    [
        {"wall_clock": RECEIVED + timedelta(days=2)},
        {"last_fleet_time": AT + timedelta(minutes=1)},
        {"wall_clock": datetime(1, 1, 1, tzinfo=UTC), "uncertainty_s": 1e6},
    ],
)
def test_a_clock_that_contradicts_the_fleet_is_set_aside(changes: dict[str, Any]) -> None:
    bracket = bracket_of(moment(**changes), RECEIVED)
    assert bracket.contradicted
    assert bracket.latest == RECEIVED


def test_a_signed_time_the_fleet_has_not_reached_bounds_nothing_and_the_terminals_clock_still_does() -> None:
    bracket = bracket_of(moment(last_fleet_time=RECEIVED + timedelta(days=1)), RECEIVED)
    assert bracket.contradicted
    assert (bracket.earliest, bracket.latest) == (AT - timedelta(seconds=2), AT + timedelta(seconds=2))


@pytest.mark.parametrize("ahead", [timedelta(seconds=1), CLOCK_TOLERANCE])
def test_a_fleet_clock_that_fell_back_a_little_takes_no_pass(terminal: Any, ahead: timedelta) -> None:
    decided = moment(wall_clock=RECEIVED + ahead, uncertainty_s=0.0, last_fleet_time=RECEIVED + ahead)
    found = judge(terminal.record(decided=decided)).judgement
    assert found.pass_at == RECEIVED
    assert found.flags == ()


def test_an_endless_uncertainty_bounds_nothing() -> None:
    assert bracket_of(moment(uncertainty_s=1e300), RECEIVED).earliest is None


def test_a_pass_whose_moment_nothing_bounds_does_not_count(terminal: Any) -> None:
    record = terminal.record(decided=moment(source=ClockSource.NONE, uncertainty_s=None))
    found = judge(record)
    assert found.judgement.pass_at is None
    assert Flag.TIME_UNBOUNDED in found.judgement.flags


@pytest.mark.parametrize(("days", "counts"), [(1, True), (13, True), (14, False), (400, False)])
def test_time_uncertain_counts_only_within_one_rosters_life(terminal: Any, days: int, counts: bool) -> None:
    floor = RECEIVED - timedelta(days=days)
    decided = moment(source=ClockSource.NONE, uncertainty_s=None, last_fleet_time=floor)
    found = judge(terminal.record(outcome=Outcome.TIME_UNCERTAIN, decided=decided))
    assert (found.judgement.pass_at == floor) is counts
    assert (timedelta(days=days) < MAX_UNCERTAIN_SPAN) is counts


def test_time_that_has_certainly_passed_narrows_the_moment() -> None:
    signed, passed = RECEIVED - timedelta(days=20), RECEIVED - timedelta(days=9)
    unsure = {"source": ClockSource.NONE, "uncertainty_s": None, "last_fleet_time": signed}
    assert bracket_of(moment(**unsure, not_before=passed), RECEIVED).earliest == passed
    ahead = bracket_of(moment(**unsure, not_before=RECEIVED + timedelta(days=1)), RECEIVED)
    assert (ahead.earliest, ahead.contradicted) == (signed, True)


@given(
    wall=st.datetimes(timezones=st.just(UTC)),
    floor=st.none() | st.datetimes(timezones=st.just(UTC)),
    spread=st.none() | st.floats(min_value=0, allow_infinity=False),
    source=st.sampled_from(ClockSource),
    passed=st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_every_bracket_is_in_order_and_within_what_the_fleet_knows(
    wall: datetime, floor: datetime | None, spread: float | None, source: ClockSource, passed: datetime | None
) -> None:
    decided = moment(wall_clock=wall, last_fleet_time=floor, uncertainty_s=spread, source=source, not_before=passed)
    bracket = bracket_of(decided, RECEIVED)
    assert bracket.latest <= RECEIVED
    if bracket.earliest is not None:
        assert bracket.earliest <= bracket.latest
        assert floor is None or floor > RECEIVED or bracket.earliest >= floor


def presence(state: str, connection: int, *, boot: str = "b", at: datetime = AT) -> Presence:
    return Presence.model_validate(
        {
            "fleet_id": "north",
            "terminal_id": "t-1",
            "state": state,
            "boot_id": boot * 32,
            "connection": connection,
            "said_at": at,
            "software": "test",
            "policy_version": None,
            "roster_version": 0,
            "outbox": OutboxCounts(pending=0, published=0, acknowledged=0, refused=0),
        }
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (presence("online", 6), True),
        (presence("offline", 5), True),
        (presence("offline", 4), False),
        (presence("online", 4), False),
        (presence("online", 4, boot="c"), True),
        (presence("offline", 4, boot="c"), False),
        (presence("online", 5, at=AT - timedelta(seconds=1)), False),
        (presence("online", 5, at=AT + timedelta(seconds=1)), True),
    ],
)
def test_presence_order(message: Presence, expected: bool) -> None:
    assert supersedes(message, KnownPresence("online", 5, "b" * 32, AT)) is expected


def test_within_a_connection_offline_is_the_last_word() -> None:
    known = KnownPresence("offline", 5, "b" * 32, AT)
    assert not supersedes(presence("online", 5, at=AT + timedelta(seconds=1)), known)
    assert supersedes(presence("online", 1), KnownPresence(None, None, None, None))


@pytest.mark.parametrize("name", ["lifecert-case", "lifecert-event"])
def test_links_of_every_kind_are_refused_and_bracketed_alike(name: str) -> None:
    link = examples()[name]
    assert isinstance(link, CaseRecord | TerminalEvent)
    facts: dict[str, Any] = {"sha256": "1" * 64, "fleet_id": "demo", "terminal_id": "hall-1", "received_at": RECEIVED}
    good = admit(link, **facts, retired_at=None, position=Position(None, link.previous, None))
    assert (good.refusal, good.chain) == (None, Chain.LINKED)
    assert good.bracket == bracket_of(admission.moment_of(link), RECEIVED)
    assert admit(link, **facts, retired_at=None, position=Position("9" * 64, None, None)).refusal is Refusal.FORK
    assert admit(link, **facts, retired_at=AT - timedelta(days=30), position=ALONE).refusal is Refusal.RETIRED_TERMINAL
    seen = judge_moment(link.model_copy(update={"simulated": True}), accept_simulated=False, received_at=RECEIVED)
    assert seen.flags == (Flag.SIMULATED,)
    assert seen.pass_at is None


def enrolment(terminal: Any, **changes: Any) -> CertificationRecord:
    fields = {"purpose": Purpose.ENROLMENT, "operator": "w-1", "comparison": None, "at": AT, **changes}
    found: CertificationRecord = terminal.record(**fields)
    return found


ENROLLER = KnownOperator(frozenset({Role.ENROLLER}), "east", AT - timedelta(days=9), AT + timedelta(days=9), None)
STAFF = KnownStaff("east-village", {"w-1": ENROLLER}, AT - timedelta(days=9))
MADE = KnownMade("d" * 64, has_earlier=False)


def test_an_enrolment_that_somebody_answers_for_is_a_pass_without_a_comparison(terminal: Any) -> None:
    found = judge(enrolment(terminal), staff=STAFF, made=MADE).judgement
    assert found.flags == ()
    assert found.pass_at == AT - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("facts", "flag"),
    [
        ({"staff": KnownStaff("east-village")}, Flag.OPERATOR_UNFIT),
        ({"staff": KnownStaff("west", {"w-1": ENROLLER})}, Flag.OPERATOR_UNFIT),
        ({"made": None}, Flag.REFERENCE_UNREADABLE),
        ({"made": KnownMade(None, has_earlier=False)}, Flag.REFERENCE_UNREADABLE),
        ({"made": KnownMade("e" * 64, has_earlier=False)}, Flag.DECISION_UNSUPPORTED),
        ({"made": KnownMade("d" * 64, has_earlier=True)}, Flag.COMPARISON_LACKING),
        ({"policy": None}, Flag.POLICY_UNKNOWN),
    ],
)
def test_an_enrolment_that_lacks_something_is_none(terminal: Any, facts: dict[str, Any], flag: Flag) -> None:
    found = judge(enrolment(terminal), **{"staff": STAFF, "made": MADE, **facts}).judgement
    assert found.flags == (flag,)
    assert found.pass_at is None


def test_a_match_with_a_fit_live_reference_makes_another_enrolment_one(terminal: Any) -> None:
    known = {"staff": STAFF, "made": KnownMade("d" * 64, has_earlier=True)}
    comparison = terminal.record().comparison
    assert judge(enrolment(terminal, comparison=comparison), **known).judgement.flags == ()
    unfit = judge(enrolment(terminal, comparison=comparison), **known, reference=None).judgement
    assert unfit.flags == (Flag.COMPARISON_LACKING,)


@pytest.mark.parametrize("since", [None, AT + timedelta(days=1), AT - timedelta(days=1)])
def test_a_witness_is_looked_up_once_the_area_has_operators(terminal: Any, since: datetime | None) -> None:
    path = PathPolicy(required=default_policy().paths[PathName.STANDARD].required, needs_witness=True)
    policy = default_policy().model_copy(update={"paths": {PathName.STANDARD: path}})
    staff = KnownStaff("east", {"w-1": ENROLLER}, since)
    assert judge(terminal.record(witness="w-1"), policy=policy, staff=staff).judgement.flags == ()
    stranger = judge(terminal.record(witness="w-9"), policy=policy, staff=staff).judgement
    is_asked = since is not None and since < AT
    assert stranger.flags == ((Flag.WITNESS_UNKNOWN,) if is_asked else ())
    assert (stranger.pass_at is None) == is_asked
    # Where the path needs none, it is said, and costs the person nothing.
    visit = judge(terminal.record(witness="w-9"), staff=staff).judgement
    assert visit.flags == stranger.flags
    assert visit.pass_at is not None


@pytest.mark.parametrize("needs_witness", [True, False])
def test_a_worker_who_vouches_alone_is_told_from_a_second_person(terminal: Any, needs_witness: bool) -> None:
    path = PathPolicy(required=default_policy().paths[PathName.STANDARD].required, needs_witness=needs_witness)
    policy = default_policy().model_copy(update={"paths": {PathName.STANDARD: path}})
    staff = KnownStaff("east", {"w-1": ENROLLER, "w-2": ENROLLER}, AT - timedelta(days=1))
    alone, second = (
        judge(terminal.record(operator="w-1", witness=witness), policy=policy, staff=staff).judgement
        for witness in ("w-1", "w-2")
    )
    assert (alone.flags, second.flags) == ((Flag.WITNESS_IS_OPERATOR,), ())
    assert alone.pass_at == second.pass_at is not None


def test_a_case_says_whether_its_operator_could_take_it_in() -> None:
    case = examples()["lifecert-case"]
    assert isinstance(case, CaseRecord)
    facts: dict[str, Any] = {"accept_simulated": False, "received_at": case.opened.wall_clock + timedelta(minutes=1)}
    since, until = case.opened.wall_clock - timedelta(days=1), case.opened.wall_clock + timedelta(days=1)
    worker = KnownOperator(frozenset({Role.WORKER}), "", since, until, None)
    staff = KnownStaff("east", {case.operator: worker}, since)
    assert admission.judge_case(case, staff, **facts).flags == (Flag.OPERATOR_UNFIT,)
    enroller = replace(worker, roles=frozenset({Role.ENROLLER}))
    assert admission.judge_case(case, KnownStaff("east", {case.operator: enroller}, since), **facts).flags == ()
    exception = case.model_copy(update={"kind": CaseKind.EXCEPTION, "witness": "w-9"})
    assert admission.judge_case(exception, staff, **facts).flags == (Flag.WITNESS_UNKNOWN,)
