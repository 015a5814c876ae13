"""The signed proof of an erasure: what, when, how much of each table; nothing by which a person can be found.

It names the person by the SHA-256 of their random 128-bit id, which says nothing to whoever does not have that id already: only a
backup has it, and there the proof is what shows that it must be erased again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from protocol.envelope import sign, verify
from protocol.ids import FleetId, Sha256
from protocol.keys import PrivateKey, PublicJwk
from protocol.wire import UtcTime, WireMessage, WirePart

ERASURE_TYP = "lifecert-erasure-proof"
"""`typ` in the signed header of a proof."""


class Ground(StrEnum):
    """Why somebody was erased. Source: PIPL Article 47."""

    REQUEST = "request"
    WITHDRAWN = "withdrawn"
    PURPOSE_ENDED = "purpose_ended"
    UNLAWFUL = "unlawful"
    RESTORED = "restored"
    """Erased before, and back by a restored backup."""


class ErasedTable(WirePart):
    """What was done to one table."""

    table: str
    erase: Literal["delete", "pseudonymise"]
    rows: int = Field(ge=0)
    sha256: Sha256
    """Of the rows as they were; rows have random ids in them, so that none can be guessed from it."""


class KeptTable(WirePart):
    """A table that was left as it is, and the code of the reason in the register."""

    table: str
    because: str


class ErasureProof(WireMessage):
    """One erasure."""

    TYPE: ClassVar[str] = "erasure-proof"
    VERSION: ClassVar[int] = 1

    type: Literal["erasure-proof"] = "erasure-proof"
    version: Literal[1] = 1
    fleet_id: FleetId
    erasure_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    subject_sha256: Sha256
    ground: Ground
    erased_at: UtcTime
    approvals: int = Field(ge=2)
    """How many persons had to say so; who they were is in the audit log."""
    register_sha256: Sha256
    """Of the register of processing whose plan was followed."""
    erased: tuple[ErasedTable, ...]
    kept: tuple[KeptTable, ...]
    terminals: int = Field(ge=0)
    """How many terminals were told to erase the person."""


def subject_sha256(subject_id: str) -> str:
    """Return what a proof says in place of a subject's id."""
    return hashlib.sha256(subject_id.encode()).hexdigest()


def sign_proof(proof: ErasureProof, key: PrivateKey) -> bytes:
    """Return the proof as a compact JWS."""
    return sign(proof.to_bytes(), key=key, typ=ERASURE_TYP)


def read_proof(token: bytes, key_of: Callable[[str], PublicJwk | None]) -> ErasureProof:
    """Check a proof and return what it says.

    Raises:
        ProtocolError: if it is none, or was not signed by a key that is known.
    """
    return ErasureProof.parse(verify(token.strip(), key_of=key_of, typ=ERASURE_TYP).payload)
