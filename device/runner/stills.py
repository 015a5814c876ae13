"""Pictures taken for a task: ordered, shown to whoever took them, kept or taken anew, and forgotten."""

from __future__ import annotations

from device.desk.events import DeskEvent, PhotoFailed, PhotoTaken
from device.desk.state import Desk, waits_for_picture
from device.desk.view import PhotoCheckView, Problem
from device.ports import DeskScreen
from device.runner.casework import Casework
from device.runner.loop import Ports, Runner
from device.runner.orders import ForgetStills, PictureNotTaken, PictureTaken, TakeStill
from device.runner.records import Identity
from device.session.commands import Line
from protocol.cases import PhotoRole


class Stills:
    """Knows which picture is waited for. Used by the loop's thread.

    Args:
        runner: has the worker take them.
        ports: of the sessions; the policy says what a picture must be like.
        identity: of the terminal, with its feature network.
        casework: holds what was taken.
        screen: shows it; None where the terminal has none.
    """

    def __init__(
        self, runner: Runner, ports: Ports, identity: Identity, *, casework: Casework, screen: DeskScreen | None
    ) -> None:
        self._runner = runner
        self._ports = ports
        self._identity = identity
        self._casework = casework
        self._screen = screen
        self._number = 0
        """Of the picture that is waited for; with another one nobody knows any more whom it shows."""

    def take(self, role: PhotoRole) -> DeskEvent | None:
        """Have a picture taken; return what the desk is told at once, None where it waits for the picture."""
        policy = self._ports.policies.current()
        thresholds = policy.comparison.get(self._identity.features_name) if policy is not None else None
        if policy is None or thresholds is None:
            return PhotoFailed(role, Line.NOT_READY.value)
        self._show(None)
        self._number += 1
        self._runner.order(
            TakeStill(
                self._number,
                role,
                minimum=policy.quality.minimum,
                least_similarity=thresholds.grey,
                keep_as=self._runner.references.key() if role is PhotoRole.FACE else None,
            )
        )
        return None

    def came(self, news: PictureTaken | PictureNotTaken, desk: Desk) -> DeskEvent | None:
        """Show a picture that was taken; return what the desk is told, None where nobody wants it any more."""
        if isinstance(news, PictureNotTaken):
            return PhotoFailed(news.role, Problem.CAMERA_LOST) if news.number == self._number else None
        # Whoever it was taken for may have gone meanwhile.
        if news.number != self._number or not waits_for_picture(desk, news.picture.role):
            news.picture.erase()
            return None
        self._casework.take(news.picture)
        self._show(news.picture.jpeg)
        checks = tuple(PhotoCheckView(check.name, check.passed) for check in news.picture.checks)
        return PhotoTaken(news.picture.role, checks)

    def keep(self, role: PhotoRole) -> None:
        """Keep the picture that is shown."""
        self._casework.keep(role)
        self._show(None)

    def forget(self) -> None:
        """Forget the person of the task with every picture, taken or on its way."""
        self._number += 1
        self._casework.forget()
        self._runner.order(ForgetStills())
        self._show(None)

    def _show(self, jpeg: bytes | None) -> None:
        if self._screen is not None:
            self._screen.show_photo(jpeg)
