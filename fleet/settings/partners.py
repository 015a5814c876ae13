"""The open interface: what other systems may ask, and what is sent to them."""

from __future__ import annotations

from pydantic import Field

from fleet.settings.part import Part


class ApiSettings(Part):
    """The open interface: how much it takes, and from where it can be reached."""

    public_names: tuple[str, ...] = ()
    """Host names under which a reverse proxy with TLS offers it to partners; under these only the open interface is served, never the
    console."""
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses of proxies whose word for a caller's address is taken; failed credentials are counted by that address."""
    body_kib: int = Field(default=256, ge=16, le=4096)
    """Largest request in KiB; a batch of 100 certifications has about 20."""
    body_wait_s: float = Field(default=10.0, gt=0, le=120)
    """Longest the rest of a request may take to arrive, in seconds."""
    concurrent: int = Field(default=4, ge=1, le=20)
    """Most requests of one partner that are worked on at once, so that a flood leaves room for the others."""
    failures_per_minute: int = Field(default=20, ge=1, le=1000)
    """So many wrong credentials from one address in a minute are looked at; then it waits."""
    token_minutes: int = Field(default=15, ge=1, le=60)
    """How long an access token lasts; a new one costs one request."""
    replay_hours: int = Field(default=24, ge=1, le=168)
    """So long the answer to a request with an `Idempotency-Key` is kept for the case that it comes again."""
    clock_skew_s: int = Field(default=300, ge=0, le=3600)
    """By so many seconds another system's clock may be ahead of ours before its certification lies in the future."""


class WebhookSettings(Part):
    """What is sent to partners."""

    timeout_s: float = Field(default=10.0, gt=0, le=60)
    """Longest one delivery may take, in seconds."""
    first_wait_s: float = Field(default=5.0, gt=0, le=600)
    """Most seconds before the second try; each further one may wait twice as long, a random part of it (full jitter)."""
    longest_wait_s: float = Field(default=3600.0, gt=0, le=86400)
    """Most seconds between two tries."""
    days: int = Field(default=3, ge=1, le=30)
    """So many days after its first try a message that nobody took is given up, and the next one has its turn."""
    keep_days: int = Field(default=30, ge=1, le=365)
    """So many days after it was delivered or given up a message is deleted."""
    private_addresses: bool = False
    """Whether addresses of private networks may be sent to; a partner could otherwise have the fleet call its own machines."""
