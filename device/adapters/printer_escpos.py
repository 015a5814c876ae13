"""A receipt printer that speaks ESC/POS, behind a USB or serial device file.

There is no network printer: the terminal's service has no network. Chinese is sent in GB 18030, which the printers of the Chinese market
have in their own memory: sharp, fast, and no font is needed on the terminal; a slip has no names, so no character is ever missing. For a
printer without it `printer.font` names a font, and the words are printed as a picture.

Everything that can take long (an absent printer, no paper, an open lid) happens in a thread of its own and ends at a deadline. A slip
that could not be printed by then is dropped: it must not come out in front of the next person.
"""

from __future__ import annotations

import logging
import os
import queue
import select
import termios
import threading
import time
import tty
from contextlib import suppress

from device.errors import DeviceError, PrinterUnavailable
from device.ports import PrinterCondition, SlipSheet
from device.settings import Printer as PrinterSettings
from device.slip_picture import code_picture, words_picture

logger = logging.getLogger(__name__)

_DEADLINE_S = 15.0
"""A slip takes 3 to 6 seconds on a slow serial printer; nobody waits longer than this for paper."""
_ANSWER_S = 0.5
_STOP_S = 2.0
# Real-time status of the paper sensors: DLE EOT 4. Bits 0 and 7 of the answer are 0, bits 1 and 4 are 1; bits 2 and 3 say that the
# paper is near its end, bits 5 and 6 that there is none. Source: the printer command documentation python-escpos is written after.
_ASK_PAPER = b"\x10\x04\x04"
_FIXED_BITS, _FIXED_VALUE = 0x93, 0x12
_PAPER_LOW, _PAPER_OUT = 0x0C, 0x60
_CHINESE = b"\x1c&"
"""FS &: characters of two and four bytes from here on."""
_TALL, _PLAIN = b"\x1d!\x01", b"\x1d!\x00"
"""GS !: double height and back; old eyes read it."""
_SPEEDS = {
    9600: termios.B9600,
    19200: termios.B19200,
    38400: termios.B38400,
    57600: termios.B57600,
    115200: termios.B115200,
}


class EscposPrinter:
    """See `device.ports.SlipPrinter`."""

    def __init__(self, settings: PrinterSettings, *, answer_s: float = _ANSWER_S) -> None:
        """Prepare a printer.

        Args:
            settings: where it is and how it prints.
            answer_s: how long it is waited for an answer; silence means that it cannot answer.
        """
        self._settings = settings
        self._answer_s = answer_s
        self._waiting: queue.Queue[SlipSheet | None] = queue.Queue(1)
        self._condition = PrinterCondition.READY
        self._reported: PrinterCondition | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="printer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def print_slip(self, sheet: SlipSheet) -> None:
        """Take a slip; one that waits behind another is replaced by the newer one."""
        self._put(sheet)

    @property
    def condition(self) -> PrinterCondition:
        """How the printer was when it was last asked."""
        return self._condition

    def stop(self) -> None:
        """Let a slip that is being printed end, for a moment."""
        self._stopping.set()
        if self._thread.is_alive():
            self._put(None)
            self._thread.join(_STOP_S)

    def probe(self) -> PrinterCondition:
        """Ask the printer how it is, without printing.

        Raises:
            PrinterUnavailable: if it cannot be opened or takes nothing.
        """
        with _Port(self._settings, time.monotonic() + _DEADLINE_S, self._stopping, self._answer_s) as port:
            return port.paper()

    def print_here(self, sheet: SlipSheet) -> None:
        """Print in the caller's thread, at a command line.

        Raises:
            PrinterUnavailable: if there is no paper, or the printer does not take it.
            SettingsInvalid: if the font cannot be used.
        """
        job = _job(sheet, self._settings)
        with _Port(self._settings, time.monotonic() + _DEADLINE_S, self._stopping, self._answer_s) as port:
            if port.paper() is PrinterCondition.PAPER_OUT:
                raise PrinterUnavailable(f"printer {self._settings.device.name}: no paper; put in a new roll")
            port.write(job)

    def _put(self, sheet: SlipSheet | None) -> None:
        while True:
            try:
                self._waiting.put_nowait(sheet)
            except queue.Full:
                with suppress(queue.Empty):
                    self._waiting.get_nowait()
            else:
                return

    def _work(self) -> None:
        self._settle(self._attempt(None))
        while (sheet := self._waiting.get()) is not None and not self._stopping.is_set():
            self._settle(self._attempt(sheet))

    def _attempt(self, sheet: SlipSheet | None) -> PrinterCondition:
        """Print a slip, or with None only ask; return how the printer is then."""
        try:
            job = b"" if sheet is None else _job(sheet, self._settings)
            with _Port(self._settings, time.monotonic() + _DEADLINE_S, self._stopping, self._answer_s) as port:
                before = port.paper()
                if sheet is None or before is PrinterCondition.PAPER_OUT:
                    return before
                port.write(job)
                return port.paper()
        except PrinterUnavailable as error:
            logger.debug("printer not used why=%s", error)
            return PrinterCondition.UNAVAILABLE
        except (DeviceError, ValueError) as error:
            logger.error("slip not printed why=%s", error)  # noqa: TRY400 - the message says all, a trace nothing
            return PrinterCondition.UNAVAILABLE

    def _settle(self, condition: PrinterCondition) -> None:
        self._condition = condition
        if condition is not self._reported:
            level = logging.INFO if condition is PrinterCondition.READY else logging.WARNING
            logger.log(level, "printer condition=%s", condition)
        self._reported = condition


def _job(sheet: SlipSheet, settings: PrinterSettings) -> bytes:
    """Return everything one slip sends."""
    # Here and not above: the library reads a large file of printers when it is imported, and most terminals have none.
    from escpos.capabilities import Profile
    from escpos.printer import Dummy

    class _Paper(Profile):  # type: ignore[misc]  # the library has no types
        """The library's default printer with the width of this one, and a cutter: one without ignores the order to cut."""

        # Without a width the library writes to the standard output.
        profile_data = {**Profile.profile_data, "media": {"width": {"pixels": settings.width_dots}}}  # noqa: RUF012 - read only

    printer = Dummy(profile=_Paper(features={"paperPartCut": True}))
    printer.hw("INIT")
    if settings.font is not None:
        printer.image(words_picture(sheet.lines, settings.width_dots, settings.font))
        words = b""
    else:
        words = _CHINESE + _TALL + "".join(f"{line}\n" for line in sheet.lines).encode("gb18030") + _PLAIN
    head: bytes = printer.output
    printer.clear()
    printer.image(code_picture(sheet.content, settings.width_dots))
    printer.cut(mode="PART")
    tail: bytes = printer.output
    return head + words + tail


class _Port:
    """The opened device file; everything ends at the deadline.

    Raises:
        PrinterUnavailable: if it cannot be opened.
    """

    def __init__(
        self, settings: PrinterSettings, deadline_s: float, stopping: threading.Event, answer_s: float
    ) -> None:
        self._answer_s = answer_s
        self._name = settings.device.name
        self._deadline_s = deadline_s
        self._stopping = stopping
        try:
            self._file = os.open(settings.device, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            raise PrinterUnavailable(f"printer {self._name}: {error.strerror}") from error
        if os.isatty(self._file):
            self._set_speed(settings.baud)

    def __enter__(self) -> _Port:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def paper(self) -> PrinterCondition:
        """Ask for the paper; a printer that does not answer is taken to have some.

        Raises:
            PrinterUnavailable: if it takes no question.
        """
        self._read(0)
        self.write(_ASK_PAPER)
        found = [byte for byte in self._read(self._answer_s) if byte & _FIXED_BITS == _FIXED_VALUE]
        if found and found[-1] & _PAPER_OUT:
            return PrinterCondition.PAPER_OUT
        return PrinterCondition.PAPER_LOW if found and found[-1] & _PAPER_LOW else PrinterCondition.READY

    def write(self, data: bytes) -> None:
        """Send everything.

        Raises:
            PrinterUnavailable: if the printer does not take it before the deadline, or is gone.
        """
        left = memoryview(data)
        while left:
            if self._stopping.is_set() or (wait_s := self._deadline_s - time.monotonic()) <= 0:
                raise PrinterUnavailable(f"printer {self._name}: takes nothing; is there paper, is the lid closed?")
            try:
                select.select([], [self._file], [], min(wait_s, _ANSWER_S))
                left = left[os.write(self._file, left) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise PrinterUnavailable(f"printer {self._name}: {error.strerror}") from error

    def _read(self, wait_s: float) -> bytes:
        try:
            if not select.select([self._file], [], [], wait_s)[0]:
                return b""
            return os.read(self._file, 64)
        except OSError:
            # A printer that cannot answer.
            return b""

    def _set_speed(self, baud: int) -> None:
        try:
            tty.setraw(self._file)
            found = termios.tcgetattr(self._file)
            found[4] = found[5] = _SPEEDS[baud]
            termios.tcsetattr(self._file, termios.TCSANOW, found)
        except termios.error as error:
            os.close(self._file)
            raise PrinterUnavailable(f"printer {self._name}: no {baud} baud") from error
