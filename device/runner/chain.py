"""Appends links to the terminal's chain: builds each with the head it needs, signs it and stores it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from device.errors import DeviceError
from device.ports import Entropy, Outbox, Signer, StoredRecord
from device.runner.records import Head, Identity
from protocol.cases import CASE_TYP, CaseRecord
from protocol.errors import ProtocolError
from protocol.events import EVENT_TYP, TerminalEvent
from protocol.records import RECORD_TYP, CertificationRecord

_ID_BYTES = 16

_L = TypeVar("_L", CertificationRecord, CaseRecord, TerminalEvent)
_TYPS = {CertificationRecord: RECORD_TYP, CaseRecord: CASE_TYP, TerminalEvent: EVENT_TYP}


class LinkNotStored(DeviceError):
    """A link that could not be built, signed or stored; nothing was used up. The message says nothing personal."""


@dataclass(frozen=True, slots=True)
class Appended(Generic[_L]):
    """A link that is on the disk."""

    link: _L
    stored: StoredRecord


class Chain:
    """The end of the terminal's chain. Used by one thread."""

    def __init__(self, *, outbox: Outbox, signer: Signer, entropy: Entropy, identity: Identity) -> None:
        self._outbox = outbox
        self._signer = signer
        self._entropy = entropy
        self._identity = identity

    def append(self, build: Callable[[Head], _L]) -> Appended[_L]:
        """Store the link that `build` makes of a head, signed.

        Raises:
            LinkNotStored: with why, for whatever reason.
        """
        built: list[_L] = []

        def signed(counter: int, previous: str | None) -> bytes:
            link = build(
                Head(
                    record_id=self._entropy.token(_ID_BYTES).hex(),
                    fleet_id=self._identity.fleet_id,
                    terminal_id=self._identity.terminal_id,
                    counter=counter,
                    previous=previous,
                )
            )
            built.append(link)
            return self._signer.sign(link.to_bytes(), _TYPS[type(link)])

        try:
            stored = self._outbox.append(signed)
        except ValidationError as error:
            # Its message repeats the values, which are personal.
            raise LinkNotStored(f"invalid in {error.error_count()} places") from None
        except (DeviceError, ProtocolError) as error:
            raise LinkNotStored(str(error)) from error
        return Appended(built[-1], stored)
