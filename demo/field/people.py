"""People before a terminal without a camera: they answer the orders of the session as a vision worker would."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from enum import StrEnum

import numpy as np

from device.ports import Button
from device.runner.loop import Runner
from device.runner.orders import (
    CompareWith,
    Findings,
    KeyOf,
    News,
    Order,
    Picture,
    PictureTaken,
    Reopen,
    TakeStill,
)
from device.session.commands import PlayLight, StartAcquisition, StopAcquisition, WatchFace, WatchFor
from device.session.events import ChallengeAnswered, FaultCleared, SampleAssessed, StagePlayed
from device.simulated.clock import SteppedClock
from device.vision.features import FeatureVector
from protocol.cases import PhotoCheck
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.policy import Policy
from protocol.references import protect

_FRAME_NS = 66_000_000
_FEATURES = 128


class Who(StrEnum):
    """How somebody behaves."""

    ALIVE = "alive"
    OTHER = "other"
    """Somebody else under the same number."""
    ALIKE = "alike"
    """So unlike the reference that a person must look."""
    TURNED_AWAY = "turned_away"
    """No picture is good enough."""
    GONE = "gone"
    """Walks away in the middle."""
    DEAF = "deaf"
    """Does not hear what is asked."""
    FLAT = "flat"
    """A picture of the person."""
    UNWILLING = "unwilling"
    """Presses cancel."""


class PlayedPerson:
    """In the place of the vision worker; `step` is called as often as the loop has nothing else to do.

    Args:
        runner: takes the news.
        clock: moves by a frame with every step of a session.
        policy: says what a good sample is.
        model_sha256: digest of the feature network that references name.
        seed: of what is left to chance.
    """

    def __init__(self, runner: Runner, clock: SteppedClock, *, policy: Policy, model_sha256: str, seed: int) -> None:
        self._runner = runner
        self._clock = clock
        self._policy = policy
        self._model_sha256 = model_sha256
        self._chance = random.Random(seed)  # noqa: S311 - behaviour, not secrets
        self._orders: deque[tuple[int, Order]] = deque()
        self._generation = 0
        self._sequence = 0
        self._frames = 0
        self._due: list[tuple[int, News]] = []
        self.who = Who.ALIVE
        self.is_acquiring = False

    def order(self, generation: int, order: Order) -> None:
        """Take an order."""
        self._orders.append((generation, order))

    def step(self) -> None:
        """Carry out what was ordered, then look into the camera for one frame."""
        while self._orders:
            self._generation, order = self._orders.popleft()
            self._carry_out(order)
        if self.is_acquiring:
            self._clock.advance(_FRAME_NS)
            self._look()

    def _carry_out(self, order: Order) -> None:
        now = self._clock.monotonic_ns()
        match order:
            case StartAcquisition():
                self.is_acquiring, self._frames = True, 0
                self._due.clear()
            case StopAcquisition():
                self.is_acquiring = False
                self._due.clear()
            case PlayLight():
                self._later(order.seconds, lambda at: StagePlayed(at, order.play, is_usable=True))
            case WatchFace():
                self._later(order.rules.window_s, lambda at: StagePlayed(at, order.play, is_usable=True))
            case WatchFor() if self.who is not Who.DEAF:
                sequence = self._sequence
                self._later(
                    self._chance.uniform(1.0, 4.0),
                    lambda at: ChallengeAnswered(at, order.prompt, is_performed=True, sequence=sequence),
                )
            case CompareWith():
                self._post(self._findings(order, now))
                order.erase()
            case TakeStill():
                self._post(PictureTaken(order.number, self._picture(order)))
            case Reopen():
                self._post(FaultCleared(now))
            case _:
                pass

    def _later(self, seconds: float, news: Callable[[int], News]) -> None:
        at = self._clock.monotonic_ns() + round(seconds * 1e9)
        self._due.append((at, news(at)))

    def _look(self) -> None:
        now = self._clock.monotonic_ns()
        self._sequence += 1
        self._frames += 1
        for at, news in [due for due in self._due if due[0] <= now]:
            self._due.remove((at, news))
            self._post(news)
        if self.who is Who.UNWILLING and self._frames == 30:
            self._runner.press(Button.CANCEL)
        is_there = not (self.who is Who.GONE and self._frames > 60)
        value = 5.0 if self.who is Who.TURNED_AWAY else 95.0
        quality = tuple((name, value) for name in self._policy.quality.minimum)
        self._post(
            SampleAssessed(
                now,
                self._sequence,
                1 if is_there else None,
                quality if is_there else (),
                has_features=is_there and self.who is not Who.TURNED_AWAY,
                is_at_rest=True,
            )
        )

    def _findings(self, order: CompareWith, now: int) -> Findings:
        similarity = {Who.OTHER: 0.1, Who.ALIKE: 0.5}.get(self.who, 0.9)
        path = order.policy.paths[order.path]
        status = {EvidenceKind.CONTINUITY: EvidenceStatus.PASSED}
        if self.who is Who.FLAT:
            status[EvidenceKind.PLANARITY] = EvidenceStatus.FAILED
        evidence = tuple(
            EvidenceResult(kind=kind, status=status.get(kind, EvidenceStatus.PASSED), reason="played")
            for kind in path.required
            if kind is not EvidenceKind.CHALLENGE
        )
        return Findings(
            at_ns=now,
            similarity=None if order.reference is None else similarity,
            samples=8,
            evidence=evidence,
            quality=tuple((name, 95.0) for name in self._policy.quality.minimum),
            reference=None if order.keep_as is None else self._reference(order.keep_as),
            unified_quality=80.0,
        )

    def _reference(self, key: KeyOf) -> FeatureVector:
        numbers = np.random.default_rng(self._chance.getrandbits(32)).normal(size=_FEATURES)
        unit = (numbers / np.linalg.norm(numbers)).astype(np.float32)
        return FeatureVector(protect(unit, key.secret), self._model_sha256, key.domain)

    def _picture(self, order: TakeStill) -> Picture:
        jpeg = self._chance.randbytes(20_000)
        check = PhotoCheck(name="resolution", passed=True, found=2.0, asked=1.0)
        reference = None if order.keep_as is None else self._reference(order.keep_as)
        return Picture(order.role, jpeg, 1280, 960, (check,), reference, 80.0)

    def _post(self, news: News) -> None:
        self._runner.post(self._generation, news)
