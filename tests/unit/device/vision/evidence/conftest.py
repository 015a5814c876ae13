"""A subject whose signals are written down frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from device.vision.evidence.actions import ActionDetector, ActionReport, Motion

Signals = dict[str, float]


@pytest.fixture
def play() -> Callable[..., list[ActionReport]]:
    """Run signals through a detector; what a frame does not name is at rest."""

    def run(
        frames: Iterable[Signals | None], *, rate: float = 30, detector: ActionDetector | None = None, start: int = 0
    ) -> list[ActionReport]:
        detector = detector or ActionDetector()
        reports = []
        for index, signals in enumerate(frames, start):
            now = round(index * 1e9 / rate)
            motion = None
            if signals is not None:
                rest = {"yaw_deg": 0.0, "pitch_deg": 0.0, "mouth": 0.02, "openness": 0.3, "track_id": 1}
                motion = Motion(sequence=index, monotonic_ns=now, **{**rest, **signals})
            reports.append(detector.observe(motion, monotonic_ns=now))
        return reports

    return run
