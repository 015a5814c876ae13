"""API keys and access tokens of partners: made, checked, and worth nothing the moment a partner is revoked.

A key is `lck_<id>_<secret>`: the id finds it, the secret is 256 random bits. Because it is random and long, one round of SHA-256 is enough
to store it; slow hashes are for what people think up. The same key is the client secret of the OAuth2 client-credentials grant (RFC 6749
section 4.4), for which it buys an access token that lasts minutes (RFC 9068). A token names the key it was bought with and is looked up
in the database at every request, so that it ends with its key and with its partner.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry
from sqlalchemy import Connection

from fleet.clock import day_of
from fleet.store.partners import Partner, PartnerKey, Scope, find_key
from protocol import base64url
from protocol.envelope import sign, verify
from protocol.errors import ProtocolError
from protocol.keys import PrivateKey

TOKEN_TYP = "at+jwt"  # noqa: S105 - a media type
"""Type of an access token. Source: RFC 9068 section 2.1."""
_KEY = re.compile(r"^lck_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$")
_SECRET_BYTES = 32
_NOBODY = bytes(32)
_LONGEST = 4096
"""Characters of a credential that are looked at; a token has about 600."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what for."""

    partner: Partner
    key_id: str
    scopes: frozenset[Scope]
    """What this credential may do: all a partner may, or less."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """What makes and checks access tokens."""

    fleet_id: str
    signing: PrivateKey
    lifetime: timedelta

    @property
    def name(self) -> str:
        """What tokens name as their issuer and their audience: they are for this fleet's interface alone."""
        return f"lifecert:{self.fleet_id}"


def make_key(partner_id: str, *, now: datetime) -> tuple[str, PartnerKey]:
    """Return a new key, and what is stored of it."""
    key_id = secrets.token_hex(6)
    secret = base64url.encode(secrets.token_bytes(_SECRET_BYTES))
    return f"lck_{key_id}_{secret}", PartnerKey(key_id, partner_id, _digest(secret), now, None)


def check_key(connection: Connection, given: str, *, now: datetime, zone: tzinfo) -> Caller | None:
    """Return whose key this is, or None if it is nobody's, or not any more; what fails does not show in the time it takes."""
    matched = _KEY.match(given)
    key_id, secret = matched.groups() if matched else ("", "")
    found = find_key(connection, key_id)
    known = _NOBODY if found is None else found[0].sha256
    is_right = hmac.compare_digest(known, _digest(secret))
    if found is None or not is_right or not _is_in_service(*found, now=now, zone=zone):
        return None
    return Caller(found[1], key_id, found[1].scopes)


def issue_token(issuer: Issuer, caller: Caller, scopes: Collection[Scope], *, now: datetime) -> str:
    """Return an access token.

    Args:
        issuer: the fleet.
        caller: whose key was shown.
        scopes: what for; a part of what the caller may do.
        now: from when on.
    """
    claims = {
        "iss": issuer.name,
        "aud": issuer.name,
        "sub": caller.partner.partner_id,
        "client_id": caller.partner.partner_id,
        "iat": int(now.timestamp()),
        "exp": int((now + issuer.lifetime).timestamp()),
        "jti": secrets.token_hex(16),
        "scope": " ".join(sorted(scopes)),
        "key": caller.key_id,
    }
    return sign(json.dumps(claims, separators=(",", ":")).encode(), key=issuer.signing, typ=TOKEN_TYP).decode()


def check_token(connection: Connection, issuer: Issuer, given: str, *, now: datetime, zone: tzinfo) -> Caller | None:
    """Return whose access token this is, or None if it is nobody's, or not any more."""
    try:
        signed = verify(given.encode(), key_of=issuer.signing.public().only, typ=TOKEN_TYP)
        claims = json.loads(signed.payload)
        JWTClaimsRegistry(
            now=int(now.timestamp()),
            iss={"essential": True, "value": issuer.name},
            aud={"essential": True, "value": issuer.name},
            exp={"essential": True},
            iat={"essential": True},
        ).validate(claims)
    except (ProtocolError, JoseError, ValueError):
        return None
    found = find_key(connection, claims["key"])
    if found is None or not _is_in_service(*found, now=now, zone=zone):
        return None
    # A scope that was taken from the partner meanwhile is taken from its tokens.
    named = claims["scope"].split()
    scopes = frozenset(scope for scope in found[1].scopes if scope.value in named)
    return Caller(found[1], found[0].key_id, scopes)


def check_bearer(connection: Connection, issuer: Issuer, given: str, *, now: datetime, zone: tzinfo) -> Caller | None:
    """Return whose key or access token this is."""
    if len(given) > _LONGEST:
        return None
    if given.count(".") == 2:
        return check_token(connection, issuer, given, now=now, zone=zone)
    return check_key(connection, given, now=now, zone=zone)


def _is_in_service(key: PartnerKey, partner: Partner, *, now: datetime, zone: tzinfo) -> bool:
    return (
        partner.revoked_at is None
        and day_of(now, zone) <= partner.valid_until
        and (key.expires_at is None or now < key.expires_at)
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
