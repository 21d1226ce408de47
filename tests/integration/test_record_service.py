"""`edgekit record --service`: a running daemon, and the command beside it, as real processes."""

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from edgekit_device.health import read_status

from edgekit.offline.clip import Clip
from tests.conftest import Edgekit, failure
from tests.device.sinks.samples import until
from tests.integration.daemon import Daemon
from tests.tiny import tiny_model


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The runtime directory of both; short, for a socket's path has 107 characters at most."""
    folder = Path(tempfile.mkdtemp())
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tiny.tflite")


@pytest.fixture
def daemon(start: Callable[..., Daemon], folder: Path, model: Path) -> Daemon:
    """A service that answers a camera."""
    daemon = start("--model", model, "--source", "test:", "--every-frame")
    daemon.wait_for_event(lambda event: True)
    return daemon


@pytest.fixture
def record() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start recordings; none survives the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "edgekit", "record", "--service", *map(str, options)]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code, and what it said."""
    said = process.communicate(timeout=60)[1]
    assert "Traceback" not in said
    return process.returncode, said


def holds_frames(part: Path) -> Callable[[], bool]:
    return lambda: part.is_file() and part.stat().st_size > 100_000


def test_it_records_twice_and_replays_what_the_daemon_saw(
    daemon: Daemon, edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    for name in ("first.clip", "second.clip"):
        clip = tmp_path / name
        done = edgekit("record", "--service", "--output", clip, "--max-seconds", "1")
        assert done.returncode == 0, done.stderr
        assert "in 1 stretch" in done.stderr
        found = Clip(clip)
        frames = list(found)
        assert found.cut is None
        assert found.header.source == "test:"
        assert frames[0].record.time == 0
        assert frames[-1].record.time <= 1
        replayed = edgekit("replay", clip, "--model", model)
        assert replayed.returncode == 0, replayed.stderr
        assert "another input" not in replayed.stderr
    # It goes on with its own camera.
    seen = daemon.wait_for_event(lambda event: True)["frame"]
    daemon.wait_for_event(lambda event: event["frame"] > seen)


def test_ctrl_c_ends_the_recording_with_a_whole_clip(
    daemon: Daemon, record: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = record("--output", tmp_path / "a.clip")
    until(holds_frames(tmp_path / "a.clip.part"))
    process.send_signal(signal.SIGINT)
    code, said = ended(process)
    assert code == 0, said
    assert "edgekit: kept " in said
    clip = Clip(tmp_path / "a.clip")
    assert len(list(clip)) > 0
    assert clip.cut is None


def test_a_command_that_is_killed_leaves_the_daemon_alone(
    daemon: Daemon, record: Callable[..., subprocess.Popen[str]], edgekit: Edgekit, tmp_path: Path
) -> None:
    process = record("--output", tmp_path / "a.clip")
    until(holds_frames(tmp_path / "a.clip.part"))
    process.kill()
    process.wait(30)
    assert len(list(Clip(tmp_path / "a.clip.part"))) > 0
    seen = daemon.wait_for_event(lambda event: True)["frame"]
    daemon.wait_for_event(lambda event: event["frame"] > seen + 10)

    def again() -> bool:
        # Until the daemon has noticed.
        done = edgekit(
            "record", "--service", "--output", tmp_path / "b.clip", "--max-seconds", "0.2"
        )
        return done.returncode == 0

    until(again)


def test_a_daemon_that_is_stopped_finishes_the_clip(
    daemon: Daemon, record: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = record("--output", tmp_path / "a.clip")
    until(holds_frames(tmp_path / "a.clip.part"))
    daemon.signal(signal.SIGTERM)
    assert daemon.end(timeout=30) == 0
    code, said = ended(process)
    # Where the machine is too busy to finish in time, the part file stays.
    if code == 0:
        assert "the service was stopped" in said
        assert len(list(Clip(tmp_path / "a.clip"))) > 0
    else:
        assert "ended before the clip was whole" in said
        assert len(list(Clip(tmp_path / "a.clip.part"))) > 0


def test_a_daemon_that_is_killed_leaves_what_came_and_the_command_says_so(
    daemon: Daemon, record: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = record("--output", tmp_path / "a.clip")
    until(holds_frames(tmp_path / "a.clip.part"))
    daemon.signal(signal.SIGKILL)
    code, said = ended(process)
    assert code == 1
    assert f"ended before the clip was whole; {tmp_path / 'a.clip.part'} replays" in said
    assert len(list(Clip(tmp_path / "a.clip.part"))) > 0


def test_a_second_recording_is_refused(
    daemon: Daemon,
    record: Callable[..., subprocess.Popen[str]],
    edgekit: Edgekit,
    tmp_path: Path,
) -> None:
    record("--output", tmp_path / "a.clip")
    until(holds_frames(tmp_path / "a.clip.part"))
    done = edgekit("record", "--service", "--output", tmp_path / "b.clip")
    assert "records already" in failure(done)
    assert not list(tmp_path.glob("b.clip*"))


def test_without_a_service_the_command_says_what_to_do(
    folder: Path, edgekit: Edgekit, tmp_path: Path
) -> None:
    done = edgekit("record", "--service", "--output", tmp_path / "a.clip")
    assert "systemctl start edgekit" in failure(done)
    done = edgekit("record", "--service", "--output", tmp_path / "a.clip", "--model", "m.tflite")
    assert done.returncode == 2
    assert "leave out" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_status_file_is_that_of_the_daemon(daemon: Daemon, folder: Path) -> None:
    until(lambda: (status := read_status(folder)) and status.health.state == "running")
    status = read_status(folder)
    assert status is not None
    assert status.pid == daemon.process.pid
    assert status.health.source == "test:"
    daemon.signal(signal.SIGTERM)
    assert daemon.end(timeout=30) == 0
    assert [path.name for path in folder.iterdir()] == ["status.json"]
