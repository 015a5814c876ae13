"""Commissioning: what the simulated camera sees of good and bad places, and the whole of it as programs with a real broker and fleet."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pypdfium2
import pytest

from demo.processes import free_port
from device.adapters.inference_tflite import open_network
from device.adapters.policy_file import FilePolicyStore
from device.app.commissioning import commission
from device.commissioning import judging
from device.commissioning.light import HalfLight, half_light, room_light
from device.commissioning.seat import seat_of
from device.errors import DeviceError
from device.settings import load_settings
from device.simulated.actor import Actor, open_actor
from device.simulated.camera import SimulatedCamera, SimulatedRingLight
from device.simulated.clock import SteppedClock
from device.simulated.scene import Place, Room, View
from device.vision.detection import FaceDetector
from device.vision.frame import Frame, Pixels
from protocol.commissioning import COMMISSIONING_TYP, Answer, CommissioningCheck, CommissioningReport, Part, Question
from protocol.envelope import sign, verify
from protocol.evidence import EvidenceKind
from protocol.keys import PrivateKey
from protocol.policy import POLICY_TYP, PathName, PathPolicy, default_policy
from protocol.registration import FleetIdentity
from provisioning.identity import FLEET, SEALING, SIGNING
from tests.agency import Agency
from tests.integration.conftest import UplinkProcess
from tests.integration.test_new_terminal import provision, settings_of, until

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]
ROOT = Path(__file__).resolve().parents[2]
PEOPLE = ROOT / "demo" / "people"


class Elsewhere:
    """A person in another room, or at another place."""

    def __init__(self, name: str, room: Room | None = None, place: Place | None = None) -> None:
        self._person = open_actor(PEOPLE / f"{name}.toml")
        self._change = {"room": room, "place": place}
        self.rate = self._person.rate

    def picture(self, at_s: float) -> View:
        seen = self._person.picture(at_s)
        assert isinstance(seen, View)
        change = {key: value for key, value in self._change.items() if value is not None}
        return replace(seen, key=(seen.key, *change.values()), **change)

    def hear(self, line: str, at_s: float) -> None:
        pass


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector(open_network(ROOT / "models" / "face_detection.toml"))


def settled(actor: Actor) -> tuple[SimulatedCamera, Frame]:
    camera = SimulatedCamera(actor, SteppedClock(datetime(2026, 11, 2, tzinfo=UTC)))
    camera.start()
    for _ in range(30):
        frame = camera.capture(1)
    assert frame is not None
    return camera, frame


def light_of(actor: Actor, detector: FaceDetector) -> tuple[str, str]:
    _, frame = settled(actor)
    assert frame.metadata is not None
    (face, *_) = detector.detect(frame.pixels)
    found = room_light(
        frame.pixels, face.box, exposure_us=frame.metadata.exposure_us, analogue_gain=frame.metadata.analogue_gain
    )
    return judging.judge_light(found).reason, judging.judge_glare(found).reason


@pytest.mark.parametrize("name", ["lotus", "maple"])
def test_people_in_rooms_as_they_should_be_are_well_lit(name: str, detector: FaceDetector) -> None:
    assert light_of(open_actor(PEOPLE / f"{name}.toml"), detector) == ("good", "good")


def test_a_dark_room_and_a_window_behind_are_told(detector: FaceDetector) -> None:
    assert light_of(Elsewhere("lotus", Room(light=0.03)), detector)[0] == "dark"
    assert light_of(Elsewhere("lotus", Room(light=20.0)), detector)[0] == "bright"
    assert light_of(Elsewhere("lotus", Room(back_light=14.0)), detector)[1] in {"backlight", "glare"}


def halves(
    camera: SimulatedCamera, face: tuple[float, float, float, float], *, wires: str
) -> tuple[HalfLight, HalfLight]:
    """Light both halves in turn, with the wires as they should be, swapped, or cut on one side."""
    ring = SimulatedRingLight(camera)
    ring.start()
    camera.lock_exposure(1.0)

    def seen(left: float, right: float) -> list[Pixels]:
        ring.set(*{"good": (left, right), "swapped": (right, left), "cut": (left, 0.0)}[wires])
        frames = [camera.capture(1) for _ in range(8)]
        return [frame.pixels for frame in frames[4:] if frame is not None]

    dark, left, right = seen(0, 0), seen(1, 0), seen(0, 1)
    return half_light(dark, left, face), half_light(dark, right, face)


@pytest.mark.parametrize("name", ["birch", "maple"])
@pytest.mark.parametrize(
    ("wires", "reasons"),
    [("good", ("good", "good")), ("swapped", ("swapped", "swapped")), ("cut", ("shines", "dead"))],
)
def test_the_camera_sees_which_half_shines(
    name: str, wires: str, reasons: tuple[str, str], detector: FaceDetector
) -> None:
    camera, frame = settled(open_actor(PEOPLE / f"{name}.toml"))
    (face, *_) = detector.detect(frame.pixels)
    left, right = judging.judge_ring(*halves(camera, face.box, wires=wires))
    assert (left.reason, right.reason) == reasons


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (Place(), "good"),
        (Place(zoom=0.6), "too_far"),
        (Place(zoom=1.7), "too_near"),
        (Place(down_px=-95), "raise_terminal"),
        (Place(down_px=80), "lower_terminal"),
        (Place(right_px=130), "move_right"),
    ],
)
def test_where_somebody_sits_is_seen(place: Place, reason: str, detector: FaceDetector) -> None:
    _, frame = settled(Elsewhere("lotus", place=place))
    (face, *_) = detector.detect(frame.pixels)
    right_eye, left_eye = (tuple(map(float, point)) for point in face.keypoints[:2])
    height, width = frame.pixels.shape[:2]
    assert judging.judge_seat(seat_of(right_eye, left_eye, width=width, height=height)).reason == reason


def board(config: Path) -> None:
    """Give a terminal's settings a simulated board that stands well."""
    settings = config.read_text().replace(
        'data_dir = "data"', f'data_dir = "data"\nmodels_dir = "{ROOT / "models"}"\nlanguages = ["zh", "en"]'
    )
    # Put off by the probe, the uplink waits as long as in service before it comes back.
    settings = settings.replace("reconnect_base_s = 0.1", "reconnect_base_s = 1").replace("cap_s = 0.5", "cap_s = 2")
    config.write_text(
        settings
        + f"""
[camera]
kind = "simulated"
[simulated]
actor = "{PEOPLE / "lotus.toml"}"
speed = "fast"
[ring_light]
kind = "simulated"
[panel]
kind = "simulated"
[voice]
device = "null"
"""
    )


@pytest.mark.system
def test_a_terminal_is_commissioned_and_the_fleet_keeps_the_signed_report(
    running_agency: Agency, tmp_path: Path
) -> None:
    claim, keys, out = tmp_path / "claim.json", tmp_path / "terminal", tmp_path / "reports"
    running_agency.run("pki", "claim", "--area", "east", "--terminal", "t-1", "--out", str(claim), "--by", "Li Na")
    joined = provision("join", str(claim), "--out", str(keys), "--wait-s", "60")
    assert joined.returncode == 0, joined.stderr
    config = settings_of(keys, running_agency)
    board(config)
    uplink = UplinkProcess(config)
    try:
        # From then on the fleet's signed time vouches for the date.
        until(lambda: '"moment"' in _read(keys / "data" / "time.json"))
        said = [f"{question}=yes" for question in Question if not question.startswith("press_")]
        answers = [word for each in said for word in ("--answer", each)]
        done = provision("commission", "--config", str(config), "--out", str(out), "--json", *answers)
        report = CommissioningReport.parse(done.stdout.encode())
        # The disk of a busy computer may be slower than a terminal's may.
        assert {check.part for check in report.open_checks} <= {Part.STORAGE}, report.open_checks
        assert done.returncode == (0 if report.passed else 1)
        assert "补光灯" in done.stderr
        assert {
            check.part: check.reason for check in report.checks if check.part in {Part.KEYS, Part.BROKER, Part.FLEET}
        } == {
            Part.KEYS: "good",
            Part.BROKER: "good",
            Part.FLEET: "good",
        }
        assert [check.part for check in report.checks if check.status == "skipped"] == [Part.STORAGE_LIFE]
        assert len(report.networks) == 5
        assert report.is_simulated

        # Kept beside, whole, and on one page.
        (signed,), (sheet,) = out.glob("*.jws"), out.glob("*.pdf")
        key = PrivateKey.load(keys / SIGNING).public()
        payload = verify(signed.read_bytes(), key_of=lambda _: key, typ=COMMISSIONING_TYP).payload
        assert CommissioningReport.parse(payload) == report
        assert len(pypdfium2.PdfDocument(sheet)) == 1

        # The uplink brings it to the fleet, whose receipt ends the sending. Simulated parts say nothing of a terminal.
        until(lambda: running_agency.rows("SELECT 1 FROM terminal_commissionings"))
        ((stored, passed, at, listed),) = running_agency.rows(
            "SELECT c.envelope, c.passed, t.commissioned_at, t.commissioning_passed"
            " FROM terminal_commissionings c JOIN terminals t USING (terminal_id)"
        )
        assert bytes(stored) == signed.read_bytes()  # type: ignore[call-overload]  # a row of bytea
        assert (passed, listed, at) == (False, False, report.finished_at)
        until(lambda: not list((keys / "data" / "commissioning").glob("*.jws")))
    finally:
        uplink.kill()


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


class Absent:
    """Nobody there but somebody who sits down, and leaves again before anything else is asked."""

    def __init__(self) -> None:
        self.shown: list[Part] = []

    def ask(self, question: Question) -> Answer | None:
        return "yes" if question is Question.SEAT else None

    def tell(self, question: Question) -> None:
        pass

    def show(self, check: CommissioningCheck) -> None:
        self.shown.append(check.part)


@pytest.mark.parametrize(
    ("ring", "is_light_asked_for", "reason"),
    [("simulated", True, "needs"), ("none", True, "wanted"), ("none", False, "none")],
)
def test_what_is_not_in_order_keeps_nothing_else_from_being_tried(
    ring: str, reason: str, tmp_path: Path, *, is_light_asked_for: bool
) -> None:
    for name in (SIGNING, SEALING):
        PrivateKey.generate().save(tmp_path / name)
    fleet_key = PrivateKey.generate()
    fleet = FleetIdentity(fleet_id="north", signing_key=fleet_key.public())
    (tmp_path / FLEET).write_bytes(fleet.to_bytes())
    config = tmp_path / "terminal.toml"
    config.write_text(
        f"""
[terminal]
fleet_id = "north"
terminal_id = "t-1"
data_dir = "data"
[keys]
signing = "{SIGNING}"
sealing = "{SEALING}"
fleet = "{FLEET}"
[broker]
host = "localhost"
port = {free_port()}
"""
    )
    board(config)
    # An empty room, seen five times a second; no networks, no broker, nobody who answers.
    config.write_text(
        config.read_text().replace(str(ROOT / "models"), str(tmp_path)).replace("lotus.toml", "empty.toml")
    )
    config.write_text(config.read_text().replace('[ring_light]\nkind = "simulated"', f'[ring_light]\nkind = "{ring}"'))
    settings = load_settings(config)
    if not is_light_asked_for:
        policy = default_policy()
        unlit = PathPolicy(required=(EvidenceKind.CHALLENGE, EvidenceKind.CONTINUITY))
        policy = policy.model_copy(update={"paths": {PathName.STANDARD: unlit}})
        settings.terminal.data_dir.mkdir()
        FilePolicyStore(settings.policy_path, fleet_key.public()).apply(
            sign(policy.to_bytes(), key=fleet_key, typ=POLICY_TYP)
        )
    people = Absent()
    report, envelope = commission(settings, people)
    reasons = {check.part: check.reason for check in report.checks}
    assert not report.passed
    assert set(people.shown) == set(reasons) == set(Part)
    assert (reasons[Part.KEYS], reasons[Part.BUTTONS]) == ("no_certificate", "good")
    assert (reasons[Part.NETWORKS], reasons[Part.BROKER], reasons[Part.CAMERA]) == ("error", "refused", "slow")
    # What each of these brought with it.
    assert reasons[Part.FLEET] == reasons[Part.SEAT] == reasons[Part.LIGHT] == "needs"
    assert reasons[Part.RING_LEFT] == reasons[Part.RING_RIGHT] == reason
    assert reasons[Part.FOCUS] == reasons[Part.LOUDSPEAKER] == reasons[Part.STATUS_LAMP] == "nobody_answered"
    (waiting,) = (tmp_path / "data" / "commissioning").iterdir()
    assert waiting.read_bytes() == envelope


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what is somebody else's")
def test_whoever_is_not_the_terminal_commissions_nothing_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    config = tmp_path / "terminal.toml"
    config.write_text(
        '[terminal]\nfleet_id = "north"\nterminal_id = "t-1"\ndata_dir = "data"\n[broker]\nhost = "localhost"\n'
    )
    (tmp_path / "data").mkdir()
    os.chown(tmp_path / "data", 12345, -1)
    with pytest.raises(DeviceError, match="belongs to another user"):
        commission(load_settings(config), Absent())
    assert list((tmp_path / "data").iterdir()) == []
