"""Raspberry Pi cameras, through Picamera2 and libcamera."""

import importlib
from typing import Any

from edgekit.errors import SourceError
from edgekit_device.config.settings import CameraSettings
from edgekit_device.sources.live import LiveSource, differences

PICAMERA_PREFIX = "picamera2:"
_ADVICE = "check the ribbon cable, and try: rpicam-hello --list-cameras"
# Enough for the sensor never to wait; each takes contiguous memory, of which a Pi has little.
_BUFFERS = 4


class PiCamera:
    """A started `picamera2.Picamera2` as a `Camera`.

    Its image processor scales to the size asked for, at no cost to the CPU.
    """

    bgr = False

    def __init__(self, name: str, number: int, settings: CameraSettings) -> None:
        self._name = name
        self._timeout = settings.timeout
        self._camera = _picamera2().Picamera2(number)
        try:
            self._camera.configure(self._configuration(settings))
            size = self._camera.camera_configuration()["main"]["size"]
            self.message = differences(settings, *size)
            self._camera.start()
        except BaseException:
            self._camera.close()
            raise

    def _configuration(self, settings: CameraSettings) -> Any:
        controls = {}
        if settings.fps is not None:
            duration = round(1_000_000 / settings.fps)
            controls["FrameDurationLimits"] = (duration, duration)
        # The sensor's mode of half the resolution sees the whole field of view. Left to itself,
        # libcamera takes the smallest mode that suffices, and on some sensors that is a crop.
        width, height = self._camera.sensor_resolution
        return self._camera.create_video_configuration(
            # Picamera2 names formats the way DRM does, from the last byte to the first: "BGR888"
            # is red, green, blue in memory, and "RGB888" is the other way round.
            main={"size": (settings.width, settings.height), "format": "BGR888"},
            raw={"size": (width // 2, height // 2)},
            controls=controls,
            buffer_count=_BUFFERS,
            # Wait for the next frame; do not take one that was kept from before.
            queue=False,
        )

    def read(self) -> Any:
        """The next picture, (H, W, 3) uint8 with red first.

        Raises:
            SourceError: none came within the camera's timeout.
        """
        job = self._camera.capture_array("main", wait=False)
        try:
            return job.get_result(timeout=self._timeout)
        except TimeoutError:
            # Else closing would wait for that frame, too.
            self._camera.cancel_all_and_flush()
            raise SourceError(
                f"{self._name} stalled: no frame for {self._timeout:g} s; {_ADVICE}"
            ) from None

    def release(self) -> None:
        """Stop and close it."""
        self._camera.close()


def _picamera2() -> Any:
    try:
        return importlib.import_module("picamera2")
    except ImportError as error:
        raise SourceError(
            f"picamera2: needs Picamera2 ({error}); install it with: sudo apt install "
            "python3-picamera2, in an environment made with: python3 -m venv --system-site-packages"
        ) from error
    except Exception as error:
        # numpy's, when another version than the one it was built for comes first on the path.
        raise SourceError(
            f"Picamera2 does not load ({error}); use the system's numpy: pip uninstall numpy"
        ) from error


def open_picamera(spec: str, settings: CameraSettings) -> LiveSource:
    """A Raspberry Pi camera.

    Args:
        spec: `picamera2:`, or with the number of the camera `picamera2:1`.
        settings: what to ask for.

    Raises:
        SourceError: `spec` is neither.
    """
    number = spec.removeprefix(PICAMERA_PREFIX) or "0"
    if not number.isdecimal():
        raise SourceError(f"{spec} is no camera; it is {PICAMERA_PREFIX} or {PICAMERA_PREFIX}1")
    name = f"{PICAMERA_PREFIX}{int(number)}"
    return LiveSource(
        name, lambda: PiCamera(name, int(number), settings), settings.timeout, _ADVICE
    )
