"""What every store of what the terminal's process says must do, and every source of the board's condition."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from device.adapters.running_file import FileRunning
from device.adapters.vitals_sysfs import SysfsVitals
from device.ports import RunningStore, Vitals
from device.simulated.stores import MemoryRunning
from device.simulated.vitals import SimulatedVitals
from protocol.health import HAS_OCCURRED, THROTTLED, BoardVitals, Running

SAID = Running(software="0.6.0", camera_rate_hz=14.8, camera_rate_at=datetime(2026, 11, 2, tzinfo=UTC))


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RunningStore:
    return FileRunning(tmp_path / "data" / "running.json") if request.param == "file" else MemoryRunning()


@pytest.fixture(params=["sysfs", "simulated"])
def vitals(request: pytest.FixtureRequest, tmp_path: Path) -> Vitals:
    return SysfsVitals(tmp_path) if request.param == "sysfs" else SimulatedVitals()


def test_what_was_said_last_is_what_is_known(store: RunningStore) -> None:
    assert store.current() is None
    store.say(SAID)
    store.say(SAID.model_copy(update={"is_mains_lost": True}))
    found = store.current()
    assert found is not None
    assert found.is_mains_lost
    assert found.camera_rate_hz == 14.8


def test_another_process_reads_what_was_said_and_a_damaged_file_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "running.json"
    reader = FileRunning(path)
    FileRunning(path).say(SAID)
    assert reader.current() == SAID
    path.write_bytes(b"{")
    assert reader.current() is None


def test_a_disk_that_takes_nothing_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = FileRunning(tmp_path / "file" / "running.json")
    store.say(SAID)
    assert store.current() is None


def test_a_board_is_read_as_often_as_one_likes(vitals: Vitals) -> None:
    assert isinstance(vitals.read(), BoardVitals)
    first, second = vitals.read(), vitals.read()
    assert first.memory_total_bytes == second.memory_total_bytes


def test_the_simulated_board_remembers_that_it_was_too_hot_and_drains_only_unplugged() -> None:
    board = SimulatedVitals()
    board.drain(10)
    board.heat(84)
    board.heat(60)
    board.unplug()
    board.drain(30)
    found = board.read()
    assert found.throttled is not None
    assert not found.throttled & THROTTLED
    assert found.throttled & THROTTLED << HAS_OCCURRED
    assert (found.battery_percent, found.is_charging, found.temperature_c) == (70, False, 60)
    board.sag()
    assert board.read().is_under_voltage
    board.sag(is_weak=False)
    assert (board.read().is_under_voltage, board.read().was_under_voltage) == (False, True)
