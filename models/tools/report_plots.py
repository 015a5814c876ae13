"""Plots of the evaluation report, from figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from models.tools.plots import Axis, Rate, Series, line_plot, rate_plot
from models.tools.report_text import size_text

Figures = Mapping[str, Any]


def plots_of(section: str, figures: Figures) -> dict[str, str]:
    """Return the plots of a section as SVG by file name."""
    return _PLOTS[section](figures) if section in _PLOTS else {}


def _verification(figures: Figures) -> dict[str, str]:
    curves = figures.get("curves", {})
    if not curves:
        return {}
    det = [
        Series(f"{_people(group)}, {kind}", [(x, max(y, 1e-4)) for x, y in scores["det"]])
        for group, kinds in curves.items()
        for kind, scores in kinds.items()
        if scores["det"]
    ]
    lowest = min(x for line in det for x, _ in line.points)
    plots = {
        "verification-det.svg": line_plot(
            "False non-matches against false matches",
            Axis("false match rate", _power_below(lowest), 0.5, is_log=True),
            Axis("false non-match rate", 1e-3, 1.0, is_log=True),
            det,
        )
    }
    for kind in ("raw", "normalised"):
        lines = [
            Series(f"{_people(group)}, {side}", kinds[kind][side])
            for group, kinds in curves.items()
            for side in ("genuine", "impostor")
        ]
        x = [point[0] for line in lines for point in line.points]
        top = max(point[1] for line in lines for point in line.points)
        plots[f"verification-scores-{kind}.svg"] = line_plot(
            f"Scores, {kind}", Axis("score", min(x), max(x)), Axis("density", 0.0, top * 1.05), lines
        )
    return plots


def _scenes(figures: Figures) -> dict[str, str]:
    attacks = [Rate(species, item["apcer"], tuple(item["interval"])) for species, item in figures["apcer"].items()]
    living = [Rate(f"{path} path", item["bpcer"], tuple(item["interval"])) for path, item in figures["bpcer"].items()]
    return {
        "scenes-apcer.svg": rate_plot("Attacks certified (IAPAR), all paths", attacks),
        "scenes-bpcer.svg": rate_plot("Living people not certified (false rejection)", living),
    }


def _pad(figures: Figures) -> dict[str, str]:
    areas = [
        Rate(f"{item['source']}, {item['kind']}", item["auc"], tuple(item["auc_interval"]))
        for item in figures.get("rates", ())
        if item["auc"] is not None
    ]
    return {"pad-auc.svg": rate_plot("AUC of the passive network (0.5 = chance)", areas)} if areas else {}


def _quality(figures: Figures) -> dict[str, str]:
    lines = [
        Series(way["name"], [(level["score"], level["cosine"]) for level in way["levels"] if level["found"]])
        for way in figures["degradations"]
        if way["name"] in _TELLING_WAYS
    ]
    x, y = Axis("component that is about it", 0.0, 100.0), Axis("cosine to the unspoilt picture", 0.3, 1.0)
    return {"quality-cosine.svg": line_plot("What the comparison makes of each component", x, y, lines)}


def _detection(figures: Figures) -> dict[str, str]:
    rates = [
        Rate(f"{size_text(size)} ({item['labelled_faces']})", item["recall"], tuple(item["recall_interval"]))
        for size, item in figures["by_size_px"].items()
        if item["labelled_faces"]
    ]
    return {"detection-recall.svg": rate_plot("Recall by size of the face", rates)}


def _people(group: str) -> str:
    return "everybody" if group == "all" else group.replace("_", " ")


def _power_below(value: float) -> float:
    power = 1.0
    while power > value:
        power /= 10
    return power


_PLOTS: Mapping[str, Callable[[Figures], dict[str, str]]] = {
    "verification": _verification,
    "scenes": _scenes,
    "pad": _pad,
    "quality": _quality,
    "detection": _detection,
}
_TELLING_WAYS = ("shade on one side", "dim light", "over-exposure", "fog", "blur", "cloth from the chin up")
