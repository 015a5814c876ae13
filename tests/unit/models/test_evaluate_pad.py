"""Rates of the texture network by source, on scores that are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from models.cli import app
from models.tools import evaluate_pad
from models.tools.evaluate_pad import ALL_SPECIES, Presentation
from models.tools.metrics import clopper_pearson

THRESHOLD = 0.5


def outcomes(
    label: str, scores: list[float], *, kind: str = "print", source: str = "some", people: int
) -> list[evaluate_pad._Outcome]:
    return [
        evaluate_pad._Outcome(
            Presentation(Path(f"{label}_{kind}_{number}.png"), label, kind, source, f"{label}{number % people}"),
            score,
            is_acquired=True,
        )
        for number, score in enumerate(scores)
    ]


def rows(*found: list[evaluate_pad._Outcome]) -> list[dict[str, Any]]:
    return evaluate_pad._rates([item for part in found for item in part], THRESHOLD)


def width(interval: tuple[float, float]) -> float:
    return interval[1] - interval[0]


def test_pictures_of_one_person_widen_the_intervals_of_both_rates() -> None:
    # Number n belongs to person n % 30, and every tenth person is misjudged in all pictures.
    wrong = [number % 10 == 0 for number in range(300)]
    attack, live = [0.9 if flag else 0.1 for flag in wrong], [0.1 if flag else 0.9 for flag in wrong]
    (together,) = rows(outcomes("attack", attack, people=30), outcomes("bonafide", live, kind="live", people=30))
    (alone,) = rows(outcomes("attack", attack, people=300), outcomes("bonafide", live, kind="live", people=300))
    for rate in ("apcer", "bpcer"):
        assert together[rate] == alone[rate] == pytest.approx(0.1)
        low, high = together[f"{rate}_interval"]
        assert low < 0.1 < high
        assert width(together[f"{rate}_interval"]) > 2 * width(alone[f"{rate}_interval"])


def test_without_an_error_people_are_counted_not_pictures() -> None:
    (row,) = rows(outcomes("attack", [0.1] * 100, people=25), outcomes("bonafide", [0.9] * 100, kind="live", people=25))
    assert row["apcer"] == row["bpcer"] == 0
    assert row["apcer_interval"] == row["bpcer_interval"] == clopper_pearson(0, 25)


def test_a_source_without_attacks_has_a_row_with_its_bpcer() -> None:
    (row,) = rows(outcomes("bonafide", [0.9] * 8 + [0.1] * 2, kind="live", people=10))
    assert (row["source"], row["kind"], row["bona_fide"], row["attacks"]) == ("some", ALL_SPECIES, 10, 0)
    assert row["bpcer"] == pytest.approx(0.2)
    assert row["bpcer_interval"] is not None
    assert row["apcer"] is row["apcer_interval"] is row["auc"] is None


def test_a_source_without_bona_fide_presentations_has_its_apcer() -> None:
    (row,) = rows(outcomes("attack", [0.9] * 3, people=3))
    assert (row["kind"], row["apcer"], row["bpcer"]) == ("print", 1, None)


def test_all_species_have_a_row_where_there_are_several() -> None:
    found = rows(outcomes("attack", [0.1], people=1), outcomes("attack", [0.1], kind="screen", people=1))
    assert [row["kind"] for row in found] == [ALL_SPECIES, "print", "screen"]


@pytest.mark.parametrize("command", ["pad", "pictures"])
def test_an_index_with_a_file_twice_ends_with_one_message_and_exit_code_2(tmp_path: Path, command: str) -> None:
    folder = tmp_path / "part"
    folder.mkdir()
    (folder / "one.png").write_bytes(np.zeros(4, np.uint8).tobytes())
    index = folder / "index.csv"
    header = "file,label,kind,subject,clip,source,view,haar_face\n"
    index.write_text(f"{header}part/one.png,attack,print,s,,some,,\npart/one.png,bonafide,live,s,,some,,\n", "utf-8")
    done = CliRunner().invoke(app, ["evaluate", command, str(index)])
    assert done.exit_code == 2
    assert done.stderr.strip().splitlines() == ["index.csv: one.png is in 2 rows, expected in one"]
