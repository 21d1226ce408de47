from pathlib import Path

import pytest

from edgekit.model.container import read_model
from edgekit.model.flatbuffer import Graph, Operator, Tensor
from edgekit.model.structure import describe, layer_names, read_structure

BLOCKS = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
    "resnet152": ("bottleneck", (3, 8, 36, 3)),
}


class _Builder:
    """A graph of shapes alone, as a converter would write it."""

    def __init__(self, size: int) -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.last = self._tensor((1, size, size, 3))

    def _tensor(self, shape: tuple[int, ...], constant: int = 0) -> int:
        self.tensors.append(Tensor("", shape, "int8", (), (), constant))
        return len(self.tensors) - 1

    def add(self, name: str, shape: tuple[int, ...], *inputs: int) -> int:
        self.last = self._tensor(shape)
        self.operators.append(Operator(name, 1, inputs, (self.last,)))
        return self.last

    def convolve(self, source: int, outputs: int, kernel: int, stride: int = 1) -> int:
        _, height, width, channels = self.tensors[source].shape
        if kernel == 3 and stride == 2:
            source = self.add(
                "PAD", (1, height + 2, width + 2, channels), source, self._tensor((4, 2), 32)
            )
        weight = self._tensor((outputs, kernel, kernel, channels), 1)
        shape = (1, -(-height // stride), -(-width // stride), outputs)
        return self.add("CONV_2D", shape, source, weight)

    def block(self, kind: str, width: int, outputs: int, stride: int, projected: bool) -> int:
        entry = self.last
        shortcut = self.convolve(entry, outputs, 1, stride) if projected else entry
        if kind == "basic":
            at = self.convolve(self.convolve(entry, width, 3, stride), outputs, 3)
        else:
            at = self.convolve(self.convolve(self.convolve(entry, width, 1), width, 3, stride),
                               outputs, 1)  # fmt: skip
        return self.add("ADD", self.tensors[at].shape, shortcut, at)


def resnet(
    kind: str, counts: tuple[int, ...], head: tuple[int, ...] = (10,), *, centre: bool = False,
    size: int = 64, project_all: bool = False, activation: str = "",
) -> Graph:  # fmt: skip
    builder = _Builder(size)
    entry = builder.last
    at = builder.add("QUANTIZE", (1, size, size, 3), entry)
    if centre:
        at = builder.convolve(at, 3, 1)
    at = builder.convolve(at, 64, 7, 2)
    builder.add("MAX_POOL_2D", (1, size // 4, size // 4, 64), at)
    inputs = 64
    for number, blocks in enumerate(counts):
        for position in range(blocks):
            width = 64 << number
            outputs = 4 * width if kind == "bottleneck" else width
            stride = 2 if number and not position else 1
            builder.block(kind, width, outputs, stride, project_all or inputs != outputs)
            inputs = outputs
    at = builder.add("MEAN", (1, inputs), builder.last, builder._tensor((2,), 8))
    for number, outputs in enumerate(head):
        if number and activation:
            at = builder.add(activation, builder.tensors[at].shape, at)
        weight = builder._tensor((outputs, builder.tensors[at].shape[1]), 1)
        at = builder.add("FULLY_CONNECTED", (1, outputs), at, weight)
    if not head and activation:
        at = builder.add(activation, (1, inputs), at)
    at = builder.add("SOFTMAX", builder.tensors[at].shape, at)
    at = builder.add("QUANTIZE", builder.tensors[at].shape, at)
    return Graph(tuple(builder.tensors), (entry,), (at,), tuple(builder.operators))


@pytest.mark.parametrize("name", BLOCKS)
def test_every_resnet_is_recognised_by_its_shapes(name: str) -> None:
    network = read_structure(resnet(*BLOCKS[name]))
    assert network is not None
    assert network.name == name
    assert tuple(map(len, network.stages)) == BLOCKS[name][1]


def test_strides_are_read_from_odd_sizes_too() -> None:
    # 14, 7, 4 and 2 pixels wide.
    network = read_structure(resnet(*BLOCKS["resnet18"], size=56))
    assert network is not None
    assert [stage[0].stride for stage in network.stages] == [1, 2, 2, 2]
    assert all(block.stride == 1 for stage in network.stages for block in stage[1:])


def test_identity_and_projection_shortcuts_are_told_apart() -> None:
    for name, first in (("resnet18", False), ("resnet50", True)):
        network = read_structure(resnet(*BLOCKS[name]))
        assert network is not None
        projected = [[b.projection is not None for b in stage] for stage in network.stages]
        assert [stage[0] for stage in projected] == [first, True, True, True]
        assert not any(any(stage[1:]) for stage in projected)


def test_a_head_of_two_layers_and_a_normalising_convolution() -> None:
    graph = resnet(*BLOCKS["resnet18"], head=(1000, 7), centre=True)
    network = read_structure(graph)
    assert network is not None
    assert network.name == "resnet18"
    assert describe(network, graph) == [
        "normalization: 1x1 convolution",
        "stem: 7x7 convolution, 3 to 64 channels; max pooling",
        "stage 1: 2 basic blocks, 64 channels, 16x16; shortcuts identity, identity",
        "stage 2: 2 basic blocks, 128 channels, 8x8; shortcuts 1x1, identity",
        "stage 3: 2 basic blocks, 256 channels, 4x4; shortcuts 1x1, identity",
        "stage 4: 2 basic blocks, 512 channels, 2x2; shortcuts 1x1, identity",
        "head: global average pooling; Linear(512, 1000), Linear(1000, 7); softmax",
    ]
    names = list(layer_names(graph).values())
    assert names[:5] == ["normalization", "conv1", "maxpool", "layer1.0.conv1", "layer1.0.conv2"]
    assert names[-4:] == ["avgpool", "fc 1", "fc 2", "softmax"]


@pytest.mark.parametrize("activation", ["TANH", "LOGISTIC", "GELU", "RELU"])
def test_activations_of_a_head_are_read(activation: str) -> None:
    graph = resnet(*BLOCKS["resnet18"], head=(64, 7), activation=activation)
    network = read_structure(graph)
    assert network is not None
    assert network.name == "resnet18"
    said = f"head: global average pooling; Linear(512, 64), {activation}, Linear(64, 7); softmax"
    assert describe(network, graph)[-1] == said
    names = list(layer_names(graph).values())[-4:]
    assert (names[0], names[2:]) == ("fc 1", ["fc 2", "softmax"])


def test_an_activation_alone_is_no_head() -> None:
    graph = resnet(*BLOCKS["resnet18"], head=(), activation="TANH")
    assert read_structure(graph) is None


@pytest.mark.parametrize(
    "graph",
    [
        resnet("basic", (2, 2, 2)),
        resnet("basic", (2, 2, 3, 2)),
        resnet("basic", (2, 2, 2, 2), project_all=True),
        resnet("bottleneck", (2, 2, 2, 2)),
    ],
)
def test_other_residual_networks_have_no_name(graph: Graph) -> None:
    network = read_structure(graph)
    assert network is not None
    assert network.name is None


def test_a_graph_that_goes_in_circles_ends() -> None:
    tensor = Tensor("", (1, 10), "int8", (), (), 0)
    graph = Graph((tensor, tensor), (0,), (1,), (Operator("QUANTIZE", 1, (1,), (1,)),))
    assert read_structure(graph) is None


def test_a_mobilenet_is_no_resnet(shared: Path) -> None:
    model = read_model(shared / "models" / "tf2_mobilenet_v2_1.0_224_ptq.tflite")
    assert read_structure(model.graph) is None
    assert "CONV_2D 1" in layer_names(model.graph).values()
