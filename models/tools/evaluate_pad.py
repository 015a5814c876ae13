"""Presentation attack detection: what can be said of each source, species by species."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.vision.inference import Networks
from models.tools.evaluate_index import existing_file, one_of, read_index, read_picture
from models.tools.evaluate_stills import StillObserver, names_of, padded
from models.tools.evaluate_verification import Paths
from models.tools.metrics import wilson
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus

COLUMNS = ("file", "label", "kind", "subject", "clip", "source", "view", "haar_face")
LABELS = ("bonafide", "attack")


@dataclass(frozen=True, slots=True)
class Presentation:
    """One picture of a bona fide or an attack presentation."""

    path: Path
    label: str
    kind: str
    """`live` or the PAI species."""
    source: str


def read_presentations(index: Path) -> list[Presentation]:
    """Read an index of presentations.

    Raises:
        IndexInvalid: names every bad row.
    """
    return read_index(index, COLUMNS, _presentation)


def evaluate_pad(presentations: Sequence[Presentation], networks: Networks, *, track: Paths = iter) -> dict[str, Any]:
    """Return counts and failures to acquire of each source and species.

    Of the evidence, only texture can be judged on single pictures, and no texture network is installed: its status is
    `not_run` and there are no error rates. A failure to acquire is reported by class; it is neither a right nor a wrong
    PAD decision.
    """
    chosen = {item.path: item for item in presentations}
    observer = StillObserver(networks)
    outcomes: dict[tuple[str, str, str], list[bool]] = {}
    for path in track(sorted(chosen)):
        item = chosen[path]
        picture = read_picture(path)
        is_acquired = picture is not None and observer.subject(padded(picture)) is not None
        outcomes.setdefault((item.source, item.label, item.kind), []).append(is_acquired)
    texture = EvidenceResult(kind=EvidenceKind.TEXTURE, status=EvidenceStatus.NOT_RUN, reason="not_installed")
    used = names_of(networks)
    return {
        "texture": texture.model_dump(mode="json"),
        "apcer": None,
        "bpcer": None,
        "classes": [
            {
                "source": source,
                "label": label,
                "kind": kind,
                "presentations": len(acquired),
                "failures_to_acquire": acquired.count(False),
                "failure_to_acquire_rate": acquired.count(False) / len(acquired),
                "failure_to_acquire_interval": wilson(acquired.count(False), len(acquired)),
                "texture_not_run": len(acquired),
            }
            for (source, label, kind), acquired in sorted(outcomes.items())
        ],
        "presentations": len(chosen),
        "networks": used.digests,
        "runtime": used.runtime,
        "method": "sources are not pooled; intervals: 95 % Wilson",
    }


def _presentation(cells: Mapping[str, str], root: Path) -> Presentation:
    return Presentation(
        path=existing_file(cells["file"], root),
        label=one_of(cells, "label", LABELS),
        kind=cells["kind"],
        source=cells["source"],
    )
