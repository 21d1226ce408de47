"""Which tensors share a scale, and where a QUANTIZE keeps two apart."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgekit_convert.answers import signal_to_noise
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.graph.rewrite import rewrite
from edgekit_convert.quantize.activations import Activation, observe
from edgekit_convert.quantize.quantizer import FloatModel, quantize
from edgekit_convert.quantize.recipes import PLAIN
from edgekit_convert.quantize.structure import (
    Structure,
    build_structure,
    check_operators,
    constant_range,
    hull,
)
from numpy.typing import NDArray

from edgekit.errors import ConversionError
from edgekit.inference.interpreter import Interpreter
from edgekit.inference.runtimes import installed_runtimes
from edgekit.model import flatbuffer as tflite
from tests.convert.toys import NONE, RELU, Toy, noise, normal, run

PICTURES = noise(4, 6, 6, 3)


def _seen(**ranges: tuple[float, float]) -> dict[str, Activation]:
    """Activations of one channel with these smallest and largest values; `image` is there."""
    return {
        name: Activation(
            np.array([[low]], np.float32),
            np.array([[high]], np.float32),
            np.array([[low], [high]], np.float32),
        )
        for name, (low, high) in {"image": (0.0, 255.0), **ranges}.items()
    }


def _conv(toy: Toy, source: int) -> int:
    return toy.conv(source, np.ones((3, 1, 1, 3)), np.zeros(3), NONE)


def _pair(toy: Toy, left: int, right: int) -> int:
    """Both, side by side."""
    options = schema.ConcatenationOptionsT()
    return toy.apply("CONCATENATION", [left, right], [1, 6, 6, 6], options, axis=3)


def _names(structure: Structure) -> list[set[str]]:
    editor = FlatbufferEditor(structure.flatbuffer)
    return [{editor.name(tensor) for tensor in group.tensors} for group in structure.groups]


def _kinds(structure: Structure) -> list[str]:
    return [operator.name for operator in tflite.parse(structure.flatbuffer).operators]


class TestGroups:
    def test_what_an_operator_moves_shares_with_what_it_gives(self) -> None:
        toy = Toy(6, 6)
        pooled = toy.max_pool(_conv(toy, toy.image), 2)
        end = toy.apply("RESHAPE", [pooled], [1, 27], schema.ReshapeOptionsT())
        structure = build_structure(toy.build(end), _seen(conv0=(-1, 1)))
        assert _names(structure) == [
            {"image"},
            {"conv0", "pool1", "reshape2"},
        ]
        assert structure.groups[1].sources == structure.groups[1].tensors[:1]

    def test_what_is_joined_shares_wherever_it_comes_from(self) -> None:
        toy = Toy(6, 6)
        left, right = _conv(toy, toy.image), _conv(toy, toy.image)
        graph = toy.build(_pair(toy, left, right))
        structure = build_structure(graph, _seen(conv0=(-1, 1), conv1=(-2, 9)))
        assert _names(structure)[1:] == [{"conv0", "conv1", "concatenation2"}]
        assert _kinds(structure) == ["CONV_2D", "CONV_2D", "CONCATENATION"]

    def test_what_only_moves_pixels_keeps_their_scale(self) -> None:
        toy = Toy(6, 6)
        part = toy.apply(
            "STRIDED_SLICE",
            [
                toy.image,
                *(
                    toy.constant(np.array(v, np.int32))
                    for v in ([0] * 4, [1, 6, 6, 3], [1, 2, 2, 1])
                ),
            ],
            [1, 3, 3, 3],
            schema.StridedSliceOptionsT(),
        )
        (group, _) = build_structure(
            toy.build(_conv(toy, part)), _seen(strided_slice0=(9, 99), conv1=(0, 1))
        ).groups
        assert group.fixed == (0, 255)
        assert len(group.tensors) == 2


class TestRescaling:
    def test_pixels_beside_what_they_cannot_hold_are_rescaled(self) -> None:
        toy = Toy(6, 6)
        graph = toy.build(_pair(toy, toy.image, _conv(toy, toy.image)))
        structure = build_structure(graph, _seen(conv0=(-300, 900)))
        assert _kinds(structure) == ["CONV_2D", "QUANTIZE", "CONCATENATION"]
        pixels, joined = structure.groups
        assert pixels.fixed == (0, 255)
        assert joined.fixed is None
        # The range is to hold the pixels, too.
        assert len(joined.sources) == 2

    def test_pixels_share_with_what_they_can_hold(self) -> None:
        toy = Toy(6, 6)
        graph = toy.build(_pair(toy, toy.image, _conv(toy, toy.image)))
        structure = build_structure(graph, _seen(conv0=(0, 200)))
        assert _names(structure) == [{"image", "conv0", "concatenation1"}]

    def test_of_two_dictated_scales_one_is_rescaled(self) -> None:
        toy = Toy(6, 6)
        source = _conv(toy, toy.image)
        squashed = toy.apply("LOGISTIC", [source], [1, 6, 6, 3])
        bent = toy.apply("TANH", [source], [1, 6, 6, 3])
        graph = toy.build(_pair(toy, squashed, bent))
        seen = _seen(conv0=(-9, 9), logistic1=(0, 1), tanh2=(-1, 1))
        structure = build_structure(graph, seen)
        assert _kinds(structure)[-2:] == ["QUANTIZE", "CONCATENATION"]
        assert {group.fixed for group in structure.groups} == {
            (0, 255), None, (0, 255 / 256), (-1, 127 / 128)
        }  # fmt: skip

    @pytest.mark.parametrize(("high", "apart"), [(2.1, True), (1.9, False)])
    def test_a_tensor_that_a_layer_reads_keeps_its_last_bit(self, high: float, apart: bool) -> None:
        toy = Toy(6, 6)
        small, large = _conv(toy, toy.image), _conv(toy, toy.image)
        joined = toy.max_pool(_pair(toy, small, large), 2)
        other = toy.max_pool(_conv(toy, small), 2)
        graph = toy.build(_joined(toy, joined, other))
        seen = _seen(conv0=(0, 1), conv1=(0, high), conv4=(0, high))
        assert ("QUANTIZE" in _kinds(build_structure(graph, seen))) == apart

    def test_a_tensor_that_nothing_else_reads_needs_no_rescaling(self) -> None:
        toy = Toy(6, 6)
        graph = toy.build(_pair(toy, _conv(toy, toy.image), _conv(toy, toy.image)))
        structure = build_structure(graph, _seen(conv0=(0, 1), conv1=(0, 100)))
        assert "QUANTIZE" not in _kinds(structure)


def _joined(toy: Toy, left: int, right: int) -> int:
    options = schema.ConcatenationOptionsT()
    return toy.apply("CONCATENATION", [left, right], [1, 3, 3, 9], options, axis=3)


@pytest.mark.parametrize(
    ("kind", "fixed"),
    [
        ("L2_NORMALIZATION", (-1, 127 / 128)),
        ("LOGISTIC", (0, 255 / 256)),
        ("LOG_SOFTMAX", (-255 / 16, 0)),
        ("SOFTMAX", (0, 255 / 256)),
        ("TANH", (-1, 127 / 128)),
    ],
)
def test_what_tflite_dictates_is_so_whatever_was_seen(
    kind: str, fixed: tuple[float, float]
) -> None:
    toy = Toy(6, 6)
    graph = toy.build(toy.apply(kind, [_conv(toy, toy.image)], [1, 6, 6, 3]))
    seen = _seen(conv0=(-1, 1), **{f"{kind.lower()}1": (0, 0.25)})
    assert build_structure(graph, seen).groups[-1].fixed == fixed


class TestConstants:
    def test_a_range_has_0_and_leaves_out_the_lowest_float(self) -> None:
        lowest = np.finfo(np.float32).min
        assert constant_range(np.array([2.0, 3.0], np.float32)) == (0, 3)
        assert constant_range(np.array([-2.0, lowest], np.float32)) == (-2, 0)
        assert constant_range(np.array([lowest], np.float32)) == (0, 0)

    def test_a_hull_has_0(self) -> None:
        assert hull([(1, 2), (1.5, 3)]) == (0, 3)
        assert hull([]) == (0, 0)

    def test_one_that_two_groups_hold_is_there_twice(self) -> None:
        toy = Toy(6, 6)
        constant = toy.constant(np.full((1, 6, 6, 3), 0.5))
        left, right = (
            toy.max_pool(_pair(toy, _conv(toy, toy.image), constant), 2) for _ in range(2)
        )
        graph = toy.build(toy.add(left, right, NONE))
        seen = observe(graph, PICTURES, 1, 0, lambda done: None)
        model = FloatModel.prepare(graph, seen)
        int8 = quantize(model, PLAIN)
        held = [index for group in model.structure.groups for index in group.constants]
        assert len(held) == len(set(held)) == 2
        exact, found = run(graph, PICTURES)["add6"], run(int8, PICTURES)["add6"]
        ratio = signal_to_noise(exact, found)
        assert ratio is not None and ratio > 30

    def test_equal_constants_of_several_types_do_not_spoil_each_other(self) -> None:
        """Converters keep equal bytes once: here of a weight, a summand and four axes."""
        toy = Toy(6, 6)
        zeros = toy.constant(np.zeros(4))
        source = toy.conv(toy.image, normal(4, 1, 1, 3) / 255, normal(4), NONE)
        moved = toy.apply(
            "SLICE",
            [toy.add(source, zeros, NONE), toy.constant(np.zeros(4, np.int32)),
             toy.constant(np.array([1, 6, 6, 4], np.int32))],
            [1, 6, 6, 4],
            schema.SliceOptionsT(),
        )  # fmt: skip
        graph = toy.build(toy.dense(toy.mean(moved), np.zeros((1, 4)), [1.0], NONE))
        editor = FlatbufferEditor(graph)
        same = editor.graph.tensors[zeros]
        for tensor in editor.graph.tensors:
            data = editor.model.buffers[tensor.buffer].data
            if data is not None and bytes(data) == bytes(16):
                tensor.buffer = same.buffer
        graph = editor.pack()
        model = FloatModel.prepare(graph, observe(graph, PICTURES, 1, 0, lambda done: None))
        exact, found = run(graph, PICTURES), run(quantize(model, PLAIN), PICTURES)
        assert np.allclose(found["slice2"], exact["slice2"], atol=0.1)
        assert np.allclose(found["dense4"], exact["dense4"], atol=0.01)

    def test_the_padding_of_a_maximum_does_not_stretch_the_range(self) -> None:
        toy = Toy(6, 6)
        source = _conv(toy, toy.image)
        border = np.array([[0, 0], [1, 0], [1, 0], [0, 0]], np.int32)
        inputs = [source, toy.constant(border), toy.constant([np.finfo(np.float32).min])]
        padded = toy.apply("PADV2", inputs, [1, 7, 7, 3], schema.PadV2OptionsT())
        graph = toy.build(toy.max_pool(padded, 2))
        seen = observe(graph, PICTURES, 1, 0, lambda done: None)
        int8 = quantize(FloatModel.prepare(graph, seen), PLAIN)
        exact, found = run(graph, PICTURES)["pool2"], run(int8, PICTURES)["pool2"]
        ratio = signal_to_noise(exact, found)
        assert ratio is not None and ratio > 40


class TestRefusals:
    def test_computed_weights(self) -> None:
        toy = Toy(6, 6)
        source = _conv(toy, toy.image)
        weight = toy.apply("RESHAPE", [source], [36, 1, 1, 3], schema.ReshapeOptionsT())
        options = schema.Conv2DOptionsT()
        options.strideH = options.strideW = 1
        end = toy.apply("CONV_2D", [source, weight], [1, 6, 6, 36], options)
        with pytest.raises(ConversionError, match=r"CONV_2D \(conv_2d2\) .* computed"):
            check_operators(toy.build(end))

    def test_an_activation_that_was_not_observed(self) -> None:
        toy = Toy(6, 6)
        graph = toy.build(_conv(toy, _conv(toy, toy.image)))
        with pytest.raises(ConversionError, match="conv1"):
            build_structure(graph, _seen(conv0=(0, 1)))


def _dead() -> bytes:
    toy = Toy(6, 6)
    dead = toy.conv(toy.image, np.zeros((3, 1, 1, 3)), np.full(3, -1.0), RELU)
    alive = toy.conv(toy.image, normal(3, 1, 1, 3) / 255, normal(3), NONE)
    return toy.build(toy.add(_conv(toy, dead), alive, NONE))


def _cancelling() -> bytes:
    """Its second layer takes differences that are a millionth of what it reads."""
    toy = Toy(6, 6)
    first = toy.conv(toy.image, normal(3, 1, 1, 3) / 255, normal(3), NONE)
    eye = np.eye(3)
    weight = np.concatenate([eye, -eye * (1 - 1e-6)], axis=1).reshape(3, 1, 1, 6)
    return toy.build(toy.conv(_pair(toy, first, first), weight, np.zeros(3), NONE))


@pytest.mark.parametrize("graph", [_dead(), _cancelling()], ids=["dead", "cancelling"])
def test_layers_that_give_next_to_nothing_run_in_every_runtime(graph: bytes) -> None:
    graph = rewrite(graph)
    model = FloatModel.prepare(graph, observe(graph, PICTURES, 1, 0, lambda done: None))
    for runtime in installed_runtimes():
        interpreter = Interpreter(quantize(model, PLAIN), runtime=runtime)
        interpreter.set_input(PICTURES[:1])
        interpreter.invoke()
        values: NDArray[np.float32] = interpreter.output()
        assert np.isfinite(values).all()
