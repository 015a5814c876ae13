"""`lifecert-fleet duplicates` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from sqlalchemy import text

from fleet.app import open_fleet
from fleet.intake.people_table import SubjectRow
from fleet.intake.subjects import import_rows
from fleet.settings import load_settings
from fleet.store.subjects import Benefit
from protocol.documents import check_digit, parse_document
from protocol.policy import default_policy
from protocol.references import protect

pytestmark = pytest.mark.integration


@pytest.fixture
def run(
    program_in: Callable[..., Callable[..., Any]], make_data_dir: Callable[[], Path], database_url: str
) -> Callable[..., Result]:
    """A fleet with two people of one face."""
    folder = make_data_dir()
    (folder / "fleet.toml").write_text(f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n')

    invoke = program_in(folder)
    assert invoke("init", "--identity", "identity.json").exit_code == 0
    assert invoke("publish-policy").exit_code == 0, default_policy().policy_version
    with open_fleet(load_settings(folder / "fleet.toml")) as fleet:
        rows = []
        for line, digits in enumerate(("99999919400101001", "99999919410101003"), 2):
            benefit = Benefit("pension", "east", "retired", datetime(2001, 7, 1, tzinfo=UTC).date())
            rows.append(SubjectRow(line, parse_document(digits + check_digit(digits)), f"甲{line}", "east", benefit))
        done = import_rows(fleet.database, fleet.keys, rows, now=fleet.clock(), zone=fleet.settings.zone())
        vector = np.random.default_rng(1).normal(size=128)
        features = protect(np.asarray(vector / np.linalg.norm(vector), np.float32), fleet.keys.feature_keys["d1"])
        with fleet.database.begin() as connection:
            for place, subject_id in enumerate(done.subject_ids):
                connection.execute(
                    text(
                        "INSERT INTO references_ (subject_id, reference_id, features, model_sha256, runtime, key_domain,"
                        " quality, capture, legal_basis, captured_at, valid_until) VALUES (:who, :id, :features,"
                        " repeat('d', 64), 't', 'd1', 80, 'live', 'consent', now(), '2099-01-01')"
                    ),
                    {"who": subject_id, "id": f"{place}" * 32, "features": features.tobytes()},
                )
    return invoke


def test_a_hit_is_searched_listed_shown_and_decided(run: Callable[..., Result], tmp_path: Path) -> None:
    found = json.loads(run("duplicates", "search", "--json").stdout)
    (one,) = found["searches"]
    assert (one["references"], one["hits"], one["key_domain"]) == (2, 1, "d1")
    assert one["comparisons_per_s"] > 0
    again = run("duplicates", "search", "--all-ages", "--both-sexes")
    assert again.exit_code == 0
    assert "2 new of 2 references of 2 people" in again.stderr
    (hit,) = json.loads(run("duplicates", "list", "--json").stdout)["hits"]
    assert (hit["kind"], hit["state"], len(hit["subjects"])) == ("same_face", "open", 2)
    assert hit["hit_id"] in run("duplicates", "list").stdout

    look = ("duplicates", "show", hit["hit_id"], "--reader", "Zhao", "--reason", "round")
    assert "甲" not in run(*look).stdout
    assert "甲2" in run(*look, "--names").stdout
    shown = json.loads(run(*look, "--json").stdout)
    assert [side["born"] for side in shown["sides"] if side["subject_id"] == hit["subjects"][0]] != [None]

    word = ("duplicates", "decide", hit["hit_id"], "different", "--because", "twins", "--by")
    assert "second person" in run(*word, "Zhao").stderr
    refused = run(*word, "Zhao")
    assert (refused.exit_code, "second person" in refused.stderr) == (1, True)
    assert json.loads(run(*word, "Qian", "--json").stdout)["state"] == "different"
    assert json.loads(run("duplicates", "list", "--json").stdout) == {"hits": []}


def test_lists_are_compared_and_handed_out(run: Callable[..., Result], tmp_path: Path) -> None:
    assert json.loads(run("duplicates", "benefits", "--json").stdout)["benefits"]["hits"] == 0
    key, out = tmp_path / "shared.key", tmp_path / "ours.csv"
    key.write_bytes(b"k" * 32)
    assert run("duplicates", "benefits", "--export", str(out), "--key", str(key), "--by", "Li").exit_code == 0
    assert (len(out.read_text().splitlines()), out.stat().st_mode & 0o777) == (3, 0o600)
    again = run("duplicates", "benefits", "--export", str(out), "--key", str(key), "--by", "Li")
    assert (again.exit_code, "cannot be written" in again.stderr) == (1, True)
    assert run("duplicates", "benefits", "--export", str(out), "--key", str(key)).exit_code == 2
    compared = run(
        "duplicates", "benefits", "--elsewhere", str(out), "--key", str(key), "--source", "south", "--by", "Li"
    )
    assert "elsewhere: 2 people compared, 2 suspicions, 2 new in the queue" in compared.stderr
    assert run("duplicates", "benefits", "--elsewhere", str(out)).exit_code == 2
    key.write_bytes(b"short")
    bad = run("duplicates", "benefits", "--export", str(tmp_path / "x"), "--key", str(key), "--by", "Li")
    assert (bad.exit_code, "32 expected" in bad.stderr) == (1, True)
