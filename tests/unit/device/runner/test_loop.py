"""The loop: what becomes of inputs, timers and records; the vision worker is played by the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import numpy as np
import pytest

from device.errors import DeviceError, OutboxUnavailable, ReferencesUnavailable
from device.ports import USUAL, Button, Errand
from device.runner.events import EventLog
from device.runner.loop import Ports, Runner, Stored
from device.runner.moving import ReferenceMover
from device.runner.orders import CompareWith, EndShadow, Findings, Reopen
from device.runner.records import Identity
from device.session.commands import Dated, DateRole, Lamp, Line, StartAcquisition, StopAcquisition, WatchFor
from device.session.events import (
    ChallengeAnswered,
    ClaimRefused,
    Fault,
    FaultCleared,
    FaultRaised,
    RecordNotStored,
    SampleAssessed,
)
from device.session.machine import State
from device.simulated.clock import SteppedClock
from device.simulated.entropy import SeededEntropy
from device.simulated.panel import SimulatedPanel
from device.simulated.stores import FixedPolicy, FixedRulePacks, MemoryOutbox, MemoryReferences, ThrowAwaySigner
from device.vision.features import FeatureVector
from device.vision.shadow import Fate, Shadow
from protocol.documents import check_digit, claim_token, parse_document
from protocol.entitlements import CountedAct, Entitlement
from protocol.envelope import sha256_of, unseal, unverified_payload
from protocol.events import EventKind, TerminalEvent
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.examples import examples
from protocol.keys import PrivateKey
from protocol.offline import OfflineLevel
from protocol.outcomes import Outcome, Reason
from protocol.policy import ComparisonPolicy, OfflinePolicy, PathName, PathPolicy, RefreshPolicy, default_policy
from protocol.records import NetworkUse, Purpose
from protocol.reference_card import CARD_KEYS_TYP
from protocol.references import CaptureKind, LegalBasis, Reference, encode_features, protect
from protocol.roster import RosterEntry
from protocol.rules.acts import ActKind, Channel
from protocol.shipped_packs import shipped_pack
from protocol.visits import Visit, VisitReason

BARE = PathPolicy(required=(EvidenceKind.CHALLENGE, EvidenceKind.CONTINUITY))
HASTY = default_policy().quality.model_copy(update={"capture_s": 0.0})
POLICY = default_policy().model_copy(update={"refresh": None, "paths": dict.fromkeys(PathName, BARE), "quality": HASTY})
NUMBER = "99999919400101001" + check_digit("99999919400101001")
KEY, MODEL = bytes(32), "a" * 64
GOOD = tuple((name, 100.0) for name in POLICY.quality.minimum)
REFERENCE = Reference(
    reference_id="7" * 32,
    features="AAECAw==",
    model_sha256=MODEL,
    runtime="none",
    key_domain="d-1",
    quality=90,
    capture=CaptureKind.LIVE,
    legal_basis=LegalBasis.STATUTE,
    captured_at=datetime(2026, 1, 1, tzinfo=UTC),
    valid_until=datetime(2030, 1, 1, tzinfo=UTC).date(),
)


class FailingOutbox(MemoryOutbox):
    """A disk that fails when it is written to."""

    def append(self, build):
        raise OutboxUnavailable("outbox: input/output error")


@dataclass
class Terminal:
    outbox: MemoryOutbox = field(default_factory=MemoryOutbox)
    references: MemoryReferences | None = None
    policy: object = POLICY
    packs: FixedRulePacks = field(default_factory=FixedRulePacks)
    signer: ThrowAwaySigner = field(default_factory=ThrowAwaySigner)
    fleet_key: PrivateKey | None = None

    def __post_init__(self):
        entry = RosterEntry(
            roster_version=1,
            subject_id="5" * 32,
            claim_token=claim_token(parse_document(NUMBER), KEY),
            references=(REFERENCE,),
        )
        self.clock = SteppedClock(datetime(2026, 11, 22, 16, tzinfo=UTC))
        self.panel = SimulatedPanel()
        self.said, self.notices, self.orders = [], [], []
        ports = Ports(
            panel=self.panel,
            prompter=self,
            outbox=self.outbox,
            references=self.references
            or MemoryReferences([entry], claim_key=KEY, feature_keys={"d-1": KEY}, enrolment_domain="d-1"),
            policies=FixedPolicy(self.policy),
            packs=self.packs,
            signer=self.signer,
            clock=self.clock,
            entropy=SeededEntropy(1),
        )
        network = NetworkUse(name="features_mobilefacenet", sha256=MODEL, runtime="none")
        sealing_key = None if self.fleet_key is None else self.fleet_key.public()
        identity = Identity(
            "north", "t-1", "test", (network,), network.name, MODEL, "none", fleet_sealing_key=sealing_key
        )
        self.runner = Runner(ports, identity=identity, on_notice=self.notices.append)
        self.runner.attach(self)
        self.panel.start(self.runner.press)
        self.generation = 0
        self.line_s = 0.0

    def say(self, line, *, dates=()):
        self.said.append(line)
        self.dates = dates

    def length_s(self, line):
        return self.line_s

    def order(self, generation, order):
        self.generation = generation
        self.orders.append(order)

    def settle(self):
        while self.runner.turn():
            pass

    def tell(self, *news, generation=None):
        for item in news:
            self.runner.post(self.generation if generation is None else generation, item)
        self.settle()

    def claim(self, number=NUMBER, errand=USUAL):
        self.runner.present_claim(number, errand)
        self.settle()

    def see(self, sequence):
        now = self.clock.monotonic_ns()
        self.tell(SampleAssessed(now, sequence, 1, GOOD, has_features=True, is_at_rest=True))

    def acquire(self):
        for sequence in range(POLICY.quality.probe_samples):
            self.see(sequence)

    def rest(self):
        self.see(20)
        self.clock.advance(3 * 10**9)
        self.see(21)

    def answer_all(self):
        self.rest()
        for _ in range(POLICY.challenge.count):
            prompt = next(order.prompt for order in reversed(self.orders) if isinstance(order, WatchFor))
            self.tell(ChallengeAnswered(self.clock.monotonic_ns(), prompt, is_performed=True, sequence=30))
            self.rest()

    @property
    def records(self):
        return [notice.record for notice in self.notices if isinstance(notice, Stored)]

    @property
    def state(self):
        return self.runner.session.state


def findings(**changes):
    passed = EvidenceResult(kind=EvidenceKind.CONTINUITY, status=EvidenceStatus.PASSED, reason="same_person")
    fields = {"at_ns": 0, "similarity": 0.9, "samples": 8, "evidence": (passed,), "quality": GOOD}
    return Findings(**{**fields, **changes})


def test_a_whole_session_leaves_one_complete_signed_record():
    terminal = Terminal()
    terminal.claim()
    terminal.acquire()
    terminal.answer_all()
    assert isinstance(terminal.orders[-1], CompareWith)
    terminal.tell(findings())
    (record,) = terminal.records
    assert record.decision.outcome is Outcome.CERTIFIED
    # 16:00 UTC is the next day where the terminal stands.
    assert record.decision.certified_until.isoformat() == "2027-11-23"
    assert record.comparison.zone == "match"
    assert record.claim.subject_id == "5" * 32
    assert (record.counter, record.previous) == (1, None)
    (row,) = terminal.outbox.unconfirmed(9)
    assert row.sha256 == sha256_of(row.envelope) == terminal.notices[-1].sha256
    assert (terminal.said[-1], terminal.dates) == (Line.CERTIFIED, (Dated(DateRole.UNTIL, date(2027, 11, 23)),))
    assert record.decision.rule_pack == "SX-2018/1"
    assert terminal.panel.lamp is Lamp.CERTIFIED
    terminal.clock.advance(round(POLICY.timers.result_s * 1e9))
    terminal.settle()
    assert (terminal.state, terminal.panel.lamp) == (State.IDLE, Lamp.IDLE)


def lanzhou_terminal(last: date | None = None, packs: FixedRulePacks | None = None) -> Terminal:
    """A terminal that was told of a Lanzhou benefit."""
    told = Entitlement(
        pack_id="LZ-2019",
        pack_version=1,
        started=date(2012, 3, 1),
        last=None if last is None else CountedAct(day=last, kind=ActKind.LIVE),
    )
    entry = RosterEntry(
        roster_version=1,
        subject_id="5" * 32,
        claim_token=claim_token(parse_document(NUMBER), KEY),
        references=(REFERENCE,),
        entitlements=(told,),
    )
    references = MemoryReferences([entry], claim_key=KEY, feature_keys={"d-1": KEY}, enrolment_domain="d-1")
    return Terminal(references=references, packs=packs or FixedRulePacks(shipped_pack("LZ-2019")))


def certify(terminal: Terminal, errand=USUAL):
    terminal.claim(errand=errand)
    terminal.acquire()
    terminal.answer_all()
    terminal.tell(findings())
    terminal.clock.advance(round(POLICY.timers.result_s * 1e9))
    terminal.settle()
    return terminal.notices[-1]


def test_r2_3_what_the_roster_tells_of_somebody_decides_what_a_pass_is_good_for():
    stored = certify(lanzhou_terminal(last=date(2026, 10, 1)))
    assert stored.record.decision.outcome is Outcome.CERTIFIED
    assert stored.record.decision.rule_pack == "LZ-2019/1"
    assert stored.record.decision.certified_until == date(2027, 6, 30)
    assert (stored.next_from, stored.is_early) == (date(2027, 1, 1), True)


def test_r2_3_who_comes_again_before_the_fleet_has_told_of_the_pass_here_is_early():
    terminal = lanzhou_terminal(last=date(2026, 5, 2))
    first, second = certify(terminal), certify(terminal)
    assert (first.is_early, first.record.decision.certified_until) == (False, date(2027, 6, 30))
    assert second.record.decision.certified_until == date(2027, 6, 30)
    terminal.clock.advance(3 * 24 * 3600 * 10**9)
    third = certify(terminal)
    assert (third.is_early, third.next_from) == (True, date(2027, 2, 23))
    assert terminal.said.count(Line.CERTIFIED_EARLY) == 1


def test_a_visit_is_an_act_of_its_own_channel():
    at_terminals_only = shipped_pack("LZ-2019").model_copy(update={"channels": (Channel.TERMINAL,)})
    terminal = lanzhou_terminal(packs=FixedRulePacks(at_terminals_only))
    visit = Visit(worker="w-1", reason=VisitReason.BEDRIDDEN, place=None)
    at_home = certify(terminal, Errand(operator="w-1", witness="w-1", visit=visit))
    assert at_home.record.decision.certified_until is None
    assert certify(terminal).record.decision.certified_until == date(2027, 6, 30)


def test_the_next_record_names_the_one_before():
    terminal = Terminal()
    for _ in range(2):
        terminal.claim()
        terminal.runner.press(Button.CANCEL)
        terminal.settle()
        terminal.clock.advance(round(POLICY.timers.result_s * 1e9))
        terminal.settle()
    first, second = terminal.notices
    assert second.record.previous == first.sha256
    assert second.record.counter == 2


def test_a_mistyped_number_and_a_missing_roster_begin_no_session():
    terminal = Terminal()
    terminal.claim("12")
    assert [notice.problem for notice in terminal.notices] == ["unreadable"]
    bare = Terminal(references=MemoryReferences(claim_key=None))
    bare.claim()
    assert [notice.problem for notice in bare.notices] == ["not_ready"]
    assert bare.state is terminal.state is State.IDLE


def test_beyond_a_limit_without_the_fleet_a_new_claim_is_told_so_and_a_session_under_way_goes_on(caplog):
    limits = OfflinePolicy(warn_records=1, stop_records=2)
    terminal = Terminal(policy=POLICY.model_copy(update={"offline": limits}))
    terminal.claim()
    for counter in (b"1", b"2"):
        terminal.outbox.append(lambda _counter, _previous, token=counter: token)
    assert terminal.runner.standing().level is OfflineLevel.HARD
    terminal.acquire()
    terminal.answer_all()
    terminal.tell(findings())
    assert [record.decision.outcome for record in terminal.records] == [Outcome.CERTIFIED]
    terminal.clock.advance(round(POLICY.timers.result_s * 1e9))
    terminal.settle()
    terminal.claim()
    assert (terminal.notices[-1].problem, terminal.said[-1]) == ("offline_limit", Line.OFFLINE_LIMIT)
    assert terminal.state is State.IDLE
    assert "standing without the fleet level=hard reasons=records" in caplog.text


@pytest.mark.parametrize("wall", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)])
def test_a_clock_set_by_hand_refuses_nobody_and_certifies_nobody(wall):
    terminal = Terminal()
    terminal.clock.note_fleet_time(terminal.clock.now().wall_clock)
    terminal.clock.set_wall_clock(wall)
    terminal.claim()
    terminal.acquire()
    terminal.answer_all()
    terminal.tell(findings())
    (record,) = terminal.records
    assert record.decision.outcome is Outcome.TIME_UNCERTAIN
    assert record.comparison.zone == "match"
    assert (record.decided.jumps, record.decided.last_jump.direction) == (
        1,
        "forward" if wall.year > 2000 else "backward",
    )


def test_an_expired_roster_and_a_garbled_card_are_told_with_their_own_lines():
    old = Terminal(references=MemoryReferences(claim_key=None, has_expired=True))
    old.claim()
    assert ([notice.problem for notice in old.notices], old.said[-1]) == (["roster_expired"], Line.ROSTER_EXPIRED)
    assert old.state is State.IDLE
    keys = examples()[CARD_KEYS_TYP]
    carded = Terminal(references=MemoryReferences(claim_key=None, card_keys=keys))
    carded.claim("LCR1:GARBLED")
    assert ([notice.problem for notice in carded.notices], carded.said[-1]) == (["card_garbled"], Line.CARD_GARBLED)


def test_a_second_claim_waits_for_the_first_person():
    terminal = Terminal()
    terminal.claim()
    terminal.claim()
    assert isinstance(terminal.notices[-1], ClaimRefused)
    assert terminal.state is State.ACQUIRING


def test_without_a_policy_the_record_says_so():
    terminal = Terminal(policy=None)
    terminal.claim()
    (record,) = terminal.records
    assert (record.decision.outcome, record.decision.policy_version) == (Outcome.NOT_CERTIFIED, "none")


def test_a_full_outbox_stops_sessions_until_there_is_room():
    terminal = Terminal(outbox=MemoryOutbox(max_rows=0))
    terminal.claim()
    assert isinstance(terminal.notices[-1], FaultRaised)
    assert (terminal.state, terminal.panel.lamp) == (State.FAULTED, Lamp.FAULT)
    terminal.outbox._max_rows = 9
    terminal.clock.advance(11 * 10**9)
    terminal.settle()
    assert isinstance(terminal.orders[-1], Reopen)
    terminal.tell(FaultCleared(0))
    assert terminal.state is State.IDLE


def test_a_record_that_cannot_be_written_is_never_certified():
    terminal = Terminal(outbox=FailingOutbox())
    terminal.claim()
    terminal.acquire()
    terminal.answer_all()
    terminal.tell(findings())
    assert isinstance(terminal.notices[-1], RecordNotStored)
    assert terminal.said[-1] is Line.NOT_STORED
    assert Line.CERTIFIED not in terminal.said
    assert Lamp.CERTIFIED not in terminal.panel.shown


def test_news_of_an_earlier_session_is_dropped_but_a_fault_is_not():
    terminal = Terminal()
    terminal.claim()
    terminal.tell(*(SampleAssessed(0, n, 1, GOOD, has_features=True) for n in range(9)), generation=0)
    assert terminal.state is State.ACQUIRING
    terminal.tell(FaultRaised(0, Fault.CAMERA), generation=0)
    assert terminal.state is State.FAULTED


def test_no_face_in_time_is_a_poor_sample():
    terminal = Terminal()
    terminal.claim()
    assert StartAcquisition() in terminal.orders
    terminal.clock.advance(round(POLICY.timers.acquire_s * 1e9))
    terminal.settle()
    assert terminal.records[0].decision.outcome is Outcome.POOR_SAMPLE
    assert StopAcquisition() in terminal.orders


@pytest.mark.parametrize("similarity", [None, float("nan"), -1.0])
def test_no_usable_score_is_no_certification(similarity):
    terminal = Terminal()
    terminal.claim()
    terminal.acquire()
    terminal.answer_all()
    terminal.tell(findings(similarity=similarity))
    assert terminal.records[0].decision.outcome is Outcome.NOT_CERTIFIED


def test_functions_are_called_on_the_loop():
    terminal = Terminal()
    called = []
    terminal.runner.call(lambda: called.append(1))
    assert called == []
    terminal.settle()
    assert called == [1]


@pytest.mark.parametrize(("line_s", "more_s"), [(0.4, 0.0), (8.8, 8.8 - POLICY.challenge.prompt_s)])
def test_whoever_is_told_slowly_has_as_long_to_answer(line_s, more_s):
    terminal = Terminal()
    terminal.line_s = line_s
    terminal.claim()
    terminal.acquire()
    terminal.rest()
    assert any(isinstance(order, WatchFor) for order in terminal.orders)
    left_s = (terminal.runner.next_deadline_ns() - terminal.clock.monotonic_ns()) / 1e9
    assert left_s == pytest.approx(POLICY.challenge.prompt_s + POLICY.challenge.answer_timeout_s + more_s)


@pytest.mark.parametrize("line_s", [0.0, 2.5, 8.0])
def test_after_a_wrong_action_the_next_prompt_waits_for_the_end_of_what_is_said(line_s):
    terminal = Terminal()
    terminal.claim()
    terminal.acquire()
    terminal.rest()
    terminal.line_s = line_s
    terminal.tell(ChallengeAnswered(terminal.clock.monotonic_ns(), 1, is_performed=False))
    assert terminal.said[-1] is Line.TRY_ANOTHER
    begun, pause_s = terminal.clock.monotonic_ns(), POLICY.challenge.rest_longest_s
    while terminal.said[-1] is Line.TRY_ANOTHER:
        terminal.see(22)
        terminal.clock.advance(10**8)
    asked_s = (terminal.clock.monotonic_ns() - begun) / 1e9
    assert line_s + POLICY.challenge.rest_shortest_s <= asked_s <= line_s + pause_s + 0.3


def test_under_a_flood_of_inputs_an_overdue_timer_still_runs_out():
    terminal = Terminal()
    terminal.claim()
    terminal.clock.advance(round(POLICY.timers.acquire_s * 1e9))

    def flood():
        terminal.runner.call(flood)
        terminal.runner.call(lambda: None)

    flood()
    for _ in range(10):
        assert terminal.runner.turn()
    assert terminal.records[0].decision.outcome is Outcome.POOR_SAMPLE


def test_what_was_waiting_as_a_timer_ran_out_goes_before_it():
    terminal = Terminal()
    terminal.claim()
    terminal.clock.advance(round(POLICY.timers.acquire_s * 1e9))
    now = terminal.clock.monotonic_ns()
    for sequence in range(POLICY.quality.probe_samples):
        terminal.runner.post(terminal.generation, SampleAssessed(now, sequence, 1, GOOD, has_features=True))
    terminal.settle()
    assert terminal.state is State.CHALLENGING


class LostRoster(MemoryReferences):
    """A roster whose disk does not answer."""

    def find(self, token):
        raise ReferencesUnavailable("roster: input/output error")


def test_a_roster_that_cannot_be_read_is_a_fault_and_no_refusal_of_the_person():
    terminal = Terminal(references=LostRoster(claim_key=KEY))
    terminal.claim()
    assert [notice.fault for notice in terminal.notices] == [Fault.STORAGE]
    assert terminal.records == []


class BrokenSigner(ThrowAwaySigner):
    """A key file that went away."""

    def sign(self, payload, typ):
        raise DeviceError("signing key: no such file")


def test_any_failure_to_sign_or_store_is_told_and_never_certified():
    terminal = Terminal(signer=BrokenSigner())
    terminal.claim()
    terminal.acquire()
    terminal.answer_all()
    terminal.tell(findings())
    assert isinstance(terminal.notices[-1], RecordNotStored)
    assert terminal.said[-1] is Line.NOT_STORED


def test_a_terminal_that_is_stopped_records_the_session_under_way():
    terminal = Terminal()
    terminal.claim()
    terminal.acquire()
    terminal.runner.end()
    assert terminal.records[0].decision.outcome is Outcome.CANCELLED
    assert Reason.FAULT in terminal.records[0].decision.reasons
    assert terminal.runner._running is None


FLEET = PrivateKey.generate()
ENROL = Errand(purpose=Purpose.ENROLMENT, operator="w-204", may_enrol=True, legal_basis=LegalBasis.CONSENT)


def made():
    return FeatureVector(np.arange(1, 5, dtype=np.int8), MODEL, "d-1")


def enrol(terminal, features, errand=ENROL, **changes):
    terminal.claim(errand=errand)
    terminal.acquire()
    terminal.answer_all()
    terminal.tell(findings(reference=features, unified_quality=71.0, **changes))


def test_an_enrolment_seals_the_reference_to_the_fleet_and_leaves_nothing_behind():
    terminal = Terminal(fleet_key=FLEET)
    features = made()
    enrol(terminal, features)
    assert terminal.orders[-2].keep_as.domain == "d-1"
    (record,) = terminal.records
    assert (record.purpose, record.operator) == (Purpose.ENROLMENT, "w-204")
    assert record.decision.outcome is Outcome.CERTIFIED
    reference = Reference.model_validate_json(unseal(record.reference.sealed.encode(), key=FLEET))
    assert reference.vector().tolist() == [1, 2, 3, 4]
    assert (reference.reference_id, reference.legal_basis) == (record.reference.reference_id, LegalBasis.CONSENT)
    assert (reference.capture, reference.quality) == (CaptureKind.LIVE, 71.0)
    assert not features.values.any()


def test_features_that_are_no_reference_cost_the_reference_and_not_the_record(caplog):
    terminal = Terminal(fleet_key=FLEET)
    features = FeatureVector(np.arange(1, 5, dtype=np.int8), "no digest", "d-1")
    enrol(terminal, features)
    (record,) = terminal.records
    assert (record.decision.outcome, record.reference) == (Outcome.CERTIFIED, None)
    assert "invalid in 1 places" in caplog.text
    assert "no digest" not in caplog.text
    assert not features.values.any()


def test_an_enrolment_that_is_no_living_person_keeps_no_reference():
    terminal = Terminal(fleet_key=FLEET)
    features = made()
    failed = EvidenceResult(kind=EvidenceKind.CONTINUITY, status=EvidenceStatus.FAILED, reason="another_face")
    enrol(terminal, features, evidence=(failed,))
    (record,) = terminal.records
    assert record.decision.outcome is Outcome.PRESENTATION_ATTACK
    assert record.reference is None
    assert not features.values.any()


def test_a_reference_that_came_too_late_is_erased():
    terminal = Terminal(fleet_key=FLEET)
    terminal.claim(errand=ENROL)
    features = made()
    terminal.tell(findings(reference=features), generation=terminal.generation - 1)
    assert not features.values.any()


def test_a_terminal_that_knows_no_key_of_the_fleet_enrols_nobody():
    terminal = Terminal(fleet_key=None)
    terminal.claim(errand=ENROL)
    assert terminal.said[-1] is Line.NOT_READY
    assert terminal.records == []


def test_a_certification_makes_no_reference():
    terminal = Terminal(fleet_key=FLEET)
    terminal.claim()
    terminal.acquire()
    terminal.answer_all()
    assert terminal.orders[-1].keep_as is None
    assert terminal.orders[-1].reference is not None


REFRESHING = POLICY.model_copy(update={"refresh": RefreshPolicy(after_days=180, min_quality=50.0)})


@pytest.mark.parametrize(
    ("quality", "similarity", "kind"), [(71.0, 0.9, "refresh"), (49.9, 0.9, None), (71.0, 0.5, None)]
)
def test_a_good_session_against_an_old_reference_proposes_a_new_one(quality, similarity, kind):
    terminal = Terminal(fleet_key=FLEET, policy=REFRESHING)
    terminal.claim()
    terminal.acquire()
    terminal.answer_all()
    assert terminal.orders[-1].keep_as.domain == "d-1"
    features = made()
    terminal.tell(findings(reference=features, unified_quality=quality, similarity=similarity))
    (record,) = terminal.records
    assert (record.reference.kind if record.reference else None) == kind
    assert record.purpose is Purpose.CERTIFICATION
    assert not features.values.any()


def test_a_reference_that_is_still_young_is_left_alone():
    terminal = Terminal(
        fleet_key=FLEET, policy=REFRESHING.model_copy(update={"refresh": RefreshPolicy(after_days=400, min_quality=0)})
    )
    terminal.claim()
    terminal.acquire()
    terminal.answer_all()
    assert terminal.orders[-1].keep_as is None


NEW_MODEL, NEW_KEY = "d" * 64, bytes([3] * 32)
MOVING = POLICY.model_copy(
    update={"comparison": {**POLICY.comparison, "features": ComparisonPolicy(match=0.9, grey=0.8)}}
)


class Canary:
    """A terminal with a network in the shadow; what the vision worker does with an order is done here."""

    def __init__(self, fake_network, *, references=(REFERENCE,), **changes):
        def answer(image):
            angle = float(image[0, 0, 0]) / 100
            return {"features": np.array([[np.cos(angle), np.sin(angle)]], np.float32)}

        networks = [fake_network("features", 112, {"features": (1, 2)}, answer) for _ in range(2)]
        self.shadow = Shadow(networks[0], present=networks[1])
        entry = RosterEntry(
            roster_version=1,
            subject_id="5" * 32,
            claim_token=claim_token(parse_document(NUMBER), KEY),
            references=references,
        )
        store = MemoryReferences(
            [entry], claim_key=KEY, feature_keys={"d-1": KEY, "d-2": NEW_KEY}, enrolment_domain="d-2"
        )
        self.terminal = Terminal(**{"fleet_key": FLEET, "policy": MOVING, "references": store, **changes})
        runner, ports = self.terminal.runner, self.terminal.runner._ports
        identity = runner._identity
        self.mover = ReferenceMover(
            self.shadow.network,
            maker=runner.references,
            references=store,
            policies=ports.policies,
            clock=ports.clock,
            entropy=ports.entropy,
            identity=identity,
            events=EventLog(chain=runner.chain, identity=identity, clock=ports.clock),
            order=runner.order,
        )

    def serve(self, errand=USUAL, **changes):
        """One session with its faces, and what the worker makes of them afterwards; return the order it got."""
        terminal = self.terminal
        terminal.claim(errand=errand)
        terminal.acquire()
        terminal.answer_all()
        held = [np.full((112, 112, 3), level, np.uint8) for level in (10, 20)]
        old = FeatureVector(np.array([1, 0], np.float32), MODEL)
        self.shadow.hold([(crop, old) for crop in held], quality=71.0)
        terminal.tell(findings(**changes))
        said = terminal.said[-1]
        record = terminal.records[-1]
        before = terminal.outbox.unconfirmed(9)[-1].envelope
        self.mover.end(record)
        order = terminal.orders[-1]
        assert isinstance(order, EndShadow)
        if order.record_id is not None:
            self.found = self.shadow.run(order.move)
            if self.found.moved is not None:
                assert self.mover.take(order.record_id, self.found.moved)
                assert not self.found.moved.features.values.any()
        # The record and the result are what they were before the new network saw anything.
        assert (terminal.said[-1], terminal.outbox.unconfirmed(9)[record.counter - 1].envelope) == (said, before)
        return order

    @property
    def events(self):
        rows = self.terminal.outbox.unconfirmed(9)
        payloads = [unverified_payload(row.envelope) for row in rows]
        return [TerminalEvent.parse(each) for each in payloads if b'"terminal-event"' in each]


def test_a_certified_session_gives_the_fleet_a_reference_for_the_network_in_the_shadow(fake_network, caplog):
    canary = Canary(fake_network)
    canary.serve()
    (record,) = canary.terminal.records
    assert (record.decision.outcome, record.reference) == (Outcome.CERTIFIED, None)
    (event,) = canary.events
    assert (event.kind, event.counter, event.detail) == (EventKind.REFERENCE_PROPOSED, 2, {})
    proposal = event.proposal
    assert proposal.session_record == record.record_id
    assert proposal.network == NetworkUse(name="features", sha256=NEW_MODEL, runtime="fake 1")
    assert proposal.reference.kind == "refresh"
    inside = Reference.model_validate_json(unseal(proposal.reference.sealed.encode(), key=FLEET))
    assert (inside.model_sha256, inside.runtime, inside.key_domain) == (NEW_MODEL, "fake 1", "d-2")
    assert (inside.quality, inside.capture, inside.legal_basis) == (71.0, CaptureKind.LIVE, LegalBasis.STATUTE)
    between = np.array([np.cos(0.15), np.sin(0.15)], np.float32)
    assert np.abs(inside.vector().astype(int) - protect(between, NEW_KEY)).max() <= 1
    # Where it goes on from here nothing of it is readable.
    assert inside.features not in event.model_dump_json()
    assert inside.features not in caplog.text


def test_an_enrolment_gives_one_on_the_basis_on_which_it_was_made(fake_network):
    canary = Canary(fake_network)
    canary.serve(ENROL, reference=made(), unified_quality=71.0)
    (event,) = canary.events
    assert event.proposal.reference.legal_basis is LegalBasis.CONSENT


@pytest.mark.parametrize(
    ("changes", "fate"),
    [
        ({"policy": POLICY}, Fate.NO_THRESHOLDS),
        ({"fleet_key": None}, Fate.NO_KEY),
        ({"references": (REFERENCE.model_copy(update={"capture": CaptureKind.PHOTO_CONFIRMED}),)}, None),
    ],
)
def test_why_none_can_be_made_is_told_with_the_order(fake_network, caplog, changes, fate):
    canary = Canary(fake_network, **changes)
    order = canary.serve()
    if fate is None:
        assert len(canary.events) == 1
        return
    assert order.move is fate
    assert canary.events == []
    assert f"name=features why={fate}" in caplog.text


def test_a_session_that_did_not_certify_gives_none(fake_network):
    canary = Canary(fake_network)
    assert canary.serve(similarity=0.5) == EndShadow()
    assert canary.terminal.records[-1].decision.outcome is Outcome.REVIEW
    assert canary.events == []


def test_somebody_with_a_reference_of_the_new_network_is_compared_with_it(fake_network):
    new = REFERENCE.model_copy(
        update={
            "reference_id": "8" * 32,
            "model_sha256": NEW_MODEL,
            "features": encode_features(protect(np.array([np.cos(0.1), np.sin(0.1)], np.float32), KEY)),
        }
    )
    canary = Canary(fake_network, references=(REFERENCE, new))
    order = canary.serve()
    # The one in use was compared with its own, never with that of the new one.
    assert canary.terminal.records[-1].comparison.reference_id == REFERENCE.reference_id
    assert (order.move.known.key_domain, order.move.known.model_digest) == ("d-1", NEW_MODEL)
    assert canary.found.moved is None
    assert canary.events == []


def test_a_policy_that_came_since_and_a_card_that_keeps_its_reference_give_none(fake_network):
    canary = Canary(fake_network)
    canary.serve()
    (record,) = canary.terminal.records
    elsewhere = record.comparison.model_copy(update={"reference_id": "9" * 32})
    canary.mover.end(record.model_copy(update={"comparison": elsewhere}))
    assert canary.terminal.orders[-1].move is Fate.NOT_ON_ROSTER
    decided = record.decision.model_copy(update={"policy_version": "another"})
    canary.mover.end(record.model_copy(update={"decision": decided}))
    assert canary.terminal.orders[-1].move is Fate.OTHER_POLICY
    canary.mover.end(None)
    assert canary.terminal.orders[-1] == EndShadow()


def test_a_roster_that_does_not_answer_costs_the_reference_alone(fake_network, monkeypatch):
    canary = Canary(fake_network)
    canary.serve()

    def unanswered(token):
        raise ReferencesUnavailable("roster: input/output error")

    monkeypatch.setattr(canary.mover._references, "find", unanswered)
    canary.mover.end(canary.terminal.records[-1])
    assert canary.terminal.orders[-1].move is Fate.NOT_ON_ROSTER
