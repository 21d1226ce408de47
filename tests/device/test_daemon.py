"""The loop by itself, with a model and a source that do as the test says."""

import json
import re
from collections.abc import Callable, Iterator
from errno import ENOSPC
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from edgekit_device.daemon import Daemon
from edgekit_device.sinks import Answer, JsonLines, Label
from edgekit_device.sources import Frame
from numpy.typing import NDArray

from edgekit.errors import OutputError, SourceError

NAMES = ("cat", "dog", "eel")


class Model:
    """Says the class that the frame's first pixel names."""

    runtime_name = "fake"

    def classify(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        scores = np.full(3, 0.1, np.float32)
        scores[frame[0, 0, 0]] = 0.8
        return scores

    def label(self, index: int) -> str:
        return NAMES[index]


class Source:
    """Frames that show the given classes; calls `before` with the number of each."""

    name = "fake.avi"
    dropped = 0

    def __init__(self, *classes: int, before: Callable[[int], None] = lambda number: None) -> None:
        self.classes = classes
        self.before = before
        self.stopped = False
        self.closed = 0

    def __iter__(self) -> Iterator[Frame]:
        for number, shown in enumerate(self.classes):
            self.before(number)
            if self.stopped:
                return
            yield Frame(number, np.full((2, 2, 3), shown, np.uint8))

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        self.closed += 1


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def publish(self, answer: Answer) -> None:
        self.answers.append(answer)


def test_an_answer_says_what_was_seen_where() -> None:
    sink = Kept()
    Daemon(Model(), "model.tflite", Source(1), [sink], top_k=2).run()
    (answer,) = sink.answers
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.ts)
    assert (answer.frame, answer.source, answer.model) == (0, "fake.avi", "model.tflite")
    assert answer.labels == [Label("dog", 1, 0.8), Label("cat", 0, 0.1)]
    assert answer.latency_ms == round(answer.latency_ms, 3) > 0


@pytest.mark.parametrize(("every_frame", "frames"), [(False, [0, 2, 4]), (True, [0, 1, 2, 3, 4])])
def test_an_answer_goes_out_when_the_best_label_changes(
    every_frame: bool, frames: list[int]
) -> None:
    sinks = [Kept(), Kept()]
    daemon = Daemon(Model(), "m", Source(0, 0, 2, 2, 0), sinks, every_frame=every_frame)
    daemon.run()
    for sink in sinks:
        assert [answer.frame for answer in sink.answers] == frames
    assert f"5 frames (0 dropped), {len(frames)} lines" in daemon.summary()
    assert daemon.summary().endswith("(fake)")


def test_it_ends_after_max_frames() -> None:
    source, sink = Source(0, 1, 2), Kept()
    Daemon(Model(), "m", source, [sink], max_frames=2).run()
    assert [answer.frame for answer in sink.answers] == [0, 1]
    assert source.closed == 1


def test_stop_ends_it_before_the_next_frame() -> None:
    source, sink = Source(0, 1, 2), Kept()
    daemon = Daemon(Model(), "m", source, [sink])
    source.before = lambda number: daemon.stop() if number == 1 else None
    daemon.run()
    assert [answer.frame for answer in sink.answers] == [0]
    assert source.closed == 1


def test_a_source_that_breaks_is_closed() -> None:
    def unplug(number: int) -> None:
        if number == 1:
            raise SourceError("unplugged")

    source = Source(0, 1, before=unplug)
    daemon = Daemon(Model(), "m", source, [Kept()])
    with pytest.raises(SourceError, match="unplugged"):
        daemon.run()
    assert source.closed == 1
    assert daemon.statistics.frames == 1


def test_a_summary_without_frames_is_no_failure() -> None:
    assert Daemon(Model(), "m", Source(), []).summary().startswith("0 frames (0 dropped), 0 lines")


ANSWER = Answer("2025-06-01T12:00:00.125Z", 7, "s", "m", [Label('a "ß"', 0, 0.5)], 1.25)


def test_json_lines_survive_partial_writes() -> None:
    class OneByOne(BytesIO):
        def write(self, data: memoryview, /) -> int:  # type: ignore[override]
            return super().write(data[:1])

    stream = OneByOne()
    sink = JsonLines(stream)
    sink.publish(ANSWER)
    sink.publish(ANSWER)
    first, second = stream.getvalue().decode().splitlines()
    assert first == second
    assert json.loads(first) == {
        "ts": "2025-06-01T12:00:00.125Z", "frame": 7, "source": "s", "model": "m",
        "labels": [{"label": 'a "ß"', "index": 0, "score": 0.5}], "latency_ms": 1.25,
    }  # fmt: skip


def test_a_full_disk_is_named() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    expected = pytest.raises(OutputError, match="No space left")
    with Path("/dev/full").open("wb", buffering=0) as full, expected:
        JsonLines(full).publish(ANSWER)


def test_a_full_non_blocking_output_is_named() -> None:
    class Full:
        def write(self, data: memoryview, /) -> None:
            return None

    with pytest.raises(OutputError, match="non-blocking"):
        JsonLines(Full()).publish(ANSWER)


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(ENOSPC, "No space left on device")])
def test_only_a_reader_that_goes_away_passes_through(error: OSError) -> None:
    class Failing:
        def write(self, data: memoryview, /) -> int:
            raise error

    expected = BrokenPipeError if isinstance(error, BrokenPipeError) else OutputError
    with pytest.raises(expected):
        JsonLines(Failing()).publish(ANSWER)
