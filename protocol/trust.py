"""TLS with the fleet: its own root is trusted and nobody else's, and a clock that was lost does not shut a terminal out.

Text in PEM is read once, here, and what was read goes on, never the text: two readers of one text can find different certificates in it,
and then another root would be trusted than the one whose fingerprint was compared.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from protocol import grouped
from protocol.errors import Malformed

_FINGERPRINT_SIGNS = 20
"""100 bits of SHA-256: nobody makes another certificate that has the same."""
_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME. Source: OpenSSL, X509_VERIFY_PARAM_set_flags(3)."""


def certificates_in(text: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates in a text in PEM, one at least.

    Raises:
        Malformed: if there is none, or one that cannot be read.
    """
    try:
        return tuple(x509.load_pem_x509_certificates(text.encode()))
    except ValueError as error:
        raise Malformed("root certificate: not a certificate in PEM") from error


def root_in(text: str) -> x509.Certificate:
    """Return the root certificate in a text in PEM.

    Raises:
        Malformed: if it is not exactly one.
    """
    found = certificates_in(text)
    if len(found) != 1:
        raise Malformed(f"root certificate: one certificate in PEM expected, {len(found)} found")
    return found[0]


def pem_of(certificate: x509.Certificate) -> str:
    """Return a certificate in PEM, and nothing else in it."""
    return certificate.public_bytes(Encoding.PEM).decode()


def root_fingerprint(root: x509.Certificate) -> str:
    """Return the fingerprint of a root certificate, as it stands beside a claim's code: the first bits of its SHA-256."""
    return grouped.of_bits(hashlib.sha256(root.public_bytes(Encoding.DER)).digest(), _FINGERPRINT_SIGNS)


def typed_fingerprint(text: str) -> str:
    """Return the fingerprint of a root that somebody typed.

    Raises:
        Malformed: if it is none, or mistyped.
    """
    return grouped.typed(text, length=_FINGERPRINT_SIGNS, what="fingerprint of the root", code="root_fingerprint")


def half_is_over(certificate: x509.Certificate, *, now: datetime) -> bool:
    """Say whether a certificate is to be renewed: half of its time is over, or the clock is before it.

    One rule for terminals and the fleet's own: the other half is for whatever keeps the next one away.
    """
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return not begins <= now < begins + (ends - begins) / 2


def client_context(trusted: Sequence[x509.Certificate], *, now: datetime) -> ssl.SSLContext:
    """Return a context that trusts these certificates and no others, and looks at the clock as `mind_the_clock` says.

    Args:
        trusted: one at least: the fleet's root, or what else vouches for a broker.
        now: what the clock says.

    Raises:
        Malformed: if one is of no use to OpenSSL.
    """
    try:
        context = ssl.create_default_context(cadata=b"".join(each.public_bytes(Encoding.DER) for each in trusted))
    except (ValueError, ssl.SSLError) as error:
        raise Malformed("root certificate: not a certificate in PEM") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    mind_the_clock(context, trusted, now=now)
    return context


def mind_the_clock(context: ssl.SSLContext, trusted: Sequence[x509.Certificate], *, now: datetime) -> None:
    """Have a context look at the time of certificates, but not by a clock that stands before the root was made.

    Such a clock is wrong for certain, and every certificate would be of the future. Names and signatures are checked all the same.

    Args:
        context: which.
        trusted: the trusted certificates, one at least.
        now: what the clock says.
    """
    if now < min(each.not_valid_before_utc for each in trusted):
        context.verify_flags |= _NO_CHECK_TIME
    else:
        context.verify_flags &= ~_NO_CHECK_TIME
