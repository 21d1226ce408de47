"""`edgekit collect`: pictures to calibrate on, from the device's own camera."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edgekit.commands.options import NumberRange, config_option
from edgekit.errors import EdgekitError, OutputError, SourceError
from edgekit.files import write_atomically
from edgekit.inference.frame import Frame
from edgekit.offline.recording import progress
from edgekit.vision.encode import encode_png
from edgekit.vision.folders import IMAGE_SUFFIXES
from edgekit_device.collect.selection import Selection
from edgekit_device.config.file import load
from edgekit_device.config.options import given, settings_of
from edgekit_device.config.settings import Settings
from edgekit_device.signals import handled
from edgekit_device.sources import EndOfSource, is_live, open_recording, open_source

_POLL = 0.25  # seconds


class Collection:
    """A folder of chosen frames; at every moment it holds what would be there at the end.

    Args:
        folder: where the pictures go; created, or without a picture in it at any depth.
        count: maximum number of pictures.

    Raises:
        OutputError: there are pictures already, or it cannot be written.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.selection = Selection(count)
        self.seen = 0
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot create the folder {folder}: {error.strerror}") from error
        found = _picture_in(folder)
        if found is not None:
            raise OutputError(
                f"{folder} holds pictures already, {found} for one; choose an empty folder"
            )
        if not os.access(folder, os.W_OK):
            raise OutputError(f"the folder {folder} cannot be written; choose another output")

    def offer(self, frame: Frame) -> None:
        """Keep a frame, if it adds something.

        Raises:
            OutputError: it cannot be written.
        """
        self.seen += 1
        displaced = self.selection.offer(frame.position, frame.time, frame.pixels)
        if displaced is None:
            return
        write_atomically(self._file(frame.position), encode_png(frame.pixels))
        for gone in displaced:
            self._file(gone).unlink(missing_ok=True)

    def _file(self, position: int) -> Path:
        return self._folder / f"frame-{position:07}.png"

    def __str__(self) -> str:
        kept = sum(1 for _ in self._folder.glob("frame-*.png"))
        return f"{kept} of {self.seen} frames in {self._folder}"


def _picture_in(folder: Path) -> Path | None:
    """A picture in a folder or below, behind links too; None where there is none."""
    visited = set()
    for name, folders, files in os.walk(folder, followlinks=True):
        visited.add(os.path.realpath(name))
        folders[:] = [one for one in folders if os.path.realpath(Path(name, one)) not in visited]
        for file in files:
            if Path(file).suffix.lower() in IMAGE_SUFFIXES:
                return Path(name, file)
    return None


def _live(settings: Settings, stopping: threading.Event) -> Iterator[Frame]:
    source = open_source(settings)
    try:
        while not stopping.is_set():
            try:
                frame = source.read(_POLL)
            except EndOfSource:
                return
            if frame is not None:
                yield frame
    finally:
        source.close()


def _recorded(settings: Settings, stopping: threading.Event) -> Iterator[Frame]:
    recording = open_recording(settings)
    for frame in progress(recording, "collecting", each=lambda frame: frame):
        if stopping.is_set():
            return
        yield frame


@click.command("collect")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder for the pictures; it must hold none, at any depth.",
)
@click.option(
    "--count",
    type=click.IntRange(2, 2000),
    default=300,
    show_default=True,
    help="Most pictures.",
)
@click.option(
    "--max-seconds",
    type=NumberRange(0, min_open=True),
    help="Time to look, in the source's time; a camera is watched until Ctrl-C if unset.",
)
@config_option
@settings_of("source", "source-password-file", "realtime", "camera", "view")
def command(
    output: Path, count: int, max_seconds: float | None, config: Path | None, **values: Any
) -> None:
    """Collect varied pictures for `edgekit convert --calibration` from a camera or a recording.

    Pictures are spread over time and content. Black frames are left out, and those blurred beside
    what is usual; of near-duplicates the sharper stays. The folder is good to use at any moment,
    and holds at most --count pictures however long this runs. They are whole frames, turned and
    masked as the view says, whatever its region. No model is needed. Ctrl-C is the
    end of a camera's (0), and an interruption of a recording (130).

    \b
    Examples:
      sudo edgekit collect --config /etc/edgekit/edgekit.toml --output pictures/ --max-seconds 3600
      edgekit collect --source door.clip --output pictures/ --count 200
    """
    settings = load(config, given(values))
    live = is_live(settings)
    if not live and output.resolve().is_relative_to(Path(settings.source or "").resolve()):
        raise OutputError(f"{output} lies among the pictures of --source; choose another folder")
    collection = Collection(output, count)
    stopping = threading.Event()
    with handled(stopping.set) as stop:
        try:
            _collect(collection, settings, stopping, max_seconds)
        except EdgekitError as error:
            if not collection.seen:
                raise
            raise type(error)(f"{error}; until then kept {collection}") from error
    selection = collection.selection
    if not selection.kept and not stop.interrupted:
        raise SourceError(
            f"none of {collection.seen} frames is of use: {selection.dark} are black or blank; "
            "check the lens and the light"
        )
    click.echo(
        f"edgekit: kept {collection}; left out {selection.dark} black or blank, "
        f"{selection.blurred} blurred, {selection.alike} near-duplicates",
        err=True,
    )
    if stop.interrupted and not live:
        raise click.Abort


def _collect(
    collection: Collection,
    settings: Settings,
    stopping: threading.Event,
    max_seconds: float | None,
) -> None:
    begun: float | None = None
    frames = _live if is_live(settings) else _recorded
    for frame in frames(settings, stopping):
        begun = frame.time if begun is None else begun
        if max_seconds is not None and frame.time - begun > max_seconds:
            return
        collection.offer(frame)
