"""What the newest sessions say of networks and scores, as SQL over so many that it takes a moment however many there ever were."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, text

NEWEST = 5_000
"""Sessions that are looked at: the newest of the whole fleet, or as many of each terminal of some areas as make that number.

Source: 5,000 payloads of 3 KB are read in about 0.1 s.
"""
BIN = 0.05
"""Width of a bin of scores."""


@dataclass(frozen=True, slots=True)
class ReportedNetwork:
    """A network that took part in sessions, as terminals signed it."""

    name: str
    sha256: str
    sessions: int
    terminals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScoreBin:
    """Comparisons of one zone whose score lies in one bin."""

    sha256: str
    """Of the feature network."""
    zone: str
    low: float
    """Lower end of the bin."""
    sessions: int


def networks_reported(connection: Connection, within: Collection[str] | None) -> list[ReportedNetwork]:
    """Return which networks the newest sessions were decided with, by name and digest, most sessions first.

    Args:
        connection: where to read.
        within: only sessions of terminals of these areas; None for all.
    """
    rows = connection.execute(
        text(
            "SELECT n ->> 'name', n ->> 'sha256', count(*), array_agg(DISTINCT x.terminal_id ORDER BY x.terminal_id)"  # noqa: S608 - our own text
            f" FROM {_newest(within)}, jsonb_array_elements(x.payload -> 'networks') n GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"
        ),
        _values(within),
    )
    return [ReportedNetwork(name, sha256, sessions, tuple(terminals)) for name, sha256, sessions, terminals in rows]


def comparison_scores(connection: Connection, within: Collection[str] | None) -> list[ScoreBin]:
    """Return how the raw scores of the newest sessions lie, by network, zone and bin; of sessions that compared with a reference.

    Args:
        connection: where to read.
        within: only sessions of terminals of these areas; None for all.
    """
    rows = connection.execute(
        text(
            "SELECT c ->> 'model_sha256', c ->> 'zone', floor(CAST(c ->> 'score' AS numeric) / CAST(:bin AS numeric)), count(*)"  # noqa: S608 - our own text
            f" FROM (SELECT x.payload -> 'comparison' AS c FROM {_newest(within)}) s WHERE jsonb_typeof(c) = 'object'"
            " GROUP BY 1, 2, 3 ORDER BY 1, 3, 2"
        ),
        {**_values(within), "bin": BIN},
    )
    return [ScoreBin(sha256, zone, round(float(place) * BIN, 2), sessions) for sha256, zone, place, sessions in rows]


def _values(within: Collection[str] | None) -> dict[str, object]:
    return {"newest": NEWEST} if within is None else {"within": sorted(within), "newest": NEWEST}


def _newest(within: Collection[str] | None) -> str:
    """Return the newest sessions, as SQL: of the whole fleet; of areas those of each terminal there, so that nothing elsewhere counts."""
    if within is None:
        return "(SELECT terminal_id, payload FROM records ORDER BY received_at DESC, record_id LIMIT :newest) x"
    theirs = "terminals t WHERE t.area = ANY(:within)"
    return (
        "(SELECT r.terminal_id, r.payload FROM terminals t CROSS JOIN LATERAL (SELECT f.terminal_id, f.payload FROM records f"  # noqa: S608 - our own text
        " WHERE f.terminal_id = t.terminal_id ORDER BY f.event_at DESC, f.record_id"
        f" LIMIT greatest(1, :newest / (SELECT greatest(1, count(*)) FROM {theirs}))) r WHERE t.area = ANY(:within)) x"
    )
