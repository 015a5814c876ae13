"""What the fleet shows of the evaluation is what the evaluation found."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from fleet.statistics.evaluated import EVERYBODY, Evaluated, evaluated
from models.cli import app
from models.tools.report import read_results
from protocol.manifest import load_manifest

ROOT = Path(__file__).resolve().parents[3]
KEPT = ROOT / "fleet" / "statistics" / "evaluation.json"


def test_the_file_of_the_fleet_is_that_of_the_evaluation_and_the_manifests(tmp_path: Path) -> None:
    written = tmp_path / "evaluation.json"
    arguments = ["--sections", "none", "--out", str(tmp_path), "--save", str(tmp_path / "all.json")]
    done = CliRunner().invoke(app, ["report", *arguments, "--export", str(written)])
    assert done.exit_code == 0, done.output
    assert written.read_bytes() == KEPT.read_bytes()
    assert Evaluated.model_validate_json(written.read_bytes()) == evaluated()


def test_curves_counts_and_intervals_are_those_of_the_evaluation() -> None:
    sections = read_results(ROOT / "docs" / "evaluation.json").sections
    figures = sections["verification"].figures
    found = evaluated()
    assert found.comparison is not None
    assert found.sessions is not None
    assert found.texture is not None
    for name, kinds in figures["curves"].items():
        for kind in ("raw", "normalised"):
            curve = found.comparison.curves[name][kind]
            assert len(curve.det) == len(kinds[kind]["det"])
            assert curve.impostor_pairs == kinds[kind]["impostor_pairs"]
    assert found.comparison.curves[EVERYBODY]["raw"].genuine_pairs == 4414
    scenes = sections["scenes"].figures
    counted = [each for each in found.sessions.species if each.counts_in_total]
    assert sum(each.presentations for each in counted) == scenes["attacks"]
    assert sum(each.errors for each in counted) == scenes["attacks_certified"]
    assert {each.name for each in found.sessions.species if not each.counts_in_total} == set(scenes["outside_bar"])
    assert sum(each.errors for each in found.sessions.living) == scenes["bona_fide_refused"]


def test_every_network_is_named_by_the_digest_of_its_manifest() -> None:
    manifests = {path.stem: load_manifest(path) for path in (ROOT / "models").glob("*.toml")}
    shown = {each.name: each for each in evaluated().networks}
    assert {name: each.sha256 for name, each in shown.items()} == {
        name: each.sha256 for name, each in manifests.items()
    }
    assert shown["texture_recapture"].thresholds == manifests["texture_recapture"].thresholds


def test_without_a_measurement_there_is_none(tmp_path: Path) -> None:
    known, written = tmp_path / "none.json", tmp_path / "evaluation.json"
    known.write_text(json.dumps({"sections": {}}), encoding="utf-8")
    arguments = ["--from", str(known), "--save", str(known), "--out", str(tmp_path), "--sections", "none"]
    done = CliRunner().invoke(app, ["report", *arguments, "--export", str(written)])
    assert done.exit_code == 0, done.output
    found = Evaluated.model_validate_json(written.read_bytes())
    assert (found.comparison, found.sessions, found.texture) == (None, None, None)
