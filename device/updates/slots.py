"""Two slots of one kind of bundle, the link that says which of them runs, and what is remembered of a trial.

    KIND/current -> a | b       which one runs; changed by one rename
    KIND/a, KIND/b              what was unpacked; whole where `bundle.jws` is in it
    KIND/lock                   held by whoever changes these
    KIND/state.json             a trial, the oldest number that is taken, and how the last trial ended; replaced whole

A start of the terminal counts within a trial and goes back when there were too many, so it must not need what is on trial: this module,
`minute`, `trial` and `disk` use the standard library alone, so that a copy of them beside the slots can be run by the system's own
interpreter before each start (`python3 slots.py FOLDER`); `minute` counts the time. A copy may be older than the program that writes
`state.json`, so it passes over what it does not know.

After a power cut at any moment `recover` finds either the old or the new slot running, whole: everything in a slot is on the disk before
its mark is, the mark before the trial, and the trial before the link. A test cuts all of it at every write, with what was not
made sure of lost, late and torn (tests/unit/device/updates).
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

if __package__:
    from device.updates.disk import Disk
    from device.updates.trial import Limits, Trial, Verdict, judge, started
else:  # A copy beside the slots.
    from disk import Disk  # type: ignore[import-not-found,no-redef]
    from trial import Limits, Trial, Verdict, judge, started  # type: ignore[import-not-found,no-redef]

MARK = "bundle.jws"
"""The signed manifest: the last thing that comes into a slot."""
_CURRENT = "current"
_STATE = "state.json"
_LOCK = "lock"
_PATIENCE_S = 5.0
"""How long a start waits for others: they need milliseconds, and a terminal that does not start is worse than a count that is lost."""
_LOOK_AGAIN_S = 0.05
_SLOTS = ("a", "b")
_OPEN = 0o644
"""The services, which tell the fleet how a trial ended, are not root."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a trial ended."""

    bundle_id: str
    is_kept: bool
    why: str
    number: int = 0
    """Of the bundle."""
    count: int = 0
    """How many of this kind have ended by then: two that ended alike are told apart."""
    wish: int = 0
    """As of `Trial`."""


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered of a kind."""

    trial: Trial | None = None
    floor: int = 0
    """No bundle below this number is taken."""
    last: Ended | None = None


class Slots:
    """The slots of one kind.

    Args:
        folder: theirs.
        disk: how it is written to.
        patience_s: after which others that change them are waited for no longer; None waits for ever.
    """

    def __init__(self, folder: Path, disk: Disk | None = None, *, patience_s: float | None = None) -> None:
        self.folder = folder
        self.disk = disk or Disk()
        self._patience_s = patience_s

    @property
    def current(self) -> str | None:
        """The slot that runs; None before there is one."""
        try:
            name = (self.folder / _CURRENT).readlink().name
        except OSError:
            return None
        return name if name in _SLOTS else None

    @property
    def other(self) -> str:
        """The slot that an update may write to."""
        return "b" if self.current == "a" else "a"

    def path(self, slot: str) -> Path:
        """Return the folder of a slot."""
        return self.folder / slot

    def state(self) -> State:
        """Return what is remembered; nothing where the file cannot be read, since without it what runs simply goes on."""
        try:
            return _parsed(json.loads((self.folder / _STATE).read_bytes()))
        except (OSError, ValueError, TypeError, KeyError):
            return State()

    def let_read(self) -> None:
        """Let everybody read what is remembered: a copy of this module from before 2026-11-30 kept it to root where it counted a start.

        Raises:
            OSError: if that cannot be done.
        """
        path = self.folder / _STATE
        with suppress(FileNotFoundError):
            if stat.S_IMODE(path.lstat().st_mode) != _OPEN:
                path.chmod(_OPEN)

    def begin(self) -> None:
        """Make the slots where there are none: what came with the terminal, which lies elsewhere, runs as an empty slot without a mark.

        Raises:
            OSError: if they cannot be made.
        """
        if self.current is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.path(_SLOTS[0]).is_dir():
            self.disk.make_folder(self.path(_SLOTS[0]))
        with self._alone():
            self._point(_SLOTS[0])

    def clear(self) -> None:
        """Empty the slot that does not run, and take from it first what says that it is whole.

        Raises:
            OSError: if it cannot be emptied.
        """
        path = self.path(self.other)
        if not path.is_dir():
            return
        if (path / MARK).exists():
            self.disk.remove(path / MARK)
            self.disk.sync_folder(path)
        self._remove_tree(path)

    def mark(self, token: bytes) -> None:
        """Say that the slot that does not run is whole; everything in it is made sure of first.

        Raises:
            OSError: if it cannot be written.
        """
        path = self.path(self.other)
        self.disk.sync()
        self._write_sure(path, MARK, token)

    def switch(self, bundle_id: str, limits: Limits, *, number: int = 0, wish: int = 0) -> None:
        """Let the other slot run from the next start on: on trial, or for good where there is none to go back to.

        Raises:
            OSError: if it cannot be written.
        """
        with self._alone():
            to, back = self.other, self.current
            if back is not None:
                self._remember(replace(self.state(), trial=Trial(bundle_id, to, back, limits, number, wish)))
            self._point(to)

    def place(self) -> None:
        """Let the other slot be the one from now on, without a trial: for what decides nothing.

        Raises:
            OSError: if it cannot be written.
        """
        with self._alone():
            self._point(self.other)

    def refuse(self, bundle_id: str, why: str, *, number: int = 0, wish: int = 0) -> None:
        """Remember of a bundle that it failed before it was switched to.

        Raises:
            OSError: if it cannot be written.
        """
        with self._alone():
            state = self.state()
            ended = Ended(bundle_id, False, why, number, _count(state), wish)
            self._remember(replace(state, last=ended))

    def change(self, how: Callable[[Trial], Trial]) -> Verdict:
        """Note something about the trial and do what follows from it; `WAIT` where there is none.

        Raises:
            OSError: if it cannot be written.
        """
        with self._alone() as is_alone:
            # Who did not wait to the end must not take a switch that somebody is in the midst of for one that a cut left half done.
            state = self._recovered() if is_alone else self.state()
            if state.trial is None or self.current != state.trial.to:
                return Verdict.WAIT
            trial = how(state.trial)
            verdict, why = judge(trial)
            if verdict is Verdict.WAIT:
                if trial != state.trial:
                    self._remember(replace(state, trial=trial))
                return verdict
            ended = _ended(state, trial, why, is_kept=verdict is Verdict.KEEP)
            if verdict is Verdict.GO_BACK:
                # Remembered first: a cut between the two finds the trial as one that failed and goes back then.
                self._remember(replace(state, trial=replace(trial, is_healthy=False)))
                self._point(trial.back)
            self._remember(State(None, state.floor, ended))
            return verdict

    def raise_floor(self, number: int) -> None:
        """Take none below a number any more.

        Raises:
            OSError: if it cannot be written.
        """
        with self._alone():
            state = self.state()
            if number > state.floor:
                self._remember(replace(state, floor=number))

    def recover(self) -> State:
        """Finish what a power cut left half done; return what is remembered then.

        Raises:
            OSError: if it cannot be written.
        """
        with self._alone():
            return self._recovered()

    def _recovered(self) -> State:
        state = self.state()
        trial = state.trial
        if trial is not None and self.current != trial.to:
            # It was not switched to, or had gone back already.
            why = "unhealthy" if trial.is_healthy is False else "not_switched"
            state = State(None, state.floor, _ended(state, trial, why, is_kept=False))
            self._remember(state)
        return state

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Keep others from changing what is remembered: a start, the time and the installer come when they come.

        Whether it is so is said, since whoever has no patience goes on without.

        What is locked can be opened by its owner alone: a lock asks for no right to write, so whoever may open it could keep it for ever.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self.folder / _LOCK, flags, 0o600)
        try:
            yield self._wait_for(descriptor)
        finally:
            os.close(descriptor)

    def _wait_for(self, descriptor: int) -> bool:
        if self._patience_s is None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return True
        until = time.monotonic() + self._patience_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    sys.stderr.write(
                        f"{self.folder.name}: somebody else keeps the slots; they are not waited for any longer\n"
                    )
                    return False
                time.sleep(_LOOK_AGAIN_S)
            else:
                return True

    def _point(self, slot: str) -> None:
        fresh = self.folder / f"{_CURRENT}.new"
        self._remove_if_there(fresh)
        self.disk.link(slot, fresh)
        self.disk.rename(fresh, self.folder / _CURRENT)
        self.disk.sync_folder(self.folder)

    def _remember(self, state: State) -> None:
        self._write_sure(self.folder, _STATE, json.dumps(asdict(state)).encode())

    def _write_sure(self, folder: Path, name: str, data: bytes) -> None:
        fresh = folder / f"{name}.new"
        self._remove_if_there(fresh)
        self.disk.write(fresh, [data])
        self.disk.sync_file(fresh)
        self.disk.rename(fresh, folder / name)
        self.disk.sync_folder(folder)

    def _remove_if_there(self, path: Path) -> None:
        if path.is_symlink() or path.exists():
            self.disk.remove(path)

    def _remove_tree(self, path: Path) -> None:
        for each in sorted(path.iterdir()):
            if each.is_dir() and not each.is_symlink():
                self._remove_tree(each)
            else:
                self.disk.remove(each)
        self.disk.remove_folder(path)


_Known = TypeVar("_Known", Trial, Limits, Ended)


def _ended(state: State, trial: Trial, why: str, *, is_kept: bool) -> Ended:
    return Ended(trial.bundle_id, is_kept, why, trial.number, _count(state), trial.wish)


def _count(state: State) -> int:
    return 1 + (0 if state.last is None else state.last.count)


def _parsed(found: Any) -> State:
    trial, last = found["trial"], found["last"]
    return State(
        None if trial is None else _read(Trial, {**trial, "limits": _read(Limits, trial["limits"])}),
        int(found["floor"]),
        None if last is None else _read(Ended, last),
    )


def _read(kind: type[_Known], found: dict[str, Any]) -> _Known:
    known = {each.name for each in fields(kind)}
    return kind(**{name: value for name, value in found.items() if name in known})


def kinds_in(folder: Path) -> list[Path]:
    """Return the folders of the kinds below a folder."""
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def main(folder: Path, counted: Callable[[Trial], Trial] = started, *, patience_s: float = _PATIENCE_S) -> int:
    """Count one start, or what is told, for every kind below a folder; go back where a trial had too many. Never fails."""
    for kind in kinds_in(folder):
        try:
            verdict = Slots(kind, patience_s=patience_s).change(counted)
        except OSError as error:
            sys.stderr.write(f"{kind.name}: {error.strerror}\n")
        else:
            if verdict is Verdict.GO_BACK:
                sys.stderr.write(f"{kind.name}: the update did not prove itself; what ran before it runs again\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
