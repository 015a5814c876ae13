"""Power cuts replayed: what a program did to the disk, cut after any operation, with what was not made sure of lost, late or torn.

The model is stricter than a journalling file system: of the operations since the last sync of their folder any subset may have reached the
disk, in the order of each name; bytes of a file that were not synced may be there, be missing, be cut, or be zeros; an operation
that is under way may have had any part of its effect. What was synced is there.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from device.updates.disk import Disk

_TORN = 512
"""Bytes a card writes at once at least."""


@dataclass
class Recorded(Disk):
    """A disk that remembers what was done to it, as operations and the paths and bytes they had."""

    root: Path
    done: list[tuple[object, ...]] = field(default_factory=list)

    def make_folder(self, path: Path) -> None:
        super().make_folder(path)
        self.done.append(("folder", self._named(path)))

    def write(self, path: Path, chunks: Iterable[bytes], *, mode: int = 0o644) -> None:
        taken = list(chunks)
        super().write(path, taken, mode=mode)
        self.done.append(("file", self._named(path)))
        self.done += [("bytes", self._named(path), chunk) for chunk in taken]

    def sync_file(self, path: Path) -> None:
        super().sync_file(path)
        self.done.append(("sync_file", self._named(path)))

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self.done.append(("sync_folder", self._named(path)))

    def sync(self) -> None:
        # The machine's own disks need not be made sure of for this.
        self.done.append(("sync",))

    def link(self, target: str, path: Path) -> None:
        super().link(target, path)
        self.done.append(("link", self._named(path), target))

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.done.append(("rename", self._named(source), self._named(target)))

    def remove(self, path: Path) -> None:
        super().remove(path)
        self.done.append(("remove", self._named(path)))

    def remove_folder(self, path: Path) -> None:
        super().remove_folder(path)
        self.done.append(("remove", self._named(path)))

    def _named(self, path: Path) -> tuple[str, ...]:
        return path.relative_to(self.root).parts


@dataclass
class _Node:
    """What a name leads to: a folder, a file or a link."""

    entries: dict[str, _Node] | None = None
    content: bytes = b""
    target: str | None = None
    unsure: list[bytes] = field(default_factory=list)
    """Written, and not synced."""


@dataclass
class _Change:
    """A change of names in one folder that is not synced yet: all of it, or nothing."""

    folder: _Node
    names: dict[str, _Node | None]
    """What each name leads to afterwards; None for nothing."""


class Disks:
    """What may be on the disk after a cut, as the operations come in."""

    def __init__(self, root: Path) -> None:
        self._root = _read(root)
        self._seen = _copied(self._root)
        """As the program sees it: everything done."""
        self._changes: list[_Change] = []
        self._twins: dict[int, _Node] = {}
        self._pair(self._root, self._seen)

    def _pair(self, sure: _Node, seen: _Node) -> None:
        self._twins[id(seen)] = sure
        for name, each in (seen.entries or {}).items():
            self._pair((sure.entries or {})[name], each)

    def take(self, operation: tuple[object, ...]) -> None:
        """Take one operation in."""
        what, *more = operation
        if what == "sync":
            self._settle(self._changes)
            for node in self._twins.values():
                _make_sure(node)
            return
        path = more[0]
        assert isinstance(path, tuple)
        if what == "sync_folder":
            sure = self._twins[id(_found(self._seen, path))]
            self._settle([each for each in self._changes if each.folder is sure])
        elif what == "sync_file":
            _make_sure(self._twins[id(_found(self._seen, path))])
        elif what == "bytes":
            chunk = more[1]
            assert isinstance(chunk, bytes)
            self._twins[id(_found(self._seen, path))].unsure.append(chunk)
        else:
            self._change(str(what), path, more[1:])

    def _change(self, what: str, path: tuple[str, ...], more: list[object]) -> None:
        parent = _found(self._seen, path[:-1])
        assert parent.entries is not None
        sure, name = self._twins[id(parent)], path[-1]
        if what == "remove":
            del parent.entries[name]
            self._changes.append(_Change(sure, {name: None}))
            return
        if what == "rename":
            to = more[0]
            assert isinstance(to, tuple)
            assert to[:-1] == path[:-1], "names move within one folder only"
            node = parent.entries.pop(name)
            parent.entries[to[-1]] = node
            self._changes.append(_Change(sure, {name: None, to[-1]: self._twins[id(node)]}))
            return
        seen = {
            "folder": lambda: _Node(entries={}),
            "file": _Node,
            "link": lambda: _Node(target=str(more[0])),
        }[what]()
        twin = _copied(seen)
        self._twins[id(seen)] = twin
        parent.entries[name] = seen
        self._changes.append(_Change(sure, {name: twin}))

    def _settle(self, changes: list[_Change]) -> None:
        for each in changes:
            _apply(each)
        left = [each for each in self._changes if not any(each is one for one in changes)]
        self._changes = left

    def after_cut(self, target: Path, chance: random.Random) -> None:
        """Write what is found after a cut now into an empty folder."""
        kept = chance.random()
        memo: dict[int, _Node] = {}
        root = _copied(self._root, memo)
        for each in self._changes:
            if chance.random() < kept:
                copy = {name: None if node is None else _copied(node, memo) for name, node in each.names.items()}
                _apply(_Change(_copied(each.folder, memo), copy))
        _write(root, target, chance)


def _apply(change: _Change) -> None:
    assert change.folder.entries is not None
    for name, node in change.names.items():
        if node is None:
            change.folder.entries.pop(name, None)
        else:
            change.folder.entries[name] = node


def _make_sure(node: _Node) -> None:
    node.content += b"".join(node.unsure)
    node.unsure.clear()


def _read(path: Path) -> _Node:
    if path.is_symlink():
        return _Node(target=str(path.readlink()))
    if path.is_dir():
        return _Node(entries={each.name: _read(each) for each in path.iterdir()})
    return _Node(content=path.read_bytes())


def _copied(node: _Node, memo: dict[int, _Node] | None = None) -> _Node:
    """Copy it with what it leads to; with `memo`, what was copied before is the same copy again."""
    memo = {} if memo is None else memo
    if id(node) not in memo:
        copy = memo[id(node)] = _Node(None, node.content, node.target, list(node.unsure))
        if node.entries is not None:
            copy.entries = {name: _copied(each, memo) for name, each in node.entries.items()}
    return memo[id(node)]


def _found(root: _Node, path: tuple[str, ...]) -> _Node:
    for part in path:
        assert root.entries is not None
        root = root.entries[part]
    return root


def _write(node: _Node, path: Path, chance: random.Random) -> None:
    if node.target is not None:
        path.symlink_to(node.target)
    elif node.entries is None:
        path.write_bytes(node.content + _torn(node.unsure, chance))
    else:
        path.mkdir(exist_ok=True)
        for name, each in node.entries.items():
            _write(each, path / name, chance)


def _torn(chunks: list[bytes], chance: random.Random) -> bytes:
    """Return what may have come of bytes that were not synced: each chunk there, zeros, or cut, and the end missing."""
    found = b""
    for chunk in chunks[: chance.randint(0, len(chunks))]:
        fate = chance.random()
        if fate < 0.2:
            found += bytes(len(chunk))
        elif fate < 0.4:
            kept = chance.randrange(0, len(chunk) + 1, _TORN) if len(chunk) > _TORN else 0
            found += chunk[:kept] + bytes(len(chunk) - kept)
        else:
            found += chunk
    return found
