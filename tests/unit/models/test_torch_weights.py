"""Weight files of PyTorch are read without PyTorch, and prepared ones run nothing."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.tools.torch_weights import WeightsInvalid, read_state_dict

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
STORAGES = {"float32": "FloatStorage", "int64": "LongStorage", "float16": "HalfStorage"}
Arrays = Mapping[str, NDArray[Any]]
Save = Callable[[Path, Arrays], Path]


class Tensor:
    def __init__(self, key: str, values: NDArray[Any]) -> None:
        self.key, self.values = key, values

    def __reduce__(self) -> tuple[Any, ...]:
        strides = tuple(step // self.values.itemsize for step in self.values.strides)
        rebuild = sys.modules["torch._utils"].__dict__["_rebuild_tensor_v2"]
        storage = Storage(self.key, self.values.dtype.name, self.values.size)
        return rebuild, (storage, 0, self.values.shape, strides, False, OrderedDict())


class Storage:
    def __init__(self, key: str, dtype: str, count: int) -> None:
        self.key, self.dtype, self.count = key, dtype, count


class Pickler(pickle.Pickler):
    is_old = False

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Storage):
            return None
        kind = getattr(sys.modules["torch"], STORAGES[obj.dtype])
        return ("storage", kind, obj.key, "cpu", obj.count, *([None] if self.is_old else []))


@pytest.fixture(autouse=True)
def torch_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that a pickle of PyTorch refers to, so that one can be written without it."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch", "__qualname__": name}))

    def rebuild(*_: object) -> None: ...

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    rebuild.__name__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild  # type: ignore[attr-defined]  # a module made here
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def dumped(value: Any, *, is_old: bool) -> bytes:
    stream = io.BytesIO()
    pickler = Pickler(stream, 2)
    pickler.is_old = is_old
    pickler.dump(value)
    return stream.getvalue()


def tensors(arrays: Arrays) -> dict[str, Tensor]:
    return OrderedDict((name, Tensor(str(number), values)) for number, (name, values) in enumerate(arrays.items()))


def old_layout(arrays: Arrays) -> bytes:
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {}}
    state = tensors(arrays)
    head = [pickle.dumps(MAGIC, 2), pickle.dumps(PROTOCOL, 2), pickle.dumps(system, 2), dumped(state, is_old=True)]
    keys = pickle.dumps([tensor.key for tensor in state.values()], 2)
    stored = [struct.pack("<q", tensor.values.size) + tensor.values.tobytes() for tensor in state.values()]
    return b"".join([*head, keys, *stored])


def zip_layout(arrays: Arrays, *, compression: int = zipfile.ZIP_STORED) -> bytes:
    stream, state = io.BytesIO(), tensors(arrays)
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("net/data.pkl", dumped(state, is_old=False))
        archive.writestr("net/byteorder", "little")
        for tensor in state.values():
            archive.writestr(f"net/data/{tensor.key}", tensor.values.tobytes())
    return stream.getvalue()


LAYOUTS = pytest.mark.parametrize("layout", [old_layout, zip_layout], ids=["row of pickles", "archive"])
ARRAYS: Arrays = {
    "module.conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "module.bn.num_batches_tracked": np.array(7, np.int64),
    "module.half": np.ones(3, np.float16),
}


@LAYOUTS
def test_arrays_come_back_without_the_prefix_of_several_cards(
    tmp_path: Path, layout: Callable[[Arrays], bytes]
) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(layout(ARRAYS))
    found = read_state_dict(path)
    assert list(found) == ["conv.weight", "bn.num_batches_tracked", "half"]
    for (name, values), expected in zip(found.items(), ARRAYS.values(), strict=True):
        np.testing.assert_array_equal(values, expected, err_msg=name)


@LAYOUTS
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.9, 0.999])
def test_file_cut_short_is_refused_in_one_line(tmp_path: Path, layout: Callable[[Arrays], bytes], kept: float) -> None:
    content = layout(ARRAYS)
    path = tmp_path / "net.pth"
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(WeightsInvalid, match=r"^net\.pth: [^\n]+$"):
        read_state_dict(path)


class Command:
    """What a prepared file does to a careless reader."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("is_archive", [False, True])
def test_prepared_file_is_refused_and_runs_nothing(tmp_path: Path, *, is_archive: bool) -> None:
    made, path = tmp_path / "made", tmp_path / "net.pth"
    if is_archive:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("net/data.pkl", pickle.dumps({"a": Command(made)}, 2))
    else:
        path.write_bytes(pickle.dumps(Command(made), 2))
    with pytest.raises(WeightsInvalid, match=r"asks for 'posix\.mkdir'.*nothing of it was run"):
        read_state_dict(path)
    assert not made.exists()


STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
TENSOR = REBUILD + b"(" + STORAGE + b"K\0K\x04\x85K\x01\x85tR"


def prepared(path: Path, operations: bytes, *, storage: bytes = b"\0" * 16) -> Path:
    """An archive whose pickle was written by hand."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02" + operations + b".")
        archive.writestr("net/data/0", storage)
    return path


def test_pickle_written_by_hand_is_read(tmp_path: Path) -> None:
    path = prepared(tmp_path / "net.pth", b"}X\x01\0\0\0a" + TENSOR + b"s")
    np.testing.assert_array_equal(read_state_dict(path)["a"], np.zeros(4, np.float32))


@pytest.mark.parametrize(
    ("operations", "why"),
    [
        pytest.param(b"}" + b")" + b"\x85" * 100_000 + b"K\0s", "nested deeper", id="nested_tuple_as_key"),
        pytest.param(b"})" + b"q\x01h\x01\x86" * 60 + b"K\0s", "nested deeper", id="tuple_that_doubles"),
        pytest.param(b"})" + b"2\x86" * 60 + b"K\0s", "operation DUP", id="tuple_that_doubles_by_dup"),
        pytest.param(b"}K\x01K\0s", "no names", id="number_as_key"),
        pytest.param(STORAGE + b"N}X\x05\0\0\0dtypectorch\nDoubleStorage\ns\x86b", "no dictionary", id="build_on_storage"),
        pytest.param(REBUILD + b"N}X\x01\0\0\0aK\x01s\x86b", "no dictionary", id="build_on_name"),
        pytest.param(REBUILD + b"}X\x01\0\0\0aK\x01sb", "no dictionary", id="build_on_name_with_dictionary"),
        pytest.param(b"ccollections\nOrderedDict\n)\x81", "operation NEWOBJ", id="new_object"),
        pytest.param(b"cposix\nmkdir\n", "nothing of it was run", id="foreign_name"),
        pytest.param(b"N" * ((1 << 20) + 1), "more operations", id="more_operations_than_a_network_has"),
    ],
)  # fmt: skip
def test_operations_that_no_state_dict_has_are_refused(tmp_path: Path, operations: bytes, why: str) -> None:
    with pytest.raises(WeightsInvalid, match=why):
        read_state_dict(prepared(tmp_path / "net.pth", operations))


def test_many_arrays_over_one_storage_are_refused_before_any_is_copied(tmp_path: Path) -> None:
    count = 1 << 20
    storage = STORAGE.replace(b"K\x04", b"J" + struct.pack("<i", count))
    shape = b"J" + struct.pack("<i", count) + b"\x85"
    tensor = REBUILD + b"(" + storage + b"K\0" + shape + b"K\x01\x85tRq\x01"
    names = b"".join(b"X\x03\0\0\0%03dh\x01" % number for number in range(200))
    path = prepared(tmp_path / "net.pth", b"}X\x03\0\0\0one" + tensor + b"s(" + names + b"u", storage=bytes(4 * count))
    with pytest.raises(WeightsInvalid, match="more memory"):
        read_state_dict(path)


def test_key_of_a_storage_is_a_name(tmp_path: Path) -> None:
    row = old_layout({"a": np.zeros(4, np.float32)})
    keys = pickle.dumps(["0"], 2)
    path = tmp_path / "net.pth"
    path.write_bytes(row.replace(keys, b"\x80\x02](K\0e."))
    with pytest.raises(WeightsInvalid, match="something else"):
        read_state_dict(path)


def test_high_memo_place_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(b"\x80\x02Nr\xff\xff\xff\x7f.")
    with pytest.raises(WeightsInvalid, match="no PyTorch file"):
        read_state_dict(path)


def test_archive_that_unpacks_to_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(zip_layout({"a": np.zeros(100_000, np.float32)}, compression=zipfile.ZIP_DEFLATED))
    with pytest.raises(WeightsInvalid, match="compressed"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no whole"),
        (b"not a network", "no whole"),
        (pickle.dumps(MAGIC + 1, 2) * 2, "no PyTorch file"),
        (pickle.dumps(MAGIC, 2) + pickle.dumps(PROTOCOL, 2) + pickle.dumps({"little_endian": False}, 2), "big-endian"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsInvalid, match=why):
        read_state_dict(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsInvalid, match="cannot be read"):
        read_state_dict(tmp_path / "none.pth")


@LAYOUTS
def test_array_with_gaps_is_refused(tmp_path: Path, layout: Callable[[Arrays], bytes]) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(layout({"a": np.arange(12, dtype=np.float32).reshape(3, 4).T}))
    with pytest.raises(WeightsInvalid, match="does not fit its storage"):
        read_state_dict(path)


@LAYOUTS
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_damage_gives_arrays_or_one_error(
    tmp_path: Path, layout: Callable[[Arrays], bytes], places: list[tuple[float, int]]
) -> None:
    content = bytearray(layout(ARRAYS))
    for place, value in places:
        content[int(place * len(content))] = value
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    # Whatever else came out of it would fail the test.
    with contextlib.suppress(WeightsInvalid):
        read_state_dict(path)
