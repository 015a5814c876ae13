"""The newest lines of the log, kept in memory for whoever in the office has to find out what is wrong.

Nothing about a person is logged (`tests/unit/test_log_guard.py`); what could be somebody's number or id is taken out all the same, because
these lines leave the terminal.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import deque

from protocol.commands import MOST_LINE, MOST_LINES

_NUMBER = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{0,3}[0-9][0-9Xx*]{5,}[A-Za-z]?(?![A-Za-z0-9])")
"""Document and telephone numbers have six digits in a row and more, some after a letter; counts, ports, years and times have fewer."""
_ID = re.compile(r"(?<![A-Za-z0-9_-])(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}(?![A-Za-z0-9_-])")
"""Ids and digests in hexadecimal, claim tokens in base64url."""
_RUN = re.compile(r"[A-Za-z0-9+/=_-]{40,}")
"""What may be a picture, a template or a key, packed as text; a path of this length is written in small letters."""
_NOT_ASCII = re.compile(r"[^\x20-\x7e]+")
"""Names are Chinese; the log is English."""


def redacted(line: str) -> str:
    """Return a line without what could be a number, an id or a name, and not too long."""
    line = _NOT_ASCII.sub("?", line)
    return _NUMBER.sub("#", _ID.sub("#", _RUN.sub(_unpacked, line)))[:MOST_LINE]


def _unpacked(run: re.Match[str]) -> str:
    text = run[0]
    return "#" if any(map(str.isupper, text)) and any(map(str.islower, text)) else text


class LogTail(logging.Handler):
    """Keeps the newest lines; to be added to the root logger."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s", "%m-%dT%H:%M:%S"))
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._guard = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line; of a trace, which may show values, the first line alone."""
        line = redacted(self.format(record).partition("\n")[0])
        with self._guard:
            self._lines.append(line)

    def lines(self) -> tuple[str, ...]:
        """Return what is kept, the oldest line first."""
        with self._guard:
            return tuple(self._lines)
