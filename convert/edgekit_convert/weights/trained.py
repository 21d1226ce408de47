"""The trained classifier that a user brings, as the measure of all that is made of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import CheckpointError, ConversionError
from edgekit.model.architectures import ARCHITECTURES, Architecture
from edgekit.model.manifest import Normalization
from edgekit_convert.answers import Answer, Answers
from edgekit_convert.weights.names import SavedNames
from edgekit_convert.weights.recorded import Recorded

if TYPE_CHECKING:
    import onnx
    from torch import nn

# PyTorch's, or an ONNX model.
Network: TypeAlias = "nn.Module | onnx.ModelProto"


@dataclass(frozen=True)
class TrainedModel:
    """A trained classifier, opened by one of `edgekit_convert.source_models`.

    Attributes:
        stage: its name in the fidelity ladder: `pytorch` or `onnx`.
        name: what the user gave: `imagenet-v1`, a file's name, or a module's class.
        sha256: of the file, or of the module's tensors, in hexadecimal.
        source: what the user gave, as `Origin` calls it.
        architecture: which ResNet it was built as; none for the user's own network, which may be
            any.
        head: layers of the head in words; of an ONNX model, what was made of its end.
        classes: number of classes.
        parameters: number of weights and biases, BatchNorm folded.
        labels: class names, where the source knows them.
        network: takes normalized pictures (N, 3, H, W) float32 and gives logits.
        graph: the same as ONNX, for one picture, where it is known already.
        answer: logits and probabilities of the network, for raw pictures.
        forward: the same for normalized pictures (N, 3, H, W) float32, of a rebuilt network.
        saved_names: class names that lie in the checkpoint.
        recorded: how it was fed, as the file or the module says it.
        notes: what was chosen, guessed or left out when it was opened, in words.
        guess: what the state dict does not say of the head and was guessed, in words.
        one_size: whether it takes pictures of one size only.
    """

    stage: str
    name: str
    sha256: str
    source: str
    architecture: Architecture | None
    head: str
    classes: int
    parameters: int
    labels: list[str] | None
    network: Network
    answer: Answer
    graph: "onnx.ModelProto | None" = None
    forward: Callable[[NDArray[np.float32]], Answers] | None = None
    saved_names: list[SavedNames] = field(default_factory=list)
    recorded: Recorded | None = None
    notes: list[str] = field(default_factory=list)
    guess: str | None = None
    one_size: bool = False


def normalize(pictures: NDArray[np.uint8], normalization: Normalization) -> NDArray[np.float32]:
    """Raw pictures (N, H, W, 3) to what the untouched network takes, (N, 3, H, W) float32.

    (p / 255 - mean) / std for each channel.
    """
    mean = np.array(normalization.mean, np.float32)
    std = np.array(normalization.std, np.float32)
    scaled = (pictures.astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def require_torch(what: str) -> None:
    """Refuse what needs PyTorch, which an ONNX model does without, where it is not installed.

    Raises:
        ConversionError: it cannot be loaded.
    """
    # torch takes seconds to import and gigabytes to install.
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise ConversionError(
            f"{what} needs PyTorch, which cannot be loaded ({error}); install it with: pip "
            'install "edgekit-convert[torch]", or pass an ONNX model'
        ) from error


def open_resnet(
    architecture: Architecture | None,
    weights: str,
    normalization: Normalization,
    head: Sequence[str] | None = None,
    key: str | None = None,
) -> TrainedModel:
    """A ResNet made of torchvision's blocks.

    Args:
        architecture: which; None for the one that the checkpoint's keys belong to.
        weights: `imagenet-v1`, `imagenet-v2`, or the path of a checkpoint.
        normalization: what it was trained with.
        head: layers of the head (`parse_head`), where the user says them.
        key: of the state dict, where the checkpoint holds several.

    Raises:
        CheckpointError: the weights cannot be had, read, or do not fit the architecture.
        ConversionError: PyTorch is not installed.
    """
    require_torch("a checkpoint")
    import torch

    from edgekit_convert.weights.checkpoint import load_file, load_imagenet
    from edgekit_convert.weights.head import describe_head, guess
    from edgekit_convert.weights.inference import inference
    from edgekit_convert.weights.resnet import load, recognise

    if architecture is not None and weights.startswith("imagenet-v"):
        checkpoint = load_imagenet(architecture, int(weights[-1]))
    else:
        checkpoint = load_file(Path(weights), key)
    try:
        if architecture is None:
            architecture = recognise(checkpoint.state)
        if architecture is None:
            known = ", ".join(ARCHITECTURES)
            raise CheckpointError(
                f"its blocks are those of no ResNet of {known} layers; give the network itself in "
                "Python, or as ONNX"
            )
        network = load(architecture, checkpoint.state, head)
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint.name}: {error}") from error
    built = network.get_submodule("fc")
    of_head = sum(values.numel() for values in built.parameters())
    last = [layer for layer in built.modules() if isinstance(layer, torch.nn.Linear)][-1]

    def forward(tensors: NDArray[np.float32]) -> Answers:
        # Channels last in memory, which is the faster order here.
        pixels = torch.from_numpy(tensors).contiguous(memory_format=torch.channels_last)
        with inference():
            logits = np.asarray(network(pixels).numpy(), dtype=np.float32)
        return Answers.of_logits(logits)

    return TrainedModel(
        stage="pytorch",
        name=checkpoint.name,
        sha256=checkpoint.sha256,
        source="state dict" if checkpoint.labels is None else "torchvision",
        architecture=architecture,
        head=describe_head(built),
        classes=last.out_features,
        parameters=architecture.parameters() + of_head,
        labels=checkpoint.labels,
        network=network,
        answer=lambda pictures: forward(normalize(pictures, normalization)),
        forward=forward,
        saved_names=checkpoint.saved_names,
        recorded=checkpoint.recorded,
        notes=checkpoint.notes,
        guess=None if head else guess(checkpoint.state),
    )
