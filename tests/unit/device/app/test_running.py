from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from device.app.running import RunningTeller, running_of
from device.runner.frames import FrameCount, LookedAt
from device.runner.records import Identity
from device.settings import Settings, Terminal, Voice
from device.simulated.clock import SteppedClock
from device.simulated.stores import MemoryRunning
from protocol.health import Running

S = 1_000_000_000


class Counting(MemoryRunning):
    """Counts how often something is said."""

    said = 0

    def say(self, running: Running) -> None:
        self.said += 1
        super().say(running)


def test_the_rate_is_that_of_the_newest_session_that_lasted_two_seconds() -> None:
    count = FrameCount()
    for number in range(31):
        count.note(5 * S + number * S // 15)
    assert count.newest is None, "the session has not ended"
    count.end()
    assert count.newest is not None
    assert round(count.newest.rate_hz, 2) == 15.0
    for number in range(10):
        count.note(90 * S + number * S // 30)
    count.end()
    count.end()
    assert round(count.newest.rate_hz, 2) == 15.0, "a third of a second says nothing"


def test_changes_are_said_and_the_rate_at_most_once_a_minute() -> None:
    clock, store = SteppedClock(datetime(2026, 11, 2, tzinfo=UTC)), Counting()
    teller = RunningTeller(store, Running(software="1"), clock)
    assert store.said == 1
    first = LookedAt(31, 2 * S)
    for _ in range(5):
        teller.look(first, is_mains_lost=False)
    assert store.said == 2
    teller.look(LookedAt(21, 2 * S), is_mains_lost=False)
    assert store.said == 2, "sessions in a row do not rewrite the file"
    teller.look(LookedAt(21, 2 * S), is_mains_lost=True)
    assert store.said == 3
    clock.advance(61 * S)
    teller.look(LookedAt(41, 2 * S), is_mains_lost=True)
    found = store.current()
    assert found is not None
    assert (found.camera_rate_hz, found.is_mains_lost) == (20.0, True)


def test_the_voices_are_named_by_the_digest_of_their_manifest(tmp_path: Path) -> None:
    identity = Identity(
        fleet_id="north", terminal_id="t-1", software="0.6.0", networks=(), features_name="", features_sha256=""
    )
    terminal = Terminal(fleet_id="north", terminal_id="t-1", voice_dirs=(tmp_path / "none",))
    found = running_of(Settings(terminal=terminal), identity)
    assert [voice.name for voice in found.voices] == ["en", "zh"]
    assert len({voice.sha256 for voice in found.voices}) == 2
    assert running_of(Settings(terminal=terminal, voice=Voice(kind="none")), identity).voices == ()
