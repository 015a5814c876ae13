"""Exact rewrites of float networks: the same function, in a form that quantises well and runs everywhere."""

from __future__ import annotations

import numpy as np

from models.tools.flatbuffer import (
    ACTIVATION,
    BUILTIN,
    Model,
    add_buffer,
    builtin_code,
    constant,
    only_graph,
)

_CAN_CARRY_RELU = frozenset({BUILTIN.CONV_2D, BUILTIN.DEPTHWISE_CONV_2D, BUILTIN.ADD})


def fold_half_precision(model: Model) -> int:
    """Store weights that lie as float16 behind a DEQUANTIZE as plain float32; return how many.

    The quantiser cannot see through the DEQUANTIZE. float16 to float32 is exact. Call `tidy` afterwards.
    """
    graph = only_graph(model)
    kept = []
    for operator in graph.operators:
        values = (
            constant(model, int(operator.inputs[0])) if builtin_code(model, operator) == BUILTIN.DEQUANTIZE else None
        )
        if values is not None and values.dtype == np.float16:
            target = graph.tensors[int(operator.outputs[0])]
            target.buffer = add_buffer(model, values.astype(np.float32))
        else:
            kept.append(operator)
    folded = len(graph.operators) - len(kept)
    graph.operators = kept
    return folded


def fuse_relu(model: Model) -> int:
    """Move each stand-alone RELU into the convolution or addition that alone feeds it; return how many.

    Left alone, every RELU of an int8 graph ends a XNNPACK partition: the detector falls into 18 to 45 of them and takes
    17.8 ms in place of 2.5 ms (measured on a shared x86-64 machine). Call `tidy` afterwards.
    """
    graph = only_graph(model)
    producer = {int(out): operator for operator in graph.operators for out in operator.outputs}
    readers: dict[int, int] = {}
    for operator in graph.operators:
        for index in operator.inputs:
            readers[int(index)] = readers.get(int(index), 0) + 1
    results = {int(index) for index in graph.outputs}
    kept = []
    for operator in graph.operators:
        if builtin_code(model, operator) == BUILTIN.RELU:
            source = int(operator.inputs[0])
            before = producer.get(source)
            if (
                before is not None
                and readers[source] == 1
                and source not in results
                and builtin_code(model, before) in _CAN_CARRY_RELU
                and before.builtinOptions.fusedActivationFunction == ACTIVATION.NONE
            ):
                before.builtinOptions.fusedActivationFunction = ACTIVATION.RELU
                before.outputs = operator.outputs
                producer[int(operator.outputs[0])] = before
                continue
        kept.append(operator)
    fused = len(graph.operators) - len(kept)
    graph.operators = kept
    return fused


def last_tensors(model: Model, count: int) -> list[str]:
    """Return the names of what the last operators of a network compute, in order of execution."""
    graph = only_graph(model)
    return [graph.tensors[int(operator.outputs[0])].name.decode() for operator in graph.operators[-count:]]
