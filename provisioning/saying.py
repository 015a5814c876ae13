"""What all commands of the tool say alike: one line for an error, and how they end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from provisioning.errors import Ended, ProvisioningError
from provisioning.words import FINGERPRINT, line_of

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]


@contextmanager
def errors(status: Path | None = None) -> Iterator[None]:
    """Say what went wrong and end with its exit code.

    Args:
        status: also add it to this file, if it can be written to.
    """
    try:
        yield
    except Ended as error:
        sys.exit(error.exit_code)
    except ProvisioningError as error:
        typer.echo(str(error), err=True)
        if status is not None:
            _add(status, line_of(error.said, str(error)))
        sys.exit(error.exit_code)


def now() -> datetime:
    """Return what the clock says."""
    return datetime.fromtimestamp(time.time(), UTC)


def say_fingerprint(status: Path, fingerprint: str) -> None:
    """Have whoever labels the terminal find its key's fingerprint on its card, where no page of the fleet's is asked for it.

    Args:
        status: the file; where it cannot be written to, nothing is.
        fingerprint: the short one.
    """
    line = line_of(FINGERPRINT, fingerprint)
    if line not in _lines(status):
        _add(status, line)


def _add(path: Path, line: str) -> None:
    # Not the same again and again: what fails is tried every minute.
    if _lines(path)[-1:] == [line]:
        return
    with suppress(OSError), path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _lines(path: Path) -> list[str]:
    try:
        # After a power cut anything may stand in a file on FAT.
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
