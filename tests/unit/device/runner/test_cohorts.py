"""Whom the runner has a probe compared with beside its reference."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from device.errors import ReferencesUnavailable
from device.runner.loop import Ports, Runner
from device.runner.orders import CompareWith
from device.runner.records import Identity
from device.session.commands import Compare
from device.simulated.clock import SteppedClock
from device.simulated.entropy import SeededEntropy
from device.simulated.panel import SimulatedPanel
from device.simulated.stores import FixedPolicy, FixedRulePacks, MemoryOutbox, MemoryReferences, ThrowAwaySigner
from protocol.documents import check_digit, claim_token, parse_document
from protocol.policy import NormalisedThresholds, PathName, ThresholdSource, default_policy
from protocol.records import NetworkUse
from protocol.references import CaptureKind, LegalBasis, Reference, encode_features
from protocol.roster import RosterEntry

MODEL, KEY = "a" * 64, bytes(32)
NUMBER = "99999919400101001" + check_digit("99999919400101001")
NETWORK = "features_mobilefacenet"
LIMITS = NormalisedThresholds(
    match=0.3,
    grey=0.1,
    nearest_share=0.05,
    least_people=3,
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
RAW = default_policy()
NORMALISED = RAW.model_copy(
    update={"comparison": {NETWORK: RAW.comparison[NETWORK].model_copy(update={"normalised": LIMITS})}}
)


def entry(number: int, token: str) -> RosterEntry:
    reference = Reference(
        reference_id=f"{number:032x}",
        features=encode_features(np.arange(1, 9, dtype=np.int8)),
        model_sha256=MODEL,
        runtime="none",
        key_domain="d-1",
        quality=90,
        capture=CaptureKind.LIVE,
        legal_basis=LegalBasis.STATUTE,
        captured_at=datetime(2026, 1, 1, tzinfo=UTC),
        valid_until=datetime(2030, 1, 1, tzinfo=UTC).date(),
    )
    return RosterEntry(roster_version=number, subject_id=f"{number:032x}", claim_token=token, references=(reference,))


class Unreadable(MemoryReferences):
    """A roster whose disk fails once the claim was looked up."""

    def others(self, token, limit):
        raise ReferencesUnavailable("roster: input/output error")


class Seat:
    """A runner with a claim, and the order it gives for a comparison."""

    def __init__(self, kind=MemoryReferences):
        own = entry(1, claim_token(parse_document(NUMBER), KEY))
        others = [entry(number, f"{number:043d}") for number in range(2, 7)]
        panel = SimulatedPanel()
        ports = Ports(
            panel=panel,
            prompter=self,
            outbox=MemoryOutbox(),
            references=kind([own, *others], claim_key=KEY, feature_keys={"d-1": KEY}),
            policies=FixedPolicy(RAW),
            packs=FixedRulePacks(),
            signer=ThrowAwaySigner(),
            clock=SteppedClock(datetime(2026, 11, 22, 16, tzinfo=UTC)),
            entropy=SeededEntropy(1),
        )
        network = NetworkUse(name=NETWORK, sha256=MODEL, runtime="none")
        self.runner = Runner(ports, identity=Identity("north", "t-1", "test", (network,), NETWORK, MODEL))
        self.orders = []
        panel.start(self.runner.press)
        self.runner.attach(self)
        self.runner.present_claim(NUMBER)
        while self.runner.turn():
            pass

    def say(self, line, *, dates=()):
        pass

    def length_s(self, line):
        return 0.0

    def order(self, generation, order):
        self.orders.append(order)

    def compare(self, policy) -> CompareWith:
        self.runner._carry_out(Compare(policy, PathName.STANDARD, phases=()))
        return self.orders[-1]


def test_under_normalised_thresholds_the_others_of_the_roster_come_with_the_order():
    order = Seat().compare(NORMALISED)
    assert [member.subject_id for member in order.cohort] == [f"{number:032x}" for number in range(2, 7)]
    assert (order.rules.nearest_share, order.rules.least_people) == (0.05, 3)
    assert order.subject_id == f"{1:032x}"


def test_under_raw_thresholds_nobody_is_read():
    order = Seat(Unreadable).compare(RAW)
    assert (order.cohort, order.rules) == ((), None)


def test_a_roster_that_cannot_be_read_leaves_the_score_raw(caplog):
    order = Seat(Unreadable).compare(NORMALISED)
    assert (order.cohort, order.rules) == ((), None)
    assert order.reference is not None
    assert "no cohort" in caplog.text


def test_an_order_shows_nobody():
    order = Seat().compare(NORMALISED)
    assert f"{2:032x}" not in repr(order)
    order.erase()
    assert not order.reference.values.any()
    assert not any(member.features.values.any() for member in order.cohort)
