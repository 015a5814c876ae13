"""A position receiver that can be carried somewhere, or into a house where it hears no satellite."""

from __future__ import annotations

from protocol.visits import Place


class SimulatedPositioner:
    """Like the real one it has no fix before `start`."""

    def __init__(self) -> None:
        self._place: Place | None = None
        self._is_on = False

    def start(self) -> None:
        """Switch it on."""
        self._is_on = True

    def place(self) -> Place | None:
        """Return where it is, None while it hears no satellite."""
        return self._place if self._is_on else None

    def stop(self) -> None:
        """Switch it off."""
        self._is_on = False

    def carry_to(self, latitude_deg: float, longitude_deg: float, *, accuracy_m: float = 5.0) -> None:
        """Be somewhere under the sky."""
        self._place = Place(
            latitude_deg=latitude_deg, longitude_deg=longitude_deg, accuracy_m=accuracy_m, source="receiver"
        )

    def take_inside(self) -> None:
        """Hear no satellite any more."""
        self._place = None
