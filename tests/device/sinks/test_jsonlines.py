"""JSON lines on a stream."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from io import BytesIO
from pathlib import Path

import pytest
from edgekit_device.sinks.base import OVERFLOW
from edgekit_device.sinks.jsonlines import JsonLines, RawStream

from edgekit.errors import OutputError
from tests.device.sinks.samples import make_event, until


@contextmanager
def _started(stream: RawStream, lossless: bool = True) -> Iterator[JsonLines]:
    sink = JsonLines(stream, lossless)
    sink.start()
    try:
        yield sink
    finally:
        sink.close(0)


def test_each_event_is_a_line() -> None:
    stream = BytesIO()
    with _started(stream) as sink:
        sink.event(make_event(label='a "ß"\n'))
        assert json.loads(stream.getvalue()) == {
            "id": "20260101T000000000Z-0", "ts": "2025-06-01T12:00:00.125Z",
            "event": "change", "label": 'a "ß"\n',
            "score": 0.75, "frame": 7, "source": "test:", "model": "m.tflite",
            "labels": [{"label": 'a "ß"\n', "index": 0, "score": 0.5}],
            "latency_ms": 1.25, "state": "running",
        }  # fmt: skip
        sink.event(make_event(8))
    lines = stream.getvalue().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [7, 8]
    assert stream.getvalue().endswith(b"\n")


def test_partial_writes_are_completed() -> None:
    class OneByOne(BytesIO):
        def write(self, data: memoryview, /) -> int:  # type: ignore[override]
            return super().write(data[:1])

    stream = OneByOne()
    with _started(stream) as sink:
        sink.event(make_event())
        sink.event(make_event())
    first, second = stream.getvalue().splitlines()
    assert first == second
    assert json.loads(first)["label"] == "mug"


def test_a_live_source_is_not_delayed_by_a_reader_that_has_stopped() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, b"\n")
    os.set_blocking(writer, True)
    with os.fdopen(writer, "wb", buffering=0) as stream, _started(stream, lossless=False) as sink:
        for frame in range(5000):
            sink.event(make_event(frame))
        report = sink.report()
        assert report.sent == 0
        assert report.queued in (1000, 1001)  # one of them is in the thread's hand, or soon is
        assert report.dropped == 5000 - report.queued
        assert report.problem == OVERFLOW
        os.close(reader)
        # The write that was blocked fails now.
        until(lambda: sink.failure is not None)
    assert isinstance(sink.failure, BrokenPipeError)


def test_a_recording_waits_for_its_reader() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb", buffering=0) as stream, _started(stream) as sink:

        def play() -> None:
            for frame in range(5000):
                sink.event(make_event(frame))
            stream.close()

        playing = threading.Thread(target=play)
        playing.start()
        with os.fdopen(reader, "rb") as lines:
            frames = [json.loads(line)["frame"] for line in lines]
        playing.join(30)
        assert frames == list(range(5000))
        assert sink.report().sent == 5000


def test_a_recording_is_ended_while_its_reader_has_stopped() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb", buffering=0) as stream, _started(stream) as sink:
        waiting = threading.Event()

        def play() -> None:
            while sink.report().dropped == 0:
                waiting.set()
                sink.event(make_event())

        playing = threading.Thread(target=play)
        playing.start()
        assert waiting.wait(30)
        sink.close(0.1)
        playing.join(30)
        assert not playing.is_alive()
        os.close(reader)


def test_a_full_disk_is_named() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("wb", buffering=0) as full, _started(full) as sink:
        sink.event(make_event())
        assert isinstance(sink.failure, OutputError)
        expected = "cannot write to the output: No space left on device"
        assert str(sink.failure) == sink.report().problem == expected


def test_a_full_non_blocking_output_is_named() -> None:
    class Full:
        def write(self, data: memoryview, /) -> None:
            return None

    with _started(Full()) as sink:
        sink.event(make_event())
        assert isinstance(sink.failure, OutputError)
        assert "non-blocking" in str(sink.failure)


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(ENOSPC, "No space left on device")])
@pytest.mark.parametrize("lossless", [True, False])
def test_nothing_is_written_after_a_failure(error: OSError, lossless: bool) -> None:
    class Failing:
        tries = 0

        def write(self, data: memoryview, /) -> int:
            self.tries += 1
            raise error

    stream = Failing()
    with _started(stream, lossless) as sink:
        sink.event(make_event())
        until(lambda: sink.failure is not None)
        for _ in range(10):
            sink.event(make_event())
        expected = BrokenPipeError if isinstance(error, BrokenPipeError) else OutputError
        assert isinstance(sink.failure, expected)
        until(lambda: sink.report().dropped == 11)
        assert stream.tries == 1
