"""Write docs/cli.md and systemd/edgekit.toml from the program itself; tests compare them."""

from importlib.metadata import entry_points
from pathlib import Path

import click
from edgekit_device.config import file as configuration
from edgekit_device.config.settings import Settings

from edgekit.cli import GROUP, edgekit

TARGET = Path(__file__).parent / "cli.md"
EXAMPLE = Path(__file__).parents[1] / "systemd" / "edgekit.toml"


def _help(command: click.Command, name: str) -> str:
    # A fixed width, so that the page does not depend on the terminal it was made in.
    context = click.Context(command, info_name=name, max_content_width=96, terminal_width=96)
    return command.get_help(context)


def render() -> str:
    """The page as it should be."""
    parts = [
        "# Command reference",
        "Generated from the commands by `make docs`. Options go after the command's name; "
        "`edgekit --debug COMMAND …` shows a traceback when something fails.",
        "| exit code | meaning |\n| --- | --- |\n| 0 | done |\n| 1 | failed; one line on stderr "
        "says what is wrong and what to do |\n| 2 | wrong usage |\n| 3 | the converted model is "
        "not faithful enough; nothing was written |\n| 10 | `run`: the camera did not come back |\n"
        "| 11 | `run`: the accelerator, or an inference, failed for good |\n| 12 | `run`: the MQTT "
        "broker stayed away |\n| 130 | interrupted with Ctrl-C |",
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
