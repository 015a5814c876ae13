"""Networks on a TFLite interpreter: the only module that imports one.

Two interpreters are supported. `ai-edge-litert` is the successor and hands int8 graphs to XNNPACK; `tflite-runtime` is kept
for 32-bit ARM and Python 3.11. Results of the two differ by a few quantisation steps, so the choice is part of every record.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import time
import zipfile
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device.errors import GoldenMismatch, InterpreterUnavailable, ManifestMismatch, ModelDigestMismatch
from device.vision.frame import Pixels
from device.vision.inference import GoldenVector, Network, Networks
from protocol.errors import ManifestInvalid
from protocol.manifest import ModelManifest, Tensor, load_manifest

Runtime = Literal["auto", "ai-edge-litert", "tflite-runtime"]

_MODULES = {"ai-edge-litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}


_KEPT = "kept_"
"""Prefix of a golden vector's outputs, before their role."""
_FLIPPED_BIT = np.uint8(0x80)
_PIXEL_VALUES = np.arange(256, dtype=np.uint8)


class TfliteNetwork:
    """One network file on one interpreter.

    Pictures are written into the interpreter's own input tensor and answers read from its output tensors, without a copy
    between. Where those lie is asked once. They stay there until tensors are resized or allocated again, which nothing here does,
    and the interpreter lives as long as this object.
    """

    def __init__(
        self, manifest: ModelManifest, content: bytes, *, interpreter: Any, runtime: str, golden: Path
    ) -> None:
        self._manifest = manifest
        self._digest = hashlib.sha256(content).hexdigest()
        self._runtime = runtime
        self._golden = golden
        self._interpreter = interpreter
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        _check_tensors(manifest, manifest.inputs, inputs)
        _check_tensors(manifest, manifest.outputs, outputs)
        image = manifest.inputs[0]
        self._size = (manifest.preprocessing.height, manifest.preprocessing.width, 3)
        if len(manifest.inputs) != 1 or image.shape != (1, *self._size):
            raise ManifestMismatch(
                f"network {manifest.name}: input is {image.shape}, expected one of (1, {self._size})"
            )
        index = {detail["name"]: detail["index"] for detail in outputs}
        stored = _memory_of(interpreter, inputs[0]["index"])[0]
        self._outputs = tuple(
            (tensor.role, _bytes_of(_memory_of(interpreter, index[tensor.name])), _value_table(tensor))
            for tensor in manifest.outputs
        )
        self._table = _pixel_table(manifest, image)
        self._is_bgr = manifest.preprocessing.colour_order == "BGR"
        is_flipped = image.dtype == "int8" and bool((self._table.view(np.uint8) == _PIXEL_VALUES ^ _FLIPPED_BIT).all())
        self._is_flipped = is_flipped
        self._input = stored.view(np.uint8) if is_flipped else stored
        self._count = 0
        self._invoke_ns = 0

    @property
    def usage(self) -> tuple[int, int]:
        """How often the interpreter ran, and the processor time of the calling thread it took in all, in nanoseconds."""
        return self._count, self._invoke_ns

    @property
    def manifest(self) -> ModelManifest:
        """The manifest the file was checked against."""
        return self._manifest

    @property
    def digest(self) -> str:
        """SHA-256 of the network file."""
        return self._digest

    @property
    def runtime(self) -> str:
        """The interpreter and its version."""
        return self._runtime

    def golden(self) -> GoldenVector:
        """Return the golden vector beside the manifest; see `device.vision.inference.Network`."""
        return _read_golden(self._golden)

    def infer(self, image: Pixels) -> Mapping[str, NDArray[np.float32]]:
        """Run the network on a uint8 RGB picture of the manifest's size; see `device.vision.inference.Network`."""
        if image.shape != self._size or image.dtype != np.uint8:
            raise ValueError(
                f"network {self._manifest.name}: picture is {image.dtype} {image.shape}, expected uint8 {self._size}"
            )
        source = image[:, :, ::-1] if self._is_bgr else image
        if self._is_flipped:
            # int8 is uint8 less 128, which is one bit: a seventh of the time of a table, let alone of floating point.
            np.bitwise_xor(source, _FLIPPED_BIT, out=self._input)
        else:
            np.take(self._table, source, out=self._input, mode="clip")
        begin_ns = time.thread_time_ns()
        self._interpreter.invoke()
        self._invoke_ns += time.thread_time_ns() - begin_ns
        self._count += 1
        return {role: _real(stored, table) for role, stored, table in self._outputs}


def open_network(manifest_path: Path, *, runtime: Runtime = "auto", threads: int = 1) -> Network:
    """Load one network and check it against its manifest.

    Args:
        manifest_path: the `<name>.toml`; the network file lies beside it.
        runtime: which interpreter; `auto` takes `ai-edge-litert` where it is installed, else `tflite-runtime`.
        threads: interpreter threads, 1 or more.

    Raises:
        ModelDigestMismatch: if the file's SHA-256 is not the manifest's.
        ManifestMismatch: if the manifest or the file cannot be read, or a tensor's name, shape, dtype or quantisation differs.
        InterpreterUnavailable: if there is no such interpreter or it cannot load the file.
    """
    try:
        manifest = load_manifest(manifest_path)
    except ManifestInvalid as error:
        raise ManifestMismatch(str(error)) from error
    path = manifest_path.parent / manifest.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ManifestMismatch(f"network {manifest.file}: cannot be read: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != manifest.sha256:
        raise ModelDigestMismatch(f"network {manifest.file}: SHA-256 is {found}, manifest says {manifest.sha256}")
    package, module = _interpreter_module(runtime)
    try:
        interpreter = module.Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InterpreterUnavailable(f"network {manifest.file}: {package} cannot load it: {error}") from error
    runs_on = f"{package} {version(package)}"
    golden = manifest_path.with_suffix(".npz")
    return TfliteNetwork(manifest, content, interpreter=interpreter, runtime=runs_on, golden=golden)


def open_networks(
    models_dir: Path,
    *,
    features: str = "features_mobilefacenet",
    texture: Path | None = None,
    runtime: Runtime = "auto",
    threads: int = 1,
) -> Networks:
    """Load the networks of a terminal from a folder of manifests.

    Detection, landmarks and eyelids are found by their manifest's task, of which the folder must hold exactly one each;
    the feature network is chosen by name, as the folder may hold several. The texture network is optional: the manifest
    named, which may lie elsewhere, or else the only one of the folder.

    Raises:
        NetworkRefused: as `open_network`, and if a task is missing or doubled, or a network named is of another task.
    """
    by_task: dict[str, list[Path]] = {}
    for path in sorted(models_dir.glob("*.toml")):
        try:
            by_task.setdefault(load_manifest(path).task, []).append(path)
        except ManifestInvalid as error:
            raise ManifestMismatch(str(error)) from error

    def only(task: str) -> Network:
        paths = by_task.get(task, [])
        if len(paths) != 1:
            raise ManifestMismatch(f"task {task}: found {len(paths)} manifests in {models_dir.name}, expected 1")
        return open_network(paths[0], runtime=runtime, threads=threads)

    chosen = open_network(models_dir / f"{features}.toml", runtime=runtime, threads=threads)
    if chosen.manifest.task != "features":
        raise ManifestMismatch(f"network {features}: task is {chosen.manifest.task}, expected features")
    if texture is not None:
        passive: Network | None = open_network(texture, runtime=runtime, threads=threads)
    else:
        passive = only("texture") if by_task.get("texture") else None
    if passive is not None and passive.manifest.task != "texture":
        raise ManifestMismatch(f"network {passive.manifest.name}: task is {passive.manifest.task}, expected texture")
    return Networks(
        detection=only("face_detection"),
        landmarks=only("face_landmarks"),
        eyelids=only("eyelids"),
        features=chosen,
        texture=passive,
    )


def _read_golden(path: Path) -> GoldenVector:
    """Read what `lifecert-models golden` wrote.

    Raises:
        GoldenMismatch: if it is not there, or not that.
    """
    try:
        # Opened here: where it is no archive, numpy leaves a file that it opened itself open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        outputs = {name.removeprefix(_KEPT): arrays[name] for name in arrays if name.startswith(_KEPT)}
        return GoldenVector(arrays["network"].tobytes().hex(), arrays["image"], outputs)
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise GoldenMismatch(f"{path.name}: no golden vector can be read; put the networks on anew") from error


def _interpreter_module(runtime: Runtime) -> tuple[str, Any]:
    """Import the wanted interpreter; the import is here because it costs a quarter of a second and 35 MB."""
    packages = list(_MODULES) if runtime == "auto" else [runtime]
    for package in packages:
        try:
            return package, importlib.import_module(_MODULES[package])
        except ImportError:
            continue
    raise InterpreterUnavailable(f"interpreter: none of {', '.join(packages)} is installed")


def _check_tensors(manifest: ModelManifest, expected: tuple[Tensor, ...], details: list[dict[str, Any]]) -> None:
    """Compare tensors by name.

    Raises:
        ManifestMismatch: names the tensor, what was found and what the manifest says.
    """
    found = {detail["name"]: detail for detail in details}
    if set(found) != {tensor.name for tensor in expected} or len(found) != len(expected):
        raise ManifestMismatch(
            f"network {manifest.name}: tensors are {sorted(found)}, manifest says {sorted(t.name for t in expected)}"
        )
    for tensor in expected:
        detail = found[tensor.name]
        scale, zero_point = detail["quantization"]
        is_same = (
            tuple(int(n) for n in detail["shape"]) == tensor.shape
            and np.dtype(detail["dtype"]).name == tensor.dtype
            and np.isclose(scale, tensor.scale, rtol=1e-5, atol=0.0)
            and zero_point == tensor.zero_point
        )
        if not is_same:
            raise ManifestMismatch(
                f"network {manifest.name}: tensor {tensor.name} is {np.dtype(detail['dtype']).name} "
                f"{tuple(detail['shape'])} scale {scale} zero point {zero_point}, manifest says {tensor.dtype} "
                f"{tensor.shape} scale {tensor.scale} zero point {tensor.zero_point}"
            )


def _pixel_table(manifest: ModelManifest, image: Tensor) -> NDArray[Any]:
    """Return the 256 input values of the 256 pixel values, so that no picture is ever normalised in floating point."""
    steps = manifest.preprocessing
    real = np.arange(256, dtype=np.float64) * steps.multiply + steps.add
    if image.dtype == "float32":
        return real.astype(np.float32)
    limits = np.iinfo(image.dtype)
    stored = np.rint(real / image.scale + image.zero_point)
    return np.asarray(np.clip(stored, limits.min, limits.max), image.dtype)


def _value_table(tensor: Tensor) -> NDArray[np.float32] | None:
    """Return the 256 real values of an 8-bit tensor, in the order of its bytes; None for a tensor of real values."""
    if tensor.dtype == "float32":
        return None
    stored = _PIXEL_VALUES.view(tensor.dtype).astype(np.float32)
    return np.asarray((stored - np.float32(tensor.zero_point)) * np.float32(tensor.scale), np.float32)


def _memory_of(interpreter: Any, index: int) -> NDArray[Any]:
    """Return a tensor of the interpreter as an array that does not keep the interpreter from running.

    An interpreter refuses to run while anybody holds one of its own arrays, as it might move its tensors: it cannot know that it is
    never asked to.
    """
    own = interpreter.tensor(index)()
    memory = (ctypes.c_uint8 * own.nbytes).from_address(own.ctypes.data)
    return np.frombuffer(memory, own.dtype).reshape(own.shape)


def _bytes_of(stored: NDArray[Any]) -> NDArray[Any]:
    """Return a tensor of 8-bit values as its bytes, which a table of values is read by; any other as it is."""
    return stored.view(np.uint8) if stored.itemsize == 1 else stored


def _real(stored: NDArray[Any], table: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Return an output tensor's values in memory of their own."""
    return stored.copy() if table is None else table.take(stored)
