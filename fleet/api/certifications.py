"""Routes by which other systems bring what they certified (R4-23, R4-24, R8-13), look it up afterwards (R5-7), and take it back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response, Security
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from fleet.api.access import IdempotencyKey, Office, answer_once, authorised
from fleet.api.forms import MAX_BATCH, Flag, Form, Moment, PartnerOwnId, PersonForm, is_future, own_id
from fleet.api.people import find_people
from fleet.api.problems import FieldProblem, Refusal, described, invalid_request
from fleet.exchange.certifications import Conflict, Posted, Verdict, Why, look_up, take, withdraw
from fleet.partners.credentials import Caller
from fleet.store.certifications import ComparisonDecision, Modality
from fleet.store.partners import Scope
from protocol.rules.acts import Channel

Writer = Annotated[Caller, Security(authorised, scopes=[Scope.CERTIFICATIONS_WRITE.value])]
CertificationId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="The fleet's id of the certification.")]
_PERSON = {"document": {"kind": "resident_id", "number": "999999194001010013"}}


class CertificationForm(Form):
    """One certification of another system."""

    id: Annotated[PartnerOwnId, AfterValidator(own_id)] = Field(examples=["2026-000123"])
    """Your own id of it, which says nothing about the person; the same id is the same certification, however often it comes."""
    person: PersonForm = Field(examples=[_PERSON])
    modality: Modality
    """By what the person was known."""
    channel: Literal["app", "pc", "bank", "counter", "home_visit", "terminal", "partner"] = "partner"
    """Where the person was; `partner` where none of the others fits."""
    certified_at: Moment = Field(examples=["2026-11-20T09:00:00+08:00"])
    """When."""
    liveness: Flag = Field(examples=[True])
    """Whether it was found that the person was there alive."""
    comparison: ComparisonDecision = Field(examples=["match"])
    """What the comparison came to."""


class CertificationBatch(Form):
    """Some certifications."""

    certifications: list[CertificationForm] = Field(min_length=1, max_length=MAX_BATCH)


class PackView(BaseModel):
    """What one rule pack makes of it."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    scheme: str
    """The benefit's; empty for somebody on no list of benefits."""
    pack_id: str
    pack_version: int
    counts: bool
    reason: Why | None
    """Why it does not count."""


class CertificationView(BaseModel):
    """What became of a certification."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    certification_id: str
    """The fleet's id of it."""
    id: str
    """Your own."""
    subject_id: str
    """The fleet's id of the person, by which you may ask from now on."""
    counts: bool
    """Whether the person is certified by it for one benefit at least."""
    reason: Why | None
    """Why it counts for none: the packs' common reason, or the first one's."""
    packs: list[PackView]
    certified_at: datetime
    withdrawn_at: datetime | None
    repeated: bool
    """Whether it was here before."""


class Refused(BaseModel):
    """Why one of a batch was not stored."""

    code: Literal["unknown_person", "in_the_future", "other_content"]
    detail: str


class BatchResult(BaseModel):
    """What became of one of a batch."""

    id: str
    status: Literal["stored", "refused"]
    certification: CertificationView | None = None
    problem: Refused | None = None


class BatchView(BaseModel):
    """What became of a batch, in its order."""

    stored: int
    refused: int
    results: list[BatchResult]


_REFUSALS = {
    "unknown_person": (404, "nobody of this document or id, or not in your areas"),
    "in_the_future": (422, "lies in the future; check the clock"),
    "other_content": (409, "this id stands for another certification; withdraw that one, and use a new id"),
}


def certifications_router(office: Office) -> APIRouter:
    """Return the routes of certifications."""
    router = APIRouter(prefix="/api/v1", tags=["certifications"])
    errors = described(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503)

    @router.post(
        "/certifications",
        operation_id="post_certification",
        status_code=201,
        response_model=CertificationView,
        responses=errors,
    )
    def post(form: CertificationForm, request: Request, caller: Writer, key: IdempotencyKey = None) -> Response:
        """Store one certification. `counts` says whether the rules of the person's benefits accept it."""
        with office.database.begin() as connection:

            def make() -> tuple[int, BaseModel]:
                (found,) = _take(office, connection, caller, [form])
                if isinstance(found, str):
                    status, detail = _REFUSALS[found]
                    if status == 422:
                        raise invalid_request([FieldProblem(pointer="#/certified_at", detail=detail)])
                    raise Refusal(status, found, detail)
                subject_id = found.certification.subject_id
                office.note(connection, caller, "certification.posted", subject_id=subject_id, now=office.clock())
                return 201, _view(found)

            return answer_once(office, connection, caller, request, key, make)

    @router.post(
        "/certification-batches", operation_id="post_certifications", response_model=BatchView, responses=errors
    )
    def post_batch(form: CertificationBatch, request: Request, caller: Writer, key: IdempotencyKey = None) -> Response:
        """Store some certifications, each by itself: `results` says which were stored and why others were not.

        A batch with a malformed one is refused whole, with all errors in one answer.
        """
        with office.database.begin() as connection:

            def make() -> tuple[int, BaseModel]:
                items = form.certifications
                found = _take(office, connection, caller, items)
                results = [_result(item.id, each) for item, each in zip(items, found, strict=True)]
                ids = sorted({one.certification.subject_id for one in results if one.certification is not None})
                stored = sum(one.status == "stored" for one in results)
                detail = {"subjects": ids, "stored": stored, "refused": len(results) - stored}
                office.note(connection, caller, "certifications.posted", detail=detail, now=office.clock())
                return 200, BatchView(stored=stored, refused=len(results) - stored, results=results)

            return answer_once(office, connection, caller, request, key, make)

    @router.get("/certifications/{certification_id}", operation_id="get_certification", responses=errors)
    def get(certification_id: CertificationId, caller: Writer) -> CertificationView:
        """Return what a certification of yours is worth now."""
        now = office.clock()
        with office.database.begin() as connection:
            found = look_up(connection, caller.partner, certification_id, now=now, zone=office.zone)
            return _seen(office, connection, caller, found, "certification.viewed", now=now)

    @router.delete("/certifications/{certification_id}", operation_id="withdraw_certification", responses=errors)
    def delete(certification_id: CertificationId, caller: Writer) -> CertificationView:
        """Take a certification back: the person stands where they would without it. The same again changes nothing."""
        now = office.clock()
        with office.database.begin() as connection:
            found = withdraw(connection, caller.partner, certification_id, now=now, zone=office.zone)
            return _seen(office, connection, caller, found, "certification.withdrawn", now=now)

    return router


def _take(
    office: Office, connection: Connection, caller: Caller, forms: Sequence[CertificationForm]
) -> list[Verdict | str]:
    """Return what became of each: a verdict, or the code of its refusal."""
    now = office.clock()
    people = find_people(office, connection, caller.partner, [form.person for form in forms])
    codes: list[str | None] = []
    posted: list[Posted] = []
    for form, subject_id in zip(forms, people, strict=True):
        if subject_id is None:
            codes.append("unknown_person")
        elif is_future(form.certified_at, now, office.settings.api.clock_skew_s):
            codes.append("in_the_future")
        else:
            codes.append(None)
            posted.append(
                Posted(
                    form.id,
                    subject_id,
                    form.modality,
                    Channel(form.channel),
                    form.certified_at,
                    form.liveness,
                    form.comparison,
                )
            )
    taken = iter(take(connection, office.keys.cipher, caller.partner, posted, now=now, zone=office.zone))
    found: list[Verdict | str] = []
    for code in codes:
        each = next(taken) if code is None else code
        found.append(each.value if isinstance(each, Conflict) else each)
    return found


def _seen(
    office: Office, connection: Connection, caller: Caller, found: Verdict | None, action: str, *, now: datetime
) -> CertificationView:
    if found is None:
        raise Refusal(404, "unknown_certification", "you have posted none of this id")
    office.note(connection, caller, action, subject_id=found.certification.subject_id, now=now)
    return _view(found)


def _result(own: str, found: Verdict | str) -> BatchResult:
    if isinstance(found, Verdict):
        return BatchResult(id=own, status="stored", certification=_view(found))
    problem = Refused.model_validate({"code": found, "detail": _REFUSALS[found][1]})
    return BatchResult(id=own, status="refused", problem=problem)


def _view(found: Verdict) -> CertificationView:
    return CertificationView(
        certification_id=found.certification.certification_id,
        id=found.certification.source_id,
        subject_id=found.certification.subject_id,
        counts=found.counts,
        reason=None if found.counts or not found.packs else found.packs[0].why_not,
        packs=[
            PackView(
                scheme=pack.scheme,
                pack_id=pack.pack_id,
                pack_version=pack.pack_version,
                counts=pack.why_not is None,
                reason=pack.why_not,
            )
            for pack in found.packs
        ],
        certified_at=found.certification.certified_at,
        withdrawn_at=found.certification.withdrawn_at,
        repeated=found.is_repeated,
    )
