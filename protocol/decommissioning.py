"""Decommissioning: a terminal says, signed with the key that it destroys last, what it has erased.

The statement is made when everything but that key is gone, so that it tells what was done and not what was meant. It proves that the
terminal's own program erased its keys and said so; no more. On flash what was overwritten may live on in blocks that the card has set
aside: that it cannot be read rests on the keys, without which it is noise.
"""

from __future__ import annotations

import base64
import zlib
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from protocol import base45
from protocol.envelope import sign, verify
from protocol.errors import Malformed
from protocol.ids import FleetId, KeyId, Sha256, TerminalId
from protocol.keys import PrivateKey, PublicJwk
from protocol.wire import UtcTime, WireMessage, WirePart

PROOF_TYP = "lifecert-decommission-proof"
DECOMMISSION_PATH = "/provisioning/v1/decommissioned"
MAX_PROOF_BYTES = 32 * 1024
_QR = "LIFECERT-OUT:"

ErasedName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class ErasedPart(WirePart):
    """One file that is gone."""

    name: ErasedName
    """Of the file, or of what a systemd credential was called."""
    kind: Literal["key", "database", "file"]
    bytes_overwritten: int = Field(ge=0)
    public_key: KeyId | None = None
    """Of a key pair: the thumbprint of the public half, by which the fleet knows which one is gone."""


class DecommissionProof(WireMessage):
    """What a terminal has erased."""

    TYPE: ClassVar[str] = "decommission-proof"
    VERSION: ClassVar[int] = 1
    MAX_BYTES: ClassVar[int] = MAX_PROOF_BYTES

    type: Literal["decommission-proof"] = "decommission-proof"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    begun_at: UtcTime
    finished_at: UtcTime
    """By the terminal's own clock, which may be wrong."""
    parts: tuple[ErasedPart, ...] = Field(max_length=64)
    subjects: int = Field(ge=0)
    """People who were on its roster."""
    references: int = Field(ge=0)
    searched_bytes: int = Field(ge=0)
    """Of the overwritten roster's files, in which traces of its content were looked for."""
    traces: int | None = Field(ge=0)
    """Places where something of it still stood; 0 is what is wanted. None where there was nothing to look for: no roster, or a power cut
    came between."""
    content_sha256: Sha256
    """Over the digests of the pieces that were looked for: whoever has the content can tell that it was looked for, nobody else."""
    records_confirmed: int = Field(ge=0)
    records_exported: int = Field(ge=0)
    """Unconfirmed by the fleet, and put onto a stick before."""
    records_lost: int = Field(ge=0)
    """Neither; whoever did it typed this number."""
    pictures_exported: int = Field(ge=0)
    pictures_lost: int = Field(ge=0)
    last_counter: int = Field(ge=0)
    """Of its chain: the fleet sees which records it never got."""


def sign_proof(proof: DecommissionProof, key: PrivateKey) -> bytes:
    """Return the signed statement."""
    return sign(proof.to_bytes(), key=key, typ=PROOF_TYP)


def read_proof(token: bytes, key: PublicJwk) -> DecommissionProof:
    """Check a statement by the key of the terminal.

    Raises:
        ProtocolError: if it does not hold.
    """
    verified = verify(token, key_of=key.only, typ=PROOF_TYP)
    return DecommissionProof.parse(verified.payload)


def unverified_proof(token: bytes) -> DecommissionProof:
    """Return what a statement says, to find out whose key it must be checked with.

    Raises:
        ProtocolError: if it is none.
    """
    if len(token) > MAX_PROOF_BYTES:
        raise Malformed("decommission-proof: too large")
    try:
        part = token.split(b".")[1]
        return DecommissionProof.parse(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (IndexError, ValueError) as error:
        raise Malformed("decommission-proof: no signed message") from error


def proof_to_qr(token: bytes) -> str:
    """Return the text of a QR code; all of it is in the code's alphanumeric set."""
    return _QR + base45.encode(zlib.compress(token, 9))


def proof_from_text(text: bytes) -> bytes:
    """Return the signed statement that a file holds, or the text of its QR code.

    Raises:
        ProtocolError: if it is the text of a QR code and damaged.
    """
    found = text.strip()
    if not found.startswith(_QR.encode()):
        return found
    packed = zlib.decompressobj()
    try:
        token = packed.decompress(base45.decode(found.decode("ascii", "replace").removeprefix(_QR)), MAX_PROOF_BYTES)
    except zlib.error as error:
        raise Malformed("decommission-proof: the code is damaged") from error
    if not packed.eof:
        raise Malformed("decommission-proof: the code is damaged")
    return token
