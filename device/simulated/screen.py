"""A screen without glass: it keeps what is shown, and can be touched."""

from __future__ import annotations

from collections.abc import Callable

from device.desk.view import Touch, TouchKind, View
from device.errors import ScreenUnavailable


class SimulatedScreen:
    """Shows views to whoever looks. Like the real one it does nothing before `start`."""

    def __init__(self) -> None:
        self._on_touch: Callable[[Touch], None] | None = None
        self.view: View | None = None
        """What it shows."""
        self.shown: list[View] = []
        """Everything it has shown."""
        self.photo: bytes | None = None

    def start(self, on_touch: Callable[[Touch], None]) -> None:
        """Switch it on."""
        self._on_touch = on_touch

    def show(self, view: View) -> None:
        """Show a view."""
        self.view = view
        self.shown.append(view)

    def show_photo(self, jpeg: bytes | None) -> None:
        """Offer a picture, or take it away."""
        self.photo = jpeg

    @property
    def is_watched(self) -> bool:
        """Whether it is on."""
        return self._on_touch is not None

    def stop(self) -> None:
        """Switch it off."""
        self._on_touch = None
        self.view = None
        self.photo = None

    def touch(self, kind: TouchKind, value: str = "") -> None:
        """Touch something.

        Raises:
            ScreenUnavailable: if it is off.
        """
        if self._on_touch is None:
            raise ScreenUnavailable("screen: off, nobody would notice")
        self._on_touch(Touch(kind, value))
