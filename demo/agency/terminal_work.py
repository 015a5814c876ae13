"""What people of the made-up agency did to its terminals, and what they asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from demo.agency.conditions import Condition
from demo.agency.names import ADMINISTRATORS
from demo.agency.terminals import SOFTWARE, Terminal
from demo.agency.world import FLEET_ID, Agenda, World
from fleet.pki.joining import make_claim
from fleet.store import commissionings
from fleet.store.claims import note_asked
from fleet.store.terminal_commands import settle
from fleet.terminals.changing import TerminalChanges
from fleet.terminals.commanding import give_command, open_commands
from protocol.commands import CommandKind, CommandResult
from protocol.commissioning import COMMISSIONING_TYP, CommissioningCheck, CommissioningReport, Part
from protocol.envelope import sha256_of, sign
from protocol.selftest import Check, SelftestReport
from protocol.times import ClockSource

_ADMINISTRATOR = ADMINISTRATORS[1]
_CHECKS = (
    ("networks", "passed", "features, detection and landmarks answer as they should"),
    ("camera", "skipped", "in use: 14.6 pictures/s in the last session"),
    ("ring-light", "skipped", "in use"),
    ("outbox", "passed", "0 records wait"),
    ("policy", "passed", "in force"),
    ("clock", "passed", "set by the network, 0.4 s"),
    ("disk", "passed", "9012 MiB free"),
)
_LOG = (
    "sessions are taken outcome=certified seconds=31",
    "broker lost why=timed out",
    "broker is back after_s=92",
    "sessions are taken outcome=poor_sample seconds=44",
)
_GREEN: Mapping[Part, tuple[str, Mapping[str, float | str]]] = {
    Part.CLOCK: ("no_battery", {"source": "network", "bound": 0.04}),
    Part.STORAGE: ("good", {"rate": 11.8, "median": 4.9, "slow": 31.0, "free": 9012}),
    Part.NETWORK: ("good", {"address": "10.20.3.41", "host": "broker.example"}),
    Part.BROKER: ("good", {"took": 84}),
    Part.FLEET: ("good", {"took": 61}),
    Part.NETWORKS: ("good", {"count": 5, "name": "face_detection", "median": 41.0}),
    Part.CAMERA: ("good", {"width": 640, "height": 480, "rate": 29.6}),
    Part.FOCUS: ("sharp", {"sharpness": 0.31, "least": 0.12}),
    Part.LIGHT: ("good", {"lux": 310}),
    Part.GLARE: ("good", {"around": 1.5, "backlight": 1.3}),
    Part.SEAT: ("good", {"distance": 63, "height": 1.8}),
    Part.RING_LEFT: ("good", {"gain": 0.46}),
    Part.RING_RIGHT: ("good", {"gain": 0.44}),
    Part.LOUDSPEAKER: ("confirmed", {}),
    Part.STATUS_LAMP: ("confirmed", {}),
}
RED = {
    part: CommissioningCheck(part=part, status="failed", is_required=True, reason=reason, facts=facts, seconds=2.0)
    for part, reason, facts in (
        (Part.FOCUS, "blurred", {"sharpness": 0.07, "least": 0.12}),
        (Part.GLARE, "glare", {"around": 41.0, "backlight": 3.2}),
        (Part.SEAT, "raise_terminal", {"distance": 66.0, "height": 8.0}),
    )
}
_WORDS = {
    CommandKind.DIAGNOSE: "Fewer people pass than last month",
    CommandKind.LOG_BUNDLE: "Records do not come through",
    CommandKind.RESTART: "Has not been heard of since the week-end",
}


class TerminalWork:
    """Puts down what was done to terminals, and answers as they would have."""

    def __init__(self, world: World, agenda: Agenda, made: Sequence[Terminal]) -> None:
        self._world = world
        self._agenda = agenda
        self._made = made
        self._by: dict[Condition, list[Terminal]] = {}
        for terminal in made:
            self._by.setdefault(terminal.condition, []).append(terminal)

    def put_down(self) -> None:
        """Put everything down."""
        for place, terminal in enumerate(self._made):
            if terminal.condition is not Condition.NEVER_SEEN:
                at = self._world.at(390, 9) + timedelta(minutes=7 * place)
                self._agenda.at(at, partial(self._commission, terminal, ()))
        # Two were tried again once they gave trouble.
        for condition, parts in ((Condition.DULL, (Part.FOCUS,)), (Condition.GLARING, (Part.GLARE, Part.SEAT))):
            self._agenda.at(self._world.at(1, 15), partial(self._commission, self._by[condition][0], parts))
        for place, terminal in enumerate(self._by[Condition.RETIRED]):
            at = self._world.at(terminal.heard_days_ago, 18) + timedelta(minutes=place)
            self._agenda.at(at, partial(self._retire, terminal))
        asked = (
            (Condition.DULL, CommandKind.DIAGNOSE, self._world.at(5, 10), True),
            (Condition.OLD_OUTBOX, CommandKind.LOG_BUNDLE, self._world.at(2, 11), True),
            (Condition.SILENT, CommandKind.RESTART, self._world.at(0, 9), False),
        )
        # One that comes to a county, and one that takes the place of a broken one and waits to be let in.
        broken = self._by[Condition.RETIRED][0]
        for terminal, replaces in ((self._by[Condition.DULL][0], None), (broken, broken.terminal_id)):
            self._agenda.at(self._world.at(0, 8), partial(self._claim, terminal.community.code, replaces))
        for condition, kind, at, is_answered in asked:
            self._agenda.at(at, partial(self._ask, self._by[condition][0], kind, is_answered=is_answered))

    def _commission(self, terminal: Terminal, open_parts: Sequence[Part], now: datetime) -> None:
        report = CommissioningReport(
            fleet_id=FLEET_ID,
            terminal_id=terminal.terminal_id,
            report_id=sha256_of(f"{terminal.terminal_id} {now}".encode())[:32],
            begun_at=now - timedelta(minutes=6),
            finished_at=now,
            clock=ClockSource.NETWORK,
            software=SOFTWARE,
            machine="Linux aarch64",
            sensor="imx708",
            is_simulated=False,
            checks=tuple(RED[part] if part in open_parts else in_order(part) for part in Part),
        )
        envelope = sign(report.to_bytes(), key=terminal.signing, typ=COMMISSIONING_TYP)
        with self._world.database.begin() as connection:
            commissionings.add(
                connection,
                report,
                sha256=sha256_of(envelope),
                envelope=envelope,
                passed=report.passed,
                received_at=now,
            )

    def _retire(self, terminal: Terminal, now: datetime) -> None:
        world = self._world
        with world.database.begin() as connection:
            changes = TerminalChanges(
                connection, world.keys.cipher, by=_ADMINISTRATOR, reason="Its case is broken; replaced", now=now
            )
            changes.retire(terminal.terminal_id)

    def _claim(self, area: str, replaces: str | None, now: datetime) -> None:
        world = self._world
        with world.database.begin() as connection:
            _, claim = make_claim(
                connection,
                world.keys.cipher,
                terminal_id=None,
                area=area,
                has_people=True,
                needs_approval=replaces is not None,
                hours=72,
                by=_ADMINISTRATOR,
                now=now,
                replaces=replaces,
            )
            if replaces is not None:
                note_asked(
                    connection,
                    claim.claim_id,
                    terminal_id=f"{replaces}-b",
                    keys="0123456789abcdef" * 4,
                    board_serial="10000000c0ffee01",
                    waits_for="approval",
                    now=now + timedelta(minutes=9),
                )

    def _ask(self, terminal: Terminal, kind: CommandKind, now: datetime, *, is_answered: bool) -> None:
        world, hours = self._world, self._world.settings.terminals.command_hours
        with world.database.begin() as connection:
            command_id = give_command(
                connection,
                world.keys.cipher,
                terminal.terminal_id,
                kind,
                by=_ADMINISTRATOR,
                reason=_WORDS[kind],
                valid=timedelta(hours=hours),
                now=now,
            )
            if not is_answered:
                return
            later = now + timedelta(seconds=70)
            open_commands(connection, world.keys, fleet_id=FLEET_ID, only=[terminal.terminal_id], now=now)
            settle(connection, _answer(terminal, command_id, kind, later), now=later)


def in_order(part: Part) -> CommissioningCheck:
    """Return what is found of a part that is well."""
    reason, facts = _GREEN.get(part, ("good", {}))
    return CommissioningCheck(
        part=part, status="passed", is_required=True, reason=reason, facts=dict(facts), seconds=1.2
    )


def _answer(terminal: Terminal, command_id: str, kind: CommandKind, at: datetime) -> CommandResult:
    report = SelftestReport(
        software=SOFTWARE,
        python="3.13.5",
        machine="Linux aarch64",
        checks=tuple(
            Check.model_validate({"name": n, "status": s, "detail": d, "seconds": 0.1}) for n, s, d in _CHECKS
        ),
    )
    return CommandResult(
        fleet_id=FLEET_ID,
        terminal_id=terminal.terminal_id,
        command_id=command_id,
        verdict="done",
        finished_at=at,
        report=report if kind is CommandKind.DIAGNOSE else None,
        log=_LOG if kind is CommandKind.LOG_BUNDLE else None,
    )
