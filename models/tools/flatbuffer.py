"""Reading, tidying and writing the flatbuffers that TensorFlow Lite files are.

The object tree is the one the schema's own generated classes make (`ModelT`, `SubGraphT`, `TensorT`, `OperatorT`).
Only float and int8 files with one subgraph are handled: that is all this project has.

Source: TensorFlow Lite schema, version 3, as generated Python in the package ai-edge-litert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flatbuffers  # type: ignore[import-untyped]  # has no type information
import numpy as np
from ai_edge_litert import schema_py_generated as schema

if TYPE_CHECKING:
    from numpy.typing import NDArray

BUILTIN = schema.BuiltinOperator
ACTIVATION = schema.ActivationFunctionType
SIGNATURE = "serving_default"
SCHEMA_VERSION = 3
# The generated classes carry no types; this name says what is meant where they pass through.
Model = Any
Operator = Any
Subgraph = Any

_FILE_IDENTIFIER = b"TFL3"
# `deprecated_builtin_code` is a signed byte; codes above it say "look in builtin_code".
_LARGEST_OLD_CODE = 127
_DTYPES: dict[int, type[np.generic]] = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
}


def read_model(data: bytes) -> Model:
    """Parse a network file into the schema's object tree, with all stored values inside it."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    for buffer in model.buffers:
        # The quantiser stores values behind the flatbuffer and leaves their place here; 0 and 1 mean "not so".
        if buffer.offset > 1:
            buffer.data = np.frombuffer(data, np.uint8, int(buffer.size), int(buffer.offset))
        buffer.offset = buffer.size = 0
    return model


def write_model(model: Model) -> bytes:
    """Serialise an object tree; the same tree always gives the same bytes."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


def input_name(model: Model) -> str:
    """Return the name of the only input tensor."""
    graph = only_graph(model)
    return str(graph.tensors[int(graph.inputs[0])].name.decode())


def only_graph(model: Model) -> Subgraph:
    """Return the one subgraph.

    Raises:
        ValueError: if there are several.
    """
    if len(model.subgraphs) != 1:
        raise ValueError(f"network has {len(model.subgraphs)} subgraphs, expected 1")
    return model.subgraphs[0]


def builtin_code(model: Model, operator: Operator) -> int:
    """Return what an operator is, whichever of the two fields of the schema its file has filled."""
    code = model.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def constant(model: Model, tensor: int) -> NDArray[Any] | None:
    """Return a tensor's stored values in its own shape and dtype, or None for one computed at run time."""
    item = only_graph(model).tensors[tensor]
    data = model.buffers[item.buffer].data
    if data is None or len(data) == 0:
        return None
    return np.frombuffer(bytes(bytearray(data)), _DTYPES[item.type]).reshape(item.shape)


def add_buffer(model: Model, values: NDArray[Any]) -> int:
    """Append a buffer with these values and return its index."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def tidy(model: Model) -> None:
    """Bring an edited tree into the form that every runtime and the quantiser accept.

    Drops tensors, operator codes and buffers that nothing uses (an unused code of a newer version makes an older runtime refuse
    the file), fills both operator code fields (old files set only the deprecated one, and the quantiser reads only the
    other), and gives the graph the signature that calibration asks for.
    """
    graph = only_graph(model)
    _drop_unused_tensors(graph)
    _drop_unused_codes(model, graph)
    model.signatureDefs = [_signature(graph)]
    model.metadata = None
    model.metadataBuffer = None
    _drop_unused_buffers(model, graph)
    model.version = SCHEMA_VERSION


def _drop_unused_tensors(graph: Subgraph) -> None:
    used = {int(i) for i in [*graph.inputs, *graph.outputs]}
    for operator in graph.operators:
        used |= {int(i) for i in [*operator.inputs, *operator.outputs] if i >= 0}
    new_index = {old: new for new, old in enumerate(sorted(used))}
    graph.tensors = [graph.tensors[old] for old in sorted(used)]

    def moved(indices: list[int]) -> list[int]:
        return [new_index[int(i)] if i >= 0 else -1 for i in indices]

    graph.inputs, graph.outputs = moved(graph.inputs), moved(graph.outputs)
    for operator in graph.operators:
        operator.inputs, operator.outputs = moved(operator.inputs), moved(operator.outputs)
        operator.intermediates = None


def _drop_unused_codes(model: Model, graph: Subgraph) -> None:
    used = sorted({operator.opcodeIndex for operator in graph.operators})
    new_index = {old: new for new, old in enumerate(used)}
    model.operatorCodes = [model.operatorCodes[old] for old in used]
    for operator in graph.operators:
        operator.opcodeIndex = new_index[operator.opcodeIndex]
    for code in model.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
        code.deprecatedBuiltinCode = min(code.builtinCode, _LARGEST_OLD_CODE)


def _drop_unused_buffers(model: Model, graph: Subgraph) -> None:
    # Buffer 0 is the empty one by convention of the schema.
    used = sorted({0} | {tensor.buffer for tensor in graph.tensors})
    new_index = {old: new for new, old in enumerate(used)}
    model.buffers = [model.buffers[old] for old in used]
    for tensor in graph.tensors:
        tensor.buffer = new_index[tensor.buffer]


def _signature(graph: Subgraph) -> Any:
    def entry(name: str, index: int) -> Any:
        item = schema.TensorMapT()
        item.name, item.tensorIndex = name.encode(), int(index)
        return item

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE.encode(), 0
    signature.inputs = [entry("input", graph.inputs[0])]
    signature.outputs = [entry(f"output_{k}", index) for k, index in enumerate(graph.outputs)]
    return signature
