"""Turns at work that takes a whole core: few at once, few that wait, and not for long; everybody else is told to come back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fleet.errors import FleetError


class TooBusy(FleetError):
    """So many wait that this one cannot; come back in some seconds. Nothing was done."""


class Turns:
    """Turns that threads take.

    Args:
        at_once: threads that have one at the same time.
        waiting: threads that may wait for one.
        wait_s: seconds that each waits at most.
    """

    def __init__(self, at_once: int, *, waiting: int, wait_s: float) -> None:
        self._free = threading.Semaphore(at_once)
        self._places = threading.Semaphore(at_once + waiting)
        self._wait_s = wait_s
        self._own = threading.local()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Give a turn for the block; whoever has one has it in a block within as well.

        Raises:
            TooBusy: if there is none in time.
        """
        if getattr(self._own, "has_one", False):
            yield
            return
        if not self._places.acquire(blocking=False):
            raise TooBusy("too many wait for their turn")
        try:
            if not self._free.acquire(timeout=self._wait_s):
                raise TooBusy(f"no turn within {self._wait_s} s")
            self._own.has_one = True
            try:
                yield
            finally:
                self._own.has_one = False
                self._free.release()
        finally:
            self._places.release()
