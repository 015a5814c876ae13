"""Operators and places, and which terminal was sent what of them, as SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from sqlalchemy import Connection, Row, text

from fleet.admission import KnownOperator, KnownStaff, covers
from fleet.store.database import notify
from protocol.staff import PlaceName, Role

STAFF_CHANNEL = "lifecert_staff"
"""Notified when operators or places changed, or with the id of the terminal that is to get its list."""


@dataclass(frozen=True, slots=True)
class StoredOperator:
    """Somebody who may sign in, or might once."""

    operator_id: str
    name_sealed: bytes
    roles: tuple[Role, ...]
    area: str
    pin_sealed: bytes | None
    code_sha256: str | None
    valid_until: date
    created_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredPlace:
    """A place, and in which area it is."""

    code: str
    name: str
    area: str

    @property
    def named(self) -> PlaceName:
        """The place as terminals get it."""
        return PlaceName(code=self.code, name=self.name)


@dataclass(frozen=True, slots=True)
class SentStaff:
    """What was last sent to a terminal."""

    digest: str | None
    sent_at: datetime | None

    def is_stale(self, now: datetime, age: timedelta) -> bool:
        """Return whether nothing was sent since so long ago."""
        return self.sent_at is None or now - self.sent_at >= age


def add_operator(connection: Connection, operator: StoredOperator) -> bool:
    """Store an operator; return False if the id is taken, if only by somebody who was retired."""
    added = connection.execute(
        text(
            "INSERT INTO operators (operator_id, name_sealed, roles, area, pin_sealed, code_sha256, valid_until, created_at)"
            " VALUES (:id, :name, :roles, :area, :pin, :code, :until, :now) ON CONFLICT DO NOTHING RETURNING 1"
        ),
        {
            "id": operator.operator_id,
            "name": operator.name_sealed,
            "roles": [role.value for role in operator.roles],
            "area": operator.area,
            "pin": operator.pin_sealed,
            "code": operator.code_sha256,
            "until": operator.valid_until,
            "now": operator.created_at,
        },
    ).scalar_one_or_none()
    notify(connection, STAFF_CHANNEL)
    return added is not None


def retire_operator(connection: Connection, operator_id: str, *, now: datetime) -> bool:
    """Take an operator out of service and erase PIN and code; return False if none of this id is in service."""
    return _changed(
        connection,
        "UPDATE operators SET retired_at = :now, pin_sealed = NULL, code_sha256 = NULL"
        " WHERE operator_id = :id AND retired_at IS NULL RETURNING 1",
        {"id": operator_id, "now": now},
    )


def set_pin(connection: Connection, operator_id: str, pin_sealed: bytes) -> bool:
    """Give an operator another PIN; return False if none of this id is in service."""
    return _changed(
        connection,
        "UPDATE operators SET pin_sealed = :pin WHERE operator_id = :id AND retired_at IS NULL RETURNING 1",
        {"id": operator_id, "pin": pin_sealed},
    )


def area_of(connection: Connection, operator_id: str) -> str | None:
    """Return an operator's area, empty for the whole fleet; None if there never was one of this id."""
    found: str | None = connection.execute(
        text("SELECT area FROM operators WHERE operator_id = :id"), {"id": operator_id}
    ).scalar_one_or_none()
    return found


def of_account(connection: Connection, account_id: str) -> list[str]:
    """Return the ids of the operators that are an account's person."""
    rows = connection.execute(
        text("SELECT operator_id FROM operators WHERE account_id = :account ORDER BY operator_id"),
        {"account": account_id},
    )
    return list(rows.scalars())


def set_account(connection: Connection, operator_id: str, account_id: str | None) -> None:
    """Say whose account an operator is; None for nobody's. Terminals are told nothing of it."""
    connection.execute(
        text("UPDATE operators SET account_id = :account WHERE operator_id = :id"),
        {"id": operator_id, "account": account_id},
    )


def accounts_of(connection: Connection, operator_ids: Collection[str]) -> dict[str, tuple[str, bytes]]:
    """Return account id and sealed name of whoever is one of these operators."""
    rows = connection.execute(
        text(
            "SELECT o.operator_id, a.account_id, a.name_sealed FROM operators o JOIN accounts a USING (account_id)"
            " WHERE o.operator_id = ANY(:ids)"
        ),
        {"ids": sorted(operator_ids)},
    )
    return {row.operator_id: (row.account_id, bytes(row.name_sealed)) for row in rows}


def all_operators(connection: Connection) -> list[StoredOperator]:
    """Return everybody who ever was an operator, by area and id."""
    rows = connection.execute(text(f"SELECT {_OPERATOR} FROM operators ORDER BY area, operator_id"))  # noqa: S608 - fixed
    return [_operator(row) for row in rows]


def operators_in_service(connection: Connection, *, today: date) -> list[StoredOperator]:
    """Return the operators who may sign in today, by id."""
    rows = connection.execute(
        text(
            f"SELECT {_OPERATOR} FROM operators WHERE retired_at IS NULL AND valid_until >= :today"  # noqa: S608 - fixed
            " ORDER BY operator_id"
        ),
        {"today": today},
    )
    return [_operator(row) for row in rows]


def save_places(connection: Connection, places: Sequence[StoredPlace]) -> tuple[int, int]:
    """Insert or update places; return how many were new and how many changed."""
    new = changed = 0
    for place in places:
        done = connection.execute(
            text(
                "INSERT INTO places (code, name, area) VALUES (:code, :name, :area) ON CONFLICT (code) DO UPDATE"
                " SET name = EXCLUDED.name, area = EXCLUDED.area"
                " WHERE (places.name, places.area) <> (EXCLUDED.name, EXCLUDED.area) RETURNING xmax = 0"
            ),
            {"code": place.code, "name": place.name, "area": place.area},
        ).scalar_one_or_none()
        new += done is True
        changed += done is False
    if new or changed:
        notify(connection, STAFF_CHANNEL)
    return new, changed


def all_places(connection: Connection) -> list[StoredPlace]:
    """Return all places by code."""
    rows = connection.execute(text("SELECT code, name, area FROM places ORDER BY code"))
    return [StoredPlace(*row) for row in rows]


def place_codes(connection: Connection, wanted: Collection[str]) -> set[str]:
    """Return which of these are codes of places."""
    rows = connection.execute(text("SELECT code FROM places WHERE code = ANY(:codes)"), {"codes": sorted(wanted)})
    return set(rows.scalars())


def sent_staff(connection: Connection, terminal_ids: Collection[str]) -> dict[str, SentStaff]:
    """Return what was last sent to these terminals."""
    rows = connection.execute(
        text("SELECT terminal_id, staff_digest, staff_sent_at FROM terminals WHERE terminal_id = ANY(:ids)"),
        {"ids": sorted(terminal_ids)},
    )
    return {row.terminal_id: SentStaff(row.staff_digest, row.staff_sent_at) for row in rows}


def note_sent(connection: Connection, terminal_id: str, *, digest: str, now: datetime) -> None:
    """Remember what is sent to a terminal now."""
    connection.execute(
        text("UPDATE terminals SET staff_digest = :digest, staff_sent_at = :now WHERE terminal_id = :id"),
        {"id": terminal_id, "digest": digest, "now": now},
    )


class StaffBook:
    """Everything needed to say who may have been at which terminal when; read once for many records.

    Args:
        connection: where to look.
        operator_ids: who is asked about.
        terminal_ids: where.
        zone: where the last day of validity ends.
    """

    def __init__(
        self, connection: Connection, operator_ids: Collection[str], terminal_ids: Collection[str], *, zone: tzinfo
    ) -> None:
        rows = connection.execute(
            text(f"SELECT {_OPERATOR} FROM operators WHERE operator_id = ANY(:ids)"),  # noqa: S608 - fixed
            {"ids": sorted(operator_ids)},
        )
        self._operators = {row.operator_id: _known(_operator(row), zone) for row in rows}
        first = connection.execute(text("SELECT area, min(created_at) AS since FROM operators GROUP BY area"))
        self._first = [(row.area, row.since) for row in first]
        areas = connection.execute(
            text(
                "SELECT terminal_id, since, area FROM terminal_areas WHERE terminal_id = ANY(:ids)"
                " ORDER BY terminal_id, since"
            ),
            {"ids": sorted(terminal_ids)},
        )
        self._areas: dict[str, list[tuple[datetime, str]]] = {}
        for row in areas:
            self._areas.setdefault(row.terminal_id, []).append((row.since, row.area))

    def staff_at(self, terminal_id: str, moment: datetime) -> KnownStaff:
        """Return what is known of those who may have been at a terminal at a moment, where it then stood."""
        stood = self._areas.get(terminal_id, [])
        earlier = [area for since, area in stood if since <= moment]
        area = earlier[-1] if earlier else stood[0][1] if stood else ""
        since = min((since for of, since in self._first if covers(of, area)), default=None)
        return KnownStaff(area, self._operators, since)


_OPERATOR = "operator_id, name_sealed, roles, area, pin_sealed, code_sha256, valid_until, created_at, retired_at"


def _changed(connection: Connection, statement: str, values: dict[str, object]) -> bool:
    found = connection.execute(text(statement), values).scalar_one_or_none()
    if found is not None:
        notify(connection, STAFF_CHANNEL)
    return found is not None


def _operator(row: Row[tuple[object, ...]]) -> StoredOperator:
    return StoredOperator(
        operator_id=row.operator_id,
        name_sealed=bytes(row.name_sealed),
        roles=tuple(Role(role) for role in row.roles),
        area=row.area,
        pin_sealed=None if row.pin_sealed is None else bytes(row.pin_sealed),
        code_sha256=row.code_sha256,
        valid_until=row.valid_until,
        created_at=row.created_at,
        retired_at=row.retired_at,
    )


def _known(operator: StoredOperator, zone: tzinfo) -> KnownOperator:
    return KnownOperator(
        roles=frozenset(operator.roles),
        area=operator.area,
        since=operator.created_at,
        expires_at=datetime.combine(operator.valid_until + timedelta(days=1), time(), zone),
        retired_at=operator.retired_at,
    )
