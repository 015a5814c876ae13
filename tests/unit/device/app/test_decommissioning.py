"""A terminal is erased: refused while something would be lost, cut off at every step, and proven by the key that goes last."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from demo.processes import free_port
from device.adapters.attachments_sqlite import SqliteAttachmentStore
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.references_sqlite import SqliteReferenceStore
from device.app.decommissioning import (
    ASKED,
    JOURNAL,
    PROOF,
    TOLD,
    Exported,
    ask_to_be_erased,
    check_asked,
    decommission,
    is_asked_to_be_erased,
    is_decommissioned,
    unconfirmed,
    with_key_files,
)
from device.app.log_bundle import bundle
from device.app.service import run_erased, run_until_erased
from device.cli import app
from device.errors import DecommissionRefused, DeviceError, RestartAsked
from device.settings import Settings, load_settings
from device.simulated.clock import SteppedClock
from device.updates.marks import Held
from protocol.commands import COMMAND_TYP, CommandKind, TerminalCommand
from protocol.decommissioning import DecommissionProof, read_proof
from protocol.envelope import sign
from protocol.keys import PrivateKey
from protocol.receipts import ReceiptItem, Verdict
from protocol.registration import FleetIdentity
from protocol.roster import RosterEntry, RosterPage

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


class Cut(Exception):
    """The power went."""


class Terminal:
    """A terminal with keys, a roster, records and a picture."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "terminal.toml"
        self.config.write_text(
            f"[terminal]\nfleet_id = 'north'\nterminal_id = 't-1'\ndata_dir = '{folder / 'data'}'\n"
            "[keys]\nsigning = 'credential:signing'\nsealing = 'credential:sealing'\nstorage = 'credential:storage'\nfleet = 'fleet.json'\n"
            "[broker]\nhost = 'localhost'\ntls_ca = 'root.pem'\ntls_key = 'tls.pem'\ntls_certificate = 'certificate.pem'\n"
            "[camera]\nkind = 'simulated'\n[panel]\nkind = 'simulated'\n"
        )
        self.signing, self.fleet = PrivateKey.generate(), PrivateKey.generate()
        identity = FleetIdentity(fleet_id="north", signing_key=self.fleet.public())
        (folder / "fleet.json").write_bytes(identity.to_bytes())
        self.signing.save(folder / "signing.pem")
        PrivateKey.generate().save(folder / "sealing.pem")
        (folder / "tls.pem").write_bytes(b"tls key")
        (folder / "certificate.pem").write_bytes(b"certificate")
        (folder / "storage.key").write_bytes(bytes(range(32)))
        (folder / "data" / "old").mkdir(parents=True)
        (folder / "data" / "old" / "picture of somebody.jpg").write_bytes(b"face" * 100)
        (folder / "data" / "link").symlink_to(self.config)

    @property
    def settings(self) -> Settings:
        return with_key_files(load_settings(self.config, credentials=self.folder))

    def fill(self) -> None:
        clock = SteppedClock(NOW)
        store = SqliteReferenceStore(self.settings.references_path, self.settings.keys.storage.path, clock)
        assert store.apply(page())
        store.close()
        outbox = SqliteOutbox(self.settings.outbox_path, max_rows=9, max_bytes=1 << 24)
        first, *_ = (outbox.append(lambda counter, _: b"%d" % counter) for _ in range(3))
        outbox.settle([ReceiptItem(sha256=first.sha256, verdict=Verdict.STORED)])
        outbox.close()
        pictures = SqliteAttachmentStore(self.settings.attachments_path, max_bytes=1 << 24)
        pictures.put([b"sealed"])
        pictures.close()

    def decommission(self, **changes: Any) -> DecommissionProof:
        given = {"out": self.folder / "proof.jws", "exported": Exported(2, 1), "lose": 0, "now": lambda: NOW, **changes}
        return read_proof(decommission(self.settings, **given), self.signing.public())

    def command(self, *, signer: PrivateKey | None = None, **changes: Any) -> bytes:
        command = TerminalCommand.model_validate(
            {
                "fleet_id": "north",
                "terminal_id": "t-1",
                "command_id": "a" * 32,
                "number": 1,
                "kind": CommandKind.DECOMMISSION,
                "issued_at": NOW,
                "expires_at": NOW + timedelta(hours=1),
                **changes,
            }
        )
        return sign(command.to_bytes(), key=signer or self.fleet, typ=COMMAND_TYP)

    def left(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


PAPERS = "data-decommission/"
GONE = {PAPERS + PROOF, "proof.jws", "terminal.toml", "fleet.json"}


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    made = Terminal(tmp_path / "t")
    made.fill()
    return made


def page() -> RosterPage:
    """Five people."""
    entries = tuple(
        RosterEntry(roster_version=number, subject_id=f"{number:032x}", claim_token=f"{number:043d}")
        for number in range(1, 6)
    )
    return RosterPage(
        fleet_id="north",
        terminal_id="t-1",
        issued_at=NOW,
        expires_at=NOW + timedelta(days=30),
        after=0,
        upto=5,
        complete=True,
        claim_key="QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0NTY3ODk",
        feature_keys={},
        entries=entries,
    )


def test_a_terminal_is_erased_and_its_last_key_says_so(terminal: Terminal) -> None:
    steps: list[str] = []
    sealing = PrivateKey.load(terminal.folder / "sealing.pem").key_id
    proof = terminal.decommission(on_step=steps.append)
    assert terminal.left() == GONE
    assert terminal.config.read_text().startswith("[terminal]"), "what a link leads to stays"
    assert (proof.subjects, proof.traces, proof.last_counter) == (5, 0, 3)
    assert (proof.records_confirmed, proof.records_exported, proof.records_lost) == (1, 2, 0)
    assert (proof.pictures_exported, proof.pictures_lost) == (1, 0)
    assert proof.searched_bytes > 10_000
    keys = {part.name: part for part in proof.parts if part.kind == "key"}
    assert set(keys) == {"sealing.pem", "storage.key", "tls.pem"}
    assert keys["sealing.pem"].public_key == sealing
    assert {"references.sqlite", "outbox.sqlite", "picture_of_somebody.jpg"} <= {part.name for part in proof.parts}
    assert is_decommissioned(terminal.settings)
    assert [step for step in steps if step.startswith("remove")][-2:] == ["remove signing.pem", f"remove {JOURNAL}"]
    assert terminal.decommission() == proof, "once more gives the same"


def test_the_power_is_cut_at_every_step_and_the_next_run_ends_it(tmp_path: Path) -> None:
    whole = Terminal(tmp_path / "whole")
    whole.fill()
    steps: list[str] = []
    whole.decommission(on_step=steps.append)
    assert len(steps) > 20
    for at in range(len(steps)):
        terminal = Terminal(tmp_path / str(at))
        terminal.fill()
        told: list[str] = []

        def cut(step: str, told: list[str] = told, at: int = at) -> None:
            told.append(step)
            if len(told) > at:
                raise Cut

        with pytest.raises(Cut):
            terminal.decommission(on_step=cut)
        is_proven = (terminal.folder / PAPERS / PROOF).exists()
        assert is_proven or (terminal.folder / "signing.pem").exists(), at
        # From the first erased byte on the terminal says that it is none any more; the technician need not export twice.
        assert at == 0 or is_decommissioned(terminal.settings)
        proof = terminal.decommission(exported=Exported() if at else Exported(2, 1))
        assert terminal.left() == GONE, at
        assert (proof.subjects, proof.records_exported, proof.records_lost) == (5, 2, 0), at
        # Cut off between the roster's end and the note of it, nobody knows any more what was to be looked for.
        assert proof.traces == (None if told[1:] == ["erase roster and storage key", "journal"] else 0), at
        assert len(proof.parts) == 10 or {part.name for part in proof.parts} >= {"storage.key", "outbox.sqlite"}


@pytest.mark.parametrize(
    ("exported", "lose", "lost"),
    [(Exported(), 0, 3), (Exported(2, 0), 0, 1), (Exported(), 2, 3), (Exported(2, 1), 1, 0), (Exported(), 4, 3)],
)
def test_what_nobody_has_is_not_erased_unless_the_exact_number_is_given_up(
    terminal: Terminal, exported: Exported, lose: int, lost: int
) -> None:
    before = terminal.left()
    (terminal.settings.terminal.data_dir / ASKED).touch()
    with pytest.raises(DecommissionRefused, match=f"--lose-records {lost}"):
        terminal.decommission(exported=exported, lose=lose)
    assert terminal.left() >= before - {"data/outbox.sqlite-wal", "data/outbox.sqlite-shm"}
    assert not is_decommissioned(terminal.settings)
    assert not (terminal.settings.terminal.data_dir / ASKED).exists(), "what was refused is not asked any more"
    assert terminal.decommission(exported=exported, lose=lost).records_lost == max(0, 2 - exported.records)


def test_a_terminal_that_runs_is_not_erased(terminal: Terminal) -> None:
    store = SqliteReferenceStore(
        terminal.settings.references_path, terminal.settings.keys.storage.path, SteppedClock(NOW)
    )
    with pytest.raises(DeviceError, match="in use"):
        terminal.decommission()
    store.close()
    assert not is_decommissioned(terminal.settings)


def test_nothing_is_signed_before_everything_is_erased(terminal: Terminal) -> None:
    (terminal.folder / "tls.pem").unlink()
    (terminal.folder / "tls.pem").mkdir()
    with pytest.raises(DecommissionRefused, match=r"tls\.pem"):
        terminal.decommission()
    assert not (terminal.folder / PAPERS / PROOF).exists()
    assert (terminal.folder / "signing.pem").exists()


def test_the_command_asks_for_the_name_and_leaves_a_code_to_scan(terminal: Terminal) -> None:
    def call(*arguments: str, typed: str = "") -> Any:
        given = ("--config", str(terminal.config), "--out", str(terminal.folder / "proof.jws"))
        return CliRunner().invoke(app, ["decommission", *given, *arguments], input=typed)

    other = call("--lose-records", "3", typed="t-2\n")
    assert (other.exit_code, other.stderr.partition(":")[0]) == (2, "Type t-1 to erase it for ever")
    refused = call("--yes")
    assert (refused.exit_code, "--lose-records 3" in refused.stderr) == (1, True)
    done = call("--lose-records", "3", typed="t-1\n")
    assert done.exit_code == 0, done.stderr
    assert "\N{FULL BLOCK}" in done.stdout
    assert "records lost 2, pictures lost 1" in done.stdout
    assert "to the fleet: lifecert-fleet terminals decommissioned proof.jws" in done.stdout
    assert "to the fleet" not in call("--yes", "--taken-there").stdout
    proof = read_proof((terminal.folder / "proof.jws").read_bytes(), terminal.signing.public())
    assert json.loads(call("--yes", "--json").stdout) == json.loads(proof.model_dump_json())
    uplink = CliRunner().invoke(app, ["uplink", "--config", str(terminal.config)])
    assert uplink.exit_code == 78


def test_a_terminal_that_was_erased_says_so_and_serves_nobody(
    terminal: Terminal, eventually: Callable[..., None]
) -> None:
    terminal.decommission()
    port = free_port()
    with terminal.config.open("a") as file:
        file.write(f"[screen]\nkind = 'web'\nport = {port}\n")
    stopping = threading.Event()
    running = threading.Thread(target=run_erased, args=(terminal.settings,), kwargs={"stopping": stopping})
    running.start()
    try:
        eventually(lambda: is_open(port), "the screen")
        shown = httpx.get(f"http://127.0.0.1:{port}/view", trust_env=False).json()
    finally:
        stopping.set()
        running.join(20)
    assert (shown["screen"], shown["problem"]) == ("out_of_order", "decommissioned")


def test_an_erased_terminal_is_shown_by_a_program_that_systemd_lends_no_keys(
    terminal: Terminal, eventually: Callable[..., None]
) -> None:
    terminal.decommission()
    port = free_port()
    with terminal.config.open("a") as file:
        file.write(f"[screen]\nkind = 'web'\nport = {port}\n")
    environment = {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
    command = [sys.executable, "-c", "from device.cli import app; app()", "erased", "--config", str(terminal.config)]
    with subprocess.Popen(command, env=environment) as running:
        try:
            eventually(lambda: is_open(port), "the screen")
            shown = httpx.get(f"http://127.0.0.1:{port}/view", trust_env=False).json()
        finally:
            running.terminate()
    assert shown["problem"] == "decommissioned"
    assert running.returncode == 0


def test_a_picture_that_the_fleet_refused_is_given_up_by_nobody_unasked(terminal: Terminal) -> None:
    pictures = SqliteAttachmentStore(terminal.settings.attachments_path, max_bytes=1 << 24)
    pictures.settle([ReceiptItem(sha256=each.sha256, verdict=Verdict.REFUSED) for each in pictures.waiting(9)])
    pictures.close()
    assert unconfirmed(terminal.settings) == (2, 1)
    with pytest.raises(DecommissionRefused, match="--lose-records 1"):
        terminal.decommission(exported=Exported(2, 0))
    proof = terminal.decommission(exported=Exported(2, 0), lose=1)
    assert (proof.pictures_exported, proof.pictures_lost) == (0, 1)


def test_the_fleets_wish_waits_for_what_it_has_not_confirmed(terminal: Terminal) -> None:
    settings = terminal.settings
    assert not ask_to_be_erased(settings, terminal.command())
    outbox = SqliteOutbox(settings.outbox_path, max_rows=9, max_bytes=1 << 24)
    outbox.settle([ReceiptItem(sha256=row.sha256, verdict=Verdict.REPEATED) for row in outbox.unconfirmed(9)])
    outbox.close()
    assert not ask_to_be_erased(settings, terminal.command()), "a picture is here yet"
    pictures = SqliteAttachmentStore(settings.attachments_path, max_bytes=1 << 24)
    pictures.drop([each.sha256 for each in pictures.waiting(9)])
    pictures.close()
    assert ask_to_be_erased(settings, terminal.command())
    assert is_asked_to_be_erased(settings)
    assert not is_decommissioned(settings), "until root's unit has begun"
    check_asked(settings, NOW)
    terminal.decommission(exported=Exported(), is_asked=True)
    assert terminal.left() == GONE
    check_asked(settings, NOW + timedelta(days=9))


@pytest.mark.parametrize(
    ("changes", "signer", "why"),
    [
        ({}, None, "No such file"),
        ({}, "signing", "the fleet does not ask"),
        ({"terminal_id": "t-2"}, "fleet", "another terminal"),
        ({"kind": CommandKind.RESTART}, "fleet", "something else"),
        ({"expires_at": NOW}, "fleet", "until"),
    ],
)
def test_root_erases_nothing_because_a_program_of_the_terminals_user_says_so(
    terminal: Terminal, changes: dict[str, Any], signer: str | None, why: str
) -> None:
    asked = terminal.settings.terminal.data_dir / ASKED
    if signer is not None:
        asked.write_bytes(terminal.command(signer=getattr(terminal, signer), **changes))
    before = terminal.left() - {f"data/{ASKED}"}
    said = asked.read_bytes() if signer is not None else None
    with pytest.raises(DecommissionRefused, match=why):
        check_asked(terminal.settings, NOW)
    assert not asked.exists(), "and it is not tried again"
    if said is not None:
        asked.write_bytes(said)
    with pytest.raises(DecommissionRefused, match=why):
        terminal.decommission(is_asked=True)
    assert terminal.left() >= before
    assert not asked.exists(), "and it is not tried again"
    assert not is_decommissioned(terminal.settings)


def test_a_wish_that_is_a_link_is_not_read(terminal: Terminal) -> None:
    command = terminal.folder / "command"
    command.write_bytes(terminal.command())
    (terminal.settings.terminal.data_dir / ASKED).symlink_to(command)
    with pytest.raises(DecommissionRefused):
        terminal.decommission(is_asked=True)
    assert command.exists()


def test_journal_and_proof_in_the_terminals_own_folder_are_files_like_any_other(terminal: Terminal) -> None:
    data = terminal.settings.terminal.data_dir
    (data / PROOF).write_bytes(b"of.my.own")
    (data / JOURNAL).write_bytes(b"{}")
    assert not is_decommissioned(terminal.settings)
    with pytest.raises(DecommissionRefused, match="--lose-records 3"):
        terminal.decommission(exported=Exported())
    assert terminal.decommission().subjects == 5
    assert terminal.left() == GONE


def test_nothing_is_erased_through_a_link(terminal: Terminal) -> None:
    elsewhere = terminal.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "shadow").write_bytes(b"root's")
    data = terminal.settings.terminal.data_dir
    (data / "folder").symlink_to(elsewhere)
    (data / "time.json").symlink_to(elsewhere / "shadow")
    os.mkfifo(data / "pipe")
    beside = data / "outbox.sqlite-journal"
    beside.symlink_to(elsewhere / "shadow")
    with pytest.raises(DecommissionRefused, match="is not a file"):
        terminal.decommission()
    beside.unlink()
    terminal.decommission()
    assert (elsewhere / "shadow").read_bytes() == b"root's"
    assert not list(data.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_the_terminals_user_is_kept_out_of_its_folder_while_root_works_there_and_gets_it_back(
    terminal: Terminal,
) -> None:
    data, nobody = terminal.settings.terminal.data_dir, 65534
    data.chmod(0o750)
    os.chown(data, nobody, nobody)
    seen: set[tuple[int, int]] = set()

    def look(_step: str) -> None:
        seen.add((data.stat().st_uid, data.stat().st_mode & 0o777))

    with pytest.raises(DecommissionRefused):
        terminal.decommission(exported=Exported(), on_step=look)
    assert (data.stat().st_uid, data.stat().st_gid, data.stat().st_mode & 0o777) == (nobody, nobody, 0o750)
    terminal.decommission(on_step=look)
    assert seen == {(0, 0o700)}
    assert data.stat().st_uid == nobody


def test_papers_are_believed_only_where_nobody_else_may_write_and_the_proof_only_by_the_key(terminal: Terminal) -> None:
    papers = terminal.settings.decommission_dir
    papers.mkdir()
    papers.chmod(0o777)
    with pytest.raises(DecommissionRefused, match="only the user who runs this"):
        terminal.decommission()
    papers.chmod(0o755)
    other = Terminal(terminal.folder.parent / "other")
    other.fill()
    other.decommission()
    (papers / PROOF).write_bytes((other.folder / "proof.jws").read_bytes())
    with pytest.raises(DecommissionRefused, match=PROOF):
        terminal.decommission()
    assert (terminal.folder / "signing.pem").exists()
    (papers / PROOF).unlink()
    another = Held()
    assert another.hold(papers, is_alone=True)
    with pytest.raises(DecommissionRefused, match="another program"):
        terminal.decommission()
    another.let_go()
    assert terminal.decommission().subjects == 5


def test_a_proof_that_the_fleet_has_is_taken_there_no_more_and_still_shows_what_the_terminal_is(
    terminal: Terminal,
) -> None:
    proof = terminal.decommission()
    for _ in range(2):
        done = CliRunner().invoke(app, ["decommission-told", "--config", str(terminal.config)])
        assert done.exit_code == 0, done.stderr
    assert terminal.left() == GONE - {PAPERS + PROOF} | {PAPERS + TOLD}
    assert is_decommissioned(terminal.settings)
    assert terminal.decommission() == proof, "who asks once more gets the same"


def test_a_terminal_whose_end_is_awaited_serves_nobody_and_goes_on_when_nothing_comes_of_it(terminal: Terminal) -> None:
    asked = terminal.settings.terminal.data_dir / ASKED
    asked.write_bytes(terminal.command())
    with pytest.raises(RestartAsked):
        run_until_erased(terminal.settings, wait_s=1)
    assert not asked.exists()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


FACE = base64.b64encode(bytes(range(256)) * 3).decode()
LOG = [
    "2026-11-20T09:00:00+0800 t-1 lifecert-terminal[1]: session ended outcome=certified frames=120",
    "2026-11-20T09:00:01+0800 t-1 lifecert-terminal[1]: claim 99999919400101001X",
    "2026-11-20T09:00:02+0800 t-1 lifecert-terminal[1]: 王小明 came",
    f"2026-11-20T09:00:03+0800 t-1 lifecert-terminal[1]: frame {FACE}",
    "2026-11-20T09:00:04+0800 t-1 lifecert-terminal[1]: token QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0NTY3ODk",
    "2026-11-20T09:00:05+0800 t-1 lifecert-uplink[2]: -----BEGIN PRIVATE KEY-----",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/a+b/c",
    "-----END PRIVATE KEY-----",
    "2026-11-20T09:00:06+0800 t-1 lifecert-uplink[2]: connected broker=localhost port=8883",
]


def test_a_bundle_tells_the_office_all_but_people_and_secrets(terminal: Terminal) -> None:
    (terminal.folder / "log").write_text("\n".join(LOG), encoding="utf-8")
    out = terminal.folder / "logs.zip"
    config, log = str(terminal.config), str(terminal.folder / "log")
    done = CliRunner().invoke(app, ["logs", "--config", config, "--out", str(out), "--log", log])
    assert done.exit_code == 0, done.stderr
    with zipfile.ZipFile(out) as archive:
        lines, about = archive.read("log.txt").decode(), json.loads(archive.read("about.json"))
    for secret in ("9999", "王小明", FACE[:30], FACE[-30:], "QUJDREVG", "MIGH", "a+b", "PRIVATE"):
        assert secret not in lines, secret
    assert "session ended outcome=certified frames=120" in lines
    assert "connected broker=localhost port=8883" in lines
    assert about["terminal_id"] == "t-1"
    assert (about["outbox"]["pending"], about["pictures"]["waiting"]) == (2, 1)
    assert about["settings"]["keys"]["signing"] == "SecretFile(***)"
    assert "signing.pem" not in json.dumps(about)


def test_a_damaged_database_is_what_the_office_is_told_of(terminal: Terminal) -> None:
    terminal.settings.outbox_path.write_bytes(b"damaged" * 1000)
    with zipfile.ZipFile(io.BytesIO(bundle(terminal.settings, [], now=NOW))) as archive:
        about = json.loads(archive.read("about.json"))
    assert "outbox" in about["outbox"]
