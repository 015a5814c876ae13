"""Keys of terminals and fleet: P-256, one to sign and one to open sealed messages."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from protocol import base64url, grouped
from protocol.errors import Malformed
from protocol.wire import WirePart

CURVE = "P-256"
COMPRESSED_BYTES = 33
"""Length of a compressed point: one byte for the parity and 32 for x."""
_SHORT_SIGNS = 16


class PublicJwk(WirePart):
    """A P-256 public key as JWK (RFC 7517)."""

    kty: str = "EC"
    crv: str = CURVE
    x: str
    y: str

    def key(self) -> ECKey:
        """Return the key object.

        Raises:
            Malformed: if the numbers are not a point on P-256.
        """
        if self.kty != "EC" or self.crv != CURVE:
            raise Malformed(f"key: {self.kty} {self.crv}, EC {CURVE} expected")
        return _public_key(self.x, self.y)

    @property
    def key_id(self) -> str:
        """RFC 7638 thumbprint."""
        return self.key().thumbprint()

    def only(self, key_id: str) -> PublicJwk | None:
        """Return this key if it has the id: for `protocol.envelope.verify`, where nobody else may have signed.

        Raises:
            Malformed: if the numbers are not a point on P-256.
        """
        return self if key_id == self.key_id else None

    def compressed(self) -> bytes:
        """Return the point in 33 bytes: 2 or 3 for the parity of y, then x. Source: SEC 1, as `cryptography` writes it.

        Raises:
            Malformed: if the numbers are not a point on P-256.
        """
        public: Any = self.key().public_key
        found: bytes = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        return found

    @classmethod
    def from_compressed(cls, point: bytes) -> PublicJwk:
        """Return the key of a compressed point.

        Raises:
            Malformed: if the bytes are not 33, or no point on P-256.
        """
        if len(point) != COMPRESSED_BYTES:
            raise Malformed(f"key: a point of {len(point)} bytes, {COMPRESSED_BYTES} expected")
        try:
            numbers = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point).public_numbers()
        except ValueError as error:
            raise Malformed("key: not a point on P-256") from error
        return cls(x=_coordinate(numbers.x), y=_coordinate(numbers.y))


def _coordinate(number: int) -> str:
    return base64url.encode(number.to_bytes(32, "big"))


@lru_cache(maxsize=4096)
def _public_key(x: str, y: str) -> ECKey:
    """Build a key object once for all the messages of one terminal; it is never changed."""
    try:
        key = ECKey.import_key({"kty": "EC", "crv": CURVE, "x": x, "y": y})
        key.raw_value  # noqa: B018 - building the point is what checks it
    except (JoseError, ValueError, TypeError) as error:
        raise Malformed("key: not a P-256 public key") from error
    return key


class PrivateKey:
    """A P-256 private key; its repr shows the public thumbprint only."""

    def __init__(self, key: ECKey) -> None:
        self._key = key
        self.key_id = key.thumbprint()

    def __repr__(self) -> str:
        return f"PrivateKey({self.key_id})"

    @classmethod
    def generate(cls) -> PrivateKey:
        """Make a new key from the system's randomness."""
        return cls(ECKey.generate_key(CURVE))

    @classmethod
    def of(cls, key: ec.EllipticCurvePrivateKey) -> PrivateKey:
        """Return a key that signs with any implementation of a P-256 private key, such as one that asks a hardware token (PKCS #11).

        Its secret is never asked for, so it need not be had.

        Raises:
            Malformed: if it is on another curve.
        """
        if not isinstance(key.curve, ec.SECP256R1):
            raise Malformed(f"key: {key.curve.name}, {CURVE} expected")
        numbers = key.public_key().public_numbers()
        x, y = _coordinate(numbers.x), _coordinate(numbers.y)
        return cls(ECKey(key, {"kty": "EC", "crv": CURVE, "x": x, "y": y}))

    @classmethod
    def load(cls, path: Path) -> PrivateKey:
        """Read a PEM file.

        Raises:
            Malformed: if the file cannot be read or is no P-256 private key.
        """
        try:
            key = ECKey.import_key(path.read_bytes())
        except (OSError, JoseError, ValueError) as error:
            raise Malformed(f"key file {path}: cannot be read as a private key") from error
        if not key.is_private or key.as_dict(private=False)["crv"] != CURVE:
            raise Malformed(f"key file {path}: not a {CURVE} private key")
        return cls(key)

    def save(self, path: Path) -> None:
        """Write a PEM file only its owner can read; an existing file is never replaced.

        Raises:
            FileExistsError: if there is one.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self._key.as_pem(private=True))
            file.flush()
            os.fsync(file.fileno())

    def public(self) -> PublicJwk:
        """Return the public half."""
        found: dict[str, Any] = self._key.as_dict(private=False)
        return PublicJwk(x=found["x"], y=found["y"])

    def jose(self) -> ECKey:
        """Return the key for `protocol.envelope`; nothing else calls this."""
        return self._key


def short_key_id(key_id: str) -> str:
    """Return the short form of a key's fingerprint, as people compare it and as it stands on a label: its first 80 bits, in groups."""
    return grouped.shown(grouped.of_bits(base64url.decode(key_id), _SHORT_SIGNS))
