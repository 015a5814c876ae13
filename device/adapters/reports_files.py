"""Signed reports of commissionings as files, shared by the technician's run and the uplink: one each, named by its digest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from device.errors import ReportsUnavailable
from device.ports import Answer
from device.whole_file import write_whole
from protocol.envelope import sha256_of
from protocol.receipts import ReceiptItem

_WAITING, _SETTLED = ".jws", ".sent"
_KEPT: Final = 10
"""Confirmed reports that stay, for questions on the spot."""


class FileReportStore:
    """See `device.ports.ReportStore`.

    Args:
        folder: made when the first report is put there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, envelope: bytes) -> str:
        """Keep a report on the disk; return its digest."""
        digest = sha256_of(envelope)
        with _told():
            write_whole(self._folder / f"{digest}{_WAITING}", envelope)
        return digest

    def unsettled(self) -> Sequence[Answer]:
        """Return the reports that the fleet has not confirmed, the oldest first; a file that is not what its name says is none."""
        with _told():
            read = [(path.stem, path.read_bytes()) for path in self._oldest_first(_WAITING)]
        return tuple(Answer(name, envelope) for name, envelope in read if sha256_of(envelope) == name)

    def settle(self, items: Sequence[ReceiptItem]) -> None:
        """Put aside what a receipt names, and delete the oldest of what was put aside."""
        with _told():
            for item in items:
                path = self._folder / f"{item.sha256}{_WAITING}"
                if path.is_file():
                    path.replace(path.with_suffix(_SETTLED))
                    for old in self._oldest_first(_SETTLED)[:-_KEPT]:
                        old.unlink(missing_ok=True)

    def _oldest_first(self, ending: str) -> list[Path]:
        return sorted(self._folder.glob(f"*{ending}"), key=lambda path: (path.stat().st_mtime_ns, path.name))


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReportsUnavailable(f"reports: {error.filename or 'their folder'}: {error.strerror}") from error
