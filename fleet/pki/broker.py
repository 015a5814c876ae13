"""A Mosquitto that lets in whoever has a certificate of this fleet, and each terminal to its own topics only.

What a terminal is called is in its certificate and nowhere else: the broker takes the name for user and client identifier, so no
terminal can write, read or take over what is another's. Source: mosquitto.conf(5), 2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fleet.errors import KeysMissing
from fleet.pki.authority import SERVER_VALIDITY, Authority, issue_client, issue_server
from fleet.pki.files import REVOKED, TRUSTED, write, write_key, write_revoked
from fleet.pki.listed import NextList
from protocol.topics import ROOT
from protocol.wire import MAX_MESSAGE_BYTES

FLEET_NAME = "FLEET"
"""What the fleet's own programs are called at the broker; no terminal can be, since their ids have no capitals."""
BROKER_CERTIFICATE = "broker.pem"
CONFIGURATION = "lifecert.conf"
ACL = "lifecert.acl"
_LARGEST_PACKET = 2 * MAX_MESSAGE_BYTES
"""Signing and sealing make a message larger by a third each."""


def write_broker_files(
    folder: Path,
    authority: Path,
    issuing: Authority,
    *,
    fleet_id: str,
    hosts: Sequence[str],
    port: int,
    revoked: NextList,
    now: datetime,
) -> None:
    """Write all that a broker needs into a folder, and what the fleet connects to it with; once more, keys stay and certificates are new.

    Args:
        folder: where to; the configuration names its files by their whole paths.
        authority: the authority's folder.
        issuing: whose certificates are let in.
        fleet_id: the fleet.
        hosts: names and addresses by which the broker is reached.
        port: where it listens, with TLS.
        revoked: which are not let in: the list that follows the one in the folder.
        now: the time.

    Raises:
        Refused: if a host is none.
        AuthorityEnded: if nothing that is issued now would hold.
        KeysMissing: if a key that is there cannot be read.
        OSError: if something cannot be read or written.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    write_server(folder, "broker", issuing, hosts, now=now)
    key = _key(folder / "fleet.key").public_key()
    write(folder / "fleet.pem", issue_client(issuing, FLEET_NAME, key, now=now, validity=SERVER_VALIDITY).chain)
    write(folder / TRUSTED, (authority / TRUSTED).read_bytes())
    write_revoked(folder, issuing, revoked.revoked, now=revoked.moment)
    write(folder / ACL, acl(fleet_id).encode())
    write(folder / CONFIGURATION, configuration(folder, port).encode())


def write_server(
    folder: Path, name: str, issuing: Authority, hosts: Sequence[str], *, now: datetime
) -> tuple[Path, Path]:
    """Write a new certificate for a server, for the key that is there or is made; return the files of both.

    Raises:
        Refused: if a host is none.
        AuthorityEnded: if nothing that is issued now would hold.
        KeysMissing: if the key that is there cannot be read.
        OSError: if something cannot be written.
    """
    chain, key = server_files(folder, name)
    write(chain, issue_server(issuing, hosts, _key(key).public_key(), now=now).chain)
    return chain, key


def server_files(folder: Path, name: str) -> tuple[Path, Path]:
    """Return where a server's certificate and key are."""
    return folder / f"{name}.pem", folder / f"{name}.key"


def acl(fleet_id: str) -> str:
    """Return who may read and write which topics."""
    base = f"{ROOT}/{fleet_id}"
    return (
        f"user {FLEET_NAME}\n"
        f"topic read {base}/+/up/#\n"
        f"topic write {base}/+/down/#\n"
        "\n"
        f"pattern write {base}/%u/up/#\n"
        f"pattern read {base}/%u/down/#\n"
    )


def configuration(folder: Path, port: int) -> str:
    """Return the configuration, to lie in a folder that mosquitto.conf includes."""
    return f"""\
# Written by lifecert-fleet; changes here are lost when it is written again. A new {REVOKED} or {BROKER_CERTIFICATE} is read on SIGHUP.
per_listener_settings false
allow_anonymous false
acl_file {folder / ACL}
max_packet_size {_LARGEST_PACKET}

listener {port}
cafile {folder / TRUSTED}
certfile {folder / BROKER_CERTIFICATE}
keyfile {folder / "broker.key"}
crlfile {folder / REVOKED}
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
use_username_as_clientid true
"""


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        write_key(path, made)
        return made
    try:
        found = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise KeysMissing(f"{path}: cannot be read as a private key; move it away to have a new one made") from error
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise KeysMissing(f"{path}: not a P-256 private key; move it away to have a new one made")
    return found
