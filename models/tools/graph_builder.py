"""Writing a float network as a TensorFlow Lite flatbuffer, operator by operator, without a training framework.

Tensors are NHWC. Convolution weights are (out, height, width, in), depthwise weights (1, height, width, channels), the
flatbuffer's own layouts.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from models.tools.flatbuffer import ACTIVATION, BUILTIN, SCHEMA_VERSION, tidy, write_model

Padding = Literal["SAME", "VALID"]
Weights = NDArray[np.float32]

_PADDING = {"SAME": schema.Padding.SAME, "VALID": schema.Padding.VALID}


class GraphBuilder:
    """Collects operators in order of execution; every method returns the index of the tensor it computes."""

    def __init__(self, input_shape: tuple[int, int, int, int]) -> None:
        self._model = schema.ModelT()
        self._model.version = SCHEMA_VERSION
        self._model.description = b""
        self._model.buffers = [schema.BufferT()]
        self._model.operatorCodes = []
        self._graph = schema.SubGraphT()
        self._graph.name = b"main"
        self._graph.tensors, self._graph.operators = [], []
        self._model.subgraphs = [self._graph]
        self.input = self._tensor("input", input_shape)

    def finish(self, output: int) -> bytes:
        """Return the file whose only output is this tensor."""
        self._graph.inputs, self._graph.outputs = [self.input], [output]
        tidy(self._model)
        return write_model(self._model)

    def conv(
        self, x: int, name: str, weights: Weights, bias: Weights, *, stride: int, padding: Padding, relu: bool = False
    ) -> int:
        """Convolve; weights (out, height, width, in), bias (out,)."""
        options = schema.Conv2DOptionsT()
        options.strideH = options.strideW = stride
        options.dilationHFactor = options.dilationWFactor = 1
        options.padding = _PADDING[padding]
        options.fusedActivationFunction = ACTIVATION.RELU if relu else ACTIVATION.NONE
        shape = self._window(x, weights.shape[1:3], stride, padding, weights.shape[0])
        inputs = [x, self._constant(f"{name}/weights", weights), self._constant(f"{name}/bias", bias)]
        return self._operator(BUILTIN.CONV_2D, "Conv2DOptions", options, inputs, name, shape)

    def depthwise(self, x: int, name: str, weights: Weights, bias: Weights, *, stride: int, padding: Padding) -> int:
        """Convolve each channel by itself; weights (1, height, width, channels), bias (channels,)."""
        options = schema.DepthwiseConv2DOptionsT()
        options.strideH = options.strideW = stride
        options.dilationHFactor = options.dilationWFactor = options.depthMultiplier = 1
        options.padding = _PADDING[padding]
        shape = self._window(x, weights.shape[1:3], stride, padding, weights.shape[3])
        inputs = [x, self._constant(f"{name}/weights", weights), self._constant(f"{name}/bias", bias)]
        return self._operator(BUILTIN.DEPTHWISE_CONV_2D, "DepthwiseConv2DOptions", options, inputs, name, shape)

    def pool(self, x: int, name: str, *, kind: Literal["max", "average"], size: int, stride: int) -> int:
        """Pool windows of size x size that lie wholly inside."""
        options = schema.Pool2DOptionsT()
        options.strideH = options.strideW = stride
        options.filterHeight = options.filterWidth = size
        options.padding = _PADDING["VALID"]
        shape = self._window(x, (size, size), stride, "VALID", self.shape(x)[3])
        code = BUILTIN.MAX_POOL_2D if kind == "max" else BUILTIN.AVERAGE_POOL_2D
        return self._operator(code, "Pool2DOptions", options, [x], name, shape)

    def pad(self, x: int, name: str, amounts: list[tuple[int, int]]) -> int:
        """Put zeros before and after along each of the four axes."""
        shape = tuple(n + before + after for n, (before, after) in zip(self.shape(x), amounts, strict=True))
        inputs = [x, self._constant(f"{name}/amounts", np.array(amounts, np.int32))]
        return self._operator(BUILTIN.PAD, "PadOptions", schema.PadOptionsT(), inputs, name, shape)

    def add(self, x: int, y: int, name: str, *, relu: bool = False) -> int:
        """Add two tensors of one shape."""
        options = schema.AddOptionsT()
        options.fusedActivationFunction = ACTIVATION.RELU if relu else ACTIVATION.NONE
        return self._operator(BUILTIN.ADD, "AddOptions", options, [x, y], name, self.shape(x))

    def multiply(self, x: int, y: int, name: str) -> int:
        """Multiply x by y, whose axes of length 1 are repeated to x's."""
        return self._operator(BUILTIN.MUL, "MulOptions", schema.MulOptionsT(), [x, y], name, self.shape(x))

    def sigmoid(self, x: int, name: str) -> int:
        """Return 1 / (1 + exp(-x)) of every value."""
        return self._operator(BUILTIN.LOGISTIC, None, None, [x], name, self.shape(x))

    def softmax(self, x: int, name: str) -> int:
        """Return the softmax over the last axis."""
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        return self._operator(BUILTIN.SOFTMAX, "SoftmaxOptions", options, [x], name, self.shape(x))

    def slice(self, x: int, name: str, *, begin: tuple[int, ...], size: tuple[int, ...]) -> int:
        """Cut a block out; its first index and its length on each axis."""
        inputs = [
            x,
            *(
                self._constant(f"{name}/{part}", np.array(values, np.int32))
                for part, values in (("begin", begin), ("size", size))
            ),
        ]
        return self._operator(BUILTIN.SLICE, "SliceOptions", schema.SliceOptionsT(), inputs, name, size)

    def prelu(self, x: int, name: str, slopes: Weights) -> int:
        """Return max(x, slopes * x), which is PReLU where every slope is at most 1; slopes (channels,).

        The quantiser has no int8 PRELU; MUL and MAXIMUM it has.

        Raises:
            ValueError: if a slope is above 1.
        """
        if float(slopes.max()) > 1:
            raise ValueError(f"{name}: slope {float(slopes.max())} is above 1")
        inputs = [x, self._constant(f"{name}/slopes", slopes.reshape(1, 1, 1, -1))]
        scaled = self._operator(
            BUILTIN.MUL, "MulOptions", schema.MulOptionsT(), inputs, f"{name}/scaled", self.shape(x)
        )
        options = schema.MaximumMinimumOptionsT()
        return self._operator(BUILTIN.MAXIMUM, "MaximumMinimumOptions", options, [x, scaled], name, self.shape(x))

    def reshape(self, x: int, name: str, shape: tuple[int, ...]) -> int:
        """Give the values another shape."""
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        inputs = [x, self._constant(f"{name}/shape", np.array(shape, np.int32))]
        return self._operator(BUILTIN.RESHAPE, "ReshapeOptions", options, inputs, name, shape)

    def _window(self, x: int, size: tuple[int, ...], stride: int, padding: Padding, channels: int) -> tuple[int, ...]:
        batch, height, width, _ = self.shape(x)
        if padding == "SAME":
            return batch, -(-height // stride), -(-width // stride), channels
        return batch, (height - size[0]) // stride + 1, (width - size[1]) // stride + 1, channels

    def shape(self, x: int) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(int(n) for n in self._graph.tensors[x].shape)

    def _tensor(self, name: str, shape: tuple[int, ...], values: NDArray[Any] | None = None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name.encode(), list(shape), 0
        tensor.type = schema.TensorType.FLOAT32
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            self._model.buffers.append(buffer)
            tensor.buffer = len(self._model.buffers) - 1
            if values.dtype == np.int32:
                tensor.type = schema.TensorType.INT32
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _constant(self, name: str, values: NDArray[Any]) -> int:
        stored = values if values.dtype == np.int32 else values.astype(np.float32)
        return self._tensor(name, stored.shape, stored)

    def _operator(
        self, code: int, options_name: str | None, options: Any, inputs: list[int], name: str, shape: tuple[int, ...]
    ) -> int:
        known = [item.builtinCode for item in self._model.operatorCodes]
        if code not in known:
            item = schema.OperatorCodeT()
            item.builtinCode, item.deprecatedBuiltinCode, item.version = code, code, 1
            self._model.operatorCodes.append(item)
            known.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = known.index(code)
        if options_name is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options_name)
            operator.builtinOptions = options
        operator.inputs, operator.outputs = inputs, [self._tensor(name, shape)]
        self._graph.operators.append(operator)
        return int(operator.outputs[0])
