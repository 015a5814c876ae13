"""Whether a subject answers a prompt; what follows from the answer is the policy of the certification session."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from device.vision.evidence.actions import ActionInterval, ActionReport
from protocol.challenge import Action


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

    The action is performed once it is seen, however slowly; a blink once the eyes are open again. It must begin after the prompt
    and no sooner than anybody can react to it. Any other action that begins after the prompt and is completed first is a wrong
    one, however small: a recording shows its actions in its own order. Blinks never are, as everybody blinks.
    """

    def __init__(self, action: Action, *, prompted_ns: int, reaction_ns: int = 0) -> None:
        self._action = action
        self._prompted_ns = prompted_ns
        self._answered_ns = prompted_ns + reaction_ns
        self._progress = ChallengeProgress(ChallengeVerdict.PENDING)

    def observe(self, report: ActionReport) -> ChallengeProgress:
        """Take in the report on the next frame and return the verdict so far."""
        if self._progress.verdict is ChallengeVerdict.PENDING:
            self._progress = self._judge(report)
        return self._progress

    def _judge(self, report: ActionReport) -> ChallengeProgress:
        for interval in (*report.completed, *report.active):
            if interval.action is self._action and interval.start_ns >= self._answered_ns:
                return ChallengeProgress(ChallengeVerdict.PERFORMED, interval)
        for interval in report.completed:
            is_other = interval.action not in {self._action, Action.BLINK}
            if is_other and interval.start_ns >= self._prompted_ns:
                return ChallengeProgress(ChallengeVerdict.WRONG_ACTION, interval)
        return self._progress
