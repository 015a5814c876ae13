"""Works out what is wanted of terminals, keeps it where it changed, and signs it for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from fleet.admission.convergence import Wanted
from fleet.keys import FleetKeys
from fleet.settings import ProvisioningSettings
from fleet.store import bundles, desired, rollouts, terminal_settings, terminals
from fleet.store.desired import StoredDesired
from fleet.store.rollouts import StoredRollout
from fleet.store.terminal_settings import Target
from fleet.updates.rollout import State
from fleet.updates.wanted import InEffect, Place, chain_of, wanted_of
from protocol.desired import DESIRED_TYP, DesiredState, SettingValues
from protocol.envelope import sign

_LIFT = 1000
"""More than a terminal is asked for something else between a backup and the loss of what came after it."""
_IN_EFFECT = (State.RUNNING, State.PAUSED, State.DONE)


def door_of(settings: ProvisioningSettings) -> str | None:
    """Return where terminals fetch bundles; None where the fleet has no door."""
    return None if settings.port is None else f"https://{settings.names[0]}:{settings.port}"


def refresh(
    connection: Connection, terminal_ids: Collection[str] | None, *, door: str | None, now: datetime, lift: int = 0
) -> int:
    """Work out anew what is wanted of terminals in service, all or some; return of how many something else is.

    Whoever changed what it follows from calls this in the same transaction. A terminal that has taken a number which this database
    never gave is asked for all of it anew, above that number: what ended there before is no answer to it.

    Args:
        connection: a transaction.
        terminal_ids: which; None for all.
        door: where terminals fetch bundles.
        now: in UTC.
        lift: by how much the numbers of those that were ever asked are lifted, whether they said anything or not; 0 lifts none.
    """
    desired.lock_desired(connection)
    in_service = rollouts.terminals_in(connection, None)
    chosen = {each: area for each, area in in_service.items() if terminal_ids is None or each in terminal_ids}
    if not chosen:
        return 0
    effective = in_effect(connection, None if terminal_ids is None else chosen)
    settings = {target: each.settings for target, each in terminal_settings.all_settings(connection).items()}
    parents = rollouts.parents(connection)
    before = desired.find_desired(connection, None if terminal_ids is None else chosen)
    unknown = desired.find_unknown(connection, None if terminal_ids is None else chosen)
    if lift:
        unknown |= {
            each: max(unknown.get(each, 0), known.number + lift) for each, known in before.items() if each in chosen
        }
    changed: dict[str, Wanted] = {}
    for terminal_id, area in chosen.items():
        known, taken = before.get(terminal_id), unknown.get(terminal_id)
        wanted = wanted_of(terminal_id, chain_of(area, parents), effective, settings, door=door)
        if taken is not None:
            changed[terminal_id] = wanted.dated(None, taken + 1)
            continue
        wanted = wanted.dated(None if known is None else known.wanted, 1 if known is None else known.number + 1)
        if wanted != known.wanted if known is not None else not wanted.is_nothing:
            changed[terminal_id] = wanted
    desired.save_desired(connection, changed, above=unknown, now=now)
    return len(changed)


def renumber(connection: Connection, *, door: str | None, now: datetime) -> int:
    """Ask every terminal that was ever asked for all of it anew, far above any number it may have taken; return how many there are.

    For a database that was restored from a backup: a terminal that has no network says of no number that it took it, and one that
    took the very number which is given next does not take it again.
    """
    return refresh(connection, None, door=door, now=now, lift=_LIFT)


def in_effect(connection: Connection, terminal_ids: Collection[str] | None) -> list[InEffect]:
    """Return the roll-outs by which something is wanted, the newest first, with the places of terminals, all or some."""
    found = rollouts.rollouts_in(connection, _IN_EFFECT)
    known = bundles.find_bundles(connection, {each.bundle_id for each in found if each.bundle_id is not None})
    members = rollouts.membership(connection, [each.rollout_id for each in found], terminal_ids)
    return [_effect(each, known, members[each.rollout_id]) for each in found]


def signed_desired(
    connection: Connection,
    keys: FleetKeys,
    only: Sequence[str] | None,
    *,
    fleet_id: str,
    only_unsent: bool = False,
    now: datetime,
) -> list[tuple[str, bytes]]:
    """Return what terminals in service, all or some, are asked to be, signed, by terminal; it is noted as sent."""
    found = desired.take_desired(connection, only, only_unsent=only_unsent, now=now)
    return [(each.terminal_id, _signed(each, keys, fleet_id)) for each in found]


def wanted_bundles(connection: Connection, terminal_id: str) -> list[str]:
    """Return the ids of the bundles that a terminal is asked for, that in shadow among them."""
    found = desired.find_desired(connection, [terminal_id]).get(terminal_id)
    if found is None:
        return []
    shadow = () if found.wanted.shadow is None else (found.wanted.shadow,)
    return [each.bundle_id for each in (*found.wanted.bundles, *shadow)]


def settings_now(connection: Connection, terminal_id: str, instead: Mapping[Target, SettingValues]) -> SettingValues:
    """Return the settings that would be wanted of a terminal if some targets had others than they have."""
    area = terminals.find_terminals(connection, [terminal_id])[terminal_id].area
    settings = {target: each.settings for target, each in terminal_settings.all_settings(connection).items()}
    chain = chain_of(area, rollouts.parents(connection))
    effective = in_effect(connection, [terminal_id])
    return wanted_of(terminal_id, chain, effective, {**settings, **instead}, door=None).settings


def _effect(
    stored: StoredRollout,
    known: dict[str, bundles.StoredBundle],
    members: dict[str, rollouts.StoredMember],
) -> InEffect:
    return InEffect(
        state=State(stored.state),
        phase=stored.phase,
        areas=None if stored.areas is None else frozenset(stored.areas),
        places={each.terminal_id: Place(each.phase, each.is_left_out) for each in members.values()},
        bundle=None if stored.bundle_id is None else known[stored.bundle_id].asked,
        target=stored.target,
        settings=stored.settings,
        rollout_id=stored.rollout_id,
    )


def _signed(stored: StoredDesired, keys: FleetKeys, fleet_id: str) -> bytes:
    wanted = stored.wanted
    state = DesiredState(
        fleet_id=fleet_id,
        terminal_id=stored.terminal_id,
        number=stored.number,
        issued_at=stored.changed_at,
        door=wanted.door,
        bundles=wanted.bundles,
        shadow=wanted.shadow,
        settings=wanted.settings,
    )
    return sign(state.to_bytes(), key=keys.signing, typ=DESIRED_TYP)
