"""`edgekit bench`: how fast a model runs on this device, and what that costs."""

import math
from pathlib import Path
from typing import Any

import click
import msgspec

from edgekit.child import cores
from edgekit.commands.notify import notify
from edgekit.commands.options import given, json_option, settings_of
from edgekit.errors import RuntimeUnavailableError
from edgekit.files import check_outputs, write_atomically
from edgekit.model.container import read_model
from edgekit.model.foreign import Hints
from edgekit.settings import load
from edgekit_device.bench import words
from edgekit_device.bench.session import Plan, Session, installed, threads_to_try
from edgekit_device.daemon.delegate import parse
from edgekit_device.signals import handled

_LEAST_SECONDS, _MOST_SECONDS = 0.1, 600.0
_LARGEST_SIDE = 8192


class _FrameSize(click.ParamType[tuple[int, int]]):
    """Width and height of a frame, as 640x480."""

    name = "WxH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        width, _, height = str(value).lower().partition("x")
        sides = [int(side) for side in (width, height) if side.isascii() and side.isdecimal()]
        if len(sides) != 2 or not all(1 <= side <= _LARGEST_SIDE for side in sides):
            self.fail(
                f"{value!r} is no size of a frame; write 640x480, up to {_LARGEST_SIDE} each way",
                param,
                ctx,
            )
        return sides[0], sides[1]


@click.command("bench")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    metavar="NAME",
    help="TFLite runtime, litert or tflite; may be repeated.  [default: every one installed]",
)
@click.option(
    "--threads",
    type=int,
    multiple=True,
    metavar="N",
    help="CPU threads; may be repeated.  [default: 1, 2, 3, 4, 8 and so on up to all cores]",
)
@click.option(
    "--seconds",
    type=float,
    default=6.0,
    show_default=True,
    help="How long to measure each runtime at each number of threads.",
)
@click.option(
    "--delegate",
    default="none",
    show_default=True,
    help="Accelerator: none, edgetpu, edgetpu:usb, edgetpu:pci, or the path of a delegate's "
    "library.",
)
@click.option(
    "--frame",
    type=_FrameSize(),
    default="640x480",
    show_default=True,
    metavar="WxH",
    help="Size of a camera's frames, for preprocessing and the whole pipeline.",
)
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    metavar="RECORDING",
    help="Clip, video or image folder for the whole pipeline, reading included.  [default: frames "
    "that are made beforehand]",
)
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with all of it."
)
@settings_of(Hints)
@json_option
def command(
    model: Path,
    runtimes: tuple[str, ...],
    threads: tuple[int, ...],
    seconds: float,
    delegate: str,
    frame: tuple[int, int],
    source: Path | None,
    report: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Measure MODEL on this device: latency, memory, heat, and what the board tells of energy.

    Every runtime at every number of threads has processes of its own, by turns, so that a crash
    ends nothing else, memory is its own, and heat is shared fairly. The fastest is then looked at
    closer: preprocessing, the daemon's whole pipeline, kinds of operators. What makes figures
    doubtful is told, and marks them: a busy machine, a slow governor, throttling. The last line is
    to be pasted into an issue. Ctrl-C shows what was measured until then.

    \b
    Examples:
      edgekit bench resnet18-int8.tflite --report bench.html
      edgekit bench resnet18-int8.tflite --threads 1 --threads 4 --seconds 20 --json
      edgekit bench resnet18-int8_edgetpu.tflite --delegate edgetpu
    """
    if not (math.isfinite(seconds) and _LEAST_SECONDS <= seconds <= _MOST_SECONDS):
        raise click.UsageError(
            f"--seconds {seconds:g}: from {_LEAST_SECONDS:g} to {_MOST_SECONDS:g}"
        )
    plan = Plan(
        model=read_model(model),
        combinations=_combinations(runtimes, threads, accelerated=parse(delegate) is not None),
        seconds=seconds,
        delegate=delegate,
        frame=frame,
        source=_readable(source),
        hints=load(Hints, None, given(Hints, values)),
    )
    check_outputs([report], [model, source])
    session = Session(plan, notify)
    try:
        with handled(_interrupt):
            session.measure()
    except KeyboardInterrupt:
        if not session.begun:
            raise click.Abort from None
    result = session.result()
    result = msgspec.structs.replace(result, line=words.in_a_line(result))
    if report is not None:
        from edgekit_device.bench.page import render

        write_atomically(report, render(result).encode())
    for warning in result.warnings:
        notify(warning)
    shown = msgspec.json.encode(result).decode() if as_json else "\n".join(words.lines(result))
    click.echo(shown)
    if result.partial:
        raise click.Abort


def _interrupt() -> None:
    raise KeyboardInterrupt


def _combinations(
    runtimes: tuple[str, ...], threads: tuple[int, ...], *, accelerated: bool
) -> list[tuple[str, int]]:
    """What to measure: what was asked for, else all that there is."""
    there, most = installed(), cores()
    if not there:
        raise RuntimeUnavailableError(
            "no TFLite runtime is installed; see `edgekit doctor` for the one that fits"
        )
    for name in runtimes:
        if name not in there:
            raise click.UsageError(f"no runtime {name} is installed; there is {', '.join(there)}")
    for count in threads:
        if not 1 <= count <= most:
            raise click.UsageError(f"--threads {count}: this device has 1 to {most}")
    # Threads are those of the CPU, which has little to do beside an accelerator.
    counts = threads or ((1,) if accelerated else tuple(threads_to_try(most)))
    chosen = dict.fromkeys(runtimes or there)
    return [(name, count) for name in chosen for count in sorted(set(counts))]


def _readable(source: Path | None) -> Path | None:
    """A recording that can be read.

    Raises:
        EdgekitError: it cannot.
    """
    if source is not None:
        from edgekit.offline.recording import Recording

        Recording(source)
    return source
