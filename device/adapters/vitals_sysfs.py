"""What the kernel tells everybody about the board: temperature, power, memory, disk; no special right is needed for any of it.

Tried without a board on folders that look like /sys and /proc; the files are Raspberry Pi OS's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from protocol.health import UNDER_VOLTAGE, BoardVitals

_FIRMWARE = "devices/platform/soc*/*firmware/get_throttled"
"""The bits of `vcgencmd get_throttled`, in hexadecimal; the command itself needs /dev/vcio, which the uplink does not have. The kernel
notes once in each boot that it would rather be asked through hwmon, which has the first bit alone.
Source: raspberrypi/linux, drivers/firmware/raspberrypi.c (pull request 2397)."""
_VOLT = "rpi_volt"
"""Source: Linux drivers/hwmon/raspberrypi-hwmon.c; `in0_lcrit_alarm` is 1 while the supply is under voltage."""
_PROCESSOR = ("cpu-thermal", "cpu_thermal", "soc-thermal", "x86_pkg_temp", "acpitz")
"""Names of the processor's thermal zone, those of Raspberry Pi OS first."""
_KIB = 1024


class SysfsVitals:
    """See `device.ports.Vitals`.

    Args:
        data_dir: the folder whose file system is to have room.
        sys: where the kernel shows its devices.
        meminfo: where it tells of the memory.
    """

    def __init__(self, data_dir: Path, *, sys: Path = Path("/sys"), meminfo: Path = Path("/proc/meminfo")) -> None:
        self._data_dir = data_dir
        self._sys = sys
        self._meminfo = meminfo

    def read(self) -> BoardVitals:
        """Return what can be read now."""
        percent, is_charging = self._battery()
        memory = self._memory()
        return BoardVitals(
            temperature_c=self._temperature_c(),
            battery_percent=percent,
            is_charging=is_charging,
            throttled=self._throttled(),
            disk_free_bytes=self._disk_free_bytes(),
            memory_total_bytes=memory.get("MemTotal"),
            memory_available_bytes=memory.get("MemAvailable"),
        )

    def _temperature_c(self) -> float | None:
        zones = {_line(zone / "type"): zone for zone in sorted(self._sys.glob("class/thermal/thermal_zone*"))}
        named = next((zones[name] for name in _PROCESSOR if name in zones), None)
        found = None if named is None else _number(named / "temp")
        # The kernel counts in thousandths. A sensor that reads nonsense is none.
        return None if found is None or not -60_000 <= found <= 200_000 else round(found / 1000, 1)

    def _battery(self) -> tuple[int | None, bool | None]:
        for supply in sorted(self._sys.glob("class/power_supply/*")):
            # Batteries of mice and keyboards have the scope `Device`. Source: Linux Documentation/ABI/testing/sysfs-class-power.
            if _line(supply / "type") != "Battery" or _line(supply / "scope") == "Device":
                continue
            percent = _number(supply / "capacity")
            status = _line(supply / "status")
            return (
                None if percent is None else min(100, max(0, percent)),
                None if status in (None, "Unknown") else status in ("Charging", "Full"),
            )
        return None, None

    def _throttled(self) -> int | None:
        for path in sorted(self._sys.glob(_FIRMWARE)):
            if (bits := _number(path, base=16)) is not None:
                return bits & 0xFFFFF
        for monitor in sorted(self._sys.glob("class/hwmon/hwmon*")):
            if _line(monitor / "name") == _VOLT and (alarm := _number(monitor / "in0_lcrit_alarm")) is not None:
                return UNDER_VOLTAGE if alarm else 0
        return None

    def _disk_free_bytes(self) -> int | None:
        try:
            found = os.statvfs(self._data_dir)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize

    def _memory(self) -> dict[str, int]:
        return {
            name: int(words[0]) * _KIB
            for name, words in self._memory_lines()
            if name in ("MemTotal", "MemAvailable") and words and words[0].isascii() and words[0].isdigit()
        }

    def _memory_lines(self) -> Iterator[tuple[str, list[str]]]:
        try:
            text = self._meminfo.read_text(encoding="ascii", errors="replace")
        except OSError:
            return
        for line in text.splitlines():
            name, _, rest = line.partition(":")
            yield name, rest.split()


def _line(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path, *, base: int = 10) -> int | None:
    try:
        return int(_line(path) or "", base)
    except ValueError:
        return None
