from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from device.adapters.clock_system import SystemClock
from device.app.slips import check_as_data, check_in_words, slip_sheet, verify_slip
from device.cli import app
from device.simulated.clock import SteppedClock
from protocol.attestation import KeyStatement, state_key
from protocol.documents import DocumentKind, MaskedDocument
from protocol.envelope import sign
from protocol.errors import ProtocolError
from protocol.examples import examples
from protocol.keys import PrivateKey
from protocol.records import RECORD_TYP, CertificationRecord
from protocol.registration import FleetIdentity
from protocol.slip import make_slip
from protocol.times import ClockSource, agency_day

FLEET, TERMINAL = PrivateKey.generate(), PrivateKey.generate()
IDENTITY = FleetIdentity(fleet_id="demo", signing_key=FLEET.public())
NOON = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)
DAY = date(2026, 11, 2)


def slip(today: date = DAY, until: date = date(9999, 1, 1), key: PrivateKey = FLEET) -> str:
    record = examples()[RECORD_TYP]
    assert isinstance(record, CertificationRecord)
    decision = record.decision.model_copy(update={"certified_until": min(until, today + timedelta(days=365))})
    statement = KeyStatement(
        "demo", "hall-1", TERMINAL.public(), today - timedelta(days=400), today + timedelta(days=400)
    )
    return make_slip(
        record.model_copy(update={"decision": decision}),
        record_sha256="ab" * 32,
        masked=MaskedDocument(DocumentKind.RESIDENT_ID, "002X"),
        decided_on=today,
        sign=lambda payload, typ: sign(payload, key=TERMINAL, typ=typ),
        attestation=state_key(statement, key),
    )


def test_a_sheet_has_every_language_of_the_terminal_and_the_code_the_page() -> None:
    page = "https://agency.example/slip"
    sheet = slip_sheet(slip(), fleet_key=FLEET.public(), languages=("zh", "en"), page_url=page)
    assert "结果：认证成功" in sheet.lines
    assert "Result: certified" in sheet.lines
    assert sheet.content.startswith(f"{page}#LCS1:")
    # What was scanned from one code is the same slip in another.
    again = slip_sheet(sheet.content, fleet_key=FLEET.public(), languages=("zh",), page_url=None)
    assert again.content == slip_sheet(again.content, fleet_key=FLEET.public(), languages=(), page_url=None).content
    assert again.content.startswith("LCS1:")


def test_what_nobody_could_check_is_not_printed() -> None:
    with pytest.raises(ProtocolError):
        slip_sheet(slip(key=PrivateKey.generate()), fleet_key=FLEET.public(), languages=("zh",), page_url=None)


def test_the_day_of_a_check_is_the_agencys() -> None:
    late = SteppedClock(datetime(2026, 11, 2, 16, 30, tzinfo=UTC)).now()
    assert agency_day(late) == date(2026, 11, 3)


def test_a_terminal_that_is_not_certain_of_the_day_says_so() -> None:
    now = SteppedClock(NOON).now().model_copy(update={"source": ClockSource.NONE})
    check = verify_slip(slip(), IDENTITY, now)
    assert "This terminal is not certain of today's date" in check_in_words(check, now, ("en",))
    assert check_as_data(check, now)["today_certain"] is False


@dataclass
class Desk:
    """A folder with settings and the fleet's identity, and the command line."""

    folder: Path

    def configure(self, more: str = "") -> None:
        (self.folder / "fleet.json").write_bytes(IDENTITY.to_bytes())
        (self.folder / "terminal.toml").write_text(
            '[terminal]\nfleet_id = "demo"\nterminal_id = "desk"\ndata_dir = "data"\nlanguages = ["zh", "en"]\n'
            f'[keys]\nfleet = "fleet.json"\n{more}'
        )

    def call(self, *arguments: str, text: str = "") -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(self.folder / "terminal.toml")], input=text)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.configure()
    return made


# The agency's day: at the command line the program asks the computer's own clock.
TODAY = agency_day(SteppedClock(datetime.fromtimestamp(time.time(), UTC)).now())


def test_a_genuine_slip_is_told_in_words_and_ends_with_0(desk: Desk) -> None:
    found = desk.call("verify-slip", slip(TODAY))
    assert found.exit_code == 0
    assert "真实有效" in found.stdout
    assert "Valid: a terminal of this agency" in found.stdout
    assert "ending in 002X" in found.stdout
    assert "hall-1" in found.stdout


def test_a_slip_is_read_from_the_input_and_told_to_programs(desk: Desk) -> None:
    found = desk.call("verify-slip", "-", "--json", text=slip(TODAY) + "\n")
    assert found.exit_code == 0
    said = json.loads(found.stdout)
    assert (said["valid"], said["certified"], said["verdict"]) == (True, True, "valid")
    assert said["slip"]["document"] == {"kind": "resident_id", "tail": "002X"}
    assert said["slip"]["outcome"] == "certified"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (slip(TODAY, until=TODAY - timedelta(days=3)), "certification_over"),
        (slip(TODAY, key=PrivateKey.generate()), "altered"),
        (slip(TODAY)[:-3], "altered"),
        ("hello", "not_a_slip"),
        ("LCS7:AA", "newer"),
        ("x" * 100_000, "not_a_slip"),
    ],
)
def test_what_is_not_valid_ends_with_1_and_says_why(desk: Desk, text: str, verdict: str) -> None:
    found = desk.call("verify-slip", "-", "--json", text=text)
    assert found.exit_code == 1
    said = json.loads(found.stdout)
    assert (said["valid"], said["verdict"]) == (False, verdict)


def test_a_computer_that_is_no_terminal_checks_with_the_identity_file(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "terminal.toml").unlink()

    def remember(_self: SystemClock, _memory: object) -> None:
        pytest.fail("a checker remembers nothing: as root, its file in place of a device would replace the device")

    monkeypatch.setattr(SystemClock, "_remember", remember)
    found = desk.call("verify-slip", slip(TODAY), "--fleet", str(tmp_path / "fleet.json"))
    assert found.exit_code == 0
    missing = desk.call("verify-slip", slip(TODAY), "--fleet", str(tmp_path / "none.json"))
    assert missing.exit_code == 2
    assert "none.json: cannot be read" in missing.stderr
    (tmp_path / "fleet.json").write_text("{}")
    assert desk.call("verify-slip", slip(TODAY), "--fleet", str(tmp_path / "fleet.json")).exit_code == 2


def test_without_settings_or_identity_it_is_said_what_to_do(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "fleet.json").unlink()
    found = desk.call("verify-slip", slip(TODAY))
    assert found.exit_code == 2
    assert "accept-fleet" in found.stderr
    (tmp_path / "terminal.toml").unlink()
    assert desk.call("verify-slip", slip(TODAY)).exit_code == 78


def test_a_picture_is_written_where_the_operator_asked(desk: Desk, tmp_path: Path) -> None:
    desk.configure('[printer]\nfont = "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"\n')
    file = tmp_path / "slip.png"
    found = desk.call("slip", slip(TODAY), "--png", str(file))
    assert found.exit_code == 0, found.stderr
    assert file.read_bytes().startswith(b"\x89PNG")
    assert desk.call("slip", slip(TODAY), "--png", str(tmp_path / "no" / "slip.png")).exit_code == 2


def test_a_slip_is_printed_again(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "lp0").touch()
    desk.configure('[printer]\nkind = "escpos"\ndevice = "lp0"\n')
    assert desk.call("slip", "-", "--print", text=slip(TODAY)).exit_code == 0
    assert "认证成功".encode("gb18030") in (tmp_path / "lp0").read_bytes()
    (tmp_path / "lp0").unlink()
    away = desk.call("slip", slip(TODAY), "--print")
    assert away.exit_code == 1
    assert "printer lp0: No such file" in away.stderr


def test_a_slip_that_is_not_genuine_is_not_made_anew(desk: Desk, tmp_path: Path) -> None:
    found = desk.call("slip", slip(TODAY, key=PrivateKey.generate()), "--png", str(tmp_path / "slip.png"))
    assert found.exit_code == 1
    assert not (tmp_path / "slip.png").exists()


def test_nothing_to_do_is_a_mistake_of_usage(desk: Desk) -> None:
    assert desk.call("slip", slip(TODAY)).exit_code == 2
    assert "no printer" in desk.call("slip", slip(TODAY), "--print").stderr
