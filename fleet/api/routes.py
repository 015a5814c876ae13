"""The open interface, version 1: what can be read. Subjects appear by their opaque id only: no names, no document numbers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response, Security
from pydantic import BaseModel, ConfigDict

from fleet.api.access import Office, authorised
from fleet.api.problems import Refusal, described
from fleet.errors import DatabaseUnavailable
from fleet.partners.credentials import Caller
from fleet.store import interface_lists
from fleet.store.links import gaps
from fleet.store.partners import Scope, visible_codes, visible_subjects
from fleet.store.records import record_of
from protocol.explain import explain, explain_measures
from protocol.rules.obligations import CertificationState

Limit = Annotated[int, Query(ge=1, le=interface_lists.MAX_PAGE)]
Id = Annotated[str | None, Query(max_length=64, pattern=r"^[a-z0-9-]+$")]


RecordId = Annotated[str, Path(max_length=64, pattern=r"^[0-9a-f]+$")]
Language = Literal["zh", "en"]
Area = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
"""The database takes no NUL character."""
StatusReader = Annotated[Caller, Security(authorised, scopes=[Scope.STATUS_READ.value])]
RecordsReader = Annotated[Caller, Security(authorised, scopes=[Scope.RECORDS_READ.value])]


class _View(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class SubjectView(_View):
    """One subject's status."""

    subject_id: str
    area: str
    state: CertificationState
    last_pass_day: date | None
    certified_until: date | None
    last_outcome: str | None
    last_event_at: datetime | None
    references: int


class SubjectPage(_View):
    """Some subjects, and where the next ones begin."""

    subjects: list[SubjectView]
    next: str | None


class RecordView(_View):
    """One record as it was stored."""

    record_id: str
    terminal_id: str
    counter: int
    chain: str
    subject_id: str | None
    outcome: str
    reasons: list[str]
    earliest: datetime | None
    latest: datetime
    received_at: datetime
    counts: bool
    flags: list[str]
    software: str
    policy_version: str


class EvidenceView(_View):
    """What came of one kind of evidence, in numbers and in words."""

    kind: str
    status: str
    score: float | None
    threshold: float | None
    sentence: str
    measures: list[str]
    """A line for each measure behind the score."""


class TerminalView(_View):
    """One terminal."""

    terminal_id: str
    area: str
    registered_at: datetime
    retired_at: datetime | None
    state: str | None
    presence_received_at: datetime | None
    software: str | None
    policy_version: str | None
    roster_version: int
    roster_have: int | None
    outbox_pending: int | None
    outbox_published: int | None
    outbox_acknowledged: int | None
    outbox_refused: int | None
    pictures_waiting: int | None
    """Pictures of cases that the terminal still has; None where it does not say."""
    pictures_refused: int | None
    last_counter: int
    last_record_at: datetime | None
    records: int
    quarantined: int
    gaps: list[tuple[int, int]]
    """Counters that have not arrived, first and last of each gap."""


class Health(_View):
    """Whether the parts of the service work."""

    database: str
    broker: str
    ingest: str


def reading_router(office: Office) -> APIRouter:
    """Return the routes that read subjects, records and terminals, as far as a partner may see them."""
    router = APIRouter(prefix="/api/v1", tags=["reading"])
    errors = described(400, 401, 403, 404, 408, 413, 415, 422, 429, 503)
    _add_subjects(router, office, errors)
    _add_records(router, office, errors)

    @router.get("/terminals", operation_id="list_terminals", responses=errors)
    def terminals(caller: RecordsReader) -> list[TerminalView]:
        """Return all terminals of the partner's areas."""
        with office.database.begin() as connection:
            lines = interface_lists.terminal_lines(connection, within=visible_codes(connection, caller.partner))
            missing = gaps(connection)
        return [
            TerminalView(
                **{name: getattr(line, name) for name in TerminalView.model_fields if name != "gaps"},
                gaps=[(gap.first, gap.last) for gap in missing if gap.terminal_id == line.terminal_id],
            )
            for line in lines
        ]

    return router


def health_router(office: Office, *, broker_state: Callable[[], str], ingest_state: Callable[[], str]) -> APIRouter:
    """Return the route that says whether the service works; the only one that asks for no credential.

    Args:
        office: what routes work with.
        broker_state: says `connected`, `disconnected` or `not run here`.
        ingest_state: says `ok`, `faulty` (what arrives meets a fault of our own) or `not run here`.
    """
    router = APIRouter(tags=["health"])

    @router.get("/healthz", operation_id="get_health", responses={503: {"model": Health}})
    def healthz(response: Response) -> Health:
        """Return 200 if everything that runs here works, else 503."""
        try:
            office.database.check()
            state = "ok"
        except DatabaseUnavailable:
            state = "unavailable"
        broker = broker_state()
        ingest = ingest_state()
        if state != "ok" or broker == "disconnected" or ingest == "faulty":
            response.status_code = 503
        return Health(database=state, broker=broker, ingest=ingest)

    return router


def _add_subjects(router: APIRouter, office: Office, errors: dict[int | str, dict[str, Any]]) -> None:
    @router.get("/subjects", operation_id="list_subjects", responses=errors)
    def subjects(caller: StatusReader, after: Id = None, limit: Limit = 100, area: Area = None) -> SubjectPage:
        """Return subjects in order of id; ask again with `after=<next>` for more."""
        today = office.today()
        with office.database.begin() as connection:
            within = visible_codes(connection, caller.partner)
            lines = interface_lists.subject_lines(connection, after=after or "", limit=limit, area=area, within=within)
            detail = {"count": len(lines), "after": after, "area": area}
            office.note(connection, caller, "subjects.listed", detail=detail, now=office.clock())
        views = [
            SubjectView(
                subject_id=line.subject_id,
                area=line.area,
                state=line.state_on(today),
                last_pass_day=line.last_pass_day,
                certified_until=line.certified_until,
                last_outcome=line.last_outcome,
                last_event_at=line.last_event_at,
                references=line.references,
            )
            for line in lines
        ]
        return SubjectPage(subjects=views, next=views[-1].subject_id if len(views) == limit else None)


def _add_records(router: APIRouter, office: Office, errors: dict[int | str, dict[str, Any]]) -> None:
    @router.get("/records", operation_id="list_records", responses=errors)
    def records(
        caller: RecordsReader, limit: Limit = 100, subject_id: Id = None, terminal_id: Id = None
    ) -> list[RecordView]:
        """Return the newest records by arrival."""
        with office.database.begin() as connection:
            lines = interface_lists.record_lines(
                connection,
                limit=limit,
                subject_id=subject_id,
                terminal_id=terminal_id,
                within=visible_codes(connection, caller.partner),
            )
            detail = {"count": len(lines), "subject": subject_id, "terminal": terminal_id}
            office.note(connection, caller, "records.listed", subject_id=subject_id, detail=detail, now=office.clock())
        return [RecordView.model_validate(line) for line in lines]

    @router.get("/records/{record_id}/evidence", operation_id="get_evidence", responses=errors)
    def evidence(caller: RecordsReader, record_id: RecordId, language: Language = "zh") -> list[EvidenceView]:
        """Return the evidence of a record as sentences for a reviewer."""
        with office.database.begin() as connection:
            record = record_of(connection, record_id)
            subject_id = None if record is None else record.claim.subject_id
            about = [] if subject_id is None else [subject_id]
            is_seen = caller.partner.areas is None or bool(visible_subjects(connection, caller.partner, about))
            if record is None or not is_seen:
                raise Refusal(404, "unknown_record", "no such record")
            detail = {"record": record_id}
            office.note(connection, caller, "evidence.viewed", subject_id=subject_id, detail=detail, now=office.clock())
        return [
            EvidenceView(
                kind=result.kind,
                status=result.status,
                score=result.score,
                threshold=result.threshold,
                sentence=explain(result, language),
                measures=list(explain_measures(result, language)),
            )
            for result in record.evidence
        ]
