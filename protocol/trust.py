"""TLS with the fleet: its own root is trusted and nobody else's, and a clock that was lost does not shut a terminal out."""

from __future__ import annotations

import hashlib
import ssl
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from protocol import grouped
from protocol.errors import Malformed

_FINGERPRINT_SIGNS = 20
"""100 bits of SHA-256: nobody makes another certificate that has the same."""
_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME. Source: OpenSSL, X509_VERIFY_PARAM_set_flags(3)."""


def root_fingerprint(root: str) -> str:
    """Return the fingerprint of a root certificate, as it stands beside a claim's code: the first bits of its SHA-256.

    Args:
        root: one certificate in PEM.

    Raises:
        Malformed: if it is none.
    """
    try:
        (found,) = x509.load_pem_x509_certificates(root.encode())
    except ValueError as error:
        raise Malformed("root certificate: not one certificate in PEM") from error
    return grouped.of_bits(hashlib.sha256(found.public_bytes(Encoding.DER)).digest(), _FINGERPRINT_SIGNS)


def typed_fingerprint(text: str) -> str:
    """Return the fingerprint of a root that somebody typed.

    Raises:
        Malformed: if it is none, or mistyped.
    """
    return grouped.typed(text, length=_FINGERPRINT_SIGNS, what="fingerprint of the root", code="root_fingerprint")


def client_context(root: str, *, now: datetime) -> ssl.SSLContext:
    """Return a context that trusts one root, and looks at the clock as `mind_the_clock` says.

    Args:
        root: certificates in PEM.
        now: what the clock says.

    Raises:
        Malformed: if it is no certificate.
    """
    try:
        context = ssl.create_default_context(cadata=root)
    except (ValueError, ssl.SSLError) as error:
        raise Malformed("root certificate: not a certificate in PEM") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    mind_the_clock(context, root, now=now)
    return context


def mind_the_clock(context: ssl.SSLContext, root: str, *, now: datetime) -> None:
    """Have a context look at the time of certificates, but not by a clock that stands before the root was made.

    Such a clock is wrong for certain, and every certificate would be of the future. Names and signatures are checked all the same.

    Args:
        context: which.
        root: the trusted certificates in PEM.
        now: what the clock says.

    Raises:
        Malformed: if it is no certificate.
    """
    try:
        begins = min(each.not_valid_before_utc for each in x509.load_pem_x509_certificates(root.encode()))
    except ValueError as error:
        raise Malformed("root certificate: not a certificate in PEM") from error
    if now < begins:
        context.verify_flags |= _NO_CHECK_TIME
    else:
        context.verify_flags &= ~_NO_CHECK_TIME
