"""Writes a boot partition: after a cut at any moment a card starts as nothing or as it should, and the next try repairs it.

`user-data` is what makes a start a terminal's. It goes first, where it is an earlier one of ours, and comes last, when everything else is
on the medium and was read back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from provisioning.cards.contents import CARD, FOLDER, MARK, META_DATA, NETWORK, USER_DATA, sha256
from provisioning.cards.fat import Boot, open_boot
from provisioning.errors import AlreadyThere, NotWritten, ProvisioningError, WrongImage

Files = Mapping[str, Path | bytes]
"""By names from the root of the partition."""
_OF_A_PI: Final = frozenset(("config.txt", "cmdline.txt"))
_ROOM: Final = 64 * 1024
"""Clusters are up to so large; each file wastes half of one."""


def look_over(boot: Boot) -> None:
    """Say whether this is the boot partition of an image that can be set up.

    Raises:
        WrongImage: if not.
    """
    names = frozenset(name.lower() for name in boot.names())
    if missing := sorted(_OF_A_PI - names):
        raise WrongImage(
            f"no {' and no '.join(missing)} in its boot partition: not an image or card of Raspberry Pi OS"
        )
    # One is enough: a card that was cut off lacks another.
    if not names & {USER_DATA, META_DATA, NETWORK, FOLDER}:
        raise WrongImage(
            f"no {USER_DATA}, {META_DATA} or {NETWORK} in its boot partition: this image takes no set-up (cloud-init); take Raspberry Pi OS"
            " Lite of Debian 13 (trixie) or later"
        )


def what_is_on(target: Path) -> str:
    """Return in words what a card or image holds, as far as its boot partition says."""
    try:
        boot = open_boot(target)
        names = boot.names()
        owner = _owner(boot.read(CARD))
    except ProvisioningError:
        return "nothing that a Raspberry Pi starts from"
    if owner is not None:
        return f"the set-up of terminal {owner[0]} of fleet {owner[1]}"
    return "a system for a Raspberry Pi" if names >= _OF_A_PI else "a FAT partition of something else"


def refuse_others(boot: Boot, files: Files, *, name: str) -> None:
    """Say whether writing would take another terminal's set-up away.

    Args:
        boot: where to.
        files: what is to be there.
        name: of the image or folder, for the message.

    Raises:
        AlreadyThere: if it would; says whose.
    """
    there, wanted = _owner(boot.read(CARD)), files[CARD]
    if there is not None and isinstance(wanted, bytes) and there != _owner(wanted):
        raise AlreadyThere(
            f"{name}: holds the set-up of terminal {there[0]} of fleet {there[1]}; nothing was changed. Name another one, or write over it"
            " with --again"
        )


def _owner(sheet: bytes | None) -> tuple[str, str] | None:
    """Return terminal and fleet of a card's sheet; None where there is none that can be read."""
    try:
        found = json.loads(sheet or b"{}")
        return str(found["terminal_id"]), str(found["fleet_id"])
    except (ValueError, TypeError, KeyError):
        return None


def is_finished(boot: Boot, files: Files) -> bool:
    """Say whether exactly this was written before, to its end."""
    own = {name: source for name, source in files.items() if isinstance(source, bytes)}
    return all(boot.read(name) == data for name, data in own.items())


def write(boot: Boot, files: Files, *, say: Callable[[str], None]) -> None:
    """Put files on a boot partition, `user-data` last, and read all of them back.

    Args:
        boot: where to; `look_over` has passed.
        files: what is to be there, `card.json` among it; what else lies in our folder goes.
        say: hears what is being done.

    Raises:
        WrongImage: if there is not enough room.
        NotWritten: if it was cut off or something else is read back; once more repairs it.
    """
    if FOLDER in boot.names() or MARK in (boot.read(USER_DATA) or b""):
        say("taking away what an earlier try left")
    clear(boot)
    look_for_room(boot, files)
    say("writing and reading back")
    put(boot, {name: source for name, source in files.items() if name != USER_DATA})
    finish(boot, files)


def clear(boot: Boot) -> None:
    """Take away what is ours, first of all that which makes a start a terminal's."""
    if MARK in (boot.read(USER_DATA) or b""):
        boot.remove(USER_DATA)
    boot.remove(f"{USER_DATA}.new")
    boot.remove(FOLDER)


def put(boot: Boot, files: Files) -> None:
    """Write files, make sure of them, and read them back.

    Raises:
        NotWritten: if something else is read back.
    """
    for folder, found in _by_folder(files).items():
        above, _, last = folder.rpartition("/")
        if folder and last not in boot.names(above):
            boot.make_folder(folder)
        boot.write(folder, found)
    boot.sync()
    wrong = [name for name, source in files.items() if not _is_there(boot, name, source)]
    if wrong:
        raise NotWritten(
            f"{', '.join(_some(wrong))}: what was read back is something else; run this again, or take another card"
        )


def finish(boot: Boot, files: Files) -> None:
    """Write `user-data`, under another name until it is whole.

    Raises:
        NotWritten: if something else is read back.
    """
    fresh = f"{USER_DATA}.new"
    put(boot, {fresh: files[USER_DATA]})
    boot.remove(USER_DATA)
    boot.rename(fresh, USER_DATA)
    boot.sync()


def steps(files: Files) -> list[str]:
    """Return in words what `write` would do, a line for each file, or for a folder of wheels or packages; no file's content is in it."""
    lines: list[str] = []
    for folder, found in _by_folder({name: source for name, source in files.items() if name != USER_DATA}).items():
        sizes = {name: _size(source) for name, source in found.items()}
        if folder.startswith(f"{FOLDER}/"):
            lines.append(f"write {folder} ({len(sizes)} files, {sum(sizes.values())} bytes)")
        else:
            lines += [f"write {folder}{'/' if folder else ''}{name} ({size} bytes)" for name, size in sizes.items()]
    return [*lines, "read all of it back", f"write {USER_DATA}"]


def look_for_room(boot: Boot, files: Files) -> None:
    """Say whether all of it fits.

    Raises:
        WrongImage: if not.
    """
    needed = sum(_size(source) + _ROOM // 2 for source in files.values())
    free = boot.free()
    if needed > free:
        raise WrongImage(
            f"its boot partition has {free // 2**20} MiB free, {-(-needed // 2**20)} MiB are needed; leave packages out, or take an"
            " image with a larger boot partition"
        )


def _by_folder(files: Files) -> dict[str, dict[str, Path | bytes]]:
    """Return the files by folder, each folder before those in it, and those in none last: they say whose start it is."""
    found: dict[str, dict[str, Path | bytes]] = {}
    for name, source in sorted(files.items()):
        folder, _, last = name.rpartition("/")
        found.setdefault(folder, {})[last] = source
    return dict(sorted(found.items(), key=lambda entry: (entry[0] == "", entry[0])))


def _is_there(boot: Boot, name: str, source: Path | bytes) -> bool:
    found = boot.read(name)
    return found is not None and sha256(found) == sha256(source)


def _some(names: Sequence[str]) -> list[str]:
    return [*names[:3], *([f"and {len(names) - 3} more"] if len(names) > 3 else [])]


def _size(source: Path | bytes) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size
