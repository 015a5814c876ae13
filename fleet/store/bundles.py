"""Bundles that the fleet keeps for its terminals, as SQL; their files lie in the data folder."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from protocol.bundle import BundleKind
from protocol.desired import DesiredBundle


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """One bundle."""

    bundle_id: str
    kind: BundleKind
    number: int
    label: str
    size: int
    """In bytes."""
    manifest: dict[str, Any]
    """As signed, without its files."""
    key_id: str
    """Of the release key that signed it."""
    added_at: datetime
    added_by_sealed: bytes = field(repr=False)
    removed_at: datetime | None = None

    @property
    def asked(self) -> DesiredBundle:
        """The bundle as a terminal is asked for it."""
        return DesiredBundle(
            kind=self.kind, bundle_id=self.bundle_id, number=self.number, label=self.label, size=self.size
        )


def add_bundle(connection: Connection, bundle: StoredBundle) -> bool:
    """Store a bundle; one that was removed is there again. Return False if it is there already."""
    return (
        connection.execute(
            text(
                "INSERT INTO update_bundles AS b (bundle_id, kind, number, label, size, manifest, key_id, added_at, added_by_sealed)"
                " VALUES (:id, :kind, :number, :label, :size, CAST(:manifest AS jsonb), :key, :at, :by)"
                " ON CONFLICT (bundle_id) DO UPDATE SET removed_at = NULL, added_at = EXCLUDED.added_at,"
                " added_by_sealed = EXCLUDED.added_by_sealed WHERE b.removed_at IS NOT NULL RETURNING 1"
            ),
            {
                "id": bundle.bundle_id,
                "kind": bundle.kind.value,
                "number": bundle.number,
                "label": bundle.label,
                "size": bundle.size,
                "manifest": json.dumps(bundle.manifest),
                "key": bundle.key_id,
                "at": bundle.added_at,
                "by": bundle.added_by_sealed,
            },
        ).scalar_one_or_none()
        is not None
    )


def same_number(connection: Connection, bundle: StoredBundle) -> str | None:
    """Return another bundle of this kind and number for the same board and Python, None if there is none: one number means one thing."""
    return connection.execute(
        text(
            "SELECT bundle_id FROM update_bundles WHERE kind = :kind AND number = :number AND bundle_id <> :id"
            " AND removed_at IS NULL AND manifest -> 'machine' = CAST(:machine AS jsonb)"
            " AND manifest -> 'python' IS NOT DISTINCT FROM CAST(:python AS jsonb) LIMIT 1"
        ),
        {
            "kind": bundle.kind.value,
            "number": bundle.number,
            "id": bundle.bundle_id,
            "machine": json.dumps(bundle.manifest["machine"]),
            "python": json.dumps(bundle.manifest["python"]),
        },
    ).scalar_one_or_none()


def find_bundles(connection: Connection, ids: Collection[str]) -> dict[str, StoredBundle]:
    """Return bundles by id, removed ones among them."""
    rows = connection.execute(text(f"{_SELECT} WHERE bundle_id = ANY(:ids)"), {"ids": sorted(ids)})
    return {row.bundle_id: _bundle(row) for row in rows}


def find_by_prefix(connection: Connection, prefix: str) -> StoredBundle | None:
    """Return the bundle whose id begins so; None if there is none, or several."""
    rows = connection.execute(text(f"{_SELECT} WHERE bundle_id LIKE :prefix LIMIT 2"), {"prefix": f"{prefix}%"}).all()
    return _bundle(rows[0]) if len(rows) == 1 else None


def newest_bundles(connection: Connection, *, limit: int, with_removed: bool = False) -> list[StoredBundle]:
    """Return bundles by kind, the highest number of each first."""
    rows = connection.execute(
        text(f"{_SELECT} WHERE :removed OR removed_at IS NULL ORDER BY kind, number DESC, added_at DESC LIMIT :limit"),
        {"limit": limit, "removed": with_removed},
    )
    return [_bundle(row) for row in rows]


def set_removed(connection: Connection, bundle_id: str, *, now: datetime) -> None:
    """Note that a bundle's file is gone."""
    connection.execute(
        text("UPDATE update_bundles SET removed_at = :now WHERE bundle_id = :id"), {"id": bundle_id, "now": now}
    )


def running_counts(connection: Connection) -> list[tuple[str, str, str, int]]:
    """Return how many terminals in service run what, by their own signed word: kind, number and label, id or nothing, terminals.

    Of what came with the card, or from a terminal that does not say, only the programs' version is known: kind `software`.
    """
    rows = connection.execute(
        text(
            "SELECT 'software' AS kind, coalesce(software, '') AS what, '' AS bundle_id, count(*) AS terminals FROM terminals"
            " WHERE retired_at IS NULL GROUP BY 1, 2"
            " UNION ALL SELECT r ->> 'kind', (r ->> 'number') || ' ' || (r ->> 'label'), coalesce(r ->> 'bundle_id', ''), count(*)"
            " FROM terminals, jsonb_array_elements(reported -> 'running') r WHERE retired_at IS NULL GROUP BY 1, 2, 3"
            " ORDER BY 1, 4 DESC, 2"
        )
    )
    return [(row.kind, row.what, row.bundle_id, row.terminals) for row in rows]


_SELECT = "SELECT bundle_id, kind, number, label, size, manifest, key_id, added_at, added_by_sealed, removed_at FROM update_bundles"


def _bundle(row: Any) -> StoredBundle:
    return StoredBundle(
        bundle_id=row.bundle_id,
        kind=BundleKind(row.kind),
        number=row.number,
        label=row.label,
        size=row.size,
        manifest=row.manifest,
        key_id=row.key_id,
        added_at=row.added_at,
        added_by_sealed=bytes(row.added_by_sealed),
        removed_at=row.removed_at,
    )
