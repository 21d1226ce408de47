"""Float32 TFLite to int8 with AI Edge Quantizer and our own activation ranges."""

import copy
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import quantizer, recipe
from numpy.typing import NDArray

from edgekit.errors import ConversionError
from edgekit.runtime import Interpreter
from edgekit.tflite import IDENTIFIER, parse

RECIPE = "static_wi8_ai8"
Ranges: TypeAlias = Mapping[str, tuple[float, float]]


def _unpack(flatbuffer: bytes) -> Any:
    return schema.ModelT.InitFromPackedBuf(flatbuffer, 0)


def _pack(model: Any) -> bytes:
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def expose_activations(flatbuffer: bytes) -> bytes:
    """A copy of a model whose outputs are all its activations, in graph order, behind the first.

    The interpreter then keeps them, at full speed: its own switch for that turns XNNPACK off.
    """
    model = _unpack(flatbuffer)
    graph = model.subgraphs[0]
    outputs = list(graph.outputs)
    outputs += [i for op in graph.operators for i in op.outputs if i not in outputs]
    graph.outputs = outputs
    model.signatureDefs = []
    return _pack(model)


def observe_ranges(
    flatbuffer: bytes, pictures: Iterable[NDArray[np.uint8]], threads: int
) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of every activation over the calibration pictures.

    Every range includes 0, which must be representable: paddings and ReLUs produce it.

    Args:
        flatbuffer: the float32 model.
        pictures: input tensors (1, H, W, 3) uint8.
        threads: CPU threads.

    Returns:
        tensor name -> (minimum, maximum). The input's is 0 to 255, whatever the pictures hold:
        one level a pixel value, so that quantising the input loses nothing.
    """
    graph = parse(flatbuffer)
    interpreter = Interpreter(expose_activations(flatbuffer), threads=threads)
    ranges: dict[str, tuple[float, float]] = {}
    for picture in pictures:
        interpreter.set_input(picture)
        interpreter.invoke()
        for name, values in interpreter.outputs():
            low, high = ranges.get(name, (0.0, 0.0))
            ranges[name] = (min(low, float(values.min())), max(high, float(values.max())))
    ranges[graph.tensors[graph.inputs[0]].name] = (0.0, 255.0)
    return ranges


def quantise(flatbuffer: bytes, ranges: Ranges) -> bytes:
    """Quantise to int8: per-channel weights, per-tensor activations, uint8 input and output.

    Raises:
        ConversionError: the quantiser gave up, or a part of the graph stayed in float.
    """
    calibration = {
        name: {"min": np.array(low, np.float32), "max": np.array(high, np.float32)}
        for name, (low, high) in ranges.items()
    }
    worker = quantizer.Quantizer(bytearray(flatbuffer))
    worker.load_quantization_recipe(recipe.static_wi8_ai8())
    with warnings.catch_warnings():
        # It warns that the recipe's name is not among its own.
        warnings.simplefilter("ignore")
        try:
            result = worker.quantize(calibration)
        except (ValueError, RuntimeError) as error:
            raise ConversionError(
                f"AI Edge Quantizer cannot quantise this model ({error}); its weights may be of "
                "very unequal size"
            ) from error
    quantised = _with_uint8_ends(bytes(result.quantized_model))
    graph = parse(quantised)
    floats = sorted({t.name for t in graph.tensors if t.dtype == "float32"})
    if floats:
        raise ConversionError(f"{len(floats)} tensors stayed in float, the first is {floats[0]}")
    return quantised


def _with_uint8_ends(flatbuffer: bytes) -> bytes:
    """Put a QUANTIZE behind the int8 input and before the int8 output, as Coral's models have.

    uint8 with zero point z + 128 holds the same values as int8 with zero point z.
    """
    model = _unpack(flatbuffer)
    graph = model.subgraphs[0]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    code.version = 1
    model.operatorCodes.append(code)

    def add_uint8_twin(index: int, name: str) -> int:
        twin = copy.deepcopy(graph.tensors[index])
        twin.type = schema.TensorType.UINT8
        twin.name = name.encode()
        twin.quantization.zeroPoint = [int(z) + 128 for z in twin.quantization.zeroPoint]
        graph.tensors.append(twin)
        return len(graph.tensors) - 1

    def requantise(source: int, target: int) -> Any:
        operator = schema.OperatorT()
        operator.opcodeIndex = len(model.operatorCodes) - 1
        operator.inputs, operator.outputs = [source], [target]
        operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
        operator.builtinOptions = schema.QuantizeOptionsT()
        return operator

    old_input, old_output = int(graph.inputs[0]), int(graph.outputs[0])
    new_input = add_uint8_twin(old_input, "image")
    new_output = add_uint8_twin(old_output, "probabilities")
    graph.tensors[old_input].name = b"image_int8"
    graph.tensors[old_output].name = b"probabilities_int8"
    graph.operators.insert(0, requantise(new_input, old_input))
    graph.operators.append(requantise(old_output, new_output))
    graph.inputs, graph.outputs = [new_input], [new_output]
    for signature in model.signatureDefs or []:
        for tensor_map, index in ((signature.inputs, new_input), (signature.outputs, new_output)):
            for entry in tensor_map:
                entry.tensorIndex = index
    return _pack(model)
