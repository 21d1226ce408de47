"""The files that a conversion writes."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgekit.errors import EdgekitError, FidelityError, SettingsError, SignatureError
from edgekit.files import as_path, check_outputs, write_atomically
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


@dataclass(frozen=True)
class Conversion:
    """A converted model that passed the gate, in memory; in a notebook it shows its report.

    Attributes:
        report: everything that was found out.
        flatbuffer: the int8 model.
        compiled: the same for the Edge TPU, where it was compiled.
        inputs: what it was made of, which no output may take the place of.
    """

    report: Report
    flatbuffer: bytes
    compiled: bytes | None = None
    inputs: tuple[Path, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What was chosen, guessed or left out, a line each."""
        return self.report.notes

    def __repr__(self) -> str:
        return repr(self.report)

    def _repr_html_(self) -> str:
        return self.report._repr_html_()

    def save(
        self, path: str | os.PathLike[str], *, sign: str | os.PathLike[str] | None = None
    ) -> Report:
        """Write the model file, its report beside it, and the file for the Edge TPU.

        Args:
            path: of the model file, for example `door.tflite`.
            sign: OpenSSH key to sign it with.

        Returns:
            the report with its path.

        Raises:
            SignatureError: the key does not sign; model files are written unsigned.
            OutputError: a file cannot be written, or would take the place of an input.
            ConfigurationError: `path` is none.
        """
        output = as_path(path, "a model file")
        key = None if sign is None else as_path(sign, "an OpenSSH key")
        check_paths(output, self.inputs, edgetpu=self.compiled is not None)
        report = msgspec.structs.replace(self.report, output=str(output))
        write_report(output, report)
        paths = Paths.beside(output)
        models = {}
        if self.compiled is not None:
            digest = hashlib.sha256(self.compiled).hexdigest()
            manifest = msgspec.structs.replace(report.manifest, flatbuffer_sha256=digest)
            models[paths.edgetpu] = pack(self.compiled, manifest, report.labels)
        models[paths.model] = pack(self.flatbuffer, report.manifest, report.labels)
        write_models(models, key)
        return report


def write_report(output: Path, report: Report) -> None:
    """Write a report beside a model file, as a page and as JSON.

    Raises:
        OutputError: a file cannot be written.
    """
    paths = Paths.beside(output)
    write_atomically(paths.html, render_html(report).encode())
    write_atomically(paths.json, render_json(report))


def refusal(report: Report, output: Path | None = None) -> FidelityError:
    """The error of a conversion that the gate refused, with its report.

    Args:
        report: of the conversion.
        output: path of the model file that is not written, where the report was.
    """
    where = ""
    if output is not None:
        paths = Paths.beside(output)
        older = f" ({paths.model} is from an earlier run)" if paths.model.exists() else ""
        where = f"{older}, {paths.html} shows why"
    advice = "give more varied calibration pictures"
    if report.fidelity.stages[0].top1 is None:
        advice += (
            ", and labelled ones to --evaluate, which show whether the network is trained and "
            "fed as in training"
        )
    return FidelityError(
        f"{report.gate.reason}; no model was written{where}; {advice}, or accept the loss with "
        "--allow-loss",
        report,
    )


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
