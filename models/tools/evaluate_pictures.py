"""Real attack pictures held before the terminal as still sheets: is one ever certified on the standard path?

The picture stands in for the sheet or screen it was taken of: it hangs before a grey wall, a hand holds it, and it reflects the ring as
it reflects the room. The reference is made of the same picture, so that the comparison never stops it: only evidence does. A picture of
which no reference can be made is shown all the same, against somebody else's.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from device.app.clip import ReferencePicture, play_session, reference_picture
from device.errors import PictureUnsuitable
from device.simulated.entropy import SeededEntropy
from device.simulated.presenting import Tremor
from device.simulated.scene import Layers, View
from device.vision.frame import Pixels
from models.tools.evaluate_index import read_picture
from models.tools.evaluate_pad import Presentation
from models.tools.evaluate_stills import names_of
from models.tools.metrics import clopper_pearson
from models.tools.sessions import CLAIMED, Opened, networks_of, policy_of, reasons_of, spread
from protocol.evidence import EvidenceStatus
from protocol.outcomes import Outcome
from protocol.records import CertificationRecord
from protocol.references import CaptureKind

_UNREADABLE = "unreadable"
_SOMEBODY = "cedar.toml"
"""Whose reference it is where the picture gives none: one of the rendered people."""
_SIZE = (480, 640)
_HEIGHT_PX = 300
"""Of the sheet: faces in tight crops then have some 60 pixels between the eyes, as a person at half a metre."""
_WALL = 120
_RATE = 15.0
"""Frames per second: the least at which a blink could be seen."""
_REFLECTED = 0.3
"""The ring's light on the sheet, against the room's: that of a rendered face at half a metre."""


@dataclass(frozen=True, slots=True)
class _Result:
    source: str
    kind: str
    outcome: str
    failed: tuple[str, ...]
    not_run: tuple[str, ...]
    is_own_reference: bool = False


def evaluate_pictures(
    presentations: Sequence[Presentation],
    opened: Opened,
    *,
    people: Path,
    jobs: int,
    on_played: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Show every attack picture to the standard path and return what came of it, by source and kind.

    Args:
        presentations: the index; bona fide pictures are passed over, as a still of a person is an attack, too.
        opened: the networks.
        people: folder of the rendered people, one of whom lends a reference.
        jobs: processes.
        on_played: called with the number shown and of all, for a progress display.
    """
    chosen = sorted((item for item in presentations if item.label == "attack"), key=lambda item: item.path)
    results: list[_Result] = []
    for result in spread(_show, chosen, people, opened, jobs=jobs):
        results.append(result)
        on_played(len(results), len(chosen))
    played = [result for result in results if result.outcome != _UNREADABLE]
    certified = sum(result.outcome == Outcome.CERTIFIED for result in played)
    used = names_of(networks_of(opened))
    classes = [
        _class(source, kind, [result for result in results if (result.source, result.kind) == (source, kind)])
        for source, kind in sorted({(result.source, result.kind) for result in results})
    ]
    return {
        "pictures": len(results),
        "unreadable": len(results) - len(played),
        "other_reference": sum(not result.is_own_reference for result in played),
        "attacks": len(played),
        "attacks_certified": certified,
        "attacks_certified_interval": clopper_pearson(certified, len(played)),
        "worst": max(
            (found for found in classes if found["played"]),
            key=lambda found: (found["rate"], found["interval"][1]),
            default=None,
        ),
        "classes": classes,
        "policy": policy_of(opened).policy_version,
        **asdict(used),
        "method": "the reference is the picture itself; other_reference: where none could be made of it, a rendered person's; unreadable: "
        "the file holds no picture, so no session was played; rates and intervals are of the sessions played, 95 % Clopper-Pearson; "
        "worst: the species with the highest rate, at equal rates the highest upper end; the sum over species is no error rate of anything",
    }


def _show(item: Presentation, people: Path, opened: Opened) -> _Result:
    picture = read_picture(item.path)
    if picture is None:
        return _Result(item.source, item.kind, _UNREADABLE, (), ())
    sheet = _Sheet(picture)
    own = ReferencePicture(sheet.portrait(), "sheet", CaptureKind.LIVE)
    is_own = True
    try:
        record = _played(item, sheet, own, opened)
    except PictureUnsuitable:
        is_own = False
        record = _played(item, sheet, reference_picture(people / _SOMEBODY, CaptureKind.LIVE), opened)
    return _Result(
        item.source,
        item.kind,
        record.decision.outcome.value,
        reasons_of(record, EvidenceStatus.FAILED),
        reasons_of(record, EvidenceStatus.NOT_RUN),
        is_own_reference=is_own,
    )


def _played(item: Presentation, sheet: _Sheet, reference: ReferencePicture, opened: Opened) -> CertificationRecord:
    return play_session(
        CLAIMED,
        sheet,
        networks=networks_of(opened),
        policy=policy_of(opened),
        reference=reference,
        entropy=SeededEntropy(zlib.crc32(item.path.name.encode())),
    )


class _Sheet:
    """A picture in somebody's hand."""

    rate = _RATE

    def __init__(self, picture: Pixels) -> None:
        height, width = picture.shape[:2]
        scale = min(_HEIGHT_PX / height, _SIZE[1] / width)
        small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        rows, columns = small.shape[:2]
        top, left = (_SIZE[0] - rows) // 2, (_SIZE[1] - columns) // 2
        room = np.full((*_SIZE, 3), _WALL, np.uint8)
        lamp = np.zeros_like(room)
        for layer in (room, lamp):
            layer[top : top + rows, left : left + columns] = small
        self._room = room
        self._layers = Layers(room, lamp, lamp, (1.0, _REFLECTED, _REFLECTED))
        self._tremor = Tremor(1.0)

    def picture(self, at_s: float) -> View:
        """Return the sheet."""
        return View(key="sheet", layers=self._layers, tremor=self._tremor.at(at_s))

    def hear(self, line: str, at_s: float) -> None:
        """Paper does not listen."""

    def portrait(self) -> bytes:
        """Return the picture before the wall as PNG."""
        return cv2.imencode(".png", self._room[:, :, ::-1])[1].tobytes()


def _class(source: str, kind: str, results: Sequence[_Result]) -> dict[str, Any]:
    played = [result for result in results if result.outcome != _UNREADABLE]
    certified = sum(result.outcome == Outcome.CERTIFIED for result in played)
    return {
        "source": source,
        "kind": kind,
        "presentations": len(results),
        "unreadable": len(results) - len(played),
        "other_reference": sum(not result.is_own_reference for result in played),
        "played": len(played),
        "certified": certified,
        "rate": certified / len(played) if played else None,
        "interval": clopper_pearson(certified, len(played)) if played else None,
        "outcomes": dict(Counter(result.outcome for result in played).most_common()),
        "failed": dict(Counter(what for result in results for what in result.failed).most_common()),
        "not_run": dict(Counter(what for result in results for what in result.not_run).most_common()),
    }
