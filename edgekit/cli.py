"""The `edgekit` command: finds its subcommands, turns failures into one line and an exit code."""

import os
import sys
from importlib.metadata import entry_points

import click

from edgekit import __version__
from edgekit.errors import EdgekitError

GROUP = "edgekit.commands"
# Commands of the other two distributions, with the one that brings each and what it does.
ELSEWHERE = {
    "collect": ("edgekit-device", "Collect varied pictures for a calibration."),
    "convert": ("edgekit-convert", "Turn a trained ResNet into an int8 model file."),
    "doctor": ("edgekit-device", "Look at this device, and say what is wrong."),
    "push": ("edgekit-device", "Bring a model to devices over ssh."),
    "record": ("edgekit-device", "Record what a camera shows."),
    "run": ("edgekit-device", "Classify frames from a camera or a recording."),
    "service": ("edgekit-device", "Run the daemon as a systemd service."),
}


def _missing(name: str) -> click.Command:
    distribution, purpose = ELSEWHERE[name]
    remedy = f"pip install {distribution}"

    def fail(**_: object) -> None:
        raise EdgekitError(f"'edgekit {name}' is not installed here; install it with: {remedy}")

    return click.Command(
        name,
        callback=fail,
        params=[click.Argument(["arguments"], nargs=-1)],
        context_settings={"ignore_unknown_options": True},
        help=f"{purpose}\n\nNot installed here; install it with: {remedy}",
        short_help=f"{purpose} (not installed: {remedy})",
    )


class _Commands(click.Group):
    """A group whose subcommands are entry points, each imported only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({point.name for point in entry_points(group=GROUP)} | set(ELSEWHERE))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for point in entry_points(group=GROUP, name=cmd_name):
            command = point.load()
            assert isinstance(command, click.Command)
            return command
        return _missing(cmd_name) if cmd_name in ELSEWHERE else None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
@click.version_option(__version__, prog_name="edgekit")
def edgekit(debug: bool) -> None:
    """Take a trained ResNet from a workstation to a camera, and keep it honest there.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the converted model is not faithful enough.
    """


def silence_opencv() -> None:
    """Let OpenCV and FFmpeg print no complaints beside the one line that we print.

    They read this when they load, and which function sets it later depends on OpenCV's release:
    to be called before anything imports it. What the user has set stands.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def main() -> None:
    """Entry point of the `edgekit` command."""
    silence_opencv()
    debug = "--debug" in sys.argv[1:2]
    try:
        # The exit code of `ctx.exit(…)`, or what the command returns: nothing.
        code = edgekit.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("edgekit: interrupted", err=True)
        sys.exit(130)
    except EdgekitError as error:
        if debug:
            raise
        click.echo(f"edgekit: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        click.echo(f"edgekit: unexpected failure: {reason} (run edgekit --debug …)", err=True)
        sys.exit(1)
    if code:
        sys.exit(code)
