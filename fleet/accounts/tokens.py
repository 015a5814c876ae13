"""Tokens that are good once: 256 random bits of which only the SHA-256 is stored.

Because they are random and long, one round of SHA-256 is enough; slow hashes are for what people think up.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import Connection

from fleet.store import sessions
from fleet.store.sessions import TokenKind
from protocol import base64url

BYTES = 32
"""Length of what only chance may guess. Source: OWASP ASVS 5.0, 7.2.3, asks for 128 bits at least."""
_LONGEST = 128


def make_secret() -> str:
    """Return a new random text of 256 bits, for cookies and addresses: letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(BYTES)


def digest_of(token: str | bytes) -> bytes:
    """Return what is stored of a token; whatever was sent in its place has one as well."""
    raw = token if isinstance(token, bytes) else token[:_LONGEST].encode(errors="replace")
    return hashlib.sha256(raw).digest()


def make_token(
    connection: Connection, kind: TokenKind, account_id: str | None, *, lifetime: timedelta, now: datetime
) -> str:
    """Return a new token, stored until it is used or over."""
    token = make_secret()
    sessions.add_token(connection, digest_of(token), kind, account_id, now=now, expires_at=now + lifetime)
    return token


def make_challenge(
    connection: Connection, kind: TokenKind, account_id: str | None, *, lifetime: timedelta, now: datetime
) -> bytes:
    """Return a new challenge, stored until it is used or over. The answer brings it back, so its digest is enough to know it."""
    challenge = base64url.decode(make_secret())
    sessions.add_token(connection, digest_of(challenge), kind, account_id, now=now, expires_at=now + lifetime)
    return challenge
