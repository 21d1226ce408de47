"""The model that `edgekit doctor` tries runtimes on: convolution, mean, softmax.

`python -m tests.device.doctor.probe_model` writes it into the package; a test compares.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from edgekit_device.doctor.probe import MODEL

SIZE = 8
_CHANNELS = 3
_SCALE = 1 / 32
_KINDS = schema.BuiltinOperator


def _tensor(name: str, shape: list[int], kind: int, scale: float, buffer: int = 0) -> object:
    made = schema.TensorT()
    made.name, made.shape, made.type, made.buffer = name.encode(), shape, kind, buffer
    if scale:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = [scale], [0]
    return made


def _operator(code: int, inputs: list[int], outputs: list[int], kind: str) -> schema.OperatorT:
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = code, inputs, outputs
    made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
    made.builtinOptions = getattr(schema, f"{kind}T")()
    return made


def _code(kind: int, version: int) -> schema.OperatorCodeT:
    made = schema.OperatorCodeT()
    made.builtinCode = made.deprecatedBuiltinCode = kind
    made.version = version
    return made


def _buffer(values: np.ndarray) -> schema.BufferT:
    made = schema.BufferT()
    made.data = np.frombuffer(values.tobytes(), np.uint8)
    return made


def probe_model() -> bytes:
    """uint8 (1, 8, 8, 3) pixels to uint8 (1, 3) probabilities: which channel is the brightest."""
    byte, integer = schema.TensorType.UINT8, schema.TensorType.INT32
    graph, model = schema.SubGraphT(), schema.ModelT()
    picture = [1, SIZE, SIZE, _CHANNELS]
    graph.tensors = [
        _tensor("pixels", picture, byte, _SCALE),
        _tensor("weights", [_CHANNELS, 1, 1, _CHANNELS], byte, 1 / 255, buffer=1),
        _tensor("bias", [_CHANNELS], integer, _SCALE / 255, buffer=2),
        _tensor("channels", picture, byte, _SCALE),
        _tensor("axes", [2], integer, 0, buffer=3),
        _tensor("means", [1, _CHANNELS], byte, _SCALE),
        _tensor("probabilities", [1, _CHANNELS], byte, 1 / 256),
    ]
    graph.inputs, graph.outputs = [0], [6]
    convolution = _operator(0, [0, 1, 2], [3], "Conv2DOptions")
    convolution.builtinOptions.strideH = convolution.builtinOptions.strideW = 1
    softmax = _operator(2, [5], [6], "SoftmaxOptions")
    softmax.builtinOptions.beta = 1.0
    graph.operators = [convolution, _operator(1, [3, 4], [5], "ReducerOptions"), softmax]
    model.operatorCodes = [
        _code(_KINDS.CONV_2D, 1),
        _code(_KINDS.MEAN, 2),
        _code(_KINDS.SOFTMAX, 2),
    ]
    model.version, model.subgraphs = 3, [graph]
    model.buffers = [
        schema.BufferT(),
        _buffer(255 * np.eye(_CHANNELS, dtype=np.uint8)),
        _buffer(np.zeros(_CHANNELS, np.int32)),
        _buffer(np.array([1, 2], np.int32)),
    ]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


if __name__ == "__main__":
    MODEL.write_bytes(probe_model())
