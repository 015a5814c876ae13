"""Rosters: the subjects assigned to a terminal, sealed to it.

The fleet numbers every change of a terminal's roster. A terminal asks for what came after the version it has and gets
pages of upserts and tombstones in that order; from version 0 that is the whole roster. A page is applied whole or not at all.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from protocol.documents import DocumentKind
from protocol.entitlements import MOST_ENTITLEMENTS, Entitlement
from protocol.ids import ClaimToken, FleetId, KeyDomain, PlaceCode, SubjectId, TerminalId
from protocol.names import PersonName
from protocol.references import Reference
from protocol.wire import UtcTime, WireMessage, WirePart

ROSTER_TYP = "lifecert-roster-page"
ROSTER_REQUEST_TYP = "lifecert-roster-request"
PAGE_ENTRIES = 200
"""Largest number of entries in one page: some 200 KiB as sent, well under the message limit."""

Secret = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""32 secret bytes in base64url without padding; only ever inside a seal, never in a repr."""


class SubjectLabel(WirePart):
    """By what a signed-in operator finds a subject in the name list; shown to nobody else."""

    name: PersonName = Field(repr=False)
    born: int | None = Field(default=None, ge=1880, le=2200, repr=False)
    """Year of birth, to tell people of one name apart."""
    place: PlaceCode | None = None
    document: DocumentKind = DocumentKind.RESIDENT_ID
    """The kind of document that the claim token stands for."""


class RosterEntry(WirePart):
    """One change: a subject with all its references, or a tombstone."""

    roster_version: int = Field(ge=1)
    subject_id: SubjectId
    claim_token: ClaimToken
    removed: bool = False
    label: SubjectLabel | None = None
    references: tuple[Reference, ...] = ()
    entitlements: tuple[Entitlement, ...] = Field(default=(), max_length=MOST_ENTITLEMENTS)
    """What the rules ask about the person's benefits; empty from a fleet that does not say it yet."""


class RosterPage(WireMessage):
    """Some consecutive changes of one terminal's roster, with the secrets needed to use them."""

    TYPE: ClassVar[str] = "roster-page"
    VERSION: ClassVar[int] = 1

    type: Literal["roster-page"] = "roster-page"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    issued_at: UtcTime
    expires_at: UtcTime
    """After this moment the terminal deletes what it has of this roster."""
    after: int = Field(ge=0)
    """The roster version this page builds upon; a terminal that has another one asks again."""
    upto: int = Field(ge=0)
    """The roster version once the page is applied."""
    complete: bool
    """Whether nothing newer existed when it was made."""
    claim_key: Secret = Field(repr=False)
    feature_keys: dict[KeyDomain, Secret] = Field(repr=False)
    enrolment_domain: KeyDomain | None = None
    """The key domain of references made on this terminal; None where it makes none."""
    entries: tuple[RosterEntry, ...] = Field(max_length=PAGE_ENTRIES)


class RosterRequest(WireMessage):
    """A terminal's question for changes."""

    TYPE: ClassVar[str] = "roster-request"
    VERSION: ClassVar[int] = 1

    type: Literal["roster-request"] = "roster-request"
    version: Literal[1] = 1
    fleet_id: FleetId
    terminal_id: TerminalId
    have: int = Field(ge=0)
    asked_at: UtcTime
