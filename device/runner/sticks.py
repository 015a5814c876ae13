"""Sticks at the front desk: which are there, and what one carried, noted for the fleet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from device.desk.view import CourierView, Option
from device.runner.events import EventLog

Tell = Callable[[CourierView, str | None], None]
"""Is told how far a stick came and, where it failed, the id of a text."""


class StickRunner(Protocol):
    """Carries records out and receipts home on a stick, in a thread of its own."""

    def sticks(self) -> tuple[Option, ...]:
        """Return the sticks that are plugged in."""

    def run(self, stick: str, tell: Tell) -> None:
        """Begin; `tell` is called from the other thread."""


class Sticks:
    """Runs sticks and notes what became of them. Used by the loop's thread.

    Args:
        runner: does it; None where the terminal takes no stick.
        events: takes the notes.
    """

    def __init__(self, runner: StickRunner | None, events: EventLog) -> None:
        self._runner = runner
        self._events = events

    def options(self) -> tuple[Option, ...]:
        """Return the sticks that are plugged in."""
        return () if self._runner is None else self._runner.sticks()

    def run(self, stick: str, tell: Tell) -> bool:
        """Begin; return whether there is anything that takes a stick. `tell` is called from another thread."""
        if self._runner is None:
            return False
        self._runner.run(stick, tell)
        return True

    def note(self, courier: CourierView, problem: str | None, *, operator: str | None) -> None:
        """Note what a stick carried, or that it failed; while one is under way there is nothing to note."""
        if courier.state == "done":
            self._events.note_stick(
                exported=courier.exported, imported=courier.imported, problem=problem, operator=operator
            )
        elif courier.state == "failed":
            self._events.note_stick_failed(problem, operator=operator)
