"""Contradictions of everybody, listed; and resolved by persons, never by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.benefits.i_am_here import close_with_reports
from fleet.clock import day_of
from fleet.errors import NotFound, Refused
from fleet.exchange.contradictions import Contradiction, ContradictionKind, Side, find, side_of
from fleet.exchange.cycles import month_text
from fleet.exchange.deliveries import definition_of
from fleet.exchange.effects import apply_rows, reported, settle
from fleet.keys import FleetKeys
from fleet.status.projection import Judging, project
from fleet.store import contradictions, feed_effects, feeds
from fleet.store.acts import acts_of
from fleet.store.approvals import NEEDED, Approval, approvals_of, approve
from fleet.store.database import Database
from fleet.store.i_am_here import HereCase, open_case_of
from fleet.store.life_events import life_events_of, withdraw_life_event
from fleet.store.subjects import lock_subjects
from protocol.rules.life import ENDING, LifeEventKind

_CHUNK = 5000
_LOOKED_AT = ENDING | {LifeEventKind.MISSING, LifeEventKind.SENTENCE}
"""Nothing contradicts itself about somebody of whom none of these is reported, but for names and zero reports."""
_OBJECT = "contradiction"


class Keep(StrEnum):
    """What is kept."""

    FIRST = "first"
    SECOND = "second"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a person's word did."""

    is_done: bool
    """False as long as a second person is needed."""
    withdrawn: str | None
    """The side that was withdrawn; None where both are kept or nothing is done yet."""
    is_case_closed: bool = False
    """Whether the case of a live pass against the report (`benefits i-am-here`) was closed with it."""


def open_contradictions(
    connection: Connection,
    *,
    zone: tzinfo,
    areas: Sequence[str] | None = None,
    kind: ContradictionKind | None = None,
) -> list[Contradiction]:
    """Return every contradiction that nobody resolved, by the day from which it was known.

    Args:
        connection: where to read.
        zone: where a day ends.
        areas: about people who live there; None for everybody.
        kind: only of this kind; None for all.
    """
    found: list[Contradiction] = []
    if kind not in (ContradictionKind.NAME_DIFFERS, ContradictionKind.ZERO_REPORT):
        for chunk in feed_effects.subjects_in_doubt(connection, _LOOKED_AT, chunk=_CHUNK, areas=areas):
            found += [each for each in _of(connection, chunk, zone) if kind in (None, each.kind)]
    if kind in (None, ContradictionKind.NAME_DIFFERS):
        found += _names(connection, zone, areas)
    if kind in (None, ContradictionKind.ZERO_REPORT):
        found += _zero_reports(connection, zone, areas)
    done = contradictions.resolved(connection, [each.contradiction_id for each in found])
    left = (each for each in found if each.contradiction_id not in done)
    return sorted(left, key=lambda each: (each.since, each.contradiction_id))


def resolve(
    database: Database,
    keys: FleetKeys,
    contradiction_id: str,
    keep: Keep,
    *,
    name: str,
    reason: str,
    judging: Judging,
    now: datetime,
    zone: tzinfo,
    areas: Sequence[str] | None = None,
    seen: int | None = None,
) -> Resolution:
    """Take a person's decision: one side is withdrawn, or both are kept. Whatever withdraws a loss waits for a second person.

    Where two persons withdraw the report, a live pass that was held against it needs no decision of its own: its case is closed with it.

    Args:
        database: where.
        keys: the fleet's.
        contradiction_id: which.
        keep: what this person says.
        name: who.
        reason: why.
        judging: what follows for passes that were held up.
        now: when.
        zone: where a day ends.
        areas: where the person may decide; None for everywhere.
        seen: how many words of persons this one saw when they decided; None where nobody asks.

    Raises:
        NotFound: if no open contradiction has this id.
        Refused: if this side cannot be withdrawn here, this person decided so before, or name or reason cannot be taken.
        DatabaseUnavailable: nothing was done, or all of it.
    """
    with database.begin() as connection:
        found = find_open(connection, contradiction_id, zone=zone, areas=areas)
        if found is None:
            raise NotFound(f"contradiction {contradiction_id}: none of this id is open", code="not_open")
        here = open_case_of(connection, found.subject_id, lock=True)
        if here is not None:
            # Judging locks terminals, which come before subjects; the case is closed below.
            judging(connection, [found.subject_id])
        lock_subjects(connection, [found.subject_id])
        if contradictions.resolved(connection, [contradiction_id]):
            # By somebody else, while this one was looked for.
            raise NotFound(f"contradiction {contradiction_id}: none of this id is open", code="not_open")
        if seen is not None and len(words_about(connection, keys, contradiction_id)) != seen:
            raise Refused(
                f"contradiction {contradiction_id}: somebody has decided about it since you saw it",
                code="decided_since",
            )
        loser = {Keep.FIRST: found.second, Keep.SECOND: found.first, Keep.BOTH: None}[keep]
        count = approve(
            connection, keys.cipher, _OBJECT, f"{contradiction_id}:{keep}", name=name, reason=reason, now=now
        )
        is_done = loser is None or not loser.is_loss or count >= NEEDED
        if is_done:
            if loser is not None:
                _withdraw(connection, keys, loser, zone=zone, now=now)
            elif found.kind is ContradictionKind.NAME_DIFFERS:
                _accept_name(connection, keys, found.first, zone=zone, now=now)
            contradictions.add_resolution(connection, contradiction_id, found.subject_id, keep.value, now=now)
        is_closed = (
            here is not None
            and is_done
            and count >= NEEDED
            and loser is not None
            and close_with_reports(connection, here, judging=judging, now=now, zone=zone)
        )
        note(
            connection,
            keys.cipher,
            actor=name,
            action="contradiction.resolved" if is_done else "contradiction.approved",
            object_kind=_OBJECT,
            object_id=contradiction_id,
            detail={
                "subject_id": found.subject_id,
                "kind": found.kind.value,
                "keep": keep.value,
                **({"i_am_here": here.case_id} if here is not None and is_closed else {}),
            },
            now=now,
        )
    return Resolution(is_done, loser.ref if is_done and loser is not None else None, is_closed)


def find_open(
    connection: Connection, contradiction_id: str, *, zone: tzinfo, areas: Sequence[str] | None = None
) -> Contradiction | None:
    """Return an open contradiction about somebody of some areas or all; None if none is of this id."""
    found = open_contradictions(connection, zone=zone, areas=areas)
    return next((each for each in found if each.contradiction_id == contradiction_id), None)


def words_about(connection: Connection, keys: FleetKeys, contradiction_id: str) -> list[tuple[Keep, Approval]]:
    """Return what persons have said about a contradiction, in order."""
    found = [
        (keep, word)
        for keep in Keep
        for word in approvals_of(connection, keys.cipher, _OBJECT, f"{contradiction_id}:{keep}")
    ]
    return sorted(found, key=lambda each: each[1].approved_at)


def close_with_case(connection: Connection, case: HereCase, *, now: datetime, zone: tzinfo) -> int:
    """Close what two persons have decided with a case of a live pass against reports; return how many contradictions.

    Where they said that the person lives, the reports are withdrawn and contradict nothing any more. Where they said that the reports
    stand, both sides are kept as they are.
    """
    reports = {f"event:{event_id}" for event_id in case.event_ids}
    open_ones = [
        each
        for each in _of(connection, [case.subject_id], zone)
        if each.first.ref in reports and each.second.ref.startswith("act:")
    ]
    done = contradictions.resolved(connection, [each.contradiction_id for each in open_ones])
    left = [each for each in open_ones if each.contradiction_id not in done]
    for each in left:
        contradictions.add_resolution(connection, each.contradiction_id, case.subject_id, Keep.BOTH.value, now=now)
    return len(left)


def _of(connection: Connection, subject_ids: list[str], zone: tzinfo) -> list[Contradiction]:
    events = life_events_of(connection, subject_ids)
    acts = acts_of(connection, subject_ids, zone=zone)
    return [
        each
        for subject_id in subject_ids
        for each in find(subject_id, reported(events.get(subject_id, ()), zone), acts.get(subject_id, ()))
    ]


def _names(connection: Connection, zone: tzinfo, areas: Sequence[str] | None) -> list[Contradiction]:
    return [
        Contradiction(
            row.subject_id,
            ContradictionKind.NAME_DIFFERS,
            Side(f"row:{row.feed}/{row.row_key}", row.kind, row.since, feeds.SOURCE + row.feed),
            Side(f"subject:{row.subject_id}", "name", None, "subjects"),
            day_of(row.received_at, zone),
        )
        for row in contradictions.other_names(connection, areas)
    ]


def _zero_reports(connection: Connection, zone: tzinfo, areas: Sequence[str] | None) -> list[Contradiction]:
    doubted = contradictions.doubted_zeros(connection, areas)
    events = life_events_of(connection, sorted({each.subject_id for each in doubted}))
    reports = {r.event_id: r for found in events.values() for r in reported(found, zone)}
    return [
        Contradiction(
            each.subject_id,
            ContradictionKind.ZERO_REPORT,
            Side(
                f"delivery:{each.feed}/{each.area}/{month_text(each.period)}",
                "none",
                each.period,
                feeds.SOURCE + each.feed,
            ),
            side_of(reports[each.event_id]),
            max(day_of(each.reported_at, zone), reports[each.event_id].received_on),
        )
        for each in doubted
    ]


def _withdraw(connection: Connection, keys: FleetKeys, side: Side, *, zone: tzinfo, now: datetime) -> None:
    kind, _, named = side.ref.partition(":")
    if kind == "event":
        row = feeds.row_of_event(connection, named)
        if row is not None:
            _overrule(connection, keys, *row, zone=zone, now=now)
            return
        subject_id = withdraw_life_event(connection, named, now=now)
        settle(connection, [subject_id] if subject_id is not None else [], zone=zone, now=now)
    elif kind == "row":
        feed, _, row_key = named.partition("/")
        _overrule(connection, keys, feed, row_key, zone=zone, now=now)
    elif kind == "act":
        changed = feed_effects.withdraw_acts(connection, [named], now=now)
        if not changed:
            raise Refused(
                "a pass of a terminal cannot be withdrawn here: keep both, or withdraw the report", code="pass_stays"
            )
        project(connection, sorted(changed), zone=zone, today=day_of(now, zone))
    elif kind == "delivery":
        raise Refused(
            "a zero report is withdrawn by the area: a delivery with --corrects; or keep both", code="zero_stays"
        )
    else:
        raise Refused(
            "what is known of the person is corrected with import-subjects; or keep both to accept the row",
            code="person_stays",
        )


def _overrule(connection: Connection, keys: FleetKeys, feed: str, row_key: str, *, zone: tzinfo, now: datetime) -> None:
    feeds.overrule_row(connection, row_key, now=now)
    confirms = definition_of(connection, feed).confirms
    apply_rows(connection, keys, feed, [row_key], confirms=confirms, zone=zone, now=now)


def _accept_name(connection: Connection, keys: FleetKeys, side: Side, *, zone: tzinfo, now: datetime) -> None:
    feed, _, row_key = side.ref.removeprefix("row:").partition("/")
    feeds.accept_name(connection, row_key)
    confirms = definition_of(connection, feed).confirms
    apply_rows(connection, keys, feed, [row_key], confirms=confirms, zone=zone, now=now)
