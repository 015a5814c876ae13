"""Light, watching, paths and crowds: what a session goes through, and that no path certifies without its evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.errors import IllegalEvent
from device.session.commands import (
    Asked,
    CancelTimer,
    Compare,
    DropSamples,
    Line,
    PlayLight,
    Prompt,
    StartTimer,
    StopAcquisition,
    StopPlay,
    StoreRecord,
    TakeSample,
    WantSample,
    Watched,
    WatchFace,
    WatchFor,
)
from device.session.events import (
    CancelPressed,
    ChallengeAnswered,
    ClaimPresented,
    ComparisonDone,
    Event,
    Fault,
    FaultCleared,
    FaultRaised,
    RecordStored,
    SampleAssessed,
    StagePlayed,
    Timer,
    TimerExpired,
)
from device.session.machine import Session, State, advance
from protocol.challenge import TURNS, ChallengeDraws, draw_light_code
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.outcomes import Outcome, Reason
from protocol.policy import PathName, PathPolicy, default_policy

CHALLENGE, PLANARITY, ILLUMINATION, CONTINUITY, CAPTURE, TEXTURE, PULSE = (
    EvidenceKind.CHALLENGE,
    EvidenceKind.PLANARITY,
    EvidenceKind.ILLUMINATION,
    EvidenceKind.CONTINUITY,
    EvidenceKind.CAPTURE_PATH,
    EvidenceKind.TEXTURE,
    EvidenceKind.PULSE,
)
FULL = PathPolicy(required=(CHALLENGE, PLANARITY, ILLUMINATION, CONTINUITY, CAPTURE), advisory=(TEXTURE, PULSE))
PATHS = {
    PathName.STANDARD: FULL,
    PathName.NO_MOVEMENT: PathPolicy(
        required=(ILLUMINATION, PULSE, CONTINUITY, CAPTURE), advisory=(TEXTURE,), needs_witness=True
    ),
    PathName.NO_FLASH: PathPolicy(required=(*FULL.required, PULSE)),
    PathName.HELPER: FULL.model_copy(update={"most_faces": 2}),
}
POLICY = default_policy().model_copy(update={"paths": PATHS})
POLICY = POLICY.model_copy(update={"quality": POLICY.quality.model_copy(update={"capture_s": 0.0})})
NETWORK = "features_mobilefacenet"
NONCE = "00112233445566778899aabbccddeeff"
RAW_NONCE = bytes.fromhex(NONCE)
SECOND = 1_000_000_000
GOOD = tuple((name, 100.0) for name in POLICY.quality.minimum)
POOR = tuple((name, 0.0) for name in POLICY.quality.minimum)


def claim(path: PathName = PathName.STANDARD, **changes) -> ClaimPresented:
    given_claim = ClaimPresented(
        at_ns=0,
        session_id="ab" * 16,
        nonce=NONCE,
        is_subject_known=True,
        has_reference=True,
        is_reference_provisional=False,
        path=path,
        witness="w-1",
        network=NETWORK,
        policy=POLICY,
    )
    return replace(given_claim, **changes)


def sample(at_ns: int = 0, sequence: int = 1, track_id: int | None = 1, **changes) -> SampleAssessed:
    if track_id is None:
        return SampleAssessed(at_ns, sequence, None)
    event = SampleAssessed(at_ns, sequence, track_id, GOOD, has_features=True, is_at_rest=True)
    return replace(event, **changes)


def passed(*kinds: EvidenceKind, **others: EvidenceStatus) -> tuple[EvidenceResult, ...]:
    return tuple(
        EvidenceResult(kind=kind, status=EvidenceStatus.PASSED, reason="for_a_test") for kind in kinds
    ) + tuple(
        EvidenceResult(kind=EvidenceKind(kind), status=status, reason="for_a_test") for kind, status in others.items()
    )


def done(*evidence: EvidenceResult, **changes) -> ComparisonDone:
    event = ComparisonDone(
        at_ns=60 * SECOND,
        similarity=0.9,
        samples=8,
        evidence=evidence or passed(CONTINUITY, PLANARITY, ILLUMINATION, CAPTURE, PULSE),
        quality=GOOD,
        day=date(2026, 11, 22),
        clock_uncertainty_s=1.0,
    )
    return replace(event, **changes)


def play(*events: Event, session: Session | None = None):
    session = session or Session()
    commands = []
    for event in events:
        session, more = advance(session, event)
        commands += more
    return session, commands


def acquired(path: PathName = PathName.STANDARD, track_id: int = 1) -> tuple[Event, ...]:
    enough = POLICY.quality.probe_samples
    return (claim(path), *(sample(sequence=n, track_id=track_id) for n in range(enough)))


def played(number: int, at_ns: int = 30 * SECOND, track_id: int = 1) -> tuple[Event, ...]:
    """A stage in which a sample was taken."""
    late = (sample(at_ns, 8, track_id), sample(at_ns, 9, track_id))
    return (*late, StagePlayed(at_ns, number, is_usable=True))


def rest(begin_ns: int, track_id: int = 1) -> tuple[Event, ...]:
    return (sample(begin_ns, 20, track_id), sample(begin_ns + 3 * SECOND, 21, track_id))


def challenged(begin_ns: int = 31 * SECOND, prompts=(1, 2, 3), track_id: int = 1) -> tuple[Event, ...]:
    events: list[Event] = [*rest(begin_ns, track_id)]
    for n in prompts:
        at_ns = begin_ns + n * 4 * SECOND
        events += [ChallengeAnswered(at_ns, n, is_performed=True, sequence=30 + n), *rest(at_ns, track_id)]
    return tuple(events)


WAYS: dict[PathName, tuple[Event, ...]] = {
    PathName.STANDARD: (*acquired(), *played(0), *challenged()),
    PathName.HELPER: (*acquired(PathName.HELPER), *played(0), *challenged()),
    PathName.NO_MOVEMENT: (*acquired(PathName.NO_MOVEMENT), *played(0), *played(1, 60 * SECOND)),
    PathName.NO_FLASH: (*acquired(PathName.NO_FLASH), *played(0), *challenged(), *played(1, 90 * SECOND)),
}
"""What leads to comparison on every path."""


def stored(commands) -> StoreRecord:
    return next(command for command in commands if isinstance(command, StoreRecord))


def of(kind, commands):
    return [command for command in commands if isinstance(command, kind)]


def lines(commands) -> list[Line]:
    return [command.line for command in of(Prompt, commands)]


@pytest.mark.parametrize("path", PathName)
def test_each_path_goes_through_the_stages_of_its_evidence_and_certifies(path):
    session, states = Session(), []
    for event in WAYS[path]:
        session, _ = advance(session, event)
        if session.state not in states:
            states.append(session.state)
    expected = {
        PathName.STANDARD: [State.ILLUMINATING, State.CHALLENGING],
        PathName.HELPER: [State.ILLUMINATING, State.CHALLENGING],
        PathName.NO_MOVEMENT: [State.ILLUMINATING, State.OBSERVING],
        PathName.NO_FLASH: [State.ILLUMINATING, State.CHALLENGING, State.OBSERVING],
    }[path]
    assert states == [State.ACQUIRING, *expected, State.COMPARING]
    _, commands = play(done(), session=session)
    assert stored(commands).verdict.outcome is Outcome.CERTIFIED


def test_what_is_only_advisory_has_no_stage():
    bare = PathPolicy(required=(CHALLENGE, CONTINUITY), advisory=(ILLUMINATION, PULSE, CAPTURE))
    policy = POLICY.model_copy(update={"paths": {PathName.STANDARD: bare}})
    session, commands = play(claim(policy=policy), *acquired()[1:])
    assert session.state is State.CHALLENGING
    assert not of(PlayLight, commands)


def test_the_light_that_is_played_is_the_one_of_the_nonce_and_the_path():
    for path in PathName:
        _, commands = play(*acquired(path))
        (order,) = of(PlayLight, commands)
        rules = POLICY.light[path]
        assert order.code == draw_light_code(RAW_NONCE, rules)
        assert (order.chip_s, order.ramp_s, order.rules) == (rules.chip_s, rules.ramp_s, POLICY.illumination)
        assert of(StartTimer, commands)[-1] == StartTimer(Timer.STAGE, order.seconds + POLICY.timers.stage_slack_s)
        assert lines(commands) == [Line.LOOK_HERE, Line.LIGHT]


def test_a_stage_that_could_not_be_used_is_gone_through_again_with_another_code_as_often_as_the_policy_says():
    session, first = play(*acquired())
    session, again = play(StagePlayed(SECOND, 0, is_usable=False), session=session)
    assert session.state is State.ILLUMINATING
    assert lines(again) == [Line.AGAIN]
    assert StopPlay() in again
    assert of(PlayLight, first)[0].code != of(PlayLight, again)[0].code
    assert of(PlayLight, again)[0].code == draw_light_code(RAW_NONCE, POLICY.light[PathName.STANDARD], attempt=1)
    assert POLICY.light[PathName.STANDARD].repeats == 1
    session, _ = play(StagePlayed(2 * SECOND, 0, is_usable=True), session=session)
    assert session.state is State.ILLUMINATING, "the end of the first code is no news of the second"
    session, _ = play(StagePlayed(2 * SECOND, 1, is_usable=False), session=session)
    assert session.state is State.CHALLENGING


def test_watching_is_repeated_too_and_then_left_to_the_evidence():
    session, _ = play(*WAYS[PathName.NO_MOVEMENT][:-3])
    assert session.state is State.OBSERVING
    session, commands = play(StagePlayed(SECOND, 1, is_usable=False), session=session)
    assert [order.play for order in of(WatchFace, commands)] == [2]
    session, commands = play(StagePlayed(SECOND, 2, is_usable=False), session=session)
    assert session.state is State.COMPARING
    not_run = passed(CONTINUITY, ILLUMINATION, CAPTURE, pulse=EvidenceStatus.NOT_RUN)
    _, commands = play(done(*not_run), session=session)
    assert stored(commands).verdict.outcome is Outcome.NOT_CERTIFIED


@pytest.mark.parametrize("path", [PathName.STANDARD, PathName.NO_MOVEMENT])
def test_a_stage_that_does_not_end_is_gone_through_again_and_then_left_when_its_time_is_up(path):
    session, commands = play(*acquired(path), TimerExpired(40 * SECOND, Timer.STAGE))
    assert StopPlay() in commands
    assert session.state is State.ILLUMINATING
    assert session.phases == ()
    session, commands = play(TimerExpired(80 * SECOND, Timer.STAGE), session=session)
    assert StopPlay() in commands
    assert session.state is (State.CHALLENGING if path is PathName.STANDARD else State.OBSERVING)
    assert session.phases == ("illuminating_1",), "the sample nobody took is missed"


@pytest.mark.parametrize(
    ("path", "state"), [(PathName.STANDARD, State.ILLUMINATING), (PathName.NO_MOVEMENT, State.OBSERVING)]
)
def test_a_stage_without_a_sample_is_gone_through_again_though_it_could_be_used(path, state):
    session, _ = play(*acquired(path))
    if state is State.OBSERVING:
        session, _ = play(*played(0), session=session)
    number = session.play.number
    session, commands = play(StagePlayed(SECOND, number, is_usable=True), session=session)
    assert (session.state, session.play.number) == (state, number + 1)
    assert lines(commands) == [Line.AGAIN]
    session, _ = play(*played(number + 1, 90 * SECOND), session=session)
    assert session.state is not state
    assert f"{state}_{number}" not in session.phases, "the one without a sample is not missed"
    assert f"{state}_{number + 1}" in session.phases


def test_no_sample_is_taken_of_a_frame_that_has_features_and_whose_quality_nobody_measured():
    session, commands = play(*acquired())
    moment = session.play.sample_ns
    session, _ = play(sample(moment, 8), session=session)
    session, commands = play(sample(moment + 1, 9, quality=()), session=session)
    assert not of(TakeSample, commands)
    session, commands = play(claim(), sample(quality=()))
    assert not of(TakeSample, commands)
    assert Line.LOOK_AT_CAMERA in lines(commands)


def test_one_sample_is_taken_in_a_stage_at_a_moment_that_the_nonce_says():
    begun, _ = play(*acquired())
    moment = begun.play.sample_ns
    assert 0 < moment < of(PlayLight, play(*acquired())[1])[0].seconds * SECOND
    session, commands = play(sample(moment - 1, 30), session=begun)
    assert (session, commands) == (begun, [])
    session, commands = play(sample(moment, 31), session=session)
    assert commands == [WantSample()]
    session, commands = play(
        sample(moment + 1, 32, has_features=False), sample(moment + 2, 33, quality=POOR), session=session
    )
    assert not of(TakeSample, commands)
    session, commands = play(sample(moment + 3, 34), sample(moment + 4, 35), session=session)
    assert [(order.sequence, order.phase) for order in of(TakeSample, commands)] == [(34, "illuminating_0")]
    _, commands = play(StagePlayed(moment + 5, 0, is_usable=True), *challenged(), session=session)
    assert of(Compare, commands)[0].phases[:2] == ("acquiring", "illuminating_0")


@pytest.mark.parametrize("path", [PathName.STANDARD, PathName.NO_MOVEMENT])
@pytest.mark.parametrize("state", [State.ILLUMINATING, State.CHALLENGING, State.OBSERVING])
def test_another_face_in_a_stage_is_compared_at_once(path, state):
    for session in sessions_in(path, state):
        after, commands = play(sample(track_id=2), session=session)
        assert after.state is State.COMPARING
        assert of(Compare, commands)[0].watched is Watched.CHANGED
        assert StopPlay() in commands
        changed = passed(PLANARITY, ILLUMINATION, CAPTURE, PULSE, continuity=EvidenceStatus.FAILED)
        _, commands = play(done(*changed), session=after)
        assert stored(commands).verdict.outcome is Outcome.PRESENTATION_ATTACK


@pytest.mark.parametrize("path", PathName)
@pytest.mark.parametrize("state", [State.ILLUMINATING, State.CHALLENGING, State.OBSERVING])
def test_a_face_that_went_and_came_back_begins_everything_anew_once(path, state):
    for begun in sessions_in(path, state):
        session, commands = play(sample(track_id=None), sample(track_id=2), session=begun)
        assert (session.state, session.track_id, session.samples) == (State.ACQUIRING, 2, 0)
        assert (session.phases, session.evidence) == ((), ())
        assert {DropSamples(), StopPlay(), CancelTimer(Timer.STAGE)} <= set(commands)
        session, commands = play(*acquired(track_id=2)[1:], session=session)
        assert session.state is State.ILLUMINATING
        rules = POLICY.light[path]
        assert of(PlayLight, commands)[0].code == draw_light_code(RAW_NONCE, rules, attempt=session.plays - 1)
        assert session.plays > 1
        after, commands = play(sample(track_id=None), sample(track_id=3), session=session)
        assert after.state is State.COMPARING
        assert of(Compare, commands)[0].watched is Watched.CHANGED
        # Where the terminal itself had no frames, it cannot say that somebody took another's place.
        after, commands = play(UNSEEN, sample(track_id=3), session=session)
        assert after.state is State.COMPARING
        assert of(Compare, commands)[0].watched is Watched.BLIND


@pytest.mark.parametrize("path", PathName)
@pytest.mark.parametrize("state", [State.ILLUMINATING, State.CHALLENGING, State.OBSERVING])
def test_whoever_leaves_cancels_or_meets_a_fault_in_a_stage_ends_the_session_with_the_light_stopped(path, state):
    for session in sessions_in(path, state):
        for events, reason in (
            ((sample(track_id=None), TimerExpired(0, Timer.FACE_LOST)), Reason.LEFT),
            ((CancelPressed(0),), Reason.CANCELLED_BY_PERSON),
            ((FaultRaised(0, Fault.LIGHT),), Reason.FAULT),
        ):
            after, commands = play(*events, session=session)
            assert StopAcquisition() in commands
            assert stored(commands).verdict.reasons[-1] is reason
            assert stored(commands).verdict.outcome is Outcome.CANCELLED
            assert after.state in {State.DECIDED, State.FAULTED}


UNSEEN = SampleAssessed(0, 1, None, is_blind=True)


def sessions_in(path: PathName, state: State) -> list[Session]:
    """The first session on a path that is in a state; none where the path does not have it."""
    session = Session()
    for event in WAYS[path]:
        session, _ = advance(session, event)
        if session.state is state:
            return [session]
    return []


@pytest.mark.parametrize("path", [PathName.STANDARD, PathName.HELPER, PathName.NO_FLASH])
def test_with_planarity_a_turn_is_always_asked_for(path):
    for seed in range(40):
        nonce = f"{seed:032x}"
        session, _ = play(claim(path, nonce=nonce), *acquired(path)[1:], *played(0))
        assert set(session.challenge.drawn.left) & TURNS


def test_after_a_wrong_action_the_fleet_can_follow_what_was_asked():
    session, _ = play(
        *acquired(), *played(0), *rest(31 * SECOND), ChallengeAnswered(35 * SECOND, 1, is_performed=False)
    )
    told = TimerExpired(35 * SECOND, Timer.TOLD)
    _, commands = play(told, *rest(36 * SECOND), *challenged(40 * SECOND, (2, 3, 4, 5))[2:], done(), session=session)
    record = stored(commands)
    draws = ChallengeDraws(RAW_NONCE, POLICY.challenge, needs_turn=True)
    assert draws.are_met([(asked.action, asked.result) for asked in record.challenge])
    assert record.verdict.outcome is Outcome.CERTIFIED


def test_a_frame_with_more_people_than_the_path_allows_is_no_sample_and_says_so():
    crowd = [sample(n * 4 * SECOND, n, faces=2) for n in range(9)]
    session, commands = play(claim(), *crowd)
    assert (session.state, session.samples) == (State.ACQUIRING, 0)
    assert set(lines(commands)) == {Line.LOOK_HERE, Line.SINGLE_FACE_PRESENT}
    _, commands = play(TimerExpired(0, Timer.ACQUIRE), session=session)
    verdict = stored(commands).verdict
    assert (verdict.outcome, verdict.reasons[0]) == (Outcome.POOR_SAMPLE, Reason.TOO_MANY_FACES)
    session, _ = play(claim(PathName.HELPER), *crowd[: POLICY.quality.probe_samples])
    assert session.state is State.ILLUMINATING
    session, _ = play(claim(PathName.HELPER), *(replace(frame, faces=3) for frame in crowd))
    assert session.state is State.ACQUIRING


def test_a_crowd_interrupts_the_rest_before_a_prompt_and_no_more():
    session, _ = play(*acquired(), *played(0))
    begin, end = rest(31 * SECOND)
    crowded = replace(begin, at_ns=end.at_ns - 1, faces=2)
    session, commands = play(begin, crowded, end, session=session)
    assert not of(WatchFor, commands)
    assert session.state is State.CHALLENGING
    _, commands = play(replace(end, at_ns=end.at_ns + 4 * SECOND), session=session)
    assert of(WatchFor, commands)


def test_the_path_that_needs_a_witness_goes_to_review_without_one():
    way = [claim(PathName.NO_MOVEMENT, witness=None), *WAYS[PathName.NO_MOVEMENT][1:]]
    _, commands = play(*way, done())
    assert stored(commands).verdict.outcome is Outcome.REVIEW
    assert stored(commands).verdict.reasons == (Reason.WITNESS_MISSING,)
    _, commands = play(*WAYS[PathName.NO_MOVEMENT], done())
    assert stored(commands).witness == "w-1"


def test_better_frames_are_waited_for_as_long_as_the_policy_says_and_what_is_there_is_enough_when_time_is_up():
    patient = POLICY.model_copy(update={"quality": POLICY.quality.model_copy(update={"capture_s": 2.0})})
    many = [sample(n * SECOND // 10, n) for n in range(20)]
    session, commands = play(claim(policy=patient), *many)
    assert session.state is State.ACQUIRING
    assert all(order.wants_more for order in of(TakeSample, commands))
    later, commands = play(sample(2 * SECOND, 30), session=session)
    assert later.state is State.ILLUMINATING
    assert not of(TakeSample, commands)[0].wants_more
    later, _ = play(TimerExpired(2 * SECOND, Timer.ACQUIRE), session=session)
    assert later.state is State.ILLUMINATING
    gone, _ = play(sample(track_id=None), TimerExpired(2 * SECOND, Timer.ACQUIRE), session=session)
    assert gone.state is State.DECIDED


TIMES = st.integers(0, 10**12)
STATUSES = st.sampled_from(EvidenceStatus)
EVENTS = st.one_of(
    st.builds(claim, st.sampled_from(PathName), witness=st.sampled_from([None, "w-1"])),
    st.builds(
        sample,
        TIMES,
        st.integers(1, 99),
        st.sampled_from([None, 1, 1, 1, 2]),
        faces=st.sampled_from([1, 1, 2, 3]),
        quality=st.sampled_from([GOOD, GOOD, POOR]),
        is_at_rest=st.booleans(),
    ).filter(lambda event: event.track_id is not None or event.faces == 1)
    | st.builds(sample, TIMES, st.integers(1, 99), st.none()),
    st.builds(ChallengeAnswered, TIMES, st.integers(1, 5), st.booleans()),
    st.builds(StagePlayed, TIMES, st.integers(0, 3), st.booleans()),
    st.dictionaries(st.sampled_from([kind.value for kind in EvidenceKind if kind is not CHALLENGE]), STATUSES).map(
        lambda found: done(*passed(**found)) if found else done()
    ),
    st.builds(TimerExpired, TIMES, st.sampled_from(Timer)),
    st.builds(FaultRaised, TIMES, st.sampled_from(Fault)),
    st.sampled_from([CancelPressed(0), RecordStored(0), FaultCleared(0)]),
)


@st.composite
def sequences(draw):
    """Events at random, mixed into those of a session that certifies, on any path."""
    happy = [*WAYS[draw(st.sampled_from(PathName))], done(), RecordStored(0)]
    events = happy[: draw(st.integers(0, len(happy)))]
    for event in draw(st.lists(EVENTS, max_size=10)):
        events.insert(draw(st.integers(0, len(events))), event)
    return events


def follow(events):
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
def test_no_path_certifies_without_all_its_evidence_or_with_any_that_failed(events):
    for before, event, _, commands in follow(events):
        for record in of(StoreRecord, commands):
            if record.verdict.outcome is not Outcome.CERTIFIED:
                continue
            rules = PATHS[record.path]
            assert isinstance(event, ComparisonDone)
            found = {result.kind: result.status for result in record.evidence}
            assert all(found[kind] is EvidenceStatus.PASSED for kind in rules.required)
            assert EvidenceStatus.FAILED not in found.values()
            assert record.witness is not None or not rules.needs_witness
            if CHALLENGE in rules.required:
                draws = ChallengeDraws(RAW_NONCE, POLICY.challenge, needs_turn=PLANARITY in rules.required)
                assert draws.are_met([(asked.action, asked.result) for asked in record.challenge])
            assert before.state is State.COMPARING


@settings(max_examples=200, deadline=None)
@given(sequences())
def test_every_stage_that_is_begun_is_stopped_before_anything_else_happens(events):
    is_playing = False
    for _, _, after, commands in follow(events):
        for command in commands:
            if isinstance(command, PlayLight | WatchFace):
                is_playing = True
            elif isinstance(command, StopPlay | StopAcquisition):
                is_playing = False
        assert is_playing == (after.state in {State.ILLUMINATING, State.OBSERVING})


@settings(max_examples=200, deadline=None)
@given(sequences())
def test_every_session_on_every_path_ends_once_its_timers_run_out(events):
    session, running = Session(), {}
    for _, _, session, commands in follow(events):  # noqa: B007 - the last one counts
        running = keep_time(running, commands)
    for _ in range(60):
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


def test_what_was_asked_is_in_the_record():
    _, commands = play(*WAYS[PathName.STANDARD], done())
    assert all(isinstance(asked, Asked) and asked.result == "performed" for asked in stored(commands).challenge)
    assert len(stored(commands).challenge) == POLICY.challenge.count
