"""`edgekit doctor`."""

import shutil
import textwrap

import click
import msgspec

from edgekit_device.doctor.findings import Finding, Level

_COLOURS: dict[Level, str] = {
    "ok": "green",
    "note": "cyan",
    "warning": "yellow",
    "problem": "red",
}
_INDENT = 22


def render(findings: list[Finding], width: int) -> str:
    """The findings as a table, each remedy under its finding."""
    lines = []
    for finding in findings:
        level = click.style(f"{finding.level:<9}", fg=_COLOURS[finding.level])
        text = textwrap.wrap(finding.text, max(20, width - _INDENT))
        lines.append(f"{level}{finding.check:<13}{text[0]}")
        lines += [" " * _INDENT + line for line in text[1:]]
        if finding.remedy:
            # Never wrapped: it is there to be copied.
            lines.append(f"{'':<{_INDENT}}{click.style(f'$ {finding.remedy}', bold=True)}")
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
    from edgekit_device.doctor.checks import examine
    from edgekit_device.doctor.system import System

    findings = examine(System())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2))
    else:
        click.echo(render(findings, shutil.get_terminal_size().columns))
        counts = [
            f"{count} {level}{'s' if count != 1 else ''}"
            for level in ("problem", "warning", "note")
            if (count := sum(finding.level == level for finding in findings))
        ]
        click.echo(f"\n{', '.join(counts) or 'nothing to complain of'}")
    if any(finding.level == "problem" for finding in findings):
        ctx.exit(1)
