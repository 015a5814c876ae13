"""References: protected features that a probe is compared with.

Features are turned by a secret rotation before they are stored or sent, then rounded to int8. A rotation keeps every
cosine, so comparison works on protected features alone; without the rotation's key they can be neither linked to those of another key
domain nor turned back into features, and a new key renews them without a new capture (ISO/IEC 24745: irreversible,
unlinkable, renewable).
"""

from __future__ import annotations

import base64
import hashlib
from datetime import date
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from protocol.ids import KeyDomain, ReferenceId, Sha256
from protocol.wire import UtcTime, WirePart

KEY_BYTES = 32
_INT8_MAX = 127
MAX_REKEYS = 8
"""How often one reference may be re-keyed before it must be made anew, see `rekey`."""


class CaptureKind(StrEnum):
    """How a reference was made."""

    LIVE = "live"
    """From a living person on site, with liveness evidence."""
    PHOTO = "photo"
    """From a photograph nobody has confirmed yet: it enrols, it never certifies (R1-19)."""
    PHOTO_CONFIRMED = "photo_confirmed"
    """From a photograph that a named officer confirmed against the person or the document."""


class LegalBasis(StrEnum):
    """Why the reference may be kept."""

    CONSENT = "consent"
    STATUTE = "statute"


class Reference(WirePart):
    """One protected reference of one subject."""

    reference_id: ReferenceId
    features: str = Field(max_length=8192, repr=False)
    """Protected int8 features, base64."""
    model_sha256: Sha256
    """Digest of the network that made them; nothing else can be compared."""
    runtime: str
    key_domain: KeyDomain
    quality: float = Field(ge=0, le=100)
    capture: CaptureKind
    legal_basis: LegalBasis
    captured_at: UtcTime
    valid_until: date

    def vector(self) -> NDArray[np.int8]:
        """Return the protected features, int8 (D,)."""
        return np.frombuffer(base64.b64decode(self.features, validate=True), dtype=np.int8)


def encode_features(protected: NDArray[np.int8]) -> str:
    """Return the base64 text of protected features."""
    return base64.b64encode(protected.tobytes()).decode()


def protect(features: NDArray[np.float32], key: bytes) -> NDArray[np.int8]:
    """Turn unit features by the key's rotation and round them to int8.

    Args:
        features: float32 (D,), unit length.
        key: the key domain's secret, 32 bytes.

    Returns:
        int8 (D,), scaled so that the largest component is 127; cosines between two such vectors differ from those of the
        features by rounding only (under 0.01 for D >= 128, see the unit tests).
    """
    turned = _rotation(key, features.shape[0]) @ features.astype(np.float64)
    peak = float(np.abs(turned).max())
    if not np.isfinite(peak) or peak == 0:
        raise ValueError("features: a finite vector of non-zero length expected")
    protected: NDArray[np.int8] = np.round(turned * (_INT8_MAX / peak)).astype(np.int8)
    return protected


def rekey(protected: NDArray[np.int8], old: bytes, new: bytes) -> NDArray[np.int8]:
    """Bring protected features from one key domain to another without a new capture.

    The old rotation is undone, the new one applied, and the result rounded again. A rounding moves a vector by an angle of at most
    `sqrt(D) * peak / 254` (peak: its largest component at unit length), 0.36 degrees in the mean for D = 192; roundings add like
    independent errors, so the angle grows with the root of their number. Measured on 20,000 pairs of unit vectors of all similarities (D =
    192; D = 128 is a tenth worse), the change of the cosine between a fresh probe and a reference re-keyed n times:

    | n | standard deviation | largest |
    |---|---|---|
    | 0 | 0.0004 | 0.0024 |
    | 1 | 0.0006 | 0.0035 |
    | 4 | 0.0009 | 0.0047 |
    | 8 | 0.0012 | 0.0057 |
    | 16 | 0.0016 | 0.0075 |

    Up to `MAX_REKEYS` it stays under 0.01, what `protect` itself promises (see the unit tests).

    Args:
        protected: int8 (D,) or (N, D), none of them zero.
        old: the secret of the domain they are in.
        new: the secret of the domain they are to be in.

    Returns:
        int8 of the same shape.
    """
    size = protected.shape[-1]
    turned = protected.astype(np.float64) @ _rotation(old, size) @ _rotation(new, size).T
    peak = np.abs(turned).max(axis=-1, keepdims=True)
    if not peak.all():
        raise ValueError("protected features: a vector of non-zero length expected")
    rounded: NDArray[np.int8] = np.round(turned * (_INT8_MAX / peak)).astype(np.int8)
    return rounded


@lru_cache(maxsize=8)
def _rotation(key: bytes, size: int) -> NDArray[np.float64]:
    """Return a random orthonormal matrix drawn from the key, uniform over rotations and reflections.

    The stream is SHAKE-256 and the normal numbers are made here (Box-Muller), because a library's random generators may
    change between versions and the same key must give the same matrix for decades. Source: QR of a Gaussian
    matrix with the signs of R's diagonal fixed is Haar-distributed: Mezzadri, Notices of the AMS 54 (2007), section 5.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"rotation key: {len(key)} bytes, {KEY_BYTES} expected")
    count = size * size + size * size % 2
    stream = hashlib.shake_256(b"lifecert-rotation-1:" + size.to_bytes(4, "big") + key).digest(count * 8)
    uniform = (np.frombuffer(stream, dtype=">u8").astype(np.float64) + 0.5) / 2.0**64
    radius = np.sqrt(-2.0 * np.log(uniform[0::2]))
    angle = 2.0 * np.pi * uniform[1::2]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[: size * size]
    q, r = np.linalg.qr(normal.reshape(size, size))
    return np.asarray(q * np.sign(np.diag(r)), dtype=np.float64)
