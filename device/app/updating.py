"""Updates as the terminal's process has to do with them: it says what runs, tells how trials ended, and ends when nobody is served."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from device.errors import RestartAsked
from device.ports import Clock, DesiredStore
from device.runner.events import EventLog
from device.updates.in_force import Started, slots_of
from device.updates.marks import Process
from device.vision.shadow import ShadowSummary
from device.whole_file import write_whole
from protocol.bundle import BundleKind
from protocol.events import EventKind

logger = logging.getLogger(__name__)

_LOOK_NS = 2_000_000_000
_ID_CHARACTERS = 16


class TerminalUpdating:
    """Looks now and then.

    Args:
        started: what the terminal was started from.
        desired: what the office wants.
        events: notes how trials ended.
        clock: of the terminal, at its own pace.
    """

    def __init__(self, started: Started, desired: DesiredStore, events: EventLog, clock: Clock) -> None:
        self._started = started
        self._desired = desired
        self._events = events
        self._clock = clock
        self._boot_id = clock.now().boot_id
        self._began_ns = clock.monotonic_ns()
        self._looked_ns: int | None = None
        self._is_up = False
        self._told_path = started.file.updates_dir / "told.json"
        self._told = _read(self._told_path)
        started.marks.say(Process.TERMINAL, started.mark(self._boot_id))

    def look(self, is_free: Callable[[], bool]) -> None:
        """Do what is due.

        Args:
            is_free: says whether nobody is being served.

        Raises:
            RestartAsked: if there is something newer to start from, and nobody is being served.
        """
        now_ns = self._clock.monotonic_ns()
        if self._looked_ns is not None and now_ns - self._looked_ns < _LOOK_NS:
            return
        self._looked_ns = now_ns
        if not self._is_up and now_ns - self._began_ns >= self._started.file.updates.proof_s * 1e9:
            self._is_up = True
            self._started.marks.say(Process.TERMINAL, self._started.mark(self._boot_id, is_up=True))
        self._tell()
        if is_free() and self._started.has_changed(self._desired.current()):
            raise RestartAsked("terminal: there is something newer to start from, and nobody is being served")

    def note_shadow(self, found: ShadowSummary) -> None:
        """Note in the chain how networks in the shadow did beside those in use, over many sessions."""
        if self._started.shadow is None:
            return
        self._events.note(
            EventKind.SHADOW_COMPARED,
            operator=None,
            bundle=(self._started.shadow.bundle.bundle_id or "")[:_ID_CHARACTERS],
            sessions=found.sessions,
            pairs=found.pairs,
            old_mean=f"{found.old_mean:.4f}",
            old_sd=f"{found.old_sd:.4f}",
            new_mean=f"{found.new_mean:.4f}",
            new_sd=f"{found.new_sd:.4f}",
            **{fate.value: count for fate, count in found.fates.items()},
        )

    def _tell(self) -> None:
        """Note in the chain how each trial ended, once."""
        for kind in BundleKind:
            last = slots_of(self._started.file, kind).state().last
            if last is None or self._told.get(kind) == last.count:
                continue
            wish = {"wish": str(last.wish)} if last.wish else {}
            is_noted = self._events.note(
                EventKind.UPDATE_ENDED,
                kind=kind,
                bundle=last.bundle_id[:_ID_CHARACTERS],
                number=last.number,
                kept="yes" if last.is_kept else "no",
                why=last.why,
                **wish,
            )
            if is_noted:
                self._told[kind] = last.count
                try:
                    write_whole(self._told_path, json.dumps(self._told).encode())
                except OSError as error:
                    logger.warning("told of an update, and may tell again why=%s", error.strerror)


def _read(path: Path) -> dict[str, int]:
    try:
        found: Any = json.loads(path.read_bytes())
        return {str(kind): int(count) for kind, count in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
