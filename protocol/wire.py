"""The base of every message: strict, frozen, versioned JSON.

A message is JSON in UTF-8 with a `type` and a `version`. What arrives is either a valid object or a `ProtocolError`;
what is sent is signed as bytes and never serialised a second time (`protocol.envelope`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, ValidationError

from protocol.errors import Malformed, UnsupportedVersion

MAX_MESSAGE_BYTES = 1024 * 1024
"""Largest message either end accepts; far under what brokers allow by default (256 MiB), so it is ours to keep."""


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("moment: outside the years 1 to 9999 in UTC") from error


UtcTime = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""A moment with a time zone, kept in UTC."""


class WirePart(BaseModel):
    """A part of a message: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class WireMessage(WirePart):
    """A whole message; subclasses set `TYPE` and `VERSION` and repeat them as literal fields."""

    TYPE: ClassVar[str]
    VERSION: ClassVar[int]
    MAX_BYTES: ClassVar[int] = MAX_MESSAGE_BYTES

    def to_bytes(self) -> bytes:
        """Return the JSON bytes of this message."""
        return self.model_dump_json().encode()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a message from bytes.

        Raises:
            UnsupportedVersion: if type and JSON are right and only the version is unknown.
            Malformed: for everything else that is not such a message.
        """
        if len(data) > cls.MAX_BYTES:
            raise Malformed(f"{cls.TYPE}: {len(data)} bytes, at most {cls.MAX_BYTES} are taken")
        try:
            found: Any = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"{cls.TYPE}: not JSON") from error
        if not isinstance(found, dict) or found.get("type") != cls.TYPE:
            raise Malformed(f"{cls.TYPE}: another type of message")
        if found.get("version") != cls.VERSION:
            raise UnsupportedVersion(f"{cls.TYPE}: version {found.get('version')!r}, this program knows {cls.VERSION}")
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            where = ", ".join(".".join(map(str, e["loc"])) + f" ({e['type']})" for e in error.errors()[:5])
            raise Malformed(f"{cls.TYPE}: wrong or missing: {where}") from error
