"""`lifecert-fleet privacy` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text

from fleet.app import open_fleet
from fleet.intake.people_table import SubjectRow
from fleet.intake.subjects import import_rows
from fleet.settings import load_settings
from fleet.store.subjects import Benefit
from protocol.documents import check_digit, parse_document

pytestmark = pytest.mark.integration
NUMBERS = tuple(digits + check_digit(digits) for digits in ("99999919400101001", "99999919410101003"))


@pytest.fixture
def folder(make_data_dir: Callable[[], Path], database_url: str) -> Path:
    found = make_data_dir()
    (found / "fleet.toml").write_text(f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n')
    return found


@pytest.fixture
def run(program_in: Callable[..., Callable[..., Any]], folder: Path) -> Callable[..., Result]:
    """A fleet with two people, each with a reference on consent."""

    invoke = program_in(folder)
    assert invoke("init", "--identity", "identity.json").exit_code == 0
    with open_fleet(load_settings(folder / "fleet.toml")) as fleet:
        benefit = Benefit("pension", "east", "retired", datetime(2001, 7, 1, tzinfo=UTC).date())
        rows = [
            SubjectRow(line, parse_document(number), f"甲{line}", "east", benefit)
            for line, number in enumerate(NUMBERS, 2)
        ]
        import_rows(fleet.database, fleet.keys, rows, now=fleet.clock(), zone=fleet.settings.zone())
        with fleet.database.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO references_ (subject_id, reference_id, features, model_sha256, runtime, key_domain, quality,"
                    " capture, legal_basis, captured_at, valid_until) SELECT subject_id, md5(subject_id), 'f', 'd', 't', 'd1',"
                    " 80, 'live', 'consent', now(), '2099-01-01' FROM subjects"
                )
            )
    return invoke


def test_a_consent_is_recorded_and_withdrawn_with_another_way(run: Callable[..., Result]) -> None:
    words = run("privacy", "texts", "--language", "en")
    assert "You may say no" in words.stdout
    done = run(
        "privacy", "consent", "-", "--by", "Li", "--way", "paper", "--on", "2026-01-05", "--json", typed=NUMBERS[0]
    )
    assert json.loads(done.stdout)["text"] == "2026-12"
    status = json.loads(run("privacy", "status", "--json").stdout)
    assert status["bases"] == {"statute": 0, "consent": 1, "unrecorded": 1}
    gone = run("privacy", "withdraw", "-", "--by", "Li", "--other-way", "home_visit", typed=NUMBERS[0])
    assert (gone.exit_code, "1 references erased" in gone.stderr) == (0, True)
    offered = json.loads(run("privacy", "ways", "--since", "2026-01-01", "--json").stdout)
    assert offered["withdrawals"] == {"home_visit": 1}
    assert run("privacy", "withdraw", "-", "--by", "Li", "--other-way", "counter", typed=NUMBERS[0]).exit_code == 1
    assert (
        run("privacy", "consent", "-", "--by", "Li", "--way", "paper", "--text", "1999", typed=NUMBERS[0]).exit_code
        == 2
    )
    assert run("privacy", "ways", "--since", "yesterday").exit_code == 2


def test_an_erasure_takes_two_and_its_proof_is_checked_without_the_fleet(
    run: Callable[..., Result], folder: Path, tmp_path: Path
) -> None:
    proof = tmp_path / "proof.jws"
    one = ("privacy", "erase", "-", "--because", "wishes it", "--out", str(proof), "--by")
    refused = run(*one, "Zhao", typed=NUMBERS[0])
    assert (refused.exit_code, NUMBERS[0] in refused.output) == (1, False)
    assert "second person" in run(*one, "Zhao", "--although-entitled", typed=NUMBERS[0]).stderr
    assert not proof.exists()
    done = run(*one, "Qian", "--although-entitled", typed=NUMBERS[0])
    assert (done.exit_code, proof.exists()) == (0, True)
    assert run(*one, "Qian", typed=NUMBERS[1]).exit_code == 2

    checked = run("privacy", "verify-proof", str(proof), "--identity", "identity.json", "--json")
    counts = {table["table"]: table["rows"] for table in json.loads(checked.stdout)["erased"]}
    assert (counts["subjects"], counts["references_"]) == (1, 1)
    assert "subjects: 1 rows, delete" in run("privacy", "verify-proof", str(proof)).stderr
    kept = tmp_path / "proofs"
    (name,) = json.loads(run("privacy", "proofs", str(kept), "--json").stdout)["written"]
    assert (kept / f"{name}.jws").read_bytes() == proof.read_bytes()
    assert "0 proofs written, 1 in all" in run("privacy", "proofs", str(kept)).stderr
    assert run("privacy", "proofs", str(proof)).exit_code == 1
    again = run("privacy", "reapply", str(proof), "--by", "Sun", "--json")
    assert json.loads(again.stdout) == {"proofs": 1, "erased": []}
    proof.write_bytes(proof.read_bytes()[:-8] + b"AAAAAAA\n")
    assert run("privacy", "verify-proof", str(proof)).exit_code == 1
    assert run("privacy", "verify-proof", str(tmp_path / "none")).exit_code == 1
    assert len(json.loads(run("privacy", "status", "--json").stdout)["bases"]) == 3


def test_the_filing_is_checked_by_exit_status(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    assert run("privacy", "status", "--check").exit_code == 0
    assert run("privacy", "filed", "2026-01-05", "--by", "Li").exit_code == 1
    monkeypatch.setattr("fleet.privacy.filing.PERSONS", 2)
    due = run("privacy", "status", "--check")
    assert (due.exit_code, "holidays of these years are not known" in due.stderr) == (1, True)
    (folder / "fleet.toml").write_text(
        'fleet_id = "north"\ndata_dir = "data"\n[privacy]\ncalendar_file = "none.toml"\n'
    )
    assert run("privacy", "status").exit_code == 78
    (folder / "fleet.toml").write_text(f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n')
    assert run("privacy", "filed", "2099-01-05", "--by", "Li").exit_code == 1
    assert run("privacy", "filed", "2026-01-05", "--by", "Li").exit_code == 0
    assert run("privacy", "status", "--check").exit_code == 0


def test_what_is_over_is_cleaned_and_the_register_is_printed(run: Callable[..., Result]) -> None:
    assert json.loads(run("privacy", "clean", "--json").stdout) == {"tables": {}}
    assert "nothing is over" in run("privacy", "clean").stderr
    assert "| subjects |" in run("privacy", "register", "--language", "en").stdout
    assert run("privacy", "register", "--format", "html").stdout.startswith("<!doctype html>")
