"""Programs cut off at any change of a folder, as by a power cut of a disk that writes at once: nothing of theirs runs any more."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANGES = {"open": 1, "os.link": 2, "os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.mkdir": 1}
"""Audit events, and how many paths each has. Source: the Python documentation, "Audit events table"."""
_CUT = 9


def is_cut_off(what: Callable[[], object], folder: Path, *, at: int, torn: bool = False) -> bool:
    """Do something in a process of its own that ends before its change number `at` below a folder; return whether it came to that.

    Args:
        what: does it.
        folder: changes of other folders do not count.
        at: from 0.
        torn: of a file that would be opened for writing, the empty file is there.
    """
    process = os.fork()
    if not process:
        code = 1
        try:
            sys.addaudithook(_Cutter(folder, at, torn=torn))
            what()
            code = 0
        finally:
            if code:
                sys.excepthook(*sys.exc_info())
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert code in (0, _CUT), "it failed by itself"
    return code == _CUT


class _Cutter:
    def __init__(self, folder: Path, at: int, *, torn: bool) -> None:
        self._folder = folder
        self._left = at
        self._torn = torn

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & os.O_CREAT):
            return
        if event not in _CHANGES or not any(self._is_inside(each) for each in arguments[: _CHANGES[event]]):
            return
        if self._left:
            self._left -= 1
            return
        # Opening calls this again.
        self._left = -1
        if self._torn and event == "open":
            os.close(os.open(arguments[0], arguments[2], 0o600))
        os._exit(_CUT)

    def _is_inside(self, path: object) -> bool:
        # What is taken away as a tree is named without its folder.
        return isinstance(path, str | os.PathLike) and (
            not Path(path).is_absolute() or Path(path).is_relative_to(self._folder)
        )
