"""The front desk: from touches and codes to sessions, cases and events; the vision worker is played by the test."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from device.desk.tasks import Step, Task
from device.desk.view import CommissioningView, CountsView, CourierView, Option, Screen, StaffWarning, TouchKind
from device.errors import AttachmentsFull, AttachmentsUnavailable, OutboxUnavailable
from device.ports import BoardChange, BoardNotice, Button
from device.runner.casework import Casework
from device.runner.events import EventLog
from device.runner.front import FrontDesk, FrontParts
from device.runner.loop import Ports, Runner
from device.runner.orders import (
    Aim,
    CompareWith,
    Findings,
    ForgetStills,
    Picture,
    PictureNotTaken,
    PictureTaken,
    TakeStill,
)
from device.runner.records import Identity
from device.session.commands import StartAcquisition, WatchFor
from device.session.events import CameraStalled, ChallengeAnswered, Fault, FaultCleared, FaultRaised, SampleAssessed
from device.simulated.clock import SteppedClock
from device.simulated.entropy import SeededEntropy
from device.simulated.panel import SimulatedPanel
from device.simulated.positioner import SimulatedPositioner
from device.simulated.screen import SimulatedScreen
from device.simulated.stores import (
    FixedPolicy,
    FixedRulePacks,
    MemoryAttachments,
    MemoryOutbox,
    MemoryReferences,
    MemoryStaff,
    ThrowAwaySigner,
)
from device.vision.features import FeatureVector
from protocol.cases import CASE_TYP, CaseKind, CaseRecord, PhotoCheck, PhotoRole
from protocol.commissioning import Question
from protocol.documents import DocumentKind, check_digit, claim_token, parse_document
from protocol.entitlements import CountedAct, Entitlement
from protocol.envelope import sha256_of, unseal, verify
from protocol.events import EVENT_TYP, EventKind, TerminalEvent
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.keys import PrivateKey
from protocol.outcomes import Outcome
from protocol.policy import PathName, PathPolicy, default_policy
from protocol.records import RECORD_TYP, CertificationRecord, NetworkUse, Purpose
from protocol.references import CaptureKind, LegalBasis, Reference
from protocol.roster import RosterEntry, SubjectLabel
from protocol.rules.acts import ActKind
from protocol.shipped_packs import shipped_pack
from protocol.staff import Operator, OperatorCode, PinHash, PlaceName, Role, StaffList
from protocol.times import agency_day

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
BARE = PathPolicy(required=(EvidenceKind.CHALLENGE, EvidenceKind.CONTINUITY))
STILL = PathPolicy(required=(EvidenceKind.CONTINUITY,), needs_witness=True)
HASTY = default_policy().quality.model_copy(update={"capture_s": 0.0})
POLICY = default_policy().model_copy(
    update={"paths": dict.fromkeys(PathName, BARE) | {PathName.NO_MOVEMENT: STILL}, "quality": HASTY}
)


def number(first_17: str) -> str:
    return first_17 + check_digit(first_17)


KNOWN, UNKNOWN = number("99999919400101001"), number("99999919400101003")
KEY, MODEL = bytes(32), "a" * 64
GOOD = tuple((name, 100.0) for name in POLICY.quality.minimum)
FLEET = PrivateKey.generate()
WORKER, ENROLLER = OperatorCode("w-1", bytes(16)), OperatorCode("w-2", bytes(15) + b"2")
STAFF = StaffList(
    fleet_id="north",
    terminal_id="t-1",
    issued_at=NOW,
    expires_at=NOW + timedelta(days=30),
    operators=tuple(
        Operator(
            operator_id=code.operator_id,
            name=name,
            roles=roles,
            pin=PinHash.of("493817", bytes(16)),
            code_sha256=code.sha256(),
            valid_until=date(2027, 1, 1),
        )
        for code, name, roles in (
            (WORKER, "Worker", (Role.WORKER,)),
            (ENROLLER, "Enroller", (Role.WORKER, Role.ENROLLER)),
        )
    ),
    places=(PlaceName(code="620102001", name="Village"),),
)


def token_of(text: str) -> str:
    return claim_token(parse_document(text), KEY)


def entry(text: str, name: str | None, *, has_reference: bool = True) -> RosterEntry:
    reference = Reference(
        reference_id="7" * 32,
        features="AAECAw==",
        model_sha256=MODEL,
        runtime="none",
        key_domain="d-1",
        quality=90,
        capture=CaptureKind.LIVE,
        legal_basis=LegalBasis.STATUTE,
        captured_at=NOW,
        valid_until=date(2030, 1, 1),
    )
    return RosterEntry(
        roster_version=1,
        subject_id="5" * 32,
        claim_token=token_of(text),
        references=(reference,) if has_reference else (),
        label=None if name is None else SubjectLabel(name=name, born=1940, place="620102001"),
    )


class Stick:
    def __init__(self) -> None:
        self.tell = None

    def sticks(self):
        return (Option("stick-1", "STICK"),)

    def run(self, stick, tell):
        self.tell = tell


class Commissioning:
    """Stands for the thread that tries the parts."""

    def __init__(self):
        self.tells, self.answers, self.ends = [], [], 0
        self.is_ending = False

    def run(self, tell):
        if not self.is_ending:
            self.tells.append(tell)
        return not self.is_ending

    def answer(self, answer):
        self.answers.append(answer)

    def end(self):
        self.ends += 1


class Terminal:
    def __init__(
        self,
        *entries: RosterEntry,
        outbox: MemoryOutbox | None = None,
        attachments: MemoryAttachments | None = None,
        fleet_key: bool = True,
        has_receiver: bool = True,
        packs: FixedRulePacks | None = None,
        issued_at: datetime | None = None,
    ) -> None:
        self.clock = SteppedClock(NOW)
        self.panel, self.screen, self.stick = SimulatedPanel(), SimulatedScreen(), Stick()
        self.commissioning = Commissioning()
        self.positioner = SimulatedPositioner()
        self.positioner.start()
        self.outbox, self.attachments = outbox or MemoryOutbox(), attachments or MemoryAttachments()
        self.orders, self.generation, self.spoken, self.lengths_s = [], 0, [], {}
        self.signer = ThrowAwaySigner()
        self.references = MemoryReferences(
            entries or [entry(KNOWN, "甲")],
            claim_key=KEY,
            feature_keys={"d-1": KEY},
            enrolment_domain="d-1",
            issued_at=issued_at,
        )
        ports = Ports(
            panel=self.panel,
            prompter=self,
            outbox=self.outbox,
            references=self.references,
            policies=FixedPolicy(POLICY),
            packs=packs or FixedRulePacks(),
            signer=self.signer,
            clock=self.clock,
            entropy=SeededEntropy(1),
        )
        network = NetworkUse(name="features_mobilefacenet", sha256=MODEL, runtime="none")
        identity = Identity(
            "north",
            "t-1",
            "test",
            (network,),
            network.name,
            MODEL,
            "none",
            fleet_sealing_key=FLEET.public() if fleet_key else None,
        )
        self.runner = Runner(ports, identity=identity)
        self.runner.attach(self)
        casework = Casework(
            chain=self.runner.chain,
            attachments=self.attachments,
            identity=identity,
            clock=self.clock,
            entropy=SeededEntropy(2),
            today=lambda: agency_day(self.clock.now()),
        )
        self.front = FrontDesk(
            self.runner,
            ports=ports,
            identity=identity,
            parts=FrontParts(
                screen=self.screen,
                staff=MemoryStaff(STAFF),
                casework=casework,
                events=EventLog(chain=self.runner.chain, identity=identity, clock=self.clock),
                today=lambda: agency_day(self.clock.now()),
                set_voice=lambda language, is_slow: self.spoken.append((language, is_slow)),
                slip_of=lambda stored: f"LCS1:{stored.tail}",
                standing=lambda: (CountsView(47, 31), (StaffWarning.OFFLINE,)),
                stick=self.stick,
                commissioning=self.commissioning,
                positioner=self.positioner if has_receiver else None,
            ),
        )
        self.panel.start(self.runner.press)
        self.screen.start(self.front.touch)
        self.runner.begin()
        self.settle()
        self.tell(FaultCleared(0))

    def say(self, line, **_):
        self.spoken.append(line)

    def length_s(self, line):
        return self.lengths_s.get(line, 0.0)

    def order(self, generation, order):
        self.generation = generation
        self.orders.append(order)

    def settle(self):
        while self.runner.turn():
            pass

    def tell(self, *news):
        for item in news:
            self.runner.post(self.generation, item)
        self.settle()

    def touch(self, kind, value=""):
        self.screen.touch(kind, value)
        self.settle()

    def read(self, text):
        self.front.read(text)
        self.settle()

    def notice(self, change, button=None):
        self.front.note_board(BoardNotice(change, button))
        self.settle()

    def wait(self, seconds):
        self.clock.advance_to(self.clock.monotonic_ns() + round(seconds * 1e9))
        self.front.expire()
        self.settle()

    def touch_board(self, change):
        self.front.note_board(BoardNotice(change))
        self.settle()

    def sign_in(self, code=ENROLLER):
        self.read(code.text())
        assert self.screen.view.screen is Screen.MENU

    def go_through(self, *, similarity=0.9, reference=None):
        """Play the worker for a whole session."""
        for sequence in range(POLICY.quality.probe_samples):
            self.tell(SampleAssessed(self.clock.monotonic_ns(), sequence, 1, GOOD, has_features=True, is_at_rest=True))
        sequence = 100
        while not isinstance(self.orders[-1], CompareWith):
            self.clock.advance_to(self.clock.monotonic_ns() + 4_000_000_000)
            self.tell(SampleAssessed(self.clock.monotonic_ns(), sequence, 1, GOOD, has_features=True, is_at_rest=True))
            sequence += 1
            if isinstance(self.orders[-1], WatchFor):
                self.tell(
                    ChallengeAnswered(self.clock.monotonic_ns(), self.orders[-1].prompt, is_performed=True, sequence=1)
                )
        passed = EvidenceResult(kind=EvidenceKind.CONTINUITY, status=EvidenceStatus.PASSED, reason="same_person")
        self.tell(
            Findings(
                at_ns=0,
                similarity=similarity,
                samples=8,
                evidence=(passed,),
                quality=GOOD,
                reference=reference,
                unified_quality=70.0,
            )
        )

    def end_result(self):
        self.clock.advance_to(self.runner.next_deadline_ns())
        self.settle()

    def mind(self):
        self.wait(1)
        self.front.mind()

    def links(self, kind, typ):
        found = []
        for row in self.outbox.unconfirmed(99):
            try:
                payload = verify(
                    row.envelope,
                    key_of=lambda kid: self.signer._key.public() if kid == self.signer.key_id else None,
                    typ=typ,
                ).payload
            except Exception:  # noqa: BLE001 - of another kind
                continue
            found.append(kind.parse(payload))
        return found

    @property
    def records(self):
        return self.links(CertificationRecord, RECORD_TYP)

    @property
    def events(self):
        return [event.kind for event in self.links(TerminalEvent, EVENT_TYP)]


def test_a_number_typed_on_the_screen_leads_to_a_result_with_a_slip_and_then_to_nothing():
    terminal = Terminal()
    assert terminal.screen.view.screen is Screen.IDLE
    assert terminal.screen.view.counts == CountsView(47, 31)
    terminal.touch(TouchKind.BEGIN)
    terminal.touch(TouchKind.NUMBER, KNOWN)
    assert terminal.screen.view.screen is Screen.SESSION
    assert terminal.screen.view.has_picture
    # A picture that stands still looks like a terminal that does.
    terminal.tell(CameraStalled(0))
    assert not terminal.screen.view.has_picture
    terminal.go_through()
    view = terminal.screen.view
    assert (view.screen, view.result.outcome, view.lamp) == (Screen.RESULT, "certified", "certified")
    assert view.result.until == date(2027, 11, 28)
    assert view.result.slip == f"LCS1:{KNOWN[-4:]}"
    terminal.end_result()
    assert terminal.screen.view.screen is Screen.IDLE
    assert KNOWN[-4:] not in str(terminal.screen.view.to_json())


def test_r5_1_a_prompt_for_an_action_shows_its_animation_until_the_next_line():
    terminal = Terminal()
    terminal.read(KNOWN)
    for sequence in range(POLICY.quality.probe_samples):
        terminal.tell(
            SampleAssessed(terminal.clock.monotonic_ns(), sequence, 1, GOOD, has_features=True, is_at_rest=True)
        )
    while not isinstance(terminal.orders[-1], WatchFor):
        terminal.clock.advance_to(terminal.clock.monotonic_ns() + 4_000_000_000)
        terminal.tell(SampleAssessed(terminal.clock.monotonic_ns(), 99, 1, GOOD, has_features=True, is_at_rest=True))
    asked = terminal.orders[-1]
    assert terminal.screen.view.action == asked.action.value == terminal.screen.view.line
    terminal.tell(ChallengeAnswered(terminal.clock.monotonic_ns(), asked.prompt, is_performed=True, sequence=1))
    terminal.tell(SampleAssessed(terminal.clock.monotonic_ns(), 120, None))
    terminal.panel.press(Button.CANCEL)
    terminal.settle()
    assert terminal.screen.view.action is None


@pytest.mark.parametrize("text", [KNOWN, UNKNOWN, "what a reader makes of a crumb"])
def test_a_card_on_the_reader_takes_neither_prompt_nor_result_from_whoever_is_served(text):
    terminal = Terminal()
    terminal.read(KNOWN)
    session, view, spoken = terminal.runner.session, terminal.screen.view, list(terminal.spoken)
    terminal.read(text)
    assert (terminal.runner.session, terminal.screen.view, terminal.spoken) == (session, view, spoken)
    terminal.go_through()
    view, spoken = terminal.screen.view, list(terminal.spoken)
    assert view.result.outcome == "certified"
    terminal.read(text)
    assert (terminal.screen.view, terminal.spoken) == (view, spoken)
    terminal.panel.press(Button.REPEAT)
    terminal.settle()
    assert terminal.spoken[-1] == "certified"


def test_a_document_left_on_the_reader_begins_no_second_session():
    terminal = Terminal()
    terminal.read(KNOWN)
    terminal.go_through()
    terminal.clock.advance_to(terminal.runner.next_deadline_ns() - 1_000_000_000)
    terminal.read(KNOWN)
    terminal.end_result()
    for _ in range(5):
        terminal.wait(1)
        terminal.read(KNOWN)
    assert terminal.screen.view.screen is Screen.IDLE
    terminal.wait(4)
    terminal.read(KNOWN)
    assert terminal.screen.view.screen is Screen.SESSION


def test_garbage_from_a_reader_is_told_and_shown_and_begins_nothing():
    terminal = Terminal()
    terminal.touch(TouchKind.BEGIN)
    terminal.touch(TouchKind.NUMBER, "\x00\x01garbage" * 50)
    assert terminal.screen.view.problem == "claim_unreadable"
    assert terminal.spoken[-1] == "claim_unreadable"
    assert terminal.screen.view.screen is Screen.NUMBER
    assert terminal.records == []


def test_wrong_pins_are_told_locked_and_recorded_without_the_pin():
    terminal = Terminal()
    for number in range(10):
        terminal.touch(TouchKind.SIGN_IN)
        terminal.touch(TouchKind.PIN, "w-1/000000")
        assert terminal.screen.view.problem == ("pin_wrong" if number < 4 else "sign_in_locked")
        if number >= 4:
            for _ in range(5):
                terminal.touch(TouchKind.PIN, "w-1/000000")
            terminal.wait(3600)
    assert terminal.events.count(EventKind.SIGN_IN_REFUSED) == 1
    assert terminal.events.count(EventKind.SIGN_IN_LOCKED) == 6
    locked = terminal.links(TerminalEvent, EVENT_TYP)[1]
    assert locked.detail == {"whose": "w-1", "attempts": "5", "seconds": "300"}
    assert not any(b"000000" in row.envelope for row in terminal.outbox.unconfirmed(99))
    terminal.touch(TouchKind.SIGN_IN)
    terminal.touch(TouchKind.PIN, "w-1/493817")
    assert (terminal.screen.view.screen, terminal.screen.view.operator) == (Screen.MENU, "Worker")


def test_r5_8_no_part_of_an_identity_number_signs_anybody_in_or_begins_a_session():
    terminal = Terminal()
    for typed in (f"{KNOWN}/{KNOWN[-6:]}", f"w-1/{KNOWN[-6:]}", f"w-1/{KNOWN[6:14]}", f"w-1/{KNOWN[:6]}"):
        terminal.touch(TouchKind.SIGN_IN)
        terminal.touch(TouchKind.PIN, typed)
        assert terminal.screen.view.problem == "pin_wrong"
        assert terminal.screen.view.operator is None
        terminal.touch(TouchKind.CANCEL)
    terminal.touch(TouchKind.BEGIN)
    terminal.touch(TouchKind.NUMBER, KNOWN[-6:])
    assert terminal.screen.view.screen is not Screen.SESSION
    assert terminal.records == []
    assert StartAcquisition() not in terminal.orders


def test_r5_8_a_whole_identity_number_without_its_face_certifies_nobody():
    terminal = Terminal()
    terminal.touch(TouchKind.BEGIN)
    terminal.touch(TouchKind.NUMBER, KNOWN)
    assert terminal.screen.view.screen is Screen.SESSION
    while not terminal.records:
        terminal.wait(1)
    assert [record.decision.outcome for record in terminal.records] == [Outcome.POOR_SAMPLE]


def test_a_number_that_nobody_has_is_recorded_without_what_was_typed():
    terminal = Terminal()
    terminal.touch(TouchKind.SIGN_IN)
    terminal.touch(TouchKind.PIN, "493817/493817")
    (event,) = terminal.links(TerminalEvent, EVENT_TYP)
    assert event.detail == {"whose": "unknown", "attempts": "1", "seconds": "0"}


def test_a_witness_proves_who_they_are_under_the_same_lock():
    terminal = Terminal()
    terminal.sign_in(WORKER)
    terminal.touch(TouchKind.TASK, Task.VISIT)
    terminal.touch(TouchKind.PERSON, "0")
    terminal.touch(TouchKind.CHOOSE, "bedridden")
    terminal.touch(TouchKind.CHOOSE, "620102001")
    assert terminal.screen.view.step is Step.WITNESS
    for text in ("w-2", KNOWN):
        terminal.touch(TouchKind.CHOOSE, text)
        assert terminal.screen.view.problem == "witness_unknown"
    terminal.touch(TouchKind.CHOOSE, "w-1/493817")
    assert terminal.screen.view.problem == "witness_is_worker"
    for problem in (*["pin_wrong"] * 4, "sign_in_locked"):
        terminal.touch(TouchKind.CHOOSE, "w-2/000000")
        assert terminal.screen.view.problem == problem
    terminal.touch(TouchKind.CHOOSE, "w-2/493817")
    assert (terminal.screen.view.problem, terminal.screen.view.step) == ("sign_in_locked", Step.WITNESS)
    assert terminal.events == [EventKind.SIGNED_IN, EventKind.SIGN_IN_REFUSED, EventKind.SIGN_IN_LOCKED]
    terminal.clock.advance_to(terminal.clock.monotonic_ns() + 300 * 10**9)
    terminal.touch(TouchKind.CHOOSE, "w-2/493817")
    assert terminal.screen.view.step is Step.PATH
    terminal.touch(TouchKind.CHOOSE, "no_movement")
    terminal.go_through()
    assert terminal.records[0].witness == "w-2"


def test_a_home_visit_names_worker_witness_reason_and_place():
    terminal = Terminal()
    terminal.sign_in(WORKER)
    terminal.touch(TouchKind.TASK, Task.VISIT)
    (row,) = terminal.screen.view.names
    assert (row.name, row.born, row.place) == ("甲", 1940, "Village")
    assert terminal.screen.view.initials == ("甲",)
    terminal.touch(TouchKind.PERSON, "0")
    terminal.touch(TouchKind.CHOOSE, "bedridden")
    terminal.touch(TouchKind.CHOOSE, "620102001")
    terminal.read(WORKER.text())
    assert terminal.screen.view.problem == "witness_is_worker"
    terminal.read(ENROLLER.text())
    terminal.touch(TouchKind.CHOOSE, "no_movement")
    terminal.go_through()
    (record,) = terminal.records
    assert record.decision.outcome is Outcome.CERTIFIED
    assert (record.operator, record.witness) == ("w-1", "w-2")
    assert (record.visit.worker, record.visit.reason, record.visit.place.code) == ("w-1", "bedridden", "620102001")
    terminal.end_result()
    assert terminal.screen.view.screen is Screen.MENU


def test_without_a_second_witness_the_worker_vouches():
    terminal = Terminal()
    terminal.sign_in(WORKER)
    terminal.touch(TouchKind.TASK, Task.CERTIFY)
    terminal.touch(TouchKind.NUMBER, KNOWN)
    terminal.touch(TouchKind.CHOOSE, "no_movement")
    terminal.go_through()
    (record,) = terminal.records
    assert (record.witness, record.visit) == ("w-1", None)


def test_r1_4_an_enrolment_asks_for_the_document_before_any_picture_and_then_certifies_with_a_reference():
    terminal = Terminal(entry(KNOWN, "甲", has_reference=False))
    terminal.sign_in()
    terminal.touch(TouchKind.TASK, Task.ENROL)
    assert terminal.screen.view.step is Step.PERSON
    terminal.touch(TouchKind.CHOOSE, "standard")
    assert terminal.screen.view.step is Step.PERSON
    terminal.touch(TouchKind.NUMBER, KNOWN)
    terminal.touch(TouchKind.CHOOSE, "consent")
    terminal.touch(TouchKind.CONFIRM)
    assert StartAcquisition() not in terminal.orders
    terminal.touch(TouchKind.CHOOSE, "standard")
    assert StartAcquisition() in terminal.orders
    features = FeatureVector(np.arange(1, 5, dtype=np.int8), MODEL, "d-1")
    terminal.go_through(similarity=None, reference=features)
    (record,) = terminal.records
    assert (record.purpose, record.operator, record.decision.outcome) == (Purpose.ENROLMENT, "w-2", Outcome.CERTIFIED)
    assert record.reference.legal_basis is LegalBasis.CONSENT
    assert not features.values.any()


def picture(terminal, role, jpeg, reference=None):
    """What comes of the picture that was ordered last."""
    number = next(order.number for order in reversed(terminal.orders) if isinstance(order, TakeStill))
    check = PhotoCheck(name="resolution", passed=True, found=2.0, asked=1.0)
    return PictureTaken(number, Picture(role, jpeg, 1280, 960, (check,), reference, 66.0))


def photographing(terminal):
    """Begin a special certification, and order its first picture."""
    terminal.sign_in()
    terminal.touch(TouchKind.TASK, Task.SPECIAL)
    terminal.touch(TouchKind.NUMBER, KNOWN)
    terminal.touch(TouchKind.CHOOSE, "bedridden")
    terminal.touch(TouchKind.CHOOSE, "620102001")
    terminal.touch(TouchKind.CHOOSE, "none")
    terminal.touch(TouchKind.TAKE)


def test_a_special_certification_stores_both_pictures_sealed_and_one_case():
    terminal = Terminal()
    terminal.sign_in()
    terminal.touch(TouchKind.TASK, Task.SPECIAL)
    terminal.touch(TouchKind.NUMBER, KNOWN)
    terminal.touch(TouchKind.CHOOSE, "bedridden")
    terminal.touch(TouchKind.CHOOSE, "620102001")
    terminal.read(WORKER.text())
    assert terminal.orders[-1] == Aim(is_on=True)
    for role, jpeg in ((PhotoRole.IDENTITY_CARD, b"card"), (PhotoRole.WITH_NEWSPAPER, b"paper")):
        terminal.touch(TouchKind.TAKE)
        assert isinstance(terminal.orders[-1], TakeStill)
        terminal.tell(picture(terminal, role, jpeg))
        assert terminal.screen.photo == jpeg
        terminal.touch(TouchKind.KEEP)
        assert terminal.screen.photo is None
    terminal.touch(TouchKind.DATE, "2026-11-26")
    terminal.touch(TouchKind.CONFIRM)
    assert terminal.screen.view.screen is Screen.DONE
    (case,) = terminal.links(CaseRecord, CASE_TYP)
    assert (case.kind, case.operator, case.newspaper_age_days) == (CaseKind.SPECIAL, "w-2", 2)
    assert case.claim.token == token_of(KNOWN)
    assert (case.witness, case.place.code) == ("w-1", "620102001")
    sealed = {item.sha256: item.sealed for item in terminal.attachments.waiting(9)}
    assert [unseal(sealed[photo.attachment], key=FLEET) for photo in case.photos] == [b"card", b"paper"]
    assert terminal.orders[-1] == ForgetStills()
    terminal.wait(10)
    assert terminal.screen.view.screen is Screen.MENU


def test_a_photo_enrolment_carries_a_provisional_reference():
    terminal = Terminal()
    terminal.sign_in()
    terminal.touch(TouchKind.TASK, Task.PHOTO_ENROLMENT)
    terminal.touch(TouchKind.NUMBER, KNOWN)
    terminal.touch(TouchKind.CHOOSE, "statute")
    terminal.touch(TouchKind.CHOOSE, "distance")
    terminal.touch(TouchKind.CHOOSE, "620102001")
    terminal.touch(TouchKind.TAKE)
    assert terminal.orders[-1].keep_as.domain == "d-1"
    features = FeatureVector(np.arange(1, 5, dtype=np.int8), MODEL, "d-1")
    terminal.tell(picture(terminal, PhotoRole.FACE, b"face", features))
    terminal.touch(TouchKind.KEEP)
    terminal.touch(TouchKind.CONFIRM)
    (case,) = terminal.links(CaseRecord, CASE_TYP)
    reference = Reference.model_validate_json(unseal(case.reference.sealed.encode(), key=FLEET))
    assert (reference.capture, case.reference.kind) == (CaptureKind.PHOTO, "photo")
    assert (case.witness, case.place.code) == (None, "620102001")
    assert not features.values.any()


def test_r4_9_r4_19_a_proxy_names_the_proxy_and_an_exception_the_other_way_with_witness_and_place():
    terminal = Terminal()
    terminal.positioner.carry_to(36.06, 103.83)
    terminal.sign_in()
    terminal.touch(TouchKind.TASK, Task.PROXY)
    terminal.touch(TouchKind.NUMBER, KNOWN)
    terminal.read("garbage")
    assert (terminal.screen.view.step, terminal.screen.view.problem) == (Step.PROXY_PERSON, "claim_unreadable")
    terminal.read(UNKNOWN)
    terminal.touch(TouchKind.CHOOSE, "child")
    terminal.touch(TouchKind.CHOOSE, "bedridden")
    terminal.touch(TouchKind.CHOOSE, "620102001")
    terminal.read(ENROLLER.text())
    assert (terminal.screen.view.step, terminal.screen.view.problem) == (Step.WITNESS, "witness_is_worker")
    terminal.touch(TouchKind.CHOOSE, "w-1/000000")
    assert (terminal.screen.view.step, terminal.screen.view.problem) == (Step.WITNESS, "pin_wrong")
    terminal.touch(TouchKind.CHOOSE, "w-1/493817")
    terminal.touch(TouchKind.TAKE)
    terminal.tell(picture(terminal, PhotoRole.AUTHORITY, b"authority"))
    terminal.touch(TouchKind.KEEP)
    terminal.touch(TouchKind.CONFIRM)
    terminal.wait(10)
    terminal.touch(TouchKind.TASK, Task.EXCEPTION)
    terminal.touch(TouchKind.NUMBER, KNOWN)
    terminal.touch(TouchKind.CHOOSE, "declined")
    terminal.touch(TouchKind.CHOOSE, "remote_form")
    terminal.touch(TouchKind.CHOOSE, "receiver")
    terminal.touch(TouchKind.CHOOSE, "none")
    terminal.touch(TouchKind.CONFIRM)
    proxy, exception = terminal.links(CaseRecord, CASE_TYP)
    assert (proxy.proxy.relation, proxy.proxy.token) == ("child", token_of(UNKNOWN))
    assert (proxy.operator, proxy.witness) == ("w-2", "w-1")
    assert (proxy.place.code, proxy.place.source, proxy.place.latitude_deg) == ("620102001", "both", 36.06)
    assert (exception.reason, exception.other_way, exception.photos) == ("declined", "remote_form", ())
    # What the case before answered is not this one's.
    assert (exception.witness, exception.place.code, exception.place.source) == (None, None, "receiver")


def test_whoever_is_at_no_place_of_the_list_need_not_name_one():
    terminal = Terminal(has_receiver=False)
    terminal.sign_in()
    terminal.touch(TouchKind.TASK, Task.EXCEPTION)
    terminal.touch(TouchKind.NUMBER, KNOWN)
    terminal.touch(TouchKind.CHOOSE, "declined")
    terminal.touch(TouchKind.CHOOSE, "counter")
    assert [option.code for option in terminal.screen.view.options] == ["620102001", "none"]
    terminal.touch(TouchKind.CHOOSE, "none")
    assert terminal.screen.view.step is Step.WITNESS
    terminal.touch(TouchKind.CHOOSE, "none")
    terminal.touch(TouchKind.CONFIRM)
    (case,) = terminal.links(CaseRecord, CASE_TYP)
    assert (case.place, case.witness) == (None, None)


def test_a_camera_that_gives_no_picture_is_told_and_can_be_tried_again():
    terminal = Terminal()
    photographing(terminal)
    terminal.tell(PictureNotTaken(terminal.orders[-1].number, PhotoRole.IDENTITY_CARD))
    assert terminal.screen.view.problem == "camera_lost"
    terminal.touch(TouchKind.TAKE)
    terminal.tell(picture(terminal, PhotoRole.IDENTITY_CARD, b"card"))
    assert terminal.screen.view.photo.state == "taken"


def test_pictures_of_a_case_that_was_given_up_are_gone():
    terminal = Terminal()
    photographing(terminal)
    terminal.tell(picture(terminal, PhotoRole.IDENTITY_CARD, b"card"))
    terminal.touch(TouchKind.CANCEL)
    assert terminal.screen.photo is None
    assert terminal.orders[-2:] == [ForgetStills(), Aim(is_on=False)]
    assert terminal.attachments.counts().waiting == 0


class Broken(MemoryOutbox):
    broken = False

    def append(self, build):
        if self.broken:
            raise OutboxUnavailable("outbox: input/output error")
        return super().append(build)


def test_a_case_that_the_storage_refuses_is_held_and_can_be_confirmed_again():
    outbox = Broken()
    terminal = Terminal(outbox=outbox)
    terminal.sign_in()
    terminal.touch(TouchKind.TASK, Task.PHOTO_ENROLMENT)
    terminal.touch(TouchKind.NUMBER, KNOWN)
    terminal.touch(TouchKind.CHOOSE, "statute")
    terminal.touch(TouchKind.CHOOSE, "distance")
    terminal.touch(TouchKind.CHOOSE, "620102001")
    terminal.touch(TouchKind.TAKE)
    features = FeatureVector(np.arange(1, 5, dtype=np.int8), MODEL, "d-1")
    terminal.tell(picture(terminal, PhotoRole.FACE, b"face", features))
    terminal.touch(TouchKind.KEEP)
    outbox.broken = True
    terminal.touch(TouchKind.CONFIRM)
    assert (terminal.screen.view.step, terminal.screen.view.problem) == (Step.CONFIRM, "case_not_stored")
    assert terminal.attachments.counts().waiting == 0
    outbox.broken = False
    terminal.touch(TouchKind.CONFIRM)
    assert terminal.screen.view.screen is Screen.DONE
    (case,) = terminal.links(CaseRecord, CASE_TYP)
    (sealed,) = terminal.attachments.waiting(9)
    assert unseal(sealed.sealed, key=FLEET) == b"face"
    found = Reference.model_validate_json(unseal(case.reference.sealed.encode(), key=FLEET))
    assert found.capture is CaptureKind.PHOTO
    assert not features.values.any()


class Filled(MemoryAttachments):
    """Its disk is full for a while, and deletes nothing."""

    is_full = False

    def put(self, sealed):
        if self.is_full:
            raise AttachmentsFull("attachments: no room left")
        return super().put(sealed)

    def drop(self, sha256s):
        if sha256s:
            raise AttachmentsUnavailable("attachments: input/output error")


def ready_to_confirm(terminal):
    photographing(terminal)
    for role, jpeg in ((PhotoRole.IDENTITY_CARD, b"card"), (PhotoRole.WITH_NEWSPAPER, b"paper")):
        if terminal.screen.view.photo.state == "ready":
            terminal.touch(TouchKind.TAKE)
        terminal.tell(picture(terminal, role, jpeg))
        terminal.touch(TouchKind.KEEP)
    terminal.touch(TouchKind.DATE, "2026-11-26")


def test_a_case_whose_pictures_find_no_room_is_held_and_told_and_stored_when_there_is():
    store = Filled()
    terminal = Terminal(attachments=store)
    ready_to_confirm(terminal)
    store.is_full = True
    terminal.touch(TouchKind.CONFIRM)
    assert (terminal.screen.view.step, terminal.screen.view.problem) == (Step.CONFIRM, "case_not_stored")
    assert terminal.links(CaseRecord, CASE_TYP) == []
    store.is_full = False
    terminal.touch(TouchKind.CONFIRM)
    assert terminal.screen.view.screen is Screen.DONE
    (case,) = terminal.links(CaseRecord, CASE_TYP)
    sealed = {item.sha256: item.sealed for item in store.waiting(9)}
    assert [unseal(sealed[photo.attachment], key=FLEET) for photo in case.photos] == [b"card", b"paper"]


def test_a_case_that_was_not_stored_is_told_even_where_its_pictures_cannot_be_taken_back():
    outbox, store = Broken(), Filled()
    terminal = Terminal(outbox=outbox, attachments=store)
    ready_to_confirm(terminal)
    outbox.broken = True
    terminal.touch(TouchKind.CONFIRM)
    assert (terminal.screen.view.step, terminal.screen.view.problem) == (Step.CONFIRM, "case_not_stored")
    assert store.counts().waiting == 2, "they say nothing to anybody; the fleet deletes what no case names"
    outbox.broken = False
    terminal.touch(TouchKind.CONFIRM)
    (case,) = terminal.links(CaseRecord, CASE_TYP)
    sealed = {item.sha256: item.sealed for item in store.waiting(9)}
    assert [unseal(sealed[photo.attachment], key=FLEET) for photo in case.photos] == [b"card", b"paper"]


def test_a_case_that_was_not_stored_leaves_nothing_to_the_next_when_it_is_given_up():
    outbox = Broken()
    terminal = Terminal(outbox=outbox)
    ready_to_confirm(terminal)
    outbox.broken = True
    terminal.touch(TouchKind.CONFIRM)
    terminal.touch(TouchKind.CANCEL)
    outbox.broken = False
    assert ForgetStills() in terminal.orders
    terminal.touch(TouchKind.SIGN_OUT)
    ready_to_confirm(terminal)
    terminal.touch(TouchKind.CONFIRM)
    (case,) = terminal.links(CaseRecord, CASE_TYP)
    assert len(case.photos) == terminal.attachments.counts().waiting == 2


def test_nobody_is_photographed_for_a_case_that_no_fleet_could_open():
    terminal = Terminal(fleet_key=False)
    terminal.sign_in()
    terminal.touch(TouchKind.TASK, Task.SPECIAL)
    assert (terminal.screen.view.screen, terminal.screen.view.problem) == (Screen.MENU, "fleet_key_missing")


def test_a_picture_that_comes_after_its_case_was_given_up_shows_nobody():
    terminal = Terminal()
    photographing(terminal)
    late = picture(terminal, PhotoRole.IDENTITY_CARD, b"card")
    terminal.touch(TouchKind.CANCEL)
    terminal.touch(TouchKind.SIGN_OUT)
    terminal.tell(late)
    assert terminal.screen.photo is None
    photographing(terminal)
    terminal.tell(late)
    assert (terminal.screen.photo, terminal.screen.view.photo.state) == (None, "taking")
    terminal.tell(PictureNotTaken(late.number, PhotoRole.IDENTITY_CARD))
    assert (terminal.screen.view.problem, terminal.screen.view.photo.state) == (None, "taking")
    terminal.tell(picture(terminal, PhotoRole.IDENTITY_CARD, b"of the next"))
    terminal.tell(late)
    assert terminal.screen.photo == b"of the next"


def test_a_picture_that_comes_after_everybody_went_without_a_word_shows_nobody():
    terminal = Terminal()
    photographing(terminal)
    late = picture(terminal, PhotoRole.IDENTITY_CARD, b"card")
    for _ in range(60):
        terminal.wait(60)
    assert terminal.screen.view.screen is Screen.IDLE
    terminal.tell(late)
    assert terminal.screen.photo is None
    photographing(terminal)
    terminal.tell(late)
    assert (terminal.screen.photo, terminal.screen.view.photo.state) == (None, "taking")


def test_a_document_read_while_somebody_is_photographed_leaves_picture_and_case_as_they_are():
    terminal = Terminal()
    photographing(terminal)
    terminal.tell(picture(terminal, PhotoRole.IDENTITY_CARD, b"card"))
    view, orders = terminal.screen.view, list(terminal.orders)
    for text in (KNOWN, UNKNOWN, "what a reader makes of a crumb"):
        terminal.read(text)
        assert (terminal.screen.view, terminal.screen.photo, terminal.orders) == (view, b"card", orders)
    terminal.touch(TouchKind.KEEP)
    assert terminal.screen.view.step is not view.step
    assert terminal.screen.view.screen is Screen.STEP


def test_a_newspaper_of_tomorrow_is_asked_for_again_where_the_clock_is_certain():
    terminal = Terminal()
    photographing(terminal)
    for role in (PhotoRole.IDENTITY_CARD, PhotoRole.WITH_NEWSPAPER):
        if terminal.screen.view.photo.state == "ready":
            terminal.touch(TouchKind.TAKE)
        terminal.tell(picture(terminal, role, b"jpeg"))
        terminal.touch(TouchKind.KEEP)
    terminal.clock.note_fleet_time(NOW)
    terminal.touch(TouchKind.DATE, "2099-01-01")
    assert (terminal.screen.view.step, terminal.screen.view.problem) == (Step.NEWSPAPER_DATE, "date_in_future")
    terminal.touch(TouchKind.DATE, "2026-11-26")
    assert terminal.screen.view.step is Step.CONFIRM


def test_out_of_order_the_stick_still_runs_and_is_recorded():
    terminal = Terminal()
    terminal.tell(FaultRaised(0, Fault.CAMERA))
    assert terminal.screen.view.screen is Screen.OUT_OF_ORDER
    terminal.sign_in(WORKER)
    terminal.touch(TouchKind.TASK, Task.COURIER)
    terminal.touch(TouchKind.STICK, "stick-1")
    terminal.stick.tell(CourierView("running", 5, 0, 9), None)
    terminal.settle()
    assert terminal.screen.view.courier.exported == 5
    terminal.stick.tell(CourierView("failed", 5, 0, 9), "stick_removed")
    terminal.settle()
    assert terminal.screen.view.problem == "stick_removed"
    assert terminal.events[-1] is EventKind.STICK_FAILED
    terminal.stick.tell(CourierView("done", 9, 3, 9), None)
    terminal.settle()
    assert terminal.events[-2:] == [EventKind.STICK_EXPORTED, EventKind.STICK_IMPORTED]


def test_lost_parts_are_recorded_and_so_is_their_return():
    terminal = Terminal()
    terminal.tell(FaultRaised(0, Fault.CAMERA))
    assert terminal.spoken[-1] == "out_of_order"
    terminal.tell(FaultCleared(1))
    assert terminal.events == [EventKind.CAMERA_LOST, EventKind.CAMERA_BACK]
    terminal.tell(FaultRaised(2, Fault.LIGHT), FaultCleared(3))
    assert terminal.events[2:] == [EventKind.LIGHT_LOST]


def test_a_camera_that_stays_away_is_recorded_once_however_often_it_is_tried():
    terminal = Terminal()
    for _ in range(40):
        terminal.tell(FaultRaised(0, Fault.CAMERA))
        terminal.wait(10)
    assert terminal.events == [EventKind.CAMERA_LOST]


def test_a_camera_that_comes_and_goes_leaves_the_fleet_with_the_truth():
    terminal = Terminal()
    terminal.tell(FaultRaised(0, Fault.CAMERA), FaultCleared(1))
    terminal.tell(FaultRaised(2, Fault.CAMERA))
    terminal.wait(61)
    terminal.tell(FaultRaised(3, Fault.CAMERA))
    assert terminal.events == [EventKind.CAMERA_LOST, EventKind.CAMERA_BACK, EventKind.CAMERA_LOST]
    terminal.wait(1)
    terminal.tell(FaultCleared(4), FaultRaised(5, Fault.CAMERA), FaultCleared(6))
    for _ in range(61):
        terminal.mind()
    assert terminal.events[3:] == [EventKind.CAMERA_BACK]


def test_a_stuck_button_and_a_flapping_sensor_are_recorded_told_and_shown_until_they_are_well_again():
    terminal = Terminal()
    terminal.spoken.clear()
    terminal.notice(BoardChange.BUTTON_STUCK, Button.START)
    terminal.notice(BoardChange.BUTTON_STUCK, Button.REPEAT)
    terminal.notice(BoardChange.SENSOR_FLAPPING)
    stuck, _, flapping = terminal.links(TerminalEvent, EVENT_TYP)
    assert (stuck.kind, stuck.detail) == (EventKind.BUTTON_STUCK, {"button": "start"})
    assert flapping.kind is EventKind.SENSOR_FLAPPING
    assert (terminal.spoken, terminal.screen.view.line) == (["button_stuck"], "button_stuck")
    terminal.sign_in()
    assert {StaffWarning.BUTTON_STUCK, StaffWarning.SENSOR_FLAPPING} <= set(terminal.screen.view.warnings)
    terminal.notice(BoardChange.BUTTON_FREE, Button.START)
    assert StaffWarning.BUTTON_STUCK in terminal.screen.view.warnings
    terminal.notice(BoardChange.BUTTON_FREE, Button.REPEAT)
    assert terminal.screen.view.warnings == (StaffWarning.OFFLINE, StaffWarning.SENSOR_FLAPPING)
    terminal.notice(BoardChange.ABSENT)
    assert terminal.screen.view.warnings == (StaffWarning.OFFLINE,)


def checked():
    terminal = Terminal()
    terminal.sign_in()
    terminal.touch(TouchKind.TASK, Task.COMMISSION)
    terminal.touch(TouchKind.CONFIRM)
    return terminal


def test_while_the_terminal_is_tried_nobody_s_session_begins_and_afterwards_the_next_one_s_does():
    terminal = checked()
    terminal.commissioning.tells[0](CommissioningView("running", Question.HEARD), None)
    terminal.settle()
    assert terminal.screen.view.commissioning.question is Question.HEARD
    # By a reader, and by a way that does not lead over the desk.
    terminal.read(KNOWN)
    assert terminal.screen.view.problem == "being_checked"
    terminal.runner.present_claim(KNOWN)
    terminal.settle()
    assert terminal.screen.view.screen is Screen.COMMISSIONING
    assert terminal.spoken[-1] == "not_ready"
    assert not any(isinstance(order, StartAcquisition) for order in terminal.orders)

    terminal.touch(TouchKind.ANSWER, "heard/no")
    assert terminal.commissioning.answers == ["no"]
    terminal.commissioning.tells[0](CommissioningView("done", has_passed=True), None)
    terminal.settle()
    assert terminal.commissioning.ends == 1
    assert terminal.screen.view.commissioning.has_passed
    terminal.touch(TouchKind.BACK)
    terminal.touch(TouchKind.SIGN_OUT)
    terminal.read(KNOWN)
    assert any(isinstance(order, StartAcquisition) for order in terminal.orders)
    assert terminal.commissioning.ends == 1


def test_what_a_check_that_was_left_still_says_is_passed_over():
    terminal = checked()
    terminal.touch(TouchKind.BACK)
    assert (terminal.commissioning.ends, terminal.screen.view.screen) == (1, Screen.MENU)
    terminal.touch(TouchKind.TASK, Task.COMMISSION)
    terminal.commissioning.is_ending = True
    terminal.touch(TouchKind.CONFIRM)
    assert (terminal.screen.view.problem, terminal.screen.view.commissioning.state) == ("check_not_now", "ready")
    terminal.commissioning.is_ending = False
    terminal.touch(TouchKind.CONFIRM)
    first, second = terminal.commissioning.tells
    first(CommissioningView("failed"), "check_failed")
    terminal.settle()
    assert terminal.screen.view.commissioning.state == "running"
    second(CommissioningView("failed"), "check_failed")
    terminal.settle()
    assert terminal.screen.view.problem == "check_failed"
    assert terminal.commissioning.ends == 2


def test_a_check_that_nobody_answers_gives_the_terminal_back():
    terminal = checked()
    terminal.wait(400)
    assert (terminal.commissioning.ends, terminal.screen.view.screen) == (1, Screen.IDLE)
    terminal.read(KNOWN)
    assert any(isinstance(order, StartAcquisition) for order in terminal.orders)


def test_a_button_that_is_free_again_leaves_the_welcome_and_one_that_sticks_interrupts_nobody():
    terminal = Terminal()
    terminal.notice(BoardChange.BUTTON_STUCK, Button.START)
    terminal.notice(BoardChange.BUTTON_FREE, Button.START)
    assert terminal.screen.view.line == "welcome"
    terminal.read(KNOWN)
    terminal.spoken.clear()
    terminal.notice(BoardChange.BUTTON_STUCK, Button.START)
    assert (terminal.spoken, terminal.screen.view.line) == ([], "look_here")


def test_whoever_comes_near_an_idle_terminal_is_greeted():
    terminal = Terminal()
    terminal.spoken.clear()
    terminal.front.note_board(BoardNotice(BoardChange.PRESENT))
    terminal.settle()
    assert terminal.spoken == ["welcome"]
    terminal.touch(TouchKind.BEGIN)
    terminal.spoken.clear()
    terminal.front.note_board(BoardNotice(BoardChange.PRESENT))
    terminal.settle()
    assert terminal.spoken == []


def test_while_power_fails_a_session_ends_well_and_none_begins():
    terminal = Terminal()
    terminal.read(KNOWN)
    terminal.front.note_board(BoardNotice(BoardChange.POWER_FAILING))
    terminal.settle()
    terminal.go_through()
    assert terminal.records[0].decision.outcome is Outcome.CERTIFIED
    terminal.end_result()
    terminal.read(KNOWN)
    assert terminal.spoken[-1] == "power_failing"
    terminal.front.note_board(BoardNotice(BoardChange.POWER_BACK))
    terminal.settle()
    terminal.read(KNOWN)
    assert terminal.screen.view.screen is Screen.SESSION
    assert terminal.events == [EventKind.POWER_FAILING, EventKind.POWER_BACK]


def test_a_reader_that_gives_garbage_now_and_then_is_recorded_once_an_hour():
    terminal = Terminal()
    terminal.read("rubbish")
    assert terminal.spoken[-1] == "claim_unreadable"
    for _ in range(4):
        terminal.wait(3700)
        terminal.read("rubbish")
    assert terminal.events == []
    for _ in range(2):
        terminal.wait(600)
        terminal.read("rubbish")
    assert terminal.events == [EventKind.READER_GARBAGE]
    for _ in range(500):
        terminal.read("rubbish")
    assert terminal.events == [EventKind.READER_GARBAGE]
    for _ in range(2):
        terminal.wait(1800)
        terminal.read("rubbish")
        terminal.read("rubbish")
    again = terminal.links(TerminalEvent, EVENT_TYP)
    assert [event.detail["texts"] for event in again] == ["3", "3"]


@pytest.mark.parametrize("where", ["session", "result", "step", "menu"])
def test_garbage_counts_on_every_page(where):
    terminal = Terminal()
    if where in {"step", "menu"}:
        terminal.sign_in()
    if where == "step":
        terminal.touch(TouchKind.TASK, Task.CERTIFY)
    if where in {"session", "result"}:
        terminal.read(KNOWN)
    if where == "result":
        terminal.go_through()
    for _ in range(3):
        terminal.read("LCC1:half of a car")
    assert terminal.events[-1] is EventKind.READER_GARBAGE


def test_what_people_rightly_hold_before_a_reader_and_what_is_mistyped_on_the_screen_is_no_garbage_of_a_reader():
    terminal = Terminal()
    for _ in range(9):
        for text in (UNKNOWN, KNOWN, "LCS1:slip", WORKER.text()):
            terminal.read(text)
    terminal.panel.press(Button.CANCEL)
    terminal.settle()
    terminal.end_result()
    for _ in range(9):
        terminal.touch(TouchKind.BEGIN)
        terminal.touch(TouchKind.NUMBER, "1")
    assert EventKind.READER_GARBAGE not in terminal.events


def test_a_page_that_goes_away_and_comes_back_is_recorded():
    terminal = Terminal()
    terminal.mind()
    assert terminal.events == []
    terminal.screen.stop()
    terminal.mind()
    terminal.mind()
    terminal.screen.start(terminal.front.touch)
    terminal.mind()
    assert terminal.events == [EventKind.SCREEN_LOST, EventKind.SCREEN_BACK]


def test_a_terminal_whose_page_never_comes_says_so_once():
    terminal = Terminal()
    terminal.screen.stop()
    terminal.wait(118)
    terminal.mind()
    assert terminal.events == []
    terminal.mind()
    terminal.mind()
    assert terminal.events == [EventKind.SCREEN_LOST]
    terminal.screen.start(terminal.front.touch)
    terminal.mind()
    assert terminal.events == [EventKind.SCREEN_LOST, EventKind.SCREEN_BACK]


def lose_page(terminal):
    terminal.mind()
    terminal.screen.stop()
    terminal.mind()
    terminal.mind()


def find_page(terminal):
    terminal.screen.start(terminal.front.touch)
    terminal.mind()


def test_whoever_loses_the_page_is_told_once_for_each_loss():
    terminal = Terminal()
    terminal.touch(TouchKind.BEGIN)
    for times in (1, 2):
        lose_page(terminal)
        assert terminal.spoken.count("screen_away") == times
        find_page(terminal)


def test_nobody_is_told_of_a_lost_page_where_nobody_stands():
    terminal = Terminal()
    lose_page(terminal)
    terminal.touch_board(BoardChange.PRESENT)
    terminal.mind()
    assert "screen_away" not in terminal.spoken
    find_page(terminal)
    lose_page(terminal)
    assert terminal.spoken[-1] == "screen_away"


def test_a_lost_page_is_told_after_what_is_being_said_and_never_in_a_session():
    terminal = Terminal()
    terminal.lengths_s["welcome"] = 4.0
    terminal.touch_board(BoardChange.PRESENT)
    lose_page(terminal)
    assert terminal.spoken[-1] == "welcome"
    terminal.mind()
    assert terminal.spoken[-1] == "screen_away"
    find_page(terminal)
    terminal.read(KNOWN)
    lose_page(terminal)
    terminal.go_through()
    terminal.mind()
    assert terminal.spoken.count("screen_away") == 1
    assert terminal.spoken[-1] == "certified"
    terminal.end_result()
    terminal.wait(5)
    terminal.mind()
    assert terminal.spoken.count("screen_away") == 2


def test_who_chose_english_and_went_leaves_mandarin_to_the_next():
    terminal = Terminal()
    terminal.touch(TouchKind.LANGUAGE, "en")
    assert terminal.spoken[-1] == ("en", False)
    terminal.wait(61)
    assert terminal.spoken[-1] == ("zh", False)
    assert terminal.screen.view.language == "zh"


def test_the_same_thing_over_and_over_is_noted_once_a_minute():
    terminal = Terminal()
    events = terminal.front._parts.events
    assert events.note(EventKind.BUTTON_STUCK, button="start")
    assert not events.note(EventKind.BUTTON_STUCK, button="start")
    assert events.note(EventKind.BUTTON_STUCK, button="cancel")
    terminal.wait(61)
    assert events.note(EventKind.BUTTON_STUCK, button="start")
    assert events.note(EventKind.OFFLINE_WARNING, reasons="days", records_left=9)
    assert not events.note(EventKind.OFFLINE_WARNING, reasons="days", records_left=8)
    assert events.note(EventKind.OFFLINE_WARNING, reasons="records", records_left=8)


def test_an_event_that_did_not_reach_the_disk_is_noted_when_it_happens_again():
    terminal = Terminal()
    events = terminal.front._parts.events
    terminal.outbox._max_rows = 0
    assert not events.note(EventKind.SENSOR_FLAPPING)
    terminal.outbox._max_rows = 99
    assert events.note(EventKind.SENSOR_FLAPPING)
    assert not events.note(EventKind.SENSOR_FLAPPING)


def test_a_session_and_the_links_around_it_form_one_chain():
    terminal = Terminal()
    terminal.sign_in(WORKER)
    terminal.touch(TouchKind.SIGN_OUT)
    terminal.read(KNOWN)
    terminal.go_through()
    rows = terminal.outbox.unconfirmed(99)
    assert [row.counter for row in rows] == [1, 2, 3]
    assert terminal.records[0].previous == sha256_of(rows[1].envelope)
    assert terminal.events == [EventKind.SIGNED_IN, EventKind.SIGNED_OUT]
    assert DocumentKind.RESIDENT_ID is terminal.records[0].claim.document


@pytest.mark.parametrize("year", [1970, 2099])
def test_an_operator_signs_in_whatever_a_clock_that_nothing_bounds_may_show(year):
    terminal = Terminal()
    terminal.clock.note_fleet_time(NOW)
    terminal.clock.set_wall_clock(datetime(year, 1, 1, tzinfo=UTC))
    assert terminal.clock.now().uncertainty_s is None
    terminal.sign_in()
    assert terminal.screen.view.screen is Screen.MENU


def test_a_limit_without_the_fleet_and_a_jump_of_the_clock_are_noted_once():
    terminal = Terminal()
    terminal.clock.note_fleet_time(NOW)
    terminal.clock.advance(31 * 86400 * 10**9)
    for _ in range(3):
        terminal.runner.present_claim(KNOWN)
        terminal.settle()
    assert terminal.events.count(EventKind.OFFLINE_LIMIT) == 1
    terminal.clock.note_fleet_time(terminal.clock.now().wall_clock)
    terminal.clock.set_wall_clock(datetime(2099, 1, 1, tzinfo=UTC))
    for _ in range(2):
        terminal.runner.present_claim(UNKNOWN)
        terminal.settle()
        terminal.clock.advance(60 * 10**9)
        terminal.settle()
    assert terminal.events.count(EventKind.CLOCK_JUMPED) == 1
    assert terminal.events.count(EventKind.OFFLINE_WARNING) == 0


@pytest.mark.parametrize("task", [Task.VISIT, Task.ENROL, Task.CERTIFY])
@pytest.mark.parametrize("why", ["offline_limit", "power_failing", "roster_expired", "out_of_order"])
def test_a_visit_that_cannot_lead_to_a_session_is_refused_before_it_is_begun(task, why):
    terminal = Terminal()
    terminal.clock.note_fleet_time(NOW)
    terminal.sign_in()
    match why:
        case "offline_limit":
            terminal.clock.advance(31 * 86400 * 10**9)
        case "power_failing":
            terminal.notice(BoardChange.POWER_FAILING)
        case "roster_expired":
            terminal.references.lapse(NOW)
        case "out_of_order":
            terminal.tell(FaultRaised(0, Fault.CAMERA))
    terminal.touch(TouchKind.TASK, task)
    assert (terminal.screen.view.screen, terminal.screen.view.problem) == (Screen.MENU, why)
    terminal.touch(TouchKind.TASK, Task.COURIER)
    assert terminal.screen.view.step is Step.STICK
    assert (why == "offline_limit") == (EventKind.OFFLINE_LIMIT in terminal.events)


def test_the_repeat_button_says_the_last_line_again_wherever_the_session_is():
    terminal = Terminal()
    terminal.spoken.clear()
    terminal.touch(TouchKind.REPEAT)
    assert terminal.spoken == ["welcome"]
    terminal.read(KNOWN)
    terminal.spoken.clear()
    terminal.panel.press(Button.REPEAT)
    terminal.settle()
    assert terminal.spoken == ["look_here"]


@pytest.mark.parametrize("found_by", ["claim", "operator", "itself"])
def test_a_roster_that_has_expired_is_noted_once_however_it_is_found_out(found_by):
    terminal = Terminal()
    terminal.sign_in()
    terminal.touch(TouchKind.SIGN_OUT)
    if found_by == "operator":
        terminal.sign_in()
        terminal.touch(TouchKind.TASK, Task.CERTIFY)
    terminal.mind()
    assert EventKind.ROSTER_EXPIRED not in terminal.events
    terminal.references.lapse(NOW)
    if found_by == "itself":
        terminal.mind()
    else:
        terminal.read(KNOWN)
    assert terminal.events[-1] is EventKind.ROSTER_EXPIRED
    for _ in range(3):
        terminal.wait(100)
        terminal.mind()
        terminal.read(UNKNOWN)
    assert terminal.events.count(EventKind.ROSTER_EXPIRED) == 1
    terminal.references.lapse(NOW + timedelta(days=30))
    terminal.mind()
    assert terminal.events.count(EventKind.ROSTER_EXPIRED) == 2


def test_a_line_that_no_pack_has_is_recorded_by_code_alone():
    terminal = Terminal()
    terminal.front.note_missing_line("方言 pack", "welcome")
    (event,) = terminal.links(TerminalEvent, EVENT_TYP)
    assert (event.kind, event.detail) == (EventKind.VOICE_LINE_MISSING, {"pack": "___pack", "line": "welcome"})


@pytest.mark.parametrize(("chosen", "source"), [("receiver", "receiver"), ("620102001", "both")])
def test_a_visit_is_stamped_with_the_position_where_there_is_one(chosen, source):
    terminal = Terminal()
    terminal.positioner.carry_to(36.0611, 103.8343)
    terminal.sign_in(WORKER)
    terminal.touch(TouchKind.TASK, Task.VISIT)
    terminal.touch(TouchKind.PERSON, "0")
    terminal.touch(TouchKind.CHOOSE, "age")
    assert "receiver" in {option.code for option in terminal.screen.view.options}
    terminal.touch(TouchKind.CHOOSE, chosen)
    terminal.touch(TouchKind.CHOOSE, "none")
    terminal.touch(TouchKind.CHOOSE, "standard")
    terminal.go_through()
    place = terminal.records[0].visit.place
    assert (place.source, place.latitude_deg) == (source, 36.0611)


def told(text, *, last=None):
    counted = None if last is None else CountedAct(day=last, kind=ActKind.LIVE)
    found = Entitlement(pack_id="LZ-2019", pack_version=1, started=date(2012, 3, 1), last=counted)
    return entry(text, "甲").model_copy(update={"entitlements": (found,)})


def asking(*entries, packs=None, issued_at=NOW):
    terminal = Terminal(*entries, packs=packs or FixedRulePacks(shipped_pack("LZ-2019")), issued_at=issued_at)
    terminal.touch(TouchKind.ASK)
    return terminal


def test_r9_4_who_asks_how_they_stand_is_answered_from_the_roster_without_record_and_name():
    terminal = asking(told(KNOWN, last=date(2026, 6, 15)))
    assert terminal.spoken[-1] == "status_ask"
    terminal.read(KNOWN)
    view = terminal.screen.view
    assert (view.screen, view.my_status.state, view.my_status.due) == (Screen.MY_STATUS, "due", date(2026, 12, 31))
    assert view.my_status.as_of == date(2026, 11, 28)
    assert view.my_status.help_line == "400-900-4889"
    assert "甲" not in repr(view.to_json())
    assert terminal.spoken[-1] == "status_due"
    terminal.touch(TouchKind.REPEAT)
    assert terminal.spoken[-2:] == ["status_due", "status_due"]
    assert terminal.records == []
    terminal.wait(46)
    assert (terminal.screen.view.screen, terminal.screen.view.my_status) == (Screen.IDLE, None)
    assert terminal.spoken[-1] == "welcome"
    terminal.touch(TouchKind.REPEAT)
    assert terminal.spoken[-1] == "welcome"


def test_r5_7_a_pass_made_here_is_in_the_answer_before_the_fleet_tells_of_it():
    terminal = asking(told(KNOWN, last=date(2026, 6, 15)), issued_at=NOW - timedelta(days=3))
    terminal.read(KNOWN)
    assert terminal.screen.view.my_status.as_of == date(2026, 11, 25)
    terminal.touch(TouchKind.BACK)
    terminal.wait(4)
    terminal.read(KNOWN)
    terminal.go_through()
    terminal.end_result()
    terminal.touch(TouchKind.ASK)
    terminal.wait(4)
    terminal.read(KNOWN)
    found = terminal.screen.view.my_status
    assert (found.state, found.due, found.as_of) == ("certified", date(2027, 6, 30), date(2026, 11, 28))


def test_a_document_left_on_the_reader_after_the_answer_begins_no_session():
    terminal = asking(told(KNOWN))
    terminal.read(KNOWN)
    for _ in range(3):
        terminal.wait(1)
        terminal.read(KNOWN)
    assert terminal.screen.view.screen is Screen.MY_STATUS
    terminal.touch(TouchKind.BEGIN)
    terminal.wait(1)
    terminal.read(KNOWN)
    assert terminal.screen.view.screen is Screen.NUMBER
    terminal.wait(4)
    terminal.read(KNOWN)
    assert terminal.screen.view.screen is Screen.SESSION


@pytest.mark.parametrize(
    ("entries", "text", "state"),
    [
        ((told(number("99999919400101009")),), KNOWN, "unknown"),
        ((entry(KNOWN, None),), KNOWN, "unknown"),
    ],
    ids=["not on the roster", "on one that says nothing of rules"],
)
def test_r9_3_of_whom_nothing_was_told_is_told_whom_to_ask(entries, text, state):
    terminal = asking(*entries)
    terminal.read(text)
    found = terminal.screen.view.my_status
    assert (found.state, found.due, found.packs, found.help_line) == (state, None, (), "12333")
    assert terminal.spoken[-1] == "status_unknown"


def test_what_cannot_be_read_is_said_and_an_unknown_pack_is_stood_in_for_by_the_default_one():
    terminal = asking(told(KNOWN, last=date(2026, 6, 15)), packs=FixedRulePacks())
    terminal.touch(TouchKind.NUMBER, "12")
    assert (terminal.screen.view.screen, terminal.screen.view.problem) == (Screen.NUMBER, "claim_unreadable")
    assert terminal.spoken[-1] == "claim_unreadable"
    terminal.touch(TouchKind.NUMBER, KNOWN)
    assert terminal.screen.view.my_status.due == date(2027, 6, 15)
