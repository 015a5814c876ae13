"""The loudspeaker: ALSA's `aplay` as a child process that is fed on its standard input."""

from __future__ import annotations

import subprocess
import threading
from typing import Final

from device.errors import LoudspeakerUnavailable

_PROGRAM: Final = "aplay"
_CHUNK_BYTES: Final = 4096
_BYTES_A_SAMPLE: Final = 2
_PATIENCE_S: Final = 5.0
"""A sound card that takes so much longer than the sound lasts hangs: ALSA's buffer holds half a second."""


class AplayLoudspeaker:
    """Plays through an ALSA device. One process for each sound, so that silence is a `kill` and nothing is left in a buffer.

    Args:
        device: as `aplay -L` names it; `default` follows `/etc/asound.conf`, `null` plays nothing.
        program: the program to start.
    """

    def __init__(self, device: str, *, program: str = _PROGRAM) -> None:
        self._device = device
        self._program = program

    def play(self, pcm: bytes, rate_hz: int) -> AplayPlaying:
        """Begin to play.

        Raises:
            LoudspeakerUnavailable: if the program cannot be started.
        """
        form = ("--file-type=raw", "--format=S16_LE", "--channels=1", f"--rate={rate_hz}")
        try:
            process = subprocess.Popen(
                [self._program, "--quiet", f"--device={self._device}", *form],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                # Without a buffer of ours nothing is left to flush into a killed process.
                bufsize=0,
            )
        except OSError as error:
            raise LoudspeakerUnavailable(
                f"{self._program}: cannot be started: {error.strerror}; install the package alsa-utils"
            ) from error
        return AplayPlaying(process, pcm, seconds=len(pcm) / _BYTES_A_SAMPLE / rate_hz)


class AplayPlaying:
    """A sound that a process plays."""

    def __init__(self, process: subprocess.Popen[bytes], pcm: bytes, *, seconds: float) -> None:
        self._process = process
        self._pcm = memoryview(pcm)
        self._seconds = seconds
        self._is_stopped = threading.Event()

    def wait(self) -> None:
        """Feed the process until its end.

        Raises:
            LoudspeakerUnavailable: if it ended with an error or hangs, unless it was stopped.
        """
        # The process alone knows when a hanging card will take no more; a killed one ends the feeding.
        watchdog = threading.Timer(self._seconds + _PATIENCE_S, self._process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            said = self._feed()
        finally:
            watchdog.cancel()
            watchdog.join()
        if self._process.returncode != 0 and not self._is_stopped.is_set():
            why = said.strip().splitlines()[-1] if said.strip() else f"ended with status {self._process.returncode}"
            raise LoudspeakerUnavailable(f"{_PROGRAM}: {why}; see `aplay -L` for the devices")

    def stop(self) -> None:
        """Kill the process."""
        self._is_stopped.set()
        self._process.kill()

    def _feed(self) -> str:
        with self._process as process:
            if process.stdin is None or process.stderr is None:
                raise LoudspeakerUnavailable(f"{_PROGRAM}: started without pipes")
            try:
                left = self._pcm
                while left:
                    left = left[process.stdin.write(left[:_CHUNK_BYTES]) :]
                process.stdin.close()
            except BrokenPipeError:
                # Its message and status say why it takes no more.
                pass
            return process.stderr.read().decode("utf-8", errors="replace")
