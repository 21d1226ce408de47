"""The shapes that operators give, as TFLite's kernels compute them.

Kernels take sizes, axes and paddings from constants and options, and divide, allocate and index by
them, not always with a check. Each function here takes a `Node` and gives the shape of its outputs,
or None for one that is known at run time only; what no kernel could obey raises `ModelFileError`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit.errors import ModelFileError
from edgekit.model.flatbuffer import Operator, Tensor

Shape = tuple[int, ...]
_SAME = 0


@dataclass(frozen=True)
class Node:
    """An operator with what its inputs are.

    Attributes:
        operator: itself.
        inputs: its inputs; None for one that is left out.
        outputs: its outputs.
        shapes: of its inputs; None for one that is left out, or known at run time only.
        read: gives the integers in a tensor; None for one that is no constant of integers.
    """

    operator: Operator
    inputs: Sequence[Tensor | None]
    outputs: Sequence[Tensor]
    shapes: Sequence[Shape | None]
    read: Callable[[Tensor], Shape | None]

    def option(self, name: str) -> int:
        """An option, which is 0 where the file has none: so interpreters take it."""
        value: int = self.operator.options.get(name, 0)
        return value

    def shape(self, number: int) -> Shape | None:
        """Shape of an input."""
        return self.shapes[number] if number < len(self.shapes) else None

    def constant(self, number: int) -> Shape | None:
        """The integers in an input."""
        tensor = self.inputs[number] if number < len(self.inputs) else None
        return None if tensor is None else self.read(tensor)

    def fail(self, what: str) -> ModelFileError:
        """The error that says what is wrong with it."""
        return ModelFileError(f"{self.operator.name} {what}")


Shapes = list[Shape | None]


def ranked(node: Node, number: int, rank: int) -> Shape | None:
    """Shape of an input, which has so many dimensions."""
    shape = node.shape(number)
    if shape is not None and len(shape) != rank:
        raise node.fail(f"cannot take an input of shape {list(shape)}")
    return shape


def axis_of(node: Node, axis: int, rank: int) -> int:
    """An axis, counted from the first; negative ones count from the end."""
    if not -rank <= axis < rank:
        raise node.fail(f"has axis {axis}, where there are {rank}")
    return axis % rank


def _axes(node: Node, number: int, rank: int) -> list[int] | None:
    found = node.constant(number)
    return None if found is None else [axis_of(node, axis, rank) for axis in found]


def _windows(node: Node, size: int, window: int, stride: int, dilation: int = 1) -> int:
    """How often a window fits; `ComputeOutSize` in TFLite's padding.h."""
    reach = (window - 1) * dilation + 1
    room = size if node.option("padding") == _SAME else size - reach + 1
    found = -(-room // stride)
    if min(found, window) < 1:
        raise node.fail(f"has a window of {reach} on a picture of {size}")
    return found


def _sliding(node: Node, picture: Shape, height: int, width: int) -> tuple[int, int]:
    dilations = [node.operator.options.get(f"dilation_{way}_factor", 1) for way in "hw"]
    return (
        _windows(node, picture[1], height, node.option("stride_h"), dilations[0]),
        _windows(node, picture[2], width, node.option("stride_w"), dilations[1]),
    )


def _check_bias(node: Node, number: int, channels: int) -> None:
    shape = node.shape(number)
    if shape is not None and math.prod(shape) != channels:
        raise node.fail(f"has {math.prod(shape)} biases for {channels} channels")


def convolution(node: Node) -> Shapes:
    """Input (N, H, W, C), weights (O, h, w, C / groups), bias (O,)."""
    picture, weights = ranked(node, 0, 4), ranked(node, 1, 4)
    if picture is None or weights is None:
        return [None]
    outputs, height, width, inputs = weights
    if not inputs or picture[3] % inputs or outputs % (picture[3] // inputs or 1):
        raise node.fail(f"has weights {list(weights)} for an input {list(picture)}")
    _check_bias(node, 2, outputs)
    return [(picture[0], *_sliding(node, picture, height, width), outputs)]


def depthwise(node: Node) -> Shapes:
    """Input (N, H, W, C), weights (1, h, w, C * multiplier), bias of as many."""
    picture, weights = ranked(node, 0, 4), ranked(node, 1, 4)
    if picture is None or weights is None:
        return [None]
    first, height, width, channels = weights
    if first != 1 or not picture[3] or channels % picture[3]:
        raise node.fail(f"has weights {list(weights)} for an input {list(picture)}")
    # Some kernels obey the option and others divide; 0 is from before there was one.
    if node.option("depth_multiplier") not in (0, channels // picture[3]):
        raise node.fail(f"has {node.option('depth_multiplier')} channels for each of its input's")
    _check_bias(node, 2, channels)
    return [(picture[0], *_sliding(node, picture, height, width), channels)]


def transposed_convolution(node: Node) -> Shapes:
    """Shape of the output, weights (O, h, w, C), input (N, H, W, C), bias (O,)."""
    weights, picture, wanted = ranked(node, 1, 4), ranked(node, 2, 4), node.constant(0)
    if weights is None or picture is None or wanted is None:
        return [None]
    _check_bias(node, 3, weights[0])
    if len(wanted) != 4 or min(wanted) < 1 or (wanted[0], wanted[3]) != (picture[0], weights[0]):
        raise node.fail(f"wants an output {list(wanted)}")
    if picture[3] != weights[3] or _sliding(node, wanted, weights[1], weights[2]) != picture[1:3]:
        raise node.fail(f"wants an output {list(wanted)} of an input {list(picture)}")
    return [wanted]


def pooling(node: Node) -> Shapes:
    """Input (N, H, W, C)."""
    picture = ranked(node, 0, 4)
    if picture is None:
        return [None]
    height, width = node.option("filter_height"), node.option("filter_width")
    return [(picture[0], *_sliding(node, picture, height, width), picture[3])]


def dense(node: Node) -> Shapes:
    """Input of any shape, weights (outputs, inputs), bias (outputs,)."""
    shape, weights = node.shape(0), ranked(node, 1, 2)
    if shape is None or weights is None:
        return [None]
    outputs, inputs = weights
    if not inputs or math.prod(shape) % inputs:
        raise node.fail(f"has weights {list(weights)} for an input {list(shape)}")
    _check_bias(node, 2, outputs)
    if not node.option("keep_num_dims"):
        return [(math.prod(shape) // inputs, outputs)]
    if not shape or shape[-1] != inputs:
        raise node.fail(f"has weights {list(weights)} for an input {list(shape)}")
    return [(*shape[:-1], outputs)]


def common_shape(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    """The shape that all of these are repeated to, where a dimension of theirs is 1."""
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        return None
    rank = max(map(len, known))
    found = []
    for sizes in zip(*((1,) * (rank - len(shape)) + shape for shape in known), strict=True):
        others = {size for size in sizes if size != 1}
        if len(others) > 1:
            raise node.fail(f"has inputs of {' and '.join(str(list(one)) for one in known)}")
        found.append(others.pop() if others else 1)
    return tuple(found)


def broadcast(node: Node) -> Shapes:
    """Inputs whose dimensions are equal, or 1."""
    return [common_shape(node, node.shapes)]


def same(node: Node) -> Shapes:
    """The shape of the input."""
    return [node.shape(0)]


def batch_matmul(node: Node) -> Shapes:
    """(…, n, k) and (…, k, m)."""
    first, second = node.shape(0), node.shape(1)
    if first is None or second is None:
        return [None]
    if min(len(first), len(second)) < 2:
        raise node.fail(f"has inputs of {list(first)} and {list(second)}")
    rows, inner = first[-2:] if not node.option("adj_x") else first[:-3:-1]
    other, columns = second[-2:] if not node.option("adj_y") else second[:-3:-1]
    if inner != other:
        raise node.fail(f"has inputs of {list(first)} and {list(second)}")
    batch = common_shape(node, [first[:-2], second[:-2]]) or ()
    return [(*batch, rows, columns)]


def reduction(node: Node) -> Shapes:
    """Input, and the axes that go."""
    shape = node.shape(0)
    axes = _axes(node, 1, len(shape)) if shape is not None else None
    if shape is None or axes is None:
        return [None]
    if node.option("keep_dims"):
        return [tuple(1 if axis in axes else size for axis, size in enumerate(shape))]
    return [tuple(size for axis, size in enumerate(shape) if axis not in axes)]


def arg_extreme(node: Node) -> Shapes:
    """Input, and the axis that goes."""
    shape, axis = node.shape(0), node.constant(1)
    if shape is None or not axis:
        return [None]
    at = axis_of(node, axis[0], len(shape))
    return [shape[:at] + shape[at + 1 :]]
