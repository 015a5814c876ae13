"""Has the terminal's own program look at photographs, one after the other, in one run of it: networks are loaded once for a batch."""

from __future__ import annotations

import hashlib
import queue
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from fleet.errors import FleetError
from protocol.errors import ProtocolError
from protocol.photo_files import PhotoReport, framed

_STOP_S = 5.0


class PhotoProgram:
    """A running program; give it a picture, get its report.

    Args:
        command: the program's command line.
        timeout_s: longest one picture may take; for the first one, the loading of the networks included.
    """

    def __init__(self, command: Sequence[str], *, timeout_s: float) -> None:
        self._name = command[0]
        self._timeout_s = timeout_s
        self._said = ""
        self._answers: queue.Queue[bytes] = queue.Queue()
        try:
            self._process = subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise FleetError(f"{self._name}: cannot be started: {error.strerror}; set references.command") from error
        self._readers = [
            threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._note, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def look(self, content: bytes) -> PhotoReport:
        """Return what a picture shows.

        Raises:
            FleetError: if the program ends, hangs or answers nonsense.
        """
        pipe = self._process.stdin
        try:
            if pipe is not None:
                pipe.write(framed(content))
                pipe.flush()
            answer = self._answers.get(timeout=self._timeout_s)
        except OSError as error:
            raise self._ended() from error
        except queue.Empty as error:
            raise FleetError(f"{self._name}: no answer within {self._timeout_s:g} s") from error
        if not answer:
            raise self._ended()
        try:
            report = PhotoReport.parse(answer.strip())
        except ProtocolError as error:
            raise FleetError(f"{self._name}: its answer is no photo report: {error}") from error
        if report.sha256 != hashlib.sha256(content).hexdigest():
            raise FleetError(f"{self._name}: its report is about another picture than the one it was given")
        return report

    def close(self) -> None:
        """End the program; can be called twice."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            # It may have ended before it read all that was written.
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(_STOP_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _listen(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            self._answers.put(line)
        # An empty line never comes from the pipe: it says that there will be no more.
        self._answers.put(b"")

    def _note(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            self._said = line.decode(errors="replace").strip() or self._said

    def _ended(self) -> FleetError:
        self._readers[1].join(_STOP_S)
        return FleetError(f"{self._name}: ended without an answer: {self._said or 'it said nothing'}")


@contextmanager
def photo_program(command: Sequence[str], *, timeout_s: float) -> Iterator[PhotoProgram]:
    """Give a running program and end it afterwards.

    Raises:
        FleetError: if it cannot be started.
    """
    program = PhotoProgram(command, timeout_s=timeout_s)
    try:
        yield program
    finally:
        program.close()
