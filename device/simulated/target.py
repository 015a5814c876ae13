"""The printed target before the simulated camera, and a technician who holds it, sits down and presses what the commissioning asks for."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from device.ports import Button
from device.simulated.actor import Actor
from device.simulated.camera import SimulatedCamera
from device.simulated.panel import SimulatedPanel
from device.vision.frame import Pixels
from protocol.commissioning import Question

_SIZE: Final = (640, 480)
_OVER: Final = 3
"""So much finer the sheet is drawn than the picture, so that its edges lie between pixels as real ones do."""
_GAMMA: Final = 2.2
_PRESSES: Final = {
    Question.PRESS_START: Button.START,
    Question.PRESS_REPEAT: Button.REPEAT,
    Question.PRESS_CANCEL: Button.CANCEL,
}


def target_picture(
    *, blur_px: float = 0.6, side_px: float = 160, turned_deg: float = 7, ink: int = 25, paper: int = 215, seed: int = 0
) -> Pixels:
    """Return a picture of the target as a camera with a lens of this blur sees it, uint8 (480, 640, 3) RGB.

    Args:
        blur_px: standard deviation of the lens's blur, in pixels of the picture.
        side_px: of the square.
        turned_deg: by which the sheet is turned.
        ink: code of the black.
        paper: code of the white.
        seed: of the sensor's noise.
    """
    width, height = _SIZE
    angle = np.deg2rad(turned_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * side_px / 2 @ turn.T + np.array([width, height]) / 2
    light = np.full((height * _OVER, width * _OVER), (paper / 255) ** _GAMMA, np.float32)
    cv2.fillPoly(light, [np.rint(corners * _OVER).astype(np.int32)], [float((ink / 255) ** _GAMMA)])
    if blur_px > 0:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), blur_px * _OVER), np.float32)
    light = np.asarray(cv2.resize(light, _SIZE, interpolation=cv2.INTER_AREA), np.float32)
    codes = 255 * light ** (1 / _GAMMA) + np.random.default_rng(seed).normal(0, 1.5, light.shape)
    return np.asarray(np.repeat(np.clip(np.rint(codes), 0, 255)[..., None], 3, axis=2), np.uint8)


class HeldTarget:
    """A target that somebody holds still."""

    rate = 20.0

    def __init__(self, picture: Pixels) -> None:
        self._picture = picture

    def picture(self, at_s: float) -> Pixels:  # noqa: ARG002 - it does not move
        """Return the target."""
        return self._picture

    def hear(self, line: str, at_s: float) -> None:
        """Paper does not listen."""


class SimulatedTechnician:
    """Does what a person on the spot is asked to do; what is asked to be said stays with the person who runs the program.

    Args:
        camera: before which target and people are held.
        panel: with the buttons.
        person: who sits down.
        target: what is held before the lens.
    """

    def __init__(
        self, camera: SimulatedCamera, panel: SimulatedPanel | None, person: Actor, *, target: Pixels | None = None
    ) -> None:
        self._camera = camera
        self._panel = panel
        self._person = person
        self._target = target if target is not None else target_picture()

    def do(self, question: Question) -> None:
        """Do it, at once."""
        if question is Question.TARGET:
            self._camera.change_actor(HeldTarget(self._target))
        elif question is Question.SEAT:
            self._camera.change_actor(self._person)
        elif question in _PRESSES and self._panel is not None:
            self._panel.press(_PRESSES[question])
