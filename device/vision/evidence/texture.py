"""What a passive network says about the look of the skin, over many frames: the median, so that no single frame decides."""

from __future__ import annotations

import math
import statistics
from collections import deque

from device.vision.evidence.results import Writer
from protocol.evidence import EvidenceKind, EvidenceResult
from protocol.policy import TexturePolicy

_MOST_FRAMES = 300
"""Scores kept: a minute, as five frames a second are scored."""


class TextureRecorder:
    """Collects the scores of a PAD network."""

    def __init__(self) -> None:
        self._scores: deque[float] = deque(maxlen=_MOST_FRAMES)

    def observe(self, score: float, *, is_at_rest: bool) -> None:
        """Take in the score of one frame, 0..1, larger = more likely bona fide; only frames at rest count."""
        if is_at_rest and math.isfinite(score):
            self._scores.append(score)

    def forget(self) -> None:
        """Drop all scores."""
        self._scores.clear()

    def assess(self, rules: TexturePolicy | None) -> EvidenceResult:
        """Judge what was seen so far.

        Args:
            rules: the policy's thresholds of the network that gave the scores; None where it names none.

        Returns:
            The score is the median. Passed with `skin`, failed with `not_skin`. Not run with `not_in_policy` or `too_few_frames`.
        """
        write = Writer(EvidenceKind.TEXTURE)
        if rules is None:
            return write.not_run("not_in_policy")
        measures = {"frames": float(len(self._scores))}
        if len(self._scores) < rules.min_frames:
            return write.not_run("too_few_frames", measures)
        score = statistics.median(self._scores)
        return write.judged(score, rules.min_score, reasons=("skin", "not_skin"), measures=measures)
