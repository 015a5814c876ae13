from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.adapters import printer_escpos
from device.adapters.printer_escpos import EscposPrinter
from device.errors import PrinterUnavailable
from device.ports import PrinterCondition, SlipSheet
from device.settings import Printer as PrinterSettings

CONTENT = "LCS1:" + "A7B %" * 63
SHEET = SlipSheet(("结果：认证成功", "Result: certified"), CONTENT)
FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")


def printed(folder: Path, **settings: object) -> bytes:
    """Return what a printer gets that is a file: it takes everything and answers nothing."""
    device = folder / "lp0"
    device.touch()
    EscposPrinter(PrinterSettings.model_validate({"kind": "escpos", "device": device, **settings})).print_here(SHEET)
    return device.read_bytes()


def rasters(data: bytes) -> list[np.ndarray]:
    """Return the pictures of GS v 0 commands, 0 is black."""
    found = []
    at = data.find(b"\x1dv0\x00")
    while at >= 0:
        width, height = int.from_bytes(data[at + 4 : at + 6], "little"), int.from_bytes(data[at + 6 : at + 8], "little")
        bits = np.frombuffer(data[at + 8 : at + 8 + width * height], np.uint8).reshape(height, width)
        found.append(((1 - np.unpackbits(bits, axis=1)) * 255).astype(np.uint8))
        at = data.find(b"\x1dv0\x00", at + 8 + width * height)
    return found


@pytest.mark.parametrize("width", [384, 576])
def test_the_code_on_the_paper_reads_back(tmp_path: Path, width: int) -> None:
    (picture,) = rasters(printed(tmp_path, width_dots=width))
    assert picture.shape[1] == width
    assert cv2.QRCodeDetector().detectAndDecode(picture)[0] == CONTENT


def test_with_a_font_the_words_are_a_picture_and_no_chinese_is_sent(tmp_path: Path) -> None:
    data = printed(tmp_path, font=FONT)
    words, code = rasters(data)
    assert (words == 0).any()
    assert cv2.QRCodeDetector().detectAndDecode(code)[0] == CONTENT
    assert b"\x1c&" not in data


def test_nothing_is_written_to_the_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(tmp_path, font=FONT)
    assert capsys.readouterr().out == ""


def test_a_printer_that_takes_nothing_is_given_up_at_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(printer_escpos, "_DEADLINE_S", 0.2)
    device = tmp_path / "lp0"
    os.mkfifo(device)
    # A pipe that nobody empties is full after 64 KiB, like a printer with its lid open after its own memory.
    filler = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    try:
        with suppress(BlockingIOError):
            while os.write(filler, bytes(4096)):
                pass
        monkeypatch.setattr(printer_escpos._Port, "_read", lambda *_: b"")
        printer = EscposPrinter(PrinterSettings(kind="escpos", device=device))
        with pytest.raises(PrinterUnavailable, match="takes nothing"):
            printer.print_here(SHEET)
    finally:
        os.close(filler)


def test_taking_a_slip_never_waits_for_the_printer(tmp_path: Path, eventually: Callable[..., None]) -> None:
    printer = EscposPrinter(PrinterSettings(kind="escpos", device=tmp_path / "none"))
    # Not started: nothing takes slips away, and still nobody is held up.
    for _ in range(50):
        printer.print_slip(SHEET)
    printer.start()
    eventually(lambda: printer.condition is PrinterCondition.UNAVAILABLE, "no such device")
    printer.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "printer"]


def test_a_sheet_s_repr_says_nothing_of_a_person() -> None:
    assert repr(SHEET) == "SlipSheet(2 lines)"
