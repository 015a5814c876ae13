from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import NoReturn

import pytest

from device.adapters.attestation_file import FileAttestationStore
from device.adapters.entropy_system import SystemEntropy
from device.adapters.policy_file import FilePolicyStore
from device.adapters.references_sqlite import SqliteReferenceStore
from device.adapters.reports_files import FileReportStore
from device.adapters.rule_packs_file import FileRulePackStore
from device.adapters.signer_keyfile import KeyfileSigner
from device.errors import AttachmentsUnavailable, LinkDown, OutboxUnavailable, RestartAsked
from device.ports import OutboxRow
from device.settings import Uplink as UplinkSettings
from device.simulated.clock import SteppedClock
from device.simulated.stores import (
    MemoryAttachments,
    MemoryCommands,
    MemoryDesired,
    MemoryOutbox,
    MemoryRunning,
    MemoryStaff,
    MemoryUpdating,
)
from device.simulated.vitals import SimulatedVitals
from device.uplink.inbox import Inbox
from device.uplink.loop import CURABLE, Identity, Parts, Uplink
from fleet.admission import Refusal
from protocol.desired import DESIRED_TYP, DesiredState, ReportedState
from protocol.envelope import seal, sha256_of, sign, verify
from protocol.examples import examples
from protocol.keys import PrivateKey
from protocol.presence import PRESENCE_TYP, PictureCounts, Presence
from protocol.receipts import RECEIPT_TYP, Receipt, ReceiptItem, Verdict
from protocol.records import RECORD_TYP, CertificationRecord
from protocol.reference_card import CARD_KEYS_TYP, CardKeys
from protocol.roster import ROSTER_TYP, RosterPage
from protocol.rule_packs import RULE_PACKS_TYP, RulePackSet
from protocol.shipped_packs import shipped_text
from protocol.staff import STAFF_TYP, StaffList
from protocol.topics import Kind, Topic, TopicFilter

S = 1_000_000_000
T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
FLEET_KEY = PrivateKey.generate()


class ScriptedLink:
    """A broker in memory; each turn does what the test scripted and lets time pass."""

    def __init__(self, clock: SteppedClock) -> None:
        self.clock = clock
        self.published: list[tuple[Kind, bytes]] = []
        self.wills: list[bytes] = []
        self.subscribed: list[str] = []
        self.left = False
        self.takes = True
        self.turns: list[Callable[[], None]] = []
        self.refusals = 0
        self.on_arrived: Callable[[str, bytes], None] = lambda *_: None
        self.on_taken: Callable[[int], None] = lambda _: None
        self._untaken: list[int] = []

    def connect(self, will: Topic, will_payload: bytes) -> None:
        if self.refusals:
            self.refusals -= 1
            raise LinkDown("nobody there")
        assert will.kind is Kind.PRESENCE
        self.wills.append(will_payload)

    def subscribe(self, topics: TopicFilter) -> None:
        self.subscribed.append(str(topics))

    def publish(self, topic: Topic, payload: bytes) -> int:
        self.published.append((topic.kind, payload))
        self._untaken.append(len(self.published))
        return len(self.published)

    def turn(self, timeout_s: float) -> None:
        self.clock.advance(int(timeout_s * S))
        if self.takes:
            for token in self._untaken:
                self.on_taken(token)
            self._untaken.clear()
        if self.turns and timeout_s:
            self.turns.pop(0)()

    def disconnect(self) -> None:
        self.left = True

    def sent(self, kind: Kind) -> list[bytes]:
        return [payload for found, payload in self.published if found is kind]


class World:
    """An uplink on a scripted link; `run` ends when the script does, `close` must follow however it ended."""

    def __init__(
        self,
        folder: Path,
        outbox: MemoryOutbox | None = None,
        attachments: MemoryAttachments | None = None,
        resend_cap_s: float = 10,
    ) -> None:
        self.key = PrivateKey.generate()
        self.key.save(folder / "k.pem")
        self.clock = SteppedClock(T0)
        self.outbox = outbox or MemoryOutbox()
        self.link = ScriptedLink(self.clock)
        self.stop = Event()
        self.alive = 0
        self.sealing = sealing = PrivateKey.generate()
        self.refused: list[tuple[Kind, str]] = []
        self.references = SqliteReferenceStore(folder / "r.sqlite", folder / "s.key", self.clock)
        self.reports = FileReportStore(folder / "reports")
        self.staff, self.attachments = MemoryStaff(), attachments or MemoryAttachments()
        self.vitals, self.running, self.commands = SimulatedVitals(), MemoryRunning(), MemoryCommands()
        self.desired, self.updates = MemoryDesired(), MemoryUpdating()
        self.packs = FileRulePackStore(folder / "r.jws", FLEET_KEY.public())
        parts = Parts(
            outbox=self.outbox,
            references=self.references,
            policies=FilePolicyStore(folder / "p.jws", FLEET_KEY.public()),
            packs=self.packs,
            attestations=FileAttestationStore(
                folder / "a.jws",
                FLEET_KEY.public(),
                fleet_id="north",
                terminal_id="t-1",
                key_id=self.key.key_id,
            ),
            staff=self.staff,
            attachments=self.attachments,
            signer=KeyfileSigner(folder / "k.pem"),
            clock=self.clock,
            entropy=SystemEntropy(),
            inbox=Inbox(fleet_id="north", terminal_id="t-1", fleet_key=FLEET_KEY.public(), sealing_key=sealing),
            vitals=self.vitals,
            running=self.running,
            commands=self.commands,
            reports=self.reports,
            desired=self.desired,
            updates=self.updates,
        )
        settings = UplinkSettings(
            poll_s=1,
            resend_after_s=10,
            resend_cap_s=resend_cap_s,
            puback_timeout_s=30,
            reconnect_base_s=0.01,
            reconnect_cap_s=0.01,
        )
        self.uplink = Uplink(
            Identity("north", "t-1", "test"),
            parts,
            settings,
            keep=0,
            keep_alive_s=30,
            make_link=self._make_link,
            alive=self._note_alive,
            on_refused=lambda kind, why: self.refused.append((kind, why)),
        )

    def record(self) -> str:
        return self.outbox.append(lambda c, _: sign(b"%d" % c, key=self.key, typ=RECORD_TYP)).sha256

    def run(self, *turns: Callable[[], None]) -> None:
        self.link.turns = [*turns, self.stop.set]
        self.uplink.run(self.stop)

    def close(self) -> None:
        self.references.close()

    def receive(self, kind: Kind, payload: bytes) -> None:
        self.link.on_arrived(str(Topic("north", "t-1", kind)), payload)

    def receipt(self, *sha256s: str, verdict: Verdict = Verdict.STORED, reason: str = "why") -> bytes:
        items = tuple(ReceiptItem(sha256=sha256, verdict=verdict, reason=reason) for sha256 in sha256s)
        made = Receipt(fleet_id="north", terminal_id="t-1", fleet_time=T0 + timedelta(days=1), items=items)
        return sign(made.to_bytes(), key=FLEET_KEY, typ=RECEIPT_TYP)

    def presences(self, payloads: list[bytes]) -> list[Presence]:
        public = self.key.public()
        return [Presence.parse(verify(found, key_of=lambda _: public, typ=PRESENCE_TYP).payload) for found in payloads]

    def _make_link(self, on_arrived: Callable[[str, bytes], None], on_taken: Callable[[int], None]) -> ScriptedLink:
        self.link.on_arrived, self.link.on_taken = on_arrived, on_taken
        return self.link

    def _note_alive(self) -> None:
        self.alive += 1
        # Waiting between attempts passes in the stepped clock, too.
        self.clock.advance(S // 100)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def nothing() -> None:
    """Let a turn pass."""


def lose() -> None:
    """Lose the broker."""
    raise LinkDown("gone")


def test_a_connection_has_a_will_one_subscription_a_question_and_a_presence(world: World) -> None:
    world.run(nothing)
    assert world.link.subscribed == ["lifecert/v1/north/t-1/down/#"]
    assert [presence.state for presence in world.presences(world.link.wills)] == ["offline"]
    assert len(world.link.sent(Kind.ROSTER_REQUEST)) == 1
    said = world.presences(world.link.sent(Kind.PRESENCE))
    assert [presence.state for presence in said] == ["online", "offline"]
    assert world.link.left
    assert world.alive >= 2


def test_a_receipt_settles_and_is_the_fleets_time(world: World) -> None:
    sha256 = world.record()
    world.run(nothing, lambda: world.receive(Kind.RECEIPT, world.receipt(sha256)))
    assert world.link.sent(Kind.RECORD)
    assert world.outbox.counts().acknowledged == 1
    assert world.clock.now().last_fleet_time == T0 + timedelta(days=1)


def test_a_refused_record_is_an_error_in_the_log_and_stays(world: World, caplog: pytest.LogCaptureFixture) -> None:
    sha256 = world.record()
    world.run(nothing, lambda: world.receive(Kind.RECEIPT, world.receipt(sha256, verdict=Verdict.REFUSED)))
    assert world.outbox.counts().refused == 1
    assert any(
        record.levelno == logging.ERROR and "fleet refuses a record" in record.message for record in caplog.records
    )


def test_the_reasons_that_may_be_cured_are_the_fleets() -> None:
    assert set(Refusal) >= CURABLE


@pytest.mark.parametrize(("reason", "sendings"), [("signature", 2), ("retired_terminal", 2), ("fork", 1), ("why", 1)])
def test_a_refusal_that_may_be_cured_is_sent_again_once_on_the_next_connection(
    world: World, reason: str, sendings: int
) -> None:
    def refuse() -> None:
        world.receive(Kind.RECEIPT, world.receipt(sha256, verdict=Verdict.REFUSED, reason=reason))

    sha256 = world.record()
    world.run(nothing, refuse, *[nothing] * 30, lose, nothing, refuse, *[nothing] * 30)
    assert [sha256_of(token) for token in world.link.sent(Kind.RECORD)] == [sha256] * sendings
    assert [row.reason for row in world.outbox.refused(9)] == [reason]


def test_a_broker_that_takes_nothing_is_left_and_tried_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.record()
    world.link.takes = False
    world.run(*[nothing] * 35)
    assert len(world.link.wills) == 2
    assert "broker took nothing for 30" in caplog.text
    assert len(world.link.sent(Kind.RECORD)) == 1, "the link itself delivers it again"


def test_a_lost_broker_is_reported_once_and_every_connection_is_newer(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def lose() -> None:
        world.link.refusals = 5
        raise LinkDown("gone")

    world.run(nothing, lose, nothing)
    first, second = world.presences(world.link.wills)
    assert second.connection > first.connection
    assert caplog.text.count("broker lost") == 1
    assert caplog.text.count("broker connected") == 2


def test_dropped_messages_are_counted_and_do_not_fill_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:

    def flood() -> None:
        for _ in range(150):
            world.receive(Kind.RECEIPT, b"nonsense")

    world.run(flood)
    assert world.uplink.dropped == {"receipt: Malformed": 150}
    assert caplog.text.count("message dropped") == 2


def roster(world: World, *, key: PrivateKey = FLEET_KEY, terminal: str = "t-1", days: int = 9) -> bytes:
    made = RosterPage(
        fleet_id="north",
        terminal_id=terminal,
        issued_at=world.clock.now().wall_clock,
        expires_at=T0 + timedelta(days=days),
        after=0,
        upto=1,
        complete=True,
        claim_key="A" * 43,
        feature_keys={},
        entries=(),
    )
    return seal(sign(made.to_bytes(), key=key, typ=ROSTER_TYP), reader=world.sealing.public())


def test_rule_packs_are_kept_and_damaged_ones_told_and_refused(world: World) -> None:
    packs = RulePackSet(issued_at=T0, packs=(shipped_text("LZ-2019"),))
    token = sign(packs.to_bytes(), key=FLEET_KEY, typ=RULE_PACKS_TYP)

    def arrive() -> None:
        world.receive(Kind.RULE_PACKS, sign(packs.to_bytes(), key=PrivateKey.generate(), typ=RULE_PACKS_TYP))
        world.receive(Kind.RULE_PACKS, token)
        world.receive(Kind.RULE_PACKS, token[:-8] + b"AAAAAAAA")

    world.run(arrive)
    assert [pack.pack_id for pack in world.packs.shelf().packs] == ["LZ-2019"]
    assert world.refused == [(Kind.RULE_PACKS, "signature")] * 2


def test_rosters_that_are_refused_are_told_once_each_until_one_is_taken(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse_all() -> None:
        for _ in range(3):
            world.receive(Kind.ROSTER, roster(world, key=PrivateKey.generate()))
            world.receive(Kind.ROSTER, roster(world, terminal="t-2"))
            world.receive(Kind.ROSTER, roster(world, days=-1))
            world.receive(Kind.ROSTER, b"nonsense")

    world.run(refuse_all)
    kinds = ["signature", "other_terminal", "expired", "malformed"]
    assert world.refused == [(Kind.ROSTER, why) for why in kinds]
    assert [caplog.text.count(f"refused kind=roster why={why}") for why in kinds] == [1, 1, 1, 1]
    world.receive(Kind.ROSTER, roster(world))
    assert world.references.version() == 1
    world.receive(Kind.ROSTER, roster(world, terminal="t-2"))
    assert world.refused[4:] == [(Kind.ROSTER, "other_terminal")]


def test_card_keys_are_kept_and_expired_ones_refused(world: World) -> None:
    found = examples()[CARD_KEYS_TYP]
    assert isinstance(found, CardKeys)
    made = found.model_copy(
        update={"fleet_id": "north", "issued_at": T0, "expires_at": T0 + timedelta(days=180)},
    )

    def sealed(keys: CardKeys) -> bytes:
        return seal(sign(keys.to_bytes(), key=FLEET_KEY, typ=CARD_KEYS_TYP), reader=world.sealing.public())

    made = made.model_copy(update={"terminal_id": "t-1"})
    world.run(lambda: world.receive(Kind.CARD_KEYS, sealed(made)))
    assert world.references.card_keys() == made
    world.receive(Kind.CARD_KEYS, sealed(made.model_copy(update={"expires_at": T0})))
    assert world.refused == [(Kind.CARD_KEYS, "expired")]
    assert world.references.card_keys() == made


def test_a_staff_list_is_kept_and_one_for_another_terminal_refused(world: World) -> None:
    found = examples()[STAFF_TYP]
    assert isinstance(found, StaffList)
    made = found.model_copy(update={"fleet_id": "north", "terminal_id": "t-1"})

    def sealed(staff: StaffList) -> bytes:
        return seal(sign(staff.to_bytes(), key=FLEET_KEY, typ=STAFF_TYP), reader=world.sealing.public())

    world.run(lambda: world.receive(Kind.STAFF, sealed(made)))
    assert world.staff.current() == made
    world.receive(Kind.STAFF, sealed(made.model_copy(update={"terminal_id": "t-2"})))
    assert world.refused == [(Kind.STAFF, "other_terminal")]
    assert world.staff.current() == made


def test_pictures_go_one_at_a_time_until_the_fleet_has_them(world: World) -> None:
    first, second = world.attachments.put([b"one", b"two"])
    world.run(
        nothing,
        nothing,
        lambda: world.receive(Kind.RECEIPT, world.receipt(first)),
        nothing,
        lambda: world.receive(Kind.RECEIPT, world.receipt(second)),
        nothing,
    )
    assert world.link.sent(Kind.ATTACHMENT) == [b"one", b"two"]
    assert world.attachments.counts().waiting == 0


def test_a_picture_that_nobody_answers_for_is_sent_again_after_ever_longer(tmp_path: Path) -> None:
    world = World(tmp_path, resend_cap_s=10_000)
    world.attachments.put([b"one"])
    world.run(*[nothing] * 1000)
    world.close()
    sent = world.link.sent(Kind.ATTACHMENT)
    assert set(sent) == {b"one"}
    assert 3 <= len(sent) <= 40, "without growing waits some 66"
    assert world.attachments.counts().waiting == 1


def test_a_picture_that_nobody_answers_for_holds_up_no_other(world: World) -> None:
    unanswered, *others = world.attachments.put([b"unanswered", b"one", b"two"])

    def answer() -> None:
        sent = world.link.sent(Kind.ATTACHMENT)
        if sent and sha256_of(sent[-1]) in others:
            world.receive(Kind.RECEIPT, world.receipt(sha256_of(sent[-1])))

    world.run(*[answer] * 60)
    sent = world.link.sent(Kind.ATTACHMENT)
    assert sent[:4] == [b"unanswered", b"one", b"two", b"unanswered"]
    assert [item.sha256 for item in world.attachments.waiting(9)] == [unanswered]


@pytest.mark.parametrize(("reason", "sendings"), [("retired_terminal", 3), ("malformed", 3), ("too_large", 1)])
def test_a_picture_refused_for_what_may_be_cured_is_sent_once_on_every_connection(
    world: World, caplog: pytest.LogCaptureFixture, reason: str, sendings: int
) -> None:
    def refuse() -> None:
        world.receive(Kind.RECEIPT, world.receipt(picture, verdict=Verdict.REFUSED, reason=reason))

    (picture,) = world.attachments.put([b"sealed"])
    rounds = [nothing, refuse, *[nothing] * 30]
    world.run(*rounds, lose, *rounds, lose, *rounds)
    assert world.link.sent(Kind.ATTACHMENT) == [b"sealed"] * sendings
    assert [one.reason for one in world.attachments.refused(9)] == [reason]
    assert f"fleet refuses a picture digest={picture[:12]} reason={reason}" in caplog.text


def test_of_many_refused_pictures_one_is_tried_and_one_more_for_each_that_is_taken(world: World) -> None:
    wrong, *cured = world.attachments.put([b"wrong", b"one", b"two", b"three"])
    refusal = [
        ReceiptItem(sha256=sha256, verdict=Verdict.REFUSED, reason="retired_terminal") for sha256 in (wrong, *cured)
    ]
    world.attachments.settle(refusal)

    def answer() -> None:
        sent = world.link.sent(Kind.ATTACHMENT)
        if sent:
            sha256 = sha256_of(sent[-1])
            verdict = Verdict.REFUSED if sha256 == wrong else Verdict.STORED
            world.receive(Kind.RECEIPT, world.receipt(sha256, verdict=verdict, reason="retired_terminal"))

    world.run(*[answer] * 20, lose, *[answer] * 20)
    assert world.link.sent(Kind.ATTACHMENT) == [b"wrong", b"one", b"two", b"three", b"wrong"]
    assert [one.sha256 for one in world.attachments.refused(9)] == [wrong]


def test_presence_says_how_many_pictures_wait_and_were_refused(world: World) -> None:
    first, _ = world.attachments.put([b"one", b"two"])
    world.attachments.settle([ReceiptItem(sha256=first, verdict=Verdict.REFUSED, reason="too_large")])
    world.run(nothing)
    (will,) = world.presences(world.link.wills)
    online = world.presences(world.link.sent(Kind.PRESENCE))[0]
    assert will.pictures == online.pictures == PictureCounts(waiting=1, refused=1)


class FailingAttachments(MemoryAttachments):
    """Its disk is away."""

    def waiting(self, limit: int, *, skip: int = 0) -> NoReturn:
        raise AttachmentsUnavailable("attachments: input/output error")

    def counts(self) -> NoReturn:
        raise AttachmentsUnavailable("attachments: input/output error")

    def retry_refused(self, limit: int, *, reasons: Collection[str] | None = None) -> NoReturn:
        raise AttachmentsUnavailable("attachments: input/output error")


def test_pictures_that_cannot_be_read_keep_no_record_and_no_presence_from_being_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, attachments=FailingAttachments())
    sha256 = world.record()
    world.run(nothing, nothing, nothing)
    world.close()
    assert [sha256_of(token) for token in world.link.sent(Kind.RECORD)] == [sha256]
    assert world.presences(world.link.sent(Kind.PRESENCE))[0].pictures is None
    assert "storage lost" in caplog.text


def test_a_report_that_cannot_be_put_aside_keeps_no_record_from_being_confirmed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    record, report = world.record(), world.reports.put(b"a.b.c")
    # What is there cannot be replaced, as what is somebody else's could not.
    (tmp_path / "reports" / f"{report}.sent").mkdir()
    world.run(
        nothing,
        lambda: world.receive(Kind.RECEIPT, world.receipt(report)),
        lambda: world.receive(Kind.RECEIPT, world.receipt(record)),
        nothing,
    )
    world.close()
    assert world.outbox.counts().acknowledged == 1
    assert world.link.sent(Kind.COMMISSIONING) == [b"a.b.c"]
    assert "receipt not applied" in caplog.text


class FailingOutbox(MemoryOutbox):
    """Its disk can be taken away."""

    is_down = False

    def unconfirmed(self, limit: int) -> list[OutboxRow]:
        if self.is_down:
            raise OutboxUnavailable("disk is gone")
        return list(super().unconfirmed(limit))


def test_a_disk_that_fails_for_a_while_is_reported_once_and_the_link_lives_on(
    tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = FailingOutbox()
    world = World(tmp_path, outbox)
    request.addfinalizer(world.close)

    def set_down(value: bool) -> Callable[[], None]:
        def act() -> None:
            outbox.is_down = value

        return act

    sha256 = world.record()
    world.run(set_down(True), nothing, nothing, set_down(False), nothing)
    assert caplog.text.count("storage lost") == 1
    assert caplog.text.count("storage back") == 1
    assert len(world.link.wills) == 1
    assert [sha256_of(token) for token in world.link.sent(Kind.RECORD)] == [sha256]


def test_acknowledged_records_are_purged(world: World) -> None:
    sha256 = world.record()
    world.run(nothing, lambda: world.receive(Kind.RECEIPT, world.receipt(sha256)), *[nothing] * 65)
    assert world.outbox.counts().acknowledged == 0


def test_the_condition_is_told_on_every_connection_then_rarely_and_at_once_when_it_matters(world: World) -> None:
    def minute() -> None:
        world.clock.advance(60 * S)

    def sag() -> None:
        minute()
        world.vitals.sag()

    world.run(*[minute] * 9, sag, minute)
    wills = world.presences(world.link.wills)
    assert all(will.health is None for will in wills)
    said = [found.health for found in world.presences(world.link.sent(Kind.PRESENCE)) if found.state == "online"]
    told = [health for health in said if health is not None]
    assert len(said) >= 10
    assert said[0] is not None
    assert (said[0].link.presence_s, said[0].link.keep_alive_s) == (60, 30)
    assert 2 <= len(told) <= 3, "once, when the voltage fell, and perhaps after ten minutes"
    assert told[-1].board.is_under_voltage


def test_the_condition_says_how_old_the_oldest_unconfirmed_record_is(world: World) -> None:
    record = examples()[RECORD_TYP]
    assert isinstance(record, CertificationRecord)
    world.clock.advance(100 * S)
    made = record.model_copy(update={"decided": world.clock.now()})
    world.outbox.append(lambda _c, _: sign(made.to_bytes(), key=world.key, typ=RECORD_TYP))
    world.clock.advance(40 * S)
    world.run(nothing)
    said = [found.health for found in world.presences(world.link.sent(Kind.PRESENCE)) if found.health is not None]
    assert said[0].oldest_unconfirmed_s is not None
    assert 40 <= said[0].oldest_unconfirmed_s <= 45


def desired_token(number: int, terminal: str = "t-1") -> bytes:
    example = examples()[DESIRED_TYP]
    assert isinstance(example, DesiredState)
    wanted = example.model_copy(update={"fleet_id": "north", "terminal_id": terminal, "number": number})
    return sign(wanted.to_bytes(), key=FLEET_KEY, typ=DESIRED_TYP)


def test_what_the_office_wants_is_kept_and_what_is_said_of_it_comes_with_the_condition(world: World) -> None:
    def minute() -> None:
        world.clock.advance(60 * S)

    def taken() -> None:
        minute()
        found = world.desired.current()
        assert found is not None
        world.updates.state = ReportedState(desired_number=found.number)

    world.run(minute, lambda: world.receive(Kind.DESIRED, desired_token(12)), taken, minute, minute)
    said = [found for found in world.presences(world.link.sent(Kind.PRESENCE)) if found.reported is not None]
    assert [found.reported.desired_number for found in said if found.reported] == [0, 12]
    assert all(found.health is not None for found in said)


def test_the_fleet_is_heard_by_an_answer_and_not_by_what_the_broker_kept(world: World) -> None:
    heard: list[bool] = []
    world.run(
        lambda: world.receive(Kind.DESIRED, desired_token(1)),
        lambda: heard.append(world.updates.is_heard),
        lambda: world.receive(Kind.RECEIPT, world.receipt("0" * 64)),
        lambda: heard.append(world.updates.is_heard),
    )
    assert heard == [False, True]


def test_the_uplink_says_goodbye_before_it_ends_for_something_newer(world: World) -> None:
    def newer() -> None:
        world.updates.is_over = True

    world.link.turns = [nothing, newer, *[nothing] * 5]
    with pytest.raises(RestartAsked):
        world.uplink.run(world.stop)
    assert world.presences(world.link.sent(Kind.PRESENCE))[-1].state == "offline"
    assert world.link.left


def test_an_uplink_without_a_broker_ends_for_something_newer_too(world: World) -> None:
    world.link.refusals = 10**6
    world.updates.is_over = True
    with pytest.raises(RestartAsked):
        world.uplink.run(world.stop)
