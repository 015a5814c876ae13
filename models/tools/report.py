"""The evaluation report: figures of every section in one JSON file, and the page and plots made from it.

What a section needs is evaluated by the functions behind `lifecert-models evaluate`; figures that were measured earlier are kept with
their day and are shown with it. The JSON carries figures alone: no picture, no name of a file or a person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device.vision.inference import Network, Networks
from models.errors import ModelsError
from models.tools.evaluate_clips import evaluate_clips, read_events
from models.tools.evaluate_detection import evaluate_detection, read_boxes
from models.tools.evaluate_evidence import evaluate_evidence
from models.tools.evaluate_groups import read_groups
from models.tools.evaluate_landmarks import evaluate_landmarks, read_files
from models.tools.evaluate_minima import evaluate_minima
from models.tools.evaluate_pad import evaluate_pad, read_presentations
from models.tools.evaluate_pictures import evaluate_pictures
from models.tools.evaluate_quality import evaluate_quality
from models.tools.evaluate_scenes import evaluate_scenes
from models.tools.evaluate_verification import Paths, evaluate_verification, read_pairs
from models.tools.report_page import PAGE, page_of
from models.tools.report_plots import plots_of
from models.tools.report_sections import SECTIONS
from models.tools.sessions import Opened

Figures = dict[str, Any]


class ReportInvalid(ModelsError):
    """Results that cannot be used."""


class Measured(BaseModel):
    """The figures of one section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measured_on: date
    software: str
    """Version of this project."""
    figures: Figures


class Results(BaseModel):
    """Everything measured so far."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sections: dict[str, Measured] = Field(default_factory=dict)

    def with_section(self, name: str, measured: Measured) -> Results:
        """Return the results with one section in place of what it was."""
        return Results(sections={**self.sections, name: measured})


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the data lies, and what is evaluated."""

    evaluation: Path | None
    """Folder of the private sets, laid out as its SOURCES.md says; None where it is not given."""
    people: Path
    """Folder of the rendered people."""
    networks: Networks
    opened: Opened
    """How the networks were opened; scenes are played in several processes."""
    track: Callable[[str], Paths]
    """Makes a progress display."""
    float_features: Network | None = None
    """The float network that the int8 feature network was made from, to compare with it."""


def read_results(path: Path) -> Results:
    """Read results.

    Raises:
        ReportInvalid: if the file cannot be read or holds something else.
    """
    try:
        return Results.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise ReportInvalid(f"{path.name}: no evaluation results: {error}") from error


def write_results(results: Results, path: Path) -> None:
    """Write results, sections in the order of the page."""
    ordered = {name: results.sections[name] for name in SECTIONS if name in results.sections}
    path.write_text(Results(sections=ordered).model_dump_json(indent=1) + "\n", encoding="utf-8")


def measurements_of(results: Results) -> dict[str, tuple[date, str, Figures]]:
    """Return day, version and figures of every section."""
    return {
        name: (section.measured_on, section.software, section.figures) for name, section in results.sections.items()
    }


def write_page(results: Results, folder: Path) -> None:
    """Write the page and its plots into a folder, and remove plots that the page does not show any more."""
    measured = measurements_of(results)
    plots = {plot: text for name in measured for plot, text in plots_of(name, measured[name][2]).items()}
    plots_folder = folder / PAGE
    plots_folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{PAGE}.md").write_text(page_of(measured), encoding="utf-8")
    for old in plots_folder.glob("*.svg"):
        if old.name not in plots:
            old.unlink()
    for name, text in plots.items():
        (plots_folder / name).write_text(text, encoding="utf-8")


def check_section(name: str, measured: Measured, file: str) -> None:
    """Show figures that were measured elsewhere, before they take the place of others.

    Raises:
        ReportInvalid: if they are not those of the section.
    """
    try:
        page_of({name: (measured.measured_on, measured.software, measured.figures)})
        plots_of(name, measured.figures)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ReportInvalid(f"{file}: these are not the figures of `{name}`: {type(error).__name__} {error}") from error


def evaluate_section(name: str, sources: Sources) -> Figures | None:
    """Evaluate a section; None where its data is not given or it has no function here.

    Raises:
        IndexInvalid: if the data cannot be used.
    """
    return _EVALUATIONS[name](sources) if name in _EVALUATIONS else None


def without_names(figures: Figures) -> Figures:
    """Return figures without the rows that are about single files or presentations."""
    return {key: value for key, value in figures.items() if key != "presentations" or not isinstance(value, list)}


def _verification(sources: Sources) -> Figures | None:
    if sources.evaluation is None:
        return None
    folder = sources.evaluation / "verification"
    return evaluate_verification(
        read_pairs(folder / "pairs.csv"),
        sources.networks,
        members=read_groups(folder / "groups.csv"),
        float_features=sources.float_features,
        with_curves=True,
        track=sources.track("comparison"),
    )


def _pad(sources: Sources) -> Figures | None:
    if sources.evaluation is None:
        return None
    rows = read_presentations(sources.evaluation / "pad" / "index.csv")
    return evaluate_pad(rows, sources.networks, track=sources.track("presentation attacks"))


def _pictures(sources: Sources) -> Figures | None:
    if sources.evaluation is None:
        return None
    rows = read_presentations(sources.evaluation / "pad" / "index.csv")
    return evaluate_pictures(rows, sources.opened, people=sources.people, jobs=_JOBS)


def _evidence(sources: Sources) -> Figures:
    return evaluate_evidence(
        sources.people, sources.opened, attacks=_EVIDENCE_ATTACKS, bona_fide=_EVIDENCE_ATTACKS // 3, jobs=_JOBS, seed=1
    )


def _detection(sources: Sources) -> Figures | None:
    if sources.evaluation is None:
        return None
    rows = read_boxes(sources.evaluation / "detection" / "boxes.csv")
    return evaluate_detection(rows, sources.networks, track=sources.track("detection"))


def _landmarks(sources: Sources) -> Figures | None:
    if sources.evaluation is None:
        return None
    rows = read_files(sources.evaluation / "detection" / "boxes.csv")
    return evaluate_landmarks(rows, sources.networks, track=sources.track("landmarks"))


def _clips(sources: Sources) -> Figures | None:
    if sources.evaluation is None:
        return None
    rows = read_events(sources.evaluation / "clips" / "labels.csv")
    report = evaluate_clips(rows, sources.networks, track=sources.track("clips"))
    numbered = [{**clip, "file": f"clip {number}"} for number, clip in enumerate(report["clips"], start=1)]
    return {**report, "clips": numbered}


def _minima(sources: Sources) -> Figures | None:
    if sources.evaluation is None:
        return None
    pairs = read_pairs(sources.evaluation / "verification" / "pairs.csv")
    pictures = sorted({path for pair in pairs for path in (pair.a, pair.b)})
    return evaluate_minima(pictures, sources.networks, track=sources.track("quality minima"))


def _quality(sources: Sources) -> Figures | None:
    clips: Sequence[Path] = sorted(sources.people.glob("live_*.mp4"))
    return evaluate_quality(clips, sources.networks, track=sources.track("quality")) if clips else None


def _scenes(sources: Sources) -> Figures:
    return evaluate_scenes(
        sources.people, sources.opened, presentations=_ATTACKS, bona_fide=2 * _ATTACKS // 5, jobs=_JOBS, seed=1
    )


_ATTACKS = 520
_EVIDENCE_ATTACKS = 120
_JOBS = 2
_EVALUATIONS: Mapping[str, Callable[[Sources], Figures | None]] = {
    "verification": _verification,
    "scenes": _scenes,
    "pad": _pad,
    "pictures": _pictures,
    "evidence": _evidence,
    "detection": _detection,
    "landmarks": _landmarks,
    "clips": _clips,
    "quality": _quality,
    "minima": _minima,
}
