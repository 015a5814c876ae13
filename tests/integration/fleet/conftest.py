"""A fleet on a fresh database, with terminals and people in it."""

from __future__ import annotations

import base64
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from click.testing import Result
from sqlalchemy import text
from typer.testing import CliRunner

from fleet.app import Fleet, picture_rules, settling
from fleet.cases.pictures import PictureRules
from fleet.cli import app
from fleet.ingest.handler import Handler
from fleet.ingest.messages import Inbound, Outbound
from fleet.ingest.settling import Settling
from fleet.intake.people_table import SubjectRow
from fleet.intake.subjects import Imported, import_rows
from fleet.keys import FleetKeys, load_keys, make_keys
from fleet.partners.registry import add_partner
from fleet.service import WebServer, make_web
from fleet.settings import Settings
from fleet.status.projection import rebuild
from fleet.store import packs, rosters, terminals
from fleet.store.database import Database
from fleet.store.partners import PartnerKind, Scope
from fleet.store.subjects import Benefit
from fleet.updates.policy import issue, publish_policy
from protocol.capture import FeatureReport
from protocol.documents import check_digit, claim_token, parse_document
from protocol.envelope import sha256_of, unseal, verify
from protocol.policy import Policy, default_policy
from protocol.receipts import RECEIPT_TYP, Receipt
from protocol.roster import ROSTER_TYP, RosterPage
from protocol.rules.pack import parse_pack
from protocol.topics import Kind

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


@dataclass
class Office:
    """One fleet: keys, database, handler, and what tests ask of it."""

    settings: Settings
    keys: FleetKeys
    database: Database
    now: datetime = NOW
    pictures: PictureRules | None = None
    """In place of those of the settings."""
    people: dict[str, str] = field(default_factory=dict)
    """Subject id -> claim token, in order of import."""

    def clock(self) -> datetime:
        return self.now

    def publish(self, policy: Policy, now: datetime, approved_by: tuple[str, ...] = ()) -> bool:
        return publish_policy(self.database, self.keys, policy, now=now, approved_by=approved_by)

    @property
    def settling(self) -> Settling:
        return settling(Fleet(self.settings, self.keys, self.database, self.clock))

    def rebuild(self) -> int:
        """Judge and project everything anew."""
        judging = partial(self.settling.judge_anew, now=self.now)
        return rebuild(self.database, judging=judging, zone=self.settings.zone(), clock=self.clock)

    def wait_for_somebody_waiting(self, count: int = 1) -> None:
        """Wait until so many transactions wait for another one's lock."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            waiting = self.rows(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            if len(waiting) >= count:
                return
            time.sleep(0.02)
        raise AssertionError("nobody waits")

    @property
    def handler(self) -> Handler:
        return self.make_handler(Handler)

    def make_handler(self, kind: type[Handler]) -> Handler:
        return kind(
            self.database,
            self.keys,
            fleet_id="north",
            settling=self.settling,
            statement_months=self.settings.slips.statement_months,
            key_domain=self.settings.references.key_domain,
            pictures=self.pictures or picture_rules(self.settings),
            clock=self.clock,
        )

    def import_people(self, count: int = 2, *, area: str = "east", name: str = "甲", first: int = 1) -> Imported:
        rows = []
        for serial in range(first, first + count):
            digits = f"99999919400101{serial:03d}"
            document = parse_document(digits + check_digit(digits))
            benefit = Benefit("pension", area, "retired", date(2001, 7, 1))
            rows.append(SubjectRow(serial + 1, document, f"{name}{serial}", area, benefit))
        done = import_rows(self.database, self.keys, rows, now=self.now, zone=self.settings.zone())
        for row, subject_id in zip(rows, done.subject_ids, strict=True):
            self.people[subject_id] = claim_token(row.document, self.keys.claim_key)
        return done

    def list_since(self, day: str) -> None:
        """Have everybody on the lists since a day: before it nobody is asked for anything."""
        with self.database.begin() as connection:
            connection.execute(text("UPDATE subjects SET created_at = :day"), {"day": f"{day}T00:00Z"})

    def hold_references(self) -> None:
        """Give everybody the reference that records of `make_fleet_terminal` name."""
        with self.database.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO references_ SELECT subject_id, repeat('c', 32), 'f', repeat('d', 64), 'test', 'd1', 80,"
                    " 'live', 'consent', :at, '2029-11-20' FROM subjects ON CONFLICT DO NOTHING"
                ),
                {"at": self.now - timedelta(days=600)},
            )

    def put_packs_in_force(self, *texts: str) -> None:
        """Put rule packs in force, as if they had been approved now."""
        with self.database.begin() as connection:
            for written in texts:
                pack = parse_pack(written)
                packs.save_proposal(connection, pack, written, sha256_of(written.encode()), now=self.now)
                packs.put_in_force(connection, pack.pack_id, pack.version, b"signed", now=self.now)

    def register(self, terminal: Any, area: str = "east") -> None:
        with self.database.begin() as connection:
            terminals.add_terminal(
                connection,
                terminal.terminal_id,
                area=area,
                signing_key=terminal.signing.public(),
                sealing_key=terminal.sealing.public(),
                now=self.now,
            )

    def assign_all(self, terminal_id: str) -> None:
        with self.database.begin() as connection:
            rosters.assign(connection, terminal_id, "all", "")
            rosters.refresh(connection, [terminal_id])

    def assign_area(self, terminal_id: str, area: str = "east") -> None:
        with self.database.begin() as connection:
            with rosters.renewing(connection, terminal_id):
                rosters.assign(connection, terminal_id, "area", area)
            rosters.refresh(connection, [terminal_id])

    def send(self, terminal: Any, *envelopes: bytes, kind: Kind = Kind.RECORD) -> list[Outbound]:
        topic = str(terminal.topic(kind))
        return self.handler.handle([Inbound(topic, envelope, self.now) for envelope in envelopes])

    def give_key(self, *scopes: Scope, partner_id: str = "own-tool", **rights: Any) -> str:
        """Add a partner, one that sees and may do everything unless told otherwise, and return its key."""
        given = {
            "kind": PartnerKind.OWN,
            "areas": None,
            "per_minute": 100_000,
            "valid_until": date(2027, 11, 20),
            **rights,
        }
        return add_partner(
            self.database,
            self.keys.cipher,
            partner_id,
            name=partner_id,
            scopes=scopes or tuple(Scope),
            by="tester",
            now=self.now,
            **given,
        )

    def verdicts(self, answers: list[Outbound]) -> list[tuple[str, str | None]]:
        """Verdict and reason of every receipt item, in order."""
        return [
            (item.verdict.value, item.reason)
            for answer in answers
            if answer.topic.kind is Kind.RECEIPT
            for item in self.receipt(answer.payload).items
        ]

    def receipt(self, payload: bytes) -> Receipt:
        public = self.keys.signing.public()
        return Receipt.parse(verify(payload, key_of=lambda _: public, typ=RECEIPT_TYP).payload)

    def page(self, payload: bytes, terminal: Any) -> RosterPage:
        public = self.keys.signing.public()
        signed = unseal(payload, key=terminal.sealing)
        return RosterPage.parse(verify(signed, key_of=lambda _: public, typ=ROSTER_TYP).payload)

    def rows(self, statement: str, **values: object) -> list[Any]:
        with self.database.begin() as connection:
            return list(connection.execute(text(statement), values).all())

    def statuses(self) -> list[Any]:
        return self.rows("SELECT * FROM statuses WHERE last_record IS NOT NULL ORDER BY subject_id")

    def quarantine(self) -> list[Any]:
        return self.rows("SELECT terminal_id, known, reason, times FROM quarantine ORDER BY quarantine_id")


@pytest.fixture
def program_in() -> Callable[..., Callable[..., Result]]:
    """Give `lifecert-fleet` as it is typed in a folder: `run = program_in(folder)`, then `run("migrate", typed="what is typed in")`."""

    def make(folder: Path, *, columns: int = 240) -> Callable[..., Result]:
        def run(*arguments: str, typed: str | None = None) -> Result:
            # In this process: loading the program takes longer than most commands.
            here = Path.cwd()
            os.chdir(folder)
            try:
                return CliRunner(env={"COLUMNS": str(columns)}).invoke(app, list(arguments), input=typed)
            finally:
                os.chdir(here)

        return run

    return make


@pytest.fixture
def make_office(tmp_path: Path) -> Callable[..., Office]:
    """Make a fleet on a database: `make_office(database, broker={...})`."""

    def make(database: Database, **settings: Any) -> Office:
        folder = tmp_path / "office"
        make_keys(folder / "keys", key_domain="d1")
        found = Settings.model_validate({"fleet_id": "north", "data_dir": folder, **settings})
        office = Office(found, load_keys(folder / "keys"), database)
        with database.begin() as connection:
            issue(connection, office.keys, default_policy(), now=NOW - timedelta(days=1))
        return office

    return make


@pytest.fixture
def office(database: Database, make_office: Callable[..., Office]) -> Office:
    """A fleet on a fresh database with the default policy in force, without terminals and people."""
    return make_office(database)


@pytest.fixture
def terminal(office: Office, make_fleet_terminal: Callable[..., Any]) -> Any:
    """A registered terminal."""
    made = make_fleet_terminal()
    office.register(made)
    return made


@pytest.fixture
def feature_program(tmp_path: Path) -> tuple[str, ...]:
    """A program with the contract of `lifecert-terminal features - --json`: features drawn from the bytes of the picture."""
    script = tmp_path / "features.py"
    script.write_text(
        f"""
import base64, hashlib, sys
import httpx
import numpy as np
from protocol.capture import FeatureReport
assert sys.argv[1:] == ["features", "-", "--json"], sys.argv
picture = sys.stdin.buffer.read()
if not picture.startswith(b"P6"):
    print("picture: no face found", file=sys.stderr)
    sys.exit(1)
seed = int.from_bytes(hashlib.sha256(picture).digest()[:4], "big")
vector = np.random.default_rng(seed).normal(size=128)
vector = (vector / np.linalg.norm(vector)).astype("<f4")
print(FeatureReport(features=base64.b64encode(vector.tobytes()).decode(), model_name="features", model_sha256="d" * 64,
    runtime="{FeatureReport.TYPE}", quality={{"size": 90.0}}, overall_quality=80.0).to_bytes().decode())
"""
    )
    return (sys.executable, str(script))


@pytest.fixture
def feature_report() -> Callable[[int], FeatureReport]:
    """Make a feature report of a random unit vector: `feature_report(seed)`."""

    def make(seed: int) -> FeatureReport:
        vector = np.random.default_rng(seed).normal(size=128)
        unit = (vector / np.linalg.norm(vector)).astype("<f4")
        return FeatureReport(
            features=base64.b64encode(unit.tobytes()).decode(),
            model_name="features",
            model_sha256="d" * 64,
            runtime="test",
            quality={"size": 90.0},
            overall_quality=80.0,
        )

    return make


@pytest.fixture
def open_web(free_ports: Callable[[], int]) -> Iterator[Callable[..., httpx.Client]]:
    """Serve a fleet's console and open interface, and give a client, with a partner's key or not: `open_web(office, broker_state)`."""
    opened: list[tuple[WebServer, httpx.Client]] = []

    def serve(office: Any, broker: str = "connected", *, as_partner: bool = True) -> httpx.Client:
        port = free_ports()
        whole = Fleet(office.settings, office.keys, office.database, office.clock)
        server = WebServer(make_web(whole, broker_state=lambda: broker, ingest_state=lambda: "ok"), "127.0.0.1", port)
        server.start()
        headers = {"Authorization": f"Bearer {office.give_key()}"} if as_partner else {}
        opened.append(
            (server, httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, headers=headers, timeout=60))
        )
        return opened[-1][1]

    yield serve
    for server, client in opened:
        client.close()
        server.stop()
        server.stop()


@pytest.fixture
def web(office: Any, open_web: Callable[..., httpx.Client]) -> httpx.Client:
    """The console and open interface of the fleet of `office`."""
    return open_web(office)
