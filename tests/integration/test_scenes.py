"""Rendered people and attacks through whole sessions, and what a bad picture or a bad bus makes of a living person."""

from __future__ import annotations

import json
import logging
from collections import deque
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from device.adapters.inference_tflite import open_networks
from device.adapters.voice_alsa.pack import VoicePack, shipped_folders
from device.adapters.voice_alsa.prompter import VoicePrompter
from device.app.clip import ReferencePicture, play_session
from device.session.commands import Line
from device.simulated.actor import SwapActor
from device.simulated.entropy import SeededEntropy
from device.simulated.layered import LayeredDescription, describe, open_layered
from device.simulated.loudspeaker import SimulatedLoudspeaker
from device.simulated.performers import Answering, Still
from device.simulated.presenting import Filming, Present, Pulse
from device.simulated.scene import LAYER_GAMMA, Layers, Place, Room
from device.vision.frame import Frame
from device.vision.pipeline import VisionPipeline
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
    """The shipped policy with shorter waits: what is tested does not come within longer ones either."""
    policy = default_policy()
    challenge = policy.challenge.model_copy(update={"answer_timeout_s": 4.0, "rest_timeout_s": 6.0})
    timers = policy.timers.model_copy(update={"acquire_s": 6.0})
    return policy.model_copy(update={"challenge": challenge, "timers": timers})


def living(**changes) -> Present:
    clip = changes.pop("clip", person())
    performer = changes.pop("performer", None) or Answering(clip.description)
    return Present(clip, performer, pulse=Pulse(70.0, 0.008), **changes)


def another(name):
    return open_layered(PEOPLE / f"{name}.toml")


@lru_cache(maxsize=4)
def portrait(name: str = "") -> bytes:
    clip = another(name) if name else person()
    pixels = Filming(Present(clip, Still(clip.description.segments.idle[0]))).frame(0.0)[1]
    return cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()


def play(networks, actor, *, path=PathName.STANDARD, seed=3, policy=None, claimed="", **more):
    return play_session(
        NUMBER,
        actor,
        networks=networks,
        policy=policy or impatient_policy(),
        reference=ReferencePicture(portrait(claimed), "portrait", CaptureKind.LIVE),
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


class Timed:
    """A prompter that notes when each line begins, in seconds after the claim; the person hears it at its end.

    Args:
        length_s: how long a line takes.
    """

    def __init__(self, length_s=lambda _line: 0.0):
        self.length_s = length_s
        self.begun_s = {}
        self._spoken = None

    def join(self, hear, clock):
        self._hear, self._clock = hear, clock
        return self

    @property
    def _now_s(self):
        return self._clock.monotonic_ns() / 1e9

    def say(self, line, *, dates=()):
        """A new line cuts off the one before, which is then not heard."""
        self.begun_s.setdefault(line, self._now_s)
        self._spoken = (line, self._now_s + self.length_s(line))
        self.listen()

    def listen(self):
        """Let the person hear a line that has come to its end."""
        if self._spoken is not None and self._now_s >= self._spoken[1]:
            line, self._spoken = self._spoken[0], None
            self._hear(line)

    def wire(self, camera):
        """Return the camera; with each of its frames time goes on."""
        return Listening(camera, self)

    @property
    def seconds(self):
        """From the claim to the moment at which the result is given."""
        return self.begun_s[Line.CERTIFIED]


class Listening(Wire):
    """Nothing but a person who listens between two frames."""

    def __init__(self, camera, timed):
        super().__init__(camera)
        self._timed = timed

    def next(self, timeout_s):
        self._timed.listen()
        return self.camera.capture(timeout_s)


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


MASK_EDGE = (197, 217, 100, 101, 50, 123, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152)
"""Of the mesh, from the bridge of the nose over the subject's right cheek to the chin."""
MASK_EDGE_BACK = (377, 400, 378, 379, 365, 397, 288, 361, 323, 352, 280, 330, 329, 437)
"""And up the left side to the bridge again."""
CLOTH, SKIN = np.array([0.55, 0.68, 0.76], np.float32), 0.40
"""Reflectance of pale blue fleece, and of pale skin. The light on the cloth is that on the skin below it."""
RELIEF_PX = 9.0
"""Cloth bridges what is narrower: lips and nostrils, not cheeks and chin."""


def wearing_a_mask(clip, networks):
    """The clip with a surgical mask over nose, cheeks and chin in every picture, lit by each lamp as cloth on that face is."""
    moments = []
    for one in clip.moments:
        subject = VisionPipeline(networks).process(Frame(one.ambient, 1, 1)).subject
        assert subject is not None, "every picture shows the face"
        cloth = Cloth.over(subject.landmarks.points[:, :2], one.ambient.shape)
        layers = (one.ambient, one.left, one.right)
        ambient, left, right = (
            cloth.lit(codes, scale, side)
            for codes, scale, side in zip(layers, one.scale, (0.0, 1.0, -1.0), strict=True)
        )
        moments.append(Layers(ambient, left, right, one.scale))
    return replace(clip, name="mask", moments=tuple(moments))


@dataclass(frozen=True)
class Cloth:
    """A pleated mask on a face, in the picture."""

    cover: np.ndarray
    """Float (H, W): 1 where cloth is, soft at its edge."""
    across: np.ndarray
    """Float (H, W): -1 at the subject's right edge, 1 at the left."""
    pleats: np.ndarray
    """Float (H, W), -1..1: how far the cloth is turned up by its folds."""
    seam: np.ndarray
    """Float (H, W): 1 on the double edge."""

    @classmethod
    def over(cls, points, shape):
        """Lay it over the landmarks of a picture; it stands out a little below chin and jaw."""
        bridge, chin, right, left = points[197], points[152], points[132], points[361]
        edge = points[[*MASK_EDGE, *MASK_EDGE_BACK]]
        down = (chin - bridge) / np.linalg.norm(chin - bridge)
        below = np.clip((edge - bridge) @ down / ((chin - bridge) @ down), 0, None)[:, None]
        outline = np.round(edge + 0.08 * below * (edge - points[4])).astype(np.int32)
        hard = cv2.fillPoly(np.zeros(shape[:2], np.float32), [outline], 1.0)
        loops = [np.round(np.array(loop)).astype(np.int32) for loop in ((right, points[234]), (left, points[454]))]
        hard = cv2.polylines(hard, loops, isClosed=False, color=1.0, thickness=2)
        seam = cv2.polylines(np.zeros(shape[:2], np.float32), [outline], isClosed=True, color=1.0, thickness=3)
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        along = ((x - bridge[0]) * down[0] + (y - bridge[1]) * down[1]) / ((chin - bridge) @ down)
        aside = left - right
        across = 2 * ((x - right[0]) * aside[0] + (y - right[1]) * aside[1]) / (aside @ aside) - 1
        # Three folds across the middle; each is lit on its upper side and in its own shadow below.
        pleats = np.where((along > 0.25) & (along < 0.85), 1 - 2 * np.mod(along * 5, 1.0), 0.0)
        return cls(
            cv2.GaussianBlur(hard, (0, 0), 0.8), np.clip(across, -1, 1), pleats, cv2.GaussianBlur(seam, (0, 0), 0.8)
        )

    def lit(self, codes, scale, side):
        """Return a layer with the cloth in it, lit from one side (1 is the subject's left) or, by the room, from above."""
        x, y, wide, high = cv2.boundingRect((self.cover > 0).astype(np.uint8))
        part = np.s_[y : y + high, x : x + wide]
        cover, seen = self.cover[part], (codes[part] / np.float32(255)) ** LAYER_GAMMA * scale
        light = cv2.GaussianBlur(seen.mean(2) * cover, (0, 0), RELIEF_PX) / SKIN
        light /= np.maximum(cv2.GaussianBlur(cover, (0, 0), RELIEF_PX), 1e-3)
        tent = 1 + 0.15 * side * self.across[part]
        folds = 1 + (0.08 if side else 0.18) * self.pleats[part]
        cloth = (light * tent * folds * (1 - 0.25 * self.seam[part]))[..., None] * CLOTH
        seen += (cloth - seen) * cover[..., None]
        covered = codes.copy()
        covered[part] = np.round(255 * (np.clip(seen, 0, scale) / scale) ** (1 / LAYER_GAMMA))
        return covered


def eyes_closed() -> Still:
    blink = person().description.segments.blink
    return Still(blink[len(blink) // 2])


def seed_that_asks(wanted, rules=None) -> int:
    """The first seed whose draw is as wanted; the nonce is the second thing a session draws."""
    rules = rules or default_policy().challenge
    for seed in range(100):
        entropy = SeededEntropy(seed)
        entropy.token(16)
        if wanted(draw_actions(entropy.token(16), rules.actions, rules.count, needs_turn=True)):
            return seed
    raise AssertionError("no seed asks for that")


def test_a_living_person_is_certified_with_all_evidence_even_when_frames_are_lost(networks):
    record = play(networks, living(), wire=Losing)
    assert record.decision.outcome == Outcome.CERTIFIED
    assert supports_decision(record, impatient_policy()), "the fleet believes what a terminal writes"
    for kind in (EvidenceKind.CHALLENGE, EvidenceKind.PLANARITY, EvidenceKind.ILLUMINATION, EvidenceKind.CAPTURE_PATH):
        assert of(record, kind).status is EvidenceStatus.PASSED


@pytest.mark.parametrize(
    ("path", "name", "seconds"),
    [
        *((PathName.STANDARD, name, 12.0) for name in ("apricot", "bamboo", "cedar", "cypress", "plum", "willow")),
        (PathName.NO_MOVEMENT, "plum", 20.0),
    ],
)
def test_a_session_is_over_in_seconds(networks, path, name, seconds):
    """From the claim to the result, where nothing must be said twice and people act as soon as a line begins.

    The bars are the product's: nobody of eighty sits still for longer.
    """
    timed = play_timed(networks, Timed(), path=path, name=name)
    logging.getLogger(__name__).info("path=%s person=%s seconds=%.2f", path, name, timed.seconds)
    assert timed.seconds <= seconds


def play_timed(networks, timed, *, path=PathName.STANDARD, name):
    record = play(
        networks,
        living(clip=another(name)),
        path=path,
        claimed=name,
        policy=default_policy(),
        # An opened mouth takes longer than a blink.
        seed=seed_that_asks(lambda drawn: Action.OPEN_MOUTH in drawn),
        witness="w-1",
        wire=timed.wire,
        prompter=timed.join,
    )
    assert record.decision.outcome == Outcome.CERTIFIED
    return timed


def test_who_waits_for_the_end_of_every_spoken_line_takes_as_much_longer(networks):
    """With the shipped Mandarin voice at normal speed this misses the bar of 12 s, as docs/STATUS.md says."""
    voice = VoicePrompter([VoicePack.open(folder) for folder in shipped_folders()], SimulatedLoudspeaker(), ["zh"])
    at_once, waiting = (
        play_timed(networks, Timed(length_s), name="plum") for length_s in (lambda _: 0.0, voice.length_s)
    )
    spoken_s = sum(voice.length_s(line) for line in waiting.begun_s if line in set(Action))
    logging.getLogger(__name__).info("voice=zh person=plum seconds=%.2f spoken=%.2f", waiting.seconds, spoken_s)
    # A person is seen twenty times a second, and moves from one frame to the next.
    assert waiting.seconds == pytest.approx(at_once.seconds + spoken_s, abs=0.1)
    assert waiting.seconds <= 15.0


@pytest.mark.parametrize(
    ("actor", "wire"),
    [
        (lambda: living(), Covered),
        (lambda: living(place=Place(zoom=0.17)), Wire),
        (lambda: living(performer=eyes_closed()), Wire),
    ],
    ids=["covered_lens", "three_metres_away", "eyes_closed_throughout"],
)
def test_what_shows_too_little_of_the_face_is_a_poor_sample(networks, actor, wire):
    record = play(networks, actor(), wire=wire)
    assert record.decision.outcome == Outcome.POOR_SAMPLE
    assert not {Reason.NO_FACE, Reason.QUALITY}.isdisjoint(record.decision.reasons)


def test_whoever_wears_a_mask_is_told_to_take_it_off_until_the_time_is_up(networks):
    """With it she could blink and turn as asked."""
    said = []
    masked = wearing_a_mask(another("plum"), networks)
    seed = seed_that_asks(lambda actions: Action.OPEN_MOUTH not in actions)
    record = play(
        networks, living(clip=masked), claimed="plum", seed=seed, policy=default_policy(), on_line=said.append
    )
    assert (record.decision.outcome, record.decision.reasons[0]) == (Outcome.POOR_SAMPLE, Reason.QUALITY)
    assert set(said) == {Line.LOOK_HERE, Line.FACE_OCCLUSION_PREVENTION, Line.POOR_SAMPLE, Line.WELCOME}


@pytest.mark.parametrize("asks_for_mouth", [True, False])
def test_a_mask_that_hides_less_is_no_sample_either(networks, asks_for_mouth):
    """Hers is nearer to the minimum of the shipped policy; behind it she could blink and turn, and would be compared by her eyes."""
    said = []
    masked = wearing_a_mask(person(), networks)
    seed = seed_that_asks(lambda actions: (actions[0] is Action.OPEN_MOUTH) is asks_for_mouth)
    record = play(networks, living(clip=masked), seed=seed, policy=default_policy(), on_line=said.append)
    assert record.decision.outcome == Outcome.POOR_SAMPLE
    assert Line.FACE_OCCLUSION_PREVENTION in said


def test_an_old_person_with_spectacles_is_certified_on_the_standard_path(networks):
    clip = another("plum")
    assert clip.description.person["glasses"]
    record = play(networks, living(clip=clip), claimed="plum")
    assert record.decision.outcome == Outcome.CERTIFIED
    assert supports_decision(record, impatient_policy())
    assert of(record, EvidenceKind.ILLUMINATION).status is EvidenceStatus.PASSED


def test_whoever_is_asked_to_look_up_and_does_is_certified(networks):
    """Under a policy that asks for it; the shipped one does not (decision 2)."""
    policy = impatient_policy()
    changed = {"actions": (*policy.challenge.actions, Action.LOOK_UP), "count": 3}
    policy = policy.model_copy(update={"challenge": policy.challenge.model_copy(update=changed)})
    seed = seed_that_asks(lambda drawn: drawn[0] is Action.LOOK_UP, policy.challenge)
    record = play(networks, living(), policy=policy, seed=seed)
    assert record.decision.outcome == Outcome.CERTIFIED
    assert (record.challenge[0].action, record.challenge[0].result) == (Action.LOOK_UP, "performed")
    assert supports_decision(record, policy)


@pytest.mark.parametrize(("name", "back_light"), [("apricot", 8.0), ("maple", 2.0)])
def test_a_window_behind_a_living_person_spoils_neither_sample_nor_evidence(networks, name, back_light):
    # Maple's opened mouth is not seen to be open every time, by any light.
    seed = seed_that_asks(lambda drawn: Action.OPEN_MOUTH not in drawn)
    record = play(networks, living(clip=another(name), room=Room(back_light=back_light)), claimed=name, seed=seed)
    assert record.decision.outcome == Outcome.CERTIFIED
    assert of(record, EvidenceKind.ILLUMINATION).status is EvidenceStatus.PASSED


def test_against_a_glaring_window_nobody_is_certified_but_told_to_turn_round(networks):
    said = []
    glaring = living(clip=another("maple"), room=Room(back_light=30.0))
    record = play(networks, glaring, claimed="maple", on_line=said.append)
    assert record.decision.outcome == Outcome.POOR_SAMPLE
    assert Reason.QUALITY in record.decision.reasons
    assert Line.DYNAMIC_RANGE in said, "too bright behind you"


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
    record = play(networks, living(), wire=Slow, seed=seed_that_asks(lambda drawn: drawn[0] is Action.BLINK))
    challenge = of(record, EvidenceKind.CHALLENGE)
    assert record.decision.outcome == Outcome.NOT_CERTIFIED
    assert (challenge.status, challenge.reason) == (EvidenceStatus.NOT_RUN, "frame_rate")


def test_five_frames_a_second_are_enough_for_mouth_turns_depth_and_light(networks):
    seed = seed_that_asks(lambda drawn: Action.BLINK not in drawn)
    record = play(networks, living(), wire=Slow, seed=seed)
    assert record.decision.outcome == Outcome.CERTIFIED
    assert supports_decision(record, impatient_policy()), "every measure reaches what the policy asks, at any rate"
    assert [asked.result for asked in record.challenge] == ["performed"] * default_policy().challenge.count
    assert dict(of(record, EvidenceKind.PLANARITY).measures)["turned_frames"] >= default_policy().planarity.min_frames


def test_two_people_who_change_places_are_a_presentation_attack(networks):
    record = play(networks, SwapActor(living(), living(clip=another("maple")), after_prompts=1))
    continuity = of(record, EvidenceKind.CONTINUITY)
    assert record.decision.outcome == Outcome.PRESENTATION_ATTACK
    assert (continuity.status, continuity.reason) == (EvidenceStatus.FAILED, "features_differ")
    assert continuity.score < default_policy().continuity.min_similarity


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
