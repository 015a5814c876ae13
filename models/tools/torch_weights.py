"""Weights out of PyTorch files without PyTorch, and without running what a pickle asks for.

Both layouts are read: the zip archive of today and the older row of pickles. No unpickler runs: the few operations that a plain state
dict consists of are followed by a small machine of our own, which builds numbers, strings, tuples, lists, dictionaries and tensors and
nothing else. Any other operation or name, such as the `os.system` of a prepared file, refuses the file.

Source: `torch/serialization.py` of PyTorch 2 (`_legacy_save`, `_save`), read as documentation of both layouts.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelsError

Arrays = dict[str, NDArray[np.generic]]
"""Weight arrays by their names in the state dict."""

_LARGEST_FILE = 64 << 20
_ARCHIVE_START = b"PK\x03\x04"
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# A state dict of some hundred arrays takes some ten thousand operations; many more only take time and memory.
_MOST_OPERATIONS = 1 << 20
_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


class WeightsInvalid(ModelsError):
    """A weight file that cannot be used; says why in one line."""


@dataclass(frozen=True, slots=True)
class _Storage:
    dtype: np.dtype[Any]
    key: str
    count: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(path: Path) -> Arrays:
    """Return the arrays of a state dict saved by PyTorch.

    A `module.` before every name, as a network trained on several cards has it, is taken off.

    Raises:
        WeightsInvalid: if the file cannot be read, is no state dict, is cut short, or asks for anything but arrays.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise WeightsInvalid(f"{path.name}: has {size} bytes, expected at most {_LARGEST_FILE}")
        content = path.read_bytes()
    except OSError as error:
        raise WeightsInvalid(f"{path.name}: cannot be read: {error.strerror}") from error
    try:
        tensors, stored = (_archive if content.startswith(_ARCHIVE_START) else _row)(content)
        arrays = {name: _array(tensor, stored) for name, tensor in tensors.items()}
    except WeightsInvalid as error:
        raise WeightsInvalid(f"{path.name}: {error}") from error
    # Prepared bytes can make the unpickler raise nearly anything; all of it means the same here.
    except Exception as error:  # see above
        raise WeightsInvalid(f"{path.name}: is no whole PyTorch state dict ({type(error).__name__})") from error
    if not arrays:
        raise WeightsInvalid(f"{path.name}: holds no arrays")
    prefix = "module."
    if all(name.startswith(prefix) for name in arrays):
        arrays = {name.removeprefix(prefix): values for name, values in arrays.items()}
    return arrays


@dataclass(frozen=True, slots=True)
class _Global:
    """A name that a pickle refers to."""

    name: str


_ORDERED = _Global("collections OrderedDict")
_REBUILD = _Global("torch._utils _rebuild_tensor_v2")
_NUMBERS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Machine:
    """Follows the operations of one pickle; what it makes holds no name, no hook and no key but strings.

    A tuple inside a tuple holds plain values alone, as shapes do, so that nothing is nested deeper than a state dict is.
    """

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, stream: io.BytesIO) -> Any:
        """Return the value of the pickle at the stream's place, which is then behind it."""
        for number, (operation, argument, _) in enumerate(pickletools.genops(stream)):
            if number >= _MOST_OPERATIONS:
                raise WeightsInvalid("takes more operations than a state dict needs")
            self._step(operation.name, argument)
        return self._stack.pop()

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _NUMBERS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in {"BINPUT", "LONG_BINPUT"}:
            self._memo[argument] = stack[-1]
        elif name in {"BINGET", "LONG_BINGET"}:
            stack.append(self._memo[argument])
        elif name == "MARK":
            self._marks.append(len(stack))
        elif name in _TUPLES:
            count = _TUPLES[name]
            items, stack[-count:] = stack[-count:], []
            stack.append(_tuple(items))
        elif name == "TUPLE":
            stack.append(_tuple(self._above_mark()))
        elif name == "GLOBAL":
            stack.append(_global(argument))
        elif name == "BINPERSID":
            stack.append(_stored(stack.pop()))
        elif name not in {"PROTO", "STOP"}:
            self._change(name)

    def _change(self, name: str) -> None:
        """Follow what puts values into others or calls something."""
        stack = self._stack
        if name in {"SETITEM", "SETITEMS"}:
            items = self._above_mark() if name == "SETITEMS" else [stack.pop(), stack.pop()][::-1]
            keys, values = items[::2], items[1::2]
            if type(stack[-1]) is not dict or not all(isinstance(key, str) for key in keys):
                raise WeightsInvalid("holds a dictionary whose keys are no names")
            stack[-1].update(zip(keys, values, strict=True))
        elif name in {"APPEND", "APPENDS"}:
            items = self._above_mark() if name == "APPENDS" else [stack.pop()]
            if type(stack[-1]) is not list:
                raise WeightsInvalid("appends to what is no list")
            stack[-1].extend(items)
        elif name == "REDUCE":
            arguments, called = stack.pop(), stack.pop()
            if called == _REBUILD:
                stack.append(_rebuild(*arguments))
            elif called == _ORDERED and arguments == ():
                stack.append({})
            else:
                raise WeightsInvalid("calls what is no part of a state dict")
        elif name == "BUILD":
            # Versions of the modules, kept beside the arrays; not needed here.
            if type(stack.pop()) is not dict or type(stack[-1]) is not dict:
                raise WeightsInvalid("changes what is no dictionary")
        else:
            raise WeightsInvalid(f"holds the operation {name}, which is no part of a state dict")

    def _above_mark(self) -> list[Any]:
        mark = self._marks.pop()
        items, self._stack[mark:] = self._stack[mark:], []
        return items


def _tuple(items: list[Any]) -> tuple[Any, ...]:
    is_flat = all(
        isinstance(part, str | int | float | None) for item in items if isinstance(item, tuple) for part in item
    )
    if not is_flat:
        raise WeightsInvalid("is nested deeper than a state dict is")
    return tuple(items)


def _global(argument: str) -> _Global | np.dtype[Any]:
    found, (module, _, name) = _Global(argument), argument.partition(" ")
    if found in (_ORDERED, _REBUILD):
        return found
    if module == "torch" and name in _DTYPES:
        return np.dtype(_DTYPES[name])
    raise WeightsInvalid(f"asks for {f'{module}.{name}'!r}, which is no part of a state dict; nothing of it was run")


def _stored(pid: Any) -> _Storage:
    kind, dtype, key, _, count = pid[:5]
    is_known = isinstance(dtype, np.dtype) and isinstance(key, str) and type(count) is int and count >= 0
    if kind != "storage" or not is_known:
        raise WeightsInvalid("holds something else than stored arrays")
    return _Storage(dtype, key, count)


def _rebuild(storage: Any, offset: Any, shape: Any, strides: Any, *_: object) -> _Tensor:
    is_known = isinstance(storage, _Storage) and isinstance(shape, tuple) and isinstance(strides, tuple)
    if not is_known or not all(type(value) is int and value >= 0 for value in (offset, *shape, *strides)):
        raise WeightsInvalid("holds something else than stored arrays")
    return _Tensor(storage, offset, shape, strides)


def _load(stream: io.BytesIO) -> Any:
    """Read one pickle."""
    return _Machine().run(stream)


def _named_tensors(loaded: Any) -> dict[str, _Tensor]:
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    is_state = isinstance(loaded, dict) and all(
        isinstance(name, str) and isinstance(value, _Tensor) for name, value in loaded.items()
    )
    if not is_state:
        raise WeightsInvalid("is no state dict: a dictionary of arrays was expected")
    # Several tensors may lie in one storage; many times its size is no network but a way to fill the memory.
    total = sum(math.prod(tensor.shape) * tensor.storage.dtype.itemsize for tensor in loaded.values())
    if total > _LARGEST_FILE:
        raise WeightsInvalid(f"asks for arrays of {total} bytes, more memory than the largest file")
    return dict(loaded)


def _row(content: bytes) -> tuple[dict[str, _Tensor], dict[str, bytes]]:
    """Read the older layout: five pickles, then each storage as a count and its bytes."""
    stream = io.BytesIO(content)
    if _load(stream) != _MAGIC or _load(stream) != _PROTOCOL:
        raise WeightsInvalid("is no PyTorch file")
    if not _load(stream)["little_endian"]:
        raise WeightsInvalid("is big-endian, expected little-endian")
    tensors = _named_tensors(_load(stream))
    kinds = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    stored = {}
    for key in _load(stream):
        if not isinstance(key, str):
            raise WeightsInvalid("holds something else than stored arrays")
        (count,) = struct.unpack("<q", stream.read(8))
        length = count * kinds[key].dtype.itemsize
        if count != kinds[key].count or length > len(content):
            raise WeightsInvalid(f"storage {key} has {count} values, expected {kinds[key].count}")
        stored[key] = stream.read(length)
    return tensors, stored


def _archive(content: bytes) -> tuple[dict[str, _Tensor], dict[str, bytes]]:
    """Read the zip layout: `data.pkl` and one file for each storage; nothing in it is compressed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if any(info.file_size > len(content) for info in entries.values()):
            raise WeightsInvalid("is compressed, which PyTorch never does")
        if "data.pkl" not in entries:
            raise WeightsInvalid("is no PyTorch file")
        if "byteorder" in entries and archive.read(entries["byteorder"]) != b"little":
            raise WeightsInvalid("is big-endian, expected little-endian")
        tensors = _named_tensors(_load(io.BytesIO(archive.read(entries["data.pkl"]))))
        keys = {tensor.storage.key for tensor in tensors.values()}
        return tensors, {key: archive.read(entries[f"data/{key}"]) for key in sorted(keys)}


def _array(tensor: _Tensor, stored: Mapping[str, bytes]) -> NDArray[np.generic]:
    """Return a tensor's values as an array of its own; only rows without gaps are known."""
    storage = tensor.storage
    flat = np.frombuffer(stored[storage.key], storage.dtype)
    count = math.prod(tensor.shape)
    contiguous = tuple(math.prod(tensor.shape[axis + 1 :]) for axis in range(len(tensor.shape)))
    is_plain = all(size == 1 or a == b for size, a, b in zip(tensor.shape, tensor.strides, contiguous, strict=True))
    if not is_plain or flat.size != storage.count or not 0 <= tensor.offset <= flat.size - count:
        raise WeightsInvalid("holds an array that does not fit its storage")
    return np.asarray(flat[tensor.offset : tensor.offset + count].reshape(tensor.shape).copy())
