"""Bundles on their way to the slots, in a folder of the data partition: a part that grows, and what is whole.

    ID.part      of the network, so far
    ID.stick     being copied from a stick
    ID.bundle    whole, and every file of it as it was signed

Whoever installs checks all of it again, since programs with less rights write here.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Set
from pathlib import Path

from device.updates.fetching import check_wanted
from protocol.bundle import KeyOf, Place, check_files, read_bundle
from protocol.desired import DesiredBundle

_OURS = re.compile(r"([0-9a-f]{64})\.(part|stick|bundle)")


class Shelf:
    """The folder.

    Args:
        folder: where bundles lie.
        spare_bytes: room that they leave on the disk.
        key_of: gives the release key of a key id, or None.
    """

    def __init__(self, folder: Path, *, spare_bytes: int, key_of: KeyOf) -> None:
        self._folder = folder
        self._spare_bytes = spare_bytes
        self._key_of = key_of

    def whole(self, want: DesiredBundle) -> Path:
        """Return where a bundle lies once it is whole."""
        return self._folder / f"{want.bundle_id}.bundle"

    def part(self, want: DesiredBundle) -> Path:
        """Return where it lies while it comes over the network."""
        return self._folder / f"{want.bundle_id}.part"

    def coming(self, want: DesiredBundle) -> Path:
        """Return where it lies while it comes from a stick."""
        return self._folder / f"{want.bundle_id}.stick"

    def received(self, want: DesiredBundle) -> int:
        """Return how many bytes of it are here."""
        return max(_size(self.whole(want)), _size(self.part(want)))

    def is_whole(self, want: DesiredBundle) -> bool:
        """Say whether it is here."""
        return self.whole(want).is_file()

    def has_room(self, want: DesiredBundle) -> bool:
        """Say whether the rest of it fits on the disk, and its files once more beside it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        needed = 2 * want.size - _size(self.part(want)) + self._spare_bytes
        return shutil.disk_usage(self._folder).free >= needed

    def finish(self, path: Path, want: DesiredBundle, place: Place) -> None:
        """Check a bundle whole and give it its name; it is on the disk then.

        Args:
            path: one of `part` and `coming`.
            want: what it has to be.
            place: this terminal.

        Raises:
            ProtocolError: if it is not the one that is wanted, or is damaged; then it is still there.
            OSError: if it cannot be read or written.
        """
        with path.open("rb") as file:
            bundle = read_bundle(file, key_of=self._key_of)
            check_wanted(bundle, want, place)
            check_files(file, bundle)
            os.fsync(file.fileno())
        path.rename(self.whole(want))
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def clear(self, keep: Iterable[DesiredBundle]) -> None:
        """Remove bundles that nobody wants any more, and parts of such.

        Raises:
            OSError: if they cannot be removed.
        """
        ids: Set[str] = {each.bundle_id for each in keep}
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            found = _OURS.fullmatch(path.name)
            if found is not None and (
                found[1] not in ids or (found[2] == "part" and self.whole_of(found[1]).is_file())
            ):
                path.unlink(missing_ok=True)

    def whole_of(self, bundle_id: str) -> Path:
        """Return where a bundle of an id lies once it is whole."""
        return self._folder / f"{bundle_id}.bundle"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
