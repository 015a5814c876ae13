from __future__ import annotations

from datetime import UTC, datetime, timedelta

from device.uplink.health import age_s, what_changes
from protocol.envelope import sign
from protocol.examples import examples
from protocol.keys import PrivateKey
from protocol.presence import PRESENCE_TYP, Presence
from protocol.records import RECORD_TYP, CertificationRecord
from protocol.times import ClockSource, DeviceTime

KEY = PrivateKey.generate()


def record() -> CertificationRecord:
    found = examples()[RECORD_TYP]
    assert isinstance(found, CertificationRecord)
    return found


def signed(message: CertificationRecord) -> bytes:
    return sign(message.to_bytes(), key=KEY, typ=RECORD_TYP)


def later(seconds: float, **changes: object) -> DeviceTime:
    made = record().decided
    return made.model_copy(
        update={
            "monotonic_ns": made.monotonic_ns + int(seconds * 1e9),
            "wall_clock": made.wall_clock + timedelta(seconds=seconds),
            "last_fleet_time": None,
            **changes,
        }
    )


def test_a_record_of_this_boot_is_as_old_as_the_clock_nobody_sets_says() -> None:
    assert age_s(signed(record()), later(90, wall_clock=datetime(1970, 1, 1, tzinfo=UTC))) == 90


def test_a_record_of_an_earlier_boot_is_as_old_as_the_clocks_say_and_never_from_the_future() -> None:
    assert age_s(signed(record()), later(7200, boot_id="f" * 32, monotonic_ns=5)) == 7200
    assert age_s(signed(record()), later(-500, boot_id="f" * 32, monotonic_ns=5)) == 0


def test_what_is_no_record_has_no_age() -> None:
    assert age_s(b"nothing", later(1)) is None
    assert age_s(sign(b"[1]", key=KEY, typ=RECORD_TYP), later(1)) is None


def test_only_what_somebody_must_look_at_is_told_at_once() -> None:
    presence = examples()[PRESENCE_TYP]
    assert isinstance(presence, Presence)
    health = presence.health
    assert health is not None
    assert health.running is not None
    warmer = health.model_copy(
        update={
            "uptime_s": 1,
            "oldest_unconfirmed_s": 5,
            "board": health.board.model_copy(update={"temperature_c": 60.0, "disk_free_bytes": 1}),
            "running": health.running.model_copy(update={"camera_rate_hz": 9.0}),
        }
    )
    assert what_changes(warmer) == what_changes(health)
    for board in ({"throttled": 0x50001}, {"is_charging": False}):
        assert what_changes(health.model_copy(update={"board": health.board.model_copy(update=board)})) != what_changes(
            health
        )
    unsure = health.model_copy(update={"clock": health.clock.model_copy(update={"source": ClockSource.NONE})})
    assert what_changes(unsure) != what_changes(health)
    lost = health.model_copy(update={"running": health.running.model_copy(update={"is_mains_lost": True})})
    assert what_changes(lost) != what_changes(health)
