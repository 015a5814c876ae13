"""Where each terminal stands in its life: from the claim by which it comes to the proof that it erased itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from fleet.store import certificates, claims, terminals
from fleet.store.claims import StoredClaim
from fleet.store.terminals import StoredTerminal

_CLAIMS = 500


class LifeState(StrEnum):
    """Where a terminal stands."""

    CLAIMED = "claimed"
    """There is a claim for it; it did not come yet."""
    WAITING = "waiting"
    """It came, and a person must let it in."""
    IN_SERVICE = "in_service"
    SUSPENDED = "suspended"
    RETIRED = "retired"
    DECOMMISSIONED = "decommissioned"


@dataclass(frozen=True, slots=True)
class Life:
    """One terminal, or the claim of one that is to come."""

    terminal_id: str
    """Empty for a claim that names none."""
    area: str
    state: LifeState
    since: datetime
    until: datetime | None = None
    """When its certificate ends, or its claim; None for a terminal without one that holds."""
    replaced_by: str | None = None
    replaces: str | None = None


def state_of(terminal: StoredTerminal) -> LifeState:
    """Return where a registered terminal stands."""
    if terminal.decommissioned_at is not None:
        return LifeState.DECOMMISSIONED
    if terminal.retired_at is not None:
        return LifeState.RETIRED
    return LifeState.IN_SERVICE if terminal.suspended_at is None else LifeState.SUSPENDED


def lives(connection: Connection, *, now: datetime) -> list[Life]:
    """Return all terminals and all that are to come, by id."""
    ends = certificates.ends(connection, now=now)
    registered = terminals.find_terminals(connection)
    before = {each.replaced_by: terminal_id for terminal_id, each in registered.items()}
    found = [
        Life(
            terminal_id,
            terminal.area,
            state_of(terminal),
            terminal.decommissioned_at or terminal.retired_at or terminal.suspended_at or terminal.registered_at,
            ends.get(terminal_id),
            terminal.replaced_by,
            before.get(terminal_id),
        )
        for terminal_id, terminal in registered.items()
    ]
    coming = [_coming(claim, now) for claim in claims.newest_claims(connection, limit=_CLAIMS)]
    return sorted([*found, *(each for each in coming if each is not None)], key=lambda life: life.terminal_id)


def _coming(claim: StoredClaim, now: datetime) -> Life | None:
    if not claim.is_good(now):
        return None
    is_waiting = claim.state(now) == "waits" and claim.asked_at is not None
    return Life(
        claim.asked_as or claim.terminal_id or "",
        claim.area,
        LifeState.WAITING if is_waiting else LifeState.CLAIMED,
        claim.asked_at or claim.made_at,
        None if claim.asked_at is not None else claim.expires_at,
        replaces=claim.replaces,
    )
