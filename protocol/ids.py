"""Identifiers of the protocol: every id has a type of its own and one place that says what it looks like."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from protocol.errors import Malformed

_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"

FleetId = Annotated[str, Field(pattern=_NAME)]
"""Names one agency's installation; a level of every topic, so no `/`, `+` or `#`."""
TerminalId = Annotated[str, Field(pattern=_NAME)]
"""Names one terminal; its MQTT client identifier, topic level and certificate name."""
SubjectId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""Opaque, random id the fleet gives a subject; says nothing about the person."""
ClaimToken = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""Keyed hash of an identity document, made by `protocol.documents.claim_token`; base64url of 32 bytes."""
RecordId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""Random id of one certification record."""
SessionId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""Random id of one certification session."""
ReferenceId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""Random id of one stored reference."""
BootId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""The kernel's random boot id without dashes: monotonic times compare only within one."""
KeyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""RFC 7638 SHA-256 thumbprint of a public key, base64url."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in lower-case hexadecimal."""
KeyDomain = Annotated[str, Field(pattern=_NAME)]
"""Names the secret rotation that protects a set of references."""
Witness = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,64}$")]
"""Opaque id of a worker who vouches for a presentation; the agency alone knows whose."""

OperatorId = Witness
"""Opaque id of somebody who signs in on a terminal: a worker, who may be the witness of somebody else's visit."""
PlaceCode = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,32}$")]
"""Names a place of the agency's own list: a village, a street, a home; an administrative division's code where there is one."""

_WITNESS: TypeAdapter[str] = TypeAdapter(Witness)


def is_terminal_id(text: str) -> bool:
    """Say whether a text has the shape of a terminal's id."""
    return re.fullmatch(_NAME, text) is not None


def parse_witness(text: str) -> str:
    """Return the id of a witness.

    Raises:
        Malformed: if it is none.
    """
    try:
        return _WITNESS.validate_python(text)
    except ValidationError as error:
        raise Malformed(f"witness {text!r}: an operator id of 1 to 64 letters, digits and hyphens expected") from error


def is_operator_id(text: str) -> bool:
    """Say whether a text has the shape of an operator's id."""
    try:
        parse_witness(text)
    except Malformed:
        return False
    return True
