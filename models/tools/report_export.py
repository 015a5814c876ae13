"""The few figures of the evaluation that the fleet shows beside its thresholds, as data of the fleet: it has neither models nor documents.

`fleet.statistics.evaluated` reads them; a test holds the file that is kept against `docs/evaluation.json` and the manifests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from protocol.manifest import ModelManifest

Figures = Mapping[str, Any]
Measurement = tuple[date, str, Figures]
"""The day, the version of this project, and the figures."""
_DIGITS = 4


def export_of(measured: Mapping[str, Measurement], manifests: Sequence[ModelManifest]) -> dict[str, Any]:
    """Return networks, error rates of the comparison, and what attacks and living people came to.

    Args:
        measured: sections of the evaluation by name; those that are missing are None in the result.
        manifests: of the networks as shipped.
    """
    parts = {
        "comparison": ("verification", _comparison),
        "sessions": ("scenes", _sessions),
        "texture": ("pad", _texture),
    }
    found: dict[str, Any] = {"networks": [_network(each) for each in sorted(manifests, key=lambda each: each.name)]}
    for name, (section, make) in parts.items():
        found[name] = None
        if section in measured:
            day, software, figures = measured[section]
            found[name] = {"measured_on": day.isoformat(), "software": software, **make(figures)}
    return found


def write_export(found: Figures, path: Path) -> None:
    """Write it, one line for each entry, so that a change is seen."""
    path.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _network(manifest: ModelManifest) -> dict[str, Any]:
    origin = manifest.provenance
    return {
        "name": manifest.name,
        "task": manifest.task,
        "sha256": manifest.sha256,
        "source": f"{origin.registry}: {origin.package} {origin.version}",
        "licence": origin.licence,
        "notes": origin.notes,
        "thresholds": {name: each.model_dump() for name, each in manifest.thresholds.items()},
    }


def _comparison(figures: Figures) -> dict[str, Any]:
    pairs = figures["all_pairs"]
    return {
        "digests": figures["networks"],
        "pictures": pairs["pictures"],
        "identities": pairs["identities"],
        "eer": _short(figures["eer"]),
        "eer_interval": _interval(figures["eer_interval"]),
        "points": {kind: [_point(each) for each in pairs[kind]] for kind in ("raw", "normalised")},
        "groups": {
            name: {"identities": group["identities"], "pictures": group["pictures"]}
            for name, group in figures["groups"].items()
        },
        "curves": {
            name: {kind: _curve(curve) for kind, curve in kinds.items()} for name, kinds in figures["curves"].items()
        },
    }


def _point(found: Figures) -> dict[str, Any]:
    return {
        "fmr": found["fmr"],
        "threshold": _short(found["threshold"]),
        "false_non_matches": found["false_non_matches"],
        "fnmr": _short(found["fnmr"]),
        "fnmr_interval": _interval(found["fnmr_interval"]),
    }


def _curve(found: Figures) -> dict[str, Any]:
    return {
        "genuine_pairs": found["genuine_pairs"],
        "impostor_pairs": found["impostor_pairs"],
        "det": [[_short(false_match), _short(miss)] for false_match, miss in found["det"]],
    }


def _sessions(figures: Figures) -> dict[str, Any]:
    species = [
        _rate(name, each, "certified", counts_in_total=name in figures["apcer"])
        for part in ("apcer", "outside_bar")
        for name, each in figures[part].items()
    ]
    return {
        "digests": figures["networks"]["digests"],
        "policy": figures["policy"],
        "people": len(figures["people"]),
        "species": species,
        "living": [_rate(name, each, "refused") for name, each in figures["bpcer"].items()],
    }


def _texture(figures: Figures) -> dict[str, Any]:
    return {
        "digests": figures["networks"],
        "network": figures["texture"]["network"],
        "threshold": figures["threshold"],
        "rates": [
            {
                "source": each["source"],
                "kind": each["kind"],
                "attacks": each["attacks"],
                "apcer": _short(each["apcer"]),
                "apcer_interval": _interval(each["apcer_interval"]),
                "bona_fide": each["bona_fide"],
                "bpcer": _short(each["bpcer"]),
                "bpcer_interval": _interval(each["bpcer_interval"]),
            }
            for each in figures["rates"]
        ],
    }


def _rate(name: str, found: Figures, errors: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "presentations": found["presentations"],
        "errors": found[errors],
        "interval": _interval(found["interval"]),
        **more,
    }


def _interval(found: Sequence[float]) -> list[float]:
    return [_short(value) for value in found]


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
