"""Write docs/cli.md and systemd/edgekit.toml from the program itself; tests compare them."""

from importlib.metadata import entry_points
from pathlib import Path

import click
from edgekit_device.config import file as configuration
from edgekit_device.config.settings import Settings

from edgekit.cli import GROUP, edgekit
from edgekit.errors import EXIT_CODES

TARGET = Path(__file__).parent / "cli.md"
EXAMPLE = Path(__file__).parents[1] / "systemd" / "edgekit.toml"


def _help(command: click.Command, name: str) -> str:
    # A fixed width, so that the page does not depend on the terminal it was made in.
    context = click.Context(command, info_name=name, max_content_width=96, terminal_width=96)
    return command.get_help(context)


def _exit_codes() -> str:
    rows = ["| exit code | meaning |", "| --- | --- |"]
    for code in EXIT_CODES:
        where = f"{', '.join(f'`{name}`' for name in code.commands)}: " if code.commands else ""
        rows.append(f"| {code.number} | {where}{code.meaning} |")
    return "\n".join(rows)


def render() -> str:
    """The page as it should be."""
    parts = [
        "# Command reference",
        "Generated from the commands by `make docs`. Options go after the command's name; "
        "`edgekit --debug COMMAND …` shows a traceback when something fails.",
        _exit_codes(),
        f"## edgekit\n\n```text\n{_help(edgekit, 'edgekit')}\n```",
    ]
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        name, command = f"edgekit {point.name}", point.load()
        parts.append(f"## {name}\n\n```text\n{_help(command, name)}\n```")
        for sub in sorted(getattr(command, "commands", {})):
            text = _help(command.commands[sub], f"{name} {sub}")
            parts.append(f"### {name} {sub}\n\n```text\n{text}\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
    EXAMPLE.write_text(configuration.render(Settings()), encoding="utf-8")
