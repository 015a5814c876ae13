"""What terminals are told of people for the rules, as SQL; only a change of it makes a roster entry new."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pydantic import TypeAdapter
from sqlalchemy import Connection, text

from protocol.entitlements import Entitlement

_TOLD = TypeAdapter(tuple[Entitlement, ...])


def tell(connection: Connection, entitlements: Mapping[str, tuple[Entitlement, ...]]) -> int:
    """Keep what terminals are to be told of these subjects; return for how many it changed.

    Entries of the terminals that hold them are noted as outdated. The caller has locked the subjects.
    """
    if not entitlements:
        return 0
    changed = list(
        connection.execute(
            text(
                "INSERT INTO entitlements (subject_id, told)"
                " SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:told AS text[]))"
                " ON CONFLICT (subject_id) DO UPDATE SET told = EXCLUDED.told WHERE entitlements.told <> EXCLUDED.told"
                " RETURNING subject_id"
            ),
            {
                "ids": list(entitlements),
                "told": [_TOLD.dump_json(found).decode() for found in entitlements.values()],
            },
        ).scalars()
    )
    if changed:
        # An entry that this transaction has written itself was sent to nobody yet.
        connection.execute(
            text(
                "INSERT INTO outdated_entries SELECT terminal_id, subject_id FROM roster_entries"
                " WHERE subject_id = ANY(:ids) AND NOT removed AND xmin <> pg_current_xact_id()::xid"
                " ON CONFLICT DO NOTHING"
            ),
            {"ids": changed},
        )
    return len(changed)


def told_of(connection: Connection, subject_ids: Collection[str]) -> dict[str, tuple[Entitlement, ...]]:
    """Return what terminals are told of these subjects; none of a subject that was never projected."""
    rows = connection.execute(
        text("SELECT subject_id, told FROM entitlements WHERE subject_id = ANY(:ids)"), {"ids": list(subject_ids)}
    )
    return {row.subject_id: _TOLD.validate_json(row.told) for row in rows}
