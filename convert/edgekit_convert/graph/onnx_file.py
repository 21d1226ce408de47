"""A trained classifier as an ONNX graph: read from a file, or exported from PyTorch."""

import hashlib
import math
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from edgekit.errors import ConversionError
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit.text import first_line
from edgekit_convert.graph.execution import exported_answer
from edgekit_convert.graph.export import to_onnx
from edgekit_convert.graph.fold import picture_input
from edgekit_convert.weights.trained import TrainedModel


def open_onnx(path: Path, normalization: Normalization, geometry: Geometry) -> TrainedModel:
    """An ONNX classifier that takes normalized pictures (N, 3, H, W) float32.

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
        reason = first_line(error)
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
    return TrainedModel(
        stage="onnx",
        name=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        architecture=None,
        head="",
        classes=logits.shape[1],
        parameters=sum(math.prod(constant.dims) for constant in model.graph.initializer),
        labels=None,
        network=model,
        answer=answer,
    )


def as_onnx(model: TrainedModel, height: int, width: int) -> onnx.ModelProto:
    """Its network for pictures of a size in pixels; PyTorch's is exported."""
    if model.architecture is None:
        return model.network
    return to_onnx(model.network, height, width)
