"""The outbox of reminders and the proof of each step, as SQL."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Connection, text

from fleet.store.subject_areas import of_people
from protocol.rules.life import ENDING

Noted = Literal["appeal_answered", "stop_proposed"]
Came = Literal["reached", "not_reached", "not_possible"]


@dataclass(frozen=True, slots=True)
class NewReminder:
    """One step to take."""

    subject_id: str
    kind: str
    occasion: date
    step: str
    priority: int
    not_before: datetime


@dataclass(frozen=True, slots=True)
class Reminder:
    """One step of the outbox."""

    reminder_id: str
    subject_id: str
    kind: str
    occasion: date
    step: str
    state: str
    tries: int
    code: str | None = None
    list_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a step."""

    outcome: Came
    code: str
    day: date
    worker_sealed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StepProof:
    """One step of the ladder with what came of it, for whoever asks whether a stop may be proposed (feature 83)."""

    step: str
    day: date
    outcome: str
    """`reached`, `not_reached`, or `not_possible` where there was nothing to try."""
    proof_id: str
    """Id of the reminder, which the outbox and the results keep."""


def note_occasion(connection: Connection, subject_id: str, kind: Noted, occasion: date, *, now: datetime) -> None:
    """Note something of which somebody is to be told; the same one twice is one.

    Args:
        connection: where.
        subject_id: whom.
        kind: the answer to an appeal, or a stop proposed.
        occasion: the day of the answer; the due day of the period for which payment is to stop.
        now: when.
    """
    connection.execute(
        text(
            "INSERT INTO reminder_occasions (subject_id, kind, occasion, noted_at) VALUES (:subject, :kind, :day, :now)"
            " ON CONFLICT DO NOTHING"
        ),
        {"subject": subject_id, "kind": kind, "day": occasion, "now": now},
    )


def steps_proven(connection: Connection, subject_id: str, since: date) -> list[StepProof]:
    """Return the steps that were taken to reach somebody from a day on and of which it is known what came, in order of their days.

    A message that a gateway has and nobody has called delivered, and a call that stands on a list, are not among them.
    """
    rows = connection.execute(
        text(
            "SELECT step, proof_day, outcome, reminder_id FROM reminders WHERE subject_id = :subject"
            " AND state IN ('delivered', 'failed') AND proof_day >= :since"
            " ORDER BY proof_day, array_position(ARRAY['message', 'call', 'visit'], step), reminder_id"
        ),
        {"subject": subject_id, "since": since},
    )
    return [StepProof(row.step, row.proof_day, row.outcome, row.reminder_id) for row in rows]


_PERSON = """
SELECT t.subject_id, t.last_act IS NOT NULL AS has_data, t.opens, t.asked, t.expiring, t.due, t.overdue, t.stop_from,
    t.last_outcome, t.last_event_at, t.rule_pack,
    EXISTS (SELECT 1 FROM life_events e WHERE e.subject_id = t.subject_id AND e.withdrawn_at IS NULL AND e.kind = ANY(:ending))
    AS is_reported_dead
FROM statuses t WHERE t.opens IS NOT NULL AND t.subject_id
"""
_ENDING = sorted(kind.value for kind in ENDING)


def asked_people(
    connection: Connection,
    *,
    after: str,
    limit: int,
    until: date,
    early_until: date,
    failing: Sequence[str],
    failed_since: datetime,
) -> list[Any]:
    """Return whoever may have to be told something, in order of their ids, with the days of their status.

    Args:
        connection: where to read.
        after: the id after which to begin.
        limit: how many at most.
        until: who is asked to come by this day.
        early_until: or, with no data, by this one.
        failing: or whose last attempt ended so
        failed_since: from this moment on; or of whom something was noted then.
    """
    return list(
        connection.execute(
            text(
                _PERSON  # noqa: S608 - our own text
                + " > :after AND (t.asked <= :until OR t.last_act IS NULL AND t.asked <= :early"
                " OR t.last_outcome = ANY(:failing) AND t.last_event_at >= :since"
                " OR EXISTS (SELECT 1 FROM reminder_occasions o WHERE o.subject_id = t.subject_id AND o.noted_at >= :since))"
                " ORDER BY t.subject_id LIMIT :limit"
            ),
            {
                "ending": _ENDING,
                "after": after,
                "until": until,
                "early": early_until,
                "failing": list(failing),
                "since": failed_since,
                "limit": limit,
            },
        )
    )


def people(connection: Connection, subject_ids: Collection[str]) -> list[Any]:
    """Return the days of the statuses of these people."""
    return list(connection.execute(text(_PERSON + " = ANY(:ids)"), {"ending": _ENDING, "ids": sorted(subject_ids)}))


def told(connection: Connection, subject_ids: Collection[str]) -> list[Any]:
    """Return every step that was planned for these people."""
    return list(
        connection.execute(
            text(
                "SELECT subject_id, kind, occasion, step, state, planned_at, proof_day FROM reminders"
                " WHERE subject_id = ANY(:ids)"
            ),
            {"ids": sorted(subject_ids)},
        )
    )


def occasions(connection: Connection, subject_ids: Collection[str]) -> list[Any]:
    """Return what was noted of these people."""
    return list(
        connection.execute(
            text("SELECT subject_id, kind, occasion FROM reminder_occasions WHERE subject_id = ANY(:ids)"),
            {"ids": sorted(subject_ids)},
        )
    )


def add_reminders(connection: Connection, found: Sequence[NewReminder], *, now: datetime) -> int:
    """Put steps into the outbox that are not there yet, and again those that were cancelled; return how many that made."""
    if not found:
        return 0
    return connection.execute(
        text(
            "INSERT INTO reminders (reminder_id, subject_id, kind, occasion, step, state, priority, not_before, planned_at)"
            " SELECT p.id, p.subject, p.kind, p.occasion, p.step, 'pending', p.priority, p.start, :now"
            " FROM unnest(CAST(:ids AS text[]), CAST(:subjects AS text[]), CAST(:kinds AS text[]),"
            " CAST(:occasions AS date[]), CAST(:steps AS text[]), CAST(:priorities AS smallint[]),"
            " CAST(:starts AS timestamptz[])) AS p (id, subject, kind, occasion, step, priority, start)"
            " ON CONFLICT (subject_id, kind, occasion, step) DO UPDATE SET state = 'pending', code = NULL, tries = 0,"
            " priority = EXCLUDED.priority, not_before = EXCLUDED.not_before, planned_at = EXCLUDED.planned_at"
            " WHERE reminders.state = 'cancelled'"
        ),
        {
            "ids": [os.urandom(16).hex() for _ in found],
            "subjects": [each.subject_id for each in found],
            "kinds": [each.kind for each in found],
            "occasions": [each.occasion for each in found],
            "steps": [each.step for each in found],
            "priorities": [each.priority for each in found],
            "starts": [each.not_before for each in found],
            "now": now,
        },
    ).rowcount


def pending_people(connection: Connection, *, after: str, limit: int) -> list[str]:
    """Return whom a step waits for, in order of their ids."""
    return list(
        connection.execute(
            text(
                "SELECT DISTINCT subject_id FROM reminders WHERE state = 'pending' AND subject_id > :after"
                " ORDER BY subject_id LIMIT :limit"
            ),
            {"after": after, "limit": limit},
        ).scalars()
    )


def lock_pending_of(connection: Connection, subject_ids: Collection[str]) -> list[Reminder]:
    """Return the steps of these people that wait and that nobody is taking at this moment; they are locked."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM reminders WHERE subject_id = ANY(:ids) AND state = 'pending'"  # noqa: S608 - our own names
            " FOR UPDATE SKIP LOCKED"
        ),
        {"ids": sorted(subject_ids)},
    )
    return [Reminder(*row) for row in rows]


def cancel(connection: Connection, reminder_id: str, code: str) -> None:
    """Take a step back that was not taken yet."""
    connection.execute(
        text("UPDATE reminders SET state = 'cancelled', code = :code WHERE reminder_id = :id AND state = 'pending'"),
        {"id": reminder_id, "code": code},
    )


def next_message(connection: Connection, now: datetime) -> Reminder | None:
    """Return the message that is to be sent next and lock it; None if none is, or others are sending all there are."""
    row = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM reminders WHERE state = 'pending' AND step = 'message' AND not_before <= :now"  # noqa: S608 - our own names
            " ORDER BY priority, not_before, reminder_id LIMIT 1 FOR UPDATE SKIP LOCKED"
        ),
        {"now": now},
    ).one_or_none()
    return None if row is None else Reminder(*row)


def lock_message(connection: Connection, reminder_id: str, now: datetime) -> Reminder | None:
    """Lock one message that waits; None if it does not wait any more or another program sends it."""
    row = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM reminders WHERE reminder_id = :id AND state = 'pending' AND not_before <= :now"  # noqa: S608 - our own names
            " FOR UPDATE SKIP LOCKED"
        ),
        {"id": reminder_id, "now": now},
    ).one_or_none()
    return None if row is None else Reminder(*row)


def find_reminders(connection: Connection, reminder_ids: Collection[str], *, lock: bool = False) -> dict[str, Reminder]:
    """Return these steps by id, locked in order of their ids where that is asked for."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM reminders WHERE reminder_id = ANY(:ids) ORDER BY reminder_id"  # noqa: S608 - our own names
            + (" FOR UPDATE" if lock else "")
        ),
        {"ids": sorted(reminder_ids)},
    )
    return {row.reminder_id: Reminder(*row) for row in rows}


def settle(connection: Connection, reminder_id: str, found: Outcome, *, now: datetime) -> None:
    """Store what came of a step."""
    connection.execute(
        text(
            "UPDATE reminders SET state = CASE :outcome WHEN 'reached' THEN 'delivered' ELSE 'failed' END,"
            " outcome = :outcome, code = :code, proof_day = :day, settled_at = :now, worker_sealed = :worker"
            " WHERE reminder_id = :id"
        ),
        {
            "id": reminder_id,
            "outcome": found.outcome,
            "code": found.code,
            "day": found.day,
            "worker": found.worker_sealed,
            "now": now,
        },
    )


def mark_sent(
    connection: Connection, reminder_ids: Collection[str], *, list_id: str | None = None, now: datetime
) -> None:
    """Note that a gateway has the message, or that the steps stand on a list."""
    connection.execute(
        text(
            "UPDATE reminders SET state = 'sent', sent_at = :now, list_id = :list WHERE reminder_id = ANY(:ids)"
            " AND state IN ('pending', 'sent')"
        ),
        {"ids": sorted(reminder_ids), "list": list_id, "now": now},
    )


def put_off(connection: Connection, reminder_id: str, until: datetime, code: str) -> None:
    """Let a message wait after a try that failed for now."""
    connection.execute(
        text("UPDATE reminders SET tries = tries + 1, not_before = :until, code = :code WHERE reminder_id = :id"),
        {"id": reminder_id, "until": until, "code": code},
    )


def try_next_channel(connection: Connection, reminder_id: str, code: str, *, now: datetime) -> None:
    """Let a message wait for the next channel, from now on."""
    connection.execute(
        text(
            "UPDATE reminders SET state = 'pending', tries = 0, not_before = :now, code = :code"
            " WHERE reminder_id = :id AND state IN ('pending', 'sent')"
        ),
        {"id": reminder_id, "code": code, "now": now},
    )


def sent_before(connection: Connection, moment: datetime) -> list[str]:
    """Return the messages that gateways have since before a moment and nobody has called delivered."""
    return list(
        connection.execute(
            text(
                "SELECT reminder_id FROM reminders WHERE state = 'sent' AND step = 'message' AND sent_at < :moment"
                " ORDER BY reminder_id"
            ),
            {"moment": moment},
        ).scalars()
    )


def lock_for_list(
    connection: Connection, *, areas: Collection[str] | None, unit: str | None, is_again: bool
) -> list[Any]:
    """Return calls and visits for a list, locked, with what a list says of people; names are sealed.

    Args:
        connection: where to read.
        areas: only of people who live there; None for everywhere.
        unit: only of people whom this unit manages; None for all.
        is_again: those on earlier lists, too, of which no result came.
    """
    return list(
        connection.execute(
            text(
                f"SELECT {_COLUMNS}, s.area, s.name_sealed, t.due, t.stop_from,"  # noqa: S608 - our own names
                " (SELECT min(b.unit) FROM benefits b WHERE b.subject_id = s.subject_id"
                " AND (CAST(:unit AS text) IS NULL OR b.unit = :unit)) AS unit"
                " FROM reminders JOIN subjects s USING (subject_id) JOIN statuses t USING (subject_id)"
                " WHERE step IN ('call', 'visit') AND (state = 'pending' OR :again AND state = 'sent')"
                # Where they live: whoever has the list calls there.
                " AND (CAST(:areas AS text[]) IS NULL OR s.area = ANY(:areas))"
                " AND (CAST(:unit AS text) IS NULL OR EXISTS"
                " (SELECT 1 FROM benefits b WHERE b.subject_id = s.subject_id AND b.unit = :unit))"
                " ORDER BY s.area, priority, t.due, reminder_id FOR UPDATE OF reminders SKIP LOCKED"
            ),
            {"areas": None if areas is None else sorted(areas), "unit": unit, "again": is_again},
        )
    )


def by_codes(
    connection: Connection, codes: Collection[str], areas: Collection[str] | None = None
) -> dict[str, list[Any]]:
    """Return calls and visits whose ids begin with these codes, by code, locked; with what is known of their results.

    Args:
        connection: where to read.
        codes: beginnings of ids.
        areas: only of people who live there; None for everywhere.
    """
    rows = connection.execute(
        text(
            "SELECT p.code AS said, r.reminder_id, r.subject_id, r.state, r.outcome, r.proof_day, r.planned_at FROM reminders r"  # noqa: S608 - our own fragments
            # Ids are 32 hexadecimal digits; a span of them is found by the key, what LIKE asks for is not.
            " JOIN unnest(CAST(:codes AS text[])) AS p (code) ON r.reminder_id BETWEEN p.code AND rpad(p.code, 32, 'f')"
            " WHERE r.step IN ('call', 'visit') AND "
            f"{of_people('r.subject_id')} ORDER BY r.reminder_id FOR UPDATE OF r"
        ),
        {"codes": sorted(codes), "areas": None if areas is None else sorted(areas)},
    )
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.said, []).append(row)
    return found


_COLUMNS = "reminder_id, subject_id, kind, occasion, step, state, tries, code, list_id"
