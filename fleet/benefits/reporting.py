"""Reports that a person at the agency takes in, ends or takes back: of a family, a unit or a village (R7-8, R7-12, R8-1, R8-2)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Literal

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.benefits.i_am_here import look_again
from fleet.benefits.months import is_claim_in_time
from fleet.benefits.reports import ReportClocks, report_clocks
from fleet.benefits.standing import status_of_person
from fleet.clock import day_of
from fleet.errors import NotFound, Refused
from fleet.keys import FieldCipher
from fleet.status.projection import Judging
from fleet.store.approvals import NEEDED, approve
from fleet.store.i_am_here import open_case_of
from fleet.store.life_events import (
    NewLifeEvent,
    StoredLifeEvent,
    add_life_events,
    life_events_of,
    subject_of_report,
    withdraw_life_event,
)
from fleet.store.packs import shelf_of
from fleet.store.subjects import find_by_id
from protocol.rules.life import ENDING, SUSPENDING, LifeEventKind
from protocol.rules.pack import Clocks

Source = Literal["family", "unit", "village"]
FORM = "annex-4"
"""The form on which a loss is declared (R7-8)."""


@dataclass(frozen=True, slots=True)
class Report:
    """What somebody declared."""

    subject_id: str
    kind: LifeEventKind
    since: date
    until: date | None
    source: Source
    reported_on: date
    """When the family told the unit, the village or the agency."""
    paper: str | None
    """The number under which the form is filed; the same number of the same source is the same report."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A report that was taken in."""

    event_id: str | None
    """None if it was here already."""
    clocks: ReportClocks
    is_claim_late: bool
    """A death that was not declared within its month: what was paid after it is claimed back (R7-12)."""
    opened_cases: int
    """Passes that contradict it."""


class ReportDesk:
    """One transaction's work on reports. Each method writes its audit note last, so that it is to be called once."""

    def __init__(
        self, connection: Connection, cipher: FieldCipher, *, judging: Judging, now: datetime, zone: tzinfo
    ) -> None:
        self._connection = connection
        self._cipher = cipher
        self._judging = judging
        self._now = now
        self._zone = zone
        self._today = day_of(now, zone)

    def take(self, report: Report, *, by: str, is_sure: bool) -> Taken:
        """Take in a report; it is unconfirmed until a feed says the same.

        Args:
            report: what was declared.
            by: who takes it in.
            is_sure: whether they know what follows: that a report of this kind stands already, or that a pass contradicts it, so that
                stops are held up and only two persons can take it back.

        Raises:
            NotFound: if there is no such subject.
            Refused: if the kind is none that ends or interrupts a benefit, its days cannot be, or something follows that was not said.
        """
        self._demand_possible(report)
        source_id = f"paper:{report.paper}" if report.paper else os.urandom(16).hex()
        if not is_sure:
            self._demand_first(report, source_id)
        clocks = report_clocks(
            report.since,
            report.reported_on,
            self._today,
            is_passed_on=report.source != "family",
            clocks=self._clocks_for(report.subject_id),
        )
        is_claim_late = report.kind is LifeEventKind.DEATH and not is_claim_in_time(report.since, self._today)
        new = NewLifeEvent(
            report.subject_id,
            report.kind,
            report.since,
            report.until,
            report.source,
            source_id,
            confirmed=False,
            reported_on=report.reported_on,
            detail={
                "form": FORM,
                "family_late_days": str(clocks.family.late_days),
                **({} if clocks.unit is None else {"unit_late_days": str(clocks.unit.late_days)}),
            },
        )
        added = list(add_life_events(self._connection, [new], now=self._now))
        opened = self._look_again(report.subject_id) if added else 0
        if opened and not is_sure:
            # The caller's transaction goes back with all of it.
            raise Refused("the person passed since: say that you know what follows", code="pass_since")
        detail = {"kind": report.kind.value, "source": report.source, **new.detail, "is_new": bool(added)}
        self._note(by, "life_event.reported", report.subject_id, detail)
        return Taken(added[0] if added else None, clocks, is_claim_late, opened)

    def _demand_possible(self, report: Report) -> None:
        if report.kind not in ENDING | SUSPENDING:
            raise Refused(
                f"kind {report.kind}: {', '.join(sorted(ENDING | SUSPENDING))} expected; whoever was found, released or registered"
                " again ends the report there is (`lifecert-fleet life over`)",
                code="kind_not_reported",
            )
        if report.since > self._today:
            raise Refused(
                f"since {report.since}: is still to come; look at the form again", code="since_ahead", day=report.since
            )
        if report.until is not None and (report.kind in ENDING or report.until <= report.since):
            raise Refused(
                "until: the day on which it was over, after it began; a death has none", code="until_unusable"
            )
        # Of a sentence the day of release is known before it comes; nobody knows when somebody missing will be found.
        if report.until is not None and report.until > self._today and report.kind is not LifeEventKind.SENTENCE:
            raise Refused("until: is still to come; leave it out while it lasts", code="until_ahead", day=report.until)
        person = find_by_id(self._connection, report.subject_id)
        born = None if person is None else person.birth_date
        if born is not None and report.since < born:
            raise Refused(
                f"since {report.since}: before the person was born; look at the form again", code="before_birth"
            )

    def _demand_first(self, report: Report, source_id: str) -> None:
        """Refuse a second report of one kind, unless it is the same one once more."""
        standing = life_events_of(self._connection, [report.subject_id]).get(report.subject_id, [])
        alike = [each for each in standing if each.event.kind is report.kind]
        if alike and not any((each.source, each.source_id) == (report.source, source_id) for each in alike):
            since = alike[0].event.since
            raise Refused(f"a {report.kind} since {since} stands already", code="same_kind_stands", day=since)

    def end(self, event_id: str, *, on: date, by: str, why: str) -> str | None:
        """Say that a loss is over since a day: found, released, registered again.

        Returns:
            The id under which it stands now; None if a second person must say the same first, because it is confirmed.

        Raises:
            NotFound: if no report of this id stands.
            Refused: if it is about a death, the day cannot be, a live pass contradicts it, or this person has said so already.
        """
        stored = self._standing(event_id)
        if stored.event.kind not in SUSPENDING:
            raise Refused(
                f"report {event_id}: a {stored.event.kind} is not over some day; withdraw it if it was wrong",
                code="never_over",
            )
        if not stored.event.since < on <= self._today:
            raise Refused(
                f"report {event_id}: a day after {stored.event.since} and not after today expected",
                code="over_day_unusable",
                day=stored.event.since,
            )
        if not self._is_agreed(stored, f"end.{on}", by=by, why=why):
            return None
        withdraw_life_event(self._connection, event_id, now=self._now)
        new = NewLifeEvent(
            stored.subject_id,
            stored.event.kind,
            stored.event.since,
            on,
            "staff",
            f"{event_id}/{on}",
            stored.confirmed,
            stored.reported_on,
            stored.detail,
        )
        found = add_life_events(self._connection, [new], now=self._now)
        self._look_again(stored.subject_id)
        self._note(by, "life_event.ended", stored.subject_id, {"event": event_id, "on": on.isoformat()})
        return next(iter(found))

    def withdraw(self, event_id: str, *, by: str, why: str) -> bool:
        """Take a report back: it was wrong.

        Returns:
            Whether it is; False if a second person must say the same first, because it is confirmed.

        Raises:
            NotFound: if no report of this id stands.
            Refused: if a live pass contradicts it, or this person has said so already.
        """
        stored = self._standing(event_id)
        if not self._is_agreed(stored, "withdraw", by=by, why=why):
            return False
        withdraw_life_event(self._connection, event_id, now=self._now)
        self._look_again(stored.subject_id)
        self._note(by, "life_event.withdrawn", stored.subject_id, {"event": event_id})
        return True

    def _is_agreed(self, stored: StoredLifeEvent, what: str, *, by: str, why: str) -> bool:
        """Return whether what is to become of a report is agreed; of a confirmed one that is not one person's word."""
        if open_case_of(self._connection, stored.subject_id) is not None:
            raise Refused(
                f"report {stored.event_id}: a live pass contradicts it; decide with `benefits i-am-here`",
                code="pass_contradicts",
            )
        given = approve(
            self._connection,
            self._cipher,
            f"life_event.{what}",
            stored.event_id,
            name=by,
            reason=why,
            now=self._now,
        )
        if given >= NEEDED or not stored.confirmed:
            return True
        self._note(by, "life_event.approved", stored.subject_id, {"event": stored.event_id, "what": what})
        return False

    def _standing(self, event_id: str) -> StoredLifeEvent:
        subject_id = subject_of_report(self._connection, event_id)
        standing = [] if subject_id is None else life_events_of(self._connection, [subject_id]).get(subject_id, [])
        for stored in standing:
            if stored.event_id == event_id:
                return stored
        raise NotFound(f"report {event_id}: none of this id stands", code="no_report")

    def _clocks_for(self, subject_id: str) -> Clocks:
        strictest = status_of_person(self._connection, subject_id, self._today).strictest
        shelf = shelf_of(self._connection)
        pack = shelf.find(strictest.pack_id, strictest.pack_version)
        return (pack or shelf.default).clocks

    def _look_again(self, subject_id: str) -> int:
        opened = look_again(self._connection, [subject_id], judging=self._judging, now=self._now, zone=self._zone)
        return len(opened)

    def _note(self, by: str, action: str, subject_id: str, detail: Mapping[str, str | bool]) -> None:
        note(
            self._connection,
            self._cipher,
            actor=by,
            action=action,
            object_kind="subject",
            object_id=subject_id,
            detail=detail,
            now=self._now,
        )
