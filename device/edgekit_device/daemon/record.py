"""`edgekit record`: keep what the camera shows, pixel for pixel."""

import re
import signal
from pathlib import Path
from typing import Any

import click
import msgspec

from edgekit.commands.options import NumberRange, config_option
from edgekit.errors import EdgekitError
from edgekit.inference.events import timestamp
from edgekit.offline.clip_output import ClipFile
from edgekit_device.config.file import load
from edgekit_device.config.options import given, settings_of
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.daemon import Daemon
from edgekit_device.daemon.ending import end, finish_saying, say
from edgekit_device.daemon.models import check_file
from edgekit_device.daemon.record_service import record_from_service
from edgekit_device.signals import handled
from edgekit_device.sinks import SinkEntry
from edgekit_device.sinks.clip.recording import Recording
from edgekit_device.sinks.clip.request import ClipRequest, On, Outcome
from edgekit_device.sources import is_live, open_source

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def _size(_ctx: click.Context, _option: click.Parameter, value: str) -> int:
    """Bytes of a size like 500M."""
    found = re.fullmatch(r"(\d+)([KMG]?)", value.upper())
    if found is None:
        raise click.BadParameter(f"{value!r} is not a size like 500M or 2G")
    return int(found[1]) * _UNITS[found[2]]


@click.command("record")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="CLIP",
    help="File to write, or a folder, where it is named by the time.",
)
@click.option(
    "--service",
    is_flag=True,
    help="Have it from the running service, which keeps its camera; what that is set to holds.",
)
@click.option(
    "--on",
    type=click.Choice(["change", "unknown", "signal"]),
    multiple=True,
    help="Keep only frames around changes of the label, or around frames decided unknown, or "
    "around SIGUSR1; may be given several times.  [default: every frame]",
)
@click.option(
    "--ring",
    type=NumberRange(0),
    default=5.0,
    show_default=True,
    help="Seconds that are kept before what --on says.",
)
@click.option(
    "--after",
    type=NumberRange(0),
    default=5.0,
    show_default=True,
    help="Seconds that are kept after it.",
)
@click.option(
    "--max-size",
    callback=_size,
    metavar="SIZE",
    default="1G",
    show_default=True,
    help="Size at which the clip ends: bytes, or with K, M or G behind.",
)
@click.option("--max-seconds", type=NumberRange(0, min_open=True), help="Time to record.")
@config_option
@settings_of(
    "model", "source", "source-password-file", "name", "labels", "channels", "normalization",
    "softmax", "runtime", "threads", "delegate", "realtime", "camera", "view", "decision",
)  # fmt: skip
def command(
    output: Path,
    service: bool,
    on: tuple[On, ...],
    ring: float,
    after: float,
    max_size: int,
    max_seconds: float | None,
    config: Path | None,
    **values: Any,
) -> None:
    """Record what the camera shows as a clip, with what the model answers.

    A clip holds every answered frame without loss, its time, the hash of the model's input, and
    the answer: `edgekit replay` then sees exactly what the device saw. It is a tar of PNG and
    JSON files. Until it is finished it is called CLIP.part; after a power failure that file
    replays up to its last few seconds.

    Ends with the source, at --max-size or --max-seconds, or with Ctrl-C or SIGTERM. A camera or
    an accelerator that fails is tried again as `edgekit run` does, with its exit codes: 10 the
    camera did not come back, 11 the accelerator failed for good.

    \b
    Examples:
      sudo edgekit record --config /etc/edgekit/edgekit.toml --output door.clip --max-seconds 60
      sudo edgekit record --config /etc/edgekit/edgekit.toml --output clips/ --on unknown --ring 10
      sudo edgekit record --service --output door.clip --max-seconds 60
    """
    options = given(values)
    request = ClipRequest(on, ring, after, max_size, max_seconds)
    target = _target(output)
    if service:
        if config is not None or options:
            raise click.UsageError(
                "--service records what the service sees: leave out --config and settings"
            )
        _report(record_from_service(target, request), target)
        finish_saying()
    else:
        _record(target, request, load(config, options))


def _record(target: Path, request: ClipRequest, settings: Settings) -> None:
    """Run the daemon with nothing but a clip to send to."""
    check_file(settings)
    # Every frame is kept as it is; that each is an event, too, is for other sinks.
    settings = msgspec.structs.replace(settings, every_frame=False, max_frames=None)
    recording = Recording(
        lambda: ClipFile(target),
        request,
        lambda: daemon.health(),
        # Times of a recording are kept to the last bit.
        begin=None if is_live(settings) else 0.0,
        on_end=lambda: daemon.request_stop(),
    )
    entry = SinkEntry(recording.name, lambda _: True, lambda _: None, lambda *_: recording)
    daemon = Daemon(settings, open_source, lambda: settings, say, sinks=(entry,))
    failure: EdgekitError | None = None
    with handled(daemon.request_stop, {signal.SIGUSR1: recording.call}):
        try:
            try:
                daemon.run()
            finally:
                recording.finish()
        except EdgekitError as error:
            failure = error
    outcome = recording.outcome
    if failure is not None and failure is recording.failure:
        failure = type(failure)(
            f"{failure}; {outcome.kept} of {outcome.answered} frames are in it, "
            f"{outcome.dropped} were lost"
        )
    elif failure is None or outcome.answered:
        _report(outcome, target)
    end(failure, stuck=daemon.stuck)


def _target(output: Path) -> Path:
    if not output.is_dir():
        return output
    return output / f"{timestamp()[:19].replace(':', '-')}.clip"


def _report(outcome: Outcome, target: Path) -> None:
    if outcome.reason is not None:
        say(f"the recording ended: {outcome.reason}")
    if outcome.dropped:
        say(f"{outcome.dropped} frames are missing: they came faster than they could be written")
    if not outcome.kept:
        say(f"nothing to keep in {outcome.answered} frames; no clip was written")
        return
    stretches = "stretch" if outcome.stretches == 1 else "stretches"
    why = ", which is its greatest size" if outcome.full else ""
    say(
        f"kept {outcome.kept} of {outcome.answered} frames in {outcome.stretches} "
        f"{stretches}, {target.stat().st_size / 1e6:.1f} MB{why}: {target}"
    )
