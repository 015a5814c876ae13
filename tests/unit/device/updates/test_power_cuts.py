"""An update that is cut at any operation on the disk: what starts afterwards is the old or the new one, whole."""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from device.updates import slots as guard
from device.updates.disk import Disk
from device.updates.slots import Slots
from device.updates.trial import Limits, Trial, Verdict, examined, heard, started
from device.updates.unpacking import unpack
from protocol.bundle import BundleKind
from tests.unit.device.updates.making import KEY, make_bundle, place, unpacked
from tests.unit.device.updates.replay import Disks, Recorded

CUTS = 6_000
"""Cuts in all; the issue asks for 5,000."""
PREPARED = b"made of what was unpacked" * 100


def known(key_id: str) -> object:
    return KEY.public() if key_id == KEY.key_id else None


def prepare(disk: Disk, root: Path) -> None:
    disk.write(root / "ready", [PREPARED])


def put(bundle: bytes, slots: Slots) -> str:
    """Unpack a bundle and switch to it; return its id."""
    there = place(running={BundleKind.NETWORKS: 1})
    found = unpack(
        io.BytesIO(bundle),
        slots,
        there,
        key_of=known,
        prepare=partial(prepare, slots.disk),  # type: ignore[arg-type]
    )
    slots.switch(found.bundle_id, Limits())
    return found.bundle_id


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of small trees are made in it."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def installed(folder: Path) -> tuple[Path, str, str]:
    """A terminal with a first bundle in one slot, and left-overs of an earlier one in the other; and what each is."""
    root = folder / "installed"
    root.mkdir()
    slots = Slots(root)
    for number in (1, 2):
        put(make_bundle(number), slots)
        slots.change(partial(examined, is_healthy=True))
        slots.change(heard)
    slots.raise_floor(1)
    old = unpacked(slots, slots.current or "", key_of=known)  # type: ignore[arg-type]
    assert old is not None
    return root, old.bundle_id, slots.other


def proven(slots: Slots) -> None:
    slots.change(started)
    slots.change(partial(examined, is_healthy=True))
    assert slots.change(heard) is Verdict.KEEP
    slots.raise_floor(2)


def failed(slots: Slots) -> None:
    slots.change(started)
    assert slots.change(partial(examined, is_healthy=False)) is Verdict.GO_BACK


def looped(slots: Slots) -> None:
    while slots.change(started) is not Verdict.GO_BACK:
        pass


def record(installed: Path, folder: Path, bundle: bytes, then: Callable[[Slots], None]) -> tuple[Recorded, str]:
    """Update a copy of the terminal; return what was done to its disk, and what is new."""
    root = folder / "recorded"
    shutil.copytree(installed, root, symlinks=True)
    disk = Recorded(root)
    slots = Slots(root, disk)
    new = put(bundle, slots)
    then(slots)
    shutil.rmtree(root)
    return disk, new


def faults(
    installed: Path, done: list[tuple[object, ...]], folder: Path, *, old: str, new: str, cuts: int
) -> list[str]:
    """Cut after every operation, in several ways; return what was found amiss when the terminal was started again."""
    found: list[str] = []
    disks = Disks(installed)
    each_times = cuts // (len(done) + 1) + 1
    for step in range(len(done) + 1):
        if step:
            disks.take(done[step - 1])
        for way in range(each_times):
            root = folder / "kinds" / "networks"
            root.parent.mkdir(exist_ok=True)
            disks.after_cut(root, random.Random(f"{step} {way}"))
            found += [f"after {step} of {len(done)}, way {way}: {what}" for what in amiss(root, old=old, new=new)]
            shutil.rmtree(root)
    return found


def amiss(root: Path, *, old: str, new: str) -> list[str]:
    """Start a terminal after a cut, twice; return what is wrong with what runs."""
    slots = Slots(root)
    for _ in range(2):
        # What the service does before each start.
        if guard.main(root.parent) != 0:
            return ["the guard fails"]
        current = slots.current
        if current is None:
            return ["nothing to start"]
        runs = unpacked(slots, current, key_of=known)  # type: ignore[arg-type]
        if runs is None or runs.bundle_id not in (old, new):
            return [f"slot {current} is not whole"]
        if (slots.path(current) / "ready").read_bytes() != PREPARED:
            return [f"what was made in slot {current} is not whole"]
        trial = slots.state().trial
        if trial is not None and trial.to != current:
            return ["a trial of what does not run"]
        last = slots.state().last
        if trial is None and runs.bundle_id == new and (last is None or (last.bundle_id, last.is_kept) != (new, True)):
            return ["the new one runs without a trial, though it has not proven itself"]
    return []


@pytest.mark.parametrize("then", [proven, failed, looped])
def test_old_or_new_starts_after_a_cut_anywhere(
    installed: tuple[Path, str, str], folder: Path, then: Callable[[Slots], None]
) -> None:
    root, old, _ = installed
    disk, new = record(root, folder, make_bundle(3), then)
    assert faults(root, disk.done, folder, old=old, new=new, cuts=CUTS // 3) == []


def test_an_update_can_be_begun_again_after_any_cut(installed: tuple[Path, str, str], folder: Path) -> None:
    root, _, _ = installed
    bundle = make_bundle(3)
    disk, new = record(root, folder, bundle, proven)
    disks = Disks(root)
    for step, operation in enumerate(disk.done):
        disks.take(operation)
        again = folder / "again"
        disks.after_cut(again, random.Random(step))
        slots = Slots(again)
        slots.recover()
        if (runs := unpacked(slots, slots.current or "", key_of=known)) is None or runs.bundle_id != new:  # type: ignore[arg-type]
            put(bundle, slots)
        whole = unpacked(slots, slots.current or "", key_of=known)  # type: ignore[arg-type]
        assert whole is not None
        assert whole.bundle_id == new
        shutil.rmtree(again)


@pytest.mark.parametrize("forgotten", ["sync", "sync_file", "sync_folder"])
def test_the_cuts_find_what_was_not_made_sure_of(
    installed: tuple[Path, str, str], folder: Path, forgotten: str
) -> None:
    root, old, _ = installed
    disk, new = record(root, folder, make_bundle(3), proven)
    lied = [operation for operation in disk.done if operation[0] != forgotten]
    assert len(lied) < len(disk.done)
    assert faults(root, lied, folder, old=old, new=new, cuts=CUTS // 3) != []


def test_what_runs_is_not_written_to(installed: tuple[Path, str, str], folder: Path) -> None:
    root, _, other = installed
    disk, _ = record(root, folder, make_bundle(3), proven)
    touched = {operation[1][0] for operation in disk.done if len(operation) > 1 and operation[1]}  # type: ignore[index]
    assert touched <= {other, "current", "current.new", "state.json", "state.json.new"}


def test_a_trial_is_told_apart_from_what_was_never_switched_to(tmp_path: Path) -> None:
    slots = Slots(tmp_path)
    put(make_bundle(1), slots)
    assert slots.state().trial is None, "there is none to go back to"
    put(make_bundle(2), slots)
    assert isinstance(slots.state().trial, Trial)
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("a")
    ended = slots.recover().last
    assert ended is not None
    assert (ended.is_kept, ended.why) == (False, "not_switched")


def test_a_copy_of_the_guard_goes_back_without_anything_that_is_installed(tmp_path: Path) -> None:
    copies, kinds = tmp_path / "guard", tmp_path / "kinds"
    copies.mkdir()
    for name in ("slots", "minute", "trial", "disk"):
        shutil.copy(Path(guard.__file__).with_name(f"{name}.py"), copies)
    (kinds / "networks").mkdir(parents=True)
    slots = Slots(kinds / "networks")
    put(make_bundle(1), slots)
    first = slots.current
    put(make_bundle(2), slots)

    def start() -> str:
        command = [sys.executable, "-E", "-s", "-S", str(copies / "slots.py"), str(kinds)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stderr

    assert [start() for _ in range(Limits().starts)] == [""] * Limits().starts
    assert slots.current != first
    assert "did not prove itself" in start()
    assert slots.current == first
