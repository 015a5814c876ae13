"""A question of the terminal's process, which has no network, to the uplink, which has: what is reached; two small files."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from device.errors import ReportsUnavailable
from device.whole_file import write_whole
from protocol.commissioning import CommissioningCheck

_QUESTION, _ANSWER = "question.json", "answer.json"
_MOST_BYTES: Final = 64 * 1024


class _Question(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str


class _Answer(_Question):
    checks: tuple[CommissioningCheck, ...]


_Kind = TypeVar("_Kind", bound=_Question)


class FileReaching:
    """Asks, and answers. A question is answered once, and one that is forgotten not any more.

    Args:
        folder: made when the first question is asked.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ask(self) -> str:
        """Ask, in place of what was asked before; return the question's id. Raises `ReportsUnavailable`."""
        asked = _Question(id=secrets.token_hex(8))
        with _told():
            write_whole(self._folder / _QUESTION, asked.model_dump_json().encode())
        return asked.id

    def question(self) -> str | None:
        """Return the id of what is asked; None where nothing is, or nothing that can be read."""
        found = self._read(_QUESTION, _Question)
        return None if found is None else found.id

    def answer(self, asked: str, checks: tuple[CommissioningCheck, ...]) -> None:
        """Answer; the question is asked no more. Raises `ReportsUnavailable`."""
        with _told():
            write_whole(self._folder / _ANSWER, _Answer(id=asked, checks=checks).model_dump_json().encode())
            if self.question() == asked:
                (self._folder / _QUESTION).unlink(missing_ok=True)

    def answered(self, asked: str) -> tuple[CommissioningCheck, ...] | None:
        """Return the answer to a question; None before there is one."""
        found = self._read(_ANSWER, _Answer)
        return found.checks if found is not None and found.id == asked else None

    def forget(self) -> None:
        """Ask no more, and leave nothing. Raises `ReportsUnavailable`."""
        with _told():
            for name in (_QUESTION, _ANSWER):
                (self._folder / name).unlink(missing_ok=True)

    def _read(self, name: str, kind: type[_Kind]) -> _Kind | None:
        try:
            with (self._folder / name).open("rb") as file:
                return kind.model_validate_json(file.read(_MOST_BYTES))
        except (OSError, ValidationError):
            return None


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReportsUnavailable(f"what is reached: {error.filename or 'its folder'}: {error.strerror}") from error
