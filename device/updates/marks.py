"""What the terminal's processes say of themselves to one another and to the installer, in small files of the data folder.

A mark says what a process was started from and what it has seen since. The installer, which alone may write to the slots, takes it as the
word of a program that a release key signed: whoever can forge it runs as that program already.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import monotonic, sleep
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from device.whole_file import write_whole
from protocol.bundle import BundleKind
from protocol.desired import SettingValues

logger = logging.getLogger(__name__)

_MOST_BYTES = 16 * 1024
_LOOK_AGAIN_S = 0.02


class Process(StrEnum):
    """Which of the two services."""

    TERMINAL = "terminal"
    UPLINK = "uplink"


class Mark(BaseModel):
    """What one of them says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    boot_id: str
    slots: dict[BundleKind, str] = Field(default_factory=dict)
    """The slots it was started from; a kind that has none came with the terminal."""
    meant: str | None = None
    """The slot of programs that the link led to when it was started; another than the one it runs from if it was switched just then."""
    ids: dict[BundleKind, str] = Field(default_factory=dict)
    """The bundles in them."""
    shadow: str | None = None
    """The bundle of networks that runs in the shadow of those in use."""
    settings: SettingValues = SettingValues()
    """As they are in force for it."""
    is_up: bool = False
    """Whether it has run for long enough to count as running."""
    is_heard: bool = False
    """Whether the fleet has answered it."""
    was_heard: bool = False
    """Whether the fleet has answered it or the ones before it since the board was switched on."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """How it stands with a bundle that is not here."""

    state: Literal["waiting", "fetching", "refused"]
    why: str | None = None


_FETCHES: Final = TypeAdapter(dict[str, Fetch])


class Marks:
    """The marks of a terminal.

    Args:
        folder: where they lie; made when one is said.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def say(self, process: Process, mark: Mark) -> None:
        """Put a mark in the place of the one before; a disk that does not take it is logged and costs nothing else."""
        self._write(process, mark.model_dump_json().encode())

    def read(self, process: Process) -> Mark | None:
        """Return what a process said last; None where it said nothing that can be read."""
        try:
            return Mark.model_validate_json(self._read(process))
        except (OSError, ValidationError):
            return None

    def say_fetches(self, fetches: Mapping[str, Fetch]) -> None:
        """Say how it stands with bundles on their way, by their ids, as `say`: for whoever asks at the terminal."""
        self._write("fetches", _FETCHES.dump_json(dict(fetches)))

    def fetches(self) -> dict[str, Fetch]:
        """Return how it stood with bundles on their way; empty where nothing was said that can be read."""
        try:
            return _FETCHES.validate_json(self._read("fetches"))
        except (OSError, ValidationError):
            return {}

    def _write(self, name: str, data: bytes) -> None:
        try:
            write_whole(self._folder / f"{name}.json", data)
        except OSError as error:
            logger.warning("mark cannot be written name=%s reason=%s", name, error.strerror)

    def _read(self, name: str) -> bytes:
        # Whoever reads it may be root, and whoever wrote it need not be who should have.
        descriptor = os.open(self._folder / f"{name}.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(_MOST_BYTES)


class Held:
    """Files and folders that are held while a process runs; the kernel lets go of them however it ends."""

    def __init__(self) -> None:
        self._descriptors: list[int] = []

    def hold(self, path: Path, *, is_alone: bool = False, patience_s: float = 0.0) -> bool:
        """Hold a file or folder; return False if it is not there, or cannot be held now.

        Args:
            path: what is held; nothing is written to it.
            is_alone: whether nobody else may hold it.
            patience_s: so long it is tried again: whoever only looks whether it is held holds it for a moment.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return False
        until = monotonic() + patience_s
        while not _is_locked(descriptor, is_alone=is_alone):
            if monotonic() >= until:
                os.close(descriptor)
                return False
            sleep(_LOOK_AGAIN_S)
        self._descriptors.append(descriptor)
        return True

    def let_go(self) -> None:
        """Let go of everything; may be called twice."""
        while self._descriptors:
            os.close(self._descriptors.pop())


def _is_locked(descriptor: int, *, is_alone: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def serving_lock(folder: Path) -> Path:
    """Return the file that the terminal's process holds while it runs, made if there is none."""
    path = folder / "serving.lock"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        path.touch(exist_ok=True)
    return path


def is_held(path: Path, *, is_alone: bool = False) -> bool:
    """Say whether somebody holds a file or folder; one that is not there is held by nobody.

    Args:
        path: what.
        is_alone: whether who holds it does so alone; then several may look at once without taking one another for that.
    """
    if not path.exists():
        return False
    held = Held()
    is_free = held.hold(path, is_alone=not is_alone)
    held.let_go()
    return not is_free
