"""The rules of the made-up agency: policy, shipped packs in force, a pack proposed and tried on everybody, and proposed thresholds."""

from __future__ import annotations

from datetime import datetime

from demo.agency.names import ADMINISTRATORS
from demo.agency.world import POLICY, ZONE, World
from fleet.audit.log import note
from fleet.rules import publishing
from fleet.rules.publishing import Draft
from fleet.status.trials import Trials, ask_for_trial
from fleet.updates import calibration
from fleet.updates.calibration import Wanted
from fleet.updates.policy import publish_policy
from protocol.rules.pack import parse_pack
from protocol.shipped_packs import SHIPPED, shipped_text

PROPOSED = "GZ-2018"
"""Of this pack a second version is proposed, by which people have until the end of June."""
_TRIAL_S = 600.0
"""It takes some seconds for each 10,000 people."""


def publish(world: World) -> None:
    """Publish the policy, and put the shipped packs in force by the word of two persons; before there are people to try them on."""
    begun = world.at(950)
    publish_policy(world.database, world.keys, POLICY, now=begun, by=ADMINISTRATORS[0])
    for pack_id in SHIPPED:
        draft = publishing.read_draft(pack_id)
        name = publishing.propose(world.database, world.keys, draft, by=ADMINISTRATORS[0], now=begun)
        _note_try(world, draft, {"on": str(world.today), "people": 0, "covered": 0, "changed": 0}, begun)
        for by in ADMINISTRATORS[1:]:
            publishing.approve(
                world.database,
                world.keys,
                name,
                by=by,
                reason="As the regulation says",
                now=begun,
                although_nobody=True,
            )


def propose(world: World, now: datetime) -> None:
    """Propose a second version of a pack, and try it on everybody; it waits for two persons."""
    valid_from = world.at(-45).astimezone(ZONE).date()
    written = (
        shipped_text(PROPOSED)
        .replace("version = 1", "version = 2", 1)
        .replace('closes = "06-20"', 'closes = "06-30"', 1)
        .replace("valid_from = 2018-01-01", f"valid_from = {valid_from}", 1)
    )
    draft = Draft(parse_pack(written), written)
    publishing.propose(world.database, world.keys, draft, by=ADMINISTRATORS[1], now=now)
    with world.database.begin() as connection:
        ask_for_trial(
            connection,
            world.keys.cipher,
            draft.pack.pack_id,
            draft.pack.version,
            on=valid_from,
            by=ADMINISTRATORS[1],
            now=now,
        )
    trials = Trials(world.database, world.keys.cipher, zone=ZONE, clock=lambda: now)
    trials.go_on()
    trials.wait(_TRIAL_S)


def calibrate(world: World, now: datetime) -> None:
    """Propose thresholds found from the agency's people; they wait for two persons."""
    wanted = Wanted(next(iter(POLICY.comparison)), fmr=1e-4, grey_fmr=1e-2)
    today = now.astimezone(ZONE).date()
    calibration.propose(world.database, world.keys, wanted, by=ADMINISTRATORS[0], now=now, today=today)


def _note_try(world: World, draft: Draft, found: dict[str, str | int], now: datetime) -> None:
    with world.database.begin() as connection:
        note(
            connection,
            world.keys.cipher,
            actor=ADMINISTRATORS[1],
            action=publishing.TRIED,
            object_kind=publishing.OBJECT,
            object_id=publishing.name_of(draft.pack),
            detail={"sha256": draft.sha256, **found},
            now=now,
        )
