"""What partners are told: where to send it, and an outbox that is written in the transaction of the news; as SQL."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

from fleet.store.areas import parents_above
from fleet.store.case_numbers import number_of
from fleet.store.partners import is_within, regions_of
from protocol.rules.obligations import CertificationState, state_of


class WebhookEvent(StrEnum):
    """What a partner can be told."""

    STATUS_CHANGED = "status.changed"
    """Something that arrived moved somebody's days or state."""
    CERTIFICATION_ACCEPTED = "certification.accepted"
    """Another act counts for somebody now, whichever system it came from (R8-13)."""
    CASE_ANSWERED = "case.answered"
    """A person at the agency decided a case."""


@dataclass(frozen=True, slots=True)
class News:
    """Something that partners may be told about somebody."""

    event: WebhookEvent
    subject_id: str
    data: Mapping[str, Any]
    """What to say: ids that say nothing, states, days; no name, no document number."""

    def payload(self) -> str:
        """Return the message as it is signed and sent."""
        found = {"type": self.event.value, "data": {"subject_id": self.subject_id, **self.data}}
        return json.dumps(found, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a partner wants to be told."""

    webhook_id: str
    partner_id: str
    url: str
    events: tuple[WebhookEvent, ...]
    secret_sealed: bytes
    added_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that is to be sent now."""

    message_no: int
    message_id: str
    event: str
    payload: str
    tries: int
    first_try_at: datetime | None
    is_own: bool
    """Whether the partner is a program of the agency itself."""
    webhook: Webhook


@dataclass(frozen=True, slots=True)
class WebhookLine:
    """How a webhook does."""

    webhook: Webhook
    delivered: int
    waiting: int
    dead: int
    last_result: str | None
    """Of the message that waits: an HTTP status, or what went wrong."""
    next_try_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a status says, as far as partners are told of it."""

    act: str | None
    act_kind: str | None
    days: tuple[date | None, ...]
    """`asked`, `expiring`, `due`, `overdue`."""
    certified_until: date | None

    def state(self, today: date) -> CertificationState:
        """Return where the person stands on a day."""
        asked, expiring, _, overdue = self.days
        if asked is None or expiring is None or overdue is None:
            return CertificationState.NEVER_CERTIFIED
        return state_of(self.certified_until is not None, asked, expiring, overdue, today)


def add_webhook(connection: Connection, webhook: Webhook) -> None:
    """Insert a webhook."""
    connection.execute(
        text(
            "INSERT INTO webhooks (webhook_id, partner_id, url, events, secret_sealed, added_at)"
            " VALUES (:id, :partner, :url, :events, :secret, :at)"
        ),
        {
            "id": webhook.webhook_id,
            "partner": webhook.partner_id,
            "url": webhook.url,
            "events": [event.value for event in webhook.events],
            "secret": webhook.secret_sealed,
            "at": webhook.added_at,
        },
    )


def webhook_lines(connection: Connection, partner_id: str | None = None) -> list[WebhookLine]:
    """Return webhooks that were not ended, of one partner or all, with how they do."""
    rows = connection.execute(
        text(
            "SELECT w.webhook_id, w.partner_id, w.url, w.events, w.secret_sealed, w.added_at, w.ended_at,"
            " (SELECT count(*) FROM webhook_messages m WHERE m.webhook_id = w.webhook_id AND m.delivered_at IS NOT NULL),"
            " (SELECT count(*) FROM webhook_messages m WHERE m.webhook_id = w.webhook_id AND m.delivered_at IS NULL"
            "  AND m.dead_at IS NULL),"
            " (SELECT count(*) FROM webhook_messages m WHERE m.webhook_id = w.webhook_id AND m.dead_at IS NOT NULL),"
            " h.last_result, h.next_try_at FROM webhooks w LEFT JOIN LATERAL (SELECT last_result, next_try_at"
            " FROM webhook_messages m WHERE m.webhook_id = w.webhook_id AND m.delivered_at IS NULL AND m.dead_at IS NULL"
            " ORDER BY message_no LIMIT 1) h ON true"
            " WHERE w.ended_at IS NULL AND (CAST(:partner AS text) IS NULL OR w.partner_id = :partner)"
            " ORDER BY w.partner_id, w.added_at, w.webhook_id"
        ),
        {"partner": partner_id},
    )
    return [WebhookLine(_webhook(*row[:7]), *row[7:]) for row in rows]


def backlogs(connection: Connection) -> dict[str, tuple[int, int]]:
    """Return how many messages wait and how many were given up, by partner, of webhooks that were not ended; none where there are none."""
    rows = connection.execute(
        text(
            "SELECT w.partner_id, CAST(sum(m.waiting) AS bigint), CAST(sum(m.dead) AS bigint) FROM webhooks w JOIN ("
            " SELECT webhook_id, count(*) AS waiting, 0 AS dead FROM webhook_messages WHERE delivered_at IS NULL AND dead_at IS NULL"
            " GROUP BY webhook_id UNION ALL SELECT webhook_id, 0, count(*) FROM webhook_messages WHERE dead_at IS NOT NULL"
            " GROUP BY webhook_id) m USING (webhook_id) WHERE w.ended_at IS NULL GROUP BY w.partner_id"
        )
    )
    return {partner_id: (waiting, dead) for partner_id, waiting, dead in rows}


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message that was given up."""

    message_id: str
    event: str
    tries: int
    last_result: str | None
    first_try_at: datetime | None
    dead_at: datetime


def dead_messages(connection: Connection, webhook_id: str, *, limit: int) -> list[DeadMessage]:
    """Return messages to a webhook that were given up, the newest first."""
    rows = connection.execute(
        text(
            "SELECT message_id, event, tries, last_result, first_try_at, dead_at FROM webhook_messages"
            " WHERE webhook_id = :id AND dead_at IS NOT NULL ORDER BY message_no DESC LIMIT :limit"
        ),
        {"id": webhook_id, "limit": limit},
    )
    return [DeadMessage(*row) for row in rows]


def revive(connection: Connection, partner_id: str, webhook_id: str) -> int:
    """Have messages that were given up sent again, in their order; return how many, 0 where the partner has no such webhook."""
    return connection.execute(
        text(
            "UPDATE webhook_messages m SET dead_at = NULL, next_try_at = NULL, first_try_at = NULL, tries = 0 FROM webhooks w"
            " WHERE m.webhook_id = w.webhook_id AND w.webhook_id = :id AND w.partner_id = :partner AND w.ended_at IS NULL"
            " AND m.dead_at IS NOT NULL"
        ),
        {"id": webhook_id, "partner": partner_id},
    ).rowcount


def end_webhook(connection: Connection, partner_id: str, webhook_id: str, *, now: datetime) -> bool:
    """End a webhook; return False if the partner has none of this id."""
    found = connection.execute(
        text(
            "UPDATE webhooks SET ended_at = :now WHERE webhook_id = :id AND partner_id = :partner AND ended_at IS NULL"
            " RETURNING 1"
        ),
        {"id": webhook_id, "partner": partner_id, "now": now},
    )
    return found.scalar_one_or_none() is not None


def end_webhooks(connection: Connection, partner_id: str, *, now: datetime) -> None:
    """End all webhooks of a partner."""
    connection.execute(
        text("UPDATE webhooks SET ended_at = :now WHERE partner_id = :partner AND ended_at IS NULL"),
        {"partner": partner_id, "now": now},
    )


def standings(connection: Connection, subject_ids: Sequence[str]) -> dict[str, Standing] | None:
    """Return what statuses say before they are worked out anew; None if nobody wants to be told, which costs one look."""
    if not connection.execute(text("SELECT EXISTS (SELECT 1 FROM webhooks WHERE ended_at IS NULL)")).scalar_one():
        return None
    rows = connection.execute(
        text(
            "SELECT subject_id, last_act, last_act_kind, asked, expiring, due, overdue, certified_until FROM statuses"
            " WHERE subject_id = ANY(:ids)"
        ),
        {"ids": list(subject_ids)},
    )
    return {row[0]: Standing(row[1], row[2], tuple(row[3:7]), row[7]) for row in rows}


def tell_changes(
    connection: Connection, before: Mapping[str, Standing], subject_ids: Sequence[str], today: date
) -> None:
    """Write messages about whose status is another than before; somebody's first status is not news.

    Args:
        connection: the transaction that changed them.
        before: what `standings` gave before.
        subject_ids: whose statuses were worked out anew.
        today: the day of the states.
    """
    after = standings(connection, subject_ids) or {}
    news: list[News] = []
    for subject_id, now in after.items():
        old = before.get(subject_id)
        if old is None or old == now:
            continue
        told = _standing_data(now, today)
        if now.act is not None and now.act != old.act:
            news.append(News(WebhookEvent.CERTIFICATION_ACCEPTED, subject_id, {**told, "kind": now.act_kind}))
        if _standing_data(old, today) != told:
            news.append(News(WebhookEvent.STATUS_CHANGED, subject_id, told))
    tell(connection, news)


def tell(connection: Connection, news: Sequence[News]) -> int:
    """Write a message to every webhook that wants it and whose partner may see the person; return how many.

    Args:
        connection: the transaction in which it became true.
        news: what, in the order in which it is to be told.
    """
    hooks = connection.execute(
        text(
            "SELECT w.webhook_id, w.events, p.areas FROM webhooks w JOIN partners p USING (partner_id)"
            " WHERE w.ended_at IS NULL AND p.revoked_at IS NULL AND 'status:read' = ANY(p.scopes) ORDER BY w.webhook_id"
        )
    ).all()
    if not hooks or not news:
        return 0
    regions = regions_of(connection, sorted({one.subject_id for one in news}))
    parents = parents_above(connection, {code for codes in regions.values() for code in codes})
    messages = [
        (hook.webhook_id, one)
        for one in news
        for hook in hooks
        if one.event.value in hook.events
        and (hook.areas is None or is_within(hook.areas, regions.get(one.subject_id, ()), parents))
    ]
    connection.execute(
        text(
            "INSERT INTO webhook_messages (message_id, webhook_id, subject_id, event, payload)"
            " SELECT p.id, p.webhook, p.subject, p.event, p.payload FROM unnest(CAST(:ids AS text[]),"
            " CAST(:webhooks AS text[]), CAST(:subjects AS text[]), CAST(:events AS text[]), CAST(:payloads AS text[]))"
            " WITH ORDINALITY AS p (id, webhook, subject, event, payload, place) ORDER BY p.place"
        ),
        {
            "ids": [f"msg_{os.urandom(16).hex()}" for _ in messages],
            "webhooks": [webhook_id for webhook_id, _ in messages],
            "subjects": [one.subject_id for _, one in messages],
            "events": [one.event.value for _, one in messages],
            "payloads": [one.payload() for _, one in messages],
        },
    )
    return len(messages)


def delete_done(connection: Connection, *, before: datetime) -> int:
    """Delete messages that were delivered or given up before a moment; return how many."""
    return connection.execute(
        text("DELETE FROM webhook_messages WHERE coalesce(delivered_at, dead_at) < :before"), {"before": before}
    ).rowcount


def tell_case_answered(connection: Connection, case_id: str, subject_id: str | None) -> int:
    """Write messages that a case was decided, if it is about somebody known; return how many."""
    if subject_id is None:
        return 0
    detail = {"case_id": case_id, "number": number_of(connection, case_id)}
    return tell(connection, [News(WebhookEvent.CASE_ANSWERED, subject_id, detail)])


def claim_due(connection: Connection, *, now: datetime, until: datetime) -> Delivery | None:
    """Return the oldest message of a webhook whose turn has come, and keep other workers from that webhook for a while.

    Args:
        connection: where.
        now: the present moment.
        until: so long the webhook is this worker's.
    """
    row = connection.execute(
        text(
            "WITH due AS (SELECT w.webhook_id, m.message_no FROM webhooks w JOIN partners p USING (partner_id)"
            " JOIN LATERAL (SELECT message_no, next_try_at FROM webhook_messages m WHERE m.webhook_id = w.webhook_id"
            " AND m.delivered_at IS NULL AND m.dead_at IS NULL ORDER BY message_no LIMIT 1) m ON true"
            " WHERE w.ended_at IS NULL AND p.revoked_at IS NULL AND (m.next_try_at IS NULL OR m.next_try_at <= :now)"
            " AND (w.claimed_until IS NULL OR w.claimed_until <= :now)"
            " ORDER BY m.message_no LIMIT 1 FOR UPDATE OF w SKIP LOCKED),"
            " claimed AS (UPDATE webhooks w SET claimed_until = :until FROM due WHERE w.webhook_id = due.webhook_id"
            " RETURNING w.webhook_id, w.partner_id, w.url, w.events, w.secret_sealed, w.added_at, w.ended_at)"
            " SELECT c.*, m.message_no, m.message_id, m.event, m.payload, m.tries, m.first_try_at,"
            " p.kind = 'own' AS is_own FROM claimed c JOIN due USING (webhook_id) JOIN webhook_messages m USING (message_no)"
            " JOIN partners p ON p.partner_id = c.partner_id"
        ),
        {"now": now, "until": until},
    ).one_or_none()
    if row is None:
        return None
    return Delivery(
        row.message_no,
        row.message_id,
        row.event,
        row.payload,
        row.tries,
        row.first_try_at,
        row.is_own,
        _webhook(*row[:7]),
    )


def note_try(
    connection: Connection,
    delivery: Delivery,
    *,
    result: str,
    now: datetime,
    next_try_at: datetime | None = None,
    is_delivered: bool = False,
) -> None:
    """Write down what became of a message: delivered, to be tried again at a moment, or dead; and let go of its webhook."""
    connection.execute(
        text(
            "UPDATE webhook_messages SET tries = tries + 1, first_try_at = coalesce(first_try_at, :now), last_result = :result,"
            " next_try_at = :next, delivered_at = CASE WHEN :delivered THEN CAST(:now AS timestamptz) END,"
            " dead_at = CASE WHEN NOT :delivered AND CAST(:next AS timestamptz) IS NULL THEN CAST(:now AS timestamptz) END"
            " WHERE message_no = :number"
        ),
        {
            "number": delivery.message_no,
            "result": result,
            "next": next_try_at,
            "delivered": is_delivered,
            "now": now,
        },
    )
    connection.execute(
        text("UPDATE webhooks SET claimed_until = NULL WHERE webhook_id = :id"), {"id": delivery.webhook.webhook_id}
    )


def _standing_data(found: Standing, today: date) -> dict[str, Any]:
    asked, expiring, due, overdue = found.days
    days = {
        "certified_until": found.certified_until,
        "asked": asked,
        "expiring": expiring,
        "due": due,
        "overdue": overdue,
    }
    return {
        "state": found.state(today).value,
        "day": today.isoformat(),
        **{name: None if day is None else day.isoformat() for name, day in days.items()},
    }


def _webhook(
    webhook_id: str,
    partner_id: str,
    url: str,
    events: list[str],
    secret_sealed: bytes,
    added_at: datetime,
    ended_at: datetime | None,
) -> Webhook:
    return Webhook(
        webhook_id,
        partner_id,
        url,
        tuple(WebhookEvent(event) for event in events),
        bytes(secret_sealed),
        added_at,
        ended_at,
    )
