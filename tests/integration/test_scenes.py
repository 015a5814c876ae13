"""Rendered people and attacks through whole sessions, and what a bad picture or a bad bus makes of a living person."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from device.adapters.inference_tflite import open_networks
from device.app.clip import ReferencePicture, play_session
from device.simulated.actor import SwapActor
from device.simulated.entropy import SeededEntropy
from device.simulated.layered import LayeredDescription, describe, open_layered
from device.simulated.performers import Answering, Still
from device.simulated.presenting import Filming, Present, Pulse
from device.simulated.scene import Layers, Place, Room
from fleet.admission import supports_decision
from models.tools.evaluate import evaluate
from protocol.challenge import Action, draw_actions
from protocol.documents import check_digit
from protocol.evidence import EvidenceKind, EvidenceStatus
from protocol.outcomes import Outcome, Reason
from protocol.policy import PathName, default_policy
from protocol.references import CaptureKind

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = ROOT / "demo" / "people"
NUMBER = "99999919400101001" + check_digit("99999919400101001")
ON_THE_FACE = np.s_[225:330, 255:385]
"""From the nose down, for a person at the usual place."""


@pytest.fixture(scope="module")
def networks():
    return open_networks(ROOT / "models")


@lru_cache(maxsize=1)
def person():
    """The first development person."""
    for path in sorted(PEOPLE.glob("*.toml")):
        found = describe(path)
        if isinstance(found, LayeredDescription) and found.attack is None and found.group == "development":
            return open_layered(path)
    raise AssertionError("no rendered person in demo/people")


def impatient_policy():
    """The standard path with all evidence, and shorter waits: what is tested does not come within longer ones either."""
    policy = default_policy()
    policy = policy.model_copy(update={"paths": {**policy.paths, PathName.STANDARD: policy.paths[PathName.NO_FLASH]}})
    challenge = policy.challenge.model_copy(update={"answer_timeout_s": 4.0, "rest_timeout_s": 6.0})
    timers = policy.timers.model_copy(update={"acquire_s": 6.0})
    return policy.model_copy(update={"challenge": challenge, "timers": timers})


def living(**changes) -> Present:
    clip = changes.pop("clip", person())
    performer = changes.pop("performer", None) or Answering(clip.description)
    return Present(clip, performer, pulse=Pulse(70.0, 0.008), **changes)


@lru_cache(maxsize=1)
def portrait() -> bytes:
    pixels = Filming(Present(person(), Still(person().description.segments.idle[0]))).frame(0.0)[1]
    return cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()


def play(networks, actor, *, path=PathName.STANDARD, seed=3, **more):
    return play_session(
        NUMBER,
        actor,
        networks=networks,
        policy=impatient_policy(),
        reference=ReferencePicture(portrait(), "portrait", CaptureKind.LIVE),
        path=path,
        entropy=SeededEntropy(seed),
        **more,
    )


def of(record, kind):
    return next(found for found in record.evidence if found.kind is kind)


class Wire:
    """What stands between camera and terminal: hands frames on as they come."""

    def __init__(self, camera):
        self.camera = camera
        self.held = deque()

    def capture(self, timeout_s):
        return self.held.popleft() if self.held else self.next(timeout_s)

    def next(self, timeout_s):
        return self.camera.capture(timeout_s)

    def __getattr__(self, name):
        return getattr(self.camera, name)


class Swapping(Wire):
    """Every fifth frame comes after the one that follows it."""

    def next(self, timeout_s):
        frame = self.camera.capture(timeout_s)
        if frame is not None and frame.sequence % 5 == 0:
            self.held.append(frame)
            frame = self.camera.capture(timeout_s)
        return frame


class Doubling(Wire):
    """Every fifth frame comes twice."""

    def next(self, timeout_s):
        frame = self.camera.capture(timeout_s)
        if frame is not None and frame.sequence % 5 == 0:
            self.held.append(frame)
        return frame


class Restamping(Wire):
    """Every fifth picture comes twice, the second time as if it were a new one."""

    def next(self, timeout_s):
        frame = self.camera.capture(timeout_s)
        if frame is not None and frame.sequence % 5 == 0 and self.held_picture is not None:
            frame = replace(frame, pixels=self.held_picture)
        self.held_picture = frame.pixels if frame is not None else None
        return frame

    held_picture = None


class Losing(Wire):
    """Every fourth frame is lost."""

    def next(self, timeout_s):
        frame = self.camera.capture(timeout_s)
        return self.camera.capture(timeout_s) if frame is not None and frame.sequence % 4 == 0 else frame


class Slow(Wire):
    """Five frames a second."""

    def next(self, timeout_s):
        for _ in range(3):
            self.camera.capture(timeout_s)
        return self.camera.capture(timeout_s)


class Covered(Wire):
    """The lens is covered."""

    def __init__(self, camera):
        super().__init__(camera)
        camera.cover_lens()


def changed(clip, change):
    """Return the clip with every layer changed."""
    moments = tuple(Layers(change(one.ambient), change(one.left), change(one.right), one.scale) for one in clip.moments)
    return replace(clip, name="changed", moments=moments)


def masked(layer):
    layer = layer.copy()
    layer[ON_THE_FACE] = layer.max() // 2
    return layer


def eyes_closed() -> Still:
    blink = person().description.segments.blink
    return Still(blink[len(blink) // 2])


def seed_that_asks_for_a_blink() -> int:
    """The nonce is the second thing a session draws."""
    rules = default_policy().challenge
    for seed in range(100):
        entropy = SeededEntropy(seed)
        entropy.token(16)
        if draw_actions(entropy.token(16), rules.actions, rules.count, needs_turn=True)[0] is Action.BLINK:
            return seed
    raise AssertionError("no seed asks for a blink first")


def test_a_living_person_is_certified_with_all_evidence_even_when_frames_are_lost(networks):
    record = play(networks, living(), wire=Losing)
    assert record.decision.outcome == Outcome.CERTIFIED
    assert supports_decision(record, impatient_policy()), "the fleet believes what a terminal writes"
    for kind in (EvidenceKind.CHALLENGE, EvidenceKind.PLANARITY, EvidenceKind.ILLUMINATION, EvidenceKind.CAPTURE_PATH):
        assert of(record, kind).status is EvidenceStatus.PASSED


@pytest.mark.parametrize(
    ("actor", "wire"),
    [
        (lambda: living(), Covered),
        (lambda: living(place=Place(zoom=0.17)), Wire),
        (lambda: living(clip=changed(person(), masked)), Wire),
        (lambda: living(performer=eyes_closed()), Wire),
    ],
    ids=["covered_lens", "three_metres_away", "medical_mask", "eyes_closed_throughout"],
)
def test_what_shows_too_little_of_the_face_is_a_poor_sample(networks, actor, wire):
    record = play(networks, actor(), wire=wire)
    assert record.decision.outcome == Outcome.POOR_SAMPLE
    assert not {Reason.NO_FACE, Reason.QUALITY}.isdisjoint(record.decision.reasons)


def test_a_window_behind_a_living_person_spoils_neither_sample_nor_evidence(networks):
    record = play(networks, living(room=Room(back_light=8.0)))
    assert record.decision.outcome == Outcome.CERTIFIED
    assert of(record, EvidenceKind.ILLUMINATION).status is EvidenceStatus.PASSED


@pytest.mark.parametrize(
    ("wire", "reason"),
    [(Swapping, "time_backwards"), (Doubling, "repeated"), (Restamping, "repeated")],
    ids=["out_of_order", "sent_twice", "sent_twice_as_new"],
)
def test_a_bus_that_disorders_or_repeats_frames_goes_to_review(networks, wire, reason):
    record = play(networks, living(), wire=wire)
    assert record.decision.outcome == Outcome.REVIEW
    assert (of(record, EvidenceKind.CAPTURE_PATH).status, of(record, EvidenceKind.CAPTURE_PATH).reason) == (
        EvidenceStatus.FAILED,
        reason,
    )


def test_five_frames_a_second_are_too_few_for_a_blink_and_nobodys_fault(networks):
    record = play(networks, living(), wire=Slow, seed=seed_that_asks_for_a_blink())
    challenge = of(record, EvidenceKind.CHALLENGE)
    assert record.decision.outcome == Outcome.NOT_CERTIFIED
    assert (challenge.status, challenge.reason) == (EvidenceStatus.NOT_RUN, "frame_rate")


def test_two_people_who_change_places_are_not_certified(networks):
    others = [
        path
        for path in sorted(PEOPLE.glob("*.toml"))
        if isinstance(found := describe(path), LayeredDescription)
        and found.attack is None
        and path.stem != person().name
    ]
    assert others, "demo/people has one rendered person alone, who cannot change places"
    first, second = living(), living(clip=open_layered(others[0]))
    record = play(networks, SwapActor(first, second, after_prompts=1))
    assert record.decision.outcome in {Outcome.PRESENTATION_ATTACK, Outcome.REVIEW, Outcome.NOT_CERTIFIED}
    assert of(record, EvidenceKind.CONTINUITY).status is not EvidenceStatus.PASSED


def test_the_evaluation_certifies_no_attack_and_gives_the_same_figures_again(tmp_path):
    policy = tmp_path / "policy.toml"
    text = (ROOT / "protocol" / "default_policy.toml").read_text(encoding="utf-8")
    begin, end = text.index("[paths.standard]"), text.index("[challenge]")
    paths = 'required = ["challenge", "planarity", "illumination", "continuity", "capture_path"]\n'
    policy.write_text(f"{text[:begin]}[paths.standard]\n{paths}[paths.no_flash]\n{paths}{text[end:]}", encoding="utf-8")

    def report(presentations: int, jobs: int):
        arguments = [
            "--presentations",
            str(presentations),
            "--bona-fide",
            "2",
            "--jobs",
            str(jobs),
            "--policy",
            str(policy),
        ]
        result = CliRunner().invoke(evaluate, ["scenes", *arguments, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    found = report(6, 2)
    assert (found["attacks"], found["attacks_certified"], found["bona_fide"]) == (6, 0, 2)
    assert sum(species["presentations"] for species in found["apcer"].values()) == 6
    assert sum(path["presentations"] for path in found["bpcer"].values()) == 2
    assert found["attacks_certified_interval"][1] == pytest.approx(1 - 0.025 ** (1 / 6))
    assert set(found["groups"]) <= {"development", "held_out"}
    for species in found["apcer"].values():
        assert set(species) >= {"presentations", "certified", "apcer", "interval", "paths"}
    again = report(1, 1)
    assert again["presentations"][0] == found["presentations"][0]


def test_an_attack_picture_held_up_as_a_still_is_never_certified(tmp_path):
    folder = tmp_path / "pad"
    folder.mkdir()
    (folder / "print.png").write_bytes(portrait())
    (folder / "live.png").write_bytes(portrait())
    columns = "file,label,kind,subject,clip,source,view,haar_face\n"
    rows = "pad/print.png,attack,print,a,,made,whole,1\npad/live.png,bonafide,live,a,,made,whole,1\n"
    (folder / "index.csv").write_text(columns + rows)
    result = CliRunner().invoke(evaluate, ["pictures", str(folder / "index.csv"), "--jobs", "1", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["attacks"], found["attacks_certified"]) == (1, 0)
    assert set(found["classes"][0]["outcomes"]) <= {"not_certified", "review", "poor_sample", "presentation_attack"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--people", "empty"], "no layered clip"), (["--policy", "broken.toml"], "broken.toml")],
)
def test_the_evaluation_refuses_in_one_line_what_it_cannot_play(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.toml").write_text("version = 3\n")
    result = CliRunner().invoke(evaluate, ["scenes", *arguments, "--presentations", "1"])
    assert result.exit_code == 2
    assert message in result.stderr
