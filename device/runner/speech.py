"""How long the line said last takes: what is in no hurry waits until it has been said."""

from __future__ import annotations

from device.ports import Clock, Prompter
from device.session.commands import Line


class Speech:
    """Says lines outside a session, and knows until when the line said last is being said. Used by the loop's thread.

    Args:
        prompter: speaks.
        clock: measures.
    """

    def __init__(self, prompter: Prompter, clock: Clock) -> None:
        self._prompter = prompter
        self._clock = clock
        self._quiet_ns = 0

    @property
    def is_over(self) -> bool:
        """Whether the line said last has been said."""
        return self._clock.monotonic_ns() >= self._quiet_ns

    def begun(self, line: str) -> None:
        """Somebody else begins to say a line."""
        self._quiet_ns = self._clock.monotonic_ns() + round(self._prompter.length_s(line) * 1e9)

    def say(self, line: Line) -> None:
        """Say a line."""
        self.begun(line.value)
        self._prompter.say(line.value)
