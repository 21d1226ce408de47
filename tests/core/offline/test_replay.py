"""`edgekit replay` and golden files."""

import json
import re
import tarfile
from pathlib import Path

import pytest

from edgekit.inference.runtimes import installed_runtimes
from edgekit.offline.drift_course import DriftCourse
from edgekit.offline.golden import Change, differences
from tests.core.offline.profiles import profile
from tests.recordings import Edgekit, failure, write_pictures, write_video
from tests.tiny import tiny_model


@pytest.fixture
def clip(edgekit: Edgekit, model: Path, video: Path, tmp_path: Path) -> Path:
    """The video, recorded."""
    target = tmp_path / "colours.clip"
    done = edgekit("record", "--model", model, "--source", video, "--output", target)
    assert done.exit_code == 0
    return target


def test_a_clip_gives_the_events_and_inputs_of_its_day(
    edgekit: Edgekit, model: Path, clip: Path
) -> None:
    done = edgekit("replay", clip, "--model", model, "--tolerance", 0, "--frames", 0, "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["frames"], found["inputs_differ"], found["differences"]) == (40, 0, [])
    labels = [change["label"] for change in found["changes"]]
    assert [label for label in labels if label != "unknown"] == ["red", "green", "blue", "red"]


@pytest.mark.parametrize("runtime", installed_runtimes())
def test_every_run_and_runtime_gives_the_same(
    edgekit: Edgekit, model: Path, clip: Path, runtime: str
) -> None:
    runs = {
        json.dumps(json.loads(done.stdout)["changes"])
        for done in (
            edgekit("replay", clip, "--model", model, "--runtime", runtime, "--json")
            for _ in range(3)
        )
    }
    assert len(runs) == 1


def test_drift_and_settings_are_told_and_are_not_in_a_golden_file(
    edgekit: Edgekit, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_pictures(tmp_path / "dark", ["black"] * 125)
    goldens = [tmp_path / name for name in ("without.json", "with.json")]
    base = ("replay", folder, "--model", model)
    without = edgekit(*base, "--golden", goldens[0], "--update")
    assert without.exit_code == 0
    monkeypatch.setattr("edgekit.offline.player.DriftCourse", lambda _: DriftCourse(profile()))
    edgekit(*base, "--golden", goldens[1], "--update")
    assert goldens[0].read_bytes() == goldens[1].read_bytes()
    done = edgekit(*base)
    assert re.search("drift: .* to 2:04: .*darker than", done.stderr)
    assert "decision: smoothing 5" in done.stderr
    found = json.loads(edgekit(*base, "--json").stdout)
    assert found["drift"]["told"][0]["since_s"] == 0
    assert found["decision"]["source"] == "the defaults"


def test_other_decision_settings_show_as_a_diff(edgekit: Edgekit, model: Path, clip: Path) -> None:
    done = edgekit("replay", clip, "--model", model, "--decision-hold", 3)
    assert done.exit_code == 1
    assert "differ from what was decided at the time" in failure(done)
    assert any(line.startswith("- frame ") for line in done.stdout.splitlines())


def test_settings_come_from_options_then_the_configuration_then_the_clip(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    clip, config, golden = (tmp_path / name for name in ("a.clip", "edgekit.toml", "golden.json"))
    config.write_text("[decision]\nsmoothing = 3\nhold = 0.1\n")
    base = ("--model", model, "--source", video, "--output", clip)
    edgekit("record", *base, "--decision-smoothing", 7, "--decision-enter", 0.9)
    for options, wanted in (
        ((), {"smoothing": 7, "enter": 0.9, "leave": 0.4, "hold": 0.5}),
        (("--decision-hold", 0), {"smoothing": 7, "enter": 0.9, "leave": 0.4, "hold": 0}),
        (("--config", config), {"smoothing": 3, "enter": 0.6, "leave": 0.4, "hold": 0.1}),
        (
            ("--config", config, "--decision-smoothing", 2),
            {"smoothing": 2, "enter": 0.6, "leave": 0.4, "hold": 0.1},
        ),
    ):
        replayed = ("replay", clip, "--model", model, "--golden", golden, "--update", *options)
        assert edgekit(*replayed).exit_code == 0
        assert json.loads(golden.read_text())["decision"] == wanted


def test_settings_of_labels_travel_with_the_clip_and_its_golden_file(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    clip, config, golden = (tmp_path / name for name in ("a.clip", "edgekit.toml", "golden.json"))
    config.write_text("[decision.labels]\ngreen.ignore = true\nblue.enter = 0.9\n")
    recorded = ("record", "--model", model, "--source", video, "--output", clip)
    assert edgekit(*recorded, "--config", config).exit_code == 0
    exactly = ("replay", clip, "--model", model, "--tolerance", 0, "--frames", 0)
    done = edgekit(*exactly, "--json")
    found = json.loads(done.stdout)
    assert [change["label"] for change in found["changes"]] == ["red", "unknown", "blue", "red"]
    assert found["differences"] == []
    assert "green: ignored; blue: enter 0.9, leave 0.4, hold 0.5 (from the clip)" in done.stderr
    edgekit(*exactly, "--golden", golden, "--update")
    assert json.loads(golden.read_text())["decision"]["labels"] == {
        "green": {"enter": 0.6, "leave": 0.4, "hold": 0.5, "ignore": True},
        "blue": {"enter": 0.9, "leave": 0.4, "hold": 0.5, "ignore": False},
    }
    assert edgekit(*exactly, "--golden", golden).exit_code == 0
    config.write_text("[decision.labels]\ngreen.ignore = true\n")
    done = edgekit(*exactly, "--golden", golden, "--config", config)
    assert "other decision settings: labels.blue.enter 0.9, not None" in failure(done)


def test_a_video_or_folder_has_nothing_to_differ_from(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    done = edgekit("replay", video, "--model", model)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "frame      0      0.00 s  0.996  red"
    folder = write_pictures(tmp_path / "pictures", ["red", "green"])
    done = edgekit("replay", folder, "--model", model, "--decision-smoothing", 1)
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["red", "green"]


def test_a_golden_file_does_not_take_the_place_of_what_is_read(
    edgekit: Edgekit, model: Path, video: Path
) -> None:
    before = {path: path.read_bytes() for path in (model, video)}
    for path in before:
        done = edgekit("replay", video, "--model", model, "--golden", path, "--update")
        assert f"{path} is read here, and would be lost" in failure(done)
    assert {path: path.read_bytes() for path in before} == before


def test_a_golden_file_is_written_and_held_to(
    edgekit: Edgekit, model: Path, clip: Path, tmp_path: Path
) -> None:
    golden = tmp_path / "golden.json"
    base = ("replay", clip, "--model", model, "--golden", golden)
    assert "--update writes one" in failure(edgekit(*base))
    assert "changes to" in edgekit(*base, "--update").stderr
    done = edgekit(*base)
    assert done.exit_code == 0
    assert "all as expected" in done.stderr
    content = json.loads(golden.read_text())
    content["changes"][2]["score"] += 0.2
    content["changes"][-1]["frame"] += 5
    content["changes"].pop(0)
    golden.write_text(json.dumps(content))
    done = edgekit(*base)
    assert "3 events differ from" in failure(done)
    first, second, third = done.stdout.splitlines()
    assert first.startswith("+ ") and first.endswith("not expected")
    assert second.startswith("~ ") and "score was" in second
    assert third.startswith("~ ") and third.endswith("5 frames early")
    assert edgekit(*base, "--update").exit_code == 0
    assert edgekit(*base).exit_code == 0


def test_a_golden_file_of_something_else_says_so(
    edgekit: Edgekit, model: Path, clip: Path, video: Path, tmp_path: Path
) -> None:
    golden = tmp_path / "golden.json"
    edgekit("replay", clip, "--model", model, "--golden", golden, "--update")
    done = edgekit("replay", video, "--model", model, "--golden", golden)
    assert "another recording: colours.clip" in failure(done)
    other = tmp_path / "other.tflite"
    other.write_bytes(tiny_model(tmp_path / "x.tflite").read_bytes().replace(b"means", b"meanz"))
    base = ("replay", clip, "--model", other, "--golden", golden)
    assert "another model: colours.tflite" in failure(edgekit(*base))
    assert edgekit(*base, "--any-model").exit_code == 0
    done = edgekit(*base, "--any-model", "--decision-smoothing", 2)
    assert "other decision settings: smoothing 5, not 2" in failure(done)
    golden.write_text("{}")
    assert "is not a golden file" in failure(edgekit(*base))
    assert edgekit("replay", clip, "--model", model, "--update").exit_code == 2


def test_another_preprocessing_is_reported(
    edgekit: Edgekit, model: Path, clip: Path, tmp_path: Path
) -> None:
    spoilt = tmp_path / "spoilt.clip"
    content = clip.read_bytes()
    digest = json.loads(_member(clip, "000000007.json"))["input_sha256"].encode()
    assert digest in content
    spoilt.write_bytes(content.replace(digest, b"0" * 64))
    done = edgekit("replay", spoilt, "--model", model)
    assert done.exit_code == 0
    assert "the input differs from the recorded one in" in done.stderr


def _member(clip: Path, name: str) -> bytes:
    with tarfile.open(clip) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def test_a_cut_off_clip_replays_up_to_the_cut(edgekit: Edgekit, model: Path, clip: Path) -> None:
    cut = clip.with_name("cut.clip")
    content = clip.read_bytes()
    cut.write_bytes(content[: len(content) * 6 // 10])
    done = edgekit("replay", cut, "--model", model)
    assert done.exit_code == 0
    assert "cut.clip: cut off after" in done.stderr
    assert "all as expected" in done.stderr


def test_stretches_are_replayed_each_by_itself(
    edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    video = write_video(tmp_path / "v.avi", ["red"] * 50 + ["green"] * 50 + ["blue"] * 50)
    target = tmp_path / "a.clip"
    edgekit(
        "record", "--model", model, "--source", video, "--output", target, "--on", "change",
        "--ring", 2, "--after", 2,
    )  # fmt: skip
    done = edgekit("replay", target, "--model", model)
    assert done.exit_code == 0, done.stdout
    assert "all as expected" in done.stderr


def test_failures_are_one_line(edgekit: Edgekit, model: Path, tmp_path: Path) -> None:
    assert "no recording at" in failure(edgekit("replay", tmp_path / "none", "--model", model))
    (tmp_path / "empty").mkdir()
    assert "no images in" in failure(edgekit("replay", tmp_path / "empty", "--model", model))
    (tmp_path / "text.mp4").write_text("no video")
    assert "does not open" in failure(edgekit("replay", tmp_path / "text.mp4", "--model", model))


def _changes(*changes: tuple[int, str, float]) -> list[Change]:
    return [Change(frame, frame / 10, label, score) for frame, label, score in changes]


def test_equal_within_the_tolerances_is_equal() -> None:
    one = _changes((0, "a", 0.9), (10, "b", 0.8))
    other = _changes((0, "a", 0.85), (12, "b", 0.8))
    assert differences(one, other, tolerance=0.05, frames=2) == []
    assert len(differences(one, other, tolerance=0.04, frames=1)) == 2


def test_a_missing_change_does_not_spoil_the_others() -> None:
    one = _changes((0, "a", 0.9), (10, "b", 0.8), (20, "c", 0.7))
    (line,) = differences(one, [one[0], one[2]], tolerance=0, frames=0)
    assert line == "- frame     10      1.00 s  0.800  b   expected"


def test_a_long_diff_is_cut() -> None:
    lines = differences(_changes(*((n, "a", 0.0) for n in range(500))), [], tolerance=0, frames=0)
    assert len(lines) == 61
    assert lines[-1] == "… and 440 more differences"
