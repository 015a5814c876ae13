"""The terminal's commissioning, run as the program it is: asks the person on the spot what it asks, and keeps the signed report."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from protocol.commissioning import Answer, CommissioningCheck, CommissioningReport, CommissioningStep, Question
from protocol.envelope import unverified_payload
from protocol.errors import ProtocolError
from provisioning.as_terminal import as_terminal, end
from provisioning.errors import FileUnusable, SelftestFailed
from provisioning.identity import write_sure
from provisioning.selftest import EX_CONFIG, installed_program
from provisioning.sheets import report_pdf

_PRESSES = {Question.PRESS_START, Question.PRESS_REPEAT, Question.PRESS_CANCEL}


@dataclass(frozen=True, slots=True)
class Commissioned:
    """What came of it."""

    report: CommissioningReport
    envelope: bytes
    """JWS of the report, as the terminal sends it to the fleet."""


def run_commissioning(
    config: Path | None,
    *,
    program: Path | None = None,
    ask: Callable[[Question], Answer | None],
    tell: Callable[[Question], None],
    show: Callable[[CommissioningCheck], None],
) -> Commissioned:
    """Run the terminal's commissioning to its end.

    Args:
        config: settings file for the terminal; without it the terminal uses its own default.
        program: the terminal program; by default the one installed beside this one, else the one on the path.
        ask: asks the person; None where nobody answers.
        tell: says what to press; the press is the answer.
        show: shows a part that was tried.

    Raises:
        SelftestFailed: if the program is missing or ends without a report; carries the exit code to end with.
    """
    found = program or installed_program()
    command = as_terminal([str(found), "commission", "--lines", *(["--config", str(config)] if config else [])], config)
    # A file and no pipe: whatever is logged, nobody must read it for the program to go on.
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        except OSError as error:
            raise SelftestFailed(f"{found}: {error.strerror}; is the terminal program installed?") from error
        with process:
            try:
                envelope = _talk(process.stdout, process.stdin, ask=ask, tell=tell, show=show)
            except BaseException:
                # Ctrl-C of the technician, too: the camera must not stay open.
                process.kill()
                end(command)
                raise
        log.seek(0)
        said = log.read().decode(errors="replace").strip()
    if envelope is None:
        code = EX_CONFIG if process.returncode == EX_CONFIG else 1
        raise SelftestFailed(f"{found.name} commission: no report (exit code {process.returncode})\n{said}", code)
    return Commissioned(CommissioningReport.parse(unverified_payload(envelope)), envelope)


def keep(found: Commissioned, folder: Path, *, language: str, font: Path | None) -> tuple[Path, ...]:
    """Write the report as JSON, as it was signed, and as a sheet to be printed; return the paths.

    Args:
        found: what came of it.
        folder: made where it is not there.
        language: of the sheet, `zh` or `en`.
        font: with the characters of that language; None for the one that every computer has, which has no Chinese.

    Raises:
        FileUnusable: if a file cannot be written, or the font is none.
    """
    report = found.report
    name = f"commissioning-{report.terminal_id}-{report.finished_at:%Y%m%d-%H%M%S}"
    paths = tuple(folder / f"{name}{ending}" for ending in (".json", ".jws", ".pdf"))
    contents = (report.to_bytes() + b"\n", found.envelope, report_pdf(report, found.envelope, language, font))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in zip(paths, contents, strict=True):
            write_sure(path, content)
    except OSError as error:
        raise FileUnusable(f"{error.filename or folder}: {error.strerror}") from error
    return paths


def _talk(
    steps: IO[bytes] | None,
    answers: IO[bytes] | None,
    *,
    ask: Callable[[Question], Answer | None],
    tell: Callable[[Question], None],
    show: Callable[[CommissioningCheck], None],
) -> bytes | None:
    """Answer what the program asks until its lines end; return the signed report, None if none came."""
    if steps is None or answers is None:
        return None
    envelope = None
    for line in steps:
        try:
            step = CommissioningStep.parse(line)
        except ProtocolError:
            # Something else that a library printed.
            continue
        if step.check is not None:
            show(step.check)
        if step.question in _PRESSES:
            tell(step.question)
        elif step.question is not None:
            said = f"{ask(step.question) or ''}\n".encode()
            # A program that has ended takes no answer; its lines end then, too.
            with suppress(BrokenPipeError):
                os.write(answers.fileno(), said)
        if step.report is not None:
            envelope = step.report.encode()
    return envelope
