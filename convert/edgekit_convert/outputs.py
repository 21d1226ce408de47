"""The files that a conversion writes."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgekit.errors import EdgekitError, FidelityError, SettingsError, SignatureError
from edgekit.files import check_outputs, write_atomically
from edgekit.model.container import pack
from edgekit.model.signers import sign
from edgekit_convert.report.render import render_html, render_json
from edgekit_convert.report.results import Report


@dataclass(frozen=True)
class Paths:
    """Files that a conversion writes beside each other."""

    model: Path
    html: Path
    json: Path
    edgetpu: Path

    @classmethod
    def beside(cls, output: Path) -> "Paths":
        """Their names: `x.tflite` gets `x.report.html`, `x.report.json`, `x_edgetpu.tflite`."""
        return cls(
            output,
            output.with_suffix(".report.html"),
            output.with_suffix(".report.json"),
            output.with_name(f"{output.stem}_edgetpu{output.suffix}"),
        )


def check_paths(output: Path, inputs: Iterable[Path | None], *, edgetpu: bool) -> None:
    """Refuse a conversion whose files could not be written, or would take the place of its inputs.

    Args:
        output: path of the model file.
        inputs: files that are read.
        edgetpu: whether one is written for the Edge TPU.

    Raises:
        OutputError: see `edgekit.files.check_outputs`.
    """
    paths = Paths.beside(output)
    compiled = paths.edgetpu if edgetpu else None
    check_outputs([paths.model, paths.html, paths.json, compiled], inputs)


def write_outputs(
    output: Path, report: Report, model: bytes, compiled: bytes | None, key: Path | None = None
) -> None:
    """Write the report and, if the gate lets them pass, the model files.

    Args:
        output: path of the model file.
        report: of the conversion.
        model: the int8 flatbuffer.
        compiled: the same for the Edge TPU, where it was compiled.
        key: to sign the model files with.

    Raises:
        FidelityError: the gate refused; the report is written, no model file is.
        SignatureError: the key no longer signs; model files are written unsigned.
        OutputError: a file cannot be written.
    """
    paths = Paths.beside(output)
    write_atomically(paths.html, render_html(report).encode())
    write_atomically(paths.json, render_json(report))
    if not report.written:
        older = f" ({paths.model} is from an earlier run)" if paths.model.exists() else ""
        advice = "give more varied calibration pictures"
        if report.fidelity.stages[0].top1 is None:
            advice += (
                ", and labelled ones to --evaluate, which show whether the network is trained and "
                "fed as in training"
            )
        raise FidelityError(
            f"{report.gate.reason}; no model was written{older}, {paths.html} shows why; "
            f"{advice}, or accept the loss with --allow-loss"
        )
    models = {}
    if compiled is not None:
        digest = hashlib.sha256(compiled).hexdigest()
        manifest = msgspec.structs.replace(report.manifest, flatbuffer_sha256=digest)
        models[paths.edgetpu] = pack(compiled, manifest, report.labels)
    models[paths.model] = pack(model, report.manifest, report.labels)
    write_models(models, key)


def write_models(models: Mapping[Path, bytes], key: Path | None) -> None:
    """Write model files, signed where there is a key.

    Args:
        models: content of each file, by path.
        key: of OpenSSH.

    Raises:
        SignatureError: the key no longer signs; what it has not signed is written unsigned, because
            the conversion took long.
        OutputError: a file cannot be written.
    """
    unsigned: list[str] = []
    failure: EdgekitError | None = None
    for path, content in models.items():
        signed = content
        if key is not None and failure is None:
            try:
                signed = sign(content, key)
            except (SignatureError, SettingsError) as error:
                failure = error
        if failure is not None:
            unsigned.append(str(path))
        write_atomically(path, signed)
    if failure is not None:
        raise SignatureError(
            f"{failure}; written without a signature: {', '.join(unsigned)}; sign with "
            f"`edgekit sign MODEL {key}`"
        )
