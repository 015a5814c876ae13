"""The command line: `serve` as a process, the other commands inside this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import Result
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import text
from typer.testing import CliRunner

from demo.processes import end
from fleet.app import open_fleet
from fleet.cli import app
from fleet.settings import load_settings
from protocol.documents import check_digit
from protocol.envelope import unseal, verify
from protocol.receipts import RECEIPT_TYP, Receipt
from protocol.references import CaptureKind, protect
from protocol.registration import FleetIdentity
from protocol.roster import ROSTER_TYP, RosterPage
from protocol.topics import Kind, Topic, terminal_inbox

pytestmark = pytest.mark.integration
PROGRAM = [sys.executable, "-W", "error", "-c", "from fleet.cli import main; main()"]
HEADING = "document_number,name,area,scheme,category,benefit_start\n"


class Office:
    """A folder with settings, and the program in it."""

    def __init__(self, folder: Path, features: tuple[str, ...], ports: tuple[int, int]) -> None:
        self.folder = folder
        self.broker_port, self.web_port = ports
        (folder / "fleet.toml").write_text(
            f"""
fleet_id = "north"
data_dir = "data"
[broker]
port = {self.broker_port}
[web]
port = {self.web_port}
[references]
command = {json.dumps(list(features))}
"""
        )

    def run(self, *arguments: str, text: str = "") -> Result:
        # In this process: loading the program takes longer than most commands.
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            return CliRunner().invoke(app, list(arguments), input=text)
        finally:
            os.chdir(here)

    def done(self, *arguments: str, text: str = "") -> str:
        found = self.run(*arguments, text=text)
        assert found.exit_code == 0, found.stderr
        return found.stdout

    def serve(self, *arguments: str) -> subprocess.Popen[str]:
        with (self.folder / "serve.log").open("a") as log:
            return subprocess.Popen(
                [*PROGRAM, "serve", *arguments], cwd=self.folder, stdout=subprocess.PIPE, stderr=log, text=True
            )

    def get(self, path: str) -> Any:
        headers = {} if path == "/healthz" else {"Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.web_port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    @cached_property
    def key(self) -> str:
        return self.done("partners", "add", "own-tool", "--local", "--by", "tester").strip()

    def healthy(self) -> bool:
        try:
            return bool(self.get("/healthz"))
        except (urllib.error.URLError, ConnectionError):
            return False


@pytest.fixture
def office(make_data_dir: Callable[[], Path], feature_program: tuple[str, ...], free_ports: Any) -> Office:
    return Office(make_data_dir(), feature_program, (free_ports(), free_ports()))


@pytest.fixture
def start(office: Office) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def serve(*arguments: str) -> subprocess.Popen[str]:
        started.append(office.serve(*arguments))
        return started[-1]

    yield serve
    have_ended = [end(process) for process in started]
    for process in started:
        if process.stdout:
            process.stdout.close()
    assert all(have_ended), "not when it was asked"


def number(serial: int) -> str:
    digits = f"99999919400101{serial:03d}"
    return digits + check_digit(digits)


def test_the_whole_way_while_serve_runs(
    office: Office, start: Any, make_fleet_terminal: Callable[..., Any], eventually: Any
) -> None:
    made = office.run("init")
    identity = FleetIdentity.parse(made.stdout.strip().encode())
    fleet_key = identity.signing_key
    assert f"fingerprint {fleet_key.key_id}" in made.stderr
    assert str(office.folder / "data" / "keys") in made.stderr.replace("\n", "")
    serve = start()
    assert serve.stdout is not None
    assert serve.stdout.readline().startswith(f"console on http://localhost:{office.web_port}")
    eventually(office.healthy, "health")

    terminal = make_fleet_terminal()
    (office.folder / "t-1.reg").write_bytes(terminal.registration())
    received: dict[Kind, list[bytes]] = {kind: [] for kind in Kind}
    client = Client(CallbackAPIVersion.VERSION2, client_id="t-1", clean_session=False)
    client.on_connect = lambda c, *_: c.subscribe(str(terminal_inbox("north", "t-1")), qos=1)
    client.on_message = lambda _c, _d, m: received[Topic.parse(m.topic).kind].append(m.payload)
    client.connect("127.0.0.1", office.broker_port)
    client.loop_start()

    subprocess.run([*PROGRAM, "publish-policy"], cwd=office.folder, check=True, timeout=60)
    assert (
        f"fingerprint {terminal.signing.key_id}" in office.run("register-terminal", "t-1.reg", "--area", "east").stderr
    )
    eventually(lambda: received[Kind.POLICY], "the policy of a terminal registered after its publication")
    (office.folder / "people.csv").write_text(HEADING + f"{number(1)},甲,east,pension,retired,2001-07-01\n")
    imported = json.loads(office.done("import-subjects", "people.csv", "--json"))
    subject_id = imported["subjects"][0]["subject_id"]
    office.done("assign", "--terminal", "t-1", "--area", "east")
    (office.folder / "photo.ppm").write_bytes(b"P6 1 1 255 abc")
    done = json.loads(
        office.done(
            "enrol",
            "photo.ppm",
            "--subject",
            "-",
            "--kind",
            "photo-confirmed",
            "--officer",
            "clerk",
            "--legal-basis",
            "consent",
            "--json",
            text=number(1) + "\n",
        )
    )
    assert (done["subject_id"], done["terminals"]) == (subject_id, 1)

    def pages() -> list[RosterPage]:
        opened = [unseal(payload, key=terminal.sealing) for payload in received[Kind.ROSTER]]
        return [RosterPage.parse(verify(o, key_of=lambda _: fleet_key, typ=ROSTER_TYP).payload) for o in opened]

    eventually(lambda: any(entry.references for page in pages() for entry in page.entries), "the reference")
    token = pages()[-1].entries[0].claim_token
    compared = terminal.record().comparison.model_copy(
        update={"reference_id": done["reference_id"], "capture": CaptureKind.PHOTO_CONFIRMED}
    )
    # `serve` goes by the real clock.
    at = datetime.fromtimestamp(time.time(), UTC)
    envelope = terminal.next(subject_id=subject_id, token=token, comparison=compared, at=at)
    client.publish(str(terminal.topic(Kind.RECORD)), envelope, qos=1)
    eventually(lambda: received[Kind.RECEIPT], "the receipt")
    receipt = Receipt.parse(verify(received[Kind.RECEIPT][0], key_of=lambda _: fleet_key, typ=RECEIPT_TYP).payload)
    assert receipt.items[0].verdict == "stored"
    office.done("card", "rotate-key")
    eventually(lambda: received[Kind.CARD_KEYS], "card keys as soon as there are any")
    client.disconnect()
    client.loop_stop()
    (subject,) = office.get("/api/v1/subjects")["subjects"]
    assert subject["state"] == "certified"
    assert json.loads(office.done("rebuild-status", "--json")) == {"statuses": 1, "benefit_files": 0}
    office.done("withdraw", done["reference_id"])
    office.done("retire-terminal", "t-1")

    serve.send_signal(signal.SIGTERM)
    assert serve.wait(20) == 0
    assert "Traceback" not in (office.folder / "serve.log").read_text()


def test_a_card_is_issued_listed_and_revoked(office: Office) -> None:
    office.done("init")
    (office.folder / "people.csv").write_text(HEADING + f"{number(1)},甲,east,pension,retired,2001-07-01\n")
    office.done("import-subjects", "people.csv")
    (office.folder / "photo.ppm").write_bytes(b"P6 1 1 255 abc")
    picture = ("card", "issue", "-", "--picture", "photo.ppm", "--officer", "clerk")
    who = number(1) + "\n"
    refused = office.run(*picture, "--text", text=who)
    assert (refused.exit_code, "card rotate-key" in refused.stderr) == (1, True)
    office.done("card", "rotate-key")
    assert office.run(*picture, text=who).exit_code == 2
    assert office.run("card", "issue", "-", "--picture", "photo.ppm", "--text", text=who).exit_code == 2
    made = json.loads(office.done(*picture, "--png", "card.png", "--text", "--json", text=who))
    assert cv2.QRCodeDetectorAruco().detectAndDecode(cv2.imread(str(office.folder / "card.png")))[0] == made["text"]
    assert (office.folder / "card.png").stat().st_mode & 0o777 == 0o600
    # The features of this test's program are 128; the terminal's own network gives 192 and a code of version 16.
    assert made["qr_version"] == 15
    again = office.run(*picture, "--png", "card.png", text=who)
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)
    assert office.done(*picture, "--text", text=who).startswith("LCR1:")

    found = json.loads(office.done("card", "list", "--subject", "-", "--json", text=who))
    assert [card["revoked_at"] for card in found["cards"]] == [None, None]
    office.done("card", "revoke", made["card_id"])
    assert office.run("card", "revoke", made["card_id"]).exit_code == 1
    states = office.done("card", "list")
    assert (states.count("revoked"), states.count("in use")) == (1, 1)
    (key,) = found["keys"]
    assert office.run("card", "retire-key", key["key_id"], text="n\n").exit_code == 1
    office.done("card", "retire-key", key["key_id"], "--yes")
    assert json.loads(office.done("card", "list", "--json"))["keys"] == []


def test_references_move_to_new_keys_and_what_does_not_wait_cannot_be_decided(office: Office) -> None:
    office.done("init")
    (office.folder / "people.csv").write_text(HEADING + f"{number(1)},甲,east,pension,retired,2001-07-01\n")
    office.done("import-subjects", "people.csv")
    (office.folder / "photo.ppm").write_bytes(b"P6 1 1 255 abc")
    kind = ("--kind", "photo-confirmed", "--officer", "clerk", "--legal-basis", "consent")
    made = json.loads(office.done("enrol", "photo.ppm", "--subject", "-", *kind, "--json", text=number(1) + "\n"))
    found = json.loads(office.done("references", "rotate", "--json"))
    assert found == {"domain": "d1-r1", "moved": 1, "left": 0}
    again = json.loads(office.done("references", "rotate", "--json"))
    assert again == {"domain": "d1-r2", "moved": 1, "left": 0}
    stale = office.run("references", "rotate", "--domain", "d1")
    assert (stale.exit_code, "was replaced by d1-r1" in stale.stderr) == (1, True)
    assert json.loads(office.done("references", "proposals", "--json")) == []
    for command in ("approve", "reject"):
        refused = office.run("references", command, made["reference_id"], "--as", "Qian")
        assert (refused.exit_code, "does not wait" in refused.stderr) == (1, True)
    none = office.run("references", "revert", made["subject_id"], "--as", "Qian")
    assert (none.exit_code, "no refreshed reference" in none.stderr) == (1, True)


def test_serve_starts_again_on_the_same_data_after_kill_9(office: Office, start: Any, eventually: Any) -> None:
    office.done("init")
    first = start()
    eventually(office.healthy, "health", timeout_s=40)
    (office.folder / "people.csv").write_text(HEADING + f"{number(1)},甲,east,pension,retired,2001-07-01\n")
    office.done("import-subjects", "people.csv")
    first.kill()
    first.wait()
    start()
    eventually(office.healthy, "health again", timeout_s=40)
    assert len(office.get("/api/v1/subjects")["subjects"]) == 1


def test_web_and_ingest_run_as_processes_of_their_own(office: Office, start: Any, eventually: Any) -> None:
    office.done("init")
    start("--only", "ingest")
    start("--only", "web")
    eventually(office.healthy, "health", timeout_s=40)
    assert office.get("/healthz") == {"database": "ok", "broker": "not run here", "ingest": "not run here"}


def test_a_taken_port_is_one_clear_line(office: Office, start: Any, eventually: Any) -> None:
    office.done("init")
    start()
    eventually(office.healthy, "health", timeout_s=40)
    found = office.run("serve")
    assert found.exit_code == 1
    assert found.stderr.strip().splitlines()[-1].startswith("embedded broker on 127.0.0.1:")
    found = office.run("serve", "--only", "web")
    assert found.exit_code == 1
    assert "console on 127.0.0.1" in found.stderr
    assert "Traceback" not in found.stderr


def test_bad_rows_are_all_reported_and_nothing_is_imported(office: Office) -> None:
    office.done("init")
    (office.folder / "people.csv").write_text(
        HEADING + f"{number(1)},甲,east,pension,retired,2001-07-01\n1,乙,east,pension,retired,x\n"
    )
    found = office.run("import-subjects", "people.csv")
    assert found.exit_code == 1
    assert [line.split(": ")[1] for line in found.stderr.strip().splitlines()] == ["line 3", "line 3"]
    (office.folder / "people.csv").write_text(HEADING + f"{number(1)},甲,east,pension,retired,2001-07-01\n")
    assert "1 new" in office.run("import-subjects", "people.csv").stderr
    assert "1 unchanged" in office.run("import-subjects", "people.csv", "--by", "clerk").stderr
    # What was refused left no trace; each import that was done has its entry.
    log = json.loads(office.done("audit", "list", "--json"))["entries"]
    assert [(e["action"], e["detail"]["new"]) for e in sorted(log, key=lambda e: e["entry"])] == [
        ("subjects.imported", 1),
        ("subjects.imported", 0),
    ]
    assert len({e["actor_hash"] for e in log}) == 2


def test_exit_status_says_what_kind_of_problem_it_is(office: Office) -> None:
    assert office.run("migrate").exit_code == 1, "keys are missing"
    office.done("init")
    assert office.run("enrol", "x.jpg").exit_code == 2
    assert office.run("assign", "--terminal", "t-1").exit_code == 2
    assert office.run("assign", "--terminal", "t-1", "--all").exit_code == 1
    found = office.run("migrate", "--config", "none.toml")
    assert (found.exit_code, len(found.stderr.strip().splitlines())) == (78, 1)
    (office.folder / "photo.ppm").write_bytes(b"no picture")
    refused = office.run(
        "enrol", "photo.ppm", "--subject", number(1), "--kind", "photo-confirmed", "--legal-basis", "statute"
    )
    assert refused.exit_code == 1
    assert "officer" in refused.stderr


def test_a_database_that_is_down_is_one_clear_line(office: Office) -> None:
    office.done("init")
    config = office.folder / "fleet.toml"
    config.write_text('database = "postgresql://u:hidden@127.0.0.1:1/x"\n' + config.read_text())
    begun = time.monotonic()
    found = office.run("serve")
    assert time.monotonic() - begun < 30
    assert found.exit_code == 1
    assert len(found.stderr.strip().splitlines()) == 1
    assert "hidden" not in found.stderr


def test_a_registration_of_another_fleet_or_with_other_keys_is_refused(
    office: Office, make_fleet_terminal: Callable[..., Any]
) -> None:
    office.done("init")
    files = {
        "foreign.reg": make_fleet_terminal("south").registration(),
        "first.reg": make_fleet_terminal().registration(),
        "second.reg": make_fleet_terminal().registration(),
        "nonsense.reg": os.urandom(100),
    }
    for name, content in files.items():
        (office.folder / name).write_bytes(content)
    office.done("register-terminal", "first.reg", "--area", "east")
    office.done("register-terminal", "first.reg", "--area", "west")
    for name, message in (
        ("foreign.reg", "fleet south"),
        ("second.reg", "other keys"),
        ("nonsense.reg", "signed message"),
    ):
        found = office.run("register-terminal", name, "--area", "east")
        assert found.exit_code == 1
        assert message in found.stderr


def test_a_policy_version_cannot_be_issued_with_other_contents(office: Office) -> None:
    office.done("init")
    default = Path(sys.modules["protocol.policy"].__file__ or "").with_name("default_policy.toml").read_text()
    office.done("publish-policy")
    assert "issued before" in office.run("publish-policy").stderr
    (office.folder / "other.toml").write_text(
        default.replace("max_clock_uncertainty_s = 3600.0", "max_clock_uncertainty_s = 60.0")
    )
    found = office.run("publish-policy", "other.toml")
    assert found.exit_code == 1
    assert "another version" in found.stderr
    (office.folder / "low.toml").write_text(
        default.replace("match = 0.60", "match = 0.50").replace('policy_version = "', 'policy_version = "low.')
    )
    refused = office.run("publish-policy", "low.toml", "--approved-by", "Qian")
    assert refused.exit_code == 1
    assert "two different persons" in refused.stderr
    assert office.run("publish-policy", "low.toml").exit_code == 1
    office.done("publish-policy", "low.toml", "--approved-by", "Qian", "--approved-by", "Sun")
    (office.folder / "bad.toml").write_text("type = 3")
    assert office.run("publish-policy", "bad.toml").exit_code == 1


def test_init_writes_settings_for_a_new_fleet_and_keeps_existing_keys(make_data_dir: Callable[[], Path]) -> None:
    folder = make_data_dir()

    def init() -> str:
        found = CliRunner().invoke(app, ["init", "--fleet-id", "county", "--config", str(folder / "fleet.toml")])
        assert found.exit_code == 0, found.stderr
        return found.stdout

    assert init() == init()
    assert (folder / "fleet.toml").exists()


def test_thresholds_are_proposed_approved_by_two_and_put_in_force(office: Office) -> None:
    office.done("init")
    office.done("publish-policy")
    rows = "".join(f"{number(serial)},甲{serial},east,pension,retired,2001-07-01\n" for serial in range(1, 17))
    (office.folder / "people.csv").write_text(HEADING + rows)
    office.done("import-subjects", "people.csv")
    refused = office.run("calibrate", "--as", "Zhao")
    assert refused.exit_code == 1
    assert "stay" in refused.stderr
    rng = np.random.default_rng(0)
    with open_fleet(load_settings(office.folder / "fleet.toml")) as fleet, fleet.database.begin() as connection:
        for subject_id in list(connection.execute(text("SELECT subject_id FROM subjects")).scalars()):
            values = rng.normal(size=128)
            features = protect((values / np.linalg.norm(values)).astype("float32"), fleet.keys.feature_keys["d1"])
            connection.execute(
                text(
                    "INSERT INTO references_ SELECT :subject, :reference, :features, repeat('d', 64), 'test', 'd1', 80,"
                    " 'live', 'consent', now(), '2999-01-01'"
                ),
                {"subject": subject_id, "reference": rng.bytes(16).hex(), "features": features.tobytes()},
            )
    shown = office.run("calibrate", "--as", "Zhao", "--fmr", "0.01", "--grey-fmr", "0.05")
    assert shown.exit_code == 0, shown.stderr
    assert "raw" in shown.stdout
    assert "16 people, 120 pairs" in shown.stderr
    assert "no normalised thresholds: 16 people" in shown.stderr
    found = json.loads(office.done("calibrate", "--as", "Zhao", "--json"))
    assert found["raw"]["match_interval"][0] < found["raw"]["match"]
    assert found["before"]["match"] == 0.6
    approve = ("approve-calibration", found["calibration_id"][:12], "--as")
    assert "another person" in office.run(*approve, "Qian").stderr
    assert office.run(*approve, "qian").exit_code == 1
    done = json.loads(office.done(*approve, "Sun", "--json"))
    assert done["policy_version"].endswith(f".cal-{found['calibration_id'][:8]}")
    assert office.run("approve-calibration", "ffff", "--as", "Li").exit_code == 1
    assert office.run("calibrate", "--as", "Zhao", "--fmr", "0.5").exit_code == 1


def test_the_quarantine_is_listed(office: Office) -> None:
    office.done("init")
    assert json.loads(office.done("quarantine", "--json")) == []
    assert office.run("quarantine").exit_code == 0


def test_the_page_that_checks_slips_is_written_with_this_fleets_key(office: Office) -> None:
    assert office.run("write-slip-page", "slip.html").exit_code == 1
    key = FleetIdentity.parse(office.done("init").strip().encode()).signing_key
    office.done("write-slip-page", "slip.html")
    written = (office.folder / "slip.html").read_text(encoding="utf-8")
    assert key.x in written
    assert office.done("write-slip-page", "-") == written
    refused = office.run("write-slip-page", "nowhere/slip.html")
    assert refused.exit_code == 1
    assert "nowhere/slip.html: cannot be written" in refused.stderr
