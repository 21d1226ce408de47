"""Cameras through OpenCV: USB cameras (Video4Linux), and streams from the network (FFmpeg)."""

import os
import re
import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ImageError, SourceError
from edgekit.redaction import address_name
from edgekit.vision.pictures import decode_image
from edgekit_device.config.settings import CameraSettings
from edgekit_device.sources.live import LiveSource, differences

V4L2_PREFIX = "v4l2:"
# One for the driver to fill while another is read. Fewer halve the rate of some cameras, more only
# make frames older.
_BUFFERS = 2
# FFmpeg gives up at a packet that it cannot decode; the next one may be good.
_STREAM_TRIES = 3
# Pixels of a JPEG, 8K: what claims to be larger would take the memory of everything else.
_LARGEST = 1 << 25
_MJPEG = cv2.VideoWriter.fourcc(*"MJPG")
# Seconds; OpenCV reports an end at once, and a stall by a timeout.
_STALL = 0.5
# Fraction of `LiveSource`'s timeout that FFmpeg gets. Less than all, so that its thread has come
# back, and the stream is closed, when it is opened again or the process ends.
_STREAM_FRACTION = 0.9


class OpenCVCamera:
    """An open `cv2.VideoCapture` as a `Camera`.

    A stream of JPEGs is not decoded by FFmpeg, which takes half a picture for a whole one.

    Args:
        name: for messages.
        capture: it.
        advice: what to do when it ends, in words.
        tries: frames in a row that may fail before it counts as ended.
        message: what it gives instead of what it was asked for, in words.
        jpegs: whether it gives JPEG files, and not pictures.
    """

    def __init__(
        self,
        name: str,
        capture: cv2.VideoCapture,
        advice: str,
        *,
        tries: int = 1,
        message: str = "",
        jpegs: bool = False,
    ) -> None:
        self.bgr = not jpegs
        self.message = message
        self._name = name
        self._capture = capture
        self._advice = advice
        self._tries = tries
        self._jpegs = jpegs

    def read(self) -> Any:
        """The next picture, (H, W, 3) uint8, as `bgr` says; None where it is damaged.

        Raises:
            SourceError: it stalled, or ended.
        """
        begun = time.monotonic()
        for _ in range(self._tries):
            if self._capture.grab():
                read, pixels = self._capture.retrieve()
                if not read or pixels is None:
                    return None
                return _decoded(pixels) if self._jpegs else pixels
            waited = time.monotonic() - begun
            if waited > _STALL:
                raise SourceError(
                    f"{self._name} stalled: no frame for {waited:.1f} s; {self._advice}"
                )
        raise SourceError(f"{self._name} stopped delivering frames; {self._advice}")

    def release(self) -> None:
        """Close it."""
        self._capture.release()


def _decoded(jpeg: NDArray[Any]) -> NDArray[np.uint8] | None:
    try:
        return decode_image(jpeg.tobytes(), "a frame", maximum=_LARGEST)
    except ImageError:
        return None


def video_device(spec: str) -> str | None:
    """The device that `v4l2:/dev/video0`, `v4l2:0`, `/dev/video0` or `0` names; None for others."""
    device = spec.removeprefix(V4L2_PREFIX)
    # `access` and not `exists`, which raises where a folder may not be entered.
    if device.isdecimal() and (device != spec or not os.access(spec, os.F_OK)):
        return f"/dev/video{device}"
    return device if device != spec or spec.startswith("/dev/") else None


def open_v4l2(spec: str, camera: CameraSettings) -> LiveSource:
    """A USB camera, or another that the kernel shows as a video device.

    Raises:
        SourceError: there is no such device.
    """
    device = video_device(spec) or ""
    name = f"{V4L2_PREFIX}{device}"
    if not device or not os.access(device, os.F_OK):
        raise SourceError(f"no camera at {device or name}; list cameras with: ls /dev/v4l/by-id")
    advice = "check its cable, or list cameras with: ls /dev/v4l/by-id"

    def open_camera() -> OpenCVCamera:
        capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
        if not capture.isOpened():
            raise SourceError(
                f"{device} does not open as a camera; check that it is one, that no other program "
                "uses it, and that this user is in the group 'video'"
            )
        return OpenCVCamera(name, capture, advice, message=_configure(capture, camera))

    return LiveSource(name, open_camera, camera.timeout, advice)


def _configure(capture: cv2.VideoCapture, camera: CameraSettings) -> str:
    """Ask for what is set; return what it gives instead, in words."""
    # The pixel format first: it decides which sizes and rates there are.
    if camera.pixel_format is not None:
        fourcc = cv2.VideoWriter.fourcc(*camera.pixel_format)
        capture.set(cv2.CAP_PROP_FOURCC, fourcc)
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, camera.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, camera.height)
    if camera.fps is not None:
        capture.set(cv2.CAP_PROP_FPS, camera.fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, _BUFFERS)
    return differences(
        camera,
        round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
        round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        capture.get(cv2.CAP_PROP_FPS),
        round(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("ascii", "replace"),
    )


def is_stream(spec: str) -> bool:
    """Whether it is the address of a stream."""
    return re.match("(rtsps?|https?)://", spec, re.IGNORECASE) is not None


def open_stream(url: str, camera: CameraSettings) -> LiveSource:
    """A network camera: RTSP, or a video stream over HTTP."""
    name = address_name(url)
    advice = "check its address, user and password, and the network"
    # UDP is FFmpeg's own choice: it loses packets, and with them parts of pictures. This is the one
    # way to ask for TCP, and what a user has set there stands.
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")

    def open_camera() -> OpenCVCamera:
        milliseconds = max(1, round(1000 * _STREAM_FRACTION * camera.timeout))
        capture = cv2.VideoCapture(
            url,
            cv2.CAP_FFMPEG,
            [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                milliseconds,
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                milliseconds,
            ],
        )
        if not capture.isOpened():
            raise SourceError(f"{name} does not open; {advice}")
        jpegs = capture.get(cv2.CAP_PROP_FOURCC) == _MJPEG
        # FFmpeg's packets as they are.
        jpegs = jpegs and capture.set(cv2.CAP_PROP_FORMAT, -1)
        return OpenCVCamera(name, capture, advice, tries=_STREAM_TRIES, jpegs=jpegs)

    return LiveSource(name, open_camera, camera.timeout, advice)
