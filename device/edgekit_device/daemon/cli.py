"""`edgekit run`."""

import os
import signal
from pathlib import Path
from typing import Any

import click

from edgekit.errors import ConfigurationError, EdgekitError
from edgekit_device.config.file import ConfigurationFile, shown
from edgekit_device.config.options import SectionedCommand, given, settings_of
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.ending import end, say
from edgekit_device.signals import handled, held


@click.command(cls=SectionedCommand)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration file (TOML); options win over it.",
)
@click.option("--check", is_flag=True, help="Try everything that is set, and exit.")
@click.option("--print-config", is_flag=True, help="Print the effective configuration, and exit.")
@settings_of()
def run(config: Path | None, check: bool, print_config: bool, **values: Any) -> None:
    """Classify frames from a camera or a recording, and publish what is seen.

    A recording is worked through to its end without dropping a frame. A camera runs until the
    program is stopped (Ctrl-C or SIGTERM; a second Ctrl-C forces it), always on its newest
    frame. Events go to stdout as JSON lines, and to MQTT, a live page and a webhook where those
    are set; a summary goes to stderr at the end. A recording of which an event was not delivered
    ends with exit code 1 and the count; beside a camera, stderr says when a broker or a webhook
    is away, and when it is back.

    Exit codes beside the usual ones: 10 the camera did not come back, 11 the accelerator failed
    for good, 12 the MQTT broker stayed away. Ctrl-C is the end of a camera's run (0), and an
    interruption of a recording (130).

    \b
    Examples:
      edgekit run --model resnet18-int8.tflite --source clip.mp4 --every-frame
      edgekit run --model resnet18-int8.tflite --source picamera2: --http-listen 127.0.0.1:8080
      sudo edgekit run --config /etc/edgekit/edgekit.toml --check
    """
    # A reload may be asked for before there is a daemon to hear of it.
    with held(signal.SIGHUP):
        _command(config, given(values), check=check, print_config=print_config)


def _command(
    config: Path | None, options: dict[str, Any], *, check: bool, print_config: bool
) -> None:
    file = ConfigurationFile(config, options)
    settings = file.load()
    if print_config:
        click.echo(shown(settings), nl=False)
        return
    _require(settings)
    # NumPy and OpenCV each start threads for a linear algebra that frames do not need.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Imported when it is clear that they are needed: they load OpenCV and the rest.
    if check:
        from edgekit_device.daemon.preflight import check_settings

        check_settings(settings)
    else:
        _run(settings, file)


def _require(settings: Settings) -> Settings:
    for name in ("model", "source"):
        if getattr(settings, name) is None:
            raise ConfigurationError(f"no {name}: pass --{name}, or set `{name}` in --config FILE")
    return settings


def _run(settings: Settings, file: ConfigurationFile) -> None:
    from edgekit_device.trial import ahead

    # It loads what it needs while this process does the same: on a small board that takes seconds.
    with ahead(settings.runtime) as trial:
        from edgekit_device.daemon.models import check_file

        check_file(settings, trial)
        from edgekit_device.daemon.daemon import Daemon
        from edgekit_device.sources import is_live, open_source

        daemon = Daemon(
            settings,
            open_source,
            lambda: _require(file.load()),
            say,
            read=lambda: file.stamp,
        )
        failure: EdgekitError | None = None
        try:
            with handled(daemon.request_stop, {signal.SIGHUP: daemon.request_reload}) as stop:
                daemon.run()
        except BrokenPipeError:
            # The reader (`| head`) has what it wanted. Not left to click, which makes it a failure.
            return
        except EdgekitError as error:
            failure = error
        if failure is None:
            say(daemon.summary())
        end(failure, stuck=daemon.stuck, interrupted=stop.interrupted and not is_live(settings))
