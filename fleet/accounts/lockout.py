"""PURE. How long somebody waits after wrong passwords or codes.

Failures are counted by account, apart for addresses where that account has signed in before, and by address. So who guesses from
elsewhere locks nobody out of their usual desk, and who guesses at many accounts waits as well. No lock is for ever, none grows beyond an
hour, what is tried during one is not looked at and does not make it longer, and a passkey, which nobody can guess, always works.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

FREE_BY_ACCOUNT = 5
"""Failures in a row that cost no wait: somebody who mistypes. Source: OWASP Authentication Cheat Sheet, account lockout, asks for such
a threshold; with the waits below a day has room for about 35 guesses, far below the 100 in a row of NIST SP 800-63B-4, 3.2.2."""
FREE_BY_ADDRESS = 20
"""And by address: the same for four people of one office who share an address."""
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
"""First and longest wait, doubled from one to the next. Source: NIST SP 800-63B-4, 3.2.2: "30 seconds up to an hour"."""
FORGOTTEN_AFTER = timedelta(days=1)
"""So long after the last failure those before it count no more: the longest wait of all is over 24 times."""


def wait_after(failures: int, *, free: int) -> timedelta:
    """Return how long nobody is heard after so many failures in a row."""
    if failures <= free:
        return timedelta()
    # The exponent is bounded: the longest wait is reached after seven doublings.
    return min(FIRST_WAIT * (1 << min(failures - free - 1, 10)), LONGEST_WAIT)


def counted(failures: int, last_at: datetime, now: datetime) -> int:
    """Return how many failures still count; a clock that was put back makes none of them older."""
    return 0 if now - last_at >= FORGOTTEN_AFTER else failures


def is_locked(failures: int, last_at: datetime, now: datetime, *, free: int) -> bool:
    """Return whether an attempt is not to be looked at now.

    A failure that lies in the future was counted by a clock that was wrong; it locks nobody until that day.
    """
    return timedelta() <= now - last_at < wait_after(counted(failures, last_at, now), free=free)


def address_key(address: str) -> str:
    """Return what addresses of one client have in common: an IPv4 address itself, of IPv6 the network that one customer gets.

    A customer gets a /64 at least, within which addresses change by themselves. Source: RFC 4291, 2.5.4; RFC 8981.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ip_network((int(found), 64), strict=False))
    return str(found)
