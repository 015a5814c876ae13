"""How many requests a partner may make, and how often an address may be wrong. Counted in this process alone."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from fleet.clock import monotonic_s
from fleet.store.partners import Partner


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of a partner's requests."""

    is_open: bool
    limit: int
    remaining: int
    reset_s: int
    """Seconds until there is room for one more than now."""

    def headers(self) -> dict[str, str]:
        """Return what tells the partner. Source: draft-ietf-httpapi-ratelimit-headers-08, sections 3 and 4."""
        found = {
            "RateLimit-Policy": f'"partner";q={self.limit};w=60',
            "RateLimit": f'"partner";r={self.remaining};t={self.reset_s}',
        }
        return found if self.is_open else {**found, "Retry-After": str(self.reset_s)}


class Rates:
    """Counters of requests, of wrong credentials, and of what is worked on now.

    Args:
        concurrent: most requests of one partner at once.
        failures_per_minute: most wrong credentials of one address.
    """

    def __init__(self, *, concurrent: int, failures_per_minute: int) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._failures = RateLimitItemPerMinute(failures_per_minute, namespace="failures")
        self._concurrent = concurrent
        self._working: Counter[str] = Counter()
        self._held: dict[bytes, float] = {}

    def hit(self, partner: Partner) -> Room:
        """Count a request of a partner, unless there is no room for it."""
        item = RateLimitItemPerMinute(partner.per_minute, namespace="partner")
        is_open = self._limiter.hit(item, partner.partner_id)
        found = self._limiter.get_window_stats(item, partner.partner_id)
        return Room(is_open, partner.per_minute, max(0, found.remaining), _seconds_until(found.reset_time))

    def hold(self, credential: str, room: Room) -> None:
        """Remember that there is no room for a credential, so that a flood costs not even a look into the database."""
        now = monotonic_s()
        self._held = {known: until for known, until in self._held.items() if until > now}
        self._held[_digest(credential)] = now + room.reset_s

    def held_s(self, credential: str) -> int:
        """Return for how many seconds more there is no room for a credential; 0 if there may be some."""
        until = self._held.get(_digest(credential), 0.0)
        return max(0, math.ceil(until - monotonic_s()))

    def wait_s(self, address: str) -> int:
        """Return how many seconds an address must wait before its credentials are looked at; 0 if it need not."""
        if self._limiter.test(self._failures, address):
            return 0
        return _seconds_until(self._limiter.get_window_stats(self._failures, address).reset_time)

    def note_failure(self, address: str) -> None:
        """Count wrong credentials of an address."""
        self._limiter.hit(self._failures, address)

    def begin(self, partner: Partner) -> bool:
        """Begin to work on a request; return False if too many of the partner's are worked on. For one thread alone."""
        if self._working[partner.partner_id] >= self._concurrent:
            return False
        self._working[partner.partner_id] += 1
        return True

    def end(self, partner: Partner) -> None:
        """End what `begin` began."""
        self._working[partner.partner_id] -= 1
        if not self._working[partner.partner_id]:
            del self._working[partner.partner_id]


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode()).digest()


def _seconds_until(moment: float) -> int:
    return max(1, math.ceil(moment - time.time()))
