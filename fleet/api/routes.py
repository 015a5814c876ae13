"""The open interface, version 1. Subjects appear by their opaque id only: no names, no document numbers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, tzinfo
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Response
from pydantic import BaseModel, ConfigDict

from fleet.clock import Clock, day_of
from fleet.errors import DatabaseUnavailable
from fleet.store import console
from fleet.store.database import Database
from fleet.store.links import gaps
from fleet.store.records import record_of
from protocol.explain import explain, explain_measures
from protocol.rules.obligations import CertificationState

Limit = Annotated[int, Query(ge=1, le=console.MAX_PAGE)]
Id = Annotated[str | None, Query(max_length=64, pattern=r"^[a-z0-9-]+$")]


RecordId = Annotated[str, Path(max_length=64, pattern=r"^[0-9a-f]+$")]
Language = Literal["zh", "en"]
Area = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
"""The database takes no NUL character."""


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


def api_router(
    database: Database, *, zone: tzinfo, clock: Clock, broker_state: Callable[[], str], ingest_state: Callable[[], str]
) -> APIRouter:
    """Return the routes of the open interface.

    Args:
        database: where to read.
        zone: decides which day it is.
        clock: the fleet's clock.
        broker_state: says `connected`, `disconnected` or `not run here`.
        ingest_state: says `ok`, `faulty` (what arrives meets a fault of our own) or `not run here`.
    """
    router = APIRouter()

    @router.get("/api/v1/subjects")
    def subjects(after: Id = None, limit: Limit = 100, area: Area = None) -> SubjectPage:
        """Return subjects in order of id; ask again with `after=<next>` for more."""
        today = day_of(clock(), zone)
        with database.begin() as connection:
            lines = console.subject_lines(connection, after=after or "", limit=limit, area=area)
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

    @router.get("/api/v1/records")
    def records(limit: Limit = 100, subject_id: Id = None, terminal_id: Id = None) -> list[RecordView]:
        """Return the newest records by arrival."""
        with database.begin() as connection:
            lines = console.record_lines(connection, limit=limit, subject_id=subject_id, terminal_id=terminal_id)
        return [RecordView.model_validate(line) for line in lines]

    @router.get("/api/v1/records/{record_id}/evidence")
    def evidence(record_id: RecordId, language: Language = "zh") -> list[EvidenceView]:
        """Return the evidence of a record as sentences for a reviewer."""
        with database.begin() as connection:
            record = record_of(connection, record_id)
        if record is None:
            raise HTTPException(404, "no such record")
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

    @router.get("/api/v1/terminals")
    def terminals() -> list[TerminalView]:
        """Return all terminals."""
        with database.begin() as connection:
            lines = console.terminal_lines(connection)
            missing = gaps(connection)
        return [
            TerminalView(
                **{name: getattr(line, name) for name in TerminalView.model_fields if name != "gaps"},
                gaps=[(gap.first, gap.last) for gap in missing if gap.terminal_id == line.terminal_id],
            )
            for line in lines
        ]

    @router.get("/healthz")
    def healthz(response: Response) -> Health:
        """Return 200 if everything that runs here works, else 503."""
        try:
            database.check()
            state = "ok"
        except DatabaseUnavailable:
            state = "unavailable"
        broker = broker_state()
        ingest = ingest_state()
        if state != "ok" or broker == "disconnected" or ingest == "faulty":
            response.status_code = 503
        return Health(database=state, broker=broker, ingest=ingest)

    return router
