"""The console and the accounts that sign in to it."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from fleet.settings.part import Part, is_loopback


class WebSettings(Part):
    """Where the console and the open interface listen."""

    host: str = "127.0.0.1"
    """Address to listen on; only one of this machine: passwords and keys come by a reverse proxy with TLS that stands before it."""
    port: int = Field(default=8080, ge=1, le=65535)
    """TCP port to listen on."""

    @field_validator("host")
    @classmethod
    def _only_loopback(cls, host: str) -> str:
        if not is_loopback(host):
            raise ValueError("a reverse proxy with TLS on this machine stands before it: 127.0.0.1 expected")
        return host


class AccountSettings(Part):
    """Accounts of the console: where it is reached, and how long a sign-in lasts."""

    url: str | None = None
    """Address under which browsers reach the console, `https://console.example` without a path; passkeys and links are for it. Default:
    `http://localhost:` and the port of `web`, where a passkey needs the name and not 127.0.0.1."""
    other_origins: tuple[str, ...] = ()
    """Further addresses where passkeys may be used, of the same domain."""
    rp_id: str | None = Field(default=None, pattern=r"^[a-z0-9.-]*[a-z0-9]$")
    """Domain that passkeys are bound to: that of `url` or one above it; with another one no passkey made before works. Default: that of
    `url`. Source: W3C Web Authentication Level 2, 5.1.2."""
    idle_minutes: int = Field(default=30, ge=2, le=60)
    """A session ends so many minutes after it was used last. Source: OWASP Session Management Cheat Sheet, 15 to 30 minutes; NIST SP
    800-63B-4, 2.2.3, one hour at most."""
    absolute_minutes: int = Field(default=480, ge=15, le=1440)
    """And so many minutes after the sign-in. Source: OWASP, 4 to 8 hours for a day at an office; NIST SP 800-63B-4, 2.2.3, 24 hours at
    most."""
    fresh_minutes: int = Field(default=15, ge=1, le=60)
    """So many minutes after signing in somebody may change what they sign in with, give roles and ways in, and approve rules and erasures;
    later they sign in anew first."""
    link_minutes: int = Field(default=10, ge=1, le=60)
    """So long a link is good that signs in once: it is opened while somebody waits for it."""
    password_min: int = Field(default=12, ge=8, le=64)
    """Least characters of a new password. Source: NIST SP 800-63B-4, 3.1.1.2: 8 beside a second factor, which is always asked for here, and
    15 without one."""
    hands_days: int = Field(default=30, ge=0, le=365)
    """So many days after somebody made an account, reset it or made a link for it, neither of the two gives the second word where the
    first is the other's: one person might have both in hand. What is done at the server's keyboard does not count. 0: no such days."""
    ended_days: int = Field(default=30, ge=1, le=365)
    """So many days after it ended a session is deleted; until then failures from its address count apart, so that nobody is locked out
    of their own desk."""

    @model_validator(mode="after")
    def _is_one_domain(self) -> Self:
        for each in filter(None, (self.url, *self.other_origins)):
            found = urlsplit(each)
            host = found.hostname
            if host is None or found.scheme not in ("https", "http") or f"{found.scheme}://{found.netloc}" != each:
                raise ValueError("url, other_origins: https://host or https://host:port expected, without a path")
            if "@" in found.netloc:
                raise ValueError("url, other_origins: no user name expected")
            if found.scheme == "http" and not (host == "localhost" or is_loopback(host)):
                raise ValueError("url, other_origins: passwords and cookies go there: https expected")
            domain = self.rp_id or urlsplit(self.url or "http://localhost").hostname
            if host != domain and not host.endswith(f".{domain}"):
                raise ValueError("url, other_origins, rp_id: one domain expected, which all addresses are in")
        return self
