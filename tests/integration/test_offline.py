"""Offline testing with real processes: a recording survives its end, whatever that is."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from edgekit_convert.pictures import load_calibration

from demo.fixtures import Material
from edgekit.model.geometry import Geometry
from edgekit.offline.clip import Clip
from tests.conftest import Edgekit, failure
from tests.integration.browser import find_browser, open_browser, set_screen
from tests.tiny import tiny_model

DEADLINE = 60.0


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "colours.tflite")


def _wait(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _record(model: Path, target: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgekit", "record", "--model", str(model)]
    command += ["--source", "test:", "--output", str(target), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def _frames(path: Path) -> int:
    return path.stat().st_size // 4096 if path.exists() else 0


def test_a_killed_recording_replays_up_to_its_end(
    tiny: Path, tmp_path: Path, edgekit: Edgekit
) -> None:
    target, part = tmp_path / "door.clip", tmp_path / "door.clip.part"
    with _record(tiny, target) as process:
        _wait(lambda: _frames(part) > 100, process)
        process.kill()
    assert not target.exists()
    # The last frame may have been half written, or not; now it certainly is.
    os.truncate(part, part.stat().st_size - 700)
    done = edgekit("replay", part, "--model", tiny, "--tolerance", "0", "--frames", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "door.clip.part: cut off after" in done.stderr
    assert "all as expected" in done.stderr
    # A new recording does not destroy it.
    again = edgekit("record", "--model", tiny, "--source", "test:", "--output", target)
    assert "left of a recording" in failure(again)
    assert part.exists()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_recording_is_finished_and_replays_exactly(
    tiny: Path, tmp_path: Path, edgekit: Edgekit, stop: signal.Signals
) -> None:
    target, part = tmp_path / "door.clip", tmp_path / "door.clip.part"
    with _record(tiny, target, "--camera-width", "160", "--camera-height", "120") as process:
        _wait(lambda: _frames(part) > 20, process)
        process.send_signal(stop)
        assert process.wait(DEADLINE) == 0
    assert not part.exists()
    clip = Clip(target)
    live = [one.record for one in clip]
    assert clip.cut is None
    done = edgekit("replay", target, "--model", tiny, "--json")
    found = json.loads(done.stdout)
    assert found["frames"] == len(live)
    assert found["inputs_differ"] == 0
    assert [(one["time"], one["label"], one["score"]) for one in found["changes"]] == [
        (round(one.time, 6), one.label, one.score) for one in live if one.event == "change"
    ]


def test_run_record_and_replay_decide_the_same(
    converted: Path, material: Material, tmp_path: Path, edgekit: Edgekit
) -> None:
    clip = tmp_path / "toys.clip"
    lines = edgekit("run", "--model", converted, "--source", material.clip).stdout.splitlines()
    run = [
        (event["time"], event["label"], event["score"])
        for event in map(json.loads, lines)
        if event["event"] == "change"
    ]
    edgekit("record", "--model", converted, "--source", material.clip, "--output", clip)
    for recording in (material.clip, clip):
        found = json.loads(edgekit("replay", recording, "--model", converted, "--json").stdout)
        changes = [(one["time"], one["label"], one["score"]) for one in found["changes"]]
        assert changes == run
        assert not found["inputs_differ"]
    assert len(run) > 1


def test_calibration_takes_clips_and_collections_as_they_are(
    tiny: Path, material: Material, tmp_path: Path, edgekit: Edgekit
) -> None:
    clip, folder = tmp_path / "toys.clip", tmp_path / "pictures"
    edgekit("record", "--model", tiny, "--source", material.clip, "--output", clip)
    done = edgekit("collect", "--source", clip, "--output", folder, "--count", "40")
    assert "kept 40 of 480 frames" in done.stderr
    geometry = Geometry(64, 64)
    whole = load_calibration(clip, geometry, lambda _: None)
    chosen = load_calibration(folder, geometry, lambda _: None)
    assert len(whole.tensors) == 480
    assert len(chosen.tensors) == 40
    seen = {tensor.tobytes() for tensor in whole.tensors}
    assert all(tensor.tobytes() in seen for tensor in chosen.tensors)


def _truth(material: Material, path: Path) -> Path:
    """What the clip shows, a row for each toy; the first is called by another's name."""
    labels = json.loads(material.truth.read_text())
    rows = [
        {"start_frame": place, "end_frame": place + 1, "label": label}
        for place, label in enumerate(labels)
        if label is not None
    ]
    joined = rows[:1]
    for row in rows[1:]:
        last = joined[-1]
        if (row["start_frame"], row["label"]) == (last["end_frame"], last["label"]):
            last["end_frame"] = row["end_frame"]
        else:
            joined.append(row)
    # A model without a mistake has one, too.
    joined[0]["label"] = next(row["label"] for row in joined if row["label"] != joined[0]["label"])
    path.write_text(json.dumps(joined))
    return path


@pytest.mark.skipif(find_browser() is None, reason="needs Chromium and its driver")
def test_the_report_reads_on_screen_and_phone(
    converted: Path, material: Material, tmp_path: Path, edgekit: Edgekit
) -> None:
    report = tmp_path / "report.html"
    truth = _truth(material, tmp_path / "truth.json")
    done = edgekit(
        "evaluate", converted, material.clip, "--truth", truth, "--report", report,
        "--decision-smoothing", "9", "--json",
    )  # fmt: skip
    found = json.loads(done.stdout)
    # One that guesses is right on a seventh.
    assert 0.5 < found["model"] < 1
    assert found["intervals"] / 2 < found["found"] <= found["intervals"]
    with open_browser() as browser:
        for width in (1180, 390):
            set_screen(browser, width, 800, dark=width < 600)
            browser.get(report.as_uri())
            measured = browser.execute_script(
                "const all = selector => document.querySelectorAll(selector);"
                "return [document.documentElement.scrollWidth, window.innerWidth,"
                " all('.lane.truth b').length, all('.lane.wrong i').length,"
                " all('.pictures li').length,"
                " [...all('.pictures img')].filter(one => one.naturalWidth > 100).length]"
            )
            page, screen, truths, wrong, pictures, loaded = measured
            assert page <= screen
            assert truths >= found["intervals"]
            assert wrong >= 1
            assert pictures == found["mistakes"]
            assert loaded >= 1
            assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
