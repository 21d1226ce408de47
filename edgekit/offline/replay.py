"""Replay a recording, and compare what is decided with what is known."""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from edgekit.inference.classifier import Classifier
from edgekit.inference.events import Event
from edgekit.inference.looking import Look
from edgekit.model.decision import DecisionSettings
from edgekit.model.labels import Notify
from edgekit.offline.drift_course import DriftCourse
from edgekit.offline.golden import (
    SCHEMA,
    Change,
    Golden,
    check_same,
    differences,
    read_golden,
    write_golden,
)
from edgekit.offline.player import Played, Player
from edgekit.offline.recording import Recording, progress
from edgekit.vision.folders import image_files

# Two runtimes, or two processors, differ by a step or two of an 8-bit score, and so a smoothed
# score may cross a threshold a frame earlier or later.
TOLERANCE, FRAMES = 0.05, 2


@dataclass
class Replay:
    """What a replay gave.

    Attributes:
        frames: number of frames.
        span: seconds from the first frame to the last, as the recording has it.
        seconds: that it took.
        events: all of them, as the daemon gives them.
        changes: those of the decided label.
        recorded: the changes at the time of the recording; None where it does not say.
        inputs_differ: number of frames whose input is not the recorded one.
        drift: what was told of it.
        look: what the model saw of the first frame; None without one.
    """

    frames: int = 0
    span: float = 0.0
    seconds: float = 0.0
    events: list[Event] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    recorded: list[Change] | None = None
    inputs_differ: int = 0
    drift: DriftCourse = field(default_factory=lambda: DriftCourse(None))
    look: Look | None = None


def replay(played: Iterable[Played], has_records: bool) -> Replay:
    """Gather what a recording gives.

    Args:
        played: its frames.
        has_records: whether they are those of a clip, which says what was answered at the time.
    """
    found = Replay(recorded=[] if has_records else None)
    begun, first = time.monotonic(), None
    for frame, result, _, event in played:
        first = frame.time if first is None else first
        found.frames += 1
        found.span = frame.time - first
        found.inputs_differ += frame.input_differs
        if event is not None:
            found.events.append(event)
            if event.event == "change":
                found.changes.append(
                    Change(frame.position, round(frame.time, 6), result.label, event.score)
                )
        record = frame.record
        if found.recorded is not None and record is not None and record.event == "change":
            found.recorded.append(
                Change(frame.position, round(frame.time, 6), record.label, record.score)
            )
    found.seconds = time.monotonic() - begun
    return found


def content_sha256(path: Path) -> str:
    """SHA-256 of a recording; of a folder, over the SHA-256 of its pictures in order."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    hashes = (hashlib.sha256(file.read_bytes()).digest() for file in image_files(path))
    return hashlib.sha256(b"".join(hashes)).hexdigest()


def golden_of(
    recording: Recording, classifier: Classifier, decision: DecisionSettings, found: Replay
) -> Golden:
    """A golden file of what a recording gave."""
    settings = msgspec.to_builtins(decision)
    # It decides when an event is given, not which.
    del settings["heartbeat"]
    if not settings["labels"]:
        del settings["labels"]  # as in files from before there were any
    return Golden(
        schema=SCHEMA,
        recording=recording.name,
        recording_sha256=content_sha256(recording.path),
        model=classifier.path.name,
        model_sha256=classifier.sha256,
        decision=settings,
        frames=found.frames,
        changes=found.changes,
        view=recording.view,
    )


class Expectation(NamedTuple):
    """What a replay must give.

    Attributes:
        golden: file with the changes; without it, those that a clip recorded.
        update: write that file instead.
        any_model: it may have been made with another model.
        tolerance: maximum difference of scores.
        frames: maximum number of frames that a change may come early or late.
    """

    golden: Path | None = None
    update: bool = False
    any_model: bool = False
    tolerance: float = TOLERANCE
    frames: int = FRAMES

    def read(self) -> Golden | None:
        """The golden file to compare with; None where there is none, or it is to be written.

        Raises:
            GoldenError: it is missing, or none.
        """
        return None if self.golden is None or self.update else read_golden(self.golden)


def verify(
    recording: Recording,
    classifier: Classifier,
    decision: DecisionSettings,
    expected: Expectation,
    hidden: bool = False,
) -> tuple[Replay, list[str] | None]:
    """Replay a recording, and compare with a file, or write that.

    Args:
        recording, classifier, decision: what is replayed, by what and how.
        expected: what must come.
        hidden: show no progress.

    Returns:
        What came, and lines about what differs; None where nothing is expected.

    Raises:
        GoldenError: the golden file is missing, or belongs to something else.
        EdgekitError: the recording or the inference failed.
    """
    known = expected.read()
    found, lines = check(recording, classifier, decision, expected, known, hidden)
    if expected.golden is not None and expected.update:
        write_golden(expected.golden, golden_of(recording, classifier, decision, found))
    return found, lines


def check(
    recording: Recording,
    classifier: Classifier,
    decision: DecisionSettings,
    expected: Expectation,
    known: Golden | None,
    hidden: bool = False,
    notify: Notify | None = None,
) -> tuple[Replay, list[str] | None]:
    """Replay a recording, and compare with what is known; no file but the recording is read.

    Args:
        recording, classifier, decision, expected, hidden: as for `verify`.
        known: what `expected` has read.
        notify: as for `progress`.

    Returns:
        As `verify`.

    Raises:
        GoldenError: the golden file belongs to something else.
        EdgekitError: the recording or the inference failed.
    """
    if known is not None:
        assert expected.golden is not None
        # Before the work, not after it.
        now = golden_of(recording, classifier, decision, Replay())
        check_same(expected.golden, known, now, expected.any_model)
    player = Player(recording.name, recording.header, classifier, decision)
    prepared = progress(recording, "replaying", player.prepare, hidden, notify)
    found = replay(map(player.play, prepared), has_records=recording.header is not None)
    found.drift, found.look = player.drift, player.look
    wanted = found.recorded if known is None else known.changes
    if wanted is None or expected.update:
        return found, None
    lines = differences(wanted, found.changes, tolerance=expected.tolerance, frames=expected.frames)
    return found, lines
