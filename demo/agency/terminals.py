"""The terminals of the made-up agency: their keys and chains, the state each is in, and what they say about themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from random import Random

from sqlalchemy import text

from demo.agency.people import Community, made_id
from demo.agency.world import FLEET_ID, POLICY, World
from fleet.store import rosters, terminals
from protocol.envelope import sha256_of, sign
from protocol.keys import PrivateKey
from protocol.presence import OutboxCounts, PictureCounts, Presence
from protocol.records import Link

SOFTWARE = "0.1.0"
_OLD_SOFTWARE = "0.0.9"


class Condition(StrEnum):
    """What is the matter with a terminal."""

    WELL = "well"
    DULL = "dull"
    """Its pictures have lost sharpness over two weeks: the lens wants cleaning."""
    GLARING = "glaring"
    """Its pictures are too bright since a day: the lamp was moved."""
    SILENT = "silent"
    """Says it is online, and was not heard of for days."""
    OFFLINE = "offline"
    NEVER_SEEN = "never_seen"
    RETIRED = "retired"
    OLD_OUTBOX = "old_outbox"
    """Online, and what it recorded does not come through."""
    GAPS = "gaps"
    """Counters of its chain are missing."""
    QUARANTINED = "quarantined"
    """Messages of it were refused."""


_SHARES: tuple[tuple[Condition, float], ...] = (
    (Condition.SILENT, 0.04),
    (Condition.OFFLINE, 0.05),
    (Condition.NEVER_SEEN, 0.025),
    (Condition.RETIRED, 0.025),
    (Condition.OLD_OUTBOX, 0.025),
    (Condition.GAPS, 0.02),
    (Condition.QUARANTINED, 0.015),
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
    """Store what each terminal said of itself last; retire those that are."""
    draw = Random(f"{world.seed} presence")  # noqa: S311 - a made population
    with world.database.begin() as connection:
        rosters.refresh(connection, [terminal.terminal_id for terminal in made])
        rows = connection.execute(text(_KNOWN)).all()
        versions = {row.terminal_id: row.roster_version for row in rows}
        copied = {row.terminal_id: row.copied for row in rows}
        for terminal in made:
            if terminal.condition is Condition.NEVER_SEEN:
                continue
            said = presence_of(world, terminal, draw, versions)
            heard = said.said_at + timedelta(seconds=2)
            terminals.save_presence(connection, said, now=heard)
            terminals.note_links(
                connection,
                terminal.terminal_id,
                counter=terminal.counter,
                records=copied[terminal.terminal_id],
                by_stick=False,
                now=heard,
            )
            if terminal.condition is Condition.RETIRED:
                terminals.retire(connection, terminal.terminal_id, now=world.at(terminal.heard_days_ago, 18))


def presence_of(world: World, terminal: Terminal, draw: Random, versions: Mapping[str, int]) -> Presence:
    """Return what a terminal said of itself last. What else presence comes to say (health) is drawn here, by its condition."""
    said_at = world.now - timedelta(days=terminal.heard_days_ago, seconds=draw.randrange(20, 240))
    is_offline = terminal.condition in (Condition.OFFLINE, Condition.RETIRED)
    is_stuck = terminal.condition is Condition.OLD_OUTBOX
    waiting = draw.randrange(40, 160) if is_stuck else draw.randrange(2)
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
    )
