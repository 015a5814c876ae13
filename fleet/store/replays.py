"""Answers to requests with an `Idempotency-Key`, kept for the case that the request comes again; as SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered."""

    digest: bytes
    """Of the request."""
    status: int
    text: str


def find_answer(connection: Connection, partner_id: str, key: str, *, since: datetime) -> Answer | None:
    """Return the answer that was given under a key since a moment, and forget older ones of the partner."""
    forget_answers(connection, before=since, partner_id=partner_id)
    row = connection.execute(
        text(
            "SELECT digest, status, answer FROM partner_requests WHERE partner_id = :partner AND idempotency_key = :key"
        ),
        {"partner": partner_id, "key": key},
    ).one_or_none()
    return None if row is None else Answer(bytes(row.digest), row.status, row.answer)


def forget_answers(connection: Connection, *, before: datetime, partner_id: str | None = None) -> int:
    """Delete what a partner, or without one every partner, was answered before a moment; return how many answers."""
    return connection.execute(
        text(
            "DELETE FROM partner_requests WHERE answered_at < :before"
            " AND (CAST(:partner AS text) IS NULL OR partner_id = :partner)"
        ),
        {"partner": partner_id, "before": before},
    ).rowcount


def save_answer(connection: Connection, partner_id: str, key: str, answer: Answer, *, now: datetime) -> None:
    """Keep an answer."""
    connection.execute(
        text(
            "INSERT INTO partner_requests (partner_id, idempotency_key, digest, status, answer, answered_at)"
            " VALUES (:partner, :key, :digest, :status, :answer, :now)"
        ),
        {
            "partner": partner_id,
            "key": key,
            "digest": answer.digest,
            "status": answer.status,
            "answer": answer.text,
            "now": now,
        },
    )
