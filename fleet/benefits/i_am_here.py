"""The lane for people who are alive: a live pass against a report of death, absence or prison stops every stop at once, and opens a case.

A pass of a record is held by admission (`fleet.admission.conflicts`): it counts for nothing until two persons have decided which of the
two is wrong. An act of another kind (a special certification, another system's word) counts, and opens a case as well. Whoever stores
records or acts calls `open_cases` in the same transaction, whoever stores or withdraws reports `look_again`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo

from sqlalchemy import Connection

from fleet.admission import CONTRADICTING, Flag, ended_by_releases
from fleet.audit.log import note
from fleet.benefits.events import (
    Event,
    Frozen,
    Restored,
    RestoreReason,
    StopReason,
    Unfrozen,
    Withdrawn,
)
from fleet.benefits.files import carry_on, confirmed_losses, file_of, files_of
from fleet.benefits.machine import BenefitFile
from fleet.benefits.months import Months, arrears
from fleet.clock import day_of
from fleet.errors import NotFound
from fleet.keys import FieldCipher
from fleet.status.projection import Judging, project
from fleet.store import benefits, i_am_here
from fleet.store.approvals import NEEDED, approve
from fleet.store.database import Database
from fleet.store.i_am_here import HereCase, Resolution
from fleet.store.life_events import (
    NewLifeEvent,
    StoredLifeEvent,
    add_life_events,
    life_events_of,
    subjects_reported,
    withdraw_life_event,
)
from protocol.rules.acts import ActKind
from protocol.rules.days import first_of_month
from protocol.rules.life import ENDING, SUSPENDING, LifeEvent, LifeEventKind

_CHUNK = 500
"""Subjects in one transaction."""
BECAUSE = "i_am_here"
"""Why a stop is frozen, and who answers for a report that was put right."""
_KINDS = [kind.value for kind in CONTRADICTING]
_ACTS = [kind.value for kind in (ActKind.LIVE, ActKind.ENROLMENT, ActKind.SPECIAL, ActKind.ACCEPTED)]
"""At which the person was there alive; data of other bodies are compared by people."""
BY_REPORT = frozenset({StopReason.DEATH, StopReason.MISSING, StopReason.SENTENCE})
"""Reasons that fall with the reports."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of a case."""

    case_id: str
    approvals_missing: int
    """So many persons must still say the same before it takes effect."""
    withdrawn: int
    """Reports taken back."""
    paid_back: Mapping[str, tuple[date, ...]] = field(default_factory=dict)
    """By scheme of what was restored: the months that are paid back, each by its first day."""


def open_cases(connection: Connection, subject_ids: Collection[str], *, now: datetime, zone: tzinfo) -> list[HereCase]:
    """Open a case for each of these people with a pass that a report holds, and freeze every stop of theirs.

    Call it after judging and projecting them, in the same transaction: the subjects are locked.
    """
    opened = i_am_here.open_contradictions(
        connection,
        subject_ids,
        _KINDS,
        flag=Flag.LIFE_EVENT.value,
        act_ids=_acts_against_reports(connection, subject_ids, zone),
        now=now,
    )
    today = day_of(now, zone)
    files = files_of(connection, [case.subject_id for case in opened]) if opened else {}
    for case in opened:
        for scheme in benefits.schemes_of(connection, case.subject_id):
            file = files.get((case.subject_id, scheme), BenefitFile(case.subject_id, scheme))
            carry_on(connection, file, [(Frozen(case.case_id, BECAUSE, today), None)], now=now)
    return opened


def look_again(
    connection: Connection, subject_ids: Sequence[str], *, judging: Judging, now: datetime, zone: tzinfo
) -> list[HereCase]:
    """Judge, project and look for contradictions anew, after reports about these people were added or withdrawn; return the new cases."""
    judging(connection, subject_ids)
    project(connection, subject_ids, zone=zone, today=day_of(now, zone))
    return open_cases(connection, subject_ids, now=now, zone=zone)


def look_at_reports(database: Database, *, since: datetime, judging: Judging, now: datetime, zone: tzinfo) -> int:
    """Look again at everybody about whom a report of a loss or a release came, or was withdrawn, at or after a moment.

    To be called after the transaction that stored the reports: judging locks terminals, which come before subjects. What it misses, because
    the program was killed between the two, the daily run finds before it proposes any stop.

    Returns:
        How many cases were opened.

    Raises:
        DatabaseUnavailable: as any transaction; it can be done again.
    """
    kinds = sorted(kind.value for kind in ENDING | SUSPENDING | {LifeEventKind.RELEASE})
    opened, after = 0, ""
    while True:
        with database.begin() as connection:
            found = subjects_reported(connection, kinds, since=since, after=after, limit=_CHUNK)
            if not found:
                return opened
            opened += len(look_again(connection, found, judging=judging, now=now, zone=zone))
        after = found[-1]


def resolve(
    connection: Connection,
    cipher: FieldCipher,
    subject_id: str,
    resolution: Resolution,
    *,
    by: str,
    why: str,
    judging: Judging,
    now: datetime,
    zone: tzinfo,
    also: Callable[[Connection, HereCase, Resolution], None] | None = None,
) -> Resolved:
    """Write down what a person decides of somebody's open case; the second person who says the same puts it into effect.

    `alive`: the reports are taken back (a prison term ends on the day of the pass), the pass counts, what was proposed by them is withdrawn
    and what was stopped by them is restored. `report_stands`: the pass goes on counting for nothing, and the stop goes on.

    Args:
        connection: a transaction that has locked nothing yet.
        cipher: of the fleet.
        subject_id: whose case.
        resolution: what this person says.
        by: who.
        why: why, stored encrypted.
        judging: judges a person's passes anew.
        now: when.
        zone: where a day ends.
        also: what else is decided with it, called once it takes effect.

    Raises:
        NotFound: if the subject has no open case.
        Refused: if this person said so already, or name or reason cannot be taken.
    """
    case = i_am_here.open_case_of(connection, subject_id, lock=True)
    if case is None:
        raise NotFound(f"subject {subject_id}: no pass that contradicts a report waits for a decision")
    given = approve(connection, cipher, f"{BECAUSE}.{resolution}", case.case_id, name=by, reason=why, now=now)
    withdrawn = 0
    paid_back: dict[str, tuple[date, ...]] = {}
    if given >= NEEDED:
        if resolution == "alive":
            withdrawn = _put_right(connection, case, now=now, zone=zone)
        paid_back = _settle(connection, case, resolution, judging=judging, now=now, zone=zone)
        if also is not None:
            also(connection, case, resolution)
    note(
        connection,
        cipher,
        actor=by,
        action="i_am_here.decided" if given >= NEEDED else "i_am_here.approved",
        object_kind="subject",
        object_id=subject_id,
        detail={"case": case.case_id, "resolution": resolution, "place": given, "reports_withdrawn": withdrawn},
        now=now,
    )
    return Resolved(case.case_id, NEEDED - given, withdrawn, paid_back)


def close_with_reports(
    connection: Connection, case: HereCase, *, judging: Judging, now: datetime, zone: tzinfo
) -> bool:
    """Close a case whose reports two persons have taken back another way: what it asked is answered, nobody is asked once more.

    Args:
        connection: a transaction that has locked the case (`open_case_of`), then the person's terminals by judging.
        case: the open case.
        judging: judges a person's passes anew.
        now: when.
        zone: where a day ends.

    Returns:
        Whether it is closed; another report stands against the pass where not.
    """
    if _standing_against(connection, case, zone):
        return False
    _settle(connection, case, "alive", judging=judging, now=now, zone=zone)
    return True


def _settle(
    connection: Connection,
    case: HereCase,
    resolution: Resolution,
    *,
    judging: Judging,
    now: datetime,
    zone: tzinfo,
) -> dict[str, tuple[date, ...]]:
    """Bring a decision about; return by scheme what is paid back."""
    paid_back: dict[str, tuple[date, ...]] = {}
    i_am_here.resolve_case(connection, case.case_id, resolution, now=now)
    # Terminals are locked before subjects: judging comes before the files.
    look_again(connection, [case.subject_id], judging=judging, now=now, zone=zone)
    for scheme in benefits.schemes_of(connection, case.subject_id):
        if (months := _go_on(connection, case, scheme, resolution, now=now, zone=zone)) is not None:
            paid_back[scheme] = months
    return paid_back


def _acts_against_reports(connection: Connection, subject_ids: Collection[str], zone: tzinfo) -> list[str]:
    """Return acts on days on which by a report they could not be."""
    acts = i_am_here.acts_of_reported(connection, subject_ids, _KINDS, acts=_ACTS)
    if not acts:
        return []
    reports = life_events_of(connection, sorted({act.subject_id for act in acts}))
    lost = {
        who: [event for event in ended_by_releases(stored.event for stored in found) if event.kind in CONTRADICTING]
        for who, found in reports.items()
    }
    return [
        act.act_id
        for act in acts
        if any(_holds_on(event, day_of(act.acted_at, zone)) for event in lost.get(act.subject_id, ()))
    ]


def _holds_on(event: LifeEvent, day: date) -> bool:
    return event.since <= day and (event.until is None or day < event.until)


def _day_of_pass(connection: Connection, case: HereCase, zone: tzinfo) -> date:
    return day_of(i_am_here.pass_moment(connection, case.pass_id) or case.opened_at, zone)


def _standing_against(connection: Connection, case: HereCase, zone: tzinfo) -> list[StoredLifeEvent]:
    day = _day_of_pass(connection, case, zone)
    return [
        stored
        for stored in life_events_of(connection, [case.subject_id]).get(case.subject_id, ())
        if stored.event.kind in CONTRADICTING and _holds_on(stored.event, day)
    ]


def _put_right(connection: Connection, case: HereCase, *, now: datetime, zone: tzinfo) -> int:
    """Take back the reports that stand against the pass; of a prison term only what came after it."""
    day = _day_of_pass(connection, case, zone)
    standing = _standing_against(connection, case, zone)
    for stored in standing:
        withdraw_life_event(connection, stored.event_id, now=now)
    shortened = [
        NewLifeEvent(
            case.subject_id,
            stored.event.kind,
            stored.event.since,
            day,
            BECAUSE,
            f"{case.case_id}/{stored.event_id}",
            stored.confirmed,
        )
        for stored in standing
        if stored.event.kind is LifeEventKind.SENTENCE and stored.event.since < day
    ]
    add_life_events(connection, shortened, now=now)
    return len(standing)


def _go_on(
    connection: Connection, case: HereCase, scheme: str, resolution: Resolution, *, now: datetime, zone: tzinfo
) -> tuple[date, ...] | None:
    """Let the stops of a benefit go on, or take back those that came of the reports; return what is paid back of one that was restored."""
    today = day_of(now, zone)
    file = file_of(connection, case.subject_id, scheme)
    events: list[Event] = []
    paid_back: tuple[date, ...] | None = None
    if case.case_id in file.frozen_by:
        events.append(Unfrozen(case.case_id, today))
    if resolution == "alive":
        stop = None if file.proposal is None else file.proposal.stop
        if stop is not None and stop.reason in BY_REPORT:
            events.append(Withdrawn(stop.stop_id, BECAUSE, today))
            stop = None
        by = file.stopped_by
        if stop is None and by is not None and file.stopped_from is not None and by.reason in BY_REPORT:
            month = max(first_of_month(today, 1), file.stopped_from)
            events.append(Restored(RestoreReason.ALIVE, case.case_id, month, today))
            lost = confirmed_losses(connection, case.subject_id)
            paid_back = arrears([Months(file.stopped_from, month)], month, lost)
    if events:
        carry_on(connection, file, [(event, None) for event in events], now=now)
    return paid_back
