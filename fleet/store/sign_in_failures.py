"""Failed attempts to sign in of a quarter of an hour, until they stand in the audit log; as SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures of one account, or of all names that nobody has from one address, within a quarter of an hour."""

    quarter: datetime
    """When it began."""
    account_id: str | None
    address: bytes | None
    """Keyed digest of where they came from; None where the account is known."""
    password: int
    code: int
    unheard: int
    """Of both: tried while nothing was looked at."""


def add_failure(
    connection: Connection,
    *,
    quarter: datetime,
    who: bytes,
    account_id: str | None,
    address: bytes,
    step: str,
    is_heard: bool,
) -> None:
    """Count one failure; the same work for a name that exists and for one that does not.

    Args:
        connection: where.
        quarter: when the quarter of an hour began.
        who: digest of the name, or of whatever else tells one from another.
        account_id: whose it is, if it is anybody's.
        address: digest of the client's address.
        step: `password` or `code`.
        is_heard: whether what was typed was looked at.
    """
    connection.execute(
        text(
            "INSERT INTO sign_in_failures (quarter, who, address, step, account_id, failures, unheard)"
            " VALUES (:quarter, :who, :address, :step, :account, 1, :unheard) ON CONFLICT (quarter, who, address, step)"
            " DO UPDATE SET failures = sign_in_failures.failures + 1, unheard = sign_in_failures.unheard + :unheard"
        ),
        {
            "quarter": quarter,
            "who": who,
            "address": address,
            "step": step,
            "account": account_id,
            "unheard": 0 if is_heard else 1,
        },
    )


def take_failures(connection: Connection, *, before: datetime) -> list[Failures]:
    """Return the failures of the quarters that began before a moment, in order, and forget them."""
    rows = connection.execute(text(_TAKE), {"before": before})
    return [
        Failures(row.quarter, row.account_id, None if row.address is None else bytes(row.address), *row[3:])
        for row in rows
    ]


_TAKE = """
WITH gone AS (DELETE FROM sign_in_failures WHERE quarter < :before RETURNING *)
SELECT quarter, account_id, CASE WHEN account_id IS NULL THEN address END AS address,
    coalesce(sum(failures) FILTER (WHERE step = 'password'), 0)::int, coalesce(sum(failures) FILTER (WHERE step = 'code'), 0)::int,
    sum(unheard)::int
FROM gone GROUP BY 1, 2, 3 ORDER BY 1, sum(failures) DESC, 2, 3
"""
