"""The user's own network, or its answers: what the one rebuilt from a state dict has to give too.

A state dict does not say where a network has its activations and strides, whether it has a max
pooling, or the epsilon of its BatchNorm. Answers do.
"""

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ConversionError, FidelityError
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization, StageFidelity
from edgekit.text import percent
from edgekit_convert.answers import Answer, Answers, in_batches
from edgekit_convert.feeding.candidates import triple
from edgekit_convert.feeding.pixels import is_flat, recognize, undo
from edgekit_convert.graph.onnx_file import open_onnx
from edgekit_convert.verify.fidelity import FLOAT_AGREEMENT, compare
from edgekit_convert.weights.trained import TrainedModel, normalize

_FORM = (
    "it takes a .npz with inputs (N, 3, H, W) float32 as the network takes them and its logits "
    "(N, classes), or an ONNX model; docs/conversion.md has the three lines that write it"
)
_NAMES = ("inputs", "logits")
_MAXIMUM_BYTES = 2 << 30
# Between float32 orders of additions there are 100 dB; float16 and TF32 leave 50 to 60, bfloat16
# 35 to 40. Another activation or pooling leaves less than 20.
_DIFFERENT_DB, _CLOSE_DB = 30.0, 50.0
_PICTURES, _SQUARE = 8, 8


@dataclass(frozen=True)
class Reference:
    """The user's own network, or its answers to some pictures.

    Attributes:
        name: of the file.
        sha256: of the file, in hexadecimal.
        inputs: normalized pictures (N, 3, H, W) float32.
        answers: the user's network's to them.
        answer: the network itself, where the file is an ONNX model.
        note: what the file leaves open, in words.
    """

    name: str
    sha256: str
    inputs: NDArray[np.float32]
    answers: Answers
    answer: Answer | None = None
    note: str | None = None


def open_reference(path: Path, normalization: Normalization, geometry: Geometry) -> Reference:
    """Read the file of `--reference`.

    Args:
        path: a `.npz` of `inputs` and `logits`, or an ONNX model.
        normalization: that of the conversion; inputs have to be pixels normalized by it.
        geometry: that of the conversion.

    Raises:
        ConversionError: it is neither, or does not fit the conversion.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConversionError(f"cannot read the reference {path}: {error.strerror}") from error
    if path.suffix == ".npz" or content.startswith(b"PK"):
        return _from_answers(path, content, normalization, geometry)
    model = open_onnx(path, normalization, geometry)
    pictures = _coloured(geometry)
    return Reference(
        model.name,
        model.sha256,
        normalize(pictures, normalization),
        in_batches(model.answer, pictures),
        model.answer,
    )


def check_rebuilt(trained: TrainedModel, reference: Reference) -> tuple[StageFidelity, str | None]:
    """Compare the network rebuilt from a state dict with the user's own.

    Args:
        trained: opened from a checkpoint.
        reference: of the same network.

    Returns:
        its figures beside the user's answers, and in words a difference that may be of rounding.

    Raises:
        ConversionError: they have not the same number of classes.
        FidelityError: they are not the same function.
    """
    assert trained.forward is not None
    classes = reference.answers.logits.shape[1]
    if classes != trained.classes:
        raise ConversionError(
            f"{reference.name} has answers for {classes} classes where {trained.name} has "
            f"{trained.classes}; it is another network's"
        )
    rebuilt = Answers.join(
        [trained.forward(reference.inputs[i : i + 1]) for i in range(len(reference.inputs))]
    )
    figures = compare(trained.stage, _centred(rebuilt), _centred(reference.answers), None)
    decibels = np.inf if figures.snr_db is None else figures.snr_db
    found = (
        f"the network rebuilt from {trained.name} gives the answer of {reference.name} to "
        f"{percent(figures.agreement, 2)} of {figures.images} pictures, with {decibels:.1f} dB"
    )
    if figures.agreement < FLOAT_AGREEMENT or decibels < _DIFFERENT_DB:
        guess = f" ({trained.guess})" if trained.guess else ""
        raise FidelityError(
            f"{found}: it is another function; what a state dict does not say may differ, such as "
            f"activations of the head (--head){guess}, strides or max pooling (export to ONNX and "
            "convert that with --onnx), or the reference was written with Dropout at work (call "
            "model.eval() first) or with other weights"
        )
    if decibels < _CLOSE_DB:
        return figures, (
            f"{found}: where that network did not run in half precision, something in it differs"
        )
    return figures, None


def _centred(answers: Answers) -> Answers:
    """Without what all logits of a picture have in common: a softmax, or its logarithm, ignores it.

    So log-probabilities are as good as logits, and a common offset hides no difference.
    """
    logits = answers.logits - answers.logits.mean(axis=1, keepdims=True)
    return Answers(logits, answers.probabilities)


def _coloured(geometry: Geometry) -> NDArray[np.uint8]:
    """Pictures (8, H, W, 3) of coloured squares, which the stem does not average away."""
    rows, columns = -(-geometry.height // _SQUARE), -(-geometry.width // _SQUARE)
    random = np.random.default_rng(0).integers(0, 256, (_PICTURES, rows, columns, 3))
    squares = random.astype(np.uint8).repeat(_SQUARE, axis=1).repeat(_SQUARE, axis=2)
    return squares[:, : geometry.height, : geometry.width]


def _from_answers(
    path: Path, content: bytes, normalization: Normalization, geometry: Geometry
) -> Reference:
    arrays = _arrays(path, content)
    inputs, logits = arrays["inputs"], arrays["logits"]
    _check_shapes(path, inputs, logits, geometry)
    if logits.min() >= 0 and logits.max() <= 1:
        raise ConversionError(
            f"the logits in {path} are probabilities; write what the network gives before its "
            "softmax, or their logarithms"
        )
    return Reference(
        path.name,
        hashlib.sha256(content).hexdigest(),
        inputs,
        Answers.of_logits(logits),
        note=_check_pixels(path, inputs, normalization),
    )


def _arrays(path: Path, content: bytes) -> dict[str, NDArray[np.float32]]:
    """Inputs and logits; no pickle in the file is opened."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            names = [name.removesuffix(".npy") for name in archive.namelist()]
        missing = [name for name in _NAMES if name not in names]
        if missing:
            held = ", ".join(names[:5]) or "nothing"
            raise ConversionError(f"{path} holds {held}, not {' and '.join(missing)}; {_FORM}")
        if size > _MAXIMUM_BYTES:
            raise ConversionError(f"{path} unpacks to {size:,} bytes; some 100 pictures are enough")
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            arrays = {name: found[name] for name in _NAMES}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError,
            RuntimeError) as error:  # fmt: skip
        raise ConversionError(f"{path} is damaged or holds no plain arrays; {_FORM}") from error
    for name, values in arrays.items():
        if values.dtype.kind != "f":
            raise ConversionError(
                f"{name} in {path} are {values.dtype}, not float32; write what the network takes "
                "and gives, unchanged"
            )
        if not np.isfinite(values).all():
            raise ConversionError(f"{name} in {path} holds values that are not finite")
    return {name: values.astype(np.float32) for name, values in arrays.items()}


def _check_shapes(
    path: Path, inputs: NDArray[np.float32], logits: NDArray[np.float32], geometry: Geometry
) -> None:
    if inputs.ndim != 4 or inputs.shape[1] != 3 or not len(inputs):
        raise ConversionError(f"inputs in {path} are {inputs.shape}, not (N, 3, H, W)")
    if logits.ndim != 2 or len(logits) != len(inputs) or logits.shape[1] < 2:
        raise ConversionError(
            f"logits in {path} are {logits.shape} for inputs {inputs.shape}, not (N, classes)"
        )
    height, width = inputs.shape[2:]
    if height != width:
        raise ConversionError(f"inputs in {path} are not square: {width}x{height}")
    if (height, width) != (geometry.height, geometry.width):
        raise ConversionError(
            f"inputs in {path} are pictures of {width}x{height} pixels; pass --size {height}"
        )


def _check_pixels(
    path: Path, inputs: NDArray[np.float32], normalization: Normalization
) -> str | None:
    """Find out by the inputs whether the normalization is right: whole pixel values come out.

    Returns:
        in words, that they show it neither way: pictures resized in float have no whole values.
    """
    if any(is_flat(picture.reshape(3, -1)) for picture in inputs):
        raise ConversionError(
            f"inputs in {path} hold a picture of one colour, which tells nothing; write pictures "
            "from the evaluation of your network"
        )
    values = inputs.transpose(1, 0, 2, 3).reshape(3, -1)
    found, shown = recognize(values, normalization)
    if found is None:
        pixels = undo(values, normalization)
        raise ConversionError(
            f"inputs in {path} are no pixels from 0 to 255 normalized with --mean and --std: those "
            f"would be from {pixels.min():.0f} to {pixels.max():.0f}; pass the --mean and --std of "
            "your transform, and write pictures that went through it"
        )
    if found != normalization:
        raise ConversionError(
            f"inputs in {path} are normalized otherwise than the conversion would; pass --mean "
            f"{triple(found.mean)} --std {triple(found.std)}"
        )
    if shown:
        return None
    return (
        f"inputs in {path} are no whole pixel values, as pictures resized in float are not: that "
        "--mean and --std are those of the training, they do not show"
    )
