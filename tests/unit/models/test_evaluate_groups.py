"""All pairs and groups, on features that are drawn, not seen."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from device.vision.features import FeatureVector
from models.tools.evaluate_groups import (
    Member,
    Pictures,
    evaluate_all_pairs,
    evaluate_groups,
    identity_of,
    read_groups,
)
from models.tools.evaluate_index import IndexInvalid
from models.tools.metrics import wilson
from protocol.cohort import NEAREST_SHARE, level, normalised

SIZE = 96


def features(people: int, *, pictures: int = 2, alike: int = 0, seed: int = 0) -> dict[Path, FeatureVector | None]:
    """Unit vectors about one for each person; the first `alike` people have a common part."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=SIZE) * 0.6
    found: dict[Path, FeatureVector | None] = {}
    for person in range(people):
        own = rng.normal(size=SIZE) + (common if person < alike else 0)
        for picture in range(pictures):
            values = own + rng.normal(size=SIZE) * 0.5
            found[Path(f"p{person:03d}_{picture}.png")] = FeatureVector(
                np.asarray(values / np.linalg.norm(values), np.float32), "d" * 64
            )
    return found


def members(people: int, pictures: int = 2) -> list[Member]:
    return [Member(Path(f"p{who:03d}_{number}.png"), "alike") for who in range(people) for number in range(pictures)]


def test_file_names_carry_identities() -> None:
    assert identity_of(Path("x/Some_Name_0012.jpg")) == "Some_Name"
    assert identity_of(Path("x/portrait.jpg")) is None


def test_normalised_scores_are_those_of_the_definition_and_leave_out_both_people() -> None:
    given = features(12, pictures=2)
    pictures = Pictures(given)
    pairs = pictures.pairs()
    found = pictures.normalised(pairs)
    vectors = np.stack([given[path].values.astype(float) for path in pictures.paths])  # type: ignore[union-attr]  # all are there
    for number in (0, 1, 57, 200):
        one, other = int(pairs.first[number]), int(pairs.second[number])
        who = {int(pictures.people[one]), int(pictures.people[other])}
        cohort = [2 * person for person in range(12) if person not in who]
        expected = normalised(
            float(vectors[one] @ vectors[other]),
            level(vectors[cohort] @ vectors[one], NEAREST_SHARE),
            level(vectors[cohort] @ vectors[other], NEAREST_SHARE),
        )
        assert found[number] == pytest.approx(expected, abs=1e-6)


def test_people_kept_out_of_the_cohort_do_not_change_a_score() -> None:
    given = features(30)
    apart = np.arange(20, 30)
    chosen = np.arange(20)
    before = Pictures(given).normalised(Pictures(given).pairs(chosen), without=apart)
    changed = given | {path: vector for path, vector in features(30, seed=9).items() if path.name >= "p020"}
    after = Pictures(changed).normalised(Pictures(changed).pairs(chosen), without=apart)
    np.testing.assert_allclose(before, after)


def test_all_pairs_are_counted() -> None:
    report = evaluate_all_pairs(Pictures(features(20, pictures=3)))
    assert (report["identities"], report["pictures"]) == (20, 60)
    assert (report["genuine_pairs"], report["impostor_pairs"]) == (60, 60 * 59 // 2 - 60)
    assert not report["is_cohort_large_enough"]
    for row in report["raw"] + report["normalised"]:
        low, high = row["fnmr_interval"]
        assert low <= row["fnmr"] <= high


def test_pairs_of_one_person_widen_the_interval_of_the_fnmr() -> None:
    """Thirty people of whom three look like themselves in no two pictures; six pictures of each make fifteen pairs."""
    given = features(30, pictures=6, seed=2)
    rng = np.random.default_rng(5)
    for path in [path for path in given if path.name < "p003"]:
        values = rng.normal(size=SIZE)
        given[path] = FeatureVector(np.asarray(values / np.linalg.norm(values), np.float32), "d" * 64)
    report = evaluate_all_pairs(Pictures(given))
    for row in report["raw"] + report["normalised"]:
        low, high = row["fnmr_interval"]
        alone = wilson(row["false_non_matches"], report["genuine_pairs"])
        assert row["fnmr"] == pytest.approx(0.1, abs=0.02)
        assert low < row["fnmr"] < high
        assert high - low > 2 * (alone[1] - alone[0])
    assert report["raw"] == evaluate_all_pairs(Pictures(given))["raw"]


def test_pictures_of_a_group_without_a_face_are_counted() -> None:
    given = features(60)
    lost = Path("p003_1.png")
    report = evaluate_groups(Pictures(given | {lost: None}), members(20), splits=1)["alike"]
    assert (report["pictures"], report["without_features"]) == (39, 1)


def test_a_group_of_people_alike_gets_a_threshold_of_its_own() -> None:
    given = features(120, alike=40)
    report = evaluate_groups(Pictures(given), members(40), splits=6)["alike"]
    assert report["identities"] == 40
    assert report["global"]["fmr_over_nominal"] > 5
    own = report["self_calibrated"]
    assert own["fmr_over_nominal"] < report["normalised"]["fmr_over_nominal"]
    assert own["fmr_over_nominal"] <= 2
    assert own["splits"] == 6
    assert own["splits_above_nominal"] * 6 == pytest.approx(round(own["splits_above_nominal"] * 6))
    assert 0 <= own["splits_above_nominal_between_people"] <= 1
    assert (own["calibrating_identities"], own["measured_identities"]) == (20, 20)
    assert own["impostor_trials"] == 6 * (40 * 39 // 2 - 20)
    for kind in ("global", "normalised", "self_calibrated", "self_calibrated_raw"):
        assert {"threshold", "fmr", "fmr_over_nominal", "fnmr"} <= report[kind].keys()


def test_a_group_too_small_to_calibrate_says_so() -> None:
    report = evaluate_groups(Pictures(features(40)), members(20), splits=3)["alike"]
    assert report["self_calibrated"]["threshold"] is None
    assert "15 needed" in report["self_calibrated"]["reason"]
    assert report["self_calibrated"]["splits_without_threshold"] == 3


def test_pictures_without_a_face_are_left_out() -> None:
    given = features(10)
    lost = next(iter(given))
    assert lost not in Pictures(given | {lost: None}).paths
    with pytest.raises(ValueError, match="identity"):
        Pictures(dict.fromkeys(given))


def test_bad_rows_of_a_group_index_are_all_named(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for name in ("a_1.png", "portrait.png"):
        (folder / name).write_bytes(b"")
    with (folder / "groups.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("file", "group"), ("set/a_1.png", "east"), ("set/portrait.png", "east"), ("set/a_1.png", "")]
        )
    with pytest.raises(IndexInvalid) as found:
        read_groups(folder / "groups.csv")
    assert [error.split(": ")[1] for error in found.value.errors] == ["line 3", "line 4"]
