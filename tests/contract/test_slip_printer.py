"""What every printer of slips must do; the real adapter stands at a pseudo-terminal whose other end behaves like a printer."""

from __future__ import annotations

import os
import pty
import select
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from device.adapters.printer_escpos import EscposPrinter
from device.ports import PrinterCondition, SlipPrinter, SlipSheet
from device.settings import Printer as PrinterSettings
from device.simulated.printer import SimulatedPrinter

SHEET = SlipSheet(("结果：认证成功", "Result: certified"), "LCS1:" + "A7B" * 105)
OTHER = SlipSheet(("second",), "LCS1:" + "0AB" * 100)
_PAPER_QUESTION = b"\x10\x04\x04"
_CUT = b"\x1dV"


class Roll(Protocol):
    """A printer one can do things to."""

    def open(self) -> SlipPrinter: ...

    def outputs(self) -> int: ...

    def was_asked_for(self, slips: int) -> bool: ...

    def run_out_of_paper(self) -> None: ...

    def load_paper(self) -> None: ...

    def unplug(self) -> None: ...

    def plug_in(self) -> None: ...


class PtyPrinter:
    """An ESC/POS printer at the end of a serial line: it answers the question for paper and notes everything else."""

    def __init__(self, folder: Path) -> None:
        self._device = folder / "printer"
        self._lock = threading.Lock()
        self._status = 0x12
        self._data = b""
        self._questions = 0
        self._ended = threading.Event()
        self._master, slave = pty.openpty()
        # Held open, so that the line does not hang up between two slips.
        self._slave = slave
        self._device.symlink_to(os.ttyname(slave))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self._opened: list[SlipPrinter] = []

    def open(self) -> SlipPrinter:
        self._opened.append(
            EscposPrinter(PrinterSettings(kind="escpos", device=self._device, baud=115200), answer_s=10.0)
        )
        return self._opened[-1]

    def outputs(self) -> int:
        return self.data.count(_CUT)

    def was_asked_for(self, slips: int) -> bool:
        # Once at the start, then before each slip.
        with self._lock:
            return self._questions > slips

    @property
    def data(self) -> bytes:
        with self._lock:
            return self._data

    def run_out_of_paper(self) -> None:
        self._status = 0x72

    def load_paper(self) -> None:
        self._status = 0x12

    def near_the_end(self) -> None:
        self._status = 0x1E

    def unplug(self) -> None:
        self._device.rename(self._device.with_suffix(".away"))

    def plug_in(self) -> None:
        self._device.with_suffix(".away").rename(self._device)

    def close(self) -> None:
        for printer in self._opened:
            printer.stop()
        self._ended.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)

    def _serve(self) -> None:
        while not self._ended.is_set():
            if not select.select([self._master], [], [], 0.05)[0]:
                continue
            found = os.read(self._master, 65536)
            with self._lock:
                self._data += found
                questions = self._data.count(_PAPER_QUESTION)
                self._data = self._data.replace(_PAPER_QUESTION, b"")
            os.write(self._master, bytes([self._status]) * questions)
            with self._lock:
                self._questions += questions


class ToyPrinter(SimulatedPrinter):
    """The simulated one, behind the same verbs."""

    def open(self) -> SlipPrinter:
        return self

    def outputs(self) -> int:
        return len(self.printed)

    def was_asked_for(self, slips: int) -> bool:
        # Whoever asks this one has its answer at once.
        return True

    def close(self) -> None:
        self.stop()


@pytest.fixture(params=["simulated", "escpos"])
def roll(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Roll]:
    made: Any = ToyPrinter() if request.param == "simulated" else PtyPrinter(tmp_path)
    yield made
    made.close()


@pytest.fixture
def serial(tmp_path: Path) -> Iterator[PtyPrinter]:
    made = PtyPrinter(tmp_path)
    yield made
    made.close()


def test_a_slip_comes_out(roll: Roll, eventually: Callable[..., None]) -> None:
    printer = roll.open()
    printer.start()
    printer.print_slip(SHEET)
    eventually(lambda: roll.outputs() == 1, "the slip")
    eventually(lambda: printer.condition is PrinterCondition.READY, "ready")


def test_without_paper_the_slip_is_dropped_and_does_not_come_out_later(
    roll: Roll, eventually: Callable[..., None]
) -> None:
    roll.run_out_of_paper()
    printer = roll.open()
    printer.start()
    eventually(lambda: printer.condition is PrinterCondition.PAPER_OUT, "no paper")
    printer.print_slip(SHEET)
    eventually(lambda: roll.was_asked_for(1), "the first slip was tried")
    roll.load_paper()
    printer.print_slip(OTHER)
    eventually(lambda: printer.condition is PrinterCondition.READY, "ready again")
    eventually(lambda: roll.outputs() == 1, "the second slip alone")


def test_a_printer_that_is_away_is_no_error_and_is_used_again_when_it_is_back(
    roll: Roll, eventually: Callable[..., None]
) -> None:
    roll.unplug()
    printer = roll.open()
    printer.start()
    printer.print_slip(SHEET)
    eventually(lambda: printer.condition is PrinterCondition.UNAVAILABLE, "away")
    roll.plug_in()
    printer.print_slip(OTHER)
    eventually(lambda: roll.outputs() == 1, "the second slip")


def test_it_can_be_stopped_twice_and_without_a_start(roll: Roll) -> None:
    printer = roll.open()
    printer.stop()
    printer.stop()


def test_what_is_sent_is_chinese_in_gb18030_and_then_a_code(
    serial: PtyPrinter, eventually: Callable[..., None]
) -> None:
    printer = serial.open()
    printer.start()
    printer.print_slip(SHEET)
    eventually(lambda: serial.outputs() == 1, "the slip")
    assert serial.data.startswith(b"\x1b@\x1c&")
    assert "结果：认证成功\nResult: certified\n".encode("gb18030") in serial.data


def test_paper_near_its_end_is_told_and_still_used(serial: PtyPrinter, eventually: Callable[..., None]) -> None:
    serial.near_the_end()
    printer = serial.open()
    printer.start()
    eventually(lambda: printer.condition is PrinterCondition.PAPER_LOW, "near the end")
    printer.print_slip(SHEET)
    eventually(lambda: serial.outputs() == 1, "the slip")
