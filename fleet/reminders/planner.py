"""Puts into the outbox what is to be told, takes back what nobody needs any more, and gives up on messages of which nothing was heard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.clock import day_of
from fleet.keys import FleetKeys
from fleet.reminders.people import FAILING, known_people, rules_of
from fleet.reminders.planning import Person, Planned, PlanRules, needs, plan
from fleet.settings import ReminderSettings
from fleet.store import reminder_deliveries as deliveries
from fleet.store import reminders
from fleet.store.database import Database
from fleet.store.reminders import NewReminder, Reminder

_CHUNK = 1000
"""People in one transaction."""
REPORTED_DEAD = "reported_dead"
NOT_NEEDED = "not_needed"
NO_RECEIPT = "no_receipt"


@dataclass(slots=True)
class Plan:
    """What a run did; counts of steps."""

    planned: int = 0
    cancelled: int = 0
    unheard: int = 0
    """Messages of which nobody said that they arrived, given up."""


def plan_reminders(
    database: Database,
    keys: FleetKeys,
    settings: ReminderSettings,
    *,
    zone: tzinfo,
    now: datetime,
    by: str = "fleet",
    tell: Callable[[int], object] = lambda _people: None,
) -> Plan:
    """Bring the outbox up to today; as often as one likes, for no step is planned twice.

    Args:
        database: where.
        keys: the fleet's.
        settings: of reminders.
        zone: where a day ends.
        now: the present moment.
        by: who asked for it.
        tell: told now and then how many people were looked at.

    Raises:
        DatabaseUnavailable: what was done until then stays; run it again.
    """
    rules, done = rules_of(settings), Plan()
    done.unheard = _give_up(database, settings, now=now)
    done.cancelled = _take_back(database, rules, zone=zone, now=now)
    done.planned = _add(database, rules, zone=zone, now=now, tell=tell)
    with database.begin() as connection:
        note(
            connection,
            keys.cipher,
            actor=by,
            action="reminders.planned",
            object_kind="reminders",
            object_id=str(day_of(now, zone)),
            detail={"planned": done.planned, "cancelled": done.cancelled, "unheard": done.unheard},
            now=now,
        )
    return done


def why_not(reminder: Reminder, person: Person | None, rules: PlanRules, now: datetime, zone: tzinfo) -> str | None:
    """Return why a step that waits is not to be taken any more; None if it is."""
    if person is None:
        return NOT_NEEDED
    if person.is_reported_dead:
        return REPORTED_DEAD
    wanted = needs(person, rules, day_of(now, zone))
    return None if (reminder.kind, reminder.occasion) in wanted else NOT_NEEDED


def _add(database: Database, rules: PlanRules, *, zone: tzinfo, now: datetime, tell: Callable[[int], object]) -> int:
    today, total, after, looked_at = day_of(now, zone), 0, "", 0
    while True:
        with database.begin() as connection:
            rows = reminders.asked_people(
                connection,
                after=after,
                limit=_CHUNK,
                until=today + timedelta(days=rules.lead_days),
                early_until=today + timedelta(days=rules.early_days),
                failing=FAILING,
                failed_since=now - timedelta(days=rules.failed_days + 1),
            )
            if not rows:
                return total
            people = [known.person for known in known_people(connection, rows, zone=zone)]
            found = [_new(step, now) for step in plan(people, rules, today)]
            total += reminders.add_reminders(connection, found, now=now)
            after = rows[-1].subject_id
        looked_at += len(rows)
        tell(looked_at)


def _take_back(database: Database, rules: PlanRules, *, zone: tzinfo, now: datetime) -> int:
    total, after = 0, ""
    while True:
        with database.begin() as connection:
            ids = reminders.pending_people(connection, after=after, limit=_CHUNK)
            if not ids:
                return total
            total += _take_back_of(connection, ids, rules, zone=zone, now=now)
            after = ids[-1]


def _take_back_of(connection: Connection, ids: list[str], rules: PlanRules, *, zone: tzinfo, now: datetime) -> int:
    waiting = reminders.lock_pending_of(connection, ids)
    rows = reminders.people(connection, ids)
    people = {known.person.subject_id: known.person for known in known_people(connection, rows, zone=zone)}
    total = 0
    for reminder in waiting:
        code = why_not(reminder, people.get(reminder.subject_id), rules, now, zone)
        if code is not None:
            reminders.cancel(connection, reminder.reminder_id, code)
            total += 1
    return total


def _give_up(database: Database, settings: ReminderSettings, *, now: datetime) -> int:
    """Let messages that gateways have kept silent about go on to the next channel, as after a failure; return how many."""
    with database.begin() as connection:
        unheard = reminders.sent_before(connection, now - timedelta(days=settings.receipt_days))
        total = 0
        for reminder in reminders.find_reminders(connection, unheard, lock=True).values():
            if reminder.state != "sent":
                continue
            for delivery in deliveries.of_reminder(connection, reminder.reminder_id).values():
                deliveries.settled(connection, delivery.message_id, "failed", NO_RECEIPT, now=now)
            reminders.try_next_channel(connection, reminder.reminder_id, NO_RECEIPT, now=now)
            total += 1
        return total


def _new(step: Planned, start: datetime) -> NewReminder:
    return NewReminder(step.subject_id, step.kind.value, step.occasion, step.step.value, step.priority, start)
