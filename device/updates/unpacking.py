"""From a bundle to a slot: all of it is checked before a byte is written, and again while it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from device.updates.slots import Slots
from protocol.bundle import (
    Bundle,
    KeyOf,
    Place,
    check_end,
    check_files,
    check_place,
    checked,
    read_bundle,
)


def unpack(source: BinaryIO, slots: Slots, place: Place, *, key_of: KeyOf, prepare: Callable[[Path], None]) -> Bundle:
    """Put a bundle into the slot that does not run; what runs is not touched, and nothing points to the new one yet.

    Args:
        source: the bundle, as a file that can be read twice.
        slots: those of its kind.
        place: this terminal.
        key_of: gives the release key of a key id, or None.
        prepare: makes of the unpacked files what else the slot needs; may raise `OSError`.

    Raises:
        ProtocolError: if it is not to be taken; then nothing was written.
        OSError: if it cannot be read or written; then the other slot has no mark.
    """
    source.seek(0)
    bundle = read_bundle(source, key_of=key_of)
    check_place(bundle.manifest, place)
    check_files(source, bundle)
    slots.clear()
    source.seek(bundle.start)
    root = slots.path(slots.other)
    disk = slots.disk
    disk.make_folder(root)
    made = {root}
    for each in bundle.manifest.files:
        path = root / each.name
        for folder in [*reversed(path.relative_to(root).parents)][1:]:
            if root / folder not in made:
                disk.make_folder(root / folder)
                made.add(root / folder)
        disk.write(path, checked(source, each))
    check_end(source)
    prepare(root)
    slots.mark(bundle.token)
    return bundle
