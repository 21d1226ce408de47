"""`edgekit run`."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from edgekit.cli_options import runtime_options
from edgekit.runtime import Classifier
from edgekit_device.daemon import Daemon
from edgekit_device.sinks import JsonLines
from edgekit_device.sources import open_source

# How long the frame in hand may take once a stop was asked for.
GRACE = 1.0


class _Abandon(BaseException):
    """Leave now. Not an Exception, so that no library's `except Exception` swallows it."""


class _Shutdown:
    """What Ctrl-C and SIGTERM do: stop soon, or now when there is no loop yet to stop."""

    def __init__(self) -> None:
        self.requested = False
        self._daemon: Daemon | None = None

    def watch(self, daemon: Daemon) -> None:
        """From now on, let `daemon` finish the frame in hand."""
        self._daemon = daemon

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals inside the `with` block."""
        handlers = {
            signal.SIGINT: self._on_stop,
            signal.SIGTERM: self._on_stop,
            signal.SIGALRM: self._on_alarm,
        }
        previous = {number: signal.signal(number, handlers[number]) for number in handlers}
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        if self.requested:
            # Ctrl-C twice means now. SIGTERM twice does not: `timeout` sends it to the process
            # and again to its group.
            if number == signal.SIGINT:
                os._exit(128 + number)
            return
        self.requested = True
        if self._daemon is None:
            raise _Abandon
        self._daemon.stop()
        # A write to a pipe that nobody reads would block for ever.
        signal.setitimer(signal.ITIMER_REAL, GRACE)

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        raise _Abandon


@click.command()
@click.option("--model", type=click.Path(path_type=Path), required=True, help="Model file to run.")
@click.option(
    "--source",
    required=True,
    metavar="PATH|CAMERA",
    help="Video file, image folder, picture, or a camera: v4l2:/dev/video0 (or just 0).",
)
@runtime_options
@click.option(
    "--top-k",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Labels in each line, best first.",
)
@click.option(
    "--every-frame",
    is_flag=True,
    help="Print a line for every frame, not only when the best label changes.",
)
@click.option("--max-frames", type=click.IntRange(1), help="Stop after so many frames.")
def run(
    model: Path,
    source: str,
    labels: Path | None,
    runtime: str,
    threads: int,
    top_k: int,
    every_frame: bool,
    max_frames: int | None,
) -> None:
    """Classify frames from a camera or a recording; print one JSON object per line.

    A recording is worked through to its end without dropping a frame. A camera runs until the
    program is stopped (Ctrl-C or SIGTERM; a second Ctrl-C forces it), always on its newest
    frame. A summary goes to stderr at the end.

    \b
    Examples:
      edgekit run --model resnet18-int8.tflite --source clip.mp4 --every-frame
      edgekit run --model resnet18-int8.tflite --source v4l2:/dev/video0
    """
    shutdown = _Shutdown()
    daemon: Daemon | None = None
    try:
        with shutdown.handled():
            # The source first: a wrong name shows at once, not after the model has loaded.
            frames = open_source(source)
            classifier = Classifier.open(model, labels=labels, runtime=runtime, threads=threads)
            stdout = sys.stdout.buffer
            daemon = Daemon(
                classifier,
                model.name,
                frames,
                [JsonLines(getattr(stdout, "raw", stdout))],
                top_k=top_k,
                every_frame=every_frame,
                max_frames=max_frames,
            )
            shutdown.watch(daemon)
            if not shutdown.requested:
                daemon.run()
    except _Abandon:
        pass
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted. Not left to click, which makes it a failure.
        return
    summary = daemon.summary() if daemon else "stopped before the first frame"
    click.echo(f"edgekit: {summary}", err=True)
