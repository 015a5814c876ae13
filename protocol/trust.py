"""TLS with the fleet: its own root is trusted and nobody else's, and a clock that is behind does not shut a terminal out.

Text in PEM is read once, here, and what was read goes on, never the text: two readers of one text can find different certificates in it,
and then another root would be trusted than the one whose fingerprint was compared.
"""

from __future__ import annotations

import hashlib
import ssl
import sys
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from protocol import grouped
from protocol.errors import Malformed
from protocol.system_clock import is_kept

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


class ClosingSocket(ssl.SSLSocket):
    """A connection that is closed where the other side is not believed, for `ssl.SSLContext.sslsocket_class`.

    paho-mqtt leaves such a one to the interpreter.
    """

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands, or close the connection and raise what is wrong."""
        try:
            self._shake_hands(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            # It waits for nothing, and tries again.
            raise
        except (OSError, ValueError):
            self.close()
            raise

    def _shake_hands(self, block: bool) -> None:
        super().do_handshake(block)


def client_context(
    trusted: Sequence[x509.Certificate], *, now: datetime, clock_is_kept: bool | None = None
) -> ssl.SSLContext:
    """Return a context that trusts these certificates and no others, and looks at the clock as `mind_the_clock` says.

    Args:
        trusted: one at least: the fleet's root, or what else vouches for a broker.
        now: what the clock says.
        clock_is_kept: whether a time service keeps it; None: the system is asked.

    Raises:
        Malformed: if one is of no use to OpenSSL.
    """
    try:
        context = ssl.create_default_context(cadata=b"".join(each.public_bytes(Encoding.DER) for each in trusted))
    except (ValueError, ssl.SSLError) as error:
        raise Malformed("root certificate: not a certificate in PEM") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    mind_the_clock(context, trusted, now=now, clock_is_kept=clock_is_kept)
    return context


def mind_the_clock(
    context: ssl.SSLContext,
    trusted: Sequence[x509.Certificate],
    *,
    now: datetime,
    clock_is_kept: bool | None = None,
) -> None:
    """Have a context look at the time of certificates, but not hold a clock against them that nothing keeps.

    A board without a clock of its own wakes up with the moment of its last shutdown, or of its image: days or a year behind, and every
    certificate that was made since is one of the future. So where no time service keeps the clock, or it stands before the root was
    made and is wrong for certain, the beginning of a certificate does not count. Its end does, as far as such a clock goes: one that is
    behind takes what has ended since for good. Names and signatures are checked in any case.

    Args:
        context: which; what it connects from now on is meant.
        trusted: the trusted certificates, one at least.
        now: what the clock says.
        clock_is_kept: whether a time service keeps it; None: the system is asked. What the terminal remembers of the time does not
            count here, as it is the system's clock that OpenSSL looks at.
    """
    kept = is_kept() if clock_is_kept is None else clock_is_kept
    if kept and now >= min(each.not_valid_before_utc for each in trusted):
        context.verify_flags &= ~_NO_CHECK_TIME
        context.sslsocket_class, context.sslobject_class = ClosingSocket, ssl.SSLObject
    else:
        context.verify_flags |= _NO_CHECK_TIME
        context.sslsocket_class, context.sslobject_class = _that_look_at_ends(now)


def _that_look_at_ends(now: datetime) -> tuple[type[ssl.SSLSocket], type[ssl.SSLObject]]:
    # Whoever connects shakes hands before anything else; a socket that left that to its first write would not come by here.
    # OpenSSL's own check cannot be halved: who is asked to leave time out of it leaves out the end as well.
    class Socket(ClosingSocket):
        def _shake_hands(self, block: bool) -> None:
            super()._shake_hands(block)
            _demand_lasting(self, now)

    class Bio(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            _demand_lasting(self, now)

    return Socket, Bio


def _demand_lasting(connection: ssl.SSLSocket | ssl.SSLObject, now: datetime) -> None:
    """Go on only if none of the certificates has ended by which the other side was believed.

    Raises:
        ssl.SSLCertVerificationError: if one has.
    """
    if sys.version_info >= (3, 13):
        chain = connection.get_verified_chain()
    else:
        # Older ones show the first alone; the fleet's authority lets none of them outlive whoever vouches for it.
        chain = [connection.getpeercert(binary_form=True)]
    if any(x509.load_der_x509_certificate(each or b"").not_valid_after_utc < now for each in chain):
        raise ssl.SSLCertVerificationError(1, "certificate verify failed: certificate has expired")
