"""A printer without paper jams of its own: it keeps what it printed, runs out of paper and is unplugged when told."""

from __future__ import annotations

from device.ports import PrinterCondition, SlipSheet


class SimulatedPrinter:
    """See `device.ports.SlipPrinter`."""

    def __init__(self) -> None:
        self.printed: list[SlipSheet] = []
        """Everything that came out."""
        self._is_started = False
        self._has_paper = True
        self._is_plugged = True
        self._asked = PrinterCondition.READY

    def start(self) -> None:
        """Begin."""
        self._is_started = True
        self._asked = self._now()

    def print_slip(self, sheet: SlipSheet) -> None:
        """Print, if there is paper and a plug in the wall."""
        self._asked = self._now()
        if self._is_started and self._asked is PrinterCondition.READY:
            self.printed.append(sheet)

    @property
    def condition(self) -> PrinterCondition:
        """How it was when it was last asked."""
        return self._asked

    def stop(self) -> None:
        """End."""
        self._is_started = False

    def run_out_of_paper(self) -> None:
        """Use up the paper."""
        self._has_paper = False

    def load_paper(self) -> None:
        """Put in a new roll."""
        self._has_paper = True

    def unplug(self) -> None:
        """Pull the plug."""
        self._is_plugged = False

    def plug_in(self) -> None:
        """Put it back."""
        self._is_plugged = True

    def _now(self) -> PrinterCondition:
        if not self._is_plugged:
            return PrinterCondition.UNAVAILABLE
        return PrinterCondition.READY if self._has_paper else PrinterCondition.PAPER_OUT
