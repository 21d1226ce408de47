"""The self-describing model file: a TFLite flatbuffer with a zip appended.

The zip holds `edgekit.json` (the manifest) and `labels.txt`, the way TFLite Metadata packs
associated files, so `unzip -p model.tflite labels.txt` works and every TFLite tool opens the file.
"""

import hashlib
import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgekit.errors import LabelsError, ModelFileError, SettingsError, SignatureError
from edgekit.files import decode_text, read_bounded
from edgekit.model import flatbuffer as tflite
from edgekit.model import limits
from edgekit.model.archive import take_apart
from edgekit.model.checks import check_graphs
from edgekit.model.decision import DecisionOverrides
from edgekit.model.foreign import check_classifier
from edgekit.model.geometry import Geometry
from edgekit.model.label_file import parse, plain_lines
from edgekit.model.labels import LabelFile, Notify, check_names, class_names, distinct, ignore
from edgekit.model.manifest import OLDEST_SCHEMA, SCHEMA_VERSION, Manifest
from edgekit.model.settled import settle
from edgekit.model.signature import Signature, read_signature
from edgekit.text import one_line

MANIFEST = "edgekit.json"
LABELS = "labels.txt"
# Zip time stamps are local and change each time; a constant keeps equal conversions equal.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class ModelFile:
    """A model file that has been read and checked.

    Attributes:
        path: where it was read from.
        flatbuffer: the TFLite model, ready for an interpreter.
        graph: its structure.
        manifest: none for a model that edgekit did not make.
        label_file: the text file with class names in the zip, or none where there is none.
        sha256: of the whole file, in hexadecimal.
        signature: as it was found, or none; `edgekit.model.signers` checks it.
    """

    path: Path
    flatbuffer: bytes
    graph: tflite.Graph
    manifest: Manifest | None
    label_file: bytes | None
    sha256: str
    signature: Signature | None = None

    @property
    def labels(self) -> list[str] | None:
        """Class names in index order, or none where the file carries none.

        Raises:
            LabelsError: they are in no form that is understood.
        """
        if self.label_file is None:
            return None
        try:
            text = decode_text(self.label_file)
            # Ours is what `pack` wrote; a name in it may well look like another form.
            names = plain_lines(text) if self.manifest else parse(text).names
            check_names(names)
        except ValueError as error:
            raise LabelsError(
                f"the label file in {self.path} {error}; pass the right ones with --labels"
            ) from error
        return names

    def class_names(self, given: LabelFile | None, notify: Notify = ignore) -> list[str]:
        """The name of every class by index: those given, else those in the file.

        Raises:
            LabelsError: as `edgekit.model.labels.class_names`.
        """
        carried = self.labels if given is None else None
        return class_names(self.path, self.classes, carried, given, notify)

    def recommended(self, names: Sequence[str]) -> DecisionOverrides:
        """The decision settings that it recommends; nothing where it has none.

        Args:
            names: what its classes are called, by index; a recommendation is for a class, whatever
                its name.
        """
        if self.manifest is None or self.manifest.decision is None or self.labels is None:
            return DecisionOverrides()
        called = dict(zip(distinct(self.labels), names, strict=True))
        return self.manifest.decision.decision.renamed(called.__getitem__)

    @property
    def classes(self) -> int:
        """Number of classes, from the output's shape."""
        return math.prod(self.graph.tensors[self.graph.outputs[0]].shape[1:])

    @property
    def geometry(self) -> Geometry:
        """The manifest's; without one all of the input, and what most evaluations keep."""
        if self.manifest is not None:
            return self.manifest.geometry
        _, height, width, _ = self.graph.tensors[self.graph.inputs[0]].shape
        # torchvision's and Keras's own evaluation both keep 224/256 of the shorter side.
        return Geometry(height=height, width=width, crop=0.875)


def pack(flatbuffer: bytes, manifest: Manifest, labels: list[str]) -> bytes:
    """Bytes of a model file."""
    file = io.BytesIO(flatbuffer)
    # Stored, not compressed: MediaPipe refuses the file otherwise.
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as files:
        for name, content in (
            (MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2)),
            (LABELS, "".join(f"{label}\n" for label in labels).encode()),
        ):
            files.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), content)
    return file.getvalue()


def _check_depth(raw: bytes) -> None:
    """Refuse JSON that nests deeper than a manifest does; a decoder's stack would end."""
    depth, is_text, is_escaped = 0, False, False
    for byte in raw:
        if is_text:
            is_text = is_escaped or byte != ord('"')
            is_escaped = not is_escaped and byte == ord("\\")
        elif byte == ord('"'):
            is_text = True
        elif byte in b"[{":
            depth += 1
            if depth > limits.JSON_DEPTH:
                raise ModelFileError(f"its manifest nests deeper than {limits.JSON_DEPTH} levels")
        elif byte in b"]}":
            depth -= 1


def _decode_manifest(raw: bytes) -> Manifest:
    _check_depth(raw)
    try:
        schema = msgspec.json.decode(raw).get("schema")
    except (msgspec.MsgspecError, ValueError, AttributeError) as error:
        raise ModelFileError(f"its manifest is not valid JSON ({error})") from error
    if not isinstance(schema, int) or not OLDEST_SCHEMA <= schema <= SCHEMA_VERSION:
        newer = isinstance(schema, int) and schema > SCHEMA_VERSION
        raise ModelFileError(
            f"its manifest is of schema {one_line(schema, 20)}, this edgekit reads {OLDEST_SCHEMA} "
            f"to {SCHEMA_VERSION}" + ("; update edgekit" if newer else "")
        )
    try:
        return msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ModelFileError(f"its manifest is damaged ({one_line(error)})") from error


def _check(manifest: Manifest, sha256: str, graph: tflite.Graph) -> None:
    if sha256 != manifest.flatbuffer_sha256:
        raise ModelFileError("its contents do not match the hash in its manifest")
    geometry = manifest.geometry
    inputs = [graph.tensors[index].shape for index in graph.inputs]
    outputs = [graph.tensors[index].shape for index in graph.outputs]
    if inputs != [(1, geometry.height, geometry.width, 3)]:
        raise ModelFileError("its input does not match its manifest")
    if outputs != [(1, manifest.classes)]:
        raise ModelFileError("its output does not match its manifest")


def _read(path: Path, content: bytes) -> tuple[ModelFile, list[tflite.Graph]]:
    """The model, and all graphs in it."""
    parts = take_apart(content)
    flatbuffer = parts.flatbuffer
    graphs = tflite.parse_graphs(flatbuffer)
    graph = graphs[0]
    # Of the flatbuffer, and then, with the zip behind it, of the whole file.
    digest = hashlib.sha256(flatbuffer)
    manifest: Manifest | None = None
    if MANIFEST in parts.names:
        manifest = _decode_manifest(parts.read(MANIFEST, limits.MANIFEST_BYTES))
        _check(manifest, digest.hexdigest(), graph)
    texts = [name for name in parts.names if name.endswith(".txt")]
    names = [LABELS] if LABELS in texts else texts
    label_file = parts.read(names[0], limits.LABEL_FILE_BYTES) if len(names) == 1 else None
    digest.update(memoryview(content)[len(flatbuffer) :])
    sha256 = digest.hexdigest()
    signature = read_signature(content)
    model = ModelFile(path, flatbuffer, graph, manifest, label_file, sha256, signature)
    if manifest is not None:
        _check_labels(model, manifest)
    if manifest is not None and manifest.decision is not None:
        _check_decision(model, manifest.decision.decision)
    return model, graphs


def _check_labels(model: ModelFile, manifest: Manifest) -> None:
    try:
        labels = model.labels
    except LabelsError as error:
        raise ModelFileError(f"its labels are damaged ({error})") from error
    if labels is None or len(labels) != manifest.classes:
        raise ModelFileError(f"its labels are not the {manifest.classes} that its manifest counts")


def _check_decision(model: ModelFile, recommended: DecisionOverrides) -> None:
    try:
        settle(DecisionOverrides(), recommended, distinct(model.labels or []))
    except SettingsError as error:
        raise ModelFileError(f"the decision settings that it recommends: {error}") from error


def read_model(path: Path) -> ModelFile:
    """Read a model file and check its structure and hash; no interpreter sees it before that.

    A `.tflite` without our manifest is read too: its manifest is None.

    Raises:
        ModelFileError: missing, damaged, not an image classifier, or not what its manifest says.
    """
    try:
        content = read_bounded(path, limits.FILE_BYTES, follow=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(f"cannot read the model {path}: {reason}") from error
    return parse_model(path, content)


def parse_model(path: Path, content: bytes) -> ModelFile:
    """Check a model whose bytes were read already.

    Args:
        path: where they are from, for messages.
        content: of the whole file.

    Raises:
        ModelFileError: as `read_model`, and nothing else, whatever the bytes are.
    """
    try:
        model, graphs = _read(path, content)
    except SignatureError as error:
        raise SignatureError(f"{path} cannot be trusted: {error}; sign it again") from error
    except ModelFileError as error:
        raise _unusable(path, error) from error
    # What it is for comes first: detectors often hold what no classifier does.
    try:
        check_classifier(model.graph)
    except ModelFileError as error:
        raise ModelFileError(f"{path} {error}") from error
    try:
        check_graphs(graphs, model.flatbuffer)
    except ModelFileError as error:
        raise _unusable(path, error) from error
    return model


def _unusable(path: Path, reason: ModelFileError) -> ModelFileError:
    return ModelFileError(f"{path} is not a usable model: {reason}; convert it again")
