"""Presentation attack detection: what can be said of each source, species by species."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device.vision.geometry import Box
from device.vision.inference import Network, Networks
from device.vision.texture import TextureScorer
from models.tools.evaluate_index import IndexInvalid, existing_file, one_of, read_index, read_picture
from models.tools.evaluate_stills import StillObserver, names_of, padded
from models.tools.evaluate_verification import Paths
from models.tools.metrics import LEAST_GROUPS, Scores, grouped_interval, wilson
from models.tools.pad_metrics import apcer, area_under_curve, bpcer, bpcer_at_apcer, group_bootstrap
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.policy import default_policy

COLUMNS = ("file", "label", "kind", "subject", "clip", "source", "view", "haar_face")
LABELS = ("bonafide", "attack")
ALL_SPECIES = "all"
"""In place of a species: all attacks of a source together."""

_APCER = 0.1
_LEAST_FOR_A_RATE = 5


@dataclass(frozen=True, slots=True)
class Presentation:
    """One picture of a bona fide or an attack presentation."""

    path: Path
    label: str
    kind: str
    """`live` or the PAI species."""
    source: str
    group: str
    """Subject or clip where one is known, else the file: what is drawn together for an interval."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    presentation: Presentation
    score: float | None
    """Of texture, None where no face was found or no network is there."""
    is_acquired: bool


def read_presentations(index: Path) -> list[Presentation]:
    """Read an index of presentations.

    Raises:
        IndexInvalid: names every bad row, and every file that stands in several.
    """
    rows = read_index(index, COLUMNS, _presentation)
    counted = Counter(row.path for row in rows)
    if doubled := [path for path, count in counted.items() if count > 1]:
        raise IndexInvalid(
            [f"{index.name}: {path.name} is in {counted[path]} rows, expected in one" for path in doubled]
        )
    return rows


def evaluate_pad(presentations: Sequence[Presentation], networks: Networks, *, track: Paths = iter) -> dict[str, Any]:
    """Return counts and failures to acquire of each source and species, and error rates of the texture network.

    Of the evidence only texture can be judged on single pictures. Without a texture network its status is `not_run` and there are
    no error rates. A failure to acquire is reported by class; it is neither a right nor a wrong PAD decision, and no rate
    counts it. A terminal takes the median of many frames; these are rates of single pictures.
    """
    scorer = None if networks.texture is None else TextureScorer(networks.texture)
    observer = StillObserver(networks)
    by_path = {item.path: item for item in presentations}
    outcomes = [_observe(by_path[path], observer, scorer) for path in track(sorted(by_path))]
    classes: dict[tuple[str, str, str], list[_Outcome]] = {}
    for outcome in outcomes:
        item = outcome.presentation
        classes.setdefault((item.source, item.label, item.kind), []).append(outcome)
    used = names_of(networks)
    threshold = None if networks.texture is None else texture_threshold(networks.texture)
    rates = [] if scorer is None else _rates(outcomes, threshold)
    return {
        "texture": _status(networks.texture),
        "threshold": threshold,
        "rates": rates,
        "apcer": {f"{row['source']}, {row['kind']}": row["apcer"] for row in rates} or None,
        "bpcer": {row["source"]: row["bpcer"] for row in rates} or None,
        "classes": [
            {
                "source": source,
                "label": label,
                "kind": kind,
                "presentations": len(found),
                "failures_to_acquire": (failures := sum(not outcome.is_acquired for outcome in found)),
                "failure_to_acquire_rate": failures / len(found),
                "failure_to_acquire_interval": wilson(failures, len(found)),
                "texture_not_run": sum(outcome.score is None for outcome in found),
            }
            for (source, label, kind), found in sorted(classes.items())
        ],
        "presentations": len(by_path),
        "networks": used.digests,
        "runtime": used.runtime,
        "method": (
            "sources are not pooled, single pictures; AUC: probability that bona fide scores above attack; APCER and BPCER at the policy's "
            "threshold, else the manifest's; intervals: 95 % bootstrap over subjects or clips; of APCER and BPCER Clopper-Pearson over "
            f"their number where it is below {LEAST_GROUPS} or nothing or everything is an error"
        ),
    }


def texture_threshold(network: Network) -> float | None:
    """Return the least score of a network: the shipped policy's, else its manifest's, else None."""
    name = network.manifest.name
    rules = default_policy().texture.get(name)
    if rules is not None:
        return rules.min_score
    found = network.manifest.thresholds.get("min_score")
    return None if found is None else found.value


def _observe(item: Presentation, observer: StillObserver, scorer: TextureScorer | None) -> _Outcome:
    picture = read_picture(item.path)
    subject = None if picture is None else observer.subject(padded(picture))
    if picture is None or subject is None:
        return _Outcome(item, None, is_acquired=False)
    if scorer is None:
        return _Outcome(item, None, is_acquired=True)
    # The face is found in the padded picture and scored in the picture itself: a black frame is no part of the presentation.
    height, width = picture.shape[:2]
    right, down = width // 2, height // 2
    left, top, end, bottom = subject.box
    box: Box = (left - right, top - down, end - right, bottom - down)
    return _Outcome(item, scorer.score(picture, box), is_acquired=True)


def _status(network: Network | None) -> dict[str, Any]:
    if network is None:
        missing = EvidenceResult(kind=EvidenceKind.TEXTURE, status=EvidenceStatus.NOT_RUN, reason="not_installed")
        return missing.model_dump(mode="json")
    return {"kind": EvidenceKind.TEXTURE.value, "status": "run", "network": network.manifest.name}


def _rates(outcomes: Sequence[_Outcome], threshold: float | None) -> list[dict[str, Any]]:
    """Return one row for each source and species, and one for all species of a source."""
    bona_fide: dict[str, list[_Outcome]] = {}
    attacks: dict[tuple[str, str], list[_Outcome]] = {}
    for outcome in outcomes:
        item = outcome.presentation
        if outcome.score is None:
            continue
        if item.label == LABELS[0]:
            bona_fide.setdefault(item.source, []).append(outcome)
            # A source without attacks has a row, too.
            attacks.setdefault((item.source, ALL_SPECIES), [])
            continue
        attacks.setdefault((item.source, ALL_SPECIES), []).append(outcome)
        attacks.setdefault((item.source, item.kind), []).append(outcome)
    sources = {source for source, _ in attacks}
    kinds = {source: sum(1 for found, _ in attacks if found == source) for source in sources}
    return [
        _row(source, kind, bona_fide.get(source, []), found, threshold)
        for (source, kind), found in sorted(attacks.items())
        # One species alone is the same as all.
        if kind != ALL_SPECIES or kinds[source] != 2
    ]


def _row(
    source: str, kind: str, live: Sequence[_Outcome], attack: Sequence[_Outcome], threshold: float | None
) -> dict[str, Any]:
    live_scores, attack_scores = _scores(live), _scores(attack)
    row: dict[str, Any] = {"source": source, "kind": kind, "bona_fide": len(live), "attacks": len(attack)}
    row |= dict.fromkeys(("auc", "auc_interval", "bpcer_at_apcer_10"))
    row |= dict.fromkeys(("apcer", "apcer_interval", "bpcer", "bpcer_interval"))
    if min(len(live), len(attack)) >= _LEAST_FOR_A_RATE:
        row["auc"] = area_under_curve(live_scores, attack_scores)
        row["auc_interval"] = group_bootstrap(area_under_curve, _grouped(live), _grouped(attack))
        row["bpcer_at_apcer_10"] = bpcer_at_apcer(live_scores, attack_scores, _APCER)
    if threshold is not None and attack:
        row["apcer"] = apcer(attack_scores, threshold)
        row["apcer_interval"] = grouped_interval([(group, score >= threshold) for group, score in _grouped(attack)])
    if threshold is not None and live:
        row["bpcer"] = bpcer(live_scores, threshold)
        row["bpcer_interval"] = grouped_interval([(group, score < threshold) for group, score in _grouped(live)])
    return row


def _scores(outcomes: Sequence[_Outcome]) -> Scores:
    return np.array([outcome.score for outcome in outcomes if outcome.score is not None], np.float64)


def _grouped(outcomes: Sequence[_Outcome]) -> list[tuple[str, float]]:
    return [(item.presentation.group, item.score) for item in outcomes if item.score is not None]


def _presentation(cells: Mapping[str, str], root: Path) -> Presentation:
    return Presentation(
        path=existing_file(cells["file"], root),
        label=one_of(cells, "label", LABELS),
        kind=cells["kind"],
        source=cells["source"],
        group=cells["subject"] or cells["clip"] or cells["file"],
    )
