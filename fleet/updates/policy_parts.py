"""A policy as people read it: section by section, every threshold, timer and path under its name. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from protocol.policy import PathName, Policy

Value = str | int | float | bool | tuple[str, ...] | tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class PolicyPart:
    """One section, or one of several of its kind."""

    section: str
    name: str
    """Of the path, the network or nothing: empty where there is one of its kind."""
    values: Mapping[str, Value]


_BY_NAME = ("paths", "comparison", "light", "texture")
"""Sections with one part for each path or network."""
_ORDER = (
    "paths",
    "comparison",
    "challenge",
    "continuity",
    "light",
    "illumination",
    "planarity",
    "texture",
    "pulse",
    "capture_path",
    "quality",
    "minimum",
    "timers",
    "offline",
    "refresh",
    "decision",
)


_PATHS = {path.value: place for place, path in enumerate(PathName)}
"""The order of paths: what is stored keeps none."""


def parts_of(policy: Policy) -> list[PolicyPart]:
    """Return everything that a policy says, what matters to people first."""
    found = sorted(_parts(policy.model_dump(mode="json")), key=lambda part: _ORDER.index(part.section))
    return [part for part in found if part.values]


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that two policies have not alike."""

    section: str
    name: str
    field: str
    before: Value
    """None where the first policy has nothing of it."""
    after: Value

    @property
    def is_lower(self) -> bool | None:
        """Whether a number becomes smaller; None where it is none, or is new or gone."""
        ends = (self.before, self.after)
        if any(isinstance(each, bool) or not isinstance(each, int | float) for each in ends):
            return None
        return float(self.after) < float(self.before)  # type: ignore[arg-type]


def differences(before: Policy | None, after: Policy) -> list[Difference]:
    """Return every value in which a policy differs from another, in the order in which policies are read."""
    first = {} if before is None else {(part.section, part.name): part.values for part in parts_of(before)}
    second = {(part.section, part.name): part.values for part in parts_of(after)}
    keys = sorted({*first, *second}, key=lambda key: (_ORDER.index(key[0]), _PATHS.get(key[1], 0), key[1]))
    found = []
    for section, name in keys:
        old, new = first.get((section, name), {}), second.get((section, name), {})
        found += [
            Difference(section, name, field, old.get(field), new.get(field))
            for field in dict.fromkeys((*old, *new))
            if old.get(field) != new.get(field)
        ]
    return found


def _parts(said: Mapping[str, Any]) -> Iterator[PolicyPart]:
    for section in _BY_NAME:
        for name, values in sorted(said[section].items(), key=lambda item: (_PATHS.get(item[0], 0), item[0])):
            yield PolicyPart(section, name, _flat(values))
    for section in _ORDER:
        if section not in _BY_NAME and isinstance(said.get(section), Mapping):
            yield PolicyPart(section, "", _flat(said[section]))
    yield PolicyPart("minimum", "", _flat(said["quality"]["minimum"]))
    decision = {name: said[name] for name in ("attack_evidence", "max_clock_uncertainty_s")}
    yield PolicyPart("decision", "", _flat(decision))


def _flat(values: Mapping[str, Any]) -> dict[str, Value]:
    """Return plain values; of normalised thresholds the two that judge, of a source what it rests on."""
    found: dict[str, Value] = {}
    for name, value in values.items():
        if name == "minimum":
            continue
        if name == "normalised":
            found["normalised_match"] = None if value is None else value["match"]
            found["normalised_grey"] = None if value is None else value["grey"]
        elif name == "source":
            found["source"] = None if value is None else value["calibration_id"]
        else:
            found[name] = tuple(value) if isinstance(value, list) else value
    return found
