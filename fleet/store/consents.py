"""Consents, withdrawals, and how many faces are stored, as SQL."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text

from protocol.rules.life import ENDING


@dataclass(frozen=True, slots=True)
class NewConsent:
    """A consent that is to be recorded; before whom it was given stands encrypted."""

    consent_id: str
    subject_id: str
    text_version: str
    text_sha256: str
    language: str
    way: str
    given_at: datetime
    witness_sealed: bytes


@dataclass(frozen=True, slots=True)
class Basis:
    """On what stored references rest, in persons."""

    statute: int
    consent: int
    """With a consent record, or an enrolment at a terminal that an operator recorded as one."""
    unrecorded: int
    """On consent, and nothing says when and before whom it was given."""


@dataclass(frozen=True, slots=True)
class Mark:
    """When the number of stored faces reached a share of what must be filed."""

    percent: int
    reached_on: date
    persons: int
    filed_on: date | None


def add_consent(connection: Connection, consent: NewConsent, *, now: datetime) -> None:
    """Record a consent."""
    connection.execute(
        text(
            "INSERT INTO consents (consent_id, subject_id, text_version, text_sha256, language, way, given_at, witness_sealed,"
            " recorded_at) VALUES (:id, :subject, :version, :sha256, :language, :way, :given, :witness, :now)"
        ),
        {
            "id": consent.consent_id,
            "subject": consent.subject_id,
            "version": consent.text_version,
            "sha256": consent.text_sha256,
            "language": consent.language,
            "way": consent.way,
            "given": consent.given_at,
            "witness": consent.witness_sealed,
            "now": now,
        },
    )


def is_recorded(connection: Connection, consent_id: str) -> bool:
    """Return whether there is a consent of this id."""
    found = connection.execute(text("SELECT 1 FROM consents WHERE consent_id = :id"), {"id": consent_id})
    return found.scalar_one_or_none() is not None


def end_consents(connection: Connection, subject_id: str, *, now: datetime) -> int:
    """Mark all consents of somebody withdrawn; return how many there were."""
    return connection.execute(
        text("UPDATE consents SET withdrawn_at = :now WHERE subject_id = :id AND withdrawn_at IS NULL"),
        {"id": subject_id, "now": now},
    ).rowcount


def add_withdrawal(
    connection: Connection,
    withdrawal_id: str,
    subject_id: str,
    *,
    other_way: str,
    erased: int,
    revoked: int,
    officer_sealed: bytes,
    now: datetime,
) -> None:
    """Record a withdrawal and what was offered in place of the face."""
    connection.execute(
        text(
            "INSERT INTO withdrawals (withdrawal_id, subject_id, withdrawn_at, other_way, references_erased, cards_revoked,"
            " officer_sealed) VALUES (:id, :subject, :now, :way, :erased, :revoked, :officer)"
        ),
        {
            "id": withdrawal_id,
            "subject": subject_id,
            "now": now,
            "way": other_way,
            "erased": erased,
            "revoked": revoked,
            "officer": officer_sealed,
        },
    )


def is_withdrawn_since(connection: Connection, subject_id: str, moment: datetime) -> bool:
    """Return whether somebody withdrew their consent at a moment or after it."""
    return bool(
        connection.execute(
            text("SELECT count(*) FROM withdrawals WHERE subject_id = :id AND withdrawn_at >= :moment"),
            {"id": subject_id, "moment": moment},
        ).scalar_one()
    )


def held_references(connection: Connection, subject_id: str, bases: Collection[str]) -> list[str]:
    """Return the references of somebody that rest on these bases and are not withdrawn, in use or not."""
    rows = connection.execute(
        text(
            "SELECT reference_id FROM references_ WHERE subject_id = :id AND withdrawn_at IS NULL"
            " AND legal_basis = ANY(:bases) ORDER BY captured_at, reference_id"
        ),
        {"id": subject_id, "bases": sorted(bases)},
    )
    return list(rows.scalars())


def forget_made(connection: Connection, subject_id: str, bases: Collection[str]) -> int:
    """Erase what terminals made of somebody and nobody has put in use: features and sealed bytes; return how many."""
    who = {"id": subject_id, "bases": sorted(bases)}
    connection.execute(
        text(
            "UPDATE links SET envelope = ''::bytea WHERE record_id IN (SELECT record_id FROM made_references"
            " WHERE subject_id = :id AND legal_basis = ANY(:bases))"
        ),
        who,
    )
    return connection.execute(
        text(
            "UPDATE made_references SET features = NULL, waits_for = 'consent_withdrawn' WHERE subject_id = :id"
            " AND legal_basis = ANY(:bases) AND features IS NOT NULL"
        ),
        who,
    ).rowcount


def cards_in_use(connection: Connection, subject_id: str, bases: Collection[str]) -> list[str]:
    """Return the cards of somebody that rest on these bases and count."""
    rows = connection.execute(
        text(
            "SELECT card_id FROM cards WHERE subject_id = :id AND revoked_at IS NULL AND legal_basis = ANY(:bases)"
            " ORDER BY card_id"
        ),
        {"id": subject_id, "bases": sorted(bases)},
    )
    return list(rows.scalars())


def persons_with_faces(connection: Connection) -> int:
    """Return of how many persons something of a face is stored: references, sealed ones, pictures of cases."""
    return int(
        connection.execute(
            text(
                "SELECT count(DISTINCT who) FROM ("
                " SELECT subject_id AS who FROM references_ WHERE withdrawn_at IS NULL AND features <> ''::bytea"
                " UNION ALL SELECT coalesce(subject_id, record_id) FROM made_references WHERE features IS NOT NULL"
                " UNION ALL SELECT coalesce(c.subject_id, c.claim_token) FROM attachments a"
                " JOIN case_photos p USING (terminal_id, sha256) JOIN case_records c USING (record_id)) held"
            )
        ).scalar_one()
    )


def bases(connection: Connection) -> Basis:
    """Return on what the stored references of persons rest."""
    row = connection.execute(
        text(
            "SELECT count(DISTINCT subject_id) FILTER (WHERE legal_basis = 'statute') AS statute,"
            " count(DISTINCT subject_id) FILTER (WHERE legal_basis = 'consent' AND is_recorded) AS consent,"
            " count(DISTINCT subject_id) FILTER (WHERE legal_basis = 'consent' AND NOT is_recorded) AS unrecorded FROM ("
            " SELECT r.subject_id, r.legal_basis, r.made_by_record IS NOT NULL OR EXISTS (SELECT 1 FROM consents c"
            " WHERE c.subject_id = r.subject_id AND c.withdrawn_at IS NULL) AS is_recorded FROM references_ r"
            " WHERE r.withdrawn_at IS NULL AND r.features <> ''::bytea) held"
        )
    ).one()
    return Basis(*row)


def marks(connection: Connection) -> list[Mark]:
    """Return what was reached of the number that must be filed, in order."""
    rows = connection.execute(text("SELECT percent, reached_on, persons, filed_on FROM filing_marks ORDER BY percent"))
    return [Mark(*row) for row in rows]


def reach(connection: Connection, percent: int, persons: int, *, today: date) -> bool:
    """Note that a share was reached; return False if it was before."""
    found = connection.execute(
        text(
            "INSERT INTO filing_marks (percent, reached_on, persons) VALUES (:percent, :today, :persons)"
            " ON CONFLICT DO NOTHING RETURNING 1"
        ),
        {"percent": percent, "today": today, "persons": persons},
    )
    return found.scalar_one_or_none() is not None


def set_filed(connection: Connection, *, on: date) -> bool:
    """Note when it was filed; return False where nothing had to be."""
    found = connection.execute(
        text("UPDATE filing_marks SET filed_on = :on WHERE percent = 100 RETURNING 1"), {"on": on}
    )
    return found.scalar_one_or_none() is not None


def outlived_references(connection: Connection, *, ended_before: date, expired_before: date, limit: int) -> list[str]:
    """Return references, not withdrawn, of people whose entitlement ended, and such as expired.

    It ended by a confirmed report, or because each of their benefits did. Somebody who passed after the day of their end is left alone:
    that contradiction is for a person to resolve.
    """
    rows = connection.execute(
        text(
            "SELECT r.reference_id FROM references_ r WHERE r.withdrawn_at IS NULL AND r.features <> ''::bytea"  # noqa: S608 - our own fragments
            " AND (r.valid_until < :expired OR EXISTS (SELECT 1 FROM life_events e WHERE e.subject_id = r.subject_id"
            " AND e.kind = ANY(:ending) AND e.confirmed AND e.withdrawn_at IS NULL AND e.since < :ended"
            " AND NOT EXISTS (SELECT 1 FROM records p WHERE p.subject_id = r.subject_id AND p.pass_at > e.since))"
            f" OR EXISTS (SELECT 1 FROM {_BENEFITS} WHERE b.subject_id = r.subject_id"
            f" HAVING bool_and({_LAST_DAY} < :ended) AND bool_and({_LAST_DAY} IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM records p"
            f" WHERE p.subject_id = r.subject_id AND p.pass_at >= max({_LAST_DAY}) + 1)))"
            " ORDER BY r.reference_id LIMIT :limit"
        ),
        {"ended": ended_before, "expired": expired_before, "ending": sorted(_ENDING), "limit": limit},
    )
    return list(rows.scalars())


def has_ended(connection: Connection, subject_id: str, *, today: date) -> bool:
    """Return whether nobody is entitled any more: by a confirmed report, because each benefit ended, or there is none."""
    return bool(
        connection.execute(
            text(
                f"SELECT NOT EXISTS (SELECT 1 FROM {_BENEFITS} WHERE b.subject_id = :id"  # noqa: S608 - our own fragments
                f" AND ({_LAST_DAY} < :today) IS NOT TRUE) OR EXISTS (SELECT 1 FROM life_events"
                " WHERE subject_id = :id AND kind = ANY(:ending) AND confirmed AND withdrawn_at IS NULL)"
            ),
            {"id": subject_id, "ending": sorted(_ENDING), "today": today},
        ).scalar_one()
    )


def ways_offered(connection: Connection, since: datetime, until: datetime) -> dict[str, dict[str, int]]:
    """Return how often which other way than the face was recorded as offered, by terminal; every terminal with records is there."""
    rows = connection.execute(
        text(
            "SELECT t.terminal_id, c.payload ->> 'other_way' AS way, count(c.record_id) AS times FROM ("
            " SELECT DISTINCT terminal_id FROM links WHERE kind IN ('record', 'case') AND received_at >= :since"
            " AND received_at < :until) t LEFT JOIN case_records c ON c.terminal_id = t.terminal_id AND c.kind = 'exception'"
            " AND c.event_at >= :since AND c.event_at < :until GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        {"since": since, "until": until},
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        ways = found.setdefault(row.terminal_id, {})
        if row.way is not None:
            ways[row.way] = row.times
    return found


def withdrawal_ways(connection: Connection, since: datetime, until: datetime) -> dict[str, int]:
    """Return what was offered to people who withdrew their consent, and how often."""
    rows = connection.execute(
        text(
            "SELECT other_way, count(*) AS times FROM withdrawals WHERE withdrawn_at >= :since AND withdrawn_at < :until"
            " GROUP BY other_way ORDER BY other_way"
        ),
        {"since": since, "until": until},
    )
    return {row.other_way: row.times for row in rows}


@dataclass(frozen=True, slots=True)
class RetentionRun:
    """What went on one day because its time was over."""

    ran_at: datetime
    rows: dict[str, int]
    """By table; what nothing went of is not among them."""
    persons: int
    """With a stored face, at that moment."""


def note_retention(connection: Connection, rows: Mapping[str, int], persons: int, *, now: datetime) -> None:
    """Note how many rows of which tables went because their time was over, and how many persons have a stored face."""
    connection.execute(
        text(
            "INSERT INTO retention_runs (ran_at, rows, persons) VALUES (:now, CAST(:rows AS jsonb), :persons)"
            " ON CONFLICT (ran_at) DO UPDATE SET rows = retention_runs.rows || EXCLUDED.rows, persons = EXCLUDED.persons"
        ),
        {"now": now, "rows": json.dumps(dict(rows)), "persons": persons},
    )


def retention_runs(connection: Connection, *, limit: int) -> list[RetentionRun]:
    """Return the last runs, the newest first."""
    rows = connection.execute(
        text("SELECT ran_at, rows, persons FROM retention_runs ORDER BY ran_at DESC LIMIT :limit"), {"limit": limit}
    )
    return [RetentionRun(*row) for row in rows]


_ENDING = frozenset(kind.value for kind in ENDING)
_BENEFITS = "benefits b LEFT JOIN benefit_files f USING (subject_id, scheme)"
_LAST_DAY = "least(b.ended, CASE WHEN f.state = 'ended' THEN f.stopped_from - 1 END)"
"""SQL: the last day of a benefit by the lists, or by a stop that two persons approved; null while it is paid, or paused."""
