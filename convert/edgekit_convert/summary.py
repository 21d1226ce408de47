"""What a conversion prints at its end."""

import shlex
from importlib.metadata import entry_points
from pathlib import Path

import click

from edgekit.cli import GROUP
from edgekit.model.manifest import Fidelity
from edgekit.model.signature import read_signature
from edgekit.text import percent
from edgekit_convert.outputs import Paths
from edgekit_convert.report.results import Report
from edgekit_convert.verify.fidelity import decisive


def print_summary(report: Report, edgetpu: bool) -> None:
    """Print what was written and how faithful it is.

    Args:
        report: of the conversion.
        edgetpu: whether an Edge TPU is to run the model.
    """
    paths = Paths.beside(Path(report.output))
    manifest, gate = report.manifest, report.gate
    reference, int8 = report.stages[0].figures, decisive(report.stages).figures
    click.echo(f"wrote {paths.model} ({paths.model.stat().st_size:,} bytes)")
    if report.edgetpu.compiler:
        click.echo(f"wrote {paths.edgetpu} (Edge TPU compiler {report.edgetpu.compiler})")
    elif paths.edgetpu.exists():
        click.echo(f"{paths.edgetpu} is from an earlier conversion", err=True)
    if signature := read_signature(paths.model.read_bytes()):
        click.echo(f"signed by {signature.key}")
    if manifest.head:
        click.echo(f"head: {manifest.head}")
    click.echo(f"classes: {manifest.classes}, called as in {report.labels_from}")
    if reference.top1 is not None and int8.top1 is not None:
        before, after = percent(reference.top1, 2), percent(int8.top1, 2)
        click.echo(f"top-1 {reference.stage} {before}, int8 {after}")
    same = percent(int8.agreement, 2)
    click.echo(f"int8 agrees with {reference.stage} on {same} of {int8.images} pictures")
    if manifest.quantization.calibration == "data-free":
        click.echo(f"data-free: {data_free(manifest.fidelity)}")
    if manifest.feeding is not None and manifest.feeding.verdict != "fits":
        click.echo(f"feeding {manifest.feeding.verdict}: {manifest.feeding.reason}")
    if manifest.confidence is not None:
        click.echo(f"confidence: {manifest.confidence}")
    if gate.overridden:
        click.echo(f"the gate did not pass: {gate.reason}; written as --allow-loss asks")
    if edgetpu:
        click.echo(f"Edge TPU: {report.edgetpu.note}")
    click.echo(f"{reference.stage} is {manifest.fidelity.origin}")
    click.echo(f"report: {paths.html}")
    click.echo(f"next: {_next(paths.model)}")


def data_free(fidelity: Fidelity) -> str:
    """What to know of a model whose ranges no photograph has set, and what would do better."""
    made = "on pictures made from the network itself"
    if fidelity.pictures == "evaluation":
        return f"calibrated {made}; give --calibration to do better"
    return (
        f"calibrated and measured {made}; give --calibration to do better, and --evaluate to know"
    )


def _next(model: Path) -> str:
    """The command that shows what the file does: the daemon's where it is installed."""
    file = shlex.quote(str(model))
    if entry_points(group=GROUP, name="run"):
        return f"edgekit run --model {file} --source VIDEO"
    return f"edgekit replay VIDEO --model {file}"
