"""The fleet's own certificates: what it connects to the broker with, the broker's and the door's. Each is renewed at half of its time.

Only the certificate is new, for the key that is there, as with terminals. So key and certificate fit whenever the power goes: one file
is put whole in the place of another. The key need not be read either: the broker's may be open to the broker alone.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from fleet.clock import Clock
from fleet.errors import AuthorityEnded, NotRenewed
from fleet.pki.authority import SERVER_VALIDITY, Authority, issue_again, serial_of
from fleet.pki.broker import BROKER_CERTIFICATE
from fleet.pki.files import write
from fleet.settings import Settings
from protocol.trust import half_is_over

logger = logging.getLogger(__name__)

DOOR = "door"
"""What key and certificate of the door are called in the authority's folder."""
_EVERY = timedelta(minutes=10)
_LOOK_S = 1.0
_TOLD_AFTER = timedelta(hours=1)
"""Nobody is shown what a running `serve` mends by itself within ten minutes."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A certificate of the fleet's own of which half of the time is over, and that nobody renewed."""

    name: str
    """Of its file, without the folder."""
    ends_at: datetime
    days_left: int
    """Whole days; 0 on the last one and afterwards."""


def broker_certificate(folder: Path) -> Path:
    """Return where the broker's certificate is."""
    return folder / BROKER_CERTIFICATE


def door_certificate(data_dir: Path) -> Path:
    """Return where the door's certificate is."""
    return data_dir / "pki" / f"{DOOR}.pem"


def own_certificates(settings: Settings) -> list[Path]:
    """Return where the certificates of a fleet are, as far as its settings say."""
    found = []
    if settings.broker.certificate_file is not None:
        found.append(settings.broker.certificate_file)
    if settings.provisioning.broker_dir is not None:
        found.append(broker_certificate(settings.provisioning.broker_dir))
    if settings.provisioning.port is not None:
        found.append(door_certificate(settings.data_dir))
    return found


def ending(paths: Iterable[Path], *, now: datetime) -> list[Ending]:
    """Return which of these certificates are in their second half; what cannot be read here is left out."""
    found = []
    for path in paths:
        try:
            certificate = _read(path)
        except (OSError, NotRenewed):
            continue
        if half_is_over(certificate, now=now) and half_is_over(certificate, now=now - _TOLD_AFTER):
            ends_at = certificate.not_valid_after_utc
            found.append(Ending(path.name, ends_at, _days_left(ends_at, now)))
    return found


def renew_if_due(path: Path, issuing: Authority | None, *, now: datetime) -> x509.Certificate:
    """Put a new certificate in the place of one of which half of the time is over; return the one that is there now.

    Args:
        path: its file, with the chain.
        issuing: who issues; None where the key for it is not here.
        now: the time.

    Raises:
        NotRenewed: if it is due and cannot be renewed here; says why.
        OSError: if the file cannot be read or written; what was there stays.
    """
    found = _read(path)
    if not half_is_over(found, now=now):
        return found
    if issuing is None:
        raise NotRenewed("the key that issues certificates is not here")
    try:
        found.verify_directly_issued_by(issuing.certificate)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise NotRenewed("another authority issued it") from error
    begins, ends = issuing.certificate.not_valid_before_utc, issuing.certificate.not_valid_after_utc
    if now < begins:
        raise NotRenewed("the clock stands before the authority was made")
    if min(now + SERVER_VALIDITY, ends) <= found.not_valid_after_utc and now >= found.not_valid_before_utc:
        # Nobody's certificate outlives whoever vouches for it: a new one each moment would help nobody.
        raise NotRenewed(
            f"the issuing authority ends on {ends:%Y-%m-%d}: `lifecert-fleet pki renew-issuing`, then the broker and `serve` anew"
        )
    try:
        made = issue_again(issuing, found, now=now)
    except (ValueError, AuthorityEnded) as error:
        raise NotRenewed(str(error)) from error
    # Where the file is a link, the one it leads to is the one that is read.
    write(path.resolve(), made.chain)
    return made.certificate


def take_pair(context: ssl.SSLContext, chain: Path, key: Path) -> None:
    """Have a context show what is in the files now, to whoever it meets from here on.

    Raises:
        OSError: if they cannot be read or do not fit (`ssl.SSLError` is one); the context goes on with what it had.
    """
    # Tried elsewhere first: a context that took a certificate and refused its key would be left with neither.
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(chain, key)
    context.load_cert_chain(chain, key)


class Renewals:
    """A thread that renews certificates when they are due, and says when it cannot.

    Args:
        kept: the certificates' files, and for each what is done when another one lies there: it has those who use it read it.
        issuing: who issues; None where the key for it is not here.
        clock: tells the time.
    """

    def __init__(self, kept: Mapping[Path, Callable[[], None]], issuing: Authority | None, *, clock: Clock) -> None:
        self._kept = dict(kept)
        self._issuing = issuing
        self._clock = clock
        self._in_use: dict[Path, str] = {}
        self._told: dict[Path, date] = {}
        self._looked_at: datetime | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="renewals", daemon=True)

    def start(self) -> None:
        """Start; what is due is renewed before this returns, so that whoever connects next does it with the new one."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """End; can be called twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            # A clock that was set may have gone either way.
            if self._looked_at is None or abs(self._clock() - self._looked_at) >= _EVERY:
                self._look()

    def _look(self) -> None:
        now = self._looked_at = self._clock()
        for path, was_changed in self._kept.items():
            try:
                self._keep(path, was_changed, now)
            except Exception:
                # Top of a thread: the others are looked at all the same, and this one again in a while.
                logger.exception("certificate not renewed file=%s", path.name)

    def _keep(self, path: Path, was_changed: Callable[[], None], now: datetime) -> None:
        try:
            serial = serial_of(renew_if_due(path, self._issuing, now=now))
        except FileNotFoundError:
            # A broker of somebody else's has its revocation list from here and nothing else.
            return
        except (NotRenewed, OSError) as error:
            self._tell(path, error, now)
            # Whoever brings the next one by hand finds it told as well.
            with suppress(NotRenewed, OSError):
                self._in_use.setdefault(path, serial_of(_read(path)))
            return
        before = self._in_use.setdefault(path, serial)
        if before != serial:
            logger.info("certificate changed file=%s", path.name)
            was_changed()
            self._in_use[path] = serial

    def _tell(self, path: Path, error: Exception, now: datetime) -> None:
        """Say once a day that a certificate is not renewed."""
        if self._told.get(path) == now.date():
            return
        self._told[path] = now.date()
        why = error.strerror if isinstance(error, OSError) else error
        try:
            left = _days_left(_read(path).not_valid_after_utc, now)
        except (OSError, NotRenewed):
            logger.warning("certificate not renewed file=%s: %s", path.name, why)
        else:
            logger.warning("certificate not renewed file=%s days_left=%d: %s", path.name, left, why)


def _read(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0]
    except ValueError as error:
        raise NotRenewed("not a certificate in PEM") from error


def _days_left(ends_at: datetime, now: datetime) -> int:
    return max(0, (ends_at - now).days)
