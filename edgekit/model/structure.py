"""Recognise a ResNet in a flatbuffer by its operators and shapes alone, whatever its names say.

The reference is He et al. 2015, arXiv:1512.03385, table 1, with the stride of a bottleneck on its
3x3 convolution, as torchvision builds it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.model.architectures import find_architecture
from edgekit.model.flatbuffer import Graph, Operator

# These pass their input on: they change its type, its border or its shape, not what it means.
_PASSING = ("QUANTIZE", "DEQUANTIZE", "PAD", "PADV2", "CONCATENATION", "RESHAPE", "SQUEEZE",
            "TRANSPOSE")  # fmt: skip
_KINDS: dict[tuple[int, ...], str] = {(3, 3): "basic", (1, 3, 1): "bottleneck"}
# Operators between the dense layers of a head; a ReLU is usually fused into one.
_ACTIVATIONS = ("RELU", "RELU6", "GELU", "TANH", "LOGISTIC")
_STEM = 64


@dataclass(frozen=True)
class Block:
    """A residual block.

    Attributes:
        kind: `basic` (3x3, 3x3) or `bottleneck` (1x1, 3x3, 1x1).
        convolutions: operator indices of its main path, in order.
        projection: operator index of the 1x1 convolution on its shortcut; None for identity.
        addition: operator index of its ADD.
        stride: 1, or 2 where it halves the resolution.
        width: channels inside a bottleneck, or of both convolutions of a basic block.
        outputs: channels that leave it.
    """

    kind: str
    convolutions: tuple[int, ...]
    projection: int | None
    addition: int
    stride: int
    width: int
    outputs: int


@dataclass(frozen=True)
class ResNet:
    """A network of residual blocks.

    Attributes:
        centre: operator index of the 1x1 convolution that normalizes the pixels; None where the
            normalization is folded into the stem.
        stem: operator index of the first 7x7 convolution.
        pool: operator index of the max pooling behind it.
        stages: blocks of each stage; all blocks of a stage give the same number of channels.
        mean: operator index of the global average pooling.
        head: operator indices of the dense layers and of activations.
        softmax: operator index of the softmax; None where the network ends in logits.
        name: of the architecture, for example `resnet18`; None for one that is not in the table.
    """

    centre: int | None
    stem: int
    pool: int
    stages: tuple[tuple[Block, ...], ...]
    mean: int
    head: tuple[int, ...]
    softmax: int | None
    name: str | None


class _Walk:
    """A graph, followed from its operators back to where their inputs come from."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.writers = {t: i for i, op in enumerate(graph.operators) for t in op.outputs}

    def shape(self, tensor: int) -> tuple[int, ...]:
        return self.graph.tensors[tensor].shape

    def output(self, index: int) -> tuple[int, ...]:
        """Shape of an operator's output."""
        return self.shape(self.graph.operators[index].outputs[0])

    def sources(self, operator: Operator) -> list[int]:
        """Its inputs that are not constants."""
        return [t for t in operator.inputs if t >= 0 and not self.graph.tensors[t].buffer]

    def before(self, index: int, tensor: int | None = None) -> int | None:
        """The operator that an input of operator `index` comes from, moves left out."""
        while True:
            if tensor is None:
                sources = self.sources(self.graph.operators[index])
                if len(sources) != 1:
                    return None
                tensor = sources[0]
            writer = self.writers.get(tensor)
            # Operators are stored in execution order; a damaged file may hold a circle.
            if writer is None or writer >= index:
                return None
            if self.graph.operators[writer].name not in _PASSING:
                return writer
            index, tensor = writer, None

    def kind(self, index: int | None) -> str:
        return "" if index is None else self.graph.operators[index].name

    def kernel(self, index: int) -> tuple[int, int, int, int] | None:
        """(outputs, height, width, inputs) of a convolution's weights."""
        inputs = self.graph.operators[index].inputs
        shape = self.shape(inputs[1]) if len(inputs) > 1 and inputs[1] >= 0 else ()
        return (shape[0], shape[1], shape[2], shape[3]) if len(shape) == 4 else None

    def path(self, index: int, tensor: int) -> tuple[list[int], int | None]:
        """Convolutions between an input of operator `index` and what is no convolution."""
        convolutions: list[int] = []
        at = self.before(index, tensor)
        while at is not None and self.kind(at) == "CONV_2D":
            convolutions.insert(0, at)
            at = self.before(at)
        return convolutions, at


def _block(walk: _Walk, addition: int) -> tuple[Block, int] | None:
    """The block that ends in an ADD, and the operator its input comes from."""
    operator = walk.graph.operators[addition]
    sources = walk.sources(operator)
    if len(sources) != 2:
        return None
    paths = [walk.path(addition, tensor) for tensor in sources]
    (short, start), (main, other) = sorted(paths, key=lambda path: len(path[0]))
    kernels = [walk.kernel(i) for i in main]
    kind = _KINDS.get(tuple(k[1] if k and k[1] == k[2] else 0 for k in kernels))
    if start is None or start != other or kind is None:
        return None
    projection = short[0] if short else None
    if projection is not None:
        shape = walk.kernel(projection)
        if len(short) > 1 or shape is None or shape[1:3] != (1, 1):
            return None
    entry, leaving = walk.output(start), walk.output(addition)
    if len(entry) != 4 or len(leaving) != 4 or leaving[1] < 1:
        return None
    assert kernels[-2] is not None
    return (
        Block(
            kind=kind,
            convolutions=tuple(main),
            projection=projection,
            addition=addition,
            stride=-(-entry[1] // leaving[1]),
            width=kernels[-2][0],
            outputs=leaving[3],
        ),
        start,
    )


def _tail(walk: _Walk, index: int | None) -> tuple[int | None, list[int], int | None]:
    """The operator in front of the head, the head's dense layers and activations, the softmax."""
    softmax = index if walk.kind(index) == "SOFTMAX" else None
    if softmax is not None:
        index = walk.before(softmax)
    head: list[int] = []
    while index is not None and walk.kind(index) in ("FULLY_CONNECTED", *_ACTIVATIONS):
        head.insert(0, index)
        index = walk.before(index)
    return index, head, softmax


def read_structure(graph: Graph) -> ResNet | None:
    """Recognise a ResNet, float or quantized.

    Returns:
        None for a graph of another form, such as a MobileNet. A ResNet of blocks in unusual
        numbers has the name None.
    """
    walk = _Walk(graph)
    end = len(graph.operators)
    mean, head, softmax = _tail(walk, walk.before(end, graph.outputs[0]))
    dense = [index for index in head if walk.kind(index) == "FULLY_CONNECTED"]
    if mean is None or walk.kind(mean) != "MEAN" or not dense:
        return None
    blocks: list[Block] = []
    at = walk.before(mean, graph.operators[mean].inputs[0])
    while at is not None and walk.kind(at) == "ADD":
        found = _block(walk, at)
        if found is None:
            return None
        blocks.insert(0, found[0])
        at = found[1]
    if at is None or walk.kind(at) != "MAX_POOL_2D" or not blocks:
        return None
    pool, stem = at, walk.before(at)
    if stem is None or walk.kind(stem) != "CONV_2D":
        return None
    centre = walk.before(stem)
    if centre is not None and walk.kernel(centre) != (3, 1, 1, 3):
        return None
    stages: list[list[Block]] = []
    for block in blocks:
        if not stages or stages[-1][-1].outputs != block.outputs:
            stages.append([])
        stages[-1].append(block)
    network = ResNet(
        centre, stem, pool, tuple(map(tuple, stages)), mean, tuple(head), softmax, name=None
    )
    return ResNet(**(vars(network) | {"name": _name(walk, network)}))


def _name(walk: _Walk, network: ResNet) -> str | None:
    """Its name, where the stem, every width, stride and shortcut are those of the paper."""
    if walk.kernel(network.stem) != (_STEM, 7, 7, 3):
        return None
    inputs = _STEM
    kinds = {block.kind for stage in network.stages for block in stage}
    for number, stage in enumerate(network.stages):
        for position, block in enumerate(stage):
            width = _STEM << number
            outputs = 4 * width if block.kind == "bottleneck" else width
            stride = 2 if position == 0 and number else 1
            projected = inputs != outputs or stride != 1
            if (
                (block.width, block.outputs, block.stride) != (width, outputs, stride)
                or (block.projection is not None) != projected
            ):  # fmt: skip
                return None
            inputs = outputs
    if len(kinds) != 1:
        return None
    counts = [len(stage) for stage in network.stages]
    known = find_architecture(counts, bottleneck=kinds == {"bottleneck"})
    return known.name if known else None


def ending(graph: Graph) -> str:
    """Name of the operator that makes the output, moves left out; empty where it is not known."""
    walk = _Walk(graph)
    return walk.kind(walk.before(len(graph.operators), graph.outputs[0]))


def describe(network: ResNet, graph: Graph) -> list[str]:
    """Its parts in words, a line each: stem, stages, head."""
    walk = _Walk(graph)
    lines = []
    if network.centre is not None:
        lines.append("normalization: 1x1 convolution")
    kernel = walk.kernel(network.stem)
    assert kernel is not None
    lines.append(
        f"stem: {kernel[1]}x{kernel[2]} convolution, {kernel[3]} to {kernel[0]} channels; "
        "max pooling"
    )
    for number, stage in enumerate(network.stages, start=1):
        height, width = walk.output(stage[0].addition)[1:3]
        plural = "s" if len(stage) > 1 else ""
        shortcuts = ", ".join("identity" if b.projection is None else "1x1" for b in stage)
        lines.append(
            f"stage {number}: {len(stage)} {stage[0].kind} block{plural}, {stage[0].outputs} "
            f"channels, {height}x{width}; shortcuts {shortcuts}"
        )
    head = ", ".join(_layer(walk, index) for index in network.head)
    ending = "softmax" if network.softmax is not None else "no softmax"
    lines.append(f"head: global average pooling; {head}; {ending}")
    return lines


def _layer(walk: _Walk, index: int) -> str:
    """A layer of the head in words."""
    if walk.kind(index) != "FULLY_CONNECTED":
        return walk.kind(index)
    shape = walk.shape(walk.graph.operators[index].inputs[1])
    return f"Linear({shape[1]}, {shape[0]})"


def layer_names(graph: Graph) -> dict[int, str]:
    """Names of the operators that compute something, by operator index.

    In a ResNet they are torchvision's (`conv1`, `layer1.0.conv1`, `layer1.0` for the sum,
    `layer2.0.downsample`, `fc`, or `fc 1`, `fc 2` in a deeper head); elsewhere the operator's
    type and position, as `CONV_2D 7`.
    """
    network = read_structure(graph)
    known = dict(_resnet_names(network, graph)) if network else {}
    return {
        index: known.get(index, f"{operator.name} {index}")
        for index, operator in enumerate(graph.operators)
        if operator.name not in _PASSING
    }


def _resnet_names(network: ResNet, graph: Graph) -> Iterator[tuple[int, str]]:
    if network.centre is not None:
        yield network.centre, "normalization"
    yield network.stem, "conv1"
    yield network.pool, "maxpool"
    for number, stage in enumerate(network.stages, start=1):
        for position, block in enumerate(stage):
            prefix = f"layer{number}.{position}"
            for order, index in enumerate(block.convolutions, start=1):
                yield index, f"{prefix}.conv{order}"
            if block.projection is not None:
                yield block.projection, f"{prefix}.downsample"
            yield block.addition, prefix
    yield network.mean, "avgpool"
    dense = [index for index in network.head if graph.operators[index].name == "FULLY_CONNECTED"]
    for order, index in enumerate(dense, start=1):
        yield index, "fc" if len(dense) == 1 else f"fc {order}"
    if network.softmax is not None:
        yield network.softmax, "softmax"
