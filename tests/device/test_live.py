"""How a live source ends when it is told to."""

import threading

import numpy as np
import pytest
from edgekit_device.sources import LiveSource, open_source
from numpy.typing import NDArray

from edgekit.errors import SourceError


class Camera:
    """Gives a frame, then blocks in `read` until it is let go, as a camera without light does."""

    def __init__(self) -> None:
        self.reads = 0
        self.blocked = threading.Event()
        self.let_go = threading.Event()
        self.released = threading.Event()

    def read(self) -> tuple[bool, NDArray[np.uint8]]:
        self.reads += 1
        if self.reads > 1:
            self.blocked.set()
            self.let_go.wait(timeout=30)
        return True, np.zeros((4, 4, 3), np.uint8)

    def release(self) -> None:
        assert not self.released.is_set()
        self.released.set()


def test_stop_ends_it_while_the_camera_blocks() -> None:
    camera = Camera()
    source = LiveSource("camera", camera, timeout=30)
    frames = iter(source)
    assert next(frames).number == 0

    def stop() -> None:
        camera.blocked.wait(timeout=30)
        source.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    assert list(frames) == []
    stopper.join()
    # The camera still blocks: `close` does not wait for it for ever.
    source.close()
    assert not camera.released.is_set()
    camera.let_go.set()
    assert camera.released.wait(timeout=30)


def test_close_lets_go_of_the_camera() -> None:
    camera = Camera()
    camera.let_go.set()
    source = LiveSource("camera", camera)
    assert next(iter(source)).number >= 0
    source.close()
    assert camera.released.is_set()


def test_close_lets_go_of_a_camera_that_was_never_read() -> None:
    camera = Camera()
    LiveSource("camera", camera).close()
    assert camera.released.is_set()
    assert camera.reads == 0


@pytest.mark.parametrize("spec", ["v4l2:/dev/video97", "/dev/video97", "v4l2:97", "97"])
def test_a_camera_has_several_spellings(spec: str) -> None:
    with pytest.raises(SourceError, match="no camera at /dev/video97"):
        open_source(spec)
