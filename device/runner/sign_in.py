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
from protocol.ids import is_operator_id
from protocol.staff import OPERATOR_CODE_PREFIX, Operator, StaffList, is_pin, parse_operator_code
from protocol.times import ClockSource

logger = logging.getLogger(__name__)

_NS = 1_000_000_000

FREE_ATTEMPTS = 5
"""Wrong ones in a row for one operator before that operator is locked out. Source: NIST SP 800-63B, 5.2.2 asks for a limit of 100 in a
row for one account, and names waits that grow. With these, eight fit into the first hour, so that the PIN of one operator, of six digits,
is then found with a chance under 1 in 100,000; a hundred take four days without rest."""
FIRST_LOCK_S = 300
LONGEST_LOCK_S = 3600
"""The lock doubles with every further wrong one, up to this: a forgotten PIN must not close a village's terminal for a day."""
TERMINAL_ATTEMPTS = 20
"""Wrong ones for the whole terminal, whoever they are for, before nobody can sign in; one is forgotten every `FORGET_S`. Thirty-two fit
into an hour: the PIN of anybody at all is then found with a chance under 1 in 30,000."""
FORGET_S = 300
_UNKNOWN = ""
"""Counts what is tried for ids that nobody has, so that a list of invented ones cannot grow."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nobody was signed in."""

    event: SignInRefused
    attempts: int = 0
    """Failed ones in a row of that operator, this one included."""
    operator_id: str | None = None
    """Whom it was tried for; None for an id that nobody has."""
    lock_s: int = 0
    """How long that operator cannot sign in."""
    is_counted: bool = False
    """Whether it was looked at and found wrong; False where it was not looked at, because of a lock or for want of a list."""


class SignInGuard:
    """Lets operators in. Used by the loop's thread.

    Each operator has a count and a lock of their own, and only their own success clears them: nobody who guesses at a colleague's PIN gets
    more attempts by signing in between.

    Args:
        staff: the list, and what is remembered of failed attempts.
        clock: measures the locks.
        today: the day where the terminal stands.
    """

    def __init__(self, staff: StaffStore, clock: Clock, *, today: Callable[[], date]) -> None:
        self._staff = staff
        self._clock = clock
        self._today = today
        self._locked_until_ns: dict[str, int] = {}
        known = staff.attempts()
        self._tried = known.failed
        """The terminal's count."""
        self._forgotten_ns = clock.monotonic_ns()
        """Until when time has been at it."""
        # What was running when the power went begins again: how much of it was over is not known.
        for key, failed in known.by_operator.items():
            self._lock_for(key, failed)

    def by_pin(self, operator_id: str, pin: str) -> SignedIn | Refused:
        """Let in whoever gives the PIN of an operator number, in capitals and without hyphens where it is typed so."""
        return self._enter(
            self._meant(operator_id),
            lambda operator: operator.pin is not None and operator.pin.fits(pin),
            Problem.PIN_WRONG,
        )

    def by_code(self, text: str) -> SignedIn | Refused:
        """Let in whoever shows an operator code."""
        try:
            code = parse_operator_code(text)
        except Malformed:
            return self._enter(_UNKNOWN, lambda _: False, Problem.CODE_UNKNOWN)
        digest = code.sha256()
        return self._enter(code.operator_id, lambda operator: operator.code_sha256 == digest, Problem.CODE_UNKNOWN)

    def by_either(self, text: str) -> SignedIn | Refused:
        """Let in whoever shows an operator code, or gives `operator number/PIN`; what is neither is not counted."""
        # What a reader gives may be anything: an address or a code with a slash in it is no attempt.
        operator_id, _, pin = text.partition("/")
        if is_pin(pin) and is_operator_id(operator_id):
            return self.by_pin(operator_id, pin)
        if text.startswith(OPERATOR_CODE_PREFIX):
            return self.by_code(text)
        return Refused(SignInRefused(Problem.CODE_UNKNOWN))

    def _meant(self, typed: str) -> str:
        """Return the id that was typed; the pad of the screen has capitals alone, and no hyphen."""
        staff = self._staff.current()
        ids = [] if staff is None else [operator.operator_id for operator in staff.operators]
        alike = [one for one in ids if _bare(one) == _bare(typed)]
        return alike[0] if typed not in ids and len(alike) == 1 else typed

    def _enter(self, operator_id: str, is_right: Callable[[Operator], bool], problem: Problem) -> SignedIn | Refused:
        staff = self._in_force()
        if staff is None:
            return Refused(SignInRefused(Problem.STAFF_LIST_MISSING))
        operators = {operator.operator_id: operator for operator in staff.operators}
        operator = operators.get(operator_id)
        key = _UNKNOWN if operator is None else operator_id
        # An id is given once and never again, so the count of one who has left the list is of no use.
        counts = {
            one: n for one, n in self._staff.attempts().by_operator.items() if one == _UNKNOWN or one in operators
        }
        failed = counts.pop(key, 0)
        self._forget()
        if (lock_s := self._lock_s(key)) > 0:
            event = SignInRefused(Problem.SIGN_IN_LOCKED, self._terminal_wait_s())
            return Refused(event, failed, key or None, lock_s)
        try:
            # Counted before it is looked at, so that whoever pulls the plug at a wrong one has used it up.
            self._staff.note_attempts(Attempts(failed=self._tried + 1, by_operator=counts | {key: failed + 1}))
            if operator is None or not is_right(operator):
                return self._refuse(problem, key, failed + 1)
            if operator.valid_until < self._today():
                return self._refuse(Problem.OPERATOR_EXPIRED, key, failed + 1)
            # Nobody can be guessed at by an id that nobody has: a number typed wrongly now and then must not add up for ever.
            counts.pop(_UNKNOWN, None)
            self._staff.note_attempts(Attempts(failed=self._tried, by_operator=counts))
        except StaffUnavailable as error:
            logger.error("nobody signs in why=%s", error)  # noqa: TRY400 - the message says all, a trace nothing
            return Refused(SignInRefused(Problem.STAFF_LIST_MISSING), failed, key or None)
        self._locked_until_ns.pop(key, None)
        self._locked_until_ns.pop(_UNKNOWN, None)
        return SignedIn(operator.operator_id, operator.name, operator.roles)

    def _refuse(self, problem: str, key: str, failed: int) -> Refused:
        self._tried += 1
        self._lock_for(key, failed)
        lock_s = self._lock_s(key)
        event = SignInRefused(Problem.SIGN_IN_LOCKED if lock_s else problem, self._terminal_wait_s())
        return Refused(event, failed, key or None, lock_s, is_counted=True)

    def _lock_for(self, key: str, failed: int) -> None:
        over = failed - FREE_ATTEMPTS
        if over >= 0:
            seconds = min(LONGEST_LOCK_S, FIRST_LOCK_S * 2 ** min(over, 10))
            self._locked_until_ns[key] = self._clock.monotonic_ns() + seconds * _NS

    def _lock_s(self, key: str) -> int:
        now = self._clock.monotonic_ns()
        left_ns = self._locked_until_ns.get(key, now) - now
        return max(-(-left_ns // _NS), self._terminal_wait_s())

    def _forget(self) -> None:
        """Take from the terminal's count what time has taken."""
        now = self._clock.monotonic_ns()
        forgotten = (now - self._forgotten_ns) // (FORGET_S * _NS)
        self._tried = max(0, self._tried - forgotten)
        self._forgotten_ns = self._forgotten_ns + forgotten * FORGET_S * _NS if self._tried else now

    def _terminal_wait_s(self) -> int:
        over = self._tried - TERMINAL_ATTEMPTS + 1
        if over <= 0:
            return 0
        left_ns = self._forgotten_ns + over * FORGET_S * _NS - self._clock.monotonic_ns()
        return max(0, -(-left_ns // _NS))

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


def _bare(operator_id: str) -> str:
    return operator_id.replace("-", "").lower()
