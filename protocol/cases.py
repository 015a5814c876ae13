"""Case records: what an operator takes in at a terminal for a person to decide (R6-1 to R6-9, R4-19), as links of its chain.

Pictures travel apart, sealed to the fleet, as attachments that the record names by digest. Machine checks stand beside each
picture; they only say what a reviewer should look at. A case record certifies nobody.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from protocol.documents import DocumentKind
from protocol.ids import ClaimToken, OperatorId, Sha256, Witness
from protocol.records import Claim, Link, SealedReference
from protocol.times import DeviceTime
from protocol.visits import Place
from protocol.wire import WirePart

CASE_TYP = "lifecert-case"
"""`typ` in the signed header of a case record."""


class CaseKind(StrEnum):
    """What is asked of the reviewer."""

    SPECIAL = "special"
    """Special certification: two photographs instead of a session (R1-18, R6-5)."""
    PROXY = "proxy"
    """Somebody else comes with authority and documents (R4-19); never a certification by itself."""
    EXCEPTION = "exception"
    """No face that could be used, or none wanted: the other way that was offered is recorded (R1-8, R6-4)."""
    PHOTO_ENROLMENT = "photo_enrolment"
    """A photograph that enrols provisionally (R1-12 to R1-17, R1-19)."""


class CaseReason(StrEnum):
    """Why the usual way does not serve. Source: R6-5, R6-8, R1-8, R1-12."""

    DISTANCE = "distance"
    NO_NETWORK = "no_network"
    PARALYSED = "paralysed"
    BEDRIDDEN = "bedridden"
    MENTAL_ILLNESS = "mental_illness"
    FACE_UNUSABLE = "face_unusable"
    """Injury, bandage, or a face that no picture of is good enough."""
    DECLINED = "declined"
    """The person does not want the face to be used."""
    NOT_CERTIFIED = "not_certified"
    """The usual way was tried and did not end well."""
    NO_REFERENCE = "no_reference"


class OtherWay(StrEnum):
    """Another way than the face that was offered (R4-12, R4-14, R4-18, R6-4)."""

    COUNTER = "counter"
    HOME_VISIT = "home_visit"
    SPECIAL = "special"
    REMOTE_FORM = "remote_form"
    UNIT_LIST = "unit_list"


class PhotoRole(StrEnum):
    """What a picture shows."""

    IDENTITY_CARD = "identity_card"
    WITH_NEWSPAPER = "with_newspaper"
    """Upper body with a recent newspaper (R1-18)."""
    FACE = "face"
    AUTHORITY = "authority"
    """The document that lets a proxy act."""


class PhotoCheck(WirePart):
    """One machine check of a picture: what was found and what is asked for."""

    name: Literal[
        "resolution", "bytes", "format", "one_face", "face_quality", "white_ground", "same_face", "upper_body"
    ]
    passed: bool
    found: float
    asked: float


class Photo(WirePart):
    """One picture; its sealed bytes are the attachment with this digest."""

    role: PhotoRole
    attachment: Sha256
    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)
    image_bytes: int = Field(ge=1)
    checks: tuple[PhotoCheck, ...] = ()


class Relation(StrEnum):
    """What a proxy is to the subject."""

    SPOUSE = "spouse"
    CHILD = "child"
    GUARDIAN = "guardian"
    OTHER_RELATIVE = "other_relative"
    ENTRUSTED = "entrusted"


class Proxy(WirePart):
    """Who acts for the subject, by a document shown at the terminal."""

    document: DocumentKind
    token: ClaimToken
    relation: Relation


class CaseRecord(Link):
    """One case taken in."""

    TYPE: ClassVar[str] = "case-record"
    VERSION: ClassVar[int] = 1

    type: Literal["case-record"] = "case-record"
    version: Literal[1] = 1
    kind: CaseKind
    claim: Claim
    operator: OperatorId
    witness: Witness | None = None
    """Another operator, who was there and has proved who they are; None where nobody else was."""
    reason: CaseReason
    other_way: OtherWay | None = None
    """What was offered instead; an exception has one."""
    photos: tuple[Photo, ...] = Field(default=(), max_length=4)
    newspaper_date: date | None = None
    """The date on the newspaper, as the operator read it."""
    newspaper_age_days: int | None = None
    """Days from that date to the day of the case; negative for one of the future. None where no date was read."""
    proxy: Proxy | None = None
    place: Place | None = None
    """Where it was taken in; None where it was no place of the terminal's list and no position receiver answered."""
    reference: SealedReference | None = None
    opened: DeviceTime
    software: str
    simulated: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.witness == self.operator:
            raise ValueError(f"operator {self.operator} is no witness of their own case")
        roles = {photo.role for photo in self.photos}
        lacking = _NEEDS[self.kind] - roles
        if lacking:
            raise ValueError(f"{self.kind} without {', '.join(sorted(lacking))}")
        if (self.kind is CaseKind.SPECIAL) != (self.newspaper_date is not None):
            raise ValueError(f"{self.kind} and the date of a newspaper do not fit")
        if (self.newspaper_date is None) != (self.newspaper_age_days is None):
            raise ValueError("date and age of a newspaper belong together")
        if (self.kind is CaseKind.PROXY) != (self.proxy is not None):
            raise ValueError(f"{self.kind} and a proxy do not fit")
        if (self.kind is CaseKind.EXCEPTION) != (self.other_way is not None):
            raise ValueError(f"{self.kind} and another way do not fit")
        return self


_NEEDS: dict[CaseKind, set[PhotoRole]] = {
    CaseKind.SPECIAL: {PhotoRole.IDENTITY_CARD, PhotoRole.WITH_NEWSPAPER},
    CaseKind.PROXY: {PhotoRole.AUTHORITY},
    CaseKind.EXCEPTION: set(),
    CaseKind.PHOTO_ENROLMENT: {PhotoRole.FACE},
}
