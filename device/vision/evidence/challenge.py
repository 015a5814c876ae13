"""Whether a subject answers a prompt; what follows from the answer is the policy of the certification session."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from device.vision.evidence.actions import MOUTH, PITCH, YAW, ActionInterval, ActionReport
from protocol.challenge import Action

WRONG_FACTOR = 1.25
"""A wrong action counts only if its peak is this many times the level at which an action is seen."""
WRONG_SHORTEST_NS = 300_000_000
"""And only if it lasted this long: a nod or a spoken word is no answer to a prompt."""


class ChallengeVerdict(StrEnum):
    """What is known about the answer to a prompt."""

    PENDING = "pending"
    PERFORMED = "performed"
    WRONG_ACTION = "wrong_action"


@dataclass(frozen=True, slots=True)
class ChallengeProgress:
    """The verdict after a frame, and the action it rests on."""

    verdict: ChallengeVerdict
    interval: ActionInterval | None = None


class ChallengeMonitor:
    """Watches for the answer to one prompt. The first verdict stays.

    The action is performed once it is seen, however slowly; a blink once the eyes are open again. Another large action that is
    completed first is a wrong one; blinks never are, as everybody blinks. What began before the prompt does not count.
    """

    def __init__(self, action: Action, *, prompted_ns: int) -> None:
        self._action = action
        self._prompted_ns = prompted_ns
        self._progress = ChallengeProgress(ChallengeVerdict.PENDING)

    def observe(self, report: ActionReport) -> ChallengeProgress:
        """Take in the report on the next frame and return the verdict so far."""
        if self._progress.verdict is ChallengeVerdict.PENDING:
            self._progress = self._judge(report)
        return self._progress

    def _judge(self, report: ActionReport) -> ChallengeProgress:
        answers = [
            interval for interval in (*report.completed, *report.active) if interval.start_ns >= self._prompted_ns
        ]
        for interval in answers:
            if interval.action is self._action:
                return ChallengeProgress(ChallengeVerdict.PERFORMED, interval)
        for interval in report.completed:
            if interval in answers and _is_large(interval):
                return ChallengeProgress(ChallengeVerdict.WRONG_ACTION, interval)
        return self._progress


def _is_large(interval: ActionInterval) -> bool:
    level = _LEVELS.get(interval.action)
    is_long = interval.end_ns - interval.start_ns >= WRONG_SHORTEST_NS
    return level is not None and is_long and interval.peak >= WRONG_FACTOR * level


_LEVELS = {
    Action.TURN_LEFT: YAW.enter,
    Action.TURN_RIGHT: YAW.enter,
    Action.LOOK_UP: PITCH.enter,
    Action.OPEN_MOUTH: MOUTH.enter,
}
