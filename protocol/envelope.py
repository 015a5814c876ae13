"""Signing and sealing: what leaves a program is JWS, what only one reader may see is JWE around it.

A signature covers bytes. A message is serialised once, signed, sent, stored and verified as those bytes; a reader verifies
first and parses afterwards. `typ` is part of the signed header, so that a signature made for one kind of message is
worth nothing for another. Source: RFC 7515 (JWS, ES256 from RFC 7518 section 3.4), RFC 7516 (JWE, ECDH-ES with A256GCM).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.util import json_b64encode, urlsafe_b64decode, urlsafe_b64encode

from protocol.errors import Malformed, NotForUs, SignatureInvalid
from protocol.keys import PrivateKey, PublicJwk
from protocol.wire import MAX_MESSAGE_BYTES

_SIGN = "ES256"
_AGREE = "ECDH-ES"
_ENCRYPT = "A256GCM"


class _Signatures(jws.JWSRegistry):
    # The library's own limit is 128,000 bytes; a roster page may be larger.
    max_payload_length = MAX_MESSAGE_BYTES * 2


class _Seals(jwe.JWERegistry):
    max_ciphertext_length = MAX_MESSAGE_BYTES * 2


@dataclass(frozen=True, slots=True)
class Verified:
    """Bytes whose signature held."""

    payload: bytes
    key_id: str


def sign(payload: bytes, *, key: PrivateKey, typ: str) -> bytes:
    """Return the compact JWS over `payload`."""
    header = {"alg": _SIGN, "kid": key.key_id, "typ": typ}
    return jws.serialize_compact(header, payload, key.jose(), registry=_Signatures(algorithms=[_SIGN])).encode()


def key_id_of(token: bytes) -> str:
    """Return the key id a JWS names, without trusting it.

    Raises:
        Malformed: if the bytes are no compact JWS with a key id.
    """
    return _named(token, "kid", "key id")


def typ_of(token: bytes) -> str:
    """Return the message type that a JWS names, without trusting it: where several kinds travel on one topic.

    Raises:
        Malformed: if the bytes are no compact JWS with a type.
    """
    return _named(token, "typ", "type")


def unverified_payload(token: bytes) -> bytes:
    """Return what a JWS says, without trusting it: for whoever made and kept it.

    Raises:
        Malformed: if the bytes are no compact JWS.
    """
    _check_size(token)
    try:
        found = jws.extract_compact(token, registry=_Signatures(algorithms=[_SIGN])).payload
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Malformed("signed message: not a compact JWS") from error
    return found or b""


def verify(token: bytes, *, key_of: Callable[[str], PublicJwk | None], typ: str) -> Verified:
    """Check a compact JWS and return its payload.

    Args:
        token: the bytes as they arrived.
        key_of: gives the public key for a key id, or None.
        typ: the message type the caller expects in the signed header.

    Raises:
        Malformed: if the bytes are no JWS.
        SignatureInvalid: if the key is unknown, the signature does not hold, or the type is another.
    """
    key_id = key_id_of(token)
    public = key_of(key_id)
    if public is None:
        raise SignatureInvalid(f"signed message: unknown key {key_id[:8]}")
    try:
        found = jws.deserialize_compact(token, public.key(), registry=_Signatures(algorithms=[_SIGN]))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise SignatureInvalid(f"signed message: signature by key {key_id[:8]} does not hold") from error
    if found.headers().get("typ") != typ:
        raise SignatureInvalid(f"signed message: type {found.headers().get('typ')!r}, {typ!r} expected")
    return Verified(found.payload or b"", key_id)


def signature_of(token: bytes, *, payload: bytes, key_id: str, typ: str) -> bytes:
    """Return the 64 bytes of signature of a JWS that `sign` made over `payload`, for `verify_detached`.

    Raises:
        Malformed: if the token is another JWS.
    """
    head, _, signature = token.rpartition(b".")
    if head != _signing_input(payload, key_id, typ):
        raise Malformed(f"signed message: not a {typ} over these bytes with key {key_id[:8]}")
    try:
        return urlsafe_b64decode(signature)
    except ValueError as error:
        raise Malformed("signed message: the signature is not base64url") from error


def verify_detached(payload: bytes, signature: bytes, *, key: PublicJwk, typ: str) -> None:
    """Check a signature whose JWS header was left out because it can be derived: `sign` writes the same one for key and type.

    Source: RFC 7515, appendix F (detached content), with the protected header detached as well.

    Raises:
        Malformed: if `key` is no key.
        SignatureInvalid: if the signature does not hold.
    """
    token = _signing_input(payload, key.key_id, typ) + b"." + urlsafe_b64encode(signature)
    verify(token, key_of=lambda _: key, typ=typ)


def seal(plain: bytes, *, reader: PublicJwk) -> bytes:
    """Return a compact JWE only the reader's private key opens."""
    header = {"alg": _AGREE, "enc": _ENCRYPT, "kid": reader.key_id}
    registry = _Seals(algorithms=[_AGREE, _ENCRYPT])
    return jwe.encrypt_compact(header, plain, reader.key(), registry=registry).encode()


def unseal(token: bytes, *, key: PrivateKey) -> bytes:
    """Open a compact JWE.

    Raises:
        Malformed: if the bytes are no JWE.
        NotForUs: if it was sealed to another key or was altered.
    """
    _check_size(token)
    registry = _Seals(algorithms=[_AGREE, _ENCRYPT])
    # A compact JWE has five parts (RFC 7516 section 3.1).
    if token.count(b".") != 4:
        raise Malformed("sealed message: not a compact JWE")
    try:
        plain = jwe.decrypt_compact(token, key.jose(), registry=registry).plaintext
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NotForUs("sealed message: cannot be opened with this key") from error
    return plain or b""


def sha256_of(token: bytes) -> str:
    """Return the digest by which receipts and the hash chain name a signed message."""
    return hashlib.sha256(token).hexdigest()


def _named(token: bytes, name: str, what: str) -> str:
    _check_size(token)
    try:
        found = jws.extract_compact(token, registry=_Signatures(algorithms=[_SIGN])).headers().get(name)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Malformed("signed message: not a compact JWS") from error
    if not isinstance(found, str):
        raise Malformed(f"signed message: no {what}")
    return found


def _signing_input(payload: bytes, key_id: str, typ: str) -> bytes:
    header = json_b64encode({"alg": _SIGN, "kid": key_id, "typ": typ})
    return header + b"." + urlsafe_b64encode(payload)


def _check_size(token: bytes) -> None:
    if len(token) > MAX_MESSAGE_BYTES * 2:
        raise Malformed(f"message: {len(token)} bytes is over the limit")
