"""The view as every kind of source applies it, and that a clip replays to the same input."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from edgekit_device.config.settings import CameraSettings, Settings
from edgekit_device.sinks.clip.recording import Recording as ClipRecording
from edgekit_device.sinks.clip.request import ClipRequest
from edgekit_device.sources import open_source
from edgekit_device.sources.live import LiveSource

from edgekit.inference.decision import Decision
from edgekit.inference.frame import Frame
from edgekit.inference.pipeline import Pipeline
from edgekit.model.decision import DecisionSettings
from edgekit.model.geometry import Geometry
from edgekit.offline.clip import hash_input
from edgekit.offline.clip_output import ClipFile
from edgekit.offline.recording import Recording
from edgekit.vision.preprocess import prepare
from edgekit.vision.turning import View
from edgekit.vision.view import Region, ViewSettings
from tests.core.offline.test_clip import write
from tests.device.fakes import FakeClassifier
from tests.device.sinks.samples import make_health
from tests.device.sources.test_live import FakeCamera

VIEW = ViewSettings(
    rotate=90, mirror=True, region=(0.25, 0.5, 0.7, 0.4),
    masks=((0, 0, 0.3, 0.6), (0.5, 0.5, 0.9, 0.55, 0.7, 0.95)),
)  # fmt: skip
NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def read(source: Any) -> Frame:
    frame = source.read(timeout=30)
    assert frame is not None
    return frame


def camera_source(*pictures: Any, bgr: bool = False) -> tuple[LiveSource, FakeCamera]:
    camera = FakeCamera(bgr)
    camera.give(*pictures)
    return LiveSource("camera", lambda: camera, 30, "check its cable"), camera


@pytest.mark.parametrize("bgr", [True, False], ids=["as OpenCV gives it", "as Picamera2 gives it"])
def test_a_camera_s_frames_are_turned_and_its_memory_is_left_alone(bgr: bool) -> None:
    given = NOISE.copy()
    given.flags.writeable = False
    source, camera = camera_source(given, bgr=bgr)
    source.look(VIEW)
    frame = read(source)
    assert np.array_equal(frame.pixels, View(VIEW).turn(NOISE[..., ::-1] if bgr else NOISE))
    assert (frame.region, frame.view) == (Region(*VIEW.region), VIEW)
    assert np.array_equal(given, NOISE)
    camera.give(RuntimeError("over"))
    source.close()


def test_without_a_view_a_frame_is_the_camera_s_own() -> None:
    source, camera = camera_source(NOISE)
    assert read(source).pixels is NOISE
    camera.give(RuntimeError("over"))
    source.close()


def test_another_view_holds_from_the_next_frame_and_the_camera_stays_open() -> None:
    source, camera = camera_source(NOISE)
    assert read(source).view == ViewSettings()
    source.look(VIEW)
    camera.give(NOISE)
    assert read(source).view == VIEW
    assert not camera.released.is_set()
    camera.give(RuntimeError("over"))
    source.close()


def _picture(folder: Path) -> Path:
    path = folder / "1.png"
    assert cv2.imwrite(str(path), cv2.cvtColor(NOISE, cv2.COLOR_RGB2BGR))
    return path


@pytest.mark.parametrize("kind", ["test:", "folder", "picture"])
def test_what_settings_name_is_turned(kind: str, tmp_path: Path) -> None:
    path = _picture(tmp_path)
    named = {"test:": "test:", "folder": str(tmp_path), "picture": str(path)}[kind]
    source = open_source(
        Settings(source=named, view=VIEW, camera=CameraSettings(width=64, height=48, fps=200))
    )
    frame = read(source)
    source.close()
    assert frame.pixels.shape == (64, 48, 3)
    assert (frame.pixels[:38, :14] == 128).all()
    assert (frame.region, frame.view) == (Region(*VIEW.region), VIEW)


def test_a_recording_is_prepared_ahead_with_its_region(tmp_path: Path) -> None:
    geometry = Geometry(8, 8)
    source = open_source(Settings(source=str(_picture(tmp_path)), view=VIEW))
    source.expect(geometry)
    frame = read(source)
    source.close()
    expected = prepare(View(VIEW).turn(NOISE), geometry, Region(*VIEW.region))
    assert np.array_equal(frame.prepared_for(geometry).tensor, expected)
    assert frame.tensor is None or np.array_equal(frame.tensor, expected)


def test_a_clip_is_looked_at_as_it_was_recorded(tmp_path: Path) -> None:
    source = open_source(Settings(source=str(write(tmp_path / "a.clip")), view=ViewSettings()))
    assert read(source).view == ViewSettings()
    source.close()


def test_what_was_recorded_live_replays_to_the_same_input_to_the_last_bit(tmp_path: Path) -> None:
    model = FakeClassifier()
    model.geometry = Geometry(12, 16, 0.9)
    model.invoke = lambda tensor: np.array([0.7, 0.2, 0.1], np.float32)  # type: ignore[method-assign]
    pipeline = Pipeline(model, "m", Decision(DecisionSettings(), model.labels), "camera", live=True)
    source, camera = camera_source(NOISE, bgr=True)
    source.look(VIEW)
    clip = ClipRecording(lambda: ClipFile(tmp_path / "a.clip"), ClipRequest(), make_health)
    clip.start()
    tensors = []
    for number in range(3):
        result = pipeline.process(read(source))
        tensors.append(result.tensor)
        clip.frame(result)
        camera.give(np.roll(NOISE, number + 1, axis=1))
    camera.give(RuntimeError("over"))
    source.close()
    clip.finish()
    recording = Recording(tmp_path / "a.clip")
    assert recording.header is not None and recording.header.view == VIEW
    replayed = [frame.prepared_for(model.geometry) for frame in recording]
    assert len(replayed) == 3
    for tensor, frame in zip(tensors, replayed, strict=True):
        assert frame.tensor is not None and frame.record is not None
        assert np.array_equal(frame.tensor, tensor)
        assert frame.record.input_sha256 == hash_input(tensor)
    assert not np.array_equal(tensors[0], tensors[1])


def test_a_clip_ends_when_the_view_changes(tmp_path: Path) -> None:
    model = FakeClassifier()
    pipeline = Pipeline(model, "m", Decision(DecisionSettings(), model.labels), "camera", live=True)
    clip = ClipRecording(lambda: ClipFile(tmp_path / "a.clip"), ClipRequest(), make_health)
    clip.start()
    dark = np.zeros((4, 4, 3), np.uint8)
    for view in (ViewSettings(mirror=True), ViewSettings(mirror=True), ViewSettings()):
        clip.frame(pipeline.process(Frame(0, dark, 0.0, 0.0, view=view)))
    clip.finish()
    assert clip.outcome.kept == 2
    assert clip.outcome.reason is not None and "another view took over" in clip.outcome.reason
