"""Cards of a whole list: everything is looked over first, what is finished is left alone, and each card appears whole."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provisioning.cards.contents import USER_DATA, Wanted
from provisioning.cards.fat import Boot, FolderBoot, open_boot
from provisioning.cards.images import copy_image, make_room
from provisioning.cards.planning import digests_of, plan
from provisioning.cards.writing import (
    Files,
    clear,
    finish,
    is_finished,
    look_for_room,
    look_over,
    put,
    refuse_others,
    write,
)
from provisioning.errors import AlreadyThere, FileUnusable, ProvisioningError, WrongImage

_BASE: Final = ".base.img"


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one card."""

    terminal_id: str
    path: str
    is_new: bool
    """False where it was finished before."""
    seconds: float


def write_all(
    wanted: Sequence[Wanted], common: Files, out: Path, *, image: Path | None, again: bool, say: Callable[[str], None]
) -> list[Written]:
    """Make an image, or a folder for a boot partition, for each terminal.

    Args:
        wanted: the terminals.
        common: what all of them have.
        out: where to; `<terminal>.img` or a folder `<terminal>` each.
        image: what each begins as; None for folders.
        again: also those that are finished.
        say: hears each name.

    Raises:
        ProvisioningError: what is wrong; cards before it stay, and the same command goes on after them.
    """
    digests = digests_of(common)
    plans = {each.terminal_id: plan(each, common, digests=digests) for each in wanted}
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileUnusable(f"{out}: {error.strerror}") from error
    cards = _Images(out, image, common, len(plans)) if image is not None else _Folders(out)
    done: list[Written] = []
    try:
        if not again:
            _refuse_others(cards, plans)
        for name, files in plans.items():
            began = time.monotonic()
            path = cards.path(name)
            is_new = again or not cards.is_finished(name, files)
            if is_new:
                say(f"{len(done) + 1} of {len(plans)}: {name}")
                cards.make(name, files)
            done.append(Written(name, str(path), is_new, round(time.monotonic() - began, 3)))
    except OSError as error:
        raise FileUnusable(f"{error.filename or out}: {error.strerror}; run this again, and it goes on") from error
    finally:
        cards.close()
    return done


def _refuse_others(cards: _Images | _Folders, plans: Mapping[str, Files]) -> None:
    wrong: list[str] = []
    for name, files in plans.items():
        boot = cards.boot(name)
        try:
            if boot is not None:
                refuse_others(boot, files, name=cards.path(name).name)
        except AlreadyThere as error:
            wrong.append(str(error))
    if wrong:
        raise AlreadyThere("\n".join(wrong))


class _Images:
    """Copies of an image in which what all have in common was written once."""

    def __init__(self, out: Path, image: Path, common: Files, count: int) -> None:
        self._out, self._image, self._common, self._count = out, image, common, count
        self._base: Path | None = None

    def path(self, name: str) -> Path:
        return self._out / f"{name}.img"

    def boot(self, name: str) -> Boot | None:
        """Return the boot partition of what is there; None where nothing is that could be one."""
        path = self.path(name)
        try:
            return open_boot(path) if path.exists() else None
        except WrongImage:
            return None

    def is_finished(self, name: str, files: Files) -> bool:
        boot = self.boot(name)
        try:
            return boot is not None and is_finished(boot, files)
        except ProvisioningError:
            return False

    def make(self, name: str, files: Files) -> None:
        base = self._prepared(files)
        scratch = self._out / f".{name}.img.new"
        copy_image(base, scratch)
        boot = open_boot(scratch)
        own = {each: source for each, source in files.items() if each not in self._common and each != USER_DATA}
        put(boot, own)
        finish(boot, files)
        scratch.rename(self.path(name))

    def _prepared(self, files: Files) -> Path:
        if self._base is None:
            base = self._out / _BASE
            make_room(self._out, 2 * self._image.stat().st_blocks * 512)
            is_shared = copy_image(self._image, base)
            boot = open_boot(base)
            look_over(boot)
            clear(boot)
            look_for_room(boot, files)
            put(boot, self._common)
            if not is_shared:
                there = sum(1 for path in self._out.glob("*.img") if path != base)
                make_room(self._out, (self._count - there) * base.stat().st_blocks * 512)
            self._base = base
        return self._base

    def close(self) -> None:
        (self._out / _BASE).unlink(missing_ok=True)
        for path in self._out.glob(".*.img.new"):
            path.unlink()


class _Folders:
    """Folders, each to be copied onto the boot partition of a card that any tool has written."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def path(self, name: str) -> Path:
        return self._out / name

    def boot(self, name: str) -> Boot:
        return FolderBoot(self.path(name))

    def is_finished(self, name: str, files: Files) -> bool:
        return is_finished(self.boot(name), files)

    def make(self, name: str, files: Files) -> None:
        scratch = self._out / f".{name}.new"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        write(FolderBoot(scratch), files, say=_nothing)
        shutil.rmtree(self.path(name), ignore_errors=True)
        scratch.rename(self.path(name))

    def close(self) -> None:
        for path in self._out.glob(".*.new"):
            if path.is_dir():
                shutil.rmtree(path)


def _nothing(_text: str) -> None:
    return
