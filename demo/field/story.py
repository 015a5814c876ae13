"""The story of the field: who comes on which day, when the power goes, and what must be true at every moment."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import text

from demo.field.people import Who
from demo.field.terminal import FEATURES, MODEL
from demo.processes import DemoError, call, free_port
from device.adapters.staff_file import FileStaffStore
from device.desk.tasks import Task
from device.settings import load_settings as load_terminal
from fleet.app import Fleet, open_fleet
from fleet.clock import system_clock
from fleet.intake.people_table import read_rows
from fleet.intake.subjects import import_rows
from fleet.references.enrol import Enrolment, enrol
from fleet.settings import load_settings as load_fleet
from fleet.store import rosters, terminals
from fleet.updates.policy import publish_policy
from protocol.capture import FeatureReport
from protocol.documents import check_digit
from protocol.policy import default_policy
from protocol.references import CaptureKind, LegalBasis
from protocol.registration import read_registration
from protocol.staff import Operator, OperatorCode, PlaceName, Role, StaffList

FLEET_ID, TERMINAL_ID = "field", "van-1"
PEOPLE, ENROLLED = 60, 54
POWER_LOSSES = 3
NETWORK_S = 120.0
WORKER = OperatorCode("w-1", bytes(range(16)))
_HOURS_OPEN = 9
_DAY = timedelta(days=1)
_FEATURES = 128

Touches = tuple[tuple[str, str], ...]
_WITHOUT_WITNESS: Touches = (("choose", "v-1"), ("choose", "none"))
_VISIT: Touches = (("choose", "bedridden"), *_WITHOUT_WITNESS, ("choose", "no_movement"))
_SPECIAL: Touches = (
    ("choose", "bedridden"),
    *_WITHOUT_WITNESS,
    ("take", ""),
    ("keep", ""),
    ("take", ""),
    ("keep", ""),
    ("date", "2026-11-01"),
    ("confirm", ""),
)
ERRANDS: tuple[tuple[float, str, Touches], ...] = (
    (0.70, "alone", ()),
    (0.12, Task.VISIT, _VISIT),
    (0.08, Task.CERTIFY, (("choose", "standard"),)),
    (0.04, Task.ENROL, (("choose", "consent"), ("confirm", ""), ("choose", "standard"))),
    (0.03, Task.EXCEPTION, (("choose", "declined"), ("choose", "counter"), *_WITHOUT_WITNESS, ("confirm", ""))),
    (0.03, Task.SPECIAL, _SPECIAL),
)
"""How often each comes; what is touched after the person has been named."""
BEHAVIOUR: tuple[tuple[float, Who], ...] = (
    (0.78, Who.ALIVE),
    (0.04, Who.ALIKE),
    (0.03, Who.OTHER),
    (0.04, Who.TURNED_AWAY),
    (0.03, Who.GONE),
    (0.03, Who.DEAF),
    (0.02, Who.FLAT),
    (0.03, Who.UNWILLING),
)


@dataclass(frozen=True, slots=True)
class LinkAtFleet:
    """A link of the terminal's chain as the fleet has it."""

    counter: int
    record_id: str
    outcome: str | None
    """Of a record its outcome, of a case `case_` and its kind, of an event None."""


@dataclass(slots=True)
class Tally:
    """What was seen to go wrong."""

    counter_errors: int = 0
    """Moments at which the counters shown were not those on the disk, or none were where there should be."""
    receipt_errors: int = 0
    forgotten: int = 0
    """Links that were on the disk before a power loss and not after it."""


class TerminalProcess:
    """The terminal, started, asked, killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def start(self, **start: Any) -> dict[str, Any]:
        """Boot."""
        with (self._folder / "terminal.log").open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "demo.field.terminal", str(self._folder / "terminal.toml"), json.dumps(start)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=Path(__file__).parents[2],
            )
        return self._answer()

    def ask(self, **order: Any) -> dict[str, Any]:
        """Give an order and return the answer."""
        self.tell(**order)
        return self._answer()

    def tell(self, **order: Any) -> None:
        """Give an order."""
        assert self._process is not None  # noqa: S101 - started before
        assert self._process.stdin is not None  # noqa: S101 - likewise
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """Cut the power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None  # noqa: S101 - started before
        assert self._process.stdout is not None  # noqa: S101 - likewise
        line = self._process.stdout.readline()
        if not line:
            said = (self._folder / "terminal.log").read_text()[-3000:]
            raise DemoError(f"field terminal: ended: {said}")
        found: dict[str, Any] = json.loads(line)
        return found


class Field:
    """The whole of it.

    Args:
        folder: for everything that is written.
        seed: of who comes, how they behave and when the power goes.
        days: simulated.
        sessions: in all.
        say: takes a line about how it goes.
    """

    def __init__(self, folder: Path, *, seed: int, days: int, sessions: int, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._chance = random.Random(seed)  # noqa: S311 - who comes, not secrets
        self._days, self._sessions = days, sessions
        self._say = say
        self._broker_port, self._web_port = free_port(), free_port()
        self._numbers = [_number(person) for person in range(PEOPLE)]
        # The last day ends an hour ago, so that nothing lies in the fleet's future.
        self._begin = system_clock() - days * _DAY - timedelta(hours=1)
        self._terminal = TerminalProcess(folder)
        self._fleet: subprocess.Popen[str] | None = None
        self._boots = 0
        self._now = self._booted = self._begin
        self._stored = self._confirmed = 0
        self._outcomes: Counter[str] = Counter()
        self._cuts: list[tuple[int, int]] = []
        """Of each power loss in an errand how many links there were before it, and after the next start."""
        self.tally = Tally()

    def play(self) -> dict[str, Any]:
        """Play everything and return what came of it.

        Raises:
            DemoError: if a program does not do its part.
        """
        roster_version = self._set_up()
        self._start_fleet(behind=system_clock() - self._begin)
        self._boot(is_synchronised=True)
        found = self._terminal.ask(do="network", port=self._broker_port, seconds=60, roster_version=roster_version)
        self._stop_fleet()
        self._confirmed = self._count_at_fleet()
        self._take(found)
        losses = set(self._chance.sample(range(self._sessions // 10, self._sessions), POWER_LOSSES))
        reset_day, stick_day = self._days // 2, self._days - 2
        number = 0
        for day in range(self._days):
            self._say(f"day {day + 1}: {self._stored} stored, {self._confirmed} confirmed")
            if day == reset_day:
                # The battery of the clock is empty; next morning somebody has changed it.
                self._restart(wall_clock=datetime(1970, 1, 1, tzinfo=UTC), has_rtc=False)
            elif day == reset_day + 1:
                self._restart()
            for _ in range(self._sessions // self._days):
                self._serve(is_cut=number in losses, seconds=_HOURS_OPEN * 3600 / (self._sessions / self._days))
                number += 1
            self._night(day)
            if day == stick_day - 1:
                self._take(self._terminal.ask(do="stick", path=str(self._folder / "stick")))
        self._say(f"home: {self._stored} stored, {self._confirmed} confirmed")
        self._bring_stick()
        self._connect()
        return self._judge(number)

    def stop(self) -> None:
        """End what still runs."""
        self._terminal.kill()
        self._stop_fleet()

    def _set_up(self) -> int:
        """Make fleet and terminal; return the version of the roster it will get."""
        place = self._folder
        (place / "stick").mkdir()
        config = place / "fleet.toml"
        config.write_text(
            f'fleet_id = "{FLEET_ID}"\ndata_dir = "fleet"\naccept_simulated = true\n'
            f"[broker]\nport = {self._broker_port}\n[web]\nport = {self._web_port}\n"
        )
        identity = place / "identity.json"
        call("lifecert-fleet", "init", "--config", str(config), "--identity", str(identity))
        keys = place / "keys"
        call(
            "lifecert-provision",
            "identity",
            "--fleet-id",
            FLEET_ID,
            "--terminal-id",
            TERMINAL_ID,
            "--out",
            str(keys),
        )
        call("lifecert-provision", "accept-fleet", str(identity), "--out", str(keys))
        self._write_terminal()
        with open_fleet(load_fleet(config), clock=lambda: self._begin) as fleet:
            version = self._fill(fleet, next(keys.glob("*.jws")))
        settings = load_terminal(place / "terminal.toml")
        FileStaffStore(settings.staff_path, settings.keys.storage.path).apply(_staff(self._begin))
        return version

    def _write_terminal(self) -> None:
        (self._folder / "terminal.toml").write_text(
            f"""\
[terminal]
fleet_id = "{FLEET_ID}"
terminal_id = "{TERMINAL_ID}"
data_dir = "terminal"

[keys]
signing = "keys/signing.pem"
sealing = "keys/sealing.pem"
storage = "keys/storage.key"
fleet = "keys/fleet.json"

[uplink]
poll_s = 0.05
resend_after_s = 10
"""
        )

    def _fill(self, fleet: Fleet, registration: Path) -> int:
        people = self._folder / "people.csv"
        rows = [f"{number},Person {n},east,pension,retired,2001-04-01" for n, number in enumerate(self._numbers)]
        people.write_text("\n".join(["document_number,name,area,scheme,category,benefit_start", *rows]) + "\n")
        import_rows(
            fleet.database,
            fleet.keys,
            read_rows(people, today=self._begin.date()),
            now=self._begin,
            zone=fleet.settings.zone(),
        )
        found = read_registration(registration.read_bytes())
        with fleet.database.begin() as connection:
            terminals.add_terminal(
                connection,
                TERMINAL_ID,
                area="east",
                signing_key=found.signing_key,
                sealing_key=found.sealing_key,
                now=self._begin,
            )
            rosters.assign(connection, TERMINAL_ID, "all", "")
            rosters.refresh(connection)
        numbers = np.random.default_rng(self._chance.getrandbits(32))
        for number in self._numbers[:ENROLLED]:
            unit = numbers.normal(size=_FEATURES)
            features = (unit / np.linalg.norm(unit)).astype("<f4")
            report = FeatureReport(
                features=base64.b64encode(features.tobytes()).decode(),
                model_name=FEATURES,
                model_sha256=MODEL,
                runtime="played",
                quality={},
                overall_quality=80.0,
            )
            enrol(
                fleet.database,
                fleet.keys,
                number,
                report,
                Enrolment(CaptureKind.LIVE, LegalBasis.STATUTE),
                key_domain=fleet.settings.references.key_domain,
                validity_months=60,
                now=self._begin,
                zone=fleet.settings.zone(),
            )
        publish_policy(fleet.database, fleet.keys, default_policy(), now=self._begin)
        with fleet.database.begin() as connection:
            return terminals.find_terminals(connection)[TERMINAL_ID].roster_version

    def _start_fleet(self, *, behind: timedelta) -> None:
        with (self._folder / "fleet.log").open("a") as log:
            self._fleet = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "demo.field.fleet",
                    str(self._folder / "fleet.toml"),
                    str(behind.total_seconds()),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=Path(__file__).parents[2],
            )
        assert self._fleet.stdout is not None  # noqa: S101 - asked for
        if not self._fleet.stdout.readline():
            raise DemoError(f"fleet: ended: {(self._folder / 'fleet.log').read_text()[-3000:]}")

    def _stop_fleet(self) -> None:
        if self._fleet is not None:
            self._fleet.terminate()
            self._fleet.wait(30)
            if self._fleet.stdout is not None:
                self._fleet.stdout.close()
            self._fleet = None

    def _boot(self, *, wall_clock: datetime | None = None, has_rtc: bool = True, is_synchronised: bool = False) -> None:
        self._boots += 1
        self._booted = self._now
        found = self._terminal.start(
            boot_id=f"{self._boots:032x}",
            wall_clock=(wall_clock or self._now).isoformat(),
            has_rtc=has_rtc,
            is_synchronised=is_synchronised,
            seed=self._chance.getrandbits(32),
        )
        total = _total(found)
        # What was on the disk is there; what was being written when the power went may be, too.
        self.tally.forgotten += max(0, self._stored - total)
        self._stored = total
        self._take(found)

    def _restart(self, **boot: Any) -> None:
        self._terminal.kill()
        self._boot(**boot)

    def _serve(self, *, is_cut: bool, seconds: float) -> None:
        _, errand, touches = self._drawn(ERRANDS)
        _, who = self._drawn(BEHAVIOUR)
        order = {
            "do": "serve",
            "errand": str(errand),
            "who": str(who),
            "number": self._chance.choice(self._numbers),
            "touches": touches,
            "code": WORKER.text(),
        }
        if is_cut:
            self._terminal.tell(**order)
            time.sleep(self._chance.uniform(0.0, 0.2))
            self._terminal.kill()
            self._say("the power goes")
            before = self._stored
            self._boot()
            self._cuts.append((before, self._stored))
            return
        found = self._terminal.ask(**order)
        self._outcomes[found["outcome"] or f"case_{errand}"] += 1
        self._take(found)
        self._pass(seconds - found["seconds"])

    def _drawn(self, table: tuple[Any, ...]) -> Any:
        return self._chance.choices(table, weights=[row[0] for row in table])[0]

    def _night(self, day: int) -> None:
        morning = self._begin + (day + 1) * _DAY
        self._pass((morning - self._now).total_seconds())

    def _pass(self, seconds: float) -> None:
        if seconds > 0:
            self._take(self._terminal.ask(do="wait", seconds=seconds))

    def _take(self, found: dict[str, Any]) -> None:
        """Check the counters in an answer against the disk and against what was counted here."""
        total, confirmed = _total(found), found["confirmed"]
        shown = found["shown"]
        is_shown = shown == [total, confirmed] if found["shows_counts"] else shown is None
        if not is_shown or total < self._stored or confirmed != self._confirmed:
            self.tally.counter_errors += 1
            self._say(
                f"counters: shown {shown}, on the disk {[total, confirmed]}, known {[self._stored, self._confirmed]}"
            )
        self._stored = total
        # Played time goes on over the boots, whatever a clock shows.
        self._now = self._booted + timedelta(seconds=found["up_s"])

    def _bring_stick(self) -> None:
        """Take the stick to the fleet and home again."""
        done = json.loads(
            call(
                "lifecert-fleet",
                "courier",
                "import",
                str(self._folder / "stick"),
                "--config",
                str(self._folder / "fleet.toml"),
                "--json",
            )
        )
        self._say(f"stick at the fleet: {done}")
        before = self._count_at_fleet()
        self._confirmed = before
        found = self._terminal.ask(do="stick", path=str(self._folder / "stick"))
        if found["confirmed"] != before:
            self.tally.receipt_errors += 1
        self._take(found)

    def _connect(self) -> None:
        self._start_fleet(behind=timedelta())
        found = self._terminal.ask(do="network", port=self._broker_port, seconds=NETWORK_S)
        self._stop_fleet()
        self._confirmed = self._count_at_fleet()
        if found["confirmed"] != self._confirmed or found["outbox"]["refused"]:
            self.tally.receipt_errors += 1
        self._take(found)

    def _count_at_fleet(self) -> int:
        return len(self._links_at_fleet())

    def _links_at_fleet(self) -> list[LinkAtFleet]:
        with open_fleet(load_fleet(self._folder / "fleet.toml")) as fleet, fleet.database.begin() as connection:
            rows = connection.execute(
                text(
                    "SELECT l.counter, l.record_id, coalesce(r.outcome, 'case_' || c.kind) AS outcome FROM links l"
                    " LEFT JOIN records r USING (record_id) LEFT JOIN case_records c USING (record_id)"
                    " WHERE l.terminal_id = :id"
                ),
                {"id": TERMINAL_ID},
            )
            return [LinkAtFleet(row.counter, row.record_id, row.outcome) for row in rows]

    def _judge(self, sessions: int) -> dict[str, Any]:
        links = self._links_at_fleet()
        counters = [link.counter for link in links]
        wrong = outcome_errors(self._outcomes, self._cuts, links)
        for line in wrong:
            self._say(line)
        return {
            "sessions": sessions,
            "served": self._outcomes.total(),
            "stored": sum(link.outcome is not None for link in links),
            "links": self._stored,
            "lost": self.tally.forgotten + self._stored - len(set(counters)),
            "duplicates": len(counters) - len(set(counters)) + len(links) - len({link.record_id for link in links}),
            "counter_errors": self.tally.counter_errors,
            "receipt_errors": self.tally.receipt_errors,
            "outcome_errors": len(wrong),
            "power_losses": len(self._cuts),
            "outcomes": dict(sorted(self._outcomes.items())),
            "outcomes_at_fleet": dict(sorted(Counter(link.outcome for link in links if link.outcome).items())),
        }


def outcome_errors(served: Counter[str], cuts: Sequence[tuple[int, int]], links: Sequence[LinkAtFleet]) -> list[str]:
    """Return what does not fit between the errands served and what the fleet has: every one left one record or case, and no other is there.

    Args:
        served: how often each outcome was shown; `case_` and the errand where none was.
        cuts: of each errand that a power loss cut the number of links before and after it; it left one record or case at most.
        links: at the fleet.
    """
    wrong = []
    expected = Counter(served)
    for before, after in cuts:
        left = [link.outcome for link in links if link.outcome and before < link.counter <= after]
        if len(left) > 1:
            wrong.append(f"outcomes: one errand that was cut left {left}")
        expected.update(left)
    stored = Counter(link.outcome for link in links if link.outcome)
    return wrong + [
        f"outcomes: {outcome} {expected[outcome]} times on the terminal, {stored[outcome]} at the fleet"
        for outcome in sorted(expected.keys() | stored.keys())
        if expected[outcome] != stored[outcome]
    ]


def _total(found: dict[str, Any]) -> int:
    total: int = found["stored"]
    return total


def _number(person: int) -> str:
    first_17 = f"999999{1930 + person % 30}0101{person:03d}"
    return first_17 + check_digit(first_17)


def _staff(issued_at: datetime) -> StaffList:
    return StaffList(
        fleet_id=FLEET_ID,
        terminal_id=TERMINAL_ID,
        issued_at=issued_at,
        expires_at=issued_at + timedelta(days=60),
        operators=(
            Operator(
                operator_id=WORKER.operator_id,
                name="Worker",
                roles=(Role.WORKER, Role.ENROLLER),
                code_sha256=WORKER.sha256(),
                valid_until=date(2100, 1, 1),
            ),
        ),
        places=(PlaceName(code="v-1", name="Village"),),
    )
