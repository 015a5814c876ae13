"""A roll-out of the made-up agency that is under way: its canary group kept it, its first share is at work, and two of them went back."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from demo.agency.conditions import Condition
from demo.agency.names import ADMINISTRATORS
from demo.agency.terminals import Terminal
from demo.agency.world import ZONE, Agenda, World
from fleet.store import desired, rollouts
from fleet.updates.bundles import add_bundle
from fleet.updates.rollout import Plan
from fleet.updates.rollouts import Means, Wish, make_rollout, start_rollout, take_turn
from fleet.updates.terminal_settings import set_for_terminal
from protocol.bundle import BundleFile, BundleKind, BundleManifest, write_bundle
from protocol.desired import ComingBundle, DesiredBundle, EndedTrial, ReportedState, RunningBundle, SettingValues
from protocol.keys import PrivateKey

_FIRST, _SECOND = ADMINISTRATORS[:2]
_PLAN = Plan(shares=(25, 100), soak=timedelta(hours=12), from_hour=6, until_hour=22, abort_percent=50)
_SIZE = 4_000_000
"""Bytes that the bundle is said to have on the terminals' way: as that of real networks."""


class UpdateWork:
    """Puts down a roll-out, and what terminals said of it."""

    def __init__(self, world: World, agenda: Agenda, made: Sequence[Terminal]) -> None:
        self._world = world
        self._agenda = agenda
        self._means = Means(world.keys.cipher, None)
        self._well = [each.terminal_id for each in made if each.condition is Condition.WELL]
        self._rollout_id = ""

    def put_down(self) -> None:
        """Put everything down."""
        at = self._world.at
        self._agenda.at(at(2, 9), self._make)
        self._agenda.at(at(2, 10), lambda now: self._start(_FIRST, now))
        self._agenda.at(at(2, 11), lambda now: self._start(_SECOND, now))
        self._agenda.at(at(1, 9), self._canary_keeps)
        self._agenda.at(at(0, 9), self._share_is_at_work)
        self._agenda.at(at(1, 11), self._set_one)

    def _make(self, now: datetime) -> None:
        world, body, key = self._world, b"made-up networks", PrivateKey.generate()
        manifest = BundleManifest(
            kind=BundleKind.NETWORKS,
            label="2026.11",
            number=7,
            floor=5,
            machine="aarch64",
            made_at=now - timedelta(days=1),
            expires_at=now + timedelta(days=365),
            files=(BundleFile(name="networks.bin", size=len(body), sha256=sha256(body).hexdigest()),),
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "networks.bundle"
            with path.open("wb") as target:
                write_bundle(target, manifest, [io.BytesIO(body)], key=key)
            stored = add_bundle(
                world.database,
                world.keys.cipher,
                path,
                Path(folder) / "updates",
                key_of=lambda _: key.public(),
                by=_FIRST,
                now=now,
            )
        wish = Wish(_PLAN, bundle_id=stored.bundle_id, canary=tuple(self._well[:3]))
        with world.database.begin() as connection:
            self._rollout_id = make_rollout(
                connection, self._means, wish, by=_FIRST, reason="Fewer people are asked to come twice", now=now
            )

    def _start(self, name: str, now: datetime) -> None:
        with self._world.database.begin() as connection:
            start_rollout(
                connection, self._means, self._rollout_id, by=name, reason="Compared on our own people", now=now
            )

    def _canary_keeps(self, now: datetime) -> None:
        for terminal_id in self._at_work():
            self._say(terminal_id, now, runs=True)
        self._turn(now)

    def _share_is_at_work(self, now: datetime) -> None:
        for place, terminal_id in enumerate(self._at_work()):
            if place == 0:
                self._say(terminal_id, now, goes_back=True)
            elif place % 4 == 1:
                self._say(terminal_id, now, received=_SIZE * (10 + place % 80) // 100)
            else:
                self._say(terminal_id, now, runs=True)
        self._turn(now)

    def _set_one(self, now: datetime) -> None:
        world = self._world
        with world.database.begin() as connection:
            set_for_terminal(
                connection,
                world.keys.cipher,
                self._well[-1],
                SettingValues(updates_bytes_per_s=65_536, voice_volume=0.8),
                by=_SECOND,
                reason="A thin link, and a loud hall",
                door=None,
                now=now,
            )

    def _at_work(self) -> list[str]:
        with self._world.database.begin() as connection:
            found = rollouts.members_of(
                connection, self._rollout_id, standings=["working"], limit=self._world.terminals
            )
        return [each.terminal_id for each in found]

    def _say(
        self,
        terminal_id: str,
        now: datetime,
        *,
        runs: bool = False,
        goes_back: bool = False,
        received: int | None = None,
    ) -> None:
        """Let a terminal say how far it is."""
        with self._world.database.begin() as connection:
            (wanted,) = desired.find_desired(connection, [terminal_id])[terminal_id].wanted.bundles
            reported = ReportedState(
                desired_number=1,
                running=(_running(wanted) if runs else RunningBundle(kind=wanted.kind, label="as on the card"),),
                coming=() if received is None else (_coming(wanted, received),),
                ended=(_ended(wanted, is_kept=runs),) if runs or goes_back else (),
            )
            desired.save_reported(connection, terminal_id, reported, is_behind=not runs, said_at=now, now=now)

    def _turn(self, now: datetime) -> None:
        with self._world.database.begin() as connection:
            take_turn(connection, self._means, self._rollout_id, zone=ZONE, now=now)


def _running(wanted: DesiredBundle) -> RunningBundle:
    return RunningBundle(kind=wanted.kind, bundle_id=wanted.bundle_id, number=wanted.number, label=wanted.label)


def _coming(wanted: DesiredBundle, received: int) -> ComingBundle:
    share = min(received, _SIZE) * wanted.size // _SIZE
    return ComingBundle(kind=wanted.kind, bundle_id=wanted.bundle_id, received=share, state="fetching")


def _ended(wanted: DesiredBundle, *, is_kept: bool) -> EndedTrial:
    why = "proven" if is_kept else "unhealthy"
    return EndedTrial(kind=wanted.kind, bundle_id=wanted.bundle_id, is_kept=is_kept, why=why)
