"""Verification: error rates of one-to-one comparison on labelled pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device.vision.comparison import compare
from device.vision.features import FeatureVector
from device.vision.inference import Networks
from models.tools.evaluate_index import existing_file, one_of, read_index, read_picture, whole_number
from models.tools.evaluate_stills import StillObserver, names_of, padded
from models.tools.metrics import (
    Interval,
    Scores,
    bootstrap,
    equal_error_rate,
    false_match_rate,
    fnmr_at_fmr,
    fold_accuracy,
    threshold_at_fmr,
    wilson,
)

COLUMNS = ("a", "b", "same", "set", "fold")
FMR = 0.001
"""The false match rate of the headline figure; `operating_points` has others."""
_OTHER_FMR = (0.1, 0.01, 0.001)

Paths = Callable[[Sequence[Path]], Iterable[Path]]
"""Passes paths through, e.g. while showing progress."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures and whether they show one person."""

    a: Path
    b: Path
    is_same: bool
    fold: int


def read_pairs(index: Path) -> list[Pair]:
    """Read an index of pairs.

    Raises:
        IndexInvalid: names every bad row.
    """
    return read_index(index, COLUMNS, _pair)


def evaluate_verification(pairs: Sequence[Pair], networks: Networks, *, track: Paths = iter) -> dict[str, Any]:
    """Return the figures of the comparison on pairs of tight face crops.

    A pair with a failure to acquire is an error in the accuracy. In the error rates it is a non-match, as at the terminal: it
    raises FNMR and cannot raise FMR.
    """
    pictures = sorted({path for pair in pairs for path in (pair.a, pair.b)})
    observer = StillObserver(networks)
    features: dict[Path, FeatureVector | None] = {}
    for path in track(pictures):
        picture = read_picture(path)
        features[path] = None if picture is None else observer.features(padded(picture))
    scores = np.array([_similarity(features[pair.a], features[pair.b]) for pair in pairs])
    same = np.array([pair.is_same for pair in pairs])
    accuracy, thresholds, right = fold_accuracy(scores, same, [pair.fold for pair in pairs])
    genuine = np.where(np.isnan(scores[same]), -np.inf, scores[same])
    impostor = np.where(np.isnan(scores[~same]), -np.inf, scores[~same])
    failures = sum(vector is None for vector in features.values())
    failed_pairs = int(np.isnan(scores).sum())
    used = names_of(networks)
    return {
        "accuracy": float(np.mean(list(accuracy.values()))),
        "accuracy_interval": wilson(right, len(pairs)),
        "accuracy_by_fold": {str(fold): value for fold, value in accuracy.items()},
        "accuracy_threshold": float(np.mean(list(thresholds.values()))),
        **_error_rates(genuine, impostor),
        "failures_to_acquire": failures,
        "failure_to_acquire_rate": failures / len(pictures),
        "failure_to_acquire_interval": wilson(failures, len(pictures)),
        "pairs_with_failure": failed_pairs,
        "pictures": len(pictures),
        "pairs": len(pairs),
        "genuine_pairs": int(same.sum()),
        "impostor_pairs": int((~same).sum()),
        "networks": used.digests,
        "runtime": used.runtime,
        "method": "accuracy: threshold of each fold set on the others; intervals 95 %: Wilson for accuracy and failures, "
        "bootstrap over pairs (1,000 resamples) for error rates; failures to acquire are errors in the accuracy and non-matches "
        "in the error rates",
    }


def _error_rates(genuine: Scores, impostor: Scores) -> dict[str, Any]:
    if not len(genuine) or not len(impostor):
        return {"eer": None, "fnmr_at_fmr": None, "fmr": FMR, "threshold": None, "operating_points": []}
    return {
        "eer": equal_error_rate(genuine, impostor),
        "eer_interval": bootstrap(equal_error_rate, genuine, impostor),
        "fnmr_at_fmr": fnmr_at_fmr(genuine, impostor, FMR),
        "fnmr_at_fmr_interval": _fnmr_interval(genuine, impostor, FMR),
        "fmr": FMR,
        "threshold": _finite(threshold_at_fmr(impostor, FMR)),
        "operating_points": [
            {
                "fmr": rate,
                "fmr_interval": wilson(round(false_match_rate(impostor, threshold) * len(impostor)), len(impostor)),
                "fnmr": fnmr_at_fmr(genuine, impostor, rate),
                "fnmr_interval": _fnmr_interval(genuine, impostor, rate),
                "threshold": _finite(threshold),
            }
            for rate in _OTHER_FMR
            if math.isfinite(threshold := threshold_at_fmr(impostor, rate))
        ],
    }


def _fnmr_interval(genuine: Scores, impostor: Scores, rate: float) -> Interval:
    return bootstrap(lambda some, others: fnmr_at_fmr(some, others, rate), genuine, impostor)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _similarity(a: FeatureVector | None, b: FeatureVector | None) -> float:
    return math.nan if a is None or b is None else compare(a, b).similarity


def _pair(cells: Mapping[str, str], root: Path) -> Pair:
    return Pair(
        a=existing_file(cells["a"], root),
        b=existing_file(cells["b"], root),
        is_same=one_of(cells, "same", ("0", "1")) == "1",
        fold=whole_number(cells, "fold"),
    )
