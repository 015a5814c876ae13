"""Rendered scenes: whom does the terminal certify, and which evidence stops the others, on each path?

Every presentation is played through the terminal's own session, so an error of any part counts. Attack: the presentation is certified
(`apcer`). Living person: it is not, for whatever reason, the comparison included (`bpcer`).

The keys are named after the errors of a detector; of a whole session ISO/IEC 30107-3:2023 speaks, in its full-system evaluation, of an
impostor attack presentation accept rate (IAPAR) and of false rejection. That is what these rates are: comparison, quality and timers take
part in them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import cv2

from device.app.clip import ReferencePicture, play_session
from device.simulated.entropy import SeededEntropy
from device.simulated.presenting import Filming
from device.vision.comparison import compare
from device.vision.features import FeatureVector
from device.vision.frame import Frame
from device.vision.pipeline import VisionPipeline
from models.tools.evaluate_stills import names_of
from models.tools.metrics import clopper_pearson
from models.tools.scene_presentations import (
    BONA_FIDE,
    OUTSIDE_BAR,
    SPECIES,
    People,
    Presentation,
    build,
    by_person,
    find_people,
    plan,
    portrait_actor,
)
from models.tools.sessions import CLAIMED, Opened, networks_of, policy_of, reasons_of, spread
from protocol.evidence import EvidenceStatus
from protocol.outcomes import Outcome
from protocol.policy import PathName
from protocol.records import CertificationRecord
from protocol.references import CaptureKind

Key = TypeVar("Key", bound=str)

_WITNESS = "scene-witness"
"""Vouches for whatever is shown: what then stops an attack is the machine."""
_CAN_SHOW = (
    "control flow and the direction of each evidence: people, sheets and screens, light and sensor are simulated"
)
_CANNOT_SHOW = (
    "how often real people, prints and screens are taken for one another; texture networks see no real skin here; people who "
    "look alike to the features network take each other's place outside the totals alone (`left_out`, `outside_bar`); the reference of "
    "a living person is another picture of the same render, so the comparison hardly ever refuses one; living people are alone, in even "
    "light and willing, some slow and some wrong once"
)
_METHOD = (
    "95 % Clopper-Pearson over sessions, as if each were by itself: it holds for these people, sheets and screens, of which there are "
    "few; how people differ is in `refused_by_person` and `certified_by_person`"
)


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one presentation."""

    presentation: Presentation
    outcome: str
    reasons: tuple[str, ...]
    failed: tuple[str, ...]
    """`kind: reason` of the evidence that failed."""
    not_run: tuple[str, ...]
    zone: str | None

    @property
    def is_certified(self) -> bool:
        """Whether the terminal certified it."""
        return self.outcome == Outcome.CERTIFIED


def evaluate_scenes(
    folder: Path,
    opened: Opened,
    *,
    presentations: int,
    bona_fide: int,
    jobs: int,
    seed: int,
    on_played: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Play all presentations and return the figures.

    Args:
        folder: descriptions of people, sheets and screens.
        opened: the networks.
        presentations: number of attack presentations.
        bona_fide: number of presentations of living people.
        jobs: processes.
        seed: the same seed, people and networks give the same figures.
        on_played: called with the number played and of all, for a progress display.

    Raises:
        ClipInvalid: if a description cannot be used.
        CameraUnavailable: if a clip cannot be read.
        ValueError: if the policy is none.
    """
    policy = policy_of(opened)
    people = with_alike(find_people(folder), opened, policy.continuity.min_similarity)
    planned = plan(people, policy, attacks=presentations, bona_fide=bona_fide, seed=seed)
    rows: list[Played] = []
    for row in spread(_play, by_person(planned), folder, opened, jobs=jobs):
        rows.append(row)
        on_played(len(rows), len(planned))
    rows.sort(key=lambda row: row.presentation.number)
    return {
        **_figures(rows),
        "groups": {group: _figures(found) for group, found in _split(rows, lambda row: row.presentation.group)},
        "seed": seed,
        "people": people.group_of,
        "alike": sorted(sorted(pair) for pair in people.alike),
        "left_out": {
            "pairs": len(people.alike),
            "of": people.pairs(),
            "min_similarity": policy.continuity.min_similarity,
            "species": ["swap", "stand_in", "sheet_within_light"],
        },
        "policy": policy.policy_version,
        "networks": asdict(names_of(networks_of(opened))),
        "can_show": _CAN_SHOW,
        "cannot_show": _CANNOT_SHOW,
        "method": _METHOD,
        "presentations": [_row(row) for row in rows],
    }


def with_alike(people: People, opened: Opened, min_similarity: float) -> People:
    """Return the people with the pairs of one group whose portraits the features network takes for one person.

    Rendered people are more alike than real ones. What the network cannot tell apart, no exchange of people can show either: how often
    that happens is measured on real faces (`evaluate verification`).
    """
    networks = networks_of(opened)
    features: dict[str, FeatureVector] = {}
    for person in people.group_of:
        shown = Frame(Filming(portrait_actor(person, people)).frame(0.0)[1], sequence=0, monotonic_ns=0)
        subject = VisionPipeline(networks).process(shown, want_features=True).subject
        if subject is not None and subject.features is not None:
            features[person] = subject.features
    alike = frozenset(
        frozenset({one, other})
        for one, other in itertools.combinations(features, 2)
        if people.group_of[one] == people.group_of[other]
        and compare(features[one], features[other]).similarity >= min_similarity
    )
    return replace(people, alike=alike)


Columns = Sequence[str]


def scene_tables(report: dict[str, Any]) -> list[tuple[Columns, list[dict[str, Any]]]]:
    """Return the report's tables as columns and rows: errors by group, and what stopped the attacks."""
    errors: list[dict[str, Any]] = []
    for group, figures in report["groups"].items():
        total = {"presentations": figures["attacks"], "errors": figures["attacks_certified"]}
        errors.append(
            {"group": group, "what": "all attacks", **total, "interval": figures["attacks_certified_interval"]}
        )
        for species, found in figures["apcer"].items():
            errors.append(
                {
                    "group": group,
                    "what": species,
                    "errors": found["certified"],
                    "rate": found["apcer"],
                    **_counted(found),
                }
            )
        for species, found in figures["outside_bar"].items():
            what = f"{species}, in no total"
            errors.append(
                {"group": group, "what": what, "errors": found["certified"], "rate": found["apcer"], **_counted(found)}
            )
        for path, found in figures["bpcer"].items():
            what = f"bona fide, {path}"
            errors.append(
                {"group": group, "what": what, "errors": found["refused"], "rate": found["bpcer"], **_counted(found)}
            )
    stops = [
        {
            "species": species,
            "path": path,
            "presentations": cell["presentations"],
            "failed evidence": cell["failed"],
            "outcomes": cell["outcomes"],
        }
        for species, found in {**report["apcer"], **report["outside_bar"]}.items()
        for path, cell in found["paths"].items()
    ]
    left_out = report["left_out"]
    apart = {
        "pairs of one group left out of": ", ".join(left_out["species"]),
        "left out": left_out["pairs"],
        "pairs": left_out["of"],
        "similarity from": left_out["min_similarity"],
    }
    return [
        (tuple(apart), [apart]),
        (("group", "what", "presentations", "errors", "rate", "interval"), errors),
        (("species", "path", "presentations", "failed evidence", "outcomes"), stops),
    ]


def _counted(found: dict[str, Any]) -> dict[str, Any]:
    return {"presentations": found["presentations"], "interval": found["interval"]}


def _play(presentation: Presentation, folder: Path, opened: Opened) -> Played:
    networks, policy, people = networks_of(opened), policy_of(opened), _people(folder)
    record = play_session(
        CLAIMED,
        build(presentation, people, policy),
        networks=networks,
        policy=policy,
        reference=ReferencePicture(_portrait(presentation.person, folder), "portrait", CaptureKind.LIVE),
        path=presentation.path,
        witness=_WITNESS if policy.paths[presentation.path].needs_witness else None,
        entropy=SeededEntropy(presentation.seed),
        seed=presentation.seed,
    )
    return _judged(presentation, record)


def _judged(presentation: Presentation, record: CertificationRecord) -> Played:
    return Played(
        presentation=presentation,
        outcome=record.decision.outcome.value,
        reasons=tuple(reason.value for reason in record.decision.reasons),
        failed=reasons_of(record, EvidenceStatus.FAILED),
        not_run=reasons_of(record, EvidenceStatus.NOT_RUN),
        zone=record.comparison.zone if record.comparison else None,
    )


@lru_cache(maxsize=1)
def _people(folder: Path) -> People:
    return find_people(folder)


@lru_cache(maxsize=16)
def _portrait(person: str, folder: Path) -> bytes:
    pixels = Filming(portrait_actor(person, _people(folder))).frame(0.0)[1]
    return cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()


def _figures(rows: Sequence[Played]) -> dict[str, Any]:
    attacks = [row for row in rows if row.presentation.species not in {BONA_FIDE, *OUTSIDE_BAR}]
    living = [row for row in rows if row.presentation.species == BONA_FIDE]
    certified = sum(row.is_certified for row in attacks)
    by_species = dict(_split(rows, lambda row: row.presentation.species))
    return {
        "attacks": len(attacks),
        "attacks_certified": certified,
        "attacks_certified_interval": clopper_pearson(certified, len(attacks)),
        "certified_by_person": _by_person(attacks, lambda row: row.is_certified),
        "apcer": {species: _apcer(by_species[species]) for species in SPECIES if species in by_species},
        "outside_bar": {species: _apcer(by_species[species]) for species in OUTSIDE_BAR if species in by_species},
        "bona_fide": len(living),
        "bona_fide_refused": sum(not row.is_certified for row in living),
        "refused_by_person": _by_person(living, lambda row: not row.is_certified),
        "bpcer": {path: _bpcer(found) for path, found in _by_path(living)},
    }


def _by_person(rows: Sequence[Played], is_error: Callable[[Played], bool]) -> dict[str, str]:
    """Return `errors of presentations` by the person claimed."""
    return {
        person: f"{sum(map(is_error, found))} of {len(found)}"
        for person, found in _split(rows, lambda row: row.presentation.person)
    }


def _apcer(rows: Sequence[Played]) -> dict[str, Any]:
    certified = sum(row.is_certified for row in rows)
    return {
        "presentations": len(rows),
        "certified": certified,
        "apcer": certified / len(rows),
        "interval": clopper_pearson(certified, len(rows)),
        "paths": {
            path: {
                "presentations": len(found),
                "certified": sum(row.is_certified for row in found),
                "outcomes": _counts(row.outcome for row in found),
                "failed": _counts(what for row in found for what in row.failed),
                "not_run": _counts(what for row in found for what in row.not_run),
                "failed_kinds": _counts(
                    what for row in found for what in {item.partition(":")[0] for item in row.failed}
                ),
            }
            for path, found in _by_path(rows)
        },
    }


def _bpcer(rows: Sequence[Played]) -> dict[str, Any]:
    refused = [row for row in rows if not row.is_certified]
    return {
        "presentations": len(rows),
        "refused": len(refused),
        "bpcer": len(refused) / len(rows),
        "interval": clopper_pearson(len(refused), len(rows)),
        "outcomes": _counts(row.outcome for row in rows),
        "reasons": _counts(reason for row in refused for reason in row.reasons),
        "failed": _counts(what for row in refused for what in row.failed),
        "not_run": _counts(what for row in rows for what in row.not_run),
        "variants": {
            variant: {"presentations": len(found), "refused": sum(not row.is_certified for row in found)}
            for variant, found in _split(rows, lambda row: row.presentation.variant)
        },
    }


def _by_path(rows: Sequence[Played]) -> Iterator[tuple[PathName, list[Played]]]:
    return _split(rows, lambda row: row.presentation.path)


def _split(rows: Sequence[Played], key: Callable[[Played], Key]) -> Iterator[tuple[Key, list[Played]]]:
    """Give the rows by key, in the order of the keys' names."""
    for value in sorted({key(row) for row in rows}, key=str):
        yield value, [row for row in rows if key(row) == value]


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _row(row: Played) -> dict[str, Any]:
    shown = row.presentation
    return {
        "number": shown.number,
        "species": shown.species,
        "variant": shown.variant,
        "person": shown.person,
        "path": shown.path.value,
        "outcome": row.outcome,
        "reasons": row.reasons,
        "failed": row.failed,
        "not_run": row.not_run,
    }
