"""A clip in progress: what is kept, when it ends, and what a slow or broken disk does."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgekit_device.sinks.clip.recording import Recording
from edgekit_device.sinks.clip.request import ClipRequest, Outcome

from edgekit.errors import OutputError
from edgekit.model.geometry import Geometry
from edgekit.offline.clip import Clip
from edgekit.offline.clip_output import ClipFile, ClipOutput
from tests.core.offline.test_clip import disk_of
from tests.device.fakes import Gate
from tests.device.sinks.answers import answer, noise
from tests.device.sinks.samples import make_health, until

SIZE = noise(0).nbytes
EVERY = ClipRequest()


def recording(path: Path, request: ClipRequest = EVERY, **options: Any) -> Recording:
    begun = Recording(lambda: ClipFile(path), request, make_health, **options)
    begun.start()
    return begun


def numbers(path: Path) -> list[int]:
    return [frame.record.number for frame in Clip(path)]


class HeldOutput(ClipFile):
    """Writes a frame only once its gate is open."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.gate = Gate()

    def append(self, data: bytes) -> None:
        if self.size:
            self.gate()
        super().append(data)


def held(path: Path, request: ClipRequest = EVERY, **options: Any) -> tuple[Recording, Gate]:
    output = HeldOutput(path)
    begun = Recording(lambda: output, request, make_health, **options)
    begun.start()
    return begun, output.gate


def test_a_record_says_what_was_answered_and_the_header_by_what(tmp_path: Path) -> None:
    clip = recording(tmp_path / "a.clip")
    clip.frame(answer(7, 100.5, event="change", first=True))
    clip.frame(answer(9, 101.75, index=None, event="heartbeat"))
    clip.finish()
    read = Clip(tmp_path / "a.clip")
    first, second = (frame.record for frame in read)
    assert (first.number, first.time, first.label, first.event) == (7, 0.0, "cat", "change")
    assert (second.number, second.time, second.label, second.event) == (
        9, 1.25, "unknown", "heartbeat",
    )  # fmt: skip
    assert first.scores == [("cat", 0.5), ("dog", 0.25), ("eel", 0.125)]
    assert read.header.device == "pi"
    assert (read.header.source, read.header.model) == ("test:", "m.tflite")
    assert read.header.geometry == Geometry(height=2, width=2)
    assert read.header.decision["smoothing"] == 9
    assert clip.outcome == Outcome(2, 2, 1, 0, full=False, reason=None)


def test_times_count_from_where_it_is_told_to_begin(tmp_path: Path) -> None:
    clip = recording(tmp_path / "a.clip", begin=0.0)
    clip.frame(answer(0, 2.5))
    clip.finish()
    assert [frame.record.time for frame in Clip(tmp_path / "a.clip")] == [2.5]


def test_it_ends_after_its_time_and_says_so_once(tmp_path: Path) -> None:
    ended: list[None] = []
    clip = recording(
        tmp_path / "a.clip", ClipRequest(max_seconds=2), on_end=lambda: ended.append(None)
    )
    for number in range(5):
        clip.frame(answer(number, 50.0 + number))
    clip.finish()
    assert numbers(tmp_path / "a.clip") == [0, 1, 2]
    assert clip.outcome.answered == 3
    assert len(ended) == 1


def test_it_ends_at_its_size(tmp_path: Path) -> None:
    ended = threading.Event()
    clip = recording(tmp_path / "a.clip", ClipRequest(max_bytes=20_000), on_end=ended.set)
    number = 0
    while not ended.is_set():
        clip.frame(answer(number))
        number += 1
    clip.finish()
    assert clip.outcome.full
    assert 0 < clip.outcome.kept == len(numbers(tmp_path / "a.clip"))
    assert (tmp_path / "a.clip").stat().st_size <= 20_000


def test_it_ends_when_a_model_of_another_input_size_takes_over(tmp_path: Path) -> None:
    clip = recording(tmp_path / "a.clip")
    clip.frame(answer(0))
    clip.frame(answer(1, geometry=Geometry(height=3, width=3)))
    clip.frame(answer(2))
    clip.finish()
    assert numbers(tmp_path / "a.clip") == [0]
    assert "another input size" in (clip.outcome.reason or "")


def test_it_ends_before_a_picture_that_no_clip_holds(tmp_path: Path) -> None:
    clip = recording(tmp_path / "a.clip")
    clip.frame(answer(0))
    huge = np.broadcast_to(np.uint8(0), (1 << 13, (1 << 13) + 1, 3))
    clip.frame(answer(1, pixels=huge))
    clip.finish()
    assert numbers(tmp_path / "a.clip") == [0]
    assert clip.outcome.reason == "a picture of more than 67108864 pixels came, which no clip holds"


def test_where_the_decision_began_afresh_a_stretch_begins(tmp_path: Path) -> None:
    clip = recording(tmp_path / "a.clip")
    for number in range(4):
        clip.frame(answer(number, first=number in (0, 2)))
    clip.finish()
    assert [frame.record.stretch for frame in Clip(tmp_path / "a.clip")] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("on", "kept"),
    [
        ("unknown", [18, 19, 20, 21]),
        ("change", [38, 39, 40, 41]),
        ("signal", [58, 59, 60, 61]),
    ],
)
def test_only_what_lies_around_what_happened_is_kept(
    tmp_path: Path, on: Any, kept: list[int]
) -> None:
    clip = recording(tmp_path / "a.clip", ClipRequest(on=(on,), ring=2, after=1))
    for number in range(80):
        if number == 60 and on == "signal":
            clip.call()
        event = "change" if number in (0, 40) else None
        index = None if number == 20 else 0
        clip.frame(answer(number, event=event, first=number == 0, index=index))
    clip.finish()
    assert numbers(tmp_path / "a.clip") == kept
    assert clip.outcome == Outcome(80, 4, 1, 0, full=False, reason=None)


def test_the_ring_keeps_within_its_memory(tmp_path: Path) -> None:
    request = ClipRequest(on=("unknown",), ring=1000, after=0)
    clip = recording(tmp_path / "a.clip", request, memory=10 * SIZE)
    for number in range(50):
        clip.frame(answer(number, index=None if number == 49 else 0))
    clip.finish()
    assert numbers(tmp_path / "a.clip") == [45, 46, 47, 48, 49]


def test_what_is_answered_is_kept_however_slow_the_disk(tmp_path: Path) -> None:
    clip = recording(tmp_path / "a.clip", memory=1)
    for number in range(30):
        clip.frame(answer(number))
    clip.finish()
    frames = list(Clip(tmp_path / "a.clip"))
    assert [frame.record.number for frame in frames] == list(range(30))
    assert all(np.array_equal(one.pixels, noise(one.record.number)) for one in frames)


def test_without_that_promise_frames_are_dropped_and_counted_and_nobody_waits(
    tmp_path: Path,
) -> None:
    clip, gate = held(tmp_path / "a.clip", lossless=False, memory=4 * SIZE)
    clip.frame(answer(0))
    assert gate.reached.wait(30)
    for number in range(1, 10):
        clip.frame(answer(number))
    assert clip.report().queued == 4
    assert clip.outcome.dropped == 6
    gate.open()
    until(lambda: clip.report().queued == 0)
    clip.frame(answer(10))
    clip.finish()
    frames = [frame.record for frame in Clip(tmp_path / "a.clip")]
    # Behind the gap the decision begins afresh in a replay, too.
    assert [(one.number, one.stretch) for one in frames] == [
        (0, 0), (1, 0), (2, 0), (3, 0), (10, 1),
    ]  # fmt: skip
    assert clip.outcome == Outcome(11, 5, 2, 6, full=False, reason=None)


def test_what_happens_in_a_dropped_frame_keeps_what_follows_it(tmp_path: Path) -> None:
    request = ClipRequest(on=("unknown",), ring=0, after=5)
    clip, gate = held(tmp_path / "a.clip", request, lossless=False, memory=2 * SIZE)
    clip.frame(answer(0, index=None))
    assert gate.reached.wait(30)
    clip.frame(answer(10))
    clip.frame(answer(20, index=None, pixels=np.zeros((9, 26, 3), np.uint8)))
    gate.open()
    until(lambda: clip.report().queued == 0)
    for number in (25, 26):
        clip.frame(answer(number))
    clip.finish()
    assert numbers(tmp_path / "a.clip") == [0, 25]
    assert clip.outcome.dropped == 1


def test_close_does_not_wait_for_a_disk_that_hangs_but_finish_does(tmp_path: Path) -> None:
    clip, gate = held(tmp_path / "a.clip")
    clip.frame(answer(0))
    clip.frame(answer(1))
    assert gate.reached.wait(30)
    clip.close(0.01)
    assert clip.report().queued == 2
    clip.frame(answer(2))
    gate.open()
    clip.finish()
    assert numbers(tmp_path / "a.clip") == [0, 1]


def test_a_disk_that_fails_ends_it_and_frees_who_waits(tmp_path: Path) -> None:
    ended = threading.Event()
    clip = recording(tmp_path / "a.clip", memory=1, on_end=ended.set)
    with disk_of(20_000):
        for number in range(100):
            clip.frame(answer(number))
        assert ended.wait(30)
    with pytest.raises(OutputError, match="cannot write the clip"):
        clip.finish()
    assert isinstance(clip.failure, OutputError)
    assert clip.report().queued == 0
    kept = numbers(tmp_path / "a.clip.part")
    assert kept == list(range(len(kept)))


def test_a_mistake_of_ours_is_a_failure_too(tmp_path: Path) -> None:
    class Broken(ClipFile):
        def append(self, data: bytes) -> None:
            raise ZeroDivisionError

    def broken() -> ClipOutput:
        return Broken(tmp_path / "a.clip")

    clip = Recording(broken, ClipRequest(), make_health)
    clip.start()
    clip.frame(answer(0))
    with pytest.raises(ZeroDivisionError):
        clip.finish()


def test_nothing_answered_leaves_no_file(tmp_path: Path) -> None:
    clip = recording(tmp_path / "a.clip")
    clip.finish()
    assert list(tmp_path.iterdir()) == []
    assert clip.outcome.kept == 0
