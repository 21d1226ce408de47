"""What a graph must be, for an interpreter to run it.

Interpreters take these for granted: every tensor is written before it is read, and once; constants
stay; shapes, scales and sizes are what kernels compute. What is checked here needs no kernel.
"""

import math
import struct
from collections.abc import Iterator, Sequence

from edgekit.errors import ModelFileError
from edgekit.model import limits
from edgekit.model.flatbuffer import BITS, Graph, Operator, Tensor
from edgekit.model.operators import check_operator, is_constant
from edgekit.model.shapes import Node, Shape

# Of the zero points of each type; others are quantized around 0.
_RANGES = {"uint8": (0, 255), "int8": (-128, 127)}
# How integers are unpacked.
_INTEGERS = {"int32": "i", "int64": "q"}


def check_graphs(graphs: Sequence[Graph], flatbuffer: bytes) -> None:
    """Check all graphs of a file.

    Raises:
        ModelFileError: an interpreter could not run one; the message is a clause without the
            file's name.
    """
    for graph in graphs:
        for tensor in graph.tensors:
            try:
                _check_tensor(tensor)
            except ModelFileError as error:
                raise ModelFileError(f"tensor {tensor.name[:80]!r} {error}") from error
        _check_order(graph)
        _check_sizes(graph, _shapes(graph, flatbuffer))


def _check_tensor(tensor: Tensor) -> None:
    """The message is a clause without the tensor's name."""
    if tensor.dtype not in BITS:
        raise ModelFileError(f"is of the type {tensor.dtype}, which no classifier has")
    shape, allocated = tensor.shape, tensor.allocated
    if max(len(shape), len(allocated)) > limits.DIMENSIONS:
        raise ModelFileError(f"has {len(shape)} dimensions; at most {limits.DIMENSIONS} are read")
    if min(allocated, default=0) < 0 or not _agree(allocated, shape):
        raise ModelFileError(f"has the shape {list(allocated)}, and {list(shape)} too")
    number = math.prod(allocated)
    bits = BITS[tensor.dtype]
    if tensor.is_sparse:
        raise ModelFileError("leaves zeros out (sparsity); convert the model without that")
    if tensor.buffer:
        expected = -(-number * bits // 8)
        if tensor.buffer != expected:
            raise ModelFileError(f"holds {tensor.buffer} bytes instead of {expected}")
        # Writers in Python align vectors of bytes to four, whatever is in them.
        if tensor.start % min(max(bits // 8, 1), 4):
            raise ModelFileError("holds data that is not aligned")
        if tensor.is_variable:
            raise ModelFileError("is a constant, and a variable too")
    _check_quantization(tensor)


def _check_quantization(tensor: Tensor) -> None:
    scales, zeros, shape = tensor.scale, tensor.zero_point, tensor.allocated
    if not scales:
        return
    if len(zeros) != len(scales):
        raise ModelFileError(f"has {len(scales)} scales and {len(zeros)} zero points")
    if not all(1 / limits.SCALE < scale < limits.SCALE for scale in scales):
        raise ModelFileError("has a scale that is not positive, or beyond all measure")
    low, high = _RANGES.get(tensor.dtype, (-(1 << 31), (1 << 31) - 1))
    if not low <= min(zeros) <= max(zeros) <= high:
        raise ModelFileError(f"has a zero point that is no {tensor.dtype}")
    if len(scales) > 1:
        channels = shape[tensor.axis] if 0 <= tensor.axis < len(shape) else 0
        if len(scales) != channels:
            raise ModelFileError(f"has {len(scales)} scales, {channels} channels")


def _agree(shape: Shape, stated: Shape) -> bool:
    """Whether a shape is the one that is stated, where -1 is any size."""
    return len(shape) == len(stated) and all(
        size in (other, -1) for other, size in zip(shape, stated, strict=True)
    )


def _check_order(graph: Graph) -> None:
    """Refuse what is read before it is written, written twice, or written over a constant."""
    known = {i for i, tensor in enumerate(graph.tensors) if is_constant(tensor)}
    if known.intersection(graph.inputs) or len(set(graph.inputs)) < len(graph.inputs):
        raise ModelFileError("an input is a constant, or there twice")
    written = set(graph.inputs)
    # Operators change variables in place.
    known |= written | {i for i, tensor in enumerate(graph.tensors) if tensor.is_variable}
    for operator in graph.operators:
        if any(i >= 0 and i not in known for i in operator.inputs):
            raise ModelFileError(f"{operator.name} reads a tensor before it is written")
        for i in operator.outputs:
            if i < 0 or i in known:
                raise ModelFileError(f"{operator.name} writes a tensor that has a value")
            known.add(i)
    answers = set(graph.outputs)
    if (
        not answers <= known
        or answers & written
        or any(is_constant(graph.tensors[i]) for i in answers)
    ):
        raise ModelFileError("an output is not computed")


class _Integers:
    """The integers in constants; as many, all together, as a file may have in its lists."""

    def __init__(self, flatbuffer: bytes) -> None:
        self._flatbuffer = flatbuffer
        self._read = 0

    def __call__(self, tensor: Tensor) -> Shape | None:
        """Those of a tensor; None for one that is no constant of integers."""
        if tensor.dtype not in _INTEGERS or not is_constant(tensor):
            return None
        number = math.prod(tensor.allocated)
        self._read += number
        limits.check(self._read, limits.NUMBERS, "numbers in lists")
        layout = f"<{number}{_INTEGERS[tensor.dtype]}"
        return struct.unpack_from(layout, self._flatbuffer, tensor.start)


def _shapes(graph: Graph, flatbuffer: bytes) -> list[Shape]:
    """The shape of every tensor as an interpreter allocates it, every operator checked."""
    found = [tensor.allocated for tensor in graph.tensors]
    known = [is_constant(tensor) for tensor in graph.tensors]
    for i in graph.inputs:
        known[i] = True
    integers = _Integers(flatbuffer)
    for operator in graph.operators:
        inputs = [graph.tensors[i] if i >= 0 else None for i in operator.inputs]
        node = Node(
            operator,
            inputs,
            [graph.tensors[i] for i in operator.outputs],
            [found[i] if i >= 0 and known[i] else None for i in operator.inputs],
            integers,
        )
        for i, shape in zip(operator.outputs, check_operator(node), strict=True):
            tensor = graph.tensors[i]
            if shape is None:
                # Computed sizes: what the file says is right, unless it says that it is not known.
                known[i] = bool(tensor.allocated) and tensor.shape == tensor.allocated
                continue
            if not _agree(shape, tensor.shape):
                raise ModelFileError(
                    f"{operator.name} gives {list(shape)} where the file says {list(tensor.shape)}"
                )
            found[i], known[i] = shape, True
    return found


def _check_sizes(graph: Graph, shapes: Sequence[Shape]) -> None:
    """Refuse activations that are too large, one by one or all that are needed at once."""
    sizes = []
    for tensor, shape in zip(graph.tensors, shapes, strict=True):
        number = math.prod(shape)
        if not is_constant(tensor):
            limits.check(number, limits.ELEMENTS, "values in a tensor")
            if not number:
                raise ModelFileError(f"tensor {tensor.name[:80]!r} has no values")
        sizes.append(0 if is_constant(tensor) else -(-number * BITS[tensor.dtype] // 8))
    needed = max(_needed(graph, sizes), default=0)
    limits.check(needed, limits.ACTIVATION_BYTES, "bytes of activations")


def _needed(graph: Graph, sizes: Sequence[int]) -> Iterator[int]:
    """Bytes of the tensors that are alive at each operator."""
    end = len(graph.operators)
    first, last = dict.fromkeys(graph.inputs, 0), dict.fromkeys(graph.inputs, 0)
    for at, operator in enumerate(graph.operators):
        for i in _tensors(operator):
            first.setdefault(i, at)
            last[i] = at
    last.update(dict.fromkeys(graph.outputs, end))
    change = [0] * (end + 2)
    for i, at in first.items():
        change[at] += sizes[i]
        change[last[i] + 1] -= sizes[i]
    alive = 0
    for amount in change:
        alive += amount
        yield alive


def _tensors(operator: Operator) -> Iterator[int]:
    return (i for i in (*operator.inputs, *operator.outputs) if i >= 0)
