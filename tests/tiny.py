"""A classifier of three operators that names a picture's strongest colour, made in no time."""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekit.model.container import pack
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import (
    SCHEMA_VERSION,
    Fidelity,
    Manifest,
    Normalization,
    Quantization,
)

COLOURS = ("red", "green", "blue")
LABELS = "".join(f"{colour}\n" for colour in COLOURS).encode()
SIZE = 8


def _tensor(
    name: str, shape: list[int], kind: int, scale: float, buffer: int = 0, zero: int = 0
) -> object:
    made = schema.TensorT()
    made.name, made.shape, made.type, made.buffer = name.encode(), shape, kind, buffer
    if scale:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = [scale], [zero]
    return made


def _operator(code: int, inputs: list[int], outputs: list[int]) -> schema.OperatorT:
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = code, inputs, outputs
    return made


def _code(kind: int, version: int = 1, custom: bytes | None = None) -> object:
    made = schema.OperatorCodeT()
    made.builtinCode = made.deprecatedBuiltinCode = kind
    made.version, made.customCode = version, custom
    return made


def tiny_flatbuffer(
    *,
    compiled: bool = False,
    logits: bool = False,
    scale: float = 1 / 255,
    zero_point: int = 0,
    dtype: str = "UINT8",
    shape: Sequence[int] = (1, 3),
) -> bytes:
    """Make it: uint8 (1, 8, 8, 3) pixels to uint8 (1, 3) probabilities.

    Args:
        compiled: let the only operator be the one that the Edge TPU's compiler leaves.
        logits: leave the softmax out.
        scale, zero_point: of the input, and of the logits.
        dtype: of input and output, in TFLite's letters.
        shape: that it claims to have for its output.
    """
    kinds = schema.BuiltinOperator
    graph, model, axes = schema.SubGraphT(), schema.ModelT(), schema.BufferT()
    kind, lowest = getattr(schema.TensorType, dtype), {"INT8": -128}.get(dtype, 0)
    quantized = dtype != "FLOAT32"
    scales = (scale, 1 / 256) if quantized else (0, 0)
    axes.data = np.frombuffer(np.array([1, 2], np.int32).tobytes(), np.uint8)
    graph.tensors = [
        _tensor("pixels", [1, SIZE, SIZE, 3], kind, scales[0], zero=zero_point),
        _tensor("axes", [2], schema.TensorType.INT32, 0, buffer=1),
        _tensor("means", [1, 3], kind, scales[0], zero=zero_point),
        _tensor("probabilities", [*shape], kind, scales[1], zero=lowest),
    ]
    graph.inputs, graph.outputs = [0], [2 if logits else 3]
    if compiled:
        model.operatorCodes = [_code(kinds.CUSTOM, custom=b"edgetpu-custom-op")]
        graph.operators = [_operator(0, [0], [graph.outputs[0]])]
    else:
        mean, softmax = _operator(0, [0, 1], [2]), _operator(1, [2], [3])
        mean.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
        mean.builtinOptions = schema.ReducerOptionsT()
        softmax.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
        softmax.builtinOptions = schema.SoftmaxOptionsT()
        softmax.builtinOptions.beta = 8.0
        model.operatorCodes = [_code(kinds.MEAN, 2), _code(kinds.SOFTMAX, 2)]
        graph.operators = [mean] if logits else [mean, softmax]
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT(), axes]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tiny_model(path: Path, *, labels: bytes | None = LABELS, **options: Any) -> Path:
    """Write it with a label file, or without one; options are those of `tiny_flatbuffer`."""
    file = io.BytesIO(tiny_flatbuffer(**options))
    if labels is not None:
        with zipfile.ZipFile(file, "a") as texts:
            texts.writestr("labels.txt", labels)
    path.write_bytes(file.getvalue())
    return path


def own_model(path: Path, labels: Sequence[str] = COLOURS, **manifest: Any) -> Path:
    """Write it with a manifest, of which these fields are as given."""
    flatbuffer = tiny_flatbuffer()
    quantization = Quantization(
        ranges="min-max", equalized=False, rounding="nearest", bias_corrected=False,
        scheme="static_wi8_ai8", calibration="pictures", images=1, calibration_sha256="", seed=0,
    )  # fmt: skip
    usual: dict[str, Any] = {
        "schema": SCHEMA_VERSION, "arch": "onnx", "head": "", "classes": len(labels),
        "geometry": Geometry(SIZE, SIZE), "normalization": Normalization((0, 0, 0), (1, 1, 1)),
        "quantization": quantization, "fidelity": Fidelity("calibration", []),
        "flatbuffer_sha256": hashlib.sha256(flatbuffer).hexdigest(),
        "weights": "tiny", "weights_sha256": "", "tools": {},
    }  # fmt: skip
    path.write_bytes(pack(flatbuffer, Manifest(**usual | manifest), list(labels)))
    return path
