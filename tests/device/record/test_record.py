"""`edgekit record`, and what it keeps."""

import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from edgekit_device.config.settings import Settings
from edgekit_device.daemon import record as record_command
from edgekit_device.daemon import worker
from edgekit_device.retry import RetryPolicy
from edgekit_device.sources import EndOfSource, open_source

from edgekit.errors import OutputError, SourceError, SourceLostError
from edgekit.inference.classifier import Classifier
from edgekit.inference.decision import Decision
from edgekit.inference.pipeline import Pipeline
from edgekit.model.decision import DecisionSettings
from edgekit.offline.clip import Clip, ClipWriter, hash_input
from edgekit.offline.clip_output import ClipFile
from edgekit.vision.encode import encode_png
from tests.device.fakes import FakeSource, Sources
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
    decision = Decision(DecisionSettings(), classifier.labels)
    pipeline = Pipeline(classifier, "m", decision, source.name, live=source.live)
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

    # Times of a recording stay those that it has.
    again = tmp_path / "again.clip"
    edgekit("record", "--model", model, "--source", target, "--output", again)
    times = [frame.record.time for frame in Clip(target)]
    assert times[0] > 0
    assert [frame.record.time for frame in Clip(again)] == times


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


def test_a_full_disk_is_named_with_what_was_lost(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, pieces = ClipFile.append, []

    def fill(self: ClipFile, data: bytes) -> None:
        # The header and seven frames fit.
        if len(pieces) == 8:
            raise OutputError(f"cannot write the clip {self.part}: No space left on device")
        pieces.append(data)
        append(self, data)

    monkeypatch.setattr(ClipFile, "append", fill)
    target = tmp_path / "a.clip"
    done = edgekit("record", "--model", model, "--source", video, "--output", target)
    found = re.fullmatch(
        rf"cannot write the clip {target}.part: No space left on device; 7 of (\d+) frames are in "
        r"it, (\d+) were lost",
        failure(done),
    )
    assert found is not None
    assert int(found[1]) == 7 + int(found[2])
    assert len(list(Clip(tmp_path / "a.clip.part"))) == 7
    # That is all that is said.
    assert "kept" not in done.stderr


def test_sigusr1_keeps_the_last_seconds_and_sigterm_ends(
    edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    target, part = tmp_path / "a.clip", tmp_path / "a.clip.part"
    empty = threading.Event()

    def size() -> int:
        return part.stat().st_size if part.exists() else 0

    def at_the_door() -> None:
        # The camera is being answered once the header is there.
        while not size() and not empty.wait(0.01):
            pass
        header = size()
        while size() == header and not empty.wait(0.05):
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


class TestRecovery:
    """A recording has the daemon's recovery."""

    @pytest.fixture
    def cameras(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Script the cameras that are opened one after the other."""

        def script(*cameras: FakeSource | Exception) -> None:
            monkeypatch.setattr(record_command, "open_source", Sources(list(cameras)))

        monkeypatch.setattr(worker, "CAMERA", RetryPolicy(0.001, 0.001))
        return script

    def test_a_camera_that_is_lost_and_comes_back_goes_on_in_the_same_clip(
        self, edgekit: Edgekit, model: Path, tmp_path: Path, cameras: Callable[..., None]
    ) -> None:
        cameras(
            FakeSource(0, 1, SourceError("unplugged"), live=True, name="door"),
            SourceError("still gone"),
            FakeSource(2, live=True, name="door"),
        )
        target = tmp_path / "a.clip"
        done = edgekit("record", "--model", model, "--source", "test:", "--output", target)
        assert done.exit_code == 0, done.stderr
        assert "camera: unplugged" in done.stderr
        assert "kept 3 of 3 frames" in done.stderr
        clip = Clip(target)
        assert [int(frame.pixels[0, 0, 0]) for frame in clip] == [0, 1, 2]
        assert clip.header.source == "door"

    def test_one_that_stays_away_ends_it_with_its_exit_code_and_a_whole_clip(
        self, edgekit: Edgekit, model: Path, tmp_path: Path, cameras: Callable[..., None]
    ) -> None:
        cameras(FakeSource(0, 1, SourceError("unplugged"), live=True))
        config = tmp_path / "edgekit.toml"
        config.write_text("[recovery]\ncamera = 0\n")
        target = tmp_path / "a.clip"
        done = edgekit(
            "record", "--config", config, "--model", model, "--source", "test:", "--output", target
        )
        assert isinstance(done.exception, SourceLostError)
        assert done.exception.exit_code == 10
        assert len(list(Clip(target))) == 2
        assert "kept 2 of 2 frames" in done.stderr

    def test_other_sinks_of_the_configuration_are_not_for_it(
        self, edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
    ) -> None:
        config = tmp_path / "edgekit.toml"
        config.write_text(
            "every-frame = true\nmax-frames = 3\n"
            '[http]\nlisten = "0.0.0.0:1"\n[webhook]\nurl = "http://webhook.invalid/"\n'
        )
        target = tmp_path / "a.clip"
        done = edgekit(
            "record", "--config", config, "--model", model, "--source", video, "--output", target
        )
        assert done.exit_code == 0, done.stderr
        assert done.stdout == ""
        events = [frame.record.event for frame in Clip(target)]
        assert len(events) == 40
        assert set(events) == {None, "change"}


def test_a_heartbeat_in_the_first_frame_is_no_change_in_a_replay(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    whole, later = tmp_path / "whole.clip", tmp_path / "later.clip"
    edgekit("record", "--model", model, "--source", video, "--output", whole)
    # As a running service gives it that has seen the same for a while.
    writer = ClipWriter(later, Clip(whole).header)
    for frame in Clip(whole):
        if frame.record.event == "change" and frame.record.number == 0:
            heartbeat = msgspec.structs.replace(frame.record, event="heartbeat")
            writer.write(heartbeat, encode_png(frame.pixels))
        else:
            writer.write(frame.record, encode_png(frame.pixels))
    writer.finish()
    assert edgekit("replay", later, "--model", model).exit_code == 0


def test_a_stretch_that_begins_with_a_change_replays_as_it_was(
    edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    video = write_video(tmp_path / "v.avi", ["red"] * 20 + ["green"] * 20)
    target = tmp_path / "a.clip"
    edgekit(
        "record", "--model", model, "--source", video, "--output", target, "--on", "change",
        "--ring", 0, "--after", 0.5, "--decision-smoothing", 1, "--decision-hold", 0,
    )  # fmt: skip
    assert next(iter(Clip(target))).record.event == "change"
    assert edgekit("replay", target, "--model", model).exit_code == 0
