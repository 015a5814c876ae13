from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from models.cli import app
from models.tools.report import Measured, ReportInvalid, Results, read_results, without_names, write_page, write_results
from models.tools.report_sections import SECTIONS

DOCS = Path(__file__).resolve().parents[3] / "docs"
RATES = {"recall": 0.5, "recall_interval": (0.4, 0.6), "precision": None, "precision_interval": (0.0, 1.0)}
DETECTION: dict[str, Any] = {
    **RATES,
    "labelled_faces": 20,
    "by_size_px": {"16-32": {**RATES, "labelled_faces": 20}, "32-64": {**RATES, "recall": None, "labelled_faces": 0}},
    "networks": {"face_detection": "ab" * 32},
    "method": "some method",
}
CELL = {"presentations": 10, "certified": 1, "outcomes": {"review": 9}, "failed": {}, "not_run": {}}
SCENES: dict[str, Any] = {
    "attacks": 10,
    "attacks_certified": 1,
    "attacks_certified_interval": (0.0, 0.4),
    "apcer": {"print_flat": {"presentations": 10, "certified": 1, "apcer": 0.1, "interval": (0.0, 0.4), "paths": {"standard": CELL}}},
    "bpcer": {
        "standard": {
            "presentations": 4, "refused": 1, "bpcer": 0.25, "interval": (0.0, 0.8), "outcomes": {}, "reasons": {"quality": 1},
            "failed": {}, "variants": {"answers": {"presentations": 3, "refused": 0}, "slow": {"presentations": 1, "refused": 1}},
        }
    },
    "refused_by_person": {"ash": "1 of 4"},
    "bona_fide": 4, "seed": 1, "policy": "2026.1",
    "presentations": [{"number": 1, "person": "somebody"}],
}  # fmt: skip


def results(**sections: dict[str, Any]) -> Results:
    day = date(2026, 1, 2)
    measured = {
        name: Measured(measured_on=day, software="1.2.3", figures=figures) for name, figures in sections.items()
    }
    return Results(sections=measured)


def page(folder: Path, found: Results) -> str:
    write_page(found, folder)
    return (folder / "evaluation.md").read_text(encoding="utf-8")


def test_the_page_and_its_plots_are_those_of_the_figures_beside_them(tmp_path: Path) -> None:
    write_page(read_results(DOCS / "evaluation.json"), tmp_path)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    kept = [DOCS / "evaluation.md", *(DOCS / "evaluation").iterdir()]
    assert made == {path.relative_to(DOCS): path.read_bytes() for path in kept}


def test_a_section_without_figures_says_so_and_how_to_get_them(tmp_path: Path) -> None:
    text = page(tmp_path, Results())
    assert text.count("Not evaluated yet") == len(SECTIONS)
    assert text.count("Not evaluated yet; it needs the private folder") == sum(
        "EVAL" in section.command for section in SECTIONS.values()
    )
    assert all(section.command in text for section in SECTIONS.values())
    assert not list((tmp_path / "evaluation").iterdir())


def test_every_section_says_when_it_was_measured_and_with_what(tmp_path: Path) -> None:
    text = page(tmp_path, results(detection=DETECTION))
    assert "Measured on 2026-01-02 with version 1.2.3" in text
    assert "50.0 % (40.0 to 60.0 %)" in text
    assert "abababababababab" in text
    assert SECTIONS["detection"].cannot_show in text


def test_attacks_and_living_people_are_shown_with_counts(tmp_path: Path) -> None:
    text = page(tmp_path, results(scenes=SCENES))
    assert "| certified: print_flat | 1 of 10 | 10.0 % (0.0 to 40.0 %) |" in text
    assert "| standard | 1 of 4 | quality 1 | none |" in text
    assert {path.name for path in (tmp_path / "evaluation").iterdir()} == {"scenes-apcer.svg", "scenes-bpcer.svg"}


def test_a_plot_that_is_shown_no_more_is_removed(tmp_path: Path) -> None:
    write_page(results(detection=DETECTION), tmp_path)
    write_page(Results(), tmp_path)
    assert not list((tmp_path / "evaluation").iterdir())


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = results(detection=json.loads(json.dumps(DETECTION)))
    write_results(found, tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == found


@pytest.mark.parametrize("content", ["", "[]", '{"sections": {"detection": {}}}', '{"other": 1}'])
def test_anything_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ReportInvalid, match=r"results\.json"):
        read_results(path)


def test_rows_about_single_presentations_are_not_kept() -> None:
    assert "presentations" not in without_names(SCENES)
    assert without_names({"presentations": 12}) == {"presentations": 12}


def test_figures_printed_by_evaluate_take_the_place_of_older_ones_and_keep_the_rest(tmp_path: Path) -> None:
    known, taken = tmp_path / "known.json", tmp_path / "scenes.json"
    write_results(results(detection=DETECTION, scenes=SCENES), known)
    dated = {"measured_on": "2026-03-04", "software": "1.3.0", **SCENES, "attacks": 77}
    taken.write_text(json.dumps(dated), encoding="utf-8")
    arguments = ["--from", str(known), "--save", str(known), "--out", str(tmp_path), "--sections", "none"]
    done = CliRunner().invoke(app, ["report", *arguments, "--take", f"scenes={taken}"])
    assert done.exit_code == 0, done.output
    sections = read_results(known).sections
    assert sections["detection"].measured_on == date(2026, 1, 2)
    assert (sections["scenes"].measured_on, sections["scenes"].software) == (date(2026, 3, 4), "1.3.0")
    assert not {"measured_on", "software"} & sections["scenes"].figures.keys()
    assert "1 of 77" in (tmp_path / "evaluation.md").read_text(encoding="utf-8")
    assert "somebody" not in known.read_text(encoding="utf-8")


def test_figures_that_do_not_say_when_they_were_measured_need_a_day(tmp_path: Path) -> None:
    known, taken = tmp_path / "known.json", tmp_path / "scenes.json"
    taken.write_text(json.dumps(SCENES), encoding="utf-8")
    arguments = ["report", "--from", str(known), "--save", str(known), "--out", str(tmp_path), "--sections", "none"]
    done = CliRunner().invoke(app, [*arguments, "--take", f"scenes={taken}"])
    assert done.exit_code == 2
    assert "--measured" in done.output
    assert not known.exists()
    done = CliRunner().invoke(app, [*arguments, "--take", f"scenes={taken}", "--measured", "2026-02-03"])
    assert done.exit_code == 0, done.output
    found = read_results(known).sections["scenes"]
    assert (found.measured_on, found.software) == (date(2026, 2, 3), "not stated")


def test_people_left_out_and_what_is_in_no_total_are_shown_above_the_errors(tmp_path: Path) -> None:
    left_out = {"pairs": 3, "of": 11, "min_similarity": 0.42, "species": ["swap"]}
    item = {"presentations": 5, "certified": 2, "apcer": 0.4, "interval": (0.1, 0.8), "paths": {}}
    text = page(tmp_path, results(scenes={**SCENES, "left_out": left_out, "outside_bar": {"swap_alike": item}}))
    assert "3 of 11 pairs of one group are left out of `swap`" in text
    assert "| certified, in no total: swap_alike | 2 of 5 | 40.0 % (10.0 to 80.0 %) |" in text
    assert "| worst species: print_flat | 1 of 10 |" in text


def test_pictures_that_could_not_be_played_are_counted_apart(tmp_path: Path) -> None:
    item = {
        "source": "some", "kind": "print", "presentations": 10, "unreadable": 4, "played": 6, "certified": 0, "rate": 0.0,
        "interval": (0.0, 0.46), "outcomes": {"review": 6}, "failed": {}, "not_run": {},
    }  # fmt: skip
    figures = {
        "pictures": 10, "unreadable": 4, "other_reference": 2, "attacks": 6, "attacks_certified": 0,
        "attacks_certified_interval": (0.0, 0.46),
        "worst": item, "classes": [item],
    }  # fmt: skip
    text = page(tmp_path, results(pictures=figures))
    assert "Certified: 0 of 6 sessions played (0.0 to 46.0 %); of 2 of them no reference could be made" in text
    assert "4 more files held no picture." in text
    assert "The worst species is print of some: 0 of 6, 0.0 % (0.0 to 46.0 %)." in text
    assert "| some | print | 0 of 6 | 0.0 to 46.0 % | 4 | review 6 | none |" in text


def test_a_section_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", "--sections", "weather", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "weather" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sections", "none", "--from", "nowhere.json"], "no such file"),
        (["--sections", "none", "--take", "scenes"], "SECTION=FILE.json expected"),
        (["--sections", "pad"], "--eval FOLDER"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error_and_writes_nothing(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    save = tmp_path / "saved.json"
    done = CliRunner().invoke(app, ["report", *arguments, "--save", str(save), "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert said in done.output
    assert not save.exists()


@pytest.mark.parametrize("figures", ["{}", '{"attacks": 3}', "[]"])
def test_figures_of_another_section_take_nobodys_place(tmp_path: Path, figures: str) -> None:
    save, file = tmp_path / "saved.json", tmp_path / "figures.json"
    file.write_text(figures)
    take = ["--take", f"scenes={file}", "--measured", "2026-01-02"]
    done = CliRunner().invoke(app, ["report", "--sections", "none", *take, "--save", str(save), "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "figures.json" in done.output
    assert not save.exists()
