"""What the user brings: a ResNet's weights or an ONNX classifier, as the measure of all stages."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from edgekit.errors import ConversionError
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit_convert.answers import Answer, Answers, onnx_answer
from edgekit_convert.graph.export import to_onnx
from edgekit_convert.graph.fold import picture_input, with_logits
from edgekit_convert.weights.architectures import Architecture

# Calibration pictures made where the user has none, and gradient steps spent on each. After 60
# the statistics of a ResNet-18 lie within 2 % of the remembered ones.
DISTILLED = 40
STEPS = 60


@dataclass(frozen=True)
class Original:
    """A trained classifier.

    Attributes:
        stage: its name in the fidelity ladder: `pytorch` or `onnx`.
        name: what the user gave: `imagenet-v1` or a file's name.
        sha256: of the file, in hexadecimal.
        architecture: none for an ONNX model, whose architecture may be any.
        head: layers of the head in words; empty for an ONNX model.
        classes: number of classes.
        parameters: number of weights and biases, BatchNorm folded.
        labels: class names, where the source knows them.
        answer: logits and probabilities for raw pictures.
        export: writes it as ONNX for a height and width.
        distil: makes calibration pictures from BatchNorm statistics, (height, width, seed,
            advance) to (N, H, W, 3) uint8; none for an ONNX model.
    """

    stage: str
    name: str
    sha256: str
    architecture: Architecture | None
    head: str
    classes: int
    parameters: int
    labels: list[str] | None
    answer: Answer
    export: Callable[[int, int], onnx.ModelProto]
    distil: "Callable[[int, int, int, Callable[[int], None]], NDArray[np.uint8]] | None"


def open_resnet(architecture: Architecture, weights: str, normalization: Normalization) -> Original:
    """A torchvision ResNet.

    Args:
        architecture: which.
        weights: `imagenet-v1`, `imagenet-v2`, or the path of a checkpoint.
        normalization: what it was trained with.

    Raises:
        CheckpointError: see `checkpoint` and `resnet` beside this.
    """
    # torch takes seconds to import and gigabytes to install; an ONNX model needs none of it.
    try:
        import torch
    except ImportError as error:
        raise ConversionError(
            f"a checkpoint needs PyTorch, which cannot be loaded ({error}); install it with: pip "
            'install "edgekit-convert[torch]", or pass an ONNX model with --onnx'
        ) from error

    from edgekit_convert.quantize.distillation import distil
    from edgekit_convert.weights.checkpoint import load_file, load_imagenet
    from edgekit_convert.weights.resnet import describe_head, load

    if weights.startswith("imagenet-v"):
        checkpoint = load_imagenet(architecture, int(weights[-1]))
    else:
        checkpoint = load_file(Path(weights))
    network = load(architecture, checkpoint.state)
    head = network.get_submodule("fc")
    of_head = sum(values.numel() for values in head.parameters())
    last = [layer for layer in head.modules() if isinstance(layer, torch.nn.Linear)][-1]

    def answer(pictures: NDArray[np.uint8]) -> Answers:
        # Channels last in memory, which is the faster order here.
        pixels = torch.from_numpy(normalize(pictures, normalization)).contiguous(
            memory_format=torch.channels_last
        )
        with torch.inference_mode():
            logits = np.asarray(network(pixels).numpy(), dtype=np.float32)
        return Answers.of_logits(logits)

    return Original(
        stage="pytorch",
        name=checkpoint.name,
        sha256=checkpoint.sha256,
        architecture=architecture,
        head=describe_head(head),
        classes=last.out_features,
        parameters=architecture.parameters() + of_head,
        labels=checkpoint.labels,
        answer=answer,
        export=lambda height, width: to_onnx(network, height, width),
        distil=lambda height, width, seed, advance: distil(
            network, normalization, height, width, DISTILLED, STEPS, seed, advance
        ),
    )


def normalize(pictures: NDArray[np.uint8], normalization: Normalization) -> NDArray[np.float32]:
    """Raw pictures (N, H, W, 3) to what the untouched network takes, (N, 3, H, W) float32.

    (p / 255 - mean) / std for each channel.
    """
    mean = np.array(normalization.mean, np.float32)
    std = np.array(normalization.std, np.float32)
    scaled = (pictures.astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def exported_answer(model: onnx.ModelProto, normalization: Normalization) -> Answer:
    """An ONNX classifier that takes normalized pictures (N, 3, H, W), in onnxruntime."""
    raw = onnx_answer(with_logits(model), picture_input(model).tensor)
    return lambda pictures: raw(normalize(pictures, normalization))


def open_onnx(path: Path, normalization: Normalization, geometry: Geometry) -> Original:
    """An ONNX classifier that takes normalized pictures (N, 3, H, W).

    Raises:
        ConversionError: missing, damaged, no classifier of RGB pictures, or of another size.
    """
    try:
        content = path.read_bytes()
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model)
    except OSError as error:
        raise ConversionError(f"cannot read the ONNX model {path}: {error.strerror}") from error
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "damaged"
        raise ConversionError(f"{path} is not a usable ONNX model: {reason}") from error
    picture = picture_input(model)
    for fixed, wanted in ((picture.height, geometry.height), (picture.width, geometry.width)):
        if fixed not in (None, wanted):
            raise ConversionError(
                f"{path} takes pictures of {picture.width}x{picture.height}; pass --size {fixed}"
            )
    answer = exported_answer(model, normalization)
    logits = answer(np.zeros((1, geometry.height, geometry.width, 3), np.uint8)).logits
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ConversionError(f"{path} does not give a score for each of two classes or more")
    return Original(
        stage="onnx",
        name=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        architecture=None,
        head="",
        classes=logits.shape[1],
        parameters=sum(math.prod(constant.dims) for constant in model.graph.initializer),
        labels=None,
        answer=answer,
        export=lambda height, width: model,
        distil=None,
    )
