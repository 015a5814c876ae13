"""What the open interface lists: people, records and terminals, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text

from protocol.rules.obligations import CertificationState, state_of

MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class SubjectLine:
    """One subject with its status; the name is still sealed."""

    subject_id: str
    area: str
    name_sealed: bytes
    last_pass_day: date | None
    certified_until: date | None
    asked: date | None
    expiring: date | None
    overdue: date | None
    last_outcome: str | None
    last_event_at: datetime | None
    references: int

    def state_on(self, today: date) -> CertificationState:
        """Return where the subject stands on a day."""
        if self.asked is None or self.expiring is None or self.overdue is None:
            return CertificationState.NEVER_CERTIFIED
        return state_of(self.certified_until is not None, self.asked, self.expiring, self.overdue, today)


@dataclass(frozen=True, slots=True)
class RecordLine:
    """One stored record."""

    record_id: str
    terminal_id: str
    counter: int
    chain: str
    subject_id: str | None
    name_sealed: bytes | None
    outcome: str
    reasons: list[str]
    earliest: datetime | None
    latest: datetime
    received_at: datetime
    counts: bool
    """Whether it is a pass."""
    flags: list[str]
    software: str
    policy_version: str


@dataclass(frozen=True, slots=True)
class TerminalLine:
    """One terminal with what it says about itself."""

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
    pictures_refused: int | None
    last_counter: int
    last_record_at: datetime | None
    records: int
    quarantined: int


def subject_lines(
    connection: Connection, *, after: str, limit: int, area: str | None = None, within: Sequence[str] | None = None
) -> list[SubjectLine]:
    """Return subjects after an id in order of id.

    Args:
        connection: where to read.
        after: the id before the first.
        limit: most subjects.
        area: only those who live there.
        within: only those who live in one of these areas or are paid by one; None for all.
    """
    rows = connection.execute(
        text(
            "SELECT s.subject_id, s.area, s.name_sealed, t.last_pass_day, t.certified_until, t.asked, t.expiring, t.overdue,"  # noqa: S608 - our own text
            " t.last_outcome,"
            " t.last_event_at, (SELECT count(*) FROM references_ r WHERE r.subject_id = s.subject_id"
            " AND r.withdrawn_at IS NULL AND r.state = 'active') AS references FROM subjects s LEFT JOIN statuses t USING (subject_id)"
            " WHERE s.subject_id > :after AND (CAST(:area AS text) IS NULL OR s.area = :area)"
            " AND " + _WITHIN + " ORDER BY s.subject_id LIMIT :limit"
        ),
        {"after": after, "limit": min(limit, MAX_PAGE), "area": area, "within": _listed(within)},
    )
    return [SubjectLine(*row) for row in rows]


def record_lines(
    connection: Connection,
    *,
    limit: int,
    subject_id: str | None = None,
    terminal_id: str | None = None,
    within: Sequence[str] | None = None,
) -> list[RecordLine]:
    """Return the newest records by arrival; `within` as in `subject_lines`, where records of nobody known belong to no area."""
    rows = connection.execute(
        text(
            "SELECT r.record_id, r.terminal_id, r.counter, l.chain, r.subject_id, s.name_sealed, r.outcome,"  # noqa: S608 - our own text
            " r.payload #> '{decision,reasons}' AS reasons, r.earliest, r.latest, r.received_at,"
            " r.pass_at IS NOT NULL AND l.chain <> 'broken' AND s.claim_token IS NOT DISTINCT FROM r.claim_token"
            " AS counts, r.flags, r.payload ->> 'software' AS software,"
            " r.payload #>> '{decision,policy_version}' AS policy_version"
            " FROM records r JOIN links l ON l.record_id = r.record_id LEFT JOIN subjects s ON s.subject_id = r.subject_id"
            " WHERE (CAST(:subject AS text) IS NULL OR r.subject_id = :subject)"
            " AND (CAST(:terminal AS text) IS NULL OR r.terminal_id = :terminal)"
            " AND " + _WITHIN + " ORDER BY r.received_at DESC, r.terminal_id, r.counter DESC LIMIT :limit"
        ),
        {
            "limit": min(limit, MAX_PAGE),
            "subject": subject_id,
            "terminal": terminal_id,
            "within": _listed(within),
        },
    )
    return [RecordLine(*row) for row in rows]


def terminal_lines(connection: Connection, *, within: Sequence[str] | None = None) -> list[TerminalLine]:
    """Return terminals by id, all or those of some areas."""
    rows = connection.execute(
        text(
            "SELECT t.terminal_id, t.area, t.registered_at, t.retired_at, t.presence_state, t.presence_received_at,"
            " t.software, t.policy_version, t.roster_version, t.roster_have, t.outbox_pending, t.outbox_published,"
            " t.outbox_acknowledged, t.outbox_refused, t.pictures_waiting, t.pictures_refused, t.last_counter, t.last_record_at,"
            " t.records, t.quarantined"
            " FROM terminals t WHERE CAST(:within AS text[]) IS NULL OR t.area = ANY(:within) ORDER BY t.terminal_id"
        ),
        {"within": _listed(within)},
    )
    return [TerminalLine(*row) for row in rows]


def _listed(within: Sequence[str] | None) -> list[str] | None:
    return None if within is None else list(within)


_WITHIN = (
    "(CAST(:within AS text[]) IS NULL OR s.area = ANY(:within) OR EXISTS"
    " (SELECT 1 FROM benefits b WHERE b.subject_id = s.subject_id AND b.region = ANY(:within)))"
)
