"""A trained classifier as an ONNX graph: read from a file, or exported from PyTorch."""

import hashlib
import math
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, numpy_helper
from onnx.checker import ValidationError
from onnx.external_data_helper import (
    ExternalDataInfo,
    load_external_data_for_model,
    uses_external_data,
)

from edgekit.errors import ConversionError
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit.text import first_line
from edgekit_convert.graph.ending import find_ending
from edgekit_convert.graph.execution import exported_answer
from edgekit_convert.graph.likeness import check_same, trial_pictures
from edgekit_convert.graph.modernize import OPSET, modernize
from edgekit_convert.graph.normalization import check_own_normalization
from edgekit_convert.graph.original import original_answer
from edgekit_convert.graph.picture import Picture, picture_input
from edgekit_convert.graph.refusals import check_convertible
from edgekit_convert.weights.trained import TrainedModel

# What begins a file of another kind.
_OTHER_KINDS = (
    (b"PK\x03\x04", 0, "a PyTorch checkpoint, or another zip file; pass it with --arch and "
     "--weights, or export it with torch.onnx.export"),
    (b"\x80\x02", 0, "a pickle, as PyTorch's checkpoints were once; pass it with --arch and "
     "--weights, or export it with torch.onnx.export"),
    (b"TFL3", 4, "a TFLite file; give the ONNX model that it was made from"),
    (b"\x89HDF\r\n", 0, "a Keras or HDF5 file; export it with tf2onnx"),
    (b"ORTM", 4, "a file in onnxruntime's own format; give the ONNX model that it was made from"),
    (b"version https://git-lfs", 0, "a pointer of Git LFS; fetch the file with git lfs pull"),
)  # fmt: skip


def open_onnx(path: Path, normalization: Normalization, geometry: Geometry) -> TrainedModel:
    """An ONNX classifier of RGB pictures, of any opset and IR version that onnxruntime runs.

    Its answers are those of the file as it came; its network is brought into the form that
    `to_onnx` gives, and has the same answers to a few pictures of noise.

    Raises:
        ConversionError: missing, damaged, no classifier of RGB pictures, of another size, or what
            no faithful int8 file can be made of.
    """
    model, digest = _read(path)
    try:
        return _open(model, path.name, digest, normalization, geometry)
    except ConversionError as error:
        raise ConversionError(f"{path}: {error}") from error


def open_graph(
    model: onnx.ModelProto, name: str, normalization: Normalization, geometry: Geometry
) -> TrainedModel:
    """The same of a model in memory, called `name`.

    Raises:
        ConversionError: as `open_onnx`.
    """
    digest = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
    return _open(model, name, digest, normalization, geometry)


def _read(path: Path) -> tuple[onnx.ModelProto, str]:
    """A model with the data that lies beside its file, and the SHA-256 of all."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConversionError(f"cannot read the ONNX model {path}: {error.strerror}") from error
    for beginning, offset, what in _OTHER_KINDS:
        if content[offset : offset + len(beginning)] == beginning:
            raise ConversionError(f"{path} is not a usable ONNX model: it is {what}")
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise ConversionError(
            f"{path} is not a usable ONNX model, or is cut off; export or copy it again"
        ) from error
    if not model.graph.node:
        raise ConversionError(f"{path} is not a usable ONNX model: it has no operators")
    digest = hashlib.sha256(content)
    for file in _load_external_data(model, path):
        digest.update(file.read_bytes())
    return model, digest.hexdigest()


def _load_external_data(model: onnx.ModelProto, path: Path) -> list[Path]:
    """Read weights that lie in other files; which those are, sorted."""
    constants = [*model.graph.initializer]
    constants += [a.t for node in model.graph.node for a in node.attribute if a.HasField("t")]
    needs = [(one, ExternalDataInfo(one)) for one in constants if uses_external_data(one)]
    names = sorted({info.location for _, info in needs})
    for name in names:
        file = path.parent / name
        # onnx refuses these too, but not in words that help.
        if Path(name).is_absolute() or ".." in Path(name).parts or file.is_symlink():
            raise ConversionError(
                f"{path} keeps its weights in {name}, which is not a plain file in its folder; "
                "save it again with onnx.save_model(..., save_as_external_data=True)"
            )
        if not file.is_file():
            raise ConversionError(
                f"{path} keeps its weights in {file}, which is missing; the two files belong "
                "together: copy both into one folder"
            )
    try:
        load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, ValidationError) as error:
        raise ConversionError(
            f"cannot read the weights of {path}: {first_line(error)}; copy both files again"
        ) from error
    for constant, info in needs:
        if not _is_whole(constant):
            raise ConversionError(
                f"{path} keeps its weights in {path.parent / info.location}, which is cut off or "
                "of another export; copy both files again"
            )
    return [path.parent / name for name in names]


def _is_whole(constant: TensorProto) -> bool:
    """Whether a constant has as many bytes as its shape says."""
    try:
        numpy_helper.to_array(constant)
    except ValueError:
        return False
    return True


def _open(
    model: onnx.ModelProto, name: str, digest: str, normalization: Normalization, geometry: Geometry
) -> TrainedModel:
    check_convertible(model)
    picture = picture_input(model)
    _check_size(picture, geometry)
    check_own_normalization(model, picture, normalization)
    ending = find_ending(model)
    pictures = trial_pictures(geometry)
    answer = expected = refusal = None
    try:
        answer = original_answer(model, picture, ending, normalization)
    except ConversionError as error:
        # What onnxruntime does not know may run when it is brought up; the stage says so then.
        refusal = error
    if answer is not None:
        expected = answer(pictures)
        ending.check(expected)
    try:
        network = modernize(model, picture, geometry.height, geometry.width)
        brought_up = exported_answer(network, normalization)
        found = brought_up(pictures)
    except ConversionError as error:
        raise refusal or error from error
    if expected is None:
        ending.check(found)
    else:
        how = f"when it is brought to opset {OPSET}, float32 and one picture"
        check_same(expected, found, how, "export it so")
    return TrainedModel(
        stage="onnx" if answer is not None else f"onnx brought to opset {OPSET}, float32",
        name=name,
        sha256=digest,
        architecture=None,
        head=str(ending),
        classes=found.logits.shape[1],
        parameters=sum(math.prod(constant.dims) for constant in network.graph.initializer),
        labels=None,
        source="onnx",
        network=network,
        graph=network,
        answer=answer or brought_up,
        one_size=picture.height is not None,
    )


def _check_size(picture: Picture, geometry: Geometry) -> None:
    for fixed, wanted in ((picture.height, geometry.height), (picture.width, geometry.width)):
        if fixed not in (None, wanted):
            size = f"the ONNX model takes pictures of {picture.width}x{picture.height}"
            if picture.height != picture.width:
                raise ConversionError(f"{size}; export it for square ones, which --size names")
            raise ConversionError(f"{size}; pass --size {fixed}")
