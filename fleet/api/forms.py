"""What requests say: people, documents and moments, checked as they come in. Documents stand in bodies only, never in an address."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from protocol.documents import DocumentKind, IdentityDocument, claim_token, parse_document
from protocol.errors import ProtocolError

MAX_BATCH = 100
SubjectId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
"""The fleet's own id of a person: it says nothing."""
PartnerOwnId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Flag = Annotated[bool, Strict()]
_MOMENT = re.compile(
    r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
_NUMBER = re.compile(r"[0-9]{17}[0-9Xx]|(?<![0-9])[0-9]{15}(?![0-9])")
"""What a resident's number looks like, in whatever it is hidden."""


def _moment(found: Any) -> Any:
    if not isinstance(found, str) or not _MOMENT.match(found):
        raise ValueError("a moment after RFC 3339 with its offset expected, from 2000 on: 2026-11-20T09:00:00+08:00")
    return found


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_moment, json_schema_input_type=str),
    Field(json_schema_extra={"format": "date-time", "pattern": _MOMENT.pattern}),
]


class Form(BaseModel):
    """A part of a request: nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_null(cls, found: Any) -> Any:
        # Of the field, not of the whole form: else one null would hide whatever else is wrong.
        if found is None:
            raise ValueError("null is no value: leave it out, or say what it is")
        return found

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe what may be left out as that, and not as something that may be null."""
        found = handler(core_schema)
        for field in handler.resolve_ref_schema(found).get("properties", {}).values():
            kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
            if len(kinds) == 1:
                del field["anyOf"], field["default"]
                field.update(kinds[0])
        return found


class DocumentForm(Form):
    """An identity document."""

    number: str = Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$", examples=["999999194001010013"])
    """As it is printed; spaces and hyphens are no fault."""
    kind: DocumentKind | None = Field(default=None, examples=[DocumentKind.RESIDENT_ID])
    """Needed where numbers of two kinds look alike."""
    issuer: str = Field(default="", max_length=3, pattern=r"^[A-Za-z]*$")
    """Issuing state of a passport, one to three letters."""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        self.document()
        return self

    def document(self) -> IdentityDocument:
        """Return the document.

        Raises:
            ValueError: with what is wrong, never with the number.
        """
        try:
            return parse_document(self.number, self.kind, issuer=self.issuer)
        except ProtocolError as error:
            raise ValueError(str(error)) from None


class PersonForm(Form):
    """Who is meant: by a document, or by the id that an earlier answer gave."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["document"]}, {"required": ["subject_id"]}]},
    )

    document: DocumentForm | None = None
    subject_id: SubjectId | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1 or (self.document is None and self.subject_id is None):
            raise ValueError("exactly one of document and subject_id expected")
        return self

    def token(self, claim_key: bytes) -> str | None:
        """Return the claim token of the document, if the person is named by one."""
        return None if self.document is None else claim_token(self.document.document(), claim_key)


def own_id(found: str) -> str:
    """Return a partner's own id of something.

    Raises:
        ValueError: if there is what looks like a document number in it: ids are kept as they are, numbers never.
    """
    if _NUMBER.search(found):
        raise ValueError("looks like a document number; an id must not say who somebody is")
    return found


def is_future(moment: datetime, now: datetime, skew_s: float) -> bool:
    """Return whether a moment lies further ahead than another clock may be wrong."""
    return (moment.astimezone(UTC) - now).total_seconds() > skew_s
