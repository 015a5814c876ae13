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
from fleet.exchange.deliveries import definition_of
from fleet.exchange.effects import apply_rows, settle
from fleet.keys import FleetKeys
from fleet.status.contradictions import Contradiction, ContradictionKind, Side
from fleet.status.doubts import doubt
from fleet.status.projection import Judging, project
from fleet.store import contradictions, feed_effects, feeds
from fleet.store.approvals import NEEDED, Approval, approvals_of, approve
from fleet.store.contradictions import Place
from fleet.store.database import Database
from fleet.store.i_am_here import HereCase, open_case_of
from fleet.store.life_events import withdraw_life_event
from fleet.store.subjects import lock_subjects

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
    areas: Sequence[str] | None = None,
    *,
    kind: ContradictionKind | None = None,
    behind: Place | None = None,
    ahead: Place | None = None,
    limit: int | None = None,
) -> list[Contradiction]:
    """Return contradictions that nobody resolved, by the day from which each was known; arguments as `contradictions.page_of`."""
    found = contradictions.page_of(connection, areas, kind=kind, behind=behind, ahead=ahead, limit=limit)
    return [doubt(each) for each in found]


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
        found = find_open(connection, contradiction_id, areas)
        if found is None:
            raise NotFound(f"contradiction {contradiction_id}: none of this id is open", code="not_open")
        here = open_case_of(connection, found.subject_id, lock=True)
        if here is not None:
            # Judging locks terminals, which come before subjects; the case is closed below.
            judging(connection, [found.subject_id])
        lock_subjects(connection, [found.subject_id])
        found = find_open(connection, contradiction_id, areas)
        if found is None:
            # Resolved by somebody else, or none any more, while this one was looked at.
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
    connection: Connection, contradiction_id: str, areas: Sequence[str] | None = None
) -> Contradiction | None:
    """Return an open contradiction about somebody of some areas or all; None if none is of this id."""
    found = contradictions.find(connection, contradiction_id, areas)
    return None if found is None else doubt(found)


def words_about(connection: Connection, keys: FleetKeys, contradiction_id: str) -> list[tuple[Keep, Approval]]:
    """Return what persons have said about a contradiction, in order."""
    found = [
        (keep, word)
        for keep in Keep
        for word in approvals_of(connection, keys.cipher, _OBJECT, f"{contradiction_id}:{keep}")
    ]
    return sorted(found, key=lambda each: each[1].approved_at)


def close_with_case(connection: Connection, case: HereCase, *, now: datetime) -> None:
    """Close the contradictions that two persons have decided with a case of a live pass against reports.

    Where they said that the person lives, the reports are withdrawn and contradict nothing any more. Where they said that the reports
    stand, both sides are kept as they are.
    """
    reports = {f"event:{event_id}" for event_id in case.event_ids}
    kept = [doubt(each) for each in contradictions.of_subjects(connection, [case.subject_id])]
    for each in kept:
        if each.first.ref in reports and each.second.ref.startswith("act:"):
            contradictions.add_resolution(connection, each.contradiction_id, case.subject_id, Keep.BOTH.value, now=now)


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
