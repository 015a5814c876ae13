"""Verification: error rates of one-to-one comparison on labelled pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device.vision.comparison import compare
from device.vision.features import FeatureExtractor, FeatureVector, mean_features
from device.vision.inference import Network, Networks
from models.tools.curves import curves_of
from models.tools.evaluate_groups import Member, Pictures, evaluate_all_pairs, evaluate_groups, identity_of
from models.tools.evaluate_index import existing_file, one_of, read_index, read_picture, whole_number
from models.tools.evaluate_stills import StillObserver, names_of, padded
from models.tools.metrics import (
    Interval,
    Scores,
    bootstrap,
    equal_error_rate,
    false_match_rate,
    finite,
    fnmr_at_fmr,
    fold_accuracy,
    threshold_at_fmr,
    wilson,
)

COLUMNS = ("a", "b", "same", "set", "fold")
FMR = 0.001
"""The false match rate of the headline figure; `operating_points` has others."""
_OTHER_FMR = (0.1, 0.01, 0.001)
_LEAST_IDENTITIES = 5
"""For a comparison of all pairs with a cohort of others."""

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


def evaluate_verification(
    pairs: Sequence[Pair],
    networks: Networks,
    *,
    members: Sequence[Member] = (),
    float_features: Network | None = None,
    with_curves: bool = False,
    track: Paths = iter,
) -> dict[str, Any]:
    """Return the figures of the comparison on pairs of tight face crops.

    A pair with a failure to acquire is an error in the accuracy. In the error rates it is a non-match, as at the terminal: it
    raises FNMR and cannot raise FMR. Where file names carry identities, all pairs of all pictures are compared as well.

    Args:
        pairs: the labelled pairs.
        networks: the terminal's.
        members: pictures counted to groups; each group is reported.
        float_features: the float network that the int8 one was made from, to compare with it in this run.
        with_curves: whether to give DET curves and score histograms of all pairs, too.
        track: shows progress.
    """
    pictures = sorted({path for pair in pairs for path in (pair.a, pair.b)} | {member.picture for member in members})
    extracted = _extract(pictures, networks, float_features, track)
    report = _labelled(pairs, extracted.plain)
    failures = sum(vector is None for vector in extracted.plain.values())
    used = names_of(networks)
    report |= {
        "failures_to_acquire": failures,
        "failure_to_acquire_rate": failures / len(pictures),
        "failure_to_acquire_interval": wilson(failures, len(pictures)),
        "pictures": len(pictures),
        "networks": used.digests,
        "runtime": used.runtime,
        "method": "accuracy: threshold of each fold set on the others; intervals 95 %: Wilson for accuracy and failures, "
        "bootstrap over pairs (1,000 resamples) for error rates; failures to acquire are errors in the accuracy and non-matches "
        "in the error rates",
    }
    if float_features is not None:
        report["float"] = _against_float(report, _labelled(pairs, extracted.float_plain), float_features)
    seen = {identity_of(path) for path, vector in extracted.mirrored.items() if vector is not None}
    if None in {identity_of(path) for path in pictures} or len(seen) < _LEAST_IDENTITIES:
        report["all_pairs_not_run"] = (
            f"{len(seen - {None})} identities with a face; {_LEAST_IDENTITIES} needed, each file name as NAME_NUMBER"
        )
        return report
    mirrored = Pictures(extracted.mirrored)
    report["all_pairs"] = evaluate_all_pairs(mirrored)
    if members:
        report["groups"] = evaluate_groups(mirrored, members)
    if with_curves:
        report["curves"] = curves_of(mirrored, members)
    return report


@dataclass(frozen=True, slots=True)
class _Extracted:
    """Features by picture, None where there is no face."""

    plain: dict[Path, FeatureVector | None]
    """As the terminal makes them of a probe."""
    mirrored: dict[Path, FeatureVector | None]
    """Averaged with those of the mirrored crop, as references are."""
    float_plain: dict[Path, FeatureVector | None]
    """Of the float network; empty without one."""


def _extract(pictures: Sequence[Path], networks: Networks, float_features: Network | None, track: Paths) -> _Extracted:
    observer, extractor = StillObserver(networks), FeatureExtractor(networks.features)
    other = None if float_features is None else FeatureExtractor(float_features)
    found = _Extracted({}, {}, {})
    for path in track(pictures):
        picture = read_picture(path)
        subject = None if picture is None else observer.subject(padded(picture))
        crop = None if subject is None else subject.crop
        if crop is None:
            found.plain[path] = found.mirrored[path] = found.float_plain[path] = None
            continue
        plain = extractor.extract(crop)
        found.plain[path] = plain
        found.mirrored[path] = mean_features([plain, extractor.extract(np.ascontiguousarray(crop[:, ::-1]))])
        if other is not None:
            found.float_plain[path] = other.extract(crop)
    return found


def _labelled(pairs: Sequence[Pair], features: Mapping[Path, FeatureVector | None]) -> dict[str, Any]:
    """Return accuracy and error rates on the labelled pairs."""
    scores = np.array([_similarity(features[pair.a], features[pair.b]) for pair in pairs])
    same = np.array([pair.is_same for pair in pairs])
    accuracy, thresholds, right = fold_accuracy(scores, same, [pair.fold for pair in pairs])
    genuine = np.where(np.isnan(scores[same]), -np.inf, scores[same])
    impostor = np.where(np.isnan(scores[~same]), -np.inf, scores[~same])
    return {
        "accuracy": float(np.mean(list(accuracy.values()))),
        "accuracy_interval": wilson(right, len(pairs)),
        "accuracy_by_fold": {str(fold): value for fold, value in accuracy.items()},
        "accuracy_threshold": float(np.mean(list(thresholds.values()))),
        **_error_rates(genuine, impostor),
        "pairs_with_failure": int(np.isnan(scores).sum()),
        "pairs": len(pairs),
        "genuine_pairs": int(same.sum()),
        "impostor_pairs": int((~same).sum()),
    }


def _against_float(int8: Mapping[str, Any], floating: Mapping[str, Any], network: Network) -> dict[str, Any]:
    names = ("accuracy", "accuracy_interval", "eer", "fnmr_at_fmr", "fnmr_at_fmr_interval", "fmr", "threshold")
    mine, other = int8["fnmr_at_fmr"], floating["fnmr_at_fmr"]
    return {
        **{name: floating.get(name) for name in names},
        "int8_minus_float_fnmr": None if mine is None or other is None else mine - other,
        "int8_minus_float_accuracy": int8["accuracy"] - floating["accuracy"],
        "sha256": network.digest,
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
        "threshold": finite(threshold_at_fmr(impostor, FMR)),
        "operating_points": [
            {
                "fmr": rate,
                "fmr_interval": wilson(round(false_match_rate(impostor, threshold) * len(impostor)), len(impostor)),
                "fnmr": fnmr_at_fmr(genuine, impostor, rate),
                "fnmr_interval": _fnmr_interval(genuine, impostor, rate),
                "threshold": finite(threshold),
            }
            for rate in _OTHER_FMR
            if math.isfinite(threshold := threshold_at_fmr(impostor, rate))
        ],
    }


def _fnmr_interval(genuine: Scores, impostor: Scores, rate: float) -> Interval:
    return bootstrap(lambda some, others: fnmr_at_fmr(some, others, rate), genuine, impostor)


def _similarity(a: FeatureVector | None, b: FeatureVector | None) -> float:
    return math.nan if a is None or b is None else compare(a, b).similarity


def _pair(cells: Mapping[str, str], root: Path) -> Pair:
    return Pair(
        a=existing_file(cells["a"], root),
        b=existing_file(cells["b"], root),
        is_same=one_of(cells, "same", ("0", "1")) == "1",
        fold=whole_number(cells, "fold"),
    )
