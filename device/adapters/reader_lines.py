"""A reader that types: most card and code readers are keyboards to the computer and end each number with a line break."""

from __future__ import annotations

import logging
import threading
from typing import TextIO

from device.ports import OnClaim
from protocol.slip import MAX_CHARACTERS

logger = logging.getLogger(__name__)

_LONGEST = MAX_CHARACTERS
"""Characters of a line; a document number has 18, the code of a slip some hundred."""


class LineReader:
    """Reads one document number a line until the stream ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stopped = threading.Event()

    def start(self, on_claim: OnClaim) -> None:
        """Begin to read on a thread of its own."""
        threading.Thread(target=self._read, args=(on_claim,), name="reader", daemon=True).start()

    def stop(self) -> None:
        """Take no further line; a read that waits ends with the program."""
        self._stopped.set()

    def _read(self, on_claim: OnClaim) -> None:
        while not self._stopped.is_set():
            line = self._stream.readline(_LONGEST)
            if not line:
                logger.info("reader ended")
                return
            if line.strip() and not self._stopped.is_set():
                on_claim(line.strip())
