"""Composition of what every command needs: keys and a database with the newest schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from fleet.accounts.failures import note_failures, quarter_of
from fleet.accounts.rules import AccountRules
from fleet.benefits.due import propose_due_stops
from fleet.benefits.i_am_here import look_at_reports
from fleet.cases.pictures import PictureRules
from fleet.clock import Clock, day_of, system_clock
from fleet.ingest.handler import Handler
from fleet.ingest.settling import Settling
from fleet.keys import FleetKeys, load_keys
from fleet.people.indexing import index_names
from fleet.privacy.retention import RetentionRules, clean
from fleet.references.made import References
from fleet.reminders.ladder import prove_steps
from fleet.settings import Settings
from fleet.statistics.snapshots import take_snapshot
from fleet.status.projection import Judging
from fleet.store.database import Database
from fleet.store.embedded import EmbeddedDatabase
from fleet.store.migrate import migrate
from fleet.terminals.daily import look_for_drift


@dataclass(frozen=True, slots=True)
class Fleet:
    """What every command works with."""

    settings: Settings
    keys: FleetKeys
    database: Database
    clock: Clock


@contextmanager
def open_fleet(settings: Settings, *, clock: Clock = system_clock) -> Iterator[Fleet]:
    """Give keys and a database with the newest schema; an embedded one is started if nobody else did.

    Raises:
        KeysMissing: before `init`.
        DatabaseUnavailable: if it cannot be reached.
    """
    keys = load_keys(settings.data_dir / "keys")
    url = settings.database.get_secret_value()
    embedded = EmbeddedDatabase(settings.data_dir) if url == "embedded" else None
    try:
        database = Database(embedded.start() if embedded else url)
        try:
            migrate(database)
            yield Fleet(settings, keys, database, clock)
        finally:
            database.close()
    finally:
        if embedded:
            embedded.stop()


def settling(fleet: Fleet) -> Settling:
    """Return what judges records and stores the references they made."""
    settings = fleet.settings
    rules = References(fleet.keys, settings.zone(), settings.references.validity_months)
    return Settling(rules, settings.accept_simulated)


def picture_rules(settings: Settings) -> PictureRules:
    """Return how many sealed pictures are kept, and for how long."""
    kept = settings.cases
    return PictureRules(
        unclaimed_bytes=kept.unclaimed_mib * 1024 * 1024,
        unclaimed=timedelta(days=kept.unclaimed_days),
        kept=timedelta(days=kept.photo_days),
    )


def account_rules(settings: Settings) -> AccountRules:
    """Return how people sign in to the console."""
    kept = settings.accounts
    return AccountRules(
        service=f"Lifecert {settings.fleet_id}",
        url=settings.console_url,
        rp_id=kept.rp_id or settings.console_host,
        origins=(settings.console_url, *kept.other_origins),
        idle=timedelta(minutes=kept.idle_minutes),
        absolute=timedelta(minutes=kept.absolute_minutes),
        fresh=timedelta(minutes=kept.fresh_minutes),
        link=timedelta(minutes=kept.link_minutes),
        password_min=kept.password_min,
        hands=timedelta(days=kept.hands_days),
    )


def retention_rules(settings: Settings) -> RetentionRules:
    """Return how long what is kept, but for pictures."""
    kept = settings.privacy
    return RetentionRules(
        ended=timedelta(days=kept.ended_days),
        expired=timedelta(days=kept.expired_days),
        records_months=12 * kept.record_years,
        unknown=timedelta(days=kept.unknown_days),
        quarantine=timedelta(days=kept.quarantine_days),
        strangers=timedelta(days=settings.exchange.unknown_days),
        webhooks=timedelta(days=settings.webhooks.keep_days),
        replays=timedelta(hours=settings.api.replay_hours),
        reminders=timedelta(days=kept.reminder_days),
        photo_imports=timedelta(days=kept.photo_import_days),
        sessions=timedelta(days=settings.accounts.ended_days),
        health=timedelta(days=settings.terminals.health_days),
        commands=timedelta(days=settings.terminals.command_days),
        drift_days=settings.terminals.drift_days,
    )


def make_handler(fleet: Fleet) -> Handler:
    """Return what takes in messages of terminals, whichever way they come."""
    return Handler(
        fleet.database,
        fleet.keys,
        fleet_id=fleet.settings.fleet_id,
        settling=settling(fleet),
        statement_months=fleet.settings.slips.statement_months,
        key_domain=fleet.settings.references.key_domain,
        pictures=picture_rules(fleet.settings),
        clock=fleet.clock,
        timers=(
            _once_a_day(fleet, _retention),
            _once_a_day(fleet, _snapshot),
            _once_a_day(fleet, _stops),
            _once_a_day(fleet, _names),
            _once_a_day(fleet, _drift),
            _once_a_quarter(fleet, _sign_ins),
        ),
    )


def _once_a_day(fleet: Fleet, job: Callable[[Fleet, datetime], dict[str, int]]) -> Callable[[], dict[str, int]]:
    """Return a job that runs once on each day, however often it is called; one that failed runs again."""
    done: set[date] = set()

    def run() -> dict[str, int]:
        now = fleet.clock()
        today = day_of(now, fleet.settings.zone())
        if today in done:
            return {}
        found = job(fleet, now)
        done.clear()
        done.add(today)
        return found

    return run


def _once_a_quarter(fleet: Fleet, job: Callable[[Fleet, datetime], dict[str, int]]) -> Callable[[], dict[str, int]]:
    """Return a job that runs once in each quarter of an hour, however often it is called; one that failed runs again."""
    done: set[datetime] = set()

    def run() -> dict[str, int]:
        now = fleet.clock()
        quarter = quarter_of(now)
        if quarter in done:
            return {}
        found = job(fleet, now)
        done.clear()
        done.add(quarter)
        return found

    return run


def _sign_ins(fleet: Fleet, now: datetime) -> dict[str, int]:
    """Write failed attempts to sign in into the audit log."""
    return {"failed sign-ins noted": note_failures(fleet.database, fleet.keys.cipher, now=now)}


def _retention(fleet: Fleet, now: datetime) -> dict[str, int]:
    """Delete what has been kept long enough."""
    return clean(fleet.database, retention_rules(fleet.settings), zone=fleet.settings.zone(), now=now)


def _snapshot(fleet: Fleet, now: datetime) -> dict[str, int]:
    """Count everybody."""
    settings = fleet.settings
    is_new = take_snapshot(fleet.database, keep_days=settings.statistics.snapshot_days, zone=settings.zone(), now=now)
    return {"snapshots": int(is_new)}


def _names(fleet: Fleet, now: datetime) -> dict[str, int]:  # noqa: ARG001 - a job like the others
    """Index the names that are not yet, after an upgrade all of them."""
    return {"names indexed": index_names(fleet.database, fleet.keys.cipher)}


def _drift(fleet: Fleet, now: datetime) -> dict[str, int]:
    """Count what terminals measured, and look whether they have changed."""
    settings = fleet.settings
    return look_for_drift(fleet.database, h=settings.terminals.drift_h, zone=settings.zone(), now=now)


def _stops(fleet: Fleet, now: datetime) -> dict[str, int]:
    """Propose the stops that are due; people decide."""
    judging = after_reports(fleet, now)
    # What a program that was killed between a report and what follows from it left undone, of unconfirmed reports as well.
    since = now - timedelta(days=2)
    look_at_reports(fleet.database, since=since, judging=judging, now=now, zone=fleet.settings.zone())
    done = propose_due_stops(fleet.database, fleet.keys.cipher, judging=judging, now=now, zone=fleet.settings.zone())
    steps = prove_steps(fleet.database, fleet.keys.cipher, now=now, zone=fleet.settings.zone())
    return {
        "stops proposed": done.losses + done.overdue,
        "stops withdrawn": done.withdrawn,
        "i am here": done.cases,
        "steps proven": steps,
    }


def after_reports(fleet: Fleet, now: datetime) -> Judging:
    """Return what follows for people about whom reports of losses came or went, whatever way: a feed, a partner, a family, a decision.

    Their passes are judged and their silent acts worked out anew: nobody is certified by data against a report of a death (R4-27).
    Cases of passes against reports, and what stops, follow in `fleet.benefits.i_am_here`, which calls this in its transaction.
    """
    return partial(settling(fleet).judge_anew, now=now)


def look_at_reports_since(fleet: Fleet, moment: datetime) -> int:
    """Do what follows for everybody about whom a report arrived, or was withdrawn, since a moment; return how many cases that opened."""
    judging = after_reports(fleet, moment)
    return look_at_reports(fleet.database, since=moment, judging=judging, now=moment, zone=fleet.settings.zone())
