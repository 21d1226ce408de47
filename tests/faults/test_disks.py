"""Disks that are full, or may not be written to."""

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, Edgekit
from tests.faults.running import SLACK, Running
from tests.faults.table import Fault, row
from tests.recordings import write_video

_COLOURS = ["red", "green", "blue", "grey"] * 50


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, with room for 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder],
        capture_output=True, check=False,
    )  # fmt: skip
    if not mounted or mounted.returncode != 0:
        pytest.skip("a small disk can be mounted by root alone")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def _ends(fault: Fault, done: subprocess.CompletedProcess[str]) -> str:
    """What it said: its last line, which is the table's."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert fault.pattern.search(last), done.stderr
    return last


def _fill(folder: Path) -> None:
    with (folder / "filling").open("wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(4096))


def test_a_clip_on_a_disk_that_fills_up(
    model: Path, small: Path, edgekit: Edgekit, tmp_path: Path
) -> None:
    fault, clip = row("disk-full-clip"), small / "a.clip"
    done = edgekit("record", "--model", model, "--source", "test:", "--output", clip)
    last = _ends(fault, done)
    kept, answered, lost = map(int, re.findall(r"\d+", last.rpartition("; ")[2]))
    assert kept > 0
    assert kept + lost == answered
    assert not clip.exists()
    # What is there replays: every frame that was counted.
    whole = tmp_path / "b.clip"
    shutil.copy(f"{clip}.part", whole)
    again = edgekit("replay", whole, "--model", model)
    assert f"{kept} frames" in again.stdout + again.stderr


def test_a_golden_file_on_a_full_disk(
    model: Path, small: Path, edgekit: Edgekit, tmp_path: Path
) -> None:
    fault = row("disk-full-golden")
    video = write_video(tmp_path / "v.avi", _COLOURS)
    _fill(small)
    golden = small / "g.json"
    done = edgekit("replay", video, "--model", model, "--golden", golden, "--update")
    _ends(fault, done)
    assert [path.name for path in small.iterdir()] == ["filling"]


def test_a_folder_that_may_not_be_written_to(model: Path, small: Path, edgekit: Edgekit) -> None:
    fault = row("disk-read-only")
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    output = small / "a.clip"
    # Before the camera, which is not there, is opened.
    done = edgekit("record", "--model", model, "--source", "v4l2:97", "--output", output)
    _ends(fault, done)


def test_a_runtime_directory_that_is_full_or_gone(
    start: Callable[..., Running], model: Path
) -> None:
    """Health still goes to everybody else."""
    fault = row("disk-status")
    daemon = start(top=f'model = "{model}"\nsource = "test:"\nevery-frame = true')
    before = daemon.is_well().frames
    # No file may grow: what a full disk does, for one process.
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    daemon.daemon.wait_for(fault.message.rstrip("…"))
    daemon.daemon.wait_for_event(lambda event: event["frame"] > before + 30)
    resource.prlimit(
        daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    daemon.recovers(fault)
    moved = daemon.run_folder.with_name("moved")
    daemon.run_folder.rename(moved)
    daemon.daemon.wait_for(fault.message.rstrip("…"))
    moved.rename(daemon.run_folder)
    daemon.recovers(fault)


def test_events_that_go_to_a_full_disk(model: Path) -> None:
    fault = row("disk-full-stdout")
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edgekit", "run", "--model", model, "--source", "test:"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=SLACK, check=False, cwd=ROOT,
            env=os.environ,
        )  # fmt: skip
    _ends(fault, done)
