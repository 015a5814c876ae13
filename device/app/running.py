"""What the terminal's process says of itself to the uplink, which passes it on: versions, voices, camera rate, mains power."""

from __future__ import annotations

import hashlib
import logging

from device.ports import Clock, RunningStore
from device.runner.frames import LookedAt
from device.runner.records import Identity
from device.settings import Settings
from protocol.health import Running, VoiceUse

logger = logging.getLogger(__name__)

_RATE_EVERY_NS = 60_000_000_000
"""The file is on a memory card: sessions in a row do not rewrite it each."""


def running_of(settings: Settings, identity: Identity) -> Running:
    """Return what stays the same while the process runs."""
    return Running(software=identity.software, networks=identity.networks, voices=_voices(settings))


class RunningTeller:
    """Says it again when something of it has changed.

    Args:
        store: where it is said.
        running: what stays the same; said at once.
        clock: of the terminal.
    """

    def __init__(self, store: RunningStore, running: Running, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._running = running
        self._looked_at: LookedAt | None = None
        self._rate_ns: int | None = None
        store.say(running)

    def look(self, looked_at: LookedAt | None, *, is_mains_lost: bool) -> None:
        """Take in what may have changed.

        Args:
            looked_at: the pictures of the newest session that was long enough to tell a rate.
            is_mains_lost: whether mains power is gone.
        """
        now_ns = self._clock.monotonic_ns()
        changes: dict[str, object] = {}
        if is_mains_lost != self._running.is_mains_lost:
            changes["is_mains_lost"] = is_mains_lost
        is_rate_due = self._rate_ns is None or now_ns - self._rate_ns >= _RATE_EVERY_NS
        if looked_at is not None and looked_at is not self._looked_at and (is_rate_due or changes):
            self._looked_at, self._rate_ns = looked_at, now_ns
            changes["camera_rate_hz"] = round(looked_at.rate_hz, 1)
            changes["camera_rate_at"] = self._clock.now().wall_clock
        if changes:
            self._running = self._running.model_copy(update=changes)
            self._store.say(self._running)


def _voices(settings: Settings) -> tuple[VoiceUse, ...]:
    if settings.voice.kind == "none":
        return ()
    # A terminal without a voice does not pay for libsndfile at its start.
    from device.adapters.voice_alsa.pack import MANIFEST, shipped_folders

    found = []
    for folder in (*settings.terminal.voice_dirs, *shipped_folders()):
        try:
            digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
        except OSError as error:
            logger.warning("voice pack not told folder=%s reason=%s", folder.name, error.strerror)
            continue
        found.append(VoiceUse(name=folder.name[:64], sha256=digest))
    return tuple(found[:16])
