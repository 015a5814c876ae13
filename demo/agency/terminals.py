"""The terminals of the made-up agency: their keys and chains, the state each is in, and what they say about themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from sqlalchemy import text

from demo.agency.conditions import Condition, health_of, hours_of
from demo.agency.copying import copy_rows
from demo.agency.people import Community, made_id
from demo.agency.world import FLEET_ID, POLICY, World
from fleet.store import rosters, terminal_health, terminals
from protocol.envelope import sha256_of, sign
from protocol.keys import PrivateKey
from protocol.presence import OutboxCounts, PictureCounts, Presence
from protocol.records import Link

SOFTWARE = "0.1.0"
_OLD_SOFTWARE = "0.0.9"


_SHARES: tuple[tuple[Condition, float], ...] = (
    (Condition.SILENT, 0.04),
    (Condition.OFFLINE, 0.05),
    (Condition.NEVER_SEEN, 0.025),
    (Condition.RETIRED, 0.025),
    (Condition.OLD_OUTBOX, 0.025),
    (Condition.GAPS, 0.02),
    (Condition.QUARANTINED, 0.015),
    (Condition.WARM, 0.01),
    (Condition.LOW_BATTERY, 0.01),
    (Condition.UNSURE_CLOCK, 0.01),
    (Condition.BY_STICK, 0.01),
)
"""Of all terminals; at least one is in each, and the rest are well."""
_HEARD = {Condition.SILENT: 3.0, Condition.OFFLINE: 1.2, Condition.RETIRED: 20.0}
"""Days since a terminal was heard of last; minutes for every other."""


@dataclass(slots=True)
class Terminal:
    """One terminal, with its end of the chain."""

    terminal_id: str
    community: Community
    condition: Condition
    signing: PrivateKey = field(repr=False)
    sealing: PrivateKey = field(repr=False)
    counter: int = 0
    previous: str | None = None

    def head(self, record_id: str) -> dict[str, str | int | None]:
        """Return the fields of the next link that say where in the chain it is."""
        return {
            "record_id": record_id,
            "fleet_id": FLEET_ID,
            "terminal_id": self.terminal_id,
            "counter": self.counter + 1,
            "previous": self.previous,
        }

    def sign(self, link: Link, typ: str) -> tuple[bytes, str]:
        """Return a link as it travels, and its digest; the chain goes on from it."""
        envelope = sign(link.to_bytes(), key=self.signing, typ=typ)
        self.counter, self.previous = link.counter, sha256_of(envelope)
        return envelope, self.previous

    @property
    def heard_days_ago(self) -> float:
        """How long ago it was heard of last, in days."""
        return _HEARD.get(self.condition, 0.0)


def make_terminals(world: World, where: Sequence[Community]) -> list[Terminal]:
    """Return the terminals, spread evenly over the communities; the first two stand in the first one."""
    conditions = [Condition.DULL, Condition.GLARING]
    for condition, share in _SHARES:
        conditions += [condition] * max(1, round(share * world.terminals))
    # The first community's are well but for two: there sessions are many enough for charts.
    conditions[2:2] = [Condition.WELL] * max(0, -(-world.terminals // len(where)) - 2)
    conditions += [Condition.WELL] * (world.terminals - len(conditions))
    return [
        Terminal(
            f"t-{number:04d}",
            where[number * len(where) // world.terminals],
            condition,
            PrivateKey.generate(),
            PrivateKey.generate(),
        )
        for number, condition in enumerate(conditions[: world.terminals])
    ]


def register(world: World, made: Sequence[Terminal]) -> None:
    """Register the terminals, each with the people of its community on its roster."""
    with world.database.begin() as connection:
        for terminal in made:
            terminals.add_terminal(
                connection,
                terminal.terminal_id,
                area=terminal.community.code,
                signing_key=terminal.signing.public(),
                sealing_key=terminal.sealing.public(),
                now=world.at(400),
            )
            rosters.assign(connection, terminal.terminal_id, "area", terminal.community.code)


_KNOWN = """
SELECT t.terminal_id, t.roster_version, (SELECT count(*) FROM records r WHERE r.terminal_id = t.terminal_id) - t.records AS copied
FROM terminals t
"""
"""Records that were copied are counted by nobody else."""


def tell_presence(world: World, made: Sequence[Terminal]) -> None:
    """Store what each terminal said of itself last, and how it was in the week before."""
    draw = Random(f"{world.seed} presence")  # noqa: S311 - a made population
    hours: list[tuple[object, ...]] = []
    with world.database.begin() as connection:
        rosters.refresh(connection, [terminal.terminal_id for terminal in made])
        rows = connection.execute(text(_KNOWN)).all()
        versions = {row.terminal_id: row.roster_version for row in rows}
        copied = {row.terminal_id: row.copied for row in rows}
        packs = connection.execute(text("SELECT max(in_force_at) FROM rule_packs")).scalar_one()
        for terminal in made:
            if terminal.condition is Condition.NEVER_SEEN:
                continue
            is_by_stick = terminal.condition is Condition.BY_STICK
            heard = world.now - timedelta(hours=20)
            if not is_by_stick:
                said = presence_of(world, terminal, draw, versions, packs)
                heard = said.said_at + timedelta(seconds=2)
                terminals.save_presence(connection, said, now=heard)
                terminal_health.save_health(connection, said, now=heard)
                hours += hours_of(terminal.condition, terminal.terminal_id, said.said_at, waiting=said.outbox.pending)
            terminals.note_links(
                connection,
                terminal.terminal_id,
                counter=terminal.counter,
                records=copied[terminal.terminal_id],
                by_stick=is_by_stick,
                now=heard,
            )
    copy_rows(world.url, {"terminal_health": hours})


def presence_of(
    world: World, terminal: Terminal, draw: Random, versions: Mapping[str, int], packs: datetime | None
) -> Presence:
    """Return what a terminal said of itself last.

    Args:
        world: the agency.
        terminal: which.
        draw: for what differs from one to the other.
        versions: of the rosters, by terminal.
        packs: when the newest rule pack came into force.
    """
    said_at = world.now - timedelta(days=terminal.heard_days_ago, seconds=draw.randrange(20, 50))
    is_offline = terminal.condition in (Condition.OFFLINE, Condition.RETIRED)
    is_stuck = terminal.condition is Condition.OLD_OUTBOX
    is_away = terminal.heard_days_ago > 0
    waiting = draw.randrange(40, 160) if is_stuck else 0 if is_away else draw.randrange(2)
    is_old = draw.random() < 0.1
    roster = versions.get(terminal.terminal_id, 0)
    return Presence(
        fleet_id=FLEET_ID,
        terminal_id=terminal.terminal_id,
        state="offline" if is_offline else "online",
        boot_id=made_id(world.seed, f"boot {terminal.terminal_id}", 0),
        connection=int((said_at - timedelta(hours=draw.randrange(1, 90))).timestamp() * 1e9),
        said_at=said_at,
        software=_OLD_SOFTWARE if is_old else SOFTWARE,
        policy_version=POLICY.policy_version,
        roster_version=max(0, roster - draw.randrange(5)) if is_stuck else roster,
        outbox=OutboxCounts(
            pending=waiting,
            published=0,
            acknowledged=terminal.counter,
            refused=2 if terminal.condition is Condition.QUARANTINED else 0,
            stored=terminal.counter + waiting,
        ),
        pictures=PictureCounts(waiting=draw.randrange(3) if is_stuck else 0, refused=0),
        health=health_of(
            terminal.condition,
            terminal.terminal_id,
            said_at,
            software=_OLD_SOFTWARE if is_old else SOFTWARE,
            packs=None if is_stuck else packs,
            is_waiting=waiting > 0,
        ),
    )
