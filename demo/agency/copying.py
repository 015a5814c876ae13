"""Copies made rows into a fresh database, a million of them as well as a few."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "areas": ("code", "parent", "level", "name"),
    "subjects": (
        *("subject_id", "claim_token", "area", "name_sealed", "document_sealed", "created_at"),
        *("birth_date", "sex", "phone_sealed", "name_tokens"),
    ),
    "benefits": ("subject_id", "scheme", "region", "category", "started", "unit", "managed_by"),
    "references_": (
        *("subject_id", "reference_id", "features", "model_sha256", "runtime", "key_domain", "quality"),
        *("capture", "legal_basis", "captured_at", "valid_until"),
    ),
    "acts": ("act_id", "subject_id", "kind", "channel", "acted_at", "source", "source_id", "recorded_at"),
    "terminals": ("terminal_id", "area", "signing_key", "sealing_key", "registered_at"),
    "terminal_health": (
        *("terminal_id", "hour", "messages", "temperature_c", "throttled", "battery_percent", "disk_free_bytes"),
        *("memory_available_bytes", "oldest_unconfirmed_s", "waiting", "clock_uncertainty_s", "camera_rate_hz"),
    ),
    "links": (
        *("record_id", "sha256", "terminal_id", "counter", "previous", "chain", "kind"),
        *("envelope", "received_at"),
    ),
    "records": (
        *("record_id", "terminal_id", "counter", "session_id", "subject_id", "claim_token", "outcome", "payload"),
        *("received_at", "earliest", "latest", "event_at", "pass_at", "flags"),
    ),
    "obligations": (
        *("subject_id", "scheme", "pack_id", "pack_version", "last_day", "last_act"),
        *("opens", "asked", "expiring", "due", "overdue", "stop_from"),
    ),
    "statuses": (
        *("subject_id", "last_pass_at", "last_pass_record", "last_pass_day", "certified_until", "rule_pack"),
        *("last_record", "last_outcome", "last_event_at", "records", "last_act", "last_act_kind"),
        *("opens", "asked", "expiring", "due", "overdue", "stop_from"),
    ),
}
"""The columns of a row of each table, in the order in which its values are given."""


def copy_rows(url: str, tables: Mapping[str, Iterable[Sequence[Any]]]) -> None:
    """Copy rows into tables, in the order in which the tables stand, all of it or nothing; then let the planner count them.

    Args:
        url: of the database, as SQLAlchemy takes it.
        tables: for each table of `COLUMNS` its rows; generators keep a million of them out of memory.

    Raises:
        psycopg.Error: if a row is none of its table.
    """
    with psycopg.connect(url.replace("+psycopg", "")) as connection, connection.cursor() as cursor:
        # Made at the end, as a restored backup does: entry by entry it takes ten times as long.
        by_name = cursor.execute("SELECT pg_get_indexdef(to_regclass('subjects_by_name'))").fetchone()
        cursor.execute("DROP INDEX subjects_by_name")
        for table, rows in tables.items():
            names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS[table]))
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
            with cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
        if by_name is not None:
            cursor.execute(by_name[0])
        connection.commit()
        connection.autocommit = True
        cursor.execute("ANALYZE")
