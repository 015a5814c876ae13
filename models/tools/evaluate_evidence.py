"""Each kind of evidence by itself: what it says of rendered people and of each species of attack, without a session around it.

Every presentation is watched for as long as all kinds need: the light code, a turn to either side, and some seconds at rest. So a
kind is judged here that a session would never have come to, because another one had stopped it before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from device.runner.light import LightPlayer
from device.session.commands import Line, PlayLight
from device.simulated.actor import Actor
from device.simulated.camera import SimulatedCamera, SimulatedRingLight
from device.simulated.clock import SteppedClock
from device.vision.evidence.actions import ActionDetector, motion_of
from device.vision.evidence.capture_path import CapturePathRecorder
from device.vision.evidence.illumination import IlluminationRecorder
from device.vision.evidence.planarity import PlanarityRecorder
from device.vision.evidence.pulse import PulseRecorder
from device.vision.frame import Frame
from device.vision.inference import Networks
from device.vision.pipeline import SubjectObservation, VisionPipeline
from models.tools.metrics import clopper_pearson
from models.tools.scene_presentations import BONA_FIDE, People, Presentation, build, find_people, plan, session_nonce
from models.tools.sessions import Opened, networks_of, policy_of, spread
from protocol.challenge import Action, draw_light_code
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.policy import LightPolicy, PathName, Policy

KINDS = (EvidenceKind.PLANARITY, EvidenceKind.ILLUMINATION, EvidenceKind.PULSE, EvidenceKind.CAPTURE_PATH)
_SETTLE_S = 1.5
"""Rest before anything is asked, in which exposure and rest are found."""
_TURN_S = 4.0
"""From the prompt to the end of a turn."""
_QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the kinds said of one presentation."""

    presentation: Presentation
    light: PathName
    """Whose light code was played."""
    results: tuple[EvidenceResult, ...]


def evaluate_evidence(
    folder: Path,
    opened: Opened,
    *,
    attacks: int,
    bona_fide: int,
    jobs: int,
    seed: int,
    on_played: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Return scores, reasons and measures by kind, light code, group and species.

    Args:
        folder: of the rendered people.
        opened: networks and policy.
        attacks: attack presentations, with each light code.
        bona_fide: presentations of living people, with each light code.
        jobs: processes.
        seed: of everything that varies.
        on_played: is told how many are done, and of how many.

    Raises:
        ClipInvalid: if a description cannot be used.
        ValueError: if the policy cannot be read.
    """
    policy, people = policy_of(opened), find_people(folder)
    only = policy.model_copy(update={"paths": {PathName.STANDARD: policy.paths[PathName.STANDARD]}})
    planned = plan(people, only, attacks=attacks, bona_fide=bona_fide, seed=seed)
    lights = _different(policy)
    tasks = [(each, light) for each in sorted(planned, key=lambda each: each.person) for light in lights]
    judged: list[Judged] = []
    for done in spread(_judge, tasks, folder, opened, jobs=jobs):
        judged.append(done)
        on_played(len(judged), len(tasks))
    return {
        "presentations": len(judged),
        "people": {group: sorted(n for n, g in people.group_of.items() if g == group) for group in _groups(judged)},
        "rows": [row for kind in KINDS for row in _rows(kind, judged)],
        "seed": seed,
        "method": "rendered people and attacks under a simulated sensor; each kind judged alone. The rates say how the kinds behave "
        "under light simulated by us and are no error rates of the product",
    }


def _judge(task: tuple[Presentation, PathName], folder: Path, opened: Opened) -> Judged:
    presentation, light = task
    policy = policy_of(opened)
    actor = build(replace(presentation, path=light), _people(folder), policy)
    watch = _Watch(actor, networks_of(opened), presentation.seed)
    watch.look(_SETTLE_S)
    watch.play(policy.light[light], presentation.seed)
    for action in (Action.TURN_LEFT, Action.TURN_RIGHT):
        watch.ask(action)
    watch.watch(policy.pulse.window_s + 0.5 if policy.pulse else 0.0)
    return Judged(presentation, light, watch.assess(policy))


class _Watch:
    """A camera with a ring before one presentation, and the recorders of all kinds behind it."""

    def __init__(self, actor: Actor, networks: Networks, seed: int) -> None:
        self._clock = SteppedClock(_START)
        self._camera = SimulatedCamera(actor, self._clock, seed=seed)
        self._light = LightPlayer(self._camera, ring := SimulatedRingLight(self._camera))
        self._pipeline, self._actions = VisionPipeline(networks), ActionDetector()
        self._planarity, self._illumination = PlanarityRecorder(), IlluminationRecorder()
        self._pulse, self._capture_path = PulseRecorder(), CapturePathRecorder()
        self._camera.start()
        ring.start()

    def look(self, seconds: float) -> None:
        """Look on without asking anything."""
        for _ in self._frames(seconds):
            pass

    def play(self, rules: LightPolicy, seed: int) -> None:
        """Play the light code that a session of the presentation begins with."""
        code = draw_light_code(session_nonce(seed), rules)
        order = PlayLight(0, code, chip_s=rules.chip_s, ramp_s=rules.ramp_s, rules=None)
        self._camera.hear(Line.LIGHT)
        self._light.begin(order, self._clock.monotonic_ns())
        while not self._light.play(self._clock.monotonic_ns()):
            frame, subject = self._next()
            if frame is not None and subject is not None:
                self._illumination.observe(frame, subject.landmarks)

    def ask(self, action: Action) -> None:
        """Ask for a movement and watch it; whatever moves meanwhile is judged, whether or not it is the answer."""
        self._camera.hear(action.value)
        self._planarity.drop()
        for _ in self._frames(_TURN_S):
            pass
        self._planarity.keep(0)

    def watch(self, seconds: float) -> None:
        """Watch the face at rest, with the exposure held."""
        self._camera.lock_exposure(1.0)
        for frame, subject in self._frames(seconds):
            if subject is not None:
                self._pulse.observe(frame, subject.landmarks)

    def assess(self, policy: Policy) -> tuple[EvidenceResult, ...]:
        """Return a result for each kind, in the order of `KINDS`."""
        return (
            self._planarity.assess(policy.planarity),
            self._illumination.assess(policy.illumination, self._light.stimulus),
            self._pulse.assess(policy.pulse),
            self._capture_path.assess(policy.capture_path, self._light.stimulus),
        )

    def _frames(self, seconds: float) -> Iterator[tuple[Frame, SubjectObservation | None]]:
        until_ns = self._clock.monotonic_ns() + round(seconds * 1e9)
        while self._clock.monotonic_ns() < until_ns:
            frame, subject = self._next()
            if frame is not None:
                yield frame, subject

    def _next(self) -> tuple[Frame | None, SubjectObservation | None]:
        frame = self._camera.capture(0.1)
        if frame is None:
            return None, None
        self._capture_path.observe(frame)
        observation = self._pipeline.process(frame)
        report = self._actions.observe(motion_of(observation), monotonic_ns=observation.monotonic_ns)
        subject = observation.subject
        if subject is not None and report.is_at_rest:
            self._planarity.observe_rest(subject.landmarks, subject.pose)
        elif subject is not None:
            self._planarity.observe_movement(frame.sequence, subject.landmarks, subject.pose)
        return frame, subject


def _rows(kind: EvidenceKind, judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Return a row for each light code, group and species."""
    rows = []
    keys = sorted(
        {(each.light, each.presentation.group, each.presentation.species) for each in judged},
        key=lambda key: (key[0], key[1], key[2] != BONA_FIDE, key[2]),
    )
    for light, group, species in keys:
        results = [
            result
            for each in judged
            for result in each.results
            if (each.light, each.presentation.group, each.presentation.species) == (light, group, species)
            and result.kind is kind
        ]
        passed = sum(result.status is EvidenceStatus.PASSED for result in results)
        failed = sum(result.status is EvidenceStatus.FAILED for result in results)
        scores = [result.score for result in results if result.score is not None]
        rows.append(
            {
                "kind": kind.value,
                "light": light.value,
                "group": group,
                "species": species,
                "presentations": len(results),
                "passed": passed,
                "passed_interval": clopper_pearson(passed, len(results)),
                "failed": failed,
                "not_run": len(results) - passed - failed,
                "reasons": dict(Counter(result.reason for result in results)),
                "scores": [round(float(value), 3) for value in np.quantile(scores, _QUANTILES)] if scores else [],
                "measures": _measures(results),
            }
        )
    return rows


def _measures(results: Sequence[EvidenceResult]) -> dict[str, list[float]]:
    """Return least, median and most of every measure."""
    names = sorted({name for result in results for name in result.measures})
    found = {name: [result.measures[name] for result in results if name in result.measures] for name in names}
    return {name: [round(float(value), 3) for value in np.quantile(found[name], (0.0, 0.5, 1.0))] for name in names}


def _different(policy: Policy) -> tuple[PathName, ...]:
    """Return one path for each light code of the policy that is unlike the others."""
    chosen: dict[str, PathName] = {}
    for path, rules in policy.light.items():
        chosen.setdefault(rules.model_dump_json(), path)
    return tuple(chosen.values())


def _groups(judged: Sequence[Judged]) -> list[str]:
    return sorted({each.presentation.group for each in judged})


@lru_cache(maxsize=1)
def _people(folder: Path) -> People:
    return find_people(folder)
