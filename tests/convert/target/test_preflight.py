"""What the Edge TPU's compiler would make of a model."""

import math
from pathlib import Path

import pytest
from edgekit_convert.target.preflight import EdgeTpu, Refusal, preflight

from edgekit.model.flatbuffer import Graph, Operator, Tensor, parse

MIB = 1 << 20


class Network:
    """A graph built operator by operator, each reading the output of the one before."""

    def __init__(self, *shape: int, dtype: str = "int8") -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.last = self.activation(*shape, dtype=dtype)

    def _add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def activation(self, *shape: int, dtype: str = "int8", scales: int = 1) -> int:
        name = f"activation_{len(self.tensors)}"
        return self._add(Tensor(name, shape, dtype, (0.1,) * scales, (0,) * scales, 0))

    def constant(self, *shape: int, dtype: str = "int8", scales: int = 1) -> int:
        size = math.prod(shape) * {"int8": 1, "float32": 4, "int32": 4, "int16": 2}[dtype]
        name = f"constant_{len(self.tensors)}"
        return self._add(Tensor(name, shape, dtype, (0.1,) * scales, (0,) * scales, size))

    def then(
        self,
        name: str,
        *shape: int,
        constants: tuple[int, ...] = (),
        version: int = 1,
        dtype: str = "int8",
    ) -> "Network":
        """Add an operator with an output of a shape."""
        output = self.activation(*shape, dtype=dtype)
        self.operators.append(Operator(name, version, (self.last, *constants), (output,)))
        self.last = output
        return self

    def convolution(self, *shape: int, filters: tuple[int, ...], version: int = 3) -> "Network":
        """Add a CONV_2D with weights of a shape, a scale for each of its filters, and a bias."""
        weight = self.constant(*filters, scales=filters[0])
        bias = self.constant(filters[0], dtype="int32", scales=filters[0])
        return self.then("CONV_2D", *shape, constants=(weight, bias), version=version)

    def dense(self, outputs: int, inputs: int, *, scales: int = 1) -> "Network":
        weight = self.constant(outputs, inputs, scales=scales)
        bias = self.constant(outputs, dtype="int32", scales=scales)
        return self.then("FULLY_CONNECTED", 1, outputs, constants=(weight, bias), version=4)

    def graph(self) -> Graph:
        return Graph(tuple(self.tensors), (0,), (self.last,), tuple(self.operators))


def _classifier() -> Network:
    """uint8 in and out, as Coral's own models are."""
    network = Network(1, 32, 32, 3, dtype="uint8").then("QUANTIZE", 1, 32, 32, 3)
    network.convolution(1, 16, 16, 8, filters=(8, 3, 3, 3))
    network.then("MAX_POOL_2D", 1, 8, 8, 8, version=2)
    axes = network.constant(2, dtype="int32", scales=0)
    network.then("MEAN", 1, 8, constants=(axes,), version=2).dense(10, 8)
    return network.then("SOFTMAX", 1, 10, version=2).then("QUANTIZE", 1, 10, dtype="uint8")


def test_a_classifier_is_mapped_entirely() -> None:
    assert preflight(_classifier().graph()) == EdgeTpu(
        operators=7,
        mapped=7,
        refusals=[],
        parameter_bytes=(8 * 3 * 3 * 3 + 8 * 4) + (10 * 8 + 10 * 4),
        streamed_bytes=0,
        compiler=None,
        note="all 7 operators should run on the Edge TPU",
    )


@pytest.mark.parametrize(
    "name", ["tf2_mobilenet_v2_1.0_224_ptq.tflite", "mobilenet_v2_1.0_224_quant.tflite"]
)
def test_corals_own_models_are_mapped_entirely(shared: Path, name: str) -> None:
    found = preflight(parse((shared / "models" / name).read_bytes()))
    assert found.refusals == []
    assert found.mapped == found.operators in (66, 68)
    assert found.parameter_bytes == 3_543_268
    assert found.streamed_bytes == 0


def test_what_follows_a_refused_operator_stays_on_the_cpu() -> None:
    network = Network(1, 8, 8, 4).then("RELU", 1, 8, 8, 4).then("ELU", 1, 8, 8, 4)
    found = preflight(network.then("RELU", 1, 8, 8, 4).graph())
    assert (found.operators, found.mapped) == (3, 1)
    assert found.refusals == [Refusal("ELU v1", 1, "the Edge TPU has no such operator")]
    assert found.note == (
        "1 of 3 operators should run on the Edge TPU; ELU v1 at position 1 does not: the Edge TPU "
        "has no such operator"
    )


def test_float_ends_stay_on_the_cpu_and_the_middle_is_mapped() -> None:
    network = Network(1, 8, 8, 4, dtype="float32").then("QUANTIZE", 1, 8, 8, 4)
    network.then("RELU", 1, 8, 8, 4, version=2).then("RELU", 1, 8, 8, 4, version=2)
    found = preflight(network.then("DEQUANTIZE", 1, 8, 8, 4, dtype="float32", version=2).graph())
    assert found.mapped == 2
    assert [(refusal.operator, refusal.position) for refusal in found.refusals] == [
        ("QUANTIZE v1", 0),
        ("DEQUANTIZE v2", 3),
    ]
    assert "is float32" in found.refusals[0].reason


def test_a_constant_border_is_refused_with_the_remedy() -> None:
    network = Network(1, 8, 8, 3)
    border = network.constant(1, 8, 3, 3)
    found = preflight(network.then("CONCATENATION", 1, 8, 11, 3, constants=(border,)).graph())
    assert found.mapped == 0
    assert "convert with --edgetpu, which normalizes by a 1x1 convolution" in (
        found.refusals[0].reason
    )


def test_activations_may_be_concatenated() -> None:
    network = Network(1, 8, 8, 3)
    other = network.activation(1, 8, 8, 3)
    graph = network.then("CONCATENATION", 1, 8, 8, 6, constants=(other,), version=2).graph()
    assert preflight(graph).refusals == []


# Compiler 16 said so of these versions: google-coral/edgetpu issues 631, 845 and 879.
@pytest.mark.parametrize(
    ("name", "version"), [("CONV_2D", 6), ("TRANSPOSE_CONV", 4), ("QUANTIZE", 3)]
)
def test_a_newer_version_makes_the_compiler_refuse_the_file(name: str, version: int) -> None:
    network = Network(1, 8, 8, 4).then("RELU", 1, 8, 8, 4)
    found = preflight(network.then(name, 1, 8, 8, 4, version=version).graph())
    assert found.mapped == 0
    assert found.refusals == [
        Refusal(
            f"{name} v{version}",
            1,
            f"the compiler reads it up to version {version - 1} and refuses the whole file",
        )
    ]


def test_an_operator_younger_than_the_compiler_makes_it_refuse_the_file() -> None:
    network = Network(1, 8, 8, 4).then("ELU", 1, 8, 8, 4).then("RELU", 1, 8, 8, 4)
    found = preflight(network.then("GELU", 1, 8, 8, 4).graph())
    assert found.mapped == 0
    assert found.note == (
        "0 of 3 operators should run on the Edge TPU; GELU v1 at position 2 does not: the compiler "
        "is older than this operator and refuses the whole file"
    )


def test_a_dynamic_size_makes_the_compiler_refuse_the_file() -> None:
    found = preflight(Network(-1, 8, 8, 4).then("RELU", -1, 8, 8, 4).graph())
    assert found.mapped == 0
    assert "is unknown before run time" in found.refusals[0].reason


def _reason(network: Network) -> str:
    (refusal,) = preflight(network.graph()).refusals
    assert "\n" not in refusal.reason
    return refusal.reason


@pytest.mark.parametrize("dtype", ["float32", "int16", "int32", "bool"])
def test_activations_have_8_bits(dtype: str) -> None:
    assert f"is {dtype}" in _reason(Network(1, 8, 8, 4, dtype=dtype).then("ADD", 1, 8, 8, 4))


def test_constants_are_quantized() -> None:
    network = Network(1, 8, 8, 4)
    weight = network.constant(4, 1, 1, 4, dtype="float32")
    assert "is float32" in _reason(network.then("CONV_2D", 1, 8, 8, 4, constants=(weight,)))


def test_weights_are_constant() -> None:
    network = Network(1, 8)
    weight = network.activation(4, 8)
    reason = _reason(network.then("FULLY_CONNECTED", 1, 4, constants=(weight,)))
    assert reason == "its weights are not constant"


def test_an_absent_bias_is_no_matter() -> None:
    network = Network(1, 8, 8, 4)
    weight = network.constant(4, 1, 1, 4)
    assert preflight(network.then("CONV_2D", 1, 8, 8, 4, constants=(weight, -1)).graph()).mapped


def test_dense_weights_have_one_scale() -> None:
    assert preflight(Network(1, 8).dense(4, 8).graph()).refusals == []
    assert "a scale for each channel" in _reason(Network(1, 8).dense(4, 8, scales=4))


def test_an_activation_has_one_scale() -> None:
    network = Network(1, 8, 8, 4)
    network.last = network.activation(1, 8, 8, 4, scales=4)
    assert "a scale for each channel" in _reason(network.then("RELU", 1, 8, 8, 4))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Network(2, 8, 8, 4).then("RELU", 2, 8, 8, 4), "a batch of 2"),
        (Network(1, 1, 8, 8, 4).then("RELU", 1, 1, 8, 8, 4), "has 5 dimensions"),
        (Network(3, 8).then("SOFTMAX", 3, 8), "more than one dimension"),
        (Network(1, 16_001).then("SOFTMAX", 1, 16_001), "more than 16,000 elements"),
        (Network(1, 8, 8, 6).then("MEAN", 1, 8, 8, 1), "no multiple of 4"),
    ],
)
def test_shapes(network: Network, words: str) -> None:
    assert words in _reason(network)


def test_what_does_not_fit_the_chip_is_streamed() -> None:
    network = Network(1, 8, 8, 2048)
    for _ in range(3):
        network.convolution(1, 8, 8, 2048, filters=(2048, 1, 1, 2048))
    found = preflight(network.graph())
    assert found.parameter_bytes == 3 * (2048 * 2048 + 4 * 2048)
    assert found.streamed_bytes == pytest.approx(12.02 * MIB - 6.9 * MIB, rel=0.01)


def test_parameters_on_the_cpu_are_not_streamed() -> None:
    network = Network(1, 8, 8, 2048).then("ELU", 1, 8, 8, 2048)
    for _ in range(3):
        network.convolution(1, 8, 8, 2048, filters=(2048, 1, 1, 2048))
    found = preflight(network.graph())
    assert found.parameter_bytes > 12 * MIB
    assert found.streamed_bytes == 0
