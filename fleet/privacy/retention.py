"""What goes by itself when its time is over (feature 112); pictures of cases have a timer of their own (`fleet.cases.pictures`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from fleet.accounts.lockout import FORGOTTEN_AFTER
from fleet.clock import day_of
from fleet.privacy import filing
from fleet.status.projection import project
from fleet.store import (
    consents,
    erasure,
    feeds,
    made,
    page_runs,
    photos,
    replays,
    rosters,
    sessions,
    subjects,
    terminal_commands,
    terminal_days,
    terminal_health,
    webhooks,
)
from fleet.store.database import Database
from fleet.store.terminals import find_terminals
from protocol.rules.days import add_months

_CHUNK = 200
"""References, or records, in one transaction: what locks terminals or subjects does not hold them for long."""


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """How long what is kept."""

    ended: timedelta
    """References after a confirmed end of the benefit."""
    expired: timedelta
    """References after their last day of validity."""
    records_months: int
    """Records before they are parted from the person."""
    unknown: timedelta
    """Records of people whom the fleet does not know."""
    quarantine: timedelta
    """Refused messages after they came last."""
    strangers: timedelta
    """Rows of feeds about people whom the fleet does not know."""
    webhooks: timedelta
    """Messages to other systems after they were delivered or given up."""
    replays: timedelta
    """Answers that are kept for a request that comes again."""
    reminders: timedelta
    """Steps of reminders after they were settled."""
    photo_imports: timedelta
    """Reports of imports of photographs."""
    sessions: timedelta
    """Sessions of the console after they ended."""
    health: timedelta
    """Hourly conditions of terminals."""
    commands: timedelta
    """Commands to terminals, with their answers."""
    drift_days: int
    """Daily means of terminals, and alarms that are over."""


def clean(database: Database, rules: RetentionRules, *, zone: tzinfo, now: datetime) -> dict[str, int]:
    """Erase and pseudonymise whatever is over, and count faces; return rows by table.

    Raises:
        DatabaseUnavailable: as any transaction; what was done is done, the rest comes next time.
    """
    today = day_of(now, zone)
    found: Counter[str] = Counter()
    found["references_"] = _references(database, rules, today=today, now=now)
    oldest = datetime.combine(add_months(today, -rules.records_months), now.timetz())
    found.update(_records(database, oldest=oldest, unknown=now - rules.unknown, zone=zone, now=now))
    found.update(_messages(database, rules, now=now))
    with database.begin() as connection:
        found.update(
            sessions.delete_over(
                connection, sessions_before=now - rules.sessions, attempts_before=now - FORGOTTEN_AFTER, now=now
            )
        )
    with database.begin() as connection:
        found["quarantine"] = erasure.delete_quarantined(connection, last_before=now - rules.quarantine)
        find_terminals(connection, lock=True)
        found["roster_entries"] = erasure.delete_tombstones(connection)
        persons = filing.count(connection, today=today)
        gone = {table: rows for table, rows in sorted(found.items()) if rows}
        consents.note_retention(connection, gone, persons, now=now)
    return gone


def _messages(database: Database, rules: RetentionRules, *, now: datetime) -> dict[str, int]:
    """Delete what was heard of strangers, told others, reported of imports, and measured on terminals; return rows by table."""
    with database.begin() as connection:
        return {
            "feed_rows": feeds.forget_unmet(connection, before=now - rules.strangers),
            "webhook_messages": webhooks.delete_done(connection, before=now - rules.webhooks),
            "partner_requests": replays.forget_answers(connection, before=now - rules.replays),
            "reminders": erasure.delete_reminders(connection, before=now - rules.reminders),
            "photo_imports": photos.forget_imports(connection, before=now - rules.photo_imports),
            "page_runs": page_runs.forget_runs(connection, before=now - rules.photo_imports),
            "terminal_commands": terminal_commands.forget(connection, asked_before=now - rules.commands),
            "terminal_days": terminal_days.forget_days(
                connection, before=now.date() - timedelta(days=rules.drift_days)
            ),
            "terminal_health": terminal_health.forget_hours(connection, before=now - rules.health),
        }


def _references(database: Database, rules: RetentionRules, *, today: date, now: datetime) -> int:
    total = 0
    while True:
        with database.begin() as connection:
            find_terminals(connection, lock=True)
            over = consents.outlived_references(
                connection, ended_before=today - rules.ended, expired_before=today - rules.expired, limit=_CHUNK
            )
            touched: set[str] = set()
            for reference_id in over:
                made.erase_seal(connection, reference_id)
                subject_id = subjects.withdraw_reference(connection, reference_id, now=now)
                touched |= set() if subject_id is None else {subject_id}
            for subject_id in sorted(touched):
                rosters.touch(connection, subject_id)
        total += len(over)
        if len(over) < _CHUNK:
            return total


def _records(database: Database, *, oldest: datetime, unknown: datetime, zone: tzinfo, now: datetime) -> Counter[str]:
    found: Counter[str] = Counter()
    while True:
        with database.begin() as connection:
            over = erasure.old_records(connection, before=oldest, limit=_CHUNK)
            nobodys = erasure.records_of_nobody(connection, received_before=unknown, limit=_CHUNK)
            whose = erasure.subjects_of(connection, over)
            found.update(erasure.pseudonymise_records(connection, sorted({*over, *nobodys}), now=now))
            # Their status counts records, and a rebuild would count fewer of them.
            project(connection, whose, zone=zone, today=day_of(now, zone))
        if max(len(over), len(nobodys)) < _CHUNK:
            return found
