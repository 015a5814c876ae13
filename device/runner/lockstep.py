"""One session frame by frame on a clock that only moves with the frames: nothing is dropped, every run is the same."""

from __future__ import annotations

from typing import Protocol

from device.runner.loop import Runner
from device.runner.worker import VisionWorker
from device.session.machine import State


class Stepped(Protocol):
    """A clock that is moved by hand."""

    def monotonic_ns(self) -> int:
        """Return the moment."""

    def advance_to(self, monotonic_ns: int) -> None:
        """Let time pass until a moment."""


def run_session(runner: Runner, worker: VisionWorker, clock: Stepped) -> None:
    """Turn until the terminal is idle or out of order and nothing is left to take in.

    Every wait of a session is bounded by a timer, so this ends.
    """
    while True:
        step(runner, worker, clock)
        if runner.session.state in {State.IDLE, State.FAULTED} and not runner.turn():
            return


def step(runner: Runner, worker: VisionWorker, clock: Stepped) -> None:
    """Take in everything that is due, then look at one frame, or let time pass to the next timer when no frames are wanted."""
    while runner.turn():
        pass
    worker.step()
    if worker.is_acquiring:
        return
    while runner.turn():
        pass
    deadline = runner.next_deadline_ns()
    if deadline is not None and runner.session.state is not State.FAULTED:
        clock.advance_to(deadline)
