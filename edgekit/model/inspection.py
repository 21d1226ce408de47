"""What is inside a model file, for programs and for people."""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import msgspec

from edgekit.errors import LabelsError, ModelFileError, SettingsError, SignatureError
from edgekit.files import as_path
from edgekit.model import structure
from edgekit.model.container import ModelFile, read_model
from edgekit.model.decision import Recommendation
from edgekit.model.flatbuffer import Tensor
from edgekit.model.foreign import Hints, understand_input
from edgekit.model.geometry import Geometry
from edgekit.model.labels import distinct
from edgekit.model.manifest import Confidence, Feeding, Origin, Quantization
from edgekit.model.profile import Profile
from edgekit.model.signers import AllowedSigners, check_intact
from edgekit.text import one_line, printable


class Inspection(dict[str, Any]):
    """Facts about a model file as plain JSON types, those of a manifest None without one.

    Printed, it is what `edgekit inspect` shows.
    """

    def __repr__(self) -> str:
        return printable("\n".join(_lines(self)))


def inspect(
    path: str | os.PathLike[str], *, allowed_signers: str | os.PathLike[str] | None = None
) -> Inspection:
    """Look into a model file, without an interpreter; works for any `.tflite` image classifier.

    Args:
        path: of the file.
        allowed_signers: file that says whose key a signature is by.

    Raises:
        ModelFileError: it cannot be read, is damaged, or is no image classifier.
        ConfigurationError: the allowed signers cannot be read.
    """
    allowed = None
    if allowed_signers is not None:
        allowed = AllowedSigners.read(as_path(allowed_signers, "a file of allowed signers"))
    return describe(read_model(as_path(path, "a model file")), allowed)


# Of most cameras.
_FRAME_WIDTH, _FRAME_HEIGHT = 640, 480


def _seen(geometry: Geometry) -> str:
    """How much of a usual frame a model sees, where no region of it is chosen."""
    height, width = geometry.centre_of(_FRAME_HEIGHT, _FRAME_WIDTH)
    return f"of a frame of {_FRAME_WIDTH} x {_FRAME_HEIGHT} the middle {width} x {height}"


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scale": tensor.scale[0] if tensor.scale else None,
        "zero_point": tensor.zero_point[0] if tensor.zero_point else None,
    }


def _labels(model: ModelFile) -> tuple[list[str] | None, str | None]:
    """The class names in the file as they are shown, and what is to be said about them."""
    notes: list[str] = []
    try:
        carried = model.labels
        return carried and distinct(carried, notes.append), "; ".join(notes) or None
    except LabelsError as error:
        return None, str(error)


def _understood(model: ModelFile) -> dict[str, str]:
    """How a model without a manifest would be fed, and what its answers are."""
    try:
        fed = understand_input(model.graph, model.flatbuffer, Hints()).note
    except ModelFileError as error:
        fed = str(error)
    last = structure.ending(model.graph)
    tried = f"tried when it runs (it ends in {last or 'no operator that is known'})"
    return {"input": fed, "scores": "probabilities (softmax)" if last == "SOFTMAX" else tried}


def _signature(model: ModelFile, allowed: AllowedSigners | None) -> dict[str, Any] | None:
    """Who signed a model, and what is to be said against it; None where nobody did."""
    if model.signature is None:
        return None
    principal = problem = None
    try:
        if allowed is None:
            check_intact(model)
        else:
            principal = allowed.check(model).principal
    except (SignatureError, SettingsError) as error:
        problem = str(error)
    return {**dataclasses.asdict(model.signature.key), "principal": principal, "problem": problem}


def describe(model: ModelFile, allowed: AllowedSigners | None = None) -> Inspection:
    """Facts about a model file that was read; `allowed` says whose key a signature is by."""
    graph, manifest = model.graph, model.manifest
    output = graph.tensors[graph.outputs[0]]
    details = msgspec.to_builtins(manifest) if manifest else {}
    provenance = ("weights", "weights_sha256", "head", "normalisation", "quantisation", "tools")
    network = structure.read_structure(graph)
    labels, about_labels = _labels(model)
    return Inspection(
        {
            "arch": details.get("arch"),
            "structure": {
                "name": network.name if network else None,
                "parts": structure.describe(network, graph) if network else [],
            },
            "classes": model.classes,
            "labels": labels,
            "about_labels": about_labels,
            "input": _tensor(graph.tensors[graph.inputs[0]])
            | {"geometry": details.get("geometry")},
            "output": _tensor(output),
            "understood": None if manifest else _understood(model),
            "operators": graph.operator_counts(),
            "parameters": graph.parameters(),
            "flatbuffer_bytes": len(model.flatbuffer),
            "file_bytes": model.path.stat().st_size,
            "sha256": model.sha256,
            "signature": _signature(model, allowed),
            "provenance": {key: details[key] for key in provenance} if manifest else None,
            "feeding": details.get("feeding"),
            "confidence": details.get("confidence"),
            "profile": details.get("profile"),
            "decision": details.get("decision"),
            "fidelity": details.get("fidelity"),
        }
    )


def _line(tensor: dict[str, Any]) -> str:
    quantized = ""
    if tensor["scale"] is not None:
        quantized = f", scale {tensor['scale']:.6g}, zero point {tensor['zero_point']}"
    return f"{tensor['dtype']} {tensor['shape']}{quantized}"


def _rows(understood: dict[str, str] | None) -> list[tuple[str, str]]:
    if understood is None:
        return []
    return [("fed", understood["input"]), ("scores", understood["scores"])]


def _confidence(facts: dict[str, Any] | None) -> str:
    if facts is None:
        return "unknown: the file is from before it was calibrated"
    return str(msgspec.convert(facts, Confidence))


def _profile(facts: dict[str, Any] | None) -> str:
    return str(msgspec.convert(facts, Profile)) if facts else "none, so that drift is not noticed"


def _signed(signature: dict[str, Any] | None) -> str:
    if signature is None:
        return "none"
    by = f"by {signature['kind']} {signature['fingerprint']}"
    if signature["problem"]:
        return f"{by}, refused: {signature['problem']}"
    if signature["principal"] is None:
        return f"{by}; whose key that is, --allowed-signers tells"
    return f"{by} of {one_line(signature['principal'], 100)}"


def _lines(facts: Inspection) -> Iterator[str]:
    found = facts["structure"]
    rows = [
        ("architecture", facts["arch"] or "unknown (no edgekit manifest)"),
        ("structure", f"{found['name'] or 'no known ResNet'}, read from operators and shapes"),
        *(("", f"  {part}") for part in found["parts"]),
        ("classes", f"{facts['classes']} ({', '.join((facts['labels'] or ['no labels'])[:6])}…)"),
        *([("", facts["about_labels"])] if facts["about_labels"] else []),
        ("input", _line(facts["input"])),
        ("output", _line(facts["output"])),
        *_rows(facts["understood"]),
        ("operators", ", ".join(f"{n} {name}" for name, n in facts["operators"].items())),
        ("parameters", f"{facts['parameters']:,}"),
        ("size", f"{facts['flatbuffer_bytes']:,} bytes of flatbuffer, {facts['file_bytes']:,} all"),
        ("sha256", facts["sha256"]),
        ("signature", _signed(facts["signature"])),
    ]
    if facts["provenance"]:
        geometry, origin = facts["input"]["geometry"], facts["provenance"]
        quantization = msgspec.convert(origin["quantisation"], Quantization)
        rows += [
            ("sees", f"raw RGB pixels, {_seen(msgspec.convert(geometry, Geometry))}"),
            ("weights", f"{origin['weights']} (sha256 {origin['weights_sha256'][:16]}…)"),
            ("quantized", str(quantization)),
            ("made by", ", ".join(f"{name} {v}" for name, v in origin["tools"].items())),
        ]
    if facts["feeding"]:
        rows.append(("feeding", str(msgspec.convert(facts["feeding"], Feeding))))
    if facts["provenance"]:
        rows += [
            ("confidence", _confidence(facts["confidence"])),
            ("profile", _profile(facts["profile"])),
        ]
    if facts["decision"]:
        rows.append(("recommends", str(msgspec.convert(facts["decision"], Recommendation))))
    for name, value in rows:
        yield f"{name:<13} {value}"
    if stages := (facts["fidelity"] or {}).get("stages"):
        allowed = ", loss allowed" if facts["fidelity"].get("loss_allowed") else ""
        yield (
            f"fidelity      beside {stages[0]['stage']}, on {facts['fidelity']['pictures']} "
            f"pictures{allowed}"
        )
        if (origin := facts["fidelity"].get("origin")) is not None:
            yield f"  {stages[0]['stage']} is {msgspec.convert(origin, Origin)}"
        for stage in stages:
            accuracy = f"  top-1 {stage['top1']:.2%}" if "top1" in stage else ""
            snr = f"  {stage['snr_db']:.1f} dB" if "snr_db" in stage else ""
            agreement = f"agrees {stage['agreement']:.2%}"
            pictures = f"  ({stage['images']} pictures)"
            yield f"  {stage['stage']:<20} {agreement}{accuracy}{snr}{pictures}"
