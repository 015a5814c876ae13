"""PURE. What the agency may set of signing in, and when a session is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

CLOCK_STEP = timedelta(minutes=5)
"""By so much a clock may be put back without sessions being doubted; whatever was made later than that is not from this clock."""


@dataclass(frozen=True, slots=True)
class AccountRules:
    """How people sign in, and for how long."""

    service: str
    """Name under which passkeys and code generators show the console."""
    url: str
    """Where browsers reach the console: scheme, host and port."""
    rp_id: str
    """Relying party identifier of passkeys: a domain."""
    origins: tuple[str, ...]
    """From which addresses a passkey may be used."""
    idle: timedelta
    """A session ends so long after it was used last."""
    absolute: timedelta
    """And so long after it began."""
    fresh: timedelta
    """So long after signing in somebody may change what they sign in with, and do what gives others power or destroys something."""
    link: timedelta
    """How long a link is good."""
    password_min: int
    """Least characters of a new password."""
    hands: timedelta
    """So long after one account made, reset or linked another neither gives the second word to the other's first."""

    def link_url(self, token: str) -> str:
        """Return the address of a link."""
        return f"{self.url}/sign-in/link/{token}"

    @property
    def is_secure(self) -> bool:
        """Whether cookies may be kept to TLS; without it the console is on this machine only."""
        return urlsplit(self.url).scheme == "https"


def is_over(signed_in_at: datetime, last_seen_at: datetime, now: datetime, rules: AccountRules) -> bool:
    """Return whether a session has ended by itself.

    A session from the future, which a clock that was put back leaves behind, is over too: nobody can say how old it is.
    """
    if max(signed_in_at, last_seen_at) > now + CLOCK_STEP:
        return True
    return now - signed_in_at >= rules.absolute or now - last_seen_at >= rules.idle
