"""What a model without a manifest takes and answers."""

import pytest

from edgekit.errors import ModelFileError
from edgekit.model.flatbuffer import Graph, Operator, Tensor
from edgekit.model.foreign import (
    Hints,
    check_classifier,
    normalization_called,
    understand_input,
)


def _tensor(
    shape: tuple[int, ...], dtype: str = "uint8", scale: float | None = 1 / 256, zero: int = 0
) -> Tensor:
    scales = () if scale is None else (scale,)
    return Tensor("t", shape, dtype, scales, (zero,) if scales else (), 0)


PICTURE = _tensor((1, 8, 8, 3), scale=1 / 255)
SCORES = _tensor((1, 3))


def _graph(
    picture: Tensor = PICTURE, scores: Tensor = SCORES, last: str = "SOFTMAX", outputs: int = 1
) -> Graph:
    indices = tuple(range(1, 1 + outputs))
    operators = (Operator(last, 1, (0,), indices),)
    return Graph((picture, *[scores] * outputs), (0,), indices, operators)


def _ranged(dtype: str, low: float, high: float) -> Tensor:
    """An input whose values stand for numbers from `low` to `high`."""
    first = -128 if dtype == "int8" else 0
    scale = (high - low) / 255
    return _tensor((1, 8, 8, 3), dtype, scale, first - round(low / scale))


def _note(picture: Tensor, **hints: object) -> str:
    return understand_input(_graph(picture), b"", Hints(**hints)).note  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize(
    ("low", "high", "name"),
    [
        (0, 1, "0..1"),
        (0, 0.5, "0..1"),
        (0, 0.25, "0..1"),
        (-1, 1, "-1..1"),
        (-1, 0.9922, "-1..1"),
        (-0.98, 0.95, "-1..1"),
        (-1, 0.2, "-1..1"),
        (0, 255, "0..255"),
        (0, 90, "0..255"),
        (-128, 127, "-128..127"),
        (-2.118, 2.64, "imagenet"),
        (-2.0, 2.637, "imagenet"),
    ],
)
def test_the_range_of_the_input_says_how_pixels_are_normalized(
    dtype: str, low: float, high: float, name: str
) -> None:
    found = understand_input(_graph(_ranged(dtype, low, high)), b"", Hints())
    assert found.normalization == normalization_called(name)
    assert found.note.startswith(f"pixels normalized to {name} (rgb), as its values from")


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 8), (0, 0.1), (-1.99, 2.126), (-0.5, 0.5), (-1, 1.5), (-3, 3), (0, 1.2), (-126, 139)],
)
def test_a_range_that_says_nothing_is_asked_about(low: float, high: float) -> None:
    with pytest.raises(
        ModelFileError, match=r"^takes values from .*; pass --normalization \(0\.\."
    ):
        _note(_ranged("uint8", low, high))


def test_what_a_dim_calibration_cuts_off_is_told() -> None:
    assert _note(_ranged("uint8", 0, 0.5)).endswith(
        "50% of their range is cut off: was it calibrated on dim pictures?"
    )
    assert "cut off" not in _note(_ranged("uint8", 0, 1))


def test_the_user_may_say_it() -> None:
    cifar = "0.4914,0.4822,0.4465/0.247,0.2435,0.2616"
    picture = _ranged("int8", -1.99, 2.126)
    found = understand_input(_graph(picture), b"", Hints(normalization=cifar))
    assert found.normalization == normalization_called(cifar)
    assert found.note.endswith("as --normalization says")
    assert _note(_tensor((1, 8, 8, 3), "float32", None), normalization="imagenet")


@pytest.mark.parametrize(("wanted", "low", "high"), [("0..255", 0, 1), ("0..1", 0, 255)])
def test_what_the_range_contradicts_is_refused(wanted: str, low: float, high: float) -> None:
    with pytest.raises(ModelFileError, match=rf"and --normalization {wanted} gives values from 0"):
        _note(_ranged("uint8", low, high), normalization=wanted)


def test_float_input_and_input_without_a_scale() -> None:
    with pytest.raises(ModelFileError, match=r"^takes float32 and does not say how pixels are"):
        _note(_tensor((1, 8, 8, 3), "float32", None))
    assert _note(_tensor((1, 8, 8, 3), "uint8", None)) == "pixels as they are (rgb)"
    with pytest.raises(ModelFileError, match="has no scale that says what it means"):
        _note(_tensor((1, 8, 8, 3), "int8", None))


def test_caffes_range_asks_for_the_order_of_channels() -> None:
    picture = _ranged("uint8", -123.68, 151.06)
    with pytest.raises(ModelFileError, match="pass --channels bgr, or rgb"):
        _note(picture)
    assert _note(picture, channels="bgr").startswith("pixels normalized to caffe (bgr)")
    assert understand_input(_graph(picture), b"", Hints(channels="bgr")).bgr
    assert not understand_input(_graph(picture), b"", Hints(channels="rgb")).bgr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", "normalization is 0..1, -1..1, "),
        ("0.5/0.5", "not '0.5/0.5'"),
        ("1,2/3,4", "not '1,2/3,4'"),
        ("123.675,116.28,103.53/58.395,57.12,57.375", "pixels count from 0 to 1 here"),
        ("0.5,0.5,0.5/0,1,1", "pixels count from 0 to 1 here"),
        ("nan,0,0/1,1,1", "pixels count from 0 to 1 here"),
    ],
)
def test_what_is_no_normalization_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="normalization") as caught:
        Hints(normalization=text)
    assert message in str(caught.value)


def test_a_classifier_passes() -> None:
    check_classifier(_graph())
    check_classifier(_graph(_tensor((-1, 8, 8, 3)), _tensor((-1, 3), "float32", None)))
    check_classifier(_graph(scores=_tensor((1, 1, 1, 1001)), last="FULLY_CONNECTED"))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (_graph(scores=_tensor((1, 11, 84))), "answers [1, 11, 84]: it is an object detector"),
        (_graph(scores=_tensor((1, 84, 8400))), "it is an object detector"),
        (_graph(last="TFLite_Detection_PostProcess", outputs=4), "(TFLite_Detection_PostProcess)"),
        (_graph(last="NON_MAX_SUPPRESSION_V4"), "is an object detector (NON_MAX_SUPPRESSION_V4)"),
        (_graph(outputs=2), "has 1 inputs and 2 outputs, as object detectors do"),
        (_graph(scores=_tensor((1, 8, 8, 21))), "(segmentation)"),
        (_graph(scores=_tensor((1, 1))), "answers [1, 1], a single value"),
        (_graph(scores=_tensor(())), "answers [], a single value"),
        (_graph(scores=_tensor((7,))), "answers [7], a single value"),
        (_graph(scores=_tensor((1, 131_073))), "at most 131,072 classes are read"),
        (_graph(scores=_tensor((1, -1))), "answers [1, -1]; a classifier answers"),
        (_graph(scores=_tensor((1, 0))), "answers [1, 0]; a classifier answers"),
        (_graph(scores=_tensor((4, 3))), "answers [4, 3]; a classifier answers"),
        (_graph(scores=_tensor((1, 3), "int64", None)), "answers int64, no scores"),
        (_graph(scores=_tensor((1, 3), scale=float("nan"))), "has an output of scale nan"),
        (_graph(scores=_tensor((1, 3), scale=-1.0)), "has an output of scale -1.0"),
        (_graph(last="LOGISTIC"), "answers each class for itself (sigmoid)"),
        (_graph(last="L2_NORMALIZATION"), "answers an embedding"),
        (_graph(_tensor((1, 3, 8, 8))), "channels first; export it with channels last"),
        (_graph(_tensor((1, 8, 8, 1))), "takes [1, 8, 8, 1], not an RGB picture"),
        (_graph(_tensor((1, -1, -1, 3))), "takes [1, -1, -1, 3], not an RGB picture"),
        (_graph(_tensor((2, 8, 8, 3))), "not an RGB picture"),
        (_graph(_tensor((1, 192))), "not an RGB picture"),
        (_graph(_tensor((1, 8, 8, 3), "int16")), "takes int16; an input is uint8"),
        (_graph(_tensor((1, 8, 8, 3), scale=float("inf"))), "has an input of scale inf"),
    ],
)
def test_what_is_no_classifier_is_named(graph: Graph, message: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        check_classifier(graph)
    assert message in str(caught.value)


def test_softmax_is_seen_through_what_only_moves_its_answers() -> None:
    tensors = (PICTURE, SCORES, SCORES, SCORES)
    operators = (
        Operator("LOGISTIC", 1, (0,), (1,)),
        Operator("RESHAPE", 1, (1,), (2,)),
        Operator("QUANTIZE", 1, (2,), (3,)),
    )
    with pytest.raises(ModelFileError, match="sigmoid"):
        check_classifier(Graph(tensors, (0,), (3,), operators))
