"""The page of the evaluation report: text from figures, the same every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from models.tools.report_plots import plots_of
from models.tools.report_sections import SECTIONS
from models.tools.report_text import (
    area_text,
    counts_text,
    percent,
    plain,
    rate_text,
    score_text,
    size_text,
    span_text,
    table,
)
from protocol.cohort import LEAST_PEOPLE

PAGE = "evaluation"
"""Name of the page, of its folder of plots and of the file of figures."""

Figures = Mapping[str, Any]
MeasuredFigures = tuple[date, str, Figures]
"""Day, version, figures."""


_HEAD = """# Evaluation

How often the terminal's own vision code and sessions are right, data set by data set. Written by `lifecert-models report` from
`docs/evaluation.json`; do not edit. Intervals are 95 %. Every section says when it was measured, how to measure it again, and what its
data cannot show. `EVAL` is a folder of private test data: pictures of real people, for tests alone, in no repository.

For all of it holds: no picture was taken by a Raspberry Pi camera or under a terminal's lamp, and none shows one of the old people served,
a year after enrolment. A pilot must measure that.
"""


def page_of(measured: Mapping[str, MeasuredFigures]) -> str:
    """Return the page as Markdown; a section without figures says so."""
    parts = [_HEAD]
    for name, section in SECTIONS.items():
        parts.append(f"## {section.title}\n")
        found = measured.get(name)
        if found is None:
            needs = "; it needs the private folder `EVAL`" if "EVAL" in section.command else ""
            parts.append(f"Not evaluated yet{needs}: `{section.command}`\n")
            continue
        day, software, figures = found
        parts.append(f"Data: {section.data}. Measured on {day} with version {software}: `{section.command}`\n")
        parts.append(f"{section.can_show} {section.cannot_show}\n")
        parts += _BODIES[name](figures)
        parts += [f"![{_caption(plot)}]({PAGE}/{plot})\n" for plot in plots_of(name, figures)]
        if method := figures.get("method"):
            parts.append(f"How: {method}.\n")
    parts += ["## Networks\n", _networks(measured)]
    return "\n".join(parts)


# --- sections ------------------------------------------------------------------------------------------------------


def _verification(figures: Figures) -> list[str]:
    parts = [
        table(
            ("pairs of the protocol", "value"),
            [
                ("pictures, without a face", f"{figures['pictures']:,}, {figures['failures_to_acquire']}"),
                ("genuine, impostor pairs", f"{figures['genuine_pairs']:,}, {figures['impostor_pairs']:,}"),
                ("accuracy", rate_text(figures["accuracy"], figures["accuracy_interval"])),
                ("EER", rate_text(figures["eer"], figures["eer_interval"])),
                *(
                    (f"FNMR at FMR {point['fmr']:g}", rate_text(point["fnmr"], point["fnmr_interval"]))
                    for point in figures["operating_points"]
                ),
            ],
        )
    ]
    if floating := figures.get("float"):
        networks = [
            (
                kind,
                rate_text(found["accuracy"], found["accuracy_interval"]),
                rate_text(found["fnmr_at_fmr"], found["fnmr_at_fmr_interval"]),
            )
            for kind, found in (("int8, as shipped", figures), ("float, from which it was made", floating))
        ]
        parts.append(table(("network", "accuracy", f"FNMR at FMR {figures['fmr']:g}"), networks))
    else:
        parts.append("The float network that the int8 one was made from was not compared in this run (`--float`).\n")
    if every := figures.get("all_pairs"):
        parts.append(
            f"All pairs of {every['pictures']:,} pictures of {every['identities']:,} people, {every['genuine_pairs']:,} genuine and "
            f"{every['impostor_pairs']:,} impostor:\n"
        )
        rows = []
        for kind in ("raw", "normalised"):
            for point in every[kind]:
                counted = f"{point['false_non_matches']:,} of {every['genuine_pairs']:,}"
                rate = rate_text(point["fnmr"], point["fnmr_interval"])
                rows.append((kind, f"{point['fmr']:g}", score_text(point["threshold"]), counted, rate))
        parts.append(table(("scores", "FMR", "threshold", "false non-matches", "FNMR"), rows))
        changes = "; ".join(
            f"at FMR {item['fmr']:g} {_change(item['fnmr_relative'])} "
            f"({_change(item['fnmr_relative_interval'][0])} to {_change(item['fnmr_relative_interval'][1])})"
            for item in every["change"]
            if item["fnmr_relative"] is not None
        )
        parts.append(f"FNMR of normalised against raw scores: {changes}. How: {every['method']}.\n")
    for group, found in figures.get("groups", {}).items():
        parts.append(
            f"Group `{group}`: {found['pictures']:,} pictures of {found['identities']:,} people{_lost(found)}, "
            f"{found['genuine_pairs']:,} genuine and "
            f"{found['impostor_pairs']:,} impostor pairs, threshold meant for FMR {found['nominal_fmr']:g}. Counted by name only; it says "
            "nothing certain about any person.\n"
        )
        parts += _group(found)
    return parts


def _lost(found: Figures) -> str:
    """Say how many pictures of a group are in no rate; figures of an older run did not count them."""
    count = found.get("without_features")
    return "" if count is None else f" ({count:,} more without a face found)"


def _group(found: Figures) -> list[str]:
    """Return the table of a group of people and how to read it."""
    kinds = [kind for kind in ("global", "normalised", "self_calibrated", "self_calibrated_raw") if kind in found]
    rows = [
        (
            kind.replace("_", " "),
            score_text(item["threshold"]),
            rate_text(item["fmr"], item.get("fmr_interval") or item.get("fmr_range")),
            plain(item["fmr_over_nominal"]),
            rate_text(item.get("fmr_between_people"), None),
            _share_above(item),
            rate_text(item["fnmr"], item.get("fnmr_interval") or item.get("fnmr_range")),
        )
        for kind, item in ((kind, found[kind]) for kind in kinds)
    ]
    columns = (
        "threshold",
        "value",
        "FMR, of pairs of pictures",
        "times nominal",
        "FMR, of pairs of people",
        "splits above nominal",
        "FNMR",
    )
    own = found["self_calibrated"]
    reading = (
        "Of pairs of pictures, somebody with many pictures counts often; of pairs of people every two count once, however many "
        "pictures there are of them, which is what calibration estimates. How the tail is estimated was chosen with the results on this "
        "group in view, which share of a cohort counts as near (`NEAREST_SHARE`) and how many people it needs (`LEAST_PEOPLE`) with those "
        "on LFW: these are no figures of data never seen."
    )
    if found["identities"] - 2 < LEAST_PEOPLE:
        reading += (
            f" A fleet of {found['identities']} people would calibrate raw scores, as normalisation needs {LEAST_PEOPLE} people; the row "
            "`self calibrated` borrows its cohort from the rest of LFW and is not what such a fleet does: its row is `self calibrated raw`."
        )
    return [
        table(columns, rows),
        f"{reading}\n",
        f"How, self calibrated: {own.get('method', own.get('reason'))}.\n",
    ]


def _share_above(item: Figures) -> str:
    """Return in which share of the splits the FMR is above what was wanted, of pairs of pictures and of people."""
    names = ("splits_above_nominal", "splits_above_nominal_between_people")
    if "splits" not in item:
        return "–"
    shares = [item[name] for name in names if name in item]
    return "not counted in this run" if not shares else " / ".join(f"{percent(share)} %" for share in shares)


_SESSION_TERMS = (
    "Rates are of whole sessions, comparison and quality included: in the full-system terms of ISO/IEC 30107-3 the impostor attack "
    "presentation accept rate (IAPAR) and false rejection. The figures keep the short keys `apcer` and `bpcer`."
)


def _scenes(figures: Figures) -> list[str]:
    rows = []
    for group, found in figures.get("groups", {"all": figures}).items():
        rows.append(
            (
                group,
                "all attacks (a mixture, no rate of anything)",
                f"{found['attacks_certified']} of {found['attacks']}",
                span_text(found["attacks_certified_interval"]),
            )
        )
        if found["apcer"]:
            worst = max(
                found["apcer"], key=lambda name: (found["apcer"][name]["apcer"], found["apcer"][name]["interval"][1])
            )
            item = found["apcer"][worst]
            counted = f"{item['certified']} of {item['presentations']}"
            rows.append((group, f"worst species: {worst}", counted, rate_text(item["apcer"], item["interval"])))
        for species, item in found["apcer"].items():
            counted = f"{item['certified']} of {item['presentations']}"
            rows.append((group, f"certified: {species}", counted, rate_text(item["apcer"], item["interval"])))
        for species, item in found.get("outside_bar", {}).items():
            counted = f"{item['certified']} of {item['presentations']}"
            shown = rate_text(item["apcer"], item["interval"])
            rows.append((group, f"certified, in no total: {species}", counted, shown))
        for path, item in found["bpcer"].items():
            counted = f"{item['refused']} of {item['presentations']}"
            rows.append((group, f"living people refused, {path}", counted, rate_text(item["bpcer"], item["interval"])))
    stops = [
        (
            species,
            path,
            str(cell["presentations"]),
            counts_text(cell.get("failed_kinds", cell["failed"])),
            counts_text(cell["outcomes"]),
        )
        for species, item in figures["apcer"].items()
        for path, cell in item["paths"].items()
    ]
    variants = sorted({variant for item in figures["bpcer"].values() for variant in item["variants"]})
    refusals = [
        (
            path,
            f"{item['refused']} of {item['presentations']}",
            counts_text(item["reasons"]),
            counts_text(item["failed"]),
        )
        for path, item in figures["bpcer"].items()
    ]
    played = (
        f"{figures['attacks']} attacks and {figures['bona_fide']} living people (`--presentations`, `--bona-fide`), seed "
        f"{figures['seed']}, policy {figures['policy']}.\n"
    )
    return [
        played,
        f"{_SESSION_TERMS}\n",
        *_left_out(figures),
        table(("people", "what", "errors", "rate"), rows),
        "What failed in the attacks, over all people:\n",
        table(("species", "path", "presentations", "evidence that failed", "outcomes"), stops),
        "Why living people were refused:\n",
        table(("path", "refused", "reasons", "evidence that failed"), refusals),
        "Living people refused, by how they answered and by person:\n",
        table(
            ("path", *variants),
            [(path, *_of_each(item["variants"], variants)) for path, item in figures["bpcer"].items()],
        ),
        "; ".join(f"{person} {counted}" for person, counted in figures["refused_by_person"].items()) + "\n",
    ]


def _of_each(found: dict[str, Any], variants: Sequence[str]) -> list[str]:
    return [
        f"{found[name]['refused']} of {found[name]['presentations']}" if name in found else "–" for name in variants
    ]


def _left_out(figures: Figures) -> list[str]:
    """Say which pairs of people do not take each other's place."""
    found = figures.get("left_out")
    if found is None:
        return []
    species = ", ".join(f"`{name}`" for name in found["species"])
    text = (
        f"{found['pairs']} of {found['of']} pairs of one group are left out of {species}: the features network takes them for one person "
        f"(similarity {found['min_similarity']:g} and more). Some of them change places as `swap_alike`, in no total.\n"
    )
    return [text]


def _pad(figures: Figures) -> list[str]:
    rows = []
    for item in figures["classes"]:
        who = f"{item['label']}, {item['kind']}" if item["kind"] not in ("", item["label"]) else item["label"]
        failed = f"{item['failures_to_acquire']} of {item['presentations']}"
        share = rate_text(item["failure_to_acquire_rate"], item["failure_to_acquire_interval"])
        rows.append((item["source"], who, failed, share))
    parts = [table(("source", "presentations", "no face found", "rate"), rows)]
    if not figures.get("rates"):
        return [*parts, "No passive network was installed: there are no error rates.\n"]
    rates = [
        (
            item["source"],
            item["kind"],
            f"{item['bona_fide']}, {item['attacks']}",
            area_text(item["auc"], item["auc_interval"]),
            rate_text(item["bpcer_at_apcer_10"], None),
            rate_text(item["apcer"], item["apcer_interval"]),
            rate_text(item["bpcer"], item["bpcer_interval"]),
        )
        for item in figures["rates"]
    ]
    columns = ("source", "species", "bona fide, attacks", "AUC", "BPCER at APCER 10 %", "APCER", "BPCER")
    threshold = figures["threshold"]
    at = "The network has no threshold" if threshold is None else f"APCER and BPCER at a threshold of {threshold:g}"
    return [*parts, f"{at}; scores are of single pictures, larger = more likely bona fide.\n", table(columns, rates)]


def _pictures(figures: Figures) -> list[str]:
    rows = [
        (
            item["source"],
            item["kind"],
            f"{item['certified']} of {item['played']}",
            "–" if item["interval"] is None else span_text(item["interval"]),
            str(item["unreadable"]),
            counts_text(item["outcomes"]),
            counts_text(item["failed"]),
        )
        for item in figures["classes"]
    ]
    counted = (
        f"Certified: {figures['attacks_certified']} of {figures['attacks']} sessions played "
        f"({span_text(figures['attacks_certified_interval'])}); of {figures['other_reference']} of them no reference "
        f"could be made, so they stood against a rendered person's; {figures['unreadable']} more files held no picture."
    )
    if worst := figures["worst"]:
        counted += (
            f" The worst species is {worst['kind']} of {worst['source']}: {worst['certified']} of {worst['played']}, "
            f"{rate_text(worst['rate'], worst['interval'])}."
        )
    columns = ("source", "species", "certified", "interval", "not played", "outcomes", "evidence that failed")
    return [f"{counted}\n", table(columns, rows)]


def _evidence(figures: Figures) -> list[str]:
    rows = [
        (
            item["kind"],
            item["light"],
            item["group"],
            item["species"],
            str(item["presentations"]),
            f"{item['passed']}, {item['failed']}, {item['not_run']}",
            " / ".join(f"{score:g}" for score in item["scores"]) or "–",
            counts_text(item["reasons"]),
        )
        for item in figures["rows"]
    ]
    columns = (
        "kind",
        "light",
        "people",
        "species",
        "presentations",
        "passed, failed, not run",
        "score: least, 5 %, median, 95 %, most",
        "reasons",
    )
    one = (
        [item for item in figures["rows"] if (item["kind"], item["light"]) == (rows[0][0], rows[0][1])] if rows else []
    )
    living = sum(item["presentations"] for item in one if item["species"] == "bona_fide")
    attacks = sum(item["presentations"] for item in one) - living
    played = f"{attacks} attacks and {living} living people under each light (`--presentations`, `--bona-fide`), seed {figures['seed']}.\n"
    return [played, table(columns, rows)]


def _quality(figures: Figures) -> list[str]:
    rows = []
    for way in figures["degradations"]:
        seen = [level for level in way["levels"] if level["found"]]
        rows.append(
            (
                way["name"],
                f"`{way['component']}`",
                f"{seen[0]['level']:g} to {seen[-1]['level']:g} {way['unit']}",
                f"{seen[0]['score']:.0f} to {seen[-1]['score']:.0f}",
                f"{seen[0]['cosine']:.2f} to {seen[-1]['cosine']:.2f}",
                plain(way["middle"]),
                "yes" if way["is_monotone"] else "no",
            )
        )
    columns = (
        "spoilt by",
        "component",
        "levels at which the face is found",
        "component",
        "cosine",
        "cosine .9 at",
        "falls steadily",
    )
    return [table(columns, rows)]


def _minima(figures: Figures) -> list[str]:
    acquired = figures["pictures"] - figures["failures_to_acquire"]
    rows = [
        (
            f"`{name}`",
            f"{item['minimum']:g}",
            f"{item['below']:,} of {acquired:,}",
            rate_text(item["rate"], item["interval"]),
        )
        for name, item in figures["components"].items()
    ]
    every = f"{figures['below_any']:,} of {acquired:,} are below at least one minimum ({span_text(figures['below_any_interval'])})."
    return [f"{every}\n", table(("component", "minimum", "below", "rate"), rows)]


def _detection(figures: Figures) -> list[str]:
    sizes = {"all": figures, **figures["by_size_px"]}
    rows = [
        (
            size_text(size),
            f"{item['labelled_faces']:,}",
            rate_text(item["recall"], item["recall_interval"]),
            rate_text(item["precision"], item["precision_interval"]),
        )
        for size, item in sizes.items()
    ]
    return [table(("size", "labelled faces", "recall", "precision"), rows)]


def _landmarks(figures: Figures) -> list[str]:
    rows = [
        ("pictures", str(figures["pictures"])),
        (
            "no landmarks",
            f"{figures['failures_to_acquire']}: {rate_text(figures['failure_to_acquire_rate'], figures['failure_to_acquire_interval'])}",
        ),
    ]
    if spread := figures["mirror_difference"]:
        rows.append(
            ("difference to the mirror image, in eye distances", ", ".join(f"{k} {v:.3f}" for k, v in spread.items()))
        )
    return [table(("figure", "value"), rows)]


def _clips(figures: Figures) -> list[str]:
    rows = [
        (
            clip["file"],
            f"{clip['frames_with_subject']} of {clip['frames']}",
            str(clip["track_ids"]),
            ", ".join(
                f"{event['event'].replace('_', ' ')} {'seen' if event['is_found'] else 'missed'}"
                for event in clip["events"]
            ),
            ", ".join(action["action"].replace("_", " ") for action in clip["unlabelled_actions"]) or "none",
        )
        for clip in figures["clips"]
    ]
    found = f"{figures['found']} of {figures['events']} events seen ({span_text(figures['found_interval'])}).\n"
    return [found, table(("clip", "frames with a face", "tracks", "events", "actions without a label"), rows)]


_BODIES: Mapping[str, Callable[[Figures], list[str]]] = {
    "verification": _verification,
    "scenes": _scenes,
    "pad": _pad,
    "pictures": _pictures,
    "evidence": _evidence,
    "quality": _quality,
    "minima": _minima,
    "detection": _detection,
    "landmarks": _landmarks,
    "clips": _clips,
}


def _networks(measured: Mapping[str, MeasuredFigures]) -> str:
    """Return which network files gave the figures of which sections."""
    used: dict[tuple[str, str], list[str]] = {}
    for name in SECTIONS:
        networks: Figures = measured[name][2].get("networks", {}) if name in measured else {}
        digests: Mapping[str, str] = networks.get("digests", networks)
        for network, digest in digests.items():
            used.setdefault((network, digest), []).append(SECTIONS[name].title.lower())
    rows = [
        (f"`{network}`", f"`{digest[:16]}`", "; ".join(titles)) for (network, digest), titles in sorted(used.items())
    ]
    return table(("network", "SHA-256 begins with", "sections"), rows)


def _change(relative: float) -> str:
    return f"{100 * relative:+.1f} %"


def _caption(plot: str) -> str:
    return plot.removesuffix(".svg").replace("-", ", ", 1).replace("-", " ")
