"""Items taken from an iterator before they are wanted: the same ones, and not too many."""

import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.errors import SourceError
from edgekit.vision.read_ahead import MAXIMUM_BYTES, MAXIMUM_ITEMS, ReadAhead

FRAME_4K = (2160, 3840, 3)
# A thread that does nothing wrong is not waited for longer than this.
TIMEOUT = 30


def _one(_: object) -> int:
    return 1


class Frames:
    """Frames of a size, each asked for one by one."""

    def __init__(self, *shapes: tuple[int, int, int]) -> None:
        self.asked = threading.Semaphore(0)
        self.closed = threading.Event()
        self._shapes = shapes

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        try:
            for shape in self._shapes:
                self.asked.release()
                yield np.empty(shape, np.uint8)
        finally:
            self.closed.set()

    def are_asked_for(self, count: int) -> bool:
        """Whether so many more are asked for, and not one above that."""
        for _ in range(count):
            assert self.asked.acquire(timeout=TIMEOUT)
        return not self.asked.acquire(timeout=0.1)


def _ahead(frames: Frames, maximum_bytes: int = MAXIMUM_BYTES) -> ReadAhead[NDArray[np.uint8]]:
    return ReadAhead(frames, lambda frame: frame.nbytes, maximum_bytes=maximum_bytes)


def test_items_and_their_order_stay() -> None:
    assert list(ReadAhead(range(1000), _one)) == list(range(1000))
    assert list(ReadAhead(range(1000), _one, maximum_items=1)) == list(range(1000))
    assert list(ReadAhead([], _one)) == []


def test_an_error_comes_after_the_items_before_it_and_stays() -> None:
    def failing() -> Iterator[int]:
        yield from range(100)
        raise SourceError("broke")

    seen, ahead = [], ReadAhead(failing(), _one)
    with pytest.raises(SourceError, match="broke"):
        for item in ahead:
            seen.append(item)
    assert seen == list(range(100))
    with pytest.raises(SourceError, match="broke"):
        next(ahead)


def test_the_end_stays() -> None:
    ahead = ReadAhead([7], _one)
    assert next(ahead) == 7
    for _ in range(2):
        assert next(ahead, None) is None
        assert ahead.wait(0)


def test_small_frames_are_bounded_by_their_number() -> None:
    frames = Frames(*[(8, 8, 3)] * 100)
    ahead = _ahead(frames)
    assert frames.are_asked_for(MAXIMUM_ITEMS)
    half = MAXIMUM_ITEMS // 2
    # The thread that decodes is not woken for each.
    for _ in range(half - 1):
        next(ahead)
    assert frames.are_asked_for(0)
    next(ahead)
    assert frames.are_asked_for(half)
    ahead.close()


def test_large_frames_are_bounded_by_their_bytes() -> None:
    frames = Frames(*[FRAME_4K] * 100)
    ahead = _ahead(frames)
    # Of 25 MB each; a third would be above 64 MiB.
    assert frames.are_asked_for(2)
    for _ in range(3):
        assert next(ahead).shape == FRAME_4K
        assert frames.are_asked_for(1)
    ahead.close()


def test_a_frame_above_the_bound_is_read_alone() -> None:
    frames = Frames(*[FRAME_4K] * 3)
    ahead = _ahead(frames, maximum_bytes=1 << 20)
    assert frames.are_asked_for(1)
    assert [frame.shape for frame in ahead] == [FRAME_4K] * 3


def test_frames_of_several_sizes_count_as_what_they_are() -> None:
    large, small = (100, 100, 3), (10, 10, 3)
    frames = Frames(small, small, *[large] * 9)
    # Room for two large ones, less a byte.
    ahead = _ahead(frames, maximum_bytes=2 * 30_000 - 1)
    assert frames.are_asked_for(3)
    for shape, asked in ((small, 0), (small, 0), (large, 1), (large, 1)):
        assert next(ahead).shape == shape
        assert frames.are_asked_for(asked)
    ahead.close()


def test_a_frame_that_was_taken_is_kept_nowhere() -> None:
    asked, gate = threading.Event(), threading.Event()

    def frames() -> Iterator[NDArray[np.uint8]]:
        yield np.empty(FRAME_4K, np.uint8)
        asked.set()
        gate.wait(TIMEOUT)

    ahead = ReadAhead(frames(), lambda frame: frame.nbytes)
    taken = weakref.ref(next(ahead))
    assert asked.wait(TIMEOUT)
    assert taken() is None
    gate.set()


def test_what_is_not_there_in_time_is_not_there() -> None:
    gate = threading.Event()

    def slow() -> Iterator[int]:
        assert gate.wait(TIMEOUT)
        yield 1

    ahead = ReadAhead(slow(), _one)
    assert not ahead.wait(0)
    assert not ahead.wait(0.01)
    gate.set()
    assert ahead.wait(TIMEOUT)
    assert next(ahead) == 1


def test_closing_ends_the_thread_and_its_iterator() -> None:
    frames = Frames(*[(8, 8, 3)] * 100)
    ahead = _ahead(frames)
    assert frames.are_asked_for(MAXIMUM_ITEMS)
    ahead.close()
    assert frames.closed.wait(TIMEOUT)
    ahead._thread.join(TIMEOUT)
    assert not ahead._thread.is_alive()
    assert next(ahead, None) is None


def test_closing_does_not_wait_for_a_read_that_hangs() -> None:
    gate, closed = threading.Event(), threading.Event()

    def hanging() -> Iterator[int]:
        try:
            yield 1
            assert gate.wait(TIMEOUT)
            yield 2
        finally:
            closed.set()

    ahead = ReadAhead(hanging(), _one)
    ahead.close()
    ahead.close()
    assert not closed.is_set()
    assert next(ahead, None) is None
    gate.set()
    assert closed.wait(TIMEOUT)


def test_what_breaks_after_closing_is_no_error() -> None:
    gate = threading.Event()

    def breaking() -> Iterator[int]:
        yield 1
        gate.wait(TIMEOUT)
        raise SourceError("broke")

    ahead = ReadAhead(breaking(), _one)
    ahead.close()
    gate.set()
    ahead._thread.join(TIMEOUT)
    assert next(ahead, None) is None


def test_closing_wakes_who_waits() -> None:
    gate = threading.Event()

    def hanging() -> Iterator[int]:
        gate.wait(TIMEOUT)
        yield 1

    ahead = ReadAhead(hanging(), _one)
    found: list[int | None] = []
    reader = threading.Thread(target=lambda: found.append(next(ahead, None)))
    reader.start()
    ahead.close()
    reader.join(TIMEOUT)
    gate.set()
    assert found == [None]
