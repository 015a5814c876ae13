"""The terminal's program as the fleet runs it: it answers, hangs, ends, or talks nonsense."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.errors import FleetError
from fleet.intake.photo_checking import photo_program

ANSWERING = """
import hashlib, sys
from protocol.photo_files import PhotoReport, read_framed
while (picture := read_framed(sys.stdin.buffer)) is not None:
    if picture == b"end":
        print("networks: a file is missing", file=sys.stderr)
        sys.exit(1)
    if picture == b"nonsense":
        print("hello", flush=True)
    elif picture == b"hang":
        sys.stdin.buffer.read()
    else:
        digest = hashlib.sha256(b"x" if picture == b"other" else picture).hexdigest()
        print(PhotoReport(sha256=digest, width_px=len(picture), height_px=1, checks=()).to_bytes().decode(), flush=True)
"""


@pytest.fixture
def command(tmp_path: Path) -> Callable[[], tuple[str, ...]]:
    script = tmp_path / "program.py"
    script.write_text(ANSWERING)
    return lambda: (sys.executable, str(script))


def test_one_run_answers_for_all_pictures(command: Callable[[], tuple[str, ...]]) -> None:
    with photo_program(command(), timeout_s=30) as program:
        assert [program.look(b"1" * n).width_px for n in (1, 200_000, 3)] == [1, 200_000, 3]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (b"end", "ended without an answer: networks: a file is missing"),
        (b"nonsense", "no photo report"),
        (b"other", "about another picture"),
    ],
)
def test_a_program_that_fails_is_told(command: Callable[[], tuple[str, ...]], picture: bytes, message: str) -> None:
    with photo_program(command(), timeout_s=30) as program, pytest.raises(FleetError, match=message):
        program.look(picture)


def test_a_program_that_hangs_is_ended(command: Callable[[], tuple[str, ...]]) -> None:
    with photo_program(command(), timeout_s=30) as program:
        program.look(b"1")
        program._timeout_s = 0.1
        with pytest.raises(FleetError, match="no answer within"):
            program.look(b"hang")


def test_a_program_that_is_not_there_is_told() -> None:
    with pytest.raises(FleetError, match="set references"), photo_program(("/nowhere/x",), timeout_s=1):
        pass
