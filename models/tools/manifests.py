"""Writing a network's manifest: tensors read from the real file, the rest from its description."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from models.tools.flatbuffer import only_graph, read_model
from models.tools.networks import Description
from protocol.manifest import Calibration, ModelManifest, Preprocessing, Provenance, Tensor

_DTYPES = {schema.TensorType.FLOAT32: "float32", schema.TensorType.INT8: "int8", schema.TensorType.UINT8: "uint8"}


def describe(item: Description, data: bytes) -> ModelManifest:
    """Return the manifest of a network file.

    Raises:
        ValueError: if the file has another number of inputs or outputs than its description.
    """
    inputs, outputs = read_tensors(data, item.roles)
    _, height, width, _ = inputs[0].shape
    package = item.source.package
    return ModelManifest(
        name=item.name,
        task=item.task,
        file=f"{item.name}.tflite",
        sha256=hashlib.sha256(data).hexdigest(),
        description=item.text,
        inputs=inputs,
        outputs=outputs,
        preprocessing=Preprocessing(
            width=width, height=height, multiply=item.multiply, add=item.add, region=item.region
        ),
        provenance=Provenance(
            registry=package.registry,
            package=package.name,
            version=package.version,
            package_sha256=package.sha256,
            path=item.source.path,
            file_sha256=item.source.sha256,
            licence=item.licence,
            notes=item.notes,
        ),
        calibration=Calibration(recipe=item.recipe, faces=item.calibration, count=item.count),
    )


def read_tensors(data: bytes, roles: Sequence[str]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the input, which is the picture, and the outputs of a network file, given the outputs' roles in its order.

    Raises:
        ValueError: if the file has another number of them.
    """
    graph = only_graph(read_model(data))
    inputs, outputs = (
        tuple(_tensor(graph.tensors[int(index)], role) for index, role in zip(found, names, strict=True))
        for found, names in ((graph.inputs, ("image",)), (graph.outputs, roles))
    )
    return inputs, outputs


def to_toml(manifest: ModelManifest) -> str:
    """Return the manifest as TOML: plain keys first, then one table or array of tables for each part."""
    values = manifest.model_dump(mode="json", exclude_none=True)
    plain = {key: value for key, value in values.items() if not isinstance(value, (dict, list))}
    blocks = [_table(plain)]
    for key, value in values.items():
        if isinstance(value, list):
            blocks += [f"[[{key}]]\n{_table(entry)}" for entry in value]
    for key in ("preprocessing", "provenance", "calibration"):
        blocks.append(f"[{key}]\n{_table(values[key])}")
    for name, threshold in values["thresholds"].items():
        blocks.append(f"[thresholds.{name}]\n{_table(threshold)}")
    return "\n".join(blocks)


def _table(values: dict[str, Any]) -> str:
    return "".join(f"{key} = {_literal(value)}\n" for key, value in values.items())


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(_literal(entry) for entry in value) + "]"
    return repr(value)


def _tensor(tensor: Any, role: str) -> Tensor:
    quantization = tensor.quantization
    is_quantized = quantization is not None and quantization.scale is not None and len(quantization.scale) == 1
    return Tensor.model_validate(
        {
            "name": tensor.name.decode(),
            "role": role,
            "shape": [int(n) for n in tensor.shape],
            "dtype": _DTYPES[tensor.type],
            "scale": float(quantization.scale[0]) if is_quantized else 0.0,
            "zero_point": int(quantization.zeroPoint[0]) if is_quantized else 0,
        }
    )
