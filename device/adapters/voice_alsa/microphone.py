"""The microphone: ALSA's `arecord` as a child process. Tried on ALSA's file device; no sound card was, see `docs/verified.md`."""

from __future__ import annotations

import math
import subprocess
from typing import Final

from device.errors import MicrophoneUnavailable

_PROGRAM: Final = "arecord"
_PATIENCE_S: Final = 5.0
_BYTES_A_SAMPLE: Final = 2


class ArecordMicrophone:
    """See `device.ports.Microphone`.

    Args:
        device: as `arecord -L` names it.
        program: the program to start.
    """

    def __init__(self, device: str, *, program: str = _PROGRAM) -> None:
        self._device = device
        self._program = program

    def record(self, seconds: float, rate_hz: int) -> bytes:
        """Record.

        Raises:
            MicrophoneUnavailable: if the program cannot be started, ends with an error, or gives nothing in time.
        """
        samples = math.ceil(seconds * rate_hz)
        form = ("--file-type=raw", "--format=S16_LE", "--channels=1", f"--rate={rate_hz}", f"--samples={samples}")
        try:
            done = subprocess.run(
                [self._program, "--quiet", f"--device={self._device}", *form],
                capture_output=True,
                timeout=seconds + _PATIENCE_S,
                check=False,
            )
        except OSError as error:
            raise MicrophoneUnavailable(
                f"{self._program}: cannot be started: {error.strerror}; install the package alsa-utils"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise MicrophoneUnavailable(f"{self._program}: gave no sound; see `arecord -L` for the devices") from error
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
            why = said[-1] if said else f"ended with status {done.returncode}"
            raise MicrophoneUnavailable(f"{_PROGRAM}: {why}; see `arecord -L` for the devices")
        return done.stdout[: samples * _BYTES_A_SAMPLE]
