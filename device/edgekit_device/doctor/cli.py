"""`edgekit doctor`."""

import shutil
import textwrap

import click
import msgspec

from edgekit_device.doctor.diagnosis import Diagnosis, Level

_COLOURS: dict[Level, str] = {
    "ok": "green",
    "note": "cyan",
    "warning": "yellow",
    "problem": "red",
}
_INDENT = 22


def render(diagnoses: list[Diagnosis], width: int) -> str:
    """The diagnoses as a table, each remedy under its diagnosis."""
    lines = []
    for diagnosis in diagnoses:
        level = click.style(f"{diagnosis.level:<9}", fg=_COLOURS[diagnosis.level])
        text = textwrap.wrap(diagnosis.text, max(20, width - _INDENT))
        lines.append(f"{level}{diagnosis.check:<13}{text[0]}")
        lines += [" " * _INDENT + line for line in text[1:]]
        if diagnosis.remedy:
            # Never wrapped: it is there to be copied.
            lines.append(f"{'':<{_INDENT}}{click.style(f'$ {diagnosis.remedy}', bold=True)}")
    return "\n".join(lines)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look at this device, and say what is wrong and which command mends it.

    Looks at Python and its packages (each runtime classifies a picture in a process of its own),
    cameras, Coral, permissions, disk, memory, heat and power, the clock, and the service. Changes
    nothing. Exit code 1 when there is a problem, 0 otherwise.
    """
    from edgekit_device.doctor.device import Device
    from edgekit_device.doctor.examination import Report, examine
    from edgekit_device.doctor.service import daemon_of

    device = Device()
    diagnoses = examine(device)
    if as_json:
        report = Report(diagnoses, daemon_of(device))
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
    else:
        click.echo(render(diagnoses, shutil.get_terminal_size().columns))
        counts = [
            f"{count} {level}{'s' if count != 1 else ''}"
            for level in ("problem", "warning", "note")
            if (count := sum(diagnosis.level == level for diagnosis in diagnoses))
        ]
        click.echo(f"\n{', '.join(counts) or 'nothing to complain of'}")
    if any(diagnosis.level == "problem" for diagnosis in diagnoses):
        ctx.exit(1)
