from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.adapters.clock_system import Readings, SystemClock, read_system
from protocol.times import ClockSource, best_guess

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


def test_a_look_for_a_check_says_the_same_and_writes_nothing(kernel: Kernel, tmp_path: Path) -> None:
    seen = clock(kernel, tmp_path).peek()
    assert not list(tmp_path.iterdir())
    assert seen == clock(kernel, tmp_path).now()


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
    assert now.uncertainty_s == pytest.approx(3 * (1 + 500e-6) + 1000 * 500e-6)
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
    assert own.now().uncertainty_s == pytest.approx(2 * (1 + 500e-6))


def test_a_hardware_clock_is_as_good_as_its_drift_since_it_was_right(kernel: Kernel, tmp_path: Path) -> None:
    kernel.set(wall_clock=T0, network_bound_s=0.1)
    clock(kernel, tmp_path).now()
    kernel.set(boot_id=OTHER_BOOT, network_bound_s=None, rtc_set_clock=True, wall_clock=T0 + timedelta(days=10))
    now = clock(kernel, tmp_path).now()
    assert now.source is ClockSource.RTC
    assert now.uncertainty_s == pytest.approx(1 + 0.1 + 10 * 86400 * 500e-6)


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


YEAR = timedelta(days=365)


def test_a_clock_set_by_hand_is_noticed_with_direction_and_size(kernel: Kernel, tmp_path: Path) -> None:
    kernel.set(wall_clock=T0)
    own = clock(kernel, tmp_path)
    assert own.now().jumps == 0
    kernel.run(3600)
    kernel.set(wall_clock=kernel.readings.wall_clock - timedelta(hours=5))
    back = own.now()
    assert back.last_jump is not None
    assert (back.jumps, back.last_jump.direction, back.last_jump.at_start) == (1, "backward", False)
    assert back.last_jump.seconds == pytest.approx(5 * 3600)
    kernel.run(10)
    kernel.set(wall_clock=kernel.readings.wall_clock + 70 * YEAR)
    ahead = own.now()
    assert ahead.last_jump is not None
    assert (ahead.jumps, ahead.last_jump.direction) == (2, "forward")
    assert ahead.last_jump.seconds == pytest.approx(70 * 365 * 86400)


def test_the_other_process_counts_a_jump_once(kernel: Kernel, tmp_path: Path) -> None:
    kernel.set(wall_clock=T0)
    terminal, uplink = clock(kernel, tmp_path), clock(kernel, tmp_path)
    terminal.now()
    uplink.now()
    kernel.set(wall_clock=T0 + YEAR)
    assert [one.now().jumps for one in (terminal, uplink, terminal)] == [1, 1, 1]


def test_steps_too_small_to_be_jumps_add_up_to_one(kernel: Kernel, tmp_path: Path) -> None:
    kernel.set(wall_clock=T0)
    own = clock(kernel, tmp_path)
    counts = []
    for _ in range(4):
        counts.append(own.now().jumps)
        kernel.set(wall_clock=kernel.readings.wall_clock + timedelta(seconds=0.9))
    assert counts == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("wall", "direction"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), "backward"),
        (T0 - timedelta(minutes=1), "backward"),
        (datetime(2099, 1, 1, tzinfo=UTC), "forward"),
        (T0 + timedelta(days=90), None),
    ],
)
def test_a_start_at_an_impossible_date_is_a_jump(
    kernel: Kernel, tmp_path: Path, wall: datetime, direction: str | None
) -> None:
    kernel.set(wall_clock=T0, network_bound_s=0.1)
    clock(kernel, tmp_path).now()
    kernel.set(boot_id=OTHER_BOOT, monotonic_ns=SECOND, network_bound_s=None, wall_clock=wall)
    now = clock(kernel, tmp_path).now()
    assert (now.source, now.uncertainty_s) == (ClockSource.NONE, None)
    assert (None if now.last_jump is None else now.last_jump.direction) == direction
    assert now.last_jump is None or now.last_jump.at_start
    assert now.not_before is not None
    assert T0 - timedelta(seconds=1) <= now.not_before <= T0 + timedelta(seconds=2)


def test_sleep_is_no_jump_and_its_time_counts(kernel: Kernel, tmp_path: Path) -> None:
    kernel.set(wall_clock=T0)
    own = clock(kernel, tmp_path)
    own.note_fleet_time(T0, after_ns=kernel.readings.monotonic_ns)
    # The clock of the boot runs on while the board sleeps, as the wall clock does.
    kernel.run(8 * 3600)
    now = own.now()
    assert (now.jumps, now.wall_clock) == (0, T0 + timedelta(hours=8))


@pytest.mark.parametrize("date", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC)])
def test_a_clock_set_by_hand_after_a_time_service_answered_changes_nothing(
    kernel: Kernel, tmp_path: Path, date: datetime
) -> None:
    kernel.set(wall_clock=T0, network_bound_s=0.1, network_stamp=1)
    own = clock(kernel, tmp_path)
    own.now()
    kernel.run(100)
    # Where the kernel may be asked it says that nothing keeps the clock; else the mark is that of the old answer.
    for bound in (None, 5.0):
        kernel.set(wall_clock=date, network_bound_s=bound)
        now = own.now()
        assert now.wall_clock == T0 + timedelta(seconds=100)
        assert now.uncertainty_s == pytest.approx(0.1 + 100 * 500e-6)
        assert now.jumps == 1
    kernel.set(wall_clock=T0 + timedelta(seconds=100), network_bound_s=0.2, network_stamp=2)
    assert own.now().uncertainty_s == 0.2


def test_a_hardware_clock_goes_on_although_the_wall_clock_was_set(kernel: Kernel, tmp_path: Path) -> None:
    kernel.set(wall_clock=T0, network_bound_s=0.1)
    clock(kernel, tmp_path).now()
    kernel.set(
        boot_id=OTHER_BOOT,
        monotonic_ns=SECOND,
        network_bound_s=None,
        rtc_set_clock=True,
        wall_clock=T0 + timedelta(days=1),
    )
    own = clock(kernel, tmp_path)
    own.now()
    kernel.run(60)
    kernel.set(wall_clock=T0 + timedelta(days=40))
    now = own.now()
    assert (now.source, now.wall_clock) == (ClockSource.RTC, T0 + timedelta(days=1, seconds=60))


def test_time_switched_on_counts_over_starts_without_any_clock(kernel: Kernel, tmp_path: Path) -> None:
    clock(kernel, tmp_path).note_fleet_time(T0)
    for boot in range(1, 4):
        kernel.set(
            boot_id=f"{boot:032x}", monotonic_ns=30 * SECOND, wall_clock=datetime(1970, 1, 1, 0, 0, 30, tzinfo=UTC)
        )
        own = clock(kernel, tmp_path)
        own.now()
        for _ in range(40):
            kernel.run(900)
            own.now()
    now = own.now()
    assert now.not_before is not None
    assert timedelta(hours=29) < now.not_before - T0 < timedelta(hours=30, minutes=3)
    assert best_guess(now) == now.not_before


def test_a_floor_that_went_ahead_is_put_right_by_the_fleet_and_by_a_time_service(
    kernel: Kernel, tmp_path: Path
) -> None:
    kernel.set(wall_clock=T0 + YEAR, network_bound_s=0.1, network_stamp=1)
    wrong = clock(kernel, tmp_path)
    wrong.now()
    kernel.set(boot_id=OTHER_BOOT, monotonic_ns=SECOND, wall_clock=T0, network_bound_s=None, network_stamp=None)
    own = clock(kernel, tmp_path)
    own.note_fleet_time(T0, after_ns=kernel.readings.monotonic_ns)
    assert own.now().not_before == T0
    kernel.set(boot_id="c" * 32, wall_clock=T0 + timedelta(days=1), network_bound_s=0.1, network_stamp=2)
    assert clock(kernel, tmp_path).now().not_before == T0 + timedelta(days=1, seconds=-0.1)


def test_a_time_service_that_contradicts_the_fleet_is_not_believed(kernel: Kernel, tmp_path: Path) -> None:
    own = clock(kernel, tmp_path)
    own.note_fleet_time(T0)
    kernel.set(wall_clock=T0 - timedelta(days=1), network_bound_s=0.1)
    now = own.now()
    assert now.uncertainty_s is None


class World:
    """True time, and a board that is switched off and on, set by hand and served by an honest time service and fleet."""

    def __init__(self, folder: Path, *, may_ask_kernel: bool, drift: float) -> None:
        self.true = T0
        self.drift = drift
        self.may_ask_kernel = may_ask_kernel
        self.set_at: datetime | None = None
        self.boots = 0
        self.kernel = Kernel()
        self.folder = folder
        self.start(rtc=False)

    def start(self, *, rtc: bool) -> None:
        self.boots += 1
        wall = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
        if rtc and self.set_at is not None:
            wall = self.true + (self.true - self.set_at) * self.drift
        self.kernel.readings = Readings(f"{self.boots:032x}", SECOND, wall, None, rtc_set_clock=rtc)
        self.clock = clock(self.kernel, self.folder)

    def act(self, what: str, size: float) -> None:
        now = self.kernel.readings
        match what:
            case "run":
                self.true += timedelta(seconds=size)
                self.kernel.run(size * (1 + self.drift))
                if now.network_bound_s is not None:
                    self.kernel.set(network_bound_s=now.network_bound_s + size * 500e-6)
            case "off":
                self.true += timedelta(seconds=size)
                self.start(rtc=False)
            case "off_with_rtc":
                self.true += timedelta(seconds=size)
                self.start(rtc=True)
            case "set_by_hand":
                bound = None if self.may_ask_kernel or now.network_bound_s is None else now.network_bound_s
                self.kernel.set(wall_clock=now.wall_clock + timedelta(seconds=size * 1000), network_bound_s=bound)
            case "set_back_by_hand":
                bound = None if self.may_ask_kernel or now.network_bound_s is None else now.network_bound_s
                self.kernel.set(wall_clock=datetime(1970, 1, 2, tzinfo=UTC), network_bound_s=bound)
            case "service":
                self.set_at = self.true
                self.kernel.set(wall_clock=self.true, network_bound_s=0.2, network_stamp=(now.network_stamp or 0) + 1)
            case "service_lost":
                self.kernel.set(network_bound_s=None)
            case "fleet":
                asked = now.monotonic_ns
                signed = self.true
                self.act("run", min(size, 30.0))
                self.clock.note_fleet_time(signed, after_ns=asked)
            case "fleet_late":
                self.clock.note_fleet_time(self.true - timedelta(seconds=size))


ACTS = [
    "run",
    "off",
    "off_with_rtc",
    "set_by_hand",
    "set_back_by_hand",
    "service",
    "service_lost",
    "fleet",
    "fleet_late",
]


@settings(max_examples=150)
@given(
    acts=st.lists(st.tuples(st.sampled_from(ACTS), st.floats(1, 100_000)), max_size=25),
    may_ask_kernel=st.booleans(),
    drift=st.floats(-400e-6, 400e-6),
)
def test_whatever_happens_to_the_clock_a_bound_that_is_stated_holds(
    acts: list[tuple[str, float]], may_ask_kernel: bool, drift: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = World(tmp_path_factory.mktemp("clock"), may_ask_kernel=may_ask_kernel, drift=drift)
    for what, size in acts:
        world.act(what, size)
        now = world.clock.now()
        if now.uncertainty_s is not None:
            assert abs(now.wall_clock - world.true) <= timedelta(seconds=now.uncertainty_s + 0.01), what
        if now.not_before is not None:
            assert now.not_before <= world.true + timedelta(seconds=0.01), what
