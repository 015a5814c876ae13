"""Weights out of PyTorch files without PyTorch, and without running what a pickle asks for.

Both layouts are read: the zip archive of today and the older row of pickles. Of a pickle only the names that a plain state dict
needs are known; any other, such as the `os.system` of a prepared file, refuses the file.

Source: `torch/serialization.py` of PyTorch 2 (`_legacy_save`, `_save`), read as documentation of both layouts.
"""

from __future__ import annotations

import io
import pickle  # see _Names: no name outside a short list is ever looked up
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
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
# A state dict of some hundred arrays needs a few thousand memo places; a huge one only fills the memory.
_LARGEST_MEMO = 1 << 20
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


class _Names(pickle.Unpickler):
    """An unpickler that knows arrays and ordered dictionaries and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        known: Mapping[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
        }
        if (module, name) in known:
            return known[module, name]
        if module == "torch" and name in _DTYPES:
            return np.dtype(_DTYPES[name])
        raise WeightsInvalid(
            f"asks for {f'{module}.{name}'!r}, which is no part of a state dict; nothing of it was run"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count = pid[:5]
        if kind != "storage" or not isinstance(dtype, np.dtype) or not isinstance(count, int):
            raise WeightsInvalid("holds something else than stored arrays")
        return _Storage(dtype, str(key), count)


def _rebuild(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _load(stream: io.BytesIO) -> Any:
    """Read one pickle after looking through its operations."""
    start = stream.tell()
    for operation, argument, _ in pickletools.genops(stream):
        if operation.name in {"PUT", "BINPUT", "LONG_BINPUT"} and int(argument or 0) > _LARGEST_MEMO:
            raise WeightsInvalid("asks for more memory than a state dict needs")
    stream.seek(start)
    return _Names(stream).load()


def _named_tensors(loaded: Any) -> dict[str, _Tensor]:
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    is_state = isinstance(loaded, dict) and all(
        isinstance(name, str) and isinstance(value, _Tensor) for name, value in loaded.items()
    )
    if not is_state:
        raise WeightsInvalid("is no state dict: a dictionary of arrays was expected")
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
    count = int(np.prod(tensor.shape, dtype=np.int64))
    contiguous = tuple(int(np.prod(tensor.shape[axis + 1 :], dtype=np.int64)) for axis in range(len(tensor.shape)))
    is_plain = all(size == 1 or a == b for size, a, b in zip(tensor.shape, tensor.strides, contiguous, strict=True))
    if not is_plain or flat.size != storage.count or not 0 <= tensor.offset <= flat.size - count:
        raise WeightsInvalid("holds an array that does not fit its storage")
    return np.asarray(flat[tensor.offset : tensor.offset + count].reshape(tensor.shape).copy())
