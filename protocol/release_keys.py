"""Release keys: who may sign bundles, as a JWK set (RFC 7517, section 5) of P-256 public keys in one file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from pydantic import ValidationError

from protocol.errors import Malformed
from protocol.keys import PublicJwk

MOST_KEYS = 16


def read_release_keys(data: bytes) -> Callable[[str], PublicJwk | None]:
    """Return what gives the key of a key id, or None. Errors as of `public_keys`."""
    return {each.key_id: each for each in public_keys(data)}.get


def public_keys(data: bytes) -> list[PublicJwk]:
    """Return the keys of a file.

    Raises:
        Malformed: if the bytes are no set of P-256 public keys, or an empty or too large one.
    """
    try:
        found = json.loads(data)
        keys = [PublicJwk(**{name: each[name] for name in ("kty", "crv", "x", "y")}) for each in found["keys"]]
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        raise Malformed("release keys: not a JWK set of P-256 public keys") from error
    if not 0 < len(keys) <= MOST_KEYS:
        raise Malformed(f"release keys: 1 to {MOST_KEYS} keys expected")
    for each in keys:
        each.key()
    return keys


def write_release_keys(keys: Iterable[PublicJwk]) -> bytes:
    """Return the file for these keys."""
    written = [{**each.model_dump(), "kid": each.key_id, "alg": "ES256", "use": "sig"} for each in keys]
    return json.dumps({"keys": written}, indent=2).encode() + b"\n"
