"""The route by which partners report deaths, travel and what else bears on an entitlement (R8-4 to R8-9)."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Request, Response, Security
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from fleet.api.access import IdempotencyKey, Office, answer_once, authorised
from fleet.api.forms import MAX_BATCH, Form, PartnerOwnId, PersonForm, own_id
from fleet.api.people import find_people
from fleet.api.problems import FieldProblem, described, invalid_request
from fleet.exchange.reports import take_in
from fleet.partners.credentials import Caller
from fleet.store.life_events import NewLifeEvent
from fleet.store.partners import Scope
from protocol.rules.life import LifeEventKind

Writer = Annotated[Caller, Security(authorised, scopes=[Scope.LIFE_EVENTS_WRITE.value])]


def _day(found: object) -> object:
    if not isinstance(found, str) or len(found) != len("2026-11-20"):
        raise ValueError("a day as 2026-11-20 expected")
    return found


Day = Annotated[date, BeforeValidator(_day, json_schema_input_type=str), Field(json_schema_extra={"format": "date"})]


class LifeEventForm(Form):
    """One report about somebody."""

    id: Annotated[PartnerOwnId, AfterValidator(own_id)] = Field(examples=["d-2026-0042"])
    """Your own id of it, which says nothing about the person; the same id is the same report, however often it comes."""
    person: PersonForm = Field(examples=[{"document": {"kind": "resident_id", "number": "999999194001010013"}}])
    kind: LifeEventKind
    """What happened."""
    since: Day = Field(examples=["2026-11-02"])
    """The day, or the first day."""
    until: Day | None = None
    """The last day, where it is over."""

    @model_validator(mode="after")
    def _in_order(self) -> LifeEventForm:
        if self.until is not None and self.until < self.since:
            raise ValueError("until is before since")
        return self


class LifeEventBatch(Form):
    """Some reports."""

    events: list[LifeEventForm] = Field(min_length=1, max_length=MAX_BATCH)


class LifeEventsView(BaseModel):
    """What became of the reports."""

    new: int
    """Stored now; the others were here."""
    unknown: list[str]
    """Your ids of those about nobody here, or nobody in your areas: not stored."""


def life_events_router(office: Office) -> APIRouter:
    """Return the route of life events."""
    router = APIRouter(prefix="/api/v1/life-events", tags=["life events"])
    errors = described(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503)

    @router.post("", operation_id="post_life_events", response_model=LifeEventsView, responses=errors)
    def post(form: LifeEventBatch, request: Request, caller: Writer, key: IdempotencyKey = None) -> Response:
        """Store reports. They are your word, not a confirmation; a batch with a malformed one is refused whole."""
        now = office.clock()
        today = office.today()
        wrong = [
            FieldProblem(pointer=f"#/events/{place}/since", detail="lies in the future")
            for place, event in enumerate(form.events)
            if event.since > today
        ]
        if wrong:
            raise invalid_request(wrong)
        with office.database.begin() as connection:

            def make() -> tuple[int, BaseModel]:
                people = find_people(office, connection, caller.partner, [event.person for event in form.events])
                reports = [
                    NewLifeEvent(
                        subject_id=subject_id,
                        kind=event.kind,
                        since=event.since,
                        until=event.until,
                        source=caller.partner.source,
                        source_id=event.id,
                        confirmed=False,
                        reported_on=today,
                    )
                    for event, subject_id in zip(form.events, people, strict=True)
                    if subject_id is not None
                ]
                new = take_in(connection, reports, now=now, zone=office.zone)
                unknown = [event.id for event, found in zip(form.events, people, strict=True) if found is None]
                detail = {"subjects": sorted({report.subject_id for report in reports}), "new": new}
                office.note(connection, caller, "life_events.posted", detail=detail, now=now)
                return 200, LifeEventsView(new=new, unknown=unknown)

            answer = answer_once(office, connection, caller, request, key, make)
        office.after_reports(now)
        return answer

    return router
