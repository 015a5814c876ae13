"""The condition of a board that is not there: as it is told, within what a board can be."""

from __future__ import annotations

from protocol.health import FREQUENCY_CAPPED, HAS_OCCURRED, NOW_BITS, THROTTLED, UNDER_VOLTAGE, BoardVitals

_THROTTLES_C = 80.0
"""Source: Raspberry Pi documentation, "Frequency management and thermal control": from here the processor is slowed down."""
_GIB = 1024**3


class SimulatedVitals:
    """A board at rest in a room, on mains power, with a full battery; see `device.ports.Vitals`."""

    def __init__(self) -> None:
        self._temperature_c = 48.0
        self._percent = 100
        self._is_plugged = True
        self._bits = 0
        self._disk_free_bytes = 16 * _GIB

    def read(self) -> BoardVitals:
        """Return how it is now."""
        return BoardVitals(
            temperature_c=self._temperature_c,
            battery_percent=self._percent,
            is_charging=self._is_plugged,
            throttled=self._bits,
            disk_free_bytes=self._disk_free_bytes,
            memory_total_bytes=2 * _GIB,
            memory_available_bytes=_GIB,
        )

    def heat(self, celsius: float) -> None:
        """Bring the processor to a temperature; from 80 degrees on it is slowed down, and that is remembered."""
        self._temperature_c = celsius
        self._raise(FREQUENCY_CAPPED | THROTTLED, is_on=celsius >= _THROTTLES_C)

    def sag(self, *, is_weak: bool = True) -> None:
        """Let the supply be too weak, or not any more; that it was is remembered."""
        self._raise(UNDER_VOLTAGE, is_on=is_weak)

    def unplug(self) -> None:
        """Take mains power away: the battery is used."""
        self._is_plugged = False

    def drain(self, percent: int) -> None:
        """Let the battery lose so many hundredths of what it holds at most, down to nothing; plugged in it loses none."""
        if not self._is_plugged:
            self._percent = max(0, self._percent - percent)

    def fill_disk(self, size: int) -> None:
        """Write so many bytes; no more than there is room for."""
        self._disk_free_bytes = max(0, self._disk_free_bytes - size)

    def _raise(self, bits: int, *, is_on: bool) -> None:
        self._bits = (self._bits | bits | bits << HAS_OCCURRED) if is_on else self._bits & ~(bits & NOW_BITS)
