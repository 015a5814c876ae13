from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device.adapters.clock_system import Readings, SystemClock, read_system
from protocol.times import ClockSource

BOOT, OTHER_BOOT = "a" * 32, "b" * 32
T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
SECOND = 1_000_000_000


class Kernel:
    """A kernel whose answers the test sets."""

    def __init__(self) -> None:
        self.readings = Readings(BOOT, 100 * SECOND, datetime(1970, 1, 1, tzinfo=UTC), None, rtc_set_clock=False)

    def __call__(self) -> Readings:
        return self.readings

    def set(self, **changes: object) -> None:
        self.readings = replace(self.readings, **changes)  # type: ignore[arg-type]  # the names are checked by replace

    def run(self, seconds: float) -> None:
        self.set(
            monotonic_ns=self.readings.monotonic_ns + int(seconds * SECOND),
            wall_clock=self.readings.wall_clock + timedelta(seconds=seconds),
        )


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def clock(kernel: Kernel, folder: Path) -> SystemClock:
    return SystemClock(folder / "time.json", read=kernel)


def test_a_time_service_is_believed_with_its_own_bound(kernel: Kernel, tmp_path: Path) -> None:
    kernel.set(wall_clock=T0, network_bound_s=0.25)
    now = clock(kernel, tmp_path).now()
    assert (now.wall_clock, now.source, now.uncertainty_s) == (T0, ClockSource.NETWORK, 0.25)


def test_nothing_vouches_for_a_board_that_just_woke_up(kernel: Kernel, tmp_path: Path) -> None:
    now = clock(kernel, tmp_path).now()
    assert (now.source, now.uncertainty_s, now.last_fleet_time) == (ClockSource.NONE, None, None)


def test_the_fleets_answer_to_a_question_of_this_boot_bounds_the_time(kernel: Kernel, tmp_path: Path) -> None:
    own = clock(kernel, tmp_path)
    asked_ns = kernel.readings.monotonic_ns
    kernel.run(3)
    own.note_fleet_time(T0, after_ns=asked_ns)
    kernel.run(1000)
    now = own.now()
    assert now.source is ClockSource.FLEET
    assert now.wall_clock == T0 + timedelta(seconds=1000)
    assert now.uncertainty_s == pytest.approx(3 + 1000 * 500e-6)
    assert now.last_fleet_time == T0


def test_a_fleet_time_that_answers_nothing_is_a_lower_bound_only(kernel: Kernel, tmp_path: Path) -> None:
    own = clock(kernel, tmp_path)
    own.note_fleet_time(T0)
    now = own.now()
    assert (now.source, now.uncertainty_s, now.last_fleet_time) == (ClockSource.FLEET, None, T0)


def test_the_other_process_knows_what_this_one_was_told(kernel: Kernel, tmp_path: Path) -> None:
    terminal, uplink = clock(kernel, tmp_path), clock(kernel, tmp_path)
    assert terminal.now().source is ClockSource.NONE
    uplink.note_fleet_time(T0, after_ns=kernel.readings.monotonic_ns)
    assert terminal.now().source is ClockSource.FLEET


def test_after_a_restart_of_the_board_only_the_lower_bound_is_left(kernel: Kernel, tmp_path: Path) -> None:
    clock(kernel, tmp_path).note_fleet_time(T0, after_ns=kernel.readings.monotonic_ns)
    kernel.set(boot_id=OTHER_BOOT, monotonic_ns=SECOND)
    now = clock(kernel, tmp_path).now()
    assert (now.source, now.uncertainty_s, now.last_fleet_time) == (ClockSource.NONE, None, T0)


def test_an_older_fleet_time_does_not_take_a_newer_one_back(kernel: Kernel, tmp_path: Path) -> None:
    own = clock(kernel, tmp_path)
    own.note_fleet_time(T0)
    own.note_fleet_time(T0 - timedelta(days=1))
    assert own.now().last_fleet_time == T0


def test_the_tighter_of_two_answers_is_kept(kernel: Kernel, tmp_path: Path) -> None:
    own = clock(kernel, tmp_path)
    kernel.run(60)
    own.note_fleet_time(T0, after_ns=kernel.readings.monotonic_ns - 60 * SECOND)
    own.note_fleet_time(T0, after_ns=kernel.readings.monotonic_ns - 2 * SECOND)
    own.note_fleet_time(T0, after_ns=kernel.readings.monotonic_ns - 30 * SECOND)
    own.note_fleet_time(T0)
    assert own.now().uncertainty_s == pytest.approx(2)


def test_a_hardware_clock_is_as_good_as_its_drift_since_it_was_right(kernel: Kernel, tmp_path: Path) -> None:
    kernel.set(wall_clock=T0, network_bound_s=0.1)
    clock(kernel, tmp_path).now()
    kernel.set(boot_id=OTHER_BOOT, network_bound_s=None, rtc_set_clock=True, wall_clock=T0 + timedelta(days=10))
    now = clock(kernel, tmp_path).now()
    assert now.source is ClockSource.RTC
    assert now.uncertainty_s == pytest.approx(1 + 10 * 86400 * 500e-6)


@pytest.mark.parametrize("wall", [datetime(2000, 1, 1, tzinfo=UTC), T0 - timedelta(seconds=1)])
def test_a_hardware_clock_that_lost_the_date_is_not_believed(kernel: Kernel, tmp_path: Path, wall: datetime) -> None:
    kernel.set(wall_clock=T0, network_bound_s=0.1)
    clock(kernel, tmp_path).now()
    kernel.set(boot_id=OTHER_BOOT, network_bound_s=None, rtc_set_clock=True, wall_clock=wall)
    assert clock(kernel, tmp_path).now().source is ClockSource.NONE


def test_a_hardware_clock_nobody_ever_saw_right_is_not_believed(kernel: Kernel, tmp_path: Path) -> None:
    kernel.set(rtc_set_clock=True, wall_clock=T0)
    assert clock(kernel, tmp_path).now().source is ClockSource.NONE


@pytest.mark.parametrize("content", [b"", b"{", b'{"anchor": 3}', b"\xff"])
def test_a_damaged_memory_is_no_memory(kernel: Kernel, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "time.json").write_bytes(content)
    own = clock(kernel, tmp_path)
    assert own.now().last_fleet_time is None
    own.note_fleet_time(T0)
    assert clock(kernel, tmp_path).now().last_fleet_time == T0


def test_a_folder_that_takes_no_file_still_gives_the_time(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    own = clock(kernel, tmp_path / "file")
    own.note_fleet_time(T0, after_ns=kernel.readings.monotonic_ns)
    assert own.now().source is ClockSource.FLEET


def test_the_card_is_not_written_for_every_receipt(kernel: Kernel, tmp_path: Path) -> None:
    own = clock(kernel, tmp_path)
    stamps = set()
    for second in range(50):
        kernel.run(1)
        own.note_fleet_time(T0 + timedelta(seconds=second), after_ns=kernel.readings.monotonic_ns - SECOND)
        stamps.add((tmp_path / "time.json").stat().st_ino)
    assert len(stamps) == 1


def test_this_machines_kernel_answers(tmp_path: Path) -> None:
    readings = read_system()
    now = SystemClock(tmp_path / "time.json").now()
    assert now.boot_id == readings.boot_id
    assert now.monotonic_ns >= readings.monotonic_ns
    assert abs(now.wall_clock.timestamp() - time.time()) < 60
    assert (now.source is ClockSource.NETWORK) == (readings.network_bound_s is not None)
