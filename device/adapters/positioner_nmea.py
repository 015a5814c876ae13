"""A position receiver that speaks NMEA 0183 on a serial or USB device file.

A thread reads it; who asks gets the newest fix while it is fresh. Without one a visit is stamped with the place the worker chose.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import termios
import threading
import tty
from collections.abc import Callable
from pathlib import Path

from protocol.visits import Place

logger = logging.getLogger(__name__)

_FRESH_NS = 60_000_000_000
"""An older fix may be of the last village."""
_UERE_M = 5.0
"""One sigma of the range error to a satellite; times the dilution of precision it bounds the position's. Source: GPS Standard
Positioning Service Performance Standard, 5th ed., table B.2-1: 4.5 m and less for single-frequency receivers, rounded up."""
_REOPEN_S = 5.0
_SILENCE_S = 2.0
_LONGEST_LINE = 1024
_SPEEDS = {4800: termios.B4800, 9600: termios.B9600, 38400: termios.B38400, 115200: termios.B115200}


class NmeaPositioner:
    """See `device.ports.Positioner`.

    Args:
        path: the device file.
        baud: its speed; a USB receiver ignores it.
        monotonic_ns: measures how old a fix is.
    """

    def __init__(self, path: Path, *, baud: int, monotonic_ns: Callable[[], int]) -> None:
        self._path = path
        self._speed = _SPEEDS[baud]
        self._monotonic_ns = monotonic_ns
        self._lock = threading.Lock()
        self._fix: tuple[int, Place] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="positioner", daemon=True)

    def start(self) -> None:
        """Begin to listen; a receiver that is not there is waited for."""
        self._thread.start()

    def place(self) -> Place | None:
        """Return the position now, None while there is no fresh fix."""
        with self._lock:
            found = self._fix
        if found is None or self._monotonic_ns() - found[0] > _FRESH_NS:
            return None
        return found[1]

    def stop(self) -> None:
        """End; may be called twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_SILENCE_S + _REOPEN_S)

    def _work(self) -> None:
        is_lost = False
        while not self._stopping.is_set():
            try:
                descriptor = os.open(self._path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
            except OSError as error:
                if not is_lost:
                    logger.warning("position receiver not there device=%s why=%s", self._path.name, error.strerror)
                is_lost = True
                self._stopping.wait(_REOPEN_S)
                continue
            is_lost = False
            try:
                self._listen(descriptor)
            except OSError as error:
                logger.warning("position receiver lost device=%s why=%s", self._path.name, error.strerror)
                is_lost = True
            finally:
                os.close(descriptor)

    def _listen(self, descriptor: int) -> None:
        with contextlib.suppress(termios.error):
            # A file that is no terminal is read as it comes.
            tty.setraw(descriptor, termios.TCSANOW)
            state = termios.tcgetattr(descriptor)
            state[4] = state[5] = self._speed
            termios.tcsetattr(descriptor, termios.TCSANOW, state)
        waiting = b""
        while not self._stopping.is_set():
            ready, _, _ = select.select([descriptor], [], [], _SILENCE_S)
            if not ready:
                continue
            data = os.read(descriptor, 4096)
            if not data:
                raise OSError(5, "ended")
            *lines, waiting = (waiting + data).split(b"\n")
            waiting = waiting[-_LONGEST_LINE:]
            for line in lines:
                self._hear(line)

    def _hear(self, line: bytes) -> None:
        place = read_fix(line)
        if place is not None:
            with self._lock:
                self._fix = (self._monotonic_ns(), place)


def read_fix(line: bytes) -> Place | None:
    """Return the position in a line of NMEA 0183, None where it is no fix: another sentence, no satellites, noise on the line."""
    # Imported where a receiver speaks: a terminal without one does not pay for it at its start.
    import pynmea2

    try:
        sentence = pynmea2.parse(line.decode("ascii").strip(), check=True)
        if not isinstance(sentence, pynmea2.types.talker.GGA) or int(sentence.gps_qual or 0) < 1:
            return None
        return Place(
            latitude_deg=round(float(sentence.latitude), 5),
            longitude_deg=round(float(sentence.longitude), 5),
            accuracy_m=round(float(sentence.horizontal_dil) * _UERE_M, 1),
            source="receiver",
        )
    except (pynmea2.ParseError, ValueError, TypeError, AttributeError):
        return None
