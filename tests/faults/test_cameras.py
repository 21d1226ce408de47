"""A network camera that fails in every way, while a daemon watches it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.device.profiles import DARKER, make_profile, profiled_model
from tests.faults.camera import Camera
from tests.faults.running import SLACK, Running, wait_for
from tests.faults.table import row

_EVERY = "every-frame = true\nstdout = true"


def _top(model: Path, source: str, more: str = _EVERY) -> str:
    return f'model = "{model}"\nsource = "{source}"\n{more}'


@pytest.fixture(scope="module")
def shared(start: Callable[..., Running], model: Path, camera: Camera) -> Running:
    return start(top=_top(model, camera.url))


@pytest.fixture
def daemon(shared: Running, camera: Camera) -> Running:
    """One for all tests, which is well."""
    camera.mode = "pictures"
    shared.is_well()
    return shared


@pytest.mark.parametrize(
    ("mode", "name"),
    [("silence", "camera-stalls"), ("ends", "camera-ends"), ("garbage", "camera-garbage"),
     ("noise", "camera-noise")],
)  # fmt: skip
def test_a_camera_that_is_lost_is_opened_again(
    daemon: Running, camera: Camera, mode: str, name: str
) -> None:
    fault, before = row(name), daemon.health
    camera.mode = mode
    daemon.shows(fault)
    # Time passes, and it does not stay silent about that.
    wait_for("stalled", lambda: daemon.health.state == "stalled")
    camera.mode = "pictures"
    after = daemon.recovers(fault)
    assert after.restarts["camera"] > before.restarts.get("camera", 0)
    if mode == "garbage":
        assert after.damaged > before.damaged


@pytest.mark.parametrize(
    ("mode", "name"), [("halves", "camera-halves"), ("giants", "camera-giants")]
)
def test_damaged_pictures_are_counted_and_not_answered(
    daemon: Running, camera: Camera, mode: str, name: str
) -> None:
    fault, before = row(name), daemon.health
    for _ in range(3):
        camera.mode = mode
        damaged = daemon.health.damaged
        wait_for("damage", lambda damaged=damaged: daemon.health.damaged > damaged)
        camera.mode = "pictures"
        daemon.answers()
    after = daemon.shows(fault)
    assert after.dropped - before.dropped >= after.damaged - before.damaged >= 3
    assert after.memory_bytes < before.memory_bytes + (64 << 20)


def test_pictures_of_another_size_are_answered(daemon: Running, camera: Camera) -> None:
    fault, before = row("camera-size"), daemon.health
    for mode in ("large", "pictures", "large"):
        camera.mode = mode
        daemon.answers()
    after = daemon.shows(fault)
    assert after.restarts == before.restarts


def test_a_covered_lens_is_told_and_no_problem(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    fault = row("camera-covered")
    profiled = profiled_model(tmp_path / "profiled.tflite", make_profile(brightness=(60, 100)))
    # Of its own: a camera serves one client, which is the daemon of the other tests.
    camera = Camera()
    try:
        daemon = start(top=_top(profiled, camera.url, "stdout = false"))
        wait_for("a look at enough pictures", lambda: daemon.health.drift_figures)
        assert daemon.health.drift is None
        camera.mode = "covered"
        wait_for("drift", lambda: daemon.health.drift)
        health = daemon.shows(fault)
        assert [sign.figure for sign in health.drift.signs] == ["brightness"]
        daemon.answers()
        camera.mode = "pictures"
        wait_for("its end", lambda: daemon.health.drift is None)
        assert daemon.has_said(f"drift: {DARKER}; ")
        assert daemon.states[-1] == "running"
        daemon.close()
    finally:
        camera.close()


def test_no_answer_came_from_a_damaged_picture(daemon: Running) -> None:
    """The camera shows red, whatever happens to it."""
    daemon.answers()
    labels = set()
    while not daemon.daemon.events.empty():
        event = daemon.daemon.events.get()
        labels.add((event["label"], event["labels"][0]["label"]))
    assert labels <= {("red", "red"), ("unknown", "red")}


def test_a_reload_is_heard_while_the_camera_is_lost(
    daemon: Running, camera: Camera, model: Path
) -> None:
    fault = row("camera-reload")
    other = Camera("blue")
    try:
        camera.mode = "ends"
        daemon.shows(fault)
        daemon.write(top=_top(model, other.url))
        daemon.reload()
        assert daemon.recovers(fault).source == other.url
        other.mode = "ends"
        daemon.shows(fault)
        # And one that is away as well: there is none to go on with.
        camera.mode = "pictures"
        daemon.write(top=_top(model, camera.url))
        daemon.reload()
        assert daemon.recovers(fault).source == camera.url
    finally:
        other.close()
        daemon.write(top=_top(model, camera.url))


def test_a_source_that_a_reload_names_in_vain_is_refused(
    daemon: Running, camera: Camera, model: Path, tmp_path: Path
) -> None:
    fault = row("source-refused")
    (tmp_path / "damaged.mp4").write_bytes(b"\0" * 1000)
    for source in ("http://127.0.0.1:9/live", f"{tmp_path}/none.mp4", f"{tmp_path}/damaged.mp4",
                   "x" * 300):  # fmt: skip
        daemon.write(top=_top(model, source))
        daemon.reload()
        daemon.shows(fault)
        daemon.answers()
        assert daemon.shows(fault).source == camera.url
        daemon.write(top=_top(model, camera.url))
        daemon.reload()
        daemon.recovers(fault)


@pytest.mark.parametrize("mode", ["ends", "silence"])
def test_a_camera_that_is_away_at_the_start_is_an_end(
    start: Callable[..., Running], model: Path, mode: str
) -> None:
    fault, absent = row("camera-absent"), Camera()
    absent.mode = mode
    try:
        daemon = start(top=_top(model, absent.url)).daemon
        assert daemon.end(SLACK) == 1
        assert fault.pattern.search(daemon.said[-1].replace("did not open", "does not open"))
    finally:
        absent.close()


def test_a_camera_that_stays_away_is_an_end_with_its_own_exit_code(
    start: Callable[..., Running], model: Path
) -> None:
    fault, gone = row("camera-never-back"), Camera()
    try:
        daemon = start(top=_top(model, gone.url), recovery="camera = 1.5")
        daemon.is_well()
        gone.mode = "ends"
        assert daemon.daemon.end(SLACK) == 10
        assert fault.pattern.search(daemon.daemon.said[-1])
    finally:
        gone.close()
