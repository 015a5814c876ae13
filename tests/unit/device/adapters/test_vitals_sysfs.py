from __future__ import annotations

from pathlib import Path

import pytest

from device.adapters.vitals_sysfs import SysfsVitals

MEMINFO = (
    "MemTotal:         993280 kB\nMemFree:          100000 kB\nMemAvailable:     500392 kB\nHugePages_Total:       0\n"
)


class Board:
    """A folder that looks like /sys."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.meminfo = root / "meminfo"
        self.meminfo.write_text(MEMINFO, encoding="ascii")

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", encoding="ascii")

    def vitals(self) -> SysfsVitals:
        return SysfsVitals(self.root, sys=self.root, meminfo=self.meminfo)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def test_a_raspberry_pi_4_tells_temperature_memory_disk_and_every_bit_of_its_power(board: Board) -> None:
    board.write("class/thermal/thermal_zone0/type", "cpu-thermal")
    board.write("class/thermal/thermal_zone0/temp", "54530")
    board.write("devices/platform/soc/soc:firmware/get_throttled", "50005")
    found = board.vitals().read()
    assert found.temperature_c == 54.5
    assert found.throttled == 0x50005
    assert (found.is_under_voltage, found.was_under_voltage) == (True, True)
    assert (found.memory_total_bytes, found.memory_available_bytes) == (993280 * 1024, 500392 * 1024)
    assert found.disk_free_bytes is not None
    assert found.disk_free_bytes > 0
    assert (found.battery_percent, found.is_charging) == (None, None)


def test_a_firmware_node_under_another_name_of_the_soc_is_found(board: Board) -> None:
    board.write("devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled", "80000")
    assert board.vitals().read().throttled == 0x80000


@pytest.mark.parametrize(("alarm", "bits"), [("1", 1), ("0", 0)])
def test_where_the_firmware_does_not_tell_the_voltage_alarm_of_hwmon_stands_in(
    board: Board, alarm: str, bits: int
) -> None:
    board.write("class/hwmon/hwmon0/name", "cpu_thermal")
    board.write("class/hwmon/hwmon1/name", "rpi_volt")
    board.write("class/hwmon/hwmon1/in0_lcrit_alarm", alarm)
    assert board.vitals().read().throttled == bits


def test_the_zone_of_the_processor_counts_and_not_that_of_a_radio(board: Board) -> None:
    board.write("class/thermal/thermal_zone0/type", "iwlwifi_1")
    board.write("class/thermal/thermal_zone0/temp", "71000")
    board.write("class/thermal/thermal_zone1/type", "cpu-thermal")
    board.write("class/thermal/thermal_zone1/temp", "43000")
    assert board.vitals().read().temperature_c == 43.0


@pytest.mark.parametrize(
    ("status", "is_charging"), [("Charging", True), ("Full", True), ("Discharging", False), ("Unknown", None)]
)
def test_the_battery_of_the_board_and_not_of_a_keyboard(board: Board, status: str, is_charging: bool | None) -> None:
    board.write("class/power_supply/AC/type", "Mains")
    board.write("class/power_supply/hid-1/type", "Battery")
    board.write("class/power_supply/hid-1/scope", "Device")
    board.write("class/power_supply/hid-1/capacity", "3")
    board.write("class/power_supply/ups/type", "Battery")
    board.write("class/power_supply/ups/capacity", "87")
    board.write("class/power_supply/ups/status", status)
    found = board.vitals().read()
    assert (found.battery_percent, found.is_charging) == (87, is_charging)


def test_a_board_that_tells_nothing_or_nonsense_is_no_error(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.write("class/thermal/thermal_zone0/type", "cpu-thermal")
    board.write("class/thermal/thermal_zone0/temp", "-2147483648")
    board.write("devices/platform/soc/soc:firmware/get_throttled", "garbage")
    board.meminfo.unlink()
    found = SysfsVitals(tmp_path / "gone", sys=tmp_path, meminfo=board.meminfo).read()
    assert set(found.model_dump().values()) == {None}
