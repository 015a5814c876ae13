"""Clips: is the face followed, and are the labelled events seen?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from device.vision.evidence.actions import ActionDetector, ActionInterval, motion_of
from device.vision.frame import Frame
from device.vision.inference import Networks
from device.vision.pipeline import VisionPipeline
from models.tools.evaluate_index import BadRow, existing_file, read_index, whole_number
from models.tools.evaluate_stills import names_of
from models.tools.evaluate_verification import Paths
from models.tools.metrics import wilson
from protocol.challenge import Action

COLUMNS = ("file", "event", "start_frame", "end_frame")
TOLERANCE_FRAMES = 3
"""Labels are right to within 3 frames."""
_TURNS = (Action.TURN_LEFT, Action.TURN_RIGHT)
_ACTIONS: dict[str, tuple[Action, ...]] = {
    "mouth_open": (Action.OPEN_MOUTH,),
    "eyes_closed": (Action.BLINK,),
    "wink_or_squint": (Action.BLINK,),
    "gaze_down_eyes_half_closed": (Action.BLINK,),
    "head_yaw_to_image_right": (Action.TURN_LEFT,),
    "head_yaw_to_image_right_and_back": (Action.TURN_LEFT,),
    "head_yaw_to_image_left": (Action.TURN_RIGHT,),
    "head_yaw_to_image_left_and_back": (Action.TURN_RIGHT,),
    "head_yaw_from_front": _TURNS,
    "head_yaw_away_from_front": _TURNS,
    "head_yaw_image_left_profile_to_right": _TURNS,
}
"""Which actions answer to a label. The picture is not mirrored: to the right of the picture is the subject's own left."""


@dataclass(frozen=True, slots=True)
class LabelledEvent:
    """One labelled event of a clip, first and last frame included."""

    path: Path
    event: str
    start_frame: int
    end_frame: int


@dataclass(frozen=True, slots=True)
class ClipActions:
    """What the terminal's vision code saw in a clip."""

    frames: int
    frames_with_subject: int
    track_ids: int
    frame_rate: float
    intervals: tuple[ActionInterval, ...]


def read_events(index: Path) -> list[LabelledEvent]:
    """Read an index of labelled events.

    Raises:
        IndexInvalid: names every bad row.
    """
    return read_index(index, COLUMNS, _event)


def evaluate_clips(events: Sequence[LabelledEvent], networks: Networks, *, track: Paths = iter) -> dict[str, Any]:
    """Return labelled events found and missed, and actions that no label answers for.

    A clip that cannot be read counts all its events as missed.
    """
    by_clip: dict[Path, list[LabelledEvent]] = {}
    for event in events:
        by_clip.setdefault(event.path, []).append(event)
    clips = [_judge(path, by_clip[path], observe_clip(path, networks)) for path in track(sorted(by_clip))]
    found = sum(event["is_found"] for clip in clips for event in clip["events"])
    used = names_of(networks)
    return {
        "events": len(events),
        "found": found,
        "found_interval": wilson(found, len(events)),
        "unlabelled_actions": sum(len(clip["unlabelled_actions"]) for clip in clips),
        "clips": clips,
        "tolerance_frames": TOLERANCE_FRAMES,
        "networks": used.digests,
        "runtime": used.runtime,
        "method": "an event is found if an action that answers to its label overlaps it, widened by the tolerance; labels do not "
        "claim to be complete, so an unlabelled action need not be a wrong one",
    }


def observe_clip(path: Path, networks: Networks) -> ClipActions | None:
    """Run the terminal's vision code over a clip, None where it cannot be read."""
    capture = cv2.VideoCapture(str(path))
    try:
        rate = capture.get(cv2.CAP_PROP_FPS)
        if not capture.isOpened() or not rate > 0:
            return None
        pipeline, detector = VisionPipeline(networks), ActionDetector()
        intervals: list[ActionInterval] = []
        active: tuple[ActionInterval, ...] = ()
        tracks: list[int | None] = []
        while True:
            is_read, picture = capture.read()
            if not is_read:
                break
            now = round(len(tracks) * 1e9 / rate)
            pixels = np.ascontiguousarray(np.asarray(picture, np.uint8)[:, :, ::-1])
            observation = pipeline.process(Frame(pixels=pixels, sequence=len(tracks), monotonic_ns=now))
            report = detector.observe(motion_of(observation), monotonic_ns=now)
            intervals += report.completed
            active = report.active
            tracks.append(observation.subject.track_id if observation.subject else None)
    finally:
        capture.release()
    seen = [track_id for track_id in tracks if track_id is not None]
    return ClipActions(
        frames=len(tracks),
        frames_with_subject=len(seen),
        track_ids=len(set(seen)),
        frame_rate=rate,
        intervals=(*intervals, *active),
    )


def _judge(path: Path, events: Sequence[LabelledEvent], seen: ClipActions | None) -> dict[str, Any]:
    intervals = seen.intervals if seen else ()
    answers = {event: [interval for interval in intervals if _answers(interval, event)] for event in events}
    answered = {interval for found in answers.values() for interval in found}
    return {
        "file": path.name,
        "is_readable": seen is not None,
        "frames": seen.frames if seen else 0,
        "frames_with_subject": seen.frames_with_subject if seen else 0,
        "track_ids": seen.track_ids if seen else 0,
        "frame_rate": seen.frame_rate if seen else None,
        "events": [
            {
                "event": event.event,
                "start_frame": event.start_frame,
                "end_frame": event.end_frame,
                "is_found": bool(found),
                "actions": [_described(interval) for interval in found],
            }
            for event, found in answers.items()
        ],
        "unlabelled_actions": [_described(interval) for interval in intervals if interval not in answered],
    }


def _answers(interval: ActionInterval, event: LabelledEvent) -> bool:
    return (
        interval.action in _ACTIONS[event.event]
        and interval.start_sequence <= event.end_frame + TOLERANCE_FRAMES
        and interval.end_sequence >= event.start_frame - TOLERANCE_FRAMES
    )


def _described(interval: ActionInterval) -> dict[str, Any]:
    return {
        "action": interval.action.value,
        "start_frame": interval.start_sequence,
        "end_frame": interval.end_sequence,
        "peak": round(interval.peak, 3),
    }


def _event(cells: Mapping[str, str], root: Path) -> LabelledEvent:
    start, end = whole_number(cells, "start_frame"), whole_number(cells, "end_frame")
    if cells["event"] not in _ACTIONS:
        raise BadRow(f"event is {cells['event']!r}, expected one of {', '.join(_ACTIONS)}")
    if not 0 <= start <= end:
        raise BadRow(f"frames {start} to {end} are no range")
    return LabelledEvent(
        path=existing_file(cells["file"], root), event=cells["event"], start_frame=start, end_frame=end
    )
