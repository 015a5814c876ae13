"""Keeps what contradicts itself about people, so that it is found without looking at everybody.

A projection like the others: it follows from reports, acts and passes, rows of feeds, zero reports and what persons decided. Whoever
changes one of these calls `keep_doubts` in the same transaction, or `project` or `fleet.exchange.effects.settle`, which call it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, tzinfo
from typing import Any

from sqlalchemy import Connection

from fleet.clock import day_of
from fleet.status.contradictions import Contradiction, ContradictionKind, Side, find, side_of
from fleet.status.losses import Reported
from fleet.store import contradictions, feeds
from fleet.store.acts import acts_of
from fleet.store.contradictions import Kept
from fleet.store.life_events import StoredLifeEvent, life_events_of
from fleet.store.subjects import lock_subjects
from protocol.rules.life import ENDING, LifeEventKind

_LOOKED_AT = ENDING | {LifeEventKind.MISSING, LifeEventKind.SENTENCE}
"""Nothing contradicts itself about somebody of whom none of these is reported, but for names and zero reports."""


def keep_doubts(connection: Connection, subject_ids: Sequence[str], *, zone: tzinfo) -> None:
    """Write anew what contradicts itself about these subjects.

    They are locked first: of two transactions that change something about one, the second sees what the first committed.
    """
    known = sorted(lock_subjects(connection, subject_ids)) if subject_ids else []
    for part in feeds.parts(known):
        found = open_doubts(connection, part, zone=zone)
        contradictions.replace(connection, part, [_kept(each) for each in found])


def open_doubts(connection: Connection, subject_ids: Sequence[str], *, zone: tzinfo) -> list[Contradiction]:
    """Work out what contradicts itself about these people and nobody resolved, from everything that is stored."""
    looked_at = sorted(contradictions.with_reports(connection, subject_ids, _LOOKED_AT))
    names = contradictions.other_names(connection, subject_ids)
    zeros = contradictions.doubted_zeros(connection, subject_ids)
    told = sorted({*looked_at, *(each.subject_id for each in zeros)})
    events = life_events_of(connection, told) if told else {}
    acts = acts_of(connection, looked_at, zone=zone) if looked_at else {}
    reports = {subject_id: reported(events.get(subject_id, ()), zone) for subject_id in told}
    by_id = {each.event_id: each for found in reports.values() for each in found}
    found = [
        *(each for subject_id in looked_at for each in find(subject_id, reports[subject_id], acts.get(subject_id, ()))),
        *(
            Contradiction(
                row.subject_id,
                ContradictionKind.NAME_DIFFERS,
                Side(f"row:{row.feed}/{row.row_key}", row.kind, row.since, feeds.SOURCE + row.feed),
                Side(f"subject:{row.subject_id}", "name", None, "subjects"),
                day_of(row.received_at, zone),
            )
            for row in names
        ),
        *(
            Contradiction(
                zero.subject_id,
                ContradictionKind.ZERO_REPORT,
                Side(
                    f"delivery:{zero.feed}/{zero.area}/{zero.period:%Y-%m}",
                    "none",
                    zero.period,
                    feeds.SOURCE + zero.feed,
                ),
                side_of(by_id[zero.event_id]),
                max(day_of(zero.reported_at, zone), by_id[zero.event_id].received_on),
            )
            for zero in zeros
        ),
    ]
    done = contradictions.resolved(connection, [each.contradiction_id for each in found]) if found else set()
    return [each for each in found if each.contradiction_id not in done]


def reported(found: Iterable[StoredLifeEvent], zone: tzinfo) -> list[Reported]:
    """Return stored reports as the pure rules take them."""
    return [
        Reported(each.event_id, each.event, each.source, each.source_id, each.confirmed, day_of(each.received_at, zone))
        for each in found
    ]


def doubt(kept: Kept) -> Contradiction:
    """Return what is kept as it was found."""
    return Contradiction(
        kept.subject_id, ContradictionKind(kept.kind), _side(kept.first), _side(kept.second), kept.since
    )


def _kept(found: Contradiction) -> Kept:
    return Kept(
        found.contradiction_id, found.subject_id, found.kind.value, found.since, _json(found.first), _json(found.second)
    )


def _json(side: Side) -> dict[str, object]:
    return {**asdict(side), "day": None if side.day is None else side.day.isoformat()}


def _side(kept: Mapping[str, Any]) -> Side:
    day = kept["day"]
    return Side(
        kept["ref"], kept["what"], None if day is None else date.fromisoformat(day), kept["source"], kept["is_loss"]
    )
