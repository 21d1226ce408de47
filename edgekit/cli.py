"""The `edgekit` command: finds its subcommands, turns failures into one line and an exit code."""

import contextlib
import gc
import io
import os
import sys
import traceback
from importlib.metadata import PackageNotFoundError, distribution, entry_points
from typing import Any

import click

from edgekit import __version__
from edgekit.errors import EXIT_CODES, INTERRUPTED, EdgekitError
from edgekit.redaction import redact
from edgekit.text import one_line, printable

GROUP = "edgekit.commands"
# Every command of ours, with the distribution that brings it and what it does: the list of them
# needs none of their modules, which would take half a second.
COMMANDS = {
    "bench": ("edgekit-device", "Measure how fast a model runs on this device."),
    "collect": ("edgekit-device", "Collect varied pictures to calibrate on."),
    "compare": ("edgekit-core", "Say where two models answer a recording differently."),
    "convert": ("edgekit-convert", "Turn a trained classifier into an int8 model file."),
    "doctor": ("edgekit-device", "Look at this device, and say what is wrong."),
    "evaluate": ("edgekit-core", "Measure how right a model is."),
    "fleet": ("edgekit-device", "Show all devices of an MQTT broker."),
    "inspect": ("edgekit-core", "Show what is inside a model file."),
    "push": ("edgekit-device", "Bring a model to devices over ssh."),
    "record": ("edgekit-device", "Record what a camera shows."),
    "replay": ("edgekit-core", "Play a recording to a model as the daemon would."),
    "run": ("edgekit-device", "Classify frames from a camera or a recording."),
    "service": ("edgekit-device", "Run the daemon as a systemd service."),
    "sign": ("edgekit-core", "Sign a model file with an OpenSSH key."),
    "tune": ("edgekit-core", "Find decision settings on labelled recordings."),
    "verify": ("edgekit-core", "Say who signed a model file."),
}
# A stranger's package on PyPI has our name, and brings a command and a package of that name.
STRANGER = "edgekit"


class _Commands(click.Group):
    """A group whose subcommands are entry points, each imported only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({point.name for point in entry_points(group=GROUP)} | set(COMMANDS))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        there, rows = {point.name for point in entry_points(group=GROUP)}, []
        for name in self.list_commands(ctx):
            owner, purpose = COMMANDS.get(name, ("", ""))
            if name not in there:
                purpose += f" Not installed: pip install {owner}"
            elif not owner and (stranger := self.get_command(ctx, name)):
                purpose = stranger.get_short_help_str()
            rows.append((name, purpose))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for point in entry_points(group=GROUP, name=cmd_name):
            command = point.load()
            assert isinstance(command, click.Command)
            return command
        return _missing(cmd_name) if cmd_name in COMMANDS else None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            # click's own, which it ends as it should: without a word where the reader (`| head`)
            # has what it wanted.
            raise
        except Exception as error:
            if error is _stdout_failure():
                raise
            if ctx.params["debug"]:
                click.echo(redact(traceback.format_exc()), err=True, nl=False)
                ctx.exit(getattr(error, "exit_code", EdgekitError.exit_code))
            code, message = EdgekitError.exit_code, str(error)
            if isinstance(error, EdgekitError):
                code = error.exit_code
            elif isinstance(error, ModuleNotFoundError) and error.name == "cv2":
                # edgekit-core asks for none: which one, the other distributions know.
                message = "OpenCV is not installed here; pip install opencv-python-headless"
            else:
                reason = one_line(message) or type(error).__name__
                message = f"unexpected failure: {reason} (run edgekit --debug …)"
            # That nobody hears it changes nothing: systemd acts on the code.
            with contextlib.suppress(OSError):
                click.echo(f"edgekit: {redact(message)}", err=True)
            ctx.exit(code)


def _missing(name: str) -> click.Command:
    owner, purpose = COMMANDS[name]
    remedy = f"pip install {owner}"

    def fail(**_: object) -> None:
        raise EdgekitError(f"'edgekit {name}' is not installed here; install it with: {remedy}")

    return click.Command(
        name,
        callback=fail,
        params=[click.Argument(["arguments"], nargs=-1)],
        context_settings={"ignore_unknown_options": True},
        help=f"{purpose}\n\nNot installed here; install it with: {remedy}",
    )


def _exit_codes() -> str:
    lines = []
    for code in EXIT_CODES:
        where = f"{', '.join(code.commands)}: " if code.commands else ""
        lines.append(f"  {code.number:>3}  {where}{code.meaning}")
    return "\b\nExit codes:\n" + "\n".join(lines)


def _show_version(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from edgekit.origin import describe

        click.echo(f"edgekit, {describe(__version__)}")
        ctx.exit()


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Take a trained ResNet from a workstation to a camera, and keep it honest there.\n\n"
    + _exit_codes(),
)
@click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and what it was built from, and exit.",
)
@click.pass_context
def edgekit(ctx: click.Context, debug: bool) -> None:
    """The command; its help is put together above."""
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        ctx.color = False


class _Stdout(io.TextIOWrapper):
    """Standard output, which steers no terminal, and remembers why it could not be written.

    Attributes:
        failure: the first error; None while all is well.
    """

    failure: OSError | None = None

    def write(self, text: str, /) -> int:
        """Write text; names in it may be those of a stranger's file.

        Raises:
            OSError: it cannot be written.
        """
        try:
            super().write(printable(text))
        except OSError as error:
            self.failure = self.failure or error
            raise
        return len(text)

    def flush(self) -> None:
        """Write what is buffered.

        Raises:
            OSError: it cannot be written.
        """
        try:
            super().flush()
        except OSError as error:
            self.failure = self.failure or error
            raise


def _stdout_failure() -> OSError | None:
    return sys.stdout.failure if isinstance(sys.stdout, _Stdout) else None


def is_stranger_installed() -> bool:
    """Whether the package that has our name on PyPI is installed here."""
    try:
        distribution(STRANGER)
    except PackageNotFoundError:
        return False
    return True


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
    if is_stranger_installed():
        click.echo(
            "edgekit: a package of somebody else's that is called edgekit is installed beside "
            "this one, and may replace parts of it; pip uninstall edgekit, then install "
            "edgekit-core again",
            err=True,
        )
    if sys.stdout is None:
        click.echo("edgekit: standard output is closed; redirect it, to /dev/null say", err=True)
        sys.exit(EdgekitError.exit_code)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout is sys.__stdout__:
        encoding, by_line = sys.stdout.encoding, sys.stdout.line_buffering
        # A letter that the terminal's encoding lacks is shown as its number.
        sys.stdout = sys.__stdout__ = _Stdout(  # type: ignore[misc]
            sys.stdout.detach(), encoding, "backslashreplace", line_buffering=by_line
        )
    try:
        # The exit code of `ctx.exit(…)`, or what the command returns: nothing.
        code = edgekit.main(standalone_mode=False)
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        click.echo(redact(said.getvalue()), err=True, nl=False)
        code = error.exit_code
    except click.Abort:
        click.echo("edgekit: interrupted", err=True)
        code = INTERRUPTED
    except OSError as error:
        if error is not _stdout_failure():
            raise
        code = EdgekitError.exit_code
    failure = _stdout_failure()
    if failure is not None and not isinstance(failure, BrokenPipeError):
        click.echo(f"edgekit: cannot write to the output: {failure.strerror or failure}", err=True)
        # Else the interpreter tries again as it ends, and complains in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or EdgekitError.exit_code
    # The interpreter looks through all objects several times as it ends, to free what the system
    # frees at once: after a conversion, with PyTorch loaded, for more than a second.
    gc.freeze()
    if code:
        sys.exit(code)
