"""The certification session: every pair of state and event, and what no sequence of events may do."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.errors import IllegalEvent
from device.session.commands import (
    CancelTimer,
    Compare,
    Dated,
    DateRole,
    DropSamples,
    Lamp,
    Line,
    Prompt,
    SetLamp,
    StartAcquisition,
    StartTimer,
    StopAcquisition,
    StopPlay,
    StoreRecord,
    TakeSample,
    Watched,
    WatchFor,
)
from device.session.events import (
    EVENTS,
    CameraStalled,
    CancelPressed,
    ChallengeAnswered,
    ClaimPresented,
    ClaimProblem,
    ClaimRefused,
    ComparisonDone,
    Event,
    Fault,
    FaultCleared,
    FaultRaised,
    FrameRateLow,
    RecordNotStored,
    RecordStored,
    RepeatPressed,
    SampleAssessed,
    StagePlayed,
    StartPressed,
    Timer,
    TimerExpired,
)
from device.session.machine import IGNORED, TABLE, UNDER_WAY, Session, State, advance
from protocol.challenge import ChallengeDraws, draw_pauses
from protocol.entitlements import Rule
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.outcomes import Outcome, Reason
from protocol.policy import PathName, PathPolicy, default_policy
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.obligations import Entitled
from protocol.shipped_packs import default_pack, shipped_pack

BARE = PathPolicy(required=(EvidenceKind.CHALLENGE, EvidenceKind.CONTINUITY), advisory=(EvidenceKind.TEXTURE,))

STILL = PathPolicy(required=(EvidenceKind.ILLUMINATION, EvidenceKind.PULSE, EvidenceKind.CONTINUITY))
HASTY = default_policy().quality.model_copy(update={"capture_s": 0.0})
POLICY = default_policy().model_copy(
    update={"paths": {PathName.STANDARD: BARE, PathName.NO_MOVEMENT: STILL}, "quality": HASTY}
)
"""The challenge alone, without waiting for better frames; light and watching are looked at in `test_stages.py`."""
NETWORK = "features_mobilefacenet"
SECOND = 1_000_000_000
NONCE = "00112233445566778899aabbccddeeff"
DRAWS = ChallengeDraws(bytes.fromhex(NONCE), POLICY.challenge)
GOOD = tuple((name, 100.0) for name in POLICY.quality.minimum)
POOR = tuple((name, 0.0) for name in POLICY.quality.minimum)


def claim(**changes) -> ClaimPresented:
    given_claim = ClaimPresented(
        at_ns=0,
        session_id="ab" * 16,
        nonce=NONCE,
        is_subject_known=True,
        has_reference=True,
        is_reference_provisional=False,
        path=PathName.STANDARD,
        witness=None,
        network=NETWORK,
        policy=POLICY,
        rules=(Rule(default_pack(), Entitled(date(2015, 1, 1))),),
    )
    return replace(given_claim, **changes)


def continuity(status: EvidenceStatus = EvidenceStatus.PASSED) -> EvidenceResult:
    return EvidenceResult(kind=EvidenceKind.CONTINUITY, status=status, reason="same_person")


def done(**changes) -> ComparisonDone:
    event = ComparisonDone(
        at_ns=20 * SECOND,
        similarity=0.9,
        samples=8,
        evidence=(continuity(),),
        quality=GOOD,
        day=date(2026, 11, 22),
        clock_uncertainty_s=1.0,
    )
    return replace(event, **changes)


def sample(
    at_ns: int = 0,
    sequence: int = 1,
    track_id: int | None = 1,
    quality=GOOD,
    has_features=True,
    is_at_rest=True,
) -> SampleAssessed:
    if track_id is None:
        return SampleAssessed(at_ns, sequence, None)
    return SampleAssessed(at_ns, sequence, track_id, quality, has_features, is_at_rest)


def rest(begin_ns: int = 0, track_id: int = 1) -> tuple[Event, ...]:
    """A face at rest for longer than any pause."""
    return (sample(begin_ns, 20, track_id), sample(begin_ns + 3 * SECOND, 21, track_id))


def play(*events: Event, session: Session | None = None):
    session = session or Session()
    commands = []
    for event in events:
        session, more = advance(session, event)
        commands += more
    return session, commands


def acquired() -> tuple[Event, ...]:
    return (claim(), *(sample(sequence=n) for n in range(1, POLICY.quality.probe_samples + 1)))


def prompted() -> tuple[Event, ...]:
    """Up to the first prompt."""
    return (*acquired(), *rest())


def performed(prompts=(1, 2), track_id: int = 1) -> tuple[Event, ...]:
    """Each answer with the rest after it, which leads to the next prompt or to comparison."""
    events: list[Event] = []
    for n in prompts:
        events += [
            ChallengeAnswered(n * 4 * SECOND, n, is_performed=True, sequence=30 + n),
            *rest(n * 4 * SECOND, track_id),
        ]
    return tuple(events)


def stored(commands) -> StoreRecord:
    return next(command for command in commands if isinstance(command, StoreRecord))


def lines(commands) -> list[Line]:
    return [command.line for command in commands if isinstance(command, Prompt)]


def test_r2_3_a_pass_before_the_gap_is_over_is_told_from_when_and_by_when_the_next_one_counts():
    autumn = Act("autumn", date(2026, 10, 3), ActKind.LIVE, Channel.TERMINAL)
    rule = Rule(shipped_pack("LZ-2019"), Entitled(date(2015, 1, 1)), (autumn,))
    first, *others = prompted()
    session, _ = play(replace(first, rules=(rule,)), *others, *performed(), done())
    _, told = play(RecordStored(0), session=session)
    dates = (Dated(DateRole.NEXT_FROM, date(2027, 1, 3)), Dated(DateRole.BY, date(2027, 6, 30)))
    assert Prompt(Line.CERTIFIED_EARLY, dates) in told
    assert SetLamp(Lamp.CERTIFIED) in told


def test_a_live_match_is_certified_for_a_year_and_told_only_once_stored():
    session, commands = play(*prompted(), *performed(), done())
    assert session.state is State.DECIDED
    verdict = stored(commands).verdict
    assert verdict.outcome is Outcome.CERTIFIED
    assert verdict.certified_until == date(2027, 11, 22)
    assert Line.CERTIFIED not in lines(commands)
    session, told = play(RecordStored(0), session=session)
    assert Prompt(Line.CERTIFIED, (Dated(DateRole.UNTIL, date(2027, 11, 22)),)) in told
    assert SetLamp(Lamp.CERTIFIED) in told
    session, _ = play(TimerExpired(0, Timer.RESULT), session=session)
    assert session == Session()


def test_the_actions_asked_for_are_those_of_the_nonce():
    _, commands = play(*prompted(), *performed())
    asked = [command.action for command in commands if isinstance(command, WatchFor)]
    assert tuple(asked) == DRAWS.first().left


def test_r1_2_r1_5_nobody_to_compare_with_ends_at_once_and_is_recorded():
    for changes, reason in (
        ({"is_subject_known": False, "has_reference": False}, Reason.NO_SUBJECT),
        ({"has_reference": False}, Reason.NO_USABLE_REFERENCE),
    ):
        session, commands = play(claim(**changes))
        assert session.state is State.DECIDED
        assert stored(commands).verdict.outcome is Outcome.NO_REFERENCE
        assert reason in stored(commands).verdict.reasons
        assert StartAcquisition() not in commands


@pytest.mark.parametrize(
    "changes", [{"policy": None}, {"network": "features_unknown"}, {"policy": POLICY.model_copy(update={"paths": {}})}]
)
def test_without_a_policy_for_path_and_network_nobody_is_certified(changes):
    _, commands = play(claim(**changes))
    assert stored(commands).verdict.outcome is Outcome.NOT_CERTIFIED
    assert Reason.POLICY_UNKNOWN in stored(commands).verdict.reasons


def test_no_face_and_poor_faces_time_out_as_poor_sample_with_their_reason():
    _, commands = play(claim(), sample(track_id=None), TimerExpired(0, Timer.ACQUIRE))
    assert (stored(commands).verdict.outcome, stored(commands).verdict.reasons[0]) == (
        Outcome.POOR_SAMPLE,
        Reason.NO_FACE,
    )
    _, commands = play(claim(), sample(quality=POOR), TimerExpired(0, Timer.ACQUIRE))
    assert (stored(commands).verdict.outcome, stored(commands).verdict.reasons[0]) == (
        Outcome.POOR_SAMPLE,
        Reason.QUALITY,
    )


def lacking(**components: float) -> tuple[tuple[str, float], ...]:
    return tuple({**dict(GOOD), **components}.items())


def test_advice_is_given_at_most_every_three_seconds():
    far = {"quality": lacking(inter_eye_distance=10.0)}
    _, commands = play(claim(), sample(0, **far), sample(SECOND, **far), sample(4 * SECOND, **far))
    assert lines(commands) == [Line.LOOK_HERE, Line.INTER_EYE_DISTANCE, Line.INTER_EYE_DISTANCE]


def test_a_frame_whose_quality_nobody_looked_at_leads_to_no_advice_and_no_sample():
    unseen = sample(at_ns=10 * SECOND, quality=(), has_features=False)
    session, commands = play(claim(), unseen)
    assert (session.state, session.samples, lines(commands)) == (State.ACQUIRING, 0, [Line.LOOK_HERE])
    session, commands = play(*acquired(), unseen)
    assert Line.LOOK_AT_CAMERA not in lines(commands)
    assert not [command for command in commands if command == TakeSample(1, "rest_1", wants_more=False)]


def test_advice_is_about_the_component_furthest_below_the_policys_own_minimum():
    minimum = {**POLICY.quality.minimum, "sharpness": 90.0}
    strict = POLICY.model_copy(update={"quality": POLICY.quality.model_copy(update={"minimum": minimum})})
    quality = lacking(sharpness=60.0, head_pose_yaw=40.0)
    for policy, line in ((POLICY, Line.HEAD_POSE_YAW), (strict, Line.SHARPNESS)):
        _, commands = play(claim(policy=policy), sample(quality=quality))
        assert lines(commands) == [Line.LOOK_HERE, line]


def test_a_minimum_for_a_component_this_terminal_does_not_know_is_never_reached():
    minimum = {**POLICY.quality.minimum, "natural_beauty": 1.0}
    policy = POLICY.model_copy(update={"quality": POLICY.quality.model_copy(update={"minimum": minimum})})
    session, commands = play(claim(policy=policy), sample())
    assert (session.samples, lines(commands)) == (0, [Line.LOOK_HERE, Line.LOOK_AT_CAMERA])


def test_the_record_of_a_session_in_which_nothing_was_good_enough_has_the_best_quality_seen():
    best = lacking(sharpness=39.0)
    poor = (lacking(sharpness=10.0), best, lacking(sharpness=20.0, eyes_open=0.0))
    _, commands = play(claim(), *(sample(quality=quality) for quality in poor), TimerExpired(0, Timer.ACQUIRE))
    assert stored(commands).quality == best
    assert stored(commands).verdict.reasons[0] is Reason.QUALITY


def test_the_best_quality_seen_of_a_face_that_another_one_replaced_is_forgotten():
    quality = lacking(sharpness=10.0)
    events = [sample(quality=lacking(sharpness=39.0)), sample(quality=quality, track_id=2)]
    _, commands = play(claim(), *events, TimerExpired(0, Timer.ACQUIRE))
    assert stored(commands).quality == quality


def test_another_face_while_acquiring_starts_the_count_anew():
    events = [claim(), *(sample(sequence=n) for n in (1, 2, 3, 4)), sample(sequence=5, track_id=2)]
    session, commands = play(*events)
    assert DropSamples() in commands
    assert (session.state, session.samples) == (State.ACQUIRING, 1)


def test_another_face_during_the_challenge_is_a_presentation_attack():
    session, commands = play(*acquired(), sample(track_id=2))
    assert session.state is State.COMPARING
    assert next(command for command in commands if isinstance(command, Compare)).watched is Watched.CHANGED
    _, commands = play(done(evidence=(continuity(EvidenceStatus.FAILED),)), session=session)
    assert stored(commands).verdict.outcome is Outcome.PRESENTATION_ATTACK


def test_a_face_that_went_and_came_back_begins_anew_once_with_other_actions():
    begun = DRAWS.first().after_performed()
    drawn = DRAWS.anew(begun, begun.left[0]).left
    away, back = sample(track_id=None), sample(track_id=2)
    session, commands = play(*prompted(), *performed((1,)), away, back)
    assert (session.state, session.samples, session.track_id) == (State.ACQUIRING, 0, 2)
    assert DropSamples() in commands
    again = [*(sample(sequence=n, track_id=2) for n in range(POLICY.quality.probe_samples)), *rest(track_id=2)]
    session, commands = play(*again, session=session)
    asked = [command for command in commands if isinstance(command, WatchFor)]
    assert [(command.prompt, command.action) for command in asked] == [(3, drawn[0])]
    _, commands = play(*performed((3, 4), track_id=2), done(), session=session)
    assert stored(commands).verdict.outcome is Outcome.CERTIFIED
    record = stored(commands).challenge
    assert [asked.result for asked in record] == ["performed", "no_answer", *["performed"] * 2]
    assert DRAWS.are_met([(asked.action, asked.result) for asked in record])
    session, _ = play(away, sample(track_id=3), session=session)
    assert session.state is State.COMPARING


def test_one_wrong_action_costs_one_more_and_two_go_to_review():
    session, commands = play(*prompted(), ChallengeAnswered(0, 1, is_performed=False))
    assert lines(commands)[-1] is Line.TRY_ANOTHER
    session, _ = play(TimerExpired(0, Timer.TOLD), *rest(), session=session)
    enough, _ = play(*performed((2, 3)), session=session)
    assert enough.state is State.CHALLENGING
    enough, commands = play(*performed((4,)), done(), session=enough)
    assert stored(commands).verdict.outcome is Outcome.CERTIFIED
    _, commands = play(ChallengeAnswered(0, 2, is_performed=False), done(), session=session)
    assert stored(commands).verdict.outcome is Outcome.REVIEW
    assert [asked.result for asked in stored(commands).challenge] == ["wrong", "wrong"]


def test_the_rest_after_a_wrong_action_begins_at_the_end_of_what_is_said_about_it():
    session, commands = play(*prompted(), ChallengeAnswered(0, 1, is_performed=False))
    told = [command for command in commands if isinstance(command, StartTimer) and command.line is Line.TRY_ANOTHER]
    assert {(command.timer, command.seconds) for command in told} == {
        (Timer.TOLD, 0.0),
        (Timer.REST, POLICY.challenge.rest_timeout_s),
    }
    # Neither a prompt nor advice takes the line away.
    session, commands = play(*rest(), sample(4 * SECOND, is_at_rest=False), sample(9 * SECOND), session=session)
    assert [command for command in commands if isinstance(command, Prompt | WatchFor | TakeSample)] == []
    session, commands = play(TimerExpired(10 * SECOND, Timer.TOLD), sample(10 * SECOND), session=session)
    assert not any(isinstance(command, WatchFor) for command in commands)
    _, commands = play(sample(11 * SECOND), session=session)
    assert any(isinstance(command, WatchFor) for command in commands)


def test_a_prompt_that_was_given_again_and_answered_is_one_prompt_in_the_record():
    again = (TimerExpired(5 * SECOND, Timer.ANSWER), *rest(5 * SECOND))
    _, commands = play(*prompted(), *again, *performed((2, 3)), done())
    record = stored(commands).challenge
    assert [asked.result for asked in record] == ["performed"] * 2
    assert DRAWS.are_met([(asked.action, asked.result) for asked in record])


def test_an_answer_to_an_older_prompt_is_none():
    session, _ = play(*prompted(), *performed((1,)))
    again, commands = play(ChallengeAnswered(0, 1, is_performed=True), session=session)
    assert (again, commands) == (session, [])


@pytest.mark.parametrize(("slow", "reason"), [(False, "no_answer"), (True, "frame_rate")])
def test_no_answer_is_repeated_and_then_not_run(slow, reason):
    session, commands = play(*prompted(), TimerExpired(9 * SECOND, Timer.ANSWER), *rest(9 * SECOND))
    assert session.state is State.CHALLENGING
    late = (FrameRateLow(0, 2),) if slow else ()
    _, commands = play(*late, TimerExpired(9 * SECOND, Timer.ANSWER), done(), session=session)
    record = stored(commands)
    assert record.verdict.outcome is Outcome.NOT_CERTIFIED
    challenge = next(result for result in record.evidence if result.kind is EvidenceKind.CHALLENGE)
    assert (challenge.status, challenge.reason) == (EvidenceStatus.NOT_RUN, reason)


def test_the_repeat_button_gives_time_only_as_often_as_the_policy_repeats():
    session, commands = play(*prompted(), RepeatPressed(0), *rest())
    timer = next(command for command in reversed(commands) if isinstance(command, StartTimer))
    rules = POLICY.challenge
    assert (timer.timer, timer.seconds) == (Timer.ANSWER, rules.prompt_s + rules.answer_timeout_s)
    assert (timer.line, timer.line_s) == (Line(DRAWS.first().left[0]), rules.prompt_s)
    _, commands = play(RepeatPressed(0), session=session)
    assert [type(command) for command in commands] == [Prompt]


def test_a_face_that_leaves_ends_the_session_and_one_that_comes_back_does_not():
    for begun in ((claim(), sample()), acquired()):
        session, commands = play(*begun, sample(track_id=None))
        assert StartTimer(Timer.FACE_LOST, POLICY.timers.face_lost_s) in commands
        back, commands = play(sample(sequence=9), TimerExpired(0, Timer.FACE_LOST), session=session)
        assert CancelTimer(Timer.FACE_LOST) in commands
        assert back.state is not State.DECIDED
        _, commands = play(TimerExpired(0, Timer.FACE_LOST), session=session)
        assert stored(commands).verdict.outcome is Outcome.CANCELLED
        assert Reason.LEFT in stored(commands).verdict.reasons


def test_cancel_is_recorded_in_every_phase():
    for events in ((claim(),), acquired(), (*prompted(), *performed())):
        session, commands = play(*events, CancelPressed(0))
        assert session.state is State.DECIDED
        assert StopAcquisition() in commands
        assert stored(commands).verdict.outcome is Outcome.CANCELLED
        assert Reason.CANCELLED_BY_PERSON in stored(commands).verdict.reasons


def test_a_sample_is_taken_of_every_rest_and_every_action_and_all_of_them_are_expected():
    _, commands = play(*prompted(), *performed())
    taken = [command for command in commands if isinstance(command, TakeSample) and command.phase != "acquiring"]
    phases = ("rest_1", "action_1", "rest_2", "action_2", "last_rest_3")
    assert tuple(command.phase for command in taken) == phases
    assert [command.is_moving for command in taken] == [False, True, False, True, False]
    assert next(command for command in commands if isinstance(command, Compare)).phases == ("acquiring", *phases)


def test_an_action_without_a_frame_of_it_is_expected_all_the_same():
    _, commands = play(
        *prompted(), ChallengeAnswered(0, 1, is_performed=True), *rest(), *performed((2,)), session=Session()
    )
    assert "action_1" not in [command.phase for command in commands if isinstance(command, TakeSample)]
    assert "action_1" in next(command for command in commands if isinstance(command, Compare)).phases


def test_frames_without_features_are_no_samples():
    session, commands = play(claim(), *(sample(sequence=n, has_features=False) for n in range(9)))
    assert session.state is State.ACQUIRING
    assert not [command for command in commands if isinstance(command, TakeSample)]
    session, commands = play(*acquired(), *(sample(n * SECOND, has_features=False) for n in range(9)))
    assert not [command for command in commands if isinstance(command, WatchFor)]


def test_a_prompt_waits_for_an_unbroken_rest_as_long_as_the_nonce_says():
    rules = POLICY.challenge
    pause = draw_pauses(bytes.fromhex(NONCE), 1, shortest_s=rules.rest_shortest_s, longest_s=rules.rest_longest_s)[0]
    short = round(pause * 1e9) - 1
    broken = (sample(0), sample(short), sample(short + 1, is_at_rest=False), sample(short + 2), sample(2 * short + 2))
    session, commands = play(*acquired(), *broken)
    assert not [command for command in commands if isinstance(command, WatchFor)]
    _, commands = play(sample(2 * short + 3), session=session)
    assert [type(command) for command in commands if isinstance(command, WatchFor)] == [WatchFor]


def test_a_rest_that_never_comes_leaves_the_challenge_not_run():
    for events in (
        acquired(),
        (*prompted(), *performed((1,)), ChallengeAnswered(0, 2, is_performed=True, sequence=9)),
    ):
        _, commands = play(*events, sample(is_at_rest=False), TimerExpired(0, Timer.REST), done())
        challenge = next(found for found in stored(commands).evidence if found.kind is EvidenceKind.CHALLENGE)
        assert (challenge.status, challenge.reason) == (EvidenceStatus.NOT_RUN, "no_rest")
        assert stored(commands).verdict.outcome is Outcome.NOT_CERTIFIED


def test_a_probe_of_too_few_samples_is_no_comparison():
    _, commands = play(*prompted(), *performed(), done(samples=POLICY.quality.probe_samples - 1))
    assert stored(commands).compared is None
    assert stored(commands).verdict.outcome is Outcome.NOT_CERTIFIED


def test_a_claim_while_another_is_served_takes_nothing_away():
    for events in (acquired()[:1], acquired(), prompted(), (*prompted(), *performed(), done(), RecordStored(0))):
        before, _ = play(*events)
        assert play(ClaimRefused(0, ClaimProblem.BUSY), session=before) == (before, [])


def test_a_full_disk_is_told_and_nothing_says_certified():
    session, commands = play(*prompted(), *performed(), done(), RecordNotStored(0))
    assert lines(commands)[-1] is Line.NOT_STORED
    assert Line.CERTIFIED not in lines(commands)
    session, _ = play(TimerExpired(0, Timer.RESULT), session=session)
    assert session.state is State.FAULTED


def test_a_fault_ends_the_session_recorded_and_is_repaired():
    session, commands = play(*acquired(), FaultRaised(0, Fault.CAMERA))
    assert session.state is State.FAULTED
    assert stored(commands).verdict.outcome is Outcome.CANCELLED
    assert Reason.FAULT in stored(commands).verdict.reasons
    session, commands = play(claim(), TimerExpired(0, Timer.RETRY), FaultCleared(0), session=session)
    assert session == Session()
    assert Line.OUT_OF_ORDER in lines(commands)


def test_a_fault_after_the_decision_does_not_take_it_back():
    session, commands = play(*prompted(), *performed(), done(), FaultRaised(0, Fault.CAMERA), RecordStored(0))
    assert Line.CERTIFIED in lines(commands)
    session, _ = play(TimerExpired(0, Timer.RESULT), session=session)
    assert session.state is State.FAULTED


def test_a_camera_that_stops_is_waited_for_aloud_and_everything_begins_anew_with_other_actions():
    begun = DRAWS.first().after_performed()
    drawn = DRAWS.anew(begun, begun.left[0]).left
    session, commands = play(*prompted(), *performed((1,)), CameraStalled(7 * SECOND))
    assert session.state is State.RECOVERING
    assert lines(commands)[-1] is Line.ONE_MOMENT
    assert {StopPlay(), DropSamples(), CancelTimer(Timer.ANSWER)} <= set(commands)
    session, commands = play(sample(9 * SECOND, track_id=2), session=session)
    assert (session.state, session.samples, session.track_id) == (State.ACQUIRING, 0, None)
    assert lines(commands) == [Line.LOOK_HERE]
    again = [*(sample(sequence=n, track_id=2) for n in range(POLICY.quality.probe_samples)), *rest(track_id=2)]
    session, commands = play(*again, session=session)
    assert [found.action for found in commands if isinstance(found, WatchFor)] == [drawn[0]]
    _, commands = play(*performed((3, 4), track_id=2), done(), session=session)
    assert stored(commands).verdict.outcome is Outcome.CERTIFIED
    assert DRAWS.are_met([(asked.action, asked.result) for asked in stored(commands).challenge])


def test_a_camera_that_stays_silent_is_a_fault_that_is_recorded():
    for last in (FaultRaised(0, Fault.CAMERA), TimerExpired(0, Timer.RECOVER)):
        session, commands = play(*prompted(), CameraStalled(0), last)
        assert session.state is State.FAULTED
        assert Reason.FAULT in stored(commands).verdict.reasons
        assert lines(commands)[-1] is Line.OUT_OF_ORDER


def test_a_camera_that_stops_twice_is_a_fault():
    for events in ((claim(),), prompted()):
        session, commands = play(*events, CameraStalled(0), sample(), CameraStalled(0))
        assert session.state is State.FAULTED
        assert Reason.FAULT in stored(commands).verdict.reasons


def test_after_a_face_that_was_away_a_stage_cannot_begin_anew_for_the_camera_too():
    away = (*prompted(), sample(track_id=None), sample(track_id=2))
    back = [sample(sequence=n, track_id=2) for n in range(POLICY.quality.probe_samples)]
    assert play(*away, CameraStalled(0))[0].state is State.RECOVERING
    assert play(*away, *back, CameraStalled(0))[0].state is State.FAULTED


def test_a_camera_that_stops_before_anything_was_asked_leaves_the_face_its_once():
    session, _ = play(claim(), CameraStalled(0), *acquired()[1:], sample(sequence=99), *rest())
    assert session.state is State.CHALLENGING
    session, _ = play(sample(track_id=None), sample(track_id=2), session=session)
    assert (session.state, session.has_begun_anew) == (State.ACQUIRING, True)


def test_a_claim_that_cannot_be_read_begins_no_session():
    session, commands = play(ClaimRefused(0, ClaimProblem.UNREADABLE))
    assert session == Session()
    assert lines(commands) == [Line.CLAIM_UNREADABLE]


def an_event(kind: type[Event]) -> Event:
    return {
        ClaimPresented: claim(),
        ClaimRefused: ClaimRefused(0, ClaimProblem.NOT_READY),
        SampleAssessed: sample(),
        ChallengeAnswered: ChallengeAnswered(0, 1, is_performed=True),
        FrameRateLow: FrameRateLow(0, 1),
        StagePlayed: StagePlayed(0, 0, is_usable=True),
        CameraStalled: CameraStalled(0),
        ComparisonDone: done(),
        StartPressed: StartPressed(0),
        RepeatPressed: RepeatPressed(0),
        CancelPressed: CancelPressed(0),
        TimerExpired: TimerExpired(0, Timer.STORE),
        RecordStored: RecordStored(0),
        RecordNotStored: RecordNotStored(0),
        FaultRaised: FaultRaised(0, Fault.VISION),
        FaultCleared: FaultCleared(0),
    }[kind]


def in_state(state: State) -> Session:
    still = (claim(path=PathName.NO_MOVEMENT), *acquired()[1:])
    ways: dict[State, tuple[Event, ...]] = {
        State.IDLE: (),
        State.ILLUMINATING: still,
        State.OBSERVING: (*still, sample(30 * SECOND, 8), sample(30 * SECOND, 9), StagePlayed(0, 0, is_usable=True)),
        State.ACQUIRING: (claim(),),
        State.CHALLENGING: prompted(),
        State.RECOVERING: (*prompted(), CameraStalled(0)),
        State.COMPARING: (*prompted(), *performed()),
        State.DECIDED: (*prompted(), *performed(), done()),
        State.REPORTING: (*prompted(), *performed(), done(), RecordStored(0)),
        State.FAULTED: (FaultRaised(0, Fault.CAMERA),),
    }
    session, _ = play(*ways[state])
    assert session.state is state
    return session


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", EVENTS)
def test_every_pair_is_in_one_table_or_illegal(state, kind):
    session = in_state(state)
    key = (state, kind)
    assert not (key in TABLE and key in IGNORED)
    if key in TABLE:
        after, _ = advance(session, an_event(kind))
        assert after.state in TABLE[key].to
    elif key in IGNORED:
        assert advance(session, an_event(kind)) == (session, ())
    else:
        with pytest.raises(IllegalEvent):
            advance(session, an_event(kind))


TIMES = st.integers(0, 10**12)
STATUSES = st.sampled_from(EvidenceStatus)
EVENT_STRATEGY = st.one_of(
    st.builds(
        claim,
        is_subject_known=st.booleans(),
        has_reference=st.booleans(),
        is_reference_provisional=st.booleans(),
        policy=st.sampled_from([POLICY, POLICY, POLICY, None]),
    ),
    st.builds(
        sample,
        TIMES,
        st.integers(1, 99),
        st.sampled_from([None, 1, 1, 1, 2]),
        st.sampled_from([GOOD, GOOD, POOR]),
        has_features=st.booleans(),
        is_at_rest=st.booleans(),
    ),
    st.builds(ChallengeAnswered, TIMES, st.integers(1, 5), st.booleans()),
    st.builds(
        done,
        similarity=st.one_of(st.none(), st.floats(-1, 1), st.just(float("nan"))),
        evidence=st.lists(st.builds(continuity, STATUSES), max_size=2).map(tuple),
        clock_uncertainty_s=st.one_of(st.none(), st.floats(0, 1e6)),
    ),
    st.builds(TimerExpired, TIMES, st.sampled_from(Timer)),
    st.builds(FaultRaised, TIMES, st.sampled_from(Fault)),
    st.builds(FrameRateLow, TIMES, st.integers(1, 5)),
    st.builds(CameraStalled, TIMES),
    st.sampled_from(
        [StartPressed(0), RepeatPressed(0), CancelPressed(0), RecordStored(0), RecordNotStored(0), FaultCleared(0)]
    ),
)
HAPPY = [*prompted(), *performed(), done(), RecordStored(0)]


@st.composite
def sequences(draw):
    """Events at random, with a successful session's events mixed in so that deep states are reached."""
    spine = draw(st.sampled_from([0, 1, 6, 8, 11, 14, 17, 18, 19]))
    extra = draw(st.lists(EVENT_STRATEGY, max_size=12))
    events = HAPPY[:spine]
    for event in extra:
        events.insert(draw(st.integers(0, len(events))), event)
    return events


def follow(events):
    """Feed events, leaving out what is illegal; give every step."""
    session = Session()
    for event in events:
        try:
            after, commands = advance(session, event)
        except IllegalEvent:
            continue
        yield session, event, after, commands
        session = after


@settings(max_examples=300, deadline=None)
@given(sequences())
def test_r1_7_r1_11_nothing_is_certified_without_match_and_all_required_evidence(events):
    for before, event, _, commands in follow(events):
        for command in commands:
            if isinstance(command, StoreRecord) and command.verdict.outcome is Outcome.CERTIFIED:
                assert isinstance(event, ComparisonDone)
                thresholds = POLICY.comparison[NETWORK]
                assert event.similarity is not None
                assert event.similarity >= thresholds.match
                assert event.clock_uncertainty_s <= POLICY.max_clock_uncertainty_s
                assert before.subject.is_subject_known
                assert before.subject.has_reference
                assert not before.subject.is_reference_provisional
                found = {result.kind: result.status for result in command.evidence}
                assert all(found[kind] is EvidenceStatus.PASSED for kind in POLICY.paths[PathName.STANDARD].required)
                assert all(result.status is not EvidenceStatus.FAILED for result in command.evidence)
                assert sum(asked.result == "performed" for asked in command.challenge) >= POLICY.challenge.count


@settings(max_examples=300, deadline=None)
@given(sequences())
def test_certified_is_said_only_after_such_a_record_was_stored(events):
    outcome = None
    for _, event, _, commands in follow(events):
        for command in commands:
            if isinstance(command, StoreRecord):
                outcome = command.verdict.outcome
            is_said = isinstance(command, Prompt) and (
                command.line in {Line.CERTIFIED, Line.CERTIFIED_EARLY} or command.dates != ()
            )
            if is_said or command == SetLamp(Lamp.CERTIFIED):
                assert outcome is Outcome.CERTIFIED
                assert isinstance(event, RecordStored)


@settings(max_examples=300, deadline=None)
@given(sequences())
def test_every_session_ends_once_its_timers_run_out(events):
    session, running = Session(), {}
    for _, _, session, commands in follow(events):  # noqa: B007 - the last one counts
        running = keep_time(running, commands)
    for _ in range(40):
        if session.state in {State.IDLE, State.FAULTED}:
            return
        assert running, f"nothing bounds {session.state}"
        timer = min(running, key=running.get)
        del running[timer]
        session, commands = advance(session, TimerExpired(0, timer))
        running = keep_time(running, commands)
    pytest.fail(f"still {session.state}")


def keep_time(running, commands):
    running = dict(running)
    for command in commands:
        if isinstance(command, StartTimer):
            running[command.timer] = command.seconds
        elif isinstance(command, CancelTimer):
            running.pop(command.timer, None)
    return running


@settings(max_examples=300, deadline=None)
@given(sequences())
def test_the_diagram_shows_every_transition_that_happens(events):
    for before, event, after, _ in follow(events):
        key = (before.state, type(event))
        assert after.state in TABLE[key].to if key in TABLE else after == before


@settings(max_examples=200, deadline=None)
@given(sequences())
def test_each_session_is_recorded_exactly_once(events):
    open_sessions = 0
    for before, event, after, commands in follow(events):
        if isinstance(event, ClaimPresented) and before.state is State.IDLE:
            open_sessions += 1
        open_sessions -= sum(isinstance(command, StoreRecord) for command in commands)
        assert open_sessions == (after.state in UNDER_WAY)
