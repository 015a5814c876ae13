"""What certifies beside the passes of records: special certifications, data matches, results of other systems; as SQL."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from sqlalchemy import Connection, text

from fleet.clock import day_of
from protocol.rules.acts import Act, ActKind, Channel


@dataclass(frozen=True, slots=True)
class NewAct:
    """Something that certifies somebody, if the packs take it."""

    subject_id: str
    kind: ActKind
    channel: Channel
    acted_at: datetime
    source: str
    """Who answers for it: `case`, `feed:<name>`, `partner:<id>`."""
    source_id: str
    """Its id there; the same source and id is the same act, however often it comes."""


def add_acts(connection: Connection, acts: Sequence[NewAct], *, now: datetime) -> set[str]:
    """Store acts that are not here yet; return the subjects who have new ones, whose statuses are to be projected."""
    if not acts:
        return set()
    found = connection.execute(
        text(
            "INSERT INTO acts (act_id, subject_id, kind, channel, acted_at, source, source_id, recorded_at)"
            " SELECT p.*, :now FROM unnest(CAST(:ids AS text[]), CAST(:subjects AS text[]), CAST(:kinds AS text[]),"
            " CAST(:channels AS text[]), CAST(:at AS timestamptz[]), CAST(:sources AS text[]),"
            " CAST(:source_ids AS text[])) AS p ON CONFLICT DO NOTHING RETURNING subject_id"
        ),
        {
            "ids": [os.urandom(16).hex() for _ in acts],
            "subjects": [act.subject_id for act in acts],
            "kinds": [act.kind.value for act in acts],
            "channels": [act.channel.value for act in acts],
            "at": [act.acted_at for act in acts],
            "sources": [act.source for act in acts],
            "source_ids": [act.source_id for act in acts],
            "now": now,
        },
    )
    return set(found.scalars())


def withdraw_act(connection: Connection, source: str, source_id: str, *, now: datetime) -> set[str]:
    """Take back what a source said; return the subjects it was about, whose statuses are to be projected."""
    found = connection.execute(
        text(
            "UPDATE acts SET withdrawn_at = :now WHERE source = :source AND source_id = :id AND withdrawn_at IS NULL"
            " RETURNING subject_id"
        ),
        {"source": source, "id": source_id, "now": now},
    )
    return set(found.scalars())


def acts_of(connection: Connection, subject_ids: Sequence[str], *, zone: tzinfo) -> dict[str, list[Act]]:
    """Return everything that certifies these people: passes that count, and acts that were not withdrawn.

    A pass counts if the record's claim token is the subject's own and its chain is not broken.
    """
    rows = connection.execute(
        text(
            "SELECT r.subject_id, r.record_id AS act_id, r.pass_at AS acted_at,"
            " CASE r.payload ->> 'purpose' WHEN 'enrolment' THEN 'enrolment' ELSE 'live' END AS kind,"
            " CASE WHEN r.payload -> 'visit' IS NULL OR r.payload -> 'visit' = 'null' THEN 'terminal' ELSE 'home_visit' END"
            " AS channel FROM records r JOIN links k ON k.record_id = r.record_id JOIN subjects s ON s.subject_id = r.subject_id"
            " WHERE r.subject_id = ANY(:ids) AND r.pass_at IS NOT NULL AND k.chain <> 'broken'"
            " AND r.claim_token = s.claim_token"
            " UNION ALL SELECT subject_id, act_id, acted_at, kind, channel FROM acts"
            " WHERE subject_id = ANY(:ids) AND withdrawn_at IS NULL"
        ),
        {"ids": list(subject_ids)},
    )
    found: dict[str, list[Act]] = {}
    for row in rows:
        act = Act(row.act_id, day_of(row.acted_at, zone), ActKind(row.kind), Channel(row.channel))
        found.setdefault(row.subject_id, []).append(act)
    return found
