"""Bundles, roll-outs and settings on a real database: what is asked of whom, what comes back, and that any number of programs may look."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fleet.audit.log import entries
from fleet.cli import app
from fleet.errors import NotFound, Refused
from fleet.ingest.courier import FleetCourier
from fleet.store import desired, rollouts
from fleet.store.areas import Area, save_areas
from fleet.store.bundles import running_counts
from fleet.store.terminals import set_area
from fleet.terminals.asked import asked_and_said
from fleet.updates import rollouts as work
from fleet.updates.bundles import add_bundle, bundle_folder, release_keys, remove_bundle
from fleet.updates.desired import renumber, signed_desired
from fleet.updates.driver import RolloutDriver
from fleet.updates.rollout import Plan
from fleet.updates.rollouts import Means, Wish
from fleet.updates.terminal_settings import set_for_terminal
from protocol.bundle import BundleFile, BundleKind, BundleManifest, write_bundle
from protocol.courier import ROOT, UPDATES, fleet_folder, update_file
from protocol.desired import (
    DESIRED_TYP,
    ComingBundle,
    DesiredState,
    EndedTrial,
    ReportedState,
    RunningBundle,
    SettingValues,
)
from protocol.envelope import sign, verify
from protocol.events import EventKind
from protocol.keys import PrivateKey
from protocol.presence import PRESENCE_TYP, OutboxCounts, Presence
from protocol.release_keys import write_release_keys
from protocol.times import ClockSource, DeviceTime
from protocol.topics import Kind

pytestmark = pytest.mark.integration
DOOR = "https://fleet.example:8444"
RELEASE = PrivateKey.generate()
PLAN = Plan(shares=(50, 100), soak=timedelta(hours=1), least_counted=2, abort_percent=40, lost_after=timedelta(hours=6))


def send_presence(office: Any, terminal: Any, reported: ReportedState | None) -> None:
    """Let a terminal say now what it runs, as it does over the network."""
    presence = Presence(
        fleet_id=terminal.fleet_id,
        terminal_id=terminal.terminal_id,
        state="online",
        boot_id="b" * 32,
        connection=1,
        said_at=office.now,
        software="1.4.0",
        policy_version=None,
        roster_version=0,
        outbox=OutboxCounts(pending=0, published=0, acknowledged=0, refused=0),
        reported=reported,
    )
    office.send(terminal, sign(presence.to_bytes(), key=terminal.signing, typ=PRESENCE_TYP), kind=Kind.PRESENCE)


@dataclass
class Updates:
    """The office with its terminals, and what tests do with them."""

    office: Any
    terminals: dict[str, Any]
    folder: Path

    @property
    def means(self) -> Means:
        return Means(self.office.keys.cipher, DOOR)

    def file(self, number: int, kind: BundleKind = BundleKind.NETWORKS, content: bytes = b"", **changes: Any) -> Path:
        body = content or b"network %d" % number
        key = changes.pop("key", RELEASE)
        given = {
            "kind": kind,
            "label": f"n{number}",
            "number": number,
            "floor": 1,
            "made_at": self.office.now,
            "expires_at": self.office.now + timedelta(days=365),
            "files": (BundleFile(name="a.bin", size=len(body), sha256=sha256(body).hexdigest()),),
            **changes,
        }
        path = self.folder / f"{kind}-{number}.bundle"
        with path.open("wb") as target:
            write_bundle(target, BundleManifest(**given), [io.BytesIO(body)], key=key)
        return path

    def add(self, number: int, kind: BundleKind = BundleKind.NETWORKS, **changes: Any) -> str:
        return self.take(self.file(number, kind, **changes))

    def take(self, path: Path) -> str:
        keys = self.folder / "release-keys.json"
        keys.write_bytes(write_release_keys([RELEASE.public()]))
        return add_bundle(
            self.office.database,
            self.office.keys.cipher,
            path,
            bundle_folder(self.office.settings.data_dir),
            key_of=release_keys(keys),
            by="Li Na",
            now=self.office.now,
        ).bundle_id

    def make(self, bundle_id: str | None, **changes: Any) -> str:
        wish = Wish(**{"plan": PLAN, "bundle_id": bundle_id, "canary": ("t-0",), **changes})
        with self.office.database.begin() as connection:
            return work.make_rollout(connection, self.means, wish, by="Li Na", reason="better", now=self.office.now)

    def start(self, rollout_id: str, *names: str) -> bool:
        runs = False
        for name in names or ("Li Na", "Wang Wei"):
            with self.office.database.begin() as connection:
                runs = work.start_rollout(
                    connection, self.means, rollout_id, by=name, reason="looked at it", now=self.office.now
                )
        return runs

    def act(self, what: Callable[..., None], rollout_id: str, *rest: str) -> None:
        with self.office.database.begin() as connection:
            what(connection, self.means, rollout_id, *rest, by="Li Na", now=self.office.now)

    def driver(self) -> RolloutDriver:
        zone, clock = self.office.settings.zone(), self.office.clock
        return RolloutDriver(self.office.database, self.office.keys.cipher, door=DOOR, zone=zone, clock=clock)

    def turn(self, hours: float = 0) -> str:
        self.office.now += timedelta(hours=hours)
        self.driver().turn()
        return self.state()

    def turn_alone(self) -> None:
        """Take a turn where there is no roll-out."""
        self.driver().turn()

    def state(self) -> str:
        """State and phase of the newest roll-out."""
        with self.office.database.begin() as connection:
            found = rollouts.newest_rollouts(connection, limit=1)[0]
        return f"{found.state} {found.phase}" + (f" {found.why}" if found.why else "")

    def wanted(self) -> dict[str, list[int]]:
        """Numbers of the bundles that each terminal is asked for."""
        with self.office.database.begin() as connection:
            found = desired.find_desired(connection)
        return {name: [each.number for each in found[name].wanted.bundles] for name in self.terminals if name in found}

    def numbers(self) -> dict[str, int]:
        """Number of what each terminal is asked for."""
        with self.office.database.begin() as connection:
            return {name: each.number for name, each in desired.find_desired(connection).items()}

    def asked(self, name: str) -> DesiredState:
        """What a terminal is asked for, as it is signed."""
        keys, fleet_id = self.office.keys, self.office.settings.fleet_id
        with self.office.database.begin() as connection:
            ((_, token),) = signed_desired(connection, keys, [name], fleet_id=fleet_id, now=self.office.now)
        return DesiredState.parse(verify(token, key_of=keys.signing.public().only, typ=DESIRED_TYP).payload)

    def standings(self) -> dict[str, str]:
        with self.office.database.begin() as connection:
            newest = rollouts.newest_rollouts(connection, limit=1)[0].rollout_id
            return {each.terminal_id: each.standing for each in rollouts.members_of(connection, newest, limit=50)}

    def say(self, name: str, **reported: Any) -> None:
        """Let a terminal say what it runs, as it does over the network."""
        self.office.now += timedelta(seconds=1)
        state = ReportedState(**{"desired_number": self.numbers().get(name, 0), **reported}) if reported else None
        send_presence(self.office, self.terminals[name], state)

    def keeps(self, bundle_id: str, *names: str) -> None:
        for name in names:
            self.say(name, running=(runs(bundle_id),))

    def ends(
        self,
        name: str,
        bundle_id: str,
        kept: str,
        why: str,
        *,
        wish: int | None = None,
        hours_ago: float = 0,
        **clock: Any,
    ) -> None:
        """Let a terminal's chain say how a trial ended, as it comes by stick; without the wish as programs of before say it."""
        self.office.now += timedelta(seconds=1)
        when = DeviceTime(
            boot_id="b" * 32,
            monotonic_ns=1,
            wall_clock=self.office.now - timedelta(hours=hours_ago),
            **{"source": ClockSource.NETWORK, "uncertainty_s": 0.5, **clock},
        )
        detail = {"kind": "networks", "bundle": bundle_id[:16], "number": "7", "kept": kept, "why": why}
        if wish is not None:
            detail["wish"] = str(wish)
        terminal = self.terminals[name]
        self.office.send(terminal, terminal.next_event(kind=EventKind.UPDATE_ENDED, at=when, detail=detail))

    def asked_anew(self) -> str:
        """Have a bundle go back on two terminals, and roll it out to all once more: of wish 1, and then of wish 3."""
        bundle_id = self.add(7)
        self.start(self.make(bundle_id, canary=tuple(self.terminals)))
        for name in ("t-0", "t-1"):
            self.say(name, desired_number=1, ended=(went_back(bundle_id),))
        assert self.turn() == "aborted 0 went_back"
        self.turn(hours=1)
        self.start(self.make(bundle_id, canary=tuple(self.terminals)))
        return bundle_id

    def actions(self) -> list[str]:
        with self.office.database.begin() as connection:
            return [each.action for each in entries(connection) if each.action.startswith("rollout.")]


def runs(bundle_id: str, number: int = 7, *, is_on_trial: bool = False) -> RunningBundle:
    return RunningBundle(
        kind=BundleKind.NETWORKS, bundle_id=bundle_id, number=number, label=f"n{number}", is_on_trial=is_on_trial
    )


def went_back(bundle_id: str, why: str = "unhealthy") -> EndedTrial:
    return EndedTrial(kind=BundleKind.NETWORKS, bundle_id=bundle_id, is_kept=False, why=why)


@pytest.fixture
def updates(office: Any, make_fleet_terminal: Callable[..., Any], tmp_path: Path) -> Updates:
    """Four terminals, two of each of two areas below one."""
    office.settings = office.settings.model_copy(update={"data_dir": tmp_path / "data"})
    with office.database.begin() as connection:
        save_areas(connection, [Area("all", None, 1, "省"), Area("east", "all", 2, "东"), Area("west", "all", 2, "西")])
    made = {}
    for place in range(4):
        terminal = make_fleet_terminal(terminal_id=f"t-{place}")
        office.register(terminal, area="east" if place < 2 else "west")
        made[terminal.terminal_id] = terminal
    return Updates(office, made, tmp_path)


def refused(what: Callable[[], object], kind: type[Exception] = Refused) -> str:
    with pytest.raises(kind) as found:
        what()
    return str(found.value.code)  # type: ignore[attr-defined]


def test_a_bundle_is_taken_only_with_a_release_key_and_once(updates: Updates) -> None:
    bundle_id = updates.add(7)
    path = bundle_folder(updates.office.settings.data_dir) / f"{bundle_id}.bundle"
    assert path.read_bytes() == (updates.folder / "networks-7.bundle").read_bytes()
    assert refused(lambda: updates.take(path)) == "bundle_known"
    assert refused(lambda: updates.add(7, content=b"another")) == "bundle_number"
    # For another board the same number is another thing.
    updates.add(7, content=b"arm", machine="aarch64")
    stranger = updates.file(8, key=PrivateKey.generate())
    assert refused(lambda: updates.take(stranger)) == "bundle_refused"
    damaged = updates.file(9)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert refused(lambda: updates.take(damaged)) == "bundle_refused"
    old = updates.file(10, made_at=updates.office.now - timedelta(days=9), expires_at=updates.office.now)
    assert refused(lambda: updates.take(old)) == "bundle_refused"
    # Nothing of what was refused is left behind.
    assert len(list(path.parent.iterdir())) == 2


def test_it_comes_to_the_canary_group_then_to_shares_and_then_holds_for_all(
    updates: Updates, make_fleet_terminal: Callable[..., Any]
) -> None:
    bundle_id = updates.add(7)
    rollout_id = updates.make(bundle_id)
    assert not updates.start(rollout_id, "Li Na")
    assert refused(lambda: updates.start(rollout_id, "Li Na")) == "same_person"
    assert updates.wanted() == {}
    assert updates.start(rollout_id, "Wang Wei")
    assert updates.wanted() == {"t-0": [7]}
    assert updates.turn(hours=2) == "running 0"
    updates.say("t-0", coming=(coming(bundle_id, 4),))
    assert updates.turn() == "running 0"
    updates.keeps(bundle_id, "t-0")
    assert updates.turn() == "running 1"
    assert sum(bool(found) for found in updates.wanted().values()) == 2
    second = next(name for name in updates.wanted() if name != "t-0")
    # On trial is not kept yet.
    updates.say(second, running=(runs(bundle_id, is_on_trial=True),))
    assert updates.turn(hours=1) == "running 1"
    updates.keeps(bundle_id, second)
    assert updates.turn() == "running 2"
    assert updates.wanted() == {name: [7] for name in updates.terminals}
    updates.keeps(bundle_id, *updates.terminals)
    assert updates.turn(hours=1) == "done 2"
    assert set(updates.standings().values()) == {"kept"}
    # Who comes afterwards is asked for it, too.
    updates.office.register(make_fleet_terminal(terminal_id="t-9"), area="west")
    updates.turn()
    with updates.office.database.begin() as connection:
        assert [each.number for each in desired.find_desired(connection)["t-9"].wanted.bundles] == [7]
    begun = ["rollout.made", "rollout.approved", "rollout.started"]
    assert sorted(updates.actions()) == sorted([*begun, "rollout.went_on", "rollout.went_on", "rollout.done"])


def coming(bundle_id: str, received: int, state: str = "fetching") -> ComingBundle:
    return ComingBundle(kind=BundleKind.NETWORKS, bundle_id=bundle_id, received=received, state=state)  # type: ignore[arg-type]


def test_it_turns_back_by_itself_and_asks_for_what_was_asked_before(updates: Updates) -> None:
    old = updates.add(6)
    updates.start(updates.make(old, canary_count=4, canary=()))
    new = updates.add(7)
    assert refused(lambda: updates.make(new)) == "rollout_under_way"
    updates.keeps(old, *updates.terminals)
    # Phases without terminals take no time of their own.
    assert [updates.turn(hours=1) for _ in range(2)] == ["running 2", "done 2"]
    updates.start(updates.make(new, canary=("t-0", "t-1")))
    assert updates.wanted() == {"t-0": [7], "t-1": [7], "t-2": [6], "t-3": [6]}
    updates.say("t-0", running=(runs(old, 6),), ended=(went_back(new),))
    # One is too few to judge by.
    assert updates.turn() == "running 0"
    updates.keeps(new, "t-1")
    assert updates.turn() == "aborted 0 went_back"
    assert updates.wanted() == {name: [6] for name in updates.terminals}
    assert "rollout.turned_back" in updates.actions()


def test_what_went_back_before_says_nothing_of_a_second_roll_out_of_the_same(updates: Updates) -> None:
    bundle_id = updates.asked_anew()
    # Asked for nothing since the abort, and for this bundle anew: what they said of it was before, and so is what they say as
    # long as they have not heard, or what comes late by stick.
    assert updates.turn() == "running 0"
    updates.say("t-0", desired_number=2, ended=(went_back(bundle_id),))
    updates.ends("t-1", bundle_id, "no", "crash_loop", hours_ago=0.5)
    updates.ends("t-2", bundle_id, "no", "crash_loop", source=ClockSource.NONE, uncertainty_s=None)
    assert updates.turn() == "running 0"
    assert set(updates.standings().values()) == {"working"}
    # Tried once more, it counts: by its own word, by its chain, and where nothing but the fleet's time of since bounds the clock.
    updates.say("t-0", desired_number=3, ended=(went_back(bundle_id),), coming=(coming(bundle_id, 4),))
    assert updates.turn() == "running 0"
    updates.keeps(bundle_id, "t-3")
    updates.say("t-0", desired_number=3, ended=(went_back(bundle_id),), coming=(coming(bundle_id, 9, "refused"),))
    none = {"source": ClockSource.NONE, "uncertainty_s": None}
    updates.ends("t-2", bundle_id, "no", "crash_loop", last_fleet_time=updates.office.now, **none)
    updates.turn()
    assert updates.standings() == {"t-0": "went_back", "t-1": "working", "t-2": "went_back", "t-3": "kept"}
    assert updates.state() == "aborted 0 went_back"


def test_a_trial_for_a_wish_of_before_is_no_answer_whenever_it_ends(updates: Updates) -> None:
    bundle_id = updates.asked_anew()
    # An older stick brought the first wish after the second was said; one has heard of the second while its trial for the first went on.
    updates.say("t-1", desired_number=3, coming=(coming(bundle_id, 9, "fetched"),))
    for name in ("t-0", "t-1"):
        updates.ends(name, bundle_id, "no", "crash_loop", wish=1)
    updates.turn()
    assert set(updates.standings().values()) == {"working"}
    # The answer counts, also where nothing bounds the clock; and what is kept is what runs, for whichever wish it was tried.
    updates.ends("t-0", bundle_id, "no", "crash_loop", wish=3, source=ClockSource.NONE, uncertainty_s=None)
    updates.ends("t-1", bundle_id, "yes", "proven", wish=1)
    updates.turn()
    assert updates.standings() == {"t-0": "went_back", "t-1": "kept", "t-2": "working", "t-3": "working"}


def test_a_fleet_of_an_older_backup_asks_above_what_its_terminals_took_before(updates: Updates) -> None:
    bundle_id = updates.add(7)
    # t-0 and t-1 have heard of wishes that this database does not know, t-2 and t-3 of none.
    ended = (went_back(bundle_id, "crash_loop"),)
    refuses = {"kind": BundleKind.NETWORKS, "bundle_id": bundle_id, "received": 9, "state": "refused", "why": "too_old"}
    updates.say("t-0", desired_number=50, ended=ended)
    updates.start(updates.make(bundle_id, canary=("t-0", "t-1", "t-2")))
    assert updates.numbers() == {"t-0": 51, "t-1": 1, "t-2": 1}
    assert (updates.asked("t-0").number, updates.asked("t-0").bundles[0].since) == (51, 51)
    # One says so while it is asked already, and what ended there is of before: no answer, also not until it is asked anew.
    assert updates.asked("t-1").number == 1
    updates.say("t-0", desired_number=50, ended=ended)
    updates.say("t-1", desired_number=50, coming=(refuses,))
    updates.ends("t-1", bundle_id, "no", "crash_loop", wish=50)
    with updates.office.database.begin() as connection:
        rollout_id = rollouts.newest_rollouts(connection, limit=1)[0].rollout_id
        work.take_turn(
            connection, updates.means, rollout_id, zone=updates.office.settings.zone(), now=updates.office.now
        )
    assert (updates.state(), set(updates.standings().values())) == ("running 0", {"working", "ahead"})
    assert updates.turn() == "running 0"
    assert updates.numbers() == {"t-0": 51, "t-1": 51, "t-2": 1}
    assert (updates.asked("t-1").number, updates.asked("t-1").bundles[0].since) == (51, 51)
    updates.ends("t-1", bundle_id, "no", "crash_loop", wish=50)
    updates.turn()
    assert updates.standings()["t-1"] == "working"
    # Asked anew once, and its answer to that counts.
    updates.say("t-1", ended=ended)
    updates.say("t-0", ended=ended)
    assert updates.turn() == "aborted 0 went_back"
    assert updates.numbers() == {"t-0": 52, "t-1": 52, "t-2": 2}


def test_terminals_that_say_nothing_are_asked_far_above_what_they_may_have_taken(updates: Updates) -> None:
    bundle_id = updates.add(7)
    updates.start(updates.make(bundle_id, canary=("t-0", "t-1")))
    with updates.office.database.begin() as connection:
        assert renumber(connection, door=updates.means.door, now=updates.office.now) == 2
    assert updates.numbers() == {"t-0": 1002, "t-1": 1002}
    assert (updates.asked("t-0").number, updates.asked("t-0").bundles[0].since) == (1002, 1002)
    # What ended for the wish that took the same number after the backup is no answer to this one.
    updates.ends("t-0", bundle_id, "no", "crash_loop", wish=2)
    updates.turn()
    assert updates.standings()["t-0"] == "working"
    for name in ("t-0", "t-1"):
        updates.say(name, desired_number=1002, ended=(went_back(bundle_id, "crash_loop"),))
    assert updates.turn() == "aborted 0 went_back"


def test_a_terminal_that_was_asked_for_more_than_the_backup_knows_is_asked_for_nothing(updates: Updates) -> None:
    updates.say("t-0", desired_number=50, settings={"uplink_window": 9})
    assert behind(updates, "t-0")
    updates.turn_alone()
    asked = updates.asked("t-0")
    assert (asked.number, asked.bundles, asked.settings) == (51, (), SettingValues())
    updates.say("t-0", settings={"uplink_window": 3})
    assert not behind(updates, "t-0")
    updates.turn_alone()
    assert updates.numbers() == {"t-0": 51}


def test_a_number_to_which_no_fleet_comes_is_not_believed(updates: Updates, caplog: pytest.LogCaptureFixture) -> None:
    updates.start(updates.make(updates.add(7), canary=("t-0",)))
    for number in (10**9 + 1, 2**63, 10**400):
        updates.say("t-0", desired_number=number)
        updates.say("t-0", desired_number=number)
        updates.turn()
    assert updates.numbers() == {"t-0": 1}
    assert [each.levelname for each in caplog.records if "not believed" in each.message] == ["ERROR"] * 3, "once each"
    updates.say("t-0", desired_number=10**9)
    updates.turn()
    assert updates.asked("t-0").number == 10**9 + 1


def test_why_a_terminal_went_back_stays_with_its_roll_out(updates: Updates) -> None:
    bundle_id, canary = updates.add(7), ("t-0", "t-1", "t-2", "t-3")

    def whys(rollout_id: str) -> dict[str, str]:
        with updates.office.database.begin() as connection:
            members = rollouts.members_of(connection, rollout_id, limit=9)
        return {each.terminal_id: each.why for each in members if each.why is not None}

    first = updates.make(bundle_id, canary=canary)
    updates.start(first)
    refuses = {"kind": BundleKind.NETWORKS, "bundle_id": bundle_id, "received": 9, "state": "refused", "why": "too_old"}
    updates.say("t-2", desired_number=1, coming=(refuses,))
    updates.say("t-0", desired_number=1, ended=(went_back(bundle_id, "crash_loop"),))
    updates.say("t-1", desired_number=1, ended=(went_back(bundle_id, "crash_loop"),))
    assert updates.turn() == "aborted 0 went_back"
    told = {"t-0": "crash_loop", "t-1": "crash_loop", "t-2": "too_old"}
    assert whys(first) == told
    # Nothing of the bundle is said where it is asked for no more, and something else when it is rolled out again.
    updates.say("t-2", desired_number=2)
    assert whys(first) == told
    second = updates.make(bundle_id, canary=canary)
    updates.start(second)
    updates.say("t-0", desired_number=3, ended=(went_back(bundle_id, "no_contact"),))
    updates.turn()
    assert whys(second) == {"t-0": "no_contact"}
    assert whys(first) == told
    updates.act(work.leave_out, second, "t-0")
    assert whys(second) == {}, "one that is left out says nothing of it"


def test_silence_after_the_question_counts_and_never_having_heard_it_does_not(updates: Updates) -> None:
    bundle_id = updates.add(7)
    for name in ("t-0", "t-1", "t-2"):
        updates.say(name)
    updates.start(updates.make(bundle_id, canary=("t-0", "t-1", "t-2")))
    updates.say("t-0")
    updates.turn(hours=5)
    assert updates.standings() == {"t-0": "working", "t-1": "working", "t-2": "working", "t-3": "ahead"}
    updates.turn(hours=1.1)
    assert updates.standings() == {"t-0": "lost", "t-1": "unreachable", "t-2": "unreachable", "t-3": "ahead"}
    # Nobody was kept: it holds, and is said to.
    assert updates.state() == "running 0"
    with updates.office.database.begin() as connection:
        assert work.watched(connection, rollouts.newest_rollouts(connection, limit=1))[0].is_held
    # One that comes back late counts as what it is.
    updates.keeps(bundle_id, "t-1")
    assert updates.turn() == "aborted 0 lost"


def test_pause_resume_leave_out_and_abort_by_a_person(updates: Updates) -> None:
    bundle_id = updates.add(7)
    rollout_id = updates.make(bundle_id)
    assert refused(lambda: updates.act(work.pause_rollout, rollout_id)) == "rollout_state"
    updates.start(rollout_id)
    updates.keeps(bundle_id, "t-0")
    updates.act(work.pause_rollout, rollout_id)
    assert updates.turn(hours=2) == "paused 0 by_person"
    assert updates.standings()["t-0"] == "kept"
    updates.act(work.resume_rollout, rollout_id)
    with updates.office.database.begin() as connection:
        assert desired.find_desired(connection)["t-0"].wanted.door == DOOR
    assert updates.turn() == "running 1"
    second = next(name for name in updates.wanted() if name != "t-0")
    updates.act(work.leave_out, rollout_id, second)
    assert updates.wanted()[second] == []
    assert refused(lambda: updates.act(work.leave_out, rollout_id, second), NotFound) == "rollout_not_in"
    assert updates.turn(hours=1) == "running 2"
    updates.act(work.abort_rollout, rollout_id)
    assert {name: found for name, found in updates.wanted().items() if found} == {}
    assert updates.state() == "aborted 2 by_person"
    assert refused(lambda: updates.act(work.resume_rollout, rollout_id)) == "rollout_state"


def test_what_cannot_be_rolled_out_is_refused(updates: Updates) -> None:
    bundle_id = updates.add(7)
    assert refused(lambda: updates.make(bundle_id, areas=("nowhere",)), NotFound) == "area_unknown"
    assert refused(lambda: updates.make("f" * 64), NotFound) == "bundle_unknown"
    assert refused(lambda: updates.make(bundle_id, areas=("east",), canary=("t-3",))) == "rollout_stranger"
    east = updates.make(bundle_id, areas=("east",))
    assert refused(lambda: updates.make(bundle_id)) == "rollout_under_way"
    west = updates.make(bundle_id, areas=("west",), canary=())
    updates.act(work.drop_rollout, west)
    folder = bundle_folder(updates.office.settings.data_dir)
    updates.start(updates.make(bundle_id, areas=("west",), canary=()))
    office = updates.office

    def remove() -> object:
        return remove_bundle(office.database, office.keys.cipher, bundle_id, folder, by="Li Na", now=office.now)

    assert refused(remove) == "bundle_wanted"
    with office.database.begin() as connection:
        newest = rollouts.newest_rollouts(connection, limit=1)[0].rollout_id
    updates.act(work.abort_rollout, newest)
    # One that waits for its second word would ask for a file that is gone.
    assert refused(remove) == "bundle_wanted"
    updates.act(work.drop_rollout, east)
    remove()
    assert not list(folder.iterdir())
    assert refused(remove, NotFound) == "bundle_unknown"


def test_many_programs_take_one_turn(updates: Updates) -> None:
    bundle_id = updates.add(7)
    updates.start(updates.make(bundle_id))
    updates.keeps(bundle_id, "t-0")
    updates.office.now += timedelta(hours=2)
    drivers = [updates.driver() for _ in range(6)]
    threads = [threading.Thread(target=driver.turn) for driver in drivers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert updates.state() == "running 1"
    assert updates.actions().count("rollout.went_on") == 1
    with updates.office.database.begin() as connection:
        assert {each.number for each in desired.find_desired(connection).values()} == {1}


def test_of_two_that_are_made_at_once_to_the_same_terminals_one_is(updates: Updates) -> None:
    first, second = updates.add(6), updates.add(7)
    database, found = updates.office.database, list[object]()

    def make_second() -> None:
        try:
            found.append(updates.make(second))
        except Refused as error:
            found.append(error.code)

    thread = threading.Thread(target=make_second)
    with database.begin() as connection:
        wish = Wish(plan=PLAN, bundle_id=first, canary=("t-0",))
        work.make_rollout(connection, updates.means, wish, by="Wang Wei", reason="better", now=updates.office.now)
        thread.start()
        # The other one waits for this transaction, whichever lock it is.
        deadline = time.monotonic() + 30
        while not updates.office.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    thread.join(30)
    assert found == ["rollout_under_way"]
    with database.begin() as connection:
        assert len(rollouts.rollouts_in(connection, ("waiting",))) == 1


def test_of_two_that_wait_for_the_same_terminals_one_starts(updates: Updates) -> None:
    first = updates.make(updates.add(6))
    updates.office.rows("UPDATE rollouts SET state = 'dropped' RETURNING 1")
    second = updates.make(updates.add(7))
    # As they lie there since before they were made one at a time.
    updates.office.rows("UPDATE rollouts SET state = 'waiting' RETURNING 1")
    assert updates.start(first)
    assert refused(lambda: updates.start(second, "Li Na")) == "rollout_under_way"
    assert updates.wanted() == {"t-0": [6]}


def test_networks_run_in_shadow_at_the_canary_group_first(updates: Updates) -> None:
    bundle_id = updates.add(7)
    updates.start(updates.make(bundle_id, plan=replace(PLAN, shadow=timedelta(hours=48))))
    with updates.office.database.begin() as connection:
        found = desired.find_desired(connection)
    assert list(found) == ["t-0"]
    assert found["t-0"].wanted.shadow is not None
    assert found["t-0"].wanted.bundles == ()
    updates.say("t-0", coming=(coming(bundle_id, 9, "ready"),))
    with updates.office.database.begin() as connection:
        (line,) = asked_and_said(connection, "t-0").bundles
    assert (line.is_shadow, line.match) == (True, "same")
    assert updates.turn(hours=49) == "running 0"
    assert updates.wanted() == {"t-0": [7]}
    # Voices have nothing to run in shadow.
    voices = updates.add(3, BundleKind.VOICES)
    updates.start(updates.make(voices, plan=replace(PLAN, shadow=timedelta(hours=48))))
    assert updates.state() == "running 0"


def test_a_terminal_is_told_signed_and_what_it_says_is_kept(updates: Updates) -> None:
    bundle_id = updates.add(7)
    assert updates.office.handler.push_desired() == []
    updates.start(updates.make(bundle_id))
    told = updates.office.handler.push_desired(only_unsent=True)
    assert [str(each.topic) for each in told] == ["lifecert/v1/north/t-0/down/desired"]
    assert told[0].topic.rule.retain
    own = updates.office.keys.signing.public()
    state = DesiredState.parse(verify(told[0].payload, key_of=lambda _: own, typ=DESIRED_TYP).payload)
    assert (state.number, state.door, state.bundles[0].bundle_id) == (1, DOOR, bundle_id)
    assert updates.office.handler.push_desired(only_unsent=True) == []
    # It stands with what a terminal is always to have, so a broker that forgot it and a stick have it as well.
    assert told[0].topic in [each.topic for each in updates.office.handler.standing("t-0")]
    assert behind(updates, "t-0")
    updates.say("t-0", coming=(coming(bundle_id, 4),))
    with updates.office.database.begin() as connection:
        (line,) = asked_and_said(connection, "t-0").bundles
    assert (line.match, line.percent) == ("coming", 4 * 100 // line.wanted.size)
    assert behind(updates, "t-0")
    updates.keeps(bundle_id, "t-0")
    assert not behind(updates, "t-0")
    # A presence that does not say takes nothing back.
    updates.say("t-0")
    assert not behind(updates, "t-0")
    with updates.office.database.begin() as connection:
        counts = running_counts(connection)
    assert ("networks", "7 n7", bundle_id, 1) in counts
    assert ("software", "1.4.0", "", 1) in counts


def behind(updates: Updates, name: str) -> bool:
    with updates.office.database.begin() as connection:
        found = desired.find_reported(connection, name)
    assert found is not None
    return found.behind_since is not None


def test_what_the_chain_says_counts_for_a_terminal_that_comes_by_stick(updates: Updates) -> None:
    bundle_id = updates.add(7)
    updates.start(updates.make(bundle_id, canary=("t-0", "t-1")))

    updates.ends("t-0", bundle_id, "yes", "proven")
    assert not behind(updates, "t-0")
    updates.ends("t-1", bundle_id, "no", "crash_loop")
    with updates.office.database.begin() as connection:
        (line,) = asked_and_said(connection, "t-1").bundles
    assert (line.match, line.why) == ("went_back", "crash_loop")
    assert updates.turn() == "aborted 0 went_back"
    assert updates.standings()["t-0"] == "kept"
    assert updates.standings()["t-1"] == "went_back"


def test_settings_go_by_phases_and_then_stand(updates: Updates) -> None:
    rollout_id = updates.make(None, settings=SettingValues(uplink_window=20), areas=("east",))
    # Nothing that stops a terminal: one person starts it.
    assert updates.start(rollout_id, "Li Na")

    def windows() -> dict[str, int | None]:
        with updates.office.database.begin() as connection:
            found = desired.find_desired(connection)
        return {name: each.wanted.settings.uplink_window for name, each in found.items()}

    assert windows() == {"t-0": 20}
    updates.say("t-0", settings=SettingValues(uplink_window=20))
    while updates.turn(hours=1) != "done 2":
        updates.say("t-1", settings=SettingValues(uplink_window=20))
    assert windows() == {"t-0": 20, "t-1": 20}
    with updates.office.database.begin() as connection:
        assert desired.find_desired(connection)["t-0"].number == 1
    assert (
        refused(lambda: updates.make(None, settings=SettingValues(uplink_window=20), areas=("east",)))
        == "settings_same"
    )
    # A terminal's own win; whoever moves is asked for what holds there.
    office = updates.office
    with office.database.begin() as connection:
        own = SettingValues(uplink_window=5)
        changed = set_for_terminal(
            connection, office.keys.cipher, "t-1", own, by="Li Na", reason="thin link", door=DOOR, now=office.now
        )
    assert [(each.name, each.before, each.after) for each in changed] == [("uplink_window", None, 5)]
    office.now += timedelta(hours=1)
    with office.database.begin() as connection:
        set_area(connection, "t-0", "west", now=office.now)
    updates.turn()
    assert windows() == {"t-0": None, "t-1": 5}


def test_a_stick_carries_the_wish_and_the_bundle(updates: Updates, tmp_path: Path) -> None:
    bundle_id = updates.add(7)
    updates.start(updates.make(bundle_id))
    office = updates.office
    stick = tmp_path / "stick"
    stick.mkdir()
    folder = bundle_folder(office.settings.data_dir)
    courier = FleetCourier(
        office.database,
        office.keys,
        office.handler,
        fleet_id="north",
        clock=office.clock,
        batch_messages=50,
        bundles=folder,
    )
    assert courier.hand_out(stick, "t-0")[1] == 1
    there = stick / ROOT / fleet_folder("north") / UPDATES / update_file(bundle_id)
    assert there.read_bytes() == (folder / f"{bundle_id}.bundle").read_bytes()
    assert courier.hand_out(stick, "t-0")[1] == 1
    assert courier.hand_out(stick, "t-3")[1] == 0


def test_all_of_it_goes_by_commands(updates: Updates, database_url: str, tmp_path: Path) -> None:
    office = updates.office
    (tmp_path / "release-keys.json").write_bytes(write_release_keys([RELEASE.public()]))
    config = tmp_path / "fleet.toml"
    config.write_text(
        f'fleet_id = "north"\ndata_dir = "office"\ndatabase = "{database_url}"\n'
        '[provisioning]\nrelease_keys = "release-keys.json"\n'
    )

    def run(*arguments: object, status: int = 0) -> str:
        done = CliRunner().invoke(app, [*map(str, arguments), "--config", str(config)])
        assert done.exit_code == status, done.output
        return str(done.stdout if status == 0 else done.stderr)

    # The programs have the clock of this computer: the bundle must not be over by then.
    office.now = datetime.fromtimestamp(time.time(), UTC)
    file = updates.file(7)
    by = ("--by", "Li Na")
    bundle_id = run("updates", "add", file, *by).strip()
    assert "is here already" in run("updates", "add", file, *by, status=1)
    assert json.loads(run("updates", "list", "--json"))["bundles"][0]["bundle_id"] == bundle_id
    (listed,) = json.loads(run("updates", "list", "--json"))["bundles"]
    assert (listed["signed_by"], listed["is_trusted"]) == (RELEASE.key_id, True)
    assert f"signed by: {RELEASE.key_id}\nkey: trusted" in run("updates", "list")
    # A key that was taken out of the file is trusted no more; the list is there also without the file.
    (tmp_path / "release-keys.json").write_bytes(write_release_keys([PrivateKey.generate().public()]))
    assert "key: no release key now" in run("updates", "list")
    (tmp_path / "release-keys.json").unlink()
    assert json.loads(run("updates", "list", "--json"))["bundles"][0]["is_trusted"] is None
    hours = ("--from-hour", "9", "--until-hour", "16")
    made = ("updates", "roll-out", "--bundle", bundle_id[:12], "--canary", "t-0", *hours, *by, "--reason", "better")
    rollout_id = run(*made).strip()
    assert "is under way" in run(*made, status=1)
    run("updates", "start", rollout_id, *by, "--reason", "looked")
    assert updates.wanted() == {}
    run("updates", "start", rollout_id, "--by", "Wang Wei", "--reason", "looked too")
    assert updates.wanted() == {"t-0": [7]}
    assert "terminals are asked for it" in run("updates", "remove", bundle_id, *by, status=1)
    shown = json.loads(run("updates", "show", rollout_id, "--json"))
    assert (shown["state"], shown["counts"]["0"]) == ("running", {"working": 1})
    assert rollout_id in run("updates", "roll-outs", "--json")
    updates.say("t-0", desired_number=1, ended=(went_back(bundle_id),))
    updates.turn()
    assert json.loads(run("updates", "show", rollout_id, "--json"))["terminals"] == [
        {"terminal": "t-0", "phase": 0, "standing": "went_back", "why": "unhealthy"}
    ]
    assert "t-0 went_back: its examination failed\n" in run("updates", "show", rollout_id)
    told = "the first phase begins when it is started, each later one from 9:00 until 16:00 (+08:00)"
    assert told in CliRunner().invoke(app, ["updates", "show", rollout_id, "--config", str(config)]).stderr
    plan = json.loads(run("updates", "show", rollout_id, "--json"))["plan"]
    assert (plan["from_hour"], plan["until_hour"], plan["time_zone"], plan["soak"]) == (9, 16, "+08:00", 86400.0)
    run("updates", "renumber", *by)
    assert updates.numbers() == {"t-0": 1003}
    for step in ("pause", "resume", "abort"):
        run("updates", step, rollout_id, *by)
    assert "it is aborted" in run("updates", "pause", rollout_id, *by, status=1)
    run("updates", "remove", bundle_id, *by)
    assert "networks" not in run("updates", "versions")
    assert json.loads(run("updates", "references", "--json")) == {"networks": []}
    assert "with a reference" in run("updates", "references")
    change = ("terminals", "settings", "t-1", "--set", "voice_volume=0.5", *by, "--reason", "a loud hall")
    run(*change, "--dry-run")
    assert json.loads(run("terminals", "settings", "t-1", "--json"))["number"] == 0
    run(*change)
    assert "voice_volume 0.5: unknown" in run("terminals", "settings", "t-1")
    assert "from 0 to 1" in run(
        "terminals", "settings", "t-1", "--set", "voice_volume=2", *by, "--reason", "x", status=1
    )
    rollout_id = run(
        "updates", "roll-out", "--setting", "uplink_window=9", "--area", "west", *by, "--reason", "thin"
    ).strip()
    run("updates", "drop", rollout_id, *by)
