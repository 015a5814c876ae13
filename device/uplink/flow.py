"""What to send next and how long to wait: windows and back-off, without a network, a clock or randomness of its own.

Times are monotonic nanoseconds handed in by the caller, and random numbers are fractions in [0, 1). Nothing here depends on the
wall clock, which on a terminal without a hardware clock can jump by decades when the first time service answers.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from device.ports import OutboxRow

_NS = 1_000_000_000
_ASK_AGAIN_S = 1.0
"""Least time between two questions for the roster after a page that did not fit; doubled by every further one, so that a fleet which
goes on sending such pages is not asked for ever."""


def full_jitter_s(attempt: int, *, base_s: float, cap_s: float, fraction: float) -> float:
    """Return a wait that is uniform between 0 and a bound which doubles with every attempt.

    Terminals that lost one broker together come back spread over the whole span instead of all at once.

    Args:
        attempt: 0 for the first wait.
        base_s: the bound of the first wait.
        cap_s: the bound is never above this.
        fraction: uniform random number in [0, 1).
    """
    doublings = min(attempt, 62)  # 2**62 seconds is beyond any cap; more would overflow a float sooner or later
    return fraction * min(cap_s, base_s * 2.0**doublings)


@dataclass(slots=True)
class _Sending:
    counter: int
    first_sent_ns: int
    last_sent_ns: int
    attempts: int
    due_ns: int
    token: int | None
    """The link's token until the broker has taken the message."""


class SendWindow:
    """Decides which of the oldest unconfirmed records are to be sent now.

    The window is the number of rows the caller reads from the outbox: as long as the oldest ones are not confirmed by the
    fleet, nothing newer is read. A record is sent when it is new to this process, and again when no receipt
    came in time; while the link still owes the broker's answer, repeating it is the link's business.
    """

    def __init__(self, *, resend_after_s: float, resend_cap_s: float) -> None:
        self._resend_after_s = resend_after_s
        self._resend_cap_s = resend_cap_s
        self._sending: dict[str, _Sending] = {}
        self._by_token: dict[int, str] = {}
        self._new_above: int | None = None
        self._highest = 0

    def due(self, rows: Sequence[OutboxRow], *, limit: int, now_ns: int) -> tuple[OutboxRow, ...]:
        """Return the rows to send now, oldest first.

        Args:
            rows: the oldest unconfirmed rows of the outbox.
            limit: how many rows were asked for at most.
            now_ns: monotonic time.
        """
        present = {row.sha256 for row in rows}
        for sha256 in [known for known in self._sending if known not in present]:
            del self._sending[sha256]
        if self._new_above is None and len(rows) < limit:
            # Everything there was has been seen: what comes later was made after this moment.
            self._new_above = max((row.counter for row in rows), default=0)
        return tuple(row for row in rows if self._is_due(row.sha256, now_ns))

    def sent(self, row: OutboxRow, token: int, *, now_ns: int, fraction: float) -> None:
        """Note that the link was given a row; `token` names it in `taken`."""
        known = self._sending.get(row.sha256)
        if known is None and row.counter <= self._highest and self._new_above is not None:
            # Sent before, refused, and now sent again: the answer that comes may be the one to the first sending.
            self._new_above = max(self._new_above, row.counter)
        self._highest = max(self._highest, row.counter)
        attempts = known.attempts if known else 0
        wait_s = self._resend_after_s + full_jitter_s(
            attempts, base_s=self._resend_after_s, cap_s=self._resend_cap_s, fraction=fraction
        )
        self._sending[row.sha256] = _Sending(
            counter=row.counter,
            first_sent_ns=known.first_sent_ns if known else now_ns,
            last_sent_ns=now_ns,
            attempts=attempts + 1,
            due_ns=now_ns + int(wait_s * _NS),
            token=token,
        )
        self._by_token[token] = row.sha256

    def taken(self, token: int) -> str | None:
        """Note that the broker took a message; return the digest of the record if it was one that is still unconfirmed."""
        sha256 = self._by_token.pop(token, None)
        sending = None if sha256 is None else self._sending.get(sha256)
        if sending is None:
            return None
        sending.token = None
        return sha256

    def settled(self, sha256s: Iterable[str]) -> int | None:
        """Forget records the fleet has answered for.

        Returns:
            A monotonic time which the fleet's answer certainly followed: the latest first sending among those records that
            were made while this process ran (an earlier process may have sent the others). None if there are none.
        """
        latest: int | None = None
        for sha256 in sha256s:
            sending = self._sending.pop(sha256, None)
            if sending is None or self._new_above is None or sending.counter <= self._new_above:
                continue
            latest = sending.first_sent_ns if latest is None else max(latest, sending.first_sent_ns)
        return latest

    def waiting_since_ns(self) -> int | None:
        """Return when the oldest message was given to the link that the broker has not taken yet."""
        waiting = [sending.last_sent_ns for sending in self._sending.values() if sending.token is not None]
        return min(waiting, default=None)

    def reconnected(self, now_ns: int) -> None:
        """Note that the link begins anew to deliver what the broker has not taken."""
        for sending in self._sending.values():
            if sending.token is not None:
                sending.last_sent_ns = now_ns

    def _is_due(self, sha256: str, now_ns: int) -> bool:
        sending = self._sending.get(sha256)
        return sending is None or (sending.token is None and now_ns >= sending.due_ns)


class RosterQuestions:
    """Decides when to ask the fleet for roster changes."""

    def __init__(self, *, retry_s: float, refresh_s: float) -> None:
        self._retry_s = retry_s
        self._refresh_s = refresh_s
        self._attempts = 0
        self._unfit = 0
        self._is_unfit_counted = False
        self._asked_ns: int | None = None
        self._due_ns = 0

    def is_due(self, now_ns: int) -> bool:
        """Say whether to ask now."""
        return now_ns >= self._due_ns

    def connected(self, now_ns: int) -> None:
        """Ask on every connection: what was pushed while there was none may have been lost."""
        self._attempts = self._unfit = 0
        self._due_ns = now_ns

    def asked(self, now_ns: int, *, fraction: float) -> None:
        """Note that the question went out."""
        wait_s = self._retry_s + full_jitter_s(
            self._attempts, base_s=self._retry_s, cap_s=self._refresh_s, fraction=fraction
        )
        self._attempts += 1
        self._is_unfit_counted = False
        self._asked_ns = now_ns
        self._due_ns = now_ns + int(wait_s * _NS)

    def page_applied(self, now_ns: int, *, complete: bool) -> None:
        """Note a page that was applied; an incomplete one is followed by the next question at once."""
        self._attempts = self._unfit = 0
        self._due_ns = now_ns + int(self._refresh_s * _NS) if complete else now_ns

    def page_unfit(self, now_ns: int) -> None:
        """Note a page that did not fit: ask again, after a second, and after ever longer while the answers do not fit either."""
        if self._asked_ns is None:
            self._due_ns = min(self._due_ns, now_ns)
            return
        if not self._is_unfit_counted:
            self._is_unfit_counted = True
            self._unfit += 1
        wait_s = min(self._refresh_s, _ASK_AGAIN_S * 2.0 ** min(self._unfit - 1, 62))
        self._due_ns = min(self._due_ns, max(now_ns, self._asked_ns + int(wait_s * _NS)))


class PresenceTimer:
    """Decides when to repeat presence: regularly, and sooner when what it says has changed."""

    def __init__(self, *, every_s: float, change_s: float) -> None:
        self._every_ns = int(every_s * _NS)
        self._change_ns = int(change_s * _NS)
        self._said_ns: int | None = None
        self._said: Hashable = None

    def connected(self) -> None:
        """Say it again on a new connection."""
        self._said_ns = None

    def may_be_due(self, now_ns: int) -> bool:
        """Say whether any content could be due now; what presence says need not be gathered before."""
        return self._said_ns is None or now_ns - self._said_ns >= min(self._change_ns, self._every_ns)

    def is_due(self, content: Hashable, now_ns: int) -> bool:
        """Say whether to send presence with this content now."""
        if self._said_ns is None:
            return True
        age_ns = now_ns - self._said_ns
        return age_ns >= self._every_ns or (content != self._said and age_ns >= self._change_ns)

    def said(self, content: Hashable, now_ns: int) -> None:
        """Note what was sent."""
        self._said, self._said_ns = content, now_ns
