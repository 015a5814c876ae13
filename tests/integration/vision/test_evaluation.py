"""The evaluation command on the private data, where it is at hand, and on made-up data everywhere."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from device.vision.inference import Networks
from models.tools.evaluate import evaluate
from models.tools.evaluate_clips import evaluate_clips, read_events
from models.tools.evaluate_detection import evaluate_detection, read_boxes
from models.tools.evaluate_pad import evaluate_pad, read_presentations
from models.tools.evaluate_verification import evaluate_verification, read_pairs

pytestmark = pytest.mark.integration


@pytest.fixture
def made_up(tmp_path: Path, pictures: Callable[[str], list[np.ndarray]]) -> Path:
    """Pictures of the synthetic people, one empty scene and one broken file, with an index of pairs."""
    folder = tmp_path / "verification"
    folder.mkdir()
    for who in ("om", "of"):
        for number in (0, 4):
            cv2.imwrite(str(folder / f"{who}{number}.png"), pictures(f"live_{who}")[number][:, :, ::-1])
    cv2.imwrite(str(folder / "empty.png"), np.zeros((480, 640, 3), np.uint8))
    (folder / "broken.png").write_bytes(b"")
    pairs = ["om0 om4 1", "of0 of4 1", "om0 of0 0", "om4 of4 0", "om0 empty 1", "om0 broken 0"]
    rows = [line.split() for line in pairs]
    text = "a,b,same,set,fold\n" + "".join(
        f"verification/{a}.png,verification/{b}.png,{same},made,{i % 2}\n" for i, (a, b, same) in enumerate(rows)
    )
    (folder / "pairs.csv").write_text(text)
    return folder / "pairs.csv"


def test_failures_to_acquire_are_counted_and_are_errors(made_up: Path) -> None:
    result = CliRunner().invoke(evaluate, ["verification", str(made_up), "--json"])
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["failures_to_acquire"] == 2
    assert report["pairs_with_failure"] == 2
    assert report["accuracy"] == pytest.approx(4 / 6)
    assert "identities" in report["all_pairs_not_run"]
    assert report["eer"] == pytest.approx(1 / 3)
    assert {"accuracy_interval", "eer_interval", "fnmr_at_fmr", "threshold", "pairs"} <= set(report)


@pytest.fixture
def named(tmp_path: Path, pictures: Callable[[str], list[np.ndarray]]) -> Path:
    """Pictures whose file names carry identities; the faces behind the six names are of two synthetic people."""
    folder = tmp_path / "named"
    folder.mkdir()
    names = [f"{who}_{number}" for who in "abcdef" for number in (1, 2)]
    for place, name in enumerate(names):
        clip = pictures("live_om" if place % 4 < 2 else "live_of")
        cv2.imwrite(str(folder / f"{name}.png"), clip[place % 2][:, :, ::-1])
    rows = [(first, second) for i, first in enumerate(names) for second in names[i + 1 :]]
    text = "".join(f"named/{a}.png,named/{b}.png,{int(a[0] == b[0])},made,{i % 2}\n" for i, (a, b) in enumerate(rows))
    (folder / "pairs.csv").write_text("a,b,same,set,fold\n" + text)
    (folder / "groups.csv").write_text("file,group\n" + "".join(f"named/{name}.png,made\n" for name in names))
    return folder


def test_groups_are_reported_raw_normalised_and_self_calibrated(named: Path, models_dir: Path) -> None:
    arguments = ["verification", str(named / "pairs.csv"), "--groups", str(named / "groups.csv"), "--json"]
    result = CliRunner().invoke(evaluate, [*arguments, "--float", str(models_dir / "features_mobilefacenet.tflite")])
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    group = report["groups"]["made"]
    for kind in ("global", "normalised", "self_calibrated", "self_calibrated_raw"):
        assert {"threshold", "fmr", "fmr_over_nominal", "fnmr"} <= set(group[kind])
    assert (group["identities"], group["genuine_pairs"], group["impostor_pairs"]) == (6, 6, 60)
    assert "15 needed" in group["self_calibrated"]["reason"]
    assert (report["all_pairs"]["genuine_pairs"], report["all_pairs"]["impostor_pairs"]) == (6, 60)
    assert report["float"]["int8_minus_float_fnmr"] == 0
    assert report["float"]["int8_minus_float_accuracy"] == 0


def test_a_group_index_without_identities_is_refused_and_a_float_network_without_manifest_too(
    made_up: Path, named: Path
) -> None:
    (named / "portrait.png").write_bytes(b"")
    (named / "groups.csv").write_text("file,group\nnamed/portrait.png,made\n")
    result = CliRunner().invoke(evaluate, ["verification", str(made_up), "--groups", str(named / "groups.csv")])
    assert result.exit_code == 2
    assert "identity" in result.stderr
    result = CliRunner().invoke(evaluate, ["verification", str(made_up), "--float", str(named / "none.tflite")])
    assert result.exit_code == 1


def test_landmarks_agree_with_those_of_the_mirror_image(made_up: Path) -> None:
    (made_up.parent / "files.csv").write_text(
        "file\n" + "".join(f"verification/{name}.png\n" for name in ("om0", "om4", "of0", "of4", "empty", "broken"))
    )
    result = CliRunner().invoke(evaluate, ["landmarks", str(made_up.parent / "files.csv"), "--json"])
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert (report["pictures"], report["undetected"], report["unreadable"], report["failures_to_acquire"]) == (
        6,
        1,
        1,
        2,
    )
    assert report["mirror_difference"]["max"] < 0.1


def test_tables_are_for_people(made_up: Path) -> None:
    result = CliRunner().invoke(evaluate, ["verification", str(made_up)])
    assert result.exit_code == 0
    assert "failures_to_acquire" in result.stdout


def test_bad_rows_end_with_every_line_and_code_2(made_up: Path) -> None:
    made_up.write_text(made_up.read_text() + "verification/none.png,verification/om0.png,1,made,1\nx,y,2,made,1\n")
    result = CliRunner().invoke(evaluate, ["verification", str(made_up), "--json"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["line 8", "line 9"]


def test_folder_without_networks_ends_with_code_1_and_unknown_runtime_with_2(made_up: Path, tmp_path: Path) -> None:
    refused = CliRunner().invoke(evaluate, ["verification", str(made_up), "--models", str(tmp_path)])
    assert refused.exit_code == 1
    assert len(refused.stderr.splitlines()) == 1
    assert CliRunner().invoke(evaluate, ["verification", str(made_up), "--runtime", "abacus"]).exit_code == 2


def test_real_faces_are_told_apart_with_99_percent(evaluation: Path, networks: Networks) -> None:
    # A fixed fifth of the pairs keeps the suite short; the whole index is run by the command.
    pairs = read_pairs(evaluation / "verification" / "pairs.csv")
    report = evaluate_verification(random.Random(1).sample(pairs, 600), networks)
    assert report["accuracy_interval"][1] >= 0.99
    assert report["accuracy"] >= 0.98
    assert report["failure_to_acquire_rate"] <= 0.01


def test_labelled_events_of_real_clips_are_seen(evaluation: Path, networks: Networks) -> None:
    report = evaluate_clips(read_events(evaluation / "clips" / "labels.csv"), networks)
    assert report["found"] >= 14
    for clip in report["clips"]:
        assert clip["frames_with_subject"] >= 0.95 * clip["frames"]
        assert clip["track_ids"] == 1


def test_near_faces_in_photographs_are_found(evaluation: Path, networks: Networks) -> None:
    report = evaluate_detection(read_boxes(evaluation / "detection" / "boxes.csv"), networks)
    assert report["by_size_px"]["64-128"]["recall"] >= 0.75
    assert report["precision"] >= 0.75


def test_presentations_are_counted_and_texture_is_not_run(evaluation: Path, networks: Networks) -> None:
    presentations = read_presentations(evaluation / "pad" / "index.csv")
    report = evaluate_pad(presentations[::10], replace(networks, texture=None))
    assert report["texture"]["status"] == "not_run"
    assert report["rates"] == []
    assert report["apcer"] is None
    assert sum(item["presentations"] for item in report["classes"]) == report["presentations"]
