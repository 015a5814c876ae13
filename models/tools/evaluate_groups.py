"""Comparison over all pairs of identities, and in groups of people: raw, normalised against a cohort, with self-calibrated thresholds.

Everything works on one flip-averaged feature vector for each picture. The cohort is one picture of every identity, the first by file
name, without the two identities compared; for self-calibration also without all identities on which the threshold is then measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.vision.features import FeatureVector
from models.tools.evaluate_index import BadRow, existing_file, read_index
from models.tools.metrics import LEAST_GROUPS, Interval, finite, grouped_interval, threshold_at_fmr
from protocol.calibration import CalibrationImpossible, ImpostorScores, calibrate
from protocol.cohort import LEAST_PEOPLE, NEAREST_SHARE, levels, normalised

GROUP_COLUMNS = ("file", "group")
RATES = (1e-3, 1e-4)
"""False match rates of the comparison over all pairs."""
NOMINAL = 1e-3
"""The false match rate wanted in groups."""
SPLITS = 200
"""Random halves of a group's identities."""
_RESAMPLES = 500
_IDENTITY = re.compile(r"(?P<who>.+)_[0-9]+")
"""File name without suffix: the identity and the number of the picture."""

Real = NDArray[np.float64]
Index = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Member:
    """A picture and the group its person is counted to."""

    picture: Path
    group: str


def read_groups(index: Path) -> list[Member]:
    """Read an index of groups.

    Raises:
        IndexInvalid: names every bad row.
    """
    return read_index(index, GROUP_COLUMNS, _member)


def identity_of(picture: Path) -> str | None:
    """Return the identity that a file name carries, None when it carries none."""
    found = _IDENTITY.fullmatch(picture.stem)
    return None if found is None else found["who"]


class Pictures:
    """Features of pictures with the identity of each.

    Args:
        features: flip-averaged; a picture without a face has none and is left out.
    """

    def __init__(self, features: Mapping[Path, FeatureVector | None]) -> None:
        named = [(path, identity_of(path), vector) for path, vector in sorted(features.items())]
        used = [(path, who, vector) for path, who, vector in named if who is not None and vector is not None]
        if not used:
            raise ValueError("no picture with a face whose file name carries an identity")
        self.paths = [path for path, _, _ in used]
        names, people = np.unique([who for _, who, _ in used], return_inverse=True)
        self.people: Index = people.astype(np.intp)
        """(N,), number of the person of each picture."""
        self.people_count = len(names)
        values = np.stack([vector.values.astype(np.float64) for _, _, vector in used])
        self._vectors: Real = values / np.linalg.norm(values, axis=1, keepdims=True)
        self._first: Index = np.unique(self.people, return_index=True)[1].astype(np.intp)

    def only(self, paths: set[Path]) -> Index:
        """Return the numbers of these pictures."""
        return np.array([i for i, path in enumerate(self.paths) if path in paths], np.intp)

    def pairs(self, chosen: Index | None = None) -> Pairs:
        """Return all pairs of the chosen pictures, of all without a choice."""
        numbers = np.arange(len(self.paths), dtype=np.intp) if chosen is None else chosen
        first, second = np.triu_indices(len(numbers), 1)
        return Pairs(numbers[first], numbers[second], self.people[numbers[first]], self.people[numbers[second]])

    def raw(self, pairs: Pairs) -> Real:
        """Return the cosine of each pair."""
        numbers, places = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
        cosines = self._vectors[numbers] @ self._vectors[numbers].T
        one, other = np.split(places, 2)
        return np.asarray(cosines[one, other], np.float64)

    def normalised(self, pairs: Pairs, *, without: Index | None = None) -> Real:
        """Return the normalised score of each pair.

        Args:
            pairs: what to compare.
            without: people who are not in the cohort, beside the two of the pair.
        """
        cohort = np.setdiff1d(np.arange(self.people_count), [] if without is None else without)
        numbers, places = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
        columns = np.full(self.people_count, -1, np.intp)
        columns[cohort] = np.arange(len(cohort))
        similarities = self._vectors[numbers] @ self._vectors[self._first[cohort]].T
        # Of somebody outside the cohort the column is -1: the last, in which nobody else is left out.
        found = levels(similarities, columns[self.people[numbers]], NEAREST_SHARE)
        one, other = np.split(places, 2)
        first = found[one, columns[pairs.second_person]]
        second = found[other, columns[pairs.first_person]]
        return normalised(self.raw(pairs), first, second)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of pictures."""

    first: Index
    second: Index
    first_person: Index
    second_person: Index

    @property
    def is_same(self) -> Flags:
        """(N,), whether both pictures are of one person."""
        return np.asarray(self.first_person == self.second_person, np.bool_)

    def where(self, flags: Flags) -> Pairs:
        """Return some of the pairs."""
        return Pairs(self.first[flags], self.second[flags], self.first_person[flags], self.second_person[flags])


def evaluate_all_pairs(pictures: Pictures) -> dict[str, Any]:
    """Return error rates over all pairs of all pictures, raw and normalised, and how much lower the second FNMR is."""
    pairs = pictures.pairs()
    scores = {"raw": pictures.raw(pairs), "normalised": pictures.normalised(pairs)}
    is_same = pairs.is_same
    genuine = pairs.where(is_same)
    report: dict[str, Any] = {name: [] for name in scores}
    report["change"] = []
    for rate in RATES:
        missed: dict[str, Flags] = {}
        for name, found in scores.items():
            threshold = threshold_at_fmr(found[~is_same], rate)
            missed[name] = found[is_same] < threshold
            report[name].append(
                {
                    "fmr": rate,
                    "threshold": finite(threshold),
                    "fnmr": finite(_share(missed[name])),
                    "fnmr_interval": grouped_interval(list(zip(genuine.first_person, missed[name], strict=True))),
                    "false_non_matches": int(missed[name].sum()),
                }
            )
        report["change"].append({"fmr": rate, **_change(missed["raw"], missed["normalised"], genuine.first_person)})
    return {
        **report,
        "identities": pictures.people_count,
        "pictures": len(pictures.paths),
        "genuine_pairs": int(is_same.sum()),
        "impostor_pairs": int((~is_same).sum()),
        "is_cohort_large_enough": pictures.people_count - 2 >= LEAST_PEOPLE,
        "method": f"flip-averaged features; cohort: the first picture of every identity but the two compared, its nearest "
        f"{NEAREST_SHARE:.0%}; intervals of the FNMR and of its change: bootstrap over identities at fixed "
        f"thresholds; where fewer than {LEAST_GROUPS} identities are drawn from or nothing is an error, Clopper-Pearson over identities",
    }


def evaluate_groups(pictures: Pictures, members: Sequence[Member], *, splits: int = SPLITS) -> dict[str, Any]:
    """Return FMR and FNMR of each group at the global threshold, normalised, and self-calibrated.

    Args:
        pictures: all of them; the global thresholds are those of all pairs.
        members: who is counted to which group; pictures that are not among `pictures` are passed over.
        splits: random halves of the identities for self-calibration.
    """
    everybody = pictures.pairs()
    is_same = everybody.is_same
    raw = threshold_at_fmr(pictures.raw(everybody)[~is_same], NOMINAL)
    normal = threshold_at_fmr(pictures.normalised(everybody)[~is_same], NOMINAL)
    groups: dict[str, set[Path]] = {}
    for member in members:
        groups.setdefault(member.group, set()).add(member.picture)
    return {
        name: {
            "without_features": len(paths - set(pictures.paths)),
            **_group(pictures, pictures.only(paths), raw, normal, splits),
        }
        for name, paths in sorted(groups.items())
    }


def _group(pictures: Pictures, chosen: Index, raw: float, normal: float, splits: int) -> dict[str, Any]:
    pairs = pictures.pairs(chosen)
    return {
        "identities": len(np.unique(pictures.people[chosen])),
        "pictures": len(chosen),
        "genuine_pairs": int(pairs.is_same.sum()),
        "impostor_pairs": int((~pairs.is_same).sum()),
        "nominal_fmr": NOMINAL,
        "global": _rates(pairs, pictures.raw(pairs), raw),
        "normalised": _rates(pairs, pictures.normalised(pairs), normal),
        "self_calibrated": _self_calibrated(pictures, chosen, splits, is_normalised=True),
        "self_calibrated_raw": _self_calibrated(pictures, chosen, splits, is_normalised=False),
    }


def _rates(pairs: Pairs, scores: Real, threshold: float) -> dict[str, Any]:
    errors = _Errors(pairs, scores, threshold)
    fmr, fnmr = errors.fmr(), errors.fnmr()
    intervals = errors.intervals()
    return {
        "threshold": finite(threshold),
        "fmr": finite(fmr),
        "fmr_over_nominal": _ratio(fmr),
        "fmr_interval": intervals["fmr"],
        "fmr_between_people": finite(errors.fmr_between_people()),
        "fnmr": finite(fnmr),
        "fnmr_interval": intervals["fnmr"],
        "false_matches": int(errors.matched.sum()),
        "false_non_matches": int(errors.missed.sum()),
        "method": f"all pairs of the group's pictures; intervals: bootstrap over identities ({_RESAMPLES} resamples)",
    }


def _self_calibrated(pictures: Pictures, chosen: Index, splits: int, *, is_normalised: bool) -> dict[str, Any]:
    """Return the rates on one half of the identities at the threshold that the other half gives, over many halvings."""
    people = np.unique(pictures.people[chosen])
    generator = np.random.default_rng(0)
    pairs = pictures.pairs(chosen)
    thresholds: list[float] = []
    rates: list[tuple[float, float, float]] = []
    counts = np.zeros(4, np.int64)
    reason: str | None = None
    for _ in range(splits):
        shuffled = generator.permutation(people)
        calibrating, measured = shuffled[: len(people) // 2], shuffled[len(people) // 2 :]
        scores = pictures.normalised(pairs, without=measured) if is_normalised else pictures.raw(pairs)
        try:
            threshold = _threshold(pairs, scores, calibrating)
        except CalibrationImpossible as error:
            reason = str(error)
            continue
        is_measured = np.isin(pairs.first_person, measured) & np.isin(pairs.second_person, measured)
        errors = _Errors(pairs.where(is_measured), scores[is_measured], threshold)
        thresholds.append(threshold)
        counts += [errors.matched.sum(), len(errors.matched), errors.missed.sum(), len(errors.missed)]
        rates.append((errors.fmr(), errors.fnmr(), errors.fmr_between_people()))
    report: dict[str, Any] = {"splits": len(thresholds), "splits_without_threshold": splits - len(thresholds)}
    if not thresholds:
        return {**report, "reason": reason, "threshold": None, "fmr": None, "fmr_over_nominal": None, "fnmr": None}
    false_matches, impostor, false_non_matches, genuine = (int(count) for count in counts)
    fmr = false_matches / max(impostor, 1)
    by_split = np.array(rates)
    return {
        **report,
        "threshold": float(np.mean(thresholds)),
        "threshold_range": _interval(np.array(thresholds)),
        "fmr": fmr,
        "fmr_over_nominal": _ratio(fmr),
        "fmr_range": _interval(by_split[:, 0]),
        "fmr_mean_of_splits": _mean(by_split[:, 0]),
        "splits_above_nominal": float(np.mean(by_split[:, 0] > NOMINAL)),
        "splits_above_nominal_between_people": float(np.mean(by_split[:, 2] > NOMINAL)),
        "fmr_between_people": _mean(by_split[:, 2]),
        "fnmr": false_non_matches / max(genuine, 1),
        "fnmr_range": _interval(by_split[:, 1]),
        "fnmr_mean_of_splits": _mean(by_split[:, 1]),
        "calibrating_identities": len(people) // 2,
        "measured_identities": len(people) - len(people) // 2,
        "false_matches": false_matches,
        "impostor_trials": impostor,
        "false_non_matches": false_non_matches,
        "genuine_trials": genuine,
        "method": "threshold: upper end of the one-sided 95 % interval for the nominal FMR on one random half of the identities; "
        "rates: on the other half, errors and trials of all splits added up, so that pairs count in many splits; "
        "ranges: 2.5 to 97.5 % of the splits"
        + ("; no identity of the measured half is in the cohort" if is_normalised else ""),
    }


def _threshold(pairs: Pairs, scores: Real, people: Index) -> float:
    """Return the threshold that impostor scores between these people give."""
    is_used = np.isin(pairs.first_person, people) & np.isin(pairs.second_person, people) & ~pairs.is_same
    ordered = np.sort(people)
    found = calibrate(
        ImpostorScores(
            scores=scores[is_used],
            first=np.searchsorted(ordered, pairs.first_person[is_used]).astype(np.intp),
            second=np.searchsorted(ordered, pairs.second_person[is_used]).astype(np.intp),
            people=len(people),
        ),
        [NOMINAL],
    )
    return found.thresholds[0].threshold


class _Errors:
    """Errors at a threshold, by pair; a score equal to it is a match."""

    def __init__(self, pairs: Pairs, scores: Real, threshold: float) -> None:
        is_same = pairs.is_same
        self._impostor, self._genuine = pairs.where(~is_same), pairs.where(is_same)
        self.matched: Flags = scores[~is_same] >= threshold
        self.missed: Flags = scores[is_same] < threshold

    def fmr(self) -> float:
        return _share(self.matched)

    def fnmr(self) -> float:
        return _share(self.missed)

    def fmr_between_people(self) -> float:
        """Return the FMR in which every two people count once, however many pictures there are of them."""
        low = np.minimum(self._impostor.first_person, self._impostor.second_person)
        high = np.maximum(self._impostor.first_person, self._impostor.second_person)
        if not len(low):
            return math.nan
        _, pair = np.unique(low * (high.max() + 1) + high, return_inverse=True)
        return float(np.mean(np.bincount(pair, self.matched) / np.bincount(pair)))

    def intervals(self) -> dict[str, Interval | None]:
        """Return 95 % intervals of both rates, by resampling people."""
        people = np.unique(np.concatenate([self._impostor.first_person, self._impostor.second_person]))
        generator = np.random.default_rng(0)
        one, other = (
            np.searchsorted(people, side) for side in (self._impostor.first_person, self._impostor.second_person)
        )
        own = np.searchsorted(people, self._genuine.first_person)
        fmr, fnmr = [], []
        for _ in range(_RESAMPLES):
            count = np.bincount(generator.integers(0, len(people), len(people)), minlength=len(people))
            weights = count[one] * count[other]
            fmr.append(_weighted(self.matched, weights))
            fnmr.append(_weighted(self.missed, count[own]))
        return {"fmr": _interval(np.array(fmr)), "fnmr": _interval(np.array(fnmr))}


def _change(raw: Flags, normalised: Flags, people: Index) -> dict[str, Any]:
    """Return the relative change of the FNMR with its interval; below 0 the normalised one is lower."""
    numbers, own = np.unique(people, return_inverse=True)
    before, after = (np.bincount(own, missed, len(numbers)) for missed in (raw, normalised))
    generator = np.random.default_rng(0)
    found = []
    for _ in range(_RESAMPLES):
        drawn = generator.integers(0, len(numbers), len(numbers))
        found.append(_relative(float(before[drawn].sum()), float(after[drawn].sum())))
    return {
        "fnmr_relative": finite(_relative(float(before.sum()), float(after.sum()))),
        "fnmr_relative_interval": _interval(np.array(found)),
    }


def _relative(before: float, after: float) -> float:
    return after / before - 1 if before else math.nan


def _weighted(flags: Flags, weights: NDArray[np.int64]) -> float:
    total = float(weights.sum())
    return float(flags @ weights) / total if total else math.nan


def _share(flags: Flags) -> float:
    return float(flags.mean()) if len(flags) else math.nan


def _interval(values: Real) -> Interval | None:
    if not np.isfinite(values).any():
        return None
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def _mean(values: Real) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _ratio(fmr: float) -> float | None:
    return finite(fmr / NOMINAL)


def _member(cells: Mapping[str, str], root: Path) -> Member:
    picture = existing_file(cells["file"], root)
    if identity_of(picture) is None:
        raise BadRow(f"file {cells['file']!r} carries no identity: NAME_NUMBER expected")
    if not cells["group"]:
        raise BadRow("group is empty")
    return Member(picture, cells["group"])
