"""Float TFLite networks of a few operators, with weights that a test chooses; made in no time."""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from edgekit_convert.graph.flatbuffer import expose_activations
from numpy.typing import ArrayLike, NDArray

from edgekit.inference.interpreter import Interpreter

NONE, RELU, RELU6 = 0, 1, 3
# Operators whose first version is not 1.
_FLOAT_VERSIONS = {"BROADCAST_TO": 2}


class Toy:
    """A float network under construction; each method adds an operator and returns its output.

    Tensors are called as their operator's position says: `conv0`, `add1`, …; the input is `image`.
    Convolutions do not pad and have a stride of 1.
    """

    def __init__(self, height: int, width: int, channels: int = 3) -> None:
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._model = schema.ModelT()
        self._model.version, self._model.subgraphs = 3, [self._graph]
        self._model.buffers, self._model.operatorCodes = [schema.BufferT()], []
        self._constants = 0
        self.image = self._tensor("image", [1, height, width, channels])

    def conv(
        self, source: int, weight: ArrayLike, bias: ArrayLike | None, fused: int = RELU
    ) -> int:
        """Weight (outputs, height, width, inputs), bias (outputs,)."""
        options = schema.Conv2DOptionsT()
        return self._convolution("conv", "CONV_2D", source, weight, bias, fused, options)

    def depthwise(
        self, source: int, weight: ArrayLike, bias: ArrayLike | None, fused: int = RELU
    ) -> int:
        """Weight (1, height, width, outputs), bias (outputs,)."""
        options = schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = np.shape(weight)[-1] // self._shape(source)[-1]
        kind = "DEPTHWISE_CONV_2D"
        return self._convolution("depthwise", kind, source, weight, bias, fused, options)

    def dense(
        self, source: int, weight: ArrayLike, bias: ArrayLike | None, fused: int = NONE
    ) -> int:
        """Weight (outputs, inputs), bias (outputs,)."""
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = fused
        inputs = [source, self._constant("w", weight)]
        if bias is not None:
            inputs.append(self._constant("b", bias))
        shape = [1, np.shape(weight)[0]]
        return self._operator("dense", "FULLY_CONNECTED", inputs, shape, options)

    def add(self, left: int, right: int, fused: int = RELU) -> int:
        options = schema.AddOptionsT()
        options.fusedActivationFunction = fused
        return self._operator("add", "ADD", [left, right], self._shape(left), options)

    def max_pool(self, source: int, size: int) -> int:
        options = schema.Pool2DOptionsT()
        options.padding = schema.Padding.VALID
        options.filterHeight = options.filterWidth = options.strideH = options.strideW = size
        _, height, width, channels = self._shape(source)
        shape = [1, height // size, width // size, channels]
        return self._operator("pool", "MAX_POOL_2D", [source], shape, options)

    def mean(self, source: int) -> int:
        axes = self._constant("axes", np.array([1, 2], np.int32))
        shape = [1, self._shape(source)[-1]]
        options = schema.ReducerOptionsT()
        return self._operator("mean", "MEAN", [source, axes], shape, options)

    def softmax(self, source: int) -> int:
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        return self._operator("softmax", "SOFTMAX", [source], self._shape(source), options)

    def apply(
        self, kind: str, inputs: list[int], shape: list[int], options: Any = None, **fields: Any
    ) -> int:
        """Any operator of one output, with the fields of its options; named like its kind."""
        return self.apply_many(kind, inputs, [shape], options, **fields)[0]

    def apply_many(
        self, kind: str, inputs: list[int], shapes: list[list[int]], options: Any = None,
        **fields: Any,
    ) -> list[int]:  # fmt: skip
        """Any operator of several outputs."""
        for name, value in fields.items():
            assert hasattr(options, name)
            setattr(options, name, value)
        name = kind.lower()
        output = self._operator(name, kind, inputs, shapes[0], options)
        operator = self._graph.operators[-1]
        for number, shape in enumerate(shapes[1:], 1):
            name = f"{kind.lower()}{len(self._graph.operators) - 1}_{number}"
            operator.outputs.append(self._tensor(name, shape))
        return [output, *operator.outputs[1:]]

    def constant(self, values: ArrayLike) -> int:
        """A constant: int32 or bool as they are, anything else as float32."""
        self._constants += 1
        return self._constant(f"constant{self._constants}_", values)

    def retype(self, tensor: int, kind: int) -> None:
        """Give a tensor a type of the schema's other than float32."""
        self._graph.tensors[tensor].type = kind

    def build(self, output: int) -> bytes:
        """The flatbuffer."""
        self._graph.inputs, self._graph.outputs = [self.image], [output]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _shape(self, tensor: int) -> list[int]:
        return [int(size) for size in self._graph.tensors[tensor].shape]

    def _convolution(
        self, name: str, kind: str, source: int, weight: ArrayLike, bias: ArrayLike | None,
        fused: int, options: Any,
    ) -> int:  # fmt: skip
        weight = np.asarray(weight)
        options.padding, options.strideH, options.strideW = schema.Padding.VALID, 1, 1
        options.fusedActivationFunction = fused
        inputs = [source, self._constant("w", weight)]
        if bias is not None:
            inputs.append(self._constant("b", bias))
        _, height, width, _ = self._shape(source)
        outputs = weight.shape[-1] if kind == "DEPTHWISE_CONV_2D" else weight.shape[0]
        shape = [1, height - weight.shape[1] + 1, width - weight.shape[2] + 1, outputs]
        return self._operator(name, kind, inputs, shape, options)

    def _constant(self, name: str, values: ArrayLike) -> int:
        values = np.asarray(values)
        kinds = schema.TensorType
        kind = {np.int32: kinds.INT32, np.bool_: kinds.BOOL}.get(values.dtype.type, kinds.FLOAT32)
        if kind == kinds.FLOAT32:
            values = values.astype(np.float32)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        index = self._tensor(f"{name}{len(self._graph.operators)}", list(values.shape))
        self._graph.tensors[index].buffer = len(self._model.buffers) - 1
        self._graph.tensors[index].type = kind
        return index

    def _tensor(self, name: str, shape: list[int]) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name.encode(), shape, 0, 0
        self._graph.tensors.append(made)
        return len(self._graph.tensors) - 1

    def _operator(
        self, name: str, kind: str, inputs: list[int], shape: list[int], options: Any
    ) -> int:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)  # a byte
        code.version = _FLOAT_VERSIONS.get(kind, 1)
        output = self._tensor(f"{name}{len(self._graph.operators)}", shape)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = (
            len(self._model.operatorCodes),
            inputs,
            [output],
        )
        if options is not None:
            made.builtinOptions = options
            options_name = type(options).__name__.removesuffix("T")
            made.builtinOptionsType = getattr(schema.BuiltinOptions, options_name)
        self._model.operatorCodes.append(code)
        self._graph.operators.append(made)
        return output


def run(flatbuffer: bytes, pictures: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Every activation by name, over pictures (N, H, W, C), computed by the interpreter."""
    interpreter = Interpreter(expose_activations(flatbuffer))
    found: dict[str, list[NDArray[np.float32]]] = {}
    for index in range(len(pictures)):
        interpreter.set_input(pictures[index : index + 1])
        interpreter.invoke()
        for name, values in interpreter.outputs():
            found.setdefault(name, []).append(values.copy())
    return {name: np.concatenate(values) for name, values in found.items()}


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    """Pictures of random pixels."""
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def normal(*shape: int, seed: int = 0) -> NDArray[np.float64]:
    """Random weights around 0."""
    return np.random.default_rng(seed).normal(size=shape)
