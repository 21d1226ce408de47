"""What a model that edgekit did not make takes and answers, as far as its file says.

A quantized input stands for real numbers, scale * (value - zero point), and their range says how
the network wants its pixels: from 0 to 1, from -1 to 1, or as ImageNet's mean and standard
deviation make them. What cannot be told so is asked for.
"""

import math
from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from edgekit.errors import ModelFileError
from edgekit.model.flatbuffer import Graph, Tensor
from edgekit.model.limits import CLASSES
from edgekit.model.manifest import Normalization
from edgekit.model.metadata import read_normalization
from edgekit.model.structure import ending

Channels = Annotated[
    Literal["rgb", "bgr"],
    Meta(description="Order of the channels that a model without a manifest takes; rgb if unset."),
]
Normalized = Annotated[
    str,
    Meta(description="How a model without a manifest wants its pixels: 0..1, -1..1, 0..255, "
         "-128..127, imagenet, caffe, or mean and standard deviation of pixels from 0 to 1, as "
         "R,G,B/R,G,B; by default what its file says."),
]  # fmt: skip
Softmax = Annotated[
    bool, Meta(description="Make probabilities of the logits of a model without a manifest.")
]


class Hints(msgspec.Struct, frozen=True, kw_only=True):
    """What a user knows of a model without a manifest, which its file does not say.

    Attributes:
        channels: the order that it takes, `rgb` or `bgr`.
        normalization: how it wants its pixels, for example `-1..1` or `imagenet`.
        softmax: its answers are logits.

    Raises:
        ValueError: they are nothing of the kind.
    """

    channels: Channels | None = None
    normalization: Normalized | None = None
    softmax: Softmax = False

    def __post_init__(self) -> None:
        # What a program wrote nobody else has checked.
        if self.channels not in (None, "rgb", "bgr"):
            raise ValueError(f"channels are rgb or bgr, not {self.channels!r}")
        if self.normalization is not None:
            normalization_called(self.normalization)


class _Known(NamedTuple):
    """A normalization that many networks are trained with.

    Attributes:
        normalization: itself.
        by_start: whether the lower end of a range alone tells it: nothing else begins there, and
            calibration pictures that are dim do not reach the upper end.
        bgr: whether most networks that have it take blue first.
    """

    normalization: Normalization
    by_start: bool = False
    bgr: bool = False

    @property
    def limits(self) -> tuple[float, float]:
        return _limits(self.normalization)


def _alike(mean: float, std: float) -> Normalization:
    return Normalization((mean, mean, mean), (std, std, std))


_KNOWN = {
    "0..1": _Known(_alike(0, 1), by_start=True),
    "-1..1": _Known(_alike(0.5, 0.5), by_start=True),
    "0..255": _Known(_alike(0, 1 / 255), by_start=True),
    "-128..127": _Known(_alike(128 / 255, 1 / 255)),
    "imagenet": _Known(Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))),
    # Keras's own ResNet and VGG: ImageNet's mean in BGR, from 0 to 255.
    "caffe": _Known(
        Normalization((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255,) * 3), bgr=True
    ),
}
# Fractions of a range: how far its ends may lie from a known one's, and how much of it is enough.
_TOLERANCE, _ENOUGH = 0.05, 0.2
_DETECTION = ("TFLite_Detection_PostProcess", "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5")
_TYPES = {"uint8": (0, 255), "int8": (-128, 127)}


class ForeignInput(NamedTuple):
    """What an input wants.

    Attributes:
        normalization: of RGB pixels; None for pixel values as they are.
        bgr: whether blue comes first.
        note: where that is from, for people.
    """

    normalization: Normalization | None
    bgr: bool
    note: str


def normalization_called(text: str) -> Normalization:
    """A normalization by its name, or from `R,G,B/R,G,B`.

    Raises:
        ValueError: it is neither.
    """
    if text in _KNOWN:
        return _KNOWN[text].normalization
    try:
        mean, std = ([float(one) for one in part.split(",")] for part in text.split("/"))
        (r, g, b), (r_std, g_std, b_std) = mean, std
    except ValueError as error:
        raise ValueError(
            f"normalization is {', '.join(_KNOWN)} or R,G,B/R,G,B (mean and standard deviation of "
            f"pixels from 0 to 1), not {text!r}"
        ) from error
    if not (all(abs(one) <= 1 for one in mean) and all(0 < one <= 2 for one in std)):
        raise ValueError(f"normalization {text}: pixels count from 0 to 1 here; divide by 255")
    return Normalization((r, g, b), (r_std, g_std, b_std))


def check_classifier(graph: Graph) -> None:
    """Refuse what is no image classifier.

    Raises:
        ModelFileError: the message is a clause without the file's name.
    """
    kinds = {operator.name for operator in graph.operators}
    if found := sorted(kinds.intersection(_DETECTION)):
        raise ModelFileError(
            f"is an object detector ({found[0]}); edgekit runs classifiers, which have one score "
            "for each class"
        )
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ModelFileError(
            f"has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs, as object detectors "
            "do; an image classifier has one of each"
        )
    _check_input(graph.tensors[graph.inputs[0]])
    _check_output(graph.tensors[graph.outputs[0]])
    last = ending(graph)
    if last == "L2_NORMALIZATION":
        raise ModelFileError("answers an embedding (L2_NORMALIZATION), not a score for each class")
    if last == "LOGISTIC":
        raise ModelFileError(
            "answers each class for itself (sigmoid), so that none or many may be there; edgekit "
            "tells one class: end the network in a softmax, or in logits and pass --softmax"
        )


def _check_input(tensor: Tensor) -> None:
    shape = tensor.shape
    if len(shape) == 4 and shape[1] == 3 and shape[3] != 3:
        raise ModelFileError(
            f"takes {list(shape)}, channels first; export it with channels last, [1, H, W, 3]"
        )
    if len(shape) != 4 or shape[0] not in (1, -1) or shape[3] != 3 or min(shape[1:]) < 1:
        raise ModelFileError(f"takes {list(shape)}, not an RGB picture [1, H, W, 3]")
    if tensor.dtype not in (*_TYPES, "float32"):
        raise ModelFileError(f"takes {tensor.dtype}; an input is uint8, int8 or float32")
    _check_quantization(tensor, "input")


def _check_output(tensor: Tensor) -> None:
    shape = list(tensor.shape)
    sizes = [size for size in shape[1:] if size != 1]
    if len(shape) > 1 and len(sizes) == 2:
        raise ModelFileError(
            f"answers {shape}: it is an object detector, or the like, and no classifier, which "
            "answers [1, classes]"
        )
    if len(shape) > 1 and len(sizes) > 2:
        raise ModelFileError(
            f"answers {shape}: it tells the places in a picture apart (segmentation) and is no "
            "classifier, which answers [1, classes]"
        )
    if len(shape) < 2 or not sizes:
        raise ModelFileError(
            f"answers {shape}, a single value; a classifier has a score for each class, so train "
            "it with two classes"
        )
    if sizes[0] < 2 or shape[0] not in (1, -1):
        raise ModelFileError(f"answers {shape}; a classifier answers [1, classes]")
    if sizes[0] > CLASSES:
        raise ModelFileError(f"answers {shape}; at most {CLASSES:,} classes are read")
    if tensor.dtype not in (*_TYPES, "float32"):
        raise ModelFileError(f"answers {tensor.dtype}, no scores; they are uint8, int8 or float32")
    _check_quantization(tensor, "output")


def _check_quantization(tensor: Tensor, place: str) -> None:
    if not all(math.isfinite(scale) and scale > 0 for scale in tensor.scale):
        raise ModelFileError(f"has an {place} of scale {tensor.scale[0]}, which is none")
    if len(tensor.scale) > 1:
        raise ModelFileError(f"has {len(tensor.scale)} scales for its {place}; there is one")


def understand_input(graph: Graph, flatbuffer: bytes, hints: Hints) -> ForeignInput:
    """How pixels become the input of a model without a manifest.

    Args:
        graph: of a model that `check_classifier` has passed.
        flatbuffer: the model, for its metadata.
        hints: what its user knows.

    Raises:
        ModelFileError: it cannot be told; the message is a clause without the file's name.
    """
    tensor = graph.tensors[graph.inputs[0]]
    bgr = hints.channels == "bgr"
    order = "bgr" if bgr else "rgb"
    if tensor.dtype in _TYPES and not tensor.scale:
        if tensor.dtype == "int8" or hints.normalization:
            raise ModelFileError(f"takes {tensor.dtype} and has no scale that says what it means")
        return ForeignInput(None, bgr, f"pixels as they are ({order})")
    name, normalization, source = _normalization(tensor, flatbuffer, hints)
    if name in _KNOWN and _KNOWN[name].bgr and hints.channels is None:
        raise ModelFileError(
            f"takes pixels in the range of Caffe's models ({source}), most of which want blue "
            "first; pass --channels bgr, or rgb"
        )
    note = f"pixels normalized to {name} ({order}), {source}"
    if limits := _range(tensor):
        clipped = 1 - _overlap(_limits(normalization), limits)
        if clipped > _TOLERANCE:
            note += f"; {clipped:.0%} of their range is cut off: was it calibrated on dim pictures?"
    return ForeignInput(normalization, bgr, note)


def _normalization(
    tensor: Tensor, flatbuffer: bytes, hints: Hints
) -> tuple[str, Normalization, str]:
    """Its name, what it is, and where that is from."""
    limits = _range(tensor)
    if hints.normalization is not None:
        wanted = normalization_called(hints.normalization)
        if limits and not _fits(wanted, limits):
            raise ModelFileError(
                f"takes values {_words(limits)}, and --normalization {hints.normalization} gives "
                f"values {_words(_limits(wanted))}"
            )
        return hints.normalization, wanted, "as --normalization says"
    described = read_normalization(flatbuffer)
    if described and (limits is None or _fits(described, limits)):
        name = next((n for n, known in _KNOWN.items() if known.normalization == described), None)
        return name or _words(_limits(described)), described, "as its metadata says"
    names = _known_in(limits) if limits else []
    if len(names) == 1 and limits:
        return names[0], _KNOWN[names[0]].normalization, f"as its values {_words(limits)} say"
    what = f"values {_words(limits)}" if limits else "float32"
    raise ModelFileError(
        f"takes {what} and does not say how pixels are normalized; pass --normalization "
        f"({', '.join(_KNOWN)}, or mean and standard deviation as R,G,B/R,G,B)"
    )


def _range(tensor: Tensor) -> tuple[float, float] | None:
    """The real numbers that a quantized tensor can hold; None for one that is not quantized."""
    if tensor.dtype not in _TYPES:
        return None
    low, high = _TYPES[tensor.dtype]
    scale, zero = tensor.scale[0], tensor.zero_point[0] if tensor.zero_point else 0
    return scale * (low - zero), scale * (high - zero)


def _limits(normalization: Normalization) -> tuple[float, float]:
    """What it makes of the darkest and of the brightest pixel, over all channels."""
    pairs = list(zip(normalization.mean, normalization.std, strict=True))
    return min(-mean / std for mean, std in pairs), max((1 - mean) / std for mean, std in pairs)


def _known_in(limits: tuple[float, float]) -> list[str]:
    """Names of the normalizations that an input of this range was made for."""
    return [name for name, known in _KNOWN.items() if _is_for(known, limits)]


def _is_for(known: _Known, limits: tuple[float, float]) -> bool:
    low, high = known.limits
    tolerance = _TOLERANCE * (high - low)
    if abs(limits[0] - low) > tolerance or limits[1] > high + tolerance:
        return False
    return limits[1] >= (low + _ENOUGH * (high - low) if known.by_start else high - tolerance)


def _fits(normalization: Normalization, limits: tuple[float, float]) -> bool:
    """Whether most of what a normalization gives is in a range, and fills enough of it."""
    given = _limits(normalization)
    return _overlap(given, limits) >= _ENOUGH and _overlap(limits, given) >= _ENOUGH


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The fraction of one range that lies in another."""
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0])) / (one[1] - one[0])


def _words(limits: Iterable[float]) -> str:
    low, high = limits
    return f"from {low:.4g} to {high:.4g}"
