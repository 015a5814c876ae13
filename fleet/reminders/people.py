"""What the database knows of people, in the terms of `planning`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from sqlalchemy import Connection

from fleet.clock import day_of
from fleet.reminders.planning import Kind, Person, PlanRules, State, Step, Told
from fleet.settings import ReminderSettings
from fleet.store import reminders
from protocol.outcomes import Outcome

FAILING = (Outcome.NOT_CERTIFIED, Outcome.NO_REFERENCE, Outcome.POOR_SAMPLE)
"""Attempts of which somebody is reminded (R6-10, R1-8). Not among them: one that a person decides, whose answer is told then; one that was
broken off; and an attack, of which the attacker is not to be told."""


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody, with what a message needs beside the planning."""

    person: Person
    rule_pack: str


def rules_of(settings: ReminderSettings) -> PlanRules:
    """Return the settings in the terms of `planning`."""
    return PlanRules(
        lead_days=settings.lead_days,
        early_days=settings.early_days,
        call_after_days=settings.call_after_days,
        visit_after_days=settings.visit_after_days,
        rest_days=settings.rest_days,
        failed_days=settings.failed_days,
    )


def known_people(connection: Connection, rows: Iterable[Any], *, zone: tzinfo) -> list[Known]:
    """Return people with what they were told and what was noted of them.

    Args:
        connection: where to read.
        rows: of `fleet.store.reminders.people` or `asked_people`.
        zone: where a day ends.
    """
    found = list(rows)
    ids = [row.subject_id for row in found]
    told: dict[str, list[Told]] = {}
    for row in reminders.told(connection, ids):
        told.setdefault(row.subject_id, []).append(
            Told(
                Kind(row.kind),
                row.occasion,
                Step(row.step),
                State(row.state),
                day_of(row.planned_at, zone),
                row.proof_day,
            )
        )
    noted: dict[str, list[tuple[Kind, Any]]] = {}
    for row in reminders.occasions(connection, ids):
        noted.setdefault(row.subject_id, []).append((Kind(row.kind), row.occasion))
    return [_known(row, told.get(row.subject_id, []), noted.get(row.subject_id, []), zone) for row in found]


def _known(row: Any, told: list[Told], noted: list[tuple[Kind, Any]], zone: tzinfo) -> Known:
    has_failed = row.last_outcome in FAILING
    person = Person(
        subject_id=row.subject_id,
        has_data=row.has_data,
        opens=row.opens,
        asked=row.asked,
        expiring=row.expiring,
        due=row.due,
        overdue=row.overdue,
        stop_from=row.stop_from,
        failed_on=day_of(row.last_event_at, zone) if has_failed else None,
        noted=tuple(sorted(noted)),
        is_reported_dead=row.is_reported_dead,
        told=tuple(told),
    )
    return Known(person, row.rule_pack)
