"""Duplicates as SQL: what is searched, what was found, and what two persons made of it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy import Connection, text

from fleet.store.subject_areas import of_people

HitKind = Literal["same_face", "same_person", "benefits", "elsewhere"]
Verdict = Literal["same_person", "different", "unclear"]
_FETCHED = 2000
"""Rows that are fetched at once where everybody is gone through."""
APPROVED = "duplicate_hit"
"""Kind of object under which `fleet.store.approvals` has the words of two persons."""


@dataclass(frozen=True, slots=True)
class Searchable:
    """One reference that can be searched, with what blocking asks of its subject."""

    subject_id: str
    reference_id: str
    features: bytes
    sex: str | None
    birth_date: date | None
    area: str
    is_new: bool
    """Whether it was not compared with everything in this way before."""


@dataclass(frozen=True, slots=True)
class NewHit:
    """A suspicion that was just found."""

    kind: HitKind
    subjects: tuple[str, str]
    """In order; the same one twice where it is about one subject."""
    what: str = ""
    """What one pair can be suspected of more than once: two schemes, a record of another system."""
    score: float | None = None
    threshold: float | None = None
    model_sha256: str | None = None
    key_domain: str | None = None


def other_region(subject_id: str, scheme: str, before: str, now: str) -> NewHit:
    """Return the suspicion that one scheme pays a person in two regions: a list names another region than the one before.

    It may be a move; then two persons say so. The list that came last is what stands.
    """
    return NewHit(
        "benefits", (subject_id, subject_id), what=f"{scheme} ({before}) + {scheme} ({now}): not_allowed, or a move"
    )


@dataclass(frozen=True, slots=True)
class Hit:
    """A suspicion as it is stored."""

    hit_id: str
    kind: HitKind
    first_subject: str
    second_subject: str
    what: str
    score: float | None
    threshold: float | None
    model_sha256: str | None
    key_domain: str | None
    found_at: datetime
    state: str
    first_word: Verdict | None
    """What the first of two persons said; None before."""
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Side:
    """What is known of one side of a hit, without a picture; the name stands encrypted."""

    subject_id: str
    area: str
    birth_date: date | None
    sex: str | None
    name_sealed: bytes
    document_sealed: bytes
    created_at: datetime
    benefits: list[dict[str, str | None]]
    references: list[dict[str, str]]
    passes: int
    last_pass_at: datetime | None
    terminals: list[str]
    """Where records of the subject come from."""


def searchable(
    connection: Connection, model_sha256: str, key_domain: str, *, scope: str, threshold: float, area: str | None
) -> list[Searchable]:
    """Return the references of one network and key domain that are in use; what was compared at a lower threshold is not new."""
    rows = connection.execute(
        text(
            "SELECT r.subject_id, r.reference_id, r.features, s.sex, s.birth_date, s.area,"
            " d.scope IS DISTINCT FROM :scope OR d.threshold > :threshold AS is_new FROM references_ r JOIN subjects s USING (subject_id)"
            " LEFT JOIN duplicate_searched d USING (subject_id, reference_id)"
            " WHERE r.model_sha256 = :model AND r.key_domain = :domain AND r.withdrawn_at IS NULL AND r.state = 'active'"
            " AND r.features <> ''::bytea AND (CAST(:area AS text) IS NULL OR s.area = :area)"
            " ORDER BY r.subject_id, r.reference_id"
        ),
        {"model": model_sha256, "domain": key_domain, "scope": scope, "threshold": threshold, "area": area},
    )
    return [Searchable(*row) for row in rows]


def populations(connection: Connection) -> list[tuple[str, str, int]]:
    """Return networks, key domains and people with references in use, most people first."""
    rows = connection.execute(
        text(
            "SELECT model_sha256, key_domain, count(DISTINCT subject_id) AS people FROM references_"
            " WHERE withdrawn_at IS NULL AND state = 'active' AND features <> ''::bytea"
            " GROUP BY model_sha256, key_domain ORDER BY people DESC, model_sha256, key_domain"
        )
    )
    return [(row.model_sha256, row.key_domain, row.people) for row in rows]


def note_searched(
    connection: Connection, who: Sequence[Searchable], *, scope: str, threshold: float, now: datetime
) -> None:
    """Remember that these were compared with everything; those that were withdrawn meanwhile are left out."""
    connection.execute(
        text(
            "INSERT INTO duplicate_searched (subject_id, reference_id, scope, threshold, searched_at)"
            " SELECT r.subject_id, r.reference_id, :scope, :threshold, :now FROM references_ r"
            " JOIN unnest(CAST(:subjects AS text[]), CAST(:references AS text[])) AS n (subject_id, reference_id)"
            " USING (subject_id, reference_id) ON CONFLICT (subject_id, reference_id)"
            " DO UPDATE SET scope = EXCLUDED.scope, threshold = EXCLUDED.threshold, searched_at = EXCLUDED.searched_at"
        ),
        {
            "scope": scope,
            "threshold": threshold,
            "now": now,
            "subjects": [each.subject_id for each in who],
            "references": [each.reference_id for each in who],
        },
    )


def add_hits(connection: Connection, hits: Collection[NewHit], *, now: datetime) -> int:
    """Store suspicions that are not there; return how many were new. What was decided stays decided."""
    if not hits:
        return 0
    ordered = sorted(hits, key=lambda hit: (hit.kind, hit.subjects, hit.what))
    found = connection.execute(
        text(
            "INSERT INTO duplicate_hits (hit_id, kind, first_subject, second_subject, what, score, threshold, model_sha256,"
            " key_domain, found_at) SELECT n.hit_id, n.kind, n.first_subject, n.second_subject, n.what, n.score,"
            " n.threshold, n.model_sha256, n.key_domain, :now"
            " FROM unnest(CAST(:ids AS text[]), CAST(:kinds AS text[]), CAST(:firsts AS text[]), CAST(:seconds AS text[]),"
            " CAST(:whats AS text[]), CAST(:scores AS double precision[]), CAST(:thresholds AS double precision[]),"
            " CAST(:models AS text[]), CAST(:domains AS text[]))"
            " AS n (hit_id, kind, first_subject, second_subject, what, score, threshold, model_sha256, key_domain)"
            " JOIN subjects a ON a.subject_id = n.first_subject JOIN subjects b ON b.subject_id = n.second_subject"
            " ON CONFLICT (kind, first_subject, second_subject, what) DO UPDATE"
            " SET score = greatest(duplicate_hits.score, EXCLUDED.score)"
            " WHERE duplicate_hits.state = 'open' RETURNING (xmax = 0) AS is_new"
        ),
        {
            "now": now,
            "ids": [os.urandom(16).hex() for _ in ordered],
            "kinds": [hit.kind for hit in ordered],
            "firsts": [hit.subjects[0] for hit in ordered],
            "seconds": [hit.subjects[1] for hit in ordered],
            "whats": [hit.what for hit in ordered],
            "scores": [hit.score for hit in ordered],
            "thresholds": [hit.threshold for hit in ordered],
            "models": [hit.model_sha256 for hit in ordered],
            "domains": [hit.key_domain for hit in ordered],
        },
    )
    return sum(row.is_new for row in found)


def hits_in(connection: Connection, states: Sequence[str], *, limit: int) -> list[Hit]:
    """Return suspicions in these states, the most alike first, then the oldest."""
    rows = connection.execute(
        text(
            f"SELECT {_HIT} FROM duplicate_hits WHERE state = ANY(:states)"  # noqa: S608 - our own column list
            " ORDER BY score DESC NULLS LAST, found_at, hit_id LIMIT :limit"
        ),
        {"states": list(states), "limit": limit},
    )
    return [Hit(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class HitLine:
    """A suspicion in the queue, with where both sides live; names stand encrypted."""

    hit: Hit
    areas: tuple[str, str]
    names_sealed: tuple[bytes, bytes]

    @property
    def likeness(self) -> float:
        """By what the queue is ordered, the most alike first; hits without a score come last."""
        return _NO_SCORE if self.hit.score is None else self.hit.score


_NO_SCORE = -2.0
"""Below every cosine."""


def queue_page(
    connection: Connection,
    *,
    states: Sequence[str],
    kinds: Sequence[str],
    waits: bool | None,
    areas: Sequence[str] | None,
    behind: tuple[float, str] | None = None,
    ahead: tuple[float, str] | None = None,
    limit: int,
) -> list[HitLine]:
    """Return suspicions about people of whom one at least lives in some areas, the most alike first.

    Args:
        connection: where to read.
        states: in which they are.
        kinds: of which kinds they are.
        waits: whether one person has said a word and a second one is waited for; None where it does not matter.
        areas: where one of both lives; None for everywhere.
        behind: only those behind this likeness and id.
        ahead: only those ahead of it, and of those the nearest.
        limit: most of them.
    """
    place = behind or ahead
    compare = ""
    if place is not None:
        score, hit = ("<", ">") if behind else (">", "<")
        compare = (
            f" AND (coalesce(h.score, -2) {score} :score OR coalesce(h.score, -2) = :score AND h.hit_id {hit} :hit)"
        )
    order = "h.hit_id" if ahead is None else "h.hit_id DESC"
    way = "DESC" if ahead is None else "ASC"
    rows = connection.execute(
        text(
            f"SELECT {_HIT}, a.area AS first_area, b.area AS second_area, a.name_sealed AS first_name, b.name_sealed AS second_name"  # noqa: S608 - our own fragments
            " FROM duplicate_hits h JOIN subjects a ON a.subject_id = h.first_subject JOIN subjects b ON b.subject_id = h.second_subject"
            " WHERE h.state = ANY(:states) AND h.kind = ANY(:kinds)"
            " AND (CAST(:waits AS boolean) IS NULL OR (h.first_word IS NOT NULL) = :waits)"
            f" AND ({of_people('a.subject_id')} OR {of_people('b.subject_id')})"
            f"{compare} ORDER BY coalesce(h.score, -2) {way}, {order} LIMIT :limit"
        ),
        {
            "states": list(states),
            "kinds": list(kinds),
            "waits": waits,
            "areas": None if areas is None else list(areas),
            "score": None if place is None else place[0],
            "hit": None if place is None else place[1],
            "limit": limit,
        },
    ).all()
    found = [
        HitLine(Hit(*row[:-4]), (row.first_area, row.second_area), (bytes(row.first_name), bytes(row.second_name)))
        for row in rows
    ]
    return found if ahead is None else found[::-1]


def find_hit(connection: Connection, hit_id: str, *, lock: bool = False) -> Hit | None:
    """Return one suspicion, locked for this transaction if wanted."""
    row = connection.execute(
        text(f"SELECT {_HIT} FROM duplicate_hits WHERE hit_id = :id {'FOR UPDATE' if lock else ''}"),  # noqa: S608 - fixed fragments
        {"id": hit_id},
    ).one_or_none()
    return None if row is None else Hit(*row)


@dataclass(frozen=True, slots=True)
class FoundHit:
    """A hit that was found within a span of time."""

    hit_id: str
    kind: str
    state: str
    score: float | None


def hits_found(
    connection: Connection, *, is_face: bool, since: datetime, until: datetime, limit: int
) -> list[FoundHit]:
    """Return hits of searches by face, or of those by number, that were found within a span of time, the most alike first."""
    rows = connection.execute(
        text(
            "SELECT hit_id, kind, state, score FROM duplicate_hits WHERE found_at BETWEEN :start AND :end"
            " AND (kind = 'same_face') = :is_face ORDER BY coalesce(score, -2) DESC, hit_id LIMIT :limit"
        ),
        {"start": since, "end": until, "is_face": is_face, "limit": limit},
    )
    return [FoundHit(*row) for row in rows]


def clear_word(connection: Connection, hit_id: str) -> None:
    """Forget what the first person said, whose word is gone."""
    connection.execute(
        text("UPDATE duplicate_hits SET first_word = NULL WHERE hit_id = :id AND state = 'open'"), {"id": hit_id}
    )


def set_word(connection: Connection, hit_id: str, first_word: Verdict) -> None:
    """Note what the first person said."""
    connection.execute(
        text("UPDATE duplicate_hits SET first_word = :word, state = 'open', decided_at = NULL WHERE hit_id = :id"),
        {"id": hit_id, "word": first_word},
    )


def set_verdict(connection: Connection, hit_id: str, verdict: Verdict, *, now: datetime) -> None:
    """Note what both persons came to."""
    connection.execute(
        text("UPDATE duplicate_hits SET state = :verdict, decided_at = :now WHERE hit_id = :id"),
        {"id": hit_id, "verdict": verdict, "now": now},
    )


def side_of(connection: Connection, subject_id: str) -> Side:
    """Return what is known of one side of a hit."""
    row = connection.execute(text(_SIDE), {"id": subject_id}).one()
    return Side(
        row.subject_id,
        row.area,
        row.birth_date,
        row.sex,
        bytes(row.name_sealed),
        bytes(row.document_sealed),
        row.created_at,
        row.benefits,
        row.references_,
        row.passes,
        row.last_pass_at,
        list(row.terminals),
    )


def identities(connection: Connection) -> Iterator[tuple[str, str, bytes, bytes, date | None]]:
    """Give id, area, encrypted name and document, and date of birth of everybody."""
    rows = connection.execute(
        text("SELECT subject_id, area, name_sealed, document_sealed, birth_date FROM subjects ORDER BY subject_id"),
        execution_options={"yield_per": _FETCHED},
    )
    for row in rows:
        yield row.subject_id, row.area, bytes(row.name_sealed), bytes(row.document_sealed), row.birth_date


def several_benefits(connection: Connection, today: date) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Give whoever is on the list of several benefits that have not ended, with scheme and region of each."""
    rows = connection.execute(
        text(
            "SELECT subject_id, array_agg(scheme ORDER BY scheme) AS schemes, array_agg(region ORDER BY scheme) AS regions"
            " FROM benefits WHERE ended IS NULL OR ended >= :today"
            " GROUP BY subject_id HAVING count(*) > 1 ORDER BY subject_id"
        ),
        {"today": today},
        execution_options={"yield_per": _FETCHED},
    )
    for row in rows:
        yield row.subject_id, list(zip(row.schemes, row.regions, strict=True))


_HIT = (
    "hit_id, kind, first_subject, second_subject, what, score, threshold, model_sha256, key_domain, found_at, state,"
    " first_word, decided_at"
)
_SIDE = """
SELECT s.subject_id, s.area, s.birth_date, s.sex, s.name_sealed, s.document_sealed, s.created_at,
    coalesce((SELECT jsonb_agg(jsonb_build_object('scheme', b.scheme, 'region', b.region, 'category', b.category,
        'started', b.started, 'ended', b.ended, 'unit', b.unit) ORDER BY b.scheme) FROM benefits b WHERE b.subject_id = s.subject_id),
        '[]') AS benefits,
    coalesce((SELECT jsonb_agg(jsonb_build_object('reference_id', r.reference_id, 'capture', r.capture,
        'captured_at', r.captured_at, 'legal_basis', r.legal_basis) ORDER BY r.captured_at) FROM references_ r
        WHERE r.subject_id = s.subject_id AND r.withdrawn_at IS NULL AND r.state = 'active'), '[]') AS references_,
    (SELECT count(*) FROM records p WHERE p.subject_id = s.subject_id AND p.pass_at IS NOT NULL) AS passes,
    (SELECT max(p.pass_at) FROM records p WHERE p.subject_id = s.subject_id) AS last_pass_at,
    ARRAY(SELECT DISTINCT p.terminal_id FROM records p WHERE p.subject_id = s.subject_id ORDER BY 1) AS terminals
FROM subjects s WHERE s.subject_id = :id
"""
