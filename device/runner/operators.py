"""Operators and witnesses at the terminal: let in by the guard, and noted for the fleet."""

from __future__ import annotations

from device.desk.events import AnswerRefused, DeskEvent, SignedIn, WitnessFound
from device.desk.view import Problem
from device.runner.events import EventLog
from device.runner.sign_in import Refused, SignInGuard
from protocol.events import EventKind


class Operators:
    """Asks the guard, notes what came of it, and says it to the desk. Used by the loop's thread.

    Args:
        guard: knows who may sign in.
        events: takes the notes.
    """

    def __init__(self, guard: SignInGuard, events: EventLog) -> None:
        self._guard = guard
        self._events = events

    def by_pin(self, operator_id: str, pin: str) -> DeskEvent:
        """Let in whoever gives the PIN of an operator number."""
        return self._signed_in(self._guard.by_pin(operator_id, pin))

    def by_code(self, text: str) -> DeskEvent:
        """Let in whoever shows an operator code."""
        return self._signed_in(self._guard.by_code(text))

    def witness(self, text: str, worker: str) -> DeskEvent:
        """Let a witness prove who they are as at sign-in, under the same counts and locks: a number alone could be anybody's."""
        found = self._guard.by_either(text)
        if isinstance(found, SignedIn):
            is_worker = found.operator_id == worker
            return AnswerRefused(Problem.WITNESS_IS_WORKER) if is_worker else WitnessFound(found.operator_id)
        self._note_refused(found)
        unknown = found.event.problem == Problem.CODE_UNKNOWN
        return AnswerRefused(Problem.WITNESS_UNKNOWN if unknown else found.event.problem)

    def left(self, operator_id: str, *, was_quiet: bool) -> None:
        """Note that an operator has signed out, or was signed out because nobody touched anything."""
        why = "quiet" if was_quiet else "touched"
        self._events.note(EventKind.SIGNED_OUT, operator=operator_id, why=why)

    def _signed_in(self, found: SignedIn | Refused) -> DeskEvent:
        if isinstance(found, SignedIn):
            self._events.note(EventKind.SIGNED_IN, operator=found.operator_id)
            return found
        self._note_refused(found)
        return found.event

    def _note_refused(self, found: Refused) -> None:
        # What is tried while a lock runs is not looked at, and says nothing new.
        if found.is_counted:
            kind = EventKind.SIGN_IN_LOCKED if found.lock_s else EventKind.SIGN_IN_REFUSED
            whose = found.operator_id or "unknown"
            self._events.note(kind, whose=whose, attempts=found.attempts, seconds=found.lock_s)
