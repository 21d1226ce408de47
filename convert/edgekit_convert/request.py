"""What a user asks a conversion for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit.vision.view import Region
from edgekit_convert.given.pictures import GivenPictures
from edgekit_convert.source_models import SourceModel
from edgekit_convert.target.memory import Target
from edgekit_convert.verify.fidelity import Thresholds


@dataclass(frozen=True)
class Request:
    """What to convert.

    Attributes:
        model: the trained classifier.
        geometry: input geometry.
        normalization: what the network was trained with.
        classes: class names, or a file of them; None for those that the model knows, or the
            folders' names.
        calibration: image folder or video, or what a user has in Python; None for pictures
            distilled from BatchNorm statistics.
        evaluation: pictures held out from training and calibration, with labels or without.
        region: what is used of each picture of a folder or a video; None for the whole.
        reference: file of the user's own network's answers, or of that network as ONNX.
        io: type of input and output: `uint8`, `int8` or `float32`.
        target: the device, where one was named.
        edgetpu: whether to compile for the Edge TPU.
        thresholds: of the fidelity gate.
        allow_loss: convert although the gate fails.
        allow_misfit: convert although the network was trained on pictures fed otherwise.
        keep_confidence: leave the confidence as it is, whatever labelled pictures say of it.
        seed: of the held-out pictures and of distilled ones.
    """

    model: SourceModel
    geometry: Geometry
    normalization: Normalization
    classes: Path | Sequence[str] | None = None
    calibration: Path | GivenPictures | None = None
    evaluation: Path | GivenPictures | None = None
    region: Region | None = None
    reference: Path | None = None
    io: str = "uint8"
    target: Target | None = None
    edgetpu: bool = False
    thresholds: Thresholds = field(default_factory=Thresholds)
    allow_loss: bool = False
    allow_misfit: bool = False
    keep_confidence: bool = False
    seed: int = 0

    @property
    def files(self) -> list[Path]:
        """What is read of what the user has: files and folders, some of which may not be there."""
        named = (self.reference, self.classes, self.calibration, self.evaluation)
        return [*self.model.files, *(one for one in named if isinstance(one, Path))]

    @property
    def on_edgetpu(self) -> bool:
        """Whether an Edge TPU is to run the model."""
        return self.edgetpu or (self.target is not None and self.target.edgetpu)
