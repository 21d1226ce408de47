"""What a user asks a conversion for."""

from dataclasses import dataclass
from pathlib import Path

from edgekit.model.architectures import Architecture
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit_convert.target.memory import Target
from edgekit_convert.verify.fidelity import Thresholds


@dataclass(frozen=True)
class Request:
    """What to convert.

    Attributes:
        architecture: the ResNet; None for an ONNX model.
        weights: `imagenet-v1`, `imagenet-v2`, or the path of a checkpoint; or of the ONNX model.
        classes: file of class names; None for ImageNet's own, or the evaluation folders' names.
        calibration: image folder or video; None for pictures distilled from BatchNorm statistics.
        evaluation: pictures held out from training and calibration, with labels or without.
        geometry: input geometry.
        normalization: what the network was trained with.
        io: type of input and output: `uint8`, `int8` or `float32`.
        target: the device, where one was named.
        edgetpu: whether to compile for the Edge TPU.
        thresholds: of the fidelity gate.
        allow_loss: write the file although the gate fails.
        allow_misfit: convert although the network was trained on pictures fed otherwise.
        seed: of the held-out pictures and of distilled ones.
        output: path of the model file to write.
    """

    architecture: Architecture | None
    weights: str
    classes: Path | None
    calibration: Path | None
    evaluation: Path | None
    geometry: Geometry
    normalization: Normalization
    io: str
    target: Target | None
    edgetpu: bool
    thresholds: Thresholds
    allow_loss: bool
    allow_misfit: bool
    seed: int
    output: Path

    @property
    def on_edgetpu(self) -> bool:
        """Whether an Edge TPU is to run the model."""
        return self.edgetpu or (self.target is not None and self.target.edgetpu)
