"""The terminal as a service on simulated hardware: real networks, real stores, orders through the control socket."""

from __future__ import annotations

import base64
import io
import json
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import cv2
import pytest

from device.adapters.attachments_sqlite import SqliteAttachmentStore
from device.adapters.clock_system import SystemClock
from device.adapters.commands_sqlite import SqliteCommandStore
from device.adapters.inference_tflite import open_networks
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.policy_file import FilePolicyStore
from device.adapters.references_sqlite import SqliteReferenceStore
from device.adapters.voice_alsa.pack import Speed, VoicePack, shipped_folders
from device.adapters.voice_alsa.sound import as_pcm
from device.app.decommissioning import ASKED, unconfirmed
from device.app.enrol import reference_of
from device.app.selftest import selftest
from device.app.service import make_shadow, run
from device.errors import RestartAsked
from device.session.commands import Line
from device.settings import Settings, load_settings
from device.simulated.loudspeaker import SimulatedLoudspeaker
from device.updates.in_force import start
from device.updates.marks import Marks, Process
from device.updates.slots import Slots
from device.updates.stock import desired_store
from device.updates.trial import Limits, examined
from protocol.bundle import BUNDLE_TYP, BundleKind, BundleManifest
from protocol.commands import RESULT_TYP, CommandKind, CommandResult, CommandWithdrawal, TerminalCommand
from protocol.desired import DESIRED_TYP, DesiredState
from protocol.documents import check_digit, claim_token, parse_document
from protocol.envelope import sign, typ_of, unseal, unverified_payload, verify
from protocol.events import EVENT_TYP, EventKind, TerminalEvent
from protocol.evidence import EvidenceKind
from protocol.keys import PrivateKey
from protocol.policy import POLICY_TYP, PathName, PathPolicy, default_policy
from protocol.receipts import ReceiptItem, Verdict
from protocol.records import RECORD_TYP, CertificationRecord
from protocol.references import CaptureKind, Reference
from protocol.registration import FleetIdentity
from protocol.roster import RosterEntry, RosterPage

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = ROOT / "demo" / "people"
NUMBER, STRANGER = (stem + check_digit(stem) for stem in ("99999919400101001", "99999919500101002"))
SETTINGS = """
[terminal]
fleet_id = "north"
terminal_id = "t-1"
data_dir = "data"
models_dir = "{models}"
languages = ["zh", "en"]
[keys]
signing = "signing.pem"
sealing = "sealing.pem"
storage = "storage.key"
fleet = "fleet.json"
[camera]
kind = "simulated"
[panel]
kind = "simulated"
[ring_light]
kind = "simulated"
[voice]
kind = "none"
[simulated]
control_socket = "control.sock"
actor = "{actor}"
speed = "{speed}"
entropy_seed = 3
[outbox]
max_rows = {max_rows}
"""


MANIFEST = sign(
    BundleManifest(
        kind=BundleKind.NETWORKS,
        label="2",
        number=2,
        floor=1,
        made_at=datetime(2026, 1, 1, tzinfo=UTC),
        expires_at=datetime(2099, 1, 1, tzinfo=UTC),
        files=({"name": "x", "size": 1, "sha256": "0" * 64},),
    ).to_bytes(),
    key=PrivateKey.generate(),
    typ=BUNDLE_TYP,
)
"""Of a bundle whose files nobody looks at here."""
WANTED = {
    "kind": "networks",
    "bundle_id": sha256(unverified_payload(MANIFEST)).hexdigest(),
    "number": 2,
    "label": "2",
    "size": 9,
}
"""It, as the fleet asks for it."""


class World:
    """A provisioned terminal's files, with one subject on its roster."""

    def __init__(
        self,
        folder: Path,
        *,
        actor: str = "live_om.toml",
        speed: str = "fast",
        max_rows: int = 100,
        voices: Path | None = None,
        slots: bool = False,
        shadow: Callable[[Path], None] | None = None,
    ) -> None:
        self.folder = folder
        self.fleet_key = PrivateKey.generate()
        self.signing_key = PrivateKey.generate()
        self.signing_key.save(folder / "signing.pem")
        PrivateKey.generate().save(folder / "sealing.pem")
        self.fleet_sealing_key = PrivateKey.generate()
        identity = FleetIdentity(
            fleet_id="north", signing_key=self.fleet_key.public(), sealing_key=self.fleet_sealing_key.public()
        )
        (folder / "fleet.json").write_bytes(identity.to_bytes())
        path = folder / "terminal.toml"
        text = SETTINGS.format(models=ROOT / "models", actor=PEOPLE / actor, speed=speed, max_rows=max_rows)
        if voices is not None:
            text = text.replace("[keys]", f'voice_dirs = ["{voices}"]\n[keys]')
            text = text.replace('[voice]\nkind = "none"', '[voice]\nkind = "alsa"')
        text += f'[updates]\nslots_dir = "{folder}/slots"\nproof_s = 0.2\n'
        if slots:
            Slots(folder / "slots" / "networks").begin()
        path.write_text(text)
        self.settings: Settings = load_settings(path)
        if shadow is not None:
            self.put_in_shadow(shadow)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.errors: list[BaseException] = []

    def put_in_shadow(self, change: Callable[[Path], None]) -> None:
        """Let networks lie in the slot of the shadow, as the installer leaves them, and be wanted there."""
        slots = Slots(self.settings.updates.slots_dir / "shadow")
        slots.begin()
        shutil.copytree(ROOT / "models", slots.path("b"), ignore=shutil.ignore_patterns("tools", "*.py", "__pycache__"))
        change(slots.path("b"))
        slots.mark(MANIFEST)
        slots.place()
        now = datetime.now(UTC)  # noqa: TID251 - as the fleet says it
        desired = DesiredState(fleet_id="north", terminal_id="t-1", number=1, issued_at=now, shadow=WANTED)
        desired_store(self.settings, self.fleet_key.public()).apply(
            sign(desired.to_bytes(), key=self.fleet_key, typ=DESIRED_TYP)
        )

    def note_fleet_time(self) -> None:
        """Let the terminal have heard from its fleet, which vouches for its clock."""
        clock = SystemClock(self.settings.clock_path)
        clock.note_fleet_time(datetime.now(UTC), after_ns=clock.monotonic_ns())  # noqa: TID251 - as the fleet says it

    def send_policy(self, **timers: float) -> None:
        policy = default_policy()
        # No light falls on the clips that play on the standard path here.
        unlit = PathPolicy(required=(EvidenceKind.CHALLENGE, EvidenceKind.CONTINUITY))
        policy = policy.model_copy(
            update={
                "timers": policy.timers.model_copy(update=timers),
                "paths": policy.paths | {PathName.STANDARD: unlit},
            }
        )
        store = FilePolicyStore(self.settings.policy_path, self.fleet_key.public())
        store.apply(sign(policy.to_bytes(), key=self.fleet_key, typ=POLICY_TYP))

    def send_roster(self) -> None:
        now = datetime.now(UTC)  # noqa: TID251 - a test makes its own roster
        claim_key, feature_key = secrets.token_bytes(32), secrets.token_bytes(32)
        video = cv2.VideoCapture(str(PEOPLE / "live_om.mp4"))
        _, picture = video.read()
        video.release()
        reference = reference_of(
            cv2.imencode(".png", picture)[1].tobytes(),
            open_networks(ROOT / "models"),
            name="reference",
            key=feature_key,
            key_domain="d-1",
            capture=CaptureKind.LIVE,
            now=now,
        )
        entry = RosterEntry(
            roster_version=1,
            subject_id="5" * 32,
            claim_token=claim_token(parse_document(NUMBER), claim_key),
            references=(reference,),
        )
        page = RosterPage(
            fleet_id="north",
            terminal_id="t-1",
            issued_at=now,
            expires_at=now + timedelta(days=14),
            after=0,
            upto=1,
            complete=True,
            claim_key=text_of(claim_key),
            feature_keys={"d-1": text_of(feature_key)},
            enrolment_domain="d-1",
            entries=(entry,),
        )
        store = SqliteReferenceStore(
            self.settings.references_path, self.settings.keys.storage.path, SystemClock(self.settings.clock_path)
        )
        assert store.apply(page)
        store.close()

    def start(self, eventually) -> None:
        def serve() -> None:
            try:
                run(self.settings, stopping=self._stopping, reader=io.StringIO())
            except BaseException as error:  # noqa: BLE001 - the test looks at it
                self.errors.append(error)

        self._thread = threading.Thread(target=serve)
        self._thread.start()
        eventually(lambda: self.errors or self.is_listening(), "the control socket")

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(30)
            assert not self._thread.is_alive()
        assert not self.errors

    def is_listening(self) -> bool:
        """Whether somebody answers at the socket: its file is there before it listens."""
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.folder / "control.sock")) == 0

    def tell(self, **order):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(120)
            client.connect(str(self.folder / "control.sock"))
            client.sendall(json.dumps(order).encode() + b"\n")
            with client.makefile("rb") as answers:
                return json.loads(answers.readline())

    def claim(self, number: str = NUMBER, **how):
        return self.tell(do="present_claim", number=number, **how)

    def records(self) -> list[CertificationRecord]:
        outbox = SqliteOutbox(self.settings.outbox_path, max_rows=1000, max_bytes=2**30)
        rows = outbox.unconfirmed(100)
        outbox.close()
        public = self.signing_key.public()
        return [
            CertificationRecord.parse(verify(row.envelope, key_of=lambda _: public, typ=RECORD_TYP).payload)
            for row in rows
            if typ_of(row.envelope) == RECORD_TYP
        ]

    def events(self) -> list[EventKind]:
        return [event.kind for event in self.noted()]

    def noted(self) -> list[TerminalEvent]:
        outbox = SqliteOutbox(self.settings.outbox_path, max_rows=1000, max_bytes=2**30)
        rows = outbox.unconfirmed(100)
        outbox.close()
        public = self.signing_key.public()
        return [
            TerminalEvent.parse(verify(row.envelope, key_of=lambda _: public, typ=EVENT_TYP).payload)
            for row in rows
            if typ_of(row.envelope) == EVENT_TYP
        ]


def text_of(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).rstrip(b"=").decode()


@pytest.fixture
def make_world(tmp_path, eventually):
    made: list[World] = []

    def make(*, is_provisioned: bool = True, **options) -> World:
        world = World(tmp_path, **options)
        if is_provisioned:
            world.send_policy(result_s=0.2)
            world.send_roster()
        world.start(eventually)
        made.append(world)
        return world

    yield make
    for world in made:
        world.stop()


def test_r4_3_r4_4_r4_10_people_come_one_after_the_other_and_every_record_is_signed_and_chained(make_world, capfd):
    world = make_world()
    first = world.claim()
    # Nothing may vouch for a test machine's clock; everything else speaks for certification.
    assert first["outcome"] in {"certified", "time_uncertain"}
    assert world.claim(STRANGER)["outcome"] == "no_reference"
    assert world.tell(do="set_actor", actor=str(PEOPLE / "live_of.toml")) == {"ok": True}
    other = world.claim()
    assert other["outcome"] in {"review", "not_certified"}
    assert world.claim(NUMBER[:-1] + "?") == {"ok": False, "error": "unreadable"}
    status = world.tell(do="status")
    assert status["outbox"]["pending"] == 4
    assert status["roster_version"] == 1
    world.stop()
    records = world.records()
    # The first link says that the terminal has started.
    assert [record.counter for record in records] == [2, 3, 4]
    assert world.events() == [EventKind.STARTED]
    assert [record.decision.outcome for record in records] == [first["outcome"], "no_reference", other["outcome"]]
    assert all(record.previous is not None for record in records)
    assert records[1].previous == first["sha256"]
    assert records[0].claim.subject_id == "5" * 32
    assert records[1].claim.subject_id is None
    said = capfd.readouterr().out
    assert "请看着摄像头" in said
    assert "Please look at the camera" in said


def test_r5_3_a_path_and_a_witness_come_with_the_claim_and_stand_in_the_record(make_world):
    world = make_world(actor="cedar.toml")
    world.tell(do="present_claim", number=NUMBER, path="no_movement", witness="worker-7")
    assert world.tell(do="present_claim", number=NUMBER, path="sideways")["ok"] is False
    world.stop()
    (record,) = world.records()
    assert (record.decision.path, record.witness, record.simulated) == ("no_movement", "worker-7", True)
    found = {result.kind: (result.status, result.reason) for result in record.evidence}
    assert found["illumination"] == ("passed", "follows_light")
    assert found["capture_path"] == ("passed", "sensor_answers")
    assert found["pulse"] == ("passed", "pulse")
    assert found["challenge"] == ("not_run", "not_asked")


def test_a_line_that_a_voice_pack_lacks_is_an_event_and_the_next_pack_speaks_it(
    make_world, eventually, tmp_path, monkeypatch
):
    shipped = next(folder for folder in shipped_folders() if folder.name == "zh")
    voices, line = tmp_path / "village", Line.NO_REFERENCE
    shutil.copytree(shipped, voices)
    manifest = (voices / "pack.toml").read_text()
    (voices / "pack.toml").write_text(re.sub(r'^name = ".*"$', 'name = "village"', manifest, flags=re.MULTILINE))
    for speed in Speed:
        (voices / VoicePack.open(voices).manifest.lines[line].at(speed).file).unlink()
    speaker = SimulatedLoudspeaker()
    monkeypatch.setattr("device.adapters.voice_alsa.player.AplayLoudspeaker", lambda _device: speaker)
    world = make_world(voices=voices)
    assert world.claim(STRANGER)["outcome"] == "no_reference"
    spoken = as_pcm(VoicePack.open(shipped).sound(line, Speed.NORMAL), 1.0)
    eventually(lambda: any(spoken in playing.pcm for playing in speaker.played), "the line in the shipped voice")
    eventually(lambda: EventKind.VOICE_LINE_MISSING in world.events(), "the event")
    world.stop()
    (missing,) = [event for event in world.noted() if event.kind is EventKind.VOICE_LINE_MISSING]
    assert missing.detail == {"pack": "village", "line": line}


def test_in_real_time_a_live_person_is_served_and_cancel_is_recorded(make_world, eventually):
    world = make_world(speed="real")
    # What it ends with depends on how many frames a busy computer sees in real time.
    assert world.claim()["ok"]
    answers = []
    asking = threading.Thread(target=lambda: answers.append(world.claim()))
    asking.start()
    eventually(lambda: world.tell(do="status")["state"] in {"acquiring", "challenging"}, "the second session")
    assert world.tell(do="press", button="cancel") == {"ok": True}
    asking.join(30)
    assert answers[0]["outcome"] == "cancelled"


def test_an_unplugged_camera_puts_the_terminal_out_of_order_until_it_is_back(make_world, eventually):
    world = make_world()
    eventually(lambda: world.tell(do="status")["state"] == "idle", "an idle terminal")
    world.tell(do="camera", verb="unplug")
    assert world.claim()["outcome"] == "cancelled"
    assert world.tell(do="status")["state"] == "faulted"
    world.tell(do="camera", verb="plug_in")
    eventually(lambda: world.tell(do="status")["state"] == "idle", "a repaired terminal")
    assert world.claim()["outcome"] in {"certified", "time_uncertain"}


def test_a_camera_that_is_pulled_in_a_session_and_put_back_is_waited_for_aloud(make_world, eventually, capfd):
    world = make_world(speed="real")
    answers, states = [], []
    asking = threading.Thread(target=lambda: answers.append(world.claim()))
    asking.start()
    eventually(lambda: world.tell(do="status")["state"] == "challenging", "a session under way")
    world.tell(do="camera", verb="unplug")
    eventually(lambda: world.tell(do="status")["state"] == "recovering", "a session that waits")
    world.tell(do="camera", verb="plug_in")
    eventually(lambda: states.append(world.tell(do="status")["state"]) or states[-1] == "acquiring", "frames again")
    asking.join(60)
    # What it ends with depends on how many frames a busy computer sees in real time; that it goes on to an end does not.
    assert answers[0]["ok"]
    assert "faulted" not in states
    assert "One moment, please" in capfd.readouterr().out


def test_a_terminal_that_stays_out_of_order_ends_so_that_systemd_starts_it_anew(make_world, eventually, monkeypatch):
    monkeypatch.setattr("device.app.service._REPAIR_NS", 10**9)
    world = make_world(speed="real")
    eventually(lambda: world.tell(do="status")["state"] == "idle", "an idle terminal")
    world.tell(do="camera", verb="unplug")
    assert world.claim()["outcome"] == "cancelled"
    eventually(lambda: world.errors, "the end of the service")
    assert "out of order" in str(world.errors.pop())


def ask(world: World, store: SqliteCommandStore, number: int, kind: CommandKind) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - a test is its own fleet
    store.take(
        TerminalCommand(
            fleet_id="north",
            terminal_id="t-1",
            command_id=f"{number:032x}",
            number=number,
            kind=kind,
            issued_at=now,
            expires_at=now + timedelta(hours=1),
        ),
        b"as the fleet signed it",
    )


def results(world: World, store: SqliteCommandStore) -> list[CommandResult]:
    public = world.signing_key.public()
    return [
        CommandResult.parse(verify(found.envelope, key_of=lambda _: public, typ=RESULT_TYP).payload)
        for found in store.unsettled()
    ]


def test_what_the_fleet_asks_is_done_between_sessions_and_a_restart_ends_the_service(make_world, eventually):
    world = make_world(speed="real")
    store = SqliteCommandStore(world.settings.commands_path)
    ask(world, store, 1, CommandKind.DIAGNOSE)
    ask(world, store, 2, CommandKind.LOG_BUNDLE)
    eventually(lambda: len(results(world, store)) == 2, "both answers", timeout_s=60)
    diagnosis, bundle = results(world, store)
    assert diagnosis.report is not None
    checks = {check.name: check for check in diagnosis.report.checks}
    assert (checks["camera"].status, checks["policy"].status) == ("skipped", "passed")
    assert bundle.log is not None
    assert any("fleet asks kind=diagnose" in line for line in bundle.log)
    ask(world, store, 3, CommandKind.IDENTIFY)
    eventually(lambda: world.tell(do="status")["view"]["is_identifying"], "the screen says it", timeout_s=30)
    eventually(lambda: world.tell(do="status")["lamp"] == "attention", "the lamp is lit", timeout_s=30)
    eventually(lambda: world.tell(do="status")["lamp"] == "idle", "and dark again", timeout_s=30)
    ask(world, store, 4, CommandKind.RESTART)
    eventually(lambda: world.errors, "the service ends", timeout_s=30)
    (error,) = world.errors
    assert isinstance(error, RestartAsked)
    assert [result.verdict for result in results(world, store)] == ["done"] * 4
    world.errors.clear()
    store.close()


def test_a_terminal_that_is_to_be_erased_ends_with_the_fleets_words_for_whoever_erases_it(make_world, eventually):
    world = make_world()
    outbox = SqliteOutbox(world.settings.outbox_path, max_rows=1000, max_bytes=2**30)
    eventually(lambda: outbox.unconfirmed(9), "its start")
    outbox.settle([ReceiptItem(sha256=row.sha256, verdict=Verdict.STORED) for row in outbox.unconfirmed(9)])
    store = SqliteCommandStore(world.settings.commands_path)
    ask(world, store, 1, CommandKind.DECOMMISSION)
    eventually(lambda: world.errors, "the service ends", timeout_s=30)
    assert isinstance(world.errors.pop(), RestartAsked)
    assert [result.verdict for result in results(world, store)] == ["done"]
    assert (world.settings.terminal.data_dir / ASKED).read_bytes() == b"as the fleet signed it"
    assert unconfirmed(world.settings) == (0, 0), "and its end adds nothing that would be lost"
    outbox.close()
    store.close()


def test_a_restart_that_is_taken_back_during_a_session_does_not_happen(make_world, eventually):
    world = make_world(speed="real")
    store = SqliteCommandStore(world.settings.commands_path)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(world.claim()))
    asking.start()
    eventually(lambda: world.tell(do="status")["state"] == "challenging", "a session under way")
    ask(world, store, 1, CommandKind.RESTART)
    now = datetime.now(UTC)  # noqa: TID251 - a test is its own fleet
    withdrawal = CommandWithdrawal(
        fleet_id="north", terminal_id="t-1", command_id=f"{1:032x}", number=1, withdrawn_at=now
    )
    assert store.withdraw(withdrawal, b"the uplink's answer")
    asking.join(60)
    assert answers[0]["ok"]
    ask(world, store, 2, CommandKind.LOG_BUNDLE)
    eventually(lambda: store.next() is None, "the command after it", timeout_s=60)
    assert not world.errors
    assert store.unsettled()[0].envelope == b"the uplink's answer"
    store.close()


def test_a_full_outbox_stops_sessions_and_says_so(make_world, eventually):
    world = make_world(max_rows=2)
    assert world.claim(STRANGER)["outcome"] == "no_reference"
    assert world.claim(STRANGER) == {"ok": False, "error": "fault"}
    assert world.tell(do="status")["lamp"] == "fault"


def test_a_terminal_without_roster_is_not_ready(make_world):
    world = make_world(is_provisioned=False)
    assert world.claim() == {"ok": False, "error": "not_ready"}


def test_orders_that_make_no_sense_are_answered_with_what_is_wrong(make_world):
    world = make_world()
    assert "do" in world.tell(go="away")["error"]
    assert "button" in world.tell(do="press", button="self_destruct")["error"]
    assert "no such file" in world.tell(do="set_actor", actor="nobody.toml")["error"].lower()


def test_a_killed_terminal_keeps_its_record_and_goes_on_with_the_chain(tmp_path, eventually):
    world = World(tmp_path)
    world.send_policy(result_s=0.2)
    world.send_roster()
    command = [sys.executable, "-c", "from device.cli import main; main()", "run", "--config"]
    for expected_code, number in ((-signal.SIGKILL, signal.SIGKILL), (0, signal.SIGTERM)):
        with subprocess.Popen([*command, str(tmp_path / "terminal.toml")], stdin=subprocess.DEVNULL) as process:
            try:
                eventually(lambda: can_connect(world), "the control socket", timeout_s=60)
                assert world.claim(STRANGER)["outcome"] == "no_reference"
                process.send_signal(number)
                assert process.wait(30) == expected_code
            finally:
                process.kill()
    first, second = world.records()
    assert (first.counter, second.counter) == (2, 4)
    assert world.events() == [EventKind.STARTED, EventKind.STARTED]
    assert second.previous is not None


def can_connect(world: World) -> bool:
    try:
        return bool(world.tell(do="status")["ok"])
    except OSError:
        return False


def test_the_self_test_makes_nothing_where_nothing_is(tmp_path):
    (tmp_path / "terminal.toml").write_text(
        "[terminal]\nfleet_id = 'north'\nterminal_id = 't-1'\nmodels_dir = '/nowhere'\ndata_dir = 'data'\n"
        "[keys]\nsigning = 'etc/signing.pem'\nsealing = 'etc/sealing.pem'\nstorage = 'etc/storage.key'\nfleet = 'etc/fleet.json'\n"
        "[camera]\nkind = 'simulated'\n[panel]\nkind = 'simulated'\n[voice]\nkind = 'none'\n"
    )
    found = {check.name: check for check in selftest(load_settings(tmp_path / "terminal.toml")).checks}
    assert [path.name for path in tmp_path.iterdir()] == ["terminal.toml"]
    assert found["outbox"].status == found["disk"].status == "passed"
    assert found["roster"].status == "skipped"
    assert str(tmp_path / "etc" / "storage.key") in found["roster"].detail


def test_the_self_test_passes_on_a_provisioned_terminal_and_names_what_is_missing(tmp_path):
    world = World(tmp_path)
    before = {check.name: check.status for check in selftest(world.settings).checks}
    assert before["networks"] == before["camera"] == before["outbox"] == before["signing-key"] == "passed"
    assert before["policy"] == "failed"
    assert before["roster"] == before["pictures"] == "skipped"
    store = SqliteAttachmentStore(world.settings.attachments_path, max_bytes=1 << 24)
    refused, _ = store.put([b"one", b"two"])
    store.settle([ReceiptItem(sha256=refused, verdict=Verdict.REFUSED, reason="too_large")])
    store.close()
    world.send_policy()
    world.send_roster()
    (tmp_path / "signing.pem").unlink()
    after = {check.name: check for check in selftest(world.settings).checks}
    assert after["policy"].status == after["roster"].status == "passed"
    assert after["signing-key"].status == "failed"
    assert "signing.pem" in after["signing-key"].detail
    assert after["pictures"].status == "passed"
    assert "1 wait for the fleet, 1 refused; `lifecert-terminal outbox list`" in after["pictures"].detail


def test_an_update_waits_for_the_person_who_is_being_served(make_world, eventually, tmp_path):
    world = make_world(speed="real", slots=True)
    before = world.tell(do="status")
    assert before["state"] == "idle"
    answers = []
    asking = threading.Thread(target=lambda: answers.append(world.claim()))
    asking.start()
    eventually(lambda: world.tell(do="status")["state"] in {"acquiring", "challenging"}, "a session")
    # Networks are switched under it, as the installer does.
    slots = Slots(world.settings.updates.slots_dir / "networks")
    shutil.copytree(ROOT / "models", slots.path("b"), ignore=shutil.ignore_patterns("tools", "*.py", "__pycache__"))
    slots.mark(MANIFEST)
    slots.switch("0" * 64, Limits(needs_contact=False), number=2, wish=4)
    asking.join(60)
    assert answers[0]["ok"], answers
    assert answers[0]["outcome"] not in {"fault", "interrupted", "cancelled"}
    eventually(lambda: world.errors, "the service ends then", timeout_s=30)
    (error,) = world.errors
    assert isinstance(error, RestartAsked)
    assert [record.decision.outcome for record in world.records()] == [answers[0]["outcome"]]
    assert slots.state().trial is not None
    world.errors.clear()
    world.start(eventually)
    told = Marks(world.settings.updates_dir)
    eventually(lambda: (mark := told.read(Process.TERMINAL)) is not None and mark.is_up, "it runs from the new ones")
    mark = told.read(Process.TERMINAL)
    assert mark.slots == {BundleKind.NETWORKS: "b"}
    # Going back is seen just so.
    slots.change(lambda trial: examined(trial, is_healthy=False))
    eventually(lambda: world.errors, "the service ends for the old ones", timeout_s=30)
    world.errors.clear()
    world.stop()
    ended = [event.detail for event in world.noted() if event.kind is EventKind.UPDATE_ENDED]
    assert ended == [
        {"kind": "networks", "bundle": "0" * 16, "number": "2", "kept": "no", "why": "unhealthy", "wish": "4"}
    ]


def test_a_network_in_the_shadow_comes_from_its_slot_and_one_that_does_not_fit_costs_nothing(tmp_path, caplog):
    slots = Slots(tmp_path / "slots" / "shadow")
    slots.begin()
    shutil.copytree(ROOT / "models", slots.path("b"), ignore=shutil.ignore_patterns("tools", "*.py", "__pycache__"))
    slots.mark(MANIFEST)
    slots.place()
    settings = Settings.model_validate(
        {
            "terminal": {
                "fleet_id": "north",
                "terminal_id": "t-1",
                "data_dir": tmp_path,
                "models_dir": ROOT / "models",
            },
            "updates": {"slots_dir": tmp_path / "slots"},
        }
    )
    desired = DesiredState(
        fleet_id="north", terminal_id="t-1", number=1, issued_at=datetime(2026, 1, 1, tzinfo=UTC), shadow=WANTED
    )
    started = start(Process.TERMINAL, settings, desired)
    networks = open_networks(ROOT / "models")
    assert make_shadow(started, networks) is not None
    (slots.path("b") / "features_mobilefacenet.tflite").write_bytes(b"damaged")
    assert make_shadow(started, networks) is None
    assert "no network in the shadow" in caplog.text
    started.held.let_go()
    nothing = start(Process.TERMINAL, settings, None)
    assert make_shadow(nothing, networks) is None
    nothing.held.let_go()


def new_network(models: Path) -> None:
    """Make the features network another one by its digest: what follows the model in its file is not read."""
    manifest, file = models / "features_mobilefacenet.toml", models / "features_mobilefacenet.tflite"
    before = sha256(file.read_bytes()).hexdigest()
    file.write_bytes(file.read_bytes() + b"newer")
    text = manifest.read_text(encoding="utf-8")
    assert before in text
    manifest.write_text(text.replace(before, sha256(file.read_bytes()).hexdigest()), encoding="utf-8")


def test_a_person_who_is_certified_while_a_network_runs_in_the_shadow_has_a_reference_of_it_on_the_way(
    make_world, eventually, monkeypatch
):
    # So that one session is enough for what is said of many.
    monkeypatch.setattr("device.vision.shadow.LEAST_SESSIONS", 1)
    world = make_world(shadow=new_network, is_provisioned=False)
    world.send_policy(result_s=0.2)
    world.send_roster()
    world.note_fleet_time()
    answer = world.claim()
    assert answer["outcome"] == "certified"
    eventually(lambda: EventKind.REFERENCE_PROPOSED in world.events(), "the reference", timeout_s=30)
    (compared,) = [event for event in world.noted() if event.kind is EventKind.SHADOW_COMPARED]
    assert (compared.detail["sessions"], compared.detail["proposed"]) == ("1", "1")
    # The same network under another digest finds everybody as alike as the one in use.
    assert float(compared.detail["new_mean"]) == pytest.approx(float(compared.detail["old_mean"]), abs=1e-3)
    # Of whom nobody is, there is none.
    assert world.claim(STRANGER)["outcome"] == "no_reference"
    world.stop()
    (event,) = [event for event in world.noted() if event.kind is EventKind.REFERENCE_PROPOSED]
    record, _ = world.records()
    new = world.settings.updates.slots_dir / "shadow" / "b" / "features_mobilefacenet.tflite"
    assert event.proposal.session_record == record.record_id == answer["record_id"]
    assert (event.counter, record.counter) == (4, 2)
    assert event.proposal.network.sha256 == sha256(new.read_bytes()).hexdigest() != record.comparison.model_sha256
    sealed = event.proposal.reference.sealed.encode()
    reference = Reference.model_validate_json(unseal(sealed, key=world.fleet_sealing_key))
    assert (reference.model_sha256, reference.key_domain) == (event.proposal.network.sha256, "d-1")
    assert reference.vector().size == 192
    # What the terminal keeps of it is the sealed text alone.
    kept = [path for path in world.folder.rglob("*") if path.is_file() and path.suffix != ".sock"]
    assert not any(reference.features.encode() in path.read_bytes() for path in kept)
