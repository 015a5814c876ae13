"""A loudspeaker that remembers what it played."""

from __future__ import annotations

import threading

from device.errors import LoudspeakerUnavailable


class SimulatedLoudspeaker:
    """Plays nothing: a sound ends at once, or when it is told to; remembers every sound.

    Args:
        is_held: whether each sound goes on until `finish` or until it is stopped.
    """

    def __init__(self, *, is_held: bool = False) -> None:
        self._is_held = is_held
        self._is_unplugged = False
        self.played: list[SimulatedPlaying] = []

    def play(self, pcm: bytes, rate_hz: int) -> SimulatedPlaying:
        """Begin to play.

        Raises:
            LoudspeakerUnavailable: while unplugged.
        """
        if self._is_unplugged:
            raise LoudspeakerUnavailable("simulated loudspeaker: unplugged")
        playing = SimulatedPlaying(pcm, rate_hz)
        self.played.append(playing)
        if not self._is_held:
            playing.finish()
        return playing

    def unplug(self) -> None:
        """Take it away."""
        self._is_unplugged = True

    def plug_in(self) -> None:
        """Give it back."""
        self._is_unplugged = False


class SimulatedPlaying:
    """A sound that is played."""

    def __init__(self, pcm: bytes, rate_hz: int) -> None:
        self.pcm = pcm
        self.seconds = len(pcm) / 2 / rate_hz
        self.is_stopped = False
        self._ended = threading.Event()

    def wait(self) -> None:
        """Return at its end."""
        self._ended.wait()

    def stop(self) -> None:
        """Silence it."""
        self.is_stopped = self.is_stopped or not self._ended.is_set()
        self._ended.set()

    def finish(self) -> None:
        """Let it come to its end."""
        self._ended.set()
