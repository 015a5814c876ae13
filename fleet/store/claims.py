"""Claims by which new terminals come, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, text

WaitsFor = Literal["approval", "same_board"]
ClaimState = Literal["open", "waits", "approved", "used", "taken_back", "over"]


@dataclass(frozen=True, slots=True)
class StoredClaim:
    """One claim; whose it is is still sealed."""

    claim_id: str
    """A digest of its code, which is kept nowhere."""
    terminal_id: str | None
    area: str
    has_people: bool
    """Whether the people of the area come onto the terminal's roster."""
    needs_approval: bool
    by_sealed: bytes
    made_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    asked_at: datetime | None = None
    asked_as: str | None = None
    """The terminal id that came with it."""
    asked_keys: str | None = None
    """A digest of the keys that came with it."""
    board_serial: str | None = None
    waits_for: WaitsFor | None = None
    approved_at: datetime | None = None
    used_at: datetime | None = None
    replaces: str | None = None
    """The terminal whose place the new one takes."""

    def state(self, now: datetime) -> ClaimState:
        """Return where it stands."""
        if self.used_at is not None:
            return "used"
        if self.revoked_at is not None:
            return "taken_back"
        if self.waits_for is not None:
            # Who came in time is not turned away because nobody had time to look.
            return "waits" if self.approved_at is None else "approved"
        return "over" if now >= self.expires_at else "open"

    def is_of(self, terminal_id: str) -> bool:
        """Return whether it names a terminal, or the terminal came with it."""
        return terminal_id in (self.terminal_id, self.asked_as)

    def is_good(self, now: datetime) -> bool:
        """Return whether it can still bring a terminal in."""
        return self.state(now) in ("open", "waits", "approved")


def add_claim(connection: Connection, claim: StoredClaim) -> None:
    """Store a new one."""
    connection.execute(
        text(
            "INSERT INTO provisioning_claims (claim_id, terminal_id, area, has_people, needs_approval, by_sealed, made_at,"
            " expires_at, replaces) VALUES (:id, :terminal, :area, :people, :approval, :by, :made, :expires, :replaces)"
        ),
        {
            "id": claim.claim_id,
            "terminal": claim.terminal_id,
            "area": claim.area,
            "people": claim.has_people,
            "approval": claim.needs_approval,
            "by": claim.by_sealed,
            "made": claim.made_at,
            "expires": claim.expires_at,
            "replaces": claim.replaces,
        },
    )


def find_claim(connection: Connection, claim_id: str, *, lock: bool = False) -> StoredClaim | None:
    """Return one; `lock` holds it until the transaction ends."""
    tail = " FOR UPDATE" if lock else ""
    row = connection.execute(text(f"{_SELECT} WHERE claim_id = :id{tail}"), {"id": claim_id}).one_or_none()
    return None if row is None else StoredClaim(*row)


def claims_named(connection: Connection, word: str, *, least: int) -> list[StoredClaim]:
    """Return the claims that name a terminal, or with which it came, the newest first; where there are none, those whose id begins so.

    Args:
        connection: where to read.
        word: the terminal's name, or the first characters of an id.
        least: fewer characters name no id.
    """
    for where in (
        "terminal_id = :word OR asked_as = :word",
        "length(:word) >= :least AND starts_with(claim_id, :word)",
    ):
        rows = connection.execute(
            text(f"{_SELECT} WHERE {where} ORDER BY made_at DESC, claim_id"), {"word": word, "least": least}
        )
        if found := [StoredClaim(*row) for row in rows]:
            return found
    return []


def unused_claims(
    connection: Connection,
    terminal_ids: Sequence[str],
    *,
    replaces: str | None = None,
    but_also: str | None = None,
    lock: bool = False,
) -> list[StoredClaim]:
    """Return all that were neither used nor taken back, and name one of the terminals, or with which it came; by id.

    Args:
        connection: where to read.
        terminal_ids: which terminals.
        replaces: also those by which somebody takes this one's place.
        but_also: id of one that is returned in any case.
        lock: hold them until the transaction ends; in their order, so that no two wait for each other.
    """
    tail = " FOR UPDATE" if lock else ""
    rows = connection.execute(
        text(
            f"{_SELECT} WHERE claim_id = :also OR (used_at IS NULL AND revoked_at IS NULL"
            " AND (terminal_id = ANY(:terminals) OR asked_as = ANY(:terminals) OR replaces = :replaces))"
            f" ORDER BY claim_id{tail}"
        ),
        {"terminals": sorted(set(terminal_ids)), "replaces": replaces, "also": but_also},
    )
    return [StoredClaim(*row) for row in rows]


def lock_making(connection: Connection) -> None:
    """Make claims one at a time: two at once would not see each other's."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('provisioning claims', 0))"))


def newest_claims(
    connection: Connection, *, limit: int, within: Sequence[str] | None = None, only_waiting: bool = False
) -> list[StoredClaim]:
    """Return the last ones, the newest first.

    Args:
        connection: where to read.
        limit: most of them.
        within: only those of these areas; None for all.
        only_waiting: only those with which a terminal waits for a person.
    """
    waits = " AND waits_for IS NOT NULL AND approved_at IS NULL AND revoked_at IS NULL" if only_waiting else ""
    rows = connection.execute(
        text(
            f"{_SELECT} WHERE (CAST(:within AS text[]) IS NULL OR area = ANY(:within)){waits}"
            " ORDER BY made_at DESC, claim_id LIMIT :limit"
        ),
        {"limit": limit, "within": None if within is None else list(within)},
    )
    return [StoredClaim(*row) for row in rows]


def note_asked(
    connection: Connection,
    claim_id: str,
    *,
    terminal_id: str,
    keys: str,
    board_serial: str | None,
    waits_for: WaitsFor | None,
    now: datetime,
) -> None:
    """Note who came with a claim: from now on it is theirs."""
    connection.execute(
        text(
            "UPDATE provisioning_claims SET asked_at = :now, asked_as = :terminal, asked_keys = :keys, board_serial = :board,"
            " waits_for = :waits WHERE claim_id = :id"
        ),
        {
            "id": claim_id,
            "now": now,
            "terminal": terminal_id,
            "keys": keys,
            "board": board_serial,
            "waits": waits_for,
        },
    )


def note_used(connection: Connection, claim_id: str, *, now: datetime) -> None:
    """Note that a claim has done what it is for; the first time stays."""
    connection.execute(
        text("UPDATE provisioning_claims SET used_at = coalesce(used_at, :now) WHERE claim_id = :id"),
        {"id": claim_id, "now": now},
    )


def approve_claim(connection: Connection, claim_id: str, *, now: datetime) -> bool:
    """Let the terminal in that came with a claim; return False if none waits."""
    return (
        connection.execute(
            text(
                "UPDATE provisioning_claims SET approved_at = :now WHERE claim_id = :id AND waits_for IS NOT NULL"
                " AND approved_at IS NULL AND revoked_at IS NULL AND used_at IS NULL"
            ),
            {"id": claim_id, "now": now},
        ).rowcount
        > 0
    )


def revoke_claim(connection: Connection, claim_id: str, *, now: datetime) -> bool:
    """Take a claim back; return False if there is none that is still good for something."""
    return (
        connection.execute(
            text(
                "UPDATE provisioning_claims SET revoked_at = :now WHERE claim_id = :id AND revoked_at IS NULL AND used_at IS NULL"
            ),
            {"id": claim_id, "now": now},
        ).rowcount
        > 0
    )


def served_by_board(connection: Connection, board_serial: str, *, but: str) -> str | None:
    """Return another terminal in service that came with a board of this serial number."""
    found: str | None = connection.execute(
        text(
            "SELECT t.terminal_id FROM provisioning_claims c JOIN terminals t ON t.terminal_id = c.asked_as"
            " WHERE c.board_serial = :serial AND c.used_at IS NOT NULL AND c.asked_as <> :but AND t.retired_at IS NULL"
            " ORDER BY c.used_at DESC LIMIT 1"
        ),
        {"serial": board_serial, "but": but},
    ).scalar_one_or_none()
    return found


_SELECT = (
    "SELECT claim_id, terminal_id, area, has_people, needs_approval, by_sealed, made_at, expires_at, revoked_at, asked_at, asked_as,"
    " asked_keys, board_serial, waits_for, approved_at, used_at, replaces FROM provisioning_claims"
)
