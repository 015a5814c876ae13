"""Signing in at a terminal: by number and PIN or by operator code, with a lock-out that a power cut does not end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from device.desk.events import SignedIn, SignInRefused
from device.desk.view import Problem
from device.errors import StaffUnavailable
from device.ports import Attempts, Clock, StaffStore
from protocol.errors import Malformed
from protocol.staff import Operator, StaffList, parse_operator_code
from protocol.times import ClockSource

logger = logging.getLogger(__name__)

FREE_ATTEMPTS = 5
"""Wrong ones in a row before sign-in is locked. Source: NIST SP 800-63B, 5.2.2 allows 100 in all; a PIN of six digits guessed with
five attempts and these waits is found in an hour with a chance of 1 in 100,000."""
FIRST_LOCK_S = 300
LONGEST_LOCK_S = 3600
"""The lock doubles with every further wrong one, up to this: a forgotten PIN must not close a village's terminal for a day."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nobody was signed in."""

    event: SignInRefused
    attempts: int
    """Failed ones in a row, this one included."""


class SignInGuard:
    """Lets operators in. Used by the loop's thread.

    Args:
        staff: the list, and what is remembered of failed attempts.
        clock: measures the lock.
        today: the day where the terminal stands.
    """

    def __init__(self, staff: StaffStore, clock: Clock, *, today: Callable[[], date]) -> None:
        self._staff = staff
        self._clock = clock
        self._today = today
        self._locked_until_ns = clock.monotonic_ns()
        # A lock that was running when the power went begins again: how much of it was over is not known.
        self._lock_for(staff.attempts().failed)

    def by_pin(self, operator_id: str, pin: str) -> SignedIn | Refused:
        """Let in whoever gives the PIN of an operator number."""
        return self._enter(lambda staff: _with_pin(staff, operator_id, pin), Problem.PIN_WRONG)

    def by_code(self, text: str) -> SignedIn | Refused:
        """Let in whoever shows an operator code."""
        return self._enter(lambda staff: _with_code(staff, text), Problem.CODE_UNKNOWN)

    def find(self, text: str) -> str | None:
        """Return the operator id that a code or a number names, for a witness; None if there is no such operator now."""
        staff = self._in_force()
        if staff is None:
            return None
        found = _with_code(staff, text) or next((one for one in staff.operators if one.operator_id == text), None)
        return found.operator_id if found is not None and found.valid_until >= self._today() else None

    def _enter(self, find: Callable[[StaffList], Operator | None], problem: Problem) -> SignedIn | Refused:
        attempts = self._staff.attempts().failed
        if (wait_s := self._wait_s()) > 0:
            return Refused(SignInRefused(Problem.SIGN_IN_LOCKED, wait_s), attempts)
        staff = self._in_force()
        if staff is None:
            return Refused(SignInRefused(Problem.STAFF_LIST_MISSING), attempts)
        try:
            # Counted before it is looked at, so that whoever pulls the plug at a wrong one has used it up.
            self._staff.note_attempts(Attempts(failed=attempts + 1))
            operator = find(staff)
            if operator is not None and operator.valid_until < self._today():
                return self._refuse(Problem.OPERATOR_EXPIRED, attempts + 1)
            if operator is None:
                return self._refuse(problem, attempts + 1)
            self._staff.note_attempts(Attempts())
        except StaffUnavailable as error:
            logger.error("nobody signs in why=%s", error)  # noqa: TRY400 - the message says all, a trace nothing
            return Refused(SignInRefused(Problem.STAFF_LIST_MISSING), attempts)
        return SignedIn(operator.operator_id, operator.name, operator.roles)

    def _refuse(self, problem: str, failed: int) -> Refused:
        self._lock_for(failed)
        wait_s = self._wait_s()
        return Refused(SignInRefused(Problem.SIGN_IN_LOCKED if wait_s else problem, wait_s), failed)

    def _lock_for(self, failed: int) -> None:
        over = failed - FREE_ATTEMPTS
        if over >= 0:
            seconds = min(LONGEST_LOCK_S, FIRST_LOCK_S * 2 ** min(over, 10))
            self._locked_until_ns = self._clock.monotonic_ns() + seconds * 1_000_000_000

    def _wait_s(self) -> int:
        left_ns = self._locked_until_ns - self._clock.monotonic_ns()
        return max(0, -(-left_ns // 1_000_000_000))

    def _in_force(self) -> StaffList | None:
        staff = self._staff.current()
        if staff is None:
            return None
        now = self._clock.now()
        # A clock that nothing vouches for must not lock everybody out in a village without network; the fleet's last word is a floor.
        known = [] if now.last_fleet_time is None else [now.last_fleet_time]
        if now.source is not ClockSource.NONE:
            known.append(now.wall_clock)
        return None if known and max(known) >= staff.expires_at else staff


def _with_pin(staff: StaffList, operator_id: str, pin: str) -> Operator | None:
    for operator in staff.operators:
        if operator.operator_id == operator_id and operator.pin is not None:
            return operator if operator.pin.fits(pin) else None
    return None


def _with_code(staff: StaffList, text: str) -> Operator | None:
    try:
        code = parse_operator_code(text)
    except Malformed:
        return None
    digest = code.sha256()
    for operator in staff.operators:
        if operator.operator_id == code.operator_id and operator.code_sha256 == digest:
            return operator
    return None
