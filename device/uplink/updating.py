"""Updates as the uplink has to do with them: it takes what the office wants, fetches, says what is, and ends for what is newer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from device.ports import Clock, DesiredStore
from device.updates.in_force import Started
from device.updates.marks import Fetch, Process
from device.updates.reporting import report
from device.updates.shelf import Shelf
from protocol.desired import ReportedState

_LOOK_NS = 2_000_000_000


class UplinkUpdating:
    """See `device.ports.Updating`.

    Args:
        started: what the uplink was started from.
        desired: what the office wants.
        shelf: where bundles lie.
        fetches: how it stands with those that are fetched.
        clock: of the terminal.
    """

    def __init__(
        self,
        started: Started,
        desired: DesiredStore,
        shelf: Shelf,
        clock: Clock,
        *,
        fetches: Callable[[], Mapping[str, Fetch]],
    ) -> None:
        self._started = started
        self._desired = desired
        self._shelf = shelf
        self._fetches = fetches
        self._clock = clock
        self._looked_ns: int | None = None
        self._is_over = False
        self._boot_id = clock.now().boot_id
        before = started.marks.read(Process.UPLINK)
        was_heard = before is not None and before.boot_id == self._boot_id and before.was_heard
        self._mark = started.mark(self._boot_id, is_up=True, was_heard=was_heard)
        started.marks.say(Process.UPLINK, self._mark)

    def heard(self) -> None:
        """Note that the fleet has answered; the first time on the disk, where the installer sees it."""
        if not self._mark.is_heard:
            self._mark = self._started.mark(self._boot_id, is_up=True, is_heard=True, was_heard=True)
            self._started.marks.say(Process.UPLINK, self._mark)

    def reported(self) -> ReportedState:
        """Return what the terminal says that it is."""
        return report(
            self._started.file, self._desired.current(), self._shelf, self._fetches(), own=self._started.settings
        )

    def must_restart(self) -> bool:
        """Say whether there is something newer to start from, and the terminal has started from it or does not run."""
        now_ns = self._clock.monotonic_ns()
        if not self._is_over and (self._looked_ns is None or now_ns - self._looked_ns >= _LOOK_NS):
            self._looked_ns = now_ns
            self._is_over = self._started.has_changed(self._desired.current()) and self._started.may_end()
        return self._is_over
