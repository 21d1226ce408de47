"""`edgekit record`: keep what the camera shows, pixel for pixel."""

import platform
import re
import signal
import threading
from pathlib import Path
from typing import Any, Literal

import click
import cv2
import msgspec
import numpy as np

from edgekit import __version__
from edgekit.commands.options import config_option
from edgekit.inference.classifier import Classifier
from edgekit.inference.decision import Decision
from edgekit.inference.events import Event, timestamp
from edgekit.inference.frame import Frame, FrameRecord
from edgekit.inference.pipeline import Pipeline, Result
from edgekit.offline.clip import SCHEMA, ClipHeader, hash_input
from edgekit.offline.player import TOP
from edgekit_device.config.file import load
from edgekit_device.config.options import given, settings_of
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.models import open_model
from edgekit_device.signals import handled
from edgekit_device.sinks.clip import Recorder, Span
from edgekit_device.sources import EndOfSource, Source, open_source

On = Literal["change", "unknown", "signal"]
_POLL = 0.25  # seconds
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def _size(_ctx: click.Context, _option: click.Parameter, value: str) -> int:
    """Bytes of a size like 500M."""
    found = re.fullmatch(r"(\d+)([KMG]?)", value.upper())
    if found is None:
        raise click.BadParameter(f"{value!r} is not a size like 500M or 2G")
    return int(found[1]) * _UNITS[found[2]]


class Session:
    """A recording in progress.

    Args:
        settings: source, model and decision.
        source: open.
        classifier: the model.
        recorder: what keeps the frames.
        on: what to keep frames for; empty for every frame.
        max_seconds: after which it ends, in the source's time.
    """

    def __init__(
        self,
        settings: Settings,
        source: Source,
        classifier: Classifier,
        recorder: Recorder,
        on: frozenset[On] = frozenset(),
        max_seconds: float | None = None,
    ) -> None:
        self.answered = 0
        self.seconds = 0.0
        self._source = source
        self._recorder = recorder
        self._on = on
        self._max_seconds = max_seconds
        source.expect(classifier.geometry)
        self._pipeline = Pipeline(
            classifier,
            classifier.path.name,
            Decision(settings.decision),
            source.name,
            live=source.live,
        )
        self._begun: float | None = None
        self._stopping = threading.Event()
        self._called = False

    def stop(self) -> None:
        """End after the frame in hand; may be called from a signal handler."""
        self._stopping.set()

    def call(self) -> None:
        """Keep the frames around now; may be called from a signal handler."""
        self._called = True

    def run(self) -> None:
        """Record until the source ends, the clip is full or `stop` is called.

        Raises:
            SourceError, ImageError: the source broke.
            InferenceError: the interpreter, or its delegate, failed.
            OutputError: the clip cannot be written.
        """
        while not self._stopping.is_set() and not self._recorder.full:
            try:
                frame = self._source.read(_POLL)
            except EndOfSource:
                return
            if frame is None:
                continue
            if self._begun is None:
                # A camera's clock means nothing on another machine. A recording's does, and is
                # kept to the last bit.
                self._begun = frame.time if self._source.live else 0.0
            frame = frame._replace(time=frame.time - self._begun)
            if self._max_seconds is not None and frame.time > self._max_seconds:
                return
            self._answer(frame)

    def _answer(self, frame: Frame) -> None:
        result = self._pipeline.process(frame)
        event = self._pipeline.event(result)
        record = FrameRecord(
            number=frame.number,
            time=frame.time,
            stretch=0,
            input_sha256=hash_input(result.tensor),
            label=result.label,
            score=round(result.verdict.score, 6),
            scores=[(best.label, best.score) for best in result.best(TOP)],
            event=event.event if event else None,
        )
        self._recorder.add(record, frame.pixels, self._happened(result, event))
        self.answered += 1
        self.seconds = frame.time

    def _happened(self, result: Result, event: Event | None) -> bool:
        called, self._called = self._called, False
        changed = event is not None and event.event == "change" and not result.verdict.first
        return (
            called
            or ("change" in self._on and changed)
            or ("unknown" in self._on and result.verdict.index is None)
        )


def header_of(settings: Settings, source: Source, classifier: Classifier) -> ClipHeader:
    """The header of a clip that is recorded with these."""
    return ClipHeader(
        schema=SCHEMA,
        created=timestamp(),
        device=settings.device_name,
        source=source.name,
        model=classifier.path.name,
        model_sha256=classifier.sha256,
        runtime=classifier.runtime_name,
        accelerator=classifier.accelerator,
        geometry=classifier.geometry,
        decision=msgspec.to_builtins(settings.decision),
        versions={
            "edgekit": __version__,
            "opencv": cv2.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
    )


@click.command("record")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="CLIP",
    help="File to write, or a folder, where it is named by the time.",
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
    type=click.FloatRange(0),
    default=5.0,
    show_default=True,
    help="Seconds that are kept before what --on says.",
)
@click.option(
    "--after",
    type=click.FloatRange(0),
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
@click.option("--max-seconds", type=click.FloatRange(0, min_open=True), help="Time to record.")
@config_option
@settings_of(
    "model", "source", "name", "labels", "runtime", "threads", "delegate", "realtime", "camera",
    "decision",
)  # fmt: skip
def command(
    output: Path,
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

    Ends with the source, at --max-size or --max-seconds, or with Ctrl-C or SIGTERM.

    \b
    Examples:
      edgekit record --config /etc/edgekit/edgekit.toml --output door.clip --max-seconds 60
      edgekit record --config /etc/edgekit/edgekit.toml --output clips/ --on unknown --ring 10
    """
    settings = load(config, given(values))
    # The source first: a wrong name shows at once, not after the model has loaded.
    source = open_source(settings)
    try:
        loaded = open_model(settings)
        target = _target(output)
        span = Span(ring, after) if on else None
        header = header_of(settings, source, loaded.classifier)
        recorder = Recorder(target, header, span, max_size)
        session = Session(settings, source, loaded.classifier, recorder, frozenset(on), max_seconds)
        with handled(session.stop, {signal.SIGUSR1: session.call}):
            try:
                session.run()
            finally:
                source.close()
                recorder.close()
    finally:
        source.close()
    _report(session, recorder, target)


def _target(output: Path) -> Path:
    if not output.is_dir():
        return output
    return output / f"{timestamp()[:19].replace(':', '-')}.clip"


def _report(session: Session, recorder: Recorder, target: Path) -> None:
    if not recorder.frames:
        click.echo(
            f"edgekit: nothing to keep in {session.answered} frames; no clip was written", err=True
        )
        return
    stretches = "stretch" if recorder.stretches == 1 else "stretches"
    why = ", which is its greatest size" if recorder.full else ""
    click.echo(
        f"edgekit: kept {recorder.frames} of {session.answered} frames in {recorder.stretches} "
        f"{stretches}, {target.stat().st_size / 1e6:.1f} MB{why}: {target}",
        err=True,
    )
