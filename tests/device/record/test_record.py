"""`edgekit record`, and what it keeps."""

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from edgekit_device.config.settings import Settings
from edgekit_device.sinks.clip import Recorder, Span
from edgekit_device.sources import EndOfSource, open_source

from edgekit.errors import OutputError
from edgekit.inference.classifier import Classifier
from edgekit.inference.decision import Decision
from edgekit.inference.frame import FrameRecord
from edgekit.inference.pipeline import Pipeline
from edgekit.offline.clip import Clip, hash_input
from tests.core.offline.test_clip import HEADER, disk_of, picture
from tests.recordings import Edgekit, failure, write_video


def test_a_clip_holds_every_frame_and_what_a_live_run_made_of_it(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    target = tmp_path / "a.clip"
    done = edgekit("record", "--model", model, "--source", video, "--output", target)
    assert "kept 40 of 40 frames in 1 stretch" in done.stderr
    clip = Clip(target)
    frames = list(clip)
    classifier = Classifier.open(model)
    assert clip.header.model_sha256 == classifier.sha256
    assert clip.header.source == "colours.avi"
    assert clip.header.geometry == classifier.geometry
    assert clip.header.decision["smoothing"] == 5

    settings = Settings(model=model, source=str(video))
    source = open_source(settings)
    pipeline = Pipeline(classifier, "m", Decision(settings.decision), source.name, live=source.live)
    seen = 0
    for kept in frames:
        record, pixels, frame = kept.record, kept.pixels, source.read(30)
        assert frame is not None
        result = pipeline.process(frame)
        event = pipeline.event(result)
        assert np.array_equal(pixels, frame.pixels)
        assert (record.number, record.time) == (frame.number, frame.time)
        assert record.input_sha256 == hash_input(classifier.prepare(frame.pixels))
        assert (record.label, record.event) == (result.label, event and event.event)
        assert record.score == pytest.approx(result.verdict.score, abs=1e-6)
        seen += 1
    with pytest.raises(EndOfSource):
        source.read(30)
    assert seen == 40


def test_only_what_matters_is_kept_with_what_was_before_and_after(
    edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    colours = ["red"] * 60 + ["grey"] * 5 + ["red"] * 60
    video = write_video(tmp_path / "v.avi", colours)
    target = tmp_path / "a.clip"
    done = edgekit(
        "record", "--model", model, "--source", video, "--output", target, "--on", "unknown",
        "--ring", 1, "--after", 0.5, "--decision-smoothing", 1, "--decision-hold", 0,
    )  # fmt: skip
    assert "kept 20 of 125 frames in 1 stretch" in done.stderr
    records = [frame.record for frame in Clip(target)]
    assert [one.number for one in records] == list(range(50, 70))
    assert [one.label for one in records if one.label == "unknown"] == ["unknown"] * 5


def test_stretches_are_counted_and_the_first_answer_is_no_change(
    edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    video = write_video(tmp_path / "v.avi", ["red"] * 50 + ["green"] * 50 + ["blue"] * 50)
    target = tmp_path / "a.clip"
    done = edgekit(
        "record", "--model", model, "--source", video, "--output", target, "--on", "change",
        "--ring", 1, "--after", 1, "--decision-smoothing", 1,
    )  # fmt: skip
    assert "in 2 stretches" in done.stderr
    stretches = [(one.record.number, one.record.stretch) for one in Clip(target)]
    assert stretches == [(n, 0) for n in range(40, 61)] + [(n, 1) for n in range(90, 111)]


def test_nothing_to_keep_leaves_no_clip(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    done = edgekit(
        "record", "--model", model, "--source", video, "--output", tmp_path / "a.clip", "--on",
        "signal",
    )  # fmt: skip
    assert done.exit_code == 0
    assert "nothing to keep in 40 frames" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["colours.avi"]


def test_a_clip_is_bounded_in_time_and_size(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    for name, bound in (("time", ("--max-seconds", 1.05)), ("size", ("--max-size", "20K"))):
        target = tmp_path / f"{name}.clip"
        done = edgekit("record", "--model", model, "--source", video, "--output", target, *bound)
        assert done.exit_code == 0
        clip = Clip(target)
        frames = [frame.record.number for frame in clip]
        assert clip.cut is None
        assert frames == list(range(len(frames)))
        if name == "time":
            assert len(frames) == 11
        else:
            assert "its greatest size" in done.stderr
            assert 0 < len(frames) < 40
            assert target.stat().st_size <= 20 << 10


def test_a_folder_as_output_names_the_clip_by_the_time(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    edgekit("record", "--model", model, "--source", video, "--output", folder)
    (clip,) = folder.iterdir()
    assert clip.match("20??-??-??T??-??-??.clip")


def test_failures_are_one_line(edgekit: Edgekit, model: Path, video: Path, tmp_path: Path) -> None:
    base = ("record", "--model", model)
    there = tmp_path / "there.clip"
    there.touch()
    assert "there already" in failure(edgekit(*base, "--source", video, "--output", there))
    nowhere = tmp_path / "no" / "a.clip"
    assert "does not exist" in failure(edgekit(*base, "--source", video, "--output", nowhere))
    missing = ("--source", tmp_path / "none.avi", "--output", tmp_path / "a.clip")
    assert "no source" in failure(edgekit(*base, *missing))
    assert edgekit(*base, "--source", video, "--output", there, "--max-size", "lots").exit_code == 2


def test_sigusr1_keeps_the_last_seconds_and_sigterm_ends(
    edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    target, part = tmp_path / "a.clip", tmp_path / "a.clip.part"
    empty = threading.Event()

    def at_the_door() -> None:
        # The camera is being answered once the part file is there.
        while not part.exists() and not empty.wait(0.01):
            pass
        size = part.stat().st_size
        while part.exists() and part.stat().st_size == size and not empty.wait(0.05):
            os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)

    visitor = threading.Thread(target=at_the_door)
    # Until the command has its own handlers.
    previous = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    visitor.start()
    try:
        done = edgekit(
            "record", "--model", model, "--source", "test:", "--output", target, "--on", "signal"
        )
    finally:
        empty.set()
        visitor.join(30)
        signal.signal(signal.SIGUSR1, previous)
    assert done.exit_code == 0
    assert len(list(Clip(target))) >= 1


def _record(number: int, time: float) -> FrameRecord:
    return FrameRecord(number, time, 0, "00", "cat", 0.5, [("cat", 0.5)])


def test_the_ring_keeps_within_its_memory(tmp_path: Path) -> None:
    size = picture(0).nbytes
    recorder = Recorder(tmp_path / "a.clip", HEADER, Span(1000, 0), 1 << 20, memory=10 * size)
    for number in range(50):
        recorder.add(_record(number, number), picture(number), happened=number == 49)
    recorder.close()
    kept = [frame.record.number for frame in Clip(tmp_path / "a.clip")]
    assert kept == [45, 46, 47, 48, 49]


def test_what_is_answered_is_kept_however_slow_the_disk(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.clip", HEADER, None, 1 << 24, memory=1)
    for number in range(30):
        recorder.add(_record(number, number), picture(number), happened=False)
    recorder.close()
    frames = list(Clip(tmp_path / "a.clip"))
    assert [frame.record.number for frame in frames] == list(range(30))
    assert all(np.array_equal(one.pixels, picture(one.number)) for one in frames)


def test_a_disk_that_fails_ends_the_recording(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.clip", HEADER, None, 1 << 24, memory=1)
    with disk_of(20_000), pytest.raises(OutputError, match="cannot write the clip"):
        for number in range(100):
            recorder.add(_record(number, number), picture(number), happened=False)
    with pytest.raises(OutputError):
        recorder.close()
    part = tmp_path / "a.clip.part"
    frames = list(Clip(part))
    assert [frame.record.number for frame in frames] == list(range(len(frames)))
