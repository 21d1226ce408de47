"""What a user brings to be converted: one class for each kind, all opened the same way."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from edgekit.errors import CheckpointError, ConfigurationError
from edgekit.model.architectures import ARCHITECTURES, Architecture
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit_convert.graph.onnx_file import open_graph, open_onnx
from edgekit_convert.weights.folders import weight_files
from edgekit_convert.weights.imagenet import IMAGENET, IMAGENET_CROPS
from edgekit_convert.weights.kinds import is_onnx, is_program
from edgekit_convert.weights.trained import TrainedModel, open_resnet, require_torch

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

# What `torch.export.save` calls its files, and what ONNX models are called.
_PROGRAM, _ONNX = ".pt2", ".onnx"


class SourceModel(ABC):
    """A trained classifier that was not opened yet."""

    @property
    def files(self) -> list[Path]:
        """What is read, which no output may take the place of; some may not be there."""
        return []

    @property
    def crop(self) -> float:
        """Fraction of a picture's shorter side that it is shown, where nobody says otherwise."""
        return 1.0

    def check(self) -> None:  # noqa: B027  what is in memory is there
        """Refuse, before anything slow, what is not there.

        Raises:
            CheckpointError: it cannot be read.
        """

    @abstractmethod
    def open(self, normalization: Normalization, geometry: Geometry) -> TrainedModel:
        """The classifier.

        Args:
            normalization: what it was trained with.
            geometry: of its input.

        Raises:
            EdgekitError: it cannot be had, read, or converted.
        """


@dataclass(frozen=True)
class PublishedWeights(SourceModel):
    """torchvision's published weights of a ResNet, by the version of its recipe."""

    architecture: Architecture
    version: int

    @property
    def crop(self) -> float:
        return IMAGENET_CROPS[self.version]

    def open(self, normalization: Normalization, geometry: Geometry) -> TrainedModel:
        return open_resnet(self.architecture, f"{IMAGENET}-v{self.version}", normalization)


@dataclass(frozen=True)
class Checkpoint(SourceModel):
    """A state dict of a ResNet, in a file, or in the folder that a library saved it in.

    Attributes:
        architecture: which; None for the one that its keys belong to.
        path: of the file, or the folder.
        head: layers of its head, where the user says them.
        key: of the state dict, where the file holds several.
    """

    architecture: Architecture | None
    path: Path
    head: tuple[str, ...] | None = None
    key: str | None = None

    @property
    def files(self) -> list[Path]:
        # A folder is what lies in it.
        return [self.path, *(self.path.iterdir() if self.path.is_dir() else ())]

    def check(self) -> None:
        weight_files(self.path)

    def open(self, normalization: Normalization, geometry: Geometry) -> TrainedModel:
        weights = os.fspath(self.path)
        return open_resnet(self.architecture, weights, normalization, self.head, self.key)


@dataclass(frozen=True)
class OnnxFile(SourceModel):
    """An ONNX classifier, in a file."""

    path: Path

    @property
    def files(self) -> list[Path]:
        # Where an exporter puts the data that it keeps outside of it.
        return [self.path, self.path.with_name(f"{self.path.name}.data")]

    def check(self) -> None:
        check_file(self.path, "the ONNX model")

    def open(self, normalization: Normalization, geometry: Geometry) -> TrainedModel:
        return open_onnx(self.path, normalization, geometry)


@dataclass(frozen=True)
class ProgramFile(SourceModel):
    """A program of `torch.export`, in a file."""

    path: Path

    @property
    def files(self) -> list[Path]:
        return [self.path]

    def check(self) -> None:
        check_file(self.path, "the program")

    def open(self, normalization: Normalization, geometry: Geometry) -> TrainedModel:
        require_torch("a program of torch.export")
        from edgekit_convert.weights.programs import load_program

        return InMemory(load_program(self.path), self.path.name).open(normalization, geometry)


@dataclass(frozen=True)
class InMemory(SourceModel):
    """A network that its owner has in memory.

    Attributes:
        model: of PyTorch, a program of `torch.export`, or ONNX.
        name: what it is called; by default its class.
    """

    model: "nn.Module | ExportedProgram | onnx.ModelProto"
    name: str = ""

    def open(self, normalization: Normalization, geometry: Geometry) -> TrainedModel:
        if isinstance(self.model, onnx.ModelProto):
            name = self.name or self.model.graph.name or "ONNX model"
            return open_graph(self.model, name, normalization, geometry)
        from torch.export import ExportedProgram

        from edgekit_convert.graph.torch_module import open_module

        if not isinstance(self.model, ExportedProgram):
            return open_module(self.model, normalization, geometry, name=self.name)
        from edgekit_convert.weights.programs import check_input

        name = self.name or "program"
        try:
            check_input(self.model, geometry)
        except CheckpointError as error:
            raise CheckpointError(f"{name}: {error}") from error
        module = self.model.module()
        for part in module.modules():
            part.training = False  # a program has no modes, but says it has
        return open_module(module, normalization, geometry, name=name, source="program")


def published(architecture: Architecture | None, weights: str) -> PublishedWeights | None:
    """What is meant by `imagenet`, the best there is, `imagenet-v1` or `imagenet-v2`.

    Returns:
        None where something else is meant.

    Raises:
        ConfigurationError: torchvision has published no such weights, or nobody says of what.
    """
    if weights != IMAGENET and not weights.startswith(f"{IMAGENET}-"):
        return None
    if architecture is None:
        raise ConfigurationError(f"{weights} needs --arch, the number of layers of the ResNet")
    names = {f"{IMAGENET}-v{version}": version for version in architecture.versions}
    if weights == IMAGENET and names:
        weights = list(names)[-1]
    if weights not in names:
        there = " and ".join(names) or "no weights"
        raise ConfigurationError(
            f"torchvision has published {there} for --arch {architecture.option}, not {weights}"
        )
    return PublishedWeights(architecture, names[weights])


def find_source(
    model: Any,
    *,
    arch: str | None = None,
    head: Sequence[str] | None = None,
    weights_key: str | None = None,
) -> SourceModel:
    """What a user means by a model, told by its type, and a file's by its first bytes.

    Args:
        model: an `nn.Module`, a program of `torch.export`, an ONNX model, the path of any, or
            `imagenet`, `imagenet-v1`, `imagenet-v2`.
        arch, head, weights_key: of a checkpoint, as of `edgekit_convert.convert`.

    Raises:
        ConfigurationError: it is none of these, or they do not go together.
    """
    architecture = ARCHITECTURES[arch] if arch else None
    source = _source(model, architecture, tuple(head) if head else None, weights_key)
    if not isinstance(source, Checkpoint):
        of_checkpoint: dict[str, Any] = {"--head": head, "--weights-key": weights_key}
        if not isinstance(source, PublishedWeights):
            of_checkpoint["--arch"] = arch
        for option, value in of_checkpoint.items():
            if value is not None:
                raise ConfigurationError(f"{option} is for a checkpoint of a ResNet alone")
    return source


def _source(
    model: Any, architecture: Architecture | None, head: tuple[str, ...] | None, key: str | None
) -> SourceModel:
    if isinstance(model, str) and (weights := published(architecture, model)):
        return weights
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        if path.suffix == _PROGRAM or is_program(path):
            return ProgramFile(path)
        if path.suffix == _ONNX or is_onnx(_beginning(path)):
            return OnnxFile(path)
        return Checkpoint(architecture, path, head, key)
    if isinstance(model, onnx.ModelProto):
        return InMemory(model)
    require_torch("a network of PyTorch")
    from torch import nn
    from torch.export import ExportedProgram

    if isinstance(model, (nn.Module, ExportedProgram)):
        return InMemory(model)
    if isinstance(model, type):
        raise ConfigurationError(
            f"{model.__name__} is a class, not a network; make one of it and load its weights"
        )
    remedy = "pass an nn.Module, a program of torch.export, an ONNX model, or the path of a file"
    if isinstance(getattr(model, "model", None), nn.Module):
        remedy = "pass its .model"
    elif isinstance(model, Mapping):
        remedy = "load its weights into their network, or pass the path of their file"
    raise ConfigurationError(f"{type(model).__name__} is not a network; {remedy}")


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError:
        return b""


def check_file(path: Path, what: str) -> None:
    """Refuse a file that cannot be read.

    Raises:
        CheckpointError: it cannot; `what` it is for is in the message.
    """
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; name the file in it that is {what}")
    try:
        path.open("rb").close()
    except OSError as error:
        raise CheckpointError(f"cannot read {what} {path}: {error.strerror}") from error
