"""TLS with the fleet: its own root is trusted and nobody else's, and a clock that was lost does not shut a terminal out."""

from __future__ import annotations

import ssl
from datetime import datetime

from cryptography import x509

from protocol.errors import Malformed

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME. Source: OpenSSL, X509_VERIFY_PARAM_set_flags(3)."""


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
