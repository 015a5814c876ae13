"""What the camera sees at a commissioning: the target, somebody on the seat, the room's light, and the ring light."""

from __future__ import annotations

import time
from typing import Final

from device.app.board import Board
from device.app.trying import NotTried, Trying
from device.commissioning import judging
from device.commissioning.focus import sharpness
from device.commissioning.light import RoomLight, half_light, room_light
from device.commissioning.seat import seat_of
from device.errors import DeviceError
from device.ports import Camera
from device.vision.detection import DetectedFace, FaceDetector
from device.vision.frame import Frame, Pixels
from device.vision.inference import Networks
from protocol.commissioning import CommissioningCheck, Part, Question
from protocol.policy import Policy

_CAPTURE_S: Final = 3.0
_SETTLE_FRAMES: Final = 30
"""Until exposure and focus have found their way: two seconds at 15 frames/s."""
_RATE_FRAMES: Final = 30
_LAMP_DELAY: Final = 6
"""Frames after a change of the ring until a picture surely shows it: exposure delay and one in the making, twice."""
_LAMP_FRAMES: Final = 4
_RING: Final = (Part.RING_LEFT, Part.RING_RIGHT)


class Sight:
    """Looks once, and forgets what it saw: frames stay in here.

    Args:
        trying: collects what came of each part.
        board: with the camera, and the ring light if there is one.
        wanted: width and height of the frames by the settings.
        networks: None where they cannot be used.
        policy: says whether a terminal needs a ring light.
    """

    def __init__(
        self, trying: Trying, board: Board, *, wanted: tuple[int, int], networks: Networks | None, policy: Policy
    ) -> None:
        self._trying = trying
        self._board = board
        self._wanted = wanted
        self._networks = networks
        self._policy = policy
        self._has_frames = False
        self._frame: Frame | None = None
        self._face: DetectedFace | None = None
        self.sensor: str | None = None
        """Name of the camera's sensor, once it is known."""

    def look(self) -> None:
        """Try everything that is seen by the camera, with the camera opened once."""
        camera = self._board.camera
        try:
            camera.start()
        except DeviceError as error:
            self._trying.fail(error, Part.CAMERA)
            self._blind()
            return
        try:
            self._trying.attempt(Part.CAMERA, self._frames)
            if not self._has_frames:
                self._blind()
                return
            self._target()
            self._person()
        finally:
            camera.stop()

    def _blind(self) -> None:
        self._trying.lack(Part.CAMERA, Part.FOCUS, Part.LIGHT, Part.GLARE, Part.SEAT)
        self._ring_unseen()

    def _ring_unseen(self, why: Part = Part.CAMERA) -> None:
        if self._board.ring is not None:
            self._trying.lack(why, *_RING)
            return
        for found in judging.judge_no_ring(self._policy):
            self._trying.note(found)

    def _frames(self) -> CommissioningCheck:
        frames = _captured(self._board.camera, _RATE_FRAMES)
        wanted = self._wanted
        if len(frames) < 2:
            return judging.judge_camera(0, 0.0, wanted, wanted)
        self._has_frames = True
        first, last = frames[0], frames[-1]
        if last.metadata is not None:
            self.sensor = last.metadata.sensor_id
        height, width = last.pixels.shape[:2]
        seconds = (last.monotonic_ns - first.monotonic_ns) / 1e9
        return judging.judge_camera(last.sequence - first.sequence, seconds, (width, height), wanted)

    def _target(self) -> None:
        answer = self._trying.ask(Question.TARGET)
        if answer != "yes":
            self._trying.note(judging.judge_answer(Part.FOCUS, None if answer is None else "skip"))
            return

        def focus() -> CommissioningCheck:
            frames = _captured(self._board.camera, _SETTLE_FRAMES)
            still = self._board.camera.still()
            scale = still.pixels.shape[1] / frames[-1].pixels.shape[1] if frames else 1.0
            return judging.judge_focus(sharpness(still.pixels), scale=scale)

        self._trying.attempt(Part.FOCUS, focus)

    def _person(self) -> None:
        answer = self._trying.ask(Question.SEAT)
        if answer != "yes":
            for part in (Part.LIGHT, Part.GLARE, Part.SEAT):
                self._trying.note(judging.judge_answer(part, None if answer is None else "skip"))
            self._ring_unseen(Part.SEAT)
            return
        self._trying.attempt(Part.SEAT, self._seat)
        self._trying.attempt(Part.LIGHT, lambda: judging.judge_light(self._room()))
        self._trying.attempt(Part.GLARE, lambda: judging.judge_glare(self._room()))
        if self._board.ring is None or self._face is None:
            self._ring_unseen(Part.SEAT)
        else:
            self._ring()

    def _seat(self) -> CommissioningCheck:
        if self._networks is None:
            raise NotTried(Part.NETWORKS)
        frames = _captured(self._board.camera, _SETTLE_FRAMES)
        if not frames:
            raise NotTried(Part.CAMERA)
        faces = FaceDetector(self._networks.detection).detect(frames[-1].pixels)
        if not faces:
            return judging.judge_seat(None)
        self._frame, self._face = frames[-1], faces[0]
        (right_x, right_y), (left_x, left_y) = faces[0].keypoints[:2].tolist()
        height, width = frames[-1].pixels.shape[:2]
        return judging.judge_seat(seat_of((right_x, right_y), (left_x, left_y), width=width, height=height))

    def _room(self) -> RoomLight:
        frame, face = self._frame, self._face
        if frame is None or face is None:
            raise NotTried(Part.SEAT)
        metadata = frame.metadata
        if metadata is None:
            return room_light(frame.pixels, face.box)
        return room_light(
            frame.pixels, face.box, exposure_us=metadata.exposure_us, analogue_gain=metadata.analogue_gain
        )

    def _ring(self) -> None:
        """Light each half in turn, under one exposure, and look at both."""
        face = self._face
        ring, camera = self._board.ring, self._board.camera
        if ring is None or face is None:
            return
        pictures: dict[tuple[float, float], list[Pixels]] = {}
        begin = time.perf_counter()
        try:
            ring.start()
            camera.lock_exposure(1.0)
            for state in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)):
                ring.set(*state)
                frames = _captured(camera, _LAMP_DELAY + _LAMP_FRAMES)
                pictures[state] = [frame.pixels for frame in frames[_LAMP_DELAY:]]
        except DeviceError as error:
            self._trying.fail(error, *_RING)
            return
        finally:
            ring.stop()
            camera.release_exposure()
        if not all(pictures.values()):
            self._ring_unseen()
            return
        dark, left, right = pictures.values()
        seconds = round(time.perf_counter() - begin, 2)
        for found in judging.judge_ring(half_light(dark, left, face.box), half_light(dark, right, face.box)):
            self._trying.note(found.model_copy(update={"seconds": seconds / 2}))


def _captured(camera: Camera, count: int) -> list[Frame]:
    """Return so many frames, fewer where one did not come in time."""
    frames: list[Frame] = []
    for _ in range(count):
        frame = camera.capture(_CAPTURE_S)
        if frame is None:
            break
        frames.append(frame)
    return frames
