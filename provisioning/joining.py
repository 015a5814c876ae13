"""A new terminal comes to its fleet: keys and a request are made here, the claim is sent with them, and the answer is kept.

Every step can be cut off and is taken up again by the next try: keys are made once, the fleet answers the same terminal again, and the
certificate is written last. For a day it is answered by its claim, and later by the key that the fleet knows of it.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from protocol.errors import ProtocolError
from protocol.keys import PrivateKey, short_key_id
from protocol.provisioning import (
    JOIN_PATH,
    RENEW_PATH,
    JoinAnswer,
    JoinRequest,
    ProvisioningClaim,
    Renewal,
    sign_renewal,
)
from protocol.registration import FleetIdentity, TerminalRegistration, read_registration
from protocol.trust import client_context, half_is_over, pem_of, root_in
from provisioning.errors import (
    AlreadyThere,
    ClaimOfOther,
    FileUnusable,
    FleetUnavailable,
    FleetUnreachable,
    JoinRefused,
    NotTrusted,
)
from provisioning.identity import (
    FLEET,
    REGISTRATION,
    SEALING,
    SIGNING,
    STORAGE,
    make_identity,
    sweep_identity,
    write_sure,
)
from provisioning.settings_file import CREDENTIALS, KEY_FILES, complete, parse_part, wants

KEY: Final = "tls.pem"
CERTIFICATE: Final = "certificate.pem"
ROOT: Final = "root.pem"
KEYS: Final = (SIGNING, SEALING, STORAGE, REGISTRATION, KEY)
"""What a terminal's name is tied to: another one needs others."""
TLS_FILES: Final = {"tls_ca": ROOT, "tls_certificate": CERTIFICATE, "tls_key": KEY}
"""In the terminal's settings, by their keys."""
SETTINGS: Final = "terminal.toml"
INSTALLED: Final = Path("/etc/lifecert")
"""Folder of an installed terminal, whose services get their keys from systemd."""
DOOR: Final = "door.txt"
"""Where the fleet's door is: what was in the claim."""
TIMEOUT_S: Final = 30.0
_NEW_ONE: Final = (
    "if this terminal was not erased on purpose, have the office make a claim for one in its place (`terminals swap`)"
)
_MOST_ANSWER: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a try."""

    terminal_id: str
    is_joined: bool
    """False while a person at the fleet has to let it in."""
    broker_host: str = ""
    broker_port: int = 0
    fingerprint: str = ""
    """Of its signing key, short."""


def read_claim(path: Path) -> ProvisioningClaim:
    """Read a claim from a file: the file itself, or the text of its QR code.

    Raises:
        FileUnusable: if it is none, or its root is not one certificate.
    """
    try:
        data = path.read_bytes().strip()
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error
    try:
        text = data.decode("ascii", "replace")
        claim = ProvisioningClaim.from_qr(text) if text.startswith("LIFECERT:") else ProvisioningClaim.parse(data)
        return with_root(claim, root_in(claim.root))
    except ProtocolError as error:
        raise FileUnusable(f"{path.name}: not a claim: {error}; get one with `lifecert-fleet pki claim`") from error


def with_root(claim: ProvisioningClaim, root: x509.Certificate) -> ProvisioningClaim:
    """Return a claim whose root is this certificate and nothing else: what is written on from it every reader reads alike."""
    return claim.model_copy(update={"root": pem_of(root)})


def name_of_terminal(claim: ProvisioningClaim, terminal_id: str | None, *, source: str = "the claim") -> str:
    """Return the name of the terminal that a claim is good for.

    Args:
        claim: it.
        terminal_id: whose it is, where somebody says so.
        source: where it comes from, for messages.

    Raises:
        ClaimOfOther: if it is another terminal's.
        FileUnusable: if nobody says whose it is.
    """
    if claim.terminal_id is not None and terminal_id not in (None, claim.terminal_id):
        raise ClaimOfOther(
            f"{source}: is for terminal {claim.terminal_id}, not for {terminal_id}; take the claim of {terminal_id}"
        )
    name = claim.terminal_id or terminal_id
    if name is None:
        raise FileUnusable(f"{source}: names no terminal; say which with --terminal")
    return name


def join(
    claim: ProvisioningClaim, folder: Path, *, terminal_id: str | None, board_serial: str | None, now: datetime
) -> Outcome:
    """Try to join; once more is the same try.

    Args:
        claim: what the technician brought.
        folder: of the keys; what is there from an earlier try is used.
        terminal_id: what this terminal is called; None where the claim alone says it.
        board_serial: as the board tells it.
        now: what the clock says, right or wrong.

    Raises:
        JoinRefused: if the fleet does not take it; the message says what to do.
        FleetUnreachable: if it gave no answer; nothing is lost.
        ClaimOfOther: if the claim is another terminal's; nothing was asked of the fleet.
        FileUnusable: if a file cannot be read or written, or no name is given.
        AlreadyThere: if the folder is another terminal's.
    """
    name = name_of_terminal(claim, terminal_id)
    registration = _registration(claim.fleet_id, name, folder, now)
    try:
        request = _request(name, _key(folder / KEY))
        wish = JoinRequest(
            code=claim.code, request=request, registration=registration.decode(), board_serial=board_serial
        )
        try:
            answer = _posted(claim.url, claim.root, JOIN_PATH, wish.to_bytes(), now)
        except JoinRefused as refused:
            if refused.code != "claim_used":
                raise
            # Perhaps by this terminal, more than a day ago, and what was answered was lost with the power: then its key is known.
            try:
                answer = _renewed(claim.url, claim.root, read_registration(registration), folder, request, now)
            except JoinRefused:
                raise refused from None
        if answer.verdict == "waits":
            return Outcome(name, is_joined=False)
        _keep(claim, answer, folder)
    except OSError as error:
        raise FileUnusable(f"{error.filename or folder}: {error.strerror}") from error
    return Outcome(name, True, answer.broker_host or "", answer.broker_port or 0, fingerprint_in(folder))


def fingerprint_in(folder: Path) -> str:
    """Return the short fingerprint of a terminal's signing key.

    Raises:
        FileUnusable: if there is no registration that can be read.
    """
    path = folder / REGISTRATION
    try:
        return short_key_id(read_registration(path.read_bytes()).signing_key.key_id)
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error
    except ProtocolError as error:
        raise FileUnusable(f"{path}: {error}") from error


def has_settings(folder: Path) -> bool:
    """Say whether everything came that joining brings: the fleet answers a claim again for a day only, and a power cut may last longer."""
    return (folder / CERTIFICATE).exists() and (folder / SETTINGS).exists()


def keeps_other_settings(part: Path, folder: Path) -> bool:
    """Say whether `write_settings` keeps settings that are not those of a part, which somebody may wonder at."""
    # When a terminal has joined its card has no part any more.
    if not part.exists():
        return False
    try:
        return not wants(parse_part(read_text(part), name=part.name), read_text(folder / SETTINGS))
    except FileUnusable:
        # Whoever has joined is in, whatever has become of its card.
        return True


def write_settings(part: Path, folder: Path, fleet_id: str, outcome: Outcome) -> None:
    """Make the terminal's settings, once it has joined; a file that is there is kept, whoever wrote it.

    Args:
        part: what the technician wanted, as TOML.
        folder: of the keys; the settings come there, too.
        fleet_id: the fleet that was joined.
        outcome: what it told.

    Raises:
        FileUnusable: if the part cannot be read, or the file not be written.
    """
    path = folder / SETTINGS
    if path.exists():
        return
    text = complete(
        parse_part(read_text(part), name=part.name),
        fleet_id=fleet_id,
        terminal_id=outcome.terminal_id,
        broker_host=outcome.broker_host,
        broker_port=outcome.broker_port,
        files=TLS_FILES,
        keys=CREDENTIALS if folder.absolute() == INSTALLED else KEY_FILES,
    )
    try:
        write_sure(path, text.encode(), mode=0o640)
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error


def read_text(path: Path) -> str:
    """Return a text file.

    Raises:
        FileUnusable: if it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileUnusable(f"{path}: not a text in UTF-8") from error


def _registration(fleet_id: str, terminal_id: str, folder: Path, now: datetime) -> bytes:
    path = folder / REGISTRATION
    if not path.exists():
        make_identity(fleet_id, terminal_id, folder, moment=now)
    try:
        sweep_identity(folder)
        token = path.read_bytes()
        known = read_registration(token)
    except BlockingIOError as error:
        raise AlreadyThere(f"{folder}: somebody else is making an identity there; nothing was changed") from error
    except OSError as error:
        raise FileUnusable(f"{error.filename or path}: {error.strerror}") from error
    except ProtocolError as error:
        raise FileUnusable(f"{path}: {error}; move the folder away, and new keys are made") from error
    if (known.fleet_id, known.terminal_id) != (fleet_id, terminal_id):
        raise AlreadyThere(
            f"{folder}: holds the keys of terminal {known.terminal_id} of fleet {known.fleet_id}; name another folder, or move"
            f" {', '.join(KEYS)} away, and new ones are made"
        )
    return token


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    if path.exists():
        return _key_there(path, advice="move it away, and a new one is made")
    made = ec.generate_private_key(ec.SECP256R1())
    write_sure(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
    return made


def _key_there(path: Path, *, advice: str) -> ec.EllipticCurvePrivateKey:
    try:
        found = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise FileUnusable(f"{path}: cannot be read as a key; {advice}") from error
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise FileUnusable(f"{path}: not a P-256 key; {advice}")
    return found


def _request(name: str, key: ec.EllipticCurvePrivateKey) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    return made.public_bytes(Encoding.PEM).decode()


def is_due(folder: Path, *, now: datetime) -> bool:
    """Say whether half of the certificate's time is over; so it is where there is none that can be read, or the clock is before it.

    Raises:
        FileUnusable: if the folder cannot be read.
    """
    try:
        found = x509.load_pem_x509_certificates((folder / CERTIFICATE).read_bytes())[0]
    except OSError as error:
        raise FileUnusable(f"{error.filename or folder}: {error.strerror}; join first") from error
    except ValueError:
        return True
    return half_is_over(found, now=now)


def renew(folder: Path, *, now: datetime) -> datetime:
    """Get the next certificate, for the same key; return until when it is good.

    Raises:
        JoinRefused: if the fleet gives none: the terminal was taken out of service.
        FleetUnreachable: if it gave no answer; the certificate that is there goes on.
        FileUnusable: if a file cannot be read or written, or there is no key: none is made, as it may have been destroyed on purpose.
    """
    if not (folder / KEY).exists():
        raise FileUnusable(f"{folder / KEY}: there is none, and renewing makes none; {_NEW_ONE}")
    try:
        known = read_registration((folder / REGISTRATION).read_bytes())
        door, root = (folder / DOOR).read_text(), (folder / ROOT).read_text()
        request = _request(known.terminal_id, _key_there(folder / KEY, advice=_NEW_ONE))
        answer = _renewed(door, root, known, folder, request, now)
        found = x509.load_pem_x509_certificates((answer.certificate or "").encode())
        write_sure(folder / CERTIFICATE, (answer.certificate or "").encode())
    except OSError as error:
        raise FileUnusable(f"{error.filename or folder}: {error.strerror}") from error
    except (ProtocolError, ValueError) as error:
        raise FileUnusable(f"{folder}: {error}") from error
    return found[0].not_valid_after_utc


def _renewed(
    door: str, root: str, known: TerminalRegistration, folder: Path, request: str, now: datetime
) -> JoinAnswer:
    """Ask the fleet for a certificate by the signing key that it knows of this terminal. Raises as `renew`."""
    renewal = Renewal(fleet_id=known.fleet_id, terminal_id=known.terminal_id, request=request)
    try:
        signing = PrivateKey.load(folder / SIGNING)
    except ProtocolError as error:
        raise FileUnusable(f"{folder / SIGNING}: {error}; {_NEW_ONE}") from error
    token = sign_renewal(renewal, signing)
    return _posted(door, root, f"{RENEW_PATH}/{known.terminal_id}", token, now)


def _posted(url: str, root: str, path: str, body: bytes, now: datetime) -> JoinAnswer:
    given = posted(url, root, path, body, now)
    try:
        return JoinAnswer.parse(given)
    except ProtocolError as error:
        raise FleetUnreachable(f"{url}: an answer that cannot be read: {error}") from error


def posted(url: str, root: str, path: str, body: bytes, now: datetime) -> bytes:
    """Ask at the fleet's door, and return the answer.

    Raises:
        JoinRefused: if it refuses; the message says what to do.
        FleetUnreachable: if it gave no answer, or can do nothing just now.
        FileUnusable: if the root is not one certificate.
    """
    try:
        context = client_context([root_in(root)], now=now)
    except ProtocolError as error:
        raise FileUnusable(str(error)) from error
    status, given = answered(url, context, "POST", path, body, most=_MOST_ANSWER + 1)
    # Wrong codes are counted by address, and another terminal of the site may have sent them.
    if status == http.client.TOO_MANY_REQUESTS or status >= http.client.INTERNAL_SERVER_ERROR:
        raise FleetUnavailable.of(status, given)
    if status != http.client.OK:
        raise JoinRefused.of(status, given)
    return given


def answered(
    url: str, context: ssl.SSLContext, method: str, path: str, body: bytes | None = None, *, most: int
) -> tuple[int, bytes]:
    """Ask whoever answers at an address.

    Args:
        url: the address, https://.
        context: whom to trust.
        method: of HTTP.
        path: behind the address.
        body: what to say.
        most: bytes to read.

    Returns:
        The status and what was said.

    Raises:
        FleetUnreachable: if there was no answer, or the address is none.
    """
    try:
        # An address that is none is found out by whichever of them looks at it first.
        where = urlsplit(url)
        connection = http.client.HTTPSConnection(
            where.hostname or "", where.port or 443, timeout=TIMEOUT_S, context=context
        )
        with closing(connection):
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read(most)
    except (OSError, ValueError, http.client.HTTPException) as error:
        kind = NotTrusted if isinstance(error, ssl.SSLCertVerificationError) else FleetUnreachable
        raise kind(
            f"{url}: no answer ({error}); is the network there, are address and clock right? Trying again loses nothing."
        ) from error


def _keep(claim: ProvisioningClaim, answer: JoinAnswer, folder: Path) -> None:
    try:
        identity = FleetIdentity.parse((answer.fleet_identity or "").encode())
    except ProtocolError as error:
        raise FleetUnreachable(f"{claim.url}: an answer that cannot be read: {error}") from error
    write_sure(folder / FLEET, identity.to_bytes())
    write_sure(folder / ROOT, pem_of(root_in(claim.root)).encode())
    write_sure(folder / DOOR, claim.url.encode())
    # Last: whoever finds it finds everything.
    write_sure(folder / CERTIFICATE, (answer.certificate or "").encode())


def wait_and_join(
    attempt: Callable[[], Outcome],
    *,
    every_s: float,
    most_s: float,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> Outcome:
    """Try until the terminal is in, or the time is over; a fleet that does not answer is asked again.

    Args:
        attempt: one try. It takes half a minute and longer where packets are lost; the last one begins when the time is over, or before.
        every_s: seconds between tries.
        most_s: seconds in all.
        sleep: waits.
        clock: seconds, monotonic.

    Raises:
        ProvisioningError: as `join`; for `FleetUnreachable` only when the time is over.
    """
    ends = clock() + most_s
    while True:
        try:
            outcome = attempt()
        except FleetUnreachable:
            if clock() >= ends:
                raise
        else:
            if outcome.is_joined or clock() >= ends:
                return outcome
        sleep(min(every_s, max(ends - clock(), 0.0)))


def board_serial(path: Path = Path("/sys/firmware/devicetree/base/serial-number")) -> str | None:
    """Return the board's serial number; None where it tells none. Source: Raspberry Pi documentation, "config.txt", serial numbers."""
    try:
        found = path.read_bytes().rstrip(b"\0").decode("ascii")
    except (OSError, ValueError):
        return None
    return found if found.isalnum() and found.strip("0") else None
